/* pod/masquerade.h - what leaves by one device gets the device's address: an nftables table of our
 * own
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

#endif
