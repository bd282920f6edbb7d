/* coordinator/ratelimit.c - see ratelimit.h */
#include "coordinator/ratelimit.h"

#include "crypto/siphash.h"

void ratelimit_init(struct ratelimit *r, struct rng *rng, uint64_t per_s, uint64_t burst)
{
	*r = (struct ratelimit){ .per_s = per_s, .burst = burst };
	rng_fill(rng, r->key, sizeof r->key);
}

bool ratelimit_take(struct ratelimit *r, mono_t now, const struct ip *from)
{
	uint64_t h = siphash(r->key, from->b, ip_is_v4(from) ? 16 : 8), drained;
	size_t i = h % RATELIMIT_BUCKETS;
	int64_t passed = mono_sub(now, r->bucket[i].at).ns;

	if (r->per_s == 0)
		return true;
	if (__builtin_mul_overflow((uint64_t)(passed > 0 ? passed : 0), r->per_s, &drained) ||
	    drained > r->bucket[i].level)
		drained = r->bucket[i].level;
	r->bucket[i].level -= drained;
	r->bucket[i].at = now;
	if (r->bucket[i].level + NS_PER_S > r->burst * NS_PER_S)
		return false;
	r->bucket[i].level += NS_PER_S;
	return true;
}
