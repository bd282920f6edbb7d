/* path/path_test.c - the check list of data-plane.md 2.11 item by item, and the rules of 2.3 to 2.7
 */
#include "tests/path_fixture.h"

/* --- data-plane.md 2.11 --- */

TEST(checklist_1_only_the_current_disco_key_of_a_peer_is_heard_and_spoken_to)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);
	struct path_peer_stat st;

	w->r[1].node = w->r[0].node; /* the node restarted: same node key, other disco key */
	peer_set(w, 1, 1, &ep, 1);
	ck_assert(path_peer_stat(w->p, w->now, 1, &st));
	ck_assert(ip_is_zero(&st.best.ip));
	feed_ping(w, 0, &ep, 1);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_UNKNOWN_SENDER], 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, NULL), 0);
	forget_log(w);
	send_to(w, 1);
	ck_assert_int_eq(last_ping(w, &ep)->remote, 1);
	answer(w, 1, &ep, 1);
	ck_assert(path_peer_stat(w->p, w->now, 1, &st) && st.trusted);
	world_free(w);
}

TEST(checklist_2_a_ping_is_answered_at_once_over_udp_and_derp_with_its_true_source)
{
	struct world *w = world_new(false);
	const struct ipport from[2] = { at("203.0.113.9:1234"), at("[2001:db8::9]:4321") };
	const struct ipport relay = at("127.3.3.40:7");

	peer_set(w, 1, 0, NULL, 0);
	for (int i = 0; i < 2; i++) {
		feed_ping(w, 0, &from[i], (uint8_t)(i + 1));
		ck_assert_uint_eq(w->n_log, 1);
		ck_assert_uint_eq(w->log[0].msg.type, DISCO_PONG);
		ck_assert(ipport_eq(&w->log[0].udp, &from[i]));
		ck_assert(ipport_eq(&w->log[0].msg.src, &from[i]));
		ck_assert_uint_eq(w->log[0].msg.txid[0], i + 1);
		forget_log(w);
	}
	feed_ping(w, 0, NULL, 9);
	ck_assert_uint_eq(w->n_log, 1);
	ck_assert_uint_eq(w->log[0].msg.type, DISCO_PONG);
	ck_assert(ip_is_zero(&w->log[0].udp.ip));
	ck_assert_uint_eq(w->log[0].derp, HOME);
	ck_assert(key_eq(&w->log[0].derp_to, &w->r[0].node));
	ck_assert(ipport_eq(&w->log[0].msg.src, &relay));
	world_free(w);
}

TEST(checklist_3_without_a_trusted_address_traffic_always_has_the_peers_relay)
{
	struct world *w = world_new(false);
	struct path_route r;

	peer_set(w, 1, 0, NULL, 0);
	r = send_to(w, 1);
	ck_assert_uint_eq(r.derp, HOME);
	ck_assert(ip_is_zero(&r.udp.ip));
	make_direct(w);
	ck_assert_uint_eq(send_to(w, 1).derp, 0);
	advance(w, 6501 + 1);
	ck_assert_uint_eq(send_to(w, 1).derp, HOME);
	world_free(w);
}

TEST(checklist_4_a_call_me_maybe_makes_us_ping_all_listed_and_all_netmap_endpoints_at_once)
{
	struct world *w = world_new(false);
	const struct ipport netmap[2] = { at("192.0.2.1:1"), at("192.0.2.2:2") };
	const struct ipport listed[3] = { at("198.51.100.1:1"), at("[2001:db8::2]:2"),
					  at("192.0.2.2:2") };

	peer_set(w, 1, 0, netmap, 2);
	send_to(w, 1); /* pinged just now: the gap of 5 s does not count against the call */
	forget_log(w);
	feed_call(w, 0, NULL, listed, 3);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), 4);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(n_udp(w, DISCO_PING, &netmap[i]), 1);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(n_udp(w, DISCO_PING, &listed[i]), 1);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 0);
	world_free(w);
}

