/* ts2021/server.h - server end of one control connection after the HTTP request head, pure
 * (control-protocol.md 2, 8)
 *
 * Noise response, early payload, HTTP/2; requests come out as events, answers go in by stream. Who
 * answers what is the coordinator's business (and the tests').
 */
#ifndef TS2021_SERVER_H
#define TS2021_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "crypto/noise.h"

struct ts2021_server;

enum {
	TS2021_BODY_MAX = 1 << 20,
	TS2021_PATH_MAX = 512,
	TS2021_QUEUE_MAX = (16 << 20) + (64 << 10) /* a stream: one largest frame */
};

/* init: the decoded X-Tailscale-Handshake. The 101 head comes first out of pull. NULL: handshake
 * refused or no memory. */
struct ts2021_server *ts2021_server_new(struct rng *rng, const struct key_priv *control,
					const uint8_t init[static NOISE_INIT_LEN], mono_t now);
void ts2021_server_free(struct ts2021_server *s);
const struct key_pub *ts2021_server_machine(const struct ts2021_server *s);
uint16_t ts2021_server_version(const struct ts2021_server *s);

/* All request bodies of the connection together, from now on; at birth 4 * TS2021_BODY_MAX. A
 * request beyond gets 413. */
void ts2021_server_limit(struct ts2021_server *s, size_t bodies);
void ts2021_server_feed(struct ts2021_server *s, mono_t now, struct bytes in);
size_t ts2021_server_pull(struct ts2021_server *s, mono_t now, uint8_t *buf, size_t cap);
bool ts2021_server_has_output(const struct ts2021_server *s);
/* It has ended and all that it had to say was pulled: close the stream. */
bool ts2021_server_is_over(const struct ts2021_server *s);

enum ts2021_server_event_type {
	TS2021_REQUEST, /* stream, method, path, body: complete */
	TS2021_RESET,   /* stream: the client gave it up */
	TS2021_DRAINED, /* stream: what was sent has left; send more */
	TS2021_CLOSED,  /* text; the last event */
};
struct ts2021_server_event {
	enum ts2021_server_event_type type;
	int32_t stream;
	const char *method, *path, *text;
	struct bytes body; /* borrowed until the next call */
};
bool ts2021_server_next(struct ts2021_server *s, struct ts2021_server_event *ev);
/* status and headers once, then body bytes; end closes the stream. 0, -ENOMEM, -ENOENT (stream
 * gone), -ENOBUFS (over TS2021_QUEUE_MAX), -EINVAL (answered already, not yet, or ended) */
MUST_USE int ts2021_server_answer(struct ts2021_server *s, int32_t stream, unsigned status,
				  const char *content_type, bool has_body);
MUST_USE int ts2021_server_send(struct ts2021_server *s, int32_t stream, const void *data,
				size_t len, bool end);
size_t ts2021_server_queued(const struct ts2021_server *s,
			    int32_t stream); /* bytes not yet pulled */
/* How much came so far that was none: records, HTTP/2 frames, requests too large or without path */
uint64_t ts2021_server_malformed(const struct ts2021_server *s);
mono_t ts2021_server_deadline(const struct ts2021_server *s);
void ts2021_server_tick(struct ts2021_server *s, mono_t now);

#endif
