/* coordinator/conn.c - one connection: HTTP/1 messages in and out, then bytes of a control session
 * or a relay client */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "coordinator/serve_priv.h"

/* --- life --- */

static void on_reap(void *ctx)
{
	struct conn *c = ctx;

	buf_fini(&c->in);
	buf_fini(&c->head);
	buf_fini(&c->body);
	buf_fini(&c->out);
	free(c->ws);
	free(c);
}

/* --- those that are nobody's yet, by age --- */

static void young_add(struct conn *c)
{
	struct serve *s = c->s;

	c->is_young = true;
	c->older = s->youngest;
	if (c->older)
		c->older->younger = c;
	else
		s->oldest = c;
	s->youngest = c;
}

static void young_del(struct conn *c)
{
	struct serve *s = c->s;

	if (!c->is_young)
		return;
	c->is_young = false;
	if (c->younger)
		c->younger->older = c->older;
	else
		s->youngest = c->older;
	if (c->older)
		c->older->younger = c->younger;
	else
		s->oldest = c->younger;
	c->younger = c->older = NULL;
}

static void forget(struct conn *c) /* the stream is gone or about to be */
{
	struct serve *s = c->s;

	loop_timer_fini(&c->timer);
	young_del(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n_conns--;
	if (c->mode == CONN_CONTROL) {
		s->by_session[c->session.index] = NULL;
		tailnet_closed(s->t, loop_now(s->loop), loop_wall(), c->session);
	} else if (c->mode == CONN_DERP) {
		s->by_derp[c->derp.index] = NULL;
		derp_server_close(s->relay.derp, loop_now(s->loop), c->derp);
	}
	c->mode = CONN_HTTP;
	c->stream = NULL;
	loop_defer(s->loop, &c->reap);
}

void conn_end(struct conn *c)
{
	if (!c->stream)
		return;
	stream_close(c->stream);
	forget(c);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct conn *c = ctx;

	if (why) {
		log_debug("connection: %s", why->text);
		c->s->count.tls_failed += c->is_tls && !c->has_spoken;
	}
	if (c->stream)
		forget(c);
}

static void on_timer(void *ctx)
{
	struct conn *c = ctx;

	log_debug("connection: too slow");
	c->s->count.slow++;
	conn_end(c);
}

static void expect(struct conn *c, unsigned seconds)
{
	loop_timer_set(&c->timer, mono_add(loop_now(c->s->loop), SPAN_S(seconds)));
}

void conn_kick(struct conn *c)
{
	if (c->stream)
		stream_kick(c->stream);
}

bool conn_index(struct conn ***v, size_t *cap, size_t i, struct conn *c)
{
	if (i >= *cap) {
		size_t n = MAX_OF(*cap * 2, (i / 64 + 1) * 64);
		struct conn **more = realloc(*v, n * sizeof *more);

		if (!more)
			return false;
		memset(more + *cap, 0, (n - *cap) * sizeof *more);
		*v = more;
		*cap = n;
	}
	(*v)[i] = c;
	return true;
}

/* --- requests --- */

static void refuse(struct conn *c, int status, const char *why)
{
	char text[128];

	c->s->count.bad_requests++;
	c->must_close = true;
	snprintf(text, sizeof text, "%s\n", why);
	if (!http1_emit_answer(&c->out, status, "text/plain", bytes_str(text), true))
		conn_end(c);
}

static bool too_large(struct conn *c)
{
	refuse(c, c->body_refusal,
	       c->body_refusal == 413 ? "the body is too large" : "Unauthorized");
	return false;
}

/* The head moves into memory of its own, so that what follows can be taken off the input piece by
 * piece. */
static bool take_head(struct conn *c)
{
	enum http1_result r = http1_head_feed(&c->h, buf_bytes(&c->in));
	size_t len = c->h.len;

	if (r == HTTP1_MORE)
		return false;
	if (r != HTTP1_OK) {
		refuse(c, 400, http1_result_name(r));
		return false;
	}
	buf_clear(&c->head);
	if (!buf_append(&c->head, buf_bytes(&c->in).data, len)) {
		conn_end(c);
		return false;
	}
	http1_request_init(&c->h);
	if (http1_head_feed(&c->h, buf_bytes(&c->head)) != HTTP1_OK) {
		refuse(c, 400, "malformed head");
		return false;
	}
	buf_consume(&c->in, len);
	http1_body_init(&c->framing, &c->h);
	c->has_head = true;
	if (c->h.framing != HTTP1_BODY_NONE)
		c->body.max = http_body_max(c, &c->body_refusal);
	if (c->h.framing == HTTP1_BODY_LENGTH && c->h.content_length > c->body.max)
		return too_large(c);
	if (http1_has_token(&c->h, "Expect", "100-continue") &&
	    !buf_append(&c->out, "HTTP/1.1 100 Continue\r\n\r\n", 25)) {
		conn_end(c);
		return false;
	}
	return true;
}

static bool take_body(struct conn *c)
{
	for (;;) {
		struct bytes piece;
		size_t used;
		enum http1_body_result r =
		    http1_body_feed(&c->framing, buf_bytes(&c->in), &used, &piece);

		if (r == HTTP1_BODY_BAD) {
			refuse(c, 400, "malformed body");
			return false;
		}
		if (r == HTTP1_BODY_DATA && !buf_append(&c->body, piece.data, piece.len))
			return too_large(c);
		buf_consume(&c->in, used);
		if (r != HTTP1_BODY_DATA)
			return r == HTTP1_BODY_END;
	}
}

/* The relay's client leaves in order: our close frame is the last that it is sent. */
static void close_websocket(struct conn *c, uint16_t code)
{
	struct serve *s = c->s;

	s->by_derp[c->derp.index] = NULL;
	derp_server_close(s->relay.derp, loop_now(s->loop), c->derp);
	c->mode = CONN_HTTP;
	c->must_close = true;
	if (!ws_emit_close(&c->out, code)) {
		conn_end(c);
		return;
	}
	expect(c, 5);
	conn_kick(c);
}

static void feed_websocket(struct conn *c, struct bytes in)
{
	struct bytes piece;
	enum ws_result r;

	while (c->mode == CONN_DERP && (r = ws_feed(c->ws, &in, &piece)) != WS_MORE)
		switch (r) {
		case WS_DATA:
			derp_server_feed(c->s->relay.derp, loop_now(c->s->loop), c->derp, piece);
			break;
		case WS_PING: /* who does not read gets no answers */
			if (c->out.len < CONN_CHUNK &&
			    ws_emit(&c->out, WS_PONG_FRAME, c->ws->control, c->ws->n_control))
				conn_kick(c);
			break;
		default:
			c->s->count.websockets_malformed += r == WS_BAD;
			close_websocket(c, c->ws->code);
			return;
		}
}

/* What came with or after an upgrade, for the machine that has the connection now. */
static void feed(struct conn *c, struct bytes in)
{
	struct serve *s = c->s;
	mono_t now = loop_now(s->loop);

	if (c->mode == CONN_CONTROL)
		tailnet_feed(s->t, now, loop_wall(), c->session, in);
	else if (c->ws)
		feed_websocket(c, in);
	else
		derp_server_feed(s->relay.derp, now, c->derp, in);
}

static void upgraded(struct conn *c)
{
	loop_timer_set(&c->timer, MONO_NEVER);
	stream_keepalive(c->stream, 60, 15, 4);
	if (c->in.len > 0)
		feed(c, buf_bytes(&c->in));
	buf_fini(&c->in);
	buf_fini(&c->head);
	buf_fini(&c->body);
	conn_kick(c);
}

/* One request at a time: the next is looked at when the answer to this one has left. */
static void advance(struct conn *c)
{
	while (c->stream && c->mode == CONN_HTTP && !c->must_close) {
		if (!c->has_head && (c->in.len == 0 || !take_head(c)))
			break;
		if (!take_body(c))
			break;
		c->s->count.requests++;
		c->must_close = !c->h.keep_alive;
		http_request(c, buf_bytes(&c->body));
		c->has_head = false;
		buf_clear(&c->body);
		if (!c->stream)
			return;
		if (c->mode != CONN_HTTP) {
			upgraded(c);
			return;
		}
		http1_request_init(&c->h);
		expect(c, CONN_IDLE_S);
		break;
	}
	if (c->stream && c->out.len > 0)
		conn_kick(c);
}

/* --- stream --- */

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct conn *c = ctx;
	uint8_t *p;

	(void)max;
	if (c->mode != CONN_HTTP) {
		if (c->mode == CONN_DERP && !derp_server_wants_read(c->s->relay.derp, c->derp))
			return 0;
		v[0] = (struct iovec){ c->s->scratch, sizeof c->s->scratch };
		return 1;
	}
	if (c->must_close && c->out.len == 0) { /* answered: only the end is waited for */
		v[0] = (struct iovec){ c->s->scratch, sizeof c->s->scratch };
		return 1;
	}
	if (c->must_close || (c->out.len > 0 && !c->has_head))
		return 0; /* resumed when the answer has left */
	p = buf_reserve(&c->in, 4096);
	if (!p)
		return 0;
	v[0] = (struct iovec){ p, 4096 };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	struct conn *c = ctx;

	c->has_spoken = true;
	if (c->mode != CONN_HTTP) {
		feed(c, bytes_of(c->s->scratch, n));
		return;
	}
	if (c->must_close)
		return;
	if (c->in.len == 0 && !c->has_head)
		expect(c, CONN_HEAD_S); /* a request begins */
	buf_commit(&c->in, n);
	advance(c);
}

