/* netstack/tcp_output.c - which segment goes next, and how it is made (RFC 9293 3.8, 3.10)
 *
 * Order: a SYN; an acknowledgement with SACK blocks (it must not wait behind data that has no room
 * for them); what is lost; a probe; new data; the FIN with the last of it; an acknowledgement, if
 * none of these carried it. Congestion window, pacing and the peer's window are asked before each
 * segment.
 */
#include <assert.h>

#include "netstack/seq.h"
#include "netstack/stack.h"
#include "wire/checksum.h"

#define PACE_QUANTUM                                                                               \
	SPAN_MS(1) /* timers of the loop are that coarse: what is due within it goes now */
#define PACE_RTT_MIN SPAN_MS(2) /* below this the window alone is fine enough */
/* and so it is when so few segments are the window: RFC 6928 lets ten go at once, these follow the
 * acknowledgements, and a timer that comes late takes a part of a small window */
enum { PACE_WINDOW_MIN = 16 };

/* --- making segments --- */

static struct tcp_head head_of(struct netstack *ns, mono_t now, struct tcp_conn *c, uint32_t seq,
			       uint8_t flags)
{
	struct tcp_head h = { .sport = c->local.port,
			      .dport = c->remote.port,
			      .seq = seq,
			      .ack = c->rcv_nxt,
			      .flags = flags };

	h.wnd = (uint16_t)tcp_window(ns, c);
	if (c->has_ts) {
		h.has_ts = true;
		h.tsval = tcp_clock(c, now);
		h.tsecr = c->ts_recent;
	}
	return h;
}

/* RFC 2018 4, RFC 2883 4: a duplicate first, then what is held, most recent first */
static void add_sack(const struct tcp_conn *c, struct tcp_head *h)
{
	size_t max = c->has_ts ? 3 : 4, n = 0;

	if (!c->has_sack)
		return;
	if (c->has_dsack)
		h->sack[n++] = c->dsack;
	if (c->ooo.n > 0)
		n += ranges_sack(&c->ooo, h->sack + n, max - n);
	h->n_sack = (uint8_t)n;
}

/* Header, then len bytes from off of the send buffer (len 0: none); checksums; accounts for the ACK
 * it carries. */
static void emit(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out,
		 const struct tcp_head *h, uint64_t off, uint32_t len)
{
	size_t ip = ip_head_len(&c->remote.ip), hl;
	struct pkt *p = burst_add(out, (uint32_t)(ip + TCP_HEAD_MAX));
	uint8_t *tcp;
	uint64_t sum;

	assert(p);
	tcp = p->data + ip;
	hl = tcp_emit(tcp, h);
	pkt_trim(p, (uint32_t)(ip + hl + len));
	if (len > 0)
		chunkq_read(&c->snd, off, tcp + hl, len);
	ip_emit(ns, p->data, &c->local.ip, &c->remote.ip, PROTO_TCP, hl + len);
	sum = checksum_pseudo(&c->local.ip, &c->remote.ip, PROTO_TCP, (uint32_t)(hl + len));
	checksum_store(tcp + 16, checksum_add(sum, tcp, hl + len));
	c->segs_out++;
	c->last_sent = now;
	if (h->flags & TCP_ACK) {
		c->last_ack_sent = h->ack;
		c->unacked = 0;
		c->ack_pending = false;
		c->t_ack = MONO_NEVER;
		if (c->ooo.n == 0 || h->n_sack > 0)
			c->ack_now = false;
		if (h->n_sack > 0)
			c->has_dsack = false;
	}
}

static void emit_syn(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out)
{
	bool is_answer = c->state == TCP_SYN_RECEIVED;
	struct tcp_head h = { .sport = c->local.port,
			      .dport = c->remote.port,
			      .seq = c->iss,
			      .flags = TCP_SYN,
			      .has_mss = true,
			      .mss = c->mss_path };

	/* RFC 9293 3.7.1: without options; what was not offered is not answered (RFC 7323 2.2, 3.2;
	 * RFC 2018 2) */
	h.wnd = (uint16_t)MIN_OF(c->rcvbuf, (uint32_t)UINT16_MAX);
	if (is_answer) {
		h.flags |= TCP_ACK;
		h.ack = c->rcv_nxt;
	}
	h.has_wscale = !is_answer || c->has_wscale;
	h.wscale = c->rcv_wscale;
	h.sack_permitted = !is_answer || c->has_sack;
	if (!is_answer || c->has_ts) {
		h.has_ts = true;
		h.tsval = tcp_clock(c, now);
		h.tsecr = is_answer ? c->ts_recent : 0;
	}
	c->mss_offered = MAX_OF(c->mss_offered, h.mss);
	if (is_answer)
		c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + h.wnd);
	emit(ns, now, c, out, &h, 0, 0);
	c->syn_due = false;
	if (c->n_retries > 0)
		c->segs_retrans++;
	c->t_rtx = mono_add(now, rtt_rto(&c->rtt));
	c->rtx_kind = RTX_RTO;
	tcp_timer_set(ns, c);
}

