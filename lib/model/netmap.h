/* model/netmap.h - what control told us: self, peers, relays, DNS, filters, users; decoded as a
 * stream (control-protocol.md 4)
 *
 * Frames arrive in pieces (netmap_begin, netmap_feed, netmap_end); nothing is applied before
 * netmap_end, netmap_abort drops a torn one. Peers live in an arena and have small dense numbers
 * (`peer`, reused after removal) that wg, path and others use too. After netmap_end,
 * netmap_next_change says what moved. At most 1 KB a peer at rest.
 */
#ifndef MODEL_NETMAP_H
#define MODEL_NETMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"
#include "crypto/key.h"

struct netmap;

enum {
	NETMAP_NAME_MAX = 256,
	NETMAP_PEERS_MAX = 100000,
	NETMAP_REGIONS_MAX = 256,
	NETMAP_ADDRS_MAX = 8
};
enum { /* ours; what is beyond a limit of lists is left out, as is a longer text */
       NETMAP_ROUTES_MAX = 1024, /* AllowedIPs, PrimaryRoutes of a node */
       NETMAP_ENDPOINTS_MAX = 64,
       NETMAP_TAGS_MAX = 64,
       NETMAP_VALUE_MAX = 8 << 20,  /* text of one member of a frame */
       NETMAP_ELEM_MAX = 256 << 10, /* text of one peer, patch or user */
       NETMAP_FILTERS_MAX = 256,    /* named parts */
       NETMAP_FILTER_BYTES_MAX = 16 << 20,
       NETMAP_DNS_MAX = 16384, /* resolvers, routes, domains, records: each */
       NETMAP_HEALTH_MAX = 64,
       NETMAP_USERS_MAX = 100000,
       /* 2023-01-10, from stock: a control clock that is earlier is set wrong; ours counts */
       NETMAP_CLOCK_EPOCH_S = 1673373066,
       NETMAP_MEMORY_MAX = 256 << 20, /* peers and users, staged ones included */
};

struct netmap_node { /* strings and arrays belong to the netmap and live until the peer changes */
	int64_t id, user;
	const char *stable_id, *name; /* name: FQDN with its trailing dot */
	const char *hostname, *os;    /* of Hostinfo */
	struct key_pub key, machine, disco;
	const struct ipprefix *addresses;
	const struct ipprefix *allowed; /* as sent, or Addresses when absent */
	const struct ipprefix *primary_routes;
	const struct ipport *endpoints;
	const char *const *tags;
	struct bytes capmap;   /* JSON object text, or empty */
	const struct ip *masq; /* NULL, or SelfNodeV4 and V6MasqAddrForThisPeer, each or zero */
	wall_t key_expiry, created, last_seen;
	uint32_t peer; /* our number; self: UINT32_MAX */
	int cap;
	uint16_t n_addresses, n_allowed, n_primary_routes, n_endpoints, n_tags;
	uint16_t home_derp, peerapi4, peerapi6;
	int8_t online; /* -1 unknown */
	bool expired, authorized, wireguard_only, jailed, unsigned_peerapi_only;
};

struct netmap_derp_node {
	const char *name, *host, *cert_name;
	struct ip v4, v6;
	bool no_v4, no_v6, stun_only, insecure;
	int stun_port; /* 0 means 3478 already applied; -1 none */
	uint16_t derp_port;
};
struct netmap_region {
	uint16_t id;
	const char *code, *name;
	double score;
	bool avoid, no_measure_no_home;
	const struct netmap_derp_node *nodes;
	size_t n_nodes;
};
struct netmap_user {
	int64_t id;
	const char *login, *display, *picture;
};

struct netmap *netmap_new(void); /* NULL: out of memory */
void netmap_free(struct netmap *nm);
/* A new stream starts from nothing: its first frame must contain Node; the old state stays in use
 * until then. Only the relay map is kept when that frame has none. */
void netmap_stream_start(struct netmap *nm);

void netmap_begin(struct netmap *nm);
MUST_USE int netmap_feed(struct netmap *nm,
			 struct bytes in); /* 0, -EBADMSG, -ENOMEM: then netmap_abort */
MUST_USE int netmap_end(struct netmap *nm, wall_t now,
			struct err *e); /* applies; 0 or -EBADMSG, -ENOMEM (state as before) */
void netmap_abort(struct netmap *nm);
bool netmap_was_keepalive(const struct netmap *nm); /* of the last applied frame */

