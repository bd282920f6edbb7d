/* tests/sim/underlay_test.c - what lies between the nodes: one family, boxes behind boxes, short
 * memories, few ports, holes, servers that do not answer
 */
#include "base/attr.h"
#include "tests/harness.h"
#include "tests/sim/world.h"

static const struct world_host v4_host = { 0 }, v6_host = { .family = WORLD_IPV6 },
			       both_host = { .family = WORLD_BOTH },
			       easy_nat = { .mapping = NAT_ENDPOINT_INDEPENDENT,
					    .filtering = NAT_FILTER_PORT };

static void meet(struct world *w, int n)
{
	WORLD_CHECK(w, world_until(w, SPAN_S(15), world_meshed, n, 0), "the nodes do not meet");
	world_run(w, SPAN_S(5)); /* STUN is done, and told */
}

static struct world *pair(uint64_t seed, const struct world_host *a, const struct world_host *b)
{
	struct world *w = world_new(seed);

	world_add(w, a);
	world_add(w, b);
	meet(w, 2);
	return w;
}

static int flow(struct world *w, int i, int j)
{
	int f = world_open(w, i, j);

	world_push(w, f, 10000);
	WORLD_CHECK(w, f >= 0 && world_until(w, SPAN_S(15), world_settled, f, 0),
		    "no flow from %d to %d", i, j);
	return f;
}

static void goes_on(struct world *w, int f, span_t limit)
{
	world_push(w, f, 10000);
	WORLD_CHECK(w, world_until(w, limit, world_settled, f, 0), "flow %d hangs or broke", f);
}

static void transfers(struct world *w, int i, int j, size_t len, span_t limit)
{
	int f = world_transfer(w, i, j, len);

	WORLD_CHECK(w, f >= 0 && world_until(w, limit, world_done, f, 0),
		    "%zu of %zu bytes came back from %d to %d", world_progress(w, f), len, i, j);
}

static bool both_direct(struct world *w, int i, int j)
{
	return world_direct(w, i, j) && world_direct(w, j, i);
}

/* --- families --- */

TEST(hosts_with_ipv6_alone_join_and_go_direct_and_reach_ipv4_ones_by_the_relay)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct world *w = world_new(seed);

		world_add(w, &v6_host);
		world_add(w, &v6_host);
		world_add(w, &both_host);
		world_add(w, &easy_nat);
		meet(w, 4);
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 4; j++)
				if (i != j)
					(void)flow(w, i, j);
		WORLD_CHECK(w, world_until(w, SPAN_S(2), both_direct, 0, 1), "6 and 6");
		WORLD_CHECK(w, world_until(w, SPAN_S(2), both_direct, 0, 2), "6 and both");
		WORLD_CHECK(w, world_until(w, SPAN_S(2), both_direct, 3, 2), "4 and both");
		WORLD_CHECK(w, world_relayed(w, 0, 3) && world_relayed(w, 3, 0), "6 and 4");
		world_free(w);
	}
}

TEST(a_host_that_moves_within_ipv6_alone_keeps_its_flows)
{
	struct world *w = pair(4, &v6_host, &both_host);
	int f = flow(w, 0, 1), g = flow(w, 1, 0);

	world_move(w, 0);
	goes_on(w, f, SPAN_S(10));
	goes_on(w, g, SPAN_S(10));
	WORLD_CHECK(w, world_until(w, SPAN_S(30), both_direct, 0, 1), "not direct again");
	world_free(w);
}

/* --- boxes behind boxes --- */

TEST(two_hosts_behind_one_box_meet_on_their_own_network)
{
	struct world *w = world_new(1);
	struct world_box box = { .mapping = NAT_PORT_DEPENDENT, .filtering = NAT_FILTER_PORT };
	struct world_host host = { .box = world_box(w, &box) };

	world_add(w, &host);
	world_add(w, &host);
	meet(w, 2);
	(void)flow(w, 0, 1);
	WORLD_CHECK(w, world_until(w, SPAN_S(1), both_direct, 0, 1), "not direct");
	world_free(w);
}

/* Each behind a box of its own, both boxes behind one of the provider's: they know each other's
 * addresses outside of that one only. */
