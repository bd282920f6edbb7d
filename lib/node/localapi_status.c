/* node/localapi_status.c - `tailscale status --json` (data-plane.md 7.4), whois (7.8), ping (7.5)
 */
#include <errno.h>
#include <stdio.h>

#include "node/localapi_priv.h"

enum { HEALTH_MAX = 64 };

static void put_addresses(struct jsonw *w, const char *key, const struct netmap_node *n)
{
	char text[IP_TEXT];

	jsonw_key(w, key);
	jsonw_arr(w);
	for (size_t i = 0; n && i < n->n_addresses; i++)
		jsonw_str(w, ip_text(&n->addresses[i].ip, text));
	jsonw_arr_end(w);
}

static void put_health(struct jsonw *w, const struct node *n)
{
	const char *v[HEALTH_MAX];
	size_t count = node_health(n, v, ARRAY_LEN(v));

	localapi_put_strings(w, "Health", v, MIN_OF(count, ARRAY_LEN(v)));
}

static const char *region_code(const struct netmap *nm, uint16_t id)
{
	const struct netmap_region *r = id ? netmap_region(nm, id) : NULL;

	return r && r->code ? r->code : "";
}

static void put_node_facts(struct jsonw *w, const struct netmap_node *n)
{
	char key[KEY_TEXT_MAX];

	jsonw_kstr(w, "ID", n->stable_id ? n->stable_id : "");
	jsonw_ki64(w, "NodeID", n->id);
	jsonw_kstr(w, "PublicKey", key_pub_text(KEY_NODE, &n->key, key));
	jsonw_kstr(w, "HostName", n->hostname ? n->hostname : "");
	jsonw_kstr(w, "DNSName", n->name ? n->name : "");
	jsonw_kstr(w, "OS", n->os ? n->os : "");
	jsonw_ki64(w, "UserID", n->user);
	put_addresses(w, "TailscaleIPs", n);
	if (n->n_allowed > 0)
		jsonw_kprefixes(w, "AllowedIPs", n->allowed, n->n_allowed);
	if (n->n_tags > 0)
		localapi_put_strings(w, "Tags", n->tags, n->n_tags);
	if (n->n_primary_routes > 0)
		jsonw_kprefixes(w, "PrimaryRoutes", n->primary_routes, n->n_primary_routes);
}

static void put_node_tail(struct jsonw *w, const struct netmap_node *n)
{
	jsonw_kbool(w, "InNetworkMap", true);
	jsonw_kbool(w, "InMagicSock", true);
	jsonw_kbool(w, "InEngine", true);
	if (n->capmap.len > 0) {
		jsonw_key(w, "CapMap");
		jsonw_raw(w, n->capmap);
	}
	if (n->expired)
		jsonw_kbool(w, "Expired", true);
	if (n->key_expiry.ns != 0)
		jsonw_kwall(w, "KeyExpiry", n->key_expiry);
}

/* the names of the capability map once more, as older clients read them */
static void put_capabilities(struct jsonw *w, const struct netmap_node *n)
{
	struct json j = json_of(n->capmap);
	struct bytes key;

	if (n->capmap.len == 0)
		return;
	jsonw_key(w, "Capabilities");
	jsonw_arr(w);
	json_obj(&j);
	while (json_key(&j, &key)) {
		json_skip(&j);
		jsonw_strn(w, key);
	}
	jsonw_arr_end(w);
}

static bool offers_exit(const struct netmap_node *n)
{
	for (size_t i = 0; i < n->n_allowed; i++)
		if (n->allowed[i].bits == 0 ||
		    (n->allowed[i].bits == 96 && ip_is_v4(&n->allowed[i].ip)))
			return true;
	return false;
}

static void put_traffic(struct jsonw *w, const struct netmap_node *n,
			const struct node_peer_stat *st)
{
	jsonw_ki64(w, "RxBytes", (int64_t)st->rx_bytes);
	jsonw_ki64(w, "TxBytes", (int64_t)st->tx_bytes);
	jsonw_kwall(w, "Created", n->created);
	jsonw_kwall(w, "LastWrite", st->last_write);
	jsonw_kwall(w, "LastSeen", n->online == 1 ? WALL_ZERO : n->last_seen);
	jsonw_kwall(w, "LastHandshake", st->last_handshake);
}

