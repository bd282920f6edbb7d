/* pod/masquerade.h - what leaves by one device gets the device's address, and is refused when
 * nobody reads the device: nftables tables of our own
 *
 * The translations live in the kernel's connection tracking, so flows survive a restart of the
 * process. The chain is before the usual place of others (srcnat - 5), since a main plugin's
 * masquerade would take another address. */
#ifndef POD_MASQUERADE_H
#define POD_MASQUERADE_H

#include "base/attr.h"
#include "base/err.h"

MUST_USE int masquerade_add(const char *device,
			    struct err *e); /* 0 also when it is there; -errno */
MUST_USE int masquerade_del(const char *device, struct err *e); /* 0 also when it is gone */

/* A descriptor: as long as it is open, what the machine forwards to the device passes; from the
 * moment it is closed, by the death of the process too, it is refused at once - a new connection of
 * TCP by a reset, anything else as host unreachable - until masquerade_del. The loss of the
 * device's carrier comes to the routes later: the kernel gathers such news for a second and more,
 * and packets are lost in silence until then. -errno: the kernel cannot (tables with an owner:
 * Linux 5.12), and nothing is guarded. */
MUST_USE int masquerade_hold(const char *device, struct err *e);

#endif
