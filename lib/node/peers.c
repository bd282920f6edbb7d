/* node/peers.c - what a changed netmap means for WireGuard, paths, filter, addresses and relays
 *
 * The netmap's number of a peer is its number in wg and path too. A peer whose key is expired,
 * missing or our own does not exist for them: nothing is sent to it or accepted from it.
 */
#include <errno.h>
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

static bool is_default(const struct ipprefix *p)
{
	return p->bits == (ip_is_v4(&p->ip) ? 96 : 0);
}

/* The peer that the user chose as exit node, by address, stable id, or name (short or full). */
bool node_is_exit(const struct node *n, const struct netmap_node *p)
{
	struct ip a;
	const struct netmap_node *named;

	if (!*n->exit_node)
		return false;
	if (strcmp(n->exit_node, p->stable_id) == 0)
		return true;
	if (ip_parse(bytes_str(n->exit_node), &a)) {
		for (size_t i = 0; i < p->n_addresses; i++)
			if (ipprefix_is_single(&p->addresses[i]) && ip_eq(&p->addresses[i].ip, &a))
				return true;
		return false;
	}
	named = netmap_by_name(n->netmap, bytes_str(n->exit_node));
	return named == p;
}

static bool offers_default(const struct netmap_node *p)
{
	for (size_t i = 0; i < p->n_allowed; i++)
		if (is_default(&p->allowed[i]))
			return true;
	return false;
}

/* An exit node that is not there is nothing that a user would see otherwise: his connections just
 * fail. */
static void exit_health(struct node *n)
{
	const struct netmap_node *p = NULL, *found = NULL;
	char text[ERR_TEXT_MAX];

	for (uint32_t i = 0; *n->exit_node && !found && i < netmap_peer_limit(n->netmap); i++)
		if ((p = netmap_peer(n->netmap, i)) && node_is_exit(n, p))
			found = p;
	if (!*n->exit_node || !n->have_map ||
	    (found && offers_default(found) && found->online != 0)) {
		node_health_set(n, "exit node", NULL);
		return;
	}
	snprintf(text, sizeof text,
		 !found ? "The exit node %.200s is no peer of this node: connections that should "
			  "leave by it fail. Correct the name, or the policy that hides it."
		 : offers_default(found)
		     ? "The exit node %.200s is offline, control says: connections that should "
		       "leave by it fail."
		     : "The exit node %.200s offers no way out, or control has not approved it: "
		       "connections that should leave by it fail.",
		 n->exit_node);
	node_health_set(n, "exit node", text);
}

static bool is_address(const struct netmap_node *p, const struct ipprefix *r)
{
	for (size_t i = 0; i < p->n_addresses; i++)
		if (ipprefix_eq(&p->addresses[i], r))
			return true;
	return false;
}

/* Which packets to this prefix may go to the peer? Own addresses always; routes only when we accept
 * them, and what of them lies where we do; a default route only of the exit node. How many of max
 * are put into out. */
static size_t wanted(const struct node *n, const struct netmap_node *p, bool exit,
		     const struct ipprefix *r, struct ipprefix *out, size_t max)
{
	size_t count = 0;

	if (max > 0 &&
	    (is_default(r) ? exit : is_address(p, r) || (n->accept_routes && !n->within))) {
		*out = *r;
		return 1;
	}
	for (size_t i = 0; !is_default(r) && n->accept_routes && i < n->n_within && count < max;
	     i++)
		count += ipprefix_common(r, &n->within[i], &out[count]);
	return count;
}

static void allow(struct node *n, const struct netmap_node *p)
{
	const bool exit = node_is_exit(n, p);
	struct ipprefix *v;
	size_t count = 0;

	if ((n->accept_routes || exit) && !p->unsigned_peerapi_only && p->n_allowed > 0) {
		const size_t most = MIN_OF((size_t)ALLOWED_MAX, p->n_allowed * (n->n_within + 1));

		v = calloc(most, sizeof *v);
		if (!v)
			return;
		for (size_t i = 0; i < p->n_allowed; i++)
			count += wanted(n, p, exit, &p->allowed[i], v + count, most - count);
		if (wg_peer_allow(n->wg, p->peer, v, count) != 0)
			log_warn("node: out of memory for the routes of %s", p->name);
		free(v);
		return;
	}
	if (wg_peer_allow(n->wg, p->peer, p->addresses, p->n_addresses) != 0)
		log_warn("node: out of memory for the addresses of %s", p->name);
}

/* Not every usable peer is one of WireGuard's: some do not fit, some share a key with another. */
static bool is_known(const struct node *n, const struct netmap_node *p)
{
	uint32_t known;

	return wg_peer_find(n->wg, &p->key, &known) && known == p->peer;
}

static void allow_all(struct node *n)
{
	const struct netmap_node *p;

	for (uint32_t i = 0; i < netmap_peer_limit(n->netmap); i++)
		if ((p = netmap_peer(n->netmap, i)) && usable(n, p) && is_known(n, p))
			allow(n, p);
}

static void forget(struct node *n, uint32_t peer)
{
	const struct key_pub *key = wg_peer_key(n->wg, peer);

	node_greet_stop(n, peer);
	if (key)
		node_relays_forget(n, key);
	wg_peer_del(n->wg, peer);
	path_peer_del(n->path, peer);
}

