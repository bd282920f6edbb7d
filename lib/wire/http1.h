/* wire/http1.h - HTTP/1.1 messages as bytes, for either end: heads in and out, body framing,
 * request targets
 *
 * RFC 9112 (messages), 9110 (fields), 3986 (targets). Pure; nothing here owns memory except what
 * goes into a struct buf. Strict where two readers could disagree about where a message ends: lines
 * end in CR LF and nothing else, no folded fields, no space before the colon, one Content-Length at
 * most, never beside Transfer-Encoding, which may only be "chunked", exactly one Host in an
 * HTTP/1.1 request.
 *
 *      struct http1_head h;
 *      http1_request_init(&h);
 *      ... append what was read to a buffer, then
 *      switch (http1_head_feed(&h, buf_bytes(&in))) {
 *      case HTTP1_MORE: wait for more
 *      case HTTP1_OK:   h.method ... views into the buffer; the body begins at h.len
 *      default:         answer 400 and close; http1_result_name() says why
 *      }
 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {                         /* ours; bytes unless said */
       HTTP1_HEAD_MAX = 16384, /* the whole head with its blank line */
       HTTP1_HEADERS_MAX = 64, /* fields, a count */
       HTTP1_METHOD_MAX = 32,
       HTTP1_TARGET_MAX = 8192,
       HTTP1_REASON_MAX = 512,
       HTTP1_NAME_MAX = 256,       /* a field's name */
       HTTP1_CHUNK_LINE_MAX = 256, /* chunk size with its extensions */
       HTTP1_TRAILER_MAX = 4096,   /* all trailer fields; they are skipped */
};

enum http1_result {
	HTTP1_OK,
	HTTP1_MORE,         /* the head is not complete */
	HTTP1_TOO_LONG,     /* HTTP1_HEAD_MAX */
	HTTP1_TOO_MANY,     /* HTTP1_HEADERS_MAX */
	HTTP1_BAD_BYTE,     /* a control character, or CR or LF alone */
	HTTP1_BAD_LINE,     /* request or status line */
	HTTP1_BAD_VERSION,  /* not HTTP/1.x */
	HTTP1_BAD_FIELD,    /* no colon, bad name, folded line */
	HTTP1_BAD_HOST,     /* none or several in a request */
	HTTP1_BAD_LENGTH,   /* Content-Length malformed, repeated or beside Transfer-Encoding */
	HTTP1_BAD_ENCODING, /* Transfer-Encoding other than one "chunked", or in HTTP/1.0 */
	HTTP1_N,
};
const char *http1_result_name(enum http1_result r);

enum http1_framing {
	HTTP1_BODY_NONE,
	HTTP1_BODY_LENGTH, /* content_length bytes */
	HTTP1_BODY_CHUNKED,
	HTTP1_BODY_CLOSE, /* to the end of the stream; responses only */
};

struct http1_field {
	struct bytes name, value; /* value without white space around it */
};

struct http1_head {
	/* valid after HTTP1_OK; views into what was fed */
	struct bytes method, target; /* request */
	int status;                  /* response: 100 to 599 */
	struct bytes reason;
	struct bytes host; /* request: the Host field */
	unsigned minor;    /* HTTP/1.minor: 0 or 1 */
	struct http1_field field[HTTP1_HEADERS_MAX];
	size_t n_fields;
	size_t len; /* of the head with its blank line: here the body begins */
	enum http1_framing framing;
	uint64_t content_length; /* HTTP1_BODY_LENGTH; also what a response to HEAD announces */
	bool has_length;
	bool keep_alive; /* the connection may carry another message afterwards */
	/* progress */
	bool is_response, no_body, is_connect;
	size_t start, scanned, line;
	enum http1_result result;
};

void http1_request_init(struct http1_head *h);
/* method: of the request that is answered; HEAD and CONNECT change what follows the head */
void http1_response_init(struct http1_head *h, const char *method);
/* all: every byte of the stream since the message began (the memory may have moved). Looks at each
 * byte once. A result other than HTTP1_MORE is final. */
enum http1_result http1_head_feed(struct http1_head *h, struct bytes all);

/* The first field of that name, without regard to case; an empty view with NULL data when there is
 * none */
