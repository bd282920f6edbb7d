/* wg_test.c - whole interfaces that talk over a bad link on virtual time; floods, limits, cuts,
 * memory that runs out */
#include "wg/wg.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "crypto/blake2s.h"
#include "tests/harness.h"
#include "wg/cookie.h"
#include "wg/handshake.h"
#include "wg/message.h"

/* --- counting and failing allocations; sanitizers bring their own allocator, so not under them
 * ----------------- */

/* Only what wg itself asks for counts: Check allocates with every assertion. */
static bool in_wg;
#define IN_WG(call)                                                                                \
	({                                                                                         \
		in_wg = true;                                                                      \
		__typeof__(call) result_ = (call);                                                 \
		in_wg = false;                                                                     \
		result_;                                                                           \
	})

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 1
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern char __executable_start, etext;
static unsigned long allocations; /* of everybody below wg */
static unsigned long ours,
    fail_at; /* of our code; fail_at: that one and all later ones fail; 0: none */

/* The crypto library's own small contexts are counted but never refused: crypto/blake2s.c says why.
 */
static bool is_ours(const char *caller)
{
	return caller >= &__executable_start && caller < &etext;
}

static bool refuse_for(const char *caller)
{
	if (!in_wg)
		return false;
	allocations++;
	return is_ours(caller) && ++ours >= fail_at && fail_at != 0;
}
#define refuse() refuse_for(__builtin_return_address(0))

void *malloc(size_t n)
{
	return refuse() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
	return refuse() ? NULL : __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
	return refuse() ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t m)
{
	size_t all;

	return __builtin_mul_overflow(n, m, &all) || refuse() ? NULL : __libc_realloc(p, all);
}
#endif

/* --- two nodes and a link
 * ------------------------------------------------------------------------------------- */

enum { A, B, NODES, FLIGHT = 4096, SEQS = 100000, WIRE = 512 };

struct datagram {
	mono_t at;
	int to;
	size_t len;
	uint8_t b[WIRE];
};

struct net {
	mono_t now;
	struct seed_rng rng;
	struct wg *wg[NODES];
	struct key_priv key[NODES];
	struct datagram *flight;
	size_t n;
	unsigned loss, dup, late; /* per cent */
	span_t delay, set_back;   /* of the wall clock */
	bool cut;                 /* nothing arrives */
	uint32_t next_seq[NODES];
	uint8_t *seen[NODES]; /* per sequence number: how often it arrived */
	unsigned sent_type[NODES][5], sessions[NODES], first[NODES], gave_up[NODES],
	    forgotten[NODES];
	mono_t last_arrival[NODES];
	span_t longest_gap[NODES];
};

static const wall_t wall0 = { INT64_C(1790000000) * NS_PER_S };

static wall_t wall(const struct net *t)
{
	return (wall_t){ wall0.ns + t->now.ns - t->set_back.ns };
}

static struct ip node_ip(int i)
{
	return ip_v4(100, 64, 0, (uint8_t)(1 + i));
}

static struct ipport source(int i)
{
	return (struct ipport){ ip_v4(192, 0, 2, (uint8_t)(1 + i)), 41641 };
}

static void node_start(struct net *t, int i)
{
	struct wg_conf conf = { t->key[i], &t->rng.rng, 16, 64 * 1024 };
	struct ip other = node_ip(1 - i);
	struct ipprefix p = ipprefix_of(&other, 128);
	struct key_pub pub;

	t->wg[i] = wg_new(&conf);
	ck_assert_ptr_nonnull(t->wg[i]);
	key_public(&pub, &t->key[1 - i]);
	ck_assert_int_eq(wg_peer_add(t->wg[i], 3, &pub), 0);
	ck_assert_int_eq(wg_peer_allow(t->wg[i], 3, &p, 1), 0);
}

static struct net *net_new(uint64_t seed)
{
	struct net *t = calloc(1, sizeof *t);

