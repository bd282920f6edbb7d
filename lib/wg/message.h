/* wg/message.h - the four WireGuard messages: sizes, offsets; the numbers of the whitepaper and our
 * own limits
 *
 * All four begin with the type as LE32. Every message but the transport one has exactly one size,
 * so fields are named by their offsets into arrays of that size.
 */
#ifndef WG_MESSAGE_H
#define WG_MESSAGE_H

#include <stdint.h>

enum { MSG_INIT = 1, MSG_RESP = 2, MSG_COOKIE = 3, MSG_DATA = 4 };
enum {
	MSG_INIT_LEN = 148,
	MSG_RESP_LEN = 92,
	MSG_COOKIE_LEN = 64,
	MSG_DATA_MIN = 32,
	MSG_DATA_HEAD = 16
};
enum { TAG_LEN = 16, MAC_LEN = 16, COOKIE_LEN = 16, TS_LEN = 12 };

enum { INIT_SENDER = 4, INIT_E = 8, INIT_STATIC = 40, INIT_TS = 88, INIT_MACS = 116 };
enum { RESP_SENDER = 4, RESP_RECEIVER = 8, RESP_E = 12, RESP_EMPTY = 44, RESP_MACS = 60 };
enum { COOKIE_RECEIVER = 4, COOKIE_NONCE = 8, COOKIE_BODY = 32 };

enum { /* whitepaper 6.1, seconds */
       REKEY_AFTER_S = 120,
       REJECT_AFTER_S = 180,
       REKEY_TIMEOUT_S = 5,
       KEEPALIVE_S = 10,
       REKEY_ON_RECEIVE_S = REJECT_AFTER_S - KEEPALIVE_S - REKEY_TIMEOUT_S,
       STALE_S = KEEPALIVE_S + REKEY_TIMEOUT_S, /* sent and heard nothing: a new handshake */
       ZERO_AFTER_S = 3 * REJECT_AFTER_S,
       COOKIE_LIFE_S = 120,
};
enum { REKEY_JITTER_MS = 333, FLOOD_GUARD_MS = 20 };
enum { ATTEMPTS_MAX = 90 / REKEY_TIMEOUT_S }; /* retries before giving up, REKEY_ATTEMPT_TIME */
#define REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))

enum {                        /* ours; docs/limits.md */
       STAGED_PEER_MAX = 128, /* packets of one peer that wait for a session */
       COOKIES_MAX = 64,      /* cookie replies between two pulls */
       NUDGE_ROUND_TRIPS = 3, /* an answer may come within, by another way than the one measured */
       NUDGE_SPACING_MS = 25, /* between initiations when the owner says the peer may know us now:
				 peers count those within 20 ms as a flood */
};

static inline void le32_put(uint8_t p[static 4], uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline uint32_t le32_get(const uint8_t p[static 4])
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

#endif
