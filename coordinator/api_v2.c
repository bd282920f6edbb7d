/* coordinator/api_v2.c - OAuth tokens, auth keys and devices as the Tailscale API has them
 * (control-protocol.md 6.1)
 *
 * Written after the documented shapes; there is no such server to try it against. An API key is the
 * secret of an OAuth client, whose id is its prefix; the token it gets lives for an hour and may do
 * what the key may. Keys made here belong to tags. Errors are {"message":"..."}.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "base/text.h"
#include "coordinator/api_priv.h"
#include "crypto/key.h"
#include "wire/http1.h"

enum { KEY_LIFE_S = 90 * 86400 }; /* of an auth key, when none is said */

/* --- small parts --- */

static void time_member(struct jsonw *w, const char *name, wall_t t) /* zero: "" */
{
	char text[WALL_TEXT];

	jsonw_kstr(w, name, t.ns ? wall_text(t, text) : "");
}

static void id_member(struct jsonw *w, const char *name, int64_t id)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)id);
	jsonw_kstr(w, name, text);
}

static void labels(struct jsonw *w, const char *name, char (*v)[TAILNET_LABEL_MAX], size_t n)
{
	jsonw_key(w, name);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, v[i]);
	jsonw_arr_end(w);
}

/* --- tokens --- */

static unsigned oauth_error(struct call *c, unsigned status, const char *error, const char *words)
{
	struct jsonw w;

	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "error", error);
	jsonw_kstr(&w, "error_description", words);
	jsonw_obj_end(&w);
	return status;
}

/* The secret: of Basic's second part, or of the form */
static bool client_secret(const struct api_request *r, char out[static APIKEY_TEXT_MAX + 2])
{
	struct bytes basic = bytes_str("Basic "), v = r->authorization;
	uint8_t plain[2 * APIKEY_TEXT_MAX];
	const uint8_t *colon;
	size_t n = 0;
	bool ok = false;

	if (v.len > basic.len && bytes_caseeq(bytes_of(v.data, basic.len), basic) &&
	    base64_parse(bytes_of(v.data + basic.len, v.len - basic.len), BASE64_STD, plain,
			 sizeof plain, &n)) {
		colon = n ? memchr(plain, ':', n) : NULL;
		ok = colon && bytes_to_str(bytes_of(colon + 1, n - (size_t)(colon + 1 - plain)),
					   out, APIKEY_TEXT_MAX + 2);
	}
	secret_wipe(plain, sizeof plain);
	return (ok && out[0]) ||
	       http1_query_get(r->body, "client_secret", out, APIKEY_TEXT_MAX + 2);
}

static unsigned token(struct call *c)
{
	char secret[APIKEY_TEXT_MAX + 2], text[APIKEY_TEXT_MAX], type[64];
	struct apikey *k;
	struct jsonw w;

	if (!http1_query_get(c->r->body, "grant_type", type, sizeof type) ||
	    strcmp(type, "client_credentials") != 0)
		return oauth_error(c, 400, "unsupported_grant_type",
				   "grant_type is client_credentials here");
	k = client_secret(c->r, secret) ? apikeys_match(c->a->keys, c->r->wall, bytes_str(secret))
					: NULL;
	secret_wipe(secret, sizeof secret);
	if (!k)
		return oauth_error(c, 401, "invalid_client",
				   "the client secret is none of this server's API keys");
	if (apikeys_token(c->a->keys, c->a->rng, c->r->wall, k, text) != 0)
		return oauth_error(c, 500, "server_error", "out of memory");
	k->last_seen = c->r->wall;
	if (k->id != 0)
		tailnet_audit(c->a->t, "access token made by API key %lld", (long long)k->id);
	else
		tailnet_audit(c->a->t, "access token made by the API key of api_key_file");
	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "access_token", text);
	jsonw_kstr(&w, "token_type", "Bearer");
	jsonw_ki64(&w, "expires_in", APITOKEN_LIFE_S);
	jsonw_kstr(&w, "scope", "auth_keys devices:core");
	jsonw_obj_end(&w);
	secret_wipe(text, sizeof text);
	return jsonw_ok(&w) ? 200 : 500;
}

/* --- auth keys --- */

