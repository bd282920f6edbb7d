/* path/queue.h - a first-in first-out queue of equal items with a limit; small when empty */
#ifndef PATH_QUEUE_H
#define PATH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct queue {
	uint8_t *mem; /* owned */
	size_t item, head, n, cap, max;
};

void queue_init(struct queue *q, size_t item, size_t max);
void queue_fini(struct queue *q);
MUST_USE bool queue_push(struct queue *q, const void *item); /* false: full, or no memory */
bool queue_pop(struct queue *q, void *item);
void *queue_at(const struct queue *q,
	       size_t i); /* i < n, counted from the head; valid until the next push or pop */

#endif
