/* ts2021/backoff.c - see backoff.h */
#include "ts2021/backoff.h"

enum {
	BACKOFF_N_MAX = 55
}; /* 55 * 55 * 10 ms exceeds the longest wait: counting further changes nothing */

static span_t jitter(uint64_t ms, struct rng *rng)
{
	uint64_t us = ms * 1000;

	return SPAN_US(us / 2 + rng_below(rng, us + 1));
}

span_t backoff_fail(struct backoff *b, struct rng *rng)
{
	uint64_t ms;

	if (b->n < BACKOFF_N_MAX)
		b->n++;
	ms = (uint64_t)b->n * b->n * BACKOFF_STEP_MS;
	return jitter(ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS, rng);
}

span_t backoff_fail_slow(struct backoff *b, struct rng *rng)
{
	b->n = BACKOFF_N_MAX;
	return jitter(BACKOFF_MAX_MS, rng);
}
