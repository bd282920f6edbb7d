/* host/doh.c - see doh.h
 *
 * A query waits in its server's list until a connection takes it, then moves to the list of those
 * that are done, which is delivered at the end of the turn: no callback comes from within another.
 * A query whose kept connection ended before a byte of the answer came is asked once more: the
 * server had hung up meanwhile.
 */
#include "host/doh.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "host/reach.h"
#include "wire/doh.h"

struct doh_server;

struct doh_conn {
	struct doh_server *server;
	struct doh_conn *next;
	struct resolve *resolve;
	struct host_connect *connect; /* through the tailnet */
	struct stream *s;
	bool is_open, has_served, has_heard;
	struct host_doh_query *query; /* NULL: idle */
	struct doh_exchange x;
	struct loop_timer idle;
	struct ip v[HOST_ADDRS_MAX];
	size_t n;
};

struct host_doh_query {
	struct host_doh *all;
	struct doh_server *server;   /* while it is not done */
	struct host_doh_query *next; /* waiting, or done */
	struct doh_conn *conn;       /* NULL: it waits */
	bool is_done, was_repeated;
	host_doh_fn *done; /* NULL: cancelled; what has gone out is waited for all the same */
	void *ctx;
	struct loop_timer limit;
	struct buf answer;
	size_t len;
	uint8_t query[];
};

struct doh_server {
	struct host_doh *all;
	struct doh_server *next;
	char text[DOH_URL_MAX];
	struct doh_url url;
	struct doh_conn *conns;
	struct host_doh_query *waiting; /* in order */
	size_t n_conns, n_queries;
	mono_t down_until, used_at;
	bool is_down; /* it was said */
	struct loop_defer pump;
};

struct host_doh {
	struct host *host;
	struct doh_server *servers;
	size_t n_servers;
	struct host_doh_query *done;
	struct loop_defer deliver;
};

static mono_t now_of(const struct doh_server *s)
{
	return loop_now(s->all->host->loop);
}

/* --- queries --- */

static void query_unlink(struct host_doh_query **at, struct host_doh_query *q)
{
	while (*at && *at != q)
		at = &(*at)->next;
	if (*at)
		*at = q->next;
}

static void query_free(struct host_doh_query *q)
{
	loop_timer_fini(&q->limit);
	buf_fini(&q->answer);
	free(q);
}

static void deliver(void *ctx)
{
	struct host_doh *d = ctx;

	while (d->done) {
		struct host_doh_query *q = d->done;

		d->done = q->next;
		if (q->done)
			q->done(q->ctx, buf_bytes(&q->answer));
		query_free(q);
	}
}

/* It has left its connection, or waits for one. */
static void query_finish(struct host_doh_query *q, struct bytes answer)
{
	struct host_doh *d = q->all;

	query_unlink(&q->server->waiting, q);
	q->server->n_queries--;
	loop_timer_fini(&q->limit);
	(void)!buf_append(&q->answer, answer.data, answer.len); /* without memory: none came */
	q->conn = NULL;
	q->is_done = true;
	q->next = d->done;
	d->done = q;
	loop_defer(d->host->loop, &d->deliver);
}

/* --- connections --- */

static void conn_free(struct doh_conn *c)
{
	struct doh_conn **at = &c->server->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->server->n_conns--;
	resolve_cancel(c->resolve);
	host_connect_cancel(c->connect);
	stream_close(c->s);
	loop_timer_fini(&c->idle);
	doh_fini(&c->x);
	free(c);
}

static void pump_soon(struct doh_server *s)
{
	loop_defer(s->all->host->loop, &s->pump);
}

static void server_failed(struct doh_server *s, const char *why)
{
	LOG_AS(s->all->host->label);

	s->down_until = mono_add(now_of(s), SPAN_S(HOST_DOH_DOWN_S));
	if (!s->is_down)
		log_warn("dns: resolver https://%s does not answer: %s", s->url.host, why);
	s->is_down = true;
}

/* When none could be made, what waits has no better chance with another. */
static void conn_failed(struct doh_conn *c, const char *why)
{
	struct doh_server *s = c->server;
	struct host_doh_query *q = c->query;
	const bool was_open = c->is_open;
	const bool again = q && c->has_served && !c->has_heard && !q->was_repeated;

	conn_free(c);
	if (again) {
		q->was_repeated = true;
		q->conn = NULL;
		q->next = s->waiting;
		s->waiting = q;
		pump_soon(s);
		return;
	}
	if (q || !was_open)
		server_failed(s, why);
	if (q)
		query_finish(q, bytes_of(NULL, 0));
	while (!was_open && s->n_conns == 0 && s->waiting)
		query_finish(s->waiting, bytes_of(NULL, 0));
	pump_soon(s);
}

