/* node/peers.c - what a changed netmap means for WireGuard, paths, filter, addresses and relays
 *
 * The netmap's number of a peer is its number in wg and path too. A peer whose key is expired,
 * missing or our own does not exist for them: nothing is sent to it or accepted from it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "node/node_priv.h"

enum { ALLOWED_MAX = 4096 }; /* prefixes of one peer that are used */

static bool usable(const struct node *n, const struct netmap_node *p)
{
	return !p->expired && !key_is_zero(&p->key) && !key_eq(&p->key, &n->pub);
}

/* Own addresses always; routes only when we accept them; a default route needs an exit node, which
 * is not chosen here. */
static void allow(struct node *n, const struct netmap_node *p)
{
	struct ipprefix *v;
	size_t count = 0;

	if (n->accept_routes && !p->unsigned_peerapi_only && p->n_allowed > 0) {
		v = calloc(p->n_allowed, sizeof *v);
		if (!v)
			return;
		for (size_t i = 0; i < p->n_allowed && count < ALLOWED_MAX; i++)
			if (p->allowed[i].bits > (ip_is_v4(&p->allowed[i].ip) ? 96 : 0))
				v[count++] = p->allowed[i];
		if (wg_peer_allow(n->wg, p->peer, v, count) != 0)
			log_warn("node: out of memory for the routes of %s", p->name);
		free(v);
		return;
	}
	if (wg_peer_allow(n->wg, p->peer, p->addresses, p->n_addresses) != 0)
		log_warn("node: out of memory for the addresses of %s", p->name);
}

int node_set_prefs(struct node *n, const struct control_hostinfo *hi, bool accept_routes,
		   bool shields_up)
{
	const struct netmap_node *p;
	int ret = control_set_hostinfo(n->control, hi);

	if (ret != 0)
		return ret;
	filter_set_shields(n->filter, shields_up);
	if (accept_routes == n->accept_routes)
		return 0;
	n->accept_routes = accept_routes;
	for (uint32_t i = 0; i < netmap_peer_limit(n->netmap); i++)
		if ((p = netmap_peer(n->netmap, i)) && usable(n, p))
			allow(n, p);
	return 0;
}

static void forget(struct node *n, uint32_t peer)
{
	node_greet_stop(n, peer);
	wg_peer_del(n->wg, peer);
	path_peer_del(n->path, peer);
}

static void peer_changed(struct node *n, mono_t now, const struct netmap_node *p, unsigned what)
{
	struct path_peer conf = { .node = p->key,
				  .disco = p->disco,
				  .endpoints = p->endpoints,
				  .n_endpoints = p->n_endpoints,
				  .home_derp = p->home_derp,
				  .wireguard_only = p->wireguard_only };
	uint32_t known;

	if (!usable(n, p)) {
		forget(n, p->peer);
		return;
	}
	node_masquerade_note(n, p);
	if (what & NETMAP_P_KEY)
		forget(n, p->peer);
	if (!wg_peer_find(n->wg, &p->key, &known)) {
		if (wg_peer_add(n->wg, p->peer, &p->key) != 0) {
			log_warn("node: peer %s does not fit; it stays unreachable", p->name);
			return;
		}
		what |= NETMAP_P_ALLOWED;
	}
	if (what & (NETMAP_P_ALLOWED | NETMAP_P_NEW))
		allow(n, p);
	if (path_peer_set(n->path, now, p->peer, &conf) != 0)
		log_warn("node: out of memory for the paths of %s", p->name);
	if ((what & NETMAP_P_DISCO) && !(what & NETMAP_P_NEW))
		wg_peer_restarted(n->wg, p->peer); /* disco keys live as long as a process */
	if (what & (NETMAP_P_DISCO | NETMAP_P_ENDPOINTS | NETMAP_P_DERP))
		wg_peer_nudge(n->wg, now, p->peer);
}

/* --- self --- */

static bool among(const struct ip *a, const struct ip *v, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ip_eq(a, &v[i]))
			return true;
	return false;
}

static void set_addresses(struct node *n, const struct netmap_node *self)
{
	struct ip want[NETMAP_ADDRS_MAX];
	struct ipprefix local[256];
	size_t n_want = 0, n_local = 0;

	for (size_t i = 0; i < self->n_addresses && n_want < NETMAP_ADDRS_MAX; i++)
		if (ipprefix_is_single(&self->addresses[i])) {
			want[n_want++] = self->addresses[i].ip;
			local[n_local++] = self->addresses[i];
		}
	for (size_t i = 0; i < n->n_addrs; i++)
		if (!among(&n->addrs[i], want, n_want))
			netstack_addr_del(n->netstack, &n->addrs[i]);
	for (size_t i = 0; i < n_want; i++)
		if (!among(&want[i], n->addrs, n->n_addrs) &&
		    netstack_addr_add(n->netstack, &want[i]) != 0)
			log_warn("node: out of memory for an own address");
	memcpy(n->addrs, want, n_want * sizeof *want);
	n->n_addrs = n_want;
	filter_set_local(n->filter, local, n_local);
}

