/* host/proxy_http.c - HTTP clients of a proxy: CONNECT and forwarded requests; the protocol is
 * wire/httpproxy.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/proxy_priv.h"

/* --- the back end of a forwarded request --- */

static size_t back_room(void *ctx, struct iovec *v, size_t max)
{
	struct client *c = ctx;

	(void)max;
	if (!c->back) /* a tunnel that is about to be handed over */
		return 0;
	v[0] = (struct iovec){ c->back_rx + c->back_len, BACK_RX - c->back_len };
	return c->back_len < BACK_RX;
}

/* What the machine did not take before is offered again. */
static void back_offer(struct client *c)
{
	size_t n;

	if (!c->back_rx || c->back_len == 0)
		return;
	n = httpproxy_backend(c->http, bytes_of(c->back_rx, c->back_len));
	memmove(c->back_rx, c->back_rx + n, c->back_len - n);
	c->back_len -= n;
}

static void back_got(void *ctx, size_t n)
{
	struct client *c = ctx;

	c->back_len += n;
	proxy_http_run(c);
}

static void back_end(void *ctx)
{
	struct client *c = ctx;

	c->back_has_ended = true;
	proxy_http_run(c);
}

static size_t back_data(void *ctx, struct iovec *v, size_t max)
{
	struct client *c = ctx;
	struct bytes out = httpproxy_to_backend(c->http);

	(void)max;
	v[0] = (struct iovec){ (void *)(uintptr_t)out.data, out.len };
	return out.len > 0;
}

static void back_sent(void *ctx, size_t n)
{
	struct client *c = ctx;

	httpproxy_backend_sent(c->http, n);
	if (!proxy_client_hand_over(c))
		proxy_http_run(c);
}

static void back_closed(void *ctx, const struct err *why)
{
	struct client *c = ctx;

	(void)why;
	c->back = NULL;
	c->back_has_ended = true;
	if (c->has_reached && c->to.s) { /* a tunnel that died before it was handed over */
		c->has_reached = false;
		proxy_client_free(c);
		return;
	}
	proxy_http_run(c);
}

static const struct stream_ops back_ops = {
	.room = back_room,
	.got = back_got,
	.end = back_end,
	.data = back_data,
	.sent = back_sent,
	.closed = back_closed,
};

/* A flow as a stream: one end of a socket pair is spliced with it. Costs a copy in the kernel, for
 * plain HTTP only. */
static struct stream *flow_stream(struct client *c)
{
	struct proxy_server *p = c->server;
	struct stream *near;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return NULL;
	near = stream_adopt(p->loop, fd[0], &back_ops, c);
	if (near) {
		struct stream *far = stream_adopt(p->loop, fd[1], &back_ops, c);

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

static void back_close(struct client *c)
{
	stream_close(c->back);
	c->back = NULL;
	free(c->back_rx);
	c->back_rx = NULL;
	c->back_len = 0;
	c->back_has_ended = false;
}

/* --- what the machine wants --- */

static int http_status(enum reach_result r)
{
	switch (r) {
	case REACH_OK:
		return 0;
	case REACH_NOT_ALLOWED:
		return 403;
	case REACH_TIMEOUT:
		return 504;
	default:
		return 502;
	}
}

static bool attach(struct client *c)
{
	c->back_rx = malloc(BACK_RX);
	if (!c->back_rx)
		return false;
	if (c->to.s) {
		c->back = c->to.s;
		c->has_reached = false;
		stream_set_ops(c->back, &back_ops, c);
		stream_kick(c->back);
		stream_resume(c->back);
		return true;
	}
	c->back = flow_stream(c);
	return c->back != NULL;
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
	if (c->back) { /* an upgrade: the back end becomes the far side of the tunnel */
		c->to = (struct reached){ .s = c->back };
		c->back = NULL;
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
		back_close(c);
		proxy_client_arm(c, PROXY_IDLE_S);
		break;
	case HTTPPROXY_TUNNEL:
		tunnel(c);
		break;
	case HTTPPROXY_CLOSE:
		back_close(c);
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
	back_offer(c);
	if (c->back_has_ended && c->back_len == 0)
		httpproxy_backend_end(c->http);
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
	stream_kick(c->s);
	stream_resume(c->s);
	if (c->back) {
		stream_kick(c->back);
		stream_resume(c->back);
	}
}
