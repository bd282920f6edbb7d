/* coordinator/audit_test.c - every change of what is stored leaves one line that names it */
#include "tests/tailnet_world.h"

static struct fleet fleet; /* large */
static unsigned before;

/* One line more than at the last look, with these words */
static void line(const char *words)
{
	fleet_settle(&fleet);
	ck_assert_msg(fleet.audits == before + 1, "%s: %u lines, the last '%s'", words,
		      fleet.audits - before, fleet.audit);
	ck_assert_msg(strstr(fleet.audit, words) != NULL, "'%s' lacks '%s'", fleet.audit, words);
	before = fleet.audits;
}

static void begin(uint64_t seed)
{
	fleet_init(&fleet, seed);
	before = 0;
	fleet_user(&fleet);
	line("user alice created");
}

TEST(each_change_by_an_administrator_leaves_one_audit_line)
{
	const char *tags[] = { "tag:x" };
	struct tailnet_authkey conf = { .reusable = true };
	char key[AUTHKEY_TEXT_MAX];
	struct ipprefix lan;
	struct err e = { 0 };
	struct party *p;
	int64_t user, id;

	begin(1);
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &lan));
	ck_assert_int_eq(tailnet_user_add(fleet.t, fleet.wall, "bob", "", &user, &e), 0);
	line("user bob created");
	ck_assert_int_eq(tailnet_user_rename(fleet.t, fleet.wall, user, "carol", &e), 0);
	line("user bob renamed to carol");
	ck_assert_int_eq(tailnet_user_del(fleet.t, fleet.wall, user, &e), 0);
	line("user carol deleted");
	conf.user = fleet.user;
	ck_assert_int_eq(tailnet_authkey_add(fleet.t, fleet.wall, &conf, key, &id, &e), 0);
	line("created, reusable");
	ck_assert_ptr_null(strstr(fleet.audit, key)); /* a prefix of it is enough */
	p = fleet_join(&fleet, "n", key);
	line("(n) registered");
	ck_assert_int_eq(tailnet_authkey_expire(fleet.t, fleet.wall, id, &e), 0);
	line("expired");
	ck_assert_int_eq(tailnet_authkey_del(fleet.t, fleet.wall, id, &e), 0);
	line("deleted");
	id = fleet_node(&fleet, p)->id;
	ck_assert_int_eq(tailnet_node_rename(fleet.t, fleet.now, fleet.wall, id, "other", &e), 0);
	line("renamed to other");
	ck_assert_int_eq(tailnet_node_set_tags(fleet.t, fleet.now, fleet.wall, id, tags, 1, &e), 0);
	line("tags set");
	ck_assert_int_eq(
	    tailnet_node_approve_routes(fleet.t, fleet.now, fleet.wall, id, &lan, 1, &e), 0);
	line("1 routes approved");
	ck_assert_int_eq(tailnet_node_approve(fleet.t, fleet.now, fleet.wall, id, &e), 0);
	line("approved");
	ck_assert_int_eq(tailnet_node_expire(fleet.t, fleet.now, fleet.wall, id, &e), 0);
	line("expired");
	ck_assert_int_eq(tailnet_node_del(fleet.t, fleet.now, fleet.wall, id, &e), 0);
	line("deleted");
	fleet_fini(&fleet);
}

TEST(routes_that_the_policy_approves_leave_an_audit_line)
{
	struct ipprefix lan;
	struct control_hostinfo hi = {
		.hostname = "r", .os_version = "6.1", .routes = &lan, .n_routes = 1
	};
	char key[AUTHKEY_TEXT_MAX];
	struct err e = { 0 };
	struct party *p;

	begin(2);
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &lan));
	fleet_key(&fleet, KEY_REUSABLE, key);
	tailnet_set_policy(
	    fleet.t, fleet.now,
	    policy_parse(
		bytes_str("{\"autoApprovers\":{\"routes\":{\"10.0.0.0/8\":[\"alice@\"]}}}"), &e));
	p = fleet_join(&fleet, "r", key);
	before = fleet.audits;
	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	fleet_pass(&fleet, SPAN_S(2));
	line("routes approved by the policy, 1 in all");
	fleet_fini(&fleet);
}

TEST(an_ephemeral_node_that_is_removed_leaves_an_audit_line)
{
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;

	begin(3);
	fleet_key(&fleet, KEY_EPHEMERAL, key);
	p = fleet_join(&fleet, "e", key);
	before = fleet.audits;
	fleet_drop(&fleet, p);
	fleet_pass(&fleet, SPAN_S(120));
	line("ephemeral node 1 (e) removed");
	fleet_fini(&fleet);
}
