/* netstack/tcp_timer.c - what time does to a connection
 *
 * One retransmission timer with four uses that exclude one another (RTO, TLP, RACK's reordering
 * timer, persist), and one each for delayed ACK, keepalive, pacing and life (TIME-WAIT, FIN-WAIT-2,
 * an answer that the user owes). The heap knows the least.
 */
#include <assert.h>

#include "netstack/seq.h"
#include "netstack/stack.h"

void tcp_timer_set(struct netstack *ns, struct tcp_conn *c)
{
	mono_t at = mono_min(mono_min(c->t_rtx, c->t_ack), mono_min(c->t_keep, c->t_life));

	timer_set(&ns->timers, &c->timer, mono_min(at, c->t_pace));
}

void tcp_keep_touch(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	c->keep_sent = 0;
	c->t_keep = c->keep_count > 0 ? mono_add(now, SPAN_MS(c->keep_idle_ms)) : MONO_NEVER;
	tcp_timer_set(ns, c);
}

static void set_rtx(struct netstack *ns, struct tcp_conn *c, enum tcp_timer kind, mono_t at)
{
	c->rtx_kind = (uint8_t)kind;
	c->t_rtx = at;
	tcp_timer_set(ns, c);
}

static bool has_unsent(const struct tcp_conn *c)
{
	return c->snd_nxt - c->snd_una - (c->fin_sent ? 1 : 0) < c->snd_len ||
	       (c->fin_wanted && !c->fin_sent);
}

/* RFC 9293 3.8.6.1: nothing in flight, something to send, and the window does not let it */
static bool must_probe(const struct tcp_conn *c)
{
	if (!txq_is_empty(&c->tx))
		return c->snd_wnd == 0 && txq_at(&c->tx, c->tx.head)->flags & TX_PROBE;
	return has_unsent(c) && c->snd_wnd < c->mss;
}

void tcp_arm_rtx(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	span_t rto = rtt_rto(&c->rtt);

	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED)
		return; /* set when the SYN goes */
	if (must_probe(c)) {
		for (unsigned i = 0; i < c->n_probes && rto.ns < RTO_MAX.ns; i++)
			rto.ns *= 2;
		set_rtx(ns, c, RTX_PERSIST, mono_add(now, rto.ns < RTO_MAX.ns ? rto : RTO_MAX));
	} else if (txq_is_empty(&c->tx)) {
		set_rtx(ns, c, RTX_OFF, MONO_NEVER);
	} else if (rack_tlp_possible(c) && rack_pto(c).ns < rto.ns) {
		set_rtx(ns, c, RTX_TLP, mono_add(now, rack_pto(c)));
	} else {
		set_rtx(ns, c, RTX_RTO, mono_add(now, rto)); /* RFC 6298 5.1, 5.3 */
	}
}

static unsigned retries_max(const struct tcp_conn *c)
{
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED)
		return TCP_SYN_RETRIES;
	return c->is_released ? TCP_ORPHAN_RETRIES : TCP_RETRIES;
}

/* RFC 8201 4 and the lesson of RFC 4821: full segments that vanish without a word may be too long
 * for the path */
static void suspect_black_hole(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	const struct tx_seg *s = txq_at(&c->tx, c->tx.head);

	if (s->len > c->mss && tcp_cut_to_fit(ns, c))
		s = txq_at(&c->tx, c->tx.head); /* there was no memory for it before */
	if (c->n_retries >= TCP_BLACK_HOLE_RETRIES && s->len > TCP_MSS_BLACK_HOLE && c->snd_wnd > 0)
		tcp_path_mtu(ns, now, c,
			     TCP_MSS_BLACK_HOLE + (uint32_t)ip_head_len(&c->remote.ip) +
				 TCP_HEAD_LEN + TCP_TS_LEN);
}

/* RFC 9293 3.8.6.1: a peer that has taken its window back but answers is not gone */
static bool is_shut_out(const struct tcp_conn *c, mono_t now)
{
	return tcp_is_synchronized(c) && c->snd_wnd == 0 && !c->is_released &&
	       mono_sub(now, c->last_received).ns <= 2 * RTO_MAX.ns;
}

static void on_rto(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	if (c->n_retries < UINT8_MAX)
		c->n_retries++;
	if (c->n_retries > retries_max(c) && !is_shut_out(c, now)) {
		if (tcp_is_synchronized(c))
			tcp_send_rst(ns, c); /* RFC 9293 3.8.3: the other end may still be there */
		tcp_end(ns, c, NS_END_TIMEOUT);
		return;
	}
	if (c->rtt.backoff < UINT8_MAX)
		c->rtt.backoff++; /* RFC 6298 5.5 */
	if (!tcp_is_synchronized(c)) {
		c->syn_due = true;
	} else {
		suspect_black_hole(ns, now, c);
		recovery_on_rto(ns, now, c);
		c->pace_at = now;
	}
	tcp_arm_rtx(ns, now, c);
	tcp_want_out(ns, c);
}