	t->now = (mono_t){ 1 };
	t->delay = SPAN_MS(20);
	t->flight = calloc(FLIGHT, sizeof *t->flight);
	seed_rng_init(&t->rng, seed);
	for (int i = 0; i < NODES; i++) {
		key_gen(&t->key[i], &t->rng.rng);
		t->seen[i] = calloc(SEQS, 1);
	}
	for (int i = 0; i < NODES; i++)
		node_start(t, i);
	return t;
}

static void net_free(struct net *t)
{
	for (int i = 0; i < NODES; i++) {
		wg_free(t->wg[i]);
		free(t->seen[i]);
	}
	free(t->flight);
	free(t);
}

static bool chance(struct net *t, unsigned percent)
{
	return rng_below(&t->rng.rng, 100) < percent;
}

static void fly(struct net *t, int from, const struct pkt *p)
{
	int copies = chance(t, t->dup) ? 2 : 1;

	ck_assert_uint_le(p->len, WIRE);
	t->sent_type[from][p->data[0] <= 4 ? p->data[0] : 0]++;
	for (int c = 0; c < copies; c++) {
		struct datagram *d = &t->flight[t->n];

		if (t->cut || chance(t, t->loss))
			continue;
		ck_assert_uint_lt(t->n, FLIGHT);
		d->at = mono_add(t->now, t->delay);
		if (chance(t, t->late))
			d->at = mono_add(d->at, SPAN_US(rng_below(&t->rng.rng, 60000)));
		d->to = 1 - from;
		d->len = p->len;
		memcpy(d->b, p->data, p->len);
		t->n++;
	}
}

static void drain(struct net *t, int i)
{
	struct wg_event ev;
	struct wg_out out;

	while (IN_WG(wg_pull(t->wg[i], t->now, wall(t), &out))) {
		ck_assert_uint_eq(out.peer, 3);
		for (size_t k = 0; k < out.n; k++) {
			ck_assert_uint_ge(out.v[k].head, 8); /* Geneve goes in front */
			fly(t, i, &out.v[k]);
		}
	}
	while (wg_next(t->wg[i], &ev)) {
		t->sessions[i] += ev.type == WG_EV_SESSION;
		t->first[i] += ev.type == WG_EV_SESSION && ev.first;
		t->gave_up[i] += ev.type == WG_EV_GAVE_UP;
		t->forgotten[i] += ev.type == WG_EV_FORGOTTEN;
	}
}

static void arrive(struct net *t, struct datagram *d)
{
	static uint8_t mem[PKT_SLOT];
	struct pkt p = { mem + PKT_HEAD, (uint32_t)d->len, PKT_HEAD, PKT_TAIL };
	struct ipport from = source(1 - d->to);
	struct wg_plain out[1];
	int i = d->to;

	memcpy(p.data, d->b, d->len);
	if (IN_WG(wg_feed(t->wg[i], t->now, wall(t), &from, &p, 1, out)) == 1) {
		struct rd r = rd_of(out[0].pkt->data, out[0].pkt->len);
		uint32_t seq;
		span_t gap = mono_sub(t->now, t->last_arrival[i]);

		ck_assert_uint_eq(out[0].peer, 3);
		rd_skip(&r, 20);
		seq = rd_be32(&r);
		ck_assert_uint_eq(r.left, seq % 100); /* trimmed to the inner length */
		ck_assert_uint_lt(seq, t->next_seq[1 - i]);
		t->seen[i][seq]++;
		if (t->last_arrival[i].ns != 0 && gap.ns > t->longest_gap[i].ns)
			t->longest_gap[i] = gap;
		t->last_arrival[i] = t->now;
	}
	drain(t, i);
}

