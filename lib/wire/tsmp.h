/* wire/tsmp.h - the small messages that tailnet nodes send each other inside the tunnel, IP
 * protocol 99 (data-plane.md 5.6) */
#ifndef WIRE_TSMP_H
#define WIRE_TSMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

enum tsmp_kind { TSMP_REJECT = '!', TSMP_PING = 'p', TSMP_PONG = 'o', TSMP_DISCO_KEY = 'a' };
enum { TSMP_ACL = 'A', TSMP_SHIELDS = 'S' }; /* reasons of a reject that we give */
enum { TSMP_BODY_MIN = 7, TSMP_BODY_MAX = 64, TSMP_PACKET_MAX = 40 + TSMP_BODY_MAX };

struct tsmp {
	enum tsmp_kind kind;
	uint8_t data[8];       /* ping, pong */
	uint16_t peerapi_port; /* pong */
	uint8_t disco_key[32];
	uint8_t proto, reason; /* reject */
	bool maybe_broken;     /* reject: of information only, the flow may still succeed */
	uint16_t sport, dport;
};

bool tsmp_parse(
    struct bytes body,
    struct tsmp *out); /* body: behind the IP header; false: too short or unknown kind */
/* A whole IP packet; src and dst of one family; returns its length (<= TSMP_PACKET_MAX), 0:
 * families differ or kind unknown */
size_t tsmp_emit(const struct tsmp *m, const struct ip *src, const struct ip *dst,
		 uint8_t out[static TSMP_PACKET_MAX]);

#endif
