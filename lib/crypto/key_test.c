/* key_test.c - X25519 against RFC 7748, text forms, box against data-plane.md 10 */
#include "crypto/key.h"

#include "crypto/box.h"
#include "tests/harness.h"

static struct key_priv priv(const char *hex)
{
	struct key_priv k;

	ck_assert_uint_eq(harness_unhex(hex, k.b, KEY_LEN), KEY_LEN);
	return k;
}

static struct key_pub pub(const char *hex)
{
	struct key_pub k;

	ck_assert_uint_eq(harness_unhex(hex, k.b, KEY_LEN), KEY_LEN);
	return k;
}

TEST(diffie_hellman_as_in_rfc_7748_section_6_1)
{
	struct key_priv a = priv(
			    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
			b = priv(
			    "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	struct key_pub pa, pb,
	    want = pub("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
	    shared = pub("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	uint8_t s1[32], s2[32];

	key_public(&pa, &a);
	ck_assert(key_eq(&pa, &want));
	key_public(&pb, &b);
	ck_assert(key_dh(s1, &a, &pb));
	ck_assert(key_dh(s2, &b, &pa));
	ck_bytes_eq(s1, shared.b, 32);
	ck_bytes_eq(s2, shared.b, 32);
}

TEST(points_of_low_order_are_refused)
{
	static const char *const low[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct seed_rng rng;
	struct key_priv k;
	uint8_t out[32];

	seed_rng_init(&rng, 1);
	key_gen(&k, &rng.rng);
	for (size_t i = 0; i < ARRAY_LEN(low); i++) {
		struct key_pub p = pub(low[i]);

		ck_assert_msg(!key_dh(out, &k, &p), "%s", low[i]);
	}
}

TEST(generated_keys_are_clamped)
{
	struct seed_rng rng;

	seed_rng_init(&rng, 2);
	for (int i = 0; i < 100; i++) {
		struct key_priv k;

		key_gen(&k, &rng.rng);
		ck_assert_uint_eq(k.b[0] & 7, 0);
		ck_assert_uint_eq(k.b[31] & 0xc0, 0x40);
	}
}

TEST(text_forms_survive_both_ways_for_every_kind)
{
	static const char *const want[] = { "mkey:", "nodekey:", "discokey:", "chalpub:" };
	struct key_pub k = pub("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"),
		       back;
	char text[KEY_TEXT_MAX];

	for (int kind = 0; kind < KEY_N; kind++) {
		size_t n = strlen(want[kind]);

		key_pub_text(kind, &k, text);
		ck_assert(strncmp(text, want[kind], n) == 0);
		ck_assert_str_eq(
		    text + n, "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c");
		memset(&back, 0, sizeof back);
		ck_assert(key_pub_parse(kind, bytes_str(text), &back));
		ck_assert(key_eq(&k, &back));
		ck_assert(!key_pub_parse((kind + 1) % KEY_N, bytes_str(text), &back));
	}
}

TEST(private_text_form_is_strict_and_takes_either_case)
{
	char text[KEY_TEXT_MAX], longer[KEY_TEXT_MAX];
	struct key_priv k = priv(
			    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eab"),
			back = { { 0 } };
	size_t n;

	key_priv_text(&k, text);
	n = strlen(text);
	ck_assert_uint_eq(n, 8 + 64);
	for (size_t i = 0; i < n; i++)
		ck_assert(!key_priv_parse(bytes_of(text, i), &back));
	memcpy(longer, text, n);
	longer[n] = '0';
	ck_assert(!key_priv_parse(bytes_of(longer, n + 1), &back));
	ck_assert(back.b[31] == 0);
	text[n - 1] = 'B';
	ck_assert(key_priv_parse(bytes_str(text), &back));
	ck_bytes_eq(back.b, k.b, KEY_LEN);
	text[n - 1] = 'g';
	ck_assert(!key_priv_parse(bytes_str(text), &back));
}

TEST(short_forms_for_logs)
{
	struct key_pub k = pub("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c");
	char out[20];

	ck_assert_str_eq(key_pub_short(KEY_NODE, &k, out), "[B6N8v]");
	ck_assert_str_eq(key_pub_short(KEY_DISCO, &k, out), "d:07a37cbc142093c8");
}

TEST(box_reproduces_the_disco_ping_vector)
{
	struct key_priv a = priv(
			    "0002030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f60"),
			b = priv(
			    "4042434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60");
	struct key_pub pa, pb;
	uint8_t s1[32], s2[32], want_shared[32], nonce[24], plain[46], want[62], out[62], back[46];

	harness_unhex("f8d48c0771b2fab0580110626883f7671e7d0001a6823f3ad9e93d8ef177e8fc",
		      want_shared, 32);
	harness_unhex("808182838485868788898a8b8c8d8e8f9091929394959697", nonce, 24);
	harness_unhex("01000102030405060708090a0b0c"
		      "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
		      plain, sizeof plain);
	harness_unhex("d9450941437c675756eea6a3f537e236daf98b49329464a38cb30f3724a9eda0"
		      "fa16609641fd142d2ecd31dcd62841059ec4826d3f7045ef462c22322d31",
		      want, sizeof want);
	key_public(&pa, &a);
	key_public(&pb, &b);
	ck_assert(box_shared(s1, &a, &pb));
	ck_assert(box_shared(s2, &b, &pa));
	ck_bytes_eq(s1, want_shared, 32);
	ck_bytes_eq(s2, want_shared, 32);
	box_seal(out, plain, sizeof plain, nonce, s1);
	ck_bytes_eq(out, want, sizeof want);
	ck_assert(box_open(back, out, sizeof out, nonce, s2));
	ck_bytes_eq(back, plain, sizeof plain);
	for (size_t i = 0; i < sizeof out; i++) {
		ck_assert(!box_open(back, out, i, nonce, s2));
		out[i] ^= 1;
		ck_assert(!box_open(back, out, sizeof out, nonce, s2));
		out[i] ^= 1;
	}
}

TEST(memory_for_keys_is_zeroed_and_marked_not_to_be_dumped)
{
	char line[256], start[32], *p = secret_new(33);
	bool found = false, marked = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	ck_assert(p && f);
	for (int i = 0; i < 33; i++)
		ck_assert_int_eq(p[i], 0);
	snprintf(start, sizeof start, "%lx-", (unsigned long)((uintptr_t)p & ~4095UL));
	while (fgets(line, sizeof line, f)) {
		if (strncmp(line, start, strlen(start)) == 0)
			found = true;
		else if (found && strncmp(line, "VmFlags:", 8) == 0) {
			marked = strstr(line, " dd") != NULL;
			break;
		}
	}
	fclose(f);
	ck_assert(found && marked);
	secret_free(p);
	secret_free(NULL);
}
