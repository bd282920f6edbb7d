/* derp/frame.c - see frame.h */
#include "derp/frame.h"

#include "base/cursor.h"

#include <assert.h>
#include <stdlib.h>

const uint8_t derp_magic[DERP_MAGIC_LEN] = { 0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91 };

void derp_frame_head(uint8_t out[static DERP_HEAD_LEN], enum derp_frame_type type, size_t body_len)
{
	struct wr w = wr_of(out, DERP_HEAD_LEN);

	assert(body_len <= DERP_FRAME_MAX);
	wr_u8(&w, (uint8_t)type);
	wr_be32(&w, (uint32_t)body_len);
}

bool derp_frame_emit(struct buf *b, enum derp_frame_type type, struct bytes one, struct bytes two)
{
	uint8_t *p = buf_reserve(b, DERP_HEAD_LEN + one.len + two.len);
	struct wr w;

	if (!p)
		return false;
	derp_frame_head(p, type, one.len + two.len);
	w = wr_of(p + DERP_HEAD_LEN, one.len + two.len);
	wr_put(&w, one.data, one.len);
	wr_put(&w, two.data, two.len);
	buf_commit(b, DERP_HEAD_LEN + one.len + two.len);
	return true;
}

bool derp_server_key_parse(struct bytes body, struct key_pub *key)
{
	struct rd r = rd_bytes(body);
	const uint8_t *magic = rd_take(&r, DERP_MAGIC_LEN), *k = rd_take(&r, KEY_LEN);

	if (!magic || !k || memcmp(magic, derp_magic, DERP_MAGIC_LEN) != 0)
		return false;
	memcpy(key->b, k, KEY_LEN);
	return true;
}

bool derp_packet_parse(struct bytes body, struct key_pub *key, struct bytes *packet)
{
	struct rd r = rd_bytes(body);

	rd_copy(&r, key->b, KEY_LEN);
	*packet = rd_rest(&r);
	return rd_ok(&r) && packet->len <= DERP_PACKET_MAX;
}

bool derp_forward_parse(struct bytes body, struct key_pub *from, struct key_pub *to,
			struct bytes *packet)
{
	struct rd r = rd_bytes(body);

	rd_copy(&r, from->b, KEY_LEN);
	rd_copy(&r, to->b, KEY_LEN);
	*packet = rd_rest(&r);
	return rd_ok(&r) && packet->len <= DERP_PACKET_MAX;
}

bool derp_peer_gone_parse(struct bytes body, struct key_pub *key, uint8_t *reason)
{
	struct rd r = rd_bytes(body);

	rd_copy(&r, key->b, KEY_LEN);
	*reason = r.left > 0 ? rd_u8(&r) : DERP_GONE_DISCONNECTED;
	return rd_ok(&r);
}

bool derp_peer_present_parse(struct bytes body, struct derp_peer_present *p)
{
	struct rd r = rd_bytes(body);

	*p = (struct derp_peer_present){ .flags = DERP_PRESENT_REGULAR };
	rd_copy(&r, p->key.b, KEY_LEN);
	if (r.left >= 18) {
		uint8_t ip[16];

		rd_copy(&r, ip, sizeof ip);
		p->addr.ip = ip_from_v6(ip);
		p->addr.port = rd_be16(&r);
	}
	if (r.left > 0)
		p->flags = rd_u8(&r);
	return rd_ok(&r);
}

void derp_peer_present_emit(uint8_t out[static DERP_PRESENT_LEN], const struct derp_peer_present *p)
{
	struct wr w = wr_of(out, DERP_PRESENT_LEN);

	wr_put(&w, p->key.b, KEY_LEN);
	wr_put(&w, p->addr.ip.b, sizeof p->addr.ip.b);
	wr_be16(&w, p->addr.port);
	wr_u8(&w, p->flags);
}

