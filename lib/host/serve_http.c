/* host/serve_http.c - an HTTP connection of a peer: each request is answered by ourselves, a file,
 * or a back end */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "host/serve_priv.h"
#include "os/file.h"
#include "wire/encoded_word.h"

enum { USER_TEXT_MAX = 4096, LOCATION_MAX = 16384 };

struct web {
	struct serve_client c;
	struct httpproxy *http;
	struct http_end client, back;
	struct stream *dialing;
	struct loop_timer timer;
	mono_t due; /* of a head, of idleness, of closing; MONO_NEVER: none */
	int file;   /* what is sent instead of a back end's answer; -1: none */
	bool is_tls;
	bool asked;     /* a first request came */
	bool closing;   /* only output is left */
	bool tunnelled; /* both sides are to be joined once their output is sent */
};

static void run(struct web *w);

static void web_free(struct web *w)
{
	serve_client_del(&w->c);
	loop_timer_fini(&w->timer);
	stream_close(w->dialing);
	http_end_close(&w->client);
	http_end_close(&w->back);
	file_fd_close(&w->file);
	httpproxy_free(w->http);
	free(w);
}

static void web_drop(struct serve_client *c)
{
	web_free((struct web *)c);
}

/* Of a client that has sent its end nobody knows whether it waits for the answer or is gone: a back
 * end that says nothing has no longer for it than that. */
static bool web_owes(const struct serve_client *c)
{
	const struct web *w = (const struct web *)c;

	return w->client.has_ended || httpproxy_client_owes(w->http);
}

/* The end of what was granted, or the next look, whatever is sooner. */
static void wait_on(struct web *w)
{
	const mono_t now = loop_now(w->c.server->loop),
		     next = mono_add(now, SPAN_NS(w->c.server->conf.stall.ns / SERVE_LOOKS));

	loop_timer_set(&w->timer, mono_due(w->due, now) ? next : mono_min(w->due, next));
}

static void on_timer(void *ctx)
{
	struct web *w = ctx;
	/* an answer that is being read is no idleness */
	const bool reads =
	    w->asked && (httpproxy_to_client(w->http).len > 0 || serve_client_unread(&w->c));

	if (mono_due(w->due, loop_now(w->c.server->loop)) && !reads) {
		web_free(w);
	} else if (serve_client_stalled(&w->c)) {
		w->c.server->stat.stalled++;
		serve_client_cut(&w->c);
	} else {
		wait_on(w);
	}
}

/* 0: no limit but that of stalling */
static void arm(struct web *w, unsigned seconds)
{
	w->due = seconds ? mono_add(loop_now(w->c.server->loop), SPAN_S(seconds)) : MONO_NEVER;
	wait_on(w);
}

/* --- who asks --- */

/* Fields that go to the back end in place of what the client sent. */
struct fields {
	struct httpproxy_field v[12];
	size_t n;
	struct buf login, name;
	char from[IP_TEXT];
};

static void set(struct fields *f, const char *name, struct bytes value)
{
	f->v[f->n++] = (struct httpproxy_field){ name, value };
}

static bool identity(const struct web *w, struct fields *f)
{
	const struct netmap *nm = node_netmap(host_node(w->c.server->conf.host));
	const struct netmap_node *who = netmap_by_ip(nm, &w->c.remote.ip);
	const struct netmap_user *u = who && who->n_tags == 0 ? netmap_user(nm, who->user) : NULL;

	if (!u)
		return true;
	if (!encoded_word(&f->login, bytes_str(u->login)) ||
	    !encoded_word(&f->name, bytes_str(u->display)))
		return false;
	set(f, "Tailscale-User-Login", buf_bytes(&f->login));
	set(f, "Tailscale-User-Name", buf_bytes(&f->name));
	set(f, "Tailscale-User-Profile-Pic", bytes_str(u->picture ? u->picture : ""));
	set(f, "Tailscale-Headers-Info", bytes_str("https://tailscale.com/s/serve-headers"));
	return true;
}

