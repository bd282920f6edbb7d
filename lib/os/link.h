/* os/link.h - the host's own addresses, and when they change */
#ifndef OS_LINK_H
#define OS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"
#include "os/loop.h"

enum { LINK_ADDRS_MAX = 64, LINK_NAME_MAX = 16 };

struct link_addr {
	struct ip ip;
	uint8_t bits; /* of its prefix, in the 128-bit space */
	bool is_loopback;
	char name[LINK_NAME_MAX]; /* of the interface */
};

/* Addresses of interfaces that are up, at most max; sorted, so that two lists can be compared.
 * Count or -errno. */
MUST_USE int link_addrs(struct link_addr *v, size_t max, struct err *err);
/* Is this an address of the host? Asked of the kernel, so any kind counts; true when it cannot say.
 */
bool link_has_addr(const struct ip *a);
/* The gateway of the default IPv4 route, for port mapping; false: none. */
bool link_gateway(struct ip *out);

/* The smallest MTU of the links that have the default routes; 0: there is none. Sends nothing. */
size_t link_mtu(void);

/* Calls fn when usable addresses (none of loopback, none link-local), their interfaces' state,
 * default routes or the MTU changed, at most once in `quiet` (0: 250 ms). */
struct link_watch;
struct link_watch *link_watch_new(struct loop *loop, span_t quiet, void (*fn)(void *ctx), void *ctx,
				  struct err *err);
void link_watch_free(struct link_watch *w); /* NULL is fine */

#endif
