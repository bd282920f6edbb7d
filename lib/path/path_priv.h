/* path/path_priv.h - what the files of the path machine share; see path.c for how it works */
#ifndef PATH_PATH_PRIV_H
#define PATH_PATH_PRIV_H

#include "path/better.h"
#include "path/disco.h"
#include "path/lookup.h"
#include "path/path.h"
#include "path/queue.h"

enum { /* data-plane.md 2.4, seconds */
       HEARTBEAT_S = 3,
       ACTIVE_S = 45, /* traffic within this: heartbeats go on */
       PING_TIMEOUT_S = 5,
       PING_GAP_S = 5,      /* between discovery pings to one endpoint */
       UPGRADE_S = 60,      /* between full rounds on a trusted path that is not good enough */
       FRESH_S = 27,        /* own endpoints are fresh */
       LEARNED_S = 45,      /* a candidate known only from pings */
       WG_ONLY_TRY_S = 1,   /* 1.5: trust in an untried address of a WireGuard-only peer */
       WG_ONLY_TRUST_S = 5, /* and in one that we hear from */
};
#define TRUST SPAN_MS(6500)
#define WHOLE_WAIT SPAN_MS(500) /* ours: at least, for the answer to a large ping */
#define CALL_AFTER SPAN_MS(10)  /* ours: from pings to the call-me-maybe */
#define GOOD_LATENCY SPAN_MS(5)

enum { /* ours: what strangers and peers can make us hold, each tested at its limit in limits_test.c
	*/
       PEERS_MAX = 1 << 20,
       LEARNED_MAX = 16,     /* candidates of a peer known only from its pings */
       PINGS_PER_PEER = 128, /* outstanding, or sent with another disco key just now */
       PINGS_MAX = 16384,    /* outstanding, all peers */
       CLI_PINGS_MAX = 64,   /* outstanding, of path_ping */
       OUT_MAX = 4096,       /* packets waiting for path_pull */
       EVENTS_MAX = 1024,
       OWN_MAX = 32,          /* own endpoints, in a call-me-maybe */
       SHARED_DISCO_MAX = 16, /* peers with one disco key that a ping concerns */
       FORGET_S = 540,  /* an idle peer's candidates are freed, as WireGuard forgets its keys */
       REPEAT_S = 1,    /* after a call-me-maybe: it went through a relay, and its pings are back */
       WHOLE_S = 8,     /* between checks that full packets get through; see whole.c */
       WHOLE_TRIES = 5, /* large pings lost in a row beside small ones that are answered */
       NARROW_S = 30,   /* until an address that failed is tried again */
       WHOLE_LEN = 1280 + 32, /* of a full WireGuard datagram */
       CALLED_TRUST_S = 1,    /* left to the best address when the peer calls */
       TOLD_GAP_MS = 250,     /* between looks through the endpoints of all peers */
       STUN_WAIT_S = 6,       /* a call-me-maybe goes out without fresh endpoints after this */
};

#define NO_PING UINT32_MAX
#define LONG_AGO ((mono_t){ INT64_MIN / 2 })

struct cand { /* an address where a peer may be */
	struct ipport addr;
	bool netmap, called, learned; /* who says so: control, a call-me-maybe, its own ping */
	bool bound;                   /* in by_addr: a disco exchange proved it */
	bool repeated;                /* the last ping to it was sent twice */
	bool narrow;                  /* full packets do not get through */
	uint8_t got_txid[DISCO_TXID]; /* of the last ping from there */
	mono_t last_ping, last_got_ping, last_pong, bound_at, narrow_at;
};

struct live { /* a peer that is or was in use; freed FORGET_S after */
	uint32_t peer;
	struct cand *cands; /* owned */
	size_t n_cands, cap_cands;
	struct path_quality best;
	mono_t trust_until;
	mono_t last_send, last_heard, last_full, last_call;
	mono_t next_full; /* no endpoint may be pinged again before */
	mono_t beat_at;   /* MONO_NEVER: no heartbeat */
	mono_t whole_at;  /* next step of the check in whole.c; MONO_NEVER: none */
	mono_t whole_sent;
	unsigned n_whole_lost;
	bool whole_waits; /* for the answer to what was sent then */
	mono_t call_at;   /* a call-me-maybe is due; MONO_NEVER: none */
	mono_t repeat_at; /* unanswered pings once more; MONO_NEVER: no */
	mono_t due;       /* key in the heap; never later than the real need */
	size_t heap_pos;
	size_t n_pings; /* outstanding */
	size_t n_void;  /* sent with a disco key that it had before; they count till then */
	mono_t void_until;
	bool announced; /* PATH_EV_DIRECT was the last word */
	bool owes_call; /* we pinged because the peer called, and have not called it */
	bool wants_cmm; /* a call-me-maybe waits for fresh endpoints */
	uint8_t derp_txid[DISCO_TXID]; /* of the last ping over a relay */
};

struct known { /* a peer of the netmap: small, since there may be 10,000 */
	bool present, wireguard_only;
	bool bad_disco; /* a low-order point, or our own: no box with it */
	uint16_t n_eps, home_derp, heard_derp;
	uint32_t netmap_disco; /* hash of the disco key that control gave last */
	struct key_pub node, disco;
	struct ipport *eps; /* owned */
	uint8_t *shared;    /* owned, locked_new; BOX_SHARED bytes, at the first disco packet */
	struct live *live;  /* owned; NULL: idle */
};

enum why { WHY_DISCOVERY, WHY_HEARTBEAT, WHY_CLI, WHY_GREET, WHY_WHOLE };

struct ping { /* outstanding */
	uint8_t txid[DISCO_TXID];
	uint32_t peer;
	struct ipport to; /* ip zero: over a relay */
	uint16_t derp;
	enum why why;
	uint64_t token;
	mono_t at;
	uint32_t prev, next; /* by age; next also chains free ones */
};

