/* host/proxy_http.c - HTTP clients of a proxy: CONNECT and forwarded requests; the protocol is
 * wire/httpproxy.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/proxy_priv.h"

/* --- the back end of a forwarded request --- */

static void back_moved(void *ctx)
{
	struct client *c = ctx;

	if (!proxy_client_hand_over(c))
		proxy_http_run(c);
}

static void back_closed(void *ctx)
{
	struct client *c = ctx;

	if (c->has_reached && c->to.s) { /* a tunnel that died before it was handed over */
		c->has_reached = false;
		proxy_client_free(c);
		return;
	}
	proxy_http_run(c);
}

/* A flow as a stream: one end of a socket pair is spliced with it. Costs a copy in the kernel, for
 * plain HTTP only. */
static struct stream *flow_stream(struct client *c)
{
	struct proxy_server *p = c->server;
	struct stream *near;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return NULL;
	near = stream_adopt(p->loop, fd[0], &http_end_ops, &c->back);
	if (near) {
		struct stream *far = stream_adopt(p->loop, fd[1], &http_end_ops, &c->back);

		if (far && host_splice(p->host, c->to.id, far, bytes_of(NULL, 0)) == 0) {
			c->has_reached = false;
			return near;
		}
		stream_close(near);
	} else {
		close(fd[1]);
	}
	return NULL;
}

/* --- what the machine wants --- */

static int http_status(enum reach_result r)
{
	switch (r) {
	case REACH_OK:
		return 0;
	case REACH_NOT_ALLOWED:
	case REACH_DENIED:
		return 403;
	case REACH_TIMEOUT:
		return 504;
	default:
		return 502;
	}
}

static bool attach(struct client *c)
{
	struct stream *s;

	c->back.http = c->http;
	c->back.is_backend = true;
	c->back.moved = back_moved;
	c->back.closed = back_closed;
	c->back.ctx = c;
	s = c->to.s ? c->to.s : flow_stream(c);
	if (!s)
		return false;
	c->has_reached = false;
	if (http_end_attach(&c->back, s))
		return true;
	stream_close(s);
	return false;
}

void proxy_http_reached(struct client *c)
{
	const enum reach_result r = c->to.result;
	char why[512];

	snprintf(why, sizeof why, "%s: %s", httpproxy_host(c->http), reach_words[r]);
	if (r == REACH_OK && !httpproxy_is_connect(c->http) && !attach(c)) {
		proxy_client_free(c);
		return;
	}
	httpproxy_dialed(c->http, http_status(r), why);
	proxy_http_run(c);
}

static void tunnel(struct client *c)
{
	proxy_client_arm(c, 0);
	if (c->back.s) { /* an upgrade: the back end becomes the far side of the tunnel */
		c->to = (struct reached){ .s = c->back.s };
		c->back.s = NULL;
		c->has_reached = true;
	}
}

static void handle(struct client *c, enum httpproxy_event ev)
{
	switch (ev) {
	case HTTPPROXY_DIAL:
		proxy_client_reach(c, httpproxy_host(c->http), httpproxy_port(c->http));
		break;
	case HTTPPROXY_HANGUP:
		http_end_close(&c->back);
		proxy_client_arm(c, PROXY_IDLE_S);
		break;
	case HTTPPROXY_TUNNEL:
		tunnel(c);
		break;
	case HTTPPROXY_CLOSE:
		http_end_close(&c->back);
		proxy_client_close(c);
		break;
	case HTTPPROXY_REQUEST: /* of reverse proxies */
	case HTTPPROXY_NONE:
		break;
	}
}

static void offer(struct client *c)
{
	size_t n = httpproxy_client(c->http, bytes_of(c->rx, c->rx_len));

	memmove(c->rx, c->rx + n, c->rx_len - n);
	c->rx_len -= n;
	http_end_offer(&c->back);
}

void proxy_http_run(struct client *c)
{
	enum httpproxy_event ev;

	if (c->closing)
		return;
	do {
		offer(c);
		ev = httpproxy_next(c->http);
		handle(c, ev);
	} while (ev != HTTPPROXY_NONE && !c->closing);
	/* it may be gone, and the server may never answer */
	if (c->ended && !c->closing && !c->reach && !c->has_reached)
		proxy_client_arm(c, c->server->ended_s);
	stream_kick(c->s);
	stream_resume(c->s);
	http_end_wake(&c->back);
}
