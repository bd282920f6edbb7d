/* derp/derp_client_fuzz.c - the client end reads a hostile relay's stream
 *
 * First byte: bits 0-1 where the stream begins (HTTP answer, ServerKey, ServerInfo, ready), the
 * rest the size of the pieces. Under FUZZING the relay's box for ServerInfo is made here, so that
 * what is in it is reached.
 */
#include "crypto/box.h"
#include "derp/client.h"

#include <assert.h>
#include <stdlib.h>

static void zero_fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	memset(buf, 7, len);
}

static void look(struct derp_client *c, bool *closed)
{
	struct derp_event ev;
	uint8_t sum = 0;

	while (derp_client_next(c, &ev)) {
		assert(!*closed); /* CLOSED is the last event */
		for (size_t i = 0; i < ev.data.len; i++)
			sum ^= ev.data.data[i];
		*closed = ev.type == DERP_EV_CLOSED;
		assert(ev.type != DERP_EV_CLOSED || ev.text[0]);
	}
	(void)sum;
}

static void feed(struct derp_client *c, mono_t *now, struct bytes in, size_t step, bool *closed)
{
	uint8_t out[512];

	while (in.len > 0) {
		size_t n = MIN_OF(step, in.len);

		*now = mono_add(*now, SPAN_MS(n));
		derp_client_feed(c, *now, bytes_of(in.data, n));
		look(c, closed);
		if (derp_client_pull(c, *now, out, sizeof out) == 0)
			assert(*closed || !derp_client_has_output(c));
		in = bytes_of(in.data + n, in.len - n);
	}
}

static void preamble(struct buf *b, int stage, const struct key_priv *node)
{
	static const char http[] =
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n";
	static const char info[] =
	    "{\"version\":2,\"TokenBucketBytesPerSecond\":1000,\"TokenBucketBytesBurst\":2000}";
	uint8_t body[BOX_NONCE + sizeof info - 1 + BOX_TAG] = { 1 }, shared[BOX_SHARED];
	struct key_priv relay = { { 64 } };
	struct key_pub relay_pub, node_pub;
	bool ok = true;

	key_clamp(&relay);
	key_public(&relay_pub, &relay);
	key_public(&node_pub, node);
	if (stage > 0)
		ok = buf_append(b, http, sizeof http - 1);
	if (ok && stage > 1)
		ok = derp_frame_emit(b, DERP_SERVER_KEY, bytes_of(derp_magic, DERP_MAGIC_LEN),
				     bytes_of(relay_pub.b, KEY_LEN));
	if (ok && stage > 2 && box_shared(shared, &relay, &node_pub)) {
		box_seal(body + BOX_NONCE, (const uint8_t *)info, sizeof info - 1, body, shared);
		ok = derp_frame_emit(b, DERP_SERVER_INFO, bytes_of(body, sizeof body),
				     bytes_of(NULL, 0));
	}
	assert(ok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rng rng = { zero_fill };
	struct derp_client_conf conf = {
		.rng = &rng, .host = "h", .is_home = true, .node = { { 8 } }
	};
	struct derp_client *c;
	mono_t now = { 1 };
	struct buf pre;
	bool closed = false;

	if (len == 0)
		return 0;
	key_clamp(&conf.node);
	c = derp_client_new(&conf, now);
	if (!c)
		return 0;
	buf_init(&pre, 4096);
	preamble(&pre, data[0] & 3, &conf.node);
	feed(c, &now, buf_bytes(&pre), 1000, &closed);
	assert(!closed);
	for (int i = 0; i < 4; i++)
		(void)derp_client_send(c, &(struct key_pub){ { 1 } }, data,
				       MIN_OF(len, (size_t)DERP_PACKET_MAX));
	derp_client_ping(c, now);
	feed(c, &now, bytes_of(data + 1, len - 1), (size_t)(data[0] >> 2) * 8 + 1, &closed);
	derp_client_tick(c, mono_add(now, SPAN_S(200)));
	look(c, &closed);
	assert(closed);
	derp_client_free(c);
	buf_fini(&pre);
	return 0;
}
