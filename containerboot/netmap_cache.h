/* containerboot/netmap_cache.h - the last known netmap in a file beside the state: peers are
 * reached before control answers
 *
 * Not an entry of the state: with 10,000 peers it has 6 MB, which every change of the state would
 * write again and the process would hold. It can be lost: a start without it waits for control.
 */
#ifndef CONTAINERBOOT_NETMAP_CACHE_H
#define CONTAINERBOOT_NETMAP_CACHE_H

#include "base/err.h"
#include "node/node.h"

enum { NETMAP_CACHE_MAX = 16 << 20 }; /* bytes; a larger netmap is not kept */

/* path NULL: there is no file and nothing happens. 0 (also when there is none), or -errno with one
 * line: then the file is removed and nothing was loaded. */
MUST_USE int netmap_cache_load(const char *path, struct node *n, mono_t now, wall_t wall,
			       struct err *e);
MUST_USE int netmap_cache_save(const char *path, const struct netmap *nm, struct err *e);
void netmap_cache_drop(const char *path);

#endif
