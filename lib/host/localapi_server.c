/* host/localapi_server.c - see localapi_server.h */
#include "host/localapi_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "host/httpd.h"
#include "host/localapi_dial.h"
#include "os/file.h"
#include "os/listen.h"
#include "os/loop.h"

enum { TOKEN_BASE = 1 };

struct watcher {
	struct localapi_server *server;
	struct watcher *next, *prev;
	struct httpd_call *call;
	unsigned mask;
};

struct call_ping {
	struct localapi_server *server;
	struct call_ping *next, *prev;
	struct httpd_call *call;
	struct ip ip;
	uint64_t token;
	struct loop_timer timer;
};

struct localapi_server {
	struct localapi_server_conf conf;
	struct httpd *httpd;
	struct host_pipes pipes; /* dialed to our own host */
	struct watcher *watchers;
	struct call_ping *pings;
	size_t n_watchers, n_pings;
	uint64_t next_token;
	char capability[12];
};

static struct localapi_view view(struct localapi_server *s)
{
	struct localapi_view v = { .now = loop_now(host_loop(s->conf.host)), .wall = loop_wall() };

	s->conf.ops->view(s->conf.ctx, &v);
	return v;
}

static void answer(struct localapi_server *s, struct httpd_call *c, int status, const char *type,
		   struct bytes body)
{
	const struct localapi_view v = view(s);
	const struct httpd_field extra[] = { { "Tailscale-Version", v.version },
					     { "Tailscale-Cap", s->capability } };

	httpd_answer(c, status, type, extra, ARRAY_LEN(extra), body);
}

/* --- watchers --- */

static void watcher_free(struct watcher *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		w->server->watchers = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->server->n_watchers--;
	free(w);
}

static void watcher_gone(void *ctx)
{
	watcher_free(ctx);
}

static void watch(struct localapi_server *s, struct httpd_call *c, const struct localapi_answer *a)
{
	const struct localapi_view v = view(s);
	const struct httpd_field extra[] = { { "Tailscale-Version", v.version },
					     { "Tailscale-Cap", s->capability } };
	struct watcher *w = s->n_watchers < LOCALAPI_WATCHERS_MAX ? calloc(1, sizeof *w) : NULL;

	if (!w) {
		answer(s, c, 503, "text/plain", bytes_str("too many watchers\n"));
		return;
	}
	*w = (struct watcher){ .server = s, .next = s->watchers, .call = c, .mask = a->mask };
	if (s->watchers)
		s->watchers->prev = w;
	s->watchers = w;
	s->n_watchers++;
	httpd_on_gone(c, watcher_gone, w);
	httpd_begin(c, 200, "application/json", extra, ARRAY_LEN(extra));
	if (!httpd_push(c, buf_bytes(&a->body)))
		watcher_free(w);
}

void localapi_server_notify(struct localapi_server *s, unsigned what, const char *text)
{
	struct watcher *w, *next;
	struct localapi_view v;
	struct buf line;

	if (!s || !s->watchers)
		return;
	v = view(s);
	buf_init(&line, LOCALAPI_ANSWER_MAX);
	for (w = s->watchers; w; w = next) {
		next = w->next;
		buf_clear(&line);
		if (!localapi_notify(&v, w->mask, what, text, &line)) {
			log_warn("localapi: out of memory while telling a watcher");
			continue;
		}
		if (!httpd_push(w->call, buf_bytes(&line)))
			watcher_free(w);
	}
	buf_fini(&line);
}

/* --- pings --- */

static void ping_free(struct call_ping *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		p->server->pings = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->server->n_pings--;
	loop_timer_fini(&p->timer);
	free(p);
}

static void ping_gone(void *ctx)
{
	ping_free(ctx);
}

static void ping_answer(struct call_ping *p, const struct node_ping_result *r)
{
	struct localapi_server *s = p->server;
	const struct localapi_view v = view(s);
	struct httpd_call *c = p->call;
	struct buf body;
	bool ok;

	buf_init(&body, 64 << 10);
	ok = localapi_ping_json(&v, &p->ip, r, &body);
	ping_free(p);
	answer(s, c, ok ? 200 : 500, "application/json", buf_bytes(&body));
	buf_fini(&body);
}

static void ping_late(void *ctx)
{
	struct call_ping *p = ctx;
	const struct node_ping_result r = {
		.token = p->token,
		.peer = netmap_by_ip(node_netmap(host_node(p->server->conf.host)), &p->ip),
		.error = "timed out"
	};

	ping_answer(p, &r);
}

