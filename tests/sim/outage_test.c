/* tests/sim/outage_test.c - what breaks around a flow: relays, control, addresses, hosts, clocks */
#include "tests/harness.h"
#include "tests/sim/world.h"

static const struct world_host easy_nat = { .mapping = NAT_ENDPOINT_INDEPENDENT,
					    .filtering = NAT_FILTER_PORT };
static const struct world_host open_host = { .mapping = NAT_NONE };
static const struct world_host no_udp = { .no_udp = true };

static struct world *tailnet(uint64_t seed, int n, const struct world_host *host)
{
	struct world *w = world_new(seed);

	for (int i = 0; i < n; i++)
		world_add(w, host);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, n, 0), "the nodes do not meet");
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

static bool home_is(struct world *w, int i, int relay)
{
	return world_home(w, i) == relay;
}

TEST(the_nearer_relay_is_home)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *w = tailnet(seed, 2, seed % 2 ? &easy_nat : &no_udp);

		WORLD_CHECK(w, world_until(w, SPAN_S(20), home_is, 0, 1), "home of 0 is %u",
			    world_home(w, 0));
		WORLD_CHECK(w, world_until(w, SPAN_S(20), home_is, 1, 1), "home of 1 is %u",
			    world_home(w, 1));
		world_free(w);
	}
}

TEST(a_relay_that_dies_under_a_flow_moves_home_and_loses_no_byte)
{
	struct world *w = tailnet(2, 2, &no_udp);
	int f;

	WORLD_CHECK(w, world_until(w, SPAN_S(20), home_is, 0, 1), "home of 0 is not the nearer");
	WORLD_CHECK(w, world_until(w, SPAN_S(20), home_is, 1, 1), "home of 1 is not the nearer");
	f = world_transfer(w, 0, 1, 4 << 20);
	world_run(w, SPAN_MS(400));
	WORLD_CHECK(w, world_progress(w, f) > 0 && !world_done(w, f, 0), "the relay dies too late");
	world_relay(w, 0, false);
	WORLD_CHECK(w, world_until(w, SPAN_S(60), home_is, 0, 2), "home of 0 stays");
	WORLD_CHECK(w, world_until(w, SPAN_S(60), home_is, 1, 2), "home of 1 stays");
	WORLD_CHECK(w, world_until(w, SPAN_S(120), world_done, f, 0), "%zu bytes came back",
		    world_progress(w, f));
	world_free(w);
}

TEST(a_relay_that_restarts_under_a_flow_costs_seconds)
{
	struct world *w = tailnet(3, 2, &no_udp);
	int f = flow(w, 0, 1);

	world_relay(w, 0, false);
	world_run(w, SPAN_MS(500));
	world_relay(w, 0, true);
	goes_on(w, f, SPAN_S(15));
	world_free(w);
}

static bool relay_up(struct world *w, int i, int relay)
{
	return node_relay_up(world_node(w, i), (uint16_t)relay);
}

TEST(a_relay_that_closes_after_each_login_is_dialled_ever_more_seldom)
{
	struct world *w = tailnet(6, 1, &no_udp);
	uint64_t n;

	world_run(w, SPAN_S(30));
	for (int r = 0; r < WORLD_RELAYS; r++) {
		world_relay(w, r, false);
		world_relay(w, r, true);
		world_relay_flaps(w, r, true);
	}
	world_run(w, SPAN_S(300));
	for (int r = 0; r < WORLD_RELAYS; r++) {
		n = world_relay_accepts(w, r);
		WORLD_CHECK(w, n <= 80, "relay %d was dialled %llu times in five minutes", r + 1,
			    (unsigned long long)n);
		world_relay_flaps(w, r, false);
	}
	WORLD_CHECK(w, world_until(w, SPAN_S(15), relay_up, 0, world_home(w, 0)), "no relay");
	world_run(w, SPAN_S(20)); /* a connection that lived makes the next end a first failure */
	world_relay(w, world_home(w, 0) - 1, false);
	world_relay(w, world_home(w, 0) - 1, true);
	WORLD_CHECK(w, world_until(w, SPAN_S(1), relay_up, 0, world_home(w, 0)), "no relay");
	world_free(w);
}

