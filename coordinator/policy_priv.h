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
	POLICY_SOURCES_MAX = 4 << 20,    /* bytes of the sources of a rule */
	POLICY_SSH_PERIOD_S = 12 * 3600, /* a check holds so long when no checkPeriod is given */
	POLICY_SSH_PERIOD_MAX_S = 168 * 3600,
};

/* Places in the text are bytes from its start; POLICY_TEXT_MAX bounds them. */
struct names { /* a list of aliases as written */
	char **v;
	uint32_t *at; /* where each stands */
	size_t n;
};

struct entry { /* group, tag owner, approver: a name and its aliases */
	char *name;
	uint32_t at;
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

enum alias_kind {
	ALIAS_ANY,      /* * */
	ALIAS_ALL,      /* autogroup:danger-all: addresses outside the tailnet too */
	ALIAS_USER,     /* alice@ */
	ALIAS_GROUP,    /* group:x */
	ALIAS_TAG,      /* tag:x */
	ALIAS_MEMBER,   /* autogroup:member: not tagged */
	ALIAS_TAGGED,   /* autogroup:tagged */
	ALIAS_PREFIX,   /* an address, a prefix, a name of hosts */
	ALIAS_SELF,     /* autogroup:self */
	ALIAS_INTERNET, /* autogroup:internet */
};
struct alias { /* what a name stands for; it borrows from the policy */
	enum alias_kind kind;
	const char *text;
	const struct entry *group;
	struct ipprefix prefix;
};

struct target { /* "alias:ports" */
	char *alias;
	uint32_t at;
	struct alias to; /* resolved */
	size_t n_ports;
	struct ports ports[POLICY_PORTS_MAX];
};

struct ipranges { /* sorted, without overlap */
	struct iprange *v;
	size_t n, cap;
};

struct rule { /* of acls and grants alike */
	struct names src;
	struct alias *from; /* resolved, one for each src */
	struct target *dst;
	size_t n_dst;
	size_t n_protos;
	uint8_t protos[POLICY_PROTOS_MAX];
	char *app;        /* JSON object of capabilities, or NULL */
	uint32_t at;      /* where it stands in the text */
	struct names via; /* tags: only routers that have one of them, and what they route */
	bool from_any, from_all, to_any, to_internet, is_grant;
	/* made when first asked for, and anew after src_stale and dst_stale */
	bool src_stale, dst_stale;
	struct ipranges src_set;
	struct buf src_text;     /* the elements of SrcIPs */
	struct ipranges dst_set; /* all destinations but autogroup:internet and autogroup:self */
};

struct check { /* of tests */
	char *src;
	uint8_t proto;
	struct target *accept, *deny;
	size_t n_accept, n_deny;
	uint32_t at, src_at, proto_at;
};

struct ssh_rule {
	struct names src, dst, users, env;
	bool is_check, has_action, has_period;
	span_t period; /* how long a check holds; 0: not at all */
	uint32_t at, period_at;
};

struct attr {
	struct names target, attrs;
};

/* What a node has to do with each rule, a bit for a rule in each set. Whether one node reaches
 * another is then an intersection of two sets, and a node that changes concerns its own sets only.
 */
enum rule_set {
	SET_ADDS,  /* its addresses or routes are among the sources */
	SET_FROM,  /* its addresses are covered by the sources */
	SET_ACTS,  /* the same, or what it routes is */
	SET_TO,    /* the rule is part of its packet filter */
	SET_SEEN,  /* sources of the rule may know of it */
	SET_TAKES, /* its addresses or subnets are among the destinations */
	SETS
};
struct pnode {
	uint64_t *set[SETS]; /* one block; NULL: no node in this place */
	int64_t owner;       /* as it was when the sets were made; 0: tagged */
	struct ip v4, v6;
	uint64_t facts; /* a checksum of user, tags and routes: which targets of a rule lead here */
	uint64_t touched; /* policy.turn when it changed last */
	/* by route: rules whose sources, rules whose destinations overlap with it (policy_routes.c)
	 */
	uint64_t *over;
	size_t n_over;    /* routes */
	uint64_t over_at; /* policy.changes when it was made */
};
enum { POLICY_STALE_OWNERS = 64 };

struct policy {
	char *text; /* as given */
	size_t len;
	struct entries groups, tags, routes;
	struct names exit;
	struct host *hosts;
	size_t n_hosts;
	bool has_rules; /* acls or grants are there, be they empty; without both all is allowed */
	struct rule *rules;
	size_t n_rules;
	struct check *checks;
	size_t n_checks;
	struct ssh_rule *ssh;
	size_t n_ssh;
	struct attr *attrs;
	size_t n_attrs;
	/* prepared: the nodes as they were told last; by place, one without id is none */
	const struct policy_node *nodes;
	size_t n_nodes;
	struct pnode *pnodes;
	size_t n_pnodes, cap_pnodes;
	size_t words;         /* of a set of rules */
	uint64_t *self_rules; /* rules that lead to autogroup:self */
	uint64_t *via_rules;  /* rules that lead over chosen routers */
	bool has_via;
	uint64_t *stale; /* rules whose sources changed since the last policy_settle */
	bool all_stale;
	int64_t stale_owners[POLICY_STALE_OWNERS];
	size_t n_stale_owners;
	uint64_t turn;
	uint64_t changes; /* of nodes, as far as they concern rules */
	uint64_t settled; /* changes at the last policy_settle */
};

/* policy_names.c */
const struct entry *entry_find(const struct entries *e, const char *name);
bool alias_of(const struct policy *p, const char *text, struct alias *out); /* false: undefined */
/* Is it a name for nodes, and this node among them? */
bool alias_names(const struct alias *a, const struct policy_node *n);
/* The same by addresses: also `*` and prefixes that hold one of its own. */
bool alias_covers(const struct alias *a, const struct policy_node *n);
/* Adds the addresses that the alias stands for. false: out of memory or over the limit */
bool alias_ranges(const struct alias *a, const struct policy_node *v, size_t n,
		  struct ipranges *out);
bool node_has_tag(const struct policy_node *n, const char *tag);
bool is_user_alias(const char *alias);
bool names_cover(const struct policy *p, const struct names *v, const struct policy_node *n);
bool node_covered(const struct policy_node *n, const struct ipprefix *p);
bool route_is_exit(const struct ipprefix *r);
bool node_offers_exit(const struct policy_node *n);
bool internet_ranges(struct ipranges *out); /* public addresses: what an exit node is for */
bool internet_has(const struct ipprefix *p);

/* policy_filter.c */
bool rule_sources(const struct policy *p, struct rule *r); /* brought up to date; false: memory */
bool target_leads(const struct rule *r, const struct target *t, const struct policy_node *n);
bool node_routes_into(const struct policy_node *n, const struct ipprefix *p); /* no exit routes */

/* policy_check.c */
enum { CHECK_EMPTY = 2 };
/* 1: all of its source may send to some of the target, 0: not, CHECK_EMPTY: no node answers to one
 * of the names; -ENOMEM */
int check_reaches(struct policy *p, const struct check *c, const struct target *t);
int check_failed(const struct policy *p, const struct check *c, const struct target *t, bool got,
		 struct err *e); /* says so; -EINVAL */

/* policy_routes.c */
bool rule_targets(const struct policy *p, struct rule *r); /* dst_set up to date; false: memory */

/* policy_ranges.c */
bool ipranges_add(struct ipranges *r, const struct iprange *one);
bool ipranges_add_ip(struct ipranges *r, const struct ip *a); /* a zero address is skipped */
bool ipranges_add_prefix(struct ipranges *r, const struct ipprefix *p);
bool ipranges_add_node(struct ipranges *r, const struct policy_node *n);
void ipranges_merge(struct ipranges *r); /* sorts and joins what touches */
bool ipranges_overlap(const struct ipranges *r, const struct iprange *one);
bool ipranges_emit(const struct ipranges *r, struct jsonw *w); /* as array elements */
void ipranges_free(struct ipranges *r);
struct iprange range_of(const struct ipprefix *p);
bool prefixes_overlap(const struct ipprefix *a, const struct ipprefix *b);

static inline bool set_has(const uint64_t *set, size_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static inline void set_put(uint64_t *set, size_t i)
{
	set[i / 64] |= UINT64_C(1) << (i % 64);
}

#endif
