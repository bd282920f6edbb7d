/* tests/sim/nat_test.c - NAT by NAT: direct or relayed, and how soon
 *
 * Who can meet whom follows from what the two boxes do (data-plane.md 2): a node behind a mapping
 * that does not depend on the destination can be reached where STUN saw it; one behind a mapping
 * that does cannot, but reaches out itself, unless the other's box filters by port what it has not
 * been sent to. SIM_MATRIX=1 prints the table of docs/simulation.md.
 */
#include <stdlib.h>

#include "base/attr.h"
#include "tests/harness.h"
#include "tests/sim/world.h"

static const struct kind {
	const char *name;
	struct world_host host;
	bool doubled; /* its box is behind another such box */
} boxes[] = {
	{ "none", { NAT_NONE, NAT_FILTER_NONE }, false },
	{ "full cone", { NAT_ENDPOINT_INDEPENDENT, NAT_FILTER_NONE }, false },
	{ "restricted", { NAT_ENDPOINT_INDEPENDENT, NAT_FILTER_ADDRESS }, false },
	{ "port restricted", { NAT_ENDPOINT_INDEPENDENT, NAT_FILTER_PORT }, false },
	{ "two layers", { NAT_ENDPOINT_INDEPENDENT, NAT_FILTER_PORT }, true },
	{ "by address", { NAT_ADDRESS_DEPENDENT, NAT_FILTER_PORT }, false },
	{ "symmetric", { NAT_PORT_DEPENDENT, NAT_FILTER_PORT }, false },
	{ "IPv6 alone", { .family = WORLD_IPV6 }, false },
};

static void add(struct world *w, const struct kind *k)
{
	struct world_box box = { .mapping = k->host.mapping, .filtering = k->host.filtering };
	struct world_host host = k->host;

	if (k->doubled) {
		box.behind = world_box(w, &box);
		host.box = world_box(w, &box);
	}
	world_add(w, &host);
}

static bool varies(const struct world_host *h)
{
	return h->mapping == NAT_ADDRESS_DEPENDENT || h->mapping == NAT_PORT_DEPENDENT;
}

/* May datagrams of `a` come in where STUN saw `b`, which has sent to where STUN saw `a`? */
static bool comes_in(const struct world_host *a, const struct world_host *b)
{
	if (varies(b))
		return false;
	return b->mapping == NAT_NONE || !varies(a) || b->filtering != NAT_FILTER_PORT;
}

static bool can_be_direct(const struct world_host *a, const struct world_host *b)
{
	return a->family == b->family && (comes_in(a, b) || comes_in(b, a));
}

static bool both_direct(struct world *w, int i, int j)
{
	return world_direct(w, i, j) && world_direct(w, j, i);
}

/* Milliseconds from the first packet to direct both ways, or -1: relayed */
static int64_t meet(uint64_t seed, const struct kind *a, const struct kind *b)
{
	struct world *w = world_new(seed);
	int64_t ms = -1;
	mono_t start;
	int f;

	add(w, a);
	add(w, b);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 2, 0), "two nodes do not meet");
	world_run(w, SPAN_S(5));
	start = world_now(w);
	f = world_open(w, 0, 1);
	world_push(w, f, 10000);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_settled, f, 0), "a flow does not start");
	if (world_until(w, SPAN_S(20), both_direct, 0, 1))
		ms = span_ms(mono_sub(world_now(w), start));
	world_push(w, f, 10000);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_settled, f, 0), "a flow does not go on");
	if (ms < 0)
		WORLD_CHECK(w, !world_direct(w, 0, 1) && !world_direct(w, 1, 0),
			    "direct one way only");
	world_free(w);
	return ms;
}

TEST(every_pair_of_nats_that_can_meet_is_direct_and_the_others_are_relayed)
{
	bool print = getenv("SIM_MATRIX");

	for (size_t a = 0; a < ARRAY_LEN(boxes); a++) {
		if (print)
			printf("| %s ", boxes[a].name);
		for (size_t b = 0; b < ARRAY_LEN(boxes); b++) {
			const struct world_host *ha = &boxes[a].host, *hb = &boxes[b].host;
			int64_t ms = meet(100 + a * 10 + b, &boxes[a], &boxes[b]);

			ck_assert_msg((ms >= 0) == can_be_direct(ha, hb), "%s and %s: %lld ms",
				      boxes[a].name, boxes[b].name, (long long)ms);
			/* a few trips by the relay and straight; the next round would be at 6 s */
			ck_assert_msg(ms < 300, "%s and %s: %lld ms", boxes[a].name, boxes[b].name,
				      (long long)ms);
			if (print && ms >= 0)
				printf("| direct, %lld ms ", (long long)ms);
			else if (print)
				printf("| relayed ");
		}
		if (print)
			printf("|\n");
	}
}
