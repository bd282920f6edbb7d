/* coordinator/api_json.c - objects of the REST API as Headscale v0.29 writes them
 * (control-protocol.md 6.2) */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/api_priv.h"

enum { TAGGED_USER = 2147455555 };

static void id_member(struct jsonw *w, const char *name, int64_t id)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)id);
	jsonw_kstr(w, name, text);
}

static void time_member(struct jsonw *w, const char *name, wall_t t) /* zero: null */
{
	char text[WALL_TEXT];

	jsonw_kstr(w, name, t.ns ? wall_text(t, text) : NULL);
}

int64_t api_id(struct json *j)
{
	char text[24];
	int64_t id = 0;

	if (json_type(j) != JSON_STRING)
		return json_i64(j);
	if (!text_i64(bytes_of(text, json_str(j, text, sizeof text)), &id))
		j->failed = true;
	return id;
}

static void user_members(struct jsonw *w, int64_t id, const char *name, const char *display,
			 wall_t created)
{
	jsonw_obj(w);
	id_member(w, "id", id);
	jsonw_kstr(w, "name", name);
	time_member(w, "createdAt", created);
	jsonw_kstr(w, "displayName", display);
	jsonw_kstr(w, "email", "");
	jsonw_kstr(w, "providerId", "");
	jsonw_kstr(w, "provider", "");
	jsonw_kstr(w, "profilePicUrl", "");
	jsonw_obj_end(w);
}

void api_user(struct jsonw *w, const struct tailnet_user *u)
{
	user_members(w, u->id, u->name, u->display, u->created);
}

static void owner(struct tailnet *t, struct jsonw *w, int64_t user, bool tagged)
{
	const struct tailnet_user *u = tagged ? NULL : tailnet_user(t, user);

	jsonw_key(w, "user");
	if (u)
		api_user(w, u);
	else
		user_members(w, TAGGED_USER, "tagged-devices", "Tagged Devices", WALL_ZERO);
}

static void texts(struct jsonw *w, const char *name, char (*v)[TAILNET_LABEL_MAX], size_t n)
{
	jsonw_key(w, name);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, v[i]);
	jsonw_arr_end(w);
}

void api_authkey(struct tailnet *t, struct jsonw *w, const struct tailnet_authkey *k,
		 const char *text)
{
	char masked[64];

	snprintf(masked, sizeof masked, "hskey-auth-%s-***", k->prefix);
	jsonw_obj(w);
	jsonw_key(w, "user");
	if (k->user && tailnet_user(t, k->user))
		api_user(w, tailnet_user(t, k->user));
	else
		jsonw_null(w);
	id_member(w, "id", k->id);
	jsonw_kstr(w, "key", text ? text : masked);
	jsonw_kbool(w, "reusable", k->reusable);
	jsonw_kbool(w, "ephemeral", k->ephemeral);
	jsonw_kbool(w, "used", k->used);
	time_member(w, "expiration", k->expires);
	time_member(w, "createdAt", k->created);
	texts(w, "aclTags", k->tags, k->n_tags);
	jsonw_obj_end(w);
}

void api_apikey(struct jsonw *w, const struct apikey *k)
{
	jsonw_obj(w);
	id_member(w, "id", k->id);
	jsonw_kstr(w, "prefix", k->prefix);
	time_member(w, "expiration", k->expires);
	time_member(w, "createdAt", k->created);
	time_member(w, "lastSeen", k->last_seen);
	jsonw_obj_end(w);
}

static bool has(const struct ipprefix *v, size_t n, const struct ipprefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (ipprefix_eq(&v[i], p))
			return true;
	return false;
}

static void routes(struct jsonw *w, const char *name, const struct ipprefix *v, size_t n,
		   const struct ipprefix *only, size_t n_only)
{
	char text[IPPREFIX_TEXT];

	jsonw_key(w, name);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		if (!only || has(only, n_only, &v[i]))
			jsonw_str(w, ipprefix_text(&v[i], text));
	jsonw_arr_end(w);
}

static void addresses(struct jsonw *w, const struct tailnet_node *n)
{
	char text[IP_TEXT];

	jsonw_key(w, "ipAddresses");
	jsonw_arr(w);
	if (!ip_is_zero(&n->v4))
		jsonw_str(w, ip_text(&n->v4, text));
	if (!ip_is_zero(&n->v6))
		jsonw_str(w, ip_text(&n->v6, text));
	jsonw_arr_end(w);
}

static void key_member(struct jsonw *w, const char *name, enum key_kind kind,
		       const struct key_pub *k)
{
	char text[KEY_TEXT_MAX];

	jsonw_kstr(w, name, key_pub_text(kind, k, text));
}

void api_node(struct tailnet *t, struct jsonw *w, const struct tailnet_node *n)
{
	const struct tailnet_authkey *k = n->authkey ? tailnet_authkey(t, n->authkey) : NULL;

	jsonw_obj(w);
	id_member(w, "id", n->id);
	key_member(w, "machineKey", KEY_MACHINE, &n->machine);
	key_member(w, "nodeKey", KEY_NODE, &n->node);
	key_member(w, "discoKey", KEY_DISCO, &n->disco);
	addresses(w, n);
	jsonw_kstr(w, "name", n->hostname[0] ? n->hostname : n->given);
	owner(t, w, n->user, n->n_tags > 0);
	time_member(w, "lastSeen", n->last_seen);
	time_member(w, "expiry", n->expiry);
	jsonw_key(w, "preAuthKey");
	if (k)
		api_authkey(t, w, k, NULL);
	else
		jsonw_null(w);
	time_member(w, "createdAt", n->created);
	jsonw_kstr(w, "registerMethod",
		   n->authkey ? "REGISTER_METHOD_AUTH_KEY" : "REGISTER_METHOD_CLI");
	jsonw_kstr(w, "givenName", n->given);
	jsonw_kbool(w, "online", n->online);
	routes(w, "approvedRoutes", n->approved_routes, n->n_approved, NULL, 0);
	routes(w, "availableRoutes", n->routes, n->n_routes, NULL, 0);
	routes(w, "subnetRoutes", n->routes, n->n_routes,
	       n->approved_routes ? n->approved_routes : n->routes, n->n_approved);
	texts(w, "tags", n->tags, n->n_tags);
	jsonw_kbool(w, "ephemeral", n->ephemeral);  /* ours */
	jsonw_kbool(w, "approved", n->approved);    /* ours */
	jsonw_kbool(w, "loggedOut", n->logged_out); /* ours */
	jsonw_obj_end(w);
}
