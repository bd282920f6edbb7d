/* cni/rule.h - one routing-policy rule, and the plan: which rules a pod needs, a pure function
 *
 * For each address of the pod and each range of its family:
 *
 *      priority      from POD to RANGE lookup TABLE        only while the pod has the tailnet
 * granted priority + 1  from POD to RANGE unreachable         always: the guard
 *
 * and, when the host's end of the pod's cable is known and is no port of a bridge, the guard once
 * more by that interface, so that a made-up source address is refused as well. The table has the
 * agent's routes; when they are gone or their device has no carrier the lookup falls through to the
 * guard, and nothing ever reaches the default gateway.
 */
#ifndef CNI_RULE_H
#define CNI_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/json.h"

enum {
	RULE_IPS_MAX = 16,
	RULE_RANGES_MAX = 8,
	RULE_MAX = RULE_IPS_MAX * RULE_RANGES_MAX * 2 + RULE_RANGES_MAX
};

struct rule {
	bool is_v6, is_lookup; /* else unreachable */
	bool has_from;
	uint32_t priority, table; /* table: only of a lookup */
	struct ipprefix from, to;
	char iif[16]; /* "": any */
};

struct plan_input {
	const struct ip *ips;
	size_t n_ips;
	const struct ipprefix *ranges;
	size_t n_ranges;
	const char *iif; /* "" : not known */
	uint32_t table, priority;
};

/* Guards first, then lookups, which only a granted pod gets. The count; never more than RULE_MAX,
 * given counts within their limits. */
size_t plan_rules(const struct plan_input *in, struct rule out[static RULE_MAX]);
bool rule_eq(const struct rule *a, const struct rule *b);
const char *rule_text(const struct rule *r, char *out, size_t cap); /* as `ip rule` shows it */

/* One JSON object; what emit wrote, parse reads. A malformed one fails the reader. */
void rule_emit(struct jsonw *w, const struct rule *r);
void rule_parse(struct json *j, struct rule *out);

#endif
