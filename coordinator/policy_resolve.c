/* coordinator/policy_resolve.c - the names of a policy, resolved; what may stand where (as
 * Headscale has it) */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/policy_read.h"

struct place { /* where a fault is told of */
	size_t *out_at;
	char *why;
};

/* at: of the name that is wrong, or of the rule that lacks one */
static bool wrong(const struct place *w, uint32_t at, const char *fmt, ...) PRINTF(3, 4);
static bool wrong(const struct place *w, uint32_t at, const char *fmt, ...)
{
	va_list ap;

	*w->out_at = at;
	va_start(ap, fmt);
	vsnprintf(w->why, ERR_TEXT_MAX, fmt, ap);
	va_end(ap);
	return false;
}

static bool resolve(const struct policy *p, const char *text, uint32_t at, struct alias *out,
		    const struct place *w)
{
	return alias_of(p, text, out) ||
	       wrong(
		   w, at,
		   "'%.100s' is not defined: groups, tagOwners and hosts define names; users look "
		   "like alice@",
		   text);
}

static bool defined(const struct policy *p, const struct names *n, const struct place *w)
{
	struct alias a;

	for (size_t i = 0; i < n->n; i++)
		if (!resolve(p, n->v[i], n->at[i], &a, w))
			return false;
	return true;
}

/* --- rules --- */

static bool is_kind(const struct alias *a, unsigned kinds)
{
	return kinds >> a->kind & 1;
}

enum { /* sets of kinds */
       PEOPLE = 1U << ALIAS_USER | 1U << ALIAS_GROUP | 1U << ALIAS_MEMBER,
       MACHINES = 1U << ALIAS_TAG | 1U << ALIAS_TAGGED,
};

static bool rule_from(const struct policy *p, struct rule *r, const struct place *w)
{
	r->from = calloc(r->src.n + 1, sizeof *r->from);
	if (!r->from)
		return wrong(w, r->at, "out of memory");
	for (size_t i = 0; i < r->src.n; i++) {
		if (!resolve(p, r->src.v[i], r->src.at[i], &r->from[i], w))
			return false;
		if (is_kind(&r->from[i], 1U << ALIAS_SELF | 1U << ALIAS_INTERNET))
			return wrong(w, r->src.at[i], "%s can only be a destination", r->src.v[i]);
		r->from_any |= r->from[i].kind == ALIAS_ANY;
		r->from_all |= r->from[i].kind == ALIAS_ALL;
	}
	return defined(p, &r->via, w);
}

static bool targets(const struct policy *p, struct target *v, size_t n, const struct place *w)
{
	for (size_t i = 0; i < n; i++) {
		if (!resolve(p, v[i].alias, v[i].at, &v[i].to, w))
			return false;
		if (v[i].to.kind == ALIAS_ALL)
			return wrong(w, v[i].at, "%s cannot be a destination", v[i].alias);
	}
	return true;
}

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17 || proto == 132;
}

static bool rule_fits(const struct rule *r, const struct place *w)
{
	const unsigned own = r->is_grant ? PEOPLE : PEOPLE | 1U << ALIAS_ANY;

	for (size_t i = 0; i < r->n_dst; i++) {
		const struct target *t = &r->dst[i];

		for (size_t k = 0; t->to.kind == ALIAS_SELF && k < r->src.n; k++)
			if (!is_kind(&r->from[k], own))
				return wrong(w, r->src.at[k],
					     "autogroup:self is for users and groups, not for %s",
					     r->src.v[k]);
		if (r->app && t->to.kind == ALIAS_INTERNET)
			return wrong(w, t->at, "autogroup:internet has no capabilities");
		if (r->is_grant && t->to.kind == ALIAS_PREFIX && route_is_exit(&t->to.prefix))
			return wrong(w, t->at,
				     "to reach all addresses, write * or autogroup:internet");
		for (size_t k = 0; k < t->n_ports; k++)
			if (!r->is_grant && r->n_protos > 0 && !has_ports(r->protos[0]) &&
			    (t->ports[k].first != 0 || t->ports[k].last != 65535))
				return wrong(w, t->at,
					     "this protocol has no ports: only * is possible");
	}
	return true;
}

/* --- tests --- */

static bool check_fits(const struct target *v, size_t n, const struct place *w)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].n_ports != 1 || v[i].ports[0].first != v[i].ports[0].last)
			return wrong(w, v[i].at, "'%.100s': a test names one port", v[i].alias);
		if (v[i].to.kind == ALIAS_INTERNET)
			return wrong(w, v[i].at, "autogroup:internet is no destination of a test");
		if (v[i].to.kind == ALIAS_PREFIX && !ipprefix_is_single(&v[i].to.prefix))
			return wrong(w, v[i].at,
				     "'%.100s': a test names one address, not a network",
				     v[i].alias);
	}
	return true;
}

