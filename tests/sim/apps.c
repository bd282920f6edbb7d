/* tests/sim/apps.c - the applications: each node echoes TCP, counts datagrams, and transfers when
 * told to
 *
 * Every byte of an application is marked, so that it is recognised in clear wherever it should not
 * be.
 */
#include "tests/sim/sim_priv.h"

enum { APP_BLOCK = 64, APP_PIECE = 16 << 10 };

static uint8_t content(uint64_t seed, size_t off)
{
	uint64_t x = (seed + off / APP_BLOCK) * UINT64_C(0x9e3779b97f4a7c15);

	if (off % APP_BLOCK < sizeof SIM_MARK - 1)
		return (uint8_t)SIM_MARK[off % APP_BLOCK];
	return (uint8_t)(x >> (8 * (off % 8)));
}

static int node_at(const struct world *w, const struct ip *a)
{
	for (int i = 0; i < w->n_nodes; i++)
		if (ip_eq(&w->nodes[i].tailnet_ip, a))
			return i;
	return -1;
}

/* Something of a peer has passed the node's filter. */
static int arrival(struct world *w, int i, const struct ip *remote)
{
	int from = node_at(w, remote);

	WORLD_CHECK(w, from >= 0, "node %d hears from an address that nobody has", i);
	WORLD_CHECK(w, w->nodes[i].forbidden_at[from] > w->now,
		    "node %d hears from %d, which the policy forbids", i, from);
	WORLD_CHECK(w, w->nodes[i].forgot_at[from] > w->now,
		    "node %d hears from %d, which control has removed", i, from);
	return from;
}

static struct sim_flow *flow_new(struct world *w, int i, int peer, struct ns_id id)
{
	for (size_t k = 0; k < WORLD_FLOWS_MAX; k++)
		if (!w->flows[k].used) {
			w->flows[k] =
			    (struct sim_flow){ .used = true, .node = i, .peer = peer, .id = id };
			ns_tcp_set_user(node_netstack(w->nodes[i].node), id, &w->flows[k]);
			ns_tcp_keepalive(node_netstack(w->nodes[i].node), sim_mono(w), id,
					 SPAN_S(700), SPAN_S(60), 6);
			return &w->flows[k];
		}
	WORLD_CHECK(w, false, "too many flows for the test");
	return NULL;
}

/* --- the end that asks --- */

static void client_write(struct world *w, struct sim_flow *f)
{
	struct netstack *ns = node_netstack(w->nodes[f->node].node);
	uint8_t buf[APP_PIECE];

	while (f->sent < f->len) {
		size_t want = f->len - f->sent < sizeof buf ? f->len - f->sent : sizeof buf, n;

		for (size_t k = 0; k < want; k++)
			buf[k] = content(f->seed, f->sent + k);
		n = ns_tcp_write(ns, sim_mono(w), f->id, buf, want);
		f->sent += n;
		if (n < want)
			return;
	}
	if (f->hold || f->shut)
		return;
	ns_tcp_shutdown(ns, sim_mono(w), f->id);
	f->shut = true;
}

static void client_read(struct world *w, struct sim_flow *f)
{
	struct netstack *ns = node_netstack(w->nodes[f->node].node);
	struct ns_piece v[4];
	size_t n;

	while ((n = ns_tcp_peek(ns, f->id, v, 4)) > 0) {
		size_t len = 0;

		for (size_t p = 0; p < n; p++)
			for (size_t k = 0; k < v[p].len; k++, len++)
				WORLD_CHECK(w,
					    f->got + len < f->sent &&
						v[p].data[k] == content(f->seed, f->got + len),
					    "flow %td: byte %zu is not what was sent", f - w->flows,
					    f->got + len);
		f->got += len;
		ns_tcp_consume(ns, sim_mono(w), f->id, len);
	}
	if (ns_tcp_at_end(ns, f->id) && f->got == f->len && !f->done) {
		f->done = true;
		world_note(w, "flow %td: done", f - w->flows);
	}
}

static int connect_to(struct world *w, int i, int j, size_t len, bool hold)
{
	struct ipport local = { 0 }, remote = { w->nodes[j].tailnet_ip, SIM_APP_PORT };
	struct ns_id id;
	struct sim_flow *f;

	if (ns_tcp_connect(node_netstack(w->nodes[i].node), sim_mono(w), &local, &remote, &id) != 0)
		return -1;
	f = flow_new(w, i, j, id);
	f->client = true;
	f->len = len;
	f->hold = hold;
	f->seed = ++w->n_flows;
	w->nodes[i].dirty = true;
	world_note(w, "flow %td: %d to %d, %zu bytes", f - w->flows, i, j, len);
	return (int)(f - w->flows);
}

int world_transfer(struct world *w, int i, int j, size_t len)
{
	return connect_to(w, i, j, len, false);
}

int world_open(struct world *w, int i, int j)
{
	return connect_to(w, i, j, 0, true);
}

