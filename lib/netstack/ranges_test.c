/* netstack/ranges_test.c - stretches of sequence space against a map of single bytes */
#include "netstack/ranges.h"

#include <stdlib.h>

#include "netstack/seq.h"
#include "tests/harness.h"

static struct pool pool;
static struct ranges r;

static void begin(size_t limit)
{
	pool_init(&pool, limit);
	r = (struct ranges){ 0 };
}

static void end(void)
{
	ranges_clear(&r, &pool);
	ck_assert_uint_eq(pool.used, 0);
	pool_fini(&pool);
}

static bool add(uint32_t from, uint32_t to, struct tcp_sack *was, bool *dup)
{
	return ranges_add(&r, &pool, from, to, was, dup);
}

static void expect(uint32_t from, uint32_t to, uint32_t was_from, uint32_t was_to, bool is_dup)
{
	struct tcp_sack was;
	bool dup;

	ck_assert(add(from, to, &was, &dup));
	ck_assert_uint_eq(was.start, was_from);
	ck_assert_uint_eq(was.end, was_to);
	ck_assert_int_eq(dup, is_dup);
}

TEST(stretches_that_meet_or_overlap_become_one_across_the_wrap_of_sequence_space)
{
	const uint32_t o = UINT32_MAX - 24;

	begin(1 << 20);
	expect(o, o + 10, o, o + 10, false);
	expect(o + 20, o + 30, o + 20, o + 30, false); /* past 2^32 */
	expect(o + 40, o + 50, o + 40, o + 50, false);
	ck_assert_uint_eq(r.n, 3);
	expect(o + 22, o + 30, o + 20, o + 30, true);
	expect(o + 10, o + 20, o, o + 30, false); /* touches both, overlaps neither */
	ck_assert_uint_eq(r.n, 2);
	expect(o + 5, o + 60, o, o + 60, false); /* over the end of one and all of another */
	ck_assert_uint_eq(r.n, 1);
	expect(o, o + 60, o, o + 60, true);
	end();
}

TEST(what_was_touched_last_is_reported_first_and_a_repeat_counts_as_touched)
{
	struct tcp_sack v[4];

	begin(1 << 20);
	for (uint32_t i = 0; i < 5; i++)
		expect(100 * i, 100 * i + 10, 100 * i, 100 * i + 10, false);
	ck_assert_uint_eq(ranges_sack(&r, v, 3), 3);
	ck_assert(v[0].start == 400 && v[1].start == 300 && v[2].start == 200);
	expect(100, 110, 100, 110, true);
	ck_assert_uint_eq(ranges_sack(&r, v, 4), 4);
	ck_assert(v[0].start == 100 && v[1].start == 400 && v[2].start == 300 && v[3].start == 200);
	ck_assert_uint_eq(v[0].end, 110);
	ranges_drop(&r, &pool, 350);
	ck_assert_uint_eq(ranges_sack(&r, v, 4), 1);
	ck_assert_uint_eq(v[0].start, 400);
	end();
}

TEST(beyond_the_last_hole_a_segment_is_refused_unless_it_makes_none)
{
	struct tcp_sack was;
	bool dup;

	begin(1 << 20);
	for (uint32_t i = 0; i < RANGES_MAX; i++)
		ck_assert(add(20 * i, 20 * i + 10, &was, &dup));
	ck_assert_uint_eq(r.n, RANGES_MAX);
	ck_assert(!add(20 * RANGES_MAX, 20 * RANGES_MAX + 10, &was, &dup));
	ck_assert(add(10, 20, &was, &dup)); /* fills one */
	ck_assert_uint_eq(r.n, RANGES_MAX - 1);
	ck_assert(add(20 * RANGES_MAX, 20 * RANGES_MAX + 10, &was, &dup));
	ck_assert_uint_eq(pool.used, 4096);
	end();
}

TEST(memory_comes_with_the_first_stretch_goes_with_the_last_and_may_be_refused)
{
	struct tcp_sack was;
	bool dup;

	begin(4095);
	ck_assert(!add(0, 10, &was, &dup));
	ck_assert_uint_eq(r.n, 0);
	end();
	begin(4096);
	expect(0, 10, 0, 10, false);
	expect(20, 30, 20, 30, false);
	ranges_drop(&r, &pool, 25); /* into the second */
	ck_assert_uint_eq(r.n, 1);
	ck_assert_uint_eq(r.v[0].start, 25);
	ck_assert_uint_eq(pool.used, 4096);
	ranges_drop(&r, &pool, 30);
	ck_assert_ptr_null(r.v);
	ck_assert_uint_eq(pool.used, 0);
	end();
}

/* A byte a place, around the wrap; what ranges says must be what the map says. */
TEST(random_stretches_are_what_a_map_of_bytes_says)
{
	enum { SPACE = 400 };
	const uint32_t base = UINT32_MAX - SPACE / 2;
	struct seed_rng rng;

	seed_rng_init(&rng, 7);
	for (int round = 0; round < 300; round++) {
		bool there[SPACE] = { false };

		begin(1 << 20);
		for (int step = 0; step < 60; step++) {
			uint32_t from = (uint32_t)rng_below(&rng.rng, SPACE - 1);
			uint32_t to =
			    from + 1 + (uint32_t)rng_below(&rng.rng, MIN_OF(SPACE - from, 40u));
			uint32_t lo = from, hi = to = MIN_OF(to, (uint32_t)SPACE), held = 0;

			if (rng_below(&rng.rng, 10) == 0) {
				ranges_drop(&r, &pool, base + from);
				memset(there, 0, from);
			} else {
				for (uint32_t i = from; i < to; i++) {
					held += there[i];
					there[i] = true;
				}
				while (lo > 0 && there[lo - 1])
					lo--;
				while (hi < SPACE && there[hi])
					hi++;
				expect(base + from, base + to, base + lo, base + hi,
				       held == to - from);
			}
			for (uint32_t i = 0, k = 0; i < SPACE; k++) {
				while (i < SPACE && !there[i])
					i++;
				if (i == SPACE) {
					ck_assert_uint_eq(r.n, k);
					break;
				}
				ck_assert_uint_lt(k, r.n);
				ck_assert_uint_eq(r.v[k].start, base + i);
				while (i < SPACE && there[i])
					i++;
				ck_assert_uint_eq(r.v[k].end, base + i);
				if (i == SPACE)
					ck_assert_uint_eq(r.n, k + 1);
			}
		}
		end();
	}
}
