/* crypto/locked.c - see locked.h */
#include "crypto/locked.h"

#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

enum { FIRST_SLOTS = 7, MORE_SLOTS = 56, BITS = 64 };
static_assert(MORE_SLOTS <= BITS && LOCKED_SIZE % 16 == 0, "one word says which are in use");

struct slab {
	uint8_t *mem; /* sodium_malloc; NULL: none */
	unsigned n;
	uint64_t used; /* bit by slot */
};

static struct slab slabs[LOCKED_SLABS_MAX];
static size_t n_slabs; /* beyond it none has memory */

static struct slab *slab_of(const void *p)
{
	uintptr_t at = (uintptr_t)p;

	for (size_t i = 0; i < n_slabs; i++) {
		uintptr_t start = (uintptr_t)slabs[i].mem;

		if (start != 0 && at >= start && at - start < (uintptr_t)slabs[i].n * LOCKED_SIZE)
			return &slabs[i];
	}
	return NULL;
}

static uint64_t all_of(const struct slab *s)
{
	return s->n == BITS ? UINT64_MAX : (UINT64_C(1) << s->n) - 1;
}

/* One with room; NULL: the limit is reached or there is no memory. */
static struct slab *slab_with_room(void)
{
	struct slab *empty = NULL;

	for (size_t i = 0; i < n_slabs; i++) {
		if (slabs[i].mem && slabs[i].used != all_of(&slabs[i]))
			return &slabs[i];
		if (!slabs[i].mem && !empty)
			empty = &slabs[i];
	}
	if (!empty && n_slabs < LOCKED_SLABS_MAX)
		empty = &slabs[n_slabs];
	if (!empty)
		return NULL;
	empty->n = empty == slabs ? FIRST_SLOTS : MORE_SLOTS;
	empty->used = 0;
	empty->mem = sodium_malloc((size_t)empty->n * LOCKED_SIZE);
	if (!empty->mem)
		return NULL;
	if (empty == &slabs[n_slabs])
		n_slabs++;
	return empty;
}

void *locked_new(size_t len)
{
	struct slab *s = slab_with_room();
	unsigned i = 0;

	assert(len <= LOCKED_SIZE);
	if (!s)
		return calloc(1, len);
	while (s->used >> i & 1)
		i++;
	s->used |= UINT64_C(1) << i;
	return memset(s->mem + (size_t)i * LOCKED_SIZE, 0, LOCKED_SIZE);
}

void locked_free(void *p, size_t len)
{
	struct slab *s = p ? slab_of(p) : NULL;

	if (!s) {
		if (p)
			secret_wipe(p, len);
		free(p);
		return;
	}
	secret_wipe(p, LOCKED_SIZE);
	s->used &= ~(UINT64_C(1) << (size_t)((uint8_t *)p - s->mem) / LOCKED_SIZE);
	if (s->used != 0)
		return;
	sodium_free(s->mem);
	s->mem = NULL;
	while (n_slabs > 0 && !slabs[n_slabs - 1].mem)
		n_slabs--;
}

bool locked_is(const void *p)
{
	return slab_of(p) != NULL;
}

size_t locked_count(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_slabs; i++)
		for (unsigned k = 0; slabs[i].mem && k < slabs[i].n; k++)
			n += slabs[i].used >> k & 1;
	return n;
}
