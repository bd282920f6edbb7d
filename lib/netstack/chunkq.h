/* netstack/chunkq.h - a stretch of an endless line of bytes, kept in chunks
 *
 * Offsets count from the start of a connection and never wrap (64 bits). Live is what lies between
 * the head and whatever the user of the queue keeps as its end; a chunk exists only where somebody
 * asked for room. Growing adds chunks and moves nothing; dropping the head gives whole chunks back.
 * The directory of chunks starts inside the struct, so that a queue of up to CHUNKQ_INLINE chunks
 * needs nothing else.
 */
#ifndef NETSTACK_CHUNKQ_H
#define NETSTACK_CHUNKQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "netstack/pool.h"

enum { CHUNK_SHIFT = 14, CHUNK_LEN = 1 << CHUNK_SHIFT, CHUNKQ_INLINE = 4 };
/* 32 MiB, more than any connection's limit: what a queue may span at most, so offsets that differ
 * by a multiple of it have the same place in every directory */
enum { CHUNKQ_SPAN = CHUNK_LEN / sizeof(uint8_t *) * CHUNK_LEN };

struct chunkq {
	uint64_t head;  /* offset of the first live byte */
	uint8_t **dir;  /* NULL: the inline one; entry of chunk c is c & (n_dir - 1) */
	uint32_t n_dir; /* power of two; 0 while nothing was ever kept */
	uint32_t n_chunks;
	uint8_t *few[CHUNKQ_INLINE];
};

void chunkq_init(struct chunkq *q);
void chunkq_clear(struct chunkq *q, struct pool *p); /* gives all memory back; head stays */
/* Makes [off, off + len) writable; off >= head; false: no memory (nothing changed, but for chunks
 * that were added). */
MUST_USE bool chunkq_need(struct chunkq *q, struct pool *p, uint64_t off, size_t len);
/* Whether [off, off + len) is writable already. */
bool chunkq_has(const struct chunkq *q, uint64_t off, size_t len);
/* Gives back the chunks that begin at off or behind it. */
void chunkq_cut(struct chunkq *q, struct pool *p, uint64_t off);
/* Moves the head; chunks below it go back. off >= head. */
void chunkq_drop(struct chunkq *q, struct pool *p, uint64_t off);
/* The offsets of all that is live become less by `by`: a multiple of CHUNKQ_SPAN, at most head. */
void chunkq_rebase(struct chunkq *q, uint64_t by);
size_t chunkq_memory(const struct chunkq *q);

/* The byte at off, whose chunk exists, and how many follow it in the same chunk (itself counted).
 */
static inline uint8_t *chunkq_at(const struct chunkq *q, uint64_t off, size_t *run)
{
	uint8_t *const *dir = q->dir ? q->dir : q->few;

	*run = CHUNK_LEN - (size_t)(off & (CHUNK_LEN - 1));
	return dir[off >> CHUNK_SHIFT & (q->n_dir - 1)] + (off & (CHUNK_LEN - 1));
}

void chunkq_write(struct chunkq *q, uint64_t off, const uint8_t *data,
		  size_t len); /* where there is room */
void chunkq_read(const struct chunkq *q, uint64_t off, uint8_t *out, size_t len);

#endif