static void run_until(struct net *t, mono_t until)
{
	for (;;) {
		mono_t at = until;
		size_t first = t->n;

		for (size_t i = 0; i < t->n; i++)
			if (mono_before(t->flight[i].at, at)) {
				at = t->flight[i].at;
				first = i;
			}
		for (int i = 0; i < NODES; i++)
			at = mono_min(at, wg_deadline(t->wg[i]));
		t->now = mono_max(t->now, at);
		for (int i = 0; i < NODES; i++)
			if (mono_due(wg_deadline(t->wg[i]), t->now)) {
				wg_tick(t->wg[i], t->now, wall(t));
				ck_assert(mono_before(t->now, wg_deadline(t->wg[i])));
				drain(t, i);
			}
		if (first < t->n && mono_due(t->flight[first].at, t->now)) {
			struct datagram d = t->flight[first];

			t->flight[first] = t->flight[--t->n];
			arrive(t, &d);
		} else if (mono_due(until, t->now)) {
			return;
		}
	}
}

static void run_for(struct net *t, span_t d)
{
	run_until(t, mono_add(t->now, d));
}

static void inner_v4(struct pkt *p, const struct ip *src, const struct ip *dst, uint32_t len)
{
	struct wr w = wr_of(p->data, len);

	p->len = len;
	wr_u8(&w, 0x45);
	wr_u8(&w, 0);
	wr_be16(&w, (uint16_t)len);
	wr_zero(&w, 8);
	wr_put(&w, src->b + 12, 4);
	wr_put(&w, dst->b + 12, 4);
	wr_zero(&w, len - 20);
}

static void say(struct net *t, int from)
{
	static uint8_t mem[PKT_SLOT];
	uint32_t seq = t->next_seq[from]++;
	struct pkt p = { mem + PKT_HEAD, 0, PKT_HEAD, PKT_SLOT - PKT_HEAD - 124 };
	struct ip src = node_ip(from), dst = node_ip(1 - from);
	struct wr w;

	inner_v4(&p, &src, &dst, 24 + seq % 100);
	p.tail = PKT_TAIL;
	w = wr_of(p.data + 20, 4);
	wr_be32(&w, seq);
	ck_assert_uint_lt(seq, SEQS);
	if (IN_WG(wg_seal(t->wg[from], t->now, wall(t), 3, &p, 1)) == 1)
		fly(t, from, &p);
	drain(t, from);
}

static unsigned arrived(const struct net *t, int at)
{
	unsigned n = 0;

	for (uint32_t s = 0; s < t->next_seq[1 - at]; s++) {
		ck_assert_msg(t->seen[at][s] <= 1, "packet %u arrived twice", s);
		n += t->seen[at][s];
	}
	return n;
}

static bool has_session(const struct net *t, int i)
{
	struct wg_peer_stat st;

	return wg_peer_stat(t->wg[i], 3, &st) && st.has_session;
}

static size_t feed_raw(struct net *t, int to, const uint8_t *b, size_t len)
{
	static uint8_t mem[PKT_SLOT];
	struct pkt p = { mem + PKT_HEAD, (uint32_t)len, PKT_HEAD, PKT_TAIL };
	struct ipport from = source(1 - to);
	struct wg_plain out[1];

	memcpy(p.data, b, len);
	return wg_feed(t->wg[to], t->now, wall(t), &from, &p, 1, out);
}

static struct datagram take_flight(struct net *t)
{
	ck_assert_uint_gt(t->n, 0);
	return t->flight[--t->n];
}

/* --- sessions
 * -------------------------------------------------------------------------------------------------
 */

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

/* --- timers
 * ---------------------------------------------------------------------------------------------------
 */

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
	ck_assert_uint_le(t->sent_type[A][MSG_INIT], 11);
	ck_assert_uint_ge(t->sent_type[A][MSG_INIT], 9);
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

/* --- what must be refused
 * ------------------------------------------------------------------------------------- */

static uint64_t drops(const struct net *t, int i)
{
	uint64_t n = 0;

	for (int d = 0; d < WG_DROP_N; d++)
		n += wg_drops(t->wg[i])[d];
	return n;
}

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