TEST(checklist_5_with_traffic_endpoints_are_pinged_first_and_call_me_maybe_follows)
{
	struct world *w = world_new(false);
	const struct ipport eps[2] = { at("192.0.2.1:1"), at("192.0.2.2:2") },
			    own = at("198.51.100.9:9");

	peer_set(w, 1, 0, eps, 2);
	path_set_endpoints(w->p, w->now, &own, 1);
	send_to(w, 1);
	advance(w, 10);
	ck_assert_uint_eq(w->n_log, 3);
	ck_assert_uint_eq(w->log[0].msg.type, DISCO_PING);
	ck_assert_uint_eq(w->log[1].msg.type, DISCO_PING);
	ck_assert_uint_eq(w->log[2].msg.type, DISCO_CALL_ME_MAYBE);
	ck_assert_uint_eq(w->log[2].derp, HOME);
	ck_assert_uint_eq(w->log[2].msg.n_endpoints, 1);
	ck_assert(ipport_eq(&w->log[2].eps[0], &own));
	world_free(w);
}

TEST(checklist_6_the_proven_address_is_pinged_every_3_s_while_sending_and_45_s_longer)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);
	mono_t start = w->now;

	send_to(w, 1);
	for (int beat = 0; beat < 30; beat++) {
		size_t n = w->n_log;

		advance(w, 3000);
		if (w->n_log == n)
			break;
		ck_assert_uint_eq(w->n_log, n + 1);
		answer(w, 0, &ep, 0);
	}
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 15); /* 45 s */
	advance(w, 60000);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 15);
	ck_assert_int_gt(mono_sub(w->now, start).ns, SPAN_S(100).ns);
	send_to(w, 1); /* traffic starts them again */
	advance(w, 3000);
	ck_assert_uint_gt(n_udp(w, DISCO_PING, &ep), 15);
	world_free(w);
}

TEST(checklist_7_only_a_pong_moves_traffic_a_new_source_address_does_not)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w), moved = at("192.0.2.77:7");
	struct path_route r;

	feed_ping(w, 0, &moved, 5);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	ck_assert_uint_eq(r.derp, 0);
	advance(w, 6600); /* trust is over: the moved address is pinged as well */
	send_to(w, 1);
	answer(w, 0, &moved, 2);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &moved));
	world_free(w);
}

TEST(checklist_8_our_node_key_is_in_every_ping)
{
	struct world *w = world_new(false);
	struct ipport ep = at("192.0.2.10:41641");
	struct key_pub other = { { 9 } };

	peer_set(w, 1, 0, &ep, 1);
	send_to(w, 1);
	ck_assert(last_ping(w, &ep)->msg.has_node);
	ck_assert(key_eq(&last_ping(w, &ep)->msg.node, &w->node));
	ck_assert_uint_eq(last_ping(w, &ep)->len, 124);
	path_set_node_key(w->p, &other);
	advance(w, 6000);
	ck_assert(key_eq(&last_ping(w, &ep)->msg.node, &other));
	world_free(w);
}

/* --- 2.3: what comes in --- */

TEST(a_duplicate_of_a_ping_is_not_answered_twice_over_udp_nor_over_a_relay)
{
	struct world *w = world_new(false);
	struct ipport from = at("203.0.113.9:1234");

	peer_set(w, 1, 0, NULL, 0);
	feed_ping(w, 0, &from, 1);
	feed_ping(w, 0, &from, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, NULL), 1);
	feed_ping(w, 0, &from, 2);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, NULL), 2);
	feed_ping(w, 0, NULL, 3);
	feed_ping(w, 0, NULL, 3);
	ck_assert_uint_eq(n_derp(w, DISCO_PONG), 1);
	world_free(w);
}

