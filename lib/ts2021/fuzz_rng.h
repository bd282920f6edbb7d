/* ts2021/fuzz_rng.h - random numbers that are the same in each run of a fuzz target */
#ifndef TS2021_FUZZ_RNG_H
#define TS2021_FUZZ_RNG_H

#include "base/rng.h"

struct fuzz_rng {
	struct rng rng;
	uint32_t x;
};

static inline void fuzz_rng_fill(struct rng *r, void *buf, size_t len)
{
	struct fuzz_rng *f = (struct fuzz_rng *)r;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		f->x = f->x * 1664525 + 1013904223;
		p[i] = (uint8_t)(f->x >> 24);
	}
}

#define FUZZ_RNG_INIT                                                                              \
	{                                                                                          \
		{ fuzz_rng_fill }, 1                                                               \
	}

#endif
