/* crypto/noise.h - Noise_IK_25519_ChaChaPoly_BLAKE2s as TS2021 uses it (control-protocol.md 2.4)
 *
 * Both ends. Messages are whole frames: initiation 101 bytes, response 51. After the handshake
 * noise_split's keys go to noise_seal / noise_open, whose nonce is 4 zero bytes and the counter big
 * endian.
 */
#ifndef CRYPTO_NOISE_H
#define CRYPTO_NOISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "crypto/key.h"

enum { NOISE_INIT_LEN = 101, NOISE_RESP_LEN = 51, NOISE_FRAME_MAX = 4096, NOISE_PLAIN_MAX = 4077 };

struct noise_handshake { /* plain so that callers can embed it; wiped by noise_wipe */
	uint8_t h[32], ck[32];
	struct key_priv ephemeral;
	struct key_pub peer_ephemeral, peer_static;
};

struct noise_keys {
	uint8_t send[32], recv[32];
	uint64_t send_n, recv_n; /* next counter of each direction */
};

/* Client: builds the initiation; version also enters the prologue. false: the control key is a
 * low-order point. */
MUST_USE bool noise_init_emit(struct noise_handshake *hs, uint16_t version,
			      const struct key_priv *machine, const struct key_pub *control,
			      struct rng *rng, uint8_t out[static NOISE_INIT_LEN]);
/* Client: reads the response; on true keys are ready and hs is wiped. */
MUST_USE bool noise_resp_read(struct noise_handshake *hs, const struct key_priv *machine,
			      const uint8_t in[static NOISE_RESP_LEN], struct noise_keys *keys);
/* Server: reads the initiation; *version and *machine get what the client is. */
MUST_USE bool noise_init_read(struct noise_handshake *hs, const struct key_priv *control,
			      const uint8_t in[static NOISE_INIT_LEN], uint16_t *version,
			      struct key_pub *machine);
/* Server: builds the response; keys are ready, hs is wiped. */
MUST_USE bool noise_resp_emit(struct noise_handshake *hs, struct rng *rng,
			      uint8_t out[static NOISE_RESP_LEN], struct noise_keys *keys);
void noise_wipe(struct noise_handshake *hs);

/* Records. seal: out gets 3 + len + 16 bytes (header type 4, length; ciphertext), len <=
 * NOISE_PLAIN_MAX. */
MUST_USE bool noise_seal(struct noise_keys *k, const uint8_t *in, size_t len,
			 uint8_t *out); /* false: counter used up */
/* open: in is the ciphertext without the header; out gets len - 16; false: the connection is dead
 */
MUST_USE bool noise_open(struct noise_keys *k, const uint8_t *in, size_t len, uint8_t *out);

#endif
