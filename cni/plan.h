/* cni/plan.h - which rules a pod needs, a pure function
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
#ifndef CNI_PLAN_H
#define CNI_PLAN_H

#include "pod/rule.h"

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

#endif
