/* base/json_fuzz.c - the reader over anything; what it accepts and copies through the writer reads
 * back the same */
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* room: longest text; the second time round it is larger, since a bad byte grows into U+FFFD */
static void copy(struct json *j, struct jsonw *w, size_t room)
{
	struct bytes key;
	char *s;

	switch (json_type(j)) {
	case JSON_OBJECT:
		json_obj(j);
		jsonw_obj(w);
		while (json_key(j, &key)) {
			char name[4096];

			if (!json_unescape(key, name, room + 1)) {
				json_skip(j);
				continue;
			}
			jsonw_key(w, name);
			copy(j, w, room);
		}
		jsonw_obj_end(w);
		break;
	case JSON_ARRAY:
		json_arr(j);
		jsonw_arr(w);
		while (json_elem(j))
			copy(j, w, room);
		jsonw_arr_end(w);
		break;
	case JSON_STRING:
		s = json_strdup(j, room);
		jsonw_str(w, s);
		free(s);
		break;
	case JSON_NUMBER:
		jsonw_f64(w, json_f64(j));
		break;
	case JSON_BOOL:
		jsonw_bool(w, json_bool(j));
		break;
	default:
		json_skip(j);
		jsonw_null(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct json j = json_of(bytes_of(data, len));
	struct buf once, twice;
	struct jsonw w;

	json_skip(&j);
	(void)json_done(&j);
	buf_init(&once, 1 << 22);
	buf_init(&twice, 1 << 22);
	j = json_of(bytes_of(data, len));
	jsonw_init(&w, &once);
	copy(&j, &w, 1000);
	if (json_done(&j) && jsonw_ok(&w)) {
		j = json_of(buf_bytes(&once));
		jsonw_init(&w, &twice);
		copy(&j, &w, 4000);
		assert(json_done(&j) && jsonw_ok(&w));
		assert(bytes_eq(buf_bytes(&once), buf_bytes(&twice)));
	}
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