static bool fields_make(struct fields *f, const struct web *w, struct bytes host)
{
	const struct bytes none = { 0 };

	f->n = 0;
	buf_init(&f->login, USER_TEXT_MAX);
	buf_init(&f->name, USER_TEXT_MAX);
	set(f, "Forwarded", none);
	set(f, "X-Forwarded-", none);
	set(f, "Tailscale-", none);
	set(f, "X-Forwarded-For", bytes_str(ip_text(&w->c.remote.ip, f->from)));
	set(f, "X-Forwarded-Host", host);
	set(f, "X-Forwarded-Proto", bytes_str(w->is_tls ? "https" : "http"));
	return identity(w, f);
}

static void fields_fini(struct fields *f)
{
	buf_fini(&f->login);
	buf_fini(&f->name);
}

/* --- answers of our own --- */

static void say(struct web *w, int status, const char *words)
{
	httpproxy_answer(w->http, status, "text/plain; charset=utf-8", NULL, 0, bytes_str(words));
}

/* ${HOST} and ${REQUEST_URI} in where a redirect leads */
static bool expand(struct buf *out, const char *text, const struct httpproxy_request *rq)
{
	while (*text) {
		const size_t n = strcspn(text, "$");

		if (!buf_append(out, text, n))
			return false;
		text += n;
		if (strncmp(text, "${HOST}", 7) == 0) {
			if (!buf_append(out, rq->host.data, rq->host.len))
				return false;
			text += 7;
		} else if (strncmp(text, "${REQUEST_URI}", 14) == 0) {
			if (!buf_append(out, rq->target.path.data, rq->target.path.len) ||
			    (rq->target.has_query && !buf_append(out, "?", 1)) ||
			    !buf_append(out, rq->target.query.data, rq->target.query.len))
				return false;
			text += 14;
		} else if (*text && !buf_append(out, text++, 1)) {
			return false;
		}
	}
	return true;
}

static void lead_to(struct web *w, int status, bool fits, struct bytes where)
{
	const struct httpproxy_field location = { "Location", where };

	if (fits)
		httpproxy_answer(w->http, status, NULL, &location, 1, bytes_str(""));
	else
		say(w, 414, "the address is too long\n");
}

static void redirect(struct web *w, int status, const char *to, const struct httpproxy_request *rq)
{
	struct buf out;
	bool fits;

	buf_init(&out, LOCATION_MAX);
	fits = expand(&out, to, rq);
	lead_to(w, status, fits, buf_bytes(&out));
	buf_fini(&out);
}

/* A directory's own address ends in a slash, else what its pages name beside them is not found. */
static void redirect_to_directory(struct web *w, const struct httpproxy_request *rq)
{
	const struct bytes query = rq->target.query;
	struct bytes path = rq->target.path;
	struct buf out;
	bool fits;

	while (path.len > 1 && path.data[1] == '/') /* "//name" would be another host */
		path = bytes_of(path.data + 1, path.len - 1);
	buf_init(&out, LOCATION_MAX);
	fits = buf_append(&out, path.data, path.len) && buf_append(&out, "/", 1) &&
	       (!rq->target.has_query ||
		(buf_append(&out, "?", 1) && buf_append(&out, query.data, query.len)));
	lead_to(w, 301, fits, buf_bytes(&out));
	buf_fini(&out);
}

