/* crypto/box.c - NaCl box with a precomputed key, by libsodium */
#include "crypto/box.h"

#include <assert.h>
#include <sodium.h>

static_assert(BOX_NONCE == crypto_box_NONCEBYTES && BOX_TAG == crypto_box_MACBYTES &&
		  BOX_SHARED == crypto_box_BEFORENMBYTES,
	      "sizes as in NaCl");

bool box_shared(uint8_t out[static 32], const struct key_priv *mine, const struct key_pub *theirs)
{
	return crypto_box_beforenm(out, theirs->b, mine->b) == 0;
}

void box_seal(uint8_t *out, const uint8_t *in, size_t len, const uint8_t nonce[static 24],
	      const uint8_t shared[static 32])
{
	(void)crypto_box_easy_afternm(out, in, len, nonce, shared); /* fails only past 2^64 bytes */
}

bool box_open(uint8_t *out, const uint8_t *in, size_t len, const uint8_t nonce[static 24],
	      const uint8_t shared[static 32])
{
	return crypto_box_open_easy_afternm(out, in, len, nonce, shared) == 0;
}
