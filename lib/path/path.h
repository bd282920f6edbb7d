/* path/path.h - disco and the choice of a path for each peer, pure (data-plane.md 2)
 *
 * Peers have the caller's numbers, as in wg/wg.h. What is to be sent comes out of path_pull; whole
 * disco packets go in by path_feed_udp / path_feed_derp. path_route says where WireGuard datagrams
 * for a peer go now, and notes the traffic (which starts heartbeats and discovery).
 */
#ifndef PATH_PATH_H
#define PATH_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"

struct path;

struct path_conf {
	struct rng *rng;
	struct key_priv disco;
	struct key_pub node;
	bool derp_only; /* never offer or try UDP (TS_DEBUG_ALWAYS_USE_DERP) */
};

struct path *path_new(const struct path_conf *conf); /* NULL: out of memory */
void path_free(struct path *p);
void path_set_node_key(struct path *p, const struct key_pub *node);

enum { PATH_ENDPOINTS_MAX = 100 }; /* candidates a peer; data-plane.md 2.4 */

struct path_peer {
	struct key_pub node, disco;     /* disco all zero: DERP only */
	const struct ipport *endpoints; /* borrowed for the call */
	size_t n_endpoints;
	uint16_t home_derp; /* 0: unknown */
	bool wireguard_only;
};
MUST_USE int path_peer_set(struct path *p, mono_t now, uint32_t peer,
			   const struct path_peer *conf); /* add or update; 0, -ENOMEM */
void path_peer_del(struct path *p, uint32_t peer);
/* the peer that a source address was bound to by a proven disco exchange; false: none */
bool path_peer_at(const struct path *p, const struct ipport *from, uint32_t *peer);
/* The same by the endpoints that control names, which prove nothing. Looks through all peers, so it
 * does that once in TOLD_GAP_MS and says false in between. */
bool path_peer_told(struct path *p, mono_t now, const struct ipport *from, uint32_t *peer);

/* Own endpoints as published to control, in order; kept for CallMeMaybe. */
void path_set_endpoints(struct path *p, mono_t now, const struct ipport *v, size_t n);
void path_set_disco_key(struct path *p, mono_t now, uint32_t peer,
			const struct key_pub *disco); /* from TSMP 'a' */

bool path_is_disco(const uint8_t *data, size_t len); /* magic and length >= 62 */
void path_feed_udp(struct path *p, mono_t now, const struct ipport *from, const uint8_t *data,
		   size_t len);
void path_feed_derp(struct path *p, mono_t now, uint16_t region, const struct key_pub *from,
		    const uint8_t *data, size_t len);
/* A non-disco packet of the peer came over this region: reverse route. */
void path_note_derp(struct path *p, mono_t now, uint32_t peer, uint16_t region);
/* An authentic WireGuard packet of the peer came from this address. Moves the path of
 * WireGuard-only peers, no other. */
void path_note_udp(struct path *p, mono_t now, uint32_t peer, const struct ipport *from);
void path_derp_gone(struct path *p, mono_t now, uint16_t region,
		    const struct key_pub *key); /* PeerGone, or key NULL: region lost */
void path_send_failed(struct path *p, mono_t now,
		      const struct ipport *to); /* EHOSTUNREACH and the like */
void path_link_changed(
    struct path *p,
    mono_t now); /* interfaces or addresses changed: every best address is doubted */

struct path_route {
	struct ipport udp; /* ip zero: not over UDP */
	uint16_t derp;     /* 0: not over DERP; both may be set (data-plane.md 2.7) */
};
/* Where to send WireGuard datagrams of this peer now; notes the traffic. */
struct path_route path_route(struct path *p, mono_t now, uint32_t peer);

struct path_send {
	struct ipport udp; /* ip zero: over DERP */
	uint16_t derp;
	struct key_pub derp_to;
	const uint8_t *data; /* borrowed until the next call into path */
	size_t len;
	bool whole; /* no router may fragment it; that it cannot be sent is no failure */
};
bool path_pull(struct path *p, mono_t now, struct path_send *s);

enum path_event_type {
	PATH_EV_DIRECT,  /* peer: a direct address is trusted now (addr) */
	PATH_EV_RELAYED, /* peer: fell back */
	PATH_EV_PONG,    /* answer to path_ping: token, latency, addr or derp */
	PATH_EV_PING_TIMEOUT,
	PATH_EV_GREETED,   /* answer to path_greet: latency */
	PATH_EV_WANT_STUN, /* own endpoints are older than 27 s and a CallMeMaybe waits for fresh
			      ones */
};
struct path_event {
	enum path_event_type type;
	uint32_t peer;
	struct ipport addr;
	uint16_t derp;
	span_t latency;
	uint64_t token;
};
bool path_next(struct path *p, struct path_event *ev);

/* `tailscale ping`: one disco ping by the present route (two while a path is in doubt); the first
 * answer is the event with the token. Counts as traffic, so discovery starts. size: of the whole IP
 * packet, 0: as small as it is. */
void path_ping(struct path *p, mono_t now, uint32_t peer, uint64_t token, size_t size);

/* Is the peer there, and does it know us? The same without a word when it is not, and apart from
 * the pings that somebody waits for: peers that are away must not take their places. */
void path_greet(struct path *p, mono_t now, uint32_t peer);

mono_t path_deadline(const struct path *p);
void path_tick(struct path *p, mono_t now);

struct path_peer_stat {
	struct ipport best; /* ip zero: none */
	bool trusted;
	uint16_t derp; /* what path_route would use */
	span_t latency;
	bool active; /* traffic within 45 s */
};
bool path_peer_stat(const struct path *p, mono_t now, uint32_t peer, struct path_peer_stat *st);

enum path_drop {
	PATH_DROP_NONE,
	PATH_DROP_SHAPE,
	PATH_DROP_UNKNOWN_SENDER,
	PATH_DROP_FORGED,
	PATH_DROP_VERSION,
	PATH_DROP_TYPE,
	PATH_DROP_BODY,
	PATH_DROP_NOT_OVER_DERP,
	PATH_DROP_UNKNOWN_TXID,
	PATH_DROP_NODE_KEY,
	PATH_DROP_QUEUE_FULL,
	PATH_DROP_ENDPOINT_LIMIT,
	PATH_DROP_N
};
extern const char *const path_drop_names[PATH_DROP_N];
const uint64_t *path_drops(const struct path *p);

#endif
