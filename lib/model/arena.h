/* model/arena.h - small pieces of memory that are freed together: the structs and strings of one
 * section */
#ifndef MODEL_ARENA_H
#define MODEL_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct arena_chunk;
struct arena { /* all zero: empty */
	struct arena_chunk *head;
	size_t bytes;
	bool failed; /* some allocation did: ask once at the end */
};

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned to 8; NULL and failed */
char *arena_str(struct arena *a, struct bytes s);
void arena_free(struct arena *a);

#endif