static void ping(struct localapi_server *s, struct httpd_call *c, const struct localapi_answer *a)
{
	struct loop *loop = host_loop(s->conf.host);
	struct call_ping *p = s->n_pings < LOCALAPI_PINGS_MAX ? calloc(1, sizeof *p) : NULL;

	if (!p) {
		answer(s, c, 503, "text/plain", bytes_str("too many pings\n"));
		return;
	}
	*p = (struct call_ping){
		.server = s, .next = s->pings, .call = c, .ip = a->ip, .token = s->next_token++
	};
	if (s->pings)
		s->pings->prev = p;
	s->pings = p;
	s->n_pings++;
	loop_timer_init(loop, &p->timer, ping_late, p);
	loop_timer_set(&p->timer, mono_add(loop_now(loop), SPAN_S(LOCALAPI_PING_S)));
	httpd_on_gone(c, ping_gone, p);
	node_ping(host_node(s->conf.host), loop_now(loop), a->ping, &a->ip, p->token, a->size);
	host_kick(s->conf.host);
}

void localapi_server_pong(struct localapi_server *s, const struct node_ping_result *r)
{
	for (struct call_ping *p = s ? s->pings : NULL; p; p = p->next)
		if (p->token == r->token) {
			ping_answer(p, r);
			return;
		}
}

/* --- requests --- */

static void act(struct localapi_server *s, struct httpd_call *c, struct localapi_answer *a)
{
	const char *words = "failed";
	struct localapi_view v;
	int status = s->conf.ops->act(s->conf.ctx, a, &words);

	if (status != 0) {
		buf_clear(&a->body);
		if (!localapi_error_json(words, &a->body))
			buf_clear(&a->body);
		answer(s, c, status, a->type, buf_bytes(&a->body));
		return;
	}
	v = view(s);
	if (a->wants_prefs && state_prefs_json(v.state, v.self, &a->body) < 0)
		a->status = 500;
	answer(s, c, a->status, a->status == 204 ? NULL : a->type, buf_bytes(&a->body));
}

void localapi_server_set_operator(struct localapi_server *s, uid_t uid)
{
	s->conf.operator_uid = uid;
}

static bool may_write(const struct localapi_server *s, int fd)
{
	struct listen_peer peer;

	return listen_peer(fd, &peer) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid() ||
		(s->conf.operator_uid != (uid_t)-1 && peer.uid == s->conf.operator_uid));
}

static void handle(void *ctx, struct httpd_call *c, const struct httpd_request *rq)
{
	struct localapi_server *s = ctx;
	const struct localapi_view v = view(s);
	const struct localapi_request request = {
		.method = rq->head->method,
		.path = rq->target.path,
		.query = rq->target.query,
		.host = rq->head->host,
		.has_origin =
		    http1_get(rq->head, "Origin").data || http1_get(rq->head, "Referer").data,
		.may_write = may_write(s, rq->fd),
		.body = rq->body,
	};
	struct localapi_answer *a;

	if (bytes_eq_str(rq->target.path, "/localapi/v0/dial") && !request.has_origin &&
	    bytes_eq_str(request.host, LOCALAPI_HOST)) {
		localapi_dial(s->conf.host, &s->pipes, c, rq);
		return;
	}
	a = malloc(sizeof *a); /* it holds preferences: too much for a stack */
	if (!a) {
		answer(s, c, 500, NULL, bytes_of(NULL, 0));
		return;
	}
	localapi_answer_init(a);
	localapi_handle(&v, &request, a);
	switch (a->kind) {
	case LOCALAPI_DONE:
		answer(s, c, a->status, a->type, buf_bytes(&a->body));
		break;
	case LOCALAPI_STREAM:
		watch(s, c, a);
		break;
	case LOCALAPI_PING:
		ping(s, c, a);
		break;
	case LOCALAPI_ACT:
		act(s, c, a);
		break;
	}
	localapi_answer_fini(a);
	free(a);
}

struct localapi_server *localapi_server_new(const struct localapi_server_conf *conf, struct err *e)
{
	struct localapi_server *s = calloc(1, sizeof *s);
	struct httpd_conf hc = { .loop = host_loop(conf->host),
				 .unix_path = conf->path,
				 .mode = 0666,
				 .body_max = LOCALAPI_BODY_MAX,
				 .answer_max = LOCALAPI_ANSWER_MAX,
				 .fn = handle,
				 .ctx = s };

	if (!s) {
		err_set(e, ENOMEM, "local API");
		return NULL;
	}
	s->conf = *conf;
	s->next_token = TOKEN_BASE;
	snprintf(s->capability, sizeof s->capability, "%d", CONTROL_CAPABILITY_VERSION);
	s->httpd = httpd_new(&hc, e);
	if (!s->httpd) {
		free(s);
		return NULL;
	}
	return s;
}

void localapi_server_free(struct localapi_server *s)
{
	if (!s)
		return;
	httpd_free(s->httpd); /* watchers, pings and dials go with their calls */
	host_pipes_close(&s->pipes);
	free(s);
}
