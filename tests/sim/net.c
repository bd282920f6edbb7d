/* tests/sim/net.c - datagrams: delay, loss, duplication, and NAT boxes with RFC 4787's mapping and
 * filtering */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_priv.h"
#include "wire/stun.h"

enum { NAT_TIMEOUT_S = 120 };

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

/* --- NAT --- */

static bool depends(const struct sim_node *n, const struct mapping *m, const struct ipport *dst)
{
	if (n->mapping == NAT_ENDPOINT_INDEPENDENT)
		return true;
	if (n->mapping == NAT_ADDRESS_DEPENDENT)
		return ip_eq(&m->dst.ip, &dst->ip);
	return ipport_eq(&m->dst, dst);
}

static bool stale(const struct world *w, const struct mapping *m)
{
	return w->now - m->last > NAT_TIMEOUT_S * NS_PER_S;
}

static struct mapping *map_find(struct world *w, struct sim_node *n, uint16_t port,
				const struct ipport *dst)
{
	for (size_t i = 0; i < n->n_maps; i++)
		if (!stale(w, &n->maps[i]) && n->maps[i].inner == port &&
		    depends(n, &n->maps[i], dst))
			return &n->maps[i];
	return NULL;
}

static struct mapping *map_make(struct world *w, struct sim_node *n, uint16_t port,
				const struct ipport *dst)
{
	struct mapping *m = NULL;

	for (size_t i = 0; !m && i < n->n_maps; i++)
		if (stale(w, &n->maps[i]))
			m = &n->maps[i];
	if (!m) {
		WORLD_CHECK(w, n->n_maps < SIM_MAPPINGS, "one node makes a NAT keep %d mappings",
			    SIM_MAPPINGS);
		m = &n->maps[n->n_maps++];
	}
	*m = (struct mapping){ .inner = port, .outer = n->next_port++, .dst = *dst };
	return m;
}

static struct mapping *map_out(struct world *w, struct sim_node *n, uint16_t port,
			       const struct ipport *dst)
{
	struct mapping *m = map_find(w, n, port, dst);

	if (!m)
		m = map_make(w, n, port, dst);
	m->last = w->now;
	for (size_t i = 0; i < SIM_PERMITS; i++)
		if (ipport_eq(&m->permit[i], dst))
			return m;
	m->permit[m->n_permit++ % SIM_PERMITS] = *dst;
	return m;
}

static bool permitted(const struct sim_node *n, const struct mapping *m, const struct ipport *from)
{
	if (n->filtering == NAT_FILTER_NONE)
		return true;
	for (size_t i = 0; i < SIM_PERMITS; i++)
		if (m->permit[i].port != 0 && ip_eq(&m->permit[i].ip, &from->ip) &&
		    (n->filtering == NAT_FILTER_ADDRESS || m->permit[i].port == from->port))
			return true;
	return false;
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

static span_t delay(const struct world *w, const struct ipport *from, const struct ipport *to)
{
	for (int r = 0; r < WORLD_RELAYS; r++)
		if (ip_eq(&w->relay_ip[r], &from->ip) || ip_eq(&w->relay_ip[r], &to->ip))
			return w->relay_delay[r];
	return w->net.delay;
}

static void fly(struct world *w, const struct ipport *from, const struct ipport *to,
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
			     .len = len };
	memcpy(d->data, data, len);
	if (len > 0 && net_chance(w, w->net.corrupt))
		d->data[rng_below(&w->chance.rng, len)] ^=
		    (uint8_t)(1 + rng_below(&w->chance.rng, 255));
	heap_push(w, d);
}

static void watch_removed(struct world *w, int i, const struct ipport *to)
{
	for (int k = 0; k < w->n_nodes; k++)
		WORLD_CHECK(w,
			    w->nodes[i].forgot_at[k] > w->now ||
				(!ip_eq(&w->nodes[k].outside, &to->ip) &&
				 !ip_eq(&w->nodes[k].addr, &to->ip)),
			    "node %d sends to %d, which control has removed", i, k);
}

void net_send(struct world *w, int i, uint16_t port, const struct ipport *to, const uint8_t *data,
	      size_t len)
{
	struct sim_node *n = &w->nodes[i];
	struct ipport from = { n->addr, port };

	net_watch(w, i, data, len);
	watch_removed(w, i, to);
	if (!n->udp)
		return;
	if (n->mapping != NAT_NONE)
		from = (struct ipport){ n->outside, map_out(w, n, port, to)->outer };
	w->datagrams++;
	if (!net_chance(w, w->net.loss))
		fly(w, &from, to, data, len);
	if (net_chance(w, w->net.duplicate))
		fly(w, &from, to, data, len);
}

/* A relay answers STUN at its address. */
static bool at_relay(struct world *w, const struct dgram *d)
{
	uint8_t txid[STUN_TXID], out[STUN_ANSWER_MAX];
	size_t len;

	for (int r = 0; r < WORLD_RELAYS; r++) {
		if (!ip_eq(&w->relay_ip[r], &d->to.ip))
			continue;
		if (w->relay_up[r] && d->to.port == 3478 &&
		    stun_request_parse(d->data, d->len, txid) == STUN_OK) {
			len = stun_answer_emit(txid, &d->from, out);
			fly(w, &d->to, &d->from, out, len);
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
	if (!sim_awake(w, i) || !w->nodes[i].udp)
		return;
	memcpy(p.data, d->data, d->len);
	node_udp_recv(w->nodes[i].node, sim_mono(w), sim_wall(w), &d->from, &p, 1);
	sim_pump(w, i);
}

static bool arrives(const struct world *w, const struct sim_node *n, const struct dgram *d)
{
	if (n->mapping == NAT_NONE)
		return ip_eq(&n->addr, &d->to.ip) && d->to.port == SIM_PORT;
	if (!ip_eq(&n->outside, &d->to.ip))
		return false;
	for (size_t k = 0; k < n->n_maps; k++)
		if (n->maps[k].outer == d->to.port && !stale(w, &n->maps[k]) &&
		    permitted(n, &n->maps[k], &d->from))
			return true;
	return false;
}

static void deliver(struct world *w, const struct dgram *d)
{
	if (at_relay(w, d))
		return;
	for (int i = 0; i < w->n_nodes; i++)
		if (w->nodes[i].node && arrives(w, &w->nodes[i], d))
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
