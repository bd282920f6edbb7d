/* path/portmap.h - a UDP port on the gateway by NAT-PMP (RFC 6886) or PCP (RFC 6887), pure
 * (data-plane.md 4.4, 4.5)
 *
 * Default off: the host makes one only when it is configured, since the gateway of a container is a
 * bridge that has none of this. Datagrams go between an own UDP socket of the host (not
 * WireGuard's) and port 5351 of the gateway.
 */
#ifndef PATH_PORTMAP_H
#define PATH_PORTMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"

enum { PORTMAP_PORT = 5351, PORTMAP_PACKET_MAX = 60 };

struct portmap;

struct portmap *portmap_new(struct rng *rng); /* NULL: out of memory; rng outlives it */
void portmap_free(struct portmap *pm);

/* Which gateway (IPv4) shall map what: the own address towards it and the WireGuard port. The zero
 * gateway gives the mapping back and stops. The same arguments again change nothing. */
void portmap_set(struct portmap *pm, mono_t now, const struct ip *gateway,
		 const struct ipport *inside);
void portmap_feed(struct portmap *pm, mono_t now, const struct ipport *from, const uint8_t *data,
		  size_t len);

struct portmap_send {
	struct ipport to;
	uint8_t data[PORTMAP_PACKET_MAX];
	size_t len;
};
bool portmap_pull(struct portmap *pm, struct portmap_send *s);
bool portmap_changed(
    struct portmap *pm); /* the external address is another than at the last call, or none */
bool portmap_external(const struct portmap *pm, struct ipport *out); /* false: no mapping is held */
void portmap_services(const struct portmap *pm, mono_t now, bool *pmp,
		      bool *pcp); /* seen within ten minutes */
mono_t portmap_deadline(const struct portmap *pm);
void portmap_tick(struct portmap *pm, mono_t now);

#endif
