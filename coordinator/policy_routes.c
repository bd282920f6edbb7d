/* coordinator/policy_routes.c - which routes of a peer a node is told: the AllowedIPs that it sees
 *
 * A packet filter says what a router lets in; AllowedIPs say what a node sends there at all. As in
 * Headscale 0.29, a route is told to those for whom some rule leads into it or out of it, seen from
 * the node itself or from the subnets behind it. A rule with `via` chooses among routers of the
 * same route: its sources are told the route of the router that has the tag, and not that of the
 * others, unless an ordinary rule leads there too.
 *
 * What a route has to do with each rule is one set of bits by its destinations and one by its
 * sources, made when first asked for after a change; the answer for a viewer is an intersection.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/policy_priv.h"

/* --- destinations of a rule as addresses --- */

static bool add_targets(const struct policy *p, const struct rule *r, struct ipranges *set)
{
	for (size_t k = 0; k < r->n_dst; k++) {
		const struct alias *to = &r->dst[k].to;

		if (to->kind != ALIAS_INTERNET && !alias_ranges(to, p->nodes, p->n_nodes, set))
			return false;
	}
	ipranges_merge(set);
	return true;
}

bool rule_targets(const struct policy *p, struct rule *r)
{
	if (!r->dst_stale)
		return true;
	r->dst_set.n = 0;
	r->dst_stale = !add_targets(p, r, &r->dst_set);
	return !r->dst_stale;
}

/* --- what a route has to do with each rule --- */

static bool meets(const struct ipranges *set, const struct ipprefix *route)
{
	const struct iprange range = range_of(route);

	return ipranges_overlap(set, &range);
}

static bool note_route(struct policy *p, const struct ipranges *all, const struct ipprefix *route,
		       uint64_t *from, uint64_t *to)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		struct rule *r = &p->rules[i];

		if (!rule_sources(p, r) || !rule_targets(p, r))
			return false;
		if (r->from_all || meets(&r->src_set, route))
			set_put(from, i);
		if ((r->to_any && !r->app && r->via.n == 0) ||
		    (r->to_internet && meets(all, route)) || meets(&r->dst_set, route))
			set_put(to, i);
	}
	return true;
}

static bool note_routes(struct policy *p, struct pnode *peer, const struct policy_node *n)
{
	struct ipranges all = { 0 };
	bool ok;

	if (peer->over && peer->over_at == p->changes && peer->n_over == n->n_routes)
		return true;
	free(peer->over);
	peer->over = calloc(2 * n->n_routes * p->words, sizeof *peer->over);
	peer->n_over = peer->over ? n->n_routes : 0;
	ok = peer->over && internet_ranges(&all);
	for (size_t i = 0; ok && i < n->n_routes; i++) {
		uint64_t *from = peer->over + 2 * i * p->words;

		ok = note_route(p, &all, &n->routes[i], from, from + p->words);
	}
	ipranges_free(&all);
	peer->over_at = ok ? p->changes : 0;
	return ok;
}

/* By the ordinary rules, and those with `via` where the viewer is the router */
static bool is_open(const struct policy *p, const struct pnode *viewer, const uint64_t *from,
		    const uint64_t *to)
{
	for (size_t w = 0; w < p->words; w++) {
		uint64_t known = ~p->via_rules[w] | viewer->set[SET_TO][w];

		if (known &
		    ((viewer->set[SET_ACTS][w] & to[w]) | (viewer->set[SET_TAKES][w] & from[w])))
			return true;
	}
	return false;
}

/* Who may reach its own user's devices, reaches something of their family. */
static bool own_open(const struct policy *p, const struct pnode *viewer,
		     const struct ipprefix *route)
{
	bool any = false;

	if (viewer->owner == 0 || !route_is_exit(route))
		return false;
	for (size_t w = 0; w < p->words && !any; w++)
		any = viewer->set[SET_FROM][w] & p->self_rules[w];
	return any && !ip_is_zero(ip_is_v4(&route->ip) ? &viewer->v4 : &viewer->v6);
}

/* --- via --- */

struct choice { /* what rules with `via` say of one route, for one viewer */
	bool in, out, by_primary;
};

static bool has_one_of(const struct policy_node *n, const struct names *tags)
{
	for (size_t i = 0; i < tags->n; i++)
		if (node_has_tag(n, tags->v[i]))
			return true;
	return false;
}

static bool serves(const struct policy_node *n, const struct ipprefix *route)
{
	for (size_t i = 0; i < n->n_routes; i++)
		if (ipprefix_eq(&n->routes[i], route))
			return true;
	return false;
}

