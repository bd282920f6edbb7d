/* os/loop_heap.h - for neighbours: deadlines in order, an intrusive pairing heap that never
 * allocates */
#ifndef OS_LOOP_HEAP_H
#define OS_LOOP_HEAP_H

#include "os/loop.h"

/* All take the root (NULL: empty) and return the new one. */
struct loop_timer *loop_heap_add(struct loop_timer *root, struct loop_timer *t);
struct loop_timer *loop_heap_del(struct loop_timer *root, struct loop_timer *t);

#endif
