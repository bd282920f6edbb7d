/* wg/allowedips.h - prefix to peer, longest match */
#ifndef WG_ALLOWEDIPS_H
#define WG_ALLOWEDIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/ip.h"
#include "base/rng.h"

#define ALLOWED_NONE UINT32_MAX

struct allowed_slot {
	struct ip ip;
	uint32_t peer; /* ALLOWED_NONE: empty */
	uint8_t bits;
};

struct allowed {
	struct allowed_slot *v; /* open addressing, cap a power of two, at most half full */
	size_t cap, n;
	uint64_t seed[2];
	uint32_t count[129]; /* prefixes of each length */
	uint64_t used[3];    /* bit b: count[b] > 0 */
	struct ip last;      /* the last question and its answer; packets come in runs */
	uint32_t last_peer;
	bool last_valid;
};

void wg_allowed_init(struct allowed *a, struct rng *rng);
void wg_allowed_fini(struct allowed *a);
MUST_USE bool wg_allowed_reserve(struct allowed *a,
				 size_t extra); /* false: out of memory; then nothing changed */
void wg_allowed_put(struct allowed *a, const struct ipprefix *p,
		    uint32_t peer); /* reserved; takes it from who had it */
void wg_allowed_del(struct allowed *a, const struct ipprefix *p,
		    uint32_t peer); /* unless it is another's */
uint32_t wg_allowed_look(const struct allowed *a, const struct ip *ip);
uint32_t wg_allowed_find(struct allowed *a,
			 const struct ip *ip); /* the same, remembers the last answer */

#endif
