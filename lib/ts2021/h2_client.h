/* ts2021/h2_client.h - the client's HTTP/2: a few requests with fixed places, flow control, bounded
 * bodies
 *
 * A request lives in a slot that its user names. Bodies of answers are kept up to the slot's limit;
 * the map's is flow controlled: it holds what was not decoded yet, never more than its window, and
 * consuming it opens the window again, so an endless stream neither stalls nor grows. Other bodies
 * are consumed as they come.
 */
#ifndef TS2021_H2_CLIENT_H
#define TS2021_H2_CLIENT_H

#include "crypto/key.h"
#include "ts2021/link.h"

enum h2_slot { H2_REGISTER, H2_MAP, H2_LITE, H2_PING, H2_PING_LAST = H2_PING + 1, H2_SLOTS };

enum { /* ours, bytes */
       H2_MAP_WINDOW = 256 << 10,
       H2_BODY_MAX = 1 << 20, /* register, lite: control-protocol.md 3.2 */
       H2_SPARE_WINDOW = H2_SLOTS * H2_BODY_MAX,
       H2_HEADERS_MAX = 64 << 10,
       H2_RETRY_AFTER_MAX = 64,
};

enum h2_phase { H2_FREE, H2_SENT, H2_ANSWERED, H2_ENDED, H2_BROKEN };

struct h2_request {
	enum h2_phase phase;
	int32_t id;
	unsigned status;
	char retry_after[H2_RETRY_AFTER_MAX];
	struct buf body; /* of the answer */
	struct buf send; /* what is left of the request's; wiped */
};

struct h2_client {
	struct link link;
	struct h2_request rq[H2_SLOTS];
	bool going_away; /* GOAWAY was received */
	const char *authority;
};

/* authority is borrowed for life. 0, -ENOMEM, -EINVAL (bad control key); init gets the initiation.
 */
MUST_USE int h2_client_init(struct h2_client *h, uint16_t version, const struct key_priv *machine,
			    const struct key_pub *control, struct rng *rng, const char *authority,
			    uint8_t init[static NOISE_INIT_LEN]);
void h2_client_fini(struct h2_client *h);
MUST_USE bool h2_client_feed(struct h2_client *h, struct bytes in, bool *ready);

/* Body is taken over (and left empty). 0 or -ENOMEM. An earlier request in that slot must have been
 * dropped. */
MUST_USE int h2_client_send(struct h2_client *h, enum h2_slot slot, const char *method,
			    const char *path, const char *type, const struct key_pub *lb,
			    struct buf *body);
void h2_client_drop(struct h2_client *h,
		    enum h2_slot slot); /* cancels what is under way; the slot is free */
void h2_client_consume(struct h2_client *h, enum h2_slot slot,
		       size_t n); /* n bytes of the map's body were decoded */

#endif
