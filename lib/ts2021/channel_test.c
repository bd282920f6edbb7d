/* ts2021/channel_test.c - records against vectors of the Go code, cut streams, limits */
#include "ts2021/channel.h"

#include "base/cursor.h"
#include "crypto/locked.h"
#include "tests/harness.h"

struct pair {
	struct seed_rng rng;
	struct channel client, server;
	uint8_t resp[NOISE_RESP_LEN];
};

static void pair_init(struct pair *p, uint64_t seed)
{
	uint8_t init[NOISE_INIT_LEN];
	struct key_priv control, machine;
	struct key_pub control_pub, machine_pub, got;
	uint16_t version;

	seed_rng_init(&p->rng, seed);
	key_gen(&control, &p->rng.rng);
	key_gen(&machine, &p->rng.rng);
	key_public(&control_pub, &control);
	key_public(&machine_pub, &machine);
	ck_assert(channel_start(&p->client, 116, &machine, &control_pub, &p->rng.rng, init));
	ck_assert(channel_accept(&p->server, &control, init, &p->rng.rng, &version, &got, p->resp));
	ck_assert_uint_eq(version, 116);
	ck_assert(key_eq(&got, &machine_pub));
}

static void pair_open(struct pair *p, uint64_t seed)
{
	uint8_t plain[NOISE_PLAIN_MAX];
	struct bytes in;
	size_t n;

	pair_init(p, seed);
	in = bytes_of(p->resp, sizeof p->resp);
	ck_assert_int_eq(channel_read(&p->client, &in, plain, &n), CHANNEL_READY);
	ck_assert_uint_eq(in.len, 0);
}

/* keys and frames of samples/noise-vectors.json, made by the Go code */
TEST(records_equal_the_go_codes_byte_by_byte_with_a_big_endian_nonce)
{
	static const struct {
		bool from_client;
		uint64_t n;
		const char *plain, *frame;
	} v[] = {
		{ true, 0, "505249202a20485454502f322e300d0a0d0a534d0d0a0d0a",
		  "040028fb6551fc11b0f16b4586d461fdffc46dbcb39f7a6ff607512935b003b8cce4ff2b648154c9"
		  "cc4bbe" },
		{ true, 1, "", "040010917d535c2e6a3b826ebbc4b9c0a30aff" },
		{ false, 0, "68656c6c6f", "040015c3ccb34e9e7beb8a40a0400a695341a817afb7b48c" },
		{ false, 256, "6e6f6e6365323536",
		  "0400188249e77ef6060d4faa8aa36243881c30b50a0c18927b309c" },
	};
	uint8_t c2s[32], s2c[32], plain[64], frame[NOISE_FRAME_MAX], want[128],
	    got[NOISE_PLAIN_MAX];

	harness_unhex("2b1bfe3b96727d3ea379f3c4b53637d5c23ab9801a00237dbb36daecb3eb8dbf", c2s, 32);
	harness_unhex("d47f5d74edb104b2994815664281e300050f02c80a7779be654e177ec2eee1bb", s2c, 32);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct channel_secrets cs = { .keys = { .send_n = v[i].n } },
				       ss = { .keys = { .recv_n = v[i].n } };
		struct channel c = { .state = CHANNEL_OPEN, .secrets = &cs },
			       s = { .state = CHANNEL_OPEN, .secrets = &ss };
		size_t n = harness_unhex(v[i].plain, plain, sizeof plain),
		       len = harness_unhex(v[i].frame, want, sizeof want);
		struct bytes in = bytes_of(want, len);
		size_t got_len = 0;

		memcpy(cs.keys.send, v[i].from_client ? c2s : s2c, 32);
		memcpy(ss.keys.recv, v[i].from_client ? c2s : s2c, 32);
		ck_assert_uint_eq(channel_write(&c, plain, n, frame), len);
		ck_bytes_eq(frame, want, len);
		ck_assert_int_eq(channel_read(&s, &in, got, &got_len),
				 n ? CHANNEL_PLAIN : CHANNEL_MORE);
		ck_assert_uint_eq(got_len, n);
		ck_bytes_eq(got, plain, n);
	}
}

TEST(keys_lie_in_locked_memory_and_go_with_the_channel)
{
	struct pair p;

	pair_init(&p, 1);
	ck_assert(locked_is(p.client.secrets) && locked_is(p.server.secrets));
	ck_assert_uint_eq(locked_count(), 2);
	channel_fini(&p.client);
	channel_fini(&p.server);
	ck_assert_uint_eq(locked_count(), 0);
}

