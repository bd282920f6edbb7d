/* coordinator/policy_owners.c - what a policy says of single nodes: who may give tags, which routes
 * are approved, attributes, ssh */
#include <errno.h>
#include <string.h>

#include "coordinator/policy_priv.h"

enum { POLICY_OWNERS_MAX = 1024 }; /* tags that are looked at for one question */

static bool is_among(const struct entry *const *v, size_t n, const struct entry *tag)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == tag)
			return true;
	return false;
}

/* Owners of a tag may be tags: whoever may give those, may give this. Tags may own each other, so
 * each is looked at once. */
static bool owns(const struct policy *p, const struct entry *first, const char *user)
{
	const struct policy_node who = { .user = user };
	const struct entry *todo[POLICY_OWNERS_MAX] = { first };
	size_t n = 1;
	struct alias a;

	for (size_t at = 0; at < n; at++)
		for (size_t i = 0; i < todo[at]->members.n; i++) {
			const char *owner = todo[at]->members.v[i];
			const struct entry *tag = entry_find(&p->tags, owner);

			if (!tag && alias_of(p, owner, &a) && alias_names(&a, &who))
				return true;
			if (tag && n < POLICY_OWNERS_MAX && !is_among(todo, n, tag))
				todo[n++] = tag;
		}
	return false;
}

bool policy_tag_allowed(const struct policy *p, const char *user, const char *tag)
{
	const struct entry *t = p ? entry_find(&p->tags, tag) : NULL;

	return t && *user && owns(p, t, user);
}

bool policy_has_tag(const struct policy *p, const char *tag)
{
	return !p || entry_find(&p->tags, tag);
}

bool policy_route_approved(const struct policy *p, const struct policy_node *node,
			   const struct ipprefix *route)
{
	struct ipprefix allowed_route;

	if (!p)
		return false;
	if (route_is_exit(route))
		return names_cover(p, &p->exit, node);
	for (size_t i = 0; i < p->routes.n; i++)
		if (ipprefix_parse(bytes_str(p->routes.v[i].name), &allowed_route) &&
		    allowed_route.bits <= route->bits && ipprefix_has(&allowed_route, &route->ip) &&
		    names_cover(p, &p->routes.v[i].members, node))
			return true;
	return false;
}

