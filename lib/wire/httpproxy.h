/* wire/httpproxy.h - an HTTP/1.1 proxy, forward or reverse, between one client and its back ends,
 * without sockets
 *
 * CONNECT becomes a tunnel; a request for an absolute http:// URL is rewritten to origin form and
 * forwarded; anything else gets 400 (RFC 9110 7.6, RFC 9112 3.2). Hop-by-hop fields are removed
 * both ways, bodies are framed anew, pipelined requests are answered in order. Each forwarded
 * request has a back-end connection of its own; the client's stays open while both sides can tell
 * where messages end. An upgrade (WebSocket) that the back end grants with 101 becomes a tunnel
 * too.
 *
 * The caller: feeds bytes from either side (httpproxy_client, httpproxy_backend, which say how many
 * they took: less when the other side is slow), sends what the two outputs hold, and asks
 * httpproxy_next what to do until it says NONE.
 *
 *      head -> HTTPPROXY_DIAL -> httpproxy_dialed -> exchange -> HTTPPROXY_HANGUP -> head ...
 *                                                 \-> HTTPPROXY_TUNNEL: outputs first, then bytes
 * pass untouched, beginning with the two leftovers HTTPPROXY_CLOSE: close the client's connection
 * once its output is sent
 *
 * A reverse proxy (httpproxy_new_reverse) asks about each request in origin form:
 *
 *      head -> HTTPPROXY_REQUEST -> httpproxy_route -> the caller dials -> httpproxy_dialed ...
 *                                \-> httpproxy_answer -> head ...
 *
 * A Via field is not added: it would tell servers about the proxy, and nobody can loop through a
 * name of the tailnet.
 */
#ifndef WIRE_HTTPPROXY_H
#define WIRE_HTTPPROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "wire/http1.h"

struct httpproxy;

enum {
	HTTPPROXY_IN_MAX = 32 << 10, /* bytes held of each direction before they are understood;
					above HTTP1_HEAD_MAX */
	HTTPPROXY_OUT_MAX =
	    64 << 10, /* bytes held of each direction that wait to be sent before reading stops */
	HTTPPROXY_HOST_MAX = 256,
};

enum httpproxy_event {
	HTTPPROXY_NONE,
	HTTPPROXY_DIAL,
	HTTPPROXY_HANGUP,
	HTTPPROXY_TUNNEL,
	HTTPPROXY_CLOSE,
	HTTPPROXY_REQUEST, /* reverse: httpproxy_route or httpproxy_answer, before any other call */
};

struct httpproxy *httpproxy_new(void); /* NULL: out of memory */
struct httpproxy *httpproxy_new_reverse(void);
void httpproxy_free(struct httpproxy *p);

/* Bytes taken: none from HTTPPROXY_REQUEST on until it is decided. */
size_t httpproxy_client(struct httpproxy *p, struct bytes in);
void httpproxy_client_end(struct httpproxy *p);
size_t httpproxy_backend(struct httpproxy *p, struct bytes in);
void httpproxy_backend_end(struct httpproxy *p);

enum httpproxy_event httpproxy_next(struct httpproxy *p);
/* HTTPPROXY_DIAL: where to; then call httpproxy_dialed. status: 0 connected, else what the client
 * is told (502, 504, 403). */
const char *httpproxy_host(const struct httpproxy *p); /* name or address without brackets */
uint16_t httpproxy_port(const struct httpproxy *p);
bool httpproxy_is_connect(const struct httpproxy *p); /* it becomes a tunnel */
void httpproxy_dialed(struct httpproxy *p, int status, const char *why);

/* HTTPPROXY_REQUEST: what was asked; views that live until it is routed or answered. */
struct httpproxy_request {
	const struct http1_head *head;
	struct http1_target target; /* origin form, or absolute, of which the authority counts */
	struct bytes host;          /* as the client gave it */
};
bool httpproxy_request(const struct httpproxy *p, struct httpproxy_request *rq);
struct httpproxy_field {
	const char *name;
	struct bytes value;
};
struct httpproxy_route {
	struct bytes target, host; /* of the request that is sent on */
	/* Put instead of the client's of the same name, empty ones too (they are only removed). A
	 * name that ends in '-' removes all fields that begin so. '_' counts as '-': many programs
	 * behind do not tell them apart. */
	const struct httpproxy_field *set;
	size_t n_set;
};
/* The request is on its way once the caller has dialled and called httpproxy_dialed. false: it was
 * too large; nothing is to be dialled, HTTPPROXY_CLOSE follows. */
MUST_USE bool httpproxy_route(struct httpproxy *p, const struct httpproxy_route *r);
/* Answers by itself; type NULL: no body type. */
void httpproxy_answer(struct httpproxy *p, int status, const char *type,
		      const struct httpproxy_field *extra, size_t n_extra, struct bytes body);

/* Is it the client's turn? It has not read what is held for it, owes the rest of a request that
 * could be sent on, or a next one. false: others are awaited, or neither has to say anything. */
bool httpproxy_client_owes(const struct httpproxy *p);

struct bytes httpproxy_to_client(const struct httpproxy *p);
void httpproxy_client_sent(struct httpproxy *p, size_t n);
struct bytes httpproxy_to_backend(const struct httpproxy *p);
void httpproxy_backend_sent(struct httpproxy *p, size_t n);
/* after HTTPPROXY_TUNNEL: bytes of either side that already belong to the tunnel */
struct bytes httpproxy_client_left(const struct httpproxy *p);
struct bytes httpproxy_backend_left(const struct httpproxy *p);

#endif
