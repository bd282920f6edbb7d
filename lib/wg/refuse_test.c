/* wg/refuse_test.c - what must be refused: cuts, changes, replays, strangers, removed peers */
#include "tests/wg_pair.h"

/* --- what must be refused --- */

/* every cut and every changed byte of a message is dropped with a reason, and the true one still
 * works afterwards */
static void check_cuts(struct net *t, int to, const struct datagram *d)
{
	for (size_t n = 0; n < d->len; n++) {
		uint64_t before = drops(t, to);
		uint8_t b[WIRE];

		ck_assert_uint_eq(feed_raw(t, to, d->b, n), 0);
		ck_assert_uint_eq(drops(t, to), before + 1);
		if (d->b[0] == MSG_INIT && n >= INIT_MACS + MAC_LEN)
			continue; /* mac2 counts only under load */
		if (d->b[0] == MSG_RESP && n >= RESP_MACS + MAC_LEN)
			continue;
		memcpy(b, d->b, d->len);
		b[n] ^= 0x40;
		ck_assert_uint_eq(feed_raw(t, to, b, d->len), 0);
		ck_assert_msg(drops(t, to) == before + 2, "byte %zu of type %d", n, d->b[0]);
	}
}

TEST(each_message_cut_or_changed_at_any_byte_is_dropped_and_counted)
{
	struct net *t = net_new(30);
	struct datagram d;

	say(t, A);
	d = take_flight(t);
	ck_assert_uint_eq(d.len, MSG_INIT_LEN);
	check_cuts(t, B, &d);
	feed_raw(t, B, d.b, d.len);
	drain(t, B);
	d = take_flight(t);
	ck_assert_uint_eq(d.len, MSG_RESP_LEN);
	check_cuts(t, A, &d);
	feed_raw(t, A, d.b, d.len);
	drain(t, A);
	d = take_flight(t);
	ck_assert_uint_eq(d.b[0], MSG_DATA);
	check_cuts(t, B, &d);
	ck_assert_uint_eq(feed_raw(t, B, d.b, d.len), 1);
	net_free(t);
}

TEST(an_old_initiation_is_refused_even_after_the_state_is_gone)
{
	struct net *t = net_new(31);
	struct datagram d;

	say(t, A);
	d = t->flight[0];
	run_for(t, SPAN_S(600));
	ck_assert_uint_eq(t->forgotten[B], 1);
	ck_assert_uint_eq(feed_raw(t, B, d.b, d.len), 0);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_OLD_TIMESTAMP], 1);
	ck_assert(mono_is_never(wg_deadline(t->wg[B]))); /* and made no state */
	net_free(t);
}

TEST(initiations_of_one_peer_within_20_ms_are_refused)
{
	struct net *t = net_new(32);
	struct cookie none = { .valid = false };
	uint8_t msg[MSG_INIT_LEN];

	hand_init(t, &t->key[A], 100, &none, msg);
	feed_raw(t, B, msg, sizeof msg);
	t->now = mono_add(t->now, SPAN_MS(19));
	hand_init(t, &t->key[A], 200, &none, msg);
	feed_raw(t, B, msg, sizeof msg);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_FLOOD], 1);
	t->now = mono_add(t->now, SPAN_MS(1));
	hand_init(t, &t->key[A], 300, &none, msg);
	feed_raw(t, B, msg, sizeof msg);
	ck_assert_uint_eq(drops(t, B), 1);
	net_free(t);
}

TEST(a_key_that_is_no_peers_is_refused_and_makes_no_state)
{
	struct net *t = net_new(33);
	struct cookie none = { .valid = false };
	struct key_priv stranger;
	uint8_t msg[MSG_INIT_LEN];

	key_gen(&stranger, &t->rng.rng);
	hand_init(t, &stranger, 0, &none, msg);
	feed_raw(t, B, msg, sizeof msg);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_UNKNOWN_KEY], 1);
	ck_assert(mono_is_never(wg_deadline(t->wg[B])));
	net_free(t);
}