/* an initiation of A towards B, made by hand */
static void hand_init(struct net *t, const struct key_priv *from, int64_t wall_ms,
		      const struct cookie *c, uint8_t *msg)
{
	struct identity me, it;
	struct handshake hs;
	uint8_t ss[32], ts[TS_LEN];

	wg_identity_init(&me, from);
	wg_identity_init(&it, &t->key[B]);
	ck_assert(key_dh(ss, from, &it.pub));
	wg_timestamp_emit((wall_t){ wall0.ns + wall_ms * 1000000 }, ts);
	ck_assert(wg_init_emit(&hs, &me, &it.pub, ss, 77, ts, &t->rng.rng, msg));
	wg_macs_put(msg, INIT_MACS, it.mac1_key, c, t->now);
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

/* --- load
 * -----------------------------------------------------------------------------------------------------
 */

static void flood(struct net *t, int n) /* from many strangers' addresses, with a right mac1 */
{
	static uint8_t mem[PKT_SLOT];
	struct identity it;
	struct cookie none = { .valid = false };
	struct wg_plain out[1];
	struct wg_out drained;
	uint8_t msg[MSG_INIT_LEN];

	wg_identity_init(&it, &t->key[B]);
	for (int i = 0; i < n; i++) {
		struct pkt p = { mem + PKT_HEAD, sizeof msg, PKT_HEAD, PKT_TAIL };
		struct ipport from = { ip_v4(203, 0, (uint8_t)rng_u32(&t->rng.rng), (uint8_t)i),
				       (uint16_t)i };

		rng_fill(&t->rng.rng, msg, sizeof msg);
		le32_put(msg, MSG_INIT);
		wg_macs_put(msg, INIT_MACS, it.mac1_key, &none, t->now);
		memcpy(p.data, msg, sizeof msg);
		ck_assert_uint_eq(wg_feed(t->wg[B], t->now, wall(t), &from, &p, 1, out), 0);
	}
	while (wg_pull(t->wg[B], t->now, wall(t),
		       &drained)) /* cookies to strangers; the rest goes to A */
		if (drained.peer != WG_NO_PEER)
			fly(t, B, &drained.v[0]);
		else if (ip_is_private(&drained.to.ip) || drained.to.ip.b[12] == 192)
			fly(t, B, &drained.v[0]);
}

TEST(a_flood_of_initiations_leaves_a_legitimate_peer_connected_within_ten_seconds)
{
	struct net *t = net_new(40);
	const uint64_t *d = wg_drops(t->wg[B]);

	flood(t, 300);
	ck_assert_uint_le(d[WG_DROP_FORGED], LOAD_LEVEL); /* work done for strangers */
	ck_assert_uint_ge(d[WG_DROP_MAC2], 300 - LOAD_LEVEL);
	say(t, A);
	for (int ms = 0; ms < 10000; ms += 10) {
		struct datagram *own = NULL;

		flood(t, 30); /* 3000 a second */
		for (size_t i = 0; i < t->n; i++)
			if (t->flight[i].to == B && mono_due(t->flight[i].at, t->now))
				own = &t->flight[i];
		if (own) { /* deliver without draining B: flood() does, and tells cookies apart */
			struct datagram one = *own;

			*own = t->flight[--t->n];
			if (feed_raw(t, B, one.b, one.len) == 1)
				t->seen[B][0]++;
			flood(t, 0);
		}
		for (size_t i = 0; i < t->n;)
			if (t->flight[i].to == A && mono_due(t->flight[i].at, t->now)) {
				struct datagram one = t->flight[i];

				t->flight[i] = t->flight[--t->n];
				arrive(t, &one);
			} else {
				i++;
			}
		t->now = mono_add(t->now, SPAN_MS(10));
		wg_tick(t->wg[A], t->now, wall(t));
		drain(t, A);
		wg_tick(t->wg[B], t->now, wall(t));
	}
	ck_assert(has_session(t, A));
	ck_assert_uint_eq(t->seen[B][0], 1);
	ck_assert_uint_ge(t->sent_type[B][MSG_COOKIE], 1); /* it was under load */
	ck_assert_uint_le(d[WG_DROP_FORGED], 2 * LOAD_LEVEL);
	net_free(t);
}

TEST(under_load_a_source_gets_five_at_once_and_twenty_a_second)
{
	struct seed_rng rng;
	struct cookie_guard g;
	struct ip a = ip_v4(1, 2, 3, 4), b = ip_v4(1, 2, 3, 5);
	struct ip v6 = { { 0x20, 1, 0xd, 0xb8 } }, same = v6;
	mono_t now = { 5 };
	bool no_memory;
	int n = 0;

	seed_rng_init(&rng, 1);
	wg_cookie_guard_init(&g, &rng.rng);
	for (int i = 0; i < 10; i++)
		n += wg_cookie_rate_allows(&g, now, &a, &no_memory);
	ck_assert_int_eq(n, RATE_BURST);
	ck_assert(wg_cookie_rate_allows(&g, now, &b, &no_memory));
	for (n = 0; now.ns < 10 * NS_PER_S; now = mono_add(now, SPAN_MS(1)))
		n += wg_cookie_rate_allows(&g, now, &a, &no_memory);
	ck_assert_int_ge(n, 10 * RATE_PER_S - 1);
	ck_assert_int_le(n, 10 * RATE_PER_S + 1);
	for (int i = 0; i < RATE_BURST; i++) {
		same.b[15] = (uint8_t)i; /* one /64 is one source */
		ck_assert(wg_cookie_rate_allows(&g, now, &same, &no_memory));
	}
	ck_assert(!wg_cookie_rate_allows(&g, now, &v6, &no_memory));
	wg_cookie_guard_fini(&g);
}

TEST(load_begins_at_its_limit_and_ends_a_second_after_the_last_excess)
{
	struct seed_rng rng;
	struct cookie_guard g;
	mono_t now = { 5 };

	seed_rng_init(&rng, 1);
	wg_cookie_guard_init(&g, &rng.rng);
	for (int i = 1; i < LOAD_LEVEL; i++)
		ck_assert(!wg_cookie_note_load(&g, now));
	ck_assert(wg_cookie_note_load(&g, now));
	now = mono_add(now, SPAN_MS(LOAD_STICKY_MS - 1));
	ck_assert(wg_cookie_under_load(&g, now));
	now = mono_add(now, SPAN_MS(1));
	ck_assert(!wg_cookie_under_load(&g, now));
	wg_cookie_guard_fini(&g);
}

TEST(a_cookie_serves_its_address_and_port_for_two_minutes)
{
	struct seed_rng rng;
	struct cookie_guard g;
	struct cookie c = { .valid = false };
	struct ipport from = source(A), moved = from;
	uint8_t key[32] = { 1 }, mac1_key[32] = { 2 }, msg[MSG_INIT_LEN] = { 1 },
		reply[MSG_COOKIE_LEN];
	mono_t now = { 5 };

	seed_rng_init(&rng, 1);
	wg_cookie_guard_init(&g, &rng.rng);
	wg_macs_put(msg, INIT_MACS, mac1_key, &c, now);
	ck_assert(!wg_mac2_check(&g, now, &rng.rng, &from, msg, INIT_MACS));
	wg_cookie_emit(&g, now, &rng.rng, &from, key, 9, msg + INIT_MACS, reply);
	reply[40] ^= 1;
	ck_assert(!wg_cookie_read(&c, now, key, msg + INIT_MACS, reply));
	reply[40] ^= 1;
	ck_assert(wg_cookie_read(&c, now, key, msg + INIT_MACS, reply));
	msg[20] = 7; /* the next message */
	wg_macs_put(msg, INIT_MACS, mac1_key, &c, now);
	ck_assert(wg_mac2_check(&g, now, &rng.rng, &from, msg, INIT_MACS));
	moved.port++;
	ck_assert(!wg_mac2_check(&g, now, &rng.rng, &moved, msg, INIT_MACS));
	now = mono_add(now, SPAN_S(COOKIE_LIFE_S));
	ck_assert(!wg_mac2_check(&g, now, &rng.rng, &from, msg, INIT_MACS));
	wg_macs_put(msg, INIT_MACS, mac1_key, &c, now);
	for (int i = 0; i < MAC_LEN; i++)
		ck_assert_uint_eq(msg[INIT_MACS + MAC_LEN + i], 0);
	wg_cookie_guard_fini(&g);
}

/* --- limits
 * ---------------------------------------------------------------------------------------------------
 */

TEST(the_stage_keeps_the_newest_128_packets_of_a_peer)
{
	struct net *t = net_new(50);

	t->cut = true;
	for (int i = 0; i < STAGED_PEER_MAX + 10; i++)
		say(t, A);
	t->cut = false;
	ck_assert_uint_eq(wg_drops(t->wg[A])[WG_DROP_STAGE_FULL], 10);
	run_for(t, SPAN_S(6));
	ck_assert_uint_eq(arrived(t, B), STAGED_PEER_MAX);
	ck_assert_uint_eq(t->seen[B][9], 0);
	ck_assert_uint_eq(t->seen[B][10], 1);
	net_free(t);
}

TEST(the_stage_keeps_within_its_byte_budget)
{
	struct seed_rng rng;
	struct wg_conf conf = { .rng = &rng.rng, .max_peers = 4, .staged_bytes = 4000 };
	struct key_priv k;
	struct wg *wg;
	uint8_t mem[PKT_SLOT] = { 0 };

	seed_rng_init(&rng, 51);
	key_gen(&conf.key, &rng.rng);
	wg = wg_new(&conf);
	for (uint32_t i = 0; i < 2; i++) {
		struct key_pub pub;

		key_gen(&k, &rng.rng);
		key_public(&pub, &k);
		ck_assert_int_eq(wg_peer_add(wg, i, &pub), 0);
	}
	for (int i = 0; i < 10; i++) {
		struct pkt p = { mem + PKT_HEAD, 1200, PKT_HEAD, PKT_TAIL };

		ck_assert_uint_eq(wg_seal(wg, (mono_t){ 1 }, wall0, 0, &p, 1), 0);
	}
	ck_assert_uint_eq(wg_drops(wg)[WG_DROP_STAGE_FULL], 7);
	{
		struct pkt p = { mem + PKT_HEAD, 1200, PKT_HEAD, PKT_TAIL };

		ck_assert_uint_eq(wg_seal(wg, (mono_t){ 1 }, wall0, 1, &p, 1), 0);
	}
	ck_assert_uint_eq(wg_drops(wg)[WG_DROP_STAGE_FULL],
			  8); /* another peer's packets do not make room */
	wg_free(wg);
}

TEST(peers_are_limited_unique_and_found_by_key)
{
	struct seed_rng rng;
	struct wg_conf conf = { .rng = &rng.rng, .max_peers = 1000, .staged_bytes = 4000 };
	static struct key_pub keys[1000];
	struct wg *wg;
	uint32_t found;

	seed_rng_init(&rng, 52);
	wg = wg_new(&conf);
	for (uint32_t i = 0; i < 1000; i++) {
		rng_fill(&rng.rng, keys[i].b, KEY_LEN);
		ck_assert_int_eq(wg_peer_add(wg, i, &keys[i]), 0);
	}
	ck_assert_int_eq(wg_peer_add(wg, 1000, &keys[0]), -ENOSPC);
	ck_assert_int_eq(wg_peer_add(wg, 5, &(struct key_pub){ { 1 } }), -EEXIST);
	for (uint32_t i = 0; i < 1000; i += 2)
		wg_peer_del(wg, i);
	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert(wg_peer_find(wg, &keys[i], &found) == (i % 2 == 1));
		ck_assert(i % 2 == 0 || found == i);
	}
	ck_assert_int_eq(wg_peer_add(wg, 0, &keys[1]), -EEXIST);
	ck_assert_int_eq(wg_peer_add(wg, 0, &keys[0]), 0);
	wg_free(wg);
}

