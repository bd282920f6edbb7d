/* ts2021/retry_after.h - how long a 429 wants us to wait (control-protocol.md 3.2) */
#ifndef TS2021_RETRY_AFTER_H
#define TS2021_RETRY_AFTER_H

#include "base/mono.h"
#include "base/rng.h"

enum { RETRY_AFTER_MAX_S = 3600, RETRY_AFTER_LOW_S = 5, RETRY_AFTER_HIGH_S = 10 };

/* text: the Retry-After field, seconds or an HTTP date ("" when absent). Absent, malformed, past or
 * more than an hour: 5..10 s */
span_t retry_after(const char *text, wall_t now, struct rng *rng);
/* The same of another status than 429: zero when nothing that can be obeyed is asked for */
span_t retry_after_asked(const char *text, wall_t now);

#endif
