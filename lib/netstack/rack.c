/* netstack/rack.c - RACK-TLP (RFC 8985): a segment is lost when one that was sent later has
 * arrived, and time has passed
 *
 * The list of what is in flight is in order of transmission, so detection looks at its front only.
 * The reordering window follows section 6.2 step 4 with two additions of ours, since on paths where
 * some packets overtake the others the lowest round trip says nothing about how late the overtaken
 * ones are: (1) how late a late comer was is measured (reo_seen) and the window is an eighth above
 * it; (2) each round with a needless retransmission widens it by a quarter of SRTT, not of the
 * lowest RTT. The upper limit is 5/4 of SRTT, not SRTT: when a segment and its ACK both overtake,
 * the others are a whole round trip late.
 */
#include "netstack/seq.h"
#include "netstack/tcp_conn.h"

enum { REO_PERSIST = 16, REO_MULT_MAX = 20, DUP_THRESH = 3 };

static bool sent_after(mono_t t1, uint32_t end1, mono_t t2, uint32_t end2) /* RFC 8985 6.2 step 2 */
{
	return mono_before(t2, t1) || (t1.ns == t2.ns && seq_lt(end2, end1));
}

/* Was it the first transmission that arrived, though there was a second? The echoed timestamp
 * tells. */
static bool was_original(const struct tcp_conn *c, const struct tx_seg *s, uint32_t tsecr,
			 bool has_tsecr)
{
	return s->flags & TX_RETRANSMITTED && s->n_sent == 2 && has_tsecr &&
	       seq_lt(tsecr, tcp_clock(c, s->sent));
}

static void note_order(struct tcp_conn *c, mono_t now, const struct tx_seg *s, bool original)
{
	struct rack *r = &c->rack;

	if (seq_lt(r->fack, tx_end(s))) {
		r->fack = tx_end(s);
	} else if ((original || !(s->flags & TX_RETRANSMITTED)) &&
		   seq_lt(tx_end(s), r->fack)) { /* step 3 */
		int64_t late = mono_sub(now, s->original).ns - r->rtt.ns;

		if (late > r->reo_seen.ns && late < 2 * c->rtt.srtt.ns)
			r->reo_seen.ns = late;
		r->reordering_seen = true;
	}
}

/* RFC 8985 6.2 steps 1 to 3, for one segment that was just acknowledged or sacked */
void rack_delivered(struct tcp_conn *c, mono_t now, const struct tx_seg *s, uint32_t tsecr,
		    bool has_tsecr)
{
	struct rack *r = &c->rack;
	span_t rtt = mono_sub(now, s->sent);

	note_order(c, now, s, was_original(c, s, tsecr, has_tsecr));
	if (s->flags & TX_RETRANSMITTED) { /* was it the original that arrived? */
		if (has_tsecr && seq_lt(tsecr, tcp_clock(c, s->sent)))
			return;
		if (c->rtt.min.ns > 0 && rtt.ns < c->rtt.min.ns)
			return;
	}
	if (!sent_after(s->sent, tx_end(s), r->xmit, r->end_seq))
		return;
	r->xmit = s->sent;
	r->end_seq = tx_end(s);
	r->rtt = rtt;
}

span_t rack_reo_wnd(const struct tcp_conn *c)
{
	const struct rack *r = &c->rack;
	int64_t wnd;

	if (!r->reordering_seen && (c->rec.state != CA_OPEN || c->tx.n[TX_SACKED] >= DUP_THRESH))
		return SPAN_NS(0);
	wnd = c->rtt.min.ns / 4 + (r->reo_wnd_mult - 1) * (c->rtt.srtt.ns / 4);
	if (wnd < r->reo_seen.ns + r->reo_seen.ns / 8)
		wnd = r->reo_seen.ns + r->reo_seen.ns / 8;
	return SPAN_NS(MIN_OF(wnd, c->rtt.srtt.ns + c->rtt.srtt.ns / 4));
}

/* RFC 8985 6.2 step 5 */
uint32_t rack_detect(struct tcp_conn *c, mono_t now)
{
	const struct rack *r = &c->rack;
	span_t reo = rack_reo_wnd(c);
	uint32_t lost = 0;

	if (c->rtx_kind == RTX_REORDER) {
		c->rtx_kind = RTX_OFF;
		c->t_rtx = MONO_NEVER;
	}
	while (c->tx.list[TX_INFLIGHT].first != TX_NONE) {
		uint32_t i = c->tx.list[TX_INFLIGHT].first;
		struct tx_seg *s = txq_at(&c->tx, i);
		mono_t due = mono_add(mono_add(s->sent, r->rtt), reo);

		if (!sent_after(r->xmit, r->end_seq, s->sent, tx_end(s)))
			break;
		if (!mono_due(due, now)) { /* the first is the next to fall due */
			c->rtx_kind = RTX_REORDER;
			c->t_rtx = due;
			break;
		}
		lost += tx_span(s);
		txq_move(&c->tx, i, TX_LOST);
	}
	return lost;
}

/* RFC 8985 6.2 step 4: once a round trip */
void rack_dsack(struct tcp_conn *c)
{
	struct rack *r = &c->rack;

	if (r->reo_wnd_mult > 1 && seq_lt(c->snd_una, r->reo_wnd_mult_seq))
		return;
	r->reo_wnd_mult_seq = c->snd_nxt;
	r->reo_wnd_persist = REO_PERSIST;
	if (r->reo_wnd_mult < REO_MULT_MAX)
		r->reo_wnd_mult++;
}

/* At the end of a recovery: what was learnt fades unless it is seen again. */
void rack_recovered(struct tcp_conn *c)
{
	struct rack *r = &c->rack;

	r->reo_seen.ns -= r->reo_seen.ns / 64;
	if (r->reo_wnd_persist > 0 && --r->reo_wnd_persist == 0)
		r->reo_wnd_mult = 1;
}

bool rack_tlp_possible(const struct tcp_conn *c) /* RFC 8985 7.2 */
{
	return c->has_sack && rtt_known(&c->rtt) && c->rec.state == CA_OPEN &&
	       !c->rack.tlp_outstanding && !c->tlp_due && c->n_retries == 0 &&
	       c->tx.n[TX_SACKED] == 0 && c->tx.n[TX_LOST] == 0;
}

span_t rack_pto(const struct tcp_conn *c)
{
	span_t pto = { 2 * c->rtt.srtt.ns };

	if (c->tx.tail - c->tx.head == 1) /* one segment in flight: the ACK may be delayed */
		pto.ns += SPAN_MS(40).ns;
	if (pto.ns < SPAN_MS(2).ns)
		pto = SPAN_MS(2);
	return pto;
}
