/* netstack/pool_test.c - the budget, what waits and for how long, what is expected */
#include "netstack/pool.h"

#include "tests/harness.h"

static mono_t at(int64_t ms)
{
	return mono_add((mono_t){ 1 }, SPAN_MS(ms));
}

/* Ticks as a loop does: when it is wanted, and now and then when it is not. */
static void pass(struct pool *p, int64_t from_ms, int64_t to_ms)
{
	for (int64_t ms = from_ms; ms <= to_ms; ms += 50)
		pool_tick(p, at(ms));
}

TEST(blocks_in_use_never_exceed_the_budget_and_waiting_ones_make_room_for_other_sizes)
{
	struct pool p;
	void *big[4], *small;

	pool_init(&p, 4 * 16384);
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(big[i] = pool_get(&p, POOL_16K));
	ck_assert_ptr_null(pool_get(&p, POOL_1K));
	ck_assert_uint_eq(pool_pressure(&p), 15);
	pool_put(&p, POOL_16K, big[3]);
	ck_assert_uint_eq(p.waiting_bytes, 16384);
	ck_assert_ptr_nonnull(small = pool_get(&p, POOL_1K)); /* the waiting one went for it */
	ck_assert_uint_le(p.used + p.waiting_bytes, p.limit);
	ck_assert_uint_eq(p.freed, 16384);
	ck_assert_ptr_null(pool_get(&p, POOL_16K));
	pool_put(&p, POOL_1K, small);
	for (int i = 0; i < 3; i++)
		pool_put(&p, POOL_16K, big[i]);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
	ck_assert_uint_eq(p.waiting_bytes, 0);
}

TEST(a_block_given_back_is_the_next_one_of_its_size)
{
	struct pool p;
	void *a, *b, *small;

	pool_init(&p, 1 << 20);
	a = pool_get(&p, POOL_4K);
	b = pool_get(&p, POOL_4K);
	pool_put(&p, POOL_4K, a);
	small = pool_get(&p, POOL_1K);
	ck_assert_ptr_ne(small, a);
	ck_assert_ptr_eq(pool_get(&p, POOL_4K), a);
	ck_assert_uint_eq(p.n_malloc, 3);
	pool_put(&p, POOL_4K, a);
	pool_put(&p, POOL_4K, b);
	pool_put(&p, POOL_1K, small);
	pool_fini(&p);
}

TEST(what_waits_is_gone_two_ticks_after_the_last_use_and_then_no_tick_is_wanted)
{
	struct pool p;
	void *v[8];

	pool_init(&p, 1 << 20);
	ck_assert(mono_is_never(pool_deadline(&p)));
	for (int i = 0; i < 8; i++)
		v[i] = pool_get(&p, POOL_16K);
	for (int i = 0; i < 8; i++)
		pool_put(&p, POOL_16K, v[i]);
	pool_tick(&p, at(0));
	ck_assert(!mono_is_never(pool_deadline(&p)));
	pass(&p, 50, 950);
	ck_assert_uint_eq(p.waiting_bytes, 8 * 16384); /* not before a whole POOL_IDLE */
	pass(&p, 1000, 2100);
	ck_assert_uint_eq(p.waiting_bytes, 0);
	ck_assert(mono_is_never(pool_deadline(&p)));
	pool_fini(&p);
}

TEST(a_running_transfer_keeps_what_it_used_at_the_most_and_less_by_a_quarter_a_second)
{
	struct pool p;
	void *v[64], *one;
	size_t before;

	pool_init(&p, 4 << 20);
	for (int i = 0; i < 64; i++)
		v[i] = pool_get(&p, POOL_16K);
	for (int i = 0; i < 64; i++)
		pool_put(&p, POOL_16K, v[i]);
	pool_tick(&p, at(0));
	for (int s = 0; s < 3; s++) {
		before = p.peak;
		one = pool_get(&p, POOL_16K); /* something moves */
		pool_put(&p, POOL_16K, one);
		pass(&p, 1000 * s + 50, 1000 * s + 1000);
		ck_assert_uint_le(p.waiting_bytes, before);
		ck_assert_uint_ge(p.waiting_bytes, before - 16384);
		ck_assert_uint_eq(p.peak, before - before / 4);
	}
	ck_assert_uint_eq(p.n_malloc, 64);
	pool_fini(&p);
}

TEST(expected_blocks_are_there_before_they_are_asked_for_and_at_most_half_of_the_budget)
{
	struct pool p;
	void *v[16];
	uint64_t n;

	pool_init(&p, 64 * 16384);
	pool_expect(&p, 100000); /* seven blocks, and a few small ones */
	ck_assert_uint_ge(p.waiting_bytes, 7 * 16384);
	ck_assert_uint_le(p.waiting_bytes, 7 * 16384 + 2 * (1024 + 4096));
	n = p.n_malloc;
	pool_expect(&p, 100000);
	ck_assert_uint_eq(p.n_malloc, n); /* said again, nothing new */
	for (int i = 0; i < 7; i++)
		ck_assert_ptr_nonnull(v[i] = pool_get(&p, POOL_16K));
	ck_assert_uint_eq(p.n_malloc, n);
	for (int i = 0; i < 7; i++)
		pool_put(&p, POOL_16K, v[i]);
	pool_fini(&p);
	pool_init(&p, 64 * 16384);
	pool_expect(&p, SIZE_MAX / 2);
	ck_assert_uint_ge(p.waiting_bytes, 32 * 16384);
	ck_assert_uint_le(p.waiting_bytes, 32 * 16384 + 2 * (1024 + 4096));
	pool_fini(&p);
}

TEST(what_is_expected_stays_while_it_is_said_each_second_and_goes_when_it_is_not)
{
	struct pool p;
	int64_t ms = 0;

	pool_init(&p, 8 << 20);
	pool_tick(&p, at(0));
	for (int s = 0; s < 10; s++, ms += 1000) {
		void *b = pool_get(&p, POOL_1K);

		pool_put(&p, POOL_1K, b);
		pool_expect(&p, 1 << 20);
		pass(&p, ms, ms + 950);
		/* the list is cut by whole blocks */
		ck_assert_uint_gt(p.waiting_bytes, (1 << 20) - 16384);
	}
	pass(&p, ms, ms + 3000);
	ck_assert_uint_eq(p.waiting_bytes, 0);
	ck_assert(mono_is_never(pool_deadline(&p)));
	pool_fini(&p);
}
