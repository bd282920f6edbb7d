/* model/merge.h - a JSON object with some members replaced and everything else kept as it was
 * written
 *
 * For documents that other programs own too (a stored profile): what we do not know must survive
 * our writing.
 */
#ifndef MODEL_MERGE_H
#define MODEL_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { MERGE_MAX = 64 };

struct merge_member {
	const char *key;   /* plain ASCII, nothing to escape; compared without regard to case */
	struct bytes json; /* value as JSON text; len 0: the member is removed */
};

/* Appends base with the n <= MERGE_MAX members replaced in place and the missing ones at the end.
 * base: a JSON object, or empty or `null` for none. -EBADMSG when base is not an object, -ENOMEM;
 * out is then as before. */
MUST_USE int merge_emit(struct bytes base, const struct merge_member *m, size_t n, struct buf *out);

#endif
