/* tests/sim/policy_test.c - who may talk does, who may not does not; removed nodes are gone */
#include "tests/harness.h"
#include "tests/sim/world.h"

static const struct world_host easy_nat = { .mapping = NAT_ENDPOINT_INDEPENDENT,
					    .filtering = NAT_FILTER_PORT };
static const struct world_host no_udp = { .no_udp = true };

/* addresses are given out in order: node 0 is 100.64.0.1 */
static const char only_0_to_1[] =
    "{\"acls\":[{\"action\":\"accept\",\"src\":[\"100.64.0.1\"],\"dst\":[\"100.64.0.2:*\"]}]}";
static const char nothing[] = "{\"acls\":[]}";
static const char only_0_to_1_other_port[] =
    "{\"acls\":[{\"action\":\"accept\",\"src\":[\"100.64.0.1\"],\"dst\":[\"100.64.0.2:22\"]}]}";

static struct world *tailnet(uint64_t seed, int n, const struct world_host *host)
{
	struct world *w = world_new(seed);

	for (int i = 0; i < n; i++)
		world_add(w, host);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, n, 0), "the nodes do not meet");
	return w;
}

static void talks(struct world *w, int i, int j)
{
	int f = world_transfer(w, i, j, 5000);

	WORLD_CHECK(w, f >= 0 && world_until(w, SPAN_S(15), world_done, f, 0), "%d cannot reach %d",
		    i, j);
}

static void is_silent(struct world *w, int i, int j, int seconds)
{
	int f = world_transfer(w, i, j, 5000);

	for (int k = 0; k < seconds; k++) {
		world_datagram(w, i, j);
		world_run(w, SPAN_S(1));
	}
	WORLD_CHECK(w, f < 0 || world_progress(w, f) == 0, "%d reaches %d", i, j);
}

TEST(what_the_policy_does_not_allow_does_not_arrive)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *w = tailnet(seed, 3, seed % 2 ? &easy_nat : &no_udp);

		world_policy(w, only_0_to_1);
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < 3; j++)
				if (i != j && !(i == 0 && j == 1))
					world_forbid(w, i, j, SPAN_S(1));
		world_run(w, SPAN_S(2));
		talks(w, 0, 1);
		is_silent(w, 1, 0, 10);
		is_silent(w, 0, 2, 3);
		is_silent(w, 2, 1, 3);
		talks(w, 0, 1);
		world_free(w);
	}
}

TEST(a_port_that_the_policy_does_not_name_is_closed)
{
	struct world *w = tailnet(5, 2, &easy_nat);

	talks(w, 0, 1);
	world_policy(w, only_0_to_1_other_port);
	world_forbid(w, 0, 1, SPAN_S(1));
	world_forbid(w, 1, 0, SPAN_S(1));
	world_run(w, SPAN_S(2));
	is_silent(w, 0, 1, 10);
	is_silent(w, 1, 0, 10);
	world_free(w);
}

TEST(a_denied_connection_is_told_so_and_does_not_wait)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *w = tailnet(seed, 2, seed % 2 ? &easy_nat : &no_udp);
		int f;

		world_policy(w, only_0_to_1_other_port);
		world_forbid(w, 0, 1, SPAN_S(1));
		world_forbid(w, 1, 0, SPAN_S(1));
		world_run(w, SPAN_S(2));
		f = world_transfer(w, 0, 1, 5000);
		WORLD_CHECK(w, f >= 0 && world_until(w, SPAN_S(5), world_failed, f, 0),
			    "it dials on");
		world_free(w);
	}
}

TEST(a_changed_policy_is_in_force_within_a_second_both_ways)
{
	struct world *w = tailnet(6, 3, &easy_nat);

	for (int round = 0; round < 3; round++) {
		talks(w, 0, 1);
		talks(w, 2, 0);
		world_policy(w, nothing);
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < 3; j++)
				world_forbid(w, i, j, SPAN_S(1));
		world_run(w, SPAN_S(1));
		WORLD_CHECK(w, world_forgot(w, 0, 1) && world_forgot(w, 1, 2), "it still knows");
		is_silent(w, 0, 1, 2);
		world_policy(w, NULL);
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < 3; j++)
				world_allow(w, i, j);
		world_run(w, SPAN_S(1));
	}
	world_free(w);
}

TEST(a_denied_flow_moves_no_more_byte)
{
	struct world *w = tailnet(7, 2, &easy_nat);
	int f = world_open(w, 0, 1);
	size_t before;

	world_push(w, f, 10000);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_settled, f, 0), "no flow");
	world_policy(w, nothing);
	world_run(w, SPAN_S(1));
	before = world_progress(w, f);
	world_push(w, f, 10000);
	world_run(w, SPAN_S(60));
	ck_assert_uint_eq(world_progress(w, f), before);
	world_free(w);
}

