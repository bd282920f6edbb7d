/* pod/netlink.h - rules, routes and links by rtnetlink, one request at a time
 *
 * Adding what is there and deleting what is gone are both 0. Everything made carries the protocol
 * number it was asked with, and only what carries it is deleted.
 */
#ifndef POD_NETLINK_H
#define POD_NETLINK_H

#include "base/attr.h"
#include "base/ip.h"
#include "pod/rule.h"

struct netlink {
	int fd;
	uint32_t seq;
};

/* All return 0 or -errno. The socket belongs to the network namespace it was opened in. */
MUST_USE int netlink_open(struct netlink *nl);
void netlink_close(struct netlink *nl);

MUST_USE int netlink_rule_add(struct netlink *nl, const struct rule *r, uint8_t protocol);
MUST_USE int netlink_rule_del(struct netlink *nl, const struct rule *r, uint8_t protocol);
/* Every rule of that protocol of both families; fn must not use nl. Rules that are not of a form of
 * ours are left out. */
typedef void netlink_rule_fn(void *ctx, const struct rule *r);
MUST_USE int netlink_rules(struct netlink *nl, uint8_t protocol, netlink_rule_fn *fn, void *ctx);
/* The same as a list; *v is the caller's to free, also after an error. -ENOMEM: more than
 * NETLINK_RULES_MAX too */
enum { NETLINK_RULES_MAX = 1 << 16 };
MUST_USE int netlink_rules_all(struct netlink *nl, uint8_t protocol, struct rule **v, size_t *n);

struct netlink_link {
	int index;
	bool is_port;  /* of a bridge or the like */
	bool is_cable; /* its other end is in another namespace */
};
MUST_USE int netlink_link(struct netlink *nl, const char *name, struct netlink_link *out);

/* The device goes with its addresses and routes. */
MUST_USE int netlink_link_del(struct netlink *nl, const char *name);
MUST_USE int netlink_link_up(struct netlink *nl, int link, uint32_t mtu);
/* A single address, at once usable (no duplicate detection). */
MUST_USE int netlink_addr_add(struct netlink *nl, int link, const struct ip *ip);
MUST_USE int netlink_addr_del(struct netlink *nl, int link, const struct ip *ip);

struct netlink_route {
	struct ipprefix dst;
	struct ip gw;         /* zero: none, the destination is on the link */
	int link;             /* index */
	uint32_t table;       /* 0: main */
	unsigned mtu, advmss; /* 0: not set; mtu is locked */
};
/* Replaces a route of the same destination, metric and table that is ours; another's is -EEXIST. */
MUST_USE int netlink_route_add(struct netlink *nl, const struct netlink_route *r, uint8_t protocol);
MUST_USE int netlink_route_del(struct netlink *nl, const struct netlink_route *r, uint8_t protocol);
/* Is there a route of this protocol to exactly this destination? 1, 0, -errno */
MUST_USE int netlink_route_has(struct netlink *nl, const struct netlink_route *r, uint8_t protocol);
/* Destinations of the routes of this protocol in a table, of both families, at most max. The count
 * or -errno. */
MUST_USE int netlink_routes(struct netlink *nl, uint32_t table, uint8_t protocol,
			    struct ipprefix *v, size_t max);
/* The default route of a family: link and gateway into out. -ENOENT: there is none. */
MUST_USE int netlink_default(struct netlink *nl, bool v6, struct netlink_route *out);

#endif
