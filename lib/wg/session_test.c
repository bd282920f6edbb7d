/* wg/session_test.c - sessions and timers of two interfaces over a bad link */
#include "tests/wg_pair.h"

/* --- sessions --- */

TEST(a_first_packet_is_staged_and_arrives_after_one_handshake)
{
	struct net *t = net_new(1);
	struct wg_peer_stat st;

	say(t, A);
	run_for(t, SPAN_MS(200));
	ck_assert_uint_eq(arrived(t, B), 1);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 1);
	ck_assert_uint_eq(t->sent_type[B][MSG_RESP], 1);
	ck_assert_uint_eq(t->first[A], 1);
	ck_assert_uint_eq(t->first[B], 1);
	say(t, B);
	run_for(t, SPAN_MS(200));
	ck_assert_uint_eq(arrived(t, A), 1);
	ck_assert_uint_eq(t->sent_type[B][MSG_INIT], 0);
	ck_assert(wg_peer_stat(t->wg[A], 3, &st));
	ck_assert(st.has_session && !st.handshaking && st.last_handshake.ns > wall0.ns);
	net_free(t);
}

TEST(seven_minutes_of_traffic_have_rekeys_and_no_gap)
{
	struct net *t = net_new(2);

	for (int i = 0; i < 7 * 60 * 50; i++) {
		say(t, A);
		if (i % 7 == 0)
			say(t, B);
		run_for(t, SPAN_MS(20));
	}
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(arrived(t, B), t->next_seq[A]);
	ck_assert_uint_eq(arrived(t, A), t->next_seq[B]);
	ck_assert_uint_ge(t->sessions[A], 4); /* the first and three rekeys */
	ck_assert_uint_le(t->sent_type[A][MSG_INIT] + t->sent_type[B][MSG_INIT], 5);
	ck_assert_uint_eq(t->first[A], 1);
	ck_assert_int_le(span_ms(t->longest_gap[B]), 25);
	net_free(t);
}

TEST(a_receiver_that_only_listens_keeps_its_session_fresh)
{
	struct net *t = net_new(3);

	say(t, A); /* A is the initiator; from now on only B speaks */
	for (int i = 0; i < 400 * 10; i++) {
		run_for(t, SPAN_MS(100));
		say(t, B);
	}
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(arrived(t, A), t->next_seq[B]);
	ck_assert_uint_ge(t->sent_type[A][MSG_INIT], 3);
	ck_assert_uint_eq(t->sent_type[B][MSG_INIT], 0);
	net_free(t);
}

TEST(the_initiator_rekeys_on_receive_once_the_session_is_165_seconds_old)
{
	struct net *t = net_new(72);

	say(t, A);
	run_for(t, SPAN_S(REKEY_ON_RECEIVE_S)); /* the session itself was born 40 ms later */
	run_for(t, SPAN_MS(30));
	say(t, B); /* arrives past that age; A has sent nothing since */
	run_for(t, SPAN_MS(30));
	ck_assert_uint_eq(t->seen[A][0], 1);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 2);
	say(t, B);
	run_for(t, SPAN_MS(300));
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 2); /* once a session */
	ck_assert_uint_eq(t->sent_type[B][MSG_INIT], 0);
	ck_assert_uint_eq(arrived(t, A), 2);
	net_free(t);
}

TEST(everything_delivered_twice_arrives_once)
{
	struct net *t = net_new(4);

	t->dup = 100;
	for (int i = 0; i < 2000; i++) {
		say(t, A);
		say(t, B);
		run_for(t, SPAN_MS(70));
	}
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(arrived(t, B), 2000);
	ck_assert_uint_eq(arrived(t, A), 2000);
	ck_assert_uint_ge(wg_drops(t->wg[B])[WG_DROP_REPLAY], 1999);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_FORGED], 0);
	net_free(t);
}