static void key_object(struct call *c, struct jsonw *w, const struct tailnet_authkey *k,
		       const char *text)
{
	(void)c;
	jsonw_obj(w);
	id_member(w, "id", k->id);
	jsonw_kstr(w, "keyType", "auth");
	if (text)
		jsonw_kstr(w, "key", text);
	jsonw_kstr(w, "description", "");
	time_member(w, "created", k->created);
	time_member(w, "expires", k->expires);
	jsonw_key(w, "capabilities");
	jsonw_obj(w);
	jsonw_key(w, "devices");
	jsonw_obj(w);
	jsonw_key(w, "create");
	jsonw_obj(w);
	jsonw_kbool(w, "reusable", k->reusable);
	jsonw_kbool(w, "ephemeral", k->ephemeral);
	jsonw_kbool(w, "preauthorized", true);
	labels(w, "tags", k->tags, k->n_tags);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	if (k->expires.ns != 0 && k->expires.ns <= c->r->wall.ns)
		jsonw_kbool(w, "invalid", true);
	jsonw_obj_end(w);
}

static void read_create(struct json *j, struct tailnet_authkey *k)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "reusable")) {
			k->reusable = json_bool(j);
		} else if (json_key_is(key, "ephemeral")) {
			k->ephemeral = json_bool(j);
		} else if (json_key_is(key, "tags")) {
			k->n_tags = tailnet_read_labels(j, k->tags, k->n_tags, TAILNET_TAGS_MAX);
		} else {
			json_skip(j);
		}
	}
}

/* Enters objects by name: {"devices":{"create":{...}}} */
static void read_capabilities(struct json *j, const char *const *path, struct tailnet_authkey *k)
{
	struct bytes key;

	if (!*path) {
		read_create(j, k);
		return;
	}
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, *path))
			read_capabilities(j, path + 1, k);
		else
			json_skip(j);
	}
}

static int keys_create(struct call *c)
{
	static const char *const path[] = { "devices", "create", NULL };
	char tags[TAILNET_TAGS_MAX][TAILNET_LABEL_MAX], text[AUTHKEY_TEXT_MAX];
	struct tailnet_authkey conf = { .tags = tags };
	struct json j = json_of(c->r->body);
	int64_t seconds = 0, id;
	struct bytes key;
	struct jsonw w;
	int ret;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "capabilities"))
			read_capabilities(&j, path, &conf);
		else if (json_key_is(key, "expirySeconds"))
			seconds = json_i64(&j);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || seconds < 0 || seconds > KEY_LIFE_S)
		return api_malformed(c);
	if (conf.n_tags == 0)
		return err_say(&c->e, EINVAL, "a key made through the API needs tags");
	conf.expires = (wall_t){ c->r->wall.ns + (seconds ? seconds : KEY_LIFE_S) * NS_PER_S };
	ret = tailnet_authkey_add(c->a->t, c->r->wall, &conf, text, &id, &c->e);
	if (ret != 0)
		return ret;
	jsonw_init(&w, c->out);
	key_object(c, &w, tailnet_authkey(c->a->t, id), text);
	secret_wipe(text, sizeof text);
	return api_done(c, &w);
}

static int keys_list(struct call *c)
{
	const struct tailnet_authkey *k;
	struct jsonw w;

	api_list(c, &w, "keys");
	for (size_t i = 0; (k = tailnet_authkey_at(c->a->t, i)); i++)
		key_object(c, &w, k, NULL);
	return api_list_done(c, &w);
}

/* An OAuth client is an API key here, its prefix the client's id. */
static int client_get(struct call *c, const struct apikey *k)
{
	struct jsonw w;

	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "id", k->prefix);
	jsonw_kstr(&w, "keyType", "client");
	time_member(&w, "created", k->created);
	time_member(&w, "expires", k->expires);
	jsonw_obj_end(&w);
	return api_done(c, &w);
}

static int key_get(struct call *c)
{
	const struct tailnet_authkey *k;
	const struct apikey *client;
	struct jsonw w;
	int64_t id;
	int ret = api_arg_id(c, 1, &id);

	if (ret != 0 && *c->arg[1] && (client = apikeys_find(c->a->keys, 0, c->arg[1])))
		return client_get(c, client);
	if (ret != 0)
		return ret;
	k = tailnet_authkey(c->a->t, id);
	if (!k)
		return err_say(&c->e, ENOENT, "key not found");
	jsonw_init(&w, c->out);
	key_object(c, &w, k, NULL);
	return api_done(c, &w);
}

static int key_delete(struct call *c)
{
	int64_t id;
	int ret = api_arg_id(c, 1, &id);

	if (ret == 0)
		ret = tailnet_authkey_del(c->a->t, c->r->wall, id, &c->e);
	return ret == 0 ? api_empty(c) : ret;
}

/* --- devices --- */

/* A member of Hostinfo that is a text; "" when there is none */
static void hostinfo_text(const struct tailnet_node *n, const char *name, char *out, size_t cap)
{
	struct json j = json_of(bytes_str(n->hostinfo ? n->hostinfo : "{}"));
	struct bytes key;

	out[0] = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, name) && json_type(&j) == JSON_STRING)
			json_str(&j, out, cap);
		else
			json_skip(&j);
	}
}

