/* crypto/hash.c - see hash.h */
#include "crypto/hash.h"

#include <sodium.h>

void hash256(uint8_t out[static HASH_LEN], struct bytes data)
{
	crypto_generichash(out, HASH_LEN, data.data, data.len, NULL, 0);
}
