/* coordinator/api.c - routes of the REST API, errors, and the calls about the server itself */
#include "coordinator/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/api_priv.h"
#include "crypto/key.h"
#include "wire/http1.h"

int api_done(struct call *c, const struct jsonw *w)
{
	return jsonw_ok(w) ? 0 : err_say(&c->e, ENOMEM, "out of memory");
}

void api_list(struct call *c, struct jsonw *w, const char *name)
{
	jsonw_init(w, c->out);
	jsonw_obj(w);
	jsonw_key(w, name);
	jsonw_arr(w);
}

int api_list_done(struct call *c, struct jsonw *w)
{
	jsonw_arr_end(w);
	jsonw_obj_end(w);
	return api_done(c, w);
}

int api_empty(struct call *c)
{
	return buf_append(c->out, "{}", 2) ? 0 : err_say(&c->e, ENOMEM, "out of memory");
}

int api_malformed(struct call *c)
{
	return err_say(&c->e, EBADMSG, "malformed request body");
}

int api_arg_id(struct call *c, int i, int64_t *id)
{
	return text_i64(bytes_str(c->arg[i]), id) && *id > 0
		   ? 0
		   : err_say(&c->e, EBADMSG, "'%.40s' is not an id", c->arg[i]);
}

/* --- the server itself --- */

static int health(struct call *c)
{
	struct jsonw w;

	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_kbool(&w, "databaseConnectivity", true);
	jsonw_obj_end(&w);
	return api_done(c, &w);
}

static int policy_answer(struct call *c, struct bytes text, wall_t when)
{
	char time[WALL_TEXT];
	struct jsonw w;

	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_key(&w, "policy");
	jsonw_strn(&w, text);
	jsonw_kstr(&w, "updatedAt", when.ns ? wall_text(when, time) : NULL);
	jsonw_obj_end(&w);
	return api_done(c, &w);
}

static int policy_get(struct call *c)
{
	wall_t when = WALL_ZERO;
	struct bytes text = c->a->policy(c->a->ctx, &when);

	return policy_answer(c, text, when);
}

/* The text of the policy in the body; the caller frees it. NULL: malformed */
static char *policy_of(struct call *c)
{
	struct json j = json_of(c->r->body);
	struct bytes key;
	char *text = NULL;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "policy") && !text)
			text = json_strdup(&j, POLICY_TEXT_MAX);
		else
			json_skip(&j);
	}
	if (json_done(&j))
		return text;
	free(text);
	return NULL;
}

static int policy_put(struct call *c)
{
	AUTO_FREE char *text = policy_of(c);
	int ret = text ? c->a->set_policy(c->a->ctx, bytes_str(text), &c->e) : api_malformed(c);

	if (ret != 0)
		return ret;
	tailnet_audit(c->a->t, "policy set, %zu bytes", strlen(text));
	return policy_answer(c, bytes_str(text), c->r->wall);
}

static int policy_check(struct call *c)
{
	AUTO_FREE char *text = policy_of(c);
	int ret = text ? c->a->check_policy(c->a->ctx, bytes_str(text), &c->e) : api_malformed(c);

	return ret == 0 ? api_empty(c) : ret;
}

static int backup(struct call *c)
{
	struct json j = json_of(c->r->body);
	char path[4096] = "";
	struct bytes key;
	int ret;

	if (!c->r->is_local)
		return err_say(&c->e, EPERM, "backups are made over the unix socket only");
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "path"))
			json_str(&j, path, sizeof path);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || path[0] != '/')
		return err_say(&c->e, EINVAL, "path wants an absolute path");
	ret = c->a->backup(c->a->ctx, path, &c->e);
	return ret == 0 ? api_empty(c) : ret;
}

static int debug(struct call *c)
{
	return c->a->debug(c->a->ctx, c->out) == 0 ? 0 : err_say(&c->e, ENOMEM, "out of memory");
}

/* --- routes --- */

/* Where Headscale answers 500 with "unknown" in place of what it is: tools may go by that. */
enum { VAGUE_MISSING = 1, VAGUE_INVALID = 2, VAGUE = VAGUE_MISSING | VAGUE_INVALID };