TEST(an_inner_source_of_another_peer_is_refused_and_tsmp_is_passed_up)
{
	struct net *t = net_new(34);
	uint8_t mem[PKT_SLOT];
	struct pkt p = { mem + PKT_HEAD, 0, PKT_HEAD, PKT_SLOT - PKT_HEAD };
	struct ip src = node_ip(A), other = ip_v4(100, 64, 0, 9), dst = node_ip(B);

	say(t, A);
	run_for(t, SPAN_S(1));
	inner_v4(&p, &other, &dst, 40);
	p.tail = 64;
	ck_assert_uint_eq(wg_seal(t->wg[A], t->now, wall(t), 3, &p, 1), 1);
	ck_assert_uint_eq(feed_raw(t, B, p.data, p.len), 0);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_INNER_SOURCE], 1);

	p = (struct pkt){ mem + PKT_HEAD, 0, PKT_HEAD, PKT_SLOT - PKT_HEAD };
	inner_v4(&p, &src, &dst, 20 + 33);
	p.data[9] = 99; /* TSMP 'a' and a disco key */
	p.data[20] = 'a';
	p.tail = 64;
	ck_assert_uint_eq(wg_seal(t->wg[A], t->now, wall(t), 3, &p, 1), 1);
	ck_assert_uint_eq(p.len, MSG_DATA_HEAD + 64 + TAG_LEN); /* padded to 16 */
	ck_assert_uint_eq(feed_raw(t, B, p.data, p.len), 1);

	p = (struct pkt){ mem + PKT_HEAD, 0, PKT_HEAD, PKT_SLOT - PKT_HEAD };
	inner_v4(&p, &src, &dst, 40);
	p.data[3] = 200; /* says it is longer than it is */
	p.tail = 64;
	ck_assert_uint_eq(wg_seal(t->wg[A], t->now, wall(t), 3, &p, 1), 1);
	ck_assert_uint_eq(feed_raw(t, B, p.data, p.len), 0);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_INNER_SHAPE], 1);

	other.b[10] = 0; /* by IPv6; then to ::ffff:100.64.0.x, which is no address of a packet */
	ck_assert_int_eq(wg_peer_allow(t->wg[B], 3, &(struct ipprefix){ other, 128 }, 1), 0);
	for (int mapped = 0; mapped < 2; mapped++) {
		p = (struct pkt){ mem + PKT_HEAD, 48, PKT_HEAD, 64 };
		memset(p.data, 0, p.len);
		p.data[0] = 0x60;
		p.data[5] = 8;
		p.data[6] = 59;
		memcpy(p.data + 8, other.b, 16);
		memcpy(p.data + 24, mapped ? dst.b : other.b, 16);
		ck_assert_uint_eq(wg_seal(t->wg[A], t->now, wall(t), 3, &p, 1), 1);
		ck_assert_uint_eq(feed_raw(t, B, p.data, p.len), !mapped);
		ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_INNER_SHAPE], 1 + mapped);
	}
	net_free(t);
}

TEST(after_a_peer_is_deleted_nothing_goes_to_it_or_is_taken_from_it)
{
	struct net *t = net_new(35);
	struct ip a = node_ip(A);

	say(t, A);
	run_for(t, SPAN_S(1));
	say(t, A);
	ck_assert_uint_eq(wg_route(t->wg[B], &a), 3);
	wg_peer_del(t->wg[B], 3);
	ck_assert_uint_eq(wg_route(t->wg[B], &a), WG_NO_PEER);
	run_for(t, SPAN_S(30));
	ck_assert_uint_eq(arrived(t, B), 1);
	say(t, B);
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_UNKNOWN_KEY] > 0, 1);
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(arrived(t, A), 0);
	net_free(t);
}

TEST(a_new_key_of_ours_ends_all_sessions)
{
	struct net *t = net_new(36);

	say(t, A);
	run_for(t, SPAN_S(1));
	key_gen(&t->key[A], &t->rng.rng);
	wg_set_key(t->wg[A], &t->key[A]);
	ck_assert(!has_session(t, A));
	ck_assert(mono_is_never(wg_deadline(t->wg[A])));
	say(t, A);
	run_for(t, SPAN_S(1));
	ck_assert_uint_eq(wg_drops(t->wg[B])[WG_DROP_UNKNOWN_KEY], 1); /* until control tells B */
	net_free(t);
}
