/* model/array.c - see array.h */
#include "model/array.h"

#include <stdlib.h>

bool array_grow(void *vp, size_t *cap, size_t want, size_t size)
{
	size_t n = *cap ? *cap : 16;
	void **v = vp, *p;

	if (want <= *cap)
		return true;
	while (n < want)
		if (__builtin_mul_overflow(n, 2, &n))
			return false;
	p = reallocarray(*v, n, size);
	if (!p)
		return false;
	*v = p;
	*cap = n;
	return true;
}