/* --- files --- */

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {
		{ "html", "text/html; charset=utf-8" },
		{ "htm", "text/html; charset=utf-8" },
		{ "css", "text/css; charset=utf-8" },
		{ "js", "text/javascript; charset=utf-8" },
		{ "mjs", "text/javascript; charset=utf-8" },
		{ "json", "application/json" },
		{ "txt", "text/plain; charset=utf-8" },
		{ "xml", "text/xml; charset=utf-8" },
		{ "svg", "image/svg+xml" },
		{ "png", "image/png" },
		{ "jpg", "image/jpeg" },
		{ "jpeg", "image/jpeg" },
		{ "gif", "image/gif" },
		{ "webp", "image/webp" },
		{ "ico", "image/x-icon" },
		{ "pdf", "application/pdf" },
		{ "wasm", "application/wasm" },
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++)
		if (strcmp(dot + 1, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

/* The file that a path under a handler's names; a directory is its index.html. 0, or the status to
 * answer. */
static int open_file(struct web *w, const char *base, const char *below, bool slash, char *path,
		     size_t cap, struct stat *st)
{
	size_t n = strlen(base);

	while (n > 1 && base[n - 1] == '/')
		n--;
	if ((size_t)snprintf(path, cap, "%.*s%s", (int)n, base, below[1] ? below : "") >= cap)
		return 414;
	for (int i = 0; i < 2; i++) {
		const size_t len = strlen(path);

		w->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (w->file < 0 || fstat(w->file, st) < 0)
			break;
		if (S_ISREG(st->st_mode))
			return slash && i == 0 ? 404 : 0; /* "file/" is none */
		if (!S_ISDIR(st->st_mode) || i == 1)
			break;
		if (!slash)
			return 301;
		file_fd_close(&w->file);
		if ((size_t)snprintf(path + len, cap - len, "/index.html") >= cap - len)
			return 414;
	}
	return errno == EACCES && w->file < 0 ? 403 : 404;
}

/* A file is a back end that speaks the head that is made here. */
static void send_file(struct web *w, const char *path, const struct stat *st)
{
	const struct httpproxy_route route = { .target = bytes_str("/"),
					       .host = bytes_str("localhost") };
	int n;

	if (!httpproxy_route(w->http, &route))
		return;
	httpproxy_dialed(w->http, 0, "");
	httpproxy_backend_sent(w->http, httpproxy_to_backend(w->http).len);
	if (!http_end_attach(&w->back, NULL)) {
		file_fd_close(&w->file);
		httpproxy_backend_end(w->http); /* no answer: 502 */
		return;
	}
	n = snprintf((char *)w->back.rx, HTTP_END_BUFFER,
		     "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %llu\r\n\r\n",
		     type_of(path), (unsigned long long)st->st_size);
	w->back.len = (size_t)n;
}

static void pump_file(struct web *w)
{
	for (;;) {
		ssize_t n;

		http_end_offer(&w->back);
		if (w->file < 0 || !w->back.rx || w->back.len > 0 || w->back.has_ended)
			return;
		n = read(w->file, w->back.rx, HTTP_END_BUFFER);
		if (n > 0)
			w->back.len = (size_t)n;
		else
			w->back.has_ended =
			    true; /* shorter than it was: the client sees a torn body */
	}
}

static void answer_file(struct web *w, const struct serve_handler *h,
			const struct httpproxy_request *rq, struct bytes rest)
{
	static const char *const methods[] = { "GET", "HEAD" };
	char *path = malloc(SERVE_TARGET_MAX), *text = malloc(HTTP1_TARGET_MAX + 1),
	     *clean = malloc(HTTP1_TARGET_MAX + 2);
	const bool slash = rq->target.path.data[rq->target.path.len - 1] == '/';
	struct stat st;
	size_t len;
	int status = 500;

	if (!bytes_eq_str(rq->head->method, methods[0]) &&
	    !bytes_eq_str(rq->head->method, methods[1])) {
		status = 405;
	} else if (path && text && clean) {
		status = 404;
		if (http1_unescape(rest, false, text, HTTP1_TARGET_MAX + 1, &len)) {
			serve_clean_path(text, clean);
			status = open_file(w, h->value, clean, slash && rest.len > 0, path,
					   SERVE_TARGET_MAX, &st);
		}
	}
	if (status != 0)
		file_fd_close(&w->file);
	if (status == 0)
		send_file(w, path, &st);
	else if (status == 301)
		redirect_to_directory(w, rq);
	else
		say(w, status, http1_reason(status));
	free(path);
	free(text);
	free(clean);
}

/* --- back ends --- */

static void dial_open(void *ctx)
{
	struct web *w = ctx;
	struct stream *s = w->dialing;

	w->dialing = NULL;
	stream_keepalive(s, 60, 15, 4);
	if (http_end_attach(&w->back, s)) {
		httpproxy_dialed(w->http, 0, "");
	} else {
		stream_close(s);
		httpproxy_dialed(w->http, 502, "out of memory");
	}
	run(w);
}

static void dial_closed(void *ctx, const struct err *why)
{
	struct web *w = ctx;

	w->dialing = NULL;
	log_debug("serve: port %u: %s", w->c.local.port, why ? why->text : "closed");
	httpproxy_dialed(w->http, 502, "the server behind cannot be reached");
	run(w);
}

static const struct stream_ops dial_ops = {
	.open = dial_open,
	.room = stream_hold,
	.got = stream_ignore,
	.data = stream_hold,
	.sent = stream_ignore,
	.closed = dial_closed,
};

static bool route(struct web *w, const struct serve_handler *h, const struct httpproxy_request *rq,
		  struct bytes rest)
{
	struct httpproxy_route to = { .host = h->to.host ? rq->host : bytes_str("localhost") };
	struct fields f;
	struct buf target;
	bool ok;

	buf_init(&target, HTTP1_TARGET_MAX + SERVE_TARGET_MAX);
	ok = fields_make(&f, w, rq->host) &&
	     serve_target(&target, &h->to, rest, rq->target.has_query, rq->target.query);
	if (ok) {
		to.target = buf_bytes(&target);
		to.set = f.v;
		to.n_set = f.n;
		ok = httpproxy_route(w->http, &to);
	} else {
		say(w, 500, "out of memory\n");
	}
	fields_fini(&f);
	buf_fini(&target);
	return ok;
}

static void reach(struct web *w, const struct serve_handler *h, const struct httpproxy_request *rq,
		  struct bytes rest)
{
	struct stream_conf conf;
	struct err e = { 0 };
	LOG_AS(w->c.server->conf.host->label);

	if (!route(w, h, rq, rest))
		return;
	serve_dial_conf(w->c.server, &h->to, &conf);
	w->dialing = stream_dial(w->c.server->loop, &conf, &dial_ops, w, &e);
	if (w->dialing)
		return;
	log_warn("serve: port %u: %s", w->c.local.port, e.text);
	httpproxy_dialed(w->http, 502, "the server behind cannot be reached");
}

/* --- requests --- */

static void decide(struct web *w)
{
	const struct serve *s = w->c.server->serve;
	const struct serve_port *port = s ? serve_port_of(s, w->c.local.port) : NULL;
	const struct serve_site *site = NULL;
	const struct serve_handler *h = NULL;
	struct httpproxy_request rq;
	struct bytes rest;

	arm(w, 0);
	w->asked = true;
	w->c.server->stat.requests++;
	if (!httpproxy_request(w->http, &rq)) {
		say(w, 400, "malformed request\n");
		return;
	}
	if (port && port->kind == (w->is_tls ? SERVE_HTTPS : SERVE_HTTP))
		site = serve_site_of(s, w->c.local.port, rq.host);
	if (site)
		h = serve_handler_of(site, rq.target.path, &rest);
	if (!h) {
		say(w, 404, "nothing is served under this name and path\n");
		return;
	}
	switch (h->action) {
	case SERVE_TEXT:
		say(w, 200, h->value);
		break;
	case SERVE_REDIRECT:
		redirect(w, h->status, h->value, &rq);
		break;
	case SERVE_PATH:
		answer_file(w, h, &rq, rest);
		break;
	case SERVE_PROXY:
		reach(w, h, &rq, rest);
		break;
	}
}

static void hang_up(struct web *w)
{
	http_end_close(&w->back);
	file_fd_close(&w->file);
}

static void handle(struct web *w, enum httpproxy_event ev)
{
	switch (ev) {
	case HTTPPROXY_REQUEST:
		decide(w);
		if (!w->dialing && w->file < 0) /* answered */
			arm(w, SERVE_IDLE_S);
		break;
	case HTTPPROXY_HANGUP:
		hang_up(w);
		arm(w, SERVE_IDLE_S);
		break;
	case HTTPPROXY_TUNNEL:
		arm(w, 0);
		w->tunnelled = true;
		break;
	case HTTPPROXY_CLOSE:
		hang_up(w);
		w->closing = true;
		arm(w, SERVE_HEAD_S);
		stream_shutdown(w->client.s);
		break;
	case HTTPPROXY_DIAL: /* of forward proxies */
	case HTTPPROXY_NONE:
		break;
	}
}

/* An upgrade was granted: once both have what is said by now, they are a pipe. true: w is gone. */
static bool join(struct web *w)
{
	struct stream *a = w->client.s, *b = w->back.s;
	struct bytes left = httpproxy_client_left(w->http), right = httpproxy_backend_left(w->http);
	struct buf early, late;

	if (!w->tunnelled || httpproxy_to_client(w->http).len > 0 ||
	    httpproxy_to_backend(w->http).len > 0)
		return false;
	buf_init(&early, PIPE_BUFFER);
	buf_init(&late, PIPE_BUFFER);
	if (a && b && buf_append(&early, left.data, left.len) &&
	    buf_append(&early, w->client.rx, w->client.len) &&
	    buf_append(&late, right.data, right.len) &&
	    buf_append(&late, w->back.rx, w->back.len)) {
		w->client.s = w->back.s = NULL;
		host_pipe_join(&w->c.server->pipes, a, buf_bytes(&early), b, buf_bytes(&late));
	}
	buf_fini(&early);
	buf_fini(&late);
	web_free(w);
	return true;
}

static void run(struct web *w)
{
	enum httpproxy_event ev;

	if (join(w))
		return;
	do {
		http_end_offer(&w->client);
		pump_file(w);
		ev = w->closing ? HTTPPROXY_NONE : httpproxy_next(w->http);
		handle(w, ev);
	} while (ev != HTTPPROXY_NONE);
	if (join(w))
		return;
	if (!w->dialing && !w->back.s && w->file < 0)
		http_end_rest(&w->client);
	http_end_wake(&w->client);
	http_end_wake(&w->back);
}

static void moved(void *ctx)
{
	struct web *w = ctx;

	w->c.moved++;
	run(w);
}

static void client_closed(void *ctx)
{
	web_free(ctx);
}

static void back_closed(void *ctx)
{
	struct web *w = ctx;

	if (w->tunnelled)
		web_free(w);
	else
		run(w);
}

static void client_open(void *ctx)
{
	struct web *w = ctx;

	if (http_end_attach(&w->client, w->client.s))
		return;
	web_free(w);
}

static void early_closed(void *ctx, const struct err *why)
{
	struct web *w = ctx;

	log_debug("serve: port %u: %s", w->c.local.port, why ? why->text : "closed");
	w->client.s = NULL;
	web_free(w);
}

/* until TLS stands */
static const struct stream_ops early_ops = {
	.open = client_open,
	.room = stream_hold,
	.got = stream_ignore,
	.data = stream_hold,
	.sent = stream_ignore,
	.closed = early_closed,
};

void serve_http_start(struct serve_server *v, const struct ns_event *ev,
		      const struct serve_port *port)
{
	struct web *w = calloc(1, sizeof *w);

	if (!w) {
		ns_tcp_refuse(node_netstack(host_node(v->conf.host)), loop_now(v->loop), ev->id);
		host_kick(v->conf.host);
		return;
	}
	w->c.drop = web_drop;
	w->c.owes = web_owes;
	w->file = -1;
	w->is_tls = port->kind == SERVE_HTTPS;
	serve_client_add(v, &w->c, ev);
	loop_timer_init(v->loop, &w->timer, on_timer, w);
	arm(w, SERVE_HEAD_S);
	w->http = httpproxy_new_reverse();
	w->client =
	    (struct http_end){ .http = w->http, .moved = moved, .closed = client_closed, .ctx = w };
	w->back = (struct http_end){
		.http = w->http, .is_backend = true, .moved = moved, .closed = back_closed, .ctx = w
	};
	w->client.s =
	    w->http ? serve_accept(v, ev, w->is_tls ? v->cert : NULL, &early_ops, w) : NULL;
	if (w->client.s)
		return;
	if (!w->http)
		ns_tcp_refuse(node_netstack(host_node(v->conf.host)), loop_now(v->loop), ev->id);
	web_free(w);
}
