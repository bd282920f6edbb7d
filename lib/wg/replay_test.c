/* replay_test.c - the window against a slow model, and at its edges */
#include "wg/replay.h"

#include <stdlib.h>

#include "tests/harness.h"

TEST(replay_rejects_a_counter_seen_before_and_one_behind_the_window)
{
	struct replay r = { 0 };

	ck_assert(wg_replay_accept(&r, 0));
	ck_assert(!wg_replay_accept(&r, 0));
	ck_assert(wg_replay_accept(&r, REPLAY_WINDOW));
	ck_assert(!wg_replay_accept(&r, 0)); /* exactly the window behind */
	ck_assert(wg_replay_accept(&r, 1));  /* the oldest inside */
	ck_assert(!wg_replay_accept(&r, 1));
	ck_assert(wg_replay_accept(&r, UINT64_MAX - 1));
	ck_assert(!wg_replay_accept(&r, UINT64_MAX - 1));
	ck_assert(wg_replay_accept(&r, UINT64_MAX - 1 - (REPLAY_WINDOW - 1)));
	ck_assert(!wg_replay_accept(&r, UINT64_MAX - 1 - REPLAY_WINDOW));
}

TEST(replay_agrees_with_a_list_of_all_counters_seen)
{
	enum { SPAN = 400000, STEPS = 200000 };
	static bool seen[SPAN];
	struct seed_rng rng;

	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct replay r = { 0 };
		uint64_t top = 0; /* one above the highest */

		memset(seen, 0, sizeof seen);
		seed_rng_init(&rng, seed);
		for (int i = 0; i < STEPS; i++) {
			uint64_t kind = rng_below(&rng.rng, 1000), c;
			bool want;

			if (kind < 5)
				c = top + rng_below(&rng.rng, 2 * REPLAY_WINDOW); /* a jump */
			else if (kind < 500)
				c = top + rng_below(&rng.rng, 3);
			else
				c = top - rng_below(&rng.rng, (top < 9000 ? top : 9000) + 1);
			if (c >= SPAN)
				break;
			want = !seen[c] && (c >= top || top - 1 - c < REPLAY_WINDOW);
			ck_assert_msg(wg_replay_accept(&r, c) == want, "seed %d step %d counter %d",
				      (int)seed, i, (int)c);
			if (want)
				seen[c] = true;
			if (c >= top)
				top = c + 1;
		}
	}
}
