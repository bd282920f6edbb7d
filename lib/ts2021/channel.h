/* ts2021/channel.h - Noise records over a byte stream, either end (control-protocol.md 2.4)
 *
 * After the HTTP upgrade a client expects the 51-byte response, then both ends speak records: type
 * 4, u16 length, ciphertext. Frames are at most 4096 bytes; empty records are legal and skipped;
 * bytes may come cut anywhere. Whatever fails (length, type, tag) kills the channel for good: no
 * later byte is looked at.
 */
#ifndef TS2021_CHANNEL_H
#define TS2021_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "crypto/noise.h"

enum channel_state { CHANNEL_HANDSHAKE, CHANNEL_OPEN, CHANNEL_DEAD };

enum channel_got {
	CHANNEL_MORE,  /* all of the input was taken */
	CHANNEL_READY, /* client: the response was good; records from now on */
	CHANNEL_PLAIN, /* *plain_len > 0 bytes of plain text */
	CHANNEL_BAD,   /* dead; channel_why says why */
};

struct channel_secrets {
	struct noise_handshake hs;
	struct key_priv machine; /* of a client, while it shakes hands */
	struct noise_keys keys;
};
struct channel {
	enum channel_state state;
	const char *why;                 /* static text */
	struct channel_secrets *secrets; /* owned, locked_new; NULL: dead */
	uint8_t head[3];                 /* type and length of the frame under way */
	size_t head_len;
	uint8_t *part; /* owned: what came of a frame that was cut off; NULL otherwise, so that an
			  idle channel holds none */
	size_t part_len;
};

/* Client: emits the initiation; the response is awaited. false: the control key is not usable, or
 * no memory. */
MUST_USE bool channel_start(struct channel *c, uint16_t version, const struct key_priv *machine,
			    const struct key_pub *control, struct rng *rng,
			    uint8_t init[static NOISE_INIT_LEN]);
/* Server: reads the initiation and emits the response; open at once. false: refused. */
MUST_USE bool channel_accept(struct channel *c, const struct key_priv *control,
			     const uint8_t init[static NOISE_INIT_LEN], struct rng *rng,
			     uint16_t *version, struct key_pub *machine,
			     uint8_t resp[static NOISE_RESP_LEN]);
void channel_fini(struct channel *c); /* wipes keys */

/* Takes from *in up to the end of one frame. */
enum channel_got channel_read(struct channel *c, struct bytes *in,
			      uint8_t plain[static NOISE_PLAIN_MAX], size_t *plain_len);
/* One record of len <= NOISE_PLAIN_MAX bytes; out gets at most NOISE_FRAME_MAX. Returns its length;
 * 0: the channel is dead. */
size_t channel_write(struct channel *c, const uint8_t *plain, size_t len,
		     uint8_t out[static NOISE_FRAME_MAX]);

#endif
