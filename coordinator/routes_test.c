/* coordinator/routes_test.c - what each node is told of a router's routes: real control clients,
 * virtual time */
#include "tests/tailnet_world.h"

static struct fleet fleet; /* large */
static struct ipprefix subnet, exits[2];
static struct party *one, *two, *leaver, *alice, *bob;
static int64_t bobs;

static struct party *join_user(const char *name, int64_t user, const struct ipprefix *routes,
			       size_t n)
{
	struct control_hostinfo hi = {
		.hostname = name, .os_version = "6.1", .routes = routes, .n_routes = n
	};
	struct tailnet_authkey conf = { .user = user };
	struct party *p = fleet_party(&fleet, name);
	struct err e = { 0 };
	char key[AUTHKEY_TEXT_MAX];
	int64_t id;

	ck_assert_int_eq(tailnet_authkey_add(fleet.t, fleet.wall, &conf, key, &id, &e), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	ck_assert_int_eq(control_set_auth_key(p->c, key), 0);
	control_start(p->c, fleet.now, fleet.wall);
	fleet_run(&fleet);
	if (n > 0)
		ck_assert_int_eq(tailnet_node_approve_routes(fleet.t, fleet.now, fleet.wall,
							     fleet_node(&fleet, p)->id, routes, n,
							     &e),
				 0);
	fleet_pass(&fleet, SPAN_MS(100));
	return p;
}

static void tag(const struct party *p, const char *name)
{
	struct err e = { 0 };

	ck_assert_msg(tailnet_node_set_tags(fleet.t, fleet.now, fleet.wall,
					    fleet_node(&fleet, p)->id, &name, 1, &e) == 0,
		      "%s", e.text);
	fleet_pass(&fleet, SPAN_MS(500));
}

static void set_policy(const char *rules)
{
	char text[2048];
	struct err e = { 0 };
	struct policy *p;

	snprintf(text, sizeof text,
		 "{\"tagOwners\":{\"tag:one\":[],\"tag:two\":[],\"tag:exit\":[],\"tag:idle\":[]},"
		 "\"hosts\":{\"lan\":\"10.1.0.0/16\"},\"grants\":[{\"src\":[\"autogroup:member\","
		 "\"autogroup:tagged\"],\"dst\":[\"autogroup:tagged\"],\"ip\":[\"icmp:*\"]}%s]}",
		 rules);
	p = policy_parse(bytes_str(text), &e);
	ck_assert_msg(p != NULL, "%s", e.text);
	tailnet_set_policy(fleet.t, fleet.now, p);
	fleet_pass(&fleet, SPAN_MS(500));
}

/* two routers of one subnet, an exit node, a device of each user */
static void begin(uint64_t seed)
{
	struct err e = { 0 };

	fleet_init(&fleet, seed);
	fleet_user(&fleet);
	ck_assert_int_eq(tailnet_user_add(fleet.t, fleet.wall, "bob", "", &bobs, &e), 0);
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &subnet));
	ck_assert(ipprefix_parse(bytes_str("0.0.0.0/0"), &exits[0]));
	ck_assert(ipprefix_parse(bytes_str("::/0"), &exits[1]));
	set_policy("");
	one = join_user("one", fleet.user, &subnet, 1);
	two = join_user("two", fleet.user, &subnet, 1);
	leaver = join_user("leaver", fleet.user, exits, 2);
	alice = join_user("alice", fleet.user, NULL, 0);
	bob = join_user("bob", bobs, NULL, 0);
	tag(one, "tag:one");
	tag(two, "tag:two");
	tag(leaver, "tag:exit");
}

/* Does the map of who have that route of whose? */
static bool told(const struct party *who, const struct party *whose, const struct ipprefix *route)
{
	const struct netmap_node *n = netmap_by_key(who->nm, &whose->current);

	ck_assert_ptr_nonnull(n);
	for (size_t i = 0; i < n->n_allowed; i++)
		if (ipprefix_eq(&n->allowed[i], route))
			return true;
	return false;
}

