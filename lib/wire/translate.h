/* wire/translate.h - another source or destination address in an IP packet, checksums mended
 * incrementally (RFC 1624 eqn. 3)
 *
 * For peers that know this node by another address (data-plane.md 6.2). Header checksums of IPv4,
 * TCP, UDP and ICMPv6 follow; a later fragment has none but IPv4's own. What an ICMP error quotes
 * travelled the other way, so its opposite address is translated too (RFC 5508 4.2); without that
 * the error would concern nobody.
 */
#ifndef WIRE_TRANSLATE_H
#define WIRE_TRANSLATE_H

#include "wire/packet.h"

/* p: what packet_parse found in data; its address is changed along. a: of the packet's family. */
void translate_src(uint8_t *data, struct packet *p, const struct ip *a);
void translate_dst(uint8_t *data, struct packet *p, const struct ip *a);

#endif
