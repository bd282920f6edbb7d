/* netstack/timer_test.c - the heap of deadlines against a list that is searched */
#include "netstack/timer.h"

#include "tests/harness.h"

static mono_t at(int64_t ms)
{
	return mono_add((mono_t){ 1 }, SPAN_MS(ms));
}

TEST(timers_come_out_in_order_and_not_before_they_are_due)
{
	static const int ms[] = { 50, 10, 40, 10, 30, 20, 0 };
	struct timer t[ARRAY_LEN(ms)] = { 0 };
	struct timers h = { 0 };
	mono_t last = { 0 };

	ck_assert(mono_is_never(timers_deadline(&h)));
	ck_assert(timers_reserve(&h, ARRAY_LEN(ms)));
	for (size_t i = 0; i < ARRAY_LEN(ms); i++)
		timer_set(&h, &t[i], at(ms[i]));
	ck_assert_int_eq(timers_deadline(&h).ns, at(0).ns);
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		const mono_t due = timers_deadline(&h);
		struct timer *first;

		ck_assert_ptr_null(timers_due(&h, (mono_t){ due.ns - 1 }));
		first = timers_due(&h, due);
		ck_assert_ptr_nonnull(first);
		ck_assert(first->pos == 0 && !mono_before(first->at, last));
		last = first->at;
	}
	ck_assert(mono_is_never(timers_deadline(&h)));
	ck_assert_ptr_null(timers_due(&h, at(1000000)));
	timers_fini(&h);
}

TEST(a_timer_moves_forward_at_once_and_back_only_when_it_has_come_up)
{
	struct timers h = { 0 };
	struct timer t = { 0 };

	ck_assert(timers_reserve(&h, 1));
	timer_set(&h, &t, MONO_NEVER); /* not in the heap: stays out */
	ck_assert(t.pos == 0 && mono_is_never(timers_deadline(&h)));
	timer_set(&h, &t, at(100));
	timer_set(&h, &t, at(50));
	ck_assert_int_eq(timers_deadline(&h).ns, at(50).ns);
	timer_set(&h, &t, at(200));
	ck_assert_int_eq(timers_deadline(&h).ns, at(50).ns);
	timer_set(&h, &t, MONO_NEVER);
	ck_assert_int_eq(timers_deadline(&h).ns, at(50).ns);
	ck_assert_ptr_eq(timers_due(&h, at(60)), &t);
	timer_set(&h, &t, at(200));
	ck_assert_int_eq(timers_deadline(&h).ns, at(200).ns);
	timer_stop(&h, &t);
	timer_stop(&h, &t); /* twice is fine */
	ck_assert(mono_is_never(timers_deadline(&h)));
	timers_fini(&h);
}

TEST(room_that_is_reserved_is_kept_as_it_grows)
{
	struct timers h = { 0 };
	struct timer t[300] = { 0 };

	for (uint32_t i = 0; i < ARRAY_LEN(t); i++) {
		ck_assert(timers_reserve(&h, i + 1));
		timer_set(&h, &t[i], at(1000 - i));
		ck_assert_int_eq(timers_deadline(&h).ns, at(1000 - i).ns);
	}
	ck_assert_uint_eq(h.n, ARRAY_LEN(t));
	timers_fini(&h);
}

TEST(random_sets_and_stops_give_what_a_search_of_all_timers_gives)
{
	enum { N = 60 };
	struct timers h = { 0 };
	struct timer t[N] = { 0 };
	int64_t now = 0, when[N]; /* -1: not set */
	struct seed_rng rng;

	seed_rng_init(&rng, 3);
	memset(when, 0xff, sizeof when);
	ck_assert(timers_reserve(&h, N));
	for (int step = 0; step < 50000; step++) {
		const size_t i = (size_t)rng_below(&rng.rng, N);
		int64_t least = INT64_MAX;
		struct timer *due;

		switch (rng_below(&rng.rng, 4)) {
		case 0:
			timer_stop(&h, &t[i]);
			when[i] = -1;
			break;
		case 1:
		case 2: {
			const int64_t ms = now + (int64_t)rng_below(&rng.rng, 500);

			timer_set(&h, &t[i], at(ms));
			if (when[i] < 0 || ms < when[i])
				when[i] = ms;
			break;
		}
		default:
			now += (int64_t)rng_below(&rng.rng, 20);
			while ((due = timers_due(&h, at(now)))) {
				const size_t k = (size_t)(due - t);

				ck_assert(when[k] >= 0 && when[k] <= now);
				when[k] = -1;
			}
		}
		for (size_t k = 0; k < N; k++)
			if (when[k] >= 0 && when[k] < least)
				least = when[k];
		if (least == INT64_MAX)
			ck_assert(mono_is_never(timers_deadline(&h)));
		else
			ck_assert_int_eq(timers_deadline(&h).ns, at(least).ns);
	}
	timers_fini(&h);
}
