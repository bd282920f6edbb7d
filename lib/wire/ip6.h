/* wire/ip6.h - the IPv6 header and its fragment header (RFC 8200) */
#ifndef WIRE_IP6_H
#define WIRE_IP6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum { IP6_HEAD_LEN = 40, IP6_FRAGMENT_LEN = 8, IP6_MTU_MIN = 1280 };

struct ip6_head {
	struct ip src, dst;
	uint16_t payload_len;
	uint8_t next, hops, traffic_class;
	uint32_t flow; /* 20 bits */
};

struct ip6_fragment {
	uint8_t next;
	uint16_t off; /* bytes */
	bool more;
	uint32_t id;
};

MUST_USE bool ip6_parse(const uint8_t *data, size_t len, struct ip6_head *h);
void ip6_emit(uint8_t out[static IP6_HEAD_LEN], const struct ip6_head *h);
MUST_USE bool ip6_fragment_parse(const uint8_t *data, size_t len, struct ip6_fragment *f);
void ip6_fragment_emit(uint8_t out[static IP6_FRAGMENT_LEN], const struct ip6_fragment *f);

#endif
