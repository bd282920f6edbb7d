/* tests/wg_pair.h - for tests: two whole interfaces that talk over a bad link on virtual time */
#ifndef TESTS_WG_PAIR_H
#define TESTS_WG_PAIR_H

#include <errno.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "crypto/blake2s.h"
#include "tests/harness.h"
#include "wg/cookie.h"
#include "wg/handshake.h"
#include "wg/message.h"
#include "wg/wg.h"

/* Only what wg itself asks for counts: Check allocates with every assertion. */
static bool in_wg;
#define IN_WG(call)                                                                                \
	({                                                                                         \
		in_wg = true;                                                                      \
		__typeof__(call) result_ = (call);                                                 \
		in_wg = false;                                                                     \
		result_;                                                                           \
	})

/* --- two nodes and a link --- */

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

static inline wall_t wall(const struct net *t)
{
	return (wall_t){ wall0.ns + t->now.ns - t->set_back.ns };
}

static inline struct ip node_ip(int i)
{
	return ip_v4(100, 64, 0, (uint8_t)(1 + i));
}

static inline struct ipport source(int i)
{
	return (struct ipport){ ip_v4(192, 0, 2, (uint8_t)(1 + i)), 41641 };
}

static inline void node_start(struct net *t, int i)
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

static inline struct net *net_new(uint64_t seed)
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

static inline void net_free(struct net *t)
{
	for (int i = 0; i < NODES; i++) {
		wg_free(t->wg[i]);
		free(t->seen[i]);
	}
	free(t->flight);
	free(t);
}

static inline bool chance(struct net *t, unsigned percent)
{
	return rng_below(&t->rng.rng, 100) < percent;
}

static inline void fly(struct net *t, int from, const struct pkt *p)
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

static inline void drain(struct net *t, int i)
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

static inline void arrive(struct net *t, struct datagram *d)
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

static inline void run_until(struct net *t, mono_t until)
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

static inline void run_for(struct net *t, span_t d)
{
	run_until(t, mono_add(t->now, d));
}

static inline void inner_v4(struct pkt *p, const struct ip *src, const struct ip *dst, uint32_t len)
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

static inline void say(struct net *t, int from)
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

static inline unsigned arrived(const struct net *t, int at)
{
	unsigned n = 0;

	for (uint32_t s = 0; s < t->next_seq[1 - at]; s++) {
		ck_assert_msg(t->seen[at][s] <= 1, "packet %u arrived twice", s);
		n += t->seen[at][s];
	}
	return n;
}

static inline bool has_session(const struct net *t, int i)
{
	struct wg_peer_stat st;

	return wg_peer_stat(t->wg[i], 3, &st) && st.has_session;
}

static inline size_t feed_raw(struct net *t, int to, const uint8_t *b, size_t len)
{
	static uint8_t mem[PKT_SLOT];
	struct pkt p = { mem + PKT_HEAD, (uint32_t)len, PKT_HEAD, PKT_TAIL };
	struct ipport from = source(1 - to);
	struct wg_plain out[1];

	memcpy(p.data, b, len);
	return wg_feed(t->wg[to], t->now, wall(t), &from, &p, 1, out);
}

static inline struct datagram take_flight(struct net *t)
{
	ck_assert_uint_gt(t->n, 0);
	return t->flight[--t->n];
}

static inline uint64_t drops(const struct net *t, int i)
{
	uint64_t n = 0;

	for (int d = 0; d < WG_DROP_N; d++)
		n += wg_drops(t->wg[i])[d];
	return n;
}

/* an initiation of A towards B, made by hand */
static inline void hand_init(struct net *t, const struct key_priv *from, int64_t wall_ms,
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

#endif
