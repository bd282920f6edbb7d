/* coordinator/index.h - numbers found by hash: open addressing, several of one hash allowed, no
 * allocation but in index_reserve
 *
 * The owner hashes what it looks for (keyed: strangers choose keys and names) and compares what it
 * finds; the index knows neither. 8 bytes an entry, at most half full.
 */
#ifndef COORDINATOR_INDEX_H
#define COORDINATOR_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct index_cell {
	uint32_t hash, value; /* value + 1; 0: free */
};
struct index { /* all zero: empty */
	struct index_cell *v;
	size_t n, cap;
};

MUST_USE bool index_reserve(struct index *x, size_t more); /* room for so many; false: no memory */
void index_fini(struct index *x);
void index_add(struct index *x, uint64_t hash, uint32_t value); /* room was reserved */
void index_del(struct index *x, uint64_t hash, uint32_t value); /* not there: nothing */
/* One after the other the values of a hash (and now and then of another); *at is 0 at first. */
bool index_next(const struct index *x, uint64_t hash, size_t *at, uint32_t *value);

#endif
