/* tests/sim/pair_test.c - two nodes on links good and bad */
#include "tests/harness.h"
#include "tests/sim/world.h"

static const struct world_host open_host = { 0 };
static const struct world_host easy_nat = { .mapping = NAT_ENDPOINT_INDEPENDENT,
					    .filtering = NAT_FILTER_PORT };
static const struct world_host hard_nat = { .mapping = NAT_PORT_DEPENDENT,
					    .filtering = NAT_FILTER_PORT };

static struct world *pair(uint64_t seed, const struct world_host *a, const struct world_host *b)
{
	struct world *w = world_new(seed);

	world_add(w, a);
	world_add(w, b);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 2, 0), "two nodes do not meet");
	return w;
}

static void transfers(struct world *w, int i, int j, size_t len, span_t limit)
{
	int f = world_transfer(w, i, j, len);

	WORLD_CHECK(w, f >= 0 && world_until(w, limit, world_done, f, 0),
		    "%zu of %zu bytes came back from %d to %d", world_progress(w, f), len, i, j);
}

TEST(two_nodes_go_direct_and_transfer_a_megabyte)
{
	struct world *w = pair(1, &open_host, &open_host);

	transfers(w, 0, 1, 1 << 20, SPAN_S(3)); /* of virtual time */
	WORLD_CHECK(w, world_direct(w, 0, 1) && world_direct(w, 1, 0), "the path is not direct");
	world_free(w);
}

static uint64_t trace_of(uint64_t seed)
{
	struct world *w = pair(seed, &hard_nat, &easy_nat);
	struct world_net bad = {
		.loss = 0.05, .duplicate = 0.02, .delay = SPAN_MS(20), .jitter = SPAN_MS(30)
	};
	uint64_t t;

	world_net(w, &bad);
	(void)world_transfer(w, 0, 1, 200000);
	world_run(w, SPAN_S(30));
	t = world_trace(w);
	world_free(w);
	return t;
}

TEST(the_same_seed_replays_every_byte_and_another_one_does_not)
{
	uint64_t a = trace_of(7);

	ck_assert(a == trace_of(7));
	ck_assert(a != trace_of(8));
}

static void bad_link(const struct world_net *net, span_t limit)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *w = pair(seed, &easy_nat, &easy_nat);

		world_net(w, net);
		transfers(w, 0, 1, 300000, limit);
		transfers(w, 1, 0, 300000, limit);
		world_free(w);
	}
}

TEST(a_link_that_loses_a_tenth_delays_a_transfer_and_nothing_else)
{
	bad_link(&(struct world_net){ .loss = 0.1, .delay = SPAN_MS(10), .jitter = SPAN_MS(1) },
		 SPAN_S(60));
}

TEST(a_link_that_reorders_delivers_every_byte)
{
	bad_link(&(struct world_net){ .delay = SPAN_MS(5), .jitter = SPAN_MS(60) }, SPAN_S(30));
}

TEST(a_link_that_duplicates_delivers_every_byte_once)
{
	bad_link(
	    &(struct world_net){ .duplicate = 0.3, .delay = SPAN_MS(10), .jitter = SPAN_MS(20) },
	    SPAN_S(30));
}

TEST(a_link_that_corrupts_loses_and_never_lies)
{
	bad_link(&(struct world_net){ .corrupt = 0.05, .delay = SPAN_MS(10), .jitter = SPAN_MS(2) },
		 SPAN_S(60));
}

TEST(without_udp_on_one_side_the_relay_carries_all)
{
	struct world *w = pair(3, &easy_nat, &(struct world_host){ .no_udp = true });

	transfers(w, 0, 1, 1 << 20, SPAN_S(60));
	transfers(w, 1, 0, 100000, SPAN_S(30));
	WORLD_CHECK(w, world_relayed(w, 0, 1) && world_relayed(w, 1, 0), "direct without UDP");
	WORLD_CHECK(w, world_relay_packets(w, 0) > 1000, "the relay carried %llu packets",
		    (unsigned long long)world_relay_packets(w, 0));
	world_free(w);
}