struct bytes http1_get(const struct http1_head *h, const char *name);
/* Whether one of the comma-separated members of all fields of that name is this token, without
 * regard to case */
bool http1_has_token(const struct http1_head *h, const char *name, const char *token);
/* "Connection: upgrade" and "Upgrade: proto" */
bool http1_is_upgrade(const struct http1_head *h, const char *proto);

/* --- body: bytes of the stream in, pieces of content out; copies nothing --- */

enum http1_body_result {
	HTTP1_BODY_DATA, /* *piece is the next content, not empty; call again with what follows
			  *used */
	HTTP1_BODY_MORE, /* all was used; give more */
	HTTP1_BODY_END,  /* complete; the next message begins behind *used */
	HTTP1_BODY_BAD,  /* malformed; final */
};
struct http1_body {
	enum http1_framing framing;
	int state;
	unsigned digits;
	uint64_t left;
	size_t line;
};
void http1_body_init(struct http1_body *b, const struct http1_head *h);
enum http1_body_result http1_body_feed(struct http1_body *b, struct bytes in, size_t *used,
				       struct bytes *piece);
/* The stream ended: true when that is a legitimate end of the body */
bool http1_body_eof(struct http1_body *b);

/* --- emit: a head into a buffer; failing sticks, http1_emit_end takes back what was appended ---
 */

struct http1_emit {
	struct buf *b;
	size_t start; /* b->len at the beginning */
	bool failed;
};
/* Request line and Host. host is empty: no Host field (CONNECT by HTTP/1.0 and the like) */
struct http1_emit http1_emit_request(struct buf *b, const char *method, struct bytes target,
				     struct bytes host);
/* Status line; reason NULL: the standard words */
struct http1_emit http1_emit_response(struct buf *b, int status, const char *reason);
void http1_emit_field(struct http1_emit *e, const char *name,
		      const char *value); /* control characters fail */
void http1_emit_fieldb(struct http1_emit *e, const char *name, struct bytes value);
void http1_emit_length(struct http1_emit *e, uint64_t len); /* Content-Length */
MUST_USE bool http1_emit_end(struct http1_emit *e);         /* the blank line */
/* A whole answer: status, Content-Type (NULL: none), Content-Length, "Connection: close" when
 * asked, body */
MUST_USE bool http1_emit_answer(struct buf *b, int status, const char *type, struct bytes body,
				bool close);
MUST_USE bool http1_emit_chunk(struct buf *b,
			       struct bytes data); /* no data: the last chunk and the end */
const char *http1_reason(int status);              /* "" when unknown */

/* --- targets --- */

enum http1_target_form { HTTP1_ORIGIN, HTTP1_ABSOLUTE, HTTP1_AUTHORITY, HTTP1_ASTERISK };
struct http1_target {
	enum http1_target_form form;
	struct bytes scheme, authority; /* absolute: both; authority form: the latter */
	struct bytes path,
	    query; /* as sent; path of an absolute target without one is "/"; no '?' in query */
	bool has_query;
};
/* RFC 9112 3.2; authority form for CONNECT only. false: malformed (also: a fragment, user info) */
MUST_USE bool http1_target_parse(struct bytes method, struct bytes target,
				 struct http1_target *out);
/* "host", "host:port", "[v6]:port"; host without brackets; *port is left alone when there is none
 */
MUST_USE bool http1_authority_parse(struct bytes authority, struct bytes *host, uint16_t *port);

/* Undoes %XX (and '+' for a space when is_query); NUL-terminated. false: malformed, an encoded NUL,
 * or too long for cap */
MUST_USE bool http1_unescape(struct bytes in, bool is_query, char *out, size_t cap, size_t *len);
/* Appends with everything but RFC 3986 unreserved characters (and '/' when keep_slash) as %XX */
MUST_USE bool http1_escape(struct buf *b, struct bytes in, bool keep_slash);
/* Walks "k=v&k2=v2"; both still escaped. false: the end */
bool http1_query_next(struct bytes *rest, struct bytes *key, struct bytes *value);
/* The first value of that key, unescaped. false: absent, malformed or too long; out is then "" */
bool http1_query_get(struct bytes query, const char *key, char *out, size_t cap);

#endif
