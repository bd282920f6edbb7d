/* host/endpoints.c - see endpoints.h */
#include "host/endpoints.h"

#include <errno.h>
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

static void healthz(struct endpoints *p, struct httpd_call *c)
{
	enum node_state state = node_state(host_node(p->conf.host));
	struct httpd_field extra[2];
	size_t n = 0;
	struct ip ip;

	if (state == NODE_NEEDS_APPROVAL || state == NODE_NEEDS_LOGIN) { /* addresses of no use */
		text(c, 503,
		     bytes_str(state == NODE_NEEDS_LOGIN ? "node needs to log in\n"
							 : "node waits for approval\n"));
		return;
	}
	if (!node_ip(host_node(p->conf.host), false, &ip) &&
	    !node_ip(host_node(p->conf.host), true, &ip)) {
		text(c, 503, bytes_str("node currently has no tailscale IPs\n"));
		return;
	}
	if (*p->conf.pod_ip4)
		extra[n++] = (struct httpd_field){ "Pod-IPv4", p->conf.pod_ip4 };
	if (*p->conf.pod_ip6)
		extra[n++] = (struct httpd_field){ "Pod-IPv6", p->conf.pod_ip6 };
	httpd_answer(c, 200, "text/plain; charset=utf-8", extra, n, bytes_str("ok"));
}

static void readyz(struct endpoints *p, struct httpd_call *c)
{
	const struct node *node = host_node(p->conf.host);
	const char *reasons[REASONS_MAX];
	size_t n = node_health(node, reasons, ARRAY_LEN(reasons));
	struct buf body;
	bool ok = true;

	if (node_state(node) == NODE_RUNNING) {
		text(c, 200, bytes_str("ok"));
		return;
	}
	buf_init(&body, ANSWER_MAX);
	ok = buf_printf(&body, "not ready: state is %s\n", node_state_names[node_state(node)]);
	for (size_t i = 0; ok && i < MIN_OF(n, ARRAY_LEN(reasons)); i++)
		ok = buf_printf(&body, "%s\n", reasons[i]);
	text(c, 503, buf_bytes(&body));
	buf_fini(&body);
}

static void metrics(struct endpoints *p, struct httpd_call *c)
{
	struct localapi_view v = { .now = loop_now(host_loop(p->conf.host)), .wall = loop_wall() };
	struct buf body;
	bool ok;

	p->conf.view(p->conf.ctx, &v);
	buf_init(&body, ANSWER_MAX);
	ok = localapi_metrics(&v, &body) && (!p->conf.extra || p->conf.extra(p->conf.ctx, &body));
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
	struct httpd_conf hc = { .loop = host_loop(conf->host),
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
