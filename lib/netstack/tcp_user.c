/* netstack/tcp_user.c - what the user may call (RFC 9293 3.9.1) */
#include <assert.h>
#include <errno.h>

#include "netstack/seq.h"
#include "netstack/stack.h"

enum { PORT_FIRST = 32768, PORT_N = 28232 };

static struct tcp_conn *get(const struct netstack *ns, struct ns_id id)
{
	struct tcp_conn *c = conn_table_get(&ns->table, id.index, id.generation);

	return c && !c->is_ended ? c : NULL;
}

/* RFC 6056 3.3.4: ports towards one end of a connection go round, from a place that nobody outside
 * knows. A port drawn at random would now and then be that of a connection which the other end has
 * in TIME-WAIT, and some (gVisor without a listener) then leave a SYN unanswered for a minute. */
static uint16_t ephemeral_port(struct netstack *ns, const struct ip *local,
			       const struct ipport *remote)
{
	const struct ipport from = { .ip = *local };
	const uint64_t h = tcp_hash(ns, &from, remote, 'P');
	uint16_t *next = &ns->port_next[(h >> 32) % NS_PORT_COUNTERS];

	for (uint32_t i = 0; i < PORT_N; i++) {
		const uint32_t place = ((uint32_t)h % PORT_N + *next) % PORT_N;
		struct ipport at = { *local, (uint16_t)(PORT_FIRST + place) };

		*next = (uint16_t)((*next + 1) % PORT_N);
		if (!conn_table_find(&ns->table, ns->key, &at, remote))
			return at.port;
	}
	return 0;
}

int ns_tcp_connect(struct netstack *ns, mono_t now, const struct ipport *local,
		   const struct ipport *remote, struct ns_id *id)
{
	struct ipport at = *local;
	struct tcp_conn *c;

	if (remote->port == 0 || ip_is_multicast(&remote->ip) || ip_is_unspecified(&remote->ip))
		return -EADDRNOTAVAIL;
	if (ip_is_zero(&at.ip) && !ns_own_address(ns, &remote->ip, &at.ip))
		return -EADDRNOTAVAIL;
	if (ip_is_v4(&at.ip) != ip_is_v4(&remote->ip))
		return -EADDRNOTAVAIL;
	if (at.port == 0)
		at.port = ephemeral_port(ns, &at.ip, remote);
	else if (conn_table_find(&ns->table, ns->key, &at, remote))
		return -EADDRNOTAVAIL;
	if (at.port == 0)
		return -ENOBUFS;
	c = tcp_new(ns, now, &at, remote);
	if (!c)
		return ns->table.n >= ns->conf.max_conns ? -ENOBUFS : -ENOMEM;
	c->is_active_open = true;
	c->snd_nxt = c->iss + 1;
	tcp_set_state(ns, c, TCP_SYN_SENT);
	c->syn_due = true;
	tcp_want_out(ns, c);
	*id = (struct ns_id){ c->index, ns->table.slots[c->index].generation };
	return 0;
}

void ns_tcp_accept(struct netstack *ns, mono_t now, struct ns_id id)
{
	struct tcp_conn *c = get(ns, id);

	if (!c || c->state != TCP_PENDING)
		return;
	tcp_set_state(ns, c, TCP_SYN_RECEIVED);
	c->snd_nxt = c->iss + 1;
	c->syn_due = true;
	c->t_life = MONO_NEVER;
	c->last_received = now;
	tcp_timer_set(ns, c);
	tcp_want_out(ns, c);
}

void ns_tcp_refuse(struct netstack *ns, mono_t now, struct ns_id id)
{
	struct tcp_conn *c = conn_table_get(&ns->table, id.index, id.generation);

	(void)now;
	if (!c || (c->state != TCP_PENDING && !c->is_ended))
		return;
	if (!c->is_ended) /* else the peer took its SYN back, and nobody need be told any more */
		tcp_send_rst(ns, c);
	tcp_free(ns, c);
}

void ns_tcp_set_user(struct netstack *ns, struct ns_id id, void *user)
{
	struct tcp_conn *c = conn_table_get(&ns->table, id.index, id.generation);

	if (c)
		c->user = user;
}

/* --- reading --- */

size_t ns_tcp_peek(struct netstack *ns, struct ns_id id, struct ns_piece *v, size_t max)
{
	struct tcp_conn *c = get(ns, id);
	size_t n = 0, left;
	uint64_t off;

	if (!c)
		return 0;
	c->is_readable_told = false;
	off = c->rcv.head;
	for (left = c->rcv_len; left > 0 && n < max; n++) {
		v[n].data = chunkq_at(&c->rcv, off, &v[n].len);
		v[n].len = MIN_OF(v[n].len, left);
		off += v[n].len;
		left -= v[n].len;
	}
	return n;
}

void ns_tcp_consume(struct netstack *ns, mono_t now, struct ns_id id, size_t n)
{
	struct tcp_conn *c = get(ns, id);

	if (!c || n == 0)
		return;
	assert(n <= c->rcv_len);
	tcp_user_read(ns, now, c, (uint32_t)n);
	tcp_check_done(ns, c);
}

bool ns_tcp_at_end(const struct netstack *ns, struct ns_id id)
{
	const struct tcp_conn *c = get(ns, id);

	return c && c->fin_received && c->rcv_len == 0;
}

/* --- writing --- */

static bool may_write(const struct tcp_conn *c)
{
	return !c->fin_wanted && (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED ||
				  c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT);
}

