/* netstack/tcp_ack.c - what the acknowledgement of a segment does to the send side (RFC
 * 9293 3.10.7.4, fifth check)
 *
 * Window, then what is acknowledged in order, then SACK blocks; both feed RACK and the delivery
 * rate; then recovery.c decides about loss and window, and the timer is set again.
 */
#include "netstack/seq.h"
#include "netstack/stack.h"

/* RFC 9293 3.10.7.4: SND.WL1 and WL2 keep an old segment from changing the window. One that
 * acknowledges more than any before is not old, though it repeats data: with its acknowledgement
 * alone the window's right edge would move by what it acknowledges. */
static void update_window(struct tcp_conn *c, const struct tcp_head *h)
{
	uint32_t wnd = (uint32_t)h->wnd << c->snd_wscale;

	if (!seq_lt(c->snd_una, h->ack) && !seq_lt(c->snd_wl1, h->seq) &&
	    !(c->snd_wl1 == h->seq && seq_leq(c->snd_wl2, h->ack)))
		return;
	if (wnd > 0)
		c->n_probes = 0;
	c->snd_wnd = wnd;
	c->snd_wl1 = seq_max(c->snd_wl1, h->seq);
	c->snd_wl2 = h->ack;
	if (wnd > c->snd_max_wnd)
		c->snd_max_wnd = wnd;
}

struct newest {              /* of the segments that this ACK delivered, for the RTT sample */
	mono_t sent, oldest; /* oldest: of those acknowledged in order */
	bool is_known, has_oldest;
};

static void delivered(struct tcp_conn *c, mono_t now, struct tcp_ack_facts *f, struct newest *nw,
		      const struct tx_seg *s, uint32_t n)
{
	/* a SACK echoes the timestamp of an older segment, so it tells nothing about this one */
	rack_delivered(c, now, s, f->in->h.tsecr,
		       f->in->h.has_ts && seq_leq(tx_end(s), f->in->h.ack));
	rate_delivered(c, now, s, f, n);
	if (!(s->flags & TX_RETRANSMITTED) && !nw->has_oldest && seq_leq(tx_end(s), f->in->h.ack)) {
		nw->oldest = s->sent;
		nw->has_oldest = true;
	}
	if (!(s->flags & TX_RETRANSMITTED) &&
	    (!nw->is_known || mono_before(nw->sent, s->sent))) { /* Karn: RFC 6298 3 */
		nw->sent = s->sent;
		nw->is_known = true;
	}
}

static void ack_records(struct netstack *ns, mono_t now, struct tcp_conn *c,
			struct tcp_ack_facts *f, struct newest *nw, uint32_t ack)
{
	while (!txq_is_empty(&c->tx)) {
		struct tx_seg *s = txq_at(&c->tx, c->tx.head);

		if (!seq_leq(tx_end(s), ack)) {
			if (seq_lt(s->seq, ack)) { /* the peer took a part */
				uint32_t n = ack - s->seq;

				if (s->where != TX_SACKED) {
					rate_delivered(c, now, s, f, n);
				}
				txq_cut(&c->tx, n);
			}
			return;
		}
		if (s->where != TX_SACKED)
			delivered(c, now, f, nw, s, tx_span(s));
		txq_pop(&c->tx, &ns->pool);
	}
}

static void sack_block(struct tcp_conn *c, mono_t now, struct tcp_ack_facts *f, struct newest *nw,
		       struct tcp_sack b)
{
	uint32_t i = txq_find(&c->tx, b.start), first;

	if (i != c->tx.tail && seq_lt(txq_at(&c->tx, i)->seq, b.start))
		i++; /* part of a record does not count */
	first = i;
	while (i != c->tx.tail) {
		struct tx_seg *s = txq_at(&c->tx, i);

		if (!seq_leq(tx_end(s), b.end))
			break;
		if (s->where == TX_SACKED) {
			i += s->skip;
			continue;
		}
		delivered(c, now, f, nw, s, tx_span(s));
		txq_move(&c->tx, i, TX_SACKED);
		i++;
	}
	if (i != first)
		txq_at(&c->tx, first)->skip = i - first;
}

