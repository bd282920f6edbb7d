/* os/netlink.h - what a node with a device asks of the kernel's routing: device up, addresses,
 * routes of one table, rules, masquerade
 *
 * One request, one answer, on a socket of its own; a call blocks for as long as the kernel needs.
 * Adding what is there and deleting what is gone are 0. What is made carries a protocol number, and
 * only that is listed and deleted.
 */
#ifndef OS_NETLINK_H
#define OS_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"

struct rtnl;

struct rtnl *rtnl_new(struct err *e); /* NULL: e says why */
void rtnl_free(struct rtnl *nl);      /* NULL is fine */

/* All that follow: 0 or -errno. */
MUST_USE int rtnl_link_index(struct rtnl *nl,
			     const char *name); /* the index; -ENODEV: there is none */
MUST_USE int rtnl_link_up(struct rtnl *nl, int link, uint32_t mtu);
MUST_USE int rtnl_addr_add(struct rtnl *nl, int link, const struct ip *ip); /* a single address */
MUST_USE int rtnl_addr_del(struct rtnl *nl, int link, const struct ip *ip);

struct rtnl_route {
	struct ipprefix dst;
	int link;
	uint32_t table, mtu; /* mtu 0: the link's */
	uint8_t protocol;
};
MUST_USE int rtnl_route_add(struct rtnl *nl, const struct rtnl_route *r);
MUST_USE int rtnl_route_del(struct rtnl *nl, const struct rtnl_route *r);
/* Routes of a table and protocol; fn must not use nl. */
typedef void rtnl_route_fn(void *ctx, const struct rtnl_route *r);
MUST_USE int rtnl_routes(struct rtnl *nl, uint32_t table, uint8_t protocol, rtnl_route_fn *fn,
			 void *ctx);

struct rtnl_rule { /* `from` with has_from, `iif` with text: what the packet must be */
	bool is_lookup, has_from; /* not a lookup: unreachable */
	uint32_t priority, table;
	struct ipprefix from, to;
	char iif[16];
	uint8_t protocol;
};
MUST_USE int rtnl_rule_add(struct rtnl *nl, const struct rtnl_rule *r);
MUST_USE int rtnl_rule_del(struct rtnl *nl, const struct rtnl_rule *r);
typedef void rtnl_rule_fn(void *ctx, const struct rtnl_rule *r);
MUST_USE int rtnl_rules(struct rtnl *nl, uint8_t protocol, rtnl_rule_fn *fn, void *ctx);
bool rtnl_rule_eq(const struct rtnl_rule *a, const struct rtnl_rule *b);

#endif
