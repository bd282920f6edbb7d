/* coordinator/sshcheck_test.c - ssh checks: who may ask, how long an approval holds, what is
 * bounded. The answers on the wire: e2e/t-47-ssh-check.sh, with stock clients. */
#include "coordinator/tailnet_priv.h"
#include <ctype.h>

#include "tests/tailnet_world.h"

static struct fleet fleet; /* large */
static struct party *a, *b;
static const char rules[] =
    "{\"ssh\":[{\"action\":\"check\",\"src\":[\"alice@\"],\"dst\":[\"autogroup:self\"],\"users\":["
    "\"root\"],\"checkPeriod\":\"1h\"}]}";

static void begin(uint64_t seed, const char *policy)
{
	char key[AUTHKEY_TEXT_MAX];
	struct err e = { 0 };

	fleet_init(&fleet, seed);
	fleet_user(&fleet);
	fleet_key(&fleet, KEY_REUSABLE, key);
	a = fleet_join(&fleet, "a", key);
	b = fleet_join(&fleet, "b", key);
	tailnet_set_policy(fleet.t, fleet.now, policy_parse(bytes_str(policy), &e));
	fleet_pass(&fleet, SPAN_MS(100));
}

static struct session_id session_of(const struct party *p)
{
	for (size_t i = 0; i < CONTROL_CONNS; i++)
		if (p->wire[i].is_upgraded)
			return p->wire[i].session;
	ck_abort_msg("no connection");
}

static bool ask(const struct party *p, const char *target)
{
	return sshcheck_request(fleet.t, fleet.now, session_of(p), 99, target);
}

static void first(void)
{
	ck_assert(ask(b, "/machine/ssh/action/1/to/2?local_user=root"));
}

static int decide(bool accept)
{
	struct err e = { 0 };
	char id[TAILNET_LOGIN_ID + 1];

	ck_assert_uint_ge(fleet.t->n_checks, 1);
	snprintf(id, sizeof id, "%s", fleet.t->checks[0].id);
	return tailnet_ssh_decide(fleet.t, fleet.now, id, accept, &e);
}

TEST(only_the_node_that_is_logged_in_to_may_ask)
{
	begin(1, rules);
	ck_assert(ask(a, "/machine/ssh/action/1/to/2"));
	ck_assert(ask(b, "/machine/ssh/action/1/to/77"));
	ck_assert(ask(b, "/machine/ssh/action/77/to/2"));
	ck_assert_uint_eq(fleet.t->n_checks, 0);
	first();
	ck_assert_uint_eq(fleet.t->n_checks, 1);
	fleet_fini(&fleet);
}

TEST(no_check_is_made_where_no_rule_wants_one)
{
	begin(2,
	      "{\"ssh\":[{\"action\":\"accept\",\"src\":[\"alice@\"],\"dst\":[\"autogroup:self\"],"
	      "\"users\":[\"root\"]}]}");
	first();
	ck_assert_uint_eq(fleet.t->n_checks, 0);
	fleet_fini(&fleet);
}

TEST(an_approval_holds_for_the_check_period_and_a_rejection_for_nothing)
{
	unsigned audits;

	begin(3, rules);
	first();
	audits = fleet.audits;
	ck_assert_int_eq(decide(false), 0);
	fleet_settle(&fleet);
	ck_assert_uint_gt(fleet.audits, audits);
	first();
	ck_assert_uint_eq(fleet.t->n_checks, 2); /* asked again */
	fleet.t->n_checks = 0;
	first();
	ck_assert_int_eq(decide(true), 0);
	ck_assert_int_eq(decide(true), -ENOENT); /* once */
	fleet.t->n_checks = 0;
	fleet_pass(&fleet, SPAN_S(3500));
	first();
	ck_assert_uint_eq(fleet.t->n_checks, 0);
	ck_assert(ask(a, "/machine/ssh/action/2/to/1")); /* the other way is another pair */
	ck_assert_uint_eq(fleet.t->n_checks, 1);
	fleet.t->n_checks = 0;
	fleet_pass(&fleet, SPAN_S(200));
	first();
	ck_assert_uint_eq(fleet.t->n_checks, 1);
	fleet_fini(&fleet);
}

TEST(checks_are_bounded_and_end_after_15_minutes)
{
	char id[TAILNET_LOGIN_ID + 1];
	struct err e = { 0 };

	begin(4, rules);
	for (int i = 0; i < TAILNET_SSH_CHECKS_PER_NODE + 10; i++) {
		first();
		fleet_pass(&fleet, SPAN_MS(10));
	}
	ck_assert_uint_eq(fleet.t->n_checks, TAILNET_SSH_CHECKS_PER_NODE);
	ck_assert(
	    ask(a, "/machine/ssh/action/2/to/1")); /* another's are not in the way, and stay */
	for (int i = 0; i < TAILNET_SSH_CHECKS_MAX; i++)
		first();
	ck_assert_uint_eq(fleet.t->n_checks, TAILNET_SSH_CHECKS_PER_NODE + 1);
	for (size_t i = 0; i < fleet.t->n_checks; i++) /* none is an option of a command line */
		ck_assert_msg(isalpha((unsigned char)fleet.t->checks[i].id[0]), "%s",
			      fleet.t->checks[i].id);
	snprintf(id, sizeof id, "%s", fleet.t->checks[0].id);
	fleet_pass(&fleet, SPAN_S(TAILNET_LOGIN_S + 1));
	ck_assert_int_eq(tailnet_ssh_decide(fleet.t, fleet.now, id, true, &e), -ENOENT);
	first();
	ck_assert_uint_eq(fleet.t->n_checks, 1);
	fleet_fini(&fleet);
}

TEST(who_waits_for_a_decision_that_does_not_come_is_answered)
{
	char target[200];

	begin(6, rules);
	first();
	snprintf(target, sizeof target, "/machine/ssh/action/1/to/2?auth_id=%s",
		 fleet.t->checks[0].id);
	ck_assert(ask(b, target));
	ck_assert_int_eq(fleet.t->checks[0].waiter_h2, 99);
	fleet_pass(&fleet, SPAN_S(TAILNET_LOGIN_S - 1));
	ck_assert_uint_eq(fleet.t->n_checks, 1);
	fleet_pass(&fleet, SPAN_S(TAILNET_SCAN_S + 2));
	ck_assert_uint_eq(fleet.t->n_checks, 0); /* by the clock alone: nobody asked again */
	fleet_fini(&fleet);
}

TEST(other_addresses_are_not_of_ssh_checks)
{
	static const char whole[] = "/machine/ssh/action/1/to/2";
	char cut[sizeof whole];

	begin(5, rules);
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		snprintf(cut, sizeof cut, "%.*s", (int)n, whole);
		ck_assert(!ask(b, cut));
	}
	ck_assert(!ask(b, "/machine/ssh/action/1/to/2x"));
	ck_assert(!ask(b, "/machine/ssh/action/-1/to/2"));
	ck_assert(!ask(b, "/machine/ssh/action/1/to/99999999999999999999"));
	ck_assert(ask(b, "/machine/ssh/action/1/to/2?"));
	ck_assert(ask(b, "/machine/ssh/action/1/to/2?auth_id="));
	ck_assert(ask(b, "/machine/ssh/action/1/to/2?&&auth_id=x&auth_id"));
	fleet_fini(&fleet);
}
