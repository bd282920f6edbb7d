/* wg/index.h - receiver index to peer */
#ifndef WG_INDEX_H
#define WG_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/rng.h"

struct index_slot {
	uint32_t index; /* 0: empty; indices are random, so they are their own hash */
	uint32_t peer;
};

struct index_table {
	struct index_slot *v; /* open addressing, cap a power of two, at most half full */
	size_t cap, n;
};

void wg_index_fini(struct index_table *t);
/* A fresh random index for peer, not zero; 0: out of memory. */
MUST_USE uint32_t wg_index_add(struct index_table *t, struct rng *rng, uint32_t peer);
void wg_index_del(struct index_table *t, uint32_t index); /* 0 is fine */
bool wg_index_find(const struct index_table *t, uint32_t index, uint32_t *peer);

#endif
