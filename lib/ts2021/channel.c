/* ts2021/channel.c - see channel.h */
#include "ts2021/channel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "crypto/locked.h"

enum { /* control-protocol.md 2.4 */
       FRAME_RESPONSE = 2,
       FRAME_ERROR = 3,
       FRAME_RECORD = 4,
       FRAME_HEAD = 3,
       FRAME_TAG = 16,
};

static_assert(sizeof(struct channel_secrets) <= LOCKED_SMALL, "a small slot holds them");
static_assert(FRAME_HEAD + NOISE_PLAIN_MAX + FRAME_TAG == NOISE_FRAME_MAX,
	      "the largest record fills a frame");

bool channel_start(struct channel *c, uint16_t version, const struct key_priv *machine,
		   const struct key_pub *control, struct rng *rng,
		   uint8_t init[static NOISE_INIT_LEN])
{
	memset(c, 0, sizeof *c);
	c->secrets = locked_new(sizeof *c->secrets);
	if (c->secrets)
		c->secrets->machine = *machine;
	if (!c->secrets ||
	    !noise_init_emit(&c->secrets->hs, version, machine, control, rng, init)) {
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
	c->secrets = locked_new(sizeof *c->secrets);
	if (!c->secrets || !noise_init_read(&c->secrets->hs, control, init, version, machine) ||
	    !noise_resp_emit(&c->secrets->hs, rng, resp, &c->secrets->keys)) {
		channel_fini(c);
		return false;
	}
	c->state = CHANNEL_OPEN;
	return true;
}

void channel_fini(struct channel *c)
{
	free(c->part);
	locked_free(c->secrets, sizeof *c->secrets);
	memset(c, 0, sizeof *c);
	c->state = CHANNEL_DEAD;
	c->why = "closed";
}

static enum channel_got dead(struct channel *c, const char *why)
{
	locked_free(c->secrets, sizeof *c->secrets);
	c->secrets = NULL;
	c->state = CHANNEL_DEAD;
	c->why = why;
	return CHANNEL_BAD;
}

static bool open_record(struct channel *c, struct bytes sealed, uint8_t *plain)
{
	if (noise_open(&c->secrets->keys, sealed.data, sealed.len, plain))
		return true;
#ifdef FUZZING
	/* tags pass, so that what lies behind them is reached */
	if (sealed.len > FRAME_TAG)
		memcpy(plain, sealed.data, sealed.len - FRAME_TAG);
	return true;
#else
	return false;
#endif
}

static enum channel_got take_response(struct channel *c, struct bytes body)
{
	uint8_t frame[NOISE_RESP_LEN];

	memcpy(frame, c->head, FRAME_HEAD);
	memcpy(frame + FRAME_HEAD, body.data,
	       NOISE_RESP_LEN - FRAME_HEAD); /* head_fault saw to the length */
	if (!noise_resp_read(&c->secrets->hs, &c->secrets->machine, frame, &c->secrets->keys))
		return dead(
		    c, "the answer to the handshake is not from the holder of the control key");
	key_wipe(&c->secrets->machine);
	c->state = CHANNEL_OPEN;
	return CHANNEL_READY;
}

static enum channel_got take_record(struct channel *c, struct bytes body, uint8_t *plain,
				    size_t *plain_len)
{
	if (!open_record(c, body, plain))
		return dead(c, "a record failed authentication (damaged or forged on the way)");
	*plain_len = body.len - FRAME_TAG;
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

static struct bytes take_in(struct bytes *in, size_t n)
{
	struct bytes b = bytes_of(in->data, n < in->len ? n : in->len);

	*in = bytes_of(in->data + b.len, in->len - b.len);
	return b;
}

/* The body of len bytes, from the input alone where it is there whole; false: more is needed, or
 * out of memory (dead) */
static bool gather(struct channel *c, struct bytes *in, size_t len, struct bytes *body)
{
	struct bytes b;

	if (!c->part && in->len >= len) {
		*body = take_in(in, len);
		return true;
	}
	if (!c->part) {
		c->part = malloc(len);
		c->part_len = 0;
	}
	if (!c->part) {
		(void)dead(c, "out of memory");
		return false;
	}
	b = take_in(in, len - c->part_len);
	if (b.len > 0)
		memcpy(c->part + c->part_len, b.data, b.len);
	c->part_len += b.len;
	*body = bytes_of(c->part, c->part_len);
	return c->part_len == len;
}

/* One frame or as much of it as is there; CHANNEL_MORE with input left means an empty record went
 * by. */
static enum channel_got read_one(struct channel *c, struct bytes *in, uint8_t *plain,
				 size_t *plain_len)
{
	struct rd r = rd_of(c->head, sizeof c->head);
	struct bytes body;
	enum channel_got got;
	const char *fault;
	uint8_t type;
	size_t len;

	while (c->head_len < sizeof c->head && in->len > 0)
		c->head[c->head_len++] = take_in(in, 1).data[0];
	if (c->head_len < sizeof c->head)
		return CHANNEL_MORE;
	type = rd_u8(&r);
	len = rd_be16(&r);
	fault = head_fault(c, type, len);
	if (fault)
		return dead(c, fault);
	if (!gather(c, in, len, &body))
		return c->state == CHANNEL_DEAD ? CHANNEL_BAD : CHANNEL_MORE;
	got = c->state == CHANNEL_HANDSHAKE ? take_response(c, body)
					    : take_record(c, body, plain, plain_len);
	c->head_len = 0;
	free(TAKE_PTR(c->part));
	return got;
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
	if (!noise_seal(&c->secrets->keys, plain, len, out)) {
		(void)dead(c, "the record counter is used up");
		return 0;
	}
	return FRAME_HEAD + len + FRAME_TAG;
}
