/* crypto/hash.c - see hash.h */
#include "crypto/hash.h"

#include <openssl/evp.h>
#include <sodium.h>

void hash256(uint8_t out[static HASH_LEN], struct bytes data)
{
	crypto_generichash(out, HASH_LEN, data.data, data.len, NULL, 0);
}

bool hash_sha1(uint8_t out[static HASH_SHA1_LEN], struct bytes data)
{
	return EVP_Digest(data.data, data.len, out, NULL, EVP_sha1(), NULL) == 1;
}