/* The peer takes an acknowledgement or a reset only if its sequence number is in the window (RFC
 * 9293 3.10.7.4). A probe of a closed window is beyond the edge, and so is what was sent before a
 * window shrank. */
static uint32_t ack_seq(const struct tcp_conn *c)
{
	uint32_t edge = c->snd_una + c->snd_wnd;

	return seq_lt(edge, c->snd_nxt) ? edge : c->snd_nxt;
}

static void emit_ack(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out)
{
	struct tcp_head h = head_of(ns, now, c, ack_seq(c), TCP_ACK);

	add_sack(c, &h);
	emit(ns, now, c, out, &h, 0, 0);
	c->ack_now = false;
}

/* RFC 9293 3.8.4, 3.8.6.1: a byte of sequence space that the peer has acknowledged makes it answer
 */
static void emit_keepalive(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out)
{
	struct tcp_head h = head_of(ns, now, c, c->snd_una - 1, TCP_ACK);

	emit(ns, now, c, out, &h, 0, 0);
	c->keep_due = false;
}

/* A reset outside the order of sending: through the queue of datagrams (RFC 9293 3.5.2). */
void tcp_send_rst(struct netstack *ns, struct tcp_conn *c)
{
	struct tcp_head h = { .sport = c->local.port,
			      .dport = c->remote.port,
			      .flags = TCP_RST | TCP_ACK,
			      .ack = c->rcv_nxt };
	uint8_t buf[TCP_HEAD_MAX];
	size_t n;

	if (c->state == TCP_SYN_SENT)
		h.seq = c->snd_nxt; /* no window is known */
	else if (c->state != TCP_PENDING)
		h.seq = ack_seq(c);
	n = tcp_emit(buf, &h);
	(void)!ip_queue(ns, &c->local.ip, &c->remote.ip, PROTO_TCP, bytes_of(buf, n),
			bytes_of(buf, 0), 16);
}

/* --- data --- */

static void emit_record(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out,
			const struct tx_seg *s)
{
	uint32_t from = s->seq - c->snd_una; /* into the send buffer */
	struct tcp_head h = head_of(ns, now, c, s->seq, TCP_ACK);

	if (s->flags & TX_FIN)
		h.flags |= TCP_FIN;
	if (s->len > 0 && from + s->len == c->snd_len)
		h.flags |= TCP_PSH; /* RFC 9293 3.9.1.2: all that the user has given */
	emit(ns, now, c, out, &h, c->snd.head + from, s->len);
}

/* Bytes a second, headers included where the window rules; 0: no pacing */
static uint64_t pace_rate(const struct tcp_conn *c)
{
	/* percent: above what the window says, so that it still rules */
	uint64_t gain = cc_in_slow_start(&c->cc) ? 200 : 125;

	if (c->cc.pacing_rate > 0)
		return c->cc.pacing_rate;
	if (!rtt_known(&c->rtt) || c->rtt.srtt.ns < PACE_RTT_MIN.ns ||
	    c->cc.cwnd <= PACE_WINDOW_MIN * (uint32_t)c->mss)
		return 0;
	return MAX_OF((uint64_t)c->cc.cwnd * gain / 100 * 1000000 /
			  (uint64_t)(c->rtt.srtt.ns / 1000),
		      (uint64_t)1);
}

static span_t pace_span(const struct tcp_conn *c, uint32_t len, uint64_t rate)
{
	if (c->cc.pacing_rate == 0)
		len += TCP_HEAD_LEN + IP_HEAD_MAX;
	return SPAN_NS((uint64_t)len * 1000000000 / rate);
}