TEST(a_viewer_is_told_those_subnets_that_the_policy_leads_it_to)
{
	begin(1);
	ck_assert(!told(alice, one, &subnet) && !told(bob, one, &subnet));
	set_policy(",{\"src\":[\"bob@\"],\"dst\":[\"10.1.7.0/24\"],\"ip\":[\"tcp:22\"]}");
	ck_assert(told(bob, one, &subnet));
	ck_assert(!told(bob, two, &subnet)); /* the other one serves it */
	ck_assert(!told(alice, one, &subnet));
	ck_assert(told(two, one, &subnet)); /* who routes it too knows who serves it */
	set_policy(",{\"src\":[\"lan\"],\"dst\":[\"bob@\"],\"ip\":[\"tcp:22\"]}");
	ck_assert(told(bob, one, &subnet)); /* answers have to go there */
	ck_assert(!told(alice, one, &subnet));
	fleet_fini(&fleet);
}

TEST(a_stand_in_is_told_to_those_alone_who_may_use_the_subnet)
{
	begin(2);
	set_policy(",{\"src\":[\"bob@\"],\"dst\":[\"lan\"],\"ip\":[\"*\"]}");
	ck_assert(told(bob, one, &subnet));
	fleet_drop(&fleet, one);
	fleet_pass(&fleet, SPAN_S(TAILNET_OFFLINE_S + 2));
	ck_assert(told(bob, two, &subnet) && !told(alice, two, &subnet));
	fleet_fini(&fleet);
}

TEST(grants_with_via_lead_over_the_router_that_has_the_tag)
{
	begin(3);
	set_policy(",{\"src\":[\"alice@\"],\"dst\":[\"lan\"],\"ip\":[\"*\"],\"via\":[\"tag:two\"]}"
		   ",{\"src\":[\"bob@\"],\"dst\":[\"lan\"],\"ip\":[\"*\"]}");
	ck_assert(told(alice, two, &subnet) && !told(alice, one, &subnet));
	ck_assert(told(bob, one, &subnet) && !told(bob, two, &subnet));
	fleet_fini(&fleet);
}

TEST(of_several_routers_with_the_tag_one_is_chosen_and_another_when_it_loses_the_tag)
{
	begin(4);
	tag(two, "tag:one");
	set_policy(",{\"src\":[\"bob@\"],\"dst\":[\"lan\"],\"ip\":[\"*\"],\"via\":[\"tag:one\"]}");
	ck_assert(told(bob, one, &subnet) && !told(bob, two, &subnet));
	tag(one, "tag:idle"); /* it is the other one, unchanged, that bob has to be told of */
	ck_assert(told(bob, two, &subnet) && !told(bob, one, &subnet));
	fleet_fini(&fleet);
}

TEST(exit_routes_are_told_to_those_who_may_reach_anything)
{
	struct err e = { 0 };
	struct policy *p = policy_parse(
	    bytes_str("{\"tagOwners\":{\"tag:exit\":[]},\"acls\":[{\"action\":\"accept\",\"src\":"
		      "[\"tag:exit\"],\"dst\":[\"alice@:22\"]},{\"action\":\"accept\",\"src\":["
		      "\"100.64.0.99\"],\"dst\":[\"*:1\"]}]}"),
	    &e);

	begin(5);
	ck_assert(told(bob, leaver, &exits[0]) && told(bob, leaver, &exits[1]));
	ck_assert(p != NULL);
	tailnet_set_policy(fleet.t, fleet.now, p);
	fleet_pass(&fleet, SPAN_MS(500));
	ck_assert(told(alice, leaver, &exits[0])); /* who is reached from there, too */
	ck_assert_ptr_null(netmap_by_key(bob->nm, &leaver->current));
	fleet_fini(&fleet);
}