/* RFC 2883 4: the first block lies below the acknowledgement, or within the second */
static bool is_dsack(const struct tcp_head *h)
{
	const struct tcp_sack *b = h->sack;

	if (h->n_sack == 0 || !seq_lt(b[0].start, b[0].end))
		return false;
	if (seq_leq(b[0].end, h->ack))
		return true;
	return h->n_sack > 1 && seq_leq(b[1].start, b[0].start) && seq_leq(b[0].end, b[1].end);
}

static void sack_input(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_ack_facts *f,
		       struct newest *nw)
{
	const struct tcp_head *h = &f->in->h;
	uint8_t i = 0;

	if (!c->has_sack || h->n_sack == 0)
		return;
	if (is_dsack(h)) {
		f->is_dsack = true;
		recovery_on_dsack(ns, now, c, &h->sack[0]);
		i = 1;
	}
	for (; i < h->n_sack; i++) {
		struct tcp_sack b = h->sack[i];

		if (seq_lt(b.start, b.end) && seq_lt(c->snd_una, b.end) &&
		    seq_leq(c->snd_una, b.start) && seq_leq(b.end, c->snd_nxt))
			sack_block(c, now, f, nw, b);
	}
}

static void drop_acked(struct netstack *ns, struct tcp_conn *c, uint32_t acked)
{
	uint32_t data = MIN_OF(acked, c->snd_len); /* a FIN is no data */

	c->snd_una += acked;
	c->snd_len -= data;
	chunkq_drop(&c->snd, &ns->pool, c->snd.head + data);
	if (c->snd_len == 0)
		chunkq_clear(&c->snd, &ns->pool);
}

/* The buffer follows the window: twice what may be in flight, so that the user's next bytes are
 * there when ACKs come. */
static void grow_sndbuf(struct netstack *ns, struct tcp_conn *c)
{
	uint64_t want = 2 * (uint64_t)c->cc.cwnd, max = MIN_OF(ns->conf.sndbuf_max, tcp_share(ns));

	if (pool_pressure(&ns->pool) >= TCP_PRESSURE_HIGH)
		c->sndbuf = MIN_OF(c->sndbuf, MAX_OF((uint32_t)TCP_SNDBUF_FIRST, tcp_share(ns)));
	else if (want > c->sndbuf && c->sndbuf < max && pool_pressure(&ns->pool) < TCP_PRESSURE)
		c->sndbuf = (uint32_t)MIN_OF(want, max);
	tcp_expect(ns, c);
	/* soon enough that a long pipe does not run dry, late enough that a wake-up is worth it */
	if (c->wants_room && c->snd_len + MIN_OF(c->sndbuf / 4, UINT32_C(262144)) <= c->sndbuf) {
		c->wants_room = false;
		tcp_tell(ns, c, NS_TCP_WRITABLE);
	}
}

static void sample_rtt(struct tcp_conn *c, mono_t now, struct tcp_ack_facts *f,
		       const struct newest *nw)
{
	span_t rtt = SPAN_NS(0);
	uint32_t ms;

	if (nw->is_known) {
		rtt = mono_sub(now, nw->sent);
	} else if (f->una_moved && c->has_ts && f->in->h.has_ts &&
		   f->in->h.tsecr != 0) { /* RFC 7323 4.1 */
		ms = tcp_clock(c, now) - f->in->h.tsecr;
		if (ms < 300000)
			rtt = SPAN_MS(MAX_OF(ms, 1u));
	}
	if (rtt.ns <= 0)
		return;
	f->cc.rtt = rtt;
	/* SRTT of what came in order: those that overtook the others are acknowledged more often,
	 * and would pull it down */
	if (nw->has_oldest) {
		f->cc.rtt_in_order = mono_sub(now, nw->oldest);
		rtt_sample(&c->rtt, now, f->cc.rtt_in_order);
	} else if (!nw->is_known || !rtt_known(&c->rtt)) {
		rtt_sample(&c->rtt, now, rtt);
	}
}

static bool is_window_limited(const struct tcp_conn *c, const struct tcp_ack_facts *f)
{
	if (cc_in_slow_start(&c->cc))
		return c->is_cwnd_limited ||
		       c->cc.cwnd < 2 * f->cc.prior_inflight; /* RFC 9293 by RFC 7661: was used */
	return c->is_cwnd_limited || f->cc.prior_inflight + 3 * (uint32_t)c->mss >= c->cc.cwnd;
}