static void routes_members(struct jsonw *w, const struct tailnet_node *n)
{
	jsonw_kprefixes(w, "advertisedRoutes", n->routes, n->n_routes);
	jsonw_kprefixes(w, "enabledRoutes", n->approved_routes, n->n_approved);
}

static void connectivity(struct jsonw *w, const struct tailnet_node *n)
{
	jsonw_key(w, "clientConnectivity");
	jsonw_obj(w);
	jsonw_kipports(w, "endpoints", n->endpoints, n->n_endpoints);
	jsonw_obj_end(w);
}

static void device(struct call *c, struct jsonw *w, const struct tailnet_node *n, bool all)
{
	const struct tailnet_user *u = n->n_tags ? NULL : tailnet_user(c->a->t, n->user);
	char name[TAILNET_LABEL_MAX + TAILNET_NAME_MAX + 2], text[IP_TEXT], version[64];
	char key[KEY_TEXT_MAX];

	snprintf(name, sizeof name, "%s.%s", n->given, tailnet_domain(c->a->t));
	hostinfo_text(n, "IPNVersion", version, sizeof version);
	jsonw_obj(w);
	jsonw_key(w, "addresses");
	jsonw_arr(w);
	if (!ip_is_zero(&n->v4))
		jsonw_str(w, ip_text(&n->v4, text));
	if (!ip_is_zero(&n->v6))
		jsonw_str(w, ip_text(&n->v6, text));
	jsonw_arr_end(w);
	id_member(w, "id", n->id);
	id_member(w, "nodeId", n->id);
	jsonw_kstr(w, "name", name);
	jsonw_kstr(w, "hostname", n->hostname);
	jsonw_kstr(w, "user", u ? u->name : "tagged-devices");
	labels(w, "tags", n->tags, n->n_tags);
	jsonw_kbool(w, "authorized", n->approved);
	jsonw_kbool(w, "isEphemeral", n->ephemeral);
	jsonw_kbool(w, "keyExpiryDisabled", n->expiry.ns == 0);
	time_member(w, "created", n->created);
	time_member(w, "expires", n->expiry);
	time_member(w, "lastSeen", n->last_seen);
	jsonw_kstr(w, "os", n->os);
	jsonw_kstr(w, "clientVersion", version);
	jsonw_kbool(w, "updateAvailable", false);
	jsonw_kbool(w, "connectedToControl", n->online);
	jsonw_kstr(w, "machineKey", key_pub_text(KEY_MACHINE, &n->machine, key));
	jsonw_kstr(w, "nodeKey", key_pub_text(KEY_NODE, &n->node, key));
	if (all) {
		routes_members(w, n);
		connectivity(w, n);
	}
	jsonw_obj_end(w);
}

static bool all_fields(const struct call *c)
{
	char fields[16];

	return http1_query_get(c->r->query, "fields", fields, sizeof fields) &&
	       strcmp(fields, "all") == 0;
}

static int devices_list(struct call *c)
{
	const struct tailnet_node *n;
	size_t cursor = 0;
	struct jsonw w;

	api_list(c, &w, "devices");
	while ((n = tailnet_node_each(c->a->t, &cursor)))
		device(c, &w, n, all_fields(c));
	return api_list_done(c, &w);
}

static int the_device(struct call *c, const struct tailnet_node **n)
{
	int64_t id;

	*n = text_i64(bytes_str(c->arg[0]), &id) ? tailnet_node(c->a->t, id) : NULL;
	return *n ? 0 : err_say(&c->e, ENOENT, "no device '%.40s'", c->arg[0]);
}

static int device_get(struct call *c)
{
	const struct tailnet_node *n;
	struct jsonw w;
	int ret = the_device(c, &n);

	if (ret != 0)
		return ret;
	jsonw_init(&w, c->out);
	device(c, &w, n, all_fields(c));
	return api_done(c, &w);
}

static int routes_answer(struct call *c)
{
	const struct tailnet_node *n;
	struct jsonw w;
	int ret = the_device(c, &n);

	if (ret != 0)
		return ret;
	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	routes_members(&w, n);
	jsonw_obj_end(&w);
	return api_done(c, &w);
}

static int act(struct call *c, api_node_fn *action)
{
	const struct tailnet_node *n;
	int ret = the_device(c, &n);

	if (ret == 0)
		ret = action(c, n->id);
	return ret == 0 ? api_empty(c) : ret;
}

static int device_delete(struct call *c)
{
	return act(c, api_delete_node);
}

static int device_expire(struct call *c)
{
	return act(c, api_expire_node);
}

