/* ts2021/upgrade.h - POST /ts2021: from HTTP/1.1 to Noise (control-protocol.md 2.3) */
#ifndef TS2021_UPGRADE_H
#define TS2021_UPGRADE_H

#include "base/bytes.h"
#include "crypto/noise.h"

#define UPGRADE_PROTOCOL "tailscale-control-protocol"
#define UPGRADE_PATH "/ts2021"
#define UPGRADE_FIELD "X-Tailscale-Handshake"

MUST_USE bool upgrade_emit(struct buf *out, const char *authority,
			   const uint8_t init[static NOISE_INIT_LEN]);
/* Server: the 101 head, directly before the Noise response */
MUST_USE bool upgrade_answer_emit(struct buf *out);

#endif
