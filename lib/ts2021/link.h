/* ts2021/link.h - HTTP/2 inside Noise records: what both ends share
 *
 * Plain text of records goes to an nghttp2 session, what that wants to send leaves as records. A
 * client looks for the early payload in front (control-protocol.md 2.5): magic, u32 length, JSON
 * that nobody uses; it is skipped without being stored. Bytes that are not the magic are HTTP/2
 * already.
 */
#ifndef TS2021_LINK_H
#define TS2021_LINK_H

#include <nghttp2/nghttp2.h>

#include "ts2021/channel.h"

enum { LINK_EARLY_MAX = 10 << 20 }; /* control-protocol.md 2.5 */
enum { LINK_EARLY_HEAD = 9 };
extern const uint8_t link_early_magic[5];

struct link {
	struct channel ch;
	nghttp2_session *h2;
	const char *why; /* static; set when the link is dead */
	struct buf out;  /* sealed or clear bytes that did not fit the caller's buffer */
	uint8_t *sink;   /* while nghttp2 is asked what to send: where link_sink puts it */
	size_t sunk;
	uint8_t early[LINK_EARLY_HEAD];
	size_t early_len;
	uint32_t early_skip;
	bool early_done;
	uint64_t malformed; /* what came and was none: records, frames, requests */
};

enum {
	LINK_OUT_MAX = 64 << 10,
	LINK_FRAME_MAX = 9 + 16384, /* head and payload of an HTTP/2 frame that we send */
};

void link_init(struct link *l, bool is_client);
void link_fini(struct link *l); /* h2 is deleted */
/* All bytes go through; false: dead, l->why says why. *ready becomes true when the handshake
 * completed in this call. */
MUST_USE bool link_feed(struct link *l, struct bytes in, bool *ready);
/* At most cap bytes of what has to leave. 0: nothing, or the link died (l->why). */
size_t link_pull(struct link *l, uint8_t *buf, size_t cap);
/* For a nghttp2_send_data_callback: a piece of a DATA frame (LINK_FRAME_MAX in all) that goes from
 * its owner's memory straight into the record; nghttp2's own buffer of 16 KiB stays untouched. */
void link_sink(struct link *l, const void *data, size_t len);
bool link_has_output(const struct link *l);

#endif