TEST(loss_duplication_and_reordering_lose_only_what_the_link_lost)
{
	for (uint64_t seed = 10; seed < 20; seed++) {
		struct net *t = net_new(seed);
		unsigned n;

		t->loss = 20;
		t->dup = 30;
		t->late = 30;
		for (int i = 0; i < 3000; i++) {
			say(t, A);
			say(t, B);
			run_for(t, SPAN_MS(130)); /* 390 s */
		}
		run_for(t, SPAN_S(1));
		n = arrived(t, A) + arrived(t, B);
		ck_assert_msg(n > 6000 * 70 / 100 && n < 6000 * 95 / 100, "seed %d: %u", (int)seed,
			      n);
		ck_assert_uint_eq(t->gave_up[A] + t->gave_up[B], 0);
		net_free(t);
	}
}

TEST(both_sides_starting_at_once_lose_nothing_and_need_no_retry)
{
	struct net *t = net_new(5);

	say(t, A);
	say(t, B);
	run_for(t, SPAN_MS(500));
	ck_assert_uint_eq(arrived(t, A), 1);
	ck_assert_uint_eq(arrived(t, B), 1);
	for (int i = 0; i < 100; i++) {
		say(t, A);
		say(t, B);
		run_for(t, SPAN_MS(100));
	}
	ck_assert_uint_ge(arrived(t, A), 100);
	ck_assert_uint_ge(arrived(t, B), 100);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT] + t->sent_type[B][MSG_INIT], 2);
	net_free(t);
}

TEST(a_restarted_side_is_reached_again_within_the_stale_timer)
{
	struct net *t = net_new(6);

	say(t, A);
	run_for(t, SPAN_S(1));
	wg_free(t->wg[B]);
	node_start(t, B);
	say(t, A); /* under a key that B has forgotten */
	run_for(t, SPAN_S(17));
	ck_assert(has_session(t, B));
	say(t, A);
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(t->seen[B][2], 1);
	net_free(t);
}

TEST(a_restarted_side_that_speaks_first_is_understood_at_once)
{
	struct net *t = net_new(7);

	say(t, A);
	run_for(t, SPAN_S(1));
	wg_free(t->wg[A]);
	node_start(t, A);
	say(t, A);
	run_for(t, SPAN_MS(200));
	ck_assert_uint_eq(t->seen[B][1], 1);
	say(t, B);
	run_for(t, SPAN_MS(200));
	ck_assert_uint_eq(t->seen[A][0], 1);
	net_free(t);
}

TEST(an_initiation_of_the_peer_calms_the_stale_timer)
{
	struct net *t = net_new(70);

	say(t, A);
	run_for(t, SPAN_S(1));
	wg_free(t->wg[A]);
	node_start(t, A);
	say(t, B); /* lost: A has forgotten the key */
	run_for(t, SPAN_S(5));
	say(t, A);
	run_for(t, SPAN_S(60));
	ck_assert_uint_eq(t->seen[B][1], 1);
	ck_assert_uint_eq(t->sent_type[B][MSG_INIT], 0);
	net_free(t);
}

TEST(packets_staged_behind_a_session_that_dies_still_go_out)
{
	struct net *t = net_new(71);
	struct datagram d;

	say(t, A);
	d = take_flight(t);
	feed_raw(t, B, d.b, d.len);
	drain(t, B);
	d = take_flight(t);
	feed_raw(t, A, d.b, d.len); /* A has a session and does not pull */
	t->now = mono_add(t->now, SPAN_S(REJECT_AFTER_S));
	drain(t, A);
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(t->seen[B][0], 1);
	net_free(t);
}

/* --- timers --- */

TEST(unanswered_initiations_come_at_least_five_seconds_apart_and_end)
{
	struct net *t = net_new(8);
	unsigned last = 0;
	mono_t when = { 0 };

	t->cut = true;
	say(t, A);
	for (int i = 0; i < 1500; i++) {
		run_for(t, SPAN_MS(100));
		if (t->sent_type[A][MSG_INIT] != last) {
			ck_assert(last == 0 ||
				  mono_sub(t->now, when).ns >= 4900 * INT64_C(1000000));
			last = t->sent_type[A][MSG_INIT];
			when = t->now;
		}
	}
	ck_assert_uint_eq(last, 20);
	ck_assert_uint_eq(t->gave_up[A], 1);
	ck_assert(mono_is_never(wg_deadline(t->wg[A]))); /* nothing of the peer is left */
	t->cut = false;
	say(t, A);
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(t->seen[B][0], 0); /* staged packets went when it gave up */
	ck_assert_uint_eq(t->seen[B][1], 1);
	net_free(t);
}

