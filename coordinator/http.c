/* coordinator/http.c - which request gets what: pages for people, probes, the API, and the two
 * upgrades */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/version.h"
#include "coordinator/serve_priv.h"
#include "coordinator/verify.h"
#include "derp/http.h"

static void answer(struct conn *c, int status, const char *type, struct bytes body)
{
	if (!http1_emit_answer(&c->out, status, type, body, c->must_close))
		conn_end(c);
	else if (bytes_eq_str(c->h.method, "HEAD")) /* RFC 9110 9.3.2: its length, and no body */
		c->out.len -= body.len;
}

static void answer_text(struct conn *c, int status, const char *text)
{
	answer(c, status, "text/plain; charset=utf-8", bytes_str(text));
}

static bool limited(struct conn *c, struct ratelimit *r)
{
	if (c->is_local || ratelimit_take(r, loop_now(c->s->loop), &c->from.ip))
		return false;
	c->s->count.limited++;
	answer_text(c, 429, "too many requests from this address\n");
	return true;
}

/* --- upgrades --- */

static void control(struct conn *c)
{
	struct bytes text = http1_get(&c->h, "X-Tailscale-Handshake");
	uint8_t init[NOISE_INIT_LEN];
	size_t len = 0;
	int ret;

	if (limited(c, &c->s->handshakes))
		return;
	if (!http1_is_upgrade(&c->h, "tailscale-control-protocol") ||
	    !base64_parse(text, BASE64_STD, init, sizeof init, &len) || len != sizeof init) {
		c->s->count.bad_requests++;
		c->must_close = true;
		answer_text(c, 400, "this is the control protocol of a tailnet, version TS2021\n");
		return;
	}
	ret = tailnet_open(c->s->t, loop_now(c->s->loop), init, &c->from, &c->session);
	if (ret != 0) {
		c->s->count.bad_requests += ret == -EPROTO;
		c->must_close = true;
		answer_text(c, ret == -EPROTO ? 400 : 503,
			    ret == -EPROTO ? "the handshake is not for this server's key\n"
					   : "too many connections\n");
		return;
	}
	if (!conn_index(&c->s->by_session, &c->s->cap_session, c->session.index, c)) {
		tailnet_closed(c->s->t, loop_now(c->s->loop), loop_wall(), c->session);
		conn_end(c);
		return;
	}
	c->mode = CONN_CONTROL;
}

static void relay(struct conn *c, bool fast_start, bool is_websocket)
{
	int ret = derp_server_open(c->s->relay.derp, loop_now(c->s->loop), &c->from, fast_start,
				   &c->derp);

	if (is_websocket && ret == 0 && !(c->ws = calloc(1, sizeof *c->ws))) {
		derp_server_close(c->s->relay.derp, loop_now(c->s->loop), c->derp);
		ret = -ENOMEM;
	}
	c->s->count.websockets += is_websocket && ret == 0;
	if (ret != 0 && is_websocket) { /* the head of another answer has been written */
		conn_end(c);
		return;
	}
	if (ret != 0) {
		c->must_close = true;
		answer_text(c, 503, "the relay is full\n");
		return;
	}
	if (!conn_index(&c->s->by_derp, &c->s->cap_derp, c->derp.index, c)) {
		derp_server_close(c->s->relay.derp, loop_now(c->s->loop), c->derp);
		conn_end(c);
		return;
	}
	c->mode = CONN_DERP;
}

/* --- small answers --- */

static void key(struct conn *c, struct bytes query)
{
	struct buf out;
	char text[24];
	uint64_t version;

	if (!http1_query_get(query, "v", text, sizeof text) ||
	    !text_u64(bytes_str(text), &version)) {
		c->s->count.bad_requests++;
		answer_text(c, 400, "missing capability version (?v=)\n");
		return;
	}
	buf_init(&out, 4096);
	if (tailnet_key_answer(c->s->t, &out) == 0)
		answer(c, 200, "application/json", buf_bytes(&out));
	else
		conn_end(c);
	buf_fini(&out);
}

/* A relay elsewhere asks whether it may serve this node (data-plane.md 3.4). */
static void verify(struct conn *c, struct bytes body)
{
	const struct tailnet_node *n;
	struct key_pub node;

	if (!verify_question_parse(body, &node)) {
		c->s->count.bad_requests++;
		answer_text(c, 400, "malformed request\n");
		return;
	}
	n = tailnet_node_by_key(c->s->t, &node);
	answer(c, 200, "application/json",
	       verify_verdict(n && n->approved && !tailnet_node_expired(n, loop_wall())));
}

static void health(struct conn *c)
{
	bool ok = !c->s->store || store_ok(c->s->store);

	answer(c, ok ? 200 : 500, "application/health+json",
	       bytes_str(ok ? "{\"status\":\"pass\"}" : "{\"status\":\"fail\"}"));
}

