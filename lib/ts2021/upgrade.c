/* ts2021/upgrade.c - see upgrade.h */
#include "ts2021/upgrade.h"

#include "base/text.h"
#include "wire/http1.h"

bool upgrade_emit(struct buf *out, const char *authority, const uint8_t init[static NOISE_INIT_LEN])
{
	char text[(NOISE_INIT_LEN + 2) / 3 * 4 + 1];
	struct http1_emit e =
	    http1_emit_request(out, "POST", bytes_str(UPGRADE_PATH), bytes_str(authority));

	base64_emit(init, NOISE_INIT_LEN, BASE64_STD, text);
	http1_emit_field(&e, "User-Agent", "tailpod");
	http1_emit_length(&e, 0);
	http1_emit_field(&e, "Connection", "upgrade");
	http1_emit_field(&e, "Upgrade", UPGRADE_PROTOCOL);
	http1_emit_field(&e, UPGRADE_FIELD, text);
	return http1_emit_end(&e);
}

bool upgrade_answer_emit(struct buf *out)
{
	struct http1_emit e = http1_emit_response(out, 101, NULL);

	http1_emit_field(&e, "Connection", "upgrade");
	http1_emit_field(&e, "Upgrade", UPGRADE_PROTOCOL);
	return http1_emit_end(&e);
}
