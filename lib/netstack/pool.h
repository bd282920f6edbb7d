/* netstack/pool.h - all memory that traffic makes grow, in blocks of three sizes, under one budget
 *
 * Blocks that are given back wait in a short list, so that a running transfer does not call malloc;
 * the list is emptied when nothing has moved for POOL_IDLE. What counts against the budget are the
 * blocks in use, not the waiting ones, which have a limit of their own.
 */
#ifndef NETSTACK_POOL_H
#define NETSTACK_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"

enum pool_size { POOL_1K, POOL_4K, POOL_16K, POOL_SIZES };
enum { POOL_WAITING_MAX = 2 << 20 }; /* bytes, ours: a window of 100 Mb/s at 100 ms */
#define POOL_IDLE SPAN_S(1)

struct pool_block {
	struct pool_block *next;
};

struct pool {
	struct pool_block *waiting[POOL_SIZES];
	size_t used, waiting_bytes, limit;
	uint64_t n_malloc; /* a test holds a running transfer against this */
	uint64_t freed;    /* bytes that went back to malloc, ever */
	bool touched;      /* something moved since the last pool_idle */
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
/* When pool_tick wants to be called; MONO_NEVER while nothing waits. */
mono_t pool_deadline(const struct pool *p);
void pool_tick(struct pool *p, mono_t now);

/* Share of the budget that is in use, in 1/16. */
static inline unsigned pool_pressure(const struct pool *p)
{
	return (unsigned)(p->used / (p->limit / 16 + 1));
}

#endif
