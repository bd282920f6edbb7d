/* pod/netlink_priv.h - what netlink.c (routes) and nft.c (packet rules) share: the framing of
 * messages
 */
#ifndef POD_NETLINK_PRIV_H
#define POD_NETLINK_PRIV_H

#include <linux/netlink.h>

#include "base/attr.h"
#include "base/cursor.h"

/* The next message of a datagram and its body. 1; 0: no more; -EBADMSG: cut off, or a length that
 * cannot be. */
MUST_USE int netlink_next(struct rd *r, struct nlmsghdr *h, struct rd *body);

#endif
