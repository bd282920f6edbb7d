/* wire/httpproxy.c - see httpproxy.h */
#include "wire/httpproxy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/http1.h"

enum state { AT_HEAD, AT_ASK, AT_DIAL, AT_EXCHANGE, AT_TUNNEL, AT_END };

struct httpproxy {
	enum state state;
	enum httpproxy_event event;   /* waits for httpproxy_next */
	struct buf in, out;           /* client */
	struct buf back_in, back_out; /* back end */
	struct http1_head
	    head; /* of the request, then of its response: they are never read at the same time */
	struct http1_body req_body, resp_body;
	char host[HTTPPROXY_HOST_MAX], method[HTTP1_METHOD_MAX + 1];
	uint16_t port;
	bool is_reverse;
	unsigned minor;                 /* of the client's request */
	bool is_connect, wants_upgrade; /* of the request */
	bool keep_alive;                /* the client's connection outlives this exchange */
	bool req_chunked, req_done;     /* towards the back end */
	bool resp_begun, resp_has_head, resp_chunked, dialed;
	bool client_ended, backend_ended;
};

struct httpproxy *httpproxy_new(void)
{
	struct httpproxy *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	buf_init(&p->in, HTTPPROXY_IN_MAX);
	buf_init(&p->back_in, HTTPPROXY_IN_MAX);
	/* past the point where reading stops: one more piece of body, or a head that grew by
	 * rewriting */
	buf_init(&p->out, HTTPPROXY_OUT_MAX + 2 * HTTPPROXY_IN_MAX);
	buf_init(&p->back_out, HTTPPROXY_OUT_MAX + 2 * HTTPPROXY_IN_MAX);
	http1_request_init(&p->head);
	return p;
}

struct httpproxy *httpproxy_new_reverse(void)
{
	struct httpproxy *p = httpproxy_new();

	if (p)
		p->is_reverse = true;
	return p;
}

void httpproxy_free(struct httpproxy *p)
{
	if (!p)
		return;
	buf_fini(&p->in);
	buf_fini(&p->out);
	buf_fini(&p->back_in);
	buf_fini(&p->back_out);
	free(p);
}

static void end(struct httpproxy *p)
{
	p->state = AT_END;
	p->event = HTTPPROXY_CLOSE;
}

/* Answers by ourselves and closes: what follows the request is of no interest any more. */
static void refuse(struct httpproxy *p, int status, const char *why)
{
	char text[256];

	snprintf(text, sizeof text, "%s\n", why);
	if (!http1_emit_answer(&p->out, status, "text/plain; charset=utf-8", bytes_str(text), true))
		buf_clear(&p->out);
	end(p);
}

/* --- fields --- */

/* RFC 9110 7.6.1: these and what Connection names stay on their hop */
static bool is_hop_field(const struct http1_head *h, struct bytes name)
{
	static const char *const hop[] = { "Connection",
					   "Proxy-Connection",
					   "Keep-Alive",
					   "TE",
					   "Trailer",
					   "Transfer-Encoding",
					   "Upgrade",
					   "Proxy-Authorization",
					   "Proxy-Authenticate",
					   "Host",
					   "Content-Length" /* framed anew */ };
	char token[HTTP1_NAME_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(hop); i++)
		if (bytes_caseeq(name, bytes_str(hop[i])))
			return true;
	return bytes_to_str(name, token, sizeof token) && http1_has_token(h, "Connection", token);
}