static void pace(struct tcp_conn *c, mono_t now, uint32_t len)
{
	uint64_t rate = pace_rate(c);
	mono_t from = now;

	if (rate == 0 || c->snd_nxt - c->iss <= CC_INITIAL_SEGS * (uint32_t)c->mss)
		return; /* RFC 6928: the initial window may leave at once, and short answers end
			   there */
	if (c->cc.pacing_rate > 0) /* it rules: a timer that came late takes nothing away */
		from.ns -= PACE_QUANTUM.ns;
	c->pace_at = mono_add(mono_max(c->pace_at, from), pace_span(c, len, rate));
}

/* At low rates segments leave in pairs: a receiver acknowledges every second one at once (RFC
 * 9293 3.8.6.3), and one alone would wait there for the other, which a small window feels as a
 * longer round trip. */
static bool must_wait(struct tcp_conn *c, mono_t now)
{
	span_t ahead = PACE_QUANTUM;
	uint64_t rate;

	if (mono_due(c->pace_at, mono_add(now, ahead)))
		return false;
	rate = pace_rate(c);
	if (rate > 0)
		ahead = pace_span(c, c->mss, rate);
	if (mono_due(c->pace_at, mono_add(now, ahead)))
		return false;
	c->t_pace = c->pace_at;
	c->is_cwnd_limited = true; /* the pace follows the window: the user had more */
	return true;
}

static bool fits_cwnd(struct tcp_conn *c, uint32_t len)
{
	uint32_t inflight =
	    tcp_inflight(c) > c->snd_dup * c->mss ? tcp_inflight(c) - c->snd_dup * c->mss : 0;

	if (inflight == 0 || inflight + len <= c->cc.cwnd)
		return true;
	c->is_cwnd_limited = true;
	return false;
}

static void sent(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tx_seg *s, bool again)
{
	rate_sent(c, now, s);
	s->sent = now;
	if (!again)
		s->original = now;
	if (s->n_sent < UINT8_MAX)
		s->n_sent++;
	if (again) {
		s->flags |= TX_RETRANSMITTED;
		c->segs_retrans++;
		ns->stat.tcp_retrans++;
	}
	recovery_sent(ns, now, c, s, again);
	pace(c, now, tx_span(s));
}

static void send_again(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out,
		       uint32_t i)
{
	struct tx_seg *s = txq_at(&c->tx, i);

	emit_record(ns, now, c, out, s);
	txq_move(&c->tx, i, TX_INFLIGHT);
	sent(ns, now, c, s, true);
}

static bool try_lost(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out)
{
	uint32_t i = c->tx.list[TX_LOST].first;

	if (i == TX_NONE || !fits_cwnd(c, tx_span(txq_at(&c->tx, i))) || must_wait(c, now))
		return false;
	send_again(ns, now, c, out, i);
	return true;
}

/* Bytes of the buffer that were never sent */
static uint32_t unsent(const struct tcp_conn *c)
{
	uint32_t sent_len = c->snd_nxt - c->snd_una - (c->fin_sent ? 1 : 0);

	return c->snd_len - sent_len;
}

/* How much of the next segment the peer's window and RFC 9293 3.8.6.2.1 (no silly window) allow;
 * fin: the FIN goes with it */
static bool next_segment(const struct tcp_conn *c, uint32_t *len, bool *fin)
{
	uint32_t left = unsent(c), used = c->snd_nxt - c->snd_una,
		 room = c->snd_wnd > used ? c->snd_wnd - used : 0;

	*len = MIN_OF(left, (uint32_t)c->mss);
	if (*len > room)
		*len = room;
	*fin = c->fin_wanted && !c->fin_sent && *len == left && *len < room;
	if (*len == 0)
		return *fin;
	return *len == c->mss || *len == left || *len >= c->snd_max_wnd / 2;
}

static bool send_new(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out,
		     uint32_t len, bool fin, uint8_t flags)
{
	struct tx_seg *s =
	    txq_push(&c->tx, &ns->pool, c->snd_nxt, len, (uint8_t)(flags | (fin ? TX_FIN : 0)));

	if (!s) {
		ns_drop(ns, NS_DROP_NO_MEMORY);
		c->t_pace = mono_add(now, SPAN_MS(10)); /* others will give back */
		return false;
	}
	if (fin) { /* RFC 9293 3.10.4 */
		c->fin_sent = true;
		tcp_set_state(ns, c, c->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT_1);
	}
	emit_record(ns, now, c, out, s);
	c->snd_nxt += tx_span(s);
	sent(ns, now, c, s, false);
	return true;
}