TEST(not_one_packet_goes_to_a_removed_node_or_is_taken_from_it)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct world_host once = seed % 2 ? easy_nat : no_udp;
		struct world *w;
		int f[4];

		once.once = true; /* else it would come back by itself */
		w = tailnet(seed, 3, &once);
		f[0] = world_open(w, 0, 2);
		f[1] = world_open(w, 2, 0);
		f[2] = world_open(w, 1, 2);
		f[3] = world_open(w, 2, 1);
		for (int k = 0; k < 4; k++)
			world_push(w, f[k], 200000);
		world_run(w, SPAN_MS(100 + (int64_t)world_choice(w, 1000)));
		world_remove(w, 2);
		WORLD_CHECK(w, world_until(w, SPAN_S(1), world_forgot, 0, 2), "0 still knows it");
		WORLD_CHECK(w, world_until(w, SPAN_S(1), world_forgot, 1, 2), "1 still knows it");
		for (int k = 0; k < 30; k++) { /* the world itself watches every wire */
			(void)world_transfer(w, 2, k % 2, 1000);
			world_datagram(w, 2, k % 2);
			(void)world_transfer(w, k % 2, 2, 1000);
			world_datagram(w, k % 2, 2);
			world_run(w, SPAN_S(2));
		}
		talks(w, 0, 1);
		world_free(w);
	}
}

TEST(a_peer_that_was_forgotten_for_a_moment_and_did_not_hear_of_it_is_reached_at_once)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *w = tailnet(seed, 2, seed % 2 ? &easy_nat : &no_udp);
		int f;

		talks(w, 1, 0);
		world_run(w, SPAN_S(30));
		world_move(w, 1); /* its stream from control is dead, which it sees after 10 s */
		world_policy(w, "{\"acls\":[]}");
		world_run(w, SPAN_S(1));
		WORLD_CHECK(w, world_forgot(w, 0, 1) && world_knows(w, 1, 0),
			    "the policy came to both");
		world_policy(w, NULL);
		world_run(w, SPAN_S(20));
		/* 1 still has a session, 0 has not */
		f = world_transfer(w, 1, 0, 5000);
		WORLD_CHECK(w, f >= 0 && world_until(w, SPAN_S(5), world_done, f, 0),
			    "a lost session is found too late");
		world_free(w);
	}
}

TEST(what_waits_for_a_relay_does_not_leave_for_a_node_that_was_removed_meanwhile)
{
	struct world_host once = { .no_udp = true, .once = true };
	struct world *w = tailnet(11, 3, &once);

	world_relay(w, 0, false); /* the other one takes 40 ms one way, control 15 */
	world_run(w, SPAN_S(60));
	talks(w, 0, 2);
	world_restart(w, 0, true);
	(void)world_transfer(w, 0, 2, 1000);
	ck_assert(world_remove(w, 2));
	world_run(w, SPAN_S(60)); /* the world watches */
	talks(w, 0, 1);
	world_free(w);
}

TEST(an_ephemeral_node_that_stops_is_forgotten)
{
	struct world *w = tailnet(8, 2, &easy_nat);
	struct world_host brief = { .mapping = NAT_NONE, .ephemeral = true };

	world_add(w, &brief);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 3, 0), "the nodes do not meet");
	talks(w, 2, 0);
	talks(w, 1, 2);
	world_stop(w, 2);
	world_run(w, SPAN_S(60));
	WORLD_CHECK(w, world_at_control(w, 2, 0), "it is removed too soon");
	WORLD_CHECK(w, world_until(w, SPAN_S(120), world_gone, 2, 0), "control keeps it");
	WORLD_CHECK(w, world_until(w, SPAN_S(1), world_forgot, 0, 2), "0 still knows it");
	WORLD_CHECK(w, world_until(w, SPAN_S(1), world_forgot, 1, 2), "1 still knows it");
	world_free(w);
}

TEST(an_ephemeral_node_that_comes_back_in_time_stays)
{
	struct world *w = tailnet(9, 1, &easy_nat);
	struct world_host brief = { .mapping = NAT_NONE, .ephemeral = true };

	world_add(w, &brief);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 2, 0), "the nodes do not meet");
	world_stop(w, 1);
	world_run(w, SPAN_S(60));
	world_restart(w, 1, false);
	world_run(w, SPAN_S(300));
	WORLD_CHECK(w, world_at_control(w, 1, 0), "it is removed");
	talks(w, 0, 1);
	world_free(w);
}

TEST(a_node_removed_while_others_were_away_is_forgotten_when_they_are_back)
{
	struct world_host once = easy_nat;
	struct world *w;

	once.once = true;
	w = tailnet(10, 3, &once);
	talks(w, 0, 2);
	world_control(w, false);
	world_remove(w, 2);
	world_run(w, SPAN_S(30));
	world_control(w, true);
	WORLD_CHECK(w, world_until(w, SPAN_S(60), world_forgot, 0, 2), "0 still knows it");
	WORLD_CHECK(w, world_until(w, SPAN_S(60), world_forgot, 1, 2), "1 still knows it");
	is_silent(w, 2, 0, 5);
	is_silent(w, 0, 2, 5);
	talks(w, 0, 1);
	world_free(w);
}
