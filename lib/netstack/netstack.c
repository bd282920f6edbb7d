/* netstack/netstack.c - the stack's life, addresses, bursts in and out, events, time */
#include "netstack/netstack.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "netstack/stack.h"

const char *const ns_end_names[NS_END_N] = {
	[NS_END_DONE] = "done",       [NS_END_REFUSED] = "refused",
	[NS_END_DENIED] = "denied",   [NS_END_RESET] = "reset",
	[NS_END_TIMEOUT] = "timeout", [NS_END_UNREACHABLE] = "unreachable",
	[NS_END_ABORTED] = "aborted", [NS_END_NO_MEMORY] = "no_memory",
};

const char *const ns_drop_names[NS_DROP_N] = {
	[NS_DROP_NONE] = "none",
	[NS_DROP_SHAPE] = "shape",
	[NS_DROP_CHECKSUM] = "checksum",
	[NS_DROP_NOT_OURS] = "not_ours",
	[NS_DROP_FRAGMENT] = "fragment",
	[NS_DROP_REASSEMBLY_LIMIT] = "reassembly_limit",
	[NS_DROP_NO_MEMORY] = "no_memory",
	[NS_DROP_PROTOCOL] = "protocol",
	[NS_DROP_TCP_NO_CONN] = "tcp_no_conn",
	[NS_DROP_TCP_PENDING_LIMIT] = "tcp_pending_limit",
	[NS_DROP_TCP_CONN_LIMIT] = "tcp_conn_limit",
	[NS_DROP_TCP_PAWS] = "tcp_paws",
	[NS_DROP_TCP_WINDOW] = "tcp_window",
	[NS_DROP_TCP_RST_INVALID] = "tcp_rst_invalid",
	[NS_DROP_QUEUE_FULL] = "queue_full",
	[NS_DROP_RATE] = "rate",
};

struct netstack *netstack_new(const struct netstack_conf *conf)
{
	struct netstack *ns = calloc(1, sizeof *ns);

	assert(conf->rng && conf->mtu >= 576 && conf->mtu <= PKT_INNER_MAX && conf->cc < NS_CC_N);
	if (!ns)
		return NULL;
	ns->conf = *conf;
	ns->conf_mtu = conf->mtu;
	ns->tell_at = MONO_NEVER;
	if (ns->conf.max_conns == 0)
		ns->conf.max_conns = NS_CONNS_DEFAULT;
	if (ns->conf.max_pending == 0)
		ns->conf.max_pending = NS_PENDING_DEFAULT;
	if (ns->conf.memory == 0)
		ns->conf.memory = NS_MEMORY_DEFAULT;
	if (ns->conf.rcvbuf_max == 0)
		ns->conf.rcvbuf_max = 8 << 20;
	if (ns->conf.sndbuf_max == 0)
		ns->conf.sndbuf_max = 9 << 20; /* a little above the other end's window: 6 MiB would
						  be 503 Mb/s at 100 ms */
	rng_fill(conf->rng, ns->key, sizeof ns->key);
	ns->pending.seed = rng_u64(conf->rng);
	ns->held.seed = rng_u64(conf->rng);
	ns->ip_id = rng_u32(conf->rng);
	ns->resets.tokens = ns->errors.tokens = NS_RATE_BURST;
	pool_init(&ns->pool, ns->conf.memory);
	dgramq_init(&ns->outq, NS_OUTQ_MAX);
	dgramq_init(&ns->inq, NS_INQ_MAX);
	return ns;
}

void netstack_free(struct netstack *ns)
{
	if (!ns)
		return;
	for (uint32_t i = 0; i < ns->table.cap; i++) {
		if (ns->table.slots[i].conn)
			tcp_free(ns, ns->table.slots[i].conn);
	}
	shares_fini(&ns->pending);
	shares_fini(&ns->held);
	conn_table_fini(&ns->table);
	timers_fini(&ns->timers);
	dgramq_fini(&ns->outq, &ns->pool);
	dgramq_fini(&ns->inq, &ns->pool);
	reassembly_fini(&ns->reassembly, &ns->pool);
	assert(ns->pool.used == 0);
	pool_fini(&ns->pool);
	free(ns->addrs);
	free(ns);
}

bool limiter_take(struct limiter *l, mono_t now)
{
	int64_t more = mono_sub(now, l->at).ns / (NS_PER_S / NS_RATE_PER_S);

	if (more > 0) {
		l->tokens = more > NS_RATE_BURST
				? NS_RATE_BURST
				: (uint32_t)MIN_OF(l->tokens + more, NS_RATE_BURST);
		l->at = now;
	}
	if (l->tokens == 0)
		return false;
	l->tokens--;
	return true;
}

/* --- own addresses --- */