TEST(control_away_ten_minutes_hurts_no_flow_and_new_ones_start)
{
	struct world *w = tailnet(4, 3, &easy_nat);
	int f = flow(w, 0, 1);

	world_control(w, false);
	for (int i = 0; i < 20; i++) {
		world_run(w, SPAN_S(30));
		goes_on(w, f, SPAN_S(5));
	}
	(void)flow(w, 0, 2);
	(void)flow(w, 2, 1);
	world_control(w, true);
	world_run(w, SPAN_S(60));
	goes_on(w, f, SPAN_S(5));
	world_add(w, &easy_nat);
	WORLD_CHECK(w, world_until(w, SPAN_S(20), world_meshed, 4, 0), "a new node is not met");
	(void)flow(w, 3, 0);
	world_free(w);
}

TEST(control_away_and_no_udp_flows_start_by_relay)
{
	struct world *w = tailnet(5, 3, &no_udp);
	int f;

	world_run(w, SPAN_S(20));
	world_control(w, false);
	world_run(w, SPAN_S(600));
	f = flow(w, 0, 2);
	world_run(w, SPAN_S(300));
	goes_on(w, f, SPAN_S(5));
	world_free(w);
}

TEST(control_that_restarts_from_what_it_stored_is_the_same_control)
{
	struct world *w = tailnet(6, 3, &easy_nat);
	int f = flow(w, 0, 1);

	world_control_restart(w);
	goes_on(w, f, SPAN_S(5));
	world_run(w, SPAN_S(60));
	world_add(w, &easy_nat);
	WORLD_CHECK(w, world_until(w, SPAN_S(20), world_meshed, 4, 0), "a new node is not met");
	goes_on(w, f, SPAN_S(5));
	(void)flow(w, 3, 1);
	world_free(w);
}

TEST(a_new_address_heals_within_ten_seconds)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *w = tailnet(seed, 2, &easy_nat);
		int f = flow(w, 0, 1), g = flow(w, 1, 0);

		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_direct, 0, 1), "not direct");
		world_move(w, 0);
		goes_on(w, f, SPAN_S(10));
		goes_on(w, g, SPAN_S(10));
		for (int i = 0; i < 30 && !world_direct(w, 0, 1); i++) {
			goes_on(w, f, SPAN_S(10));
			world_run(w, SPAN_S(1));
		}
		WORLD_CHECK(w, world_direct(w, 0, 1), "not direct again in 30 s");
		world_free(w);
	}
}

TEST(a_new_address_is_told_to_the_peers)
{
	struct world *w = tailnet(1, 2, &easy_nat);

	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_located, 1, 0), "never told");
	for (int i = 0; i < 3; i++) {
		world_move(w, 0);
		/* control's stream may have survived: it is asked, and given up after 10 s */
		WORLD_CHECK(w, world_until(w, SPAN_S(15), world_located, 1, 0), "not told");
	}
	world_free(w);
}

TEST(a_new_address_while_control_is_away_is_told_by_the_relay)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct world *w = tailnet(seed, 2, &easy_nat);
		int f = flow(w, 0, 1);

		world_run(w, SPAN_S(5));
		world_control(w, false);
		world_move(w, 0);
		for (int i = 0; i < 30; i++) { /* longer than what was trusted before */
			goes_on(w, f, SPAN_S(10));
			world_run(w, SPAN_S(1));
		}
		WORLD_CHECK(w, world_direct(w, 0, 1) && world_direct(w, 1, 0), "not direct again");
		world_free(w);
	}
}

TEST(a_node_that_stops_is_told_offline_and_online_with_its_next_stream)
{
	struct world *w = tailnet(1, 2, &easy_nat);

	world_run(w, SPAN_S(30));
	WORLD_CHECK(w, !world_offline(w, 0, 1), "offline, though it runs");
	world_stop(w, 1);
	WORLD_CHECK(w, world_until(w, SPAN_S(20), world_offline, 0, 1), "not told");
	world_restart(w, 1, true); /* it is told by a patch, before its netcheck changes more */
	WORLD_CHECK(w, world_until(w, SPAN_MS(200), world_online, 0, 1), "not told at once");
	world_free(w);
}