TEST(bytes_cut_anywhere_and_empty_records_give_the_same_stream)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct pair p;
		struct buf wire, sent, got;
		uint8_t plain[NOISE_PLAIN_MAX], frame[NOISE_FRAME_MAX];
		bool is_ready = false;
		size_t n = 0;

		pair_init(&p, seed);
		buf_init(&wire, 1 << 20);
		buf_init(&sent, 1 << 20);
		buf_init(&got, 1 << 20);
		ck_assert(buf_append(&wire, p.resp,
				     sizeof p.resp)); /* records follow the response directly */
		for (int i = 0; i < 60; i++) {
			size_t len = rng_below(&p.rng.rng, 3)
					 ? (size_t)rng_below(&p.rng.rng, NOISE_PLAIN_MAX + 1)
					 : 0;

			rng_fill(&p.rng.rng, plain, len);
			ck_assert(buf_append(&sent, plain, len));
			ck_assert(
			    buf_append(&wire, frame, channel_write(&p.server, plain, len, frame)));
		}
		while (wire.len > 0) {
			size_t k =
			    1 + (size_t)rng_below(&p.rng.rng, wire.len < 9000 ? wire.len : 9000);
			struct bytes in = bytes_of(buf_bytes(&wire).data, k);

			while (in.len > 0) {
				enum channel_got g = channel_read(&p.client, &in, plain, &n);

				ck_assert_int_ne(g, CHANNEL_BAD);
				is_ready = is_ready || g == CHANNEL_READY;
				if (g == CHANNEL_PLAIN)
					ck_assert(buf_append(&got, plain, n));
			}
			buf_consume(&wire, k);
		}
		ck_assert(is_ready);
		ck_assert(bytes_eq(buf_bytes(&got), buf_bytes(&sent)));
		buf_fini(&wire);
		buf_fini(&sent);
		buf_fini(&got);
	}
}

TEST(each_flipped_bit_of_a_record_kills_the_channel_for_good)
{
	for (size_t bit = 0; bit < (3 + 10 + 16) * 8; bit++) {
		struct pair p;
		uint8_t plain[NOISE_PLAIN_MAX], frame[NOISE_FRAME_MAX], good[NOISE_FRAME_MAX];
		struct bytes in;
		size_t n, len, good_len;
		enum channel_got g;

		pair_open(&p, 7);
		len = channel_write(&p.server, (const uint8_t *)"0123456789", 10, frame);
		good_len = channel_write(&p.server, (const uint8_t *)"0123456789", 10, good);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		in = bytes_of(frame, len);
		g = channel_read(&p.client, &in, plain, &n);
		if (g ==
		    CHANNEL_MORE) { /* the length grew: it waits for the rest, which will not fit */
			uint8_t more[NOISE_FRAME_MAX] = { 0 };

			in = bytes_of(more, sizeof more);
			g = channel_read(&p.client, &in, plain, &n);
		}
		ck_assert_int_eq(g, CHANNEL_BAD);
		ck_assert_ptr_nonnull(p.client.why);
		in = bytes_of(good, good_len);
		ck_assert_int_eq(channel_read(&p.client, &in, plain, &n), CHANNEL_BAD);
		ck_assert_uint_eq(channel_write(&p.client, good, 1, frame), 0);
	}
}

TEST(frames_of_4096_bytes_pass_and_longer_or_tagless_ones_are_refused)
{
	static const uint8_t bad[][3] = { { 4, 0x0f, 0xfe }, { 4, 0xff, 0xff }, { 4, 0, 15 },
					  { 4, 0, 0 },       { 2, 0, 48 },      { 1, 0, 96 },
					  { 0, 0, 16 } };
	uint8_t plain[NOISE_PLAIN_MAX] = { 1 }, frame[NOISE_FRAME_MAX], out[NOISE_PLAIN_MAX];
	struct pair p;
	struct bytes in;
	size_t n;

	pair_open(&p, 8);
	ck_assert_uint_eq(channel_write(&p.server, plain, NOISE_PLAIN_MAX, frame), NOISE_FRAME_MAX);
	in = bytes_of(frame, NOISE_FRAME_MAX);
	ck_assert_int_eq(channel_read(&p.client, &in, out, &n), CHANNEL_PLAIN);
	ck_assert_uint_eq(n, NOISE_PLAIN_MAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		pair_open(&p, 9);
		in = bytes_of(bad[i], 3);
		ck_assert_int_eq(channel_read(&p.client, &in, out, &n), CHANNEL_BAD);
	}
}

TEST(an_error_frame_instead_of_the_response_is_a_refusal)
{
	uint8_t plain[NOISE_PLAIN_MAX];
	struct pair p;
	struct bytes in = bytes_of("\x03\x00\x05sorry", 8);
	size_t n;

	pair_init(&p, 10);
	ck_assert_int_eq(channel_read(&p.client, &in, plain, &n), CHANNEL_BAD);
	ck_assert_str_eq(p.client.why, "the server refused the handshake");
}

TEST(a_response_with_any_flipped_bit_is_refused)
{
	for (size_t i = 0; i < NOISE_RESP_LEN; i++) {
		uint8_t plain[NOISE_PLAIN_MAX];
		struct pair p;
		struct bytes in;
		size_t n;

		pair_init(&p, 11);
		p.resp[i] ^= 0x10;
		in = bytes_of(p.resp, sizeof p.resp);
		ck_assert_int_eq(channel_read(&p.client, &in, plain, &n), CHANNEL_BAD);
	}
}
