/* crypto/box.h - NaCl box (X25519, XSalsa20-Poly1305) with a precomputed shared key: disco and DERP
 */
#ifndef CRYPTO_BOX_H
#define CRYPTO_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "crypto/key.h"

enum { BOX_NONCE = 24, BOX_TAG = 16, BOX_SHARED = 32 };

MUST_USE bool box_shared(uint8_t out[static 32], const struct key_priv *mine,
			 const struct key_pub *theirs);
/* out gets len + 16 bytes: the tag first */
void box_seal(uint8_t *out, const uint8_t *in, size_t len, const uint8_t nonce[static 24],
	      const uint8_t shared[static 32]);
/* len includes the tag; out gets len - 16 */
MUST_USE bool box_open(uint8_t *out, const uint8_t *in, size_t len, const uint8_t nonce[static 24],
		       const uint8_t shared[static 32]);

#endif
