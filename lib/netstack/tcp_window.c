/* netstack/tcp_window.c - how much the peer may send: receive window, its growth with the reader,
 * memory pressure
 *
 * The window shown is what the buffer's limit leaves, and its right edge never moves back (RFC
 * 9293 3.8.6.2.2). The limit starts at 64 KiB and follows the reader: twice what the user took in
 * the last round trip, and more while that grows, so that a sender in slow start is never held up;
 * a reader that stalls never gets more than it has shown to need. Chunks exist only for bytes that
 * came.
 *
 * The budget is shared by what is left of it: no buffer grows beyond a quarter of that, and when
 * half is in use none holds more; at three quarters a sixty-fourth. So who came early and stalls
 * stops far from the end, and what is left always does for many who come late: with 48 MiB and the
 * first three quarters gone, nearly 300 who stall too. The limit of a buffer shrinks alike.
 * Edges that have been shown may promise more than there is: what comes for them is dropped, and
 * the ACK says that the window is zero for now, so that the sender probes instead of giving up;
 * when there is memory again it is told.
 */
#include "netstack/seq.h"
#include "netstack/stack.h"

/* The most that one buffer may hold now. */
static size_t hold_max(const struct netstack *ns)
{
	size_t left = ns->pool.limit - ns->pool.used;
	unsigned pressure = pool_pressure(&ns->pool);

	if (pressure < TCP_PRESSURE)
		return SIZE_MAX;
	return MAX_OF(left / (pressure < TCP_PRESSURE_HIGH ? TCP_SHARE : TCP_SHARE_LAST),
		      (size_t)CHUNK_LEN);
}

bool tcp_may_hold(const struct netstack *ns, const struct chunkq *q)
{
	return q->n_chunks == 0 || (size_t)q->n_chunks * CHUNK_LEN < hold_max(ns);
}

uint32_t tcp_share(const struct netstack *ns)
{
	return (uint32_t)MIN_OF((ns->pool.limit - ns->pool.used) / TCP_SHARE, (size_t)CC_CWND_MAX);
}

static uint32_t limit_now(const struct netstack *ns, const struct tcp_conn *c)
{
	return (uint32_t)MIN_OF((size_t)c->rcvbuf, hold_max(ns));
}

/* In steps, so that a limit that creeps does not call malloc each time. */
static size_t expected(uint32_t limit, size_t max)
{
	size_t power = (size_t)1 << (32 - __builtin_clz((limit - 1) | (CHUNK_LEN - 1)));

	return MIN_OF(power, max) + 2 * (size_t)CHUNK_LEN;
}

void tcp_expect(struct netstack *ns, const struct tcp_conn *c)
{
	size_t snd, rcv;

	if (c->rcvbuf <= TCP_RCVBUF_FIRST && c->sndbuf <= TCP_SNDBUF_FIRST)
		return;
	snd = expected(c->sndbuf, ns->conf.sndbuf_max);
	rcv = expected(c->rcvbuf, ns->conf.rcvbuf_max);
	pool_expect(&ns->pool, snd + snd / c->mss * sizeof(struct tx_seg) + rcv);
}

/* Where the limit puts the right edge; and where it could be, since it never moves back. */
static uint32_t edge_by_limit(const struct netstack *ns, const struct tcp_conn *c)
{
	uint32_t limit = limit_now(ns, c);

	return c->rcv_nxt + (c->rcv_len < limit ? limit - c->rcv_len : 0);
}

static uint32_t edge_now(const struct netstack *ns, const struct tcp_conn *c)
{
	return seq_max(edge_by_limit(ns, c), c->rcv_adv);
}

uint32_t tcp_window(struct netstack *ns, struct tcp_conn *c)
{
	uint32_t edge = edge_now(ns, c), scale = c->has_wscale ? c->rcv_wscale : 0, field, step;

	c->zero_told = c->is_nomem;
	if (c->is_nomem) { /* for now: the edge stays where it is */
		c->is_nomem = false;
		return 0;
	}
	/* RFC 9293 3.8.6.2.2: no small steps */
	step = MIN_OF(c->rcvbuf / 2, (uint32_t)c->rcv_mss);
	if (edge - c->rcv_adv < step)
		edge = c->rcv_adv;
	/* Rounded up, else the edge would move back; but each time that adds a little to what was
	 * promised, so it has a limit too, and then the field alone says less (RFC 7323 2.4). */
	field = edge - c->rcv_nxt;
	if (!seq_lt(edge_by_limit(ns, c) + TCP_EDGE_CREEP, edge))
		field += (UINT32_C(1) << scale) - 1;
	field >>= scale;
	if (field > UINT16_MAX)
		field = UINT16_MAX;
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + (field << scale));
	return field;
}

bool tcp_window_worth_telling(struct netstack *ns, const struct tcp_conn *c)
{
	uint32_t gain = edge_now(ns, c) - c->rcv_adv, shown = c->rcv_adv - c->rcv_nxt;

	if (shown < c->rcv_mss)
		return gain >= MIN_OF(c->rcvbuf / 2, 2 * (uint32_t)c->rcv_mss);
	return gain >= c->rcvbuf / 2 && gain >= shown;
}

static span_t round_trip(const struct tcp_conn *c)
{
	if (c->rcv_rtt.ns > 0)
		return c->rcv_rtt;
	return rtt_known(&c->rtt) ? c->rtt.srtt : SPAN_MS(50);
}

/* A round trip of reading is over: was the limit near to holding the sender up? */
static void adjust_limit(struct netstack *ns, struct tcp_conn *c)
{
	uint64_t want = 2 * (uint64_t)c->drs_copied + 16 * (uint64_t)c->rcv_mss;
	uint64_t max = MIN_OF(ns->conf.rcvbuf_max, tcp_share(ns));

	if (c->drs_last > 0 &&
	    c->drs_copied > c->drs_last) /* it grows: leave room for as much growth again */
		want += 2 * want * (c->drs_copied - c->drs_last) / c->drs_last;
	want = MIN_OF(want, max);
	if (want > c->rcvbuf && pool_pressure(&ns->pool) < TCP_PRESSURE)
		c->rcvbuf = (uint32_t)want;
	c->drs_last = c->drs_copied;
	tcp_expect(ns, c);
}

void tcp_user_read(struct netstack *ns, mono_t now, struct tcp_conn *c, uint32_t n)
{
	chunkq_drop(&c->rcv, &ns->pool, c->rcv.head + n);
	c->rcv_len -= n;
	if (c->rcv_len == 0 && c->ooo.n == 0)
		chunkq_clear(&c->rcv, &ns->pool);
	c->drs_copied += n;
	if (mono_sub(now, c->drs_at).ns >= round_trip(c).ns) {
		adjust_limit(ns, c);
		c->drs_copied = 0;
		c->drs_at = now;
	}
	if (c->fin_received || !tcp_is_synchronized(c) || c->state == TCP_TIME_WAIT)
		return;
	if (tcp_window_worth_telling(ns, c) || (c->zero_told && tcp_may_hold(ns, &c->rcv))) {
		c->ack_now = true;
		tcp_want_out(ns, c);
	}
	tcp_feed_starved(ns);
}
