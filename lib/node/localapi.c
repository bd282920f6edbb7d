/* node/localapi.c - which request becomes what; see localapi.h */
#include "node/localapi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "node/localapi_priv.h"
#include "wire/http1.h"

#define PREFIX "/localapi/v0/"

struct call {
	const struct localapi_view *v;
	const struct localapi_request *rq;
	struct localapi_answer *a;
};

void localapi_answer_init(struct localapi_answer *a)
{
	*a = (struct localapi_answer){ .status = 200, .type = "application/json" };
	buf_init(&a->body, LOCALAPI_ANSWER_MAX);
}

void localapi_answer_fini(struct localapi_answer *a)
{
	secret_wipe(a->auth_key, sizeof a->auth_key);
	buf_fini(&a->body);
}

static void say(struct localapi_answer *a, int status, const char *text)
{
	a->kind = LOCALAPI_DONE;
	a->status = status;
	a->type = "text/plain; charset=utf-8";
	buf_clear(&a->body);
	if (!buf_printf(&a->body, "%s\n", text))
		buf_clear(&a->body);
}

static void say_json(struct localapi_answer *a, int status, const char *text)
{
	a->kind = LOCALAPI_DONE;
	a->status = status;
	buf_clear(&a->body);
	if (!localapi_error_json(text, &a->body))
		buf_clear(&a->body);
}

static void checked(struct localapi_answer *a, bool ok)
{
	if (!ok)
		say(a, 500, "out of memory");
}

static void constant(struct call *c, const char *json)
{
	checked(c->a, buf_append(&c->a->body, json, strlen(json)));
}

static void act(struct call *c, enum localapi_act what, int status)
{
	c->a->kind = LOCALAPI_ACT;
	c->a->act = what;
	c->a->status = status;
}

/* --- reading --- */

static void get_status(struct call *c)
{
	char peers[8];
	bool with = true;

	if (http1_query_get(c->rq->query, "peers", peers, sizeof peers) &&
	    !bool_parse(bytes_str(peers), &with))
		with = true;
	checked(c->a, localapi_status_json(c->v, with, &c->a->body));
}

static void get_derpmap(struct call *c)
{
	checked(c->a, localapi_derpmap_json(node_netmap(c->v->node), &c->a->body));
}

static void get_metrics(struct call *c)
{
	c->a->type = "text/plain; version=0.0.4";
	checked(c->a, localapi_metrics(c->v, 1, &c->a->body));
}

static void get_netcheck(struct call *c)
{
	checked(c->a, localapi_netcheck_json(c->v, &c->a->body));
}

static void get_prefs(struct call *c)
{
	checked(c->a, state_prefs_json(c->v->state, c->v->self, &c->a->body) == 0);
}

static void get_whois(struct call *c)
{
	const struct netmap *nm = node_netmap(c->v->node);
	const struct netmap_node *who;
	struct key_pub key;
	struct ipport at;
	char addr[128];

	if (!http1_query_get(c->rq->query, "addr", addr, sizeof addr) || !*addr) {
		say(c->a, 400, "missing 'addr' parameter");
		return;
	}
	if (key_pub_parse(KEY_NODE, bytes_str(addr), &key)) {
		who = netmap_by_key(nm, &key);
	} else if (ipport_parse(bytes_str(addr), &at) || ip_parse(bytes_str(addr), &at.ip)) {
		who = netmap_by_ip(nm, &at.ip);
	} else {
		say(c->a, 400,
		    "invalid 'addr' parameter: wanted an address, address:port or nodekey");
		return;
	}
	if (!who || c->v->self->prefs.logged_out)
		say(c->a, 404, "no match for IP:port");
	else
		checked(c->a, localapi_whois_json(c->v, who, &c->a->body) == 0);
}

static void get_serve_config(struct call *c)
{
	char name[sizeof STATE_SERVE_PREFIX + STATE_PROFILE_ID_MAX];
	struct bytes json = bytes_str("{}");

	snprintf(name, sizeof name, STATE_SERVE_PREFIX "%s", c->v->self->profile);
	if (!state_get(c->v->state, name, &json) || json.len == 0)
		json = bytes_str("{}");
	checked(c->a, buf_append(&c->a->body, json.data, json.len));
}

