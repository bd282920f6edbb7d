/* kube/web.h - HTTP requests to anywhere: libcurl's multi interface on our loop
 *
 * One connection a server where HTTP/2 is spoken. Answers come whole, up to a limit, or as a
 * stream. Callbacks never come from within web_send.
 */
#ifndef KUBE_WEB_H
#define KUBE_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "os/loop.h"

enum { WEB_BODY_MAX = 8 << 20 }; /* of a whole answer, unless the request says less */

struct web;
struct web_call;

struct web_tls { /* NULL: not given; borrowed by web_send only */
	const char *ca_pem, *ca_file, *cert_pem, *key_pem;
	bool is_insecure;
};

struct web_reply {
	unsigned status; /* 0: there was no answer, why says why */
	bool ok;         /* the answer came to its end */
	unsigned retry_after_s;
	struct bytes body; /* empty for a stream */
	const char *why;   /* "" when ok */
};
typedef void web_done_fn(void *ctx,
			 const struct web_reply *reply); /* exactly once, unless cancelled */

struct web_request {
	const char *method, *url;  /* copied */
	const char *const *header; /* "Name: value" lines; copied; wiped after use */
	size_t n_headers;
	struct bytes body; /* copied; wiped after use */
	size_t body_max;   /* of the answer; 0: WEB_BODY_MAX */
	span_t timeout;    /* of everything; 0: 30 s */
	struct web_tls tls;
	/* of a stream: called with the status before any bytes, and with each piece; NULL: whole
	 * answers */
	void (*head)(void *ctx, unsigned status);
	void (*data)(void *ctx, struct bytes piece);
};

struct web *web_new(struct loop *loop, const char *user_agent, struct err *e); /* NULL and words */
void web_free(
    struct web *w); /* ends everything without callbacks; not from within one; NULL is fine */
struct web_call *web_send(struct web *w, const struct web_request *rq, web_done_fn *fn, void *ctx,
			  struct err *e);
void web_cancel(
    struct web_call *c); /* no callback any more; allowed in any callback; NULL is fine */

#endif
