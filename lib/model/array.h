/* model/array.h - arrays that double as they grow */
#ifndef MODEL_ARRAY_H
#define MODEL_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

/* vp: the address of a pointer to elements of so many bytes, of which *cap have room (0: NULL);
 * wants room for so many. The caller frees it. False: out of memory, all is as it was. */
MUST_USE bool array_grow(void *vp, size_t *cap, size_t want, size_t size);

#endif
