/* netstack/recovery.c - when a loss episode begins and ends, how fast it sends, and taking it back
 * when it was none
 *
 * RFC 6675 and 8985 for what is lost, RFC 6937 (PRR) for how much goes out meanwhile, RFC 3522
 * (Eifel, by timestamps) and 3708 (DSACK) for finding out that nothing was lost: then window and
 * threshold are what they were.
 */
#include "netstack/seq.h"
#include "netstack/stack.h"

/* What was sent again before and is not acknowledged: its acknowledgement and its DSACK are still
 * to come, and say nothing about what will be sent again from here on. */
static uint32_t sent_again(const struct txq *t)
{
	uint32_t n = 0;

	for (uint32_t i = t->head; i != t->tail; i++)
		n += (txq_at(t, i)->flags & TX_RETRANSMITTED) != 0;
	return n;
}

static void begin(struct netstack *ns, struct tcp_conn *c, enum recovery_state s)
{
	struct recovery *r = &c->rec;

	if (r->state == CA_OPEN) {
		ranges_drop(&c->again, &ns->pool, r->undo_seq);
		r->undo_seq = c->snd_una;
		r->undo_retrans = sent_again(&c->tx);
		r->undo_possible = true;
		r->retrans_sent = r->retrans_sent && r->undo_retrans > 0;
		c->cc.undo_cwnd = c->cc.cwnd;
		c->cc.undo_ssthresh = c->cc.ssthresh;
	}
	r->state = s;
	r->point = c->snd_nxt;
	r->prr_delivered = r->prr_out = 0;
}

static void enter_recovery(struct netstack *ns, struct tcp_conn *c, mono_t now,
			   uint32_t prior_inflight)
{
	begin(ns, c, CA_RECOVERY);
	c->rec.recover_fs = MAX_OF(prior_inflight, (uint32_t)c->mss);
	c->cc.ssthresh = c->cc.ops->on_loss(&c->cc, now, prior_inflight);
}

static void end_recovery(struct tcp_conn *c)
{
	if (c->rec.state == CA_RECOVERY && !c->cc.ops->has_own_recovery)
		c->cc.cwnd =
		    MAX_OF(c->cc.ssthresh, 2 * c->cc.mss); /* RFC 6937: at the end, the threshold */
	c->rec.state = CA_OPEN;
	c->snd_dup = 0;
	rack_recovered(c);
}

static void undo(struct netstack *ns, struct tcp_conn *c, mono_t now)
{
	c->cc.cwnd = MAX_OF(c->cc.cwnd, c->cc.undo_cwnd);
	c->cc.ssthresh = c->cc.undo_ssthresh;
	c->cc.ops->on_undo(&c->cc, now);
	c->rec.undo_possible = false;
	c->rec.state = CA_OPEN;
	c->n_retries = 0;
	c->rtt.backoff = 0;
	c->snd_dup = 0;
	txq_unlose(&c->tx);
	c->segs_spurious += c->rec.undo_retrans;
	ns->stat.tcp_spurious += c->rec.undo_retrans;
}

/* RFC 3522 3.2: what moved SND.UNA was sent before our first retransmission */
static bool was_original(const struct tcp_conn *c, const struct tcp_in *in)
{
	return c->rec.retrans_sent && c->has_ts && in->h.has_ts &&
	       seq_lt(in->h.tsecr, c->rec.retrans_tsval);
}

static void prr(struct tcp_conn *c, const struct tcp_ack_facts *f)
{
	struct recovery *r = &c->rec;
	uint32_t pipe = tcp_inflight(c), ssthresh = c->cc.ssthresh, send = 0;

	r->prr_delivered += f->cc.delivered;
	if (pipe > ssthresh) {
		uint64_t goal =
		    ((uint64_t)r->prr_delivered * ssthresh + r->recover_fs - 1) / r->recover_fs;

		send = goal > r->prr_out ? (uint32_t)(goal - r->prr_out) : 0;
	} else { /* slow start reduction bound */
		uint32_t owed = r->prr_delivered > r->prr_out ? r->prr_delivered - r->prr_out : 0;

		send =
		    MAX_OF(owed, f->cc.delivered) + (f->una_moved && f->cc.lost == 0 ? c->mss : 0);
		send = MIN_OF(ssthresh - pipe, send);
	}
	if (r->prr_out == 0 && send < c->mss) /* the first retransmission always goes */
		send = c->mss;
	c->cc.cwnd = MAX_OF(pipe + send, (uint32_t)c->mss);
}