int policy_attrs_emit(const struct policy *p, const struct policy_node *self, struct buf *out)
{
	bool ok = true;

	for (size_t i = 0; i < p->n_attrs; i++)
		for (size_t k = 0;
		     names_cover(p, &p->attrs[i].target, self) && k < p->attrs[i].attrs.n; k++) {
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

static bool has_user(const struct ssh_rule *r, const char *name)
{
	for (size_t i = 0; i < r->users.n; i++)
		if (strcmp(r->users.v[i], name) == 0)
			return true;
	return false;
}

/* Members of localpart:*@domain are users by their email addresses, which nobody has here. */
static bool is_localpart(const char *user)
{
	static const char start[] = "localpart:*@";

	return strncmp(user, start, sizeof start - 1) == 0 && user[sizeof start - 1];
}

static void ssh_users(struct jsonw *w, const struct ssh_rule *r)
{
	bool root = has_user(r, "root");

	jsonw_key(w, "sshUsers");
	jsonw_obj(w);
	if (has_user(r, "autogroup:nonroot"))
		jsonw_kstr(w, "*", "=");
	jsonw_kstr(w, "root", root ? "root" : "");
	for (size_t i = 0; i < r->users.n; i++)
		if (strcmp(r->users.v[i], "root") != 0 &&
		    strcmp(r->users.v[i], "autogroup:nonroot") != 0 && !is_localpart(r->users.v[i]))
			jsonw_kstr(w, r->users.v[i], r->users.v[i]);
	jsonw_obj_end(w);
}

static void principal(struct jsonw *w, const struct ip *a)
{
	char text[IP_TEXT];

	if (ip_is_zero(a))
		return;
	jsonw_obj(w);
	jsonw_kstr(w, "nodeIP", ip_text(a, text));
	jsonw_obj_end(w);
}

/* owner 0: anybody among the sources; else that user's own devices */
static bool is_principal(const struct policy *p, const struct ssh_rule *r, int64_t owner,
			 const struct policy_node *n)
{
	return n->id != 0 && (owner == 0 || (n->n_tags == 0 && n->owner == owner)) &&
	       names_cover(p, &r->src, n);
}

static void ssh_action(struct jsonw *w, const struct ssh_rule *r, const char *check_url)
{
	jsonw_obj(w);
	if (r->is_check) {
		jsonw_kstr(w, "holdAndDelegate", check_url);
	} else {
		jsonw_kbool(w, "accept", true);
		jsonw_kbool(w, "allowAgentForwarding", true);
		jsonw_kbool(w, "allowLocalPortForwarding", true);
		jsonw_kbool(w, "allowRemotePortForwarding", true);
	}
	jsonw_obj_end(w);
}

static void ssh_rule(const struct policy *p, struct jsonw *w, const struct ssh_rule *r,
		     int64_t owner, const char *check_url)
{
	bool any = false;

	for (size_t i = 0; i < p->n_nodes && !any; i++)
		any = is_principal(p, r, owner, &p->nodes[i]);
	if (!any)
		return;
	jsonw_obj(w);
	jsonw_key(w, "principals");
	jsonw_arr(w);
	for (size_t i = 0; i < p->n_nodes; i++)
		if (is_principal(p, r, owner, &p->nodes[i])) {
			principal(w, &p->nodes[i].v4);
			principal(w, &p->nodes[i].v6);
		}
	jsonw_arr_end(w);
	ssh_users(w, r);
	jsonw_key(w, "action");
	ssh_action(w, r, check_url);
	if (r->env.n > 0) {
		jsonw_key(w, "acceptEnv");
		jsonw_arr(w);
		for (size_t i = 0; i < r->env.n; i++)
			jsonw_str(w, r->env.v[i]);
		jsonw_arr_end(w);
	}
	jsonw_obj_end(w);
}

static bool leads_to_self(const struct ssh_rule *r)
{
	for (size_t k = 0; k < r->dst.n; k++)
		if (strcmp(r->dst.v[k], "autogroup:self") == 0)
			return true;
	return false;
}

/* Those that lead to the node by name, then by autogroup:self */
static void ssh_rules(const struct policy *p, struct jsonw *w, const struct policy_node *self,
		      bool checks, const char *check_url)
{
	for (size_t i = 0; i < p->n_ssh; i++) {
		const struct ssh_rule *r = &p->ssh[i];

		if (r->is_check != checks)
			continue;
		if (leads_to_self(r) && self->n_tags == 0 && self->owner != 0)
			ssh_rule(p, w, r, self->owner, check_url);
		if (names_cover(p, &r->dst, self))
			ssh_rule(p, w, r, 0, check_url);
	}
}

bool policy_ssh_check(const struct policy *p, size_t src, size_t dst, span_t *period)
{
	const struct policy_node *a, *b;

	if (!p || src >= p->n_nodes || dst >= p->n_nodes)
		return false;
	a = &p->nodes[src];
	b = &p->nodes[dst];
	for (size_t i = 0; i < p->n_ssh; i++) {
		const struct ssh_rule *r = &p->ssh[i];
		bool own = leads_to_self(r) && b->n_tags == 0 && b->owner != 0 &&
			   is_principal(p, r, b->owner, a);

		if (r->is_check &&
		    (own || (names_cover(p, &r->dst, b) && is_principal(p, r, 0, a)))) {
			*period = r->period;
			return true;
		}
	}
	return false;
}

int policy_ssh_emit(const struct policy *p, size_t self, const char *check_url, struct buf *out)
{
	struct jsonw w;

	if (p->n_ssh == 0)
		return 0;
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_key(&w, "rules");
	jsonw_arr(&w);
	/* the first that fits counts: checks lead */
	ssh_rules(p, &w, &p->nodes[self], true, check_url);
	ssh_rules(p, &w, &p->nodes[self], false, check_url);
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}