static void put_peer(struct jsonw *w, const struct localapi_view *v, const struct netmap_node *n)
{
	const struct netmap *nm = node_netmap(v->node);
	struct node_peer_stat st = { 0 };
	char key[KEY_TEXT_MAX], addr[IPPORT_TEXT];

	node_peer_stat(v->node, v->now, n->peer, &st);
	jsonw_key(w, key_pub_text(KEY_NODE, &n->key, key));
	jsonw_obj(w);
	put_node_facts(w, n);
	jsonw_key(w, "Addrs");
	jsonw_null(w);
	jsonw_kstr(w, "CurAddr", ip_is_zero(&st.addr.ip) ? "" : ipport_text(&st.addr, addr));
	jsonw_kstr(w, "Relay", region_code(nm, n->home_derp));
	jsonw_kstr(w, "PeerRelay", "");
	put_traffic(w, n, &st);
	jsonw_kbool(w, "Online", n->online == 1);
	jsonw_kbool(w, "ExitNode", node_is_exit(v->node, n));
	jsonw_kbool(w, "ExitNodeOption", offers_exit(n));
	jsonw_kbool(w, "Active", st.active);
	jsonw_key(w, "PeerAPIURL");
	jsonw_null(w);
	jsonw_ki64(w, "TaildropTarget", 0);
	jsonw_kstr(w, "NoFileSharingReason", "");
	put_node_tail(w, n);
	jsonw_obj_end(w);
}

static void put_own_addrs(struct jsonw *w, const struct node *node)
{
	struct ipport v[NODE_ENDPOINTS_MAX];
	size_t n = node_endpoints(node, v, ARRAY_LEN(v));

	jsonw_kipports(w, "Addrs", v, n);
}

static void put_self(struct jsonw *w, const struct localapi_view *v, const struct netmap_node *self)
{
	static const struct node_peer_stat none;
	struct netmap_node blank = { .key = *node_public(v->node),
				     .hostname = v->self->prefs.hostname,
				     .os = "linux" };
	const struct netmap_node *n = self ? self : &blank;

	jsonw_key(w, "Self");
	jsonw_obj(w);
	put_node_facts(w, n);
	put_own_addrs(w, v->node);
	jsonw_kstr(w, "CurAddr", "");
	jsonw_kstr(w, "Relay", region_code(node_netmap(v->node), node_home(v->node)));
	jsonw_kstr(w, "PeerRelay", "");
	put_traffic(w, n, &none);
	jsonw_kbool(w, "Online", node_state(v->node) == NODE_RUNNING);
	jsonw_kbool(w, "ExitNode", false);
	jsonw_kbool(w, "ExitNodeOption", false);
	jsonw_kbool(w, "Active", false);
	jsonw_key(w, "PeerAPIURL");
	jsonw_null(w);
	jsonw_ki64(w, "TaildropTarget", 0);
	jsonw_kstr(w, "NoFileSharingReason", "");
	put_capabilities(w, n);
	put_node_tail(w, n);
	jsonw_obj_end(w);
}

