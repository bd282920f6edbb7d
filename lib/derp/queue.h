/* derp/queue.h - frames on their way out: queues of block chains out of one bounded pool, and the
 * writer that cuts them
 *
 * A frame lies in a chain of fixed blocks. Blocks come from a pool with a limit and a stock of
 * spare ones, so that in steady state nothing is allocated, and idle queues hold nothing. A full
 * queue gives up its oldest frame.
 */
#ifndef DERP_QUEUE_H
#define DERP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { DERP_BLOCK_SIZE = 2048, DERP_BLOCK_DATA = DERP_BLOCK_SIZE - 24 };

struct derp_block {
	struct derp_block *more; /* the rest of this frame */
	struct derp_block *next; /* the frame behind this one */
	uint32_t len;            /* first block: of the whole frame */
	uint32_t n_blocks;       /* first block: of the whole frame */
	uint8_t data[DERP_BLOCK_DATA];
};
_Static_assert(sizeof(struct derp_block) == DERP_BLOCK_SIZE, "blocks have the size they say");

struct derp_pool {
	struct derp_block *spare;
	size_t n_spare, n_used;
	size_t max;  /* blocks in use */
	size_t keep; /* spare blocks */
};
void derp_pool_fini(struct derp_pool *p); /* all blocks have been released */
void derp_pool_release(struct derp_pool *p, struct derp_block *b); /* one frame; NULL is fine */
void derp_pool_trim(struct derp_pool *p);                          /* frees the spare ones */

struct derp_queue {
	struct derp_block *head, *tail;
	size_t n, n_blocks;
};
/* Appends one frame of two parts; false: no memory, or the pool is at its limit */
MUST_USE bool derp_queue_put(struct derp_queue *q, struct derp_pool *p, struct bytes one,
			     struct bytes two);
void derp_queue_push(struct derp_queue *q, struct derp_block *b);   /* one that was taken */
struct derp_block *derp_queue_take(struct derp_queue *q);           /* the oldest frame, or NULL */
size_t derp_queue_clear(struct derp_queue *q, struct derp_pool *p); /* how many were dropped */
static inline size_t derp_blocks_for(size_t len)
{
	return (len + DERP_BLOCK_DATA - 1) / DERP_BLOCK_DATA;
}

/* One stream's end: control bytes go before queued frames, but never into one that was begun. */
struct derp_writer {
	struct buf control;
	struct derp_block *frame, *at; /* begun, or NULL; the block being copied */
	size_t off;                    /* in that block */
	size_t left;                   /* of the frame */
};
void derp_writer_init(struct derp_writer *w, size_t control_max);
void derp_writer_fini(struct derp_writer *w, struct derp_pool *p);
void derp_writer_begin(struct derp_writer *w,
		       struct derp_block *frame); /* takes it; nothing else is begun */
/* Copies what is begun, then control bytes; 0: neither is there */
size_t derp_writer_pull(struct derp_writer *w, struct derp_pool *p, uint8_t *buf, size_t cap);
static inline bool derp_writer_has(const struct derp_writer *w)
{
	return w->frame || w->control.len > 0;
}

#endif
