/* host/http_end.c - see http_end.h */
#include "host/http_end.h"

#include <stdlib.h>
#include <string.h>

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct http_end *e = ctx;

	(void)max;
	if (!e->s) /* it was taken away and waits for its next owner */
		return 0;
	if (!e->rx && !(e->rx = malloc(HTTP_END_BUFFER)))
		return 0;
	v[0] = (struct iovec){ e->rx + e->len, HTTP_END_BUFFER - e->len };
	return e->len < HTTP_END_BUFFER;
}

static void on_got(void *ctx, size_t n)
{
	struct http_end *e = ctx;

	e->len += n;
	e->moved(e->ctx);
}

static void on_end(void *ctx)
{
	struct http_end *e = ctx;

	e->has_ended = true;
	e->moved(e->ctx);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct http_end *e = ctx;
	struct bytes out =
	    e->is_backend ? httpproxy_to_backend(e->http) : httpproxy_to_client(e->http);

	(void)max;
	v[0] = (struct iovec){ (void *)(uintptr_t)out.data, out.len };
	return out.len > 0;
}

static void on_sent(void *ctx, size_t n)
{
	struct http_end *e = ctx;

	if (e->is_backend)
		httpproxy_backend_sent(e->http, n);
	else
		httpproxy_client_sent(e->http, n);
	e->moved(e->ctx);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct http_end *e = ctx;

	(void)why;
	e->s = NULL;
	e->has_ended = true;
	e->closed(e->ctx);
}

const struct stream_ops http_end_ops = {
	.room = on_room,
	.got = on_got,
	.end = on_end,
	.data = on_data,
	.sent = on_sent,
	.closed = on_closed,
};

bool http_end_attach(struct http_end *e, struct stream *s)
{
	e->rx = malloc(HTTP_END_BUFFER);
	if (!e->rx)
		return false;
	e->s = s;
	e->len = 0;
	e->has_ended = false;
	if (s) {
		stream_set_ops(s, &http_end_ops, e);
		http_end_wake(e);
	}
	return true;
}

void http_end_offer(struct http_end *e)
{
	size_t n;

	if (e->len > 0) {
		n = e->is_backend ? httpproxy_backend(e->http, bytes_of(e->rx, e->len))
				  : httpproxy_client(e->http, bytes_of(e->rx, e->len));
		memmove(e->rx, e->rx + n, e->len - n);
		e->len -= n;
	}
	if (!e->has_ended || e->len > 0)
		return;
	if (e->is_backend)
		httpproxy_backend_end(e->http);
	else
		httpproxy_client_end(e->http);
}

void http_end_rest(struct http_end *e)
{
	if (e->len > 0)
		return;
	free(e->rx);
	e->rx = NULL;
}

void http_end_wake(struct http_end *e)
{
	if (!e->s)
		return;
	stream_kick(e->s);
	stream_resume(e->s);
}

void http_end_close(struct http_end *e)
{
	stream_close(e->s);
	e->s = NULL;
	free(e->rx);
	e->rx = NULL;
	e->len = 0;
	e->has_ended = false;
}
