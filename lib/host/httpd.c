/* host/httpd.c - see httpd.h */
#include "host/httpd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "os/file.h"
#include "os/listen.h"
#include "os/loop.h"
#include "os/stream.h"

enum { READ_ROOM = 4096 };

enum call_state { AT_HEAD, AT_BODY, AT_WORK, AT_STREAM, AT_LAST /* only sending is left */ };

struct httpd_call {
	struct httpd *d;
	struct httpd_call *next, *prev;
	struct stream *s;
	enum call_state state;
	bool is_in_run; /* processing: answers given meanwhile do not recurse */
	bool keep_alive, is_head, ended;
	struct http1_head head;
	struct http1_body framing;
	struct buf in, body, out;
	size_t consumed; /* bytes of `in` that belong to the request at work */
	struct loop_timer timer;
	struct loop_defer cut; /* to be dropped at the end of the turn */
	void (*gone)(void *ctx);
	void *gone_ctx;
};

struct httpd {
	struct httpd_conf conf;
	struct listener *l;
	struct httpd_call *calls;
	size_t n;
};

static void run(struct httpd_call *c);

/* Who waits for a request, sends one or takes an answer, for the longest; NULL: all are at work */
static struct httpd_call *idle_longest(const struct httpd *d)
{
	struct httpd_call *oldest = NULL;

	for (struct httpd_call *c = d->calls; c; c = c->next) /* the newest is first */
		if (c->state != AT_WORK && c->state != AT_STREAM)
			oldest = c;
	return oldest;
}

static void call_free(struct httpd_call *c)
{
	struct httpd *d = c->d;

	if (c->prev)
		c->prev->next = c->next;
	else
		d->calls = c->next;
	if (c->next)
		c->next->prev = c->prev;
	d->n--;
	listener_pause(d->l, false);
	loop_timer_fini(&c->timer);
	loop_defer_cancel(&c->cut);
	buf_fini(&c->in);
	buf_fini(&c->body);
	buf_fini(&c->out);
	free(c);
}

/* The client is no more (or is to be no more): who works for it is told, then everything goes. */
static void drop(struct httpd_call *c)
{
	if (c->gone && (c->state == AT_WORK || c->state == AT_STREAM))
		c->gone(c->gone_ctx);
	stream_close(c->s);
	call_free(c);
}

static void drop_later(void *ctx)
{
	drop(ctx);
}

static void arm(struct httpd_call *c)
{
	loop_timer_set(&c->timer, mono_add(loop_now(c->d->conf.loop), SPAN_S(HTTPD_IDLE_S)));
}

/* --- answers --- */

static void emit_head(struct httpd_call *c, int status, const char *type,
		      const struct httpd_field *extra, size_t n, bool is_stream, size_t len)
{
	struct http1_emit e = http1_emit_response(&c->out, status, NULL);

	for (size_t i = 0; i < n; i++)
		http1_emit_field(&e, extra[i].name, extra[i].value);
	if (type)
		http1_emit_field(&e, "Content-Type", type);
	if (is_stream && c->head.minor > 0)
		http1_emit_field(&e, "Transfer-Encoding", "chunked");
	else if (!is_stream && status != 204)
		http1_emit_length(&e, len);
	if (!c->keep_alive)
		http1_emit_field(&e, "Connection", "close");
	if (!http1_emit_end(&e))
		c->keep_alive = false; /* nothing goes out: the client sees the end */
}

static void finish(struct httpd_call *c)
{
	c->gone = NULL;
	listener_pause(c->d->l, false);
	buf_clear(&c->body);
	buf_consume(&c->in, c->consumed);
	c->consumed = 0;
	if (!c->keep_alive || c->ended) {
		c->state = AT_LAST;
		stream_shutdown(c->s);
	} else {
		http1_request_init(&c->head);
		c->state = AT_HEAD;
	}
	arm(c);
	stream_kick(c->s);
	stream_resume(c->s);
	if (!c->is_in_run)
		run(c);
}

void httpd_answer(struct httpd_call *c, int status, const char *type,
		  const struct httpd_field *extra, size_t n_extra, struct bytes body)
{
	assert(c->state == AT_WORK);
	emit_head(c, status, type, extra, n_extra, false, body.len);
	if (!c->is_head && status != 204 && !buf_append(&c->out, body.data, body.len))
		c->keep_alive = false;
	finish(c);
}

