/* node/ping.c - `tailscale ping` in its three kinds, and what TSMP messages of peers mean to us
 *
 * disco pings go by path and come back as its events; TSMP and ICMP echo travel inside the tunnel
 * and are found again by eight bytes at random: an answer that comes too late for one ping, or that
 * another peer makes up, is none to the next.
 */
#include <string.h>

#include "node/node_priv.h"
#include "wire/tsmp.h"

#define PING_TIMEOUT SPAN_S(5)
enum { PING_ECHO_ID = 0x7470 };

static void pong(struct node *n, mono_t now, const struct node_ping_result *r)
{
	struct node_effect *ef;

	if (node_asked_pong(n, now, r))
		return;
	ef = node_push(n, NODE_PONG);
	ef->ping = *r;
	ef->ping.peer = NULL; /* by its number once somebody takes it */
	ef->request = r->peer ? r->peer->peer : UINT32_MAX;
}

static void report(struct node *n, mono_t now, const struct pending_ping *p, const char *error)
{
	struct node_ping_result r = { .token = p->token,
				      .peer = netmap_peer(n->netmap, p->peer),
				      .latency = mono_sub(now, p->sent),
				      .error = error };
	struct path_peer_stat st;

	if (path_peer_stat(n->path, now, p->peer, &st)) {
		if (st.trusted)
			r.addr = st.best;
		r.derp = st.derp;
	}
	pong(n, now, &r);
}

void node_ping_pong(struct node *n, mono_t now, const struct path_event *ev)
{
	const struct node_ping_result r = { .token = ev->token & ~(UINT64_C(1) << 63),
					    .peer = netmap_peer(n->netmap, ev->peer),
					    .addr = ev->addr,
					    .derp = ev->derp,
					    .latency = ev->latency,
					    .error = ev->type == PATH_EV_PONG ? NULL : "timeout" };

	pong(n, now, &r);
}

static void refuse(struct node *n, mono_t now, uint64_t token, const char *error)
{
	pong(n, now, &(struct node_ping_result){ .token = token, .error = error });
}

static struct pending_ping *slot(struct node *n)
{
	for (size_t i = 0; i < NODE_PINGS_MAX; i++)
		if (!n->pings[i].used)
			return &n->pings[i];
	return NULL;
}

void node_ping(struct node *n, mono_t now, enum node_ping_kind kind, const struct ip *dst,
	       uint64_t token, size_t size)
{
	uint32_t peer = wg_route(n->wg, dst);
	struct pending_ping *p;
	struct ip self;
	uint8_t packet[TSMP_PACKET_MAX];
	struct tsmp m = { .kind = TSMP_PING };

	if (peer == WG_NO_PEER) {
		refuse(n, now, token, "no matching peer");
		return;
	}
	if (kind == NODE_PING_DISCO) {
		path_ping(n->path, now, peer, token | UINT64_C(1) << 63, size);
		return;
	}
	p = slot(n);
	if (!p || !node_ip(n, !ip_is_v4(dst), &self)) {
		refuse(n, now, token,
		       p ? "this node has no address of that family" : "too many pings at once");
		return;
	}
	*p = (struct pending_ping){
		.used = true, .kind = kind, .token = token, .peer = peer, .sent = now
	};
	rng_fill(n->rng, p->id, sizeof p->id);
	if (kind == NODE_PING_TSMP) {
		memcpy(m.data, p->id, 8);
		node_send_inner(n, packet, tsmp_emit(&m, &self, dst, packet));
	} else if (ns_echo_send(n->netstack, dst, PING_ECHO_ID, (uint16_t)(p - n->pings),
				bytes_of(p->id, 8)) != 0) {
		p->used = false;
		refuse(n, now, token, "the stack has no room for an echo request");
	}
}

static void answer_ping(struct node *n, const struct packet *pkt, const struct tsmp *ping)
{
	struct tsmp pong = { .kind = TSMP_PONG };
	uint8_t packet[TSMP_PACKET_MAX];

	memcpy(pong.data, ping->data, 8);
	node_send_inner(n, packet, tsmp_emit(&pong, &pkt->dst, &pkt->src, packet));
}

static void got_pong(struct node *n, mono_t now, uint32_t peer, const struct tsmp *m)
{
	for (size_t i = 0; i < NODE_PINGS_MAX; i++) {
		struct pending_ping *p = &n->pings[i];

		if (!p->used || p->kind != NODE_PING_TSMP || p->peer != peer ||
		    memcmp(p->id, m->data, 8) != 0)
			continue;
		report(n, now, p, NULL);
		p->used = false;
	}
}

/* The peer's filter has dropped our SYN: dialling on is in vain. That the message comes from the
 * flow's other end is certain: a peer's packets carry its own addresses. */
static void got_reject(struct node *n, const struct packet *pkt, const struct tsmp *m)
{
	const struct ipport local = { pkt->dst, m->sport }, remote = { pkt->src, m->dport };

	if (m->proto == PROTO_TCP && !m->maybe_broken)
		ns_tcp_denied(n->netstack, &local, &remote);
}

void node_ping_tsmp(struct node *n, mono_t now, uint32_t peer, const struct packet *pkt,
		    struct bytes body)
{
	struct key_pub disco;
	struct tsmp m;

	if (!tsmp_parse(body, &m))
		return;
	switch (m.kind) {
	case TSMP_PING:
		answer_ping(n, pkt, &m);
		break;
	case TSMP_PONG:
		got_pong(n, now, peer, &m);
		break;
	case TSMP_DISCO_KEY: /* the peer restarted and control is slow: its paths start anew */
		memcpy(disco.b, m.disco_key, sizeof disco.b);
		path_set_disco_key(n->path, now, peer, &disco);
		break;
	case TSMP_REJECT:
		got_reject(n, pkt, &m);
		break;
	}
}

void node_ping_echo_reply(struct node *n, mono_t now, const struct ns_event *ev)
{
	struct pending_ping *p;

	if (ev->echo_id != PING_ECHO_ID || ev->echo_seq >= NODE_PINGS_MAX)
		return;
	p = &n->pings[ev->echo_seq];
	if (!p->used || p->kind != NODE_PING_ICMP || ev->data.len != sizeof p->id ||
	    memcmp(ev->data.data, p->id, sizeof p->id) != 0)
		return;
	report(n, now, p, NULL);
	p->used = false;
}

void node_ping_tick(struct node *n, mono_t now)
{
	for (size_t i = 0; i < NODE_PINGS_MAX; i++) {
		struct pending_ping *p = &n->pings[i];

		if (!p->used || !mono_due(mono_add(p->sent, PING_TIMEOUT), now))
			continue;
		report(n, now, p, "timeout");
		p->used = false;
	}
}

mono_t node_ping_deadline(const struct node *n)
{
	mono_t d = MONO_NEVER;

	for (size_t i = 0; i < NODE_PINGS_MAX; i++)
		if (n->pings[i].used)
			d = mono_min(d, mono_add(n->pings[i].sent, PING_TIMEOUT));
	return d;
}
