/* os/http.h - one small HTTP/1.1 request and its answer, whole or piece by piece
 *
 * For /key, health probes, bootstrap look-ups: answers that fit in memory. A new connection for
 * each; redirects are not followed. Upgrades and long streams use os/stream.h with wire/http1.h.
 */
#ifndef OS_HTTP_H
#define OS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "os/loop.h"
#include "os/stream.h"

enum { HTTP_BODY_MAX = 65536, HTTP_HEAD_MAX = 16384, HTTP_SECRET_HEAD_MAX = 4096 };

struct http_conf {
	const char *method;  /* NULL: GET */
	const char *host;    /* Host header; NULL: from stream.dial.host and port */
	const char *target;  /* "/key?v=116" */
	const char *headers; /* further lines, each ended by CRLF; may be NULL */
	struct bytes body;   /* copied */
	size_t body_max;     /* of the answer; 0: HTTP_BODY_MAX */
	span_t timeout;      /* of everything; 0: as the dialer's */
	/* Request and answer hold secrets: both lie in locked memory outside core dumps as long as
	 * they last, and are wiped. The answer's head is at most HTTP_SECRET_HEAD_MAX. */
	bool is_secret;
	/* NULL: the body is collected. Otherwise a 200's body comes in these pieces as they arrive,
	 * of any length above 0, and the reply's is empty. It must not cancel the request; false
	 * ends it as an answer that is too large. ctx is http_start's. */
	bool (*piece)(void *ctx, struct bytes piece);
	struct stream_conf stream;
};

struct http_reply {
	unsigned status;
	struct bytes head; /* the whole head as received, for wire/http1.h */
	struct bytes body;
};

struct http;
/* Exactly once, never from within http_start; reply NULL: why. The request has freed itself
 * afterwards. */
typedef void http_fn(void *ctx, const struct http_reply *reply, const struct err *why);
struct http *http_start(struct loop *loop, const struct http_conf *conf, http_fn *fn, void *ctx,
			struct err *err);
void http_cancel(struct http *h); /* no callback; NULL is fine */

#endif
