/* netstack/pool.h - all memory that traffic makes grow, in blocks of three sizes, under one budget
 *
 * Blocks that are given back wait in a list, so that a running transfer, whose buffers fill and
 * empty by megabytes, does not call malloc. Every POOL_IDLE the list is cut to what was in use at
 * the most lately, which fades by a quarter each time, and emptied when nothing has moved. Blocks
 * in use and waiting ones together never exceed the budget.
 *
 * A connection whose buffers may become large says so (pool_expect) when their limits grow, and
 * again while it runs: so many blocks are there from then on, before a reader that pauses asks for
 * them, and none goes back meanwhile.
 */
#ifndef NETSTACK_POOL_H
#define NETSTACK_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"

enum pool_size { POOL_1K, POOL_4K, POOL_16K, POOL_SIZES };
#define POOL_IDLE SPAN_S(1)

struct pool_block {
	struct pool_block *next;
};

struct pool {
	struct pool_block *waiting[POOL_SIZES];
	size_t used, waiting_bytes, limit;
	size_t peak; /* of used, since the list was cut; or what the one before has faded to */
	size_t expected[2]; /* the most that one connection asked for since then, and before */
	uint64_t n_malloc;  /* a test holds a running transfer against this */
	uint64_t freed;     /* bytes that went back to malloc, ever */
	bool touched;       /* something moved since the list was cut */
	mono_t trim_at;
};

static inline size_t pool_bytes(enum pool_size size)
{
	return (size_t)1024 << (2 * size);
}

void pool_init(struct pool *p, size_t limit);
void pool_fini(struct pool *p);
void *pool_get(struct pool *p,
	       enum pool_size size); /* uninitialised; NULL: budget or memory ran out */
void pool_put(struct pool *p, enum pool_size size, void *block);
/* Until it has not been said for POOL_IDLE: so many bytes, but at most half of the budget, are in
 * use or wait. Calls malloc only when the number is larger than before. */
void pool_expect(struct pool *p, size_t bytes);
/* When pool_tick wants to be called; MONO_NEVER while nothing waits. */
mono_t pool_deadline(const struct pool *p);
void pool_tick(struct pool *p, mono_t now);

/* Share of the budget that is in use, in 1/16. */
static inline unsigned pool_pressure(const struct pool *p)
{
	return (unsigned)(p->used / (p->limit / 16 + 1));
}

#endif
