/* model/filter_priv.h - the two tables of the filter: compiled rules (filter_rules.c; asked by
 * filter_ask.c) and flows (filter_flow.c) */
#ifndef MODEL_FILTER_PRIV_H
#define MODEL_FILTER_PRIV_H

#include "model/arena.h"
#include "model/array.h"
#include "model/filter.h"

/* --- address ranges: both families as one 128-bit number; a range never spans the border of IPv4
 * --- */

typedef unsigned __int128 u128;

struct span128 {
	u128 first, last;
};
#define V4_FIRST ((u128)0xffff << 32)
#define V4_LAST (V4_FIRST + 0xffffffffU)

static inline u128 ip_number(const struct ip *a)
{
	uint64_t hi, lo;

	memcpy(&hi, a->b, 8);
	memcpy(&lo, a->b + 8, 8);
	return (u128)__builtin_bswap64(hi) << 64 | __builtin_bswap64(lo);
}

struct spans { /* a growing list, sorted and merged by spans_close */
	struct span128 *v;
	size_t n, cap;
};
bool spans_add(struct spans *s, const struct iprange *r); /* false: out of memory */
bool spans_push(struct spans *s, u128 first, u128 last);
size_t spans_merge(struct span128 *v, size_t n); /* sorts; returns the new count */

static inline bool spans_have(const struct span128 *v, size_t n, u128 a) /* v: sorted, disjoint */
{
	size_t lo = 0;

	while (n > 0) { /* the first range whose end is not below a */
		size_t half = n / 2;

		if (v[lo + half].last < a) {
			lo += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return v[lo].first <= a && a <= v[lo].last; /* there is a sentinel behind each list */
}

/* --- rules --- */

enum { PROTO_WORDS = 4, PORT_MAX = 65535 };

struct sources { /* stretches of the lists below */
	uint32_t span, n_spans, cap, n_caps;
};

struct target {
	struct span128 to;
	uint16_t first, last; /* ports */
};

struct rule {
	struct sources src;
	uint32_t dst, n_dst;
	uint64_t protos[PROTO_WORDS];
};

struct grant { /* one capability of one CapGrant */
	const char *name;
	struct bytes values; /* JSON array, or empty */
	struct sources src;
	uint32_t dst, n_dst;
};

enum rule_index { BY_SOURCE, BY_ADDRESS, BY_PORT, RULE_INDEXES };

/* A tree of ranges: sorted by where they begin; the middle of a stretch is the root of it. */
struct index_node {
	uint32_t item;  /* of rules.src or rules.dst */
	uint32_t rule;  /* whose it is */
	uint32_t reach; /* the item of this subtree that ends last */
};

struct index { /* all empty where rules are few */
	struct index_node *v[RULE_INDEXES];
	size_t n[RULE_INDEXES];
	uint32_t *capped; /* rules that name a capability as source */
	size_t n_capped;
};

struct rules {
	struct rule *rule;
	size_t n_rules, rules_cap;
	struct spans src, grant_dst;
	struct target *dst;
	size_t n_dst, dst_cap;
	const char **cap;
	size_t n_caps, caps_cap;
	struct grant *grant;
	size_t n_grants, grants_cap;
	struct index index;
	struct arena mem;
};

struct rules *rules_compile(const struct bytes *text, size_t n,
			    int *fault); /* NULL: *fault says why */
void rules_free(struct rules *r);
size_t rules_memory(const struct rules *r);

struct rules_ask {
	filter_has_cap_fn *has_cap;
	void *ctx;
	const struct ip *src;
	u128 from, to;
	uint8_t proto;
	uint16_t port;
	bool any_proto; /* ICMP: addresses only */
	bool all_ports; /* other protocols: the rule must cover every port */
};
bool rules_allow(const struct rules *r, const struct rules_ask *q);
bool rules_source_fits(const struct rules *r, const struct sources *s, const struct rules_ask *q);
MUST_USE bool index_build(struct rules *r); /* of finished rules; false: out of memory */
void index_free(struct index *x);
size_t index_memory(const struct index *x);
int rules_caps(const struct rules *r, const struct rules_ask *q, struct buf *out);

/* --- flows --- */

struct flow_key { /* as a packet from outside carries it */
	struct ip src, dst;
	uint16_t sport, dport;
	uint8_t proto, zero;
};

struct flow_bucket;
struct flows {
	struct flow_bucket *v;
	uint32_t n_buckets, max_buckets; /* powers of two; 0: none yet */
	size_t n;
};
void flows_init(struct flows *t, size_t max);
void flows_free(struct flows *t);
void flows_note(struct flows *t, const struct flow_key *k, uint32_t now_s);
bool flows_has(struct flows *t, const struct flow_key *k, uint32_t now_s); /* refreshes */
void flows_trim(struct flows *t, uint32_t now_s);
size_t flows_memory(const struct flows *t);

#endif
