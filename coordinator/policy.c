/* coordinator/policy.c - policies: made, and applied to the nodes there are
 *
 * policy_prepare notes for every node what it has to do with each rule, as sets of bits
 * (policy_priv.h); policy_update does it again for one node. From there on visibility is an
 * intersection of sets, and a change names the rules whose sources it touched: only filters that
 * contain one of those have to be made again.
 */
#include "coordinator/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hujson.h"
#include "coordinator/policy_priv.h"
#include "coordinator/policy_read.h"

/* --- life --- */

static void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
	free(n->at);
}

static void entries_fini(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->v[i].name);
		names_fini(&e->v[i].members);
	}
	free(e->v);
}

static void targets_fini(struct target *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].alias);
	free(v);
}

static void unprepare(struct policy *p)
{
	for (size_t i = 0; i < p->n_pnodes; i++) {
		free(p->pnodes[i].set[0]);
		free(p->pnodes[i].over);
	}
	p->n_pnodes = 0;
	p->n_stale_owners = 0;
	p->all_stale = true;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	unprepare(p);
	entries_fini(&p->groups);
	entries_fini(&p->tags);
	entries_fini(&p->routes);
	names_fini(&p->exit);
	for (size_t i = 0; i < p->n_hosts; i++)
		free(p->hosts[i].name);
	for (size_t i = 0; i < p->n_rules; i++) {
		names_fini(&p->rules[i].src);
		targets_fini(p->rules[i].dst, p->rules[i].n_dst);
		names_fini(&p->rules[i].via);
		free(p->rules[i].app);
		free(p->rules[i].from);
		ipranges_free(&p->rules[i].src_set);
		ipranges_free(&p->rules[i].dst_set);
		buf_fini(&p->rules[i].src_text);
	}
	for (size_t i = 0; i < p->n_checks; i++) {
		free(p->checks[i].src);
		targets_fini(p->checks[i].accept, p->checks[i].n_accept);
		targets_fini(p->checks[i].deny, p->checks[i].n_deny);
	}
	for (size_t i = 0; i < p->n_ssh; i++) {
		names_fini(&p->ssh[i].src);
		names_fini(&p->ssh[i].dst);
		names_fini(&p->ssh[i].users);
		names_fini(&p->ssh[i].env);
	}
	for (size_t i = 0; i < p->n_attrs; i++) {
		names_fini(&p->attrs[i].target);
		names_fini(&p->attrs[i].attrs);
	}
	free(p->pnodes);
	free(p->self_rules);
	free(p->via_rules);
	free(p->stale);
	free(p->hosts);
	free(p->rules);
	free(p->checks);
	free(p->ssh);
	free(p->attrs);
	free(p->text);
	free(p);
}

static void explain(struct err *e, struct bytes text, size_t at, const char *why)
{
	struct hujson_pos pos = hujson_pos(text, at);

	err_say(e, EINVAL, "policy: line %u, column %u: %s", pos.line, pos.column, why);
}

static bool make_sets(struct policy *p)
{
	p->words = p->n_rules / 64 + 1;
	p->self_rules = calloc(p->words, sizeof *p->self_rules);
	p->via_rules = calloc(p->words, sizeof *p->via_rules);
	p->stale = calloc(p->words, sizeof *p->stale);
	if (!p->self_rules || !p->via_rules || !p->stale)
		return false;
	for (size_t i = 0; i < p->n_rules; i++) {
		struct rule *r = &p->rules[i];

		for (size_t k = 0; k < r->n_dst; k++) {
			if (r->dst[k].to.kind == ALIAS_SELF && r->via.n == 0)
				set_put(p->self_rules, i);
			r->to_any |= r->dst[k].to.kind == ALIAS_ANY;
			r->to_internet |= r->dst[k].to.kind == ALIAS_INTERNET;
		}
		if (r->via.n > 0) {
			set_put(p->via_rules, i);
			p->has_via = true;
		}
	}
	return true;
}

struct policy *policy_parse(struct bytes text, struct err *e)
{
	struct policy *p = text.len <= POLICY_TEXT_MAX ? calloc(1, sizeof *p) : NULL;
	char *plain = p ? malloc(text.len + 1) : NULL, why[ERR_TEXT_MAX];
	size_t at = 0;
	bool ok;

	if (!plain || !(p->text = malloc(text.len + 1))) {
		err_say(e, text.len > POLICY_TEXT_MAX ? EFBIG : ENOMEM, "policy: %s",
			text.len > POLICY_TEXT_MAX ? "larger than 1 MiB" : "out of memory");
		policy_free(p);
		free(plain);
		return NULL;
	}
	memcpy(plain, text.data, text.len);
	memcpy(p->text, text.data, text.len);
	p->len = text.len;
	ok = hujson_plain(plain, text.len, &at);
	if (!ok)
		snprintf(why, sizeof why, "this comment or text does not end");
	ok = ok && policy_read(p, bytes_of(plain, text.len), &at, why) &&
	     policy_resolve(p, &at, why);
	free(plain);
	if (ok && !make_sets(p)) {
		snprintf(why, sizeof why, "out of memory");
		ok = false;
	}
	if (ok)
		return p;
	explain(e, text, at, why);
	policy_free(p);
	return NULL;
}

