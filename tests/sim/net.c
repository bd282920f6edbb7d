/* tests/sim/net.c - datagrams: delay, loss, duplication, holes, and the NAT boxes on their way */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_priv.h"
#include "wire/stun.h"

/* --- the heap of what is under way, by time --- */

static bool before(const struct dgram *a, const struct dgram *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct world *w, struct dgram *d)
{
	size_t i;

	WORLD_CHECK(w, w->n_heap < SIM_FLIGHT_MAX,
		    "more than %d datagrams under way: a queue without bound", SIM_FLIGHT_MAX);
	if (w->n_heap == w->cap_heap) {
		w->cap_heap = w->cap_heap ? w->cap_heap * 2 : 1024;
		w->heap = realloc(w->heap, w->cap_heap * sizeof *w->heap);
		ck_assert_ptr_nonnull(w->heap);
	}
	for (i = w->n_heap++; i > 0 && before(d, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = d;
}

static struct dgram *heap_pop(struct world *w)
{
	struct dgram *top = w->heap[0], *last = w->heap[--w->n_heap];
	size_t i = 0;

	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= w->n_heap)
			break;
		if (c + 1 < w->n_heap && before(w->heap[c + 1], w->heap[c]))
			c++;
		if (!before(w->heap[c], last))
			break;
		w->heap[i] = w->heap[c];
		i = c;
	}
	if (w->n_heap > 0)
		w->heap[i] = last;
	return top;
}

int64_t net_next(const struct world *w)
{
	return w->n_heap > 0 ? w->heap[0]->at : INT64_MAX;
}

void net_free(struct world *w)
{
	while (w->n_heap > 0)
		free(heap_pop(w));
	free(w->heap);
}

/* --- networks: the internet is number -1, the one behind a box has its number --- */

struct ip net_outside(const struct world *w, int i)
{
	struct ip ip = w->nodes[i].addr;

	for (int b = w->nodes[i].box; b >= 0; b = w->boxes[b].outer)
		ip = w->boxes[b].outside;
	return ip;
}

static int node_on(const struct world *w, int net, const struct ip *ip)
{
	for (int i = 0; i < w->n_nodes; i++)
		if ((ip_is_v4(ip) ? w->nodes[i].box == net && ip_eq(&w->nodes[i].addr, ip)
				  : ip_eq(&w->nodes[i].addr6, ip)))
			return i;
	return -1;
}

static int box_on(const struct world *w, int net, const struct ip *ip)
{
	for (int b = 0; b < w->n_boxes; b++)
		if (w->boxes[b].outer == net && ip_eq(&w->boxes[b].outside, ip))
			return b;
	return -1;
}

/* Out through the boxes, up to the network where the destination is. false: dropped on the way */
static bool climb(struct world *w, struct ipport *from, const struct ipport *to, int *net)
{
	while (*net >= 0 && node_on(w, *net, &to->ip) < 0 && box_on(w, *net, &to->ip) < 0) {
		struct sim_box *b = &w->boxes[*net];
		uint16_t port;

		if (ip_eq(&to->ip, &b->outside) && !b->hairpin)
			return false;
		if (!nat_out(b->nat, sim_mono(w), from, to, &port))
			return false;
		*from = (struct ipport){ b->outside, port };
		*net = b->outer;
	}
	return true;
}

/* In through the boxes. Node, or -1 */
static int descend(const struct world *w, const struct dgram *d)
{
	struct ipport to = d->to;
	int net = d->net, b, i;

	while ((b = box_on(w, net, &to.ip)) >= 0) {
		if (!nat_in(w->boxes[b].nat, sim_mono(w), &d->from, to.port, &to))
			return -1;
		net = b;
	}
	i = node_on(w, net, &to.ip);
	return to.port == SIM_PORT ? i : -1;
}

/* --- carrying --- */

bool net_chance(struct world *w, double p)
{
	return (double)(rng_u64(&w->chance.rng) >> 11) * 0x1p-53 < p;
}

void net_watch(struct world *w, int from, const uint8_t *data, size_t len)
{
	uint64_t t = w->trace ^ (uint64_t)w->now ^ len;

	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t v;

		memcpy(&v, data + i, 8);
		t = (t ^ v) * UINT64_C(0x9e3779b97f4a7c15);
		t ^= t >> 29;
	}
	w->trace = t;
	WORLD_CHECK(w, memmem(data, len, SIM_MARK, sizeof SIM_MARK - 1) == NULL,
		    "an application's bytes leave %d in clear", from);
}

static bool is_relay(const struct world *w, int r, const struct ip *ip)
{
	return ip_eq(&w->relay_ip[r], ip) || ip_eq(&w->relay_ip6[r], ip);
}

static span_t delay(const struct world *w, const struct ipport *from, const struct ipport *to)
{
	for (int r = 0; r < WORLD_RELAYS; r++)
		if (is_relay(w, r, &from->ip) || is_relay(w, r, &to->ip))
			return w->relay_delay[r];
	return w->net.delay;
}

