/* derp/frame_test.c */
#include "derp/frame.h"
#include "tests/harness.h"

#include <stdlib.h>

TEST(bodies_parse_by_their_length_and_refuse_every_shorter_one)
{
	uint8_t body[64 + 8] = { 0 };
	struct derp_peer_present p;
	struct key_pub a, b;
	struct bytes packet;
	uint32_t reconnect, total;
	uint8_t reason;

	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)i;
	for (size_t n = 0; n <= sizeof body; n++) {
		uint8_t *cut = malloc(n + 1); /* exact: a sanitizer sees a byte too far */
		struct bytes v = bytes_of(cut, n);

		memcpy(cut, body, n);
		ck_assert_int_eq(derp_packet_parse(v, &a, &packet), n >= 32);
		ck_assert_int_eq(derp_forward_parse(v, &a, &b, &packet), n >= 64);
		ck_assert_int_eq(derp_peer_gone_parse(v, &a, &reason), n >= 32);
		if (n >= 32)
			ck_assert_uint_eq(reason, n > 32 ? 32 : DERP_GONE_DISCONNECTED);
		ck_assert_int_eq(derp_peer_present_parse(v, &p), n >= 32);
		if (n >= 50)
			ck_assert_uint_eq(p.addr.port, 48 << 8 | 49);
		if (n >= 51)
			ck_assert_uint_eq(p.flags, 50);
		if (n == 32 || n == 50)
			ck_assert_uint_eq(p.flags, DERP_PRESENT_REGULAR);
		ck_assert_int_eq(derp_restarting_parse(v, &reconnect, &total), n >= 8);
		free(cut);
	}
	ck_assert_uint_eq(reconnect, 0x00010203);
	ck_assert_uint_eq(total, 0x04050607);
}

TEST(peer_present_is_51_bytes_and_parses_back)
{
	struct derp_peer_present in = { .key = { { 1, 2 } },
					.addr = { ip_v4(10, 1, 2, 3), 443 },
					.flags = DERP_PRESENT_MESH },
				 out;
	uint8_t body[DERP_PRESENT_LEN];

	derp_peer_present_emit(body, &in);
	ck_assert(derp_peer_present_parse(bytes_of(body, sizeof body), &out));
	ck_assert(key_eq(&in.key, &out.key) && ipport_eq(&in.addr, &out.addr) &&
		  in.flags == out.flags);
}

TEST(server_key_needs_its_magic_and_ignores_extra_bytes)
{
	uint8_t body[DERP_MAGIC_LEN + KEY_LEN + 3] = { 0 };
	struct key_pub k;

	memcpy(body, derp_magic, DERP_MAGIC_LEN);
	body[DERP_MAGIC_LEN] = 9;
	ck_assert(derp_server_key_parse(bytes_of(body, sizeof body), &k));
	ck_assert_uint_eq(k.b[0], 9);
	for (size_t n = 0; n < DERP_MAGIC_LEN + KEY_LEN; n++)
		ck_assert(!derp_server_key_parse(bytes_of(body, n), &k));
	body[3] ^= 1;
	ck_assert(!derp_server_key_parse(bytes_of(body, sizeof body), &k));
}

TEST(emitted_frames_come_out_of_the_stream_and_its_buffer_is_given_back)
{
	struct derp_input in = { .data = NULL };
	struct derp_frame f;
	struct buf b;

	buf_init(&b, 100000);
	for (size_t len = 0; len < 70; len += 7) {
		uint8_t body[70] = { (uint8_t)len };

		ck_assert(derp_frame_emit(&b, DERP_HEALTH, bytes_of(body, len / 2),
					  bytes_of(body + len / 2, len - len / 2)));
	}
	ck_assert(derp_input_feed(&in, buf_bytes(&b)));
	for (size_t len = 0; len < 70; len += 7) {
		ck_assert_int_eq(derp_input_next(&in, &f), DERP_INPUT_FRAME);
		ck_assert(f.type == DERP_HEALTH && f.body.len == len);
		ck_assert(len == 0 || f.body.data[0] == len);
	}
	ck_assert_int_eq(derp_input_next(&in, &f), DERP_INPUT_MORE);
	derp_input_shrink(&in);
	ck_assert_ptr_null(in.data);
	buf_fini(&b);
}

TEST(input_that_nobody_takes_is_limited)
{
	struct derp_input in = { .data = NULL };
	uint8_t *zeros = calloc(1, DERP_INPUT_MAX);

	zeros[0] = DERP_SEND_PACKET;
	ck_assert(derp_input_feed(&in, bytes_of(zeros, DERP_INPUT_MAX)));
	ck_assert(!derp_input_feed(&in, bytes_of(zeros, 1)));
	free(zeros);
	derp_input_fini(&in);
}

TEST(frame_does_not_go_into_a_buffer_without_room)
{
	struct buf b;

	buf_init(&b, 10);
	ck_assert(!derp_frame_emit(&b, DERP_HEALTH, bytes_of("123", 3), bytes_of("456", 3)));
	ck_assert_uint_eq(b.len, 0);
	ck_assert(derp_frame_emit(&b, DERP_HEALTH, bytes_of("123", 3), bytes_of("45", 2)));
	buf_fini(&b);
}