static void on_end(void *ctx)
{
	struct conn *c = ctx;

	if (c->mode != CONN_HTTP || c->out.len == 0)
		conn_end(c);
	else
		c->must_close = true;
}

/* What its machine has to send, by way of the scratch buffer, which is free between two reads: no
 * more is allocated than there are bytes. */
static void pull(struct conn *c)
{
	mono_t now = loop_now(c->s->loop);
	uint8_t head[WS_HEAD_MAX], *p = c->s->scratch;
	size_t n = c->mode == CONN_CONTROL ? tailnet_pull(c->s->t, now, c->session, p, CONN_CHUNK)
					   : derp_server_pull(c->s->relay.derp, now, c->derp, p,
							      CONN_CHUNK - WS_HEAD_MAX);

	if (n == 0 && c->mode == CONN_CONTROL && tailnet_is_over(c->s->t, c->session))
		conn_end(c);
	else if (n > 0 && ((c->ws && !buf_append(&c->out, head, ws_head(WS_BINARY, n, head))) ||
			   !buf_append(&c->out, p, n)))
		conn_end(c);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct conn *c = ctx;

	(void)max;
	if (!serve_settle(c->s) || !c->stream)
		return 0;
	if (c->out.len == 0 && c->mode != CONN_HTTP)
		pull(c);
	if (!c->stream)
		return 0;
	if (c->out.len == 0) {
		buf_fini(&c->out); /* idle connections hold no buffers */
		return 0;
	}
	v[0] = (struct iovec){ c->out.data + c->out.off, c->out.len };
	return 1;
}

