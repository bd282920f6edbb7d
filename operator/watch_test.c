/* operator/watch_test.c - what is seen of parents, in whatever order it comes */
#include "operator/operator.h"
#include "tests/harness.h"

static struct seed_rng rng;
static struct operator op = { .settings = { .class_name = "tailscale" } };

static void begin(void)
{
	seed_rng_init(&rng, 1);
	op.parents = kube_table_new(&rng.rng);
	op.proxies = kube_table_new(&rng.rng);
	op.classes = kube_table_new(&rng.rng);
	for (int i = 0; i < SOURCES; i++)
		op.source[i] = (struct source){ .op = &op,
						.what = i < KIND_N ? SOURCE_PARENT : SOURCE_CHILD,
						.index = i < KIND_N ? i : i - KIND_N };
}

static const char *connector(const char *uid, const char *rv, const char *more)
{
	static char text[512];

	(void)snprintf(
	    text, sizeof text,
	    "{\"metadata\":{\"name\":\"cn\",\"uid\":\"%s\",\"resourceVersion\":\"%s\"%s},"
	    "\"spec\":{}}",
	    uid, rv, more);
	return text;
}

/* an answer to a write of ours */
static void see(const char *uid, const char *rv, const char *more)
{
	operator_see_parent(&op, KIND_CONNECTOR, bytes_str(connector(uid, rv, more)));
}

static void watched(enum kube_watch_ev ev, const char *uid, const char *rv)
{
	operator_source_event(&op.source[KIND_CONNECTOR], ev, bytes_str(connector(uid, rv, "")));
}

/* a ConfigMap of a proxy; answer: to an apply of ours */
static void config(bool is_answer, enum kube_watch_ev ev, const char *rv, const char *hash)
{
	char text[512];

	(void)snprintf(
	    text, sizeof text,
	    "{\"metadata\":{\"name\":\"ts-cn-abc-serve\",\"namespace\":\"tailpod\","
	    "\"resourceVersion\":\"%s\",\"labels\":{\"tailpod/parent-uid\":\"u-1\"},"
	    "\"annotations\":{\"tailpod/parent\":\"connector//cn\",\"tailpod/hash\":\"%s\"}}}",
	    rv, hash);
	if (is_answer)
		operator_see_child(&op, CHILD_CONFIG, bytes_str(text), true);
	else
		operator_source_event(&op.source[KIND_N + CHILD_CONFIG], ev, bytes_str(text));
}

static const struct parent *seen(void)
{
	const struct record *r = kube_table_get(op.parents, "connector//cn");

	return r ? &r->p : NULL;
}

TEST(an_older_version_of_a_parent_does_not_hide_that_it_is_being_deleted)
{
	begin();
	see("u-1", "10", "");
	see("u-1", "330", ",\"deletionTimestamp\":\"2026-11-22T08:15:32Z\"");
	see("u-1", "99", ""); /* the answer to a write before, as a number smaller */
	ck_assert(seen() && seen()->is_deleting);
	see("u-2", "12", ""); /* another object of that name */
	ck_assert(seen() && !seen()->is_deleting);
	see("u-2", "13", ",\"generation\":7");
	ck_assert_int_eq(seen()->generation, 7);
	operator_unwatch(&op);
}

TEST(an_answer_that_comes_after_the_watch_has_told_of_the_end_brings_nothing_back)
{
	begin();
	watched(KUBE_WATCH_PUT, "u-1", "10");
	watched(KUBE_WATCH_DEL, "u-1", "20");
	see("u-1", "15", "");
	ck_assert_ptr_null(seen());
	watched(KUBE_WATCH_PUT, "u-2", "30"); /* another one of that name */
	see("u-1", "25", "");
	ck_assert(seen() && strcmp(seen()->uid, "u-2") == 0);
	see("u-2", "31", ",\"generation\":2"); /* faster than the watch */
	ck_assert_int_eq(seen()->generation, 2);

	config(false, KUBE_WATCH_PUT, "40", "h");
	config(false, KUBE_WATCH_DEL, "42", "h");
	config(true, KUBE_WATCH_PUT, "41", "h");
	ck_assert_ptr_null(operator_proxy(&op, "ts-cn-abc"));
	operator_unwatch(&op);
}

TEST(what_somebody_changes_right_after_an_apply_of_ours_is_not_taken_for_ours)
{
	const struct child_seen *c;

	begin();
	config(false, KUBE_WATCH_PUT, "10", "h");
	config(false, KUBE_WATCH_PUT, "12", "h");
	config(true, KUBE_WATCH_PUT, "11", "h"); /* was slower than both */
	c = &operator_proxy(&op, "ts-cn-abc")->child[CHILD_CONFIG];
	ck_assert_uint_eq(c->state, 12);
	ck_assert_uint_eq(c->applied, 11);
	config(true, KUBE_WATCH_PUT, "13", "h");
	ck_assert_uint_eq(c->state, 13);
	ck_assert_uint_eq(c->applied, 13);
	operator_unwatch(&op);
}

TEST(what_was_too_much_to_be_taken_in_is_not_taken_for_gone)
{
	static const struct kube_queue_conf conf = { SPAN_MS(200), SPAN_S(120), &rng.rng };
	struct source *s = &op.source[KIND_CONNECTOR];

	begin();
	op.loop = loop_new();
	loop_timer_init(op.loop, &op.work_timer, NULL, &op);
	loop_timer_init(op.loop, &op.lease_timer, NULL, &op);
	op.synced = true; /* of the others nothing is asked here */
	op.queue = kube_queue_new(&conf);
	op.leading = true;
	op.lease.held_until = MONO_NEVER;
	operator_source_event(s, KUBE_WATCH_BEGIN, bytes_str(""));
	watched(KUBE_WATCH_PUT, "", "10"); /* makes no sense */
	operator_source_event(s, KUBE_WATCH_SYNCED, bytes_str(""));
	ck_assert(s->synced && !operator_source_is_whole(s));
	config(false, KUBE_WATCH_PUT, "11", "h");
	ck_assert(operator_proxy(&op, "ts-cn-abc"));
	operator_work(&op); /* it has no API server to delete anything at */
	ck_assert_uint_eq(op.workers, 0);
	ck_assert_uint_eq(op.stats.steps[STEP_DELETE], 0);

	operator_source_event(s, KUBE_WATCH_BEGIN, bytes_str(""));
	operator_source_event(s, KUBE_WATCH_SYNCED, bytes_str(""));
	ck_assert(operator_source_is_whole(s));
	operator_unwatch(&op);
	kube_queue_free(op.queue);
	loop_timer_fini(&op.work_timer);
	loop_timer_fini(&op.lease_timer);
	loop_free(op.loop);
}
