/* model/magicdns.h - names of the tailnet answered from the netmap, and where all others go
 * (data-plane.md 6.6)
 *
 * Pure: a question and a netmap in, an answer out. Whoever forwards (lib/node, lib/os) asks the
 * resolvers that are named.
 */
#ifndef MODEL_MAGICDNS_H
#define MODEL_MAGICDNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "model/netmap.h"

enum {
	MAGICDNS_TTL_S = 5,
	MAGICDNS_NEGATIVE_TTL_S = 10,
	MAGICDNS_ADDRS_MAX = 16, /* of one name: what is beyond is not answered */
	MAGICDNS_SITE_BITS = 32,
};

enum magicdns_found {
	MAGICDNS_ADDRESSES, /* v, n */
	MAGICDNS_NODATA,    /* the name is ours but has no address of the wanted kind */
	MAGICDNS_NXDOMAIN,  /* ours, and there is none */
	MAGICDNS_FORWARD,   /* not ours: ask `resolvers`; none given: the system's resolver */
};

struct magicdns_answer {
	struct ip v[MAGICDNS_ADDRS_MAX];
	size_t n;
	const struct netmap_node *node;          /* whose name it is; NULL: of a record or 4via6 */
	const struct netmap_resolver *resolvers; /* belong to the netmap */
	size_t n_resolvers;
};

/* For a proxy: the addresses of a name, short or full, in any case, IPv4 first. Search domains are
 * tried for a name without a dot. */
enum magicdns_found magicdns_lookup(const struct netmap *nm, struct bytes name,
				    struct magicdns_answer *out);

/* For a DNS client (100.100.100.100): reply to one query message. cap: room of out; udp: the answer
 * respects the size that the client announced (TC is set when it does not fit). */
enum magicdns_verdict {
	MAGICDNS_REPLY,        /* *len bytes in out */
	MAGICDNS_ASK_UPSTREAM, /* pass the query to fwd->resolvers */
	MAGICDNS_DROP,         /* not a query */
};
enum magicdns_verdict magicdns_reply(const struct netmap *nm, struct bytes query, bool udp,
				     uint8_t *out, size_t cap, size_t *len,
				     struct magicdns_answer *fwd);
/* The reply to a query that nobody upstream answered. 0: the query is malformed */
size_t magicdns_fail(struct bytes query, int rcode, uint8_t *out, size_t cap);

/* 4via6: "10-1-2-3-via-7" to fd7a:115c:a1e0:b1a:0:7:a01:203 */
bool magicdns_via(struct bytes label, struct ip *out);

#endif
