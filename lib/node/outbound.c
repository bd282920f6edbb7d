/* node/outbound.c - from the IP stack to datagrams: route to a peer, note flows, encrypt in place,
 * choose the path
 *
 * One burst at a time. Runs of packets for one peer are sealed together and leave as one effect, so
 * the host can send them with one system call. A path that is not proven yet gets the same
 * datagrams over UDP and the relay (data-plane.md 2.7).
 */
#include <string.h>

#include "node/node_priv.h"

/* Within 100::/16, which holds no address that anybody has; the peer is in the upper half, since
 * rate limits of handshakes count IPv6 sources by /64. */
struct ipport node_relay_pseudo(uint32_t peer, uint16_t region)
{
	struct ipport a = { .port = region };

	a.ip.b[0] = 1;
	for (int i = 0; i < 4; i++)
		a.ip.b[4 + i] = (uint8_t)(peer >> (24 - 8 * i));
	return a;
}

bool node_relay_pseudo_parse(const struct ipport *a, uint32_t *peer, uint16_t *region)
{
	static const uint8_t head[4] = { 1 }, tail[8];

	if (memcmp(a->ip.b, head, 4) != 0 || memcmp(a->ip.b + 8, tail, 8) != 0)
		return false;
	*peer = (uint32_t)a->ip.b[4] << 24 | (uint32_t)a->ip.b[5] << 16 |
		(uint32_t)a->ip.b[6] << 8 | a->ip.b[7];
	*region = a->port;
	return true;
}

void node_note_active(struct node *n, mono_t now)
{
	n->last_active = now;
	if (mono_is_never(n->restun_at) && n->have_map)
		n->restun_at =
		    mono_add(now, SPAN_MS(NODE_RESTUN_S * 1000 +
					  (int64_t)rng_below(n->rng, NODE_RESTUN_SPREAD_MS)));
}

/* A datagram of somebody else's memory as an effect. */
void node_send_one(struct node *n, const struct ipport *to, const uint8_t *data, size_t len,
		   struct node_effect *ef)
{
	struct pkt *p;

	burst_reset(&n->in);
	p = burst_add(&n->in, (uint32_t)len);
	*ef = (struct node_effect){ .type = NODE_UDP_SEND, .to = *to, .v = p, .count = p ? 1 : 0 };
	if (p)
		memcpy(p->data, data, len);
}

void node_send_inner(struct node *n, const uint8_t *data, size_t len)
{
	struct pkt *p = burst_add(&n->made, (uint32_t)len);

	if (p)
		memcpy(p->data, data, len);
}

static void send_relayed(struct node *n, mono_t now, uint16_t region, uint32_t peer,
			 const struct pkt *v, size_t count)
{
	const struct netmap_node *p = netmap_peer(n->netmap, peer);

	for (size_t i = 0; p && i < count; i++)
		node_relay_send(n, now, region, &p->key, v[i].data, v[i].len);
}

/* Datagrams of a peer by its present path; true: *ef is their UDP effect. */
static bool send_to_peer(struct node *n, mono_t now, uint32_t peer, struct pkt *v, size_t count,
			 struct node_effect *ef)
{
	struct path_route r = path_route(n->path, now, peer);
	enum node_path_kind kind;

	if (r.derp != 0)
		send_relayed(n, now, r.derp, peer, v, count);
	if (ip_is_zero(&r.udp.ip)) {
		n->counters.unroutable += r.derp == 0 ? count : 0;
		return false;
	}
	kind = ip_is_v4(&r.udp.ip) ? NODE_DIRECT4 : NODE_DIRECT6;
	n->counters.out_packets[kind] += count;
	for (size_t i = 0; i < count; i++)
		n->counters.out_bytes[kind] += v[i].len;
	*ef = (struct node_effect){ .type = NODE_UDP_SEND, .to = r.udp, .v = v, .count = count };
	return true;
}

/* The peer that each packet of n->out is for; WG_NO_PEER: it may not or cannot go. */
static void classify(struct node *n, mono_t now)
{
	for (size_t i = 0; i < n->out.n; i++) {
		const struct pkt *p = &n->out.v[i];
		struct packet facts;
		enum filter_verdict v = filter_out(n->filter, now, p->data, p->len, &facts);

		n->out_peer[i] = WG_NO_PEER;
		if (v != FILTER_ACCEPT)
			n->counters.out_dropped[v]++;
		else if ((n->out_peer[i] = wg_route(n->wg, &facts.dst)) == WG_NO_PEER)
			n->counters.unroutable++;
		else
			node_masquerade_out(n, n->out_peer[i], p, &facts);
	}
}

/* Seals the next run of n->out that goes to one peer; true: *ef carries it. */
static bool send_run(struct node *n, mono_t now, wall_t wall, struct node_effect *ef)
{
	size_t start = n->out_pos;
	uint32_t peer = n->out_peer[start];

	while (n->out_pos < n->out.n && n->out_peer[n->out_pos] == peer)
		n->out_pos++;
	if (peer == WG_NO_PEER)
		return false;
	node_note_active(n, now);
	if (wg_seal(n->wg, now, wall, peer, n->out.v + start, n->out_pos - start) == 0) {
		node_greet_start(n, now, peer);
		return false;
	}
	return send_to_peer(n, now, peer, n->out.v + start, n->out_pos - start, ef);
}

static bool send_bursts(struct node *n, mono_t now, wall_t wall, struct node_effect *ef)
{
	for (;;) {
		while (n->out_pos < n->out.n)
			if (send_run(n, now, wall, ef))
				return true;
		burst_reset(&n->out);
		n->out_pos = 0;
		if (n->made.n > 0) {
			struct burst t = n->out;

			n->out = n->made;
			n->made = t;
		} else if (netstack_pull(n->netstack, now, &n->out) == 0) {
			return false;
		}
		classify(n, now);
	}
}

static bool send_disco(struct node *n, mono_t now, struct node_effect *ef)
{
	struct path_send s;

	while (path_pull(n->path, now, &s)) {
		if (ip_is_zero(&s.udp.ip)) {
			node_relay_send(n, now, s.derp, &s.derp_to, s.data, s.len);
			continue;
		}
		node_send_one(n, &s.udp, s.data, s.len, ef);
		ef->whole = s.whole;
		if (ef->count > 0)
			return true;
	}
	return false;
}

static bool send_wireguard(struct node *n, mono_t now, wall_t wall, struct node_effect *ef)
{
	struct wg_out out;

	while (wg_pull(n->wg, now, wall, &out)) {
		uint32_t peer;
		uint16_t region;

		if (out.peer != WG_NO_PEER) {
			if (send_to_peer(n, now, out.peer, out.v, out.n, ef))
				return true;
		} else if (node_relay_pseudo_parse(&out.to, &peer, &region)) {
			send_relayed(n, now, region, peer, out.v, out.n);
		} else {
			*ef = (struct node_effect){
				.type = NODE_UDP_SEND, .to = out.to, .v = out.v, .count = out.n
			};
			return true;
		}
	}
	return false;
}

bool node_pump_out(struct node *n, mono_t now, wall_t wall, struct node_effect *ef)
{
	if (!n->want_running)
		return false;
	/* bursts first: sealing makes handshakes, and routes make disco, which then leave in the
	 * same turn */
	return send_bursts(n, now, wall, ef) || send_wireguard(n, now, wall, ef) ||
	       send_disco(n, now, ef);
}
