/* wg/index.c - receiver index to peer, by open addressing with deletion that moves entries back */
#include "wg/index.h"

#include <stdlib.h>

enum { CAP_MIN = 16 };

void wg_index_fini(struct index_table *t)
{
	free(t->v);
	*t = (struct index_table){ 0 };
}

static struct index_slot *slot_of(const struct index_table *t, uint32_t index)
{
	size_t i = index & (t->cap - 1);

	while (t->v[i].index != 0 && t->v[i].index != index)
		i = (i + 1) & (t->cap - 1);
	return &t->v[i];
}

static bool grow(struct index_table *t)
{
	struct index_table old = *t;
	size_t cap = t->cap ? 2 * t->cap : CAP_MIN;
	struct index_slot *v = calloc(cap, sizeof *v);

	if (!v)
		return false;
	t->v = v;
	t->cap = cap;
	for (size_t i = 0; i < old.cap; i++)
		if (old.v[i].index != 0)
			*slot_of(t, old.v[i].index) = old.v[i];
	free(old.v);
	return true;
}

uint32_t wg_index_add(struct index_table *t, struct rng *rng, uint32_t peer)
{
	struct index_slot *s;
	uint32_t index;

	if (2 * (t->n + 1) > t->cap && !grow(t))
		return 0;
	do
		index = rng_u32(rng);
	while (index == 0 || slot_of(t, index)->index == index);
	s = slot_of(t, index);
	*s = (struct index_slot){ index, peer };
	t->n++;
	return index;
}

void wg_index_del(struct index_table *t, uint32_t index)
{
	size_t mask = t->cap - 1, gap;
	struct index_slot *s;

	if (index == 0 || t->n == 0)
		return;
	s = slot_of(t, index);
	if (s->index != index)
		return;
	gap = (size_t)(s - t->v);
	for (size_t i = (gap + 1) & mask; t->v[i].index != 0; i = (i + 1) & mask) {
		size_t home = t->v[i].index & mask;

		if (((i - home) & mask) >= ((i - gap) & mask)) {
			t->v[gap] = t->v[i];
			gap = i;
		}
	}
	t->v[gap].index = 0;
	t->n--;
}

bool wg_index_find(const struct index_table *t, uint32_t index, uint32_t *peer)
{
	const struct index_slot *s;

	if (index == 0 || t->n == 0)
		return false;
	s = slot_of(t, index);
	if (s->index != index)
		return false;
	*peer = s->peer;
	return true;
}