TEST(a_prefix_moves_to_the_peer_that_got_it_last)
{
	struct net *t = net_new(53);
	struct ip ip = node_ip(B);
	struct ipprefix p = ipprefix_of(&ip, 128);
	struct key_pub other = { { 9 } };

	ck_assert_int_eq(wg_peer_add(t->wg[A], 4, &other), 0);
	ck_assert_int_eq(wg_peer_allow(t->wg[A], 4, &p, 1), 0);
	ck_assert_uint_eq(wg_route(t->wg[A], &ip), 4);
	wg_peer_del(t->wg[A], 3); /* whose stale list names it too */
	ck_assert_uint_eq(wg_route(t->wg[A], &ip), 4);
	ck_assert_int_eq(wg_peer_allow(t->wg[A], 4, NULL, 0), 0);
	ck_assert_uint_eq(wg_route(t->wg[A], &ip), WG_NO_PEER);
	net_free(t);
}

TEST(every_drop_reason_has_a_name)
{
	for (int i = 0; i < WG_DROP_N; i++)
		ck_assert_ptr_nonnull(wg_drop_names[i]);
}

/* --- memory
 * ---------------------------------------------------------------------------------------------------
 */

#ifdef OWN_MALLOC
TEST(the_transport_path_allocates_nothing)
{
	struct net *t = net_new(60);
	static uint8_t mem[BURST_MAX][PKT_SLOT];
	struct ip src = node_ip(A), dst = node_ip(B);
	struct ipport from = source(A);
	unsigned long before;
	int keepalives = 0;

	say(t, A);
	run_for(t, SPAN_S(1));
	before = allocations;
	for (int round = 0; round < 100; round++) {
		struct pkt v[BURST_MAX];
		struct wg_plain out[BURST_MAX];
		struct wg_out extra;

		for (size_t i = 0; i < BURST_MAX; i++) {
			v[i] = (struct pkt){ mem[i] + PKT_HEAD, 0, PKT_HEAD, PKT_SLOT - PKT_HEAD };
			inner_v4(&v[i], &src, &dst, i % 2 ? 1280 : 40);
			v[i].tail = PKT_TAIL;
		}
		t->now = mono_add(t->now, SPAN_MS(200));
		ck_assert_uint_eq(IN_WG(wg_seal(t->wg[A], t->now, wall(t), 3, v, BURST_MAX)),
				  BURST_MAX);
		ck_assert_uint_eq(
		    IN_WG(wg_feed(t->wg[B], t->now, wall(t), &from, v, BURST_MAX, out)), BURST_MAX);
		for (int i = 0; i < NODES; i++) {
			wg_tick(t->wg[i], t->now, wall(t));
			while (IN_WG(wg_pull(t->wg[i], t->now, wall(t), &extra))) {
				ck_assert_uint_eq(extra.v[0].len,
						  MSG_DATA_MIN); /* keepalives of B */
				ck_assert_uint_eq(
				    wg_feed(t->wg[A], t->now, wall(t), &from, extra.v, 1, out), 0);
				keepalives++;
			}
		}
	}
	ck_assert_uint_eq(allocations, before);
	ck_assert_int_ge(keepalives, 1);
	net_free(t);
}

TEST(any_allocation_of_ours_may_fail_and_the_next_try_succeeds)
{
	struct net *t = net_new(61);
	unsigned long last = 0;
	int failures = 0;

	for (unsigned long k = 1; k < 40; k++) {
		unsigned long base;

		for (int i = 0; i < NODES; i++) {
			wg_free(t->wg[i]);
			node_start(t, i);
		}
		t->n = 0;
		run_for(t, SPAN_S(1)); /* timestamps rise */
		base = ours;
		fail_at = base + k;
		say(t, A);
		run_for(t, SPAN_MS(200));
		failures += ours >= fail_at;
		last = ours - base;
		fail_at = 0;
		say(t, A);
		run_for(t, SPAN_S(12));
		say(t, A);
		run_for(t, SPAN_S(1));
		ck_assert_msg(t->seen[B][t->next_seq[A] - 1] == 1, "allocation %lu", k);
	}
	ck_assert_int_ge(failures, 8);
	ck_assert_uint_lt(last, 40); /* all of them were tried */
	net_free(t);
}
#endif
