/* wire/icmp.h - ICMP and ICMPv6 messages (RFC 792, 4443): echo and errors
 *
 * Both families have the same frame: type, code, checksum, four bytes, then the payload (of an
 * error: the packet that caused it, as much as there is).
 */
#ifndef WIRE_ICMP_H
#define WIRE_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { ICMP_HEAD_LEN = 8 };
enum {
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER = 12
};
enum { ICMP_CODE_HOST = 1, ICMP_CODE_PROTOCOL = 2, ICMP_CODE_PORT = 3, ICMP_CODE_TOO_BIG = 4 };
enum {
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129
};
enum { ICMP6_CODE_ADDRESS = 3, ICMP6_CODE_PORT = 4 };

struct icmp_head {
	uint8_t type, code;
	uint16_t hi, lo; /* echo: identifier, sequence; ICMP too big: -, MTU */
};

static inline uint32_t icmp_rest(const struct icmp_head *h) /* ICMPv6 too big: the MTU */
{
	return (uint32_t)h->hi << 16 | h->lo;
}

MUST_USE bool icmp_parse(const uint8_t *data, size_t len, struct icmp_head *h);
void icmp_emit(uint8_t out[static ICMP_HEAD_LEN], const struct icmp_head *h); /* checksum zero */

#endif
