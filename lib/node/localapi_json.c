/* node/localapi_json.c - nodes, users, relays as the stock client writes them */
#include <stdio.h>

#include "node/localapi_priv.h"

void localapi_put_strings(struct jsonw *w, const char *key, const char *const *v, size_t n)
{
	jsonw_key(w, key);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, v[i]);
	jsonw_arr_end(w);
}

void localapi_put_user(struct jsonw *w, const struct netmap_user *u)
{
	jsonw_obj(w);
	jsonw_ki64(w, "ID", u->id);
	jsonw_kstr(w, "LoginName", u->login ? u->login : "");
	jsonw_kstr(w, "DisplayName", u->display ? u->display : "");
	if (u->picture && *u->picture)
		jsonw_kstr(w, "ProfilePicURL", u->picture);
	jsonw_obj_end(w);
}

/* the first label of the name: what people call the node */
static void put_computed_name(struct jsonw *w, const struct netmap_node *n)
{
	const char *name = n->name ? n->name : "";

	jsonw_key(w, "ComputedName");
	jsonw_strn(w, bytes_of(name, strcspn(name, ".")));
	jsonw_key(w, "ComputedNameWithHost");
	jsonw_strn(w, bytes_of(name, strcspn(name, ".")));
}

void localapi_put_node(struct jsonw *w, const struct netmap *nm, const struct netmap_node *n)
{
	char key[KEY_TEXT_MAX];

	(void)nm;
	jsonw_obj(w);
	jsonw_ki64(w, "ID", n->id);
	jsonw_kstr(w, "StableID", n->stable_id ? n->stable_id : "");
	jsonw_kstr(w, "Name", n->name ? n->name : "");
	jsonw_ki64(w, "User", n->user);
	jsonw_kstr(w, "Key", key_pub_text(KEY_NODE, &n->key, key));
	jsonw_kwall(w, "KeyExpiry", n->key_expiry);
	jsonw_kstr(w, "Machine", key_pub_text(KEY_MACHINE, &n->machine, key));
	jsonw_kstr(w, "DiscoKey", key_pub_text(KEY_DISCO, &n->disco, key));
	jsonw_kprefixes(w, "Addresses", n->addresses, n->n_addresses);
	jsonw_kprefixes(w, "AllowedIPs", n->allowed, n->n_allowed);
	jsonw_kipports(w, "Endpoints", n->endpoints, n->n_endpoints);
	jsonw_ki64(w, "HomeDERP", n->home_derp);
	jsonw_key(w, "Hostinfo");
	jsonw_obj(w);
	jsonw_kstr(w, "OS", n->os ? n->os : "");
	jsonw_kstr(w, "Hostname", n->hostname ? n->hostname : "");
	jsonw_obj_end(w);
	jsonw_kwall(w, "Created", n->created);
	jsonw_ki64(w, "Cap", n->cap);
	if (n->n_tags > 0)
		localapi_put_strings(w, "Tags", n->tags, n->n_tags);
	if (n->n_primary_routes > 0)
		jsonw_kprefixes(w, "PrimaryRoutes", n->primary_routes, n->n_primary_routes);
	if (n->online >= 0)
		jsonw_kbool(w, "Online", n->online);
	jsonw_kbool(w, "MachineAuthorized", n->authorized);
	if (n->capmap.len > 0) {
		jsonw_key(w, "CapMap");
		jsonw_raw(w, n->capmap);
	}
	if (n->expired)
		jsonw_kbool(w, "Expired", true);
	put_computed_name(w, n);
	jsonw_obj_end(w);
}

static void put_derp_addr(struct jsonw *w, const char *key, const struct ip *ip, bool none)
{
	char text[IP_TEXT];

	if (none)
		jsonw_kstr(w, key, "none");
	else if (!ip_is_zero(ip))
		jsonw_kstr(w, key, ip_text(ip, text));
}

static void put_derp_node(struct jsonw *w, const struct netmap_region *r,
			  const struct netmap_derp_node *n)
{
	jsonw_obj(w);
	jsonw_kstr(w, "Name", n->name ? n->name : "");
	jsonw_ki64(w, "RegionID", r->id);
	jsonw_kstr(w, "HostName", n->host ? n->host : "");
	if (n->cert_name && *n->cert_name)
		jsonw_kstr(w, "CertName", n->cert_name);
	put_derp_addr(w, "IPv4", &n->v4, n->no_v4);
	put_derp_addr(w, "IPv6", &n->v6, n->no_v6);
	if (n->stun_port != 3478)
		jsonw_ki64(w, "STUNPort", n->stun_port);
	if (n->stun_only)
		jsonw_kbool(w, "STUNOnly", true);
	if (n->derp_port != 0 && n->derp_port != 443)
		jsonw_ki64(w, "DERPPort", n->derp_port);
	if (n->insecure)
		jsonw_kbool(w, "InsecureForTests", true);
	jsonw_obj_end(w);
}

static void put_region(struct jsonw *w, const struct netmap_region *r)
{
	char key[8];

	snprintf(key, sizeof key, "%u", r->id);
	jsonw_key(w, key);
	jsonw_obj(w);
	jsonw_ki64(w, "RegionID", r->id);
	jsonw_kstr(w, "RegionCode", r->code ? r->code : "");
	jsonw_kstr(w, "RegionName", r->name ? r->name : "");
	if (r->avoid)
		jsonw_kbool(w, "Avoid", true);
	if (r->no_measure_no_home)
		jsonw_kbool(w, "NoMeasureNoHome", true);
	jsonw_key(w, "Nodes");
	jsonw_arr(w);
	for (size_t i = 0; i < r->n_nodes; i++)
		put_derp_node(w, r, &r->nodes[i]);
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

bool localapi_derpmap_json(const struct netmap *nm, struct buf *out)
{
	size_t n;
	const struct netmap_region *v = netmap_regions(nm, &n);
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_key(&w, "Regions");
	jsonw_obj(&w);
	for (size_t i = 0; i < n; i++)
		put_region(&w, &v[i]);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

bool localapi_error_json(const char *text, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "error", text);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}
