/* cni/plan.c - see plan.h */
#include "cni/plan.h"

#include <assert.h>

static struct rule make(const struct plan_input *in, const struct ipprefix *to, bool is_lookup)
{
	return (struct rule){ .is_lookup = is_lookup,
			      .priority = in->priority + !is_lookup,
			      .table = is_lookup ? in->table : 0,
			      .to = *to };
}

static size_t by_address(const struct plan_input *in, bool is_lookup, struct rule *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in->n_ips; i++)
		for (size_t k = 0; k < in->n_ranges; k++) {
			if (ip_is_v4(&in->ips[i]) != ip_is_v4(&in->ranges[k].ip))
				continue;
			out[n] = make(in, &in->ranges[k], is_lookup);
			out[n].has_from = true;
			out[n].from = ipprefix_of(&in->ips[i], 128);
			n++;
		}
	return n;
}

size_t plan_rules(const struct plan_input *in, struct rule out[static RULE_MAX])
{
	size_t n = 0;

	assert(in->n_ips <= RULE_IPS_MAX && in->n_ranges <= RULE_RANGES_MAX);
	for (size_t k = 0; *in->iif && k < in->n_ranges; k++) {
		out[n] = make(in, &in->ranges[k], false);
		(void)bytes_to_str(bytes_str(in->iif), out[n].iif, sizeof out[n].iif);
		n++;
	}
	n += by_address(in, false, out + n);
	return n + by_address(in, true, out + n);
}
