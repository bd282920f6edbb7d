/* wire/websocket.c - see websocket.h */
#include "wire/websocket.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"

enum { FIN = 0x80, RSV = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f };
enum { LEN16 = 126, LEN64 = 127 };

static enum ws_result bad(struct ws *ws, uint16_t code)
{
	ws->code = code;
	ws->is_over = true;
	return WS_BAD;
}

/* Bytes that the head has, as far as it can be known. */
static size_t head_len(const struct ws *ws)
{
	unsigned len = ws->head[1] & LENGTH;

	if (ws->n_head < 2)
		return 2;
	return 2 + (len == LEN16 ? 2U : len == LEN64 ? 8U : 0U) + sizeof ws->mask;
}

static bool is_control(const struct ws *ws)
{
	return ws->opcode & 8;
}

/* What follows from the head alone; WS_MORE: well. */
static enum ws_result take_head(struct ws *ws)
{
	struct rd r = rd_of(ws->head, ws->n_head);
	uint8_t first = rd_u8(&r), len = rd_u8(&r) & LENGTH;
	bool fin = first & FIN;

	ws->opcode = first & OPCODE;
	ws->left = len == LEN16 ? rd_be16(&r) : len == LEN64 ? rd_be64(&r) : len;
	rd_copy(&r, ws->mask, sizeof ws->mask);
	ws->at = 0;
	ws->n_control = 0;
	ws->n_head = 0;
	ws->in_payload = true;
	if (first & RSV || (len == LEN16 && ws->left < LEN16) ||
	    (len == LEN64 && ws->left <= UINT16_MAX))
		return bad(ws, WS_CODE_PROTOCOL); /* 5.2: the least number of bytes */
	if (is_control(ws)) {
		bool known = ws->opcode >= WS_CLOSE_FRAME && ws->opcode <= WS_PONG_FRAME;

		return known && fin && ws->left <= WS_CONTROL_MAX ? WS_MORE
								  : bad(ws, WS_CODE_PROTOCOL);
	}
	if (ws->opcode == WS_TEXT)
		return bad(ws, WS_CODE_UNSUPPORTED);
	if (ws->opcode > WS_BINARY || (ws->opcode == WS_CONTINUE) != ws->in_message)
		return bad(ws, WS_CODE_PROTOCOL); /* 5.4 */
	if (ws->left > WS_FRAME_MAX)
		return bad(ws, WS_CODE_TOO_BIG);
	ws->n_empty = ws->left == 0 ? ws->n_empty + 1 : 0;
	if (ws->n_empty > WS_EMPTY_MAX)
		return bad(ws, WS_CODE_PROTOCOL);
	ws->in_message = !fin;
	return WS_MORE;
}

static enum ws_result feed_head(struct ws *ws, struct bytes *in)
{
	size_t want;

	while ((want = head_len(ws)) > ws->n_head) {
		size_t n = MIN_OF(want - ws->n_head, in->len);

		if (n == 0)
			return WS_MORE;
		memcpy(ws->head + ws->n_head, in->data, n);
		ws->n_head += n;
		in->data += n;
		in->len -= n;
		if (ws->n_head >= 2 && !(ws->head[1] & MASKED))
			return bad(ws, WS_CODE_PROTOCOL); /* 5.1 */
	}
	return take_head(ws);
}

static struct bytes unmask(struct ws *ws, struct bytes *in)
{
	size_t n = ws->left < in->len ? (size_t)ws->left : in->len;
	uint8_t *p = (uint8_t *)(uintptr_t)in->data; /* ours to write: see the header */
	struct bytes piece = { p, n };

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(p[i] ^ ws->mask[(ws->at + i) & 3]);
	ws->at = (unsigned)((ws->at + n) & 3);
	ws->left -= n;
	in->data += n;
	in->len -= n;
	return piece;
}

/* Codes that an endpoint may send (7.4). */
static bool is_code(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static enum ws_result control_done(struct ws *ws)
{
	struct rd r = rd_of(ws->control, ws->n_control);

	ws->in_payload = false;
	if (ws->opcode == WS_PONG_FRAME)
		return WS_MORE;
	if (ws->opcode == WS_PING_FRAME)
		return WS_PING;
	ws->code = ws->n_control > 0 ? rd_be16(&r) : WS_CODE_NONE;
	if (ws->n_control > 0 && !is_code(ws->code)) /* also one byte alone: 5.5.1 */
		return bad(ws, WS_CODE_PROTOCOL);
	ws->is_over = true;
	return WS_CLOSE;
}

enum ws_result ws_feed(struct ws *ws, struct bytes *in, struct bytes *piece)
{
	for (;;) {
		enum ws_result r = WS_MORE;
		struct bytes got;

		if (ws->is_over)
			return WS_MORE;
		if (!ws->in_payload) {
			r = feed_head(ws, in);
			if (r != WS_MORE || !ws->in_payload)
				return r;
		}
		got = unmask(ws, in);
		if (is_control(ws)) {
			if (got.len > 0)
				memcpy(ws->control + ws->n_control, got.data, got.len);
			ws->n_control += got.len;
			if (ws->left > 0)
				return WS_MORE;
			r = control_done(ws);
			if (r != WS_MORE)
				return r;
			continue;
		}
		ws->in_payload = ws->left > 0;
		*piece = got;
		if (got.len > 0)
			return WS_DATA;
		if (ws->in_payload)
			return WS_MORE;
	}
}

size_t ws_head(enum ws_opcode op, size_t len, uint8_t out[static WS_HEAD_MAX])
{
	struct wr w = wr_of(out, WS_HEAD_MAX);

	assert(len <= UINT16_MAX);
	wr_u8(&w, (uint8_t)(FIN | op));
	wr_u8(&w, len < LEN16 ? (uint8_t)len : LEN16);
	if (len >= LEN16)
		wr_be16(&w, (uint16_t)len);
	return wr_len(&w);
}

bool ws_emit(struct buf *b, enum ws_opcode op, const void *data, size_t len)
{
	uint8_t frame[2 + WS_CONTROL_MAX];
	struct wr w = wr_of(frame, sizeof frame);

	assert(len <= WS_CONTROL_MAX);
	(void)wr_room(&w, ws_head(op, len, frame));
	wr_put(&w, data, len);
	return buf_append(b, frame, wr_len(&w));
}

bool ws_emit_close(struct buf *b, uint16_t code)
{
	const uint8_t body[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	return ws_emit(b, WS_CLOSE_FRAME, body, code == WS_CODE_NONE ? 0 : sizeof body);
}
