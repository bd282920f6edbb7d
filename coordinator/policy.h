/* coordinator/policy.h - the tailnet policy: HuJSON text to packet filters, visibility and
 * approvals, pure
 *
 * groups, hosts, tagOwners, acls, grants, autoApprovers, ssh (kept, passed on), nodeAttrs, tests,
 * autogroups. A policy that does not parse, names unknown things or fails its own tests is refused
 * with line and column.
 */
#ifndef COORDINATOR_POLICY_H
#define COORDINATOR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"

struct policy;

enum {
	POLICY_TEXT_MAX = 1 << 20,
	POLICY_RULES_MAX = 10000,
	POLICY_NAMES_MAX = 10000,
	POLICY_TAG_MAX = 64, /* with NUL */
};

struct policy_node {      /* what a policy sees of a node; borrowed for the call */
	int64_t id;       /* 0: an empty place */
	int64_t owner;    /* the user's number; 0: owned by tags */
	const char *user; /* login name; "" when it is owned by tags */
	const char (*tags)[POLICY_TAG_MAX];
	size_t n_tags;
	struct ip v4, v6; /* zero: none */
	const struct ipprefix *routes;
	size_t n_routes; /* that it announces and that are approved */
};

struct policy *policy_parse(struct bytes text,
			    struct err *e); /* NULL: e has "line L, column C: ..." */
void policy_free(struct policy *p);
struct bytes policy_text(const struct policy *p); /* as it was given */

/* Resolves all names for these nodes; v stays the caller's and must live until the next prepare or
 * update. Before any of the calls below that take an index. p NULL is fine. 0 or -ENOMEM */
MUST_USE int policy_prepare(struct policy *p, const struct policy_node *v, size_t n);
/* The node in place i is new, gone or other than it was; v and n may have moved and grown by it.
 * Costs what one node has to do with the rules. 0 or -ENOMEM: prepare again */
MUST_USE int policy_update(struct policy *p, const struct policy_node *v, size_t n, size_t i);
/* May the packet filter of self be another than at the last policy_settle? */
bool policy_filter_stale(const struct policy *p, size_t self);
void policy_settle(struct policy *p);
/* Prepares, then runs the `tests` section; -EINVAL: e names the first that fails. Names without a
 * node prove nothing. */
MUST_USE int policy_test(struct policy *p, const struct policy_node *v, size_t n, struct err *e);

struct policy_judged {
	size_t held, open;   /* claims: judged, not to be judged without nodes */
	unsigned first_open; /* line of its test */
};
enum { POLICY_OFFLINE_MAX = 4096 };
/* The `tests` section without any nodes, by names alone: see policy_offline.c. 0, -EINVAL: e names
 * the first that fails, -ENOMEM. Prepare again afterwards. */
MUST_USE int policy_test_names(struct policy *p, struct policy_judged *j, struct err *e);

/* The packet filter of node `self` (an index of the prepared nodes), reduced to rules that lead to
 * it: appended as a JSON array of FilterRule (control-protocol.md 4.10). p NULL: allow all. 0 or
 * -ENOMEM */
MUST_USE int policy_filter_emit(struct policy *p, size_t self, struct buf *out);
/* May a and b know of each other: some rule lets one reach the other. p NULL: yes. */
bool policy_sees(const struct policy *p, size_t a, size_t b);
/* A route that a peer announces and that is approved: is it among what the viewer is told of that
 * peer (AllowedIPs)? */
struct policy_route {
	struct ipprefix prefix;
	bool is_primary; /* the peer is the one that serves the subnet now; not for exit routes */
	bool seen;       /* the answer */
};
/* Exit routes for who may reach anything of their family, subnets for who may send there or is
 * reached from there, and who serves the same subnet; what grants lead over other routers (`via`)
 * is left out, what they lead over this one is in. Indices as in policy_sees. p NULL: all that is
 * primary. 0 or -ENOMEM */
MUST_USE int policy_routes_seen(struct policy *p, size_t viewer, size_t peer,
				struct policy_route *v, size_t n);
/* May answers of policy_routes_seen be others than at the last policy_settle? */
bool policy_routes_stale(const struct policy *p);
/* SSHPolicy object for self appended, or nothing when the policy has no ssh section; check_url is
 * where its node asks about sessions under a rule with the action check. 0 or -ENOMEM */
MUST_USE int policy_ssh_emit(const struct policy *p, size_t self, const char *check_url,
			     struct buf *out);
/* Does an ssh rule want a check of sessions from src to dst, and how long does one hold (0: not at
 * all)? Indices as in policy_sees; p NULL: no. */
bool policy_ssh_check(const struct policy *p, size_t src, size_t dst, span_t *period);
/* Further members of self's CapMap (nodeAttrs) as `"name":[]` pairs separated by commas, or
 * nothing. 0 or -ENOMEM */
MUST_USE int policy_attrs_emit(const struct policy *p, const struct policy_node *self,
			       struct buf *out);
bool policy_tag_allowed(const struct policy *p, const char *user, const char *tag); /* tagOwners */
bool policy_has_tag(const struct policy *p, const char *tag); /* p NULL: any */
bool policy_route_approved(const struct policy *p, const struct policy_node *node,
			   const struct ipprefix *route); /* autoApprovers */

#endif
