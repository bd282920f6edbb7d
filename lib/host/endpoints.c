/* host/endpoints.c - see endpoints.h */
#include "host/endpoints.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/httpd.h"
#include "os/loop.h"

enum { ANSWER_MAX = 1 << 20, REASONS_MAX = 16 };

struct endpoints {
	struct endpoints_conf conf;
	struct httpd *httpd;
};

static void text(struct httpd_call *c, int status, struct bytes body)
{
	httpd_answer(c, status, "text/plain; charset=utf-8", NULL, 0, body);
}

static void livez(struct endpoints *p, struct httpd_call *c)
{
	(void)p;
	text(c, 200, bytes_str("ok"));
}

/* Why the node has no address that is of use; NULL: it has. */
static const char *no_address(const struct endpoints_node *x)
{
	struct ip ip;

	if (!x->host)
		return x->why;
	switch (node_state(host_node(x->host))) { /* addresses of no use */
	case NODE_NEEDS_LOGIN:
		return "node needs to log in";
	case NODE_NEEDS_APPROVAL:
		return "node waits for approval";
	default:
		break;
	}
	return node_ip(host_node(x->host), false, &ip) || node_ip(host_node(x->host), true, &ip)
		   ? NULL
		   : "node currently has no tailscale IPs";
}

static bool line(struct buf *out, const struct endpoints_node *x, const char *text)
{
	return buf_printf(out, "%s%s%s\n", x->name, *x->name ? ": " : "", text);
}

static void healthz(struct endpoints *p, struct httpd_call *c)
{
	struct httpd_field extra[2];
	struct endpoints_node x;
	struct buf body;
	size_t n = 0;
	bool ok = true;

	buf_init(&body, ANSWER_MAX);
	for (size_t i = 0; ok && p->conf.node(p->conf.ctx, i, &x); i++) {
		const char *why = no_address(&x);

		ok = !why || line(&body, &x, why);
	}
	if (!ok || body.len > 0) { /* also when a reason finds no room */
		text(c, 503, buf_bytes(&body));
		buf_fini(&body);
		return;
	}
	buf_fini(&body);
	if (*p->conf.pod_ip4)
		extra[n++] = (struct httpd_field){ "Pod-IPv4", p->conf.pod_ip4 };
	if (*p->conf.pod_ip6)
		extra[n++] = (struct httpd_field){ "Pod-IPv6", p->conf.pod_ip6 };
	httpd_answer(c, 200, "text/plain; charset=utf-8", extra, n, bytes_str("ok"));
}

static bool not_ready(struct buf *out, const struct endpoints_node *x)
{
	const char *reasons[REASONS_MAX];
	char state[64];
	size_t n;
	bool ok;

	if (!x->host)
		return line(out, x, x->why);
	if (node_state(host_node(x->host)) == NODE_RUNNING)
		return true;
	n = node_health(host_node(x->host), reasons, ARRAY_LEN(reasons));
	snprintf(state, sizeof state, "not ready: state is %s",
		 node_state_names[node_state(host_node(x->host))]);
	ok = line(out, x, state);
	for (size_t i = 0; ok && i < MIN_OF(n, ARRAY_LEN(reasons)); i++)
		ok = line(out, x, reasons[i]);
	return ok;
}

static void readyz(struct endpoints *p, struct httpd_call *c)
{
	struct endpoints_node x;
	struct buf body;
	bool ok = true;

	buf_init(&body, ANSWER_MAX);
	for (size_t i = 0; ok && p->conf.node(p->conf.ctx, i, &x); i++)
		ok = not_ready(&body, &x);
	if (ok && body.len == 0)
		text(c, 200, bytes_str("ok"));
	else
		text(c, 503, buf_bytes(&body));
	buf_fini(&body);
}

static void metrics(struct endpoints *p, struct httpd_call *c)
{
	struct localapi_view v[ENDPOINTS_NODES_MAX];
	struct endpoints_node x;
	struct buf body;
	size_t n = 0;
	bool ok;

	for (size_t i = 0; n < ARRAY_LEN(v) && p->conf.node(p->conf.ctx, i, &x); i++) {
		if (!x.host)
			continue;
		v[n] = (struct localapi_view){ .now = loop_now(p->conf.loop), .wall = loop_wall() };
		p->conf.view(p->conf.ctx, i, &v[n]);
		v[n++].name = x.name;
	}
	buf_init(&body, ANSWER_MAX);
	ok = localapi_metrics(v, n, &body) && (!p->conf.extra || p->conf.extra(p->conf.ctx, &body));
	httpd_answer(c, ok ? 200 : 500, "text/plain; version=0.0.4; charset=utf-8", NULL, 0,
		     buf_bytes(&body));
	buf_fini(&body);
}

static const struct {
	const char *path;
	bool is_metrics;
	void (*fn)(struct endpoints *p, struct httpd_call *c);
} paths[] = {
	{ "/healthz", false, healthz },
	{ "/livez", false, livez },
	{ "/readyz", false, readyz },
	{ "/metrics", true, metrics },
};

static void handle(void *ctx, struct httpd_call *c, const struct httpd_request *rq)
{
	struct endpoints *p = ctx;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (!bytes_eq_str(rq->target.path, paths[i].path) ||
		    !(paths[i].is_metrics ? p->conf.metrics : p->conf.health))
			continue;
		if (bytes_eq_str(rq->head->method, "GET") || bytes_eq_str(rq->head->method, "HEAD"))
			paths[i].fn(p, c);
		else
			text(c, 405, bytes_str("method not allowed\n"));
		return;
	}
	text(c, 404, bytes_str("not found\n"));
}

struct endpoints *endpoints_new(const struct endpoints_conf *conf, struct err *e)
{
	struct endpoints *p = calloc(1, sizeof *p);
	struct httpd_conf hc = { .loop = conf->loop,
				 .addr = conf->addr,
				 .body_max = 4096,
				 .answer_max = ANSWER_MAX,
				 .fn = handle,
				 .ctx = p };

	if (!p) {
		err_set(e, ENOMEM, "health endpoints");
		return NULL;
	}
	p->conf = *conf;
	p->httpd = httpd_new(&hc, e);
	if (!p->httpd) {
		err_wrap(e, "health endpoints at %s", conf->addr);
		free(p);
		return NULL;
	}
	return p;
}

void endpoints_free(struct endpoints *p)
{
	if (!p)
		return;
	httpd_free(p->httpd);
	free(p);
}

uint16_t endpoints_port(const struct endpoints *p)
{
	return httpd_port(p->httpd);
}
