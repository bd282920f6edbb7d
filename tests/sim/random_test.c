/* tests/sim/random_test.c - random tailnets on random networks with random mishaps, each from one
 * seed: what the other tests here try alone comes together
 *
 * After the mishaps everything works again, and then everybody must talk with everybody within a
 * bound; a flow whose ends lived on has ended or goes on, and never brought a wrong byte. What the
 * world watches at every step (world.h) holds throughout.
 * SEED=n replays one; SEED_FIRST=n SEED_COUNT=m run a range; SIM_VERBOSE=1 shows the whole log.
 */
#include <stdlib.h>

#include "base/attr.h"
#include "tests/harness.h"
#include "tests/sim/world.h"

enum { NODES_MAX = 8, FLOWS_MAX = 60, BOXES = 3 };

struct script {
	struct world *w;
	int n, flows[FLOWS_MAX], n_flows, boxes[BOXES], n_boxes;
	bool no_udp[NODES_MAX], nat[NODES_MAX], once[NODES_MAX];
	mono_t wake[NODES_MAX];
	bool control, full, relay[WORLD_RELAYS], denied, hangs[WORLD_RELAYS + 1];
};

static const char nothing[] = "{\"acls\":[]}";

static bool one_in(struct script *s, uint64_t n)
{
	return world_choice(s->w, n) == 0;
}

static double part(struct script *s, double max)
{
	return (double)world_choice(s->w, 1000) / 1000 * max;
}

static int any_node(struct script *s)
{
	return (int)world_choice(s->w, (uint64_t)s->n);
}

static bool awake(const struct script *s, int i)
{
	return !mono_before(world_now(s->w), s->wake[i]);
}

/* A box that several may share, behind another one or not, with a short memory or few ports */
static int box(struct script *s)
{
	static const int64_t timeouts[] = { 0, 0, 0, 8, 30 };
	struct world_box b = {
		.mapping = (enum nat_mapping)(1 + world_choice(s->w, NAT_MAPPING_N - 1)),
		.filtering = (enum nat_filtering)world_choice(s->w, NAT_FILTERING_N),
		.timeout = SPAN_S(timeouts[world_choice(s->w, ARRAY_LEN(timeouts))]),
		.max = one_in(s, 4) ? 1 + world_choice(s->w, 6) : 0,
		.hairpin = one_in(s, 2),
		.preserves_ports = one_in(s, 2),
		.behind = s->n_boxes > 0 && one_in(s, 3)
			      ? s->boxes[world_choice(s->w, (uint64_t)s->n_boxes)]
			      : 0,
	};
	int k = s->n_boxes < BOXES ? s->n_boxes++ : (int)world_choice(s->w, BOXES);

	return s->boxes[k] = world_box(s->w, &b);
}

static void add(struct script *s)
{
	static const size_t mtus[] = { 1400, 1340, 1300, 1280 };
	struct world_host h = { .no_udp = one_in(s, 6),
				.family = one_in(s, 3) ? (enum world_family)world_choice(s->w, 3)
						       : WORLD_IPV4,
				.mtu = one_in(s, 6) ? mtus[world_choice(s->w, ARRAY_LEN(mtus))] : 0,
				.once = one_in(s, 3) };

	if (s->n == NODES_MAX || s->full) /* a full disk has no room for its auth key */
		return;
	if (h.family != WORLD_IPV6 && !one_in(s, 4))
		h.box = s->n_boxes > 0 && one_in(s, 3)
			    ? s->boxes[world_choice(s->w, (uint64_t)s->n_boxes)]
			    : box(s);
	s->no_udp[s->n] = h.no_udp;
	s->once[s->n] = h.once;
	s->nat[s->n++] = h.box != 0;
	world_add(s->w, &h);
}

static void network(struct script *s)
{
	struct world_net net = {
		.loss = one_in(s, 2) ? part(s, 0.1) : 0,
		.duplicate = one_in(s, 2) ? part(s, 0.05) : 0,
		.corrupt = one_in(s, 3) ? part(s, 0.02) : 0,
		.delay = SPAN_MS(1 + (int64_t)world_choice(s->w, 100)),
		.jitter = SPAN_MS(one_in(s, 2) ? (int64_t)world_choice(s->w, 50) : 0),
	};

	world_note(s->w,
		   "network: loss %.3f, duplicates %.3f, corrupt %.3f, delay %d ms, jitter %d ms",
		   net.loss, net.duplicate, net.corrupt, (int)span_ms(net.delay),
		   (int)span_ms(net.jitter));
	world_net(s->w, &net);
}

static void transfer(struct script *s)
{
	int i = any_node(s), j = any_node(s), f;

	if (i == j || s->n_flows == FLOWS_MAX || !awake(s, i) || world_removed(s->w, i) ||
	    !world_knows(s->w, i, j))
		return;
	f = world_transfer(s->w, i, j, 1 + world_choice(s->w, 200000));
	if (f >= 0)
		s->flows[s->n_flows++] = f;
}

/* What the policy denies is watched for at the nodes that can have heard of it. */
static void forbid(struct script *s)
{
	for (int i = 0; i < s->n; i++)
		for (int j = 0; j < s->n; j++) {
			if (s->denied && s->control && !s->full && !s->hangs[0] && awake(s, j))
				world_forbid(s->w, i, j,
					     SPAN_S(40)); /* a stream may be coming back */
			else
				world_allow(s->w, i, j);
		}
}

static void policy(struct script *s, bool deny)
{
	s->denied = deny;
	world_policy(s->w, deny ? nothing : NULL);
	forbid(s);
}