static void on_idle(void *ctx)
{
	conn_free(ctx);
}

static void take_result(struct doh_conn *c, enum doh_result r)
{
	struct doh_server *s = c->server;
	struct host_doh_query *q = c->query;
	LOG_AS(s->all->host->label);

	if (r == DOH_MORE)
		return;
	if (r != DOH_ANSWER) {
		c->has_heard = true;
		conn_failed(c, doh_result_name(r));
		return;
	}
	c->query = NULL;
	query_finish(q, doh_answer(&c->x));
	if (s->is_down)
		log_info("dns: resolver https://%s answers again", s->url.host);
	s->is_down = false;
	s->down_until = (mono_t){ 0 };
	c->has_served = true;
	if (!doh_may_go_on(&c->x)) {
		conn_free(c);
	} else {
		doh_fini(&c->x);
		loop_timer_set(&c->idle, mono_add(now_of(s), SPAN_S(HOST_DOH_IDLE_S)));
	}
	pump_soon(s);
}

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct doh_conn *c = ctx;

	(void)max;
	v[0] = (struct iovec){ c->server->all->host->read_buf, HOST_READ_MAX };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	struct doh_conn *c = ctx;

	if (!c->query) { /* nothing was asked */
		conn_free(c);
		return;
	}
	c->has_heard = true;
	take_result(c, doh_feed(&c->x, bytes_of(c->server->all->host->read_buf, n)));
}

static void on_end(void *ctx)
{
	struct doh_conn *c = ctx;

	if (c->query && c->has_heard)
		take_result(c, doh_eof(&c->x));
	else
		conn_failed(c, doh_result_name(DOH_ENDED));
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct doh_conn *c = ctx;
	const struct bytes b = c->query ? doh_output(&c->x) : bytes_of(NULL, 0);

	(void)max;
	v[0] = (struct iovec){ (void *)(uintptr_t)b.data, b.len };
	return b.len > 0;
}

static void on_sent(void *ctx, size_t n)
{
	doh_sent(&((struct doh_conn *)ctx)->x, n);
}

static void on_open(void *ctx)
{
	struct doh_conn *c = ctx;

	c->is_open = true;
	pump_soon(c->server);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct doh_conn *c = ctx;

	c->s = NULL;
	conn_failed(c, why ? why->text : doh_result_name(DOH_ENDED));
}

static const struct stream_ops ops = { .open = on_open,
				       .room = on_room,
				       .got = on_got,
				       .end = on_end,
				       .data = on_data,
				       .sent = on_sent,
				       .closed = on_closed };

/* --- how to get there --- */

static struct stream_conf stream_of(const struct doh_conn *c)
{
	const struct doh_server *s = c->server;
	const struct host *h = s->all->host;

	return (struct stream_conf){ .dial = { .host = s->url.host,
					       .port = s->url.port,
					       .timeout = SPAN_S(HOST_DOH_QUERY_S) },
				     .tls = s->url.tls ? h->tls : NULL };
}

static const struct proxy *proxy_of(const struct doh_server *s)
{
	const struct host *h = s->all->host;

	return h->proxy ? proxy_for(h->proxy, s->url.host, s->url.port, s->url.tls) : NULL;
}

static void dial_outside(struct doh_conn *c)
{
	struct host *h = c->server->all->host;
	struct stream_conf conf = stream_of(c);
	struct err e = { 0 };

	conf.dial.addrs = c->n > 0 ? c->v : NULL;
	conf.dial.n_addrs = MIN_OF(c->n, (size_t)DIAL_ADDRS_MAX);
	conf.dial.resolver = h->resolver;
	conf.dial.proxy = proxy_of(c->server);
	c->s = stream_dial(h->loop, &conf, &ops, c, &e);
	if (!c->s)
		conn_failed(c, e.text);
}

static void nobody(void *ctx, const struct err *why)
{
	(void)ctx;
	(void)why;
}

/* until the splice takes it */
static const struct stream_ops far_ops = { .room = stream_hold,
					   .got = stream_ignore,
					   .data = stream_hold,
					   .sent = stream_ignore,
					   .closed = nobody };

