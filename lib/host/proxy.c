/* host/proxy.c - see proxy.h: listeners, clients, SOCKS5; HTTP is proxy_http.c, UDP is proxy_udp.c
 */
#include "host/proxy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "host/pipe.h"
#include "host/proxy_priv.h"
#include "os/file.h"

static_assert(REACH_N <= ARRAY_LEN(((struct proxy_stat *)0)->failed), "a counter for each result");

/* It has not asked for anything yet, or its last answer is through. */
static bool owes_request(const struct client *c)
{
	if (c->reach || c->has_reached || c->udp || c->back.s)
		return false;
	return c->http ? httpproxy_client_owes(c->http) : c->socks.state < SOCKS5_AT_REPLY;
}

/* Many that are silent, or kept between two requests, shall not keep others out. */
static bool make_room(struct proxy_server *p)
{
	struct client *longest = NULL;

	for (struct client *c = p->clients; c; c = c->next)
		if (owes_request(c) && (!longest || mono_before(c->since, longest->since)))
			longest = c;
	if (!longest || !mono_due(mono_add(longest->since, p->yields), loop_now(p->loop)))
		return false;
	proxy_client_free(longest);
	return true;
}

static void pause_doors(struct proxy_server *p)
{
	const bool full = p->stat.clients >= p->clients_max ||
			  p->stat.clients + p->pipes.n + host_n_splices(p->host) >= PROXY_CONNS_MAX;

	if (p->stat.clients >= p->clients_max && make_room(p))
		return; /* and was here again */
	for (size_t i = 0; i < p->n_doors; i++)
		listener_pause(p->doors[i].l, full);
	if (full)
		loop_timer_set(&p->again, mono_add(loop_now(p->loop), SPAN_S(1)));
}

static void look_again(void *ctx)
{
	pause_doors(ctx);
}

/* --- clients --- */

/* Everything but the stream, whose owner may be somebody else by now. */
static void client_forget(struct client *c)
{
	struct proxy_server *p = c->server;

	if (c->prev)
		c->prev->next = c->next;
	else
		p->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	loop_timer_fini(&c->timer);
	reach_cancel(c->reach);
	proxy_association_free(c->udp);
	httpproxy_free(c->http);
	http_end_close(&c->back);
	free(c);
	p->stat.clients--;
	pause_doors(p);
}

static void drop_reached(struct client *c)
{
	if (!c->has_reached)
		return;
	c->has_reached = false;
	if (c->to.s) {
		stream_reset(c->to.s);
	} else {
		ns_tcp_abort(node_netstack(host_node(c->server->host)), loop_now(c->server->loop),
			     c->to.id);
		host_kick(c->server->host);
	}
}

void proxy_client_free(struct client *c)
{
	drop_reached(c);
	stream_close(c->s);
	client_forget(c);
}

static void on_timer(void *ctx)
{
	proxy_client_free(ctx);
}

void proxy_client_arm(struct client *c, unsigned seconds)
{
	c->since = loop_now(c->server->loop);
	loop_timer_set(&c->timer,
		       seconds ? mono_add(loop_now(c->server->loop), SPAN_S(seconds)) : MONO_NEVER);
}

void proxy_client_close(struct client *c)
{
	c->closing = true;
	c->rx_len = 0;
	proxy_client_arm(c, PROXY_HANDSHAKE_S);
	stream_shutdown(c->s);
	stream_resume(c->s);
}

static struct bytes output(const struct client *c)
{
	if (c->http)
		return httpproxy_to_client(c->http);
	return socks5_output(&c->socks);
}

/* What was read of either side and belongs to the tunnel. */
static bool gather(const struct client *c, struct buf *early, struct buf *left)
{
	struct bytes head = c->http ? httpproxy_client_left(c->http) : bytes_of(NULL, 0),
		     back = c->http ? httpproxy_backend_left(c->http) : bytes_of(NULL, 0);

	return buf_append(early, head.data, head.len) && buf_append(early, c->rx, c->rx_len) &&
	       buf_append(left, back.data, back.len) && buf_append(left, c->back.rx, c->back.len);
}

/* The far side stands: once the client has its answer both are joined and the client is forgotten.
 */
bool proxy_client_hand_over(struct client *c)
{
	struct proxy_server *p = c->server;
	struct stream *s = c->s;
	struct buf early, left;

	if (!c->has_reached || output(c).len > 0 ||
	    (c->http && httpproxy_to_backend(c->http).len > 0))
		return false;
	buf_init(&early, PIPE_BUFFER);
	buf_init(&left, PIPE_BUFFER);
	if (!gather(c, &early, &left)) {
		proxy_client_free(c);
	} else {
		c->has_reached = false;
		if (c->to.s) {
			host_pipe_join(&p->pipes, s, buf_bytes(&early), c->to.s, buf_bytes(&left));
		} else if (host_splice(p->host, c->to.id, s, buf_bytes(&early)) == 0 && c->ended) {
			ns_tcp_shutdown(node_netstack(host_node(p->host)), loop_now(p->loop),
					c->to.id);
			host_kick(p->host);
		}
		client_forget(c);
	}
	buf_fini(&early);
	buf_fini(&left);
	return true;
}

