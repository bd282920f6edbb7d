/* base/attr.h - attributes behind names; cleanup of locals; small macros */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(n, m) __attribute__((format(printf, n, m)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b)) /* evaluates twice: plain operands only */
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Locals that clean up after themselves; TAKE_PTR hands the value on and empties the source. */
#define AUTO_FREE __attribute__((cleanup(attr_free)))
void attr_free(void *pp); /* free(*(void **)pp) */

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) take_ = (p);                                                         \
		(p) = NULL;                                                                        \
		take_;                                                                             \
	})

#endif
