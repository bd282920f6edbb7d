/* coordinator/policy_filter.c - the packet filter of one node: those rules of the policy that lead
 * to it
 *
 * The sources of a rule are the same text for every node that has the rule; they are resolved when
 * they are asked for after a change. Destinations are cut to what leads to the node: its own
 * addresses where a name stands for it, whole prefixes where they hold an address of it or overlap
 * with what it routes (as Headscale has it).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/policy_priv.h"

/* --- sources --- */

static bool add_sources(const struct policy *p, const struct rule *r, struct ipranges *set)
{
	for (size_t k = 0; k < r->src.n; k++)
		if (!alias_ranges(&r->from[k], NULL, 0, set))
			return false;
	for (size_t i = 0; i < p->n_nodes; i++) {
		const struct policy_node *n = &p->nodes[i];
		bool named = false;

		if (n->id == 0 || !set_has(p->pnodes[i].set[SET_ADDS], (size_t)(r - p->rules)))
			continue;
		for (size_t k = 0; k < r->src.n && !named; k++)
			named = alias_names(&r->from[k], n);
		if (named && !ipranges_add_node(set, n))
			return false;
		for (size_t k = 0; r->from_any && k < n->n_routes; k++)
			if (!route_is_exit(&n->routes[k]) &&
			    !ipranges_add_prefix(set, &n->routes[k]))
				return false;
	}
	ipranges_merge(set);
	return true;
}

bool rule_sources(const struct policy *p, struct rule *r)
{
	struct jsonw w;

	if (!r->src_stale)
		return true;
	r->src_set.n = 0;
	buf_clear(&r->src_text);
	if (!add_sources(p, r, &r->src_set))
		return false;
	jsonw_init(&w, &r->src_text);
	if (r->from_all)
		jsonw_str(&w, "*");
	else
		ipranges_emit(&r->src_set, &w);
	if (!jsonw_ok(&w))
		return false;
	r->src_stale = false;
	return true;
}

/* autogroup:self: only devices of the same user, untagged, and only where the rule's sources allow
 * them */
static bool self_sources(const struct policy *p, size_t rule, int64_t owner, struct ipranges *out)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		if (p->pnodes[i].set[0] && p->pnodes[i].owner == owner &&
		    set_has(p->pnodes[i].set[SET_FROM], rule) &&
		    !ipranges_add_node(out, &p->nodes[i]))
			return false;
	ipranges_merge(out);
	return true;
}

/* --- destinations --- */

bool node_routes_into(const struct policy_node *n, const struct ipprefix *p)
{
	for (size_t i = 0; i < n->n_routes; i++)
		if (!route_is_exit(&n->routes[i]) && prefixes_overlap(p, &n->routes[i]))
			return true;
	return false;
}

static bool internet_leads(const struct policy_node *n)
{
	struct ipranges all = { 0 };
	bool leads = node_offers_exit(n);

	if (leads || !internet_ranges(&all))
		goto out;
	for (size_t i = 0; i < n->n_routes && !leads; i++) {
		const struct iprange r = range_of(&n->routes[i]);

		leads = ipranges_overlap(&all, &r);
	}
out:
	ipranges_free(&all);
	return leads;
}

/* Over chosen routers only: what they route, and the internet over exit nodes */
static bool via_leads(const struct rule *r, const struct target *t, const struct policy_node *n)
{
	for (size_t i = 0; i < r->via.n; i++)
		if (node_has_tag(n, r->via.v[i]))
			return t->to.kind == ALIAS_INTERNET
				   ? node_offers_exit(n)
				   : t->to.kind == ALIAS_PREFIX &&
					 node_routes_into(n, &t->to.prefix);
	return false;
}

bool target_leads(const struct rule *r, const struct target *t, const struct policy_node *n)
{
	const struct ipprefix *p = &t->to.prefix;

	if (r->via.n > 0)
		return via_leads(r, t, n);
	switch (t->to.kind) {
	case ALIAS_PREFIX:
		return node_covered(n, p) || node_routes_into(n, p) ||
		       (node_offers_exit(n) && internet_has(p));
	case ALIAS_INTERNET:
		return internet_leads(n);
	case ALIAS_SELF:
		return false; /* by owner: policy.self_rules */
	default:
		return alias_covers(&t->to, n);
	}
}

static void emit_ports(struct jsonw *w, const char *ip, const struct target *t)
{
	for (size_t i = 0; i < t->n_ports; i++) {
		jsonw_obj(w);
		jsonw_kstr(w, "IP", ip);
		jsonw_key(w, "Ports");
		jsonw_obj(w);
		jsonw_ki64(w, "First", t->ports[i].first);
		jsonw_ki64(w, "Last", t->ports[i].last);
		jsonw_obj_end(w);
		jsonw_obj_end(w);
	}
}

static void emit_own(struct jsonw *w, const struct policy_node *n, const struct target *t)
{
	char text[IP_TEXT];

	if (!ip_is_zero(&n->v4))
		emit_ports(w, ip_text(&n->v4, text), t);
	if (!ip_is_zero(&n->v6))
		emit_ports(w, ip_text(&n->v6, text), t);
}

static void emit_internet(struct jsonw *w, const struct target *t)
{
	struct ipranges all = { 0 };

	if (!internet_ranges(&all))
		w->failed = true;
	for (size_t i = 0; i < all.n; i++) {
		char first[IP_TEXT], last[IP_TEXT], text[2 * IP_TEXT + 4];
		struct buf b;

		ip_text(&all.v[i].first, first);
		ip_text(&all.v[i].last, last);
		buf_init(&b, sizeof text - 1);
		if (!buf_printf(&b, "%s-%s", first, last))
			w->failed = true;
		bytes_to_str(buf_bytes(&b), text, sizeof text);
		emit_ports(w, text, t);
		buf_fini(&b);
	}
	ipranges_free(&all);
}

