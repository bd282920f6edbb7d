/* model/arena.c - see arena.h */
#include "model/arena.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 2048 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, cap;
	_Alignas(max_align_t) uint8_t mem[];
};

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->head;
	size_t want = (size + 7) & ~(size_t)7;
	void *p;

	if (!c || c->cap - c->used < want) {
		size_t cap = want > ARENA_CHUNK ? want : ARENA_CHUNK;

		c = malloc(sizeof *c + cap);
		if (!c) {
			a->failed = true;
			return NULL;
		}
		*c = (struct arena_chunk){ .next = a->head, .cap = cap };
		a->head = c;
		a->bytes += sizeof *c + cap;
	}
	p = c->mem + c->used;
	c->used += want;
	memset(p, 0, size);
	return p;
}

char *arena_str(struct arena *a, struct bytes s)
{
	char *p = arena_alloc(a, s.len + 1);

	if (p && s.len > 0)
		memcpy(p, s.data, s.len);
	return p;
}

void arena_free(struct arena *a)
{
	struct arena_chunk *c, *next;

	for (c = a->head; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){ 0 };
}