static const struct route {
	const char *method, *path; /* behind /api/v1/; a star stands for one segment */
	api_fn *fn;
	unsigned vague;
} routes[] = {
	{ "GET", "health", health },
	{ "GET", "policy", policy_get },
	{ "PUT", "policy", policy_put, VAGUE_INVALID },
	{ "POST", "policy/check", policy_check },
	{ "GET", "user", api_users_list },
	{ "POST", "user", api_users_create },
	{ "DELETE", "user/*", api_users_delete, VAGUE },
	{ "POST", "user/*/rename/*", api_users_rename, VAGUE },
	{ "GET", "preauthkey", api_keys_list },
	{ "POST", "preauthkey", api_keys_create, VAGUE },
	{ "POST", "preauthkey/expire", api_keys_expire },
	{ "DELETE", "preauthkey", api_keys_delete },
	{ "GET", "apikey", api_apikeys_list },
	{ "POST", "apikey", api_apikeys_create },
	{ "POST", "apikey/expire", api_apikeys_expire, VAGUE },
	{ "DELETE", "apikey/*", api_apikeys_delete, VAGUE },
	{ "GET", "node", api_nodes_list, VAGUE },
	{ "GET", "node/*", api_nodes_get },
	{ "DELETE", "node/*", api_nodes_delete },
	{ "POST", "node/*/expire", api_nodes_expire, VAGUE },
	{ "POST", "node/*/rename/*", api_nodes_rename, VAGUE },
	{ "POST", "node/*/tags", api_nodes_tags, VAGUE_INVALID },
	{ "POST", "node/*/approve_routes", api_nodes_routes, VAGUE },
	{ "POST", "node/*/approve",
	  api_nodes_approve }, /* ours: machine approval, which Headscale has not */
	{ "POST", "auth/register", api_login_register, VAGUE },
	{ "POST", "auth/approve", api_login_approve },
	{ "POST", "auth/reject", api_login_reject },
	{ "POST", "debug/backup", backup }, /* ours */
	{ "GET", "debug", debug },          /* ours */
};

bool api_route_at(size_t i, struct api_route *out)
{
	if (i >= ARRAY_LEN(routes))
		return api_v2_route_at(i - ARRAY_LEN(routes), out);
	*out = (struct api_route){ routes[i].method, "v1", routes[i].path };
	return true;
}

static struct bytes segment(struct bytes *rest)
{
	const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
	struct bytes s = bytes_of(rest->data, slash ? (size_t)(slash - rest->data) : rest->len);
	size_t used = s.len + (slash ? 1 : 0);

	*rest = bytes_of(used ? rest->data + used : rest->data, rest->len - used);
	return s;
}

bool api_matches(struct call *c, const char *pattern, struct bytes path)
{
	struct bytes p = bytes_str(pattern);
	int n = 0;

	while (p.len > 0 && path.len > 0) {
		struct bytes want = segment(&p), got = segment(&path);
		size_t len;

		if (!bytes_eq_str(want, "*")) {
			if (!bytes_eq(want, got))
				return false;
		} else if (n == API_ARGS ||
			   !http1_unescape(got, false, c->arg[n++], API_ARG_MAX, &len) ||
			   len == 0) {
			return false;
		}
	}
	return p.len == 0 && path.len == 0;
}

/* --- errors --- */

static const struct {
	int code;
	unsigned grpc, status;
} errors[] = {
	{ ENOENT, 5, 404 },  { EINVAL, 3, 400 },
	{ EBADMSG, 3, 400 }, { EEXIST, 13, 500 }, /* as Headscale does (6.2) */
	{ EBUSY, 9, 400 },   { EPERM, 7, 403 },
	{ ENOBUFS, 8, 429 }, { ENOSYS, 12, 501 },
};

static unsigned answer_error(struct call *c, int code, unsigned vague)
{
	unsigned grpc = 13, status = 500;
	struct jsonw w;

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i].code == code) {
			grpc = errors[i].grpc;
			status = errors[i].status;
		}
	if ((code == ENOENT && vague & VAGUE_MISSING) ||
	    (code == EINVAL && vague & VAGUE_INVALID)) {
		grpc = 2;
		status = 500;
	}
	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "code", grpc);
	jsonw_kstr(&w, "message", c->e.text);
	jsonw_key(&w, "details");
	jsonw_arr(&w);
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) ? status : 500;
}