static void on_sent(void *ctx, size_t n)
{
	struct conn *c = ctx;

	buf_consume(&c->out, n);
	if (c->mode != CONN_HTTP || c->out.len > 0)
		return;
	if (c->must_close) {
		stream_shutdown(c->stream);
		stream_resume(c->stream);
		expect(c, 5);
		return;
	}
	advance(c);
	if (c->stream)
		stream_resume(c->stream);
}

static const struct stream_ops ops = { .room = on_room,
				       .got = on_got,
				       .end = on_end,
				       .data = on_data,
				       .sent = on_sent,
				       .closed = on_closed };

/* --- accept --- */

enum door { DOOR_TCP, DOOR_LOCAL, DOOR_METRICS };

static bool is_of_node(const struct conn *c)
{
	const struct serve *s = c->s;

	return c->mode == CONN_CONTROL
		   ? tailnet_is_of_node(s->t, c->session)
		   : c->mode == CONN_DERP && derp_server_is_client(s->relay.derp, c->derp);
}

/* Connections that only hold a place do not keep nodes out: the oldest of those that are no node's
 * gives way. Whose they have become is looked at here, once for each that is. */
static bool make_room(struct serve *s, enum door door)
{
	size_t max = s->max_conns + (door == DOOR_LOCAL ? CONN_LOCAL_SPARE : 0);

	while (s->n_conns >= s->max_conns && s->oldest) {
		if (is_of_node(s->oldest)) {
			young_del(s->oldest);
			continue;
		}
		s->count.refused_connections++;
		conn_end(s->oldest);
	}
	return s->n_conns < max;
}

static void adopt(struct serve *s, int fd, const struct ipport *from, enum door door)
{
	struct conn *c = make_room(s, door) ? calloc(1, sizeof *c) : NULL;
	struct listen_peer peer;

	if (!c) {
		s->count.refused_connections++;
		close(fd);
		return;
	}
	c->s = s;
	c->is_local = door == DOOR_LOCAL;
	c->is_metrics = door == DOOR_METRICS;
	c->uid = c->is_local && listen_peer(fd, &peer) == 0 ? (int64_t)peer.uid : -1;
	if (from)
		c->from = *from;
	buf_init(&c->in, CONN_IN_MAX);
	buf_init(&c->head, HTTP1_HEAD_MAX);
	buf_init(&c->body, CONN_STRANGER_BODY); /* until a head says more */
	buf_init(&c->out, API_ANSWER_MAX + CONN_CHUNK);
	http1_request_init(&c->h);
	loop_timer_init(s->loop, &c->timer, on_timer, c);
	loop_defer_init(&c->reap, on_reap, c);
	c->is_tls = s->tls && door == DOOR_TCP;
	c->stream = c->is_tls ? stream_adopt_tls(s->loop, fd, s->tls, SPAN_S(10), &ops, c)
			      : stream_adopt(s->loop, fd, &ops, c);
	if (!c->stream) {
		s->count.refused_connections++;
		loop_timer_fini(&c->timer);
		free(c);
		return;
	}
	s->count.connections++;
	serve_trim_later(s);
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	s->n_conns++;
	if (door != DOOR_LOCAL)
		young_add(c);
	expect(c, CONN_HEAD_S + 10);
}

void conn_accept(void *serve, int fd, const struct ipport *from)
{
	adopt(serve, fd, from, DOOR_TCP);
}

void conn_accept_local(void *serve, int fd, const struct ipport *from)
{
	adopt(serve, fd, from, DOOR_LOCAL);
}

void conn_accept_metrics(void *serve, int fd, const struct ipport *from)
{
	adopt(serve, fd, from, DOOR_METRICS);
}