bool ns_tcp_stalled(const struct netstack *ns, mono_t now, struct ns_stalled *s)
{
	while (s->index < ns->table.cap) {
		const struct tcp_conn *c = ns->table.slots[s->index++].conn;

		if (c && !c->is_ended && c->n_retries > 0 && c->rtx_kind == RTX_RTO &&
		    mono_due(mono_add(c->last_sent, c->rtt.srtt), now)) {
			s->remote = c->remote.ip;
			return true;
		}
	}
	return false;
}

void ns_tcp_try_again(struct netstack *ns, mono_t now, const struct ns_stalled *s)
{
	struct tcp_conn *c = ns->table.slots[s->index - 1].conn;

	assert(c && c->n_retries > 0);
	c->rtt.backoff = 0;
	if (tcp_is_synchronized(c)) {
		recovery_on_rto(ns, now, c);
		c->pace_at = now;
	} else {
		c->syn_due = true;
	}
	tcp_arm_rtx(ns, now, c);
	tcp_want_out(ns, c);
}

static void on_persist(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	/* RFC 9293 3.8.6.1: for ever while the peer answers; an orphan, or a peer that is silent,
	 * ends */
	if (c->n_probes >= retries_max(c) &&
	    (c->is_released || mono_sub(now, c->last_received).ns > 2 * RTO_MAX.ns)) {
		tcp_send_rst(ns, c);
		tcp_end(ns, c, NS_END_TIMEOUT);
		return;
	}
	if (c->n_probes < UINT8_MAX)
		c->n_probes++;
	if (c->snd_wnd > 0 &&
	    txq_is_empty(&c->tx)) { /* a small window for a long time: 3.8.6.2.1 (4), override */
		c->snd_max_wnd = c->snd_wnd;
		c->n_probes = 0;
	} else {
		c->probe_due = true;
	}
	set_rtx(ns, c, RTX_OFF, MONO_NEVER);
	tcp_want_out(ns, c);
}

static void on_rtx(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	c->t_rtx = MONO_NEVER;
	switch ((enum tcp_timer)c->rtx_kind) {
	case RTX_OFF:
		break;
	case RTX_RTO:
		on_rto(ns, now, c);
		break;
	case RTX_TLP:
		c->rtx_kind = RTX_OFF;
		c->tlp_due = true;
		tcp_want_out(ns, c);
		break;
	case RTX_REORDER:
		c->rtx_kind = RTX_OFF;
		recovery_on_reorder_timer(ns, now, c);
		break;
	case RTX_PERSIST:
		on_persist(ns, now, c);
		break;
	}
}

/* Returns false when the connection is gone. */
static bool on_life(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	(void)now;
	c->t_life = MONO_NEVER;
	switch (c->state) {
	case TCP_TIME_WAIT:
		tcp_finish(ns, c);
		return false;
	case TCP_PENDING:
	case TCP_FIN_WAIT_2:
		tcp_send_rst(ns, c);
		tcp_end(ns, c, NS_END_TIMEOUT);
		return false;
	default:
		return true;
	}
}

static bool on_keepalive(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	c->t_keep = MONO_NEVER;
	if (c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT && c->state != TCP_FIN_WAIT_2)
		return true;
	if (c->keep_sent >= c->keep_count) { /* RFC 9293 3.8.4 */
		tcp_send_rst(ns, c);
		tcp_end(ns, c, NS_END_TIMEOUT);
		return false;
	}
	if (txq_is_empty(&c->tx)) {
		c->keep_sent++;
		c->keep_due = true;
		tcp_want_out(ns, c);
	}
	c->t_keep = mono_add(now, SPAN_MS(c->keep_interval_ms));
	return true;
}

/* Each timer that is due; what is not due (the heap is lazy) is set again, always to a time after
 * now. */
void tcp_timeout(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	if (mono_due(c->t_life, now) && !on_life(ns, now, c))
		return;
	if (mono_due(c->t_keep, now) && !on_keepalive(ns, now, c))
		return;
	if (mono_due(c->t_ack, now)) {
		c->t_ack = MONO_NEVER;
		c->ack_now = true;
		tcp_want_out(ns, c);
	}
	if (mono_due(c->t_pace, now)) {
		c->t_pace = MONO_NEVER;
		tcp_want_out(ns, c);
	}
	if (mono_due(c->t_rtx, now)) {
		struct tcp_conn *last = c;
		uint32_t index = c->index;

		on_rtx(ns, now, c);
		if (ns->table.slots[index].conn != last || last->state == TCP_CLOSED)
			return;
	}
	tcp_timer_set(ns, c);
}
