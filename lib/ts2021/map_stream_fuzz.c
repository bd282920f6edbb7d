/* ts2021/map_stream_fuzz.c - framing and decoding of a hostile map stream */
#include "ts2021/map_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t sum; /* each byte that is handed out is read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct map_stream ms;
	struct bytes in = { 0 }, out;
	enum map_stream_got g;
	size_t used, step, total = 0;

	if (len < 2)
		return 0;
	map_stream_init(&ms, data[0] & 1);
	step = data[1] + 1u;
	for (size_t i = 2; i < len && total < 1 << 20; i += step) {
		in = bytes_of(data + i, len - i < step ? len - i : step);
		do {
			g = map_stream_next(&ms, in, &used, &out);
			for (size_t k = 0; g == MAP_STREAM_DATA && k < out.len; k++)
				sum ^= out.data[k];
			if (g == MAP_STREAM_DATA)
				total += out.len;
			in = bytes_of(in.data + used, in.len - used);
		} while (g != MAP_STREAM_BAD && total < 1 << 20 &&
			 !(g == MAP_STREAM_MORE && (in.len == 0 || used == 0)));
	}
	map_stream_fini(&ms);
	return 0;
}