static void version(struct conn *c)
{
	answer(
	    c, 200, "application/json",
	    bytes_str("{\"version\":\"" TAILPOD_VERSION "\",\"server\":\"tailpod coordinator\"}"));
}

static void bootstrap_dns(struct conn *c)
{
	const char *host = c->s->conf->derp_host;
	struct buf out;
	struct jsonw w;
	struct ip a;

	buf_init(&out, 4096);
	jsonw_init(&w, &out);
	jsonw_obj(&w);
	if (ip_parse(bytes_str(host), &a)) {
		jsonw_key(&w, host);
		jsonw_arr(&w);
		jsonw_str(&w, host);
		jsonw_arr_end(&w);
	}
	jsonw_obj_end(&w);
	answer(c, 200, "application/json", buf_bytes(&out));
	buf_fini(&out);
}

/* --- pages --- */

static bool is_login(struct bytes id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!((id.data[i] >= 'a' && id.data[i] <= 'z') ||
		      (id.data[i] >= 'A' && id.data[i] <= 'Z') ||
		      (id.data[i] >= '0' && id.data[i] <= '9') || id.data[i] == '-' ||
		      id.data[i] == '_'))
			return false;
	return id.len > 0 && id.len <= 64;
}

static bool html_text(struct buf *b, const char *s)
{
	bool ok = true;

	for (; *s && ok; s++) {
		if (strchr("<>&\"'", *s))
			ok = buf_printf(b, "&#%d;", *s);
		else
			ok = buf_append(b, s, 1);
	}
	return ok;
}

static void register_page(struct conn *c, struct bytes id)
{
	char login[80], host[TAILNET_NAME_MAX];
	struct buf page;
	bool ok;

	if (!is_login(id) || !bytes_to_str(id, login, sizeof login) ||
	    !tailnet_login_waits(c->s->t, loop_now(c->s->loop), login, host)) {
		answer_text(c, 404,
			    "No login waits under this name. Logins wait for 15 minutes: start it "
			    "again on the node.\n");
		return;
	}
	buf_init(&page, 16384);
	ok = buf_printf(&page, "<!doctype html><meta charset=utf-8><title>Approve a node</title>"
			       "<body style='font-family:sans-serif;max-width:44em;margin:3em "
			       "auto'><h1>A node wants to join</h1><p>It calls itself <b>");
	ok = ok && html_text(&page, host[0] ? host : "(no name)");
	ok = ok &&
	     buf_printf(
		 &page,
		 "</b>. If that is yours, run this where the coordinator runs:</p>"
		 "<pre>coordinator login approve %s --user USER</pre>"
		 "<p>Users are listed by <code>coordinator users list</code>. If it is not yours: "
		 "<code>coordinator login reject %s</code>.</p>",
		 login, login);
	if (ok)
		answer(c, 200, "text/html; charset=utf-8", buf_bytes(&page));
	else
		conn_end(c);
	buf_fini(&page);
}

static void index_page(struct conn *c)
{
	if (!c->s->t) {
		answer_text(c, 200, "This is a Tailpod relay (DERP) of a tailnet.\n");
		return;
	}
	answer_text(c, 200,
		    "This is a Tailpod coordinator: the control server of a tailnet.\n"
		    "Join it with: tailscale up --login-server=THIS-URL\n");
}

/* --- API --- */

static struct api_request request_of(struct conn *c, const struct http1_target *t,
				     struct bytes body)
{
	return (struct api_request){ .method = c->h.method,
				     .path = t->path,
				     .query = t->query,
				     .authorization = http1_get(&c->h, "Authorization"),
				     .body = body,
				     .now = loop_now(c->s->loop),
				     .wall = loop_wall(),
				     .is_local = c->is_local,
				     .uid = c->uid,
				     .from = c->from };
}

static void api(struct conn *c, const struct http1_target *t, struct bytes body)
{
	struct api_request r = request_of(c, t, body);
	bool may = api_authorized(&c->s->api, &r);
	struct buf out;
	unsigned status;

	if (limited(c, r.by != API_NO_KEY ? &c->s->api_calls : &c->s->api_strangers))
		return;
	if (!may) {
		c->s->count.unauthorized++;
		answer_text(c, 401, "Unauthorized");
		return;
	}
	buf_init(&out, API_ANSWER_MAX);
	status = api_handle(&c->s->api, &r, &out);
	c->s->count.api_refused += status >= 400;
	answer(c, (int)status, "application/json", buf_bytes(&out));
	buf_fini(&out);
}

size_t http_body_max(struct conn *c, int *status)
{
	struct bytes api = bytes_str("/api/");
	struct http1_target t;
	struct api_request r;

	*status = 413;
	if (c->is_local)
		return API_BODY_MAX;
	if (!c->s->t || !http1_target_parse(c->h.method, c->h.target, &t) || t.path.len < api.len ||
	    !bytes_eq(bytes_of(t.path.data, api.len), api))
		return CONN_STRANGER_BODY;
	r = request_of(c, &t, bytes_of(NULL, 0));
	if (api_authorized(&c->s->api, &r) && r.by != API_NO_KEY)
		return API_BODY_MAX;
	*status = 401;
	return CONN_STRANGER_BODY;
}

