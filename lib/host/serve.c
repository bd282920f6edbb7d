/* host/serve.c - see serve.h: ports, forwards, forwards behind TLS; HTTP is serve_http.c */
#include "host/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "host/serve_priv.h"

/* --- clients --- */

static void link_first(struct serve_client *c)
{
	struct serve_server *v = c->server;

	c->prev = NULL;
	c->next = v->clients;
	if (v->clients)
		v->clients->prev = c;
	else
		v->last = c;
	v->clients = c;
}

static void unlink_client(struct serve_client *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->server->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		c->server->last = c->prev;
}

void serve_client_add(struct serve_server *v, struct serve_client *c, const struct ns_event *ev)
{
	c->server = v;
	c->local = ev->local;
	c->remote = ev->remote;
	c->id = ev->id;
	c->still_since = loop_now(v->loop);
	c->is_counted = shares_take(&v->shares, &c->remote.ip);
	link_first(c);
	v->stat.clients++;
}

void serve_client_del(struct serve_client *c)
{
	unlink_client(c);
	if (c->is_counted)
		shares_give(&c->server->shares, &c->remote.ip);
	c->server->stat.clients--;
}

/* --- clients that stall --- */

static struct netstack *stack_of(const struct serve_client *c)
{
	return node_netstack(host_node(c->server->conf.host));
}

bool serve_client_unread(const struct serve_client *c)
{
	return ns_tcp_unsent(stack_of(c), c->id) > 0;
}

/* Grows with every byte on either side: what the peer sent, was sent, has acknowledged; what moves
 * behind. The stack is asked since the kernel's buffers of a socket pair let a slow reader's
 * progress through in large steps only. */
static uint64_t all_moved(const struct serve_client *c)
{
	struct ns_tcp_info info = { 0 };

	(void)ns_tcp_info(stack_of(c), c->id, &info);
	return c->moved + info.bytes_in + 2 * info.bytes_out - ns_tcp_unsent(stack_of(c), c->id);
}

static void look(struct serve_client *c)
{
	const uint64_t sum = all_moved(c);

	if (sum == c->seen && (c->owes(c) || serve_client_unread(c))) {
		c->still_looks++;
		return;
	}
	c->seen = sum;
	c->still_looks = 0;
	c->still_since = loop_now(c->server->loop);
	unlink_client(c);
	link_first(c);
}

bool serve_client_stalled(struct serve_client *c)
{
	look(c);
	return c->still_looks >= SERVE_LOOKS;
}

void serve_client_cut(struct serve_client *c)
{
	log_debug("serve: port %u: a client that stalled is cut", c->local.port);
	host_splice_cut(c->server->conf.host, c->id);
	c->drop(c);
}

static bool is_old(const struct serve_client *c)
{
	const struct serve_server *v = c->server;

	return mono_due(mono_add(c->still_since, v->conf.give_way), loop_now(v->loop));
}

/* Who is found moving goes first: each is looked at once in conf.give_way. A peer that has its
 * share gets a place of its own only, one that has none anybody's. */
static bool make_room(struct serve_server *v, const struct ip *who)
{
	const bool has_none = shares_held(&v->shares, who) == 0;
	struct serve_client *c = v->last, *prev;

	for (int i = 0; i < SERVE_ROOM_LOOKS && c && is_old(c); i++, c = prev) {
		prev = c->prev;
		if (!has_none && !ip_eq(&c->remote.ip, who))
			continue;
		look(c);
		if (!is_old(c))
			continue;
		v->stat.gave_way++;
		serve_client_cut(c);
		return true;
	}
	return false;
}

static bool has_room(struct serve_server *v, const struct ip *who)
{
	return shares_allow(&v->shares, who, v->conf.clients_max - v->stat.clients) ||
	       make_room(v, who);
}

static void refuse(struct serve_server *v, struct ns_id id)
{
	v->stat.refused++;
	ns_tcp_refuse(node_netstack(host_node(v->conf.host)), loop_now(v->loop), id);
	host_kick(v->conf.host);
}

/* TLS and HTTP want a stream: one end of a socket pair is spliced with the flow, which costs a copy
 * in the kernel. */
struct stream *serve_accept(struct serve_server *v, const struct ns_event *ev,
			    struct tls_server *cert, const struct stream_ops *ops, void *ctx)
{
	struct stream *near, *far;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0) {
		refuse(v, ev->id);
		return NULL;
	}
	near = cert ? stream_adopt_tls(v->loop, fd[0], cert, SPAN_S(SERVE_HEAD_S), ops, ctx)
		    : stream_adopt(v->loop, fd[0], ops, ctx);
	far = near ? stream_adopt(v->loop, fd[1], ops, ctx) : NULL;
	if (!far) {
		if (!near)
			close(fd[1]);
		stream_close(near);
		refuse(v, ev->id);
		return NULL;
	}
	ns_tcp_accept(node_netstack(host_node(v->conf.host)), loop_now(v->loop), ev->id);
	if (host_splice(v->conf.host, ev->id, far, bytes_of(NULL, 0)) != 0) {
		stream_close(near);
		return NULL;
	}
	return near;
}

void serve_dial_conf(const struct serve_server *v, const struct serve_to *to,
		     struct stream_conf *out)
{
	*out = (struct stream_conf){
		.dial = { .host = to->host ? to->host : "localhost",
			  .port = to->port,
			  .unix_path = to->unix_path,
			  .resolver = v->conf.resolver,
			  .timeout = SPAN_S(SERVE_DIAL_S) },
		.tls = to->tls ? v->conf.tls : NULL,
		.expect = { .is_insecure = to->insecure },
	};
}

/* --- a forward behind TLS: the client's stream, then the back end's, then both are a pipe --- */