/* --- who may --- */

static bool begins(struct bytes text, const char *with, struct bytes *rest)
{
	size_t n = strlen(with);

	if (text.len < n || !bytes_caseeq(bytes_of(text.data, n), bytes_str(with)))
		return false;
	*rest = bytes_of(text.data + n, text.len - n);
	return true;
}

bool api_authorized(struct api *a, struct api_request *r)
{
	struct apikey *k = NULL;
	struct bytes secret;
	uint8_t basic[APIKEY_TEXT_MAX + 2];
	size_t n = 0;

	if (r->is_local || (begins(r->path, "/api/v2/", &secret) && api_v2_is_open(secret)))
		return true;
	if (begins(r->authorization, "Basic ", &secret) &&
	    base64_parse(secret, BASE64_STD, basic, sizeof basic, &n)) {
		const uint8_t *colon = memchr(basic, ':', n);

		secret = bytes_of(basic, colon ? (size_t)(colon - basic) : n);
	} else if (!begins(r->authorization, "Bearer ", &secret)) {
		return false;
	}
	k = apikeys_match(a->keys, r->wall, secret);
	r->by = k ? API_BY_KEY : API_NO_KEY;
	if (!k && (k = apikeys_match_token(a->keys, r->wall, secret)))
		r->by = API_BY_TOKEN;
	if (k) {
		k->last_seen = r->wall;
		r->key = k->id;
	}
	secret_wipe(basic, sizeof basic);
	return k;
}

/* For the audit log: never the text of a key */
static void asker_text(const struct api_request *r, char out[static TAILNET_ASKER_MAX])
{
	char from[IPPORT_TEXT], key[24] = "file";

	if (r->is_local && r->uid < 0) {
		snprintf(out, TAILNET_ASKER_MAX, "unix");
		return;
	}
	if (r->is_local) {
		snprintf(out, TAILNET_ASKER_MAX, "unix uid=%lld", (long long)r->uid);
		return;
	}
	ipport_text(&r->from, from);
	if (r->key != 0)
		snprintf(key, sizeof key, "%lld", (long long)r->key);
	if (r->by == API_NO_KEY)
		snprintf(out, TAILNET_ASKER_MAX, "%s", from);
	else
		snprintf(out, TAILNET_ASKER_MAX, "%s %s=%s", from,
			 r->by == API_BY_TOKEN ? "token" : "apikey", key);
}

static unsigned handle(struct api *a, const struct api_request *r, struct buf *out)
{
	struct call c = { .a = a, .r = r, .out = out };
	struct bytes base = bytes_str("/api/v1/"), path = r->path, v2;
	size_t before = out->len;

	if (begins(path, "/api/v2/", &v2))
		return api_v2_handle(&c, v2);

	if (path.len > base.len && memcmp(path.data, base.data, base.len) == 0) {
		bool other_method = false;

		path = bytes_of(path.data + base.len, path.len - base.len);
		for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
			int ret;

			if (!api_matches(&c, routes[i].path, path))
				continue;
			if (!bytes_eq_str(r->method, routes[i].method)) {
				other_method = true;
				continue;
			}
			ret = routes[i].fn(&c);
			if (ret == 0)
				return 200;
			out->len = before; /* what a failing call had begun */
			return answer_error(&c, -ret, routes[i].vague);
		}
		if (other_method) {
			err_say(&c.e, ENOSYS, "Method Not Allowed");
			return answer_error(&c, ENOSYS, 0);
		}
	}
	err_say(&c.e, ENOENT, "Not Found");
	return answer_error(&c, ENOENT, 0);
}

unsigned api_handle(struct api *a, const struct api_request *r, struct buf *out)
{
	char who[TAILNET_ASKER_MAX];
	unsigned status;

	asker_text(r, who);
	tailnet_asked_by(a->t, who);
	status = handle(a, r, out);
	tailnet_asked_by(a->t, NULL);
	return status;
}
