/* derp/frame.h - DERP frames: type, length, body (data-plane.md 3.2), and a stream of them cut into
 * frames */
#ifndef DERP_FRAME_H
#define DERP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "crypto/key.h"

enum derp_frame_type { /* data-plane.md 3.2 */
		       DERP_SERVER_KEY = 0x01,
		       DERP_CLIENT_INFO = 0x02,
		       DERP_SERVER_INFO = 0x03,
		       DERP_SEND_PACKET = 0x04,
		       DERP_RECV_PACKET = 0x05,
		       DERP_KEEP_ALIVE = 0x06,
		       DERP_NOTE_PREFERRED = 0x07,
		       DERP_PEER_GONE = 0x08,
		       DERP_PEER_PRESENT = 0x09,
		       DERP_FORWARD_PACKET = 0x0a,
		       DERP_WATCH_CONNS = 0x10,
		       DERP_CLOSE_PEER = 0x11,
		       DERP_PING = 0x12,
		       DERP_PONG = 0x13,
		       DERP_HEALTH = 0x14,
		       DERP_RESTARTING = 0x15,
};

enum derp_gone { DERP_GONE_DISCONNECTED = 0, DERP_GONE_NOT_HERE = 1 };
enum derp_present { DERP_PRESENT_REGULAR = 1, DERP_PRESENT_MESH = 2, DERP_PRESENT_PROBER = 4 };

enum {
	DERP_VERSION = 2,
	DERP_HEAD_LEN = 5,
	DERP_MAGIC_LEN = 8,
	DERP_PING_LEN = 8,
	DERP_PACKET_MAX = 65536,
	DERP_FRAME_MAX =
	    1 << 20, /* a longer frame ends the connection; unknown ones up to here are skipped */
	DERP_INFO_MAX =
	    16384,            /* ours: a ClientInfo or ServerInfo frame; real ones have 200 bytes */
	DERP_TEXT_MAX = 4096, /* ours: any other frame that is not a packet */
	DERP_INPUT_MAX = 1 << 18, /* ours: bytes of the stream that wait, see derp_input_feed */
};
extern const uint8_t derp_magic[DERP_MAGIC_LEN];

struct derp_frame {
	uint8_t type;
	struct bytes body;
};

/* Appends a whole frame; false: limit or memory of the buffer, nothing is appended */
MUST_USE bool derp_frame_emit(struct buf *b, enum derp_frame_type type, struct bytes one,
			      struct bytes two);
void derp_frame_head(uint8_t out[static DERP_HEAD_LEN], enum derp_frame_type type, size_t body_len);

/* --- bodies; parsers say false on a body that is too short, and ignore extra bytes at its end ---
 */

MUST_USE bool derp_server_key_parse(struct bytes body, struct key_pub *key);
/* key and the packet behind it: SendPacket, RecvPacket */
MUST_USE bool derp_packet_parse(struct bytes body, struct key_pub *key, struct bytes *packet);
MUST_USE bool derp_forward_parse(struct bytes body, struct key_pub *from, struct key_pub *to,
				 struct bytes *packet);
MUST_USE bool derp_peer_gone_parse(struct bytes body, struct key_pub *key, uint8_t *reason);
struct derp_peer_present {
	struct key_pub key;
	struct ipport addr; /* zero when not given */
	uint8_t flags;      /* DERP_PRESENT_REGULAR when not given */
};
enum { DERP_PRESENT_LEN = 51 };
MUST_USE bool derp_peer_present_parse(struct bytes body, struct derp_peer_present *p);
void derp_peer_present_emit(uint8_t out[static DERP_PRESENT_LEN],
			    const struct derp_peer_present *p);
MUST_USE bool derp_restarting_parse(struct bytes body, uint32_t *reconnect_ms, uint32_t *try_ms);

/* --- the stream --- */

struct derp_input {
	uint8_t *data; /* owned; [off, off + len) waits */
	size_t off, len, cap, skip;
};
enum derp_input_result { DERP_INPUT_FRAME, DERP_INPUT_MORE, DERP_INPUT_TOO_LONG };

void derp_input_fini(struct derp_input *in);
/* Takes a copy. false: out of memory, or more than DERP_INPUT_MAX bytes wait */
MUST_USE bool derp_input_feed(struct derp_input *in, struct bytes b);
/* The next frame; its body is borrowed until the next call on `in`. Unknown frames and over-long
 * ones of small kinds come without a body as soon as their head is there. */
enum derp_input_result derp_input_next(struct derp_input *in, struct derp_frame *f);
void derp_input_shrink(struct derp_input *in); /* gives memory back when nothing waits */
static inline struct bytes derp_input_bytes(const struct derp_input *in)
{
	return (struct bytes){ in->data ? in->data + in->off : NULL, in->len };
}
void derp_input_consume(struct derp_input *in, size_t n);

#endif
