/* crypto/blake2s.h - BLAKE2s-256, its HMAC, HKDF and keyed 16-byte MAC, as Noise and WireGuard use
 * them */
#ifndef CRYPTO_BLAKE2S_H
#define CRYPTO_BLAKE2S_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { BLAKE2S_LEN = 32 };

/* hash of the concatenation of n pieces */
void blake2s(uint8_t out[static 32], const struct bytes *v, size_t n);
static inline void blake2s_2(uint8_t out[static 32], struct bytes a, struct bytes b)
{
	const struct bytes v[2] = { a, b };

	blake2s(out, v, 2);
}
/* the generic HMAC construction over BLAKE2s-256, 64-byte block; not the keyed mode */
void blake2s_hmac(uint8_t out[static 32], struct bytes key, struct bytes a, struct bytes b);
/* HKDF as Noise defines it: up to three outputs of 32 bytes; o2, o3 may be NULL; o1 may alias ck */
void blake2s_hkdf(uint8_t *o1, uint8_t *o2, uint8_t *o3, const uint8_t ck[static 32],
		  struct bytes input);
/* keyed BLAKE2s with 16 bytes of output (WireGuard's MAC); key up to 32 bytes */
void blake2s_mac16(uint8_t out[static 16], struct bytes key, struct bytes data);

#endif