TEST(a_pong_counts_only_for_an_outstanding_transaction_of_that_peer_and_that_way)
{
	struct world *w = world_new(false);
	struct ipport ep = at("192.0.2.10:41641");
	uint8_t txid[DISCO_TXID] = { 1 };
	struct path_peer_stat st;

	peer_set(w, 1, 0, &ep, 1);
	peer_set(w, 2, 1, NULL, 0);
	send_to(w, 1);
	feed_pong(w, 0, &ep, txid); /* never sent */
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_UNKNOWN_TXID], 1);
	memcpy(txid, last_ping(w, &ep)->msg.txid, sizeof txid);
	feed_pong(w, 1, &ep, txid);  /* another peer claims it */
	feed_pong(w, 0, NULL, txid); /* the answer to a ping over UDP came through the relay */
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_UNKNOWN_TXID], 3);
	ck_assert(path_peer_stat(w->p, w->now, 1, &st) && !st.trusted);
	feed_pong(w, 0, &ep, txid);
	ck_assert(path_peer_stat(w->p, w->now, 1, &st) && st.trusted);
	feed_pong(w, 0, &ep, txid); /* again */
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_UNKNOWN_TXID], 4);
	world_free(w);
}

TEST(a_pong_after_the_5_s_of_a_ping_is_too_late)
{
	struct world *w = world_new(false);
	struct ipport ep = at("192.0.2.10:41641");
	uint8_t txid[DISCO_TXID];

	peer_set(w, 1, 0, &ep, 1);
	send_to(w, 1);
	memcpy(txid, last_ping(w, &ep)->msg.txid, sizeof txid);
	advance(w, 5000);
	feed_pong(w, 0, &ep, txid);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_UNKNOWN_TXID], 1);
	world_free(w);
}

TEST(call_me_maybe_skips_link_local_and_forgets_what_only_an_earlier_one_named)
{
	struct world *w = world_new(false);
	const struct ipport netmap = at("192.0.2.1:1");
	const struct ipport first[3] = { at("[fe80::1]:1"), at("198.51.100.1:1"),
					 at("169.254.1.1:5") };
	const struct ipport second = at("198.51.100.2:2");

	peer_set(w, 1, 0, &netmap, 1);
	feed_call(w, 0, NULL, first, 3);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), 2);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &first[1]), 1);
	forget_log(w);
	feed_call(w, 0, NULL, &second, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), 2);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &first[1]), 0);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &netmap), 1);
	world_free(w);
}

TEST(call_me_maybe_over_udp_is_dropped)
{
	struct world *w = world_new(false);
	const struct ipport from = at("203.0.113.9:1"), listed = at("192.0.2.1:1");

	peer_set(w, 1, 0, NULL, 0);
	feed_call(w, 0, &from, &listed, 1);
	ck_assert_uint_eq(w->n_log, 0);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_NOT_OVER_DERP], 1);
	world_free(w);
}

TEST(a_relayed_packet_whose_source_node_has_another_disco_key_is_dropped)
{
	struct world *w = world_new(false);
	uint8_t plain[64], packet[256];
	const uint8_t txid[DISCO_TXID] = { 1 };
	size_t n = disco_ping_emit(plain, sizeof plain, txid, &w->r[0].node, 0);

	peer_set(w, 1, 0, NULL, 0);
	peer_set(w, 2, 1, NULL, 0);
	n = remote_seal(w, 0, plain, n, packet);
	path_feed_derp(w->p, w->now, HOME, &w->r[1].node, packet, n);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_NODE_KEY], 1);
	path_feed_derp(w->p, w->now, HOME, &w->r[2].node, packet, n);
	ck_assert_uint_eq(path_drops(w->p)[PATH_DROP_UNKNOWN_SENDER], 1);
	drain(w);
	ck_assert_uint_eq(w->n_log, 0);
	world_free(w);
}

