/* coordinator/policy.c - policies: made, tested, compiled to the packet filter of one node
 *
 * policy_prepare resolves the sources of all rules once for a set of nodes; everything that is
 * asked for a node afterwards (filter, visibility) works on that set until the next prepare.
 */
#include "coordinator/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/hujson.h"
#include "coordinator/policy_priv.h"
#include "coordinator/policy_read.h"

/* --- life --- */

static void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
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
	for (size_t i = 0; i < p->n_rules; i++) {
		if (p->rules[i].src_set)
			ipranges_free(p->rules[i].src_set);
		free(p->rules[i].src_set);
		p->rules[i].src_set = NULL;
	}
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
		free(p->rules[i].app);
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
	}
	for (size_t i = 0; i < p->n_attrs; i++) {
		names_fini(&p->attrs[i].target);
		names_fini(&p->attrs[i].attrs);
	}
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
	     policy_check_names(p, &at, why);
	free(plain);
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

/* --- preparing --- */

int policy_prepare(struct policy *p, const struct policy_node *v, size_t n)
{
	if (!p)
		return 0;
	unprepare(p);
	p->nodes = v;
	p->n_nodes = n;
	for (size_t i = 0; i < p->n_rules; i++) {
		struct rule *r = &p->rules[i];

		r->src_set = calloc(1, sizeof *r->src_set);
		for (size_t k = 0; r->src_set && k < r->src.n; k++)
			if (!alias_ranges(p, r->src.v[k], v, n, r->src_set)) {
				unprepare(p);
				return -ENOMEM;
			}
		if (!r->src_set) {
			unprepare(p);
			return -ENOMEM;
		}
		ipranges_merge(r->src_set);
	}
	return 0;
}

/* --- what a destination means for one node --- */

static bool is_exit(const struct policy_node *n)
{
	for (size_t i = 0; i < n->n_routes; i++)
		if (n->routes[i].bits == (ip_is_v4(&n->routes[i].ip) ? 96 : 0))
			return true;
	return false;
}

static bool own(const struct policy_node *n, struct ipranges *out)
{
	return ipranges_add_ip(out, &n->v4) && ipranges_add_ip(out, &n->v6);
}

/* Addresses of the alias that lead to self: its own ones, and what it routes. Empty: none do. */
static bool dst_ranges(const struct policy *p, const char *alias, const struct policy_node *self,
		       struct ipranges *out)
{
	struct ipranges all = { 0 };
	bool ok = true;

	if (strcmp(alias, "autogroup:self") == 0)
		return self->n_tags > 0 || own(self, out);
	if (strcmp(alias, "autogroup:internet") == 0)
		return !is_exit(self) || alias_ranges(p, alias, NULL, 0, out);
	if (alias_has_node(p, alias, self))
		ok = own(self, out);
	if (!ok || self->n_routes == 0 || !alias_ranges(p, alias, p->nodes, p->n_nodes, &all)) {
		ipranges_free(&all);
		return ok;
	}
	ipranges_merge(&all);
	for (size_t i = 0; ok && i < self->n_routes;
	     i++) { /* a rule for addresses that self routes lets them in */
		const struct iprange route = range_of(&self->routes[i]);

		for (size_t k = 0; ok && k < all.n; k++) {
			struct iprange cut = {
				ip_cmp(&all.v[k].first, &route.first) > 0 ? all.v[k].first
									  : route.first,
				ip_cmp(&all.v[k].last, &route.last) < 0 ? all.v[k].last : route.last
			};

			if (ip_is_v4(&all.v[k].first) == ip_is_v4(&route.first) &&
			    ip_cmp(&cut.first, &cut.last) <= 0)
				ok = ipranges_add(out, &cut);
		}
	}
	ipranges_free(&all);
	return ok;
}

/* autogroup:self: only devices of the same user, untagged, and only where the rule's sources allow
 * them */
static bool self_sources(const struct rule *r, const struct policy *p,
			 const struct policy_node *self, struct ipranges *out)
{
	for (size_t i = 0; i < p->n_nodes; i++) {
		const struct policy_node *n = &p->nodes[i];
		bool among = (!ip_is_zero(&n->v4) && ipranges_has(r->src_set, &n->v4)) ||
			     (!ip_is_zero(&n->v6) && ipranges_has(r->src_set, &n->v6));

		if (n->n_tags == 0 && self->n_tags == 0 && strcmp(n->user, self->user) == 0 &&
		    among && !own(n, out))
			return false;
	}
	ipranges_merge(out);
	return true;
}

/* --- the filter --- */