/* TLS runs over one end of a socket pair, the flow is joined with the other. */
static void connected(void *ctx, struct ns_id id, bool ok, enum ns_end end)
{
	struct doh_conn *c = ctx;
	struct host *h = c->server->all->host;
	const struct stream_conf conf = stream_of(c);
	struct err e = { 0 };
	struct stream *far;
	int fd[2];

	(void)end;
	c->connect = NULL;
	if (!ok) {
		conn_failed(c, "no connection through the tailnet");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0) {
		ns_tcp_abort(node_netstack(h->node), loop_now(h->loop), id);
		host_kick(h);
		conn_failed(c, "no descriptor for a connection");
		return;
	}
	far = stream_adopt(h->loop, fd[1], &far_ops, NULL);
	if (!far)
		ns_tcp_abort(node_netstack(h->node), loop_now(h->loop), id);
	else if (host_splice(h, id, far, bytes_of(NULL, 0)) < 0)
		far = NULL;
	host_kick(h);
	c->s = stream_adopt_client(h->loop, fd[0], &conf, &ops, c, &e);
	if (!c->s)
		conn_failed(c, e.text);
	else if (!far)
		conn_failed(c, "out of memory");
}

static size_t keep(struct doh_conn *c, enum reach_way way, struct ip *v)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (reach_way(c->server->all->host, &c->v[i]) == way)
			v[n++] = c->v[i];
	return n;
}

/* its addresses are known */
static void choose(struct doh_conn *c)
{
	struct ipport to = { .port = c->server->url.port };
	struct ip v[HOST_ADDRS_MAX];
	struct err e = { 0 };
	size_t n = keep(c, REACH_TAILNET, v);

	if (n > 0) {
		to.ip = v[0];
		c->connect = host_connect(c->server->all->host, &to, connected, c, &e);
		if (!c->connect)
			conn_failed(c, e.text);
		return;
	}
	n = keep(c, REACH_OUTSIDE, v);
	if (n == 0 || !c->server->url.tls) {
		conn_failed(c, n == 0 ? "its address cannot be reached"
				      : "http:// is for resolvers inside the tailnet");
		return;
	}
	memcpy(c->v, v, n * sizeof *v);
	c->n = n;
	dial_outside(c);
}

static void resolved(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		     bool is_last)
{
	struct doh_conn *c = ctx;

	(void)family;
	for (size_t i = 0; i < n && c->n < HOST_ADDRS_MAX; i++)
		c->v[c->n++] = v[i];
	if (!is_last)
		return;
	c->resolve = NULL;
	if (c->n == 0)
		conn_failed(c, why ? why->text : "its name has no address");
	else
		choose(c);
}

