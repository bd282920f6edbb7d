/* wg/wg_priv.h - what the files of this module share: the interface, a peer's entry, a peer's live
 * state
 *
 * A known peer is an entry in a table: key, greatest timestamp, counters. Its `live` state exists
 * from the first packet to or from it until 540 s after the last session. Live states hang in a
 * heap by deadline (timers.c) and, when they have something to send, in a list (`ready`). A state
 * is reached by the peer's number, never by a kept pointer.
 */
#ifndef WG_PRIV_H
#define WG_PRIV_H

#include "crypto/aead.h"
#include "crypto/locked.h"
#include "wg/allowedips.h"
#include "wg/cookie.h"
#include "wg/handshake.h"
#include "wg/index.h"
#include "wg/message.h"
#include "wg/replay.h"
#include "wg/wg.h"

struct keypair {
	struct aead_key *send, *recv;
	uint64_t send_n; /* counter of the next packet */
	struct replay replay;
	mono_t born;
	uint32_t local, remote; /* indices */
	bool is_initiator, rekeyed_on_receive, is_receive_only;
};

enum slot { SLOT_PREVIOUS, SLOT_CURRENT, SLOT_NEXT, SLOT_N };

struct staged { /* an inner packet that waits for a session */
	struct staged *next;
	uint32_t len;
	uint8_t mem[]; /* PKT_HEAD, len, PKT_TAIL */
};

struct live {
	uint32_t peer;
	uint8_t ss[32]; /* DH of our static key and the peer's */
	uint8_t mac1_key[32], cookie_key[32];
	struct cookie cookie;

	struct handshake hs; /* valid while hs_index != 0 */
	uint32_t hs_index;
	uint8_t init_mac1[MAC_LEN],
	    resp_mac1[MAC_LEN]; /* of the last ones sent: cookie replies refer to them */
	unsigned attempts;
	bool handshaking; /* until answered or given up */

	struct keypair *slot[SLOT_N];

	/* deadlines; MONO_NEVER when off */
	mono_t retry_at, keepalive_at, stale_at, zero_at;
	uint16_t
	    stale_jitter_ms; /* drawn once: traffic sets stale_at thousands of times a second */
	mono_t init_sent, init_taken; /* the last initiation sent to and accepted from the peer */
	bool has_sent, has_taken;

	bool want_init, want_keepalive, has_resp; /* to send, in wg_pull */
	uint8_t resp[MSG_RESP_LEN];
	struct staged *staged, **staged_end;
	size_t n_staged;

	struct live *ready_next, *ready_prev;
	bool is_ready;
	size_t heap_pos;
	mono_t heap_at; /* never later than the earliest deadline */
};

struct peer {
	struct key_pub key;
	bool known;
	uint8_t events; /* bit per type; EVENT_QUEUED, EVENT_FIRST besides */
	uint32_t event_next;
	uint8_t ts[TS_LEN]; /* greatest timestamp accepted; outlives the live state: no replay after
			       it */
	struct live *live;
	struct ipprefix *allowed; /* owned */
	size_t n_allowed;
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets;
	wall_t last_handshake;
};

enum { EVENT_QUEUED = 1 << 6, EVENT_FIRST = 1 << 7 };

struct cookie_out {
	uint8_t msg[MSG_COOKIE_LEN];
	struct ipport to;
};

struct wg {
	struct identity *me; /* secret_new */
	struct rng *rng;
	size_t max_peers, staged_max, staged_bytes;

	struct peer *peers;
	size_t n_slots;   /* entries of peers */
	uint32_t *by_key; /* open addressing: peer number + 1; 0 empty */
	size_t by_key_cap, n_known;
	uint64_t key_seed[4];
	struct index_table indices;
	struct allowed allowed;
	struct cookie_guard guard;
	uint8_t last_ts[TS_LEN]; /* our own timestamps rise, whatever the wall clock does */

	struct live **heap;
	size_t n_heap, heap_cap;
	struct live *ready, *ready_tail;
	uint32_t event_head, event_tail; /* peers with events; WG_NO_PEER: none */

	struct cookie_out cookies[COOKIES_MAX];
	size_t n_cookies;

	/* what wg_pull lent out */
	struct staged *lent;
	struct pkt out_v[BURST_MAX];
	uint8_t out_mem[PKT_HEAD + MSG_INIT_LEN + PKT_TAIL];

	uint64_t drops[WG_DROP_N];
};

/* peer.c */
struct peer *wg_peer_of(const struct wg *wg, uint32_t peer); /* NULL: unknown */
struct live *wg_live_get(struct wg *wg,
			 uint32_t peer); /* makes it; NULL: out of memory or a hostile key */
void wg_live_free(struct wg *wg, struct live *l); /* wipes; NULL is fine */
void wg_event_put(struct wg *wg, uint32_t peer, enum wg_event_type type, bool first);
void wg_ready_add(struct wg *wg, struct live *l);
void wg_ready_del(struct wg *wg, struct live *l);

/* session.c */
struct keypair *wg_keypair_new(const struct session_keys *keys, mono_t now, uint32_t local,
			       uint32_t remote, bool is_initiator);
void wg_keypair_drop(struct wg *wg, struct live *l, enum slot slot);
bool wg_keypair_may_send(const struct keypair *k, mono_t now);
void wg_session_install(struct wg *wg, struct live *l, struct keypair *k, mono_t now, wall_t wall);
void wg_session_confirm(struct wg *wg, struct live *l, mono_t now,
			wall_t wall); /* next proved itself */
void wg_session_start(struct wg *wg, struct live *l,
		      mono_t now); /* an initiation, unless one was sent just now */
/* n packets with room in place; the caller checked keypair_may_send */
void wg_session_seal(struct wg *wg, struct live *l, mono_t now, struct pkt *v, size_t n);
size_t wg_session_open(struct wg *wg, mono_t now, wall_t wall, struct pkt *v, size_t n,
		       struct wg_plain *out);

/* stage.c */
void wg_stage_put(struct wg *wg, struct live *l, const struct pkt *p);
struct staged *wg_stage_take(struct wg *wg, struct live *l);
void wg_stage_flush(struct wg *wg, struct live *l);

/* timers.c */
MUST_USE bool wg_timers_add(struct wg *wg, struct live *l); /* false: out of memory */
void wg_timers_del(struct wg *wg, struct live *l);
void wg_timers_touch(struct wg *wg, struct live *l); /* after a deadline changed */
void wg_timers_arm_retry(struct wg *wg, struct live *l, mono_t from);
void wg_timers_sent(struct live *l, mono_t now, bool data);
void wg_timers_received(struct live *l, mono_t now, bool data);

static inline void drop(struct wg *wg, enum wg_drop why)
{
	wg->drops[why]++;
}

#endif