/* A peer without SACK (RFC 6582): the third duplicate, and every partial acknowledgement, name the
 * first segment */
static void newreno_lost(struct tcp_conn *c, const struct tcp_ack_facts *f)
{
	const struct tx_seg *s;

	if (c->has_sack || txq_is_empty(&c->tx))
		return;
	s = txq_at(&c->tx, c->tx.head);
	if (s->where == TX_INFLIGHT && ((c->rec.state == CA_OPEN && c->snd_dup == 3) ||
					(c->rec.state == CA_RECOVERY && f->una_moved)))
		txq_move(&c->tx, c->tx.head, TX_LOST);
}

/* RFC 8985 7.4.2: the probe was a retransmission, and it alone repaired a loss of the tail, unless
 * a DSACK says that both arrived. It may come with the next ACK; a time stamp tells at once. */
static void check_tlp(struct netstack *ns, struct tcp_conn *c, mono_t now,
		      const struct tcp_ack_facts *f)
{
	struct rack *r = &c->rack;

	if (!r->tlp_outstanding || seq_lt(c->snd_una, r->tlp_end_seq))
		return;
	if (r->tlp_is_retrans && !c->has_ts && !f->is_dsack && c->snd_una == r->tlp_end_seq)
		return;
	r->tlp_outstanding = false;
	if (!r->tlp_is_retrans || f->is_dsack || c->rec.state != CA_OPEN || !f->una_moved)
		return;
	if (c->has_ts && f->in->h.has_ts && seq_lt(f->in->h.tsecr, c->rec.retrans_tsval))
		return;
	enter_recovery(ns, c, now, f->cc.prior_inflight);
	end_recovery(c);
}

void recovery_on_ack(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_ack_facts *f)
{
	struct recovery *r = &c->rec;

	check_tlp(ns, c, now, f);
	if (r->state != CA_OPEN && f->una_moved && r->undo_possible && was_original(c, f->in)) {
		f->spurious_seen = true;
		undo(ns, c, now);
	}
	if (r->state != CA_OPEN && !seq_lt(c->snd_una, r->point))
		end_recovery(c);
	newreno_lost(c, f);
	f->cc.lost += rack_detect(c, now);
	if (r->state == CA_OPEN && c->tx.n[TX_LOST] > 0)
		enter_recovery(ns, c, now, f->cc.prior_inflight);
	f->cc.in_recovery = r->state == CA_RECOVERY;
	f->cc.inflight = tcp_inflight(c);
	if (r->state == CA_RECOVERY && !c->cc.ops->has_own_recovery)
		prr(c, f);
	else
		c->cc.ops->on_ack(&c->cc, &f->cc, &c->rtt);
}

void recovery_on_reorder_timer(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	uint32_t prior = tcp_inflight(c);

	if (rack_detect(c, now) > 0 && c->rec.state == CA_OPEN) {
		enter_recovery(ns, c, now, prior);
		if (!c->cc.ops->has_own_recovery)
			c->cc.cwnd =
			    MAX_OF(c->cc.cwnd - MIN_OF(c->cc.cwnd, prior - tcp_inflight(c)),
				   tcp_inflight(c) + c->mss);
	} else if (c->rec.state == CA_RECOVERY && c->cc.cwnd < tcp_inflight(c) + c->mss) {
		c->cc.cwnd = tcp_inflight(c) + c->mss;
	}
	if (c->rtx_kind == RTX_OFF)
		tcp_arm_rtx(ns, now, c);
	tcp_want_out(ns, c);
}

