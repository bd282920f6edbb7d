/* path/netcheck_priv.h - what netcheck.c (rounds), probes.c (who is asked) and home.c (the choice)
 * share */
#ifndef PATH_NETCHECK_PRIV_H
#define PATH_NETCHECK_PRIV_H

#include "path/netcheck.h"
#include "wire/stun.h"

enum { /* data-plane.md 4.2, milliseconds */
       ROUND_MS = 5000,
       STUN_MS = 3000,
       FULL_EVERY_MS = 5 * 60 * 1000,
       FIRST_STEP_MS = 100, /* between tries of a full round */
       RETRY_MS = 200,      /* when the latency is not known */
       RETRY_LATE_MS = 50,  /* more for each try from the third on */
       HISTORY_MS = 305 * 1000,
       HOME_MARGIN_MS = 10,
       HEARD_MS = 8000,         /* a relay that spoke within this is reachable */
       HEARD_ALONE_MS = 120000, /* the same when nothing at all was measured */
};
enum { /* 4.2, counts */
       FULL_TRIES = 3,
       HOME_TRIES = 4,
       FAST_TRIES = 2,
       FAST_REGIONS = 2,
       INCREMENTAL_REGIONS = 3,
       ENOUGH_REGIONS = 3,
};
enum {                    /* ours */
       GRACE_MIN_MS = 50, /* wait at least this after enough regions answered */
       HISTORY_N = 16,    /* remembered latencies of a region: rounds come every 20 s or later */
       PROBES_MAX = NETCHECK_REGIONS_MAX * FULL_TRIES * 2 + NETCHECK_REGIONS_MAX,
};

enum name_state { NAME_UNKNOWN, NAME_ASKED, NAME_KNOWN, NAME_NONE };

struct node {             /* struct netcheck_node, at rest */
	char *host;       /* owned */
	struct ip v4, v6; /* given, or resolved */
	bool fixed_v4, fixed_v6, no_v4, no_v6;
	uint16_t stun_port;
	enum name_state name;
};
struct sample {
	mono_t at;
	span_t latency;
};
struct region {
	uint16_t id;
	double score;
	bool no_home;
	size_t n_nodes;
	struct node *nodes;               /* owned */
	struct sample history[HISTORY_N]; /* best latency of each round; latency 0: free */
	size_t next_sample;
	mono_t heard_at; /* a DERP frame */
	span_t last;     /* best latency of the last round that measured it; 0: none */
	/* of the round that runs */
	span_t v4, v6, https;
	bool probed, https_asked, https_due;
};

struct probe {
	uint16_t region, node;
	bool v6, sent, answered;
	uint8_t random[STUN_TXID - 2]; /* of its transaction id: the last two bytes name it */
	mono_t due, sent_at;
};
struct seen {                       /* an own address in an answer */
	struct ipport addr, server; /* server: the first that said so */
	unsigned count;
	size_t order; /* of first sight */
};

struct netcheck {
	struct rng *rng;
	uint32_t stable; /* the pick when nothing is known */
	uint16_t home;   /* of the last report, or given; 0: none */
	bool can_v4, can_v6, hold_home, want_full;

	struct region *regions; /* owned */
	size_t n_regions;

	enum { IDLE, STUN, HTTPS } phase;
	bool is_full, done; /* done: NETCHECK_DONE is to be told */
	mono_t started, stop_at, last_full;
	struct probe *probes; /* owned; of the round that runs */
	size_t n_probes;
	struct seen seen[NETCHECK_ENDPOINTS_MAX];
	size_t n_seen;
	size_t n_v4_servers; /* v4 answers of different servers, as far as it matters (0..2) */
	struct ip v4_server;
	bool varies, ever;

	struct netcheck_report *report; /* owned; NULL before the first */
	uint8_t request[STUN_REQUEST_LEN];
};

#define NEVER_HEARD ((mono_t){ INT64_MIN / 2 })

/* probes.c */
MUST_USE int probes_plan(struct netcheck *nc, mono_t now); /* 0, -ENOMEM */
bool probe_address(const struct netcheck *nc, const struct probe *pr,
		   struct ipport *to); /* false: not (yet) known */
struct node *probe_unnamed(struct netcheck *nc,
			   const struct probe *pr); /* its name must be resolved first; NULL: no */
bool probe_is_open(const struct netcheck *nc,
		   const struct probe *pr); /* it would still tell us something */
bool probes_all_answered(
    const struct netcheck *nc);                   /* each region that was asked, by either family */
bool probes_exhausted(const struct netcheck *nc); /* nothing is left to send or to wait for */

/* home.c */
span_t region_best(const struct region *r); /* of the round that runs; 0: none */
void region_remember(struct region *r, mono_t now);
uint16_t home_choose(const struct netcheck *nc, mono_t now, uint16_t old);

#endif
