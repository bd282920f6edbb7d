/* netstack/rtt_test.c - RFC 6298, and the lowest round trip of late */
#include "netstack/rtt.h"

#include "tests/harness.h"

static mono_t at(int64_t ms)
{
	return (mono_t){ NS_PER_S + ms * 1000000 };
}

static void check_ms(span_t got, double want)
{
	ck_assert_double_eq_tol((double)got.ns / 1e6, want, 0.001);
}

TEST(rtt_starts_with_a_time_out_of_a_second) /* 2.1 */
{
	struct rtt r;

	rtt_init(&r);
	ck_assert(!rtt_known(&r));
	check_ms(rtt_rto(&r), 1000);
}

TEST(rtt_of_the_first_sample_is_the_sample_and_half_of_it_the_variation) /* 2.2 */
{
	struct rtt r;

	rtt_init(&r);
	rtt_sample(&r, at(0), SPAN_MS(400));
	check_ms(r.srtt, 400);
	check_ms(r.rttvar, 200);
	check_ms(rtt_rto(&r), 400 + 4 * 200);
}

TEST(rtt_of_further_samples_is_smoothed_by_an_eighth_and_a_quarter) /* 2.3 */
{
	struct rtt r;

	rtt_init(&r);
	rtt_sample(&r, at(0), SPAN_MS(400));
	rtt_sample(&r, at(100), SPAN_MS(480));
	check_ms(r.rttvar, 0.75 * 200 + 0.25 * 80); /* with the old SRTT */
	check_ms(r.srtt, 0.875 * 400 + 0.125 * 480);
	check_ms(rtt_rto(&r), 410 + 4 * 170);
	rtt_sample(&r, at(200), SPAN_MS(320));
	check_ms(r.rttvar, 0.75 * 170 + 0.25 * 90);
	check_ms(r.srtt, 0.875 * 410 + 0.125 * 320);
}

TEST(rtt_time_out_stays_between_its_limits) /* 2.4, 2.5 */
{
	struct rtt r;

	rtt_init(&r);
	for (int i = 0; i < 100; i++)
		rtt_sample(&r, at(i), SPAN_US(50));
	check_ms(rtt_rto(&r), (double)RTO_MIN.ns / 1e6);
	rtt_init(&r);
	rtt_sample(&r, at(0), SPAN_S(100));
	check_ms(rtt_rto(&r), (double)RTO_MAX.ns / 1e6);
	rtt_init(&r);
	rtt_sample(&r, at(0), SPAN_NS(-5)); /* a clock that jumped */
	ck_assert(rtt_known(&r) && r.srtt.ns > 0);
}

TEST(rtt_time_out_doubles_up_to_a_minute_and_a_sample_ends_that) /* 5.5, 5.7 */
{
	struct rtt r;
	double want = 300;

	rtt_init(&r);
	rtt_sample(&r, at(0), SPAN_MS(100));
	for (int i = 0; i < 255; i++) {
		check_ms(rtt_rto(&r), want);
		r.backoff++;
		want = want * 2 < 60000 ? want * 2 : 60000;
	}
	rtt_sample(&r, at(1), SPAN_MS(100));
	ck_assert_uint_eq(r.backoff, 0);
	check_ms(rtt_rto(&r), 100 + 4 * 37.5);
}

TEST(rtt_minimum_is_of_the_last_minute_or_two)
{
	struct rtt r;

	rtt_init(&r);
	rtt_sample(&r, at(0), SPAN_MS(10));
	rtt_sample(&r, at(1000), SPAN_MS(30));
	check_ms(r.min, 10);
	for (int64_t s = 2; s < 60; s++)
		rtt_sample(&r, at(1000 * s), SPAN_MS(30));
	check_ms(r.min, 10);
	for (int64_t s = 60; s < 180; s++) /* the path got longer: believed after two windows */
		rtt_sample(&r, at(1000 * s), SPAN_MS(30));
	check_ms(r.min, 30);
	rtt_sample(&r, at(181000), SPAN_MS(5)); /* shorter: at once */
	check_ms(r.min, 5);
}
