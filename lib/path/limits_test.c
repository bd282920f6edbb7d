/* path/limits_test.c - what peers, strangers and sheer numbers can make the path machine hold; each
 * limit at its limit */
#include <errno.h>
#include <malloc.h>

#include "path/path_priv.h"
#include "tests/path_fixture.h"

static struct ipport address(unsigned i)
{
	return (struct ipport){ ip_v4(198, 51, (uint8_t)(i >> 8), (uint8_t)i), 1000 };
}

TEST(candidates_of_the_netmap_are_taken_up_to_100_and_the_rest_is_counted)
{
	struct world *w = world_new(false);
	struct ipport eps[PATH_ENDPOINTS_MAX + 5], listed = at("192.0.2.1:1");

	for (unsigned i = 0; i < ARRAY_LEN(eps); i++)
		eps[i] = address(i);
	peer_set(w, 1, 0, eps, PATH_ENDPOINTS_MAX);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_ENDPOINT_LIMIT], 0);
	peer_set(w, 1, 0, eps, PATH_ENDPOINTS_MAX + 5);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_ENDPOINT_LIMIT], 5);
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), PATH_ENDPOINTS_MAX);
	feed_call(w, 0, NULL, &listed, 1); /* all places are control's: no room */
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_ENDPOINT_LIMIT], 6);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &listed), 0);
	world_free(w);
}

TEST(a_call_me_maybe_of_hundreds_of_endpoints_gives_at_most_100_candidates)
{
	struct world *w = world_new(false);
	struct ipport eps[400];

	for (unsigned i = 0; i < ARRAY_LEN(eps); i++)
		eps[i] = address(i);
	peer_set(w, 1, 0, NULL, 0);
	feed_call(w, 0, NULL, eps, ARRAY_LEN(eps));
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), PATH_ENDPOINTS_MAX);
	ck_assert_uint_eq(w->p->peers[1].live->n_cands, PATH_ENDPOINTS_MAX);
	world_free(w);
}

TEST(candidates_learned_from_pings_are_limited_the_newest_stay_and_expire_after_45_s)
{
	struct world *w = world_new(false);
	struct ipport netmap = at("192.0.2.1:1");

	peer_set(w, 1, 0, &netmap, 1);
	for (unsigned i = 0; i < 1000; i++) {
		struct ipport from = address(i);

		w->now = mono_add(w->now, SPAN_MS(1));
		feed_ping(w, 0, &from, (uint8_t)(i + 1));
	}
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, NULL), 1000);
	ck_assert_uint_eq(w->p->peers[1].live->n_cands, LEARNED_MAX + 1);
	ck_assert_uint_le(w->p->by_addr.n, LEARNED_MAX + 1);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_ENDPOINT_LIMIT], 1000 - LEARNED_MAX);
	forget_log(w);
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &(struct ipport){ address(999).ip, 1000 }), 1);
	advance(w, 51000);
	forget_log(w);
	send_to(w, 1);
	ck_assert_uint_eq(w->p->peers[1].live->n_cands, 1);
	world_free(w);
}

TEST(a_peer_that_floods_call_me_maybe_gets_no_more_than_128_pings_in_5_s)
{
	struct world *w = world_new(false);

	peer_set(w, 1, 0, NULL, 0);
	for (unsigned round = 0; round < 50; round++) {
		struct ipport eps[50];

		for (unsigned i = 0; i < ARRAY_LEN(eps); i++)
			eps[i] = address(round * 50 + i);
		feed_call(w, 0, NULL, eps, ARRAY_LEN(eps));
	}
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), PINGS_PER_PEER);
	ck_assert_uint_eq(w->p->n_pings, PINGS_PER_PEER);
	advance(w, 5001);
	ck_assert_uint_eq(w->p->n_pings, 0);
	ck_assert_uint_le(w->p->cap_pings, 32); /* the table was given back */
	world_free(w);
}

