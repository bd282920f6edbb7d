/* wire/packet.h - the facts of an IP packet that the filter, the flow table and metrics want,
 * parsed once
 *
 * Rules of data-plane.md 5.3. A parse decides nothing: it returns facts or why there are none.
 */
#ifndef WIRE_PACKET_H
#define WIRE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

enum { /* IP protocol numbers */
       PROTO_ICMP = 1,
       PROTO_TCP = 6,
       PROTO_UDP = 17,
       PROTO_FRAGMENT = 44,
       PROTO_ICMPV6 = 58,
       PROTO_TSMP = 99,
       PROTO_SCTP = 132,
};
enum {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_PSH = 8,
	TCP_ACK = 16,
	TCP_URG = 32,
	TCP_ECE = 64,
	TCP_CWR = 128
};

struct packet {
	struct ip src, dst;
	uint8_t proto; /* of the transport, past an IPv6 fragment header */
	bool is_v6;
	bool is_later_fragment; /* offset > 0: no transport header, ports are 0 */
	bool more_fragments;
	uint16_t sport, dport; /* TCP, UDP, SCTP; else 0 */
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint16_t transport_off; /* from the start of the packet */
	uint32_t total_len;     /* of the IP packet by its own header; <= what was given */
};

enum packet_fault {
	PACKET_OK,
	PACKET_TOO_SHORT,
	PACKET_BAD_VERSION,
	PACKET_BAD_LENGTH,
	PACKET_UNKNOWN,
	PACKET_BAD_FRAGMENT,
	PACKET_FAULT_N
};
extern const char *const packet_fault_names[PACKET_FAULT_N];

enum packet_fault packet_parse(const uint8_t *data, size_t len, struct packet *out);

#endif
