/* kube/backoff.c - see backoff.h */
#include "kube/backoff.h"

span_t kube_backoff(unsigned n, span_t first, span_t most, struct rng *rng)
{
	int64_t ns = first.ns;

	while (n-- > 0 && ns < most.ns)
		ns = ns > most.ns / 2 ? most.ns : ns * 2;
	if (ns > most.ns)
		ns = most.ns;
	return (span_t){ ns - ns / 4 + (int64_t)rng_below(rng, (uint64_t)(ns / 2) + 1) };
}
