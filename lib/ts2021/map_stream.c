/* ts2021/map_stream.c - see map_stream.h */
#include "ts2021/map_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/cursor.h"

static_assert(1 << MAP_STREAM_WINDOW_LOG == MAP_STREAM_PLAIN_MAX,
	      "no window larger than what may be decoded");

void map_stream_init(struct map_stream *ms, bool is_zstd)
{
	*ms = (struct map_stream){ .is_zstd = is_zstd };
}

static void drop_decoder(struct map_stream *ms)
{
	ZSTD_freeDCtx(ms->zstd);
	free(ms->piece);
	ms->zstd = NULL;
	ms->piece = NULL;
}

void map_stream_fini(struct map_stream *ms)
{
	drop_decoder(ms);
}

static enum map_stream_got bad(struct map_stream *ms, const char *why)
{
	drop_decoder(ms);
	ms->why = why;
	return MAP_STREAM_BAD;
}

static enum map_stream_got begin_frame(struct map_stream *ms)
{
	struct rd r = rd_of(ms->head, sizeof ms->head);
	uint32_t len = rd_le32(&r);

	if (len == 0)
		return bad(ms, "an empty frame");
	if (len > (ms->is_zstd ? MAP_STREAM_PACKED_MAX : MAP_STREAM_PLAIN_MAX))
		return bad(ms, "a frame longer than allowed");
	ms->head_len = 0;
	ms->left = len;
	ms->decoded = 0;
	ms->in_frame = true;
	ms->is_whole = false;
	if (!ms->is_zstd)
		return MAP_STREAM_BEGIN;
	ms->zstd = ZSTD_createDCtx();
	ms->piece = malloc(MAP_STREAM_PIECE);
	if (!ms->zstd || !ms->piece ||
	    ZSTD_isError(
		ZSTD_DCtx_setParameter(ms->zstd, ZSTD_d_windowLogMax, MAP_STREAM_WINDOW_LOG)))
		return bad(ms, "out of memory");
	return MAP_STREAM_BEGIN;
}

static enum map_stream_got end_frame(struct map_stream *ms)
{
	drop_decoder(ms);
	ms->in_frame = false;
	if (ms->decoded > ms->largest)
		ms->largest = ms->decoded;
	return MAP_STREAM_END;
}

static enum map_stream_got plain_step(struct map_stream *ms, struct bytes in, size_t *used,
				      struct bytes *data)
{
	size_t n = in.len < ms->left ? in.len : ms->left;

	if (ms->left == 0)
		return end_frame(ms);
	if (n == 0)
		return MAP_STREAM_MORE;
	if (n > MAP_STREAM_PIECE)
		n = MAP_STREAM_PIECE;
	*data = bytes_of(in.data, n);
	*used = n;
	ms->left -= n;
	ms->decoded += n;
	return MAP_STREAM_DATA;
}

static enum map_stream_got zstd_step(struct map_stream *ms, struct bytes in, size_t *used,
				     struct bytes *data)
{
	ZSTD_inBuffer src = { in.data, in.len < ms->left ? in.len : ms->left, 0 };
	ZSTD_outBuffer dst = { ms->piece, MAP_STREAM_PIECE, 0 };
	size_t r;

	if (ms->is_whole)
		return ms->left == 0 ? end_frame(ms) : bad(ms, "bytes behind the zstd frame");
	r = ZSTD_decompressStream(ms->zstd, &dst, &src);
	*used = src.pos;
	ms->left -= src.pos;
	ms->decoded += dst.pos;
	if (ZSTD_isError(r))
		return bad(ms, "malformed zstd");
	if (ms->decoded > MAP_STREAM_PLAIN_MAX)
		return bad(ms, "a frame that decodes to more than allowed");
	ms->is_whole = r == 0;
	if (dst.pos > 0) {
		*data = bytes_of(ms->piece, dst.pos);
		return MAP_STREAM_DATA;
	}
	if (ms->is_whole)
		return ms->left == 0 ? end_frame(ms) : bad(ms, "bytes behind the zstd frame");
	if (ms->left == 0)
		return bad(ms, "a zstd frame that is cut off");
	return MAP_STREAM_MORE;
}

enum map_stream_got map_stream_next(struct map_stream *ms, struct bytes in, size_t *used,
				    struct bytes *data)
{
	*used = 0;
	if (ms->why)
		return MAP_STREAM_BAD;
	if (ms->in_frame)
		return ms->is_zstd ? zstd_step(ms, in, used, data) : plain_step(ms, in, used, data);
	while (ms->head_len < sizeof ms->head && *used < in.len)
		ms->head[ms->head_len++] = in.data[(*used)++];
	return ms->head_len == sizeof ms->head ? begin_frame(ms) : MAP_STREAM_MORE;
}