/* RFC 5681 2: what counts as a duplicate acknowledgement */
static void count_dup(struct tcp_conn *c, const struct tcp_in *in, uint32_t wnd_before)
{
	if (in->len > 0 || in->h.flags & (TCP_SYN | TCP_FIN) || in->h.ack != c->snd_una ||
	    c->snd_wnd != wnd_before)
		return;
	if (!c->has_sack)
		c->snd_dup += !txq_is_empty(&c->tx);
	else if (in->h.n_sack == 0 && c->snd_una == c->rack.tlp_end_seq)
		c->rack.tlp_outstanding = false; /* RFC 8985 7.4.2, of a peer without DSACK */
}

/* The window is open (again): what probed it, or was sent again into a window that had been taken
 * back, was not taken. */
static void answer_probe(struct tcp_conn *c, mono_t now, uint32_t wnd_before)
{
	struct tx_seg *s;

	if (txq_is_empty(&c->tx) || c->snd_wnd == 0)
		return;
	s = txq_at(&c->tx, c->tx.head);
	if (s->where == TX_INFLIGHT && mono_before(s->sent, now) &&
	    (s->flags & TX_PROBE || (wnd_before == 0 && c->n_retries > 0))) {
		s->flags &= (uint8_t)~TX_PROBE;
		c->n_retries = 0;
		c->rtt.backoff = 0;
		txq_move(&c->tx, c->tx.head, TX_LOST);
	}
}

bool tcp_ack(struct netstack *ns, mono_t now, struct tcp_conn *c, const struct tcp_in *in)
{
	struct tcp_ack_facts f = { .in = in,
				   .cc = { .now = now, .prior_inflight = tcp_inflight(c) } };
	struct newest nw = { .is_known = false };
	uint32_t ack = in->h.ack, acked = 0, wnd_before = c->snd_wnd;

	if (seq_lt(c->snd_nxt, ack) ||
	    seq_lt(ack, c->snd_una - c->snd_max_wnd)) { /* RFC 5961 5.2 */
		tcp_challenge(ns, now, c);
		return false;
	}
	if (!seq_lt(ack, c->snd_una)) {
		acked = ack - c->snd_una;
		update_window(c, &in->h);
	}
	if (acked > 0) {
		f.una_moved = true;
		f.cc.acked = acked;
		c->n_retries = 0;
		c->rtt.backoff = 0;
		c->n_probes = 0;
		ack_records(ns, now, c, &f, &nw, ack);
		drop_acked(ns, c, acked);
		if (c->rec.state != CA_RECOVERY)
			c->snd_dup = 0;
	} else {
		count_dup(c, in, wnd_before);
	}
	if (c->snd_una == ack || acked == 0)
		sack_input(ns, now, c, &f, &nw);
	recovery_forget(ns, c);
	answer_probe(c, now, wnd_before);
	sample_rtt(c, now, &f, &nw);
	rate_sample(c, now, &f);
	f.cc.is_cwnd_limited = is_window_limited(c, &f);
	if (!c->cc.ops->has_own_recovery)
		hystart_round(&c->cc.hystart, c->snd_una, c->snd_nxt);
	if (f.una_moved || f.cc.delivered > 0 || f.is_dsack || c->snd_dup > 0)
		recovery_on_ack(ns, now, c, &f);
	/* RFC 6298 5.3: a window that changes starts no timer again but that which probes it */
	if (f.una_moved || f.cc.delivered > 0 || c->rtx_kind == RTX_OFF ||
	    (c->rtx_kind == RTX_PERSIST && wnd_before != c->snd_wnd)) {
		if (c->rtx_kind != RTX_REORDER)
			tcp_arm_rtx(ns, now, c);
		else
			tcp_timer_set(ns, c);
	}
	if (acked > 0) {
		grow_sndbuf(ns, c);
		tcp_feed_starved(ns);
	}
	if (c->snd_len > 0 || c->tx.n[TX_LOST] > 0 || (c->fin_wanted && !c->fin_sent))
		tcp_want_out(ns, c);
	return true;
}
