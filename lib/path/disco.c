/* path/disco.c - see disco.h */
#include "path/disco.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

static const uint8_t magic[DISCO_MAGIC_LEN] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

static const char *const type_names[DISCO_TYPE_N] = {
	[0] = "unknown",
	[DISCO_PING] = "ping",
	[DISCO_PONG] = "pong",
	[DISCO_CALL_ME_MAYBE] = "call-me-maybe",
	[DISCO_BIND_RELAY] = "bind-udp-relay-endpoint",
	[DISCO_BIND_RELAY_CHALLENGE] = "bind-udp-relay-endpoint-challenge",
	[DISCO_BIND_RELAY_ANSWER] = "bind-udp-relay-endpoint-answer",
	[DISCO_CALL_ME_MAYBE_VIA] = "call-me-maybe-via",
	[DISCO_ALLOCATE_RELAY_REQUEST] = "allocate-udp-relay-endpoint-request",
	[DISCO_ALLOCATE_RELAY_RESPONSE] = "allocate-udp-relay-endpoint-response",
};

const char *disco_type_name(uint8_t type)
{
	return type_names[type < DISCO_TYPE_N ? type : 0];
}

bool disco_is(const uint8_t *data, size_t len)
{
	return len >= DISCO_HEADER && memcmp(data, magic, sizeof magic) == 0;
}

struct key_pub disco_sender(const uint8_t *data)
{
	struct rd r = rd_of(data, DISCO_HEADER);
	struct key_pub sender;

	rd_skip(&r, DISCO_MAGIC_LEN);
	rd_copy(&r, sender.b, KEY_LEN);
	return sender;
}

size_t disco_seal(uint8_t *out, const struct key_pub *sender, const uint8_t nonce[static BOX_NONCE],
		  const uint8_t shared[static BOX_SHARED], const uint8_t *plain, size_t len)
{
	struct wr w = wr_of(out, len + DISCO_OVERHEAD);

	wr_put(&w, magic, sizeof magic);
	wr_put(&w, sender->b, KEY_LEN);
	wr_put(&w, nonce, BOX_NONCE);
	uint8_t *box = wr_room(&w, len + BOX_TAG);

	assert(box);
	box_seal(box, plain, len, nonce, shared);
	return wr_len(&w);
}

bool disco_open(const uint8_t *data, size_t len, const uint8_t shared[static BOX_SHARED],
		uint8_t *plain, size_t *plain_len)
{
	struct rd r = rd_of(data, len);

	rd_skip(&r, DISCO_MAGIC_LEN + KEY_LEN);
	const uint8_t *nonce = rd_take(&r, BOX_NONCE);
	struct bytes box = rd_rest(&r);

	if (!rd_ok(&r) || box.len < BOX_TAG || box.len - BOX_TAG > DISCO_PLAIN_MAX)
		return false;
	*plain_len = box.len - BOX_TAG;
	if (box_open(plain, box.data, box.len, nonce, shared))
		return true;
#ifdef FUZZING
	memcpy(plain, box.data + BOX_TAG, *plain_len); /* an unsealed text behind any tag passes */
	return true;
#else
	return false;
#endif
}

bool disco_endpoint_next(struct rd *endpoints, struct ipport *out)
{
	rd_copy(endpoints, out->ip.b, sizeof out->ip.b);
	out->port = rd_be16(endpoints);
	return rd_ok(endpoints);
}

enum disco_fault disco_parse(const uint8_t *plain, size_t len, struct disco_msg *msg)
{
	struct rd r = rd_of(plain, len);

	memset(msg, 0, sizeof *msg);
	msg->type = rd_u8(&r);
	msg->version = rd_u8(&r);
	if (!rd_ok(&r))
		return DISCO_SHORT;
	if (msg->version != 0)
		return DISCO_VERSION;
	switch (msg->type) {
	case DISCO_PING: /* what follows is padding, or news from later versions */
		rd_copy(&r, msg->txid, DISCO_TXID);
		msg->has_node = rd_ok(&r) && r.left >= KEY_LEN;
		if (msg->has_node)
			rd_copy(&r, msg->node.b, KEY_LEN);
		return rd_ok(&r) ? DISCO_OK : DISCO_BODY;
	case DISCO_PONG:
		rd_copy(&r, msg->txid, DISCO_TXID);
		return disco_endpoint_next(&r, &msg->src) ? DISCO_OK : DISCO_BODY;
	case DISCO_CALL_ME_MAYBE:
		msg->endpoints = r;
		msg->n_endpoints = r.left / DISCO_ENDPOINT_LEN;
		return r.left % DISCO_ENDPOINT_LEN == 0 ? DISCO_OK : DISCO_BODY;
	case DISCO_BIND_RELAY:
	case DISCO_BIND_RELAY_CHALLENGE:
	case DISCO_BIND_RELAY_ANSWER:
	case DISCO_CALL_ME_MAYBE_VIA:
	case DISCO_ALLOCATE_RELAY_REQUEST:
	case DISCO_ALLOCATE_RELAY_RESPONSE:
		return DISCO_RELAY;
	default:
		return DISCO_TYPE;
	}
}

static struct wr head_emit(uint8_t *out, size_t cap, uint8_t type)
{
	struct wr w = wr_of(out, cap);

	wr_u8(&w, type);
	wr_u8(&w, 0);
	return w;
}

static void endpoint_emit(struct wr *w, const struct ipport *e)
{
	wr_put(w, e->ip.b, sizeof e->ip.b);
	wr_be16(w, e->port);
}

size_t disco_ping_emit(uint8_t *out, size_t cap, const uint8_t txid[static DISCO_TXID],
		       const struct key_pub *node, size_t padding)
{
	struct wr w = head_emit(out, cap, DISCO_PING);

	wr_put(&w, txid, DISCO_TXID);
	wr_put(&w, node->b, KEY_LEN);
	wr_zero(&w, padding);
	return wr_len(&w);
}

size_t disco_pong_emit(uint8_t *out, size_t cap, const uint8_t txid[static DISCO_TXID],
		       const struct ipport *src)
{
	struct wr w = head_emit(out, cap, DISCO_PONG);

	wr_put(&w, txid, DISCO_TXID);
	endpoint_emit(&w, src);
	return wr_len(&w);
}

size_t disco_call_me_maybe_emit(uint8_t *out, size_t cap, const struct ipport *v, size_t n)
{
	struct wr w = head_emit(out, cap, DISCO_CALL_ME_MAYBE);

	for (size_t i = 0; i < n; i++)
		endpoint_emit(&w, &v[i]);
	return wr_len(&w);
}
