/* ts2021/map_stream_test.c - framing, both codings, cut at each byte, limits at their limit */
#include "ts2021/map_stream.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/cursor.h"
#include "tests/harness.h"

struct seen {
	struct buf text;
	unsigned begins, ends;
	size_t total;
	bool keep, is_bad;
};

/* Gives one piece of input until it is used up */
static void feed(struct map_stream *ms, struct bytes in, struct seen *s)
{
	struct bytes data;
	size_t used;

	for (;;) {
		enum map_stream_got g = map_stream_next(ms, in, &used, &data);

		if (g == MAP_STREAM_DATA) {
			ck_assert_uint_le(data.len, MAP_STREAM_PIECE);
			s->total += data.len;
			if (s->keep)
				ck_assert(buf_append(&s->text, data.data, data.len));
		}
		s->begins += g == MAP_STREAM_BEGIN;
		s->ends += g == MAP_STREAM_END;
		if (g == MAP_STREAM_BAD) {
			s->is_bad = true;
			return;
		}
		in = bytes_of(in.data + used, in.len - used);
		if (g == MAP_STREAM_MORE && (in.len == 0 || used == 0))
			return;
	}
}

static size_t frame(bool is_zstd, const void *text, size_t n, uint8_t *out, size_t cap)
{
	struct wr w = wr_of(out, 4);
	size_t len = n;

	if (is_zstd)
		len = ZSTD_compress(out + 4, cap - 4, text, n, 1);
	else
		memcpy(out + 4, text, n);
	ck_assert(!ZSTD_isError(len));
	wr_le32(&w, (uint32_t)len);
	return len + 4;
}

TEST(frames_in_both_codings_survive_a_cut_at_each_byte)
{
	static const char one[] = "{\"KeepAlive\":true}",
			  two[] = "{\"Node\":{\"ID\":1},\"Domain\":\"example\"}";

	for (int is_zstd = 0; is_zstd < 2; is_zstd++) {
		uint8_t wire[400];
		size_t n = frame(is_zstd, one, sizeof one - 1, wire, sizeof wire);

		n += frame(is_zstd, two, sizeof two - 1, wire + n, sizeof wire - n);
		for (size_t cut = 0; cut <= n; cut++) {
			struct seen s = { .keep = true };
			struct map_stream ms;

			buf_init(&s.text, 1000);
			map_stream_init(&ms, is_zstd);
			feed(&ms, bytes_of(wire, cut), &s);
			feed(&ms, bytes_of(wire + cut, n - cut), &s);
			ck_assert(!s.is_bad);
			ck_assert_uint_eq(s.begins, 2);
			ck_assert_uint_eq(s.ends, 2);
			ck_assert_uint_eq(s.text.len, sizeof one + sizeof two - 2);
			ck_bytes_eq(buf_bytes(&s.text).data, one, sizeof one - 1);
			ck_assert(!ms.zstd && !ms.piece); /* no decoder between frames */
			map_stream_fini(&ms);
			buf_fini(&s.text);
		}
	}
}

TEST(length_is_little_endian)
{
	struct seen s = { .keep = true };
	struct map_stream ms;

	buf_init(&s.text, 1000);
	map_stream_init(&ms, false);
	feed(&ms, bytes_of("\x02\x00\x00\x00{}", 6), &s);
	ck_assert_uint_eq(s.ends, 1);
	buf_fini(&s.text);
	map_stream_fini(&ms);
}

static const char *why_bad(bool is_zstd, const void *wire, size_t n)
{
	struct seen s = { 0 };
	struct map_stream ms;
	const char *why;

	map_stream_init(&ms, is_zstd);
	feed(&ms, bytes_of(wire, n), &s);
	why = ms.why;
	ck_assert(s.is_bad == (why != NULL));
	map_stream_fini(&ms);
	return why;
}

TEST(malformed_frames_are_refused_with_a_reason)
{
	uint8_t wire[200];
	struct wr w;
	size_t n = frame(true, "{\"KeepAlive\":true}", 18, wire, sizeof wire);

	ck_assert_str_eq(why_bad(true, "\0\0\0\0", 4), "an empty frame");
	ck_assert_str_eq(why_bad(true, "\x05\0\0\0hello", 9), "malformed zstd");
	w = wr_of(wire, 4);
	wr_le32(&w, (uint32_t)(n - 4 - 1)); /* one byte short of the zstd frame */
	ck_assert_str_eq(why_bad(true, wire, n - 1), "a zstd frame that is cut off");
	w = wr_of(wire, 4);
	wr_le32(&w, (uint32_t)(n - 4 + 1));
	wire[n] = 0;
	ck_assert_str_eq(why_bad(true, wire, n + 1), "bytes behind the zstd frame");
}

TEST(compressed_length_limit_is_16_mib)
{
	uint8_t head[4];
	struct wr w = wr_of(head, 4);

	wr_le32(&w, MAP_STREAM_PACKED_MAX);
	ck_assert_ptr_null(why_bad(true, head, 4));
	w = wr_of(head, 4);
	wr_le32(&w, MAP_STREAM_PACKED_MAX + 1);
	ck_assert_str_eq(why_bad(true, head, 4), "a frame longer than allowed");
}

TEST(plain_length_limit_is_64_mib)
{
	uint8_t head[4];
	struct wr w = wr_of(head, 4);

	wr_le32(&w, MAP_STREAM_PLAIN_MAX);
	ck_assert_ptr_null(why_bad(false, head, 4));
	w = wr_of(head, 4);
	wr_le32(&w, MAP_STREAM_PLAIN_MAX + 1);
	ck_assert_str_eq(why_bad(false, head, 4), "a frame longer than allowed");
}

/* A bomb: n bytes of blanks */
static size_t bomb(size_t n, uint8_t **wire)
{
	size_t cap = ZSTD_compressBound(n) + 4, len;
	char *text = malloc(n);

	memset(text, ' ', n);
	*wire = malloc(cap);
	len = frame(true, text, n, *wire, cap);
	free(text);
	return len;
}

TEST(decoded_length_limit_is_64_mib_and_a_bomb_is_never_held)
{
	struct seen s = { 0 };
	struct map_stream ms;
	uint8_t *wire;
	size_t n = bomb(MAP_STREAM_PLAIN_MAX, &wire);

	map_stream_init(&ms, true);
	feed(&ms, bytes_of(wire, n), &s);
	ck_assert(!s.is_bad);
	ck_assert_uint_eq(s.total, MAP_STREAM_PLAIN_MAX);
	ck_assert_uint_eq(ms.largest, MAP_STREAM_PLAIN_MAX);
	map_stream_fini(&ms);
	free(wire);
	n = bomb(MAP_STREAM_PLAIN_MAX + 1, &wire);
	s = (struct seen){ 0 };
	map_stream_init(&ms, true);
	feed(&ms, bytes_of(wire, n), &s);
	ck_assert(s.is_bad);
	ck_assert_uint_le(s.total, MAP_STREAM_PLAIN_MAX);
	map_stream_fini(&ms);
	free(wire);
}
