/* crypto/hash_test.c */
#include "crypto/hash.h"

#include "tests/harness.h"

TEST(hash256_of_abc_is_blake2b_256)
{
	/* computed with Python's hashlib.blake2b(b"abc", digest_size=32) */
	uint8_t want[HASH_LEN], got[HASH_LEN];

	harness_unhex("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319", want,
		      sizeof want);
	hash256(got, bytes_str("abc"));
	ck_bytes_eq(got, want, sizeof want);
}

TEST(sha1_is_that_of_the_standard)
{
	uint8_t out[HASH_SHA1_LEN], want[HASH_SHA1_LEN];

	/* FIPS 180-2, appendix A.1 */
	harness_unhex("a9993e364706816aba3e25717850c26c9cd0d89d", want, sizeof want);
	ck_assert(hash_sha1(out, bytes_str("abc")));
	ck_bytes_eq(out, want, sizeof want);
}