void httpd_begin(struct httpd_call *c, int status, const char *type,
		 const struct httpd_field *extra, size_t n_extra)
{
	assert(c->state == AT_WORK);
	c->state = AT_STREAM;
	if (c->head.minor == 0)
		c->keep_alive = false;
	emit_head(c, status, type, extra, n_extra, true, 0);
	stream_kick(c->s);
}

bool httpd_push(struct httpd_call *c, struct bytes data)
{
	bool ok;

	assert(c->state == AT_STREAM);
	if (data.len == 0)
		return true;
	ok = c->out.len <= HTTPD_BACKLOG_MAX &&
	     (c->head.minor > 0 ? http1_emit_chunk(&c->out, data)
				: buf_append(&c->out, data.data, data.len));
	if (!ok) {
		c->gone = NULL;
		c->state = AT_LAST;
		buf_clear(&c->out);
		loop_defer(c->d->conf.loop, &c->cut);
		return false;
	}
	stream_kick(c->s);
	return true;
}

void httpd_end(struct httpd_call *c)
{
	assert(c->state == AT_STREAM);
	if (c->head.minor > 0 && !http1_emit_chunk(&c->out, bytes_of(NULL, 0)))
		c->keep_alive = false;
	finish(c);
}

struct stream *httpd_detach(struct httpd_call *c, struct buf *early, bool *has_ended)
{
	struct bytes in = buf_bytes(&c->in);
	struct stream *s = c->s;

	assert(c->state == AT_WORK && !c->is_in_run);
	if (c->out.len > 0 || !buf_append(early, in.data + c->consumed, in.len - c->consumed))
		return NULL;
	*has_ended = c->ended;
	call_free(c);
	return s;
}

void httpd_on_gone(struct httpd_call *c, void (*gone)(void *ctx), void *ctx)
{
	c->gone = gone;
	c->gone_ctx = ctx;
}

/* --- requests --- */

static void refuse(struct httpd_call *c, int status, const char *why)
{
	c->keep_alive = false;
	c->state = AT_WORK;
	httpd_answer(c, status, "text/plain; charset=utf-8", NULL, 0, bytes_str(why));
}

static void work(struct httpd_call *c)
{
	struct httpd_request rq = { .head = &c->head,
				    .body = buf_bytes(&c->body),
				    .fd = stream_fd(c->s) };

	loop_timer_set(&c->timer, MONO_NEVER);
	/* the input has moved while the body came: the head's views are taken anew */
	http1_request_init(&c->head);
	if (http1_head_feed(&c->head, buf_bytes(&c->in)) != HTTP1_OK ||
	    !http1_target_parse(c->head.method, c->head.target, &rq.target)) {
		refuse(c, 400, "malformed target\n");
		return;
	}
	c->state = AT_WORK;
	if (c->d->n >= HTTPD_CLIENTS_MAX && !idle_longest(c->d))
		listener_pause(c->d->l, true); /* until one of them is done */
	c->d->conf.fn(c->d->conf.ctx, c, &rq);
}

static bool run_head(struct httpd_call *c)
{
	enum http1_result r = c->in.len ? http1_head_feed(&c->head, buf_bytes(&c->in)) : HTTP1_MORE;

	if (r == HTTP1_MORE)
		return false;
	if (r != HTTP1_OK) {
		c->head.minor = 1;
		refuse(c, 400, http1_result_name(r));
		return false;
	}
	c->keep_alive = c->head.keep_alive;
	c->is_head = bytes_eq_str(c->head.method, "HEAD");
	http1_body_init(&c->framing, &c->head);
	c->state = AT_BODY;
	if (http1_has_token(&c->head, "Expect", "100-continue") && c->head.minor > 0 &&
	    c->head.framing != HTTP1_BODY_NONE) {
		if (!buf_printf(&c->out, "HTTP/1.1 100 Continue\r\n\r\n"))
			c->keep_alive = false;
		stream_kick(c->s);
	}
	return true;
}

/* The head stays in front of the input until the request is answered: fields are views into it. */
static bool run_body(struct httpd_call *c)
{
	struct bytes in = buf_bytes(&c->in), piece;
	enum http1_body_result r;
	size_t used;

	in.data += c->head.len;
	in.len -= c->head.len;
	do {
		r = http1_body_feed(&c->framing, in, &used, &piece);
		in.data += used;
		in.len -= used;
		if (r == HTTP1_BODY_DATA && !buf_append(&c->body, piece.data, piece.len)) {
			refuse(c, 413, "the body is too large\n");
			return false;
		}
	} while (r == HTTP1_BODY_DATA);
	if (r == HTTP1_BODY_BAD) {
		refuse(c, 400, "malformed body\n");
		return false;
	}
	if (r == HTTP1_BODY_MORE) { /* all was used: only the head is kept */
		c->in.len = c->head.len;
		return false;
	}
	c->consumed = c->in.len - in.len; /* what follows belongs to the next request */
	work(c);
	return true;
}