static char folded(uint8_t c)
{
	return (char)(c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Is a client's field replaced or removed by what is set? */
static bool is_replaced(const struct httpproxy_route *r, struct bytes name)
{
	for (size_t i = 0; r && i < r->n_set; i++) {
		const char *want = r->set[i].name;
		const size_t len = strlen(want);
		size_t same = 0;

		while (same < len && same < name.len &&
		       folded(name.data[same]) == folded((uint8_t)want[same]))
			same++;
		if (same == len && (name.len == len || want[len - 1] == '-'))
			return true;
	}
	return false;
}

static void copy_fields(struct http1_emit *e, const struct http1_head *h,
			const struct httpproxy_route *r)
{
	char name[HTTP1_NAME_MAX + 1];

	for (size_t i = 0; i < h->n_fields; i++)
		if (!is_hop_field(h, h->field[i].name) && !is_replaced(r, h->field[i].name) &&
		    bytes_to_str(h->field[i].name, name, sizeof name))
			http1_emit_fieldb(e, name, h->field[i].value);
}

static void put_framing(struct http1_emit *e, const struct http1_head *h, bool chunked)
{
	if (chunked)
		http1_emit_field(e, "Transfer-Encoding", "chunked");
	else if (h->has_length)
		http1_emit_length(e, h->content_length);
}

/* --- the request --- */

static bool set_destination(struct httpproxy *p, struct bytes authority, uint16_t port)
{
	struct bytes host;

	p->port = port;
	return http1_authority_parse(authority, &host, &p->port) && host.len > 0 && p->port != 0 &&
	       bytes_to_str(host, p->host, sizeof p->host);
}

static bool emit_routed(struct httpproxy *p, const struct httpproxy_route *r)
{
	const struct http1_head *h = &p->head;
	struct bytes upgrade = http1_get(h, "Upgrade");
	struct http1_emit e;

	p->req_chunked = h->framing == HTTP1_BODY_CHUNKED;
	/* not to HTTP/2: its requests would pass the routes and the fields that are set; RFC
	 * 9113 3.1 has taken it out of use */
	p->wants_upgrade = upgrade.len > 0 && h->minor > 0 &&
			   http1_has_token(h, "Connection", "upgrade") &&
			   !http1_has_token(h, "Upgrade", "h2c");
	e = http1_emit_request(&p->back_out, p->method, r->target, r->host);
	copy_fields(&e, h, r);
	for (size_t i = 0; i < r->n_set; i++)
		if (r->set[i].value.len > 0)
			http1_emit_fieldb(&e, r->set[i].name, r->set[i].value);
	put_framing(&e, h, p->req_chunked);
	if (p->wants_upgrade)
		http1_emit_fieldb(&e, "Upgrade", upgrade);
	http1_emit_field(&e, "Connection", p->wants_upgrade ? "upgrade" : "close");
	return http1_emit_end(&e);
}

static bool emit_request(struct httpproxy *p, const struct http1_target *t)
{
	struct buf target;
	bool ok;

	buf_init(&target, HTTP1_TARGET_MAX + 2);
	ok = buf_append(&target, t->path.data, t->path.len) &&
	     (!t->has_query || buf_append(&target, "?", 1)) &&
	     buf_append(&target, t->query.data, t->query.len) &&
	     /* RFC 9112 3.2.2: the authority of the target counts, not the Host field */
	     emit_routed(p, &(struct httpproxy_route){ .target = buf_bytes(&target),
						       .host = t->authority });
	buf_fini(&target);
	return ok;
}

/* The request's head has been emitted: its body follows, then the response. */
static void await_dial(struct httpproxy *p)
{
	const struct http1_head *h = &p->head;

	http1_body_init(&p->req_body, h);
	p->req_done = h->framing == HTTP1_BODY_NONE;
	p->resp_begun = p->resp_has_head = p->dialed = p->backend_ended = false;
	buf_consume(&p->in, h->len);
	http1_response_init(&p->head, p->method);
	p->state = AT_DIAL;
}

static void start_request(struct httpproxy *p)
{
	const struct http1_head *h = &p->head;
	struct http1_target t;

	p->is_connect = bytes_eq_str(h->method, "CONNECT");
	p->minor = h->minor;
	p->keep_alive = h->keep_alive;
	if (!bytes_to_str(h->method, p->method, sizeof p->method) ||
	    !http1_target_parse(h->method, h->target, &t)) {
		refuse(p, 400, "malformed request target");
	} else if (p->is_connect) {
		if (!set_destination(p, t.authority, 0))
			refuse(p, 400, "CONNECT wants host:port");
	} else if (t.form != HTTP1_ABSOLUTE || !bytes_caseeq(t.scheme, bytes_str("http"))) {
		refuse(p, 400, "this is a proxy: it takes CONNECT and http:// URLs");
	} else if (!set_destination(p, t.authority, 80)) {
		refuse(p, 400, "malformed host in the URL");
	} else if (!emit_request(p, &t)) {
		refuse(p, 502, "the request is too large");
	}
	if (p->state == AT_END)
		return;
	await_dial(p);
	p->event = HTTPPROXY_DIAL;
}

bool httpproxy_request(const struct httpproxy *p, struct httpproxy_request *rq)
{
	const struct http1_head *h = &p->head;

	*rq = (struct httpproxy_request){ .head = h, .host = h->host };
	if (!http1_target_parse(h->method, h->target, &rq->target))
		return false;
	if (rq->target.form == HTTP1_ABSOLUTE)
		rq->host = rq->target.authority;
	return rq->target.form == HTTP1_ORIGIN || rq->target.form == HTTP1_ABSOLUTE;
}

static void ask(struct httpproxy *p)
{
	const struct http1_head *h = &p->head;
	struct httpproxy_request rq;

	p->minor = h->minor;
	p->keep_alive = h->keep_alive;
	if (!bytes_to_str(h->method, p->method, sizeof p->method) || !httpproxy_request(p, &rq)) {
		refuse(p, 400, "malformed request target");
		return;
	}
	p->state = AT_ASK;
	p->event = HTTPPROXY_REQUEST;
}

bool httpproxy_route(struct httpproxy *p, const struct httpproxy_route *r)
{
	assert(p->state == AT_ASK);
	if (!emit_routed(p, r)) {
		refuse(p, 431, "the request is too large");
		return false;
	}
	await_dial(p);
	return true;
}

void httpproxy_answer(struct httpproxy *p, int status, const char *type,
		      const struct httpproxy_field *extra, size_t n_extra, struct bytes body)
{
	const struct http1_head *h = &p->head;
	const bool has_body = status != 204 && status != 304;
	struct http1_emit e = http1_emit_response(&p->out, status, NULL);

	assert(p->state == AT_ASK);
	p->keep_alive = p->keep_alive && h->framing == HTTP1_BODY_NONE;
	if (type)
		http1_emit_field(&e, "Content-Type", type);
	for (size_t i = 0; i < n_extra; i++)
		http1_emit_fieldb(&e, extra[i].name, extra[i].value);
	if (has_body)
		http1_emit_length(&e, body.len);
	if (!p->keep_alive)
		http1_emit_field(&e, "Connection", "close");
	else if (p->minor == 0)
		http1_emit_field(&e, "Connection", "keep-alive");
	if (!http1_emit_end(&e) ||
	    (has_body && strcmp(p->method, "HEAD") != 0 &&
	     !buf_append(&p->out, body.data, body.len)) ||
	    !p->keep_alive) {
		end(p);
		return;
	}
	buf_consume(&p->in, h->len);
	http1_request_init(&p->head);
	p->state = AT_HEAD;
}

static bool run_head(struct httpproxy *p)
{
	enum http1_result r;

	if (p->in.len == 0) {
		if (p->client_ended)
			end(p);
		return false;
	}
	if (p->out.len >= HTTPPROXY_OUT_MAX) /* answers of ours that nobody takes */
		return false;
	r = http1_head_feed(&p->head, buf_bytes(&p->in));
	if (r == HTTP1_OK && p->is_reverse)
		ask(p);
	else if (r == HTTP1_OK)
		start_request(p);
	else if (r != HTTP1_MORE)
		refuse(p, 400, http1_result_name(r));
	else if (p->client_ended)
		end(p);
	return false; /* the next step is the caller's */
}

/* --- bodies --- */

/* Moves pieces of a body from one buffer to the other, framed as wanted; what the last step was. */
static enum http1_body_result move_body(struct http1_body *b, struct buf *from, struct buf *to,
					bool chunked)
{
	enum http1_body_result r = HTTP1_BODY_MORE;
	struct bytes piece;
	size_t used;

	while (to->len < HTTPPROXY_OUT_MAX) {
		r = http1_body_feed(b, buf_bytes(from), &used, &piece);
		if (r == HTTP1_BODY_DATA && !(chunked ? http1_emit_chunk(to, piece)
						      : buf_append(to, piece.data, piece.len)))
			return HTTP1_BODY_BAD;
		buf_consume(from, used);
		if (r != HTTP1_BODY_DATA)
			break;
	}
	return r;
}

static bool run_request_body(struct httpproxy *p)
{
	const size_t before = p->in.len;
	enum http1_body_result r;

	if (p->req_done)
		return false;
	r = move_body(&p->req_body, &p->in, &p->back_out, p->req_chunked);
	if (r == HTTP1_BODY_END) {
		p->req_done = true;
		if (p->req_chunked && !http1_emit_chunk(&p->back_out, bytes_of(NULL, 0)))
			end(p);
		return true;
	}
	if (r == HTTP1_BODY_BAD ||
	    (p->client_ended && p->in.len == 0)) /* the server must not take it for whole */
		end(p);
	return p->in.len != before;
}

/* The exchange is over: hang up behind, and go on with the next request or close. */
static void finish(struct httpproxy *p)
{
	buf_clear(&p->back_in);
	buf_clear(&p->back_out);
	if (!p->keep_alive || !p->req_done) {
		end(p);
		return;
	}
	http1_request_init(&p->head);
	p->state = AT_HEAD;
	p->event = HTTPPROXY_HANGUP;
}

static bool emit_response(struct httpproxy *p)
{
	const struct http1_head *h = &p->head;
	char reason[HTTP1_REASON_MAX + 1];
	struct http1_emit e;

	(void)bytes_to_str(h->reason, reason, sizeof reason);
	e = http1_emit_response(&p->out, h->status, reason);
	copy_fields(&e, h, NULL);
	if (h->status == 101) {
		http1_emit_field(&e, "Connection", "upgrade");
		http1_emit_fieldb(&e, "Upgrade", http1_get(h, "Upgrade"));
	} else if (h->status >= 200) {
		put_framing(&e, h, p->resp_chunked);
		if (!p->keep_alive)
			http1_emit_field(&e, "Connection", "close");
		else if (p->minor == 0)
			http1_emit_field(&e, "Connection", "keep-alive");
	}
	return http1_emit_end(&e);
}

static void start_response(struct httpproxy *p)
{
	const struct http1_head *h = &p->head;
	const bool interim = h->status < 200 && h->status != 101;

	if (h->status == 101 && !p->wants_upgrade) {
		refuse(p, 502, "the server switches protocols although nobody asked");
		return;
	}
	/* a body without a stated end needs chunks or the end of the connection */
	p->resp_chunked = p->minor > 0 && h->framing == HTTP1_BODY_CHUNKED;
	if (h->framing == HTTP1_BODY_CLOSE || (h->framing == HTTP1_BODY_CHUNKED && p->minor == 0))
		p->keep_alive = false;
	if (!(interim && p->minor == 0)) { /* HTTP/1.0 knows no interim responses */
		if (!emit_response(p)) {
			end(p);
			return;
		}
		p->resp_begun = p->resp_begun || !interim;
	}
	if (!interim) {
		http1_body_init(&p->resp_body, h);
		p->resp_has_head = true;
	}
	buf_consume(&p->back_in, h->len);
	if (interim)
		http1_response_init(&p->head, p->method);
	else if (h->status == 101) {
		p->state = AT_TUNNEL;
		p->event = HTTPPROXY_TUNNEL;
	}
}

static void backend_failed(struct httpproxy *p, const char *why)
{
	if (p->resp_begun)
		end(p); /* the client sees a torn message, as it should */
	else
		refuse(p, 502, why);
}

static bool run_response_head(struct httpproxy *p)
{
	enum http1_result r = HTTP1_MORE;

	if (p->back_in.len > 0)
		r = http1_head_feed(&p->head, buf_bytes(&p->back_in));
	if (r == HTTP1_OK) {
		start_response(p);
		return p->state == AT_EXCHANGE;
	}
	if (r != HTTP1_MORE)
		backend_failed(p, http1_result_name(r));
	else if (p->backend_ended)
		backend_failed(p, "the server closed the connection without an answer");
	return false;
}

static bool run_response_body(struct httpproxy *p)
{
	const size_t before = p->back_in.len;
	enum http1_body_result r = move_body(&p->resp_body, &p->back_in, &p->out, p->resp_chunked);

	if (r == HTTP1_BODY_BAD) {
		end(p);
	} else if (r == HTTP1_BODY_END ||
		   (r == HTTP1_BODY_MORE && p->backend_ended && p->back_in.len == 0)) {
		if (r != HTTP1_BODY_END && !http1_body_eof(&p->resp_body))
			end(p);
		else if (p->resp_chunked && !http1_emit_chunk(&p->out, bytes_of(NULL, 0)))
			end(p);
		else
			finish(p);
	}
	return p->state == AT_EXCHANGE && p->back_in.len != before;
}

static bool run_exchange(struct httpproxy *p)
{
	bool moved = run_request_body(p);

	if (p->state != AT_EXCHANGE)
		return false;
	return (p->resp_has_head ? run_response_body(p) : run_response_head(p)) || moved;
}

static void run(struct httpproxy *p)
{
	bool again = true;

	while (again && p->event == HTTPPROXY_NONE) {
		if (p->state == AT_HEAD)
			again = run_head(p);
		else if (p->state == AT_EXCHANGE)
			again = run_exchange(p);
		else
			again = false;
	}
}

/* --- doors --- */

static size_t take(struct buf *b, struct bytes in)
{
	const size_t n = MIN_OF(in.len, b->max - b->len);

	return buf_append(b, in.data, n) ? n : 0;
}

size_t httpproxy_client(struct httpproxy *p, struct bytes in)
{
	size_t n = p->state == AT_END   ? in.len /* what comes is thrown away */
		   : p->state == AT_ASK ? 0      /* the head's fields are views into what came */
					: take(&p->in, in);

	run(p);
	return n;
}

void httpproxy_client_end(struct httpproxy *p)
{
	p->client_ended = true;
	run(p);
}

size_t httpproxy_backend(struct httpproxy *p, struct bytes in)
{
	size_t n =
	    p->state == AT_EXCHANGE || p->state == AT_TUNNEL ? take(&p->back_in, in) : in.len;

	run(p);
	return n;
}

void httpproxy_backend_end(struct httpproxy *p)
{
	p->backend_ended = true;
	run(p);
}

enum httpproxy_event httpproxy_next(struct httpproxy *p)
{
	enum httpproxy_event ev = p->event;

	p->event = HTTPPROXY_NONE;
	run(p);
	return ev;
}

const char *httpproxy_host(const struct httpproxy *p)
{
	return p->host;
}

uint16_t httpproxy_port(const struct httpproxy *p)
{
	return p->port;
}

bool httpproxy_is_connect(const struct httpproxy *p)
{
	return p->is_connect;
}

void httpproxy_dialed(struct httpproxy *p, int status, const char *why)
{
	struct http1_emit e;

	assert(p->state == AT_DIAL && !p->dialed);
	p->dialed = true;
	if (status != 0) {
		refuse(p, status, why);
		return;
	}
	if (!p->is_connect) {
		p->state = AT_EXCHANGE;
		run(p);
		return;
	}
	e = http1_emit_response(&p->out, 200, "Connection established");
	if (!http1_emit_end(&e)) {
		end(p);
		return;
	}
	p->state = AT_TUNNEL;
	p->event = HTTPPROXY_TUNNEL;
}

bool httpproxy_client_owes(const struct httpproxy *p)
{
	if (p->out.len > 0 || p->state == AT_HEAD || p->state == AT_END)
		return true;
	/* what waits for the back end is the back end's debt */
	return p->state == AT_EXCHANGE && !p->req_done && p->back_out.len == 0;
}

struct bytes httpproxy_to_client(const struct httpproxy *p)
{
	return buf_bytes(&p->out);
}

void httpproxy_client_sent(struct httpproxy *p, size_t n)
{
	buf_consume(&p->out, n);
	run(p);
}

struct bytes httpproxy_to_backend(const struct httpproxy *p)
{
	return p->dialed ? buf_bytes(&p->back_out) : bytes_of(NULL, 0);
}

void httpproxy_backend_sent(struct httpproxy *p, size_t n)
{
	buf_consume(&p->back_out, n);
	run(p);
}

struct bytes httpproxy_client_left(const struct httpproxy *p)
{
	return buf_bytes(&p->in);
}

struct bytes httpproxy_backend_left(const struct httpproxy *p)
{
	return buf_bytes(&p->back_in);
}
