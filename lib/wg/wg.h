/* wg/wg.h - WireGuard: one interface with many lazy peers, pure (whitepaper; data-plane.md 1)
 *
 * Peers are numbered by the caller (`peer` below, small and dense: an index into the netmap's
 * arena). A known peer costs a table entry; cryptographic state is allocated at first traffic and
 * deleted 540 s after the last session. Paths are not our business: what is to be sent to a peer
 * comes out with its number, and no authenticated packet moves an endpoint (data-plane.md 1.5).
 *
 * Turn: wg_feed for what came in, wg_seal for what goes out, then wg_pull until empty (handshakes,
 * cookies, keepalives, packets that were staged), wg_next for events, wg_deadline/wg_tick for time.
 */
#ifndef WG_WG_H
#define WG_WG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "base/pkt.h"
#include "base/rng.h"
#include "crypto/key.h"

#define WG_NO_PEER UINT32_MAX

struct wg;

struct wg_conf {
	struct key_priv key;
	struct rng *rng;
	size_t max_peers;    /* limit of known peers */
	size_t staged_bytes; /* budget of packets that wait for a session, all peers together */
};

struct wg *wg_new(
    const struct wg_conf *conf); /* NULL: out of memory; the key is copied into wg's own memory */
void wg_free(struct wg *wg);     /* wipes keys */
void wg_set_key(struct wg *wg, const struct key_priv *key); /* node key rotated: all sessions end */

MUST_USE int wg_peer_add(struct wg *wg, uint32_t peer,
			 const struct key_pub *key); /* 0, -ENOMEM, -ENOSPC, -EEXIST */
void wg_peer_del(struct wg *wg, uint32_t peer);      /* sessions, staged packets and allowed IPs go;
							nothing is sent to or accepted from it again */
const struct key_pub *wg_peer_key(const struct wg *wg, uint32_t peer); /* NULL: unknown */
bool wg_peer_find(const struct wg *wg, const struct key_pub *key, uint32_t *peer);
/* Replaces the peer's allowed IPs; a prefix that another peer has moves to this one. 0 or -ENOMEM.
 */
MUST_USE int wg_peer_allow(struct wg *wg, uint32_t peer, const struct ipprefix *v, size_t n);
uint32_t wg_route(const struct wg *wg, const struct ip *dst); /* longest prefix; WG_NO_PEER */

/* The peer may know us only from now on (a new netmap reached it): repeat an unanswered initiation
 * at once. */
void wg_peer_nudge(struct wg *wg, mono_t now, uint32_t peer);
/* The peer has answered something else, which took `rtt`. An answer to an initiation that may still
 * be under way (by a relay it takes longer) is waited for, since another initiation would make it
 * void; false then. Else, and when nothing waits, a nudge and true. */
bool wg_peer_answers(struct wg *wg, mono_t now, uint32_t peer, span_t rtt);
/* The peer is a new process, which has none of the sessions: nothing is sent under them any more
 * (packets still arrive), and the next packet starts a handshake, at once. */
void wg_peer_restarted(struct wg *wg, uint32_t peer);
/* The peer sends under a session that is not ours. When there is none with it at all (it was
 * forgotten here for a while, and the peer did not hear of that) a handshake starts; the peer
 * itself would ask for one only after 15 s of silence. Ours; the whitepaper drops such a packet. */
void wg_peer_unheard(struct wg *wg, mono_t now, uint32_t peer);

struct wg_plain {
	uint32_t peer;
	struct pkt
	    *pkt; /* points to the element of v; trimmed to the inner IP packet's own length */
};

/* n datagrams from one source (UDP address, or any stable pseudo-address for a relay: it only
 * serves cookies and rate limits). Transport packets are decrypted in place; out gets one entry for
 * each that is valid, not a keepalive, and whose inner source is within the peer's allowed IPs.
 * Returns their number. Everything else is handled or counted inside. */
size_t wg_feed(struct wg *wg, mono_t now, wall_t wall, const struct ipport *from, struct pkt *v,
	       size_t n, struct wg_plain *out);

/* n inner packets for one peer (each needs 16 bytes of head and 31 of tail). With a session they
 * are encrypted in place and become datagrams: returns n, all to be sent to the peer in order.
 * Without one they are copied to the stage, a handshake starts, and 0 is returned; they come out of
 * wg_pull later. */
size_t wg_seal(struct wg *wg, mono_t now, wall_t wall, uint32_t peer, struct pkt *v, size_t n);

struct wg_out {
	uint32_t peer; /* WG_NO_PEER: a cookie reply, to `to` */
	struct ipport to;
	struct pkt *v; /* datagrams; borrowed until the next call into wg */
	size_t n;
};
bool wg_pull(struct wg *wg, mono_t now, wall_t wall, struct wg_out *out);

enum wg_event_type {
	WG_EV_SESSION,   /* a new session is usable for sending; first: none was before */
	WG_EV_GAVE_UP,   /* no answer for REKEY_ATTEMPT_TIME; staged packets are gone */
	WG_EV_FORGOTTEN, /* 540 s after the last session: state freed, the peer is known but idle */
};
struct wg_event {
	enum wg_event_type type;
	uint32_t peer;
	bool first;
};
bool wg_next(struct wg *wg, struct wg_event *ev);

mono_t wg_deadline(const struct wg *wg);
void wg_tick(struct wg *wg, mono_t now, wall_t wall);

struct wg_peer_stat {
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets;
	wall_t last_handshake; /* WALL_ZERO: never */
	bool has_session, handshaking;
};
bool wg_peer_stat(const struct wg *wg, uint32_t peer,
		  struct wg_peer_stat *st); /* false: unknown peer */

enum wg_drop {
	WG_DROP_NONE,
	WG_DROP_SHORT,
	WG_DROP_TYPE,
	WG_DROP_SIZE,
	WG_DROP_MAC1,
	WG_DROP_MAC2,
	WG_DROP_RATE,
	WG_DROP_UNKNOWN_KEY,
	WG_DROP_FORGED,
	WG_DROP_OLD_TIMESTAMP,
	WG_DROP_FLOOD,
	WG_DROP_UNKNOWN_INDEX,
	WG_DROP_EXPIRED,
	WG_DROP_REPLAY,
	WG_DROP_INNER_SHAPE,
	WG_DROP_INNER_SOURCE,
	WG_DROP_STAGE_FULL,
	WG_DROP_NO_MEMORY,
	WG_DROP_N
};
extern const char *const wg_drop_names[WG_DROP_N];
const uint64_t *wg_drops(const struct wg *wg); /* WG_DROP_N counters */

#endif
