/* ts2021/backoff_test.c */
#include "ts2021/backoff.h"

#include "tests/harness.h"

TEST(nth_failure_waits_n_squared_times_10_ms_up_to_30_s_times_a_half_to_one_and_a_half)
{
	struct seed_rng r;
	int64_t low = INT64_MAX, high = 0;

	seed_rng_init(&r, 1);
	for (int round = 0; round < 200; round++) {
		struct backoff b = { 0 };

		for (int64_t n = 1; n <= 80; n++) {
			int64_t base = n * n * 10 < 30000 ? n * n * 10 : 30000,
				us = backoff_fail(&b, &r.rng).ns / 1000;

			ck_assert_int_ge(us, base * 500);
			ck_assert_int_le(us, base * 1500);
			if (n == 80) {
				low = us < low ? us : low;
				high = us > high ? us : high;
			}
		}
		backoff_reset(&b);
		ck_assert_int_le(backoff_fail(&b, &r.rng).ns, 15 * 1000000);
	}
	ck_assert_int_lt(low, 17 * 1000000); /* it is spread */
	ck_assert_int_gt(high, 43 * 1000000);
}

TEST(hopeless_retries_never_wait_less_than_15_s)
{
	struct seed_rng r;
	struct backoff b = { 0 };

	seed_rng_init(&r, 2);
	for (int i = 0; i < 100; i++) {
		int64_t ns = backoff_fail_slow(&b, &r.rng).ns;

		ck_assert_int_ge(ns, 15 * NS_PER_S);
		ck_assert_int_le(ns, 45 * NS_PER_S);
	}
}
