/* path/portmap.h - a UDP port on the gateway by NAT-PMP (RFC 6886), PCP (RFC 6887) or UPnP IGD,
 * pure (data-plane.md 4.4 to 4.6)
 *
 * Default off: the host makes one only when it is configured, since the gateway of a container is a
 * bridge that has none of this. Datagrams go between an own UDP socket of the host (not
 * WireGuard's) and ports 5351 and 1900 of the gateway; HTTP requests of UPnP go to the gateway's
 * address, whatever it says about where it is. The one packet to anybody else is the search of UPnP
 * at its multicast group; only the gateway's answer to it counts.
 */
#ifndef PATH_PORTMAP_H
#define PATH_PORTMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"
#include "path/igd.h"

enum { PORTMAP_PORT = 5351, PORTMAP_PACKET_MAX = IGD_SEARCH_MAX };
enum { PORTMAP_REQUESTS = 2 /* HTTP requests at once: one that asks, one that gives back */ };

struct portmap;

struct portmap *portmap_new(struct rng *rng); /* NULL: out of memory; rng outlives it */
void portmap_free(struct portmap *pm);

/* Which gateway (IPv4) shall map what: the own address towards it and the WireGuard port. The zero
 * gateway gives the mapping back and stops. The same arguments again change nothing. */
void portmap_set(struct portmap *pm, mono_t now, const struct ip *gateway,
		 const struct ipport *inside);
/* Asks the gateway again whether it is still the same; for a moment when others are probed too.
 * Every 15 s at most it does something. */
void portmap_check(struct portmap *pm, mono_t now);
void portmap_feed(struct portmap *pm, mono_t now, const struct ipport *from, const uint8_t *data,
		  size_t len);
/* The answer to PORTMAP_HTTP; status 0: there is none */
void portmap_answer(struct portmap *pm, mono_t now, uint32_t request, unsigned status,
		    struct bytes body);

enum portmap_want_type {
	PORTMAP_SEND, /* to, data */
	PORTMAP_HTTP, /* to, request, method, target, headers, data: the body */
};
struct portmap_want { /* borrowed until the next call into portmap */
	enum portmap_want_type type;
	struct ipport to;
	struct bytes data;
	uint32_t request; /* another one each time */
	const char *method, *target, *headers;
};
bool portmap_pull(struct portmap *pm, struct portmap_want *w);
bool portmap_changed(struct portmap *pm); /* the external address or what is known of the services
					     is another than at the last call */
bool portmap_external(const struct portmap *pm, struct ipport *out); /* false: no mapping is held */
/* Nothing is mapped, and nothing that was is still to be given back. */
bool portmap_is_released(const struct portmap *pm);
mono_t portmap_deadline(const struct portmap *pm);
void portmap_tick(struct portmap *pm, mono_t now);

enum portmap_service { PORTMAP_PMP, PORTMAP_PCP, PORTMAP_UPNP, PORTMAP_SERVICES };
extern const char *const portmap_service_names[PORTMAP_SERVICES];
/* 1: seen within ten minutes, 0: asked and silent, -1: not asked yet */
int portmap_seen(const struct portmap *pm, mono_t now, enum portmap_service s);

enum portmap_drop {
	PORTMAP_DROP_STRANGER, /* not from the gateway, or from another port of it */
	PORTMAP_DROP_SHAPE,
	PORTMAP_DROP_UNASKED, /* of another request, or none is open */
	PORTMAP_DROP_REFUSED, /* the gateway said no */
	PORTMAP_DROP_ADDRESS, /* an external address that is none */
	PORTMAP_DROP_EPOCH,   /* the gateway has forgotten us */
	PORTMAP_DROP_N
};
extern const char *const portmap_drop_names[PORTMAP_DROP_N];
const uint64_t *portmap_drops(const struct portmap *pm);

#endif
