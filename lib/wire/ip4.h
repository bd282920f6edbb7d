/* wire/ip4.h - the IPv4 header (RFC 791) */
#ifndef WIRE_IP4_H
#define WIRE_IP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum { IP4_HEAD_LEN = 20 };

struct ip4_head {
	struct ip src, dst;
	uint16_t total_len, id;
	uint16_t fragment_off; /* bytes */
	bool dont_fragment, more_fragments;
	uint8_t tos, ttl, proto;
	uint8_t head_len; /* with options */
};

/* false: too short, lengths that do not fit, or (but under FUZZING) a wrong header checksum */
MUST_USE bool ip4_parse(const uint8_t *data, size_t len, struct ip4_head *h);
/* A header without options; total_len is written as given, checksum included. */
void ip4_emit(uint8_t out[static IP4_HEAD_LEN], const struct ip4_head *h);

#endif
