/* ts2021/map_stream.h - frames of the map stream: u32 little endian length, zstd frame or plain
 * JSON (control-protocol.md 4.2)
 *
 * Pulled: each call looks at input and gives one step. Decoded text comes in pieces of at most
 * MAP_STREAM_PIECE bytes, so neither a large map nor a bomb is ever held whole. The decoder (its
 * window may be the whole frame) lives only while a frame is being decoded.
 */
#ifndef TS2021_MAP_STREAM_H
#define TS2021_MAP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { /* ours, bytes */
       MAP_STREAM_PACKED_MAX = 16 << 20,
       MAP_STREAM_PLAIN_MAX = 64 << 20,
       MAP_STREAM_WINDOW_LOG = 26, /* log2 of MAP_STREAM_PLAIN_MAX */
       MAP_STREAM_PIECE = 32 << 10,
       MAP_STREAM_LARGE = 4 << 20, /* after a map longer than this plain is asked for */
};

enum map_stream_got {
	MAP_STREAM_MORE, /* nothing to tell; give what follows *used, and more */
	MAP_STREAM_BEGIN,
	MAP_STREAM_DATA, /* *data: borrowed until the next call */
	MAP_STREAM_END,
	MAP_STREAM_BAD, /* ms->why; final */
};

struct map_stream {
	bool is_zstd, in_frame, is_whole; /* is_whole: zstd said that the frame is complete */
	const char *why;
	uint8_t head[4];
	size_t head_len, left, decoded; /* of the present frame */
	size_t largest;                 /* decoded, of all frames so far */
	struct ZSTD_DCtx_s *zstd;
	uint8_t *piece;
};

void map_stream_init(struct map_stream *ms, bool is_zstd);
void map_stream_fini(struct map_stream *ms);
/* *used: how much of in is done with once *data was read. With MAP_STREAM_DATA of a plain frame
 * *data points into in. */
enum map_stream_got map_stream_next(struct map_stream *ms, struct bytes in, size_t *used,
				    struct bytes *data);

#endif
