/* wire/websocket_test.c - RFC 6455: what a server takes, what it must refuse, its limits */
#include "wire/websocket.h"

#include <stdlib.h>

#include "tests/harness.h"

/* A client's frame, masked; the length in the form asked for (0: the shortest). */
static size_t frame(uint8_t *out, uint8_t first, const void *data, size_t len, int form)
{
	static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
	const uint8_t *p = data;
	size_t n = 0;

	if (form == 0)
		form = len < 126 ? 1 : len <= 65535 ? 2 : 8;
	out[n++] = first;
	out[n++] = (uint8_t)(0x80 | (form == 1 ? len : form == 2 ? 126 : 127));
	for (int i = form == 1 ? -1 : form - 1; i >= 0; i--)
		out[n++] = (uint8_t)((uint64_t)len >> (8 * i));
	memcpy(out + n, mask, 4);
	n += 4;
	for (size_t i = 0; i < len; i++)
		out[n++] = p[i] ^ mask[i & 3];
	return n;
}

static enum ws_result first_of(struct ws *ws, const void *data, size_t len)
{
	static uint8_t copy[70000];
	struct bytes in = { copy, len }, piece;
	enum ws_result r;

	memcpy(copy, data, len);
	while ((r = ws_feed(ws, &in, &piece)) == WS_DATA)
		;
	return r;
}

TEST(ws_takes_the_masked_frame_of_the_standard)
{
	/* RFC 6455 5.7, the masked "Hello", as a binary message */
	uint8_t hello[] = { 0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	struct bytes in = { hello, sizeof hello }, piece;
	struct ws ws = { 0 };

	ck_assert_int_eq(ws_feed(&ws, &in, &piece), WS_DATA);
	ck_assert_uint_eq(piece.len, 5);
	ck_bytes_eq(piece.data, "Hello", 5);
	ck_assert_int_eq(ws_feed(&ws, &in, &piece), WS_MORE);
	ck_assert_uint_eq(in.len, 0);
}

TEST(ws_gives_the_same_bytes_however_the_stream_is_cut)
{
	static const char want[] = "one two three";
	uint8_t all[256];
	size_t n = 0;

	n += frame(all + n, 0x02, "one", 3, 0); /* a message in three frames, a ping between */
	n += frame(all + n, 0x89, "are you there", 13, 0);
	n += frame(all + n, 0x00, " two", 4, 0);
	n += frame(all + n, 0x8a, "x", 1, 0); /* a pong nobody asked for */
	n += frame(all + n, 0x80, "", 0, 0);
	n += frame(all + n, 0x82, " three", 6, 0);
	for (size_t cut = 1; cut <= n; cut++) {
		uint8_t copy[256];
		char got[64];
		size_t len = 0, pings = 0;
		struct ws ws = { 0 };

		memcpy(copy, all, n);
		for (size_t at = 0; at < n; at += cut) {
			struct bytes in = { copy + at, MIN_OF(cut, n - at) }, piece;
			enum ws_result r;

			while ((r = ws_feed(&ws, &in, &piece)) != WS_MORE) {
				if (r == WS_DATA) {
					memcpy(got + len, piece.data, piece.len);
					len += piece.len;
				} else {
					ck_assert_int_eq(r, WS_PING);
					ck_assert_uint_eq(ws.n_control, 13);
					ck_bytes_eq(ws.control, "are you there", 13);
					pings++;
				}
			}
			ck_assert_uint_eq(in.len, 0);
		}
		ck_assert_uint_eq(pings, 1);
		ck_assert_uint_eq(len, sizeof want - 1);
		ck_bytes_eq(got, want, len);
	}
}

TEST(ws_takes_the_three_forms_of_a_length)
{
	static uint8_t out[70100], data[70000];
	static const size_t lens[] = { 0, 1, 125, 126, 65535, 65536, 69000 };

	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct ws ws = { 0 };
		struct bytes in = { out, frame(out, 0x82, data, lens[i], 0) }, piece;
		size_t got = 0;

		while (ws_feed(&ws, &in, &piece) == WS_DATA)
			got += piece.len;
		ck_assert_uint_eq(got, lens[i]);
		ck_assert_uint_eq(in.len, 0);
	}
}

static void refused(uint16_t code, const uint8_t *data, size_t len)
{
	struct ws ws = { 0 };

	ck_assert_int_eq(first_of(&ws, data, len), WS_BAD);
	ck_assert_uint_eq(ws.code, code);
	ck_assert_int_eq(first_of(&ws, data, len), WS_MORE); /* final: takes no more */
}

TEST(ws_refuses_frames_that_are_not_masked)
{
	refused(WS_CODE_PROTOCOL, (const uint8_t *)"\x82\x05Hello", 7);
}

TEST(ws_refuses_reserved_bits_and_opcodes)
{
	uint8_t out[32];

	for (unsigned rsv = 1; rsv < 8; rsv++)
		refused(WS_CODE_PROTOCOL, out, frame(out, (uint8_t)(0x82 | rsv << 4), "a", 1, 0));
	for (unsigned op = 3; op < 16; op++)
		if (op < 8 || op > 10)
			refused(WS_CODE_PROTOCOL, out, frame(out, (uint8_t)(0x80 | op), "a", 1, 0));
}