/* For good: its key served one login. Its process goes on, or not. */
static void remove_one(struct script *s, int i)
{
	int left = 0;

	for (int k = 0; k < s->n; k++)
		left += !world_removed(s->w, k);
	if (!s->once[i] || world_removed(s->w, i) || left < 3 || !world_at_control(s->w, i, 0) ||
	    !world_remove(s->w, i))
		return;
	if (one_in(s, 2))
		world_stop(s->w, i);
}

/* Control's disk fails at one of its next writes, or is full from then on. */
static void disk(struct script *s)
{
	enum world_disk fault = (enum world_disk)world_choice(s->w, WORLD_DISK_N);

	s->full = fault == WORLD_DISK_FULL;
	world_disk(s->w, fault, (unsigned)world_choice(s->w, 4));
	forbid(s);
}

static void mishap(struct script *s)
{
	int i = any_node(s), r = (int)world_choice(s->w, WORLD_RELAYS);

	switch (world_choice(s->w, 18)) {
	case 0:
		world_control(s->w, s->control = !s->control);
		forbid(s); /* who has not heard of it by now will not before control is back */
		break;
	case 1:
	case 2:
		world_relay(s->w, r, s->relay[r] = !s->relay[r]);
		break;
	case 3:
		if (awake(s, i) && !world_removed(s->w, i))
			world_move(s->w, i);
		break;
	case 4:
		if (awake(s, i) && !world_removed(s->w, i))
			world_restart(s->w, i, one_in(s, 2));
		forbid(s); /* it may have stored an older netmap */
		break;
	case 5:
		world_udp(s->w, i, one_in(s, 2));
		break;
	case 6:
		s->wake[i] = mono_add(world_now(s->w), SPAN_S(1 + world_choice(s->w, 200)));
		world_sleep(s->w, i, mono_sub(s->wake[i], world_now(s->w)));
		forbid(s);
		break;
	case 7:
		world_wall_jump(s->w, SPAN_S((int64_t)world_choice(s->w, 200000) - 100000));
		break;
	case 8:
		if (s->control)
			world_control_restart(s->w);
		break;
	case 9:
		if (s->nat[i])
			world_rebind(s->w, i);
		break;
	case 10:
		network(s);
		break;
	case 11:
		if (s->control)
			policy(s, !s->denied);
		break;
	case 12:
		add(s);
		break;
	case 13:
		r = (int)world_choice(s->w, WORLD_RELAYS + 1);
		world_hang(s->w, r - 1, s->hangs[r] = !s->hangs[r]);
		forbid(s);
		break;
	case 14:
	case 15:
		disk(s);
		break;
	case 16:
		if (awake(s, i))
			remove_one(s, i);
		break;
	case 17:
		if (one_in(s, 4))
			world_run(s->w, SPAN_S(3600 + (int64_t)world_choice(s->w, 10000)));
		break;
	}
}

static void live(struct script *s)
{
	static const int64_t ms[] = { 0, 1, 50, 300, 1000, 5000, 20000, 60000, 200000 };
	uint64_t steps = 10 + world_choice(s->w, 30);

	while (steps-- > 0) {
		if (one_in(s, 2))
			transfer(s);
		else
			mishap(s);
		world_run(s->w, SPAN_MS(ms[world_choice(s->w, ARRAY_LEN(ms))]));
	}
}

static void heal(struct script *s)
{
	struct world_net good = { .delay = SPAN_MS(10), .jitter = SPAN_MS(2) };

	world_note(s->w, "everything works again");
	world_net(s->w, &good);
	world_disk(s->w, WORLD_DISK_GOOD, 0);
	world_control(s->w, true);
	for (int r = 0; r < WORLD_RELAYS; r++)
		world_relay(s->w, r, true);
	for (int r = 0; r < WORLD_RELAYS + 1; r++)
		world_hang(s->w, r - 1, s->hangs[r] = false);
	for (int i = 0; i < s->n; i++) {
		world_udp(s->w, i, !s->no_udp[i]);
		while (!awake(s, i))
			world_run(s->w, SPAN_S(1));
	}
	policy(s, false);
}

static void judge(struct script *s)
{
	struct world *w = s->w;

	WORLD_CHECK(w, world_until(w, SPAN_S(60), world_meshed, s->n, 0),
		    "not all know each other a minute after everything works");
	world_run(w, SPAN_S(60));
	for (int i = 0; i < s->n; i++)
		for (int j = 0; j < s->n; j++) {
			int f;

			if (i == j || world_removed(w, i) || world_removed(w, j))
				continue;
			f = world_transfer(w, i, j, 20000);
			/* by now a first segment gets through, or its repetition */
			WORLD_CHECK(w, f >= 0 && world_until(w, SPAN_S(20), world_done, f, 0),
				    "%d cannot reach %d, two minutes after everything works", i, j);
		}
	for (int k = 0; k < s->n_flows; k++)
		WORLD_CHECK(w, world_until(w, SPAN_S(1200), world_ended, s->flows[k], 0),
			    "flow %d neither ends nor breaks", s->flows[k]);
}

static void one(uint64_t seed)
{
	struct script s = { .w = world_new(seed), .control = true, .relay = { true, true } };

	for (uint64_t n = 2 + world_choice(s.w, 3); n-- > 0;)
		add(&s);
	if (one_in(&s, 2))
		network(&s);
	WORLD_CHECK(s.w, world_until(s.w, SPAN_S(30), world_meshed, s.n, 0),
		    "the nodes do not meet");
	live(&s);
	heal(&s);
	judge(&s);
	world_free(s.w);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

TEST(whatever_happens_everybody_talks_again_when_it_is_over)
{
	uint64_t first = number("SEED", number("SEED_FIRST", 1));
	uint64_t count = getenv("SEED") ? 1 : number("SEED_COUNT", 25);

	for (uint64_t seed = first; seed < first + count; seed++)
		one(seed);
}

__attribute__((constructor)) static void limit(void)
{
	harness_timeout(200);
}
