/* coordinator/policy_priv.h - the policy in memory, shared by its reader, its names and its
 * compiler */
#ifndef COORDINATOR_POLICY_PRIV_H
#define COORDINATOR_POLICY_PRIV_H

#include "base/json.h"
#include "coordinator/policy.h"

enum {
	POLICY_ALIAS_MAX = 256,
	POLICY_PORTS_MAX = 64, /* ranges of one destination */
	POLICY_PROTOS_MAX = 16,
	POLICY_RANGES_MAX = 65536,
};

struct names { /* a list of aliases as written */
	char **v;
	size_t n;
};

struct entry { /* group, tag owner, approver: a name and its aliases */
	char *name;
	struct names members;
};
struct entries {
	struct entry *v;
	size_t n;
};

struct host {
	char *name;
	struct ipprefix prefix;
};

struct ports {
	uint16_t first, last;
};

struct target { /* "alias:ports" */
	char *alias;
	size_t n_ports;
	struct ports ports[POLICY_PORTS_MAX];
};

struct rule { /* of acls and grants alike */
	struct names src;
	struct target *dst;
	size_t n_dst;
	size_t n_protos;
	uint8_t protos[POLICY_PROTOS_MAX];
	char *app;                /* JSON object of capabilities, or NULL */
	size_t at;                /* where it stands in the text */
	struct ipranges *src_set; /* prepared */
};

struct check { /* of tests */
	char *src;
	uint8_t proto;
	struct target *accept, *deny;
	size_t n_accept, n_deny;
	size_t at;
};

struct ssh_rule {
	struct names src, dst, users;
	bool is_check;
	int64_t period_ns;
};

struct attr {
	struct names target, attrs;
};

struct ipranges { /* sorted, without overlap */
	struct iprange *v;
	size_t n, cap;
};

struct policy {
	char *text; /* as given */
	size_t len;
	struct entries groups, tags, routes;
	struct names exit;
	struct host *hosts;
	size_t n_hosts;
	struct rule *rules;
	size_t n_rules;
	struct check *checks;
	size_t n_checks;
	struct ssh_rule *ssh;
	size_t n_ssh;
	struct attr *attrs;
	size_t n_attrs;
	/* prepared: the nodes as they were told last */
	const struct policy_node *nodes;
	size_t n_nodes;
};

/* policy_names.c */
const struct entry *entry_find(const struct entries *e, const char *name);
bool alias_known(const struct policy *p, const char *alias, bool as_dst); /* parses or is defined */
/* Is the node (one of v) among the alias; addresses only, not routes. */
bool alias_has_node(const struct policy *p, const char *alias, const struct policy_node *node);
/* Adds the addresses that the alias stands for. false: out of memory or over the limit */
bool alias_ranges(const struct policy *p, const char *alias, const struct policy_node *v, size_t n,
		  struct ipranges *out);
bool user_is(const char *alias, const char *user);
bool is_user_alias(const char *alias);

/* policy_ranges.c */
bool ipranges_add(struct ipranges *r, const struct iprange *one);
bool ipranges_add_ip(struct ipranges *r, const struct ip *a); /* a zero address is skipped */
bool ipranges_add_prefix(struct ipranges *r, const struct ipprefix *p);
void ipranges_merge(struct ipranges *r); /* sorts and joins what touches */
bool ipranges_has(const struct ipranges *r, const struct ip *a);
bool ipranges_overlap(const struct ipranges *r, const struct ipprefix *p);
bool ipranges_emit(const struct ipranges *r, struct jsonw *w); /* as array elements */
void ipranges_free(struct ipranges *r);
struct iprange range_of(const struct ipprefix *p);

#endif