/* What was asked with the key before is outstanding no more, but it went out. */
TEST(a_peer_that_changes_its_disco_key_all_the_time_gets_no_more_pings_than_another)
{
	struct world *w = world_new(false);
	struct ipport eps[20];

	for (unsigned i = 0; i < ARRAY_LEN(eps); i++)
		eps[i] = address(i);
	peer_set(w, 1, 0, eps, ARRAY_LEN(eps));
	send_to(w, 1);
	for (int turn = 0; turn < 60; turn++) {
		path_set_disco_key(w->p, w->now, 1, &w->r[1 - turn % 2].disco_pub);
		advance(w, 50);
		ck_assert_uint_le(n_udp(w, DISCO_PING, NULL), PINGS_PER_PEER);
	}
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), PINGS_PER_PEER);
	advance(w, 6000);
	forget_log(w);
	path_set_disco_key(w->p, w->now, 1, &w->r[1].disco_pub);
	send_to(w, 1); /* and when it rests it is looked for at once */
	advance(w, 50);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), ARRAY_LEN(eps));
	world_free(w);
}

TEST(packets_that_nobody_pulls_are_queued_up_to_the_limit_and_then_counted)
{
	struct world *w = world_new(false);
	struct ipport from = at("203.0.113.9:1234");
	struct path_send s;
	size_t n = 0;

	peer_set(w, 1, 0, NULL, 0);
	for (unsigned i = 0; i < OUT_MAX + 10; i++) {
		const uint8_t txid[DISCO_TXID] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };
		uint8_t plain[64], packet[256];
		size_t len = disco_ping_emit(plain, sizeof plain, txid, &w->r[0].node, 0);

		len = remote_seal(w, 0, plain, len, packet);
		path_feed_udp(w->p, w->now, &from, packet, len);
	}
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_QUEUE_FULL], 10);
	while (path_pull(w->p, w->now, &s))
		n++;
	ck_assert_uint_eq(n, OUT_MAX);
	world_free(w);
}

TEST(command_line_pings_beyond_their_limit_time_out_at_once)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);

	for (uint64_t i = 0; i < CLI_PINGS_MAX + 20; i++)
		path_ping(w->p, w->now, 1, i, 0);
	drain(w);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), CLI_PINGS_MAX - 1);
	ck_assert_uint_eq(n_events(w, PATH_EV_PING_TIMEOUT), 21);
	advance(w, 5000);
	ck_assert_uint_eq(n_events(w, PATH_EV_PING_TIMEOUT), CLI_PINGS_MAX + 20);
	ck_assert_uint_eq(w->p->n_cli_pings, 0);
	world_free(w);
}

static void set_many(struct world *w, uint32_t n)
{
	struct ipport eps[4];

	for (uint32_t i = 0; i < n; i++) {
		struct path_peer conf = { .endpoints = eps,
					  .n_endpoints = ARRAY_LEN(eps),
					  .home_derp = HOME };

		for (unsigned k = 0; k < ARRAY_LEN(eps); k++)
			eps[k] = address(i * 4 + k);
		rng_fill(&w->rng.rng, conf.node.b, KEY_LEN);
		rng_fill(&w->rng.rng, conf.disco.b, KEY_LEN);
		ck_assert_int_eq(path_peer_set(w->p, w->now, i, &conf), 0);
	}
}

TEST(ten_thousand_idle_peers_cause_no_wake_up_and_cost_few_bytes)
{
	enum { N = 10000 };
	struct world *w = world_new(false);
#if !defined(__SANITIZE_ADDRESS__)
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, used;

	set_many(w, N);
	used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
	printf("path: %zu bytes an idle peer with 4 endpoints\n", used / N);
	ck_assert_uint_le(used / N, 400);
#else
	set_many(w, N);
#endif
	ck_assert(mono_is_never(path_deadline(w->p)));
	for (uint32_t i = 0; i < N; i++)
		path_peer_del(w->p, i);
	ck_assert_uint_eq(w->p->by_node.n + w->p->by_disco.n, 0);
	world_free(w);
}

TEST(a_peer_once_active_is_forgotten_540_s_after_its_last_traffic_and_wakes_nobody_then)
{
	struct world *w = world_new(false);
	struct path_peer_stat st;

	make_direct(w);
	send_to(w, 1);
	advance(w, 46000);
	ck_assert(path_peer_stat(w->p, w->now, 1, &st) && !st.active);
	ck_assert_ptr_nonnull(w->p->peers[1].live);
	advance(w, 540000);
	ck_assert_ptr_null(w->p->peers[1].live);
	ck_assert(mono_is_never(path_deadline(w->p)));
	ck_assert_uint_eq(w->p->by_addr.n, 0);
	ck_assert_uint_eq(send_to(w, 1).derp, HOME); /* and is found again by the first packet */
	world_free(w);
}

