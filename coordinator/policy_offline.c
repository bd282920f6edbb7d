/* coordinator/policy_offline.c - a policy's own tests without a server: by the names in it
 *
 * One device is made up for each user and one for each tag that the file names, with addresses that
 * it does not mention, and the tests are run on them. What a test about names then reaches, it
 * reaches with any nodes. What it does not reach it might reach yet where the test or a rule speaks
 * of addresses of the tailnet, since nobody knows here whose they are: such a verdict is left open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hujson.h"
#include "coordinator/policy_priv.h"

struct made { /* devices made up; texts are borrowed from the policy */
	struct policy_node *v;
	char (*tags)[POLICY_TAG_MAX];
	size_t n, cap;
	int64_t owners;
};

static const struct ipprefix *tailnet(size_t i)
{
	static const struct ipprefix v[2] = { { { { [10] = 0xff, [11] = 0xff, 100, 64 } }, 106 },
					      { { { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 } };

	return &v[i];
}

static bool is_own_address(const struct alias *a)
{
	return a->kind == ALIAS_PREFIX && (prefixes_overlap(&a->prefix, tailnet(0)) ||
					   prefixes_overlap(&a->prefix, tailnet(1)));
}

/* Is the address within one that the rules or hosts name? */
static bool is_named(const struct policy *p, const struct ip *a)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *r = &p->rules[i];

		for (size_t k = 0; k < r->src.n; k++)
			if (r->from[k].kind == ALIAS_PREFIX && ipprefix_has(&r->from[k].prefix, a))
				return true;
		for (size_t k = 0; k < r->n_dst; k++)
			if (r->dst[k].to.kind == ALIAS_PREFIX &&
			    ipprefix_has(&r->dst[k].to.prefix, a))
				return true;
	}
	return false;
}

/* With the last part of the addresses from the top down; where all are named, any will do */
static void give_addresses(const struct policy *p, struct policy_node *n, size_t which)
{
	for (size_t tries = 0; tries < 4096; tries++) {
		size_t host = 65000 - (which + tries * 37) % 60000;
		uint8_t hi = (uint8_t)(host >> 8), lo = (uint8_t)host;

		n->v4 = ip_v4(100, 127, hi, lo);
		n->v6 = tailnet(1)->ip;
		n->v6.b[14] = hi;
		n->v6.b[15] = lo;
		if (!is_named(p, &n->v4) && !is_named(p, &n->v6))
			return;
	}
}

static bool make_up(const struct policy *p, struct made *m, const char *user, const char *tag)
{
	struct policy_node *n;

	for (size_t i = 0; i < m->n; i++)
		if (tag ? m->v[i].n_tags > 0 && strcmp(m->v[i].tags[0], tag) == 0
			: strcmp(m->v[i].user, user) == 0)
			return true;
	if (m->n == m->cap)
		return false;
	n = &m->v[m->n];
	*n = (struct policy_node){ .id = (int64_t)m->n + 1, .user = user ? user : "" };
	if (tag) {
		if (!bytes_to_str(bytes_str(tag), m->tags[m->n], POLICY_TAG_MAX))
			return false;
		n->tags = (const char(*)[POLICY_TAG_MAX])m->tags[m->n];
		n->n_tags = 1;
	} else {
		n->owner = ++m->owners;
	}
	give_addresses(p, n, m->n++);
	return true;
}

static bool make_up_for(const struct policy *p, struct made *m, const struct alias *a)
{
	if (a->kind == ALIAS_USER)
		return make_up(p, m, a->text, NULL);
	for (size_t i = 0; a->kind == ALIAS_GROUP && i < a->group->members.n; i++)
		if (!make_up(p, m, a->group->members.v[i], NULL))
			return false;
	return a->kind != ALIAS_TAG || make_up(p, m, NULL, a->text);
}

static bool make_up_targets(const struct policy *p, struct made *m, const struct target *v,
			    size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!make_up_for(p, m, &v[i].to))
			return false;
	return true;
}

static bool make_all(const struct policy *p, struct made *m)
{
	struct alias a;

	m->cap = POLICY_OFFLINE_MAX;
	m->v = calloc(m->cap, sizeof *m->v);
	m->tags = calloc(m->cap, sizeof *m->tags);
	if (!m->v || !m->tags)
		return false;
	for (size_t i = 0; i < p->n_checks; i++) {
		const struct check *c = &p->checks[i];

		if (!alias_of(p, c->src, &a) || !make_up_for(p, m, &a) ||
		    !make_up_targets(p, m, c->accept, c->n_accept) ||
		    !make_up_targets(p, m, c->deny, c->n_deny))
			return false;
	}
	return true;
}

/* Could a rule for an address be meant for one of them? */
static bool rules_name_addresses(const struct policy *p)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *r = &p->rules[i];

		for (size_t k = 0; k < r->src.n; k++)
			if (is_own_address(&r->from[k]))
				return true;
		for (size_t k = 0; k < r->n_dst; k++)
			if (is_own_address(&r->dst[k].to))
				return true;
	}
	return false;
}

static int judge(struct policy *p, const struct check *c, const struct target *t, bool want,
		 bool open_rules, struct policy_judged *j, struct err *e)
{
	struct alias from;
	int got = check_reaches(p, c, t);
	bool unsure = got == CHECK_EMPTY ||
		      (got == 0 && (open_rules || is_own_address(&t->to) ||
				    (alias_of(p, c->src, &from) && is_own_address(&from))));

	if (got == -ENOMEM)
		return err_set(e, ENOMEM, "policy tests");
	if (unsure) {
		if (j->open++ == 0)
			j->first_open = hujson_pos(policy_text(p), c->at).line;
		return 0;
	}
	j->held++;
	return (got == 1) == want ? 0 : check_failed(p, c, t, got == 1, e);
}

int policy_test_names(struct policy *p, struct policy_judged *j, struct err *e)
{
	struct made m = { 0 };
	bool open_rules = rules_name_addresses(p);
	int ret = 0;

	*j = (struct policy_judged){ 0 };
	if (!make_all(p, &m) || policy_prepare(p, m.v, m.n) != 0)
		ret = err_set(e, ENOMEM, "policy tests (of at most %d users and tags)",
			      POLICY_OFFLINE_MAX);
	for (size_t i = 0; ret == 0 && i < p->n_checks; i++) {
		const struct check *c = &p->checks[i];

		for (size_t k = 0; ret == 0 && k < c->n_accept; k++)
			ret = judge(p, c, &c->accept[k], true, open_rules, j, e);
		for (size_t k = 0; ret == 0 && k < c->n_deny; k++)
			ret = judge(p, c, &c->deny[k], false, open_rules, j, e);
	}
	(void)!policy_prepare(p, NULL, 0); /* the nodes made up are gone */
	free(m.v);
	free(m.tags);
	return ret;
}
