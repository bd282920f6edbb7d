/* node/inbound.c - from a datagram to the IP stack: demultiplex, decrypt, filter
 *
 * data-plane.md 1.6 gives the order of tests; a WireGuard message is recognised first here because
 * nothing else can look like one (type 1-4, three zero bytes), and it is what comes in bursts.
 */
#include <string.h>

#include "node/node_priv.h"
#include "wire/tsmp.h"

static bool is_wireguard(const struct pkt *p)
{
	return p->len >= 32 && p->data[0] >= 1 && p->data[0] <= 4 && p->data[1] == 0 &&
	       p->data[2] == 0 && p->data[3] == 0;
}

/* A refused connection is told to who asked, as stock does for IPv4 alone (data-plane.md 5.6). */
static void tell_refused(struct node *n, const struct packet *p, enum filter_verdict v, bool jailed)
{
	struct tsmp m = { .kind = TSMP_REJECT,
			  .proto = p->proto,
			  .reason = jailed || filter_shields(n->filter) ? TSMP_SHIELDS : TSMP_ACL,
			  .sport = p->sport,
			  .dport = p->dport };
	uint8_t packet[TSMP_PACKET_MAX];

	if ((v != FILTER_DROP_ACL && v != FILTER_DROP_NOT_LOCAL) || p->is_v6 ||
	    p->proto != PROTO_TCP || !(p->tcp_flags & TCP_SYN))
		return;
	node_send_inner(n, packet, tsmp_emit(&m, &p->dst, &p->src, packet));
}

/* One decrypted packet; true when the stack shall have it. */
static bool admit(struct node *n, mono_t now, uint32_t peer, const struct pkt *p)
{
	const struct netmap_node *from = netmap_peer(n->netmap, peer);
	struct packet facts;
	enum filter_verdict v;

	if (!from)
		return false;
	node_masquerade_in(n, from, p);
	v = filter_in(n->filter, now, p->data, p->len, from->jailed, &facts);
	if (v != FILTER_ACCEPT) {
		n->counters.in_dropped[v]++;
		tell_refused(n, &facts, v, from->jailed);
		return false;
	}
	if (facts.proto != PROTO_TSMP)
		return true;
	node_ping_tsmp(
	    n, now, peer, &facts,
	    bytes_of(p->data + facts.transport_off, facts.total_len - facts.transport_off));
	return false;
}

/* Peers without disco have no other way to tell where they are. */
static void note_source(struct node *n, mono_t now, uint32_t peer, const struct ipport *from,
			enum node_path_kind kind)
{
	const struct netmap_node *p = netmap_peer(n->netmap, peer);

	if (p && p->wireguard_only && kind != NODE_DERP)
		path_note_udp(n->path, now, peer, from);
}

/* What came was under no session of ours. Who sent it says the relay, or a proven address; after a
 * restart none is proven yet, and control says who may be there. */
static void note_unheard(struct node *n, mono_t now, const struct ipport *from,
			 enum node_path_kind kind)
{
	uint32_t peer;
	uint16_t region;

	if (kind == NODE_DERP
		? node_relay_pseudo_parse(from, &peer, &region)
		: path_peer_at(n->path, from, &peer) || path_peer_told(n->path, now, from, &peer))
		wg_peer_unheard(n->wg, now, peer);
}

void node_wg_input(struct node *n, mono_t now, wall_t wall, const struct ipport *from,
		   enum node_path_kind kind, struct pkt *v, size_t count)
{
	uint64_t unknown = wg_drops(n->wg)[WG_DROP_UNKNOWN_INDEX];

	while (count > 0) {
		size_t part = count < BURST_MAX ? count : BURST_MAX, plain, take = 0;

		for (size_t i = 0; i < part; i++)
			n->counters.in_bytes[kind] += v[i].len;
		n->counters.in_packets[kind] += part;
		plain = wg_feed(n->wg, now, wall, from, v, part, n->plain);
		for (size_t i = 0; i < plain; i++)
			note_source(n, now, n->plain[i].peer, from, kind);
		for (size_t i = 0; i < plain; i++)
			if (admit(n, now, n->plain[i].peer, n->plain[i].pkt))
				n->accepted[take++] = *n->plain[i].pkt;
		if (take > 0 && n->inner)
			node_inner_take(n, n->accepted, take);
		else if (take > 0)
			netstack_feed(n->netstack, now, n->accepted, take);
		v += part;
		count -= part;
	}
	if (wg_drops(n->wg)[WG_DROP_UNKNOWN_INDEX] != unknown)
		note_unheard(n, now, from, kind);
	node_note_active(n, now);
}

void node_udp_recv(struct node *n, mono_t now, wall_t wall, const struct ipport *from,
		   struct pkt *v, size_t count)
{
	size_t i = 0;

	if (!n->want_running)
		return;
	while (i < count) {
		size_t run = 0;

		while (i + run < count && is_wireguard(&v[i + run]))
			run++;
		if (run > 0)
			node_wg_input(n, now, wall, from,
				      ip_is_v4(&from->ip) ? NODE_DIRECT4 : NODE_DIRECT6, v + i,
				      run);
		i += run;
		if (i == count)
			break;
		if (path_is_disco(v[i].data, v[i].len))
			path_feed_udp(n->path, now, from, v[i].data, v[i].len);
		else
			netcheck_feed(n->netcheck, now, from, v[i].data, v[i].len);
		i++;
	}
}

void node_udp_failed(struct node *n, mono_t now, const struct ipport *to, int code)
{
	(void)code;
	path_send_failed(n->path, now, to);
}

void node_relay_packet(struct node *n, mono_t now, wall_t wall, uint16_t region,
		       const struct key_pub *from, struct bytes data)
{
	const struct netmap_node *peer = netmap_by_key(n->netmap, from);
	struct ipport pseudo;
	struct pkt *p;

	n->counters.in_packets[NODE_DERP]++; /* disco and strangers too: it came over the wire */
	n->counters.in_bytes[NODE_DERP] += data.len;
	if (path_is_disco(data.data, data.len)) {
		path_feed_derp(n->path, now, region, from, data.data, data.len);
		return;
	}
	if (!peer || peer->peer == UINT32_MAX)
		return;
	burst_reset(&n->in);
	p = burst_add(&n->in, (uint32_t)data.len);
	if (!p)
		return;
	memcpy(p->data, data.data, data.len);
	if (!is_wireguard(p))
		return;
	path_note_derp(n->path, now, peer->peer, region);
	pseudo = node_relay_pseudo(peer->peer, region);
	n->counters.in_packets[NODE_DERP]--;
	n->counters.in_bytes[NODE_DERP] -= data.len; /* counted by node_wg_input */
	node_wg_input(n, now, wall, &pseudo, NODE_DERP, p, 1);
}