static void put_records(struct jsonw *w, const struct netmap_dns *dns)
{
	char text[IP_TEXT];

	jsonw_key(w, "ExtraRecords");
	if (!dns || dns->n_records == 0) {
		jsonw_null(w);
		return;
	}
	jsonw_arr(w);
	for (size_t i = 0; i < dns->n_records; i++) {
		jsonw_obj(w);
		jsonw_kstr(w, "Name", dns->records[i].name);
		jsonw_kstr(w, "Value", ip_text(&dns->records[i].ip, text));
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

static void put_tailnet(struct jsonw *w, const struct netmap *nm, const struct netmap_node *self)
{
	const struct netmap_dns *dns = self ? netmap_dns(nm) : NULL;

	jsonw_kstr(w, "MagicDNSSuffix", self ? netmap_magic_suffix(nm) : "");
	jsonw_key(w, "CurrentTailnet");
	if (!self) {
		jsonw_null(w);
	} else {
		jsonw_obj(w);
		jsonw_kstr(w, "Name", netmap_domain(nm));
		jsonw_kstr(w, "MagicDNSSuffix", netmap_magic_suffix(nm));
		jsonw_kbool(w, "MagicDNSEnabled", dns && dns->proxied);
		jsonw_obj_end(w);
	}
	if (dns && dns->n_cert_domains > 0) {
		localapi_put_strings(w, "CertDomains", dns->cert_domains, dns->n_cert_domains);
	} else {
		jsonw_key(w, "CertDomains");
		jsonw_null(w);
	}
	put_records(w, dns);
}

static bool user_seen(const int64_t *seen, size_t n, int64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (seen[i] == id)
			return true;
	return false;
}

static void put_user_entry(struct jsonw *w, const struct netmap *nm, int64_t id)
{
	const struct netmap_user *u = netmap_user(nm, id);
	char key[24];

	if (!u)
		return;
	snprintf(key, sizeof key, "%lld", (long long)id);
	jsonw_key(w, key);
	localapi_put_user(w, u);
}

/* Users of the nodes shown. Peers mostly come in runs of one owner, so a short memory keeps doubles
 * away; a double that slips through is harmless in JSON (the last one counts). */
static void put_users(struct jsonw *w, const struct netmap *nm, const struct netmap_node *self,
		      bool with_peers)
{
	const struct netmap_node *p;
	int64_t seen[64];
	size_t n = 0;

	jsonw_key(w, "User");
	jsonw_obj(w);
	if (self) {
		put_user_entry(w, nm, self->user);
		seen[n++] = self->user;
	}
	for (uint32_t i = 0; with_peers && i < netmap_peer_limit(nm); i++) {
		p = netmap_peer(nm, i);
		if (!p || user_seen(seen, MIN_OF(n, ARRAY_LEN(seen)), p->user))
			continue;
		put_user_entry(w, nm, p->user);
		seen[n++ % ARRAY_LEN(seen)] = p->user;
	}
	jsonw_obj_end(w);
}

static void put_peers(struct jsonw *w, const struct localapi_view *v, bool with_peers)
{
	const struct netmap *nm = node_netmap(v->node);
	const struct netmap_node *p;

	jsonw_key(w, "Peer");
	if (!with_peers) {
		jsonw_null(w);
		return;
	}
	jsonw_obj(w);
	for (uint32_t i = 0; i < netmap_peer_limit(nm); i++)
		if ((p = netmap_peer(nm, i)))
			put_peer(w, v, p);
	jsonw_obj_end(w);
}

bool localapi_status_json(const struct localapi_view *v, bool with_peers, struct buf *out)
{
	static const struct key_priv none;
	const struct netmap *nm = node_netmap(v->node);
	const bool is_out = v->self->prefs.logged_out; /* what it last knew is no longer its own */
	const struct netmap_node *self = is_out ? NULL : netmap_self(nm);
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "Version", v->version);
	jsonw_kbool(&w, "TUN", false);
	jsonw_kstr(&w, "BackendState", node_state_names[node_state(v->node)]);
	jsonw_kbool(&w, "HaveNodeKey", !secret_eq(&v->self->node, &none, sizeof none));
	jsonw_kstr(&w, "AuthURL", node_auth_url(v->node));
	put_addresses(&w, "TailscaleIPs", self);
	put_self(&w, v, self);
	put_health(&w, v->node);
	put_tailnet(&w, nm, self);
	put_peers(&w, v, with_peers && !is_out);
	put_users(&w, nm, self, with_peers && !is_out);
	jsonw_key(&w, "ClientVersion");
	jsonw_null(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

int localapi_whois_json(const struct localapi_view *v, const struct netmap_node *who,
			struct buf *out)
{
	const struct netmap *nm = node_netmap(v->node);
	const struct netmap_user *u = netmap_user(nm, who->user), nobody = { .id = who->user };
	struct jsonw w;
	struct buf caps;

	buf_init(&caps, 1 << 20);
	if (who->n_addresses > 0 && node_caps(v->node, &who->addresses[0].ip, &caps) < 0)
		buf_clear(&caps);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_key(&w, "Node");
	localapi_put_node(&w, nm, who);
	jsonw_key(&w, "UserProfile");
	localapi_put_user(&w, u ? u : &nobody);
	jsonw_key(&w, "CapMap");
	jsonw_raw(&w, caps.len ? buf_bytes(&caps) : bytes_str("{}"));
	jsonw_obj_end(&w);
	buf_fini(&caps);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}

static void put_ping_peer(struct jsonw *w, const struct localapi_view *v,
			  const struct node_ping_result *r)
{
	char text[IPPORT_TEXT];

	if (r->peer) {
		jsonw_kstr(w, "NodeIP",
			   r->peer->n_addresses ? ip_text(&r->peer->addresses[0].ip, text) : "");
		jsonw_key(w, "NodeName");
		jsonw_strn(w, bytes_of(r->peer->name ? r->peer->name : "",
				       r->peer->name ? strcspn(r->peer->name, ".") : 0));
	}
	if (r->error) {
		jsonw_kstr(w, "Err", r->error);
		return;
	}
	jsonw_key(w, "LatencySeconds");
	jsonw_f64(w, (double)r->latency.ns / (double)NS_PER_S);
	if (!ip_is_zero(&r->addr.ip)) {
		jsonw_kstr(w, "Endpoint", ipport_text(&r->addr, text));
	} else if (r->derp) {
		jsonw_ki64(w, "DERPRegionID", r->derp);
		jsonw_kstr(w, "DERPRegionCode", region_code(node_netmap(v->node), r->derp));
	}
}

bool localapi_ping_response_json(const struct localapi_view *v, const char *type,
				 const struct ip *ip, const struct node_ping_result *r,
				 struct buf *out)
{
	char text[IP_TEXT];
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	if (type)
		jsonw_kstr(&w, "Type", type);
	jsonw_kstr(&w, "IP", ip_text(ip, text));
	put_ping_peer(&w, v, r);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

bool localapi_ping_json(const struct localapi_view *v, const struct ip *ip,
			const struct node_ping_result *r, struct buf *out)
{
	return localapi_ping_response_json(v, NULL, ip, r, out);
}
