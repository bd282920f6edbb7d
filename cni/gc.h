/* cni/gc.h - the GC verb: what lives is listed, the rest of this network is removed
 *
 * No list at all means "do nothing", not "remove everything" (libcni leaves the key out).
 */
#ifndef CNI_GC_H
#define CNI_GC_H

#include "cni/config.h"

enum { GC_VALID_MAX = 1 << 14 };

struct gc_valid { /* borrowed from the configuration's text */
	struct bytes container, ifname;
};
/* The count, at most max; -1: malformed, too many, or with names that need escapes (none of ours).
 */
MUST_USE int gc_parse(struct bytes text, struct gc_valid *out, size_t max);
MUST_USE int gc_run(const struct config *c, struct fail *f);

#endif