static void emit_ports(struct jsonw *w, const char *ip, const struct ports *p)
{
	jsonw_obj(w);
	jsonw_kstr(w, "IP", ip);
	jsonw_key(w, "Ports");
	jsonw_obj(w);
	jsonw_ki64(w, "First", p->first);
	jsonw_ki64(w, "Last", p->last);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void emit_range_ports(struct jsonw *w, const struct ipranges *dst, const struct target *t)
{
	for (size_t i = 0; i < dst->n; i++) {
		struct ipranges one = { .v = &dst->v[i], .n = 1 };
		struct buf text;
		struct jsonw tw;
		char ip[2 * IP_TEXT + 4];

		buf_init(&text, sizeof ip + 2);
		jsonw_init(&tw, &text);
		if (!ipranges_emit(&one, &tw) || text.len < 2) {
			w->failed = true;
		} else { /* without its quotes */
			bytes_to_str(bytes_of(text.data + text.off + 1, text.len - 2), ip,
				     sizeof ip);
			for (size_t k = 0; k < t->n_ports; k++)
				emit_ports(w, ip, &t->ports[k]);
		}
		buf_fini(&text);
	}
}

static void emit_sources(struct jsonw *w, const struct ipranges *src)
{
	jsonw_key(w, "SrcIPs");
	jsonw_arr(w);
	ipranges_emit(src, w);
	jsonw_arr_end(w);
}

static void emit_protos(struct jsonw *w, const struct rule *r)
{
	if (r->n_protos == 0)
		return;
	jsonw_key(w, "IPProto");
	jsonw_arr(w);
	for (size_t i = 0; i < r->n_protos; i++)
		jsonw_i64(w, r->protos[i]);
	jsonw_arr_end(w);
}

static void emit_grant(struct jsonw *w, const struct rule *r, const struct ipranges *dst)
{
	jsonw_key(w, "CapGrant");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_key(w, "Dsts");
	jsonw_arr(w);
	ipranges_emit(dst, w);
	jsonw_arr_end(w);
	jsonw_key(w, "CapMap");
	jsonw_raw(w, bytes_str(r->app));
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

/* One FilterRule of self for one set of sources; targets for which `self_only` does not hold are
 * left out. */
static bool emit_rule(const struct policy *p, struct jsonw *w, const struct rule *r,
		      const struct policy_node *self, bool self_only)
{
	struct ipranges src = { 0 }, dst[1] = { { 0 } };
	bool open = false, ok = true;

	if (self_only)
		ok = self_sources(r, p, self, &src);
	for (size_t i = 0; ok && i < r->n_dst; i++) {
		bool is_self = strcmp(r->dst[i].alias, "autogroup:self") == 0;

		dst->n = 0;
		if (is_self != self_only || (self_only && src.n == 0) ||
		    (!self_only && r->src_set->n == 0))
			continue;
		ok = dst_ranges(p, r->dst[i].alias, self, dst);
		ipranges_merge(dst);
		if (!ok || dst->n == 0)
			continue;
		if (!open) {
			jsonw_obj(w);
			emit_sources(w, self_only ? &src : r->src_set);
			emit_protos(w, r);
			if (!r->app) {
				jsonw_key(w, "DstPorts");
				jsonw_arr(w);
			}
			open = true;
		}
		if (r->app) {
			emit_grant(w, r, dst);
			break; /* one grant a rule: further destinations of self are the same
				  addresses */
		}
		emit_range_ports(w, dst, &r->dst[i]);
	}
	if (open) {
		if (!r->app)
			jsonw_arr_end(w);
		jsonw_obj_end(w);
	}
	ipranges_free(&src);
	ipranges_free(dst);
	return ok;
}

int policy_filter_emit(const struct policy *p, size_t self, struct buf *out)
{
	static const char all[] = "[{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{"
				  "\"First\":0,\"Last\":65535}}]}]";
	struct jsonw w;

	if (!p)
		return buf_append(out, all, sizeof all - 1) ? 0 : -ENOMEM;
	jsonw_init(&w, out);
	jsonw_arr(&w);
	for (size_t i = 0; i < p->n_rules; i++)
		if (!emit_rule(p, &w, &p->rules[i], &p->nodes[self], false) ||
		    !emit_rule(p, &w, &p->rules[i], &p->nodes[self], true))
			return -ENOMEM;
	jsonw_arr_end(&w);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}

/* --- reachability --- */

static bool from(const struct rule *r, const struct policy_node *n)
{
	if ((!ip_is_zero(&n->v4) && ipranges_has(r->src_set, &n->v4)) ||
	    (!ip_is_zero(&n->v6) && ipranges_has(r->src_set, &n->v6)))
		return true;
	for (size_t i = 0; i < n->n_routes;
	     i++) /* traffic out of a routed network comes through its router */
		if (n->routes[i].bits > (ip_is_v4(&n->routes[i].ip) ? 96 : 0) &&
		    ipranges_overlap(r->src_set, &n->routes[i]))
			return true;
	return false;
}

static bool to(const struct policy *p, const struct target *t, const struct policy_node *src,
	       const struct policy_node *dst)
{
	struct ipranges set = { 0 };
	bool any;

	if (strcmp(t->alias, "autogroup:self") == 0)
		return src->n_tags == 0 && dst->n_tags == 0 && *src->user &&
		       strcmp(src->user, dst->user) == 0;
	if (alias_has_node(p, t->alias, dst))
		return true;
	if (dst->n_routes == 0)
		return false;
	any = dst_ranges(p, t->alias, dst, &set) && set.n > 0;
	ipranges_free(&set);
	return any;
}

static bool reaches(const struct policy *p, const struct policy_node *a,
		    const struct policy_node *b)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		if (!from(&p->rules[i], a))
			continue;
		for (size_t k = 0; k < p->rules[i].n_dst; k++)
			if (to(p, &p->rules[i].dst[k], a, b))
				return true;
	}
	return false;
}