TEST(heartbeats_of_a_thousand_active_peers_stop_when_their_traffic_does)
{
	enum { N = 1000 };
	struct world *w = world_new(false);
	struct path_send s;
	struct path_event ev;
	size_t ticks = 0;

	set_many(w, N);
	for (uint32_t i = 0; i < N; i++)
		(void)path_route(w->p, w->now, i);
	while (!mono_is_never(path_deadline(w->p)) && ticks++ < 1000000) {
		w->now = mono_max(w->now, path_deadline(w->p));
		path_tick(w->p, w->now);
		while (path_pull(w->p, w->now, &s))
			continue;
		while (path_next(w->p, &ev))
			continue;
	}
	ck_assert_uint_eq(w->p->n_heap, 0);
	ck_assert_uint_eq(w->p->n_pings, 0);
	ck_assert_uint_lt(ticks, 2000); /* all peers share their instants here */
	world_free(w);
}

TEST(deleting_a_peer_takes_its_pings_and_packets_along)
{
	struct world *w = world_new(false);
	const struct ipport eps[2] = { at("192.0.2.1:1"), at("192.0.2.2:2") };
	struct path_send s;
	uint32_t peer;

	peer_set(w, 1, 0, eps, 2);
	(void)path_route(w->p, w->now, 1);
	ck_assert_uint_eq(w->p->n_pings, 2);
	path_peer_del(w->p, 1);
	ck_assert_uint_eq(w->p->n_pings, 0);
	ck_assert(!path_pull(w->p, w->now, &s));
	ck_assert(!path_peer_at(w->p, &eps[0], &peer));
	ck_assert_uint_eq(path_route(w->p, w->now, 1).derp, 0);
	world_free(w);
}

TEST(who_is_told_to_be_at_an_address_is_looked_up_four_times_a_second)
{
	struct world *w = world_new(false);
	const struct ipport eps[3] = { at("192.0.2.1:1"), at("192.0.2.2:2"), at("192.0.2.2:1") };
	uint32_t peer = 77;

	peer_set(w, 1, 0, eps, 1);
	peer_set(w, 5, 1, eps, 2);
	ck_assert(!path_peer_told(w->p, w->now, &eps[2], &peer));
	ck_assert_uint_eq(peer, 77);
	w->now = mono_add(w->now, SPAN_MS(TOLD_GAP_MS - 1));
	ck_assert(!path_peer_told(w->p, w->now, &eps[1], &peer)); /* too early to look */
	w->now = mono_add(w->now, SPAN_MS(1));
	ck_assert(path_peer_told(w->p, w->now, &eps[1], &peer));
	ck_assert_uint_eq(peer, 5);
	ck_assert(!path_peer_at(w->p, &eps[1], &peer)); /* which proves nothing */
	path_peer_del(w->p, 5);
	w->now = mono_add(w->now, SPAN_MS(TOLD_GAP_MS));
	ck_assert(!path_peer_told(w->p, w->now, &eps[1], &peer));
	world_free(w);
}

TEST(a_hostile_disco_key_of_low_order_costs_one_attempt_and_no_memory)
{
	struct world *w = world_new(false);
	struct ipport ep = at("192.0.2.1:1");
	struct path_peer conf = { .endpoints = &ep, .n_endpoints = 1, .home_derp = HOME };

	conf.node.b[0] = 1;
	conf.disco.b[0] = 1; /* the point of order 1 */
	ck_assert_int_eq(path_peer_set(w->p, w->now, 1, &conf), 0);
	ck_assert_uint_eq(send_to(w, 1).derp, HOME);
	ck_assert_uint_eq(w->n_log, 0);
	ck_assert(w->p->peers[1].bad_disco);
	ck_assert_ptr_null(w->p->peers[1].shared);
	world_free(w);
}

