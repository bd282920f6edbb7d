/* wire/checksum.h - the Internet checksum (RFC 1071)
 *
 * A partial sum is a 64-bit number in which 16-bit words have been added in the machine's own
 * order; parts that are added one after another must have even length, but for the last one.
 * checksum_fold makes the value that goes into (or must come out of) a header as bytes in memory
 * order.
 */
#ifndef WIRE_CHECKSUM_H
#define WIRE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

uint64_t checksum_add(uint64_t sum, const void *data, size_t len);

/* Stores the complement of the folded sum; over data whose checksum is right it is zero. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void checksum_store(uint8_t *at, uint64_t sum)
{
	uint16_t v = checksum_fold(sum);

	memcpy(at, &v, sizeof v);
}

/* Pseudo header of RFC 9293 3.1 (IPv4) or RFC 8200 8.1; len: of the transport header and what it
 * carries */
uint64_t checksum_pseudo(const struct ip *src, const struct ip *dst, uint8_t proto, uint32_t len);

#endif