/* Of several routers with the tag and the subnet the one with the lowest id is chosen. */
static bool is_chosen(const struct policy *p, const struct rule *r, const struct ipprefix *route,
		      int64_t peer)
{
	for (size_t i = 0; i < p->n_nodes; i++) {
		const struct policy_node *n = &p->nodes[i];

		if (n->id != 0 && n->id < peer && n->n_routes > 0 && serves(n, route) &&
		    has_one_of(n, &r->via))
			return false;
	}
	return true;
}

/* Rules that the viewer is a source of, with via or without; at 0 at first. NULL: no more */
static struct rule *next_rule(struct policy *p, const struct pnode *viewer, bool via, size_t *at)
{
	for (; *at < p->n_rules; ++*at)
		if (set_has(viewer->set[SET_FROM], *at) && set_has(p->via_rules, *at) == via)
			return &p->rules[(*at)++];
	return NULL;
}

/* Three turns, as the order matters: who has the tag, who of them is chosen, what is open anyhow */
static bool choose(struct policy *p, const struct pnode *viewer, const struct policy_node *peer,
		   const struct policy_route *v, size_t n, struct choice *c)
{
	struct rule *r;

	for (size_t at = 0; (r = next_rule(p, viewer, true, &at));) {
		bool tagged = has_one_of(peer, &r->via);

		if (!rule_targets(p, r))
			return false;
		for (size_t i = 0; i < n; i++) {
			if (!(route_is_exit(&v[i].prefix) ? r->to_internet
							  : meets(&r->dst_set, &v[i].prefix)))
				continue;
			c[i].in |= tagged;
			c[i].out |= !tagged;
		}
	}
	for (size_t at = 0; (r = next_rule(p, viewer, true, &at));)
		for (size_t i = 0; i < n; i++)
			if (c[i].in && !route_is_exit(&v[i].prefix) &&
			    meets(&r->dst_set, &v[i].prefix) &&
			    !is_chosen(p, r, &v[i].prefix, peer->id)) {
				c[i].in = false;
				c[i].out = true;
			}
	for (size_t at = 0; (r = next_rule(p, viewer, false, &at));) {
		if (!rule_targets(p, r))
			return false;
		for (size_t i = 0; i < n; i++)
			if ((c[i].in || c[i].out) && meets(&r->dst_set, &v[i].prefix)) {
				c[i].by_primary = c[i].in;
				c[i].out = false;
			}
	}
	return true;
}

/* --- the answer --- */

static const uint64_t *over_of(const struct policy *p, const struct pnode *peer,
			       const struct policy_node *n, const struct ipprefix *route)
{
	for (size_t i = 0; i < n->n_routes; i++)
		if (ipprefix_eq(&n->routes[i], route))
			return peer->over + 2 * i * p->words;
	return NULL;
}

static bool decide(const struct policy *p, size_t viewer, size_t peer, const struct policy_route *r,
		   const struct choice *c)
{
	const struct pnode *v = &p->pnodes[viewer];
	const uint64_t *over = over_of(p, &p->pnodes[peer], &p->nodes[peer], &r->prefix);
	bool is_exit = route_is_exit(&r->prefix), serving = is_exit || r->is_primary;

	if (!over)
		return false;
	if (c->in && (r->is_primary || !c->by_primary))
		return true;
	if (serving && !c->out &&
	    (is_open(p, v, over, over + p->words) || own_open(p, v, &r->prefix)))
		return true;
	return !is_exit && r->is_primary && serves(&p->nodes[viewer], &r->prefix);
}

int policy_routes_seen(struct policy *p, size_t viewer, size_t peer, struct policy_route *v,
		       size_t n)
{
	struct choice *c;
	bool ok = true;

	if (!p || !p->has_rules) {
		for (size_t i = 0; i < n; i++)
			v[i].seen = v[i].is_primary || route_is_exit(&v[i].prefix);
		return 0;
	}
	if (viewer >= p->n_pnodes || peer >= p->n_pnodes || !p->pnodes[viewer].set[0] ||
	    !p->pnodes[peer].set[0] || n == 0) {
		for (size_t i = 0; i < n; i++)
			v[i].seen = false;
		return 0;
	}
	c = calloc(n, sizeof *c);
	ok = c && note_routes(p, &p->pnodes[peer], &p->nodes[peer]) &&
	     (!p->has_via || choose(p, &p->pnodes[viewer], &p->nodes[peer], v, n, c));
	for (size_t i = 0; ok && i < n; i++)
		v[i].seen = decide(p, viewer, peer, &v[i], &c[i]);
	free(c);
	return ok ? 0 : -ENOMEM;
}

bool policy_routes_stale(const struct policy *p)
{
	return p && p->has_rules && p->changes != p->settled;
}
