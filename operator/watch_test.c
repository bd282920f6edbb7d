/* operator/watch_test.c - what is seen of parents, in whatever order it comes */
#include "operator/operator.h"
#include "tests/harness.h"

static struct seed_rng rng;
static struct operator op = { .settings = { .class_name = "tailscale" } };

static void see(const char *uid, const char *rv, const char *more)
{
	char text[512];

	(void)snprintf(
	    text, sizeof text,
	    "{\"metadata\":{\"name\":\"cn\",\"uid\":\"%s\",\"resourceVersion\":\"%s\"%s},"
	    "\"spec\":{}}",
	    uid, rv, more);
	operator_see_parent(&op, KIND_CONNECTOR, bytes_str(text));
}

static const struct parent *seen(void)
{
	const struct record *r = kube_table_get(op.parents, "connector//cn");

	return r ? &r->p : NULL;
}

TEST(an_older_version_of_a_parent_does_not_hide_that_it_is_being_deleted)
{
	seed_rng_init(&rng, 1);
	op.parents = kube_table_new(&rng.rng);
	op.proxies = kube_table_new(&rng.rng);
	op.classes = kube_table_new(&rng.rng);
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
