/* wire/doh.h - DNS queries over HTTPS: one exchange at a time on a connection that is kept (RFC
 * 8484)
 *
 * POST of HTTP/1.1: every resolver that is known here takes it or also answers on port 53. A query
 * goes out with the identifier 0 (RFC 8484 section 4.1) and its answer gets the asker's back. Pure:
 * whoever holds the connection sends doh_output and feeds what comes.
 */
#ifndef WIRE_DOH_H
#define WIRE_DOH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "wire/http1.h"

enum { /* ours; bytes */
       DOH_URL_MAX = 512,
       DOH_QUERY_MAX = 4096,
       DOH_ANSWER_MAX = 65535, /* the largest DNS message */
};

struct doh_url {
	char host[256], target[DOH_URL_MAX];
	uint16_t port;
	bool tls; /* https; http is for resolvers inside the tailnet only */
};
/* "https://host[:port]/path", also with "{?dns}" at its end (the template of RFC 8484 section 4.1
 * for GET). false: no such URL, too long, with user information or a fragment. */
MUST_USE bool doh_url_parse(const char *url, struct doh_url *out);

enum doh_result {
	DOH_ANSWER,      /* doh_answer */
	DOH_MORE,        /* give more of the stream */
	DOH_BAD_HTTP,    /* not HTTP, or its body is malformed; this and all below are final */
	DOH_BAD_STATUS,  /* not 200 */
	DOH_BAD_TYPE,    /* not application/dns-message */
	DOH_TOO_LARGE,   /* DOH_ANSWER_MAX */
	DOH_BAD_MESSAGE, /* not a DNS answer, or one to another question */
	DOH_ENDED,       /* the stream ended within the answer */
	DOH_N
};
const char *doh_result_name(enum doh_result r);

/* A connection's exchange. Begin, send, feed until something else than DOH_MORE comes; the next one
 * may begin after DOH_ANSWER while doh_may_go_on. */
struct doh_exchange {
	struct buf out, in, body, query; /* the last as it goes out */
	uint16_t id;                     /* the asker's */
	bool has_head, keep;
	struct http1_head head;
	struct http1_body framing;
};
void doh_init(struct doh_exchange *x);
void doh_fini(struct doh_exchange *x);
/* query: a DNS message with one question, copied. false: it is none, is too long, or no memory. */
MUST_USE bool doh_begin(struct doh_exchange *x, const struct doh_url *url, struct bytes query);
struct bytes doh_output(const struct doh_exchange *x); /* what is still to be sent */
void doh_sent(struct doh_exchange *x, size_t n);
enum doh_result doh_feed(struct doh_exchange *x, struct bytes in);
enum doh_result doh_eof(struct doh_exchange *x); /* the stream ended */
/* The answer with the asker's identifier; belongs to the exchange until the next begin. */
struct bytes doh_answer(const struct doh_exchange *x);
bool doh_may_go_on(const struct doh_exchange *x);

/* --- public resolvers that answer both on port 53 and over HTTPS (data-plane.md 6.6) --- */

/* The URL of the service behind such an address, in out; false: not one of them. only: there is
 * nothing on port 53. */
bool doh_known_url(const struct ip *a, char out[static DOH_URL_MAX], bool *only);
/* Where such a service is, so that its name need not be looked up: how many of at most max. */
size_t doh_known_addrs(const char *url, struct ip *v, size_t max);

#endif