static bool try_new(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out)
{
	uint32_t len;
	bool fin;

	if (c->fin_sent || !next_segment(c, &len, &fin) || !fits_cwnd(c, len) || must_wait(c, now))
		return false;
	if (c->tx.head == c->tx.tail && mono_sub(now, c->last_sent).ns > rtt_rto(&c->rtt).ns)
		c->cc.ops->on_idle(&c->cc, now, mono_sub(now, c->last_sent)); /* RFC 5681 4.1 */
	return send_new(ns, now, c, out, len, fin, 0);
}

/* RFC 8985 7.3: something new if there is, else the last that is not known to have arrived */
static void send_tlp(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out)
{
	uint32_t len, i = c->tx.tail;
	bool fin;

	c->tlp_due = false;
	c->rack.tlp_is_retrans = false;
	if (!c->fin_sent && next_segment(c, &len, &fin) && send_new(ns, now, c, out, len, fin, 0)) {
		c->rack.tlp_outstanding = true;
	} else {
		while (i != c->tx.head && txq_at(&c->tx, i - 1)->where == TX_SACKED)
			i--;
		if (i == c->tx.head)
			return;
		send_again(ns, now, c, out, i - 1);
		c->rack.tlp_outstanding = c->rack.tlp_is_retrans = true;
	}
	c->rack.tlp_end_seq = c->snd_nxt;
	tcp_arm_rtx(ns, now, c);
}

/* RFC 9293 3.8.6.1: at least one octet of new data into a closed window; the same one again and
 * again */
static void send_probe(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out)
{
	c->probe_due = false;
	if (!txq_is_empty(&c->tx))
		send_again(ns, now, c, out, c->tx.head);
	else if (!c->fin_sent && unsent(c) > 0) /* a FIN that was acknowledged ends all probing */
		(void)send_new(ns, now, c, out, 1, false, TX_PROBE);
	else if (c->fin_wanted && !c->fin_sent)
		(void)send_new(ns, now, c, out, 0, true, TX_PROBE);
	tcp_arm_rtx(ns, now, c);
}

/* Whether the user, not the network, is what we wait for (delivery rate: app limited) */
static void note_limit(struct tcp_conn *c)
{
	if (unsent(c) < c->mss && c->tx.n[TX_LOST] == 0 && tcp_inflight(c) < c->cc.cwnd)
		c->rate.app_limited = c->rate.delivered + tcp_inflight(c) + 1;
}

static bool output_data(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out,
			size_t until)
{
	uint32_t before = c->tx.tail;
	uint32_t retrans = c->segs_retrans;
	bool more = true;

	c->t_pace = MONO_NEVER;
	if (c->tlp_due)
		send_tlp(ns, now, c, out);
	if (c->probe_due)
		send_probe(ns, now, c, out);
	c->is_cwnd_limited = false;
	while (out->n < until && more)
		more = try_lost(ns, now, c, out) ||
		       (c->tx.n[TX_LOST] == 0 && try_new(ns, now, c, out));
	if (c->tx.tail != before || c->segs_retrans != retrans || c->rtx_kind == RTX_OFF)
		tcp_arm_rtx(ns, now, c);
	if (!more) {
		note_limit(c);
		tcp_timer_set(ns, c);
	}
	return more;
}

bool tcp_output(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out, size_t max)
{
	size_t until = out->n + max;

	switch (c->state) {
	case TCP_CLOSED:
	case TCP_PENDING:
		return false;
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
		if (c->syn_due)
			emit_syn(ns, now, c, out);
		else if (c->ack_now && c->state == TCP_SYN_RECEIVED)
			emit_ack(ns, now, c, out);
		return false;
	case TCP_TIME_WAIT:
		break;
	default:
		if (c->ack_now && c->has_sack && (c->ooo.n > 0 || c->has_dsack))
			emit_ack(ns, now, c, out);
		if (out->n == until)
			return true; /* data and timers have not had their turn */
		if (output_data(ns, now, c, out, until))
			return true;
	}
	if (out->n == until)
		return c->ack_now || c->keep_due;
	if (c->keep_due)
		emit_keepalive(ns, now, c, out);
	else if (c->ack_now)
		emit_ack(ns, now, c, out);
	return false;
}