TEST(strangers_forgeries_and_unknown_messages_are_counted_and_ignored)
{
	struct world *w = world_new(false);
	const struct ipport from = at("203.0.113.9:1");
	uint8_t plain[100] = { DISCO_PING, 0 }, packet[256];
	const uint64_t *drops = path_drops(w->p);
	size_t n;

	peer_set(w, 1, 0, NULL, 0);
	feed_ping(w, 1, &from, 1);
	ck_assert_uint_eq(drops[PATH_DROP_UNKNOWN_SENDER], 1);
	n = remote_seal(w, 0, plain, 46, packet);
	packet[n - 1] ^= 1;
	path_feed_udp(w->p, w->now, &from, packet, n);
	ck_assert_uint_eq(drops[PATH_DROP_FORGED], 1);
	path_feed_udp(w->p, w->now, &from, packet, 61);
	ck_assert_uint_eq(drops[PATH_DROP_SHAPE], 1);
	feed_plain(w, 0, &from, plain, 5);
	ck_assert_uint_eq(drops[PATH_DROP_BODY], 1);
	plain[1] = 1;
	feed_plain(w, 0, &from, plain, 46);
	ck_assert_uint_eq(drops[PATH_DROP_VERSION], 1);
	plain[1] = 0;
	plain[0] = DISCO_CALL_ME_MAYBE_VIA;
	feed_plain(w, 0, NULL, plain, sizeof plain);
	plain[0] = 0x77;
	feed_plain(w, 0, &from, plain, sizeof plain);
	ck_assert_uint_eq(drops[PATH_DROP_TYPE], 2);
	ck_assert_uint_eq(w->n_log, 0);
	for (int i = 0; i < PATH_DROP_N; i++)
		ck_assert_ptr_nonnull(path_drop_names[i]);
	world_free(w);
}

TEST(nodes_that_share_a_disco_key_are_told_apart_by_the_node_key_in_the_ping)
{
	struct world *w = world_new(false);
	const struct ipport from = at("203.0.113.9:1234"), second = at("203.0.113.9:4321");
	uint32_t peer = 0;

	w->r[1] = w->r[0];
	w->r[1].node.b[0] ^= 1;
	peer_set(w, 1, 0, NULL, 0);
	peer_set(w, 2, 1, NULL, 0);
	feed_ping(w, 1, &from, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, &from), 1);
	ck_assert(path_peer_at(w->p, &from, &peer));
	ck_assert_uint_eq(peer, 2);
	feed_ping(w, 0, &second, 2);
	ck_assert(path_peer_at(w->p, &second, &peer));
	ck_assert_uint_eq(peer, 1);
	forget_log(w);
	send_to(w, 1); /* the address is a candidate of both */
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &from), 1);
	send_to(w, 2);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &from), 2);
	path_peer_del(w->p, 2);
	ck_assert(!path_peer_at(w->p, &from, &peer));
	feed_ping(w, 0, &from, 3);
	ck_assert(path_peer_at(w->p, &from, &peer));
	ck_assert_uint_eq(peer, 1);
	world_free(w);
}

/* --- 2.4, 2.5, 2.7: time and choice --- */

/* Whoever sends our own packets back to us would seem to be that peer. */
TEST(a_peer_that_claims_our_own_disco_key_is_reached_by_no_echo_of_ours)
{
	struct world *w = world_new(false);
	struct ipport echo = at("192.0.2.7:7");
	struct path_peer conf = { .node = w->r[0].node,
				  .disco = w->disco_pub,
				  .endpoints = &echo,
				  .n_endpoints = 1,
				  .home_derp = HOME };
	struct path_route r;
	struct path_send s;

	ck_assert_int_eq(path_peer_set(w->p, w->now, 1, &conf), 0);
	(void)path_route(w->p, w->now, 1);
	for (int i = 0; i < 10 && path_pull(w->p, w->now, &s); i++) {
		uint8_t back[DISCO_PACKET_MAX];

		memcpy(back, s.data, s.len);
		path_feed_udp(w->p, w->now, &echo, back, s.len);
	}
	r = path_route(w->p, w->now, 1);
	ck_assert(ip_is_zero(&r.udp.ip));
	ck_assert_uint_eq(r.derp, HOME);
	world_free(w);
}

