/* base/attr.c - what the cleanup attributes call */
#include "base/attr.h"

#include <stdlib.h>

void attr_free(void *pp)
{
	free(*(void **)pp);
}
