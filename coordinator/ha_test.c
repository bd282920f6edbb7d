/* coordinator/ha_test.c - routers of one subnet, real control clients, virtual time: a dead one is
 * replaced, a live one is not */
#include "tests/tailnet_world.h"

static struct fleet fleet; /* large */
static struct ipprefix subnet;
static struct party *one, *two, *client;

static struct party *router(const char *name, const char *key)
{
	struct control_hostinfo hi = {
		.hostname = name, .os_version = "6.1", .routes = &subnet, .n_routes = 1
	};
	struct party *p = fleet_party(&fleet, name);
	struct err e = { 0 };

	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	ck_assert_int_eq(control_set_auth_key(p->c, key), 0);
	control_start(p->c, fleet.now, fleet.wall);
	fleet_run(&fleet);
	ck_assert_int_eq(tailnet_node_approve_routes(fleet.t, fleet.now, fleet.wall,
						     fleet_node(&fleet, p)->id, &subnet, 1, &e),
			 0);
	fleet_pass(&fleet, SPAN_MS(100));
	return p;
}

static void begin(uint64_t seed, bool two_of_them)
{
	char key[AUTHKEY_TEXT_MAX];

	fleet_init(&fleet, seed);
	fleet_user(&fleet);
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &subnet));
	fleet_key(&fleet, KEY_REUSABLE, key);
	one = router("one", key);
	two = two_of_them ? router("two", key) : NULL;
	client = fleet_join(&fleet, "client", key);
	fleet_pass(&fleet, SPAN_MS(100));
}

/* As the client's map has it */
static bool serves(const struct party *p)
{
	const struct netmap_node *n = netmap_by_key(client->nm, &p->current);

	ck_assert_ptr_nonnull(n);
	for (size_t i = 0; i < n->n_allowed; i++)
		if (ipprefix_eq(&n->allowed[i], &subnet))
			return true;
	return false;
}

static struct tailnet_stat stat_of(void)
{
	struct tailnet_stat st;

	tailnet_stat(fleet.t, &st);
	return st;
}

TEST(a_router_that_is_silent_on_an_open_stream_is_replaced_within_15_s)
{
	begin(1, true);
	ck_assert(serves(one) && !serves(two));
	one->deaf = true; /* its streams stay open */
	fleet_pass(&fleet, SPAN_S(TAILNET_PROBE_S + TAILNET_PROBE_WAIT_S + 1));
	ck_assert(!serves(one) && serves(two));
	ck_assert(fleet_node(&fleet, one)->online); /* so it is this that noticed */
	ck_assert(fleet_node(&fleet, one)->silent);
	ck_assert_uint_eq(stat_of().failovers, 1);
	ck_assert_ptr_nonnull(strstr(fleet.audit, "router one does not answer"));
	fleet_fini(&fleet);
}

TEST(a_router_that_answers_again_takes_its_subnet_back)
{
	begin(2, true);
	one->deaf = true;
	fleet_pass(&fleet, SPAN_S(16));
	ck_assert(serves(two));
	one->deaf = false; /* answers what it was asked, though late */
	fleet_pass(&fleet, SPAN_S(TAILNET_PROBE_S + 1));
	ck_assert(serves(one) && !serves(two));
	ck_assert(!fleet_node(&fleet, one)->silent);
	fleet_fini(&fleet);
}

TEST(routers_that_answer_keep_their_subnets)
{
	uint64_t probes;

	begin(3, true);
	fleet_pass(&fleet, SPAN_S(600));
	ck_assert(serves(one) && !serves(two));
	probes = stat_of().probes;
	ck_assert_uint_ge(probes, 2 * 600 / TAILNET_PROBE_S - 4);
	ck_assert_uint_le(probes, 2 * 600 / TAILNET_PROBE_S + 4);
	ck_assert_uint_eq(stat_of().failovers, 0);
	fleet_fini(&fleet);
}

TEST(a_router_without_a_stand_in_is_not_asked_and_keeps_its_subnet)
{
	begin(4, false);
	one->deaf = true;
	fleet_pass(&fleet, SPAN_S(60));
	ck_assert(serves(one));
	ck_assert_uint_eq(stat_of().probes, 0);
	fleet_fini(&fleet);
}

TEST(when_all_are_silent_the_order_is_as_if_none_were)
{
	begin(5, true);
	one->deaf = two->deaf = true;
	fleet_pass(&fleet, SPAN_S(40));
	ck_assert(fleet_node(&fleet, one)->silent && fleet_node(&fleet, two)->silent);
	ck_assert(serves(one) && !serves(two));
	fleet_fini(&fleet);
}

TEST(a_silent_stand_in_does_not_take_over_from_one_that_left)
{
	begin(6, true);
	two->deaf = true;
	fleet_pass(&fleet, SPAN_S(16));
	ck_assert(serves(one) && fleet_node(&fleet, two)->silent);
	control_stop(one->c);
	for (size_t k = 0; k < CONTROL_CONNS; k++)
		fleet_shut(&fleet, &one->wire[k]);
	fleet_pass(&fleet, SPAN_S(TAILNET_OFFLINE_S + 1));
	ck_assert(serves(two)); /* better than one that is known to be gone */
	fleet_fini(&fleet);
}

TEST(a_router_that_comes_back_by_a_new_stream_counts_as_alive_at_once)
{
	begin(7, true);
	one->deaf = true;
	fleet_pass(&fleet, SPAN_S(16));
	ck_assert(serves(two));
	one->deaf = false;
	fleet_again(&fleet, one, NULL);
	fleet_pass(&fleet, SPAN_S(2));
	ck_assert(!fleet_node(&fleet, one)->silent);
	fleet_fini(&fleet);
}

TEST(probes_survive_a_restart_of_the_server)
{
	begin(8, true);
	fleet_restart(&fleet);
	fleet_pass(&fleet, SPAN_S(90));
	ck_assert(serves(one) && !serves(two));
	one->deaf = true;
	fleet_pass(&fleet, SPAN_S(16));
	ck_assert(serves(two));
	fleet_fini(&fleet);
}