bool policy_sees(const struct policy *p, size_t a, size_t b)
{
	if (!p)
		return true;
	return reaches(p, &p->nodes[a], &p->nodes[b]) || reaches(p, &p->nodes[b], &p->nodes[a]);
}

/* --- its own tests --- */

static bool proto_in(const struct rule *r, uint8_t proto)
{
	if (r->n_protos == 0)
		return proto == 6 || proto == 17 || proto == 1 || proto == 58;
	for (size_t i = 0; i < r->n_protos; i++)
		if (r->protos[i] == proto)
			return true;
	return false;
}

/* May an address of `src` reach one of `dst` on the port? Decided on sets of addresses, as users
 * mean it. */
static bool allowed(const struct policy *p, const struct ipranges *src, const struct ipranges *dst,
		    uint16_t port, uint8_t proto)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *r = &p->rules[i];
		bool from_here = false;

		for (size_t k = 0; k < src->n && !r->app; k++)
			from_here |= ipranges_has(r->src_set, &src->v[k].first);
		for (size_t k = 0; from_here && proto_in(r, proto) && k < r->n_dst; k++) {
			struct ipranges set = { 0 };
			bool hit = false;

			if (alias_ranges(p, r->dst[k].alias, p->nodes, p->n_nodes, &set)) {
				ipranges_merge(&set);
				for (size_t m = 0; m < dst->n; m++)
					hit |= strcmp(r->dst[k].alias, "*") == 0 ||
					       ipranges_has(&set, &dst->v[m].first);
			}
			ipranges_free(&set);
			for (size_t m = 0; hit && m < r->dst[k].n_ports; m++)
				if (port >= r->dst[k].ports[m].first &&
				    port <= r->dst[k].ports[m].last)
					return true;
		}
	}
	return false;
}

static int run_check(const struct policy *p, const struct check *c, const struct target *t,
		     bool want, struct err *e)
{
	struct ipranges src = { 0 }, dst = { 0 };
	bool ok = alias_ranges(p, c->src, p->nodes, p->n_nodes, &src) &&
		  alias_ranges(p, t->alias, p->nodes, p->n_nodes, &dst);
	struct hujson_pos pos = hujson_pos(policy_text(p), c->at);
	bool got = ok && allowed(p, &src, &dst, t->ports[0].first, c->proto);
	bool empty = src.n == 0 || dst.n == 0; /* names without a node now prove nothing */

	ipranges_free(&src);
	ipranges_free(&dst);
	if (!ok)
		return err_set(e, ENOMEM, "policy tests");
	if (empty || got == want)
		return 0;
	return err_say(e, EINVAL, "policy: line %u, column %u: test fails: %s to %s:%u is %s",
		       pos.line, pos.column, c->src, t->alias, t->ports[0].first,
		       got ? "accepted but shall be denied" : "denied but shall be accepted");
}

int policy_test(struct policy *p, const struct policy_node *v, size_t n, struct err *e)
{
	if (policy_prepare(p, v, n) != 0)
		return err_set(e, ENOMEM, "policy tests");
	for (size_t i = 0; i < p->n_checks; i++) {
		const struct check *c = &p->checks[i];
		int ret = 0;

		for (size_t k = 0; ret == 0 && k < c->n_accept; k++)
			ret = run_check(p, c, &c->accept[k], true, e);
		for (size_t k = 0; ret == 0 && k < c->n_deny; k++)
			ret = run_check(p, c, &c->deny[k], false, e);
		if (ret != 0)
			return ret;
	}
	return 0;
}