TEST(outstanding_pings_of_all_peers_together_are_limited_and_heartbeats_come_back_after_5_s)
{
	enum { N = PINGS_MAX / 4 + 100 };
	struct world *w = world_new(false);
	struct path_send s;

	set_many(w, N);
	for (uint32_t i = 0; i < N; i++) {
		(void)path_route(w->p, w->now, i);
		while (path_pull(w->p, w->now, &s))
			continue;
	}
	ck_assert_uint_eq(w->p->n_pings, PINGS_MAX);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_QUEUE_FULL], 400);
	w->now = mono_add(w->now, SPAN_S(5));
	ping_tick(w->p, w->now);
	ck_assert_uint_eq(w->p->n_pings, 0);
	world_free(w);
}

TEST(events_that_nobody_takes_are_kept_up_to_the_limit_and_then_counted)
{
	struct world *w = world_new(false);
	struct path_event ev;
	size_t n = 0;

	for (uint64_t i = 0; i < EVENTS_MAX + 7; i++)
		path_ping(w->p, w->now, 5, i, 0); /* no such peer: times out at once */
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_QUEUE_FULL], 7);
	while (path_next(w->p, &ev))
		n++;
	ck_assert_uint_eq(n, EVENTS_MAX);
	world_free(w);
}

TEST(a_call_me_maybe_of_ours_lists_at_most_32_endpoints)
{
	struct world *w = world_new(false);
	struct ipport own[OWN_MAX + 8], ep = at("192.0.2.1:1");

	for (unsigned i = 0; i < ARRAY_LEN(own); i++)
		own[i] = address(i);
	peer_set(w, 1, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, own, ARRAY_LEN(own));
	send_to(w, 1);
	advance(w, 10);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	ck_assert_uint_eq(w->log[w->n_log - 1].msg.n_endpoints, OWN_MAX);
	world_free(w);
}

TEST(a_ping_concerns_at_most_16_peers_that_share_its_key)
{
	struct world *w = world_new(false);
	struct path_peer conf = { .disco = w->r[0].disco_pub, .home_derp = HOME };
	struct ipport from = at("203.0.113.9:1234");

	for (uint32_t i = 0; i < SHARED_DISCO_MAX + 4; i++) {
		conf.node.b[0] = (uint8_t)(i + 1);
		ck_assert_int_eq(path_peer_set(w->p, w->now, i, &conf), 0);
	}
	feed_ping(w, 0, &from, 1);
	ck_assert_uint_eq(w->p->n_heap, SHARED_DISCO_MAX);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, &from), 1);
	world_free(w);
}

/* Sixteen nodes that claim a key (control does not look, and each may claim it by itself) would
 * deafen us to its owner. */
TEST(a_peer_is_heard_and_answered_however_many_claim_its_disco_key)
{
	struct world *w = world_new(false);
	struct path_peer conf = { .disco = w->r[0].disco_pub, .home_derp = HOME };
	struct ipport from = at("203.0.113.9:1234");
	const uint32_t last = SHARED_DISCO_MAX + 4;
	uint32_t peer;

	for (uint32_t i = 0; i < last; i++) {
		conf.node.b[0] = (uint8_t)(i + 1);
		ck_assert_int_eq(path_peer_set(w->p, w->now, i, &conf), 0);
	}
	peer_set(w, last, 0, &from, 1);
	feed_ping(w, 0, &from, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, &from), 1);
	ck_assert(path_peer_at(w->p, &from, &peer));
	ck_assert_uint_eq(peer, last);
	send_to(w, last);
	answer(w, 0, &from, 1);
	ck_assert(ipport_eq(&(struct ipport){ send_to(w, last).udp.ip, 1234 }, &from));
	ck_assert_uint_eq(send_to(w, last).derp, 0);
	world_free(w);
}

TEST(a_peer_number_past_the_table_is_refused)
{
	struct world *w = world_new(false);
	const struct path_peer conf = { .node = w->r[0].node };

	ck_assert_int_eq(path_peer_set(w->p, w->now, PEERS_MAX, &conf), -ENOMEM);
	ck_assert_int_eq(path_peer_set(w->p, w->now, UINT32_MAX, &conf), -ENOMEM);
	ck_assert_uint_eq(w->p->cap_peers, 0);
	world_free(w);
}
