/* crypto/siphash_test.c - the vectors of the authors: SipHash: a fast short-input PRF, appendix A,
 * and the table of their reference implementation (key 00..0f, input 00, 01, ...) */
#include "crypto/siphash.h"

#include <endian.h>

#include "base/attr.h"
#include "tests/harness.h"

TEST(siphash_2_4_gives_the_vectors_of_its_authors)
{
	static const struct {
		size_t len;
		const char *tag;
	} v[] = {
		{ 0, "310e0edd47db6f72" },  { 1, "fd67dc93c539f874" },
		{ 2, "5a4fa9d909806c0d" },  { 7, "37d1018bf50002ab" },
		{ 8, "6224939a79f5f593" },  { 15, "e545be4961ca29a1" }, /* appendix A */
		{ 63, "724506eb4c328a95" },
	};
	uint8_t key[SIPHASH_KEY_LEN], in[64], want[8];

	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		const uint64_t got = siphash(key, in, v[i].len);

		ck_assert_uint_eq(harness_unhex(v[i].tag, want, sizeof want), sizeof want);
		ck_assert_msg(memcmp(&got, want, sizeof want) == 0, "%zu bytes: %016llx", v[i].len,
			      (unsigned long long)htobe64(got));
	}
}

TEST(who_does_not_know_the_key_cannot_tell_the_hash)
{
	uint8_t key[SIPHASH_KEY_LEN] = { 0 };
	const uint64_t first = siphash(key, "name", 4);

	for (size_t i = 0; i < 8 * sizeof key; i++) { /* each bit of it counts */
		key[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_uint_ne(siphash(key, "name", 4), first);
		key[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	ck_assert_uint_eq(siphash(key, "name", 4), first);
	ck_assert_uint_ne(siphash(key, "name", 3), first);
	ck_assert_uint_ne(siphash(key, "name\0", 5), first);
}
