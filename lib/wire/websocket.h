/* wire/websocket.h - the server's end of a WebSocket as a byte stream: frames in and out, pure
 *
 * RFC 6455. Binary messages only, whose borders mean nothing; no extensions. Strict as the
 * standard wants a server to be: client frames are masked, reserved bits zero, lengths minimal,
 * control frames whole and short. Nothing here owns memory.
 *
 *      struct ws ws = { 0 };
 *      while ((r = ws_feed(&ws, &in, &piece)) != WS_MORE)
 *              WS_DATA: piece is content, unmasked where it lay
 *              WS_PING: answer with ws_emit(WS_PONG_FRAME, ws.control, ws.n_control)
 *              WS_CLOSE: answer with a close frame of ws.code, then the stream ends
 *              WS_BAD: the same, and it is our complaint
 */
#ifndef WIRE_WEBSOCKET_H
#define WIRE_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {
	WS_CONTROL_MAX = 125,   /* RFC 6455 5.5 */
	WS_HEAD_MAX = 4,        /* of our frames: none is longer than 65535 */
	WS_FRAME_MAX = 1 << 20, /* ours: of a client's frame */
	WS_EMPTY_MAX = 1024,    /* ours: frames in a row that carry nothing */
	WS_KEY_LEN = 16,        /* Sec-WebSocket-Key, decoded */
};

enum ws_opcode {
	WS_CONTINUE = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE_FRAME = 8,
	WS_PING_FRAME = 9,
	WS_PONG_FRAME = 10,
};
enum ws_code { /* RFC 6455 7.4.1 */
	       WS_CODE_NORMAL = 1000,
	       WS_CODE_GOING_AWAY = 1001,
	       WS_CODE_PROTOCOL = 1002,
	       WS_CODE_UNSUPPORTED = 1003, /* text */
	       WS_CODE_NONE = 1005,        /* a close frame without a code; never sent */
	       WS_CODE_TOO_BIG = 1009,
};

enum ws_result { WS_MORE, WS_DATA, WS_PING, WS_CLOSE, WS_BAD };

struct ws {
	uint8_t control[WS_CONTROL_MAX]; /* payload of a control frame */
	size_t n_control;
	uint16_t code; /* of WS_CLOSE and WS_BAD */
	/* progress */
	uint8_t head[14], mask[4], opcode;
	size_t n_head;
	uint64_t left; /* of the payload */
	unsigned at;   /* in the mask */
	unsigned n_empty;
	bool in_payload, in_message, is_over;
};

/* Takes from the front of *in, which is written to (unmasked in place). After WS_CLOSE and WS_BAD
 * nothing more is taken. */
enum ws_result ws_feed(struct ws *ws, struct bytes *in, struct bytes *piece);

/* Head of a frame of ours, which is whole (FIN) and not masked; len <= 65535. How many bytes. */
size_t ws_head(enum ws_opcode op, size_t len, uint8_t out[static WS_HEAD_MAX]);
/* A whole control frame, at most 2 + WS_CONTROL_MAX bytes. */
MUST_USE bool ws_emit(struct buf *b, enum ws_opcode op, const void *data, size_t len);
MUST_USE bool ws_emit_close(struct buf *b, uint16_t code);

#endif
