/* netstack/dgramq.c - see dgramq.h */
#include "netstack/dgramq.h"

#include <stdlib.h>

struct dgram_block {
	struct dgram_block *next;
	size_t cap, used, read; /* bytes of mem */
	bool is_big; /* from malloc: one record that no block holds (reassembled datagrams) */
	_Alignas(8) uint8_t mem[];
};

enum { ALIGN = 8 };

void dgramq_init(struct dgramq *q, size_t max)
{
	*q = (struct dgramq){ .max = max };
}

static void drop_block(struct dgramq *q, struct pool *p)
{
	struct dgram_block *b = q->first;

	q->first = b->next;
	if (!q->first)
		q->last = NULL;
	if (b->is_big) {
		p->used -= b->cap;
		free(b);
	} else {
		pool_put(p, POOL_16K, b);
	}
}

static void drop_taken(struct dgramq *q, struct pool *p)
{
	struct dgram_block *b = q->first;

	if (!q->taken)
		return;
	b->read += q->taken->cap;
	q->bytes -= q->taken->cap;
	q->taken = NULL;
	if (b->read == b->used)
		drop_block(q, p);
}

void dgramq_fini(struct dgramq *q, struct pool *p)
{
	while (q->first)
		drop_block(q, p);
	q->taken = NULL;
	q->bytes = 0;
}

static struct dgram_block *new_block(struct pool *p, size_t need)
{
	size_t cap = pool_bytes(POOL_16K) - sizeof(struct dgram_block);
	struct dgram_block *b;

	if (need <= cap) {
		b = pool_get(p, POOL_16K);
		if (b)
			*b = (struct dgram_block){ .cap = cap };
		return b;
	}
	if (need > p->limit - p->used)
		return NULL;
	b = malloc(sizeof *b + need);
	if (b) {
		*b = (struct dgram_block){ .cap = need, .is_big = true };
		p->used += need;
		p->n_malloc++;
	}
	return b;
}

struct dgram *dgramq_add(struct dgramq *q, struct pool *p, size_t len)
{
	size_t need = (sizeof(struct dgram) + len + ALIGN - 1) / ALIGN * ALIGN;
	struct dgram *d;

	drop_taken(q, p);
	if (need > q->max - q->bytes)
		return NULL;
	if (!q->last || need > q->last->cap - q->last->used) {
		struct dgram_block *b = new_block(p, need);

		if (!b)
			return NULL;
		if (q->last)
			q->last->next = b;
		else
			q->first = b;
		q->last = b;
	}
	d = (struct dgram *)(void *)(q->last->mem + q->last->used);
	*d = (struct dgram){ .len = (uint32_t)len, .cap = (uint32_t)need };
	q->last->used += need;
	q->bytes += need;
	return d;
}

const struct dgram *dgramq_peek(const struct dgramq *q)
{
	const struct dgram_block *b = q->first;
	size_t at;

	if (!b)
		return NULL;
	at = b->read + (q->taken ? q->taken->cap : 0);
	if (at == b->used) {
		b = b->next;
		at = 0;
	}
	return b ? (const struct dgram *)(const void *)(b->mem + at) : NULL;
}

const struct dgram *dgramq_take(struct dgramq *q, struct pool *p)
{
	drop_taken(q, p);
	if (!q->first)
		return NULL;
	q->taken = (struct dgram *)(void *)(q->first->mem + q->first->read);
	return q->taken;
}
