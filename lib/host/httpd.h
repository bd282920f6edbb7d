/* host/httpd.h - a small HTTP/1.1 server on TCP or a unix socket: whole requests in, answers or
 * endless streams out
 *
 * For the local API and the health endpoints. One request at a time per connection; it may be
 * answered at once or later. Bounded: connections, head, body, what waits to be sent.
 */
#ifndef HOST_HTTPD_H
#define HOST_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "wire/http1.h"

struct loop;
struct stream;
struct httpd;
struct httpd_call; /* one request; gone after the answer, httpd_end or the gone callback */

enum {
	HTTPD_CLIENTS_MAX = 256,
	HTTPD_IDLE_S = 60,           /* between requests, and for a request to become whole */
	HTTPD_BACKLOG_MAX = 4 << 20, /* of a stream: who reads slower is cut off */
};

struct httpd_request {
	const struct http1_head *head;
	struct http1_target target;
	struct bytes body;
	int fd; /* for asking who is at the other end of a unix socket */
};
typedef void httpd_fn(void *ctx, struct httpd_call *c, const struct httpd_request *rq);

struct httpd_conf {
	struct loop *loop;
	const char *addr;      /* "host:port", or */
	const char *unix_path; /* a unix socket with */
	mode_t mode;
	size_t body_max, answer_max;
	httpd_fn *fn;
	void *ctx;
};
struct httpd *httpd_new(const struct httpd_conf *conf, struct err *e); /* NULL: e says why */
void httpd_free(struct httpd *d); /* closes everything; gone callbacks come */
uint16_t httpd_port(const struct httpd *d);

struct httpd_field {
	const char *name, *value;
};
/* type NULL: no body type. The call is over. */
void httpd_answer(struct httpd_call *c, int status, const char *type,
		  const struct httpd_field *extra, size_t n_extra, struct bytes body);

/* An answer without an end: begin, push as often as wanted, end. push returns false when the client
 * was too slow and has been cut off (the gone callback is not called then). */
void httpd_begin(struct httpd_call *c, int status, const char *type,
		 const struct httpd_field *extra, size_t n_extra);
bool httpd_push(struct httpd_call *c, struct bytes data);
void httpd_end(struct httpd_call *c);

/* Instead of an answer: hands the connection over, which is the caller's to stream_set_ops at once;
 * early: what the client sent behind the request (appended), has_ended: it will send no more. The
 * call is over; NULL: it cannot be done (an interim answer is still on its way, no memory), and the
 * call waits for an answer. */
struct stream *httpd_detach(struct httpd_call *c, struct buf *early, bool *has_ended);

/* Called when the client leaves before the answer is whole; the call is over then. */
void httpd_on_gone(struct httpd_call *c, void (*gone)(void *ctx), void *ctx);

#endif