struct bytes policy_text(const struct policy *p)
{
	return bytes_of(p->text, p->len);
}

/* --- nodes --- */

static bool acts_for(const struct alias *a, const struct policy_node *n)
{
	for (size_t i = 0; i < n->n_routes && a->kind == ALIAS_PREFIX; i++)
		if (!route_is_exit(&n->routes[i]) && prefixes_overlap(&a->prefix, &n->routes[i]))
			return true; /* traffic out of a routed network comes through its router */
	return false;
}

/* May sources of the rule know of the node? As the filter, but that an exit node is known only for
 * the whole internet. */
static bool target_seen(const struct rule *r, const struct target *t, const struct policy_node *n)
{
	if (r->via.n == 0 && t->to.kind == ALIAS_PREFIX && node_offers_exit(n) &&
	    !node_covered(n, &t->to.prefix)) {
		for (size_t i = 0; i < n->n_routes; i++)
			if (!route_is_exit(&n->routes[i]) &&
			    prefixes_overlap(&t->to.prefix, &n->routes[i]))
				return true;
		return route_is_exit(&t->to.prefix);
	}
	return target_leads(r, t, n);
}

/* Is the node itself, or a subnet of it, what the target is about? As the filter, but that exit
 * routes do not count. */
static bool target_takes(const struct rule *r, const struct target *t, const struct policy_node *n)
{
	struct ipranges all = { 0 };
	bool takes = false;

	if (r->via.n > 0 || (t->to.kind != ALIAS_PREFIX && t->to.kind != ALIAS_INTERNET))
		return target_leads(r, t, n);
	if (t->to.kind == ALIAS_PREFIX)
		return node_covered(n, &t->to.prefix) || node_routes_into(n, &t->to.prefix);
	for (size_t i = 0; i < n->n_routes && !takes; i++) {
		const struct iprange range = range_of(&n->routes[i]);

		takes = !route_is_exit(&n->routes[i]) && (all.n > 0 || internet_ranges(&all)) &&
			ipranges_overlap(&all, &range);
	}
	ipranges_free(&all);
	return takes;
}

static void note_rule(const struct rule *r, size_t i, const struct policy_node *n,
		      struct pnode *out)
{
	for (size_t k = 0; k < r->src.n; k++) {
		const struct alias *a = &r->from[k];

		if (alias_names(a, n) || (a->kind == ALIAS_ANY && n->n_routes > 0))
			set_put(out->set[SET_ADDS], i);
		if (alias_covers(a, n))
			set_put(out->set[SET_FROM], i);
		if (alias_covers(a, n) || acts_for(a, n))
			set_put(out->set[SET_ACTS], i);
	}
	for (size_t k = 0; k < r->n_dst; k++) {
		if (target_leads(r, &r->dst[k], n))
			set_put(out->set[SET_TO], i);
		if (target_seen(r, &r->dst[k], n))
			set_put(out->set[SET_SEEN], i);
		if (target_takes(r, &r->dst[k], n))
			set_put(out->set[SET_TAKES], i);
	}
}

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * UINT64_C(1099511628211); /* FNV-1a */
	return h;
}

/* What the sets do not tell: a rule may lead to a node by other targets than before. */
static uint64_t facts_sum(const struct policy_node *n)
{
	uint64_t h = mix(n->n_routes, n->user, strlen(n->user) + 1);

	for (size_t i = 0; i < n->n_tags; i++)
		h = mix(h, n->tags[i], strlen(n->tags[i]) + 1);
	for (size_t i = 0; i < n->n_routes; i++) {
		h = mix(h, n->routes[i].ip.b, sizeof n->routes[i].ip.b);
		h = mix(h, &n->routes[i].bits, 1);
	}
	return h;
}

static bool note_node(const struct policy *p, const struct policy_node *n, struct pnode *out)
{
	uint64_t *block = n->id != 0 ? calloc(SETS * p->words, sizeof *block) : NULL;

	if (n->id != 0 && !block)
		return false;
	for (size_t i = 0; i < SETS; i++)
		out->set[i] = block ? block + i * p->words : NULL;
	out->owner = n->n_tags == 0 ? n->owner : 0;
	out->v4 = n->v4;
	out->v6 = n->v6;
	out->facts = n->id != 0 ? facts_sum(n) : 0;
	out->touched = p->turn;
	for (size_t i = 0; block && i < p->n_rules; i++)
		note_rule(&p->rules[i], i, n, out);
	return true;
}