TEST(udp_that_comes_back_makes_the_path_direct)
{
	struct world *w = pair(4, &easy_nat, &(struct world_host){ .no_udp = true });
	int f = world_open(w, 0, 1);

	world_push(w, f, 1000);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_settled, f, 0), "no flow by relay");
	world_udp(w, 1, true);
	for (int i = 0; i < 90 && !world_direct(w, 0, 1); i++) {
		world_push(w, f, 1000);
		world_run(w, SPAN_S(1));
	}
	WORLD_CHECK(w, world_direct(w, 0, 1), "still relayed after 90 s");
	world_free(w);
}

TEST(udp_that_goes_away_costs_a_flow_seconds_but_no_byte)
{
	struct world *w = pair(5, &easy_nat, &easy_nat);
	int f = world_open(w, 0, 1);

	world_push(w, f, 100000);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_settled, f, 0), "no flow");
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_direct, 0, 1), "not direct");
	world_udp(w, 0, false);
	world_push(w, f, 100000);
	WORLD_CHECK(w, world_until(w, SPAN_S(30), world_settled, f, 0), "the flow hangs");
	world_free(w);
}

TEST(datagrams_arrive_in_the_tailnet_too)
{
	struct world *w = pair(6, &easy_nat, &hard_nat);

	for (int i = 0; i < 20; i++) {
		world_datagram(w, 0, 1);
		world_run(w, SPAN_MS(100));
	}
	world_run(w, SPAN_S(1));
	ck_assert_uint_eq(world_datagrams_seen(w, 0, 1), 20);
	world_free(w);
}

TEST(a_duplicated_or_late_datagram_arrives_once)
{
	struct world *w = pair(7, &easy_nat, &easy_nat);
	struct world_net odd = { .duplicate = 0.5, .delay = SPAN_MS(10), .jitter = SPAN_MS(300) };

	transfers(w, 0, 1, 1000, SPAN_S(5));
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_direct, 0, 1), "not direct");
	for (int i = 0; i < 50; i++) {
		world_datagram(w, 0, 1);
		world_run(w, SPAN_MS(100));
		if (i == 10)
			world_net(w, &odd);
	}
	world_run(w, SPAN_S(1));
	ck_assert_uint_eq(world_datagrams_seen(w, 0, 1), 50);
	world_free(w);
}

TEST(a_flow_starts_as_soon_as_both_know_each_other)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *w = world_new(seed);

		world_add(w, &easy_nat);
		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_running, 0, 0), "no start");
		world_run(w, SPAN_S(10));
		world_add(w, seed % 2 ? &easy_nat : &hard_nat);
		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_knows, 1, 0), "no start");
		transfers(w, 1, 0, 1000,
			  SPAN_MS(2500)); /* the older node may hear of the newer later */
		world_free(w);
	}
}

TEST(a_session_is_renewed_under_a_flow_without_a_pause)
{
	struct world *w = pair(8, &easy_nat, &easy_nat);
	int f = world_open(w, 0, 1);

	for (int i = 0; i < 400; i++) {
		world_push(w, f, 500);
		WORLD_CHECK(w, world_until(w, SPAN_MS(i < 10 ? 5000 : 200), world_settled, f, 0),
			    "a pause in second %d", i);
		world_run(w, SPAN_S(1));
	}
	world_free(w);
}

static struct ipport forwarded;

static bool told_static(struct world *w, int type, int is_listed)
{
	return world_endpoint(w, 0, &forwarded) == type &&
	       world_lists(w, 1, 0, &forwarded) == (is_listed != 0);
}

TEST(static_endpoints_reach_control_and_peers_and_go_when_they_are_taken_back)
{
	struct world *w = pair(3, &hard_nat, &easy_nat);

	forwarded = (struct ipport){ ip_v4(198, 51, 100, 7), 4500 };
	WORLD_CHECK(w, told_static(w, -1, 0), "nobody has set it yet");
	world_static(w, 0, &forwarded);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), told_static, CONTROL_EP_EXPLICIT, 1),
		    "type %d at control", world_endpoint(w, 0, &forwarded));
	world_move(w, 0);
	world_run(w, SPAN_S(30));
	WORLD_CHECK(w, told_static(w, CONTROL_EP_EXPLICIT, 1), "it does not outlast a move");
	world_static(w, 0, NULL);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), told_static, -1, 0), "type %d at control",
		    world_endpoint(w, 0, &forwarded));
	world_free(w);
}
