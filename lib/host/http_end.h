/* host/http_end.h - one side of an HTTP exchange: a stream whose bytes go into a struct httpproxy
 * and come out of it
 *
 * What the machine does not take yet waits in a small buffer, and reading stops: back-pressure goes
 * through from one side to the other.
 */
#ifndef HOST_HTTP_END_H
#define HOST_HTTP_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "os/stream.h"
#include "wire/httpproxy.h"

enum { HTTP_END_BUFFER = 16384 };

struct http_end {
	/* the owner's */
	struct httpproxy *http;
	bool is_backend;
	void (*moved)(void *ctx);  /* bytes came or went: run the machine */
	void (*closed)(void *ctx); /* the stream is gone by itself */
	void *ctx;
	/* state */
	struct stream *s; /* NULL: none */
	bool has_ended;   /* nothing comes any more */
	uint8_t *rx;      /* HTTP_END_BUFFER bytes, or NULL: nothing was read since http_end_rest */
	size_t len;
};

/* What a stream is dialled or adopted with when it is to be this side. */
extern const struct stream_ops http_end_ops;
/* Takes over an open stream (its operations, too), or, s NULL, a source without a stream. false:
 * out of memory, s is the caller's still. */
MUST_USE bool http_end_attach(struct http_end *e, struct stream *s);
void http_end_offer(struct http_end *e); /* what waits, to the machine; then the end */
void http_end_wake(struct http_end *e);  /* there may be output, or room */
void http_end_rest(struct http_end *e);  /* a quiet time begins: no buffer till something is read */
void http_end_close(struct http_end *e); /* without a stream, too; also frees the buffer */

#endif