/* where a is, or would be */
static size_t addr_place(const struct netstack *ns, const struct ip *a)
{
	size_t lo = 0, hi = ns->n_addrs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ip_cmp(&ns->addrs[mid], a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void netstack_set_promiscuous(struct netstack *ns, bool on)
{
	ns->conf.promiscuous = on;
}

bool ns_is_own(const struct netstack *ns, const struct ip *a)
{
	size_t i = addr_place(ns, a);

	return i < ns->n_addrs && ip_eq(&ns->addrs[i], a);
}

bool ns_own_address(const struct netstack *ns, const struct ip *like, struct ip *out)
{
	bool v4 = ip_is_v4(like);

	for (size_t i = 0; i < ns->n_addrs; i++) {
		if (ip_is_v4(&ns->addrs[i]) == v4) {
			*out = ns->addrs[i];
			return true;
		}
	}
	return false;
}

int netstack_addr_add(struct netstack *ns, const struct ip *a)
{
	size_t i = addr_place(ns, a);

	if (ns_is_own(ns, a))
		return -EEXIST;
	if (ns->n_addrs == ns->cap_addrs) {
		size_t cap = ns->cap_addrs ? ns->cap_addrs * 2 : 4;
		struct ip *v = cap > NS_ADDRS_MAX ? NULL : reallocarray(ns->addrs, cap, sizeof *v);

		if (!v)
			return -ENOMEM;
		ns->addrs = v;
		ns->cap_addrs = cap;
	}
	memmove(ns->addrs + i + 1, ns->addrs + i, (ns->n_addrs - i) * sizeof *ns->addrs);
	ns->addrs[i] = *a;
	ns->n_addrs++;
	return 0;
}

void netstack_addr_del(struct netstack *ns, const struct ip *a)
{
	size_t i = addr_place(ns, a);

	if (!ns_is_own(ns, a))
		return;
	ns->n_addrs--;
	memmove(ns->addrs + i, ns->addrs + i + 1, (ns->n_addrs - i) * sizeof *ns->addrs);
	for (uint32_t k = 0; k < ns->table.cap; k++) {
		struct tcp_conn *c = ns->table.slots[k].conn;

		if (c && !c->is_ended && ip_eq(&c->local.ip, a))
			tcp_end(ns, c, NS_END_ABORTED);
	}
}

/* --- bursts --- */

void netstack_feed(struct netstack *ns, mono_t now, struct pkt *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ip_input(ns, now, v[i].data, v[i].len);
	pool_tick(&ns->pool, now);
}

static bool pull_datagram(struct netstack *ns, struct burst *out)
{
	const struct dgram *d = dgramq_take(&ns->outq, &ns->pool);
	struct pkt *p;

	if (!d)
		return false;
	p = burst_add(out, d->len);
	assert(p);
	memcpy(p->data, d->data, d->len);
	return true;
}

size_t netstack_pull(struct netstack *ns, mono_t now, struct burst *out)
{
	size_t before = out->n;

	while (burst_room(out) > 0 && pull_datagram(ns, out))
		;
	while (burst_room(out) > 0 && ns->out_first) {
		struct tcp_conn *c = ns->out_first;

		tcp_no_out(ns, c);
		if (tcp_output(ns, now, c, out, MIN_OF(burst_room(out), NS_TURN)))
			tcp_want_out(ns, c); /* to the end of the line */
	}
	ns->stat.packets_out += out->n - before;
	pool_tick(&ns->pool, now);
	return out->n - before;
}

/* --- time --- */

mono_t netstack_deadline(const struct netstack *ns)
{
	mono_t at = mono_min(timers_deadline(&ns->timers), reassembly_deadline(&ns->reassembly));

	return mono_min(mono_min(at, ns->tell_at), pool_deadline(&ns->pool));
}

void netstack_tick(struct netstack *ns, mono_t now)
{
	struct timer *t;
	unsigned gone = reassembly_tick(&ns->reassembly, &ns->pool, now);

	ns->stat.drops[NS_DROP_FRAGMENT] += gone;
	while ((t = timers_due(&ns->timers, now)))
		tcp_timeout(ns, now, CONTAINER_OF(t, struct tcp_conn, timer));
	tcp_path_tick(ns, now);
	pool_tick(&ns->pool, now);
}

/* --- events --- */

static bool next_datagram(struct netstack *ns, struct ns_event *ev)
{
	const struct dgram *d = dgramq_take(&ns->inq, &ns->pool);

	if (!d)
		return false;
	*ev = (struct ns_event){ .type = d->kind,
				 .local = d->local,
				 .remote = d->remote,
				 .data = bytes_of(d->data, d->len),
				 .echo_id = d->a,
				 .echo_seq = d->b };
	return true;
}

bool netstack_next(struct netstack *ns, struct ns_event *ev)
{
	ns->udp_turn = !ns->udp_turn;
	if (ns->udp_turn)
		return next_datagram(ns, ev) || tcp_next_event(ns, ev);
	return tcp_next_event(ns, ev) || next_datagram(ns, ev);
}

void netstack_stat(const struct netstack *ns, struct netstack_stat *st)
{
	*st = ns->stat;
	st->conns = ns->table.n;
	st->pending = ns->n_pending;
	st->memory = ns->pool.used;
}

uint64_t netstack_freed(const struct netstack *ns)
{
	return ns->pool.freed + ns->conns_freed;
}
