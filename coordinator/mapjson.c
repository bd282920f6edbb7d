/* coordinator/mapjson.c - the JSON of nodes, patches, users and DNS in map responses
 * (control-protocol.md 4) */
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "coordinator/tailnet_priv.h"

static void key_member(struct jsonw *w, const char *name, enum key_kind kind,
		       const struct key_pub *k)
{
	char text[KEY_TEXT_MAX];

	jsonw_kstr(w, name, key_pub_text(kind, k, text));
}

static size_t addresses(const struct tailnet_node *p, struct ipprefix v[static 2])
{
	size_t n = 0;

	if (!ip_is_zero(&p->v4))
		v[n++] = ipprefix_of(&p->v4, 128);
	if (!ip_is_zero(&p->v6))
		v[n++] = ipprefix_of(&p->v6, 128);
	return n;
}

static bool is_exit(const struct ipprefix *r)
{
	return r->bits == (ip_is_v4(&r->ip) ? 96 : 0);
}

/* Own addresses, then the routes that the viewer is told */
static void routes(struct tailnet *t, struct jsonw *w, const struct tnode *n, uint32_t viewer)
{
	struct ipprefix allowed[2 + TAILNET_ROUTES_MAX], primary[TAILNET_ROUTES_MAX];
	size_t n_allowed = addresses(&n->pub, allowed), n_primary = 0, n_seen = 0;
	struct policy_route seen[TAILNET_ROUTES_MAX];

	routes_seen(t, viewer, n, seen, &n_seen);
	for (size_t i = 0; i < n_seen; i++) {
		allowed[n_allowed++] = seen[i].prefix;
		if (!is_exit(&seen[i].prefix))
			primary[n_primary++] = seen[i].prefix;
	}
	jsonw_kprefixes(w, "AllowedIPs", allowed, n_allowed);
	if (n_primary > 0)
		jsonw_kprefixes(w, "PrimaryRoutes", primary, n_primary);
}

static void tags(struct jsonw *w, const struct tailnet_node *p)
{
	jsonw_key(w, "Tags");
	jsonw_arr(w);
	for (size_t i = 0; i < p->n_tags; i++)
		jsonw_str(w, p->tags[i]);
	jsonw_arr_end(w);
}

static void self_caps(struct tailnet *t, struct jsonw *w, const struct tnode *n)
{
	const struct policy_node pn = view_node(t, n);
	struct buf attrs;

	jsonw_key(w, "CapMap");
	jsonw_obj(w);
	jsonw_key(w, "default-auto-update");
	jsonw_raw(w, bytes_str("[false]"));
	jsonw_key(w, "https://tailscale.com/cap/is-admin");
	jsonw_raw(w, bytes_str("[]"));
	jsonw_key(w, "https://tailscale.com/cap/ssh"); /* stock wants it before `up --ssh` */
	jsonw_raw(w, bytes_str("[]"));
	buf_init(&attrs, 65536);
	if (t->policy && policy_attrs_emit(t->policy, &pn, &attrs) == 0 && attrs.len > 0)
		jsonw_raw(w, buf_bytes(&attrs));
	buf_fini(&attrs);
	jsonw_obj_end(w);
}