static bool meet_through_the_provider(uint64_t seed, bool hairpin)
{
	struct world *w = world_new(seed);
	struct world_box outer = { .mapping = NAT_ENDPOINT_INDEPENDENT,
				   .filtering = NAT_FILTER_PORT,
				   .hairpin = hairpin };
	struct world_box home = { .mapping = NAT_ENDPOINT_INDEPENDENT,
				  .filtering = NAT_FILTER_PORT };
	bool direct;

	home.behind = world_box(w, &outer);
	for (int i = 0; i < 2; i++)
		world_add(w, &(struct world_host){ .box = world_box(w, &home) });
	meet(w, 2);
	goes_on(w, flow(w, 0, 1), SPAN_S(5));
	direct = world_until(w, SPAN_S(10), both_direct, 0, 1);
	goes_on(w, flow(w, 1, 0), SPAN_S(5));
	world_free(w);
	return direct;
}

TEST(behind_one_provider_a_box_that_hairpins_makes_paths_direct_and_one_that_does_not_relays)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		ck_assert(meet_through_the_provider(seed, true));
		ck_assert(!meet_through_the_provider(seed, false));
	}
}

TEST(two_layers_of_boxes_are_direct_when_neither_mapping_depends_on_the_destination)
{
	static const enum nat_mapping outer[] = { NAT_ENDPOINT_INDEPENDENT, NAT_PORT_DEPENDENT };
	static const enum nat_filtering remote[] = { NAT_FILTER_ADDRESS, NAT_FILTER_PORT };

	for (size_t m = 0; m < ARRAY_LEN(outer); m++)
		for (size_t r = 0; r < ARRAY_LEN(remote); r++) {
			struct world *w = world_new(10 * m + r);
			struct world_box b = { .mapping = outer[m], .filtering = NAT_FILTER_PORT };
			bool want = m == 0 || r == 0;

			b.behind = world_box(w, &b);
			b.mapping = NAT_ENDPOINT_INDEPENDENT;
			world_add(w, &(struct world_host){ .box = world_box(w, &b) });
			world_add(w, &(struct world_host){ .mapping = NAT_ENDPOINT_INDEPENDENT,
							   .filtering = remote[r] });
			meet(w, 2);
			(void)flow(w, 0, 1);
			WORLD_CHECK(w, world_until(w, SPAN_S(10), both_direct, 0, 1) == want,
				    "outer %s, remote %s", nat_mapping_names[outer[m]],
				    nat_filtering_names[remote[r]]);
			(void)flow(w, 1, 0);
			world_free(w);
		}
}

/* --- boxes that forget, boxes that are full --- */

TEST(a_flow_that_rested_longer_than_its_box_remembers_goes_on_at_once)
{
	static const int rests[] = { 15, 40, 100, 400 };

	for (size_t k = 0; k < ARRAY_LEN(rests); k++) {
		struct world *w = world_new(k + 1);
		struct world_box box = { .mapping = NAT_ENDPOINT_INDEPENDENT,
					 .filtering = NAT_FILTER_PORT,
					 .timeout = SPAN_S(10) };
		int f, g;

		for (int i = 0; i < 2; i++)
			world_add(w, &(struct world_host){ .box = world_box(w, &box) });
		meet(w, 2);
		f = flow(w, 0, 1);
		g = flow(w, 1, 0);
		for (int i = 0; i < 3; i++) {
			world_run(w, SPAN_S(rests[k]));
			goes_on(w, f, SPAN_S(3));
			world_run(w, SPAN_S(rests[k]));
			goes_on(w, g, SPAN_S(3));
		}
		WORLD_CHECK(w, world_until(w, SPAN_S(5), both_direct, 0, 1), "not direct again");
		world_free(w);
	}
}

TEST(a_box_with_too_few_ports_delays_nothing_that_the_relay_can_carry)
{
	for (size_t max = 1; max <= 4; max++) {
		struct world *w = world_new(max);
		struct world_box box = { .mapping = NAT_PORT_DEPENDENT,
					 .filtering = NAT_FILTER_PORT,
					 .max = max };
		struct world_host host = { .box = world_box(w, &box) };
		int f[4];

		world_add(w, &host);
		world_add(w, &host);
		world_add(w, &v4_host);
		world_add(w, &easy_nat);
		meet(w, 4);
		for (int i = 0; i < 4; i++)
			f[i] = flow(w, i, (i + 1) % 4);
		for (int k = 0; k < 20; k++) {
			for (int i = 0; i < 4; i++)
				goes_on(w, f[i], SPAN_S(5));
			world_run(w, SPAN_S(10));
		}
		world_free(w);
	}
}

/* --- holes --- */

TEST(a_link_that_swallows_large_packets_delays_a_transfer_and_nothing_else)
{
	static const size_t mtus[] = { 1400, 1340, 1300, 1280, 1000, 600 };

	for (size_t k = 0; k < ARRAY_LEN(mtus); k++) {
		struct world_host narrow = { .family = WORLD_BOTH, .mtu = mtus[k] };
		struct world *w = pair(k + 1, &narrow, k % 2 ? &both_host : &v4_host);

		transfers(w, 0, 1, 300000, SPAN_S(45));
		transfers(w, 1, 0, 300000, SPAN_S(45));
		world_free(w);
	}
}