enum netmap_change_type {
	NETMAP_SELF,
	NETMAP_PEER,
	NETMAP_PEER_REMOVED /* still readable by its number until netmap_next_change says false, or
			       the next begin */
	,
	NETMAP_DERPMAP,
	NETMAP_FILTER,
	NETMAP_DNS,
	NETMAP_USERS,
	NETMAP_HEALTH,
	NETMAP_PING_REQUEST /* text: JSON */,
	NETMAP_OPEN_URL /* text */,
	NETMAP_DEBUG_EXIT,
};
enum { /* what of a peer changed, bits */
       NETMAP_P_NEW = 1,
       NETMAP_P_KEY = 2,
       NETMAP_P_DISCO = 4,
       NETMAP_P_ENDPOINTS = 8,
       NETMAP_P_DERP = 16,
       NETMAP_P_ALLOWED = 32,
       NETMAP_P_OTHER = 64,
};
struct netmap_change {
	enum netmap_change_type type;
	uint32_t peer;
	unsigned what;
	struct bytes text;
	int value;
};
/* Pull until false before the next begin: what is left then is lost. Memory of removed and replaced
 * nodes is given back at false. */
bool netmap_next_change(struct netmap *nm, struct netmap_change *ch);

const struct netmap_node *netmap_self(const struct netmap *nm); /* NULL before the first map */
const struct netmap_node *netmap_peer(const struct netmap *nm, uint32_t peer); /* NULL: no such */
uint32_t netmap_peer_limit(const struct netmap *nm); /* numbers are below this */
size_t netmap_n_peers(const struct netmap *nm);
const struct netmap_node *netmap_by_ip(const struct netmap *nm,
				       const struct ip *a); /* node address; self too */
const struct netmap_node *netmap_by_key(const struct netmap *nm, const struct key_pub *k);
const struct netmap_node *netmap_by_name(
    const struct netmap *nm,
    struct bytes name); /* FQDN with or without dot, or short name in our domain; any case */
const struct netmap_region *netmap_regions(const struct netmap *nm, size_t *n);
const struct netmap_region *netmap_region(const struct netmap *nm, uint16_t id);
const struct netmap_user *netmap_user(const struct netmap *nm, int64_t id);
const char *netmap_domain(const struct netmap *nm);       /* "" before */
const char *netmap_magic_suffix(const struct netmap *nm); /* without dots around; "" when none */
const char *const *netmap_health(const struct netmap *nm, size_t *n);
span_t netmap_clock_skew(const struct netmap *nm); /* control's clock minus ours, when beyond 1 min
						      and not before NETMAP_CLOCK_EPOCH_S */

/* Local enforcement of expiry: marks what has expired by now (changes come out as usual:
 * NETMAP_P_OTHER and whatever was hidden); an expired peer shows no endpoints and no relay. Returns
 * when to call next, {INT64_MAX}: never. */
wall_t netmap_expire(struct netmap *nm, wall_t now);

/* DNS */
struct netmap_resolver {
	struct ipport addr;
	const char *url;
	bool use_with_exit;
};
/* names: lower case, no dots around */
struct netmap_route {
	const char *suffix;
	const struct netmap_resolver *v;
	size_t n;
}; /* n 0: answer locally */
struct netmap_record {
	const char *name;
	struct ip ip;
};
struct netmap_dns {
	const struct netmap_resolver *resolvers;
	size_t n_resolvers;
	const struct netmap_route *routes;
	size_t n_routes;
	const char *const *domains;
	size_t n_domains;
	const struct netmap_record *records;
	size_t n_records; /* sorted by name; A and AAAA only */
	const struct netmap_resolver *fallback;
	size_t n_fallback;
	const char *const *cert_domains;
	size_t n_cert_domains;
	bool proxied;
};
const struct netmap_dns *netmap_dns(const struct netmap *nm);

/* The effective filter rules as JSON text pieces (one array each), for model/filter.h. */
size_t netmap_n_filters(const struct netmap *nm);
struct bytes netmap_filter(const struct netmap *nm, size_t i);
bool netmap_has_filter(
    const struct netmap *nm); /* false until control sent one: then everything is denied */

/* The whole state as one JSON MapResponse that netmap_feed takes back: the cached netmap. 0,
 * -ENOMEM */
MUST_USE int netmap_emit(const struct netmap *nm, struct buf *out);
/* The same in pieces of some 64 peers. nm must not change in between. */
struct netmap_text;
struct netmap_text *netmap_text_new(const struct netmap *nm); /* NULL: out of memory */
void netmap_text_free(struct netmap_text *t);                 /* NULL is fine */
/* Appends the next piece to out, which may be emptied between two. 1, 0 (that was all), -ENOMEM */
MUST_USE int netmap_text_next(struct netmap_text *t, struct buf *out);
struct netmap_stat {
	uint64_t frames, bad_peers /* peers and patches */,
	    bad_values /* sections that were ignored */, skipped_big, unknown_patches,
	    left_out;  /* fields and elements of lists, whose peer, user or section was kept */
	size_t memory; /* bytes of peers, users and indexes */
};
void netmap_stat(const struct netmap *nm, struct netmap_stat *st);

#endif