void mapjson_node(struct tailnet *t, struct jsonw *w, const struct tnode *n, uint32_t viewer,
		  wall_t wall)
{
	const struct tailnet_node *p = &n->pub;
	char name[TAILNET_LABEL_MAX + TAILNET_NAME_MAX + 2], id[24];
	bool expired = tailnet_node_expired(p, wall);
	struct ipprefix own[2];

	snprintf(name, sizeof name, "%s.%s.", p->given, t->domain);
	snprintf(id, sizeof id, "%lld", (long long)p->id);
	jsonw_obj(w);
	jsonw_ki64(w, "ID", p->id);
	jsonw_kstr(w, "StableID", id);
	jsonw_kstr(w, "Name", name);
	jsonw_ki64(w, "User", p->n_tags > 0 || p->user == 0 ? TAGGED_USER : p->user);
	key_member(w, "Key", KEY_NODE, &p->node);
	if (p->expiry.ns != 0)
		jsonw_kwall(w, "KeyExpiry", p->expiry);
	key_member(w, "Machine", KEY_MACHINE, &p->machine);
	if (!key_is_zero(&p->disco))
		key_member(w, "DiscoKey", KEY_DISCO, &p->disco);
	jsonw_kprefixes(w, "Addresses", own, addresses(p, own));
	routes(t, w, n, viewer);
	if (p->n_endpoints > 0)
		jsonw_kipports(w, "Endpoints", p->endpoints, p->n_endpoints);
	if (p->home != 0)
		jsonw_ki64(w, "HomeDERP", p->home);
	if (p->hostinfo) {
		jsonw_key(w, "Hostinfo");
		jsonw_raw(w, bytes_str(p->hostinfo));
	}
	jsonw_kwall(w, "Created", p->created);
	jsonw_ki64(w, "Cap", p->cap);
	if (p->n_tags > 0)
		tags(w, p);
	if (!p->online)
		jsonw_kwall(w, "LastSeen", p->last_seen);
	jsonw_kbool(w, "Online", p->online);
	if (expired)
		jsonw_kbool(w, "Expired", true);
	if (p->approved && !expired)
		jsonw_kbool(w, "MachineAuthorized", true);
	if (viewer == slot_of(t, n))
		self_caps(t, w, n);
	jsonw_obj_end(w);
}

void mapjson_patch(struct jsonw *w, const struct tnode *n, wall_t wall)
{
	const struct tailnet_node *p = &n->pub;

	(void)wall;
	jsonw_obj(w);
	jsonw_ki64(w, "NodeID", p->id);
	if (p->home != 0)
		jsonw_ki64(w, "DERPRegion", p->home);
	jsonw_kipports(w, "Endpoints", p->endpoints, p->n_endpoints);
	if (!key_is_zero(&p->disco))
		key_member(w, "DiscoKey", KEY_DISCO, &p->disco);
	jsonw_kbool(w, "Online", p->online);
	if (!p->online)
		jsonw_kwall(w, "LastSeen", p->last_seen);
	jsonw_obj_end(w);
}

void mapjson_user(struct tailnet *t, struct jsonw *w, const struct tnode *n)
{
	const struct tailnet_user *u = n->pub.n_tags > 0 ? NULL : tailnet_user(t, n->pub.user);

	jsonw_obj(w);
	jsonw_ki64(w, "ID", u ? u->id : TAGGED_USER);
	jsonw_kstr(w, "LoginName", u ? u->name : "tagged-devices");
	jsonw_kstr(w, "DisplayName", u ? (u->display[0] ? u->display : u->name) : "Tagged Devices");
	jsonw_obj_end(w);
}

void mapjson_dns(struct tailnet *t, struct jsonw *w)
{
	char zone[40];

	jsonw_key(w, "DNSConfig");
	jsonw_obj(w);
	if (t->dns.len > 0) {
		jsonw_raw(w, buf_bytes(&t->dns));
	} else {
		jsonw_key(w, "Routes");
		jsonw_obj(w);
		for (unsigned i = 64; i < 128;
		     i++) { /* reverse names of 100.64.0.0/10 are answered by the node */
			snprintf(zone, sizeof zone, "%u.100.in-addr.arpa", i);
			jsonw_key(w, zone);
			jsonw_raw(w, bytes_str("[]"));
		}
		jsonw_key(w, "0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa");
		jsonw_raw(w, bytes_str("[]"));
		jsonw_key(w, t->domain);
		jsonw_raw(w, bytes_str("[]"));
		jsonw_obj_end(w);
		jsonw_key(w, "Domains");
		jsonw_arr(w);
		jsonw_str(w, t->domain);
		jsonw_arr_end(w);
	}
	jsonw_kbool(w, "Proxied", true);
	jsonw_obj_end(w);
}
