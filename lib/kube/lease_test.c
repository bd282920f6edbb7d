/* kube/lease_test.c - two candidates over one record, which a small API server keeps */
#include "kube/lease.h"

#include "tests/harness.h"

struct server {
	char text[2048];
	unsigned rv;
};

static mono_t at_s(int64_t s)
{
	return (mono_t){ s * NS_PER_S };
}

/* the record with its version put in, as the API server answers */
static unsigned serve(struct server *s, enum kube_lease_act act, struct bytes body, char *out,
		      size_t cap)
{
	char rv[32], *at;

	if (act == KUBE_LEASE_GET && s->rv == 0)
		return 404;
	if (act == KUBE_LEASE_CREATE && s->rv > 0)
		return 409;
	(void)snprintf(rv, sizeof rv, "\"resourceVersion\":\"%u\"", s->rv);
	if (act == KUBE_LEASE_UPDATE && !memmem(body.data, body.len, rv, strlen(rv)))
		return 409;
	if (act != KUBE_LEASE_GET) {
		s->rv++;
		(void)bytes_to_str(body, s->text, sizeof s->text);
		at = strstr(s->text, "\"spec\"");
		ck_assert_ptr_nonnull(at);
		(void)snprintf(out, cap,
			       "{\"metadata\":{\"name\":\"l\",\"resourceVersion\":\"%u\"},%s",
			       s->rv, at);
		memcpy(s->text, out, strlen(out) + 1);
	}
	(void)snprintf(out, cap, "%s", s->text);
	return 200;
}

static void tick(struct kube_lease *l, struct server *s, mono_t now)
{
	for (int i = 0; i < 4; i++) {
		struct buf body;
		char out[2048] = "";
		enum kube_lease_act act;
		unsigned status;

		buf_init(&body, 4096);
		act = kube_lease_next(l, now, (wall_t){ 1700000000 * NS_PER_S + 5000 }, &body);
		if (act != KUBE_LEASE_NONE) {
			status = serve(s, act, buf_bytes(&body), out, sizeof out);
			kube_lease_result(l, now, status, bytes_str(out));
		}
		buf_fini(&body);
	}
}

TEST(lease_has_at_most_one_leader_at_any_time_and_another_soon_after_it_is_gone)
{
	struct server s = { 0 };
	struct kube_lease a, b;
	int64_t took_over = 0;

	kube_lease_init(&a, "ns", "l", "a");
	kube_lease_init(&b, "ns", "l", "b");
	for (int64_t t = 0; t < 120; t++) {
		if (t < 40)
			tick(&a, &s, at_s(t));
		tick(&b, &s, at_s(t));
		ck_assert(!(kube_lease_is_mine(&a, at_s(t)) && kube_lease_is_mine(&b, at_s(t))));
		if (t < 40)
			ck_assert(kube_lease_is_mine(&a, at_s(t)));
		if (!took_over && kube_lease_is_mine(&b, at_s(t)))
			took_over = t;
	}
	ck_assert_int_ge(took_over, 50);
	ck_assert_int_le(took_over, 40 + KUBE_LEASE_S + 2 * KUBE_LEASE_RETRY_S);
}

TEST(lease_that_is_given_away_is_taken_at_once)
{
	struct server s = { 0 };
	struct kube_lease a, b;

	kube_lease_init(&a, "ns", "l", "a");
	kube_lease_init(&b, "ns", "l", "b");
	tick(&a, &s, at_s(0));
	tick(&b, &s, at_s(0));
	ck_assert(kube_lease_is_mine(&a, at_s(0)) && !kube_lease_is_mine(&b, at_s(0)));
	kube_lease_release(&a, at_s(1));
	tick(&a, &s, at_s(1));
	ck_assert(!kube_lease_is_mine(&a, at_s(1)));
	tick(&b, &s, at_s(2));
	ck_assert(kube_lease_is_mine(&b, at_s(2)));
}

TEST(lease_that_cannot_be_renewed_is_lost_before_another_may_take_it)
{
	struct server s = { 0 };
	struct kube_lease a;
	struct buf body;

	buf_init(&body, 4096);
	kube_lease_init(&a, "ns", "l", "a");
	tick(&a, &s, at_s(0));
	for (int64_t t = 2; t < 30; t += 2) {
		if (kube_lease_next(&a, at_s(t), WALL_ZERO, &body) != KUBE_LEASE_NONE)
			kube_lease_result(&a, at_s(t), 0, (struct bytes){ 0 });
		ck_assert_int_eq(kube_lease_is_mine(&a, at_s(t)), t < KUBE_LEASE_RENEW_S);
	}
	ck_assert_int_lt(KUBE_LEASE_RENEW_S, KUBE_LEASE_S);
	buf_fini(&body);
}

TEST(lease_answers_that_are_none_are_asked_for_again_only_after_a_while)
{
	struct kube_lease l;
	struct buf body;

	buf_init(&body, 4096);
	kube_lease_init(&l, "ns", "l", "a");
	ck_assert_int_eq(kube_lease_next(&l, at_s(1), (wall_t){ 0 }, &body), KUBE_LEASE_GET);
	kube_lease_result(&l, at_s(1), 200, bytes_str("<html>a proxy's page</html>"));
	ck_assert(!mono_due(kube_lease_deadline(&l), at_s(1)));
	ck_assert_int_eq(kube_lease_next(&l, at_s(1), (wall_t){ 0 }, &body), KUBE_LEASE_NONE);
	buf_fini(&body);
}

TEST(lease_times_have_six_digits_of_fraction)
{
	struct server s = { 0 };
	struct kube_lease a;

	kube_lease_init(&a, "ns", "l", "a");
	tick(&a, &s, at_s(0));
	ck_assert_ptr_nonnull(strstr(s.text, "\"renewTime\":\"2023-11-14T22:13:20.000005Z\""));
}