TEST(a_flow_to_a_host_that_is_gone_for_good_ends)
{
	struct world *w = tailnet(1, 2, &easy_nat);
	int f = flow(w, 0, 1);

	world_stop(w, 1);
	WORLD_CHECK(w, world_until(w, SPAN_S(1200), world_failed, f, 0), "it is open for ever");
	world_free(w);
}

/* n datagrams within d */
static void rain(struct world *w, int i, int j, int n, span_t d)
{
	for (int k = 0; k < n; k++) {
		world_datagram(w, i, j);
		world_run(w, (span_t){ d.ns / n });
	}
}

TEST(what_waits_for_a_peer_that_is_gone_stays_small)
{
	struct world *w = tailnet(1, 2, &easy_nat);
	size_t before;

	world_stop(w, 1); /* no session yet: every packet waits for one */
	world_run(w, SPAN_S(5));
	before = world_memory(w);
	rain(w, 0, 1, 30000, SPAN_S(60));
	WORLD_CHECK(w, world_memory(w) < before + (1 << 20), "%zu bytes wait",
		    world_memory(w) - before);
	world_free(w);
}

/* The relay ends who takes nothing for two seconds; a shorter rest costs what its queue does not
 * hold, which is 32 packets beyond those that are under way already. */
TEST(a_reader_that_rests_for_a_moment_loses_packets_at_the_relay_and_nobody_else_any)
{
	enum { DROPS = 4000 };
	struct world *w = tailnet(1, 3, &no_udp);
	int f = flow(w, 0, 1), g = flow(w, 0, 2);
	uint64_t seen, accepts;

	world_run(w, SPAN_S(5));
	accepts = world_relay_accepts(w, 0) + world_relay_accepts(w, 1);
	world_sleep(w, 1, SPAN_MS(1500));
	for (int k = 0; k < 10; k++) {
		rain(w, 0, 1, DROPS / 10, SPAN_MS(140));
		world_push(w, g, 1000); /* somebody else's reader */
	}
	WORLD_CHECK(w, world_until(w, SPAN_S(1), world_settled, g, 0), "the other flow waits");
	world_run(w, SPAN_S(1));
	seen = world_datagrams_seen(w, 0, 1);
	WORLD_CHECK(w, seen >= 1000 && seen < DROPS - 500, "%llu of %d datagrams arrived",
		    (unsigned long long)seen, DROPS);
	goes_on(w, f, SPAN_S(2));
	rain(w, 0, 1, 20, SPAN_MS(200));
	world_run(w, SPAN_S(1));
	ck_assert_uint_eq(world_datagrams_seen(w, 0, 1), seen + 20);
	WORLD_CHECK(w, world_relay_accepts(w, 0) + world_relay_accepts(w, 1) == accepts,
		    "a connection was ended");
	world_free(w);
}

TEST(a_node_that_restarts_with_its_clock_set_back_is_heard)
{
	struct world *w = tailnet(1, 2, &easy_nat);

	(void)flow(w, 1, 0);
	world_run(w, SPAN_S(60)); /* nothing waits for an answer any more */
	world_wall_jump(w, SPAN_S(-3600));
	world_restart(w, 1, false);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_running, 1, 0), "it does not run");
	(void)flow(w, 1, 0);
	world_free(w);
}

TEST(a_peer_that_hears_of_us_late_is_reached_as_soon_as_it_does)
{
	struct world *w = tailnet(1, 1, &easy_nat);
	int f;

	world_run(w, SPAN_S(5));
	world_sleep(w, 0, SPAN_MS(2500)); /* what is sent to it meanwhile is lost */
	world_add(w, &easy_nat);
	WORLD_CHECK(w, world_until(w, SPAN_S(1), world_knows, 1, 0), "no start");
	f = world_transfer(w, 1, 0, 1000);
	WORLD_CHECK(w, world_until(w, SPAN_MS(3500), world_done, f, 0), "%zu bytes came back",
		    world_progress(w, f));
	world_free(w);
}

TEST(a_nat_that_restarts_unseen_heals_too)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *w = tailnet(seed, 2, &easy_nat);
		int f = flow(w, 0, 1), g = flow(w, 1, 0);

		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_direct, 0, 1), "not direct");
		world_rebind(w, 0);
		world_push(w, f, 10000);
		world_push(w, g, 10000);
		WORLD_CHECK(w, world_until(w, SPAN_S(15), world_settled, f, 0),
			    "its own flow hangs");
		WORLD_CHECK(w, world_until(w, SPAN_S(15), world_settled, g, 0),
			    "the flow to it hangs");
		world_free(w);
	}
}