static void emit_target(struct jsonw *w, const struct policy_node *n, const struct target *t)
{
	char text[IPPREFIX_TEXT];

	if (t->to.kind == ALIAS_ANY)
		emit_ports(w, "*", t);
	else if (t->to.kind == ALIAS_INTERNET)
		emit_internet(w, t);
	else if (t->to.kind == ALIAS_PREFIX && ipprefix_is_single(&t->to.prefix))
		emit_ports(w, ip_text(&t->to.prefix.ip, text), t);
	else if (t->to.kind == ALIAS_PREFIX)
		emit_ports(w, ipprefix_text(&t->to.prefix, text), t);
	else
		emit_own(w, n, t);
}

/* --- capabilities --- */

static void emit_single(struct jsonw *w, const struct ip *a)
{
	const struct ipprefix one = ipprefix_of(a, 128);
	char text[IPPREFIX_TEXT];

	if (!ip_is_zero(a))
		jsonw_str(w, ipprefix_text(&one, text));
}

static void emit_grant(struct jsonw *w, const struct rule *r, const struct policy_node *n,
		       const struct target *t)
{
	const struct ipprefix *p = t->to.kind == ALIAS_PREFIX ? &t->to.prefix : NULL;
	char text[IPPREFIX_TEXT];

	jsonw_obj(w);
	jsonw_key(w, "Dsts");
	jsonw_arr(w);
	if (!p || ipprefix_has(p, &n->v4))
		emit_single(w, &n->v4);
	if (!p || ipprefix_has(p, &n->v6))
		emit_single(w, &n->v6);
	if (p && node_routes_into(n, p))
		jsonw_str(w, ipprefix_text(p, text));
	jsonw_arr_end(w);
	jsonw_key(w, "CapMap");
	jsonw_raw(w, bytes_str(r->app));
	jsonw_obj_end(w);
}

static bool grant_leads(const struct rule *r, const struct target *t, const struct policy_node *n)
{
	if (t->to.kind == ALIAS_PREFIX)
		return node_covered(n, &t->to.prefix) || node_routes_into(n, &t->to.prefix);
	return t->to.kind == ALIAS_SELF || target_leads(r, t, n);
}

/* --- rules --- */

/* One FilterRule of self for one text of sources, out of the targets that are autogroup:self or of
 * those that are not; nothing when none leads there. */
static void emit_rule(struct jsonw *w, const struct rule *r, const struct policy_node *n,
		      struct bytes sources, bool to_self)
{
	bool open = false;

	for (size_t i = 0; i < r->n_dst; i++) {
		const struct target *t = &r->dst[i];
		bool is_self = t->to.kind == ALIAS_SELF;

		if (is_self != to_self ||
		    !(r->app ? grant_leads(r, t, n) : is_self || target_leads(r, t, n)))
			continue;
		if (!open) {
			open = true;
			jsonw_obj(w);
			jsonw_key(w, "SrcIPs");
			jsonw_arr(w);
			jsonw_raw(w, sources);
			jsonw_arr_end(w);
			if (r->n_protos > 0 && !r->app) {
				jsonw_key(w, "IPProto");
				jsonw_arr(w);
				for (size_t k = 0; k < r->n_protos; k++)
					jsonw_i64(w, r->protos[k]);
				jsonw_arr_end(w);
			}
			jsonw_key(w, r->app ? "CapGrant" : "DstPorts");
			jsonw_arr(w);
		}
		if (r->app)
			emit_grant(w, r, n, t);
		else
			emit_target(w, n, t);
	}
	if (open) {
		jsonw_arr_end(w);
		jsonw_obj_end(w);
	}
}

static bool emit_self(const struct policy *p, struct jsonw *w, size_t rule, size_t self)
{
	struct ipranges src = { 0 };
	struct jsonw text;
	struct buf b;
	bool ok;

	buf_init(&b, POLICY_SOURCES_MAX);
	jsonw_init(&text, &b);
	ok = self_sources(p, rule, p->pnodes[self].owner, &src) && ipranges_emit(&src, &text);
	if (ok && src.n > 0)
		emit_rule(w, &p->rules[rule], &p->nodes[self], buf_bytes(&b), true);
	ipranges_free(&src);
	buf_fini(&b);
	return ok;
}

int policy_filter_emit(struct policy *p, size_t self, struct buf *out)
{
	static const char all[] = "[{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{"
				  "\"First\":0,\"Last\":65535}}]}]";
	const struct pnode *n;
	struct jsonw w;

	if (!p || !p->has_rules)
		return buf_append(out, all, sizeof all - 1) ? 0 : -ENOMEM;
	n = &p->pnodes[self];
	jsonw_init(&w, out);
	jsonw_arr(&w);
	for (size_t k = 0; n->set[0] && k < p->words; k++) {
		uint64_t own = n->owner != 0 ? p->self_rules[k] : 0;

		for (uint64_t left = n->set[SET_TO][k] | own; left != 0; left &= left - 1) {
			size_t i = k * 64 + (size_t)__builtin_ctzll(left);
			struct rule *r = &p->rules[i];

			if (!rule_sources(p, r))
				return -ENOMEM;
			if (r->src_text.len > 0)
				emit_rule(&w, r, &p->nodes[self], buf_bytes(&r->src_text), false);
			if ((own & left & -left) != 0 && !emit_self(p, &w, i, self))
				return -ENOMEM;
		}
	}
	jsonw_arr_end(&w);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}
