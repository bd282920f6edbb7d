/* base/rng.h - where random bytes come from: the kernel in production, a seed in tests */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	void (*fill)(struct rng *r, void *buf, size_t len); /* never fails */
};

static inline void rng_fill(struct rng *r, void *buf, size_t len)
{
	r->fill(r, buf, len);
}

static inline uint32_t rng_u32(struct rng *r)
{
	uint32_t v;

	r->fill(r, &v, sizeof v);
	return v;
}

static inline uint64_t rng_u64(struct rng *r)
{
	uint64_t v;

	r->fill(r, &v, sizeof v);
	return v;
}

/* uniform in [0, n), n > 0; the bias is below n / 2^64 */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)rng_u64(r) * n) >> 64);
}

#endif