struct behind_tls {
	struct serve_client c;
	struct stream *s, *back;
	struct serve_to to; /* copies, since the configuration may be another when TLS stands */
	unsigned proxy_protocol;
};

static void tls_free(struct behind_tls *t)
{
	serve_client_del(&t->c);
	free(t->to.host);
	free(t->to.unix_path);
	free(t);
}

static bool tls_owes(const struct serve_client *c)
{
	return !((const struct behind_tls *)c)->back; /* the handshake */
}

static void tls_drop(struct serve_client *c)
{
	struct behind_tls *t = (struct behind_tls *)c;

	stream_close(t->s);
	stream_close(t->back);
	tls_free(t);
}

static void back_open(void *ctx)
{
	struct behind_tls *t = ctx;
	uint8_t head[HOST_BEFORE_MAX];
	const size_t n =
	    host_proxy_header(t->proxy_protocol, &t->c.remote, &t->c.local, head, sizeof head);

	stream_keepalive(t->back, 60, 15, 4);
	host_pipe_join(&t->c.server->pipes, t->s, bytes_of(head, n), t->back, bytes_of(NULL, 0));
	tls_free(t);
}

static void back_closed(void *ctx, const struct err *why)
{
	struct behind_tls *t = ctx;

	log_debug("serve: port %u: %s", t->c.local.port, why ? why->text : "closed");
	t->back = NULL;
	tls_drop(&t->c);
}

static const struct stream_ops back_ops = {
	.open = back_open,
	.room = stream_hold,
	.got = stream_ignore,
	.data = stream_hold,
	.sent = stream_ignore,
	.closed = back_closed,
};

static void tls_open(void *ctx)
{
	struct behind_tls *t = ctx;
	struct stream_conf conf;
	struct err e = { 0 };
	LOG_AS(t->c.server->conf.host->label);

	serve_dial_conf(t->c.server, &t->to, &conf);
	t->back = stream_dial(t->c.server->loop, &conf, &back_ops, t, &e);
	if (!t->back) {
		log_warn("serve: port %u: %s", t->c.local.port, e.text);
		tls_drop(&t->c);
	}
}

static void tls_closed(void *ctx, const struct err *why)
{
	struct behind_tls *t = ctx;

	log_debug("serve: port %u: TLS: %s", t->c.local.port, why ? why->text : "closed");
	t->s = NULL;
	tls_drop(&t->c);
}

static const struct stream_ops tls_ops = {
	.open = tls_open,
	.room = stream_hold,
	.got = stream_ignore,
	.data = stream_hold,
	.sent = stream_ignore,
	.closed = tls_closed,
};

static char *copy_or_null(const char *s, bool *ok)
{
	char *p = s ? strdup(s) : NULL;

	*ok = *ok && (!s || p);
	return p;
}

static void start_behind_tls(struct serve_server *v, const struct ns_event *ev,
			     const struct serve_port *port)
{
	struct behind_tls *t = calloc(1, sizeof *t);
	bool ok = t != NULL;

	if (!t) {
		refuse(v, ev->id);
		return;
	}
	t->c.drop = tls_drop;
	t->c.owes = tls_owes;
	t->proxy_protocol = port->proxy_protocol;
	t->to.port = port->to.port;
	t->to.host = copy_or_null(port->to.host, &ok);
	t->to.unix_path = copy_or_null(port->to.unix_path, &ok);
	serve_client_add(v, &t->c, ev);
	if (!ok)
		refuse(v, ev->id);
	else
		t->s = serve_accept(v, ev, v->cert, &tls_ops, t);
	if (!t->s)
		tls_free(t);
}

/* --- ports --- */

static bool incoming(void *ctx, const struct ns_event *ev)
{
	struct serve_server *v = ctx;
	const struct serve_port *p = v->serve ? serve_port_of(v->serve, ev->local.port) : NULL;
	struct stream_conf conf;

	if (!p)
		return false;
	if (p->kind == SERVE_FORWARD && !p->terminates_tls) {
		v->stat.accepted++;
		serve_dial_conf(v, &p->to, &conf);
		host_forward(v->conf.host, ev, &conf.dial, p->proxy_protocol);
		return true;
	}
	if ((p->kind != SERVE_HTTP && !v->cert) || !has_room(v, &ev->remote.ip)) {
		refuse(v, ev->id);
		return true;
	}
	v->stat.accepted++;
	if (p->kind == SERVE_FORWARD)
		start_behind_tls(v, ev, p);
	else
		serve_http_start(v, ev, p);
	return true;
}

/* --- the server --- */

struct serve_server *serve_server_new(const struct serve_server_conf *conf)
{
	struct serve_server *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->conf = *conf;
	if (v->conf.clients_max == 0)
		v->conf.clients_max = SERVE_CLIENTS_MAX;
	if (v->conf.stall.ns == 0)
		v->conf.stall = SPAN_S(SERVE_STALL_S);
	if (v->conf.give_way.ns == 0)
		v->conf.give_way = SPAN_S(SERVE_GIVE_WAY_S);
	v->loop = host_loop(conf->host);
	v->shares.seed = conf->host->udp_seed;
	host_set_incoming(conf->host, incoming, v);
	return v;
}

void serve_server_set(struct serve_server *v, struct serve *s, struct tls_server *cert)
{
	serve_free(v->serve);
	v->serve = s;
	v->cert = cert;
}

void serve_server_free(struct serve_server *v)
{
	if (!v)
		return;
	host_set_incoming(v->conf.host, NULL, NULL);
	while (v->clients)
		v->clients->drop(v->clients);
	shares_fini(&v->shares);
	host_pipes_close(&v->pipes);
	serve_free(v->serve);
	free(v);
}

void serve_server_stat(const struct serve_server *v, struct serve_stat *st)
{
	*st = v->stat;
}
