/* os/http.c - see http.h
 *
 * The answer is read into `in`; its head moves to `head` when complete, its body piece by piece to
 * `body`.
 */
#include "os/http.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/privilege.h"
#include "wire/http1.h"

enum { CHUNK = 4096, IN_MAX = HTTP_HEAD_MAX + CHUNK };

struct http {
	struct loop *loop;
	http_fn *fn;
	bool (*piece)(void *ctx, struct bytes piece);
	void *ctx;
	struct stream *stream;
	struct loop_timer limit;
	span_t timeout;
	struct buf out, in, head, body;
	struct secret_arena *arena; /* of out, in and body; NULL: they lie in the heap */
	bool has_head;
	char method[HTTP1_METHOD_MAX + 1];
	char where[300]; /* "host:port" */
	struct http1_head parsed;
	struct http1_body framing;
};

/* --- the end --- */

void http_cancel(struct http *h)
{
	if (!h)
		return;
	loop_timer_fini(&h->limit);
	stream_close(h->stream);
	if (h->out.data)
		explicit_bzero(h->out.data, h->out.cap); /* may hold a token */
	buf_fini(&h->out);
	buf_fini(&h->in);
	buf_fini(&h->head);
	buf_fini(&h->body);
	secret_arena_free(h->arena);
	free(h);
}

static void fail(struct http *h, const struct err *why)
{
	struct err e = *why;
	http_fn *fn = h->fn;
	void *ctx = h->ctx;

	http_cancel(h);
	fn(ctx, NULL, &e);
}

/* The reply lives as long as the callback; the request is dead to its owner already. */
static void succeed(struct http *h)
{
	struct http_reply reply = { (unsigned)h->parsed.status, buf_bytes(&h->head),
				    buf_bytes(&h->body) };

	stream_close(h->stream);
	h->stream = NULL;
	loop_timer_fini(&h->limit);
	h->fn(h->ctx, &reply, NULL);
	http_cancel(h);
}

static void limit_reached(void *ctx)
{
	struct http *h = ctx;
	struct err err;

	err_say(&err, ETIMEDOUT, "%s: no answer within %lld s", h->where,
		(long long)((h->timeout.ns + NS_PER_S - 1) / NS_PER_S));
	fail(h, &err);
}

static void fail_with(struct http *h, int code, const char *what)
{
	struct err err;

	err_say(&err, code, "%s: %s", h->where, what);
	fail(h, &err);
}

/* --- the answer --- */

/* Returns whether h is still there. */
static bool take_head(struct http *h)
{
	enum http1_result r = http1_head_feed(&h->parsed, buf_bytes(&h->in));
	size_t len = h->parsed.len;

	if (r == HTTP1_MORE)
		return true;
	if (r != HTTP1_OK) {
		fail_with(h, EPROTO, "the answer is not HTTP");
		return false;
	}
	if (h->parsed.status >= 100 &&
	    h->parsed.status < 200) { /* RFC 9110 15.2: another follows */
		buf_consume(&h->in, len);
		http1_response_init(&h->parsed, h->method);
		return h->in.len == 0 || take_head(h);
	}
	http1_body_init(&h->framing, &h->parsed);
	if (!buf_append(&h->head, buf_bytes(&h->in).data, len)) {
		fail_with(h, ENOMEM, "no memory for the answer");
		return false;
	}
	buf_consume(&h->in, len);
	h->has_head = true;
	return true;
}

static bool keep(struct http *h, struct bytes piece)
{
	return h->piece && h->parsed.status == 200 ? h->piece(h->ctx, piece)
						   : buf_append(&h->body, piece.data, piece.len);
}

static void take_body(struct http *h)
{
	for (;;) {
		struct bytes piece = { NULL, 0 };
		size_t used = 0;
		enum http1_body_result r =
		    http1_body_feed(&h->framing, buf_bytes(&h->in), &used, &piece);

		if (r == HTTP1_BODY_DATA && !keep(h, piece)) {
			fail_with(h, EFBIG, "the answer is too large");
			return;
		}
		if (r == HTTP1_BODY_BAD) {
			fail_with(h, EPROTO, "the answer's body is malformed");
			return;
		}
		buf_consume(&h->in, used);
		if (r == HTTP1_BODY_END) {
			succeed(h);
			return;
		}
		if (r == HTTP1_BODY_MORE)
			return;
	}
}

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct http *h = ctx;
	uint8_t *p = buf_reserve(&h->in, CHUNK);

	(void)max;
	if (!p) {
		fail_with(h, EFBIG, "the answer's head is too large");
		return 0;
	}
	v[0] = (struct iovec){ p, CHUNK };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	struct http *h = ctx;

	buf_commit(&h->in, n);
	if (!h->has_head && !take_head(h))
		return;
	if (h->has_head)
		take_body(h);
}

static void on_end(void *ctx)
{
	struct http *h = ctx;

	if (h->has_head && http1_body_eof(&h->framing))
		succeed(h);
	else
		fail_with(h, ECONNRESET, "the connection ended within the answer");
}

static void on_closed(void *ctx, const struct err *why)
{
	struct http *h = ctx;
	struct err ended;

	h->stream = NULL;
	err_say(&ended, ECONNRESET, "%s: the connection ended without an answer", h->where);
	fail(h, why ? why : &ended);
}

