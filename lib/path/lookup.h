/* path/lookup.h - hash of bytes -> numbers; several numbers may stand under one hash, the caller
 * compares the keys
 *
 * Hashes are seeded, since peers choose keys and addresses. Memory is 8 bytes a slot, at most half
 * of them filled.
 */
#ifndef PATH_LOOKUP_H
#define PATH_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct lookup_slot {
	uint32_t hash, id;
};
struct lookup {
	struct lookup_slot *v; /* owned; cap is a power of two, or 0 */
	size_t n, cap;
};

uint32_t lookup_hash(uint64_t seed, const void *data, size_t len);
MUST_USE int lookup_add(struct lookup *l, uint32_t hash, uint32_t id); /* 0, -ENOMEM */
void lookup_del(struct lookup *l, uint32_t hash, uint32_t id);         /* nothing when absent */
void lookup_fini(struct lookup *l);

/* One number after the other: size_t pos = LOOKUP_START; while (lookup_next(l, hash, &pos, &id))
 * ... */
#define LOOKUP_START SIZE_MAX
bool lookup_next(const struct lookup *l, uint32_t hash, size_t *pos, uint32_t *id);

#endif