static void fly(struct world *w, int net, const struct ipport *from, const struct ipport *to,
		const uint8_t *data, size_t len)
{
	struct dgram *d = malloc(sizeof *d + len);
	int64_t jitter = w->net.jitter.ns > 0
			     ? (int64_t)rng_below(&w->chance.rng, (uint64_t)w->net.jitter.ns)
			     : 0;

	ck_assert_ptr_nonnull(d);
	*d = (struct dgram){ .at = w->now + delay(w, from, to).ns + jitter,
			     .order = w->order++,
			     .from = *from,
			     .to = *to,
			     .net = net,
			     .len = len };
	memcpy(d->data, data, len);
	if (len > 0 && net_chance(w, w->net.corrupt))
		d->data[rng_below(&w->chance.rng, len)] ^=
		    (uint8_t)(1 + rng_below(&w->chance.rng, 255));
	heap_push(w, d);
}

/* Somebody else may be behind a removed node's box: then only its own addresses tell. */
static bool is_address_of(const struct world *w, int i, const struct ip *ip)
{
	const struct sim_node *n = &w->nodes[i];
	struct ip outside = net_outside(w, i);

	if (ip_eq(&n->addr, ip) || ip_eq(&n->addr6, ip))
		return true;
	for (int b = n->box; b >= 0; b = w->boxes[b].outer)
		if (w->boxes[b].users > 1)
			return false;
	return ip_eq(&outside, ip);
}

static void watch_removed(struct world *w, int i, const struct ip *to)
{
	for (int k = 0; k < w->n_nodes; k++)
		WORLD_CHECK(w, w->nodes[i].forgot_at[k] > w->now || !is_address_of(w, k, to),
			    "node %d sends to %d, which control has removed", i, k);
}

static size_t ip_len(const struct ip *ip, size_t len)
{
	return len + 8 + (ip_is_v4(ip) ? 20 : 40);
}

void net_send(struct world *w, int i, uint16_t port, const struct ipport *to, const uint8_t *data,
	      size_t len)
{
	struct sim_node *n = &w->nodes[i];
	bool v4 = ip_is_v4(&to->ip);
	struct ipport from = { v4 ? n->addr : n->addr6, port };
	int net = v4 ? n->box : -1;

	net_watch(w, i, data, len);
	watch_removed(w, i, &to->ip);
	if (ip_is_zero(&from.ip)) {
		node_udp_failed(n->node, sim_mono(w), to, ENETUNREACH);
		return;
	}
	if (!n->udp || ip_len(&to->ip, len) > n->mtu || !climb(w, &from, to, &net))
		return;
	w->datagrams++;
	if (!net_chance(w, w->net.loss))
		fly(w, net, &from, to, data, len);
	if (net_chance(w, w->net.duplicate))
		fly(w, net, &from, to, data, len);
}

/* A relay answers STUN at its address. */
static bool at_relay(struct world *w, const struct dgram *d)
{
	uint8_t txid[STUN_TXID], out[STUN_ANSWER_MAX];
	size_t len;

	for (int r = 0; r < WORLD_RELAYS; r++) {
		if (!is_relay(w, r, &d->to.ip))
			continue;
		if (w->relay_up[r] && d->to.port == 3478 &&
		    stun_request_parse(d->data, d->len, txid) == STUN_OK) {
			len = stun_answer_emit(txid, &d->from, out);
			fly(w, -1, &d->to, &d->from, out, len);
		}
		return true;
	}
	return false;
}

static void to_node(struct world *w, int i, const struct dgram *d)
{
	uint8_t slot[PKT_HEAD + SIM_DGRAM_MAX + PKT_TAIL];
	struct pkt p = {
		.data = slot + PKT_HEAD, .len = (uint32_t)d->len, .head = PKT_HEAD, .tail = PKT_TAIL
	};

	WORLD_CHECK(w, d->len <= SIM_DGRAM_MAX, "a datagram of %zu bytes", d->len);
	if (!sim_awake(w, i) || !w->nodes[i].udp || ip_len(&d->to.ip, d->len) > w->nodes[i].mtu)
		return;
	memcpy(p.data, d->data, d->len);
	node_udp_recv(w->nodes[i].node, sim_mono(w), sim_wall(w), &d->from, &p, 1);
	sim_pump(w, i);
}

static void deliver(struct world *w, const struct dgram *d)
{
	int i = at_relay(w, d) ? -1 : descend(w, d);

	if (i >= 0 && w->nodes[i].node)
		to_node(w, i, d);
}

void net_step(struct world *w)
{
	while (w->n_heap > 0 && w->heap[0]->at <= w->now) {
		struct dgram *d = heap_pop(w);

		deliver(w, d);
		free(d);
	}
}
