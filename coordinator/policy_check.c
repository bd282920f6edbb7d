/* coordinator/policy_check.c - a policy's own tests, tried on the nodes there are
 *
 * As in Headscale: accepted is what all addresses of the source may send to some address of the
 * destination. Unlike there, a name that no node has yet proves nothing, so that a policy can be
 * loaded before its nodes join. autogroup:self has no place in tests.
 */
#include <errno.h>

#include "base/hujson.h"
#include "coordinator/policy_priv.h"

static bool proto_in(const struct rule *r, const struct check *c)
{
	static const uint8_t usual[] = { 6, 17, 1, 58 };

	if (r->n_protos == 0)
		return true;
	for (size_t i = 0; i < r->n_protos; i++) {
		if (c->proto == r->protos[i])
			return true;
		for (size_t k = 0; c->proto == 0 && k < ARRAY_LEN(usual); k++)
			if (usual[k] == r->protos[i])
				return true;
	}
	return false;
}

static bool ports_in(const struct target *rule, const struct target *wanted)
{
	for (size_t i = 0; i < rule->n_ports; i++)
		if (wanted->ports[0].first >= rule->ports[i].first &&
		    wanted->ports[0].last <= rule->ports[i].last)
			return true;
	return false;
}

/* 1: some address of dst is reached, 0: none, -1: out of memory */
static int target_takes(const struct policy *p, const struct target *rule,
			const struct target *wanted, const struct ipranges *dst)
{
	struct ipranges set = { 0 };
	bool hit = rule->to.kind == ALIAS_ANY, ok = true;

	if (rule->to.kind == ALIAS_SELF || !ports_in(rule, wanted))
		return 0;
	if (!hit) {
		ok = alias_ranges(&rule->to, p->nodes, p->n_nodes, &set);
		ipranges_merge(&set);
	}
	for (size_t i = 0; ok && !hit && i < dst->n; i++)
		hit = ipranges_overlap(&set, &dst->v[i]);
	ipranges_free(&set);
	return ok ? hit : -1;
}

static int reached(struct policy *p, const struct check *c, const struct iprange *src,
		   const struct target *wanted, const struct ipranges *dst)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		struct rule *r = &p->rules[i];

		if (r->app || r->via.n > 0 || !proto_in(r, c))
			continue; /* over a router: no claim about the destination itself */
		if (!rule_sources(p, r))
			return -1;
		if (!r->from_all && !ipranges_overlap(&r->src_set, src))
			continue;
		for (size_t k = 0; k < r->n_dst; k++) {
			int hit = target_takes(p, &r->dst[k], wanted, dst);

			if (hit != 0)
				return hit;
		}
	}
	return 0;
}

int check_reaches(struct policy *p, const struct check *c, const struct target *t)
{
	struct ipranges src = { 0 }, dst = { 0 };
	struct alias from;
	int got = alias_of(p, c->src, &from) && alias_ranges(&from, p->nodes, p->n_nodes, &src) &&
			  alias_ranges(&t->to, p->nodes, p->n_nodes, &dst)
		      ? 1
		      : -ENOMEM;
	bool empty = src.n == 0 || dst.n == 0;

	for (size_t i = 0; i < src.n && got == 1; i++) {
		got = p->has_rules ? reached(p, c, &src.v[i], t, &dst) : 1;
		if (got < 0)
			got = -ENOMEM;
	}
	ipranges_free(&src);
	ipranges_free(&dst);
	return got >= 0 && empty ? CHECK_EMPTY : got;
}

int check_failed(const struct policy *p, const struct check *c, const struct target *t, bool got,
		 struct err *e)
{
	struct hujson_pos pos = hujson_pos(policy_text(p), t->at);

	return err_say(e, EINVAL, "policy: line %u, column %u: test fails: %s to %s:%u is %s",
		       pos.line, pos.column, c->src, t->alias, t->ports[0].first,
		       got ? "accepted but shall be denied" : "denied but shall be accepted");
}

static int run_check(struct policy *p, const struct check *c, const struct target *t, bool want,
		     struct err *e)
{
	int got = check_reaches(p, c, t);

	if (got < 0)
		return err_set(e, ENOMEM, "policy tests");
	if (got == CHECK_EMPTY || (got == 1) == want)
		return 0;
	return check_failed(p, c, t, got == 1, e);
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
