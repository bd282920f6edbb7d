/* model/filter_ask.c - whether compiled rules allow a new flow; see filter_priv.h
 *
 * A few rules are walked. Many are found by three indexes: ranges of sources, of destinations, of
 * destination ports. Each leads to every rule that may allow the packet, and to others, so the
 * first of the three walks that ends has the answer. They take turns, a step each: a filter in
 * which all rules are for one port differs by source, and the other way round, and the cost is that
 * of the best index, three times.
 */
#include "model/filter_priv.h"

#include <assert.h>
#include <stdlib.h>

enum {
	TARGETS_WALKED = 32, /* with more than so many there is an index */
	TREE_DEPTH = 33,     /* of 2^32 ranges */
};

/* --- one rule --- */

bool rules_source_fits(const struct rules *r, const struct sources *s, const struct rules_ask *q)
{
	if (spans_have(&r->src.v[s->span], s->n_spans, q->from))
		return true;
	for (uint32_t i = 0; i < s->n_caps && q->has_cap; i++)
		if (q->has_cap(q->ctx, q->src, bytes_str(r->cap[s->cap + i])))
			return true;
	return false;
}

static bool proto_fits(const struct rule *rule, const struct rules_ask *q)
{
	return q->any_proto || rule->protos[q->proto / 64] >> (q->proto % 64) & 1;
}

static bool target_fits(const struct target *t, const struct rules_ask *q)
{
	if (q->to < t->to.first || q->to > t->to.last)
		return false;
	if (q->any_proto)
		return true;
	if (q->all_ports)
		return t->first == 0 && t->last == PORT_MAX;
	return q->port >= t->first && q->port <= t->last;
}

/* --- making the index --- */

static struct span128 range_of(const struct rules *r, enum rule_index by, uint32_t item)
{
	if (by == BY_SOURCE)
		return r->src.v[item];
	if (by == BY_ADDRESS)
		return r->dst[item].to;
	return (struct span128){ r->dst[item].first, r->dst[item].last };
}

struct unsorted {
	u128 first;
	struct index_node node;
};

static int unsorted_cmp(const void *x, const void *y)
{
	const struct unsorted *a = x, *b = y;

	return (a->first > b->first) - (a->first < b->first);
}

/* Of a stretch that is not empty: the item that ends last. */
static uint32_t set_reach(const struct rules *r, enum rule_index by, struct index_node *v,
			  uint32_t lo, uint32_t hi)
{
	const uint32_t mid = lo + (hi - lo) / 2;
	struct index_node *root = &v[mid];
	uint32_t other;

	root->reach = root->item;
	if (lo < mid) {
		other = set_reach(r, by, v, lo, mid);
		if (range_of(r, by, other).last > range_of(r, by, root->reach).last)
			root->reach = other;
	}
	if (mid + 1 < hi) {
		other = set_reach(r, by, v, mid + 1, hi);
		if (range_of(r, by, other).last > range_of(r, by, root->reach).last)
			root->reach = other;
	}
	return root->reach;
}

static bool build(struct rules *r, enum rule_index by)
{
	const size_t room = by == BY_SOURCE ? r->src.n : r->n_dst;
	AUTO_FREE struct unsorted *tmp = calloc(room + 1, sizeof *tmp);
	struct index *x = &r->index;
	size_t n = 0;

	if (!tmp)
		return false;
	for (uint32_t i = 0; i < r->n_rules; i++) {
		const struct rule *rule = &r->rule[i];
		uint32_t at = by == BY_SOURCE ? rule->src.span : rule->dst,
			 end = at + (by == BY_SOURCE ? rule->src.n_spans : rule->n_dst);

		for (; at < end; at++)
			tmp[n++] = (struct unsorted){ range_of(r, by, at).first,
						      { .item = at, .rule = i } };
	}
	assert(n <= room && n <= UINT32_MAX);
	x->v[by] = calloc(n + 1, sizeof *x->v[by]);
	if (!x->v[by])
		return false;
	qsort(tmp, n, sizeof *tmp, unsorted_cmp);
	for (size_t i = 0; i < n; i++)
		x->v[by][i] = tmp[i].node;
	x->n[by] = n;
	if (n > 0)
		set_reach(r, by, x->v[by], 0, (uint32_t)n);
	return true;
}

bool index_build(struct rules *r)
{
	struct index *x = &r->index;

	if (r->n_dst <= TARGETS_WALKED)
		return true;
	for (int by = 0; by < RULE_INDEXES; by++)
		if (!build(r, (enum rule_index)by))
			return false;
	for (uint32_t i = 0; i < r->n_rules; i++)
		x->n_capped += r->rule[i].src.n_caps > 0;
	x->capped = calloc(x->n_capped + 1, sizeof *x->capped);
	if (!x->capped)
		return false;
	x->n_capped = 0;
	for (uint32_t i = 0; i < r->n_rules; i++)
		if (r->rule[i].src.n_caps > 0)
			x->capped[x->n_capped++] = i;
	return true;
}

