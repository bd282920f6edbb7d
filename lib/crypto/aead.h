/* crypto/aead.h - ChaCha20-Poly1305 for packets in batches, and one at a time; XChaCha20 for
 * WireGuard's cookie
 *
 * The nonce of aead_seal/aead_open is given whole. The batch calls take WireGuard's: 4 zero bytes,
 * then the counter little endian. Back-ends are chosen once at start (aead_backend_name says which)
 * by what the machine can do.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { AEAD_KEY = 32, AEAD_TAG = 16, AEAD_NONCE = 12, XAEAD_NONCE = 24 };

/* out gets len + 16 bytes; in == out is allowed */
void aead_seal(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
	       const uint8_t nonce[static 12], struct bytes ad);
/* in has len bytes with the tag; out gets len - 16; false: forged, out is unspecified; in == out is
 * allowed */
MUST_USE bool aead_open(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
			const uint8_t nonce[static 12], struct bytes ad);
void xaead_seal(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
		const uint8_t nonce[static 24], struct bytes ad);
MUST_USE bool xaead_open(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
			 const uint8_t nonce[static 24], struct bytes ad);

/* A key made ready for many packets; opaque, wiped by aead_key_free. NULL: out of memory. */
struct aead_key;
struct aead_key *aead_key_new(const uint8_t key[static 32]);
void aead_key_free(struct aead_key *k);

struct aead_job {
	uint8_t *data; /* in place: seal len bytes, the tag is written behind; open len bytes
			  including the tag */
	size_t len;
	uint64_t counter; /* nonce = 00000000 || LE64(counter) */
	bool ok;          /* open: set by the call */
};
/* n jobs of one key, no associated data, no allocation */
void aead_seal_batch(struct aead_key *k, struct aead_job *v, size_t n);
void aead_open_batch(struct aead_key *k, struct aead_job *v, size_t n);
const char *aead_backend_name(void);

#endif
