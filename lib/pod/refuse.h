/* pod/refuse.h - what a pod's guards refuse is refused at once: an nftables table of our own
 *
 * The guards alone (pod/rule.h) answer by ICMP, which has a rate limit, and which Linux drops when
 * it comes upon a socket inside connect() over IPv6: connections wait 1 to 7 s then. Here a new
 * connection of TCP is reset instead. The table holds nothing of a single pod, only the ranges: the
 * kernel is asked, for each first segment into a range, whether its rules and routes lead nowhere.
 * So it needs no agent, and no care when pods come, go, get the tailnet or lose it. Where it is not
 * to be had, or is gone, the guards answer as they did.
 */
#ifndef POD_REFUSE_H
#define POD_REFUSE_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "pod/rule.h"

/* For the ranges of the guards among these rules. 0 also when it is there, or when an earlier call
 * has found that the kernel cannot (Linux 5.9, nft_fib); -errno */
MUST_USE int refuse_put(const struct rule *rules, size_t n, struct err *e);
/* Gone when no attachment is left under state_dir; 0 also when one is. */
MUST_USE int refuse_tidy(const char *state_dir, struct err *e);
MUST_USE int refuse_del(struct err *e); /* 0 also when it is gone */

#endif
