/* crypto/hash.h - BLAKE2b-256: how long random secrets are stored */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stdint.h>

#include "base/bytes.h"

enum { HASH_LEN = 32 };

void hash256(uint8_t out[static HASH_LEN], struct bytes data);

#endif