TEST(ws_refuses_text)
{
	uint8_t out[32];

	refused(WS_CODE_UNSUPPORTED, out, frame(out, 0x81, "a", 1, 0));
}

TEST(ws_refuses_lengths_that_are_longer_than_needed)
{
	static uint8_t out[70100], data[70000];

	refused(WS_CODE_PROTOCOL, out, frame(out, 0x82, data, 125, 2));
	refused(WS_CODE_PROTOCOL, out, frame(out, 0x82, data, 125, 8));
	refused(WS_CODE_PROTOCOL, out, frame(out, 0x82, data, 65535, 8));
}

TEST(ws_refuses_control_frames_that_are_long_or_in_pieces)
{
	uint8_t out[200], data[126] = { 3, 232 };

	for (uint8_t op = WS_CLOSE_FRAME; op <= WS_PONG_FRAME; op++) {
		struct ws ws = { 0 };

		ck_assert_int_ne(first_of(&ws, out, frame(out, 0x80 | op, data, 125, 0)), WS_BAD);
		refused(WS_CODE_PROTOCOL, out, frame(out, 0x80 | op, data, 126, 0));
		refused(WS_CODE_PROTOCOL, out, frame(out, op, data, 10, 0));
	}
}

TEST(ws_refuses_pieces_out_of_order)
{
	uint8_t out[64];
	size_t n;

	refused(WS_CODE_PROTOCOL, out, frame(out, 0x80, "a", 1, 0)); /* nothing to continue */
	n = frame(out, 0x02, "a", 1, 0);
	n += frame(out + n, 0x82, "b", 1, 0); /* a new one inside */
	refused(WS_CODE_PROTOCOL, out, n);
}

TEST(ws_refuses_a_frame_above_the_limit_before_its_payload)
{
	uint8_t out[14] = { 0x82, 0xff };
	struct ws ws = { 0 };

	out[7] = WS_FRAME_MAX >> 16; /* exactly the limit */
	ck_assert_int_eq(first_of(&ws, out, sizeof out), WS_MORE);
	out[9] = 1;
	refused(WS_CODE_TOO_BIG, out, sizeof out);
	memset(out + 2, 0xff, 8); /* 2^64 - 1 */
	refused(WS_CODE_TOO_BIG, out, sizeof out);
}

TEST(ws_ends_with_a_client_that_sends_nothing_but_empty_frames)
{
	struct ws ws = { 0 };
	uint8_t out[16];
	size_t n = frame(out, 0x82, "", 0, 0);

	for (int i = 0; i < WS_EMPTY_MAX; i++)
		ck_assert_int_eq(first_of(&ws, out, n), WS_MORE);
	ck_assert_int_eq(first_of(&ws, out, n), WS_BAD);
}

TEST(ws_understands_a_close_and_refuses_codes_that_nobody_may_send)
{
	static const uint16_t good[] = { 1000, 1001, 1003, 1011, 3000, 4999 },
			      wrong[] = { 0, 999, 1004, 1005, 1006, 1015, 2000, 5000 };
	uint8_t out[32], body[4] = { 0, 0, 'b', 'y' };
	struct ws none = { 0 };

	ck_assert_int_eq(first_of(&none, out, frame(out, 0x88, "", 0, 0)), WS_CLOSE);
	ck_assert_uint_eq(none.code, WS_CODE_NONE);
	refused(WS_CODE_PROTOCOL, out, frame(out, 0x88, "x", 1, 0));
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ws ws = { 0 };

		body[0] = (uint8_t)(good[i] >> 8);
		body[1] = (uint8_t)good[i];
		ck_assert_int_eq(first_of(&ws, out, frame(out, 0x88, body, 4, 0)), WS_CLOSE);
		ck_assert_uint_eq(ws.code, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		body[0] = (uint8_t)(wrong[i] >> 8);
		body[1] = (uint8_t)wrong[i];
		refused(WS_CODE_PROTOCOL, out, frame(out, 0x88, body, 4, 0));
	}
}

TEST(ws_writes_whole_frames_without_a_mask)
{
	uint8_t head[WS_HEAD_MAX];
	struct buf b;

	ck_assert_uint_eq(ws_head(WS_BINARY, 125, head), 2);
	ck_bytes_eq(head, "\x82\x7d", 2);
	ck_assert_uint_eq(ws_head(WS_BINARY, 126, head), 4);
	ck_bytes_eq(head, "\x82\x7e\x00\x7e", 4);
	ck_assert_uint_eq(ws_head(WS_BINARY, 65535, head), 4);
	buf_init(&b, 64);
	ck_assert(ws_emit(&b, WS_PONG_FRAME, "abc", 3));
	ck_assert(ws_emit_close(&b, WS_CODE_PROTOCOL));
	ck_assert(ws_emit_close(&b, WS_CODE_NONE));
	ck_assert_uint_eq(b.len, 11);
	ck_bytes_eq(b.data,
		    "\x8a\x03"
		    "abc\x88\x02\x03\xea\x88\x00",
		    11);
	buf_fini(&b);
}
