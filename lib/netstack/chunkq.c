/* netstack/chunkq.c - see chunkq.h */
#include "netstack/chunkq.h"

#include <assert.h>
#include <string.h>

enum { DIR_MAX = CHUNKQ_SPAN / CHUNK_LEN };

void chunkq_init(struct chunkq *q)
{
	*q = (struct chunkq){ 0 };
}

static uint8_t **directory(struct chunkq *q)
{
	return q->dir ? q->dir : q->few;
}

static enum pool_size dir_size(uint32_t n_dir)
{
	return n_dir * sizeof(uint8_t *) == 1024   ? POOL_1K
	       : n_dir * sizeof(uint8_t *) == 4096 ? POOL_4K
						   : POOL_16K;
}

void chunkq_clear(struct chunkq *q, struct pool *p)
{
	uint8_t **dir = directory(q);

	for (uint32_t i = 0; i < q->n_dir; i++) {
		if (dir[i])
			pool_put(p, POOL_16K, dir[i]);
	}
	if (q->dir)
		pool_put(p, dir_size(q->n_dir), q->dir);
	*q = (struct chunkq){ .head = q->head };
}

/* The next size of directory: 4 inline, then 1, 4, 16 KiB of pointers. */
static bool dir_grow(struct chunkq *q, struct pool *p)
{
	uint32_t n = q->n_dir == CHUNKQ_INLINE ? 1024 / sizeof(uint8_t *) : q->n_dir * 4;
	uint8_t **from = directory(q), **to;
	uint64_t first = q->head >> CHUNK_SHIFT;

	if (n > DIR_MAX)
		return false;
	to = pool_get(p, dir_size(n));
	if (!to)
		return false;
	memset(to, 0, n * sizeof *to);
	for (uint64_t c = first; c < first + q->n_dir; c++)
		to[c & (n - 1)] = from[c & (q->n_dir - 1)];
	if (q->dir)
		pool_put(p, dir_size(q->n_dir), q->dir);
	memset(q->few, 0, sizeof q->few);
	q->dir = to;
	q->n_dir = n;
	return true;
}

bool chunkq_need(struct chunkq *q, struct pool *p, uint64_t off, size_t len)
{
	uint64_t first = q->head >> CHUNK_SHIFT, c = off >> CHUNK_SHIFT,
		 last = (off + len - 1) >> CHUNK_SHIFT;

	assert(off >= q->head);
	if (len == 0)
		return true;
	if (q->n_dir == 0)
		q->n_dir = CHUNKQ_INLINE;
	while (last - first >= q->n_dir) {
		if (!dir_grow(q, p))
			return false;
	}
	for (; c <= last; c++) {
		uint8_t **slot = &directory(q)[c & (q->n_dir - 1)];

		if (*slot)
			continue;
		*slot = pool_get(p, POOL_16K);
		if (!*slot)
			return false;
		q->n_chunks++;
	}
	return true;
}

bool chunkq_has(const struct chunkq *q, uint64_t off, size_t len)
{
	uint64_t first = q->head >> CHUNK_SHIFT, last = (off + len - 1) >> CHUNK_SHIFT;
	uint8_t *const *dir = q->dir ? q->dir : q->few;

	assert(off >= q->head && len > 0);
	if (last - first >= q->n_dir)
		return false;
	for (uint64_t c = off >> CHUNK_SHIFT; c <= last; c++) {
		if (!dir[c & (q->n_dir - 1)])
			return false;
	}
	return true;
}

void chunkq_cut(struct chunkq *q, struct pool *p, uint64_t off)
{
	uint64_t first = q->head >> CHUNK_SHIFT, c = (off + CHUNK_LEN - 1) >> CHUNK_SHIFT;

	assert(off >= q->head);
	for (; c < first + q->n_dir; c++) {
		uint8_t **slot = &directory(q)[c & (q->n_dir - 1)];

		if (*slot) {
			pool_put(p, POOL_16K, *slot);
			*slot = NULL;
			q->n_chunks--;
		}
	}
}

void chunkq_drop(struct chunkq *q, struct pool *p, uint64_t off)
{
	uint64_t c = q->head >> CHUNK_SHIFT, end = off >> CHUNK_SHIFT;

	assert(off >= q->head);
	q->head = off;
	if (c == end || q->n_chunks == 0)
		return;
	if (end - c > q->n_dir)
		c = end - q->n_dir;
	for (; c < end; c++) {
		uint8_t **slot = &directory(q)[c & (q->n_dir - 1)];

		if (*slot) {
			pool_put(p, POOL_16K, *slot);
			*slot = NULL;
			q->n_chunks--;
		}
	}
}

void chunkq_rebase(struct chunkq *q, uint64_t by)
{
	assert(by % CHUNKQ_SPAN == 0 && by <= q->head);
	q->head -= by;
}

size_t chunkq_memory(const struct chunkq *q)
{
	return (size_t)q->n_chunks * CHUNK_LEN + (q->dir ? q->n_dir * sizeof *q->dir : 0);
}

void chunkq_write(struct chunkq *q, uint64_t off, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t run;
		uint8_t *to = chunkq_at(q, off, &run);

		if (run > len)
			run = len;
		memcpy(to, data, run);
		off += run;
		data += run;
		len -= run;
	}
}

void chunkq_read(const struct chunkq *q, uint64_t off, uint8_t *out, size_t len)
{
	while (len > 0) {
		size_t run;
		const uint8_t *from = chunkq_at(q, off, &run);

		if (run > len)
			run = len;
		memcpy(out, from, run);
		off += run;
		out += run;
		len -= run;
	}
}
