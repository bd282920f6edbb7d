/* ts2021/h2_server.h - the server's HTTP/2: whole requests in, answers out piece by piece, all
 * bounded
 *
 * Streams are a list; each keeps its request's body until it was handed over, and what waits to be
 * sent. At most H2S_STREAMS_MAX at a time, bodies TS2021_BODY_MAX each and H2S_BODIES_MAX together.
 */
#ifndef TS2021_H2_SERVER_H
#define TS2021_H2_SERVER_H

#include "ts2021/link.h"
#include "ts2021/server.h"

enum { /* ours */
       H2S_STREAMS_MAX = 64,
       H2S_BODIES_MAX = 4 * TS2021_BODY_MAX,
       H2S_WINDOW = 256 << 10,
       H2S_HEADERS_MAX = 16 << 10,
       H2S_METHOD_MAX = 16,
       H2_FRAME_HEAD = 9, /* RFC 9113 4.1 */
};

struct h2s_stream {
	struct h2s_stream *next;
	int32_t id;
	char method[H2S_METHOD_MAX], path[TS2021_PATH_MAX];
	struct buf body, send;
	bool is_bad; /* path or body too long: refused with 4xx, no event */
	bool request_due, reset_due, drained_due; /* events not fetched yet */
	bool is_told;                             /* the request was handed over */
	bool is_answered, has_body, is_ended, is_gone;
};

struct h2_server {
	struct link link;
	struct h2s_stream *streams;
	size_t bodies, bodies_max; /* bytes of all request bodies */
	struct h2s_stream *lent;   /* its body was handed out by the last event */
};

MUST_USE int
h2_server_init(struct h2_server *h); /* 0 or -ENOMEM; the channel is the caller's to open */
void h2_server_fini(struct h2_server *h);
bool h2_server_next(struct h2_server *h, struct ts2021_server_event *ev);
struct h2s_stream *h2_server_stream(const struct h2_server *h, int32_t id); /* NULL: gone */
MUST_USE int h2_server_answer(struct h2_server *h, struct h2s_stream *s, unsigned status,
			      const char *type, bool has_body);
MUST_USE int h2_server_send(struct h2_server *h, struct h2s_stream *s, const void *data, size_t len,
			    bool end);

#endif