struct out {          /* a packet to be sealed when it is pulled */
	uint8_t type; /* enum disco_type; 0: its peer is gone */
	uint32_t peer;
	struct ipport to;
	uint16_t derp;
	uint8_t txid[DISCO_TXID];
	struct ipport src;
	size_t padding;
	bool whole;
};

struct path {
	struct rng *rng;
	struct key_priv *disco; /* secret_new */
	struct key_pub disco_pub, node;
	bool derp_only;
	uint64_t seed;

	struct known *peers; /* by the caller's number */
	size_t cap_peers;
	struct lookup by_node, by_disco, by_addr, by_txid;

	struct live **heap; /* by due */
	size_t n_heap, cap_heap;

	struct ping *pings;
	size_t cap_pings, n_pings, n_cli_pings;
	uint32_t ping_oldest, ping_newest, ping_free;

	struct queue out, events;
	struct ipport own[OWN_MAX];
	size_t n_own;
	mono_t own_at;
	mono_t stun_wait_until; /* MONO_NEVER: nobody waits */
	mono_t next_told;       /* path_peer_told looks again */
	bool want_stun;

	uint64_t drops[PATH_DROP_N];
	uint8_t buf[DISCO_PACKET_MAX];
};

static inline void path_drop(struct path *p, enum path_drop why)
{
	p->drops[why]++;
}

/* known.c - the table of peers */
struct known *known_at(const struct path *p, uint32_t peer); /* NULL: not there */
struct known *known_by_node(const struct path *p, const struct key_pub *node, uint32_t *peer);
/* up to cap peers that have this disco key; returns their number */
size_t known_by_disco(const struct path *p, const struct key_pub *disco, uint32_t *peers,
		      size_t cap);
/* the shared key, computed at first use; NULL: no disco key, a hostile one, or no memory */
const uint8_t *known_shared(struct path *p, struct known *k);
uint16_t known_derp(const struct known *k); /* region to reach it; 0: none */
void known_fini(struct path *p);

/* live.c - peers in use, and their deadlines */
struct live *live_get(struct path *p, mono_t now,
		      uint32_t peer); /* makes it; NULL: unknown peer or no memory */
void live_free(struct path *p, struct live *l);
void live_rearm(struct path *p, mono_t now, struct live *l); /* after a change of its times */
bool live_trusted(const struct live *l, mono_t now);
bool live_active(const struct live *l, mono_t now);
void live_trust(struct path *p, mono_t now, struct live *l, const struct path_quality *q,
		span_t trust);
void live_doubt(struct path *p, struct live *l); /* no best address any more */
void live_reset(struct path *p, mono_t now,
		struct live *l); /* everything proven is void: other disco key */
void live_tick(struct path *p, mono_t now);
mono_t live_deadline(const struct path *p);
void path_say(struct path *p, const struct path_event *ev);

/* candidate.c - where a peer may be */
struct cand *cand_find(const struct live *l, const struct ipport *addr);
struct cand *cand_add(struct path *p, mono_t now, struct live *l,
		      const struct ipport *addr); /* finds or adds; NULL: refused */
struct cand *cand_learn(struct path *p, mono_t now, struct live *l,
			const struct ipport *addr); /* by a ping from there */
void cand_netmap(struct path *p, mono_t now, struct live *l, const struct ipport *v, size_t n);
void cand_bind(struct path *p, mono_t now, struct live *l, struct cand *c);
void cand_unbind(struct path *p, struct live *l, struct cand *c);
void cand_prune(struct path *p, mono_t now, struct live *l);
bool cand_usable(const struct ipport *addr);

/* ping.c - outstanding pings */
bool ping_send(struct path *p, mono_t now, struct live *l, const struct ipport *to, uint16_t derp,
	       enum why why, uint64_t token, size_t padding);
struct ping ping_take(struct path *p, uint32_t slot); /* outstanding no more */
uint32_t ping_find(const struct path *p, const uint8_t txid[static DISCO_TXID]); /* NO_PING */
void ping_forget(struct path *p, uint32_t peer);
void ping_settle(struct path *p, uint32_t peer,
		 uint64_t token);                   /* answered: its twins become plain */
size_t ping_padding_whole(const struct ipport *to); /* as large as a full WireGuard datagram */
void ping_tick(struct path *p, mono_t now);
mono_t ping_deadline(const struct path *p);

/* discovery.c - when to ping what, and when to ask to be pinged */
void discovery_beat(struct path *p, mono_t now, struct live *l);
void discovery_round(struct path *p, mono_t now, struct live *l, bool call);
bool discovery_wanted(const struct live *l, mono_t now);
void discovery_called(struct path *p, mono_t now, struct live *l, struct rd endpoints, size_t n);
/* the peer's ping came from there, or its filter had time to open: ours may get through now */
void discovery_heard(struct path *p, mono_t now, struct live *l, struct cand *c);
void discovery_call(struct path *p, mono_t now, struct live *l);
void discovery_repeat(struct path *p, mono_t now, struct live *l);
/* own endpoints are as fresh as they get: send what waits; changed: and tell those who were just
 * told others */
void discovery_fresh(struct path *p, mono_t now, bool changed);

/* whole.c - does an address carry full packets? */
void whole_renew(struct live *l);             /* another best address, or nothing known */
void whole_start(struct live *l, mono_t now); /* traffic goes on: check from time to time */
void whole_tick(struct path *p, mono_t now, struct live *l);
void whole_answered(struct live *l, struct cand *c);

/* receive.c has path_feed_udp and path_feed_derp; send.c path_pull */
bool out_push(struct path *p, const struct out *o);
void out_forget(struct path *p, uint32_t peer);

#endif