/* --- reaching --- */

static enum socks5_code socks5_code(enum reach_result r)
{
	static const enum socks5_code codes[REACH_N] = {
		[REACH_OK] = SOCKS5_OK,
		[REACH_NO_NAME] = SOCKS5_HOST_UNREACHABLE,
		[REACH_NOT_ALLOWED] = SOCKS5_NOT_ALLOWED,
		[REACH_DENIED] = SOCKS5_NOT_ALLOWED,
		[REACH_REFUSED] = SOCKS5_REFUSED,
		[REACH_TIMEOUT] = SOCKS5_HOST_UNREACHABLE,
		[REACH_UNREACHABLE] = SOCKS5_HOST_UNREACHABLE,
		[REACH_NET_UNREACHABLE] = SOCKS5_NET_UNREACHABLE,
		[REACH_FAILED] = SOCKS5_FAILURE,
	};

	return codes[r];
}

static void on_reached(void *ctx, const struct reached *r);

void proxy_client_reach(struct client *c, const char *host, uint16_t port)
{
	proxy_client_arm(c, 0); /* the attempt has its own limits */
	c->reach = reach_start(c->server->host, host, port, c->server->tailnet_only, on_reached, c);
	if (!c->reach)
		on_reached(c, &(struct reached){ .result = REACH_FAILED });
}

/* An open stream waits until the client has its answer; nothing is read meanwhile. */
static size_t hold_none(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)v;
	(void)max;
	return 0;
}

static void hold_count(void *ctx, size_t n)
{
	(void)ctx;
	(void)n;
}

static void hold_closed(void *ctx, const struct err *why)
{
	struct client *c = ctx;

	(void)why;
	c->has_reached = false;
	c->to.s = NULL;
	proxy_client_free(c);
}

static const struct stream_ops hold_ops = {
	.room = hold_none,
	.got = hold_count,
	.data = hold_none,
	.sent = hold_count,
	.closed = hold_closed,
};

static void on_reached(void *ctx, const struct reached *r)
{
	struct client *c = ctx;

	c->reach = NULL;
	c->to = *r;
	if (r->result != REACH_OK)
		c->server->stat.failed[r->result]++;
	c->has_reached = r->result == REACH_OK;
	if (r->s)
		stream_set_ops(r->s, &hold_ops, c);
	if (c->http) {
		proxy_http_reached(c);
		return;
	}
	socks5_reply(&c->socks, socks5_code(r->result), r->result == REACH_OK ? &r->bound : NULL);
	if (r->result == REACH_OK)
		proxy_client_arm(c, PROXY_HANDSHAKE_S); /* to take its answer */
	else
		proxy_client_close(c);
	stream_kick(c->s);
}

/* --- SOCKS5 --- */

static void socks_request(struct client *c)
{
	char text[IP_TEXT];
	struct ipport bound;

	if (c->socks.command == SOCKS5_CONNECT) {
		proxy_client_reach(c,
				   *c->socks.addr.name ? c->socks.addr.name
						       : ip_text(&c->socks.addr.at.ip, text),
				   c->socks.addr.at.port);
		return;
	}
	c->udp = proxy_association_new(c, &bound);
	socks5_reply(&c->socks, c->udp ? SOCKS5_OK : SOCKS5_FAILURE, c->udp ? &bound : NULL);
	proxy_client_arm(c, 0); /* lives as long as this connection */
	if (!c->udp)
		proxy_client_close(c);
}

static void socks_feed(struct client *c)
{
	enum socks5_event ev;
	size_t used;

	if (c->socks.state >= SOCKS5_AT_REPLY) /* bytes that came early wait in rx; those of an
						  association mean nothing */
		return;
	ev = socks5_feed(&c->socks, bytes_of(c->rx, c->rx_len), &used);
	memmove(c->rx, c->rx + used, c->rx_len - used);
	c->rx_len -= used;
	if (ev == SOCKS5_REQUEST)
		socks_request(c);
	else if (ev == SOCKS5_CLOSE)
		proxy_client_close(c);
	stream_kick(c->s);
}

/* --- the client's stream --- */

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct client *c = ctx;

	(void)max;
	if (c->closing || c->udp)
		c->rx_len = 0; /* only the end is of interest */
	v[0] = (struct iovec){ c->rx + c->rx_len, CLIENT_RX - c->rx_len };
	return c->rx_len < CLIENT_RX;
}

