/* netstack/tcp_input.c - what an arriving segment does (RFC 9293 3.10.7)
 *
 * The checks stand in the order of the RFC: sequence number (with PAWS before it, RFC 7323 5.3),
 * RST and SYN (RFC 5961), ACK, text, FIN. An acknowledgement is never made here: ack_now or the
 * delayed-ACK timer is set, and the next pull makes one for all segments of a burst together.
 */
#include "netstack/seq.h"
#include "netstack/stack.h"
#include "wire/checksum.h"

static uint32_t seg_len(const struct tcp_in *in) /* RFC 9293 3.3.1: SEG.LEN */
{
	return in->len + (in->h.flags & TCP_SYN ? 1 : 0) + (in->h.flags & TCP_FIN ? 1 : 0);
}

static void ack_now(struct netstack *ns, struct tcp_conn *c)
{
	c->ack_now = true;
	tcp_want_out(ns, c);
}

void tcp_challenge(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	uint32_t ms = (uint32_t)(now.ns / 1000000);

	if (ms - c->challenged_ms >= TCP_CHALLENGE_MS) {
		c->challenged_ms = ms;
		c->n_challenged = 0;
	}
	if (c->n_challenged == TCP_CHALLENGES) { /* RFC 5961 7 */
		ns_drop(ns, NS_DROP_RATE);
		return;
	}
	c->n_challenged++;
	ack_now(ns, c);
}

/* --- segments for nobody --- */

/* RFC 9293 3.10.7.1 */
static void reset_stray(struct netstack *ns, mono_t now, const struct ipport *local,
			const struct ipport *remote, const struct tcp_in *in)
{
	struct tcp_head h = { .sport = local->port, .dport = remote->port, .flags = TCP_RST };
	uint8_t buf[TCP_HEAD_MAX];
	size_t n;

	if (!limiter_take(&ns->resets, now)) {
		ns_drop(ns, NS_DROP_RATE);
		return;
	}
	if (in->h.flags & TCP_ACK) {
		h.seq = in->h.ack;
	} else {
		h.flags |= TCP_ACK;
		h.ack = in->h.seq + seg_len(in);
	}
	n = tcp_emit(buf, &h);
	(void)!ip_queue(ns, &local->ip, &remote->ip, PROTO_TCP, bytes_of(buf, n), bytes_of(buf, 0),
			16);
}

static void read_syn_options(struct tcp_conn *c, const struct tcp_head *h)
{
	if (h->has_mss)
		c->mss_peer = MAX_OF(h->mss, (uint16_t)TCP_MSS_MIN);
	c->has_sack = h->sack_permitted;
	c->has_wscale = h->has_wscale;
	if (h->has_wscale)
		c->snd_wscale = h->wscale;
	c->has_ts = h->has_ts;
	if (h->has_ts)
		c->ts_recent = h->tsval;
	tcp_set_mss(c);
	if (!h->has_wscale && c->rcvbuf > UINT16_MAX)
		c->rcvbuf = UINT16_MAX;
}

static void take_syn(struct tcp_conn *c, mono_t now, const struct tcp_head *h)
{
	c->irs = h->seq;
	c->rcv_nxt = h->seq + 1;
	c->rcv_adv = c->rcv_nxt;
	c->last_ack_sent = c->rcv_nxt;
	c->ts_recent_at = now;
	c->snd_wnd = h->wnd; /* RFC 7323 2.2: never scaled in a SYN */
	c->snd_max_wnd = h->wnd;
	c->snd_wl1 = h->seq;
	c->snd_wl2 = h->ack;
	read_syn_options(c, h);
	tcp_start_cc(c, now);
}

