/* coordinator/index.c - see index.h; linear probing, deletion moves followers up (Knuth 6.4 R) */
#include "coordinator/index.h"

#include <assert.h>
#include <stdlib.h>

static size_t home(const struct index *x, uint32_t hash)
{
	return hash & (x->cap - 1);
}

static void put(struct index *x, struct index_cell cell)
{
	size_t i = home(x, cell.hash);

	while (x->v[i].value != 0)
		i = (i + 1) & (x->cap - 1);
	x->v[i] = cell;
}

bool index_reserve(struct index *x, size_t more)
{
	struct index bigger = { .n = x->n, .cap = x->cap ? x->cap : 16 };

	while (bigger.cap < 2 * (x->n + more))
		bigger.cap *= 2;
	if (bigger.cap == x->cap)
		return true;
	bigger.v = calloc(bigger.cap, sizeof *bigger.v);
	if (!bigger.v)
		return false;
	for (size_t i = 0; i < x->cap; i++)
		if (x->v[i].value != 0)
			put(&bigger, x->v[i]);
	free(x->v);
	*x = bigger;
	return true;
}

void index_fini(struct index *x)
{
	free(x->v);
	*x = (struct index){ 0 };
}

void index_add(struct index *x, uint64_t hash, uint32_t value)
{
	assert(x->n < x->cap && value < UINT32_MAX);
	put(x, (struct index_cell){ (uint32_t)hash, value + 1 });
	x->n++;
}

void index_del(struct index *x, uint64_t hash, uint32_t value)
{
	size_t i, k, mask = x->cap - 1;

	if (x->cap == 0)
		return;
	for (i = home(x, (uint32_t)hash); x->v[i].value != 0; i = (i + 1) & mask)
		if (x->v[i].hash == (uint32_t)hash && x->v[i].value == value + 1)
			break;
	if (x->v[i].value == 0)
		return;
	x->n--;
	for (k = (i + 1) & mask; x->v[k].value != 0; k = (k + 1) & mask)
		if (((k - home(x, x->v[k].hash)) & mask) >= ((k - i) & mask)) {
			x->v[i] = x->v[k];
			i = k;
		}
	x->v[i] = (struct index_cell){ 0 };
}

bool index_next(const struct index *x, uint64_t hash, size_t *at, uint32_t *value)
{
	while (x->cap > 0 && *at < x->cap) {
		const struct index_cell *c =
		    &x->v[(home(x, (uint32_t)hash) + (*at)++) & (x->cap - 1)];

		if (c->value == 0)
			return false;
		if (c->hash == (uint32_t)hash) {
			*value = c->value - 1;
			return true;
		}
	}
	return false;
}