static bool known(struct doh_conn *c)
{
	const struct doh_server *s = c->server;
	int n;

	c->n = 1;
	if (ip_parse(bytes_str(s->url.host), &c->v[0]))
		return true;
	c->n = doh_known_addrs(s->text, c->v, HOST_ADDRS_MAX);
	if (c->n > 0)
		return true;
	n = node_lookup(s->all->host->node, s->url.host, c->v, HOST_ADDRS_MAX);
	c->n = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void conn_start(struct doh_server *s)
{
	struct doh_conn *c = calloc(1, sizeof *c);
	struct err e = { 0 };

	if (!c)
		return; /* the queries run into their limit */
	c->server = s;
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	loop_timer_init(s->all->host->loop, &c->idle, on_idle, c);
	if (known(c)) {
		choose(c);
		return;
	}
	if (s->url.tls && proxy_of(s)) { /* which looks the name up */
		dial_outside(c);
		return;
	}
	c->resolve =
	    resolve_start(s->all->host->resolver, s->url.host, RESOLVE_BOTH, resolved, c, &e);
	if (!c->resolve)
		conn_failed(c, e.text);
}

/* --- servers --- */

static struct doh_conn *idle_conn(const struct doh_server *s)
{
	struct doh_conn *c = s->conns;

	while (c && (c->query || !c->is_open))
		c = c->next;
	return c;
}

static void give(struct doh_conn *c, struct host_doh_query *q)
{
	struct doh_server *s = c->server;

	s->waiting = q->next;
	q->next = NULL;
	loop_timer_set(&c->idle, MONO_NEVER);
	c->has_heard = false;
	doh_init(&c->x);
	if (!doh_begin(&c->x, &s->url, bytes_of(q->query, q->len))) {
		doh_fini(&c->x);
		query_finish(q, bytes_of(NULL, 0));
		return;
	}
	q->conn = c;
	c->query = q;
	stream_kick(c->s);
}

static size_t n_waiting(const struct doh_server *s)
{
	size_t n = 0;

	for (const struct host_doh_query *q = s->waiting; q; q = q->next)
		n++;
	return n;
}

static size_t n_opening(const struct doh_server *s)
{
	size_t n = 0;

	for (const struct doh_conn *c = s->conns; c; c = c->next)
		n += !c->is_open;
	return n;
}

static void server_pump(void *ctx)
{
	struct doh_server *s = ctx;
	struct doh_conn *c;

	while (s->waiting && (c = idle_conn(s)) != NULL)
		give(c, s->waiting);
	while (s->n_conns < HOST_DOH_CONNS && n_opening(s) < n_waiting(s)) {
		const size_t before = s->n_conns;

		if (before > 0 && s->down_until.ns > now_of(s).ns)
			break; /* another one fails alike */

		conn_start(s);
		if (s->n_conns <= before)
			break; /* it failed at once, or there is no memory */
	}
}

static void server_free(struct doh_server *s)
{
	struct doh_server **at = &s->all->servers;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->all->n_servers--;
	while (s->conns)
		conn_free(s->conns);
	loop_defer_cancel(&s->pump);
	free(s);
}

static struct doh_server *server_find(const struct host_doh *d, const char *url)
{
	struct doh_server *s = d ? d->servers : NULL;

	while (s && strcmp(s->text, url) != 0)
		s = s->next;
	return s;
}

/* The one that nobody has asked for longest makes room; false: all are asked. */
static bool make_room(struct host_doh *d)
{
	struct doh_server *oldest = NULL;

	for (struct doh_server *s = d->servers; s; s = s->next)
		if (s->n_queries == 0 && (!oldest || s->used_at.ns < oldest->used_at.ns))
			oldest = s;
	if (oldest)
		server_free(oldest);
	return oldest != NULL;
}

static struct doh_server *server_new(struct host_doh *d, const char *url)
{
	struct doh_server *s;

	if (d->n_servers == HOST_DOH_SERVERS && !make_room(d))
		return NULL;
	s = calloc(1, sizeof *s);
	if (!s || !doh_url_parse(url, &s->url) ||
	    !bytes_to_str(bytes_str(url), s->text, sizeof s->text)) {
		free(s);
		return NULL;
	}
	s->all = d;
	loop_defer_init(&s->pump, server_pump, s);
	s->next = d->servers;
	d->servers = s;
	d->n_servers++;
	return s;
}

static struct host_doh *of_host(struct host *h)
{
	if (h->doh || !(h->doh = calloc(1, sizeof *h->doh)))
		return h->doh;
	h->doh->host = h;
	loop_defer_init(&h->doh->deliver, deliver, h->doh);
	return h->doh;
}

/* --- for users --- */

static void limit_reached(void *ctx)
{
	struct host_doh_query *q = ctx;
	struct doh_server *s = q->server;
	struct doh_conn *c = q->conn;

	if (c) {
		c->query = NULL;
		conn_free(c); /* an answer that comes later would be taken for another's */
	}
	server_failed(s, "no answer in time");
	query_finish(q, bytes_of(NULL, 0));
	pump_soon(s);
}

struct host_doh_query *host_doh_ask(struct host *h, const char *url, struct bytes query,
				    host_doh_fn *done, void *ctx)
{
	struct host_doh *d = of_host(h);
	struct doh_server *s = d ? server_find(d, url) : NULL;
	struct host_doh_query *q, **at;

	if (!d || query.len > DOH_QUERY_MAX || (!s && !(s = server_new(d, url))) ||
	    s->n_queries == HOST_DOH_QUERIES || !(q = calloc(1, sizeof *q + query.len)))
		return NULL;
	q->all = d;
	q->server = s;
	q->done = done;
	q->ctx = ctx;
	q->len = query.len;
	memcpy(q->query, query.data, query.len);
	buf_init(&q->answer, DOH_ANSWER_MAX);
	loop_timer_init(h->loop, &q->limit, limit_reached, q);
	loop_timer_set(&q->limit, mono_add(loop_now(h->loop), SPAN_S(HOST_DOH_QUERY_S)));
	for (at = &s->waiting; *at; at = &(*at)->next)
		;
	*at = q;
	s->n_queries++;
	s->used_at = loop_now(h->loop);
	pump_soon(s);
	return q;
}

void host_doh_cancel(struct host_doh_query *q)
{
	if (!q)
		return;
	if (!q->is_done && q->conn) { /* the connection is worth more than the answer */
		q->done = NULL;
		return;
	}
	if (q->is_done) {
		query_unlink(&q->all->done, q);
	} else {
		query_unlink(&q->server->waiting, q);
		q->server->n_queries--;
	}
	query_free(q);
}

bool host_doh_is_down(const struct host *h, const char *url)
{
	const struct doh_server *s = server_find(h->doh, url);

	return s && s->down_until.ns > loop_now(h->loop).ns;
}

void host_doh_free(struct host *h)
{
	struct host_doh *d = h->doh;

	if (!d)
		return;
	while (d->done)
		host_doh_cancel(d->done);
	while (d->servers) {
		while (d->servers->waiting)
			host_doh_cancel(d->servers->waiting);
		for (struct doh_conn *c = d->servers->conns; c; c = c->next)
			if (c->query)
				query_free(c->query);
		server_free(d->servers);
	}
	loop_defer_cancel(&d->deliver);
	free(d);
	h->doh = NULL;
}
