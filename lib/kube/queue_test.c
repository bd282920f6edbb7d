/* kube/queue_test.c - the work queue and the waits */
#include "kube/queue.h"

#include <stdlib.h>

#include "kube/backoff.h"
#include "tests/harness.h"

static struct seed_rng seed;

static struct kube_queue *fresh(void)
{
	const struct kube_queue_conf conf = { SPAN_MS(100), SPAN_S(10), &seed.rng };

	seed_rng_init(&seed, 7);
	return kube_queue_new(&conf);
}

static mono_t at_ms(int64_t ms)
{
	return (mono_t){ ms * 1000000 };
}

TEST(queue_gives_each_key_once_and_in_order)
{
	struct kube_queue *q = fresh();

	ck_assert(kube_queue_add(q, "a") && kube_queue_add(q, "b") && kube_queue_add(q, "a"));
	ck_assert_uint_eq(kube_queue_waiting(q), 2);
	ck_assert(kube_queue_add_at(q, "later", at_ms(9)));
	ck_assert_uint_eq(kube_queue_waiting(q), 3);
	ck_assert_uint_eq(kube_queue_due(q), 2);
	ck_assert_str_eq(kube_queue_take(q, at_ms(0)), "a");
	ck_assert_str_eq(kube_queue_take(q, at_ms(0)), "b");
	ck_assert_ptr_null(kube_queue_take(q, at_ms(0)));
	kube_queue_free(q);
}

TEST(queue_key_added_while_worked_on_comes_once_more_afterwards)
{
	struct kube_queue *q = fresh();

	ck_assert(kube_queue_add(q, "a"));
	ck_assert_str_eq(kube_queue_take(q, at_ms(0)), "a");
	ck_assert(kube_queue_add(q, "a") && kube_queue_add(q, "a"));
	ck_assert_ptr_null(kube_queue_take(q, at_ms(0)));
	kube_queue_done(q, "a", at_ms(1), false);
	ck_assert_str_eq(kube_queue_take(q, at_ms(1)), "a");
	kube_queue_done(q, "a", at_ms(1), false);
	ck_assert_ptr_null(kube_queue_take(q, at_ms(1)));
	kube_queue_free(q);
}

TEST(queue_waits_longer_after_each_failure_and_forgets_them_after_a_success)
{
	struct kube_queue *q = fresh();
	mono_t now = at_ms(0), last = at_ms(0);

	ck_assert(kube_queue_add(q, "a"));
	for (unsigned i = 0; i < 12; i++) {
		span_t wait;

		ck_assert_str_eq(kube_queue_take(q, now), "a");
		kube_queue_done(q, "a", now, true);
		ck_assert_ptr_null(kube_queue_take(q, now));
		ck_assert_uint_eq(kube_queue_failures(q, "a"), i + 1);
		wait = mono_sub(kube_queue_deadline(q, now), now);
		ck_assert_int_ge(span_ms(wait), (int64_t)MIN_OF(75 << i, 7500));
		ck_assert_int_le(span_ms(wait), 12500);
		last = now;
		now = kube_queue_deadline(q, now);
		ck_assert(mono_before(last, now));
	}
	ck_assert_str_eq(kube_queue_take(q, now), "a");
	kube_queue_done(q, "a", now, false);
	ck_assert_uint_eq(kube_queue_failures(q, "a"), 0);
	kube_queue_free(q);
}

TEST(queue_addition_ends_a_wait)
{
	struct kube_queue *q = fresh();

	ck_assert(kube_queue_add(q, "a"));
	(void)kube_queue_take(q, at_ms(0));
	kube_queue_done(q, "a", at_ms(0), true);
	ck_assert_ptr_null(kube_queue_take(q, at_ms(1)));
	ck_assert(kube_queue_add(q, "a"));
	ck_assert_str_eq(kube_queue_take(q, at_ms(1)), "a");
	kube_queue_free(q);
}

TEST(queue_delayed_keys_come_at_their_times_whatever_the_order_of_adding)
{
	struct kube_queue *q = fresh();
	char name[16];
	int64_t last = -1;

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "k%d", i);
		ck_assert(kube_queue_add_at(q, name, at_ms((i * 7919) % 1009)));
	}
	for (int n = 0; n < 1000; n++) {
		const mono_t due = kube_queue_deadline(q, at_ms(last < 0 ? 0 : last));
		const char *key = kube_queue_take(q, due);
		const int64_t want = key ? ((int64_t)strtol(key + 1, NULL, 10) * 7919) % 1009 : -1;

		ck_assert_ptr_nonnull(key);
		ck_assert_int_eq(due.ns, at_ms(want).ns);
		ck_assert_int_ge(want, last);
		last = want;
		kube_queue_done(q, key, due, false);
	}
	ck_assert_uint_eq(kube_queue_waiting(q), 0);
	kube_queue_free(q);
}

TEST(backoff_stays_within_its_limits_and_never_overflows)
{
	seed_rng_init(&seed, 1);
	for (unsigned n = 0; n < 200; n++) {
		const span_t s = kube_backoff(n, SPAN_S(1), SPAN_S(60), &seed.rng);

		ck_assert_int_ge(s.ns, SPAN_MS(750).ns);
		ck_assert_int_le(s.ns, SPAN_S(75).ns);
	}
}