static void syn_for_us(struct netstack *ns, mono_t now, const struct ipport *local,
		       const struct ipport *remote, const struct tcp_in *in)
{
	struct tcp_conn *c;

	/* silence: an honest peer asks again */
	if (!shares_allow(&ns->pending, &remote->ip, ns->conf.max_pending - ns->n_pending)) {
		ns_drop(ns, NS_DROP_TCP_PENDING_LIMIT);
		return;
	}
	if (!shares_allow(&ns->held, &remote->ip,
			  ns->conf.max_conns - (ns->table.n - ns->n_aged))) {
		ns_drop(ns, NS_DROP_TCP_CONN_LIMIT);
		return;
	}
	c = tcp_new(ns, now, local, remote);
	if (!c || !tcp_take_share(ns, c)) {
		ns_drop(ns, NS_DROP_NO_MEMORY);
		if (c)
			tcp_free(ns, c);
		return;
	}
	tcp_set_state(ns, c, TCP_PENDING);
	take_syn(c, now, &in->h);
	c->t_life = mono_add(now, TCP_PENDING_MAX);
	tcp_timer_set(ns, c);
	tcp_tell(ns, c, NS_TCP_INCOMING);
}

void tcp_input_stray(struct netstack *ns, mono_t now, const struct ipport *local,
		     const struct ipport *remote, struct tcp_in *in)
{
	if (in->h.flags & TCP_RST) /* RFC 9293 3.10.7.1, 3.10.7.2 first check */
		return;
	if ((in->h.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		syn_for_us(ns, now, local, remote, in);
		return;
	}
	ns_drop(ns, NS_DROP_TCP_NO_CONN);
	reset_stray(ns, now, local, remote, in);
}

/* --- opening --- */

static void pending_input(struct netstack *ns, struct tcp_conn *c, const struct tcp_in *in)
{
	/* the peer gave up; a SYN once more changes nothing */
	if (in->h.flags & TCP_RST && (in->h.seq == c->rcv_nxt || in->h.seq == c->irs))
		tcp_end(ns, c, NS_END_RESET);
}

static void established(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	tcp_set_state(ns, c, TCP_ESTABLISHED);
	c->snd_una = c->iss + 1;
	c->n_retries = 0;
	c->rtt.backoff = 0;
	c->t_rtx = MONO_NEVER;
	c->rtx_kind = RTX_OFF;
	c->rack.fack = c->snd_una;
	c->drs_at = now;
	c->rcv_rtt_at = now;
	tcp_keep_touch(ns, now, c);
	tcp_tell(ns, c, NS_TCP_CONNECTED);
	tcp_want_out(ns, c);
}

/* The SYN's own round trip, unless it was sent twice (then by its timestamp; RFC 6298 5.7 without).
 */
static void sample_handshake(struct tcp_conn *c, mono_t now, const struct tcp_head *h)
{
	if (c->n_retries == 0)
		rtt_sample(&c->rtt, now, mono_sub(now, c->last_sent));
	else if (c->has_ts && h->has_ts && tcp_clock(c, now) - h->tsecr < 120000)
		rtt_sample(&c->rtt, now, SPAN_MS(MAX_OF(tcp_clock(c, now) - h->tsecr, 1u)));
	else
		c->rtt.rto = RTO_SYN_LOST;
}

static void receive_text(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_in *in);

/* RFC 9293 3.10.7.3 */
static void syn_sent_input(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_in *in)
{
	bool has_ack = in->h.flags & TCP_ACK;

	if (has_ack && in->h.ack != c->snd_nxt) { /* first check; we sent nothing but the SYN */
		if (!(in->h.flags & TCP_RST))
			reset_stray(ns, now, &c->local, &c->remote, in);
		return;
	}
	if (in->h.flags & TCP_RST) { /* second check */
		if (has_ack)
			tcp_end(ns, c, NS_END_REFUSED);
		else
			ns_drop(ns, NS_DROP_TCP_RST_INVALID);
		return;
	}
	if (!(in->h.flags & TCP_SYN)) /* fifth */
		return;
	take_syn(c, now, &in->h);
	if (!has_ack) { /* both ends at once */
		tcp_set_state(ns, c, TCP_SYN_RECEIVED);
		c->syn_due = true;
		tcp_want_out(ns, c);
		return;
	}
	sample_handshake(c, now, &in->h);
	established(ns, now, c);
	ack_now(ns, c);
	if (in->len > 0 || in->h.flags & TCP_FIN) { /* RFC 9293 3.10.7.3: data with the SYN */
		in->h.seq++;
		in->h.flags &= (uint8_t)~TCP_SYN;
		c->rcv_adv = c->rcv_nxt + MIN_OF(c->rcvbuf, (uint32_t)UINT16_MAX);
		receive_text(ns, now, c, in);
	}
}

/* RFC 9293 3.10.7.4, fifth check, SYN-RECEIVED; returns whether the connection is established */
static bool syn_received_ack(struct netstack *ns, mono_t now, struct tcp_conn *c,
			     const struct tcp_in *in)
{
	if (in->h.ack != c->snd_nxt) {
		reset_stray(ns, now, &c->local, &c->remote, in);
		return false;
	}
	sample_handshake(c, now, &in->h);
	c->snd_wnd = (uint32_t)in->h.wnd << c->snd_wscale;
	c->snd_max_wnd = c->snd_wnd;
	c->snd_wl1 = in->h.seq;
	c->snd_wl2 = in->h.ack;
	established(ns, now, c);
	return true;
}

/* --- the checks --- */

/* RFC 7323 5.3 R1: false: an old duplicate */
static bool paws_ok(const struct tcp_conn *c, mono_t now, const struct tcp_in *in)
{
	if (!c->has_ts || !in->h.has_ts || !seq_lt(in->h.tsval, c->ts_recent))
		return true;
	return mono_sub(now, c->ts_recent_at).ns > TCP_PAWS_AGE.ns; /* 5.5 */
}

/* RFC 7323 4.3 (2), of a segment that passed paws_ok: one that looks older follows a long silence,
 * in which the peer's clock has wrapped */
static void update_ts_recent(struct tcp_conn *c, mono_t now, const struct tcp_in *in)
{
	if (c->has_ts && in->h.has_ts && seq_leq(in->h.seq, c->last_ack_sent)) {
		c->ts_recent = in->h.tsval;
		c->ts_recent_at = now;
	}
}

/* RFC 9293 3.4 table 6; the part of the segment that is in the window makes it acceptable. One
 * without text is taken at the right edge too, as others do: it comes from a sender that has filled
 * the window, and if what filled it is lost nothing else carries its acknowledgements. So is a FIN
 * alone, which needs no room: some send it whatever the window is, and acknowledge from behind it.
 */
static bool in_window(const struct tcp_conn *c, const struct tcp_in *in)
{
	uint32_t len = seg_len(in), wnd = c->rcv_adv - c->rcv_nxt, last = in->h.seq + len - 1;

	if (in->len == 0 && !(in->h.flags & TCP_SYN))
		return seq_leq(c->rcv_nxt, in->h.seq) && seq_leq(in->h.seq, c->rcv_adv);
	if (wnd == 0)
		return false;
	return (seq_leq(c->rcv_nxt, in->h.seq) && seq_lt(in->h.seq, c->rcv_adv)) ||
	       (seq_leq(c->rcv_nxt, last) && seq_lt(last, c->rcv_adv)) ||
	       (seq_lt(in->h.seq, c->rcv_nxt) && seq_lt(c->rcv_adv, last));
}

static void note_duplicate(struct tcp_conn *c, uint32_t start, uint32_t end) /* RFC 2883 4.1 */
{
	if (c->has_sack && seq_lt(start, end)) {
		c->dsack = (struct tcp_sack){ start, end };
		c->has_dsack = true;
	}
}

/* Fifth check, what follows tcp_ack: our FIN may be acknowledged. Returns false when c is gone or
 * done. */
static bool after_ack(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	if (!c->fin_sent || c->snd_una != c->snd_nxt)
		return true;
	switch (c->state) {
	case TCP_FIN_WAIT_1:
		tcp_set_state(ns, c, TCP_FIN_WAIT_2);
		if (c->is_released) {
			c->t_life = mono_add(now, TCP_FIN_WAIT_2_MAX);
			tcp_timer_set(ns, c);
		}
		return true;
	case TCP_CLOSING:
		tcp_enter_time_wait(ns, now, c);
		return false;
	case TCP_LAST_ACK:
		tcp_finish(ns, c);
		return false;
	default:
		return true;
	}
}

/* First check failed: a duplicate, a probe of a closed window, a keepalive, or an attack */
static void refuse_sequence(struct netstack *ns, mono_t now, struct tcp_conn *c,
			    const struct tcp_in *in)
{
	if (in->h.flags & TCP_RST) {
		ns_drop(ns, NS_DROP_TCP_RST_INVALID);
		return;
	}
	if (c->state == TCP_SYN_RECEIVED && in->h.flags & TCP_SYN && in->h.seq == c->irs) {
		c->syn_due = true; /* our SYN-ACK was lost */
		tcp_want_out(ns, c);
		return;
	}
	ns_drop(ns, NS_DROP_TCP_WINDOW);
	if (in->len == 0) {
		tcp_challenge(ns, now, c);
		return;
	}
	if (seq_leq(in->h.seq + in->len, c->rcv_nxt))
		note_duplicate(c, in->h.seq, in->h.seq + in->len);
	/* RFC 9293 3.10.7.4: the window is closed, but acknowledgements are taken */
	if (in->h.seq == c->rcv_nxt && in->h.flags & TCP_ACK && !(in->h.flags & TCP_SYN) &&
	    tcp_is_synchronized(c) && tcp_ack(ns, now, c, in) && !after_ack(ns, now, c))
		return;
	ack_now(ns, c);
}

/* Second check, RFC 5961 3.2. Returns whether the segment was a reset (c may be gone). */
static bool reset_input(struct netstack *ns, mono_t now, struct tcp_conn *c,
			const struct tcp_in *in)
{
	if (!(in->h.flags & TCP_RST))
		return false;
	if (in->h.seq != c->rcv_nxt) {
		ns_drop(ns, NS_DROP_TCP_RST_INVALID);
		tcp_challenge(ns, now, c);
	} else if (c->state == TCP_CLOSING || c->state == TCP_LAST_ACK) {
		tcp_finish(ns, c);
	} else {
		tcp_end(ns, c,
			c->state == TCP_SYN_RECEIVED && c->is_active_open ? NS_END_REFUSED
									  : NS_END_RESET);
	}
	return true;
}

/* --- text and FIN --- */

static void tell_readable(struct netstack *ns, struct tcp_conn *c)
{
	if (!c->is_readable_told) {
		c->is_readable_told = true;
		tcp_tell(ns, c, NS_TCP_READABLE);
	}
}

/* What follows rcv_nxt has been filled in up to seq. */
static void advance(struct netstack *ns, struct tcp_conn *c, uint32_t seq)
{
	uint32_t n = seq - c->rcv_nxt;

	c->rcv_nxt = seq;
	c->rcv_len += n;
	c->bytes_in += n;
	c->unacked += n;
	if (seq_lt(c->rcv_adv, c->rcv_nxt))
		c->rcv_adv = c->rcv_nxt;
	tell_readable(ns, c);
}

/* How long a window of data takes to arrive, for a side that sends nothing itself (the other has no
 * better clock than this) */
static void measure_rcv_rtt(struct tcp_conn *c, mono_t now, const struct tcp_in *in)
{
	if (c->has_ts && in->h.has_ts && in->h.tsecr != 0) {
		uint32_t ms = tcp_clock(c, now) - in->h.tsecr;

		if (ms < 60000 && mono_sub(now, c->rcv_rtt_at).ns > c->rcv_rtt.ns) {
			span_t rtt = SPAN_MS(MAX_OF(ms, 1u));

			c->rcv_rtt =
			    c->rcv_rtt.ns == 0 ? rtt : SPAN_NS((c->rcv_rtt.ns * 7 + rtt.ns) / 8);
			c->rcv_rtt_at = now;
		}
	} else if (seq_leq(c->rcv_rtt_seq, c->rcv_nxt) || c->rcv_rtt_seq == 0) {
		if (c->rcv_rtt_seq != 0)
			c->rcv_rtt = mono_sub(now, c->rcv_rtt_at);
		c->rcv_rtt_seq = c->rcv_adv | 1;
		c->rcv_rtt_at = now;
	}
}

/* A full segment is part of a stream: the other one of its pair is near or will not come for a
 * while, and the sender's window feels each wait as round trip. After a short one the user may
 * answer, and the acknowledgement goes with that. */
static span_t ack_delay(const struct tcp_conn *c, const struct tcp_in *in)
{
	int64_t ns = c->rcv_rtt.ns / TCP_DELACK_PARTS;

	if (in->len < c->rcv_mss || c->rcv_rtt.ns == 0)
		return TCP_DELACK;
	return SPAN_NS(MIN_OF(MAX_OF(ns, TCP_DELACK_MIN.ns), TCP_DELACK.ns));
}

/* RFC 9293 3.8.6.3, RFC 5681 4.2: at least every second full segment, at once when something is
 * missing */
static void schedule_ack(struct netstack *ns, mono_t now, struct tcp_conn *c,
			 const struct tcp_in *in)
{
	if (c->quickacks > 0)
		c->quickacks--;
	if (c->unacked >= 2 * (uint32_t)c->rcv_mss || c->ooo.n > 0 || c->quickacks > 0) {
		ack_now(ns, c);
	} else if (!c->ack_pending) {
		c->ack_pending = true;
		c->t_ack = mono_add(now, ack_delay(c, in));
		tcp_timer_set(ns, c);
	}
}

/* Room for what comes next in order. Under pressure what has come out of order makes way for it
 * (RFC 2018 8 lets a receiver do so): it may wait for a hole that only others' memory could fill.
 */
static bool make_room(struct netstack *ns, struct tcp_conn *c, uint64_t off, uint32_t len)
{
	if (chunkq_has(&c->rcv, off, len) ||
	    (tcp_may_hold(ns, &c->rcv) && chunkq_need(&c->rcv, &ns->pool, off, len)))
		return true;
	if (c->ooo.n == 0)
		return false;
	ranges_clear(&c->ooo, &ns->pool);
	chunkq_cut(&c->rcv, &ns->pool, off);
	c->has_dsack = false;
	return tcp_may_hold(ns, &c->rcv) && chunkq_need(&c->rcv, &ns->pool, off, len);
}

static void take_in_order(struct netstack *ns, mono_t now, struct tcp_conn *c,
			  const struct tcp_in *in)
{
	uint64_t off = c->rcv.head + c->rcv_len;
	bool had_holes;
	uint32_t end;

	if (in->len > 0 && !make_room(ns, c, off, in->len)) {
		ns_drop(ns, NS_DROP_NO_MEMORY);
		c->is_nomem = true;
		tcp_starve(ns, c);
		ack_now(ns, c);
		return;
	}
	had_holes = c->ooo.n > 0;
	chunkq_write(&c->rcv, off, in->data, in->len);
	if (in->len > c->rcv_mss)
		c->rcv_mss = (uint16_t)MIN_OF(in->len, (uint32_t)UINT16_MAX);
	end = in->h.seq + in->len;
	if (had_holes) {
		if (seq_lt(c->ooo.v[0].start, end))
			note_duplicate(c, c->ooo.v[0].start, seq_min(end, c->ooo.v[0].end));
		for (uint32_t i = 0; i < c->ooo.n && seq_leq(c->ooo.v[i].start, end); i++)
			end = seq_max(end, c->ooo.v[i].end);
		ranges_drop(&c->ooo, &ns->pool, end);
	}
	advance(ns, c, end);
	measure_rcv_rtt(c, now, in);
	if (had_holes)
		ack_now(ns, c); /* RFC 5681 4.2: a hole was filled */
	else
		schedule_ack(ns, now, c, in);
}

static void take_out_of_order(struct netstack *ns, struct tcp_conn *c, const struct tcp_in *in)
{
	uint64_t off = c->rcv.head + c->rcv_len + (in->h.seq - c->rcv_nxt);
	struct tcp_sack was;
	bool dup;

	c->quickacks = TCP_QUICKACKS_HOLE;
	ack_now(ns, c);
	if (ns->pool.limit - ns->pool.used < ns->pool.limit / TCP_SHARE_LAST ||
	    !tcp_may_hold(ns, &c->rcv) || !chunkq_need(&c->rcv, &ns->pool, off, in->len) ||
	    !ranges_add(&c->ooo, &ns->pool, in->h.seq, in->h.seq + in->len, &was, &dup)) {
		ns_drop(ns, NS_DROP_NO_MEMORY);
		return;
	}
	if (dup)
		note_duplicate(c, in->h.seq, in->h.seq + in->len);
	else
		chunkq_write(&c->rcv, off, in->data, in->len);
}

static void note_fin(struct tcp_conn *c, const struct tcp_in *in)
{
	if (in->h.flags & TCP_FIN && !c->fin_seen) {
		c->fin_seen = true;
		c->fin_seq = in->h.seq + in->len;
	}
}

/* Eighth check: everything before it has come */
static void fin_input(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	c->rcv_nxt++;
	if (seq_lt(c->rcv_adv, c->rcv_nxt))
		c->rcv_adv = c->rcv_nxt;
	c->fin_received = true;
	ack_now(ns, c);
	tell_readable(ns, c);
	switch (c->state) {
	case TCP_ESTABLISHED:
		tcp_set_state(ns, c, TCP_CLOSE_WAIT);
		break;
	case TCP_FIN_WAIT_1: /* our FIN is not acknowledged, or it would be FIN-WAIT-2 */
		tcp_set_state(ns, c, TCP_CLOSING);
		break;
	case TCP_FIN_WAIT_2:
		tcp_enter_time_wait(ns, now, c);
		break;
	default:
		break;
	}
}

/* Cuts what is not in the window from both ends; false: nothing is left. */
static bool trim(struct tcp_conn *c, struct tcp_in *in)
{
	uint32_t end = in->h.seq + in->len;

	if (seq_lt(in->h.seq, c->rcv_nxt)) {
		uint32_t n = MIN_OF(c->rcv_nxt - in->h.seq, in->len);

		note_duplicate(c, in->h.seq, in->h.seq + n);
		in->h.seq += n;
		in->data += n;
		in->len -= n;
	}
	if (seq_lt(c->rcv_adv, end)) {
		uint32_t n = MIN_OF(end - c->rcv_adv, in->len);

		in->len -= n;
		in->h.flags &= (uint8_t)~TCP_FIN;
	}
	return in->len > 0 || in->h.flags & TCP_FIN;
}

/* Seventh and eighth check. c may be gone afterwards. */
static void receive_text(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_in *in)
{
	if (c->state != TCP_ESTABLISHED && c->state != TCP_FIN_WAIT_1 && c->state != TCP_FIN_WAIT_2)
		return; /* the peer has closed: "should not occur" */
	if (!trim(c, in)) {
		ack_now(ns, c);
		return;
	}
	if (in->len > 0 && c->is_released) { /* RFC 1122 4.2.2.13: nobody will read it */
		tcp_send_rst(ns, c);
		tcp_free(ns, c);
		return;
	}
	note_fin(c, in);
	if (in->len > 0 && in->h.seq == c->rcv_nxt)
		take_in_order(ns, now, c, in);
	else if (in->len > 0)
		take_out_of_order(ns, c, in);
	else if (in->h.seq != c->rcv_nxt)
		ack_now(ns, c); /* a FIN behind a hole */
	if (c->fin_seen && c->fin_seq == c->rcv_nxt && !c->fin_received)
		fin_input(ns, now, c);
}

/* RFC 9293 3.6.1: an initial sequence number larger than all that the connection before has used;
 * the clock of tcp_isn is slower than a fast sender. */
static void begin_behind(struct netstack *ns, const struct ipport *local,
			 const struct ipport *remote, uint32_t seq)
{
	struct tcp_conn *c = conn_table_find(&ns->table, ns->key, local, remote);

	if (c && seq_leq(c->iss, seq))
		c->iss = c->snd_una = c->snd_nxt = seq + 1 + rng_u32(ns->conf.rng) % UINT16_MAX;
}

/* RFC 9293 3.10.7.4 for TIME-WAIT, RFC 6191: a new SYN that is clearly later opens again */
static void time_wait_input(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_in *in)
{
	if ((in->h.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	    (seq_lt(c->rcv_nxt, in->h.seq) ||
	     (c->has_ts && in->h.has_ts && seq_lt(c->ts_recent, in->h.tsval)))) {
		struct ipport local = c->local, remote = c->remote;
		uint32_t behind = c->snd_nxt;

		tcp_finish(ns, c);
		tcp_input_stray(ns, now, &local, &remote, in);
		begin_behind(ns, &local, &remote, behind);
		return;
	}
	if (in->h.flags & TCP_RST) { /* RFC 1337 4 (F1): our ACK of an old duplicate draws an exact
					one */
		ns_drop(ns, NS_DROP_TCP_RST_INVALID);
		return;
	}
	if (in->h.flags & TCP_FIN) { /* our last ACK was lost */
		c->t_life = mono_add(now, TCP_MSL2);
		ack_now(ns, c);
	} else if (seg_len(in) > 0 || in->h.seq != c->rcv_nxt) {
		tcp_challenge(ns, now, c);
	}
}

static void synchronized_input(struct netstack *ns, mono_t now, struct tcp_conn *c,
			       struct tcp_in *in)
{
	if (c->state == TCP_SYN_RECEIVED &&
	    (in->h.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) && in->h.seq == c->irs) {
		in->h.seq++; /* simultaneous open: the SYN was taken before, its acknowledgement
				counts */
		in->h.flags &= (uint8_t)~TCP_SYN;
		ack_now(ns, c);
	}
	if (!(in->h.flags & TCP_RST) && !paws_ok(c, now, in)) {
		ns_drop(ns, NS_DROP_TCP_PAWS);
		/* one that was not taken is not a duplicate: the peer would forget it */
		if (in->len > 0 && seq_leq(in->h.seq + in->len, c->rcv_nxt))
			note_duplicate(c, in->h.seq, in->h.seq + in->len);
		tcp_challenge(ns, now, c);
		return;
	}
	if (!in_window(c, in)) {
		refuse_sequence(ns, now, c, in);
		return;
	}
	if (reset_input(ns, now, c, in))
		return;
	if (in->h.flags & TCP_SYN) { /* fourth check, RFC 5961 4.2 */
		tcp_challenge(ns, now, c);
		return;
	}
	if (!(in->h.flags & TCP_ACK))
		return;
	if (c->state == TCP_SYN_RECEIVED && !syn_received_ack(ns, now, c, in))
		return;
	if (!tcp_ack(ns, now, c, in))
		return;
	update_ts_recent(c, now, in);
	if (!after_ack(ns, now, c))
		return;
	if (in->len > 0 || in->h.flags & TCP_FIN)
		receive_text(ns, now, c, in);
}

void tcp_input(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_in *in)
{
	c->segs_in++;
	c->last_received = now;
	if (c->keep_count > 0)
		tcp_keep_touch(ns, now, c);
	switch (c->state) {
	case TCP_PENDING:
		pending_input(ns, c, in);
		break;
	case TCP_SYN_SENT:
		syn_sent_input(ns, now, c, in);
		break;
	case TCP_TIME_WAIT:
		time_wait_input(ns, now, c, in);
		break;
	default:
		synchronized_input(ns, now, c, in);
	}
}

/* --- from IP --- */

static struct tcp_conn *lookup(struct netstack *ns, const struct ipport *local,
			       const struct ipport *remote)
{
	struct tcp_conn *c = ns->last_conn;

	if (c && c->remote.port == remote->port && c->local.port == local->port &&
	    ip_eq(&c->remote.ip, &remote->ip) && ip_eq(&c->local.ip, &local->ip))
		return c;
	c = conn_table_find(&ns->table, ns->key, local, remote);
	if (c)
		ns->last_conn = c;
	return c;
}

void tcp_receive(struct netstack *ns, mono_t now, const struct packet *p, struct bytes data)
{
	struct ipport local = { p->dst, p->dport }, remote = { p->src, p->sport };
	struct tcp_in in;
	struct tcp_conn *c;

	if (!tcp_parse(data.data, data.len, &in.h) || in.h.sport == 0 || in.h.dport == 0) {
		ns_drop(ns, NS_DROP_SHAPE);
		return;
	}
#ifndef FUZZING
	if (checksum_fold(
		checksum_add(checksum_pseudo(&p->src, &p->dst, PROTO_TCP, (uint32_t)data.len),
			     data.data, data.len)) != 0) {
		ns_drop(ns, NS_DROP_CHECKSUM);
		return;
	}
#endif
	in.data = data.data + in.h.head_len;
	in.len = (uint32_t)(data.len - in.h.head_len);
	c = lookup(ns, &local, &remote);
	if (c)
		tcp_input(ns, now, c, &in);
	else
		tcp_input_stray(ns, now, &local, &remote, &in);
}
