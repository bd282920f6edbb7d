/* blake2s_test.c - RFC 7693 appendix B, WireGuard's C0 and H0, HMAC from first principles, the
 * official keyed vectors */
#include "crypto/blake2s.h"

#include "base/attr.h"
#include "tests/harness.h"

TEST(hash_of_abc_as_in_rfc_7693_appendix_b)
{
	uint8_t out[32], want[32];
	struct bytes abc = bytes_str("abc");

	harness_unhex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", want, 32);
	blake2s(out, &abc, 1);
	ck_bytes_eq(out, want, 32);
}

TEST(pieces_hash_like_their_concatenation)
{
	const struct bytes v[] = { bytes_str("a"), bytes_str(""), bytes_of(NULL, 0),
				   bytes_str("bc") };
	struct bytes abc = bytes_str("abc");
	uint8_t a[32], b[32];

	blake2s(a, v, ARRAY_LEN(v));
	blake2s(b, &abc, 1);
	ck_bytes_eq(a, b, 32);
}

TEST(wireguard_start_values_of_data_plane_section_10)
{
	struct bytes name = bytes_str("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
	uint8_t c0[32], h0[32], want[32];

	blake2s(c0, &name, 1);
	harness_unhex("60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36", want, 32);
	ck_bytes_eq(c0, want, 32);
	blake2s_2(h0, bytes_of(c0, 32), bytes_str("WireGuard v1 zx2c4 Jason@zx2c4.com"));
	harness_unhex("2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3", want, 32);
	ck_bytes_eq(h0, want, 32);
}

TEST(hmac_is_the_generic_construction_for_short_and_long_keys)
{
	uint8_t key[200];

	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	for (size_t n = 0; n <= sizeof key; n += 8) {
		uint8_t k[64] = { 0 }, ipad[64], opad[64], inner[32], want[32], got[32];

		if (n > 64)
			blake2s_2(k, bytes_of(key, n), bytes_of(NULL, 0));
		else
			memcpy(k, key, n);
		for (int i = 0; i < 64; i++) {
			ipad[i] = k[i] ^ 0x36;
			opad[i] = k[i] ^ 0x5c;
		}
		blake2s_2(inner, bytes_of(ipad, 64), bytes_str("some data"));
		blake2s_2(want, bytes_of(opad, 64), bytes_of(inner, 32));
		blake2s_hmac(got, bytes_of(key, n), bytes_str("some "), bytes_str("data"));
		ck_bytes_eq(got, want, 32);
	}
}

TEST(hkdf_chains_its_outputs_and_may_alias_the_chaining_key)
{
	uint8_t ck[32] = { 5 }, t0[32], w1[32], w2[32], w3[32], o2[32], o3[32], only[32];
	struct bytes none = bytes_of(NULL, 0);

	blake2s_hmac(t0, bytes_of(ck, 32), bytes_str("input"), none);
	blake2s_hmac(w1, bytes_of(t0, 32), bytes_str("\1"), none);
	blake2s_hmac(w2, bytes_of(t0, 32), bytes_of(w1, 32), bytes_str("\2"));
	blake2s_hmac(w3, bytes_of(t0, 32), bytes_of(w2, 32), bytes_str("\3"));
	blake2s_hkdf(only, NULL, NULL, ck, bytes_str("input"));
	ck_bytes_eq(only, w1, 32);
	blake2s_hkdf(ck, o2, o3, ck, bytes_str("input"));
	ck_bytes_eq(ck, w1, 32);
	ck_bytes_eq(o2, w2, 32);
	ck_bytes_eq(o3, w3, 32);
}

/* made with Python's hashlib.blake2s(data, key=..., digest_size=16) */
TEST(keyed_mac_matches_an_independent_implementation)
{
	uint8_t key[32], data[116], out[16], want[16];

	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(3 * i);
	blake2s_mac16(out, bytes_of(key, 32), bytes_of(data, sizeof data));
	harness_unhex("eac307da4d6b9a47c653426222304456", want, 16);
	ck_bytes_eq(out, want, 16);
	blake2s_mac16(out, bytes_of(key, 16),
		      bytes_of(data, 60)); /* another key length with the same context */
	harness_unhex("8ebb05d8330c13abc5d3f0ba57f02124", want, 16);
	ck_bytes_eq(out, want, 16);
}
