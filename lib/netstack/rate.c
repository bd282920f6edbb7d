/* netstack/rate.c - delivery rate samples (draft-cheng-iccrg-delivery-rate-estimation): what
 * arrived between the moment a segment was sent and the moment it was acknowledged, over the longer
 * of the send and the acknowledge phase */
#include "netstack/tcp_conn.h"

/* Where packets overtake others the most recently sent of the delivered says too little about when
 * those were sent that will be delivered next, and the send phase looks short: a rate of twice what
 * the path has. It begins with the oldest in flight then, of those that are not lost by now. */
static mono_t phase_start(const struct tcp_conn *c, mono_t now)
{
	const struct tx_seg *oldest = txq_at(&c->tx, c->tx.list[TX_INFLIGHT].first);
	mono_t a_round_trip_ago = { now.ns - c->rtt.srtt.ns };

	if (!c->rack.reordering_seen)
		return c->rate.first_sent;
	return mono_min(c->rate.first_sent, mono_max(oldest->sent, a_round_trip_ago));
}

void rate_sent(struct tcp_conn *c, mono_t now, struct tx_seg *s)
{
	struct rate *r = &c->rate;

	if (c->tx.tail - c->tx.head == 1 && !(s->flags & TX_RETRANSMITTED)) {
		/* nothing else is unacknowledged: an interval begins. What is held to be lost
		 * counts too, for it may arrive after all. */
		r->first_sent = now;
		r->delivered_at = now;
		s->first_sent = now;
	} else {
		s->first_sent = phase_start(c, now);
	}
	s->delivered_at = r->delivered_at;
	s->delivered = r->delivered;
	if (r->app_limited)
		s->flags |= TX_APP_LIMITED;
	else
		s->flags &= (uint8_t)~TX_APP_LIMITED;
}

void rate_delivered(struct tcp_conn *c, mono_t now, const struct tx_seg *s, struct tcp_ack_facts *f,
		    uint32_t n)
{
	struct rate *r = &c->rate;

	r->delivered += n;
	r->delivered_at = now;
	f->cc.delivered += n;
	if (f->sampled && s->delivered < f->cc.prior_delivered)
		return;
	/* the most recently sent of what this ACK delivered */
	f->sampled = true;
	f->cc.prior_delivered = s->delivered;
	f->cc.is_app_limited = s->flags & TX_APP_LIMITED;
	f->cc.interval = (span_t){ MAX_OF(mono_sub(s->sent, s->first_sent).ns,
					  mono_sub(now, s->delivered_at).ns) };
	r->first_sent = s->sent;
}

void rate_sample(struct tcp_conn *c, mono_t now, struct tcp_ack_facts *f)
{
	struct rate *r = &c->rate;

	(void)now;
	if (r->app_limited && r->delivered > r->app_limited)
		r->app_limited = 0;
	f->cc.rate_delivered = r->delivered - f->cc.prior_delivered;
	if (!f->sampled || (c->rtt.min.ns > 0 && f->cc.interval.ns < c->rtt.min.ns))
		f->cc.interval = SPAN_NS(0);
}