static int device_tags(struct call *c)
{
	return act(c, api_set_tags);
}

static int device_routes(struct call *c)
{
	const struct tailnet_node *n;
	int ret = the_device(c, &n);

	if (ret == 0)
		ret = api_set_routes(c, n->id);
	return ret == 0 ? routes_answer(c) : ret;
}

static int device_name(struct call *c)
{
	char name[TAILNET_NAME_MAX] = "";
	struct json j = json_of(c->r->body);
	const struct tailnet_node *n;
	struct bytes key;
	int ret = the_device(c, &n);

	json_obj(&j);
	while (ret == 0 && json_key(&j, &key)) {
		if (json_key_is(key, "name"))
			json_str(&j, name, sizeof name);
		else
			json_skip(&j);
	}
	if (ret == 0 && (!json_done(&j) || !name[0]))
		return api_malformed(c);
	name[strcspn(name, ".")] = 0; /* the whole name will do too */
	if (ret == 0)
		ret = tailnet_node_rename(c->a->t, c->r->now, c->r->wall, n->id, name, &c->e);
	return ret == 0 ? api_empty(c) : ret;
}

static int device_authorized(struct call *c)
{
	struct json j = json_of(c->r->body);
	const struct tailnet_node *n;
	bool yes = false;
	struct bytes key;
	int ret = the_device(c, &n);

	json_obj(&j);
	while (ret == 0 && json_key(&j, &key)) {
		if (json_key_is(key, "authorized"))
			yes = json_bool(&j);
		else
			json_skip(&j);
	}
	if (ret == 0 && !json_done(&j))
		return api_malformed(c);
	if (ret == 0 && !yes)
		return err_say(&c->e, ENOSYS,
			       "an approval is not taken back here: delete the device");
	if (ret == 0)
		ret = api_approve_node(c, n->id);
	return ret == 0 ? api_empty(c) : ret;
}

/* --- routes --- */

static const struct {
	const char *method, *path;
	api_fn *fn;
} routes[] = {
	{ "GET", "tailnet/*/keys", keys_list },
	{ "POST", "tailnet/*/keys", keys_create },
	{ "GET", "tailnet/*/keys/*", key_get },
	{ "DELETE", "tailnet/*/keys/*", key_delete },
	{ "GET", "tailnet/*/devices", devices_list },
	{ "GET", "device/*", device_get },
	{ "DELETE", "device/*", device_delete },
	{ "POST", "device/*/expire", device_expire },
	{ "POST", "device/*/authorized", device_authorized },
	{ "POST", "device/*/name", device_name },
	{ "POST", "device/*/tags", device_tags },
	{ "GET", "device/*/routes", routes_answer },
	{ "POST", "device/*/routes", device_routes },
};

static const struct {
	int code;
	unsigned status;
} statuses[] = { { ENOENT, 404 }, { EINVAL, 400 },  { EBADMSG, 400 }, { EEXIST, 409 },
		 { EPERM, 403 },  { ENOBUFS, 429 }, { ENOSYS, 501 } };

static unsigned failed(struct call *c, int code)
{
	unsigned status = 500;
	struct jsonw w;

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].code == code)
			status = statuses[i].status;
	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "message", c->e.text);
	jsonw_obj_end(&w);
	return status;
}

static const char token_path[] = "oauth/token", exchange_path[] = "oauth/token-exchange";

/* Who has a token to exchange is told that we do not, and not that he lacks a key. */
bool api_v2_is_open(struct bytes path)
{
	return bytes_eq_str(path, token_path) || bytes_eq_str(path, exchange_path);
}

bool api_v2_route_at(size_t i, struct api_route *out)
{
	if (i > ARRAY_LEN(routes))
		return false;
	*out = (struct api_route){ "POST", "v2", token_path };
	if (i < ARRAY_LEN(routes))
		*out = (struct api_route){ routes[i].method, "v2", routes[i].path };
	return true;
}

unsigned api_v2_handle(struct call *c, struct bytes path)
{
	size_t before = c->out->len;

	if (bytes_eq_str(path, token_path) && bytes_eq_str(c->r->method, "POST"))
		return token(c);
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		int ret;

		if (!bytes_eq_str(c->r->method, routes[i].method) ||
		    !api_matches(c, routes[i].path, path))
			continue;
		ret = routes[i].fn(c);
		if (ret == 0)
			return 200;
		c->out->len = before;
		return failed(c, -ret);
	}
	err_say(&c->e, ENOENT,
		bytes_eq_str(path, exchange_path) ? "tokens of workloads are not exchanged here"
						  : "not found");
	return failed(c, ENOENT);
}
