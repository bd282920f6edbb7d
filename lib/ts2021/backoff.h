/* ts2021/backoff.h - how long to wait after the n-th failure in a row (control-protocol.md 4.3)
 *
 * n * n * 10 ms, at most 30 s, times a random factor between 0.5 and 1.5.
 */
#ifndef TS2021_BACKOFF_H
#define TS2021_BACKOFF_H

#include "base/mono.h"
#include "base/rng.h"

enum { BACKOFF_STEP_MS = 10, BACKOFF_MAX_MS = 30000 };

struct backoff {
	unsigned n;
};

static inline void backoff_reset(struct backoff *b)
{
	b->n = 0;
}
span_t backoff_fail(struct backoff *b, struct rng *rng);
/* What retries without hope use: never less than half of the longest wait */
span_t backoff_fail_slow(struct backoff *b, struct rng *rng);

#endif
