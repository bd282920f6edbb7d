/* wire/stun.h - STUN binding: the request as tailnet nodes send it, the answer, both ends (RFC
 * 8489; data-plane.md 4.1)
 *
 * A request is always 40 bytes: header, SOFTWARE "tailnode", FINGERPRINT. Relays answer nothing
 * else, so that they cannot be used to reflect traffic. An answer carries XOR-MAPPED-ADDRESS only.
 */
#ifndef WIRE_STUN_H
#define WIRE_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum { /* RFC 8489 5, 14, 15 */
       STUN_HEADER = 20,
       STUN_TXID = 12,
       STUN_MAGIC = 0x2112a442,
       STUN_BINDING_REQUEST = 0x0001,
       STUN_BINDING_SUCCESS = 0x0101,
       STUN_ATTR_MAPPED_ADDRESS = 0x0001,
       STUN_ATTR_XOR_MAPPED_ADDRESS = 0x0020,
       STUN_ATTR_XOR_MAPPED_ADDRESS_OLD =
	   0x8020, /* number of a draft, still sent by some servers */
       STUN_ATTR_SOFTWARE = 0x8022,
       STUN_ATTR_FINGERPRINT = 0x8028,
};
enum { STUN_REQUEST_LEN = 40, STUN_ANSWER_MAX = 44 };

enum stun_fault {
	STUN_OK,
	STUN_BAD_SHAPE,       /* not STUN, or cut off */
	STUN_OTHER_TYPE,      /* STUN, but not the message asked for */
	STUN_NO_ADDRESS,      /* a success answer without an address */
	STUN_BAD_SOFTWARE,    /* request not of a tailnet node */
	STUN_BAD_FINGERPRINT, /* missing, not last, or wrong */
	STUN_FAULT_N,
};
extern const char *const stun_fault_names[STUN_FAULT_N];

/* Does a datagram on the WireGuard socket belong to STUN? (data-plane.md 1.6) */
bool stun_is(const uint8_t *data, size_t len);

void stun_request_emit(const uint8_t txid[static STUN_TXID], uint8_t out[static STUN_REQUEST_LEN]);
/* The client's end: a binding success; trailing bytes and unknown attributes are ignored. Outputs
 * untouched on a fault. */
enum stun_fault stun_answer_parse(const uint8_t *data, size_t len, uint8_t txid[static STUN_TXID],
				  struct ipport *mapped);

/* The server's end: only what tailnet nodes send is STUN_OK. */
enum stun_fault stun_request_parse(const uint8_t *data, size_t len, uint8_t txid[static STUN_TXID]);
/* returns the length: 32 bytes for IPv4, 44 for IPv6 */
size_t stun_answer_emit(const uint8_t txid[static STUN_TXID], const struct ipport *from,
			uint8_t out[static STUN_ANSWER_MAX]);

#endif
