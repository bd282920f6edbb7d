/* path/lookup.c - see lookup.h; open addressing, linear probing, deletion by moving back */
#include "path/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EMPTY = UINT32_MAX, CAP_MIN = 16 };

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint32_t lookup_hash(uint64_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = seed ^ len, word;

	for (size_t left = len; left > 0;) {
		size_t n = MIN_OF(left, sizeof word);

		word = 0;
		memcpy(&word, p, n);
		h = fold(h ^ word ^ UINT64_C(0x9e3779b97f4a7c15),
			 seed | UINT64_C(0x8000000000000001));
		p += n;
		left -= n;
	}
	h = fold(h, UINT64_C(0xd6e8feb86659fd93));
	return (uint32_t)(h ^ h >> 32);
}

static void place(struct lookup_slot *v, size_t cap, struct lookup_slot s)
{
	size_t i = s.hash & (cap - 1);

	while (v[i].id != EMPTY)
		i = (i + 1) & (cap - 1);
	v[i] = s;
}

static int resize(struct lookup *l, size_t cap)
{
	struct lookup_slot *v = malloc(cap * sizeof *v);

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < cap; i++)
		v[i].id = EMPTY;
	for (size_t i = 0; i < l->cap; i++)
		if (l->v[i].id != EMPTY)
			place(v, cap, l->v[i]);
	free(l->v);
	l->v = v;
	l->cap = cap;
	return 0;
}

int lookup_add(struct lookup *l, uint32_t hash, uint32_t id)
{
	if (l->n * 4 >= l->cap * 3) {
		int r = resize(l, l->cap ? l->cap * 2 : CAP_MIN);

		if (r < 0)
			return r;
	}
	place(l->v, l->cap, (struct lookup_slot){ hash, id });
	l->n++;
	return 0;
}

bool lookup_next(const struct lookup *l, uint32_t hash, size_t *pos, uint32_t *id)
{
	if (l->cap == 0)
		return false;
	for (size_t i = *pos == LOOKUP_START ? hash & (l->cap - 1) : (*pos + 1) & (l->cap - 1);
	     l->v[i].id != EMPTY; i = (i + 1) & (l->cap - 1)) {
		if (l->v[i].hash == hash) {
			*pos = i;
			*id = l->v[i].id;
			return true;
		}
	}
	return false;
}

void lookup_del(struct lookup *l, uint32_t hash, uint32_t id)
{
	size_t mask = l->cap - 1, hole, pos = LOOKUP_START;
	uint32_t found;

	do {
		if (!lookup_next(l, hash, &pos, &found))
			return;
	} while (found != id);
	hole = pos;
	for (size_t i = (hole + 1) & mask; l->v[i].id != EMPTY; i = (i + 1) & mask) {
		size_t home = l->v[i].hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) { /* may stand in the hole */
			l->v[hole] = l->v[i];
			hole = i;
		}
	}
	l->v[hole].id = EMPTY;
	l->n--;
}

void lookup_fini(struct lookup *l)
{
	free(l->v);
	*l = (struct lookup){ 0 };
}