static void watch(struct call *c)
{
	static const struct {
		unsigned mask, what;
	} initial[] = {
		{ LOCALAPI_WATCH_STATE, LOCALAPI_N_STATE | LOCALAPI_N_URL },
		{ LOCALAPI_WATCH_PREFS, LOCALAPI_N_PREFS },
		{ LOCALAPI_WATCH_NETMAP, LOCALAPI_N_NETMAP },
		{ LOCALAPI_WATCH_HEALTH, LOCALAPI_N_HEALTH },
		{ LOCALAPI_WATCH_STATUS, LOCALAPI_N_STATUS },
	};
	unsigned what = LOCALAPI_N_FIRST;
	uint64_t mask = 0;
	char text[24];

	if (http1_query_get(c->rq->query, "mask", text, sizeof text) && *text &&
	    (!text_u64(bytes_str(text), &mask) || mask > UINT32_MAX)) {
		say(c->a, 400, "bad mask");
		return;
	}
	c->a->kind = LOCALAPI_STREAM;
	c->a->mask = (unsigned)mask;
	for (size_t i = 0; i < ARRAY_LEN(initial); i++)
		if (mask & initial[i].mask)
			what |= initial[i].what;
	checked(c->a, localapi_notify(c->v, c->a->mask, what, NULL, &c->a->body));
}

static void ping(struct call *c)
{
	char ip[IP_TEXT], type[16], size[8];
	struct node_ping_result local = { 0 };
	uint64_t n = 0;

	if (!http1_query_get(c->rq->query, "ip", ip, sizeof ip) ||
	    !ip_parse(bytes_str(ip), &c->a->ip)) {
		say(c->a, 400, "invalid IP");
		return;
	}
	if (!http1_query_get(c->rq->query, "type", type, sizeof type) ||
	    strcmp(type, "disco") == 0) {
		c->a->ping = NODE_PING_DISCO;
	} else if (strcmp(type, "TSMP") == 0) {
		c->a->ping = NODE_PING_TSMP;
	} else if (strcmp(type, "ICMP") == 0) {
		c->a->ping = NODE_PING_ICMP;
	} else {
		say(c->a, 400, "unsupported type of ping: disco, TSMP or ICMP");
		return;
	}
	if (http1_query_get(c->rq->query, "size", size, sizeof size) && *size &&
	    (!text_u64(bytes_str(size), &n) || n > LOCALAPI_PING_SIZE_MAX)) {
		say(c->a, 400, "invalid 'size' parameter");
		return;
	}
	c->a->size = (size_t)n;
	for (int v6 = 0; v6 < 2; v6++) {
		struct ip own;

		if (node_ip(c->v->node, v6, &own) && ip_eq(&own, &c->a->ip)) {
			struct jsonw w;

			jsonw_init(&w, &c->a->body);
			jsonw_obj(&w);
			jsonw_kstr(&w, "IP", ip);
			jsonw_kstr(&w, "Err", "that is this node's own address");
			jsonw_kbool(&w, "IsLocalIP", true);
			jsonw_obj_end(&w);
			checked(c->a, jsonw_ok(&w));
			return;
		}
	}
	if (!netmap_by_ip(node_netmap(c->v->node), &c->a->ip) &&
	    !node_routes(c->v->node, &c->a->ip)) {
		local.error = "no matching peer";
		checked(c->a, localapi_ping_json(c->v, &c->a->ip, &local, &c->a->body));
		return;
	}
	c->a->kind = LOCALAPI_PING;
}

/* --- changing --- */

/* What this version cannot do, when the new preferences ask for it and the old ones did not. NULL:
 * fine. */
static const char *unable(const struct prefs *old, const struct prefs *p)
{
	if (p->run_ssh && !old->run_ssh)
		return "this program has no SSH server";
	if (p->run_web_client && !old->run_web_client)
		return "this program has no web interface";
	if (strncmp(p->control_url, "https://", 8) != 0 &&
	    strncmp(p->control_url, "http://", 7) != 0)
		return "the control server's URL begins with https:// or http://";
	return NULL;
}

static void patch_prefs(struct call *c)
{
	const char *why;
	struct err e = { 0 };

	c->a->prefs = c->v->self->prefs;
	if (prefs_patch(&c->a->prefs, c->rq->body, &e) < 0) {
		say_json(c->a, 400, e.text);
	} else if ((why = unable(&c->v->self->prefs, &c->a->prefs))) {
		say_json(c->a, 400, why);
	} else {
		act(c, LOCALAPI_SET_PREFS, 200);
		c->a->wants_prefs = true;
	}
}

static void check_prefs(struct call *c)
{
	struct prefs *p = &c->a->prefs;
	const char *why = NULL;
	struct err e = { 0 };
	struct jsonw w;

	*p = c->v->self->prefs;
	if (prefs_parse(p, c->rq->body, &e) < 0)
		why = e.text;
	else
		why = unable(&c->v->self->prefs, p);
	jsonw_init(&w, &c->a->body);
	jsonw_obj(&w);
	if (why)
		jsonw_kstr(&w, "Error", why);
	jsonw_obj_end(&w);
	checked(c->a, jsonw_ok(&w));
}

/* {"UpdatePrefs":{...},"AuthKey":"..."}; others of its members concern ways of starting that do not
 * exist here */
