/* path/netcheck.h - what the network is like: STUN to every relay region, home DERP, own public
 * addresses (data-plane.md 3.6, 4)
 *
 * Pure. Relay host names are resolved by the caller (NETCHECK_WANT_NAME / netcheck_name). Probes
 * leave from the WireGuard sockets; answers come back through netcheck_feed.
 */
#ifndef PATH_NETCHECK_H
#define PATH_NETCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"

enum {
	NETCHECK_REGIONS_MAX = 256,
	NETCHECK_NODES_MAX = 8,
	NETCHECK_HOST_MAX = 256,
	NETCHECK_ENDPOINTS_MAX = 16
};

struct netcheck;

struct netcheck_node {
	char host[NETCHECK_HOST_MAX];
	struct ip v4, v6;   /* zero: resolve host */
	bool no_v4, no_v6;  /* family disabled */
	uint16_t stun_port; /* 0: no STUN there */
};
struct netcheck_region {
	uint16_t id;
	double score; /* multiplies latency; 1 */
	bool no_home; /* Avoid or NoMeasureNoHome */
	size_t n_nodes;
	struct netcheck_node nodes[NETCHECK_NODES_MAX];
};

struct netcheck *netcheck_new(struct rng *rng); /* NULL: out of memory; rng outlives it */
void netcheck_free(struct netcheck *nc);
MUST_USE int netcheck_set_map(struct netcheck *nc, mono_t now, const struct netcheck_region *v,
			      size_t n);                           /* copies; 0, -ENOMEM, -E2BIG */
void netcheck_set_families(struct netcheck *nc, bool v4, bool v6); /* what the sockets can send */

/* While control is away the home must not move: peers could not be told. A first home is still
 * found. */
void netcheck_hold_home(struct netcheck *nc, bool hold);
/* The home at hand (of the last run, or a guess): hysteresis then starts from it. For before the
 * first round. */
void netcheck_set_home(struct netcheck *nc, uint16_t region);
void netcheck_want_full(
    struct netcheck *nc); /* the network changed: the next round asks every region */

void netcheck_start(struct netcheck *nc,
		    mono_t now); /* a round (full at first and every 5 min); no-op while one runs */
bool netcheck_running(const struct netcheck *nc);
/* true when data was a STUN answer (ours or not): it must not go to WireGuard */
bool netcheck_feed(struct netcheck *nc, mono_t now, const struct ipport *from, const uint8_t *data,
		   size_t len);
void netcheck_name(struct netcheck *nc, mono_t now, const char *host, const struct ip *v,
		   size_t n); /* n 0: does not resolve */
void netcheck_derp_heard(struct netcheck *nc, mono_t now,
			 uint16_t region); /* a DERP frame came from it */
void netcheck_derp_rtt(struct netcheck *nc, mono_t now, uint16_t region,
		       span_t rtt); /* HTTPS or connect time, when UDP is dead */

enum netcheck_want_type {
	NETCHECK_WANT_SEND,
	NETCHECK_WANT_NAME,
	NETCHECK_WANT_HTTPS,
	NETCHECK_DONE
};
struct netcheck_want {
	enum netcheck_want_type type;
	struct ipport to;
	const uint8_t *data; /* SEND: borrowed until the next call */
	size_t len;
	char host[NETCHECK_HOST_MAX]; /* NAME */
	uint16_t region; /* HTTPS: measure it by GET /derp/latency-check, then netcheck_derp_rtt */
};
bool netcheck_next(struct netcheck *nc, mono_t now, struct netcheck_want *w);
mono_t netcheck_deadline(const struct netcheck *nc);
void netcheck_tick(struct netcheck *nc, mono_t now);

struct netcheck_latency {
	uint16_t region;
	span_t v4, v6; /* 0: not measured */
	span_t https;  /* when UDP is dead */
};
struct netcheck_report {
	mono_t at;
	bool udp, v4, v6;
	int varies_by_dest; /* -1 unknown, 0 no, 1 yes: symmetric NAT */
	uint16_t home;      /* preferred region after hysteresis; 0: none known */
	struct ipport global[NETCHECK_ENDPOINTS_MAX]; /* own addresses as seen, best first */
	size_t n_global;
	struct netcheck_latency latency[NETCHECK_REGIONS_MAX];
	size_t n_latency;
};
const struct netcheck_report *
netcheck_report(const struct netcheck *nc); /* of the last complete round; NULL before */

#endif
