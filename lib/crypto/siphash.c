/* crypto/siphash.c - see siphash.h */
#include "crypto/siphash.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(crypto_shorthash_KEYBYTES == SIPHASH_KEY_LEN &&
		  crypto_shorthash_BYTES == sizeof(uint64_t),
	      "SipHash-2-4-64");

uint64_t siphash(const uint8_t key[static SIPHASH_KEY_LEN], const void *data, size_t len)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t v;

	(void)crypto_shorthash(out, data, len, key);
	memcpy(&v, out, sizeof v);
	return v;
}
