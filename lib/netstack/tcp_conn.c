/* netstack/tcp_conn.c - a connection's life: how it is made, told about, ended */
#include "netstack/tcp_conn.h"

#include <assert.h>
#include <stdlib.h>

#include "netstack/seq.h"
#include "netstack/stack.h"

const char *const tcp_state_names[TCP_STATES] = {
	[TCP_CLOSED] = "CLOSED",           [TCP_PENDING] = "PENDING",
	[TCP_SYN_SENT] = "SYN-SENT",       [TCP_SYN_RECEIVED] = "SYN-RECEIVED",
	[TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN-WAIT-1",
	[TCP_FIN_WAIT_2] = "FIN-WAIT-2",   [TCP_CLOSE_WAIT] = "CLOSE-WAIT",
	[TCP_CLOSING] = "CLOSING",         [TCP_LAST_ACK] = "LAST-ACK",
	[TCP_TIME_WAIT] = "TIME-WAIT",
};
static_assert(sizeof(struct tcp_conn) <= 1024, "an idle connection costs less than 1 KiB");

/* --- lists --- */

#define LIST_ADD(first, last, c, link)                                                             \
	do {                                                                                       \
		(c)->link = (struct tcp_link){ .prev = (last) };                                   \
		if (last)                                                                          \
			(last)->link.next = (c);                                                   \
		else                                                                               \
			(first) = (c);                                                             \
		(last) = (c);                                                                      \
	} while (0)
#define LIST_DEL(first, last, c, link)                                                             \
	do {                                                                                       \
		if ((c)->link.prev)                                                                \
			(c)->link.prev->link.next = (c)->link.next;                                \
		else                                                                               \
			(first) = (c)->link.next;                                                  \
		if ((c)->link.next)                                                                \
			(c)->link.next->link.prev = (c)->link.prev;                                \
		else                                                                               \
			(last) = (c)->link.prev;                                                   \
	} while (0)

void tcp_want_out(struct netstack *ns, struct tcp_conn *c)
{
	if (c->is_out)
		return;
	LIST_ADD(ns->out_first, ns->out_last, c, out);
	c->is_out = true;
}

void tcp_no_out(struct netstack *ns, struct tcp_conn *c)
{
	if (!c->is_out)
		return;
	LIST_DEL(ns->out_first, ns->out_last, c, out);
	c->is_out = false;
}

static void aged_add(struct netstack *ns, struct tcp_conn *c)
{
	LIST_ADD(ns->aged_first, ns->aged_last, c, aged);
	c->is_aged = true;
	ns->n_aged++;
}

static void aged_del(struct netstack *ns, struct tcp_conn *c)
{
	if (!c->is_aged)
		return;
	LIST_DEL(ns->aged_first, ns->aged_last, c, aged);
	c->is_aged = false;
	ns->n_aged--;
}

/* A connection waits either to die of age or for memory, never both: one link serves. */
void tcp_starve(struct netstack *ns, struct tcp_conn *c)
{
	if (c->is_starved || c->is_aged)
		return;
	LIST_ADD(ns->starved_first, ns->starved_last, c, aged);
	c->is_starved = true;
}

static void starved_del(struct netstack *ns, struct tcp_conn *c)
{
	if (!c->is_starved)
		return;
	LIST_DEL(ns->starved_first, ns->starved_last, c, aged);
	c->is_starved = false;
}

void tcp_feed_starved(struct netstack *ns)
{
	while (ns->starved_first && ns->pool.limit - ns->pool.used >= 2 * pool_bytes(POOL_16K)) {
		struct tcp_conn *c = ns->starved_first;

		starved_del(ns, c);
		if (c->wants_room)
			tcp_tell(ns, c, NS_TCP_WRITABLE);
		c->wants_room = false;
		if (c->zero_told && !c->fin_received && tcp_may_hold(ns, &c->rcv)) {
			c->ack_now = true;
			tcp_want_out(ns, c);
		}
		ns->pool.used +=
		    pool_bytes(POOL_16K); /* as if it took one: wake as many as there is room for */
		ns->n_woken++;
	}
	ns->pool.used -= ns->n_woken * pool_bytes(POOL_16K);
	ns->n_woken = 0;
}

/* --- events --- */

void tcp_tell(struct netstack *ns, struct tcp_conn *c, enum ns_event_type ev)
{
	if (c->is_released)
		return;
	c->events |= (uint8_t)(1 << ev);
	if (c->is_queued_event)
		return;
	c->is_queued_event = true;
	LIST_ADD(ns->ev_first, ns->ev_last, c, ev);
}

static void forget_events(struct netstack *ns, struct tcp_conn *c)
{
	c->events = 0;
	if (!c->is_queued_event)
		return;
	LIST_DEL(ns->ev_first, ns->ev_last, c, ev);
	c->is_queued_event = false;
}

/* The user's name has seen its last event: what is left of TCP lingers without one, or goes. */
static void after_ended(struct netstack *ns, struct tcp_conn *c)
{
	if (c->state == TCP_CLOSED) {
		tcp_free(ns, c);
		return;
	}
	conn_table_unname(&ns->table, c);
	c->is_released = true;
}

bool tcp_next_event(struct netstack *ns, struct ns_event *ev)
{
	while (ns->ev_first) {
		struct tcp_conn *c = ns->ev_first;
		unsigned type;

		if (c->events == 0) {
			forget_events(ns, c);
			continue;
		}
		type = (unsigned)__builtin_ctz(c->events);
		c->events &= (uint8_t)(c->events - 1);
		if (c->events == 0)
			forget_events(ns, c);
		*ev = (struct ns_event){
			.type = type,
			.id = { c->index, ns->table.slots[c->index].generation },
			.end = type == NS_TCP_ENDED ? c->end : NS_END_DONE,
			.local = c->local,
			.remote = c->remote,
			.user = c->user,
		};
		c->was_told = true;
		if (type == NS_TCP_ENDED)
			after_ended(ns, c);
		return true;
	}
	return false;
}

/* --- birth --- */

uint64_t tcp_hash(const struct netstack *ns, const struct ipport *local,
		  const struct ipport *remote, char purpose)
{
	uint8_t b[37];

	memcpy(b, local->ip.b, 16);
	memcpy(b + 16, remote->ip.b, 16);
	memcpy(b + 32, &local->port, 2);
	memcpy(b + 34, &remote->port, 2);
	b[36] = (uint8_t)purpose; /* also apart from the table's use of the same key */
	return siphash(ns->key, b, sizeof b);
}

/* RFC 6528 3: a clock that ticks every 4 microseconds, plus a keyed hash of the four numbers. */
uint32_t tcp_isn(const struct netstack *ns, mono_t now, const struct ipport *local,
		 const struct ipport *remote)
{
	return (uint32_t)tcp_hash(ns, local, remote, 'I') + (uint32_t)(now.ns / 4000);
}

static bool evict_one(struct netstack *ns)
{
	struct tcp_conn *c = ns->aged_first;

	if (!c)
		return false;
	tcp_finish(ns, c);
	return true;
}

static const struct cc_ops *const controllers[] = {
	[NS_CC_CUBIC] = &cc_cubic,
	[NS_CC_RENO] = &cc_reno,
	[NS_CC_BBR] = &cc_bbr,
};
static_assert(ARRAY_LEN(controllers) == NS_CC_N, "every name has a controller");

bool ns_cc_parse(struct bytes name, enum ns_cc *out)
{
	for (unsigned i = 0; i < NS_CC_N; i++) {
		if (bytes_eq_str(name, controllers[i]->name)) {
			*out = (enum ns_cc)i;
			return true;
		}
	}
	return false;
}

struct tcp_conn *tcp_new(struct netstack *ns, mono_t now, const struct ipport *local,
			 const struct ipport *remote)
{
	struct tcp_conn *c;

	if (ns->table.n >= ns->conf.max_conns && !evict_one(ns))
		return NULL;
	if (ns->table.n >= ns->conf.max_conns || !timers_reserve(&ns->timers, ns->table.n + 2))
		return NULL;
	c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->local = *local;
	c->remote = *remote;
	if (!conn_table_add(&ns->table, ns->key, c)) {
		free(c);
		return NULL;
	}
	c->state = TCP_CLOSED;
	c->iss = tcp_isn(ns, now, local, remote);
	c->snd_una = c->iss;
	c->snd_nxt = c->iss;
	/* RFC 7323 5.4: nobody learns our uptime; RFC 6191 2: for the same four numbers time goes
	 * on */
	c->ts_offset = (uint32_t)tcp_hash(ns, local, remote, 'T');
	c->mss_path = (uint16_t)(ns->conf.mtu - ip_head_len(&remote->ip) - TCP_HEAD_LEN);
	c->mss_peer = ip_is_v4(&remote->ip) ? TCP_MSS_DEFAULT4 : TCP_MSS_DEFAULT6;
	c->rcv_mss = 536;
	c->quickacks = TCP_QUICKACKS;
	c->rcvbuf = MIN_OF((uint32_t)TCP_RCVBUF_FIRST, ns->conf.rcvbuf_max);
	c->sndbuf = MIN_OF((uint32_t)TCP_SNDBUF_FIRST, ns->conf.sndbuf_max);
	while (c->rcv_wscale < TCP_WSCALE_MAX &&
	       (UINT32_C(65535) << c->rcv_wscale) < ns->conf.rcvbuf_max)
		c->rcv_wscale++;
	c->t_rtx = c->t_ack = c->t_keep = c->t_life = c->t_pace = MONO_NEVER;
	chunkq_init(&c->snd);
	chunkq_init(&c->rcv);
	txq_init(&c->tx);
	rtt_init(&c->rtt);
	c->rack.reo_wnd_mult = 1;
	c->cc.rng = ns->conf.rng;
	c->cc.ops = controllers[ns->conf.cc];
	c->last_received = now;
	c->last_sent = now;
	return c;
}

void tcp_start_cc(struct tcp_conn *c, mono_t now)
{
	c->cc.mss = c->mss;
	c->cc.cwnd = CC_INITIAL_SEGS * c->mss;
	c->cc.ssthresh = CC_CWND_MAX;
	c->cc.ops->init(&c->cc, now);
	if (!c->cc.ops->has_own_recovery)
		c->cc.hystart.round_end = c->iss + 1;
}

/* Payload of a full segment: what the peer takes, what the path takes, less the options of every
 * segment (RFC 6691). */
void tcp_set_mss(struct tcp_conn *c)
{
	uint16_t mss = MIN_OF(c->mss_peer, c->mss_path);

	if (mss < TCP_MSS_MIN)
		mss = TCP_MSS_MIN;
	c->mss = (uint16_t)(mss - (c->has_ts ? TCP_TS_LEN : 0));
	c->cc.mss = c->mss;
}

uint32_t tcp_clock(const struct tcp_conn *c, mono_t now)
{
	return (uint32_t)(now.ns / 1000000) + c->ts_offset;
}

/* --- states and the end --- */

bool tcp_take_share(struct netstack *ns, struct tcp_conn *c)
{
	if (!shares_take(&ns->held, &c->remote.ip))
		return false;
	c->is_held = true;
	return shares_take(&ns->pending, &c->remote.ip);
}

static void give_share(struct netstack *ns, struct tcp_conn *c)
{
	if (c->is_held)
		shares_give(&ns->held, &c->remote.ip);
	c->is_held = false;
}

/* TCP_PENDING: the share is taken */
void tcp_set_state(struct netstack *ns, struct tcp_conn *c, enum tcp_state s)
{
	if (c->state == TCP_PENDING) {
		shares_give(&ns->pending, &c->remote.ip);
		ns->n_pending--;
	}
	if (s == TCP_PENDING)
		ns->n_pending++;
	c->state = (uint8_t)s;
}

static void drop_buffers(struct netstack *ns, struct tcp_conn *c, bool also_unread)
{
	starved_del(ns, c);
	chunkq_clear(&c->snd, &ns->pool);
	c->snd_len = 0;
	txq_clear(&c->tx, &ns->pool);
	ranges_clear(&c->ooo, &ns->pool);
	ranges_clear(&c->again, &ns->pool);
	if (also_unread || c->rcv_len == 0) {
		chunkq_clear(&c->rcv, &ns->pool);
		c->rcv_len = 0;
	}
	tcp_feed_starved(ns);
}

static void stop_timers(struct netstack *ns, struct tcp_conn *c)
{
	c->t_rtx = c->t_ack = c->t_keep = c->t_life = c->t_pace = MONO_NEVER;
	c->rtx_kind = RTX_OFF;
	timer_stop(&ns->timers, &c->timer);
}

void tcp_free(struct netstack *ns, struct tcp_conn *c)
{
	tcp_set_state(ns, c, TCP_CLOSED);
	drop_buffers(ns, c, true);
	stop_timers(ns, c);
	tcp_no_out(ns, c);
	aged_del(ns, c);
	give_share(ns, c);
	forget_events(ns, c);
	if (ns->last_conn == c)
		ns->last_conn = NULL;
	conn_table_del(&ns->table, c);
	ns->conns_freed += sizeof *c;
	free(c);
}

void tcp_end(struct netstack *ns, struct tcp_conn *c, enum ns_end why)
{
	if (c->is_released || !(c->was_told || c->is_active_open)) { /* nobody knows of it */
		tcp_free(ns, c);
		return;
	}
	tcp_set_state(ns, c, TCP_CLOSED);
	drop_buffers(ns, c, true);
	stop_timers(ns, c);
	tcp_no_out(ns, c);
	aged_del(ns, c);
	if (ns->last_conn == c)
		ns->last_conn = NULL;
	c->is_ended = true;
	c->end = (uint8_t)why;
	c->events = 0;
	tcp_tell(ns, c, NS_TCP_ENDED);
}

void tcp_finish(struct netstack *ns, struct tcp_conn *c)
{
	if (c->is_released || c->rcv_len == 0) {
		tcp_end(ns, c, NS_END_DONE);
		return;
	}
	tcp_set_state(ns, c, TCP_CLOSED); /* unread bytes are all that is left */
	drop_buffers(ns, c, false);
	stop_timers(ns, c);
	tcp_no_out(ns, c);
	aged_del(ns, c);
	if (ns->last_conn == c)
		ns->last_conn = NULL;
}

void tcp_check_done(struct netstack *ns, struct tcp_conn *c)
{
	if (c->rcv_len > 0 || c->is_ended || c->is_done_told)
		return;
	if (c->state == TCP_CLOSED) {
		tcp_end(ns, c, NS_END_DONE);
	} else if (c->state == TCP_TIME_WAIT) {
		c->is_done_told = true;
		c->end = NS_END_DONE;
		tcp_tell(ns, c, NS_TCP_ENDED);
	}
}

void tcp_enter_time_wait(struct netstack *ns, mono_t now, struct tcp_conn *c)
{
	tcp_set_state(ns, c, TCP_TIME_WAIT);
	give_share(ns, c); /* it makes room when there is none */
	drop_buffers(ns, c, false);
	stop_timers(ns, c);
	c->t_life = mono_add(now, TCP_MSL2);
	tcp_timer_set(ns, c);
	aged_del(ns, c);
	aged_add(ns, c);
	tcp_check_done(ns, c);
}