static void run(struct httpd_call *c)
{
	c->is_in_run = true;
	while ((c->state == AT_HEAD && run_head(c)) || (c->state == AT_BODY && run_body(c)))
		;
	c->is_in_run = false;
}

/* --- the stream --- */

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct httpd_call *c = ctx;
	uint8_t *p;

	(void)max;
	if (c->state == AT_WORK)
		return 0; /* one at a time */
	if (c->state == AT_STREAM || c->state == AT_LAST) {
		buf_clear(&c->in); /* nothing is expected but the end */
		c->consumed = 0;
	}
	p = buf_reserve(&c->in, READ_ROOM);
	if (!p)
		return 0;
	v[0] = (struct iovec){ p, READ_ROOM };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	struct httpd_call *c = ctx;

	buf_commit(&c->in, n);
	if (c->state == AT_HEAD || c->state == AT_BODY)
		run(c);
}

static void on_end(void *ctx)
{
	struct httpd_call *c = ctx;

	c->ended = true;
	if (c->state == AT_STREAM)
		drop(c);
	else if (c->state != AT_WORK)
		stream_shutdown(c->s);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct httpd_call *c = ctx;
	struct bytes out = buf_bytes(&c->out);

	(void)max;
	v[0] = (struct iovec){ (void *)(uintptr_t)out.data, out.len };
	return out.len > 0;
}

static void on_sent(void *ctx, size_t n)
{
	struct httpd_call *c = ctx;

	buf_consume(&c->out, n);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct httpd_call *c = ctx;

	(void)why; /* a client that goes away is no fault */
	if (c->gone && (c->state == AT_WORK || c->state == AT_STREAM))
		c->gone(c->gone_ctx);
	call_free(c);
}

static const struct stream_ops ops = {
	.room = on_room,
	.got = on_got,
	.end = on_end,
	.data = on_data,
	.sent = on_sent,
	.closed = on_closed,
};

/* Those that only hold a place do not keep others out: a probe is answered while strangers fill the
 * listener with connections that say nothing. */
static bool make_room(struct httpd *d)
{
	struct httpd_call *oldest = d->n >= HTTPD_CLIENTS_MAX ? idle_longest(d) : NULL;

	if (oldest)
		drop(oldest);
	return d->n < HTTPD_CLIENTS_MAX;
}

static void on_accept(void *ctx, int fd, const struct ipport *from)
{
	struct httpd *d = ctx;
	struct httpd_call *c = make_room(d) ? calloc(1, sizeof *c) : NULL;

	(void)from;
	if (!c) {
		file_fd_close(&fd);
		return;
	}
	*c = (struct httpd_call){ .d = d, .next = d->calls };
	if (d->calls)
		d->calls->prev = c;
	d->calls = c;
	d->n++;
	buf_init(&c->in, HTTP1_HEAD_MAX + d->conf.body_max + 2 * READ_ROOM);
	buf_init(&c->body, d->conf.body_max);
	buf_init(&c->out, d->conf.answer_max + HTTPD_BACKLOG_MAX + HTTP1_HEAD_MAX);
	http1_request_init(&c->head);
	loop_defer_init(&c->cut, drop_later, c);
	loop_timer_init(d->conf.loop, &c->timer, drop_later, c);
	c->s = stream_adopt(d->conf.loop, fd, &ops, c);
	if (c->s)
		arm(c);
	else
		call_free(c);
}

struct httpd *httpd_new(const struct httpd_conf *conf, struct err *e)
{
	struct httpd *d = calloc(1, sizeof *d);

	if (!d) {
		err_set(e, ENOMEM, "listen");
		return NULL;
	}
	d->conf = *conf;
	d->l = conf->unix_path
		   ? listen_unix(conf->loop, conf->unix_path, conf->mode, on_accept, d, e)
		   : listen_tcp(conf->loop, conf->addr, on_accept, d, e);
	if (!d->l) {
		free(d);
		return NULL;
	}
	return d;
}

void httpd_free(struct httpd *d)
{
	if (!d)
		return;
	while (d->calls)
		drop(d->calls);
	listener_close(d->l);
	free(d);
}

uint16_t httpd_port(const struct httpd *d)
{
	return listener_port(d->l);
}
