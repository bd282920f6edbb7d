/* derp/http.h - the relay's HTTP face: which requests are its own, and what they get
 * (data-plane.md 3.1) */
#ifndef DERP_HTTP_H
#define DERP_HTTP_H

#include <stdbool.h>

#include "base/bytes.h"
#include "wire/http1.h"

enum derp_http {
	DERP_HTTP_OTHER,     /* not a path of the relay; nothing was appended */
	DERP_HTTP_ANSWERED,  /* the whole answer was appended; the stream may carry another request
				if h->keep_alive */
	DERP_HTTP_UPGRADE,   /* go on with derp_server_open and *fast_start */
	DERP_HTTP_WEBSOCKET, /* the answer's head was appended; the same with fast_start, whose
				bytes travel in messages (wire/websocket.h) */
	DERP_HTTP_FULL,      /* the answer does not fit */
};
enum { DERP_CHALLENGE_MAX = 64 };
/* /derp (by itself or as WebSocket with the subprotocol "derp"), /derp/probe, /derp/latency-check,
 * /generate_204. What follows the head in the stream is fed to the server after an upgrade. */
enum derp_http derp_http_request(const struct http1_head *h, struct buf *answer, bool *fast_start);

#endif
