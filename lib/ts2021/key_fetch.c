/* ts2021/key_fetch.c - see key_fetch.h */
#include "ts2021/key_fetch.h"

#include <stdio.h>

#include "base/json.h"
#include "wire/http1.h"

bool key_fetch_emit(struct buf *out, const char *authority, unsigned version)
{
	char target[32];
	struct http1_emit e;

	snprintf(target, sizeof target, "/key?v=%u", version);
	e = http1_emit_request(out, "GET", bytes_str(target), bytes_str(authority));
	http1_emit_field(&e, "User-Agent", "tailpod");
	return http1_emit_end(&e);
}

enum key_fetch_result key_fetch_read(int status, struct bytes body, struct key_pub *out)
{
	struct json j = json_of(body);
	struct bytes key, text = { NULL, 0 };
	char tmp[KEY_TEXT_MAX];
	struct key_pub pub;

	if (status == 404)
		return KEY_FETCH_NOT_FOUND;
	if (status != 200)
		return KEY_FETCH_STATUS;
	if (body.len == 0)
		return KEY_FETCH_TOO_OLD;
	if (json_type(&j) != JSON_OBJECT)
		return KEY_FETCH_NOT_CONTROL;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "publicKey"))
			text = json_strb(&j, tmp, sizeof tmp);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || !key_pub_parse(KEY_MACHINE, text, &pub))
		return KEY_FETCH_NOT_CONTROL;
	if (key_is_zero(&pub))
		return KEY_FETCH_TOO_OLD;
	*out = pub;
	return KEY_FETCH_OK;
}
