/* tests/sim/long_test.c - months: what a pair of nodes, its control and its relays are after a long
 * time of use, silence, restarts, outages, moves, clocks that are set, and keys that expire
 *
 * Every ten days are alike, so what the machines hold and send after the last ones is what they did
 * after the first: anything that grows is seen. A free chunk in a cache of malloc counts as held,
 * which is some hundred bytes a day until all caches are full; and HPACK's tables keep the node
 * keys that were sent, up to their 4 KB. SIM_DAYS=90 for three months.
 */
#include <stdlib.h>

#include "tests/harness.h"
#include "tests/sim/world.h"

enum {
	DAY_S = 86400,
	DAYS = 30,
	EARLY = 10,
	SLACK = 16 << 10,
	SLACK_A_DAY = 512,
	SENT_MAX = 15000, /* datagrams in ten days: some 1000 a day of use, and none in silence */
};

static const struct world_host hosts[2] = {
	{ .mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_FILTER_PORT },
	{ .mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_FILTER_ADDRESS },
};

static void mishap(struct world *w, int day)
{
	int i = day / 10 % 2;

	switch (day % 10) {
	case 0:
		world_expire(w, i);
		break;
	case 1:
		world_restart(w, i, day % 4 < 2);
		break;
	case 2:
		world_relay(w, i, false);
		world_run(w, SPAN_S(600));
		world_relay(w, i, true);
		break;
	case 3:
		world_resume(w, i);
		break;
	case 4:
		world_control_restart(w);
		break;
	case 5:
		world_move(w, i);
		break;
	case 6:
		world_wall_jump(w, SPAN_S(i ? -5 : 5));
		break;
	case 7:
		world_control(w, false);
		world_run(w, SPAN_S(3600));
		world_control(w, true);
		break;
	case 8:
		world_rebind(w, i);
		break;
	default: /* a quiet day */
		break;
	}
}

static void use(struct world *w, int day, int i)
{
	uint64_t before = world_datagrams_seen(w, i, 1 - i);
	int f = world_transfer(w, i, 1 - i, 20000);

	WORLD_CHECK(w, f >= 0 && world_until(w, SPAN_S(60), world_done, f, 0),
		    "day %d: no transfer from %d", day, i);
	for (int k = 0; k < 20; k++) { /* over several rekeys */
		world_run(w, SPAN_S(20));
		world_datagram(w, i, 1 - i);
	}
	world_run(w, SPAN_S(5));
	WORLD_CHECK(w, world_datagrams_seen(w, i, 1 - i) == before + 20, "day %d: %d of 20 arrived",
		    day, (int)(world_datagrams_seen(w, i, 1 - i) - before));
	WORLD_CHECK(w, world_direct(w, i, 1 - i), "day %d: %d is not direct", day, i);
}

static void one_day(struct world *w, int day)
{
	mono_t evening = mono_add(world_now(w), SPAN_S(DAY_S));

	mishap(w, day);
	world_run(w, SPAN_S(300));
	WORLD_CHECK(w, world_until(w, SPAN_S(60), world_meshed, 2, 0), "day %d: not meshed", day);
	use(w, day, day % 2);
	world_run(w, mono_sub(evening, world_now(w)));
	WORLD_CHECK(w, world_flight(w) <= 2, "day %d: %zu datagrams under way", day,
		    world_flight(w));
}

static void check(struct world *w, int day, size_t *memory, size_t *rows, uint64_t *sent)
{
	uint64_t n = world_datagrams(w) - *sent;
	size_t held = world_memory(w);

	*sent += n;
	if (day == EARLY) {
		*memory = held;
		*rows = world_rows(w);
	}
	WORLD_CHECK(w, n <= SENT_MAX, "day %d: %llu datagrams in ten days", day,
		    (unsigned long long)n);
	WORLD_CHECK(w, held <= *memory + SLACK + (size_t)(day - EARLY) * SLACK_A_DAY,
		    "day %d: %zu bytes, %zu at first", day, held, *memory);
	WORLD_CHECK(w, world_rows(w) == *rows, "day %d: control has %zu rows, %zu at first", day,
		    world_rows(w), *rows);
	world_note(w, "day %d: %zu bytes, %llu datagrams in ten days", day, held,
		   (unsigned long long)n);
}

TEST(after_months_everything_is_as_it_was_after_ten_days)
{
	const char *text = getenv("SIM_DAYS");
	int days = text ? (int)strtol(text, NULL, 10) : DAYS;
	struct world *w = world_new(90);
	size_t memory = 0, rows = 0;
	uint64_t sent = 0;

	for (int i = 0; i < 2; i++)
		world_add(w, &hosts[i]);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 2, 0), "the nodes do not meet");
	for (int day = 1; day <= days; day++) {
		one_day(w, day);
		if (day % 10 == 0)
			check(w, day, &memory, &rows, &sent);
	}
	world_free(w);
}

__attribute__((constructor)) static void limit(void)
{
	harness_timeout(60);
}
