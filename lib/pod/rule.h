/* pod/rule.h - one routing-policy rule: what the CNI plugin makes, its files name and its agent
 * keeps
 */
#ifndef POD_RULE_H
#define POD_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/json.h"

enum {
	RULE_IPS_MAX = 16,
	RULE_RANGES_MAX = 8,
	RULE_MAX = RULE_IPS_MAX * RULE_RANGES_MAX * 2 + RULE_RANGES_MAX /* of one attachment */
};

struct rule { /* `from` with has_from, `iif` with text: what the packet must be */
	bool is_lookup, has_from; /* not a lookup: unreachable */
	uint32_t priority, table; /* table: only of a lookup */
	struct ipprefix from, to; /* of one family */
	char iif[16];             /* "": any */
};

bool rule_eq(const struct rule *a, const struct rule *b);
const char *rule_text(const struct rule *r, char *out, size_t cap); /* as `ip rule` shows it */

/* One JSON object; what emit wrote, parse reads. A malformed one fails the reader. */
void rule_emit(struct jsonw *w, const struct rule *r);
void rule_parse(struct json *j, struct rule *out);

#endif
