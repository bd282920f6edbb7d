/* wire/http1_body_fuzz.c - a body in pieces of any size gives the same content, end and verdict as
 * in one piece */
#include "wire/http1.h"

#include <assert.h>
#include <stdlib.h>

static enum http1_body_result read_all(const struct http1_head *h, struct bytes in, size_t step,
				       uint8_t *out, size_t *n_out, size_t *end)
{
	enum http1_body_result r = HTTP1_BODY_MORE;
	struct http1_body b;
	struct bytes piece;
	size_t at = 0, used;

	*n_out = 0;
	http1_body_init(&b, h);
	do {
		size_t n = in.len - at < step ? in.len - at : step;

		r = http1_body_feed(&b, bytes_of(in.data + at, n), &used, &piece);
		assert(used <= n && (r != HTTP1_BODY_MORE || used == n));
		at += used;
		if (r == HTTP1_BODY_DATA) {
			assert(piece.len > 0);
			memcpy(out + *n_out, piece.data, piece.len);
			*n_out += piece.len;
		}
	} while (r == HTTP1_BODY_DATA || (r == HTTP1_BODY_MORE && at < in.len));
	*end = at;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct http1_head h = { .framing = HTTP1_BODY_CHUNKED };
	size_t n_one, n_many, end_one, end_many;
	uint8_t *one, *many;
	enum http1_body_result r;

	if (len < 2)
		return 0;
	h.framing = (enum http1_framing)(data[0] & 3);
	h.content_length = data[1];
	one = malloc(len);
	many = malloc(len);
	if (one && many) {
		r = read_all(&h, bytes_of(data + 2, len - 2), len, one, &n_one, &end_one);
		assert(r == read_all(&h, bytes_of(data + 2, len - 2), 1 + (data[0] >> 4), many,
				     &n_many, &end_many));
		assert(n_one == n_many && (n_one == 0 || memcmp(one, many, n_one) == 0));
		assert(end_one == end_many);
	}
	free(one);
	free(many);
	return 0;
}
