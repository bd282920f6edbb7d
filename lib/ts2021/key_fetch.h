/* ts2021/key_fetch.h - GET /key?v=N: which static key the control server has
 * (control-protocol.md 2.1) */
#ifndef TS2021_KEY_FETCH_H
#define TS2021_KEY_FETCH_H

#include "base/bytes.h"
#include "crypto/key.h"

enum key_fetch_result {
	KEY_FETCH_OK,
	KEY_FETCH_NOT_FOUND,   /* 404 */
	KEY_FETCH_STATUS,      /* another status than 200 */
	KEY_FETCH_NOT_CONTROL, /* 200, but not a control server's JSON */
	KEY_FETCH_TOO_OLD, /* 200 without a body or with a zero key: our version is not wanted */
};

MUST_USE bool key_fetch_emit(struct buf *out, const char *authority, unsigned version);
/* What a complete answer means. out is set on KEY_FETCH_OK. */
enum key_fetch_result key_fetch_read(int status, struct bytes body, struct key_pub *out);

#endif
