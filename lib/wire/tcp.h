/* wire/tcp.h - the TCP header and the options that we know (RFC 9293 3.1, 7323, 2018) */
#ifndef WIRE_TCP_H
#define WIRE_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum {
	TCP_HEAD_LEN = 20,
	TCP_HEAD_MAX = 60,
	TCP_SACK_MAX = 4,
	TCP_WSCALE_MAX = 14 /* RFC 7323 2.3 */
};

struct tcp_sack {
	uint32_t start, end; /* [start, end) */
};

struct tcp_head {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags; /* TCP_* of wire/packet.h */
	uint8_t head_len;
	uint16_t wnd, urgent;
	/* options */
	bool has_mss, has_wscale, has_ts, sack_permitted;
	uint8_t wscale;
	uint8_t n_sack;
	uint16_t mss;
	uint32_t tsval, tsecr;
	struct tcp_sack sack[TCP_SACK_MAX];
};

/* data, len: the whole segment. False when the header does not fit; malformed options end the list
 * of options (RFC 9293 3.2, MUST-7: must not crash on them), those before count. */
MUST_USE bool tcp_parse(const uint8_t *data, size_t len, struct tcp_head *h);
/* Writes header and options, checksum zero; returns their length, a multiple of 4. SACK blocks that
 * find no room are left out. */
size_t tcp_emit(uint8_t out[static TCP_HEAD_MAX], const struct tcp_head *h);

#endif