static void on_got(void *ctx, size_t n)
{
	struct client *c = ctx;

	c->rx_len += n;
	if (c->closing || c->udp)
		return;
	if (c->kinds == (LISTEN_SOCKS5 | LISTEN_HTTP))
		c->kinds = c->rx[0] == SOCKS5_VERSION ? LISTEN_SOCKS5 : LISTEN_HTTP;
	if (c->kinds == LISTEN_SOCKS5) {
		socks_feed(c);
		return;
	}
	if (!c->http && !(c->http = httpproxy_new())) {
		proxy_client_free(c);
		return;
	}
	proxy_http_run(c);
}

static void on_end(void *ctx)
{
	struct client *c = ctx;

	c->ended = true;
	if (c->http && !c->closing) {
		httpproxy_client_end(c->http);
		proxy_http_run(c);
	} else if (!c->reach && !c->has_reached) {
		proxy_client_free(c);
	}
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct bytes out = output(ctx);

	(void)max;
	v[0] = (struct iovec){ (void *)(uintptr_t)out.data, out.len };
	return out.len > 0;
}

static void on_sent(void *ctx, size_t n)
{
	struct client *c = ctx;

	if (!c->http)
		socks5_sent(&c->socks, n);
	else
		httpproxy_client_sent(c->http, n);
	if (proxy_client_hand_over(c))
		return;
	if (c->http && !c->closing)
		proxy_http_run(c);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct client *c = ctx;

	(void)why; /* a client that goes away is no fault */
	c->s = NULL;
	drop_reached(c);
	client_forget(c);
}

static const struct stream_ops client_ops = {
	.room = on_room,
	.got = on_got,
	.end = on_end,
	.data = on_data,
	.sent = on_sent,
	.closed = on_closed,
};

static void on_accept(void *ctx, int fd, const struct ipport *from)
{
	struct door *d = ctx;
	struct proxy_server *p = d->server;
	struct client *c = calloc(1, sizeof *c);

	(void)from;
	if (!c) {
		file_fd_close(&fd);
		return;
	}
	c->server = p;
	c->kinds = d->kinds;
	c->next = p->clients;
	if (p->clients)
		p->clients->prev = c;
	p->clients = c;
	p->stat.clients++;
	p->stat.accepted++;
	socks5_init(&c->socks);
	loop_timer_init(p->loop, &c->timer, on_timer, c);
	proxy_client_arm(c, PROXY_HANDSHAKE_S);
	c->s = stream_adopt(p->loop, fd, &client_ops, c);
	if (!c->s) {
		client_forget(c);
		return;
	}
	/* also for an association or a long answer: who is gone without a word holds its place for
	 * two minutes */
	stream_keepalive(c->s, 60, 15, 4);
	pause_doors(p);
}

/* --- the server --- */

static int open_door(struct proxy_server *p, const char *addr, unsigned kinds, struct err *e)
{
	struct door *d = &p->doors[p->n_doors];

	*d = (struct door){ .server = p, .kinds = kinds };
	d->l = listen_tcp(p->loop, addr, on_accept, d, e);
	if (!d->l)
		return -EIO;
	p->n_doors++;
	if (kinds & LISTEN_SOCKS5)
		p->stat.socks5_port = listener_port(d->l);
	if (kinds & LISTEN_HTTP)
		p->stat.http_port = listener_port(d->l);
	return 0;
}

struct proxy_server *proxy_server_new(const struct proxy_conf *conf, struct err *e)
{
	struct proxy_server *p = calloc(1, sizeof *p);
	int r = 0;

	if (!p) {
		err_set(e, ENOMEM, "proxy");
		return NULL;
	}
	p->host = conf->host;
	p->loop = host_loop(conf->host);
	p->tailnet_only = conf->tailnet_only;
	p->ended_s = conf->ended_s ? conf->ended_s : PROXY_ENDED_S;
	p->name_s = conf->name_s ? conf->name_s : PROXY_NAME_S;
	p->clients_max = PROXY_CLIENTS_MAX;
	p->udp_max = PROXY_UDP_MAX;
	p->yields = SPAN_S(PROXY_YIELDS_S);
	loop_timer_init(p->loop, &p->again, look_again, p);
	if (conf->socks5 && conf->http && strcmp(conf->socks5, conf->http) == 0) {
		r = open_door(p, conf->socks5, LISTEN_SOCKS5 | LISTEN_HTTP, e);
	} else {
		if (conf->socks5)
			r = open_door(p, conf->socks5, LISTEN_SOCKS5, e);
		if (r == 0 && conf->http)
			r = open_door(p, conf->http, LISTEN_HTTP, e);
	}
	if (r < 0) {
		proxy_server_free(p);
		return NULL;
	}
	return p;
}

void proxy_server_free(struct proxy_server *p)
{
	if (!p)
		return;
	while (p->clients)
		proxy_client_free(p->clients);
	host_pipes_close(&p->pipes);
	loop_timer_fini(&p->again);
	for (size_t i = 0; i < p->n_doors; i++)
		listener_close(p->doors[i].l);
	free(p);
}

void proxy_server_stat(const struct proxy_server *p, struct proxy_stat *st)
{
	*st = p->stat;
	st->pipes = p->pipes.n;
}
