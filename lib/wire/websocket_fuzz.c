/* wire/websocket_fuzz.c - a client that sends anything, cut anywhere: all is taken or it ends */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ws ws = { 0 };
	uint8_t *copy = malloc(len + 1);
	size_t cut = len > 0 ? data[0] % 64 + 1U : 1;
	bool over = false;

	assert(copy);
	memcpy(copy, data, len);
	for (size_t at = 1; at < len && !over; at += cut) {
		struct bytes in = { copy + at, MIN_OF(cut, len - at) }, piece;
		enum ws_result r;

		while ((r = ws_feed(&ws, &in, &piece)) != WS_MORE) {
			assert(!over);
			assert(ws.n_control <= WS_CONTROL_MAX);
			assert(r != WS_DATA || piece.len > 0);
			over = r == WS_CLOSE || r == WS_BAD;
		}
		assert(over || in.len == 0);
	}
	free(copy);
	return 0;
}