/* RFC 8985 6.3 with RFC 5681 3.1: what is overdue is lost; the rest may still arrive */
void recovery_on_rto(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	struct txq *t = &c->tx;
	bool reneged = !txq_is_empty(t) && txq_at(t, t->head)->where == TX_SACKED; /* RFC 2018 8 */
	span_t reo = rack_reo_wnd(c);
	uint32_t prior = tcp_inflight(c);

	for (uint32_t i = t->head; i != t->tail; i++) { /* all again, in order of sequence */
		struct tx_seg *s = txq_at(t, i);
		bool overdue = i == t->head || !c->has_sack ||
			       mono_due(mono_add(mono_add(s->sent, c->rack.rtt), reo), now);

		if (s->where == TX_LOST || (s->where == TX_INFLIGHT && overdue) ||
		    (s->where == TX_SACKED && reneged))
			txq_move(t, i, TX_LOST);
	}
	c->rack.tlp_outstanding = false;
	c->tlp_due = false;
	if (c->rec.state != CA_LOSS ||
	    !seq_lt(c->snd_una, c->rec.point)) { /* RFC 5681 3.1: once for one flight */
		begin(ns, c, CA_LOSS);
		c->cc.ops->on_rto(&c->cc, now, prior);
	}
	if (!c->cc.ops->has_own_recovery)
		c->cc.cwnd = c->mss + tcp_inflight(c);
	c->rec.state = CA_LOSS;
	c->snd_dup = 0;
}

void recovery_on_dsack(struct netstack *ns, mono_t now, struct tcp_conn *c,
		       const struct tcp_sack *d)
{
	struct recovery *r = &c->rec;

	if (!ranges_has(&c->again, d->start, d->end))
		return; /* RFC 3708 2: sent once and received twice, that was the network */
	rack_dsack(c);
	if (!r->undo_possible || seq_lt(d->start, r->undo_seq) || r->undo_retrans == 0)
		return;
	c->segs_spurious++;
	ns->stat.tcp_spurious++;
	if (--r->undo_retrans == 0) /* RFC 3708 2 (c): each of them was needless */
		undo(ns, c, now);
}

/* Sent again for the first time, and nothing else of that kind is on its way, as what an undone
 * recovery sent again may be when a probe goes. */
static bool is_first_again(const struct txq *t, const struct tx_seg *s)
{
	if (s->n_sent > 2)
		return false;
	for (uint32_t i = t->head; i != t->tail; i++)
		if (txq_at(t, i) != s && txq_at(t, i)->flags & TX_RETRANSMITTED)
			return false;
	return true;
}

void recovery_sent(struct netstack *ns, mono_t now, struct tcp_conn *c, const struct tx_seg *s,
		   bool again)
{
	struct tcp_sack was;
	bool dup;

	if (c->rec.state == CA_RECOVERY)
		c->rec.prr_out += tx_span(s);
	if (!again)
		return;
	if (!c->rec.retrans_sent || (c->rec.state == CA_OPEN && is_first_again(&c->tx, s))) {
		c->rec.retrans_tsval = tcp_clock(c, now);
		c->rec.retrans_sent = true;
	}
	if (c->rec.state == CA_OPEN)
		return;
	c->rec.undo_retrans++;
	/* without room its DSACK will say nothing, and nothing is taken back */
	(void)!ranges_add(&c->again, &ns->pool, s->seq, tx_end(s), &was, &dup);
}

/* A DSACK for what was sent again comes within a round trip or two. */
void recovery_forget(struct netstack *ns, struct tcp_conn *c)
{
	if (c->again.n > 0 &&
	    (txq_is_empty(&c->tx) ||
	     (c->rec.state == CA_OPEN && seq_lt(c->rec.point + c->sndbuf, c->snd_una))))
		ranges_clear(&c->again, &ns->pool);
}
