/* coordinator/ratelimit.h - so many a second from one address, in a table of fixed size
 *
 * Buckets are found by a keyed hash of the address (IPv6: its /64). Two addresses may share one;
 * with the key unknown nobody can aim at another's. Pure.
 */
#ifndef COORDINATOR_RATELIMIT_H
#define COORDINATOR_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"

enum { RATELIMIT_BUCKETS = 4096 };

struct ratelimit {
	uint8_t key[16];
	uint64_t per_s, burst;
	struct {
		mono_t at;      /* when level was right */
		uint64_t level; /* used up, in billionths */
	} bucket[RATELIMIT_BUCKETS];
};

void ratelimit_init(struct ratelimit *r, struct rng *rng, uint64_t per_s,
		    uint64_t burst);                                         /* per_s 0: no limit */
bool ratelimit_take(struct ratelimit *r, mono_t now, const struct ip *from); /* false: too many */

#endif
