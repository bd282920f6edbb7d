/* crypto/hash.h - BLAKE2b-256: how long random secrets are stored; SHA-1 for the one protocol that
 * wants it */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { HASH_LEN = 32, HASH_SHA1_LEN = 20 };

void hash256(uint8_t out[static HASH_LEN], struct bytes data);
/* Proves nothing to anybody: WebSocket's handshake (RFC 6455 4.2.2) echoes by it. false: the
 * library does not have it */
MUST_USE bool hash_sha1(uint8_t out[static HASH_SHA1_LEN], struct bytes data);

#endif