TEST(data_received_is_answered_by_one_keepalive_after_ten_seconds)
{
	struct net *t = net_new(9);
	unsigned before;

	say(t, A);
	run_for(t, SPAN_S(1));
	before = t->sent_type[B][MSG_DATA];
	run_for(t, SPAN_S(8));
	ck_assert_uint_eq(t->sent_type[B][MSG_DATA], before);
	run_for(t, SPAN_S(100));
	ck_assert_uint_eq(t->sent_type[B][MSG_DATA], before + 1);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 1); /* the keepalive kept A content */
	net_free(t);
}

TEST(keys_and_state_go_540_seconds_after_the_last_session)
{
	struct net *t = net_new(20);

	say(t, A);
	run_for(t, SPAN_S(539));
	ck_assert(has_session(t, A) && has_session(t, B));
	ck_assert_uint_eq(t->forgotten[A] + t->forgotten[B], 0);
	run_for(t, SPAN_S(2));
	ck_assert(!has_session(t, A) && !has_session(t, B));
	ck_assert_uint_eq(t->forgotten[A], 1);
	ck_assert_uint_eq(t->forgotten[B], 1);
	ck_assert(mono_is_never(wg_deadline(t->wg[A])));
	say(t, A);
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(arrived(t, B), 2);
	net_free(t);
}

TEST(a_session_of_180_seconds_neither_sends_nor_receives)
{
	struct net *t = net_new(21);
	struct datagram held;

	say(t, A);
	run_for(t, SPAN_S(1));
	t->cut = false;
	t->delay = SPAN_S(185);
	say(t, A); /* arrives when the key is dead */
	held = t->flight[0];
	ck_assert_uint_eq(held.b[0], MSG_DATA);
	run_for(t, SPAN_S(186));
	ck_assert_uint_eq(t->seen[B][1], 0);
	ck_assert_uint_ge(wg_drops(t->wg[B])[WG_DROP_EXPIRED], 1);
	t->delay = SPAN_MS(20);
	say(t, A);
	ck_assert_uint_eq(t->seen[B][2], 0);
	run_for(t, SPAN_S(6));
	ck_assert_uint_eq(t->seen[B][2], 1); /* under a new one */
	net_free(t);
}

TEST(a_nudge_repeats_the_first_handshake_without_waiting_five_seconds)
{
	struct net *t = net_new(22);

	t->cut = true; /* the peer does not know us yet */
	say(t, A);
	run_for(t, SPAN_MS(300));
	t->cut = false;
	wg_peer_nudge(t->wg[A], t->now, 3);
	drain(t, A);
	run_for(t, SPAN_MS(100));
	ck_assert_uint_eq(arrived(t, B), 1);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 2);
	wg_peer_nudge(t->wg[A], t->now, 3); /* answered: nothing to repeat */
	drain(t, A);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 2);
	net_free(t);
}

TEST(a_peer_that_restarted_gets_a_handshake_with_the_next_packet_and_is_still_heard)
{
	struct net *t = net_new(25);

	say(t, A);
	run_for(t, SPAN_MS(300));
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 1);
	wg_peer_restarted(t->wg[A], 3);
	say(t, B); /* under the old session: B has not restarted really */
	run_for(t, SPAN_MS(100));
	ck_assert_uint_eq(arrived(t, A), 1);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 1);
	say(t, A);
	run_for(t, SPAN_MS(300));
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 2);
	ck_assert_uint_eq(arrived(t, B), 2);
	net_free(t);
}

