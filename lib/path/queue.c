/* path/queue.c - see queue.h */
#include "path/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_KEEP = 16 }; /* an emptied queue with more room than this gives it back */

void queue_init(struct queue *q, size_t item, size_t max)
{
	*q = (struct queue){ .item = item, .max = max };
}

void queue_fini(struct queue *q)
{
	free(q->mem);
	queue_init(q, q->item, q->max);
}

void *queue_at(const struct queue *q, size_t i)
{
	assert(i < q->n);
	return q->mem + (q->head + i) % q->cap * q->item;
}

static bool grow(struct queue *q)
{
	size_t cap = q->cap ? q->cap * 2 : CAP_KEEP;
	uint8_t *mem;

	if (q->n >= q->max)
		return false;
	mem = malloc(cap * q->item);
	if (!mem)
		return false;
	for (size_t i = 0; i < q->n; i++)
		memcpy(mem + i * q->item, queue_at(q, i), q->item);
	free(q->mem);
	q->mem = mem;
	q->cap = cap;
	q->head = 0;
	return true;
}

bool queue_push(struct queue *q, const void *item)
{
	if (q->n >= q->max || (q->n == q->cap && !grow(q)))
		return false;
	memcpy(q->mem + (q->head + q->n) % q->cap * q->item, item, q->item);
	q->n++;
	return true;
}

bool queue_pop(struct queue *q, void *item)
{
	if (q->n == 0)
		return false;
	memcpy(item, queue_at(q, 0), q->item);
	q->head = (q->head + 1) % q->cap;
	q->n--;
	if (q->n == 0 && q->cap > CAP_KEEP)
		queue_fini(q);
	return true;
}