/* The path is left after five large pings in vain, which begin with the first heartbeat, 3 s after
 * the first packet; TCP goes on then, though its next time-out may be as long off again. */
TEST(a_transfer_goes_on_as_soon_as_the_path_that_swallows_large_packets_is_left)
{
	int64_t longest = 0;

	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct world_host narrow = { .mtu = 1300 };
		struct world *w = pair(seed, &narrow, &v4_host);
		mono_t from = world_now(w);

		transfers(w, (int)(seed % 2), (int)(1 - seed % 2), 20000, SPAN_S(20));
		longest = MAX_OF(longest, mono_sub(world_now(w), from).ns);
		world_free(w);
	}
	printf("figure: 20 KB over a link that swallows large packets: at most %.1f s\n",
	       (double)longest / 1e9);
	ck_assert_int_lt(longest, 7 * (int64_t)NS_PER_S); /* 8.6 s when TCP waits */
}

/* --- servers that do not answer --- */

TEST(dials_to_control_that_hang_hurt_no_flow_and_are_given_up)
{
	struct world *w = pair(1, &easy_nat, &easy_nat);
	int f = flow(w, 0, 1);

	world_hang(w, -1, true);
	world_control(w, false); /* what was open breaks */
	world_control(w, true);
	for (int i = 0; i < 20; i++) {
		world_run(w, SPAN_S(15));
		goes_on(w, f, SPAN_S(5));
	}
	world_hang(w, -1, false);
	world_add(w, &easy_nat); /* all hear of it: they have dialled again */
	WORLD_CHECK(w, world_until(w, SPAN_S(90), world_meshed, 3, 0), "control is not dialled");
	(void)flow(w, 2, 0);
	world_free(w);
}

static bool home_is(struct world *w, int i, int relay)
{
	return world_home(w, i) == relay;
}

TEST(a_relay_whose_dials_hang_is_left_for_another)
{
	struct world *w = world_new(1);
	int f;

	world_hang(w, 0, true);
	world_add(w, &(struct world_host){ .no_udp = true });
	world_add(w, &(struct world_host){ .no_udp = true });
	meet(w, 2);
	WORLD_CHECK(w, world_until(w, SPAN_S(60), home_is, 0, 2), "home is %u", world_home(w, 0));
	WORLD_CHECK(w, world_until(w, SPAN_S(60), home_is, 1, 2), "home is %u", world_home(w, 1));
	f = flow(w, 0, 1);
	world_run(w, SPAN_S(60));
	goes_on(w, f, SPAN_S(5));
	world_hang(w, 0, false);
	world_run(w, SPAN_S(600));
	goes_on(w, f, SPAN_S(15));
	world_free(w);
}

TEST(when_no_relay_can_be_dialled_for_ten_minutes_all_goes_on_afterwards)
{
	struct world *w = pair(1, &(struct world_host){ .no_udp = true }, &easy_nat);
	int f;

	for (int r = 0; r < WORLD_RELAYS; r++) {
		world_hang(w, r, true);
		world_relay(w, r, false); /* what was open breaks */
		world_relay(w, r, true);
	}
	world_run(w, SPAN_S(600));
	for (int r = 0; r < WORLD_RELAYS; r++)
		world_hang(w, r, false);
	world_run(w, SPAN_S(120));
	f = flow(w, 0, 1);
	goes_on(w, f, SPAN_S(5));
	world_free(w);
}

TEST(control_away_for_six_hours_hurts_no_flow_old_or_new)
{
	struct world *w = pair(1, &easy_nat, &v4_host);
	int f;

	world_add(w, &(struct world_host){ .no_udp = true });
	meet(w, 3);
	f = flow(w, 0, 1);
	world_control(w, false);
	for (int i = 0; i < 36; i++) {
		world_run(w, SPAN_S(590));
		goes_on(w, f, SPAN_S(5));
		if (i % 9 == 0)
			world_move(w, i % 2);
		transfers(w, i % 3, (i + 1) % 3, 10000, SPAN_S(15));
	}
	world_control(w, true);
	world_add(w, &easy_nat);
	WORLD_CHECK(w, world_until(w, SPAN_S(300), world_meshed, 4, 0), "control is not dialled");
	(void)flow(w, 3, 0);
	world_free(w);
}

__attribute__((constructor)) static void limit(void)
{
	harness_timeout(60);
}