void index_free(struct index *x)
{
	for (int by = 0; by < RULE_INDEXES; by++)
		free(x->v[by]);
	free(x->capped);
}

size_t index_memory(const struct index *x)
{
	size_t n = x->n_capped * sizeof *x->capped;

	for (int by = 0; by < RULE_INDEXES; by++)
		n += x->n[by] * sizeof *x->v[by];
	return n;
}

/* --- asking --- */

enum step { STEP_MORE, STEP_ALLOWED, STEP_END };

struct walk { /* over all ranges of one index that hold the key */
	u128 key;
	enum rule_index by;
	uint32_t depth;
	struct {
		uint32_t lo, hi;
	} todo[TREE_DEPTH + 1];
	uint32_t target, n_targets; /* by source: those of the rule at hand */
	const struct rule *rule;
	size_t capped; /* so many of these had their turn */
};

static void look_at(struct walk *w, const struct rule *rule)
{
	w->rule = rule;
	w->target = rule->dst;
	w->n_targets = rule->n_dst;
}

static void later(struct walk *w, uint32_t lo, uint32_t hi)
{
	if (lo == hi)
		return;
	assert(w->depth < ARRAY_LEN(w->todo));
	w->todo[w->depth].lo = lo;
	w->todo[w->depth++].hi = hi;
}

static bool check(const struct rules *r, const struct rules_ask *q, const struct rule *rule,
		  uint32_t target)
{
	return proto_fits(rule, q) && target_fits(&r->dst[target], q) &&
	       rules_source_fits(r, &rule->src, q);
}

/* One node of the tree, or one target of a rule that was found. */
static enum step walk_step(const struct rules *r, const struct rules_ask *q, struct walk *w)
{
	const struct index *x = &r->index;
	const struct index_node *node;
	uint32_t lo, hi, mid;
	struct span128 range;

	if (w->n_targets > 0) {
		w->n_targets--;
		return check(r, q, w->rule, w->target++) ? STEP_ALLOWED : STEP_MORE;
	}
	if (w->depth == 0) {
		if (w->by != BY_SOURCE || w->capped == x->n_capped)
			return STEP_END;
		look_at(w, &r->rule[x->capped[w->capped++]]);
		return STEP_MORE;
	}
	lo = w->todo[--w->depth].lo;
	hi = w->todo[w->depth].hi;
	mid = lo + (hi - lo) / 2;
	node = &x->v[w->by][mid];
	if (range_of(r, w->by, node->reach).last < w->key)
		return STEP_MORE;
	later(w, lo, mid);
	range = range_of(r, w->by, node->item);
	if (range.first > w->key)
		return STEP_MORE;
	later(w, mid + 1, hi);
	if (range.last < w->key)
		return STEP_MORE;
	if (w->by != BY_SOURCE)
		return check(r, q, &r->rule[node->rule], node->item) ? STEP_ALLOWED : STEP_MORE;
	if (proto_fits(&r->rule[node->rule], q))
		look_at(w, &r->rule[node->rule]);
	return STEP_MORE;
}

static bool ask_index(const struct rules *r, const struct rules_ask *q)
{
	struct walk walks[RULE_INDEXES];
	/* the port says nothing of ICMP; who wants all ports wants port 0 too */
	const int n = q->any_proto ? BY_PORT : RULE_INDEXES;

	for (int by = 0; by < n; by++) {
		struct walk *w = &walks[by];

		w->by = (enum rule_index)by;
		w->key = by == BY_SOURCE    ? q->from
			 : by == BY_ADDRESS ? q->to
			 : q->all_ports     ? 0
					    : q->port;
		w->depth = w->n_targets = 0;
		w->capped = 0;
		later(w, 0, (uint32_t)r->index.n[by]);
	}
	for (int by = 0;; by = (by + 1) % n) {
		enum step s = walk_step(r, q, &walks[by]);

		if (s != STEP_MORE)
			return s == STEP_ALLOWED;
	}
}

bool rules_allow(const struct rules *r, const struct rules_ask *q)
{
	if (r->index.v[BY_SOURCE])
		return ask_index(r, q);
	for (size_t i = 0; i < r->n_rules; i++)
		for (uint32_t k = 0; k < r->rule[i].n_dst; k++)
			if (check(r, q, &r->rule[i], r->rule[i].dst + k))
				return true;
	return false;
}
