/* wire/udp.h - the UDP header (RFC 768) */
#ifndef WIRE_UDP_H
#define WIRE_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { UDP_HEAD_LEN = 8 };

struct udp_head {
	uint16_t sport, dport;
	uint16_t len;      /* with the header */
	bool has_checksum; /* set by the parser */
};

/* False when the length does not fit; bytes behind it are tolerated, as everybody does. */
MUST_USE bool udp_parse(const uint8_t *data, size_t len, struct udp_head *h);
void udp_emit(uint8_t out[static UDP_HEAD_LEN], const struct udp_head *h); /* checksum zero */

#endif
