/* aead_test.c - RFC 8439 section 2.8.2; batches against single calls over all sizes; forgeries */
#include "crypto/aead.h"

#include "tests/harness.h"

TEST(the_example_of_rfc_8439_section_2_8_2)
{
	static const char text[] =
	    "Ladies and Gentlemen of the class of '99: If I could offer you only one "
	    "tip for the future, sunscreen would be it.";
	uint8_t key[32], nonce[12], ad[12], out[sizeof text - 1 + 16], want[16],
	    back[sizeof text - 1];

	harness_unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", key, 32);
	harness_unhex("070000004041424344454647", nonce, 12);
	harness_unhex("50515253c0c1c2c3c4c5c6c7", ad, 12);
	aead_seal(out, (const uint8_t *)text, sizeof text - 1, key, nonce, bytes_of(ad, 12));
	harness_unhex("d31a8d34648e60db7b86afbc53ef7ec2", want, 16);
	ck_bytes_eq(out, want, 16);
	harness_unhex("1ae10b594f09e26a7e902ecbd0600691", want, 16);
	ck_bytes_eq(out + sizeof text - 1, want, 16);
	ck_assert(aead_open(back, out, sizeof out, key, nonce, bytes_of(ad, 12)));
	ck_bytes_eq(back, text, sizeof back);
	ck_assert(!aead_open(back, out, sizeof out, key, nonce, bytes_of(ad, 11)));
}

TEST(xaead_opens_what_it_sealed_and_nothing_else)
{
	uint8_t key[32] = { 1 }, nonce[24] = { 2 }, in[16] = { 3 }, out[32], back[16];

	xaead_seal(out, in, 16, key, nonce, bytes_str("ad"));
	ck_assert(xaead_open(back, out, 32, key, nonce, bytes_str("ad")));
	ck_bytes_eq(back, in, 16);
	nonce[23] ^= 1; /* the part beyond a plain nonce counts */
	ck_assert(!xaead_open(back, out, 32, key, nonce, bytes_str("ad")));
}

enum { SIZES = 2100 };

TEST(batches_equal_single_calls_at_every_size)
{
	static uint8_t one[SIZES + 16], buf[SIZES + 16], plain[SIZES];
	struct seed_rng rng;
	uint8_t key[32];
	struct aead_key *k;

	seed_rng_init(&rng, 3);
	rng_fill(&rng.rng, key, sizeof key);
	rng_fill(&rng.rng, plain, sizeof plain);
	k = aead_key_new(key);
	ck_assert_ptr_nonnull(k);
	for (size_t len = 0; len < SIZES; len += len < 700 ? 1 : 37) {
		uint64_t counter = rng_u64(&rng.rng);
		uint8_t nonce[12] = { 0 };
		struct aead_job j = { buf, len, counter, false };

		for (int i = 0; i < 8; i++)
			nonce[4 + i] = (uint8_t)(counter >> 8 * i);
		aead_seal(one, plain, len, key, nonce, bytes_of(NULL, 0));
		memcpy(buf, plain, len);
		aead_seal_batch(k, &j, 1);
		ck_bytes_eq(buf, one, len + 16);
		j.len = len + 16;
		aead_open_batch(k, &j, 1);
		ck_assert(j.ok);
		ck_bytes_eq(buf, plain, len);
	}
	aead_key_free(k);
}

TEST(one_forged_packet_of_a_batch_fails_alone)
{
	static uint8_t mem[8][1400];
	const uint8_t key[32] = { 9 };
	struct aead_key *k = aead_key_new(key);
	struct aead_job v[8];

	for (size_t i = 0; i < 8; i++) {
		memset(mem[i], (int)i, sizeof mem[i]);
		v[i] = (struct aead_job){ mem[i], i % 2 ? 64 : 1280, i, false };
	}
	aead_seal_batch(k, v, 8);
	for (size_t i = 0; i < 8; i++)
		v[i].len += 16;
	mem[2][5] ^= 1;          /* ciphertext, large */
	mem[3][64] ^= 1;         /* tag, small */
	v[4].counter++;          /* nonce */
	v[5].len = AEAD_TAG - 1; /* shorter than a tag */
	aead_open_batch(k, v, 8);
	for (size_t i = 0; i < 8; i++)
		ck_assert_msg(v[i].ok == (i < 2 || i > 5), "packet %zu", i);
	ck_assert_uint_eq(mem[0][1279], 0);
	ck_assert_uint_eq(mem[7][63], 7);
	aead_key_free(k);
}
