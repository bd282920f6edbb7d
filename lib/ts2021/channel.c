/* ts2021/channel.c - see channel.h */
#include "ts2021/channel.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"

enum { /* control-protocol.md 2.4 */
       FRAME_RESPONSE = 2,
       FRAME_ERROR = 3,
       FRAME_RECORD = 4,
       FRAME_HEAD = 3,
       FRAME_TAG = 16,
};

static_assert(FRAME_HEAD + NOISE_PLAIN_MAX + FRAME_TAG == NOISE_FRAME_MAX,
	      "the largest record fills a frame");

bool channel_start(struct channel *c, uint16_t version, const struct key_priv *machine,
		   const struct key_pub *control, struct rng *rng,
		   uint8_t init[static NOISE_INIT_LEN])
{
	memset(c, 0, sizeof *c);
	c->machine = *machine;
	if (!noise_init_emit(&c->hs, version, machine, control, rng, init)) {
		channel_fini(c);
		return false;
	}
	return true;
}

bool channel_accept(struct channel *c, const struct key_priv *control,
		    const uint8_t init[static NOISE_INIT_LEN], struct rng *rng, uint16_t *version,
		    struct key_pub *machine, uint8_t resp[static NOISE_RESP_LEN])
{
	memset(c, 0, sizeof *c);
	if (!noise_init_read(&c->hs, control, init, version, machine) ||
	    !noise_resp_emit(&c->hs, rng, resp, &c->keys)) {
		channel_fini(c);
		return false;
	}
	c->state = CHANNEL_OPEN;
	return true;
}

void channel_fini(struct channel *c)
{
	secret_wipe(c, sizeof *c);
	c->state = CHANNEL_DEAD;
	c->why = "closed";
}

static enum channel_got dead(struct channel *c, const char *why)
{
	noise_wipe(&c->hs);
	key_wipe(&c->machine);
	secret_wipe(&c->keys, sizeof c->keys);
	c->state = CHANNEL_DEAD;
	c->why = why;
	return CHANNEL_BAD;
}

/* A whole frame: head (type, length) already judged */
static enum channel_got take_frame(struct channel *c, const uint8_t *frame, size_t len,
				   uint8_t *plain, size_t *plain_len)
{
	if (c->state == CHANNEL_HANDSHAKE) {
		if (!noise_resp_read(&c->hs, &c->machine, frame, &c->keys))
			return dead(c, "the answer to the handshake is not from the holder of the "
				       "control key");
		key_wipe(&c->machine);
		c->state = CHANNEL_OPEN;
		return CHANNEL_READY;
	}
	if (!noise_open(&c->keys, frame + FRAME_HEAD, len - FRAME_HEAD, plain))
		return dead(c, "a record failed authentication (damaged or forged on the way)");
	*plain_len = len - FRAME_HEAD - FRAME_TAG;
	return *plain_len > 0 ? CHANNEL_PLAIN : CHANNEL_MORE; /* empty records are legal: skipped */
}

/* NULL: the head may stand in this state */
static const char *head_fault(const struct channel *c, uint8_t type, size_t len)
{
	if (c->state == CHANNEL_HANDSHAKE) {
		if (type == FRAME_ERROR)
			return "the server refused the handshake";
		if (type != FRAME_RESPONSE || len != NOISE_RESP_LEN - FRAME_HEAD)
			return "what came is not an answer to the handshake";
		return NULL;
	}
	if (type == FRAME_ERROR)
		return "the other end reported an error";
	if (type != FRAME_RECORD)
		return "a frame of unknown type";
	if (len > NOISE_FRAME_MAX - FRAME_HEAD || len < FRAME_TAG)
		return "a record of illegal length";
	return NULL;
}

static void fill_part(struct channel *c, struct bytes *in, size_t want)
{
	size_t n = want - c->part_len < in->len ? want - c->part_len : in->len;

	if (n > 0)
		memcpy(c->part + c->part_len, in->data, n);
	c->part_len += n;
	*in = bytes_of(in->data + n, in->len - n);
}

/* One frame or as much of it as is there; CHANNEL_MORE with input left means an empty record went
 * by. */
static enum channel_got read_one(struct channel *c, struct bytes *in, uint8_t *plain,
				 size_t *plain_len)
{
	struct rd r;
	uint8_t type;
	size_t len;
	const char *fault;

	if (c->part_len < FRAME_HEAD)
		fill_part(c, in, FRAME_HEAD);
	if (c->part_len < FRAME_HEAD)
		return CHANNEL_MORE;
	r = rd_of(c->part, FRAME_HEAD);
	type = rd_u8(&r);
	len = rd_be16(&r);
	fault = head_fault(c, type, len);
	if (fault)
		return dead(c, fault);
	fill_part(c, in, FRAME_HEAD + len);
	if (c->part_len < FRAME_HEAD + len)
		return CHANNEL_MORE;
	c->part_len = 0;
	return take_frame(c, c->part, FRAME_HEAD + len, plain, plain_len);
}

enum channel_got channel_read(struct channel *c, struct bytes *in,
			      uint8_t plain[static NOISE_PLAIN_MAX], size_t *plain_len)
{
	enum channel_got got;

	if (c->state == CHANNEL_DEAD)
		return CHANNEL_BAD;
	do
		got = read_one(c, in, plain, plain_len);
	while (got == CHANNEL_MORE && in->len > 0);
	return got;
}

size_t channel_write(struct channel *c, const uint8_t *plain, size_t len,
		     uint8_t out[static NOISE_FRAME_MAX])
{
	assert(len <= NOISE_PLAIN_MAX);
	if (c->state != CHANNEL_OPEN)
		return 0;
	if (!noise_seal(&c->keys, plain, len, out)) {
		(void)dead(c, "the record counter is used up");
		return 0;
	}
	return FRAME_HEAD + len + FRAME_TAG;
}