bool derp_restarting_parse(struct bytes body, uint32_t *reconnect_ms, uint32_t *try_ms)
{
	struct rd r = rd_bytes(body);

	*reconnect_ms = rd_be32(&r);
	*try_ms = rd_be32(&r);
	return rd_ok(&r);
}

/* --- the stream --- */

/* the longest body of a type that is read whole; 0: nobody reads it, it is skipped */
static size_t body_max(uint8_t type)
{
	switch (type) {
	case DERP_CLIENT_INFO:
	case DERP_SERVER_INFO:
		return DERP_INFO_MAX;
	case DERP_SEND_PACKET:
	case DERP_RECV_PACKET:
		return KEY_LEN + DERP_PACKET_MAX;
	case DERP_FORWARD_PACKET:
		return 2 * KEY_LEN + DERP_PACKET_MAX;
	case DERP_SERVER_KEY:
	case DERP_KEEP_ALIVE:
	case DERP_NOTE_PREFERRED:
	case DERP_PEER_GONE:
	case DERP_PEER_PRESENT:
	case DERP_WATCH_CONNS:
	case DERP_CLOSE_PEER:
	case DERP_PING:
	case DERP_PONG:
	case DERP_HEALTH:
	case DERP_RESTARTING:
		return DERP_TEXT_MAX;
	}
	return 0;
}

void derp_input_fini(struct derp_input *in)
{
	free(in->data);
	*in = (struct derp_input){ .data = NULL };
}

static bool grow(struct derp_input *in, size_t want)
{
	size_t cap = in->cap ? in->cap : 2048;
	uint8_t *p;

	if (in->off > 0 && in->len > 0)
		memmove(in->data, in->data + in->off, in->len);
	in->off = 0;
	while (cap < want)
		cap *= 2;
	if (cap == in->cap)
		return true;
	p = realloc(in->data, cap);
	if (!p)
		return false;
	in->data = p;
	in->cap = cap;
	return true;
}

bool derp_input_feed(struct derp_input *in, struct bytes b)
{
	size_t n = MIN_OF(in->skip, b.len);

	in->skip -= n;
	if (n == b.len)
		return true;
	b = bytes_of(b.data + n, b.len - n);
	if (b.len > DERP_INPUT_MAX - in->len)
		return false;
	if (in->cap - in->off - in->len < b.len && !grow(in, in->len + b.len))
		return false;
	memcpy(in->data + in->off + in->len, b.data, b.len);
	in->len += b.len;
	return true;
}

void derp_input_consume(struct derp_input *in, size_t n)
{
	assert(n <= in->len);
	in->len -= n;
	in->off = in->len > 0 ? in->off + n : 0;
}

static void skip(struct derp_input *in, size_t n)
{
	size_t now = MIN_OF(n, in->len);

	derp_input_consume(in, now);
	in->skip += n - now;
}

enum derp_input_result derp_input_next(struct derp_input *in, struct derp_frame *f)
{
	struct rd r = rd_bytes(derp_input_bytes(in));
	uint8_t type = rd_u8(&r);
	size_t len = rd_be32(&r), max = body_max(type);

	if (!rd_ok(&r))
		return DERP_INPUT_MORE;
	if (len > DERP_FRAME_MAX || (len > max && max > DERP_TEXT_MAX))
		return DERP_INPUT_TOO_LONG;
	*f = (struct derp_frame){ .type = type };
	if (len > max) {
		skip(in, DERP_HEAD_LEN + len);
		return DERP_INPUT_FRAME;
	}
	if (r.left < len)
		return DERP_INPUT_MORE;
	f->body = bytes_of(rd_take(&r, len), len);
	derp_input_consume(in, DERP_HEAD_LEN +
				   len); /* the bytes stay where they are until the next call */
	return DERP_INPUT_FRAME;
}

void derp_input_shrink(struct derp_input *in)
{
	size_t left = in->skip;

	if (in->len > 0)
		return;
	derp_input_fini(in);
	in->skip = left;
}