size_t ns_tcp_reserve(struct netstack *ns, struct ns_id id, size_t want, struct ns_piece *v,
		      size_t max)
{
	struct tcp_conn *c = get(ns, id);
	size_t room, n = 0;
	uint64_t off;

	if (!c || !may_write(c))
		return 0;
	room = c->snd_len < c->sndbuf ? c->sndbuf - c->snd_len : 0;
	if (want > room) {
		want = room;
		c->wants_room = true;
	}
	off = c->snd.head + c->snd_len;
	while (want > 0 && n < max) {
		size_t run = CHUNK_LEN - (size_t)(off & (CHUNK_LEN - 1));

		run = MIN_OF(run, want);
		if (!tcp_may_hold(ns, &c->snd) || !chunkq_need(&c->snd, &ns->pool, off, run)) {
			c->wants_room = true;
			if (c->snd_len == 0 && n == 0)
				tcp_starve(ns, c); /* no ACK will bring room */
			break;
		}
		v[n].data = chunkq_at(&c->snd, off, &v[n].len);
		v[n].len = run;
		n++;
		off += run;
		want -= run;
	}
	return n;
}

void ns_tcp_commit(struct netstack *ns, mono_t now, struct ns_id id, size_t n)
{
	struct tcp_conn *c = get(ns, id);

	(void)now;
	if (!c)
		return;
	if (n == 0) {
		if (c->snd_len == 0)
			chunkq_clear(&c->snd, &ns->pool);
		return;
	}
	assert(may_write(c) && n <= c->sndbuf - c->snd_len);
	c->snd_len += (uint32_t)n;
	c->bytes_out += n;
	tcp_want_out(ns, c);
}

size_t ns_tcp_write(struct netstack *ns, mono_t now, struct ns_id id, const void *data, size_t n)
{
	const uint8_t *from = data;
	size_t done = 0;

	while (done < n) {
		struct ns_piece v[8];
		size_t k = ns_tcp_reserve(ns, id, n - done, v, ARRAY_LEN(v)), part = 0;

		if (k == 0)
			break;
		for (size_t i = 0; i < k; i++) {
			memcpy(v[i].data, from + done + part, v[i].len);
			part += v[i].len;
		}
		ns_tcp_commit(ns, now, id, part);
		done += part;
	}
	return done;
}

size_t ns_tcp_unsent(const struct netstack *ns, struct ns_id id)
{
	const struct tcp_conn *c = get(ns, id);

	return c ? c->snd_len : 0;
}

/* --- closing --- */

static void want_fin(struct netstack *ns, struct tcp_conn *c)
{
	if (c->fin_wanted || c->state == TCP_CLOSED || c->state == TCP_PENDING)
		return;
	c->fin_wanted = true;
	if (c->snd_len == 0) /* room that was reserved for what did not come */
		chunkq_clear(&c->snd, &ns->pool);
	tcp_want_out(ns, c);
}

void ns_tcp_shutdown(struct netstack *ns, mono_t now, struct ns_id id)
{
	struct tcp_conn *c = get(ns, id);

	(void)now;
	if (c)
		want_fin(ns, c);
}

/* RFC 9293 3.10.5 */
void ns_tcp_abort(struct netstack *ns, mono_t now, struct ns_id id)
{
	struct tcp_conn *c = conn_table_get(&ns->table, id.index, id.generation);

	(void)now;
	if (!c)
		return;
	if (c->state == TCP_PENDING || c->state == TCP_SYN_RECEIVED ||
	    c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT ||
	    c->state == TCP_FIN_WAIT_1 || c->state == TCP_FIN_WAIT_2)
		tcp_send_rst(ns, c);
	tcp_free(ns, c);
}

void ns_tcp_release(struct netstack *ns, mono_t now, struct ns_id id)
{
	struct tcp_conn *c = conn_table_get(&ns->table, id.index, id.generation);

	if (!c)
		return;
	/* RFC 1122 4.2.2.13: unread data at the close is told by a reset */
	if (c->state == TCP_PENDING || c->state == TCP_CLOSED || c->state == TCP_SYN_SENT ||
	    c->rcv_len > 0) {
		ns_tcp_abort(ns, now, id);
		return;
	}
	conn_table_unname(&ns->table, c);
	want_fin(ns, c);
	c->is_released = true;
	c->events = 0;
	if (c->state == TCP_FIN_WAIT_2) {
		c->t_life = mono_add(now, TCP_FIN_WAIT_2_MAX);
		tcp_timer_set(ns, c);
	}
}

void ns_tcp_keepalive(struct netstack *ns, mono_t now, struct ns_id id, span_t idle,
		      span_t interval, unsigned count)
{
	struct tcp_conn *c = get(ns, id);

	if (!c)
		return;
	c->keep_idle_ms = (uint32_t)MIN_OF(idle.ns / 1000000, (int64_t)UINT32_MAX);
	c->keep_interval_ms = (uint32_t)MIN_OF(interval.ns / 1000000, (int64_t)UINT32_MAX);
	c->keep_count = (uint8_t)MIN_OF(count, 255u);
	tcp_keep_touch(ns, now, c);
}

bool ns_tcp_info(const struct netstack *ns, struct ns_id id, struct ns_tcp_info *info)
{
	const struct tcp_conn *c = conn_table_get(&ns->table, id.index, id.generation);

	if (!c)
		return false;
	*info = (struct ns_tcp_info){
		.state = tcp_state_names[c->state],
		.local = c->local,
		.remote = c->remote,
		.bytes_in = c->bytes_in,
		.bytes_out = c->bytes_out,
		.segs_in = c->segs_in,
		.segs_out = c->segs_out,
		.segs_retrans = c->segs_retrans,
		.segs_spurious = c->segs_spurious,
		.cwnd = c->cc.cwnd,
		.mss = c->mss,
		.srtt = c->rtt.srtt,
		.rcvbuf = chunkq_memory(&c->rcv),
		.sndbuf = chunkq_memory(&c->snd) + chunkq_memory(&c->tx.q),
	};
	return true;
}