static void start(struct call *c)
{
	struct json j = json_of(c->rq->body);
	struct bytes key, raw = { 0 };
	const char *why;
	struct err e = { 0 };

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "UpdatePrefs"))
			raw = json_raw(&j);
		else if (json_key_is(key, "AuthKey"))
			(void)json_str(&j, c->a->auth_key, sizeof c->a->auth_key);
		else
			json_skip(&j);
	}
	c->a->prefs = c->v->self->prefs;
	if (c->rq->body.len > 0 && !json_done(&j))
		say_json(c->a, 400, "malformed options");
	else if (raw.len > 0 && prefs_parse(&c->a->prefs, raw, &e) < 0)
		say_json(c->a, 400, e.text);
	else if ((why = unable(&c->v->self->prefs, &c->a->prefs)))
		say_json(c->a, 400, why);
	else
		act(c, LOCALAPI_START, 204);
}

static void login_interactive(struct call *c)
{
	act(c, LOCALAPI_LOGIN, 204);
}

static void logout(struct call *c)
{
	act(c, LOCALAPI_LOGOUT, 204);
}

static void debug(struct call *c)
{
	char action[32];

	if (!http1_query_get(c->rq->query, "action", action, sizeof action))
		say(c->a, 400, "missing 'action' parameter");
	else if (strcmp(action, "rebind") == 0 || strcmp(action, "restun") == 0)
		act(c, LOCALAPI_REBIND, 200);
	else
		say(c->a, 400, "no such action: rebind, restun");
}

static void set_serve_config(struct call *c)
{
	struct json j = json_of(c->rq->body);
	struct bytes key, raw;
	bool empty = true;

	json_obj(&j);
	while (json_key(&j, &key)) {
		raw = json_raw(&j);
		empty = empty && (bytes_eq_str(raw, "null") || bytes_eq_str(raw, "{}"));
	}
	if (!json_done(&j))
		say_json(c->a, 400, "malformed serve configuration");
	else if (!empty)
		say_json(c->a, 501, "serve is not supported by this version");
}

static void no_warning(struct call *c)
{
	constant(c, "{\"Warning\":\"\"}");
}

static void so_mark(struct call *c)
{
	constant(c, "{\"UseSOMark\":false}");
}

static void query_feature(struct call *c)
{
	constant(c, "{\"Complete\":true}");
}

static void ignore(struct call *c)
{
	c->a->status = 200;
}

static const struct endpoint {
	const char *method, *path;
	bool writes;
	void (*fn)(struct call *c);
} endpoints[] = {
	{ "GET", "status", false, get_status },
	{ "POST", "ping", false, ping },
	{ "GET", "whois", false, get_whois },
	{ "GET", "prefs", false, get_prefs },
	{ "PATCH", "prefs", true, patch_prefs },
	{ "POST", "check-prefs", true, check_prefs },
	{ "GET", "derpmap", false, get_derpmap },
	{ "GET", "watch-ipn-bus", false, watch },
	{ "POST", "start", true, start },
	{ "POST", "login-interactive", true, login_interactive },
	{ "POST", "logout", true, logout },
	{ "GET", "usermetrics", false, get_metrics },
	{ "GET", "metrics", false, get_metrics },
	{ "GET", "netcheck", false, get_netcheck }, /* ours */
	{ "GET", "serve-config", false, get_serve_config },
	{ "POST", "serve-config", true, set_serve_config },
	{ "GET", "check-ip-forwarding", false, no_warning },
	{ "GET", "check-udp-gro-forwarding", false, no_warning },
	{ "GET", "check-so-mark-in-use", false, so_mark },
	{ "POST", "query-feature", false, query_feature },
	{ "POST", "upload-client-metrics", false, ignore },
	{ "POST", "debug", true, debug },
};

static void dispatch(struct call *c, struct bytes path)
{
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		const struct endpoint *ep = &endpoints[i];

		if (!bytes_eq_str(path, ep->path))
			continue;
		known = true;
		if (!bytes_eq_str(c->rq->method, ep->method))
			continue;
		if (ep->writes && !c->rq->may_write)
			say(c->a, 403,
			    "access denied: only root, the user that runs this program and its "
			    "operator may change it");
		else
			ep->fn(c);
		return;
	}
	say(c->a, known ? 405 : 404, known ? "method not allowed" : "not found");
}

void localapi_handle(const struct localapi_view *v, const struct localapi_request *rq,
		     struct localapi_answer *a)
{
	const size_t prefix = sizeof PREFIX - 1;
	struct call c = { v, rq, a };

	if (rq->host.len > 0 && !bytes_eq_str(rq->host, LOCALAPI_HOST))
		say(a, 403, "invalid host");
	else if (rq->has_origin)
		say(a, 403, "requests from web pages are refused");
	else if (rq->path.len < prefix || memcmp(rq->path.data, PREFIX, prefix) != 0)
		say(a, 404, "not found");
	else
		dispatch(&c, bytes_of(rq->path.data + prefix, rq->path.len - prefix));
}