/* A key belongs to one peer. Of two that claim it the one told last counts: a node that joined anew
 * under another id, before control takes the old one back; keys that change places in one frame. */
static void take_key(struct node *n, const struct netmap_node *p)
{
	const struct netmap_node *other;
	uint32_t known;

	if (!wg_peer_find(n->wg, &p->key, &known) || known == p->peer)
		return;
	other = netmap_peer(n->netmap, known);
	if (other && key_eq(&other->key, &p->key))
		log_warn("node: peers %s and %s have the same key; the latter counts", other->name,
			 p->name);
	forget(n, known);
}

static void peer_changed(struct node *n, mono_t now, const struct netmap_node *p, unsigned what)
{
	struct path_peer conf = { .node = p->key,
				  .disco = p->disco,
				  .endpoints = p->endpoints,
				  .n_endpoints = p->n_endpoints,
				  .home_derp = p->home_derp,
				  .wireguard_only = p->wireguard_only };

	if (!usable(n, p)) {
		forget(n, p->peer);
		return;
	}
	node_masquerade_note(n, p);
	if (what & NETMAP_P_KEY)
		forget(n, p->peer);
	take_key(n, p);
	if (!is_known(n, p)) {
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

/* What an exit node does not lead to: what is the host's own or nobody's business outside
 * (data-plane.md 5.4). Our own private ranges are there when they are offered by name. */
static const char *const never_exit[] = {
	"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
	"169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
	"::/127",         "fc00::/7",      "fe80::/10",      "ff00::/8",
};

/* Ours: the addresses, and the offered routes. Whether control has approved a route is not asked: a
 * Headscale does not tell the router (0.29.2), so peers could not come until our next connection to
 * it. As with the stock client, approval decides whom control sends here, its filter who may come.
 */
void node_local_changed(struct node *n)
{
	struct ipprefix except[ARRAY_LEN(never_exit) + NODE_ENDPOINTS_MAX], *v;
	size_t count = 0, n_except = 0;

	v = calloc(NETMAP_ADDRS_MAX + n->n_routes, sizeof *v);
	if (!v) {
		log_warn("node: out of memory for the own routes");
		return;
	}
	for (size_t i = 0; i < n->n_addrs; i++)
		v[count++] = ipprefix_of(&n->addrs[i], 128);
	for (size_t i = 0; i < n->n_routes; i++)
		v[count++] = n->routes[i];
	for (size_t i = 0; i < ARRAY_LEN(never_exit); i++)
		if (ipprefix_parse(bytes_str(never_exit[i]), &except[n_except]))
			n_except++;
	for (size_t i = 0; i < n->n_local; i++)
		except[n_except++] = ipprefix_of(&n->local[i], 128);
	if (filter_set_local(n->filter, v, count, except, n_except) != 0)
		log_warn("node: out of memory for the own routes");
	free(v);
	netstack_set_promiscuous(n->netstack, n->n_routes > 0);
}

int node_offer_routes(struct node *n, const struct ipprefix *v, size_t count)
{
	struct ipprefix *copy = NULL;

	if (count > 0 && !(copy = calloc(count, sizeof *copy)))
		return -ENOMEM;
	if (count > 0)
		memcpy(copy, v, count * sizeof *copy);
	free(n->routes);
	n->routes = copy;
	n->n_routes = count;
	return 0;
}

int node_set_prefs(struct node *n, const struct control_hostinfo *hi, bool accept_routes,
		   bool shields_up, const char *exit_node)
{
	const char *to = exit_node ? exit_node : "";
	int ret = node_offer_routes(n, hi->routes, hi->n_routes);

	if (ret == 0)
		ret = control_set_hostinfo(n->control, hi);
	if (ret != 0)
		return ret;
	node_local_changed(n);
	filter_set_shields(n->filter, shields_up);
	if (accept_routes == n->accept_routes && strcmp(to, n->exit_node) == 0)
		return 0;
	n->accept_routes = accept_routes;
	snprintf(n->exit_node, sizeof n->exit_node, "%s", to);
	allow_all(n);
	exit_health(n);
	return 0;
}

static void set_addresses(struct node *n, const struct netmap_node *self)
{
	struct ip want[NETMAP_ADDRS_MAX];
	size_t n_want = 0;

	for (size_t i = 0; i < self->n_addresses && n_want < NETMAP_ADDRS_MAX; i++)
		if (ipprefix_is_single(&self->addresses[i]))
			want[n_want++] = self->addresses[i].ip;
	for (size_t i = 0; i < n->n_addrs; i++)
		if (!among(&n->addrs[i], want, n_want))
			netstack_addr_del(n->netstack, &n->addrs[i]);
	for (size_t i = 0; i < n_want; i++)
		if (!among(&want[i], n->addrs, n->n_addrs) &&
		    netstack_addr_add(n->netstack, &want[i]) != 0)
			log_warn("node: out of memory for an own address");
	memcpy(n->addrs, want, n_want * sizeof *want);
	n->n_addrs = n_want;
	node_local_changed(n);
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
	exit_health(n);
	n->expire_at = netmap_expire(n->netmap, wall);
	node_push(n, NODE_NETMAP);
	if (n->map_is_live && mono_is_never(n->store_at))
		n->store_at = mono_add(now, SPAN_S(NODE_NETMAP_STORE_S));
	node_state_update(n);
}