void world_push(struct world *w, int flow, size_t len)
{
	struct sim_flow *f = &w->flows[flow];

	f->len += len;
	world_note(w, "flow %d: %zu bytes more", flow, len);
	if (f->failed)
		return;
	client_write(w, f);
	w->nodes[f->node].dirty = true;
}

bool world_settled(struct world *w, int flow, int unused)
{
	(void)unused;
	return w->flows[flow].got == w->flows[flow].len && !w->flows[flow].failed;
}

bool world_done(struct world *w, int flow, int unused)
{
	(void)unused;
	return w->flows[flow].done;
}

bool world_failed(struct world *w, int flow, int unused)
{
	(void)unused;
	return w->flows[flow].failed;
}

bool world_ended(struct world *w, int flow, int unused)
{
	(void)unused;
	return w->flows[flow].done || w->flows[flow].failed;
}

size_t world_progress(struct world *w, int flow)
{
	return w->flows[flow].got;
}

/* --- the end that echoes --- */

static void echo(struct world *w, struct sim_flow *f)
{
	struct netstack *ns = node_netstack(w->nodes[f->node].node);
	struct ns_piece v;

	while (ns_tcp_peek(ns, f->id, &v, 1) > 0) {
		size_t n = ns_tcp_write(ns, sim_mono(w), f->id, v.data, v.len);
		bool full = n < v.len;

		ns_tcp_consume(ns, sim_mono(w), f->id, n);
		if (full)
			return;
	}
	if (ns_tcp_at_end(ns, f->id) && !f->shut) {
		f->shut = true;
		ns_tcp_shutdown(ns, sim_mono(w), f->id);
	}
}

/* --- datagrams --- */

void world_datagram(struct world *w, int i, int j)
{
	struct ipport local = { .port = (uint16_t)(5000 + i) },
		      remote = { w->nodes[j].tailnet_ip, SIM_APP_PORT };

	if (ns_udp_send(node_netstack(w->nodes[i].node), &local, &remote, bytes_str(SIM_MARK)) != 0)
		world_note(w, "node %d cannot send a datagram", i);
	w->nodes[i].dirty = true;
}

uint64_t world_datagrams_seen(const struct world *w, int i, int j)
{
	return w->nodes[j].seen[i];
}

/* --- events --- */

static void flow_ended(struct world *w, struct sim_flow *f, enum ns_end end)
{
	if (!f->client) {
		f->used = false;
		return;
	}
	if (f->done)
		return;
	f->failed = true;
	world_note(w, "flow %td: %s after %zu bytes", f - w->flows, ns_end_names[end], f->got);
}

static void flow_event(struct world *w, struct sim_flow *f, const struct ns_event *ev)
{
	if (ev->type == NS_TCP_ENDED) {
		flow_ended(w, f, ev->end);
	} else if (f->client) {
		client_write(w, f);
		client_read(w, f);
	} else {
		echo(w, f);
	}
}

void apps_event(struct world *w, int i, const struct ns_event *ev)
{
	struct sim_flow *f = ev->user;

	switch (ev->type) {
	case NS_TCP_INCOMING:
		flow_new(w, i, arrival(w, i, &ev->remote.ip), ev->id);
		ns_tcp_accept(node_netstack(w->nodes[i].node), sim_mono(w), ev->id);
		break;
	case NS_UDP_RECV:
		w->nodes[i].seen[arrival(w, i, &ev->remote.ip)]++;
		break;
	case NS_TCP_CONNECTED:
	case NS_TCP_READABLE:
	case NS_TCP_WRITABLE:
	case NS_TCP_ENDED:
		if (f && f->used && f->node == i && f->id.index == ev->id.index &&
		    f->id.generation == ev->id.generation)
			flow_event(w, f, ev);
		break;
	case NS_ECHO_REPLY:
	case NS_ECHO_REQUEST:
	case NS_UDP_UNREACHABLE:
		break;
	}
}

void apps_node_died(struct world *w, int i)
{
	for (size_t k = 0; k < WORLD_FLOWS_MAX; k++)
		if (w->flows[k].used && w->flows[k].node == i)
			flow_ended(w, &w->flows[k], NS_END_ABORTED);
}

void apps_print(struct world *w)
{
	for (size_t k = 0; k < WORLD_FLOWS_MAX; k++) {
		const struct sim_flow *f = &w->flows[k];
		struct ns_tcp_info t;

		if (!f->used || !w->nodes[f->node].node ||
		    !ns_tcp_info(node_netstack(w->nodes[f->node].node), f->id, &t))
			continue;
		printf("flow %zu, the end of %d: %s, in %llu, out %llu, segments %llu and %llu, "
		       "repeated %llu, "
		       "cwnd %u, unacknowledged %zu\n",
		       k, f->node, t.state, (unsigned long long)t.bytes_in,
		       (unsigned long long)t.bytes_out, (unsigned long long)t.segs_in,
		       (unsigned long long)t.segs_out, (unsigned long long)t.segs_retrans, t.cwnd,
		       ns_tcp_unsent(node_netstack(w->nodes[f->node].node), f->id));
	}
}