/* Does a proxy say that it passes this on for somebody? */
static bool is_passed_on(const struct http1_head *h)
{
	static const char *const names[] = { "Forwarded", "Via", "X-Real-IP" };
	struct bytes begin = bytes_str("X-Forwarded-");

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (http1_get(h, names[i]).data)
			return true;
	for (size_t i = 0; i < h->n_fields; i++) {
		struct bytes name = h->field[i].name;

		if (name.len > begin.len && bytes_caseeq(bytes_of(name.data, begin.len), begin))
			return true;
	}
	return false;
}

/* Somebody on this host, for all that can be told */
static bool is_from_here(const struct conn *c)
{
	return c->is_local || (ip_is_loopback(&c->from.ip) && !is_passed_on(&c->h) &&
			       !config_behind_proxy(c->s->conf));
}

static void metrics(struct conn *c, const struct http1_target *t)
{
	struct api_request r = request_of(c, t, bytes_of(NULL, 0));
	struct buf out;

	if (!c->is_metrics && !is_from_here(c) && !api_authorized(&c->s->api, &r)) {
		answer_text(c, 401, "Unauthorized");
		return;
	}
	buf_init(&out, 1 << 20);
	if (metrics_emit(c->s, &out) == 0)
		answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&out));
	else
		conn_end(c);
	buf_fini(&out);
}

/* --- dispatch --- */

static bool starts(struct bytes path, const char *prefix, struct bytes *rest)
{
	size_t n = strlen(prefix);

	if (path.len < n || memcmp(path.data, prefix, n) != 0)
		return false;
	*rest = bytes_of(path.data + n, path.len - n);
	return true;
}

/* What a relay alone has besides relaying, and what the door for metrics has at all. */
static void few(struct conn *c, const struct http1_target *t, bool get)
{
	if (!get)
		answer_text(c, 405, "method not allowed\n");
	else if (bytes_eq_str(t->path, "/health"))
		health(c);
	else if (bytes_eq_str(t->path, "/metrics"))
		metrics(c, t);
	else if (!c->is_metrics && bytes_eq_str(t->path, "/version"))
		version(c);
	else if (!c->is_metrics && bytes_eq_str(t->path, "/bootstrap-dns"))
		bootstrap_dns(c);
	else if (!c->is_metrics && bytes_eq_str(t->path, "/"))
		index_page(c);
	else
		answer_text(c, 404, "404 page not found\n");
}

static void dispatch(struct conn *c, const struct http1_target *t, struct bytes body)
{
	bool get = bytes_eq_str(c->h.method, "GET") || bytes_eq_str(c->h.method, "HEAD"),
	     post = bytes_eq_str(c->h.method, "POST");
	struct bytes rest;

	if (c->is_metrics || !c->s->t)
		few(c, t, get);
	else if (starts(t->path, "/api/", &rest))
		api(c, t, body);
	else if (post && bytes_eq_str(t->path, "/ts2021"))
		control(c);
	else if (post && bytes_eq_str(t->path, "/verify"))
		verify(c, body);
	else if (!get)
		answer_text(c, 405, "method not allowed\n");
	else if (bytes_eq_str(t->path, "/key"))
		key(c, t->query);
	else if (bytes_eq_str(t->path, "/health"))
		health(c);
	else if (bytes_eq_str(t->path, "/version"))
		version(c);
	else if (bytes_eq_str(t->path, "/bootstrap-dns"))
		bootstrap_dns(c);
	else if (bytes_eq_str(t->path, "/metrics"))
		metrics(c, t);
	else if (starts(t->path, "/register/", &rest))
		register_page(c, rest);
	else if (bytes_eq_str(t->path, "/"))
		index_page(c);
	else
		answer_text(c, 404, "404 page not found\n");
}

void http_request(struct conn *c, struct bytes body)
{
	struct http1_target t;
	bool fast_start;

	if (c->s->relay.derp && !c->is_metrics) {
		switch (derp_http_request(&c->h, &c->out, &fast_start)) {
		case DERP_HTTP_OTHER:
			break;
		case DERP_HTTP_ANSWERED:
			return;
		case DERP_HTTP_UPGRADE:
			relay(c, fast_start, false);
			return;
		case DERP_HTTP_WEBSOCKET:
			relay(c, true, true);
			return;
		case DERP_HTTP_FULL:
			conn_end(c);
			return;
		}
	}
	if (!http1_target_parse(c->h.method, c->h.target, &t) ||
	    (t.form != HTTP1_ORIGIN && t.form != HTTP1_ABSOLUTE)) {
		c->s->count.bad_requests++;
		c->must_close = true;
		answer_text(c, 400, "malformed target\n");
		return;
	}
	dispatch(c, &t, body);
}