/* Control says that our key is over: once for each expiry a new one is asked for, with the auth key
 * at hand; without one a login is asked of the user. */
static void renew_key(struct node *n, mono_t now, bool expired)
{
	if (expired && !n->renewing && !n->needs_login)
		control_login(n->control, now, true);
	n->renewing = expired;
	node_health_set(n, "expiry",
			expired ? "The key of this node has expired: it logs in again." : NULL);
}

static void self_changed(struct node *n, mono_t now, const struct netmap_node *self)
{
	if (!n->have_map) {
		char text[IP_TEXT];

		log_info("node: %s %s", self->name,
			 self->n_addresses > 0 ? ip_text(&self->addresses[0].ip, text)
					       : "(no address)");
	}
	n->have_map = true;
	if (n->map_is_live) {
		n->authorized = self->authorized || self->expired;
		renew_key(n, now, self->expired);
	}
	node_health_set(n, "approval",
			n->authorized ? NULL
				      : "This node needs approval: an administrator of the tailnet "
					"must authorize it.");
	set_addresses(n, self);
	node_push(n, NODE_PERSIST_LOGIN);
}

static bool has_cap(void *ctx, const struct ip *src, struct bytes cap)
{
	const struct node *n = ctx;
	const struct netmap_node *p = netmap_by_ip(n->netmap, src);
	struct json j;
	struct bytes key;

	if (!p || p->capmap.len == 0)
		return false;
	j = json_of(p->capmap);
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (bytes_eq(key, cap))
			return true;
		json_skip(&j);
	}
	return false;
}

static void filter_changed(struct node *n)
{
	size_t count = netmap_n_filters(n->netmap);
	struct bytes *v = calloc(count + 1, sizeof *v);
	int ret;

	if (!v) {
		log_warn("node: out of memory for the packet filter; the old one stays");
		return;
	}
	for (size_t i = 0; i < count; i++)
		v[i] = netmap_filter(n->netmap, i);
	ret = filter_set_rules(n->filter, v, count, has_cap, n);
	if (ret != 0)
		log_warn("node: the packet filter from control is unusable; the old one stays");
	free(v);
}

void node_apply_changes(struct node *n, mono_t now, wall_t wall)
{
	struct netmap_change ch;
	bool any = false, filter = false, derp = false;

	while (netmap_next_change(n->netmap, &ch)) {
		const struct netmap_node *p = NULL;

		any = true;
		switch (ch.type) {
		case NETMAP_SELF:
			self_changed(n, now, netmap_self(n->netmap));
			break;
		case NETMAP_PEER:
			p = netmap_peer(n->netmap, ch.peer);
			if (p)
				peer_changed(n, now, p, ch.what);
			break;
		case NETMAP_PEER_REMOVED:
			forget(n, ch.peer);
			break;
		case NETMAP_DERPMAP:
			derp = true;
			break;
		case NETMAP_FILTER:
			filter = true;
			break;
		case NETMAP_PING_REQUEST:
			node_asked_take(n, now, ch.text);
			break;
		case NETMAP_OPEN_URL:
			log_info("node: control asks to open %.*s", (int)ch.text.len,
				 (const char *)ch.text.data);
			break;
		case NETMAP_DEBUG_EXIT:
			snprintf(n->fatal, sizeof n->fatal, "control asked this node to exit");
			node_push(n, NODE_FATAL)->text = n->fatal;
			break;
		case NETMAP_HEALTH:
			node_push(n, NODE_HEALTH);
			break;
		case NETMAP_DNS:
		case NETMAP_USERS:
			break;
		}
	}
	if (filter)
		filter_changed(n);
	if (derp) {
		node_relays_map_changed(n, now);
		node_probe_map_changed(n, now);
	}
	if (!any)
		return;
	n->expire_at = netmap_expire(n->netmap, wall);
	node_push(n, NODE_NETMAP);
	if (n->map_is_live && mono_is_never(n->store_at))
		n->store_at = mono_add(now, SPAN_S(NODE_NETMAP_STORE_S));
	node_state_update(n);
}