TEST(
    traffic_goes_to_udp_and_relay_while_trust_is_expired_and_only_to_the_relay_when_the_ping_timed_out)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);
	struct path_route r = send_to(w, 1);

	ck_assert(ipport_eq(&r.udp, &ep));
	ck_assert_uint_eq(r.derp, 0);
	advance(w, 6600); /* heartbeats at 3 and 6 s stay unanswered */
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	ck_assert_uint_eq(r.derp, HOME);
	ck_assert_uint_eq(n_events(w, PATH_EV_RELAYED), 1);
	advance(w, 1500); /* 8 s: the ping of 3 s timed out */
	r = send_to(w, 1);
	ck_assert(ip_is_zero(&r.udp.ip));
	ck_assert_uint_eq(r.derp, HOME);
	answer(w, 0, &ep, 1);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	ck_assert_uint_eq(r.derp, 0);
	ck_assert_uint_eq(n_events(w, PATH_EV_DIRECT), 1);
	world_free(w);
}

TEST(one_endpoint_is_not_pinged_for_discovery_twice_within_5_s_however_much_is_sent)
{
	struct world *w = world_new(false);
	struct ipport ep = at("192.0.2.10:41641");

	peer_set(w, 1, 0, &ep, 1);
	for (int ms = 0; ms < 4900; ms += 100) {
		send_to(w, 1);
		advance(w, 100);
	}
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 1);
	advance(w, 200);
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 2);
	world_free(w);
}

TEST(an_unanswered_ping_is_repeated_once_when_the_peers_own_comes_in_and_not_for_a_copy_of_it)
{
	struct world *w = world_new(false);
	const struct ipport ep = at("192.0.2.10:41641"), other = at("192.0.2.11:1");
	const struct ipport eps[2] = { ep, other };

	peer_set(w, 1, 0, eps, 2);
	send_to(w, 1);
	advance(w, 30);
	feed_ping(w, 0, &ep, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 2);
	for (uint8_t id = 1; id < 20; id++) /* the first one again, then others */
		feed_ping(w, 0, &ep, id);
	feed_ping(w, 0, NULL, 30);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 2);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &other), 1);
	advance(w, 5000); /* the ordinary round goes on, and may be repeated again */
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 3);
	feed_ping(w, 0, &ep, 40);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 4);
	answer(w, 0, &ep, 1);
	feed_ping(w, 0, &other, 41); /* direct by now: nothing to hurry for */
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &other), 2);
	world_free(w);
}

TEST(unanswered_pings_are_repeated_once_a_second_after_the_call_and_answered_ones_are_not)
{
	struct world *w = world_new(false);
	const struct ipport ep = at("192.0.2.10:41641");

	peer_set(w, 1, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, &ep, 1);
	send_to(w, 1);
	advance(w, 10);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	advance(w, 999);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 1);
	advance(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 2);
	feed_ping(w, 0, &ep, 1); /* was repeated already */
	advance(w, 1900);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 2);
	world_free(w);

	w = world_new(false);
	make_direct(w); /* answered within a millisecond */
	advance(w, 2900);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), 0);
	world_free(w);
}

TEST(a_call_leaves_a_second_of_trust_unless_the_address_answers)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);

	feed_call(w, 0, NULL, &ep, 1);
	answer(w, 0, &ep, 5);
	advance(w, 2000);
	ck_assert_uint_eq(send_to(w, 1).derp, 0);
	feed_call(w, 0, NULL, &ep, 1);
	ck_assert_uint_eq(send_to(w, 1).derp, 0);
	advance(w, 1001);
	ck_assert_uint_eq(send_to(w, 1).derp, HOME);
	world_free(w);
}

TEST(a_peer_that_called_is_called_back_once_in_5_s_when_there_is_traffic_for_it)
{
	struct world *w = world_new(false);
	const struct ipport ep = at("192.0.2.10:41641");

	peer_set(w, 1, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, &ep, 1);
	feed_call(w, 0, NULL, &ep, 1); /* idle: nobody is called back */
	advance(w, 100);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 1);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 0);
	for (int i = 0; i < 20; i++) { /* the first traffic; then calls as echoes of ours */
		send_to(w, 1);
		advance(w, 100);
		feed_call(w, 0, NULL, &ep, 1);
	}
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	answer(w, 0, &ep, 1);
	advance(w, 5000); /* the path was proven by then: no reason to call */
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	world_free(w);
}