/* --- the request --- */

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct http *h = ctx;
	struct bytes b = buf_bytes(&h->out);

	(void)max;
	if (b.len == 0)
		return 0;
	v[0] = (struct iovec){ h->out.data + h->out.off, b.len };
	return 1;
}

static void on_sent(void *ctx, size_t n)
{
	struct http *h = ctx;

	buf_consume(&h->out, n);
}

static const struct stream_ops ops = { .room = on_room,
				       .got = on_got,
				       .end = on_end,
				       .data = on_data,
				       .sent = on_sent,
				       .closed = on_closed };

/* "host" or "host:port" as a Host field has it */
static void host_field(const struct http_conf *conf, struct buf *out)
{
	const struct dial_conf *d = &conf->stream.dial;
	const char *host = d->host ? d->host : "localhost";
	bool is_v6 = strchr(host, ':') != NULL, ok;

	ok = buf_printf(out, "%s%s%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "");
	if (ok && !d->unix_path && d->port != (conf->stream.tls ? 443 : 80))
		ok = buf_printf(out, ":%u", d->port);
	if (!ok)
		buf_clear(out);
}

static bool write_request(struct http *h, const struct http_conf *conf)
{
	struct buf host;
	struct http1_emit e;
	bool has_body = conf->body.len > 0 || strcmp(h->method, "POST") == 0, ok;

	buf_init(&host, 512);
	if (!conf->host)
		host_field(conf, &host);
	e = http1_emit_request(&h->out, h->method, bytes_str(conf->target),
			       conf->host ? bytes_str(conf->host) : buf_bytes(&host));
	http1_emit_field(&e, "Connection", "close");
	if (has_body)
		http1_emit_length(&e, conf->body.len);
	ok = !conf->headers || buf_append(&h->out, conf->headers, strlen(conf->headers));
	ok = http1_emit_end(&e) && ok && buf_append(&h->out, conf->body.data, conf->body.len);
	buf_fini(&host);
	return ok;
}

static int start(struct http *h, const struct http_conf *conf, struct err *err)
{
	const struct dial_conf *d = &conf->stream.dial;
	struct stream_conf s = conf->stream;

	h->timeout = conf->timeout.ns > 0 ? conf->timeout
		     : d->timeout.ns > 0  ? d->timeout
					  : SPAN_S(DIAL_TIMEOUT_S);
	(void)bytes_to_str(bytes_str(d->unix_path ? d->unix_path
				     : d->host    ? d->host
						  : ""),
			   h->where, sizeof h->where);
	if (!bytes_to_str(bytes_str(conf->method ? conf->method : "GET"), h->method,
			  sizeof h->method) ||
	    !write_request(h, conf))
		return err_say(err, EINVAL, "request to %s: malformed or too large", h->where);
	http1_response_init(&h->parsed, h->method);
	s.dial.timeout = h->timeout;
	h->stream = stream_dial(h->loop, &s, &ops, h, err);
	if (!h->stream)
		return -err->code;
	/* the dial has the same limit and better words: it speaks first */
	loop_timer_set(&h->limit, mono_add(loop_now(h->loop), (span_t){ h->timeout.ns + 2000000 }));
	return 0;
}

/* As long as a request that write_request makes, at most */
static size_t request_max(const struct http_conf *conf)
{
	return 512 + strlen(conf->target) + (conf->host ? strlen(conf->host) : 0) +
	       (conf->headers ? strlen(conf->headers) : 0) + conf->body.len;
}

static bool place_secrets(struct http *h, const struct http_conf *conf, size_t body_max)
{
	const size_t len[] = { request_max(conf), HTTP_SECRET_HEAD_MAX + CHUNK + 1, body_max + 1 };
	struct buf *const b[] = { &h->out, &h->in, &h->body };

	h->arena = secret_arena_new(len[0] + len[1] + len[2] + 3 * 16);
	for (size_t i = 0; h->arena && i < ARRAY_LEN(b); i++)
		buf_init_over(b[i], secret_alloc(h->arena, len[i]), len[i]);
	return h->arena != NULL;
}

struct http *http_start(struct loop *loop, const struct http_conf *conf, http_fn *fn, void *ctx,
			struct err *err)
{
	struct http *h = calloc(1, sizeof *h);
	size_t body_max = conf->body_max ? conf->body_max : HTTP_BODY_MAX;

	assert(conf->target);
	if (!h) {
		err_set(err, ENOMEM, "request");
		return NULL;
	}
	*h = (struct http){ .loop = loop, .fn = fn, .piece = conf->piece, .ctx = ctx };
	loop_timer_init(loop, &h->limit, limit_reached, h);
	buf_init(&h->out, HTTP_HEAD_MAX + conf->body.len);
	buf_init(&h->in, IN_MAX);
	buf_init(&h->head, HTTP_HEAD_MAX);
	buf_init(&h->body, body_max);
	if (conf->is_secret && !place_secrets(h, conf, body_max)) {
		err_set(err, ENOMEM, "request");
		http_cancel(h);
		return NULL;
	}
	if (start(h, conf, err) < 0) {
		http_cancel(h);
		return NULL;
	}
	return h;
}
