/* crypto/locked.c - see locked.h */
#include "crypto/locked.h"

#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

enum { BITS = 64 };
static_assert(LOCKED_SIZE % 16 == 0 && LOCKED_SMALL % 16 == 0, "slots are aligned");

struct slab {
	uint8_t *mem; /* sodium_malloc; NULL: none */
	unsigned n;
	uint64_t used; /* bit by slot */
};

/* slots of one size; the first pages are few */
struct slots {
	const size_t size;
	const unsigned first,
	    more; /* slots of a slab; at most BITS: one word says which are used */
	size_t n; /* slabs; beyond it none has memory */
	struct slab slabs[LOCKED_SLABS_MAX];
};
static struct slots small = { .size = LOCKED_SMALL, .first = 14, .more = BITS },
		    large = { .size = LOCKED_SIZE, .first = 7, .more = 56 };

static struct slab *slab_in(struct slots *t, const void *p)
{
	uintptr_t at = (uintptr_t)p;

	for (size_t i = 0; i < t->n; i++) {
		uintptr_t start = (uintptr_t)t->slabs[i].mem;

		if (start != 0 && at >= start && at - start < t->slabs[i].n * t->size)
			return &t->slabs[i];
	}
	return NULL;
}

static uint64_t all_of(const struct slab *s)
{
	return s->n == BITS ? UINT64_MAX : (UINT64_C(1) << s->n) - 1;
}

/* One with room; NULL: the limit is reached or there is no memory. */
static struct slab *slab_with_room(struct slots *t)
{
	struct slab *empty = NULL;

	for (size_t i = 0; i < t->n; i++) {
		if (t->slabs[i].mem && t->slabs[i].used != all_of(&t->slabs[i]))
			return &t->slabs[i];
		if (!t->slabs[i].mem && !empty)
			empty = &t->slabs[i];
	}
	if (!empty && t->n < LOCKED_SLABS_MAX)
		empty = &t->slabs[t->n];
	if (!empty)
		return NULL;
	empty->n = empty == t->slabs ? t->first : t->more;
	empty->used = 0;
	empty->mem = sodium_malloc(empty->n * t->size);
	if (!empty->mem)
		return NULL;
	if (empty == &t->slabs[t->n])
		t->n++;
	return empty;
}

void *locked_new(size_t len)
{
	struct slots *t = len <= LOCKED_SMALL ? &small : &large;
	struct slab *s = slab_with_room(t);
	unsigned i = 0;

	assert(len <= LOCKED_SIZE);
	if (!s)
		return calloc(1, len);
	while (s->used >> i & 1)
		i++;
	s->used |= UINT64_C(1) << i;
	return memset(s->mem + i * t->size, 0, t->size);
}

void locked_free(void *p, size_t len)
{
	struct slots *t = len <= LOCKED_SMALL ? &small : &large;
	struct slab *s = p ? slab_in(t, p) : NULL;

	if (!s) {
		if (p)
			secret_wipe(p, len);
		free(p);
		return;
	}
	secret_wipe(p, t->size);
	s->used &= ~(UINT64_C(1) << (size_t)((uint8_t *)p - s->mem) / t->size);
	if (s->used != 0)
		return;
	sodium_free(s->mem);
	s->mem = NULL;
	while (t->n > 0 && !t->slabs[t->n - 1].mem)
		t->n--;
}

bool locked_is(const void *p)
{
	return slab_in(&large, p) || slab_in(&small, p);
}

static size_t count(const struct slots *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		for (unsigned k = 0; t->slabs[i].mem && k < t->slabs[i].n; k++)
			n += t->slabs[i].used >> k & 1;
	return n;
}

size_t locked_count(void)
{
	return count(&small) + count(&large);
}
