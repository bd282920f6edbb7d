/* wg/cookie.h - mac1, mac2, cookies, and what keeps a flood of handshakes cheap */
#ifndef WG_COOKIE_H
#define WG_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"
#include "wg/message.h"

enum {                         /* ours: when we are under load; docs/limits.md */
       LOAD_LEVEL = 128,       /* handshake messages at once, an eighth of the stock queue */
       LOAD_DRAIN_PER_S = 500, /* and sustained: 6 % of a core */
       LOAD_STICKY_MS = 1000,
};
enum { /* whitepaper 5.3 gives no numbers; these are the kernel's */
       RATE_PER_S = 20,
       RATE_BURST = 5,
       RATE_SETS = 256, /* ours: sources remembered under load, RATE_WAYS in a set */
       RATE_WAYS = 4,
};

struct rate_slot {
	uint64_t source; /* hash of the address; 0: free */
	int64_t spent_until_ns;
};

struct cookie_guard { /* our side as the one who may demand cookies */
	uint8_t secret[32];
	mono_t secret_until;
	bool has_secret;
	uint64_t seed[2];
	int64_t level_ns; /* work outstanding, in time at the drain rate */
	mono_t level_at, load_until;
	bool started;           /* level_at is valid */
	struct rate_slot *rate; /* RATE_SETS * RATE_WAYS, only while needed */
};

void wg_cookie_guard_init(struct cookie_guard *g, struct rng *rng);
void wg_cookie_guard_fini(struct cookie_guard *g);
bool wg_cookie_under_load(const struct cookie_guard *g, mono_t now);
/* one more handshake message with a right mac1 has come: are we under load? */
bool wg_cookie_note_load(struct cookie_guard *g, mono_t now);
/* one more from this address, with a right mac2: may it be worked on? *no_memory: refused for want
 * of memory */
bool wg_cookie_rate_allows(struct cookie_guard *g, mono_t now, const struct ip *from,
			   bool *no_memory);
void wg_cookie_guard_idle(struct cookie_guard *g,
			  mono_t now); /* gives memory back when the flood is over */

bool wg_mac1_check(const uint8_t mac1_key[static 32], const uint8_t *msg, size_t macs);
bool wg_mac2_check(struct cookie_guard *g, mono_t now, struct rng *rng, const struct ipport *from,
		   const uint8_t *msg, size_t macs);
/* The reply to a message without a right mac2; receiver: the message's sender index. */
void wg_cookie_emit(struct cookie_guard *g, mono_t now, struct rng *rng, const struct ipport *from,
		    const uint8_t cookie_key[static 32], uint32_t receiver,
		    const uint8_t mac1[static MAC_LEN], uint8_t out[static MSG_COOKIE_LEN]);

struct cookie { /* the other side: what a peer has given us */
	uint8_t value[COOKIE_LEN];
	mono_t until;
	bool valid;
};

/* false: forged, or no answer to the message whose mac1 was that */
bool wg_cookie_read(struct cookie *c, mono_t now, const uint8_t cookie_key[static 32],
		    const uint8_t mac1[static MAC_LEN], const uint8_t in[static MSG_COOKIE_LEN]);
/* Writes both MACs at msg + macs. */
void wg_macs_put(uint8_t *msg, size_t macs, const uint8_t mac1_key[static 32],
		 const struct cookie *c, mono_t now);

#endif
