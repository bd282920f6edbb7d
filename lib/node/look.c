/* node/look.c - what may be seen of a node from outside; nothing here changes it */
#include <errno.h>
#include <string.h>

#include "node/node_priv.h"

struct netstack *node_netstack(struct node *n)
{
	return n->netstack;
}

struct netmap *node_netmap(struct node *n)
{
	return n->netmap;
}

enum node_state node_state(const struct node *n)
{
	return n->state;
}

const char *node_auth_url(const struct node *n)
{
	return n->auth_url;
}

bool node_ip(const struct node *n, bool v6, struct ip *out)
{
	for (size_t i = 0; i < n->n_addrs; i++)
		if (ip_is_v4(&n->addrs[i]) != v6) {
			*out = n->addrs[i];
			return true;
		}
	return false;
}

const struct key_priv *node_key(const struct node *n)
{
	return n->key;
}

const struct key_pub *node_public(const struct node *n)
{
	return &n->pub;
}

const struct key_pub *node_disco(const struct node *n)
{
	return &n->disco_pub;
}

uint16_t node_home(const struct node *n)
{
	return n->home;
}

bool node_relay_up(const struct node *n, uint16_t region)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++)
		if (n->relays[i].region == region && n->relays[i].ready)
			return true;
	return false;
}

bool node_is_own(const struct node *n, const struct ip *a)
{
	for (size_t i = 0; i < n->n_addrs; i++)
		if (ip_eq(&n->addrs[i], a))
			return true;
	return false;
}

bool node_wants_exit(const struct node *n)
{
	return *n->exit_node;
}

bool node_routes(const struct node *n, const struct ip *dst)
{
	return node_is_own(n, dst) || wg_route(n->wg, dst) != WG_NO_PEER;
}

const struct netcheck_report *node_netcheck(const struct node *n)
{
	return netcheck_report(n->netcheck);
}

bool node_sends_v4(const struct node *n)
{
	return n->port4 != 0;
}

bool node_sends_v6(const struct node *n)
{
	return n->port6 != 0;
}

size_t node_endpoints(const struct node *n, struct ipport *v, size_t max)
{
	size_t count = n->n_endpoints < max ? n->n_endpoints : max;

	memcpy(v, n->endpoints, count * sizeof *v);
	return count;
}

int node_caps(const struct node *n, const struct ip *src, struct buf *out)
{
	struct ip self;

	if (!node_ip(n, !ip_is_v4(src), &self))
		return buf_append(out, "{}", 2) ? 0 : -ENOMEM;
	return filter_caps(n->filter, src, &self, out);
}

void node_peer_stat(const struct node *n, mono_t now, uint32_t peer, struct node_peer_stat *st)
{
	struct wg_peer_stat ws;
	struct path_peer_stat ps;

	*st = (struct node_peer_stat){ 0 };
	if (wg_peer_stat(n->wg, peer, &ws)) {
		st->rx_bytes = ws.rx_bytes;
		st->tx_bytes = ws.tx_bytes;
		st->last_handshake = ws.last_handshake;
	}
	if (path_peer_stat(n->path, now, peer, &ps)) {
		if (ps.trusted)
			st->addr = ps.best;
		st->derp = ps.derp;
		st->active = ps.active;
	}
}

const struct node_counters *node_counters(const struct node *n)
{
	return &n->counters;
}