static bool make_room(struct policy *p, size_t n)
{
	struct pnode *v = p->pnodes;

	if (n > p->cap_pnodes) {
		size_t cap = MAX_OF(n, 2 * p->cap_pnodes);

		v = realloc(p->pnodes, cap * sizeof *v);
		if (!v)
			return false;
		p->pnodes = v;
		p->cap_pnodes = cap;
	}
	while (p->n_pnodes < n)
		p->pnodes[p->n_pnodes++] = (struct pnode){ 0 };
	return true;
}

int policy_prepare(struct policy *p, const struct policy_node *v, size_t n)
{
	if (!p)
		return 0;
	unprepare(p);
	p->nodes = v;
	p->n_nodes = n;
	p->turn++;
	p->changes++;
	for (size_t i = 0; i < p->n_rules; i++)
		p->rules[i].src_stale = p->rules[i].dst_stale = true;
	if (!make_room(p, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!note_node(p, &v[i], &p->pnodes[i]))
			return -ENOMEM;
	return 0;
}

static void owner_stale(struct policy *p, int64_t owner)
{
	if (owner == 0)
		return;
	for (size_t i = 0; i < p->n_stale_owners; i++)
		if (p->stale_owners[i] == owner)
			return;
	if (p->n_stale_owners == POLICY_STALE_OWNERS)
		p->all_stale = true;
	else
		p->stale_owners[p->n_stale_owners++] = owner;
}

/* Rules whose sources hold the node before or after a change: it may have other addresses and
 * routes now, so also where both hold it. */
static void sources_stale(struct policy *p, const uint64_t *set)
{
	for (size_t w = 0; set && w < p->words; w++) {
		p->stale[w] |= set[w];
		for (uint64_t left = set[w]; left != 0; left &= left - 1)
			p->rules[w * 64 + (size_t)__builtin_ctzll(left)].src_stale = true;
	}
}

static void targets_stale(struct policy *p, const uint64_t *set)
{
	for (size_t w = 0; set && w < p->words; w++)
		for (uint64_t left = set[w]; left != 0; left &= left - 1)
			p->rules[w * 64 + (size_t)__builtin_ctzll(left)].dst_stale = true;
}

static bool is_same(const struct policy *p, const struct pnode *a, const struct pnode *b)
{
	return a->set[0] && b->set[0] && a->owner == b->owner && ip_eq(&a->v4, &b->v4) &&
	       ip_eq(&a->v6, &b->v6) && a->facts == b->facts &&
	       memcmp(a->set[0], b->set[0], SETS * p->words * sizeof *a->set[0]) == 0;
}

int policy_update(struct policy *p, const struct policy_node *v, size_t n, size_t i)
{
	struct pnode old, *now;

	if (!p)
		return 0;
	p->nodes = v;
	p->n_nodes = n;
	if (!make_room(p, n))
		return -ENOMEM;
	now = &p->pnodes[i];
	old = *now;
	if (!note_node(p, &v[i], now)) {
		*now = old;
		return -ENOMEM;
	}
	if (is_same(p, &old, now)) {
		now->touched = old.touched;
		free(old.set[0]);
		return 0;
	}
	sources_stale(p, old.set[SET_ADDS]);
	sources_stale(p, now->set[SET_ADDS]);
	targets_stale(p, old.set[SET_TO]);
	targets_stale(p, now->set[SET_TO]);
	owner_stale(p, old.owner);
	owner_stale(p, now->owner);
	p->changes++;
	free(old.set[0]);
	return 0;
}

static bool sets_meet(const uint64_t *a, const uint64_t *b, size_t words)
{
	for (size_t i = 0; i < words; i++)
		if (a[i] & b[i])
			return true;
	return false;
}

bool policy_filter_stale(const struct policy *p, size_t self)
{
	const struct pnode *n = &p->pnodes[self];

	if (p->all_stale || n->touched == p->turn)
		return true;
	if (!n->set[0])
		return false;
	for (size_t i = 0; i < p->n_stale_owners; i++)
		if (p->stale_owners[i] == n->owner)
			return true;
	return sets_meet(n->set[SET_TO], p->stale, p->words);
}

void policy_settle(struct policy *p)
{
	if (!p)
		return;
	p->turn++;
	p->settled = p->changes;
	p->all_stale = false;
	p->n_stale_owners = 0;
	memset(p->stale, 0, p->words * sizeof *p->stale);
}

/* --- who knows whom --- */

static bool reaches(const struct policy *p, const struct pnode *a, const struct pnode *b)
{
	return sets_meet(a->set[SET_ACTS], b->set[SET_SEEN], p->words) ||
	       (a->owner != 0 && a->owner == b->owner &&
		sets_meet(a->set[SET_FROM], p->self_rules, p->words));
}

bool policy_sees(const struct policy *p, size_t a, size_t b)
{
	if (!p || !p->has_rules)
		return true;
	if (a >= p->n_pnodes || b >= p->n_pnodes || !p->pnodes[a].set[0] || !p->pnodes[b].set[0])
		return false;
	return reaches(p, &p->pnodes[a], &p->pnodes[b]) || reaches(p, &p->pnodes[b], &p->pnodes[a]);
}