TEST(a_peer_whose_session_we_have_lost_is_asked_for_a_new_one_once)
{
	struct net *t = net_new(27);

	say(t, A);
	run_for(t, SPAN_S(20));               /* longer than between two initiations */
	wg_peer_unheard(t->wg[B], t->now, 3); /* a stray packet: there is a session */
	drain(t, B);
	ck_assert_uint_eq(t->sent_type[B][MSG_INIT], 0);
	wg_free(t->wg[B]);
	node_start(t, B);
	say(t, A);
	run_for(t, SPAN_MS(100));
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_UNKNOWN_INDEX], 1);
	for (int i = 0; i < 50; i++) /* as many packets as may come meanwhile */
		wg_peer_unheard(t->wg[B], t->now, 3);
	drain(t, B);
	ck_assert_uint_eq(t->sent_type[B][MSG_INIT], 1);
	run_for(t, SPAN_MS(200));
	say(t, A);
	run_for(t, SPAN_MS(200));
	ck_assert_uint_eq(arrived(t, B), 2); /* the first one, and this */
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 1);
	wg_peer_unheard(t->wg[B], t->now, 1000); /* nobody */
	net_free(t);
}

TEST(a_peer_that_restarted_with_its_clock_set_back_is_answered)
{
	struct net *t = net_new(26);

	say(t, A);
	run_for(t, SPAN_S(1));
	wg_free(t->wg[A]);
	node_start(t, A);
	t->set_back = SPAN_S(3600);
	say(t, A);
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(arrived(t, B), 1);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_OLD_TIMESTAMP], 1);
	wg_peer_restarted(t->wg[B], 3);
	run_for(t, SPAN_S(6)); /* the initiation is repeated */
	ck_assert_uint_eq(arrived(t, B), 2);
	net_free(t);
}

TEST(nudges_in_quick_succession_are_spaced)
{
	struct net *t = net_new(23);

	t->cut = true;
	say(t, A);
	for (int i = 0; i < 100; i++) { /* one second of them */
		wg_peer_nudge(t->wg[A], t->now, 3);
		drain(t, A);
		run_for(t, SPAN_MS(10));
	}
	ck_assert_uint_le(t->sent_type[A][MSG_INIT], 41);
	ck_assert_uint_ge(t->sent_type[A][MSG_INIT], 33);
	net_free(t);
}

TEST(a_sign_of_the_peer_repeats_an_initiation_only_when_its_answer_is_overdue)
{
	struct net *t = net_new(23);

	t->cut = true;
	say(t, A);
	drain(t, A);
	run_for(t, SPAN_MS(59));
	ck_assert(!wg_peer_answers(t->wg[A], t->now, 3, SPAN_MS(20)));
	drain(t, A);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 1);
	run_for(t, SPAN_MS(2));
	ck_assert(wg_peer_answers(t->wg[A], t->now, 3, SPAN_MS(20)));
	drain(t, A);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 2);
	run_for(t, SPAN_MS(30)); /* next door, 25 ms are enough */
	ck_assert(wg_peer_answers(t->wg[A], t->now, 3, SPAN_US(300)));
	drain(t, A);
	ck_assert_uint_eq(t->sent_type[A][MSG_INIT], 3);
	net_free(t);
}

TEST(a_wall_clock_that_jumps_back_does_not_stop_new_handshakes)
{
	struct net *t = net_new(24);
	struct wg_out out;
	uint8_t mem[PKT_SLOT];
	struct pkt p = { mem + PKT_HEAD, 0, PKT_HEAD, PKT_SLOT - PKT_HEAD };
	struct ip src = node_ip(A), dst = node_ip(B);

	say(t, A);
	run_for(t, SPAN_S(200)); /* dead */
	inner_v4(&p, &src, &dst, 20);
	ck_assert_uint_eq(wg_seal(t->wg[A], t->now, wall(t), 3, &p, 1), 0);
	ck_assert(wg_pull(t->wg[A], t->now, (wall_t){ 5 }, &out)); /* 1970 */
	ck_assert_uint_eq(out.v[0].len, MSG_INIT_LEN);
	fly(t, A, &out.v[0]);
	run_for(t, SPAN_MS(100));
	ck_assert_uint_eq(t->sent_type[B][MSG_RESP], 2);
	net_free(t);
}
