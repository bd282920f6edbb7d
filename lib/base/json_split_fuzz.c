/* base/json_split_fuzz.c - pieces make no difference: whole input and one-byte pieces give the same
 * events
 *
 * The first byte of the input chooses the limit of a value.
 */
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool is_list(struct bytes key)
{
	return json_key_is(key, "Peers");
}

static void run(struct bytes text, size_t piece, size_t max, struct buf *log)
{
	struct json_split *s = json_split_new(is_list, max);
	enum json_split_ev ev = JSON_SPLIT_MORE;

	assert(s);
	while (text.len > 0 && ev != JSON_SPLIT_ERROR) {
		size_t n = text.len < piece ? text.len : piece;
		uint8_t *copy = malloc(n);
		struct bytes in, key, value;

		assert(copy);
		memcpy(copy, text.data, n);
		text = bytes_of(text.data + n, text.len - n);
		in = bytes_of(copy, n);
		do {
			ev = json_split_next(s, &in, &key, &value);
			assert(value.len <= max && key.len <= JSON_SPLIT_KEY_MAX);
			if (ev != JSON_SPLIT_MORE && ev != JSON_SPLIT_END)
				(void)!(buf_printf(log, "%d", ev) &&
					buf_append(log, key.data, key.len) &&
					buf_append(log, value.data, value.len));
		} while (ev != JSON_SPLIT_MORE && ev != JSON_SPLIT_END && ev != JSON_SPLIT_ERROR);
		free(copy);
	}
	json_split_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf whole, bytewise;
	struct bytes text;
	size_t max;

	if (len < 1 || len > 65536)
		return 0;
	max = 2 + (size_t)data[0] * 16;
	text = bytes_of(data + 1, len - 1);
	buf_init(&whole, 1 << 24);
	buf_init(&bytewise, 1 << 24);
	run(text, SIZE_MAX, max, &whole);
	run(text, 1, max, &bytewise);
	assert(bytes_eq(buf_bytes(&whole), buf_bytes(&bytewise)));
	buf_fini(&whole);
	buf_fini(&bytewise);
	return 0;
}