static bool check(const struct policy *p, struct check *c, const struct place *w)
{
	struct alias a;

	if (c->proto != 0 && !has_ports(c->proto))
		return wrong(w, c->proto_at, "tests are of tcp, udp or sctp");
	return resolve(p, c->src, c->src_at, &a, w) && targets(p, c->accept, c->n_accept, w) &&
	       targets(p, c->deny, c->n_deny, w) && check_fits(c->accept, c->n_accept, w) &&
	       check_fits(c->deny, c->n_deny, w);
}

/* --- ssh --- */

static bool ssh_dst_fits(const struct alias *from, size_t n, const struct alias *to, uint32_t at,
			 const struct place *w)
{
	for (size_t i = 0; i < n; i++) {
		if (is_kind(&from[i], MACHINES) && (is_kind(to, PEOPLE) || to->kind == ALIAS_SELF))
			return wrong(w, at, "tagged devices cannot reach users' devices by ssh");
		if (to->kind == ALIAS_USER &&
		    (n != 1 || from[i].kind != ALIAS_USER || strcmp(from[i].text, to->text) != 0))
			return wrong(w, at,
				     "ssh to %s is for that user alone: autogroup:self says that "
				     "for everybody",
				     to->text);
	}
	return true;
}

static bool ssh_rule(const struct policy *p, const struct ssh_rule *s, const struct place *w)
{
	struct alias *from = calloc(s->src.n + 1, sizeof *from), to;
	bool ok = from || wrong(w, s->at, "out of memory");

	for (size_t i = 0; ok && i < s->src.n; i++)
		ok = resolve(p, s->src.v[i], s->src.at[i], &from[i], w) &&
		     (is_kind(&from[i], PEOPLE | MACHINES) ||
		      wrong(w, s->src.at[i], "%s is no source of ssh rules", s->src.v[i]));
	for (size_t i = 0; ok && i < s->dst.n; i++)
		ok = resolve(p, s->dst.v[i], s->dst.at[i], &to, w) &&
		     (is_kind(&to, 1U << ALIAS_USER | 1U << ALIAS_MEMBER | MACHINES |
				       1U << ALIAS_SELF) ||
		      wrong(w, s->dst.at[i], "%s is no destination of ssh rules", s->dst.v[i])) &&
		     ssh_dst_fits(from, s->src.n, &to, s->dst.at[i], w);
	for (size_t i = 0; ok && i < s->users.n; i++)
		if (!s->users.v[i][0] || strcmp(s->users.v[i], "*") == 0)
			ok = wrong(w, s->users.at[i], "'%s' is not a user to log in as",
				   s->users.v[i]);
	if (ok && s->users.n == 0)
		ok = wrong(w, s->at, "an ssh rule needs users");
	for (size_t i = 0; ok && i < s->env.n; i++)
		if (!s->env.v[i][0])
			ok = wrong(w, s->env.at[i], "acceptEnv has an empty name");
	if (ok && s->has_period && !s->is_check)
		ok = wrong(w, s->period_at, "checkPeriod belongs to the action check");
	free(from);
	return ok;
}

/* --- all --- */

static bool members(const struct policy *p, const struct place *w)
{
	for (size_t i = 0; i < p->groups.n; i++)
		for (size_t k = 0; k < p->groups.v[i].members.n; k++)
			if (!is_user_alias(p->groups.v[i].members.v[k]))
				return wrong(w, p->groups.v[i].members.at[k],
					     "%.100s: '%.100s' is not a user; groups hold users "
					     "such as alice@",
					     p->groups.v[i].name, p->groups.v[i].members.v[k]);
	for (size_t i = 0; i < p->tags.n; i++) {
		char c = p->tags.v[i].name[4];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
			return wrong(w, p->tags.v[i].at, "'%.100s': tags begin with a letter",
				     p->tags.v[i].name);
		if (!defined(p, &p->tags.v[i].members, w))
			return false;
	}
	for (size_t i = 0; i < p->routes.n; i++)
		if (!defined(p, &p->routes.v[i].members, w))
			return false;
	return defined(p, &p->exit, w);
}

bool policy_resolve(struct policy *p, size_t *at, char why[static ERR_TEXT_MAX])
{
	struct place w = { .out_at = at, .why = why };

	if (!members(p, &w))
		return false;
	for (size_t i = 0; i < p->n_rules; i++) {
		struct rule *r = &p->rules[i];

		if (!rule_from(p, r, &w) || !targets(p, r->dst, r->n_dst, &w) || !rule_fits(r, &w))
			return false;
	}
	for (size_t i = 0; i < p->n_checks; i++)
		if (!check(p, &p->checks[i], &w))
			return false;
	for (size_t i = 0; i < p->n_ssh; i++)
		if (!ssh_rule(p, &p->ssh[i], &w))
			return false;
	for (size_t i = 0; i < p->n_attrs; i++)
		if (!defined(p, &p->attrs[i].target, &w))
			return false;
	return true;
}