TEST(a_new_address_that_a_peer_in_use_pings_from_is_pinged_at_once_an_idle_peers_is_not)
{
	struct world *w = world_new(false);
	const struct ipport from = at("203.0.113.9:1234"), later = at("203.0.113.9:1235");

	peer_set(w, 1, 0, NULL, 0);
	feed_ping(w, 0, &from, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), 0);
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &from), 1);
	feed_ping(w, 0, &later, 2);
	feed_ping(w, 0, &later, 3);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &later),
			  2); /* the second as a repeat, then no more */
	feed_ping(w, 0, &later, 4);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &later), 2);
	world_free(w);
}

TEST(a_full_round_is_repeated_every_60_s_on_a_slow_trusted_path_and_never_on_a_fast_one)
{
	for (int latency = 4; latency <= 8; latency += 4) {
		struct world *w = world_new(false);
		const struct ipport eps[2] = { at("192.0.2.1:1"), at("192.0.2.2:2") };
		size_t others = 0;

		peer_set(w, 1, 0, eps, 2);
		send_to(w, 1);
		answer(w, 0, &eps[0], latency);
		forget_log(w);
		for (int s = 0; s < 200; s += 3) {
			send_to(w, 1);
			advance(w, 3000 - latency);
			answer(w, 0, &eps[0], latency);
			others = n_udp(w, DISCO_PING, &eps[1]);
		}
		if (latency > 5)
			ck_assert_uint_eq(others, 3);
		else
			ck_assert_uint_eq(others, 0);
		world_free(w);
	}
}

TEST(call_me_maybe_waits_for_a_fresh_stun_when_own_endpoints_are_older_than_27_s)
{
	struct world *w = world_new(false);
	struct ipport ep = at("192.0.2.10:41641"), old = at("198.51.100.1:1"),
		      fresh = at("198.51.100.2:2");

	peer_set(w, 1, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, &old, 1);
	advance(w, 27001);
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 1);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 0);
	ck_assert_uint_eq(n_events(w, PATH_EV_WANT_STUN), 1);
	advance(w, 300);
	path_set_endpoints(w->p, w->now, &fresh, 1);
	drain(w);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	ck_assert(ipport_eq(&w->log[w->n_log - 1].eps[0], &fresh));
	path_set_endpoints(w->p, w->now, &fresh, 1);
	drain(w);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	ck_assert_uint_eq(n_events(w, PATH_EV_WANT_STUN), 1);
	world_free(w);
}

TEST(own_endpoints_that_change_soon_after_a_call_are_told_at_once_to_peers_that_are_not_direct_yet)
{
	struct world *w = world_new(false);
	const struct ipport ep = at("192.0.2.10:41641"), local = at("10.0.0.2:41641");
	const struct ipport both[2] = { at("198.51.100.2:2"), local };

	peer_set(w, 1, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, &local, 1); /* before the first STUN round */
	send_to(w, 1);
	advance(w, 10);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	advance(w, 200);
	path_set_endpoints(w->p, w->now, both, 2);
	drain(w);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 2);
	ck_assert_uint_eq(w->log[w->n_log - 1].msg.n_endpoints, 2);
	path_set_endpoints(w->p, w->now, both, 2); /* the same again */
	answer(w, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, &local, 1); /* direct by now */
	drain(w);
	ck_assert_uint_eq(n_derp(w, DISCO_CALL_ME_MAYBE), 2);
	world_free(w);
}

TEST(call_me_maybe_goes_out_with_what_there_is_when_stun_never_finishes)
{
	struct world *w = world_new(false);
	struct ipport ep = at("192.0.2.10:41641");

	peer_set(w, 1, 0, &ep, 1);
	send_to(w, 1);
	ck_assert_uint_eq(n_events(w, PATH_EV_WANT_STUN), 1);
	advance(w, 6000);
	ck_assert_uint_ge(n_derp(w, DISCO_CALL_ME_MAYBE), 1);
	world_free(w);
}

