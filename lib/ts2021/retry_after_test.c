/* ts2021/retry_after_test.c */
#include "ts2021/retry_after.h"

#include "base/text.h"
#include "tests/harness.h"

static int64_t wait_ms(const char *text, const char *now)
{
	struct seed_rng r;
	wall_t t = WALL_ZERO;

	seed_rng_init(&r, 1);
	ck_assert(wall_parse(bytes_str(now), &t));
	return span_ms(retry_after(text, t, &r.rng));
}

TEST(seconds_and_dates_are_obeyed_up_to_an_hour)
{
	ck_assert_int_eq(wait_ms("7", "2026-11-22T00:00:00Z"), 7000);
	ck_assert_int_eq(wait_ms("3600", "2026-11-22T00:00:00Z"), 3600000);
	ck_assert_int_eq(wait_ms("Sun, 22 Nov 2026 00:01:30 GMT", "2026-11-22T00:00:00Z"), 90000);
}

TEST(anything_else_waits_five_to_ten_seconds)
{
	static const char *const odd[] = { "",
					   "0",
					   "-3",
					   "soon",
					   "3601",
					   "99999999999999999999",
					   "Sun, 22 Nov 2026 02:00:00 GMT",
					   "Sat, 21 Nov 2026 00:00:00 GMT",
					   "Sun, 22 Nvo 2026 00:01:30 GMT",
					   "Sunday, 22-Nov-26 00:01:30 GMT" };

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		int64_t ms = wait_ms(odd[i], "2026-11-22T00:00:00Z");

		ck_assert_msg(ms >= 5000 && ms < 10000, "%s gave %lld ms", odd[i], (long long)ms);
	}
}
