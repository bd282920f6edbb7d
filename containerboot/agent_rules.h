/* containerboot/agent_rules.h - the plugin's files and the kernel's rules brought together
 *
 * Every file of the state directory names an attachment and its rules. What a file wants and the
 * kernel has not is put (a pod that started while the agent was away, a rule that somebody
 * deleted); what the kernel has under our protocol number and no file names is removed; a file
 * whose namespace is gone for a minute goes with its rules. What makes guards answer at once
 * (pod/refuse.h) is there as long as a file is.
 */
#ifndef CONTAINERBOOT_AGENT_RULES_H
#define CONTAINERBOOT_AGENT_RULES_H

#include "base/err.h"
#include "pod/netlink.h"

struct agent_rules_counts {
	size_t attachments, granted; /* files; those of them with the tailnet */
	size_t put, swept, gone,
	    bad; /* this time: rules put, rules removed, files removed, files that do not parse */
};
/* 0 or -errno; out holds what was done either way. Nothing is swept when a file could not be read.
 */
MUST_USE int agent_rules_reconcile(struct netlink *nl, const char *state_dir, uint8_t protocol,
				   struct agent_rules_counts *out, struct err *e);
/* Removes every file and every rule, and the refusals. 0 or -errno */
MUST_USE int agent_rules_remove(struct netlink *nl, const char *state_dir, uint8_t protocol,
				struct err *e);

#endif