TEST(a_failed_send_clears_the_best_address_and_the_others_are_tried_at_once)
{
	struct world *w = world_new(false);
	const struct ipport eps[2] = { at("192.0.2.1:1"), at("192.0.2.2:2") };
	struct path_route r;

	peer_set(w, 1, 0, eps, 2);
	send_to(w, 1);
	answer(w, 0, &eps[0], 1);
	advance(w, 6000);
	answer(w, 0, &eps[0], 1);
	forget_log(w);
	path_send_failed(w->p, w->now, &eps[0]);
	r = send_to(w, 1);
	ck_assert(ip_is_zero(&r.udp.ip));
	ck_assert_uint_eq(r.derp, HOME);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &eps[1]), 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &eps[0]), 0);
	ck_assert_uint_eq(n_events(w, PATH_EV_RELAYED), 1);
	for (int i = 0; i < 100;
	     i++) { /* an unreachable address costs a ping per gap, not per packet */
		path_send_failed(w->p, w->now, &eps[0]);
		send_to(w, 1);
	}
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), 1);
	world_free(w);
}

TEST(
    a_changed_link_doubts_every_best_address_and_active_peers_are_probed_without_waiting_for_traffic)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);
	struct path_route r;

	send_to(w, 1);
	forget_log(w);
	path_link_changed(w->p, w->now);
	advance(w, 0);
	ck_assert_uint_ge(n_udp(w, DISCO_PING, &ep), 1);
	ck_assert_uint_eq(n_events(w, PATH_EV_WANT_STUN), 1);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	ck_assert_uint_eq(r.derp, HOME);
	answer(w, 0, &ep, 1);
	ck_assert_uint_eq(send_to(w, 1).derp, 0);
	world_free(w);
}

TEST(a_key_that_the_peer_itself_told_is_not_undone_by_a_netmap_that_repeats_the_old_one)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);

	path_set_disco_key(w->p, w->now, 1, &w->r[1].disco_pub);
	peer_set(w, 1, 0, &ep, 1); /* control knows nothing yet */
	send_to(w, 1);
	ck_assert_int_eq(last_ping(w, &ep)->remote, 1);
	w->r[2].node = w->r[0].node;
	peer_set(w, 1, 2, &ep, 1); /* control's news */
	send_to(w, 1);
	ck_assert_int_eq(last_ping(w, &ep)->remote, 2);
	world_free(w);
}

TEST(the_relay_a_peer_was_heard_on_is_used_until_it_is_gone)
{
	struct world *w = world_new(false);

	peer_set(w, 1, 0, NULL, 0);
	path_note_derp(w->p, w->now, 1, 3);
	ck_assert_uint_eq(send_to(w, 1).derp, 3);
	path_derp_gone(w->p, w->now, 9, &w->r[0].node);
	ck_assert_uint_eq(send_to(w, 1).derp, 3);
	path_derp_gone(w->p, w->now, 3, &w->r[0].node);
	ck_assert_uint_eq(send_to(w, 1).derp, HOME);
	path_note_derp(w->p, w->now, 1, 3);
	path_derp_gone(w->p, w->now, 3, NULL);
	ck_assert_uint_eq(send_to(w, 1).derp, HOME);
	world_free(w);
}

TEST(derp_only_neither_tries_nor_offers_nor_answers_udp)
{
	struct world *w = world_new(true);
	struct ipport ep = at("192.0.2.10:41641");
	struct path_route r;

	peer_set(w, 1, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, &ep, 1);
	r = send_to(w, 1);
	ck_assert_uint_eq(r.derp, HOME);
	feed_ping(w, 0, &ep, 1);
	feed_call(w, 0, NULL, &ep, 1);
	advance(w, 10000);
	ck_assert_uint_eq(w->n_log, 0);
	feed_ping(w, 0, NULL, 2);
	ck_assert_uint_eq(n_derp(w, DISCO_PONG), 1);
	world_free(w);
}

