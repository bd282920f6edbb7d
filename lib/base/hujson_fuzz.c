/* base/hujson_fuzz.c - anything made plain: bytes stay or become blanks, lines stay lines, a second
 * time changes nothing, and what was JSON before is not touched */
#include "base/hujson.h"

#include <assert.h>
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *plain = malloc(len + 1);
	struct json j = json_of(bytes_of(data, len));
	struct hujson_pos pos;
	size_t at = len;
	bool ok;

	assert(plain);
	memcpy(plain, data, len);
	json_skip(&j);
	ok = hujson_plain(plain, len, &at);
	assert(ok || at < len);
	assert(ok || !json_done(&j));
	for (size_t i = 0; i < len; i++)
		assert(plain[i] == (char)data[i] || (plain[i] == ' ' && data[i] != '\n'));
	if (json_done(&j))
		assert(memcmp(plain, data, len) == 0);
	pos = hujson_pos(bytes_of(data, len), at);
	assert(pos.line >= 1 && pos.column >= 1 && pos.line + pos.column <= len + 2);
	if (ok) {
		char *again = malloc(len + 1);

		assert(again);
		memcpy(again, plain, len);
		assert(hujson_plain(again, len, &at));
		assert(memcmp(again, plain, len) == 0);
		free(again);
	}
	free(plain);
	return 0;
}
