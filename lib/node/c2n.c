/* node/c2n.c - see c2n.h */
#include "node/c2n.h"

#include "node/localapi_priv.h"
#include "wire/http1.h"

enum { C2N_BODY_MAX = 1 << 20, C2N_COMPONENT_MAX = 64, MAC_TEXT_MAX = 32, DOMAIN_MAX = 256 };

struct c2n {
	const struct localapi_view *v;
	const struct c2n_request *rq;
	int status;
	const char *type;
	struct buf body;
	bool ok;
};

static void say(struct c2n *c, int status, const char *text)
{
	c->status = status;
	c->type = "text/plain";
	buf_clear(&c->body);
	c->ok = buf_printf(&c->body, "%s\n", text);
}

static void constant(struct c2n *c, const char *json)
{
	c->type = "application/json";
	c->ok = buf_printf(&c->body, "%s\n", json);
}

static void not_implemented(struct c2n *c)
{
	say(c, 501, "not implemented");
}

static void flush_logs(struct c2n *c)
{
	say(c, 500, "no log flusher wired up");
}

static void socket_stats(struct c2n *c)
{
	say(c, 500, "no sockstatLogger");
}

static void get_prefs(struct c2n *c)
{
	c->type = "application/json";
	c->ok = state_prefs_json(c->v->state, c->v->self, &c->body) == 0;
}

static void get_metrics(struct c2n *c)
{
	c->type = "text/plain";
	c->ok = localapi_metrics(c->v, 1, &c->body);
}

static void component_logging(struct c2n *c)
{
	constant(c, "{\"Error\":\"components have no log levels of their own\"}");
}

static void netfilter_kind(struct c2n *c)
{
	say(c, 501, "this node changes no netfilter rules");
}

static void get_update(struct c2n *c)
{
	constant(c, "{\"Enabled\":false,\"Supported\":false,\"Started\":false}");
}

static void post_update(struct c2n *c)
{
	constant(c, "{\"Err\":\"not enabled\",\"Enabled\":false,\"Supported\":false,\"Started\":"
		    "false}");
}

static void posture(struct c2n *c)
{
	constant(c, "{\"PostureDisabled\":true}");
}

static void certificate(struct c2n *c)
{
	char domain[DOMAIN_MAX];

	if (!http1_query_get(c->rq->query, "domain", domain, sizeof domain))
		say(c, 400, "no 'domain'");
	else
		constant(c, "{\"Error\":\"no certificate\",\"Missing\":true}");
}

static void services(struct c2n *c)
{
	constant(c, "{\"ServicesHash\":\"\"}");
}

static void connector_routes(struct c2n *c)
{
	constant(c, "{\"Domains\":null}");
}

static bool is_mac(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (i % 3 == 2 ? s[i] != ':' && s[i] != '-'
			       : !strchr("0123456789abcdefABCDEF", s[i]))
			return false;
	return n == 17;
}

/* Frames to the link need privileges that this node does not have. */
static void wake(struct c2n *c)
{
	struct bytes rest = c->rq->query, key, value;
	bool any = false;

	while (http1_query_next(&rest, &key, &value)) {
		char mac[MAC_TEXT_MAX];
		size_t n;

		if (!bytes_eq_str(key, "mac"))
			continue;
		any = true;
		if (!http1_unescape(value, true, mac, sizeof mac, &n) || !is_mac(mac)) {
			say(c, 400, "bad 'mac' param");
			return;
		}
	}
	constant(c, any ? "{\"SentTo\":null,\"Errors\":[\"this node wakes nobody up\"]}"
			: "{\"SentTo\":null,\"Errors\":null}");
}

static void ssh_names(struct c2n *c)
{
	constant(c, "{\"Usernames\":null}");
}

static const struct c2n_path {
	const char *method, *path; /* method NULL: any */
	void (*fn)(struct c2n *c);
} paths[] = {
	{ "POST", "/logtail/flush", flush_logs },
	{ "POST", "/sockstats", socket_stats },
	{ NULL, "/debug/pprof/heap", not_implemented },
	{ NULL, "/debug/pprof/allocs", not_implemented },
	{ NULL, "/debug/goroutines", not_implemented },
	{ NULL, "/debug/logheap", not_implemented },
	{ NULL, "/debug/prefs", get_prefs },
	{ NULL, "/debug/metrics", get_metrics },
	{ NULL, "/debug/component-logging", component_logging },
	{ "POST", "/netfilter-kind", netfilter_kind },
	{ "GET", "/update", get_update },
	{ "POST", "/update", post_update },
	{ "GET", "/posture/identity", posture },
	{ "GET", "/tls-cert-status", certificate },
	{ "GET", "/vip-services", services },
	{ "GET", "/appconnector/routes", connector_routes },
	{ "POST", "/wol", wake },
	{ NULL, "/ssh/usernames", ssh_names },
};

static void dispatch(struct c2n *c)
{
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct c2n_path *p = &paths[i];

		if (!bytes_eq_str(c->rq->path, p->path))
			continue;
		known = true;
		if (!p->method || strcmp(c->rq->method, p->method) == 0) {
			p->fn(c);
			return;
		}
	}
	say(c, known ? 405 : 400, known ? "bad method" : "unknown c2n path");
}

bool c2n_answer(const struct localapi_view *v, const struct c2n_request *rq, struct buf *out)
{
	struct c2n c = { .v = v, .rq = rq, .status = 200, .ok = true };
	bool ok;

	buf_init(&c.body, C2N_BODY_MAX);
	dispatch(&c);
	if (!c.ok)
		say(&c, 500, "out of memory");
	ok = http1_emit_answer(out, c.status, c.type, buf_bytes(&c.body), false);
	buf_fini(&c.body);
	return ok;
}
