/* path/better.h - which of two proven addresses of a peer is the better one (data-plane.md 2.8) */
#ifndef PATH_BETTER_H
#define PATH_BETTER_H

#include <stdbool.h>

#include "base/ip.h"
#include "base/mono.h"

struct path_quality {
	struct ipport addr; /* ip zero: none */
	span_t latency;
};

/* Is a better than b, by enough to change? The same address is never better than itself. */
bool path_better(const struct path_quality *a, const struct path_quality *b);

#endif
