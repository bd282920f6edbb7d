/* base/mono.h - time as three types that cannot mix: monotonic instants, spans, wall-clock instants
 *
 * All in nanoseconds. Protocol code gets `now` as an argument. MONO_NEVER is later than every
 * instant: "no deadline".
 */
#ifndef BASE_MONO_H
#define BASE_MONO_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	int64_t ns;
} mono_t; /* since an arbitrary start that does not change within a process */

typedef struct {
	int64_t ns;
} span_t;

typedef struct {
	int64_t ns;
} wall_t; /* since 1970-01-01T00:00:00Z; WALL_ZERO (ns 0) also stands for "not given" */

#define MONO_NEVER ((mono_t){ INT64_MAX })
#define WALL_ZERO ((wall_t){ 0 })
#define NS_PER_S INT64_C(1000000000)
#define SPAN_S(n) ((span_t){ (int64_t)(n)*NS_PER_S })
#define SPAN_MS(n) ((span_t){ (int64_t)(n)*1000000 })
#define SPAN_US(n) ((span_t){ (int64_t)(n)*1000 })
#define SPAN_NS(n) ((span_t){ (int64_t)(n) })

static inline mono_t mono_add(mono_t t, span_t d) /* MONO_NEVER stays; no overflow past it */
{
	int64_t r;

	if (t.ns == INT64_MAX || __builtin_add_overflow(t.ns, d.ns, &r))
		return MONO_NEVER;
	return (mono_t){ r };
}

static inline wall_t wall_add(wall_t t,
			      span_t d) /* the last moment there is, instead of overflow */
{
	int64_t r;

	return (wall_t){ __builtin_add_overflow(t.ns, d.ns, &r) ? INT64_MAX : r };
}

static inline span_t mono_sub(mono_t later, mono_t earlier)
{
	return (span_t){ later.ns - earlier.ns };
}

static inline bool mono_before(mono_t a, mono_t b) /* a < b */
{
	return a.ns < b.ns;
}

static inline bool mono_due(mono_t deadline, mono_t now) /* deadline <= now */
{
	return deadline.ns <= now.ns;
}

static inline mono_t mono_min(mono_t a, mono_t b)
{
	return a.ns < b.ns ? a : b;
}

static inline mono_t mono_max(mono_t a, mono_t b)
{
	return a.ns > b.ns ? a : b;
}

static inline bool mono_is_never(mono_t t)
{
	return t.ns == INT64_MAX;
}

static inline int64_t span_ms(span_t d) /* rounded down */
{
	return d.ns / 1000000;
}

#endif