TEST(a_node_that_restarts_with_a_new_disco_key_is_reached_at_once)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *w = tailnet(seed, 2, seed % 2 ? &easy_nat : &no_udp);
		int f;

		(void)flow(w, 0, 1);
		world_run(w, SPAN_S(60)); /* nothing waits for an answer any more */
		world_restart(w, 1, seed % 3 == 0);
		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_running, 1, 0), "it does not run");
		world_run(w, SPAN_S(1)); /* the other has heard of the new key */
		f = world_transfer(w, 0, 1, 1000);
		WORLD_CHECK(w, world_until(w, SPAN_MS(500), world_done, f, 0),
			    "%zu bytes came back", world_progress(w, f));
		(void)flow(w, 1, 0);
		world_free(w);
	}
}

TEST(a_node_that_was_killed_and_kept_its_port_is_reached_by_who_speaks_first)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct world *w = tailnet(seed, 2, &open_host);
		int f = flow(w, 0, 1);

		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_direct, 0, 1), "not direct");
		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_located, 1, 0), "not located");
		world_run(w, SPAN_S(15));
		world_resume(w, 1);
		world_run(w, SPAN_MS(100 * (int64_t)seed)); /* a heartbeat comes every three */
		f = world_transfer(w, 0, 1, 1000);
		WORLD_CHECK(w, world_until(w, SPAN_MS(1500), world_done, f, 0),
			    "seed %d: %zu bytes came back", (int)seed, world_progress(w, f));
		world_free(w);
	}
}

TEST(a_node_that_starts_while_control_is_away_uses_its_stored_netmap)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *w = tailnet(seed, 2, seed % 2 ? &easy_nat : &no_udp);

		world_run(w, SPAN_S(20));
		world_control(w, false);
		world_restart(w, 1, true);
		(void)flow(w, 1, 0);
		(void)flow(w, 0, 1);
		world_run(w, SPAN_S(120));
		world_control(w, true);
		world_run(w, SPAN_S(120));
		(void)flow(w, 0, 1);
		world_free(w);
	}
}

TEST(a_host_that_slept_goes_on_with_its_flows)
{
	static const int seconds[] = { 2, 30, 200, 1000 };

	for (uint64_t k = 0; k < 4; k++) {
		struct world *w = tailnet(k + 1, 2, k % 2 ? &easy_nat : &no_udp);
		int f = flow(w, 0, 1), g = flow(w, 1, 0);

		world_run(w, SPAN_S(10));
		world_sleep(w, 0, SPAN_S(seconds[k]));
		world_run(w, SPAN_S(seconds[k]));
		goes_on(w, f, SPAN_S(15));
		goes_on(w, g, SPAN_S(15));
		world_free(w);
	}
}

TEST(wall_clocks_that_jump_break_nothing)
{
	static const int64_t jumps[] = { 86400, -3600, -86400 * 30, 86400 * 30, 1, -1 };

	for (size_t k = 0; k < sizeof jumps / sizeof jumps[0]; k++) {
		struct world *w = tailnet(k + 1, 2, &easy_nat);
		int f = flow(w, 0, 1);

		world_wall_jump(w, SPAN_S(jumps[k]));
		for (int i = 0; i < 20; i++) { /* past two rekeys */
			world_run(w, SPAN_S(15));
			goes_on(w, f, SPAN_S(10));
		}
		(void)flow(w, 1, 0);
		world_free(w);
	}
}

TEST(everything_at_once_heals)
{
	struct world *w = tailnet(9, 4, &easy_nat);
	int f[4];

	for (int i = 0; i < 4; i++)
		f[i] = flow(w, i, (i + 1) % 4);
	world_control(w, false);
	world_relay(w, 0, false);
	world_move(w, 0);
	world_udp(w, 1, false);
	world_run(w, SPAN_S(20));
	world_control(w, true);
	world_relay(w, 0, true);
	for (int i = 0; i < 4; i++)
		goes_on(w, f[i], SPAN_S(60));
	world_free(w);
}

__attribute__((constructor)) static void limit(void)
{
	harness_timeout(60);
}