/* --- owners, approvers, attributes --- */

static bool owns(const struct policy *p, const struct names *owners, const char *user)
{
	const struct policy_node who = { .user = user };

	for (size_t i = 0; i < owners->n; i++)
		if (strncmp(owners->v[i], "tag:", 4) != 0 && alias_has_node(p, owners->v[i], &who))
			return true;
	return false;
}

bool policy_tag_allowed(const struct policy *p, const char *user, const char *tag)
{
	const struct entry *t = p ? entry_find(&p->tags, tag) : NULL;

	return t && *user && owns(p, &t->members, user);
}

static bool among(const struct policy *p, const struct names *v, const struct policy_node *n)
{
	for (size_t i = 0; i < v->n; i++)
		if (alias_has_node(p, v->v[i], n))
			return true;
	return false;
}

bool policy_route_approved(const struct policy *p, const struct policy_node *node,
			   const struct ipprefix *route)
{
	struct ipprefix allowed_route;

	if (!p)
		return false;
	if (route->bits == (ip_is_v4(&route->ip) ? 96 : 0))
		return among(p, &p->exit, node);
	for (size_t i = 0; i < p->routes.n; i++)
		if (ipprefix_parse(bytes_str(p->routes.v[i].name), &allowed_route) &&
		    allowed_route.bits <= route->bits && ipprefix_has(&allowed_route, &route->ip) &&
		    among(p, &p->routes.v[i].members, node))
			return true;
	return false;
}

int policy_attrs_emit(const struct policy *p, const struct policy_node *self, struct buf *out)
{
	bool ok = true;

	for (size_t i = 0; i < p->n_attrs; i++)
		for (size_t k = 0; among(p, &p->attrs[i].target, self) && k < p->attrs[i].attrs.n;
		     k++) {
			struct jsonw w;

			if (out->len > 0)
				ok = ok && buf_append(out, ",", 1);
			jsonw_init(&w, out);
			jsonw_str(&w, p->attrs[i].attrs.v[k]);
			ok = ok && jsonw_ok(&w) && buf_append(out, ":[]", 3);
		}
	return ok ? 0 : -ENOMEM;
}

/* --- ssh --- */

static void ssh_users(struct jsonw *w, const struct ssh_rule *r)
{
	jsonw_key(w, "sshUsers");
	jsonw_obj(w);
	for (size_t i = 0; i < r->users.n; i++) {
		bool any = strcmp(r->users.v[i], "autogroup:nonroot") == 0;

		jsonw_kstr(w, any ? "*" : r->users.v[i], any ? "=" : r->users.v[i]);
		if (any)
			jsonw_kstr(w, "root", "");
	}
	jsonw_obj_end(w);
}

static bool ssh_principals(const struct policy *p, struct jsonw *w, const struct ssh_rule *r)
{
	struct ipranges src = { 0 };
	bool ok = true;
	char text[IP_TEXT];

	for (size_t i = 0; ok && i < r->src.n; i++)
		for (size_t k = 0; ok && k < p->n_nodes; k++)
			if (alias_has_node(p, r->src.v[i], &p->nodes[k]))
				ok = own(&p->nodes[k], &src);
	jsonw_key(w, "principals");
	jsonw_arr(w);
	for (size_t i = 0; i < src.n; i++) {
		jsonw_obj(w);
		jsonw_kstr(w, "nodeIP", ip_text(&src.v[i].first, text));
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
	ipranges_free(&src);
	return ok;
}

int policy_ssh_emit(const struct policy *p, size_t self, struct buf *out)
{
	const struct policy_node *node = &p->nodes[self];
	struct jsonw w;

	if (p->n_ssh == 0)
		return 0;
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_key(&w, "rules");
	jsonw_arr(&w);
	for (size_t i = 0; i < p->n_ssh; i++) {
		const struct ssh_rule *r = &p->ssh[i];

		if (!among(p, &r->dst, node))
			continue;
		jsonw_obj(&w);
		if (!ssh_principals(p, &w, r))
			return -ENOMEM;
		ssh_users(&w, r);
		jsonw_key(&w, "action");
		jsonw_obj(&w);
		jsonw_kbool(&w, "accept", !r->is_check);
		if (r->is_check)
			jsonw_kbool(&w, "reject",
				    true); /* a check needs a person, whom nobody can ask here */
		if (r->period_ns > 0)
			jsonw_ki64(&w, "sessionDuration", r->period_ns);
		jsonw_kbool(&w, "allowAgentForwarding", true);
		jsonw_kbool(&w, "allowLocalPortForwarding", true);
		jsonw_obj_end(&w);
		jsonw_obj_end(&w);
	}
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}
