/* crypto/siphash.h - SipHash-2-4: a keyed hash for tables that strangers fill, and for sequence
 * numbers (RFC 6528) */
#ifndef CRYPTO_SIPHASH_H
#define CRYPTO_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY_LEN = 16 };

uint64_t siphash(const uint8_t key[static SIPHASH_KEY_LEN], const void *data, size_t len);

#endif