TEST(a_wireguard_only_peer_gets_no_disco_and_follows_where_it_is_heard_from)
{
	struct world *w = world_new(false);
	const struct ipport ep = at("192.0.2.1:1"), other = at("192.0.2.2:2");
	const struct path_peer conf = {
		.node = w->r[0].node, .endpoints = &ep, .n_endpoints = 1, .wireguard_only = true
	};
	struct path_route r;

	ck_assert_int_eq(path_peer_set(w->p, w->now, 1, &conf), 0);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	ck_assert_uint_eq(r.derp, 0);
	path_note_udp(w->p, w->now, 1, &other);
	advance(w, 4000);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &other));
	advance(w, 20000);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	ck_assert_uint_eq(w->n_log, 0);
	world_free(w);
}

/* --- path_ping --- */

TEST(path_ping_reports_the_answer_of_the_present_route_once_with_its_token)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);

	path_ping(w->p, w->now, 1, 77, 1280);
	drain(w);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 1);
	ck_assert_uint_eq(last_ping(w, &ep)->len, 1280 - 28);
	answer(w, 0, &ep, 5);
	ck_assert_uint_eq(n_events(w, PATH_EV_PONG), 1);
	ck_assert_uint_eq(w->ev[0].token, 77);
	ck_assert_int_eq(span_ms(w->ev[0].latency), 5);
	ck_assert(ipport_eq(&w->ev[0].addr, &ep));
	world_free(w);
}

TEST(path_ping_over_the_relay_is_answered_over_the_relay_and_proves_no_address)
{
	struct world *w = world_new(false);
	struct path_peer_stat st;

	peer_set(w, 1, 0, NULL, 0);
	path_ping(w->p, w->now, 1, 5, 0);
	drain(w);
	ck_assert_uint_eq(n_derp(w, DISCO_PING), 1);
	feed_pong(w, 0, NULL, w->log[0].msg.txid);
	ck_assert_uint_eq(n_events(w, PATH_EV_PONG), 1);
	ck_assert_uint_eq(w->ev[0].derp, HOME);
	ck_assert(path_peer_stat(w->p, w->now, 1, &st));
	ck_assert(!st.trusted && ip_is_zero(&st.best.ip));
	world_free(w);
}

TEST(path_ping_without_an_answer_times_out_once_though_two_ways_were_tried)
{
	struct world *w = world_new(false);

	make_direct(w);
	send_to(w, 1);
	advance(w, 6600);
	forget_log(w);
	path_ping(w->p, w->now, 1, 5, 0);
	drain(w);
	ck_assert_uint_eq(n_derp(w, DISCO_PING), 1);
	advance(w, 6000);
	ck_assert_uint_eq(n_events(w, PATH_EV_PING_TIMEOUT), 1);
	path_ping(w->p, w->now, 99, 6, 0); /* no such peer */
	drain(w);
	ck_assert_uint_eq(n_events(w, PATH_EV_PING_TIMEOUT), 2);
	world_free(w);
}

TEST(a_best_address_that_nobody_names_any_more_stays_while_it_answers_and_goes_when_it_does_not)
{
	struct world *w = world_new(false);
	const struct ipport ep = make_direct(w), next = at("192.0.2.20:41641");
	struct path_route r;

	peer_set(w, 1, 0, &next, 1);
	for (int i = 0; i < 40; i++) { /* two minutes, rounds at 60 s included: the path is slow */
		send_to(w, 1);
		advance(w, 3000);
		answer(w, 0, &ep, 10);
		r = send_to(w, 1);
		ck_assert(ipport_eq(&r.udp, &ep));
	}
	advance(w, 60000);
	forget_log(w);
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 0);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &next), 1);
	world_free(w);
}

TEST(a_new_home_of_the_peer_outdates_the_relay_it_was_heard_on)
{
	struct world *w = world_new(false);
	struct path_peer conf = { .home_derp = 9 };

	peer_set(w, 1, 0, NULL, 0);
	path_note_derp(w->p, w->now, 1, 3);
	conf.node = w->r[0].node;
	conf.disco = w->r[0].disco_pub;
	ck_assert_int_eq(path_peer_set(w->p, w->now, 1, &conf), 0);
	ck_assert_uint_eq(send_to(w, 1).derp, 9);
	world_free(w);
}
