/* kube/backoff.h - how long to wait after the n-th failure in a row: doubled each time, with jitter
 */
#ifndef KUBE_BACKOFF_H
#define KUBE_BACKOFF_H

#include "base/mono.h"
#include "base/rng.h"

/* first * 2^n, at most `most`, times a random factor between 0.75 and 1.25 */
span_t kube_backoff(unsigned n, span_t first, span_t most, struct rng *rng);

#endif
