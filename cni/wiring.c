/* cni/wiring.c - see wiring.h */
#include "cni/wiring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ADVMSS4 = CONFIG_MTU - 40, ADVMSS6 = CONFIG_MTU - 60 };

/* A host without IPv6 has no IPv6 traffic to guard. */
static bool is_absent_family(const struct rule *r, int code)
{
	return !ip_is_v4(&r->to.ip) && (code == -EAFNOSUPPORT || code == -EOPNOTSUPP);
}

int wiring_put(struct netlink *nl, const struct attachment *a, const struct rule **bad)
{
	for (size_t i = 0; i < a->n_rules; i++) {
		const struct rule *r = &a->rules[i];
		const bool there = !r->is_lookup || a->state == ATTACHMENT_GRANTED;
		const int ret = there ? netlink_rule_add(nl, r, a->protocol)
				      : netlink_rule_del(nl, r, a->protocol);

		if (ret < 0 && !is_absent_family(r, ret)) {
			*bad = r;
			return ret;
		}
	}
	return 0;
}

struct claims {
	const struct attachment *self; /* NULL: everybody's claim counts */
	const struct rule *rules;
	size_t n;
	bool *claimed;
	bool *unread; /* set when there is a file that cannot be read; NULL: no matter */
};

static bool is_same(const struct attachment *a, const struct attachment *b)
{
	return strcmp(a->container, b->container) == 0 && strcmp(a->ifname, b->ifname) == 0 &&
	       strcmp(a->network, b->network) == 0;
}

static bool note_claims(void *ctx, const struct attachment *a, bool ok)
{
	const struct claims *c = ctx;

	if (!ok && c->unread)
		*c->unread = true;
	if (!ok || (c->self && is_same(c->self, a)))
		return true;
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; !c->claimed[i] && k < a->n_rules; k++)
			c->claimed[i] =
			    (!a->rules[k].is_lookup || a->state != ATTACHMENT_GUARDED) &&
			    rule_eq(&c->rules[i], &a->rules[k]);
	return true;
}

int wiring_take(struct netlink *nl, const char *state_dir, const struct attachment *a)
{
	bool claimed[RULE_MAX] = { 0 };
	struct claims c = { a, a->rules, a->n_rules, claimed, NULL };
	int r = attachment_each(state_dir, NULL, note_claims, &c), first = 0;

	if (r < 0)
		return r;
	/* lookups come last in the list and go first, so the guard outlives them */
	for (size_t i = a->n_rules; i-- > 0;) {
		r = claimed[i] ? 0 : netlink_rule_del(nl, &a->rules[i], a->protocol);
		if (r < 0 && first == 0 && !is_absent_family(&a->rules[i], r))
			first = r;
	}
	return first;
}

struct presence {
	const struct attachment *a;
	bool here[RULE_MAX];
};

static void note_presence(void *ctx, const struct rule *r)
{
	struct presence *p = ctx;

	for (size_t i = 0; i < p->a->n_rules; i++)
		p->here[i] |= rule_eq(r, &p->a->rules[i]);
}

const struct rule *wiring_missing(struct netlink *nl, const struct attachment *a, int *r)
{
	struct presence p = { .a = a };

	*r = netlink_rules(nl, a->protocol, note_presence, &p);
	for (size_t i = 0; *r == 0 && i < a->n_rules; i++)
		if (!p.here[i] && (!a->rules[i].is_lookup || a->state == ATTACHMENT_GRANTED))
			return &a->rules[i];
	return NULL;
}

int wiring_sweep(struct netlink *nl, const char *state_dir, uint8_t protocol, size_t *n)
{
	AUTO_FREE struct rule *have = NULL;
	AUTO_FREE bool *claimed = NULL;
	bool unread = false;
	size_t n_have;
	int r;

	*n = 0;
	/* rules first, files second: whatever was made in between has its file already */
	r = netlink_rules_all(nl, protocol, &have, &n_have);
	claimed = calloc(n_have ? n_have : 1, sizeof *claimed);
	if (r == 0 && !claimed)
		r = -ENOMEM;
	if (r == 0)
		r = attachment_each(state_dir, NULL, note_claims,
				    &(struct claims){ NULL, have, n_have, claimed, &unread });
	/* the guards of a running pod may be named by that file alone */
	for (size_t i = 0; r == 0 && !unread && i < n_have; i++)
		if (!claimed[i]) {
			r = netlink_rule_del(nl, &have[i], protocol);
			*n += r == 0;
		}
	return r;
}

/* The way out for one family; false: the pod has none. */
static bool way_out(struct netlink *pod, const struct result *prev, const char *ifname, bool v6,
		    struct netlink_route *out)
{
	struct netlink_link link;

	*out = (struct netlink_route){ 0 };
	if (result_gateway(prev, ifname, v6, &out->gw) && netlink_link(pod, ifname, &link) == 0) {
		out->link = link.index;
		return true;
	}
	return netlink_default(pod, v6, out) == 0;
}

int wiring_pod_routes(struct netlink *pod, const struct config *c, const struct result *prev,
		      const char *ifname, struct netlink_route out[static CONFIG_RANGES_MAX])
{
	struct ip ips[RULE_IPS_MAX];
	const int n_ips = result_pod_ips(prev, ips, ARRAY_LEN(ips));
	int n = 0;

	for (size_t i = 0; i < c->n_ranges; i++) {
		const bool v6 = !ip_is_v4(&c->ranges[i].ip);
		bool has = false;

		for (int k = 0; k < n_ips; k++)
			has |= ip_is_v4(&ips[k]) != v6;
		if (!has || !way_out(pod, prev, ifname, v6, &out[n]))
			continue;
		out[n].dst = c->ranges[i];
		out[n].mtu = CONFIG_MTU;
		out[n].advmss = v6 ? ADVMSS6 : ADVMSS4;
		n++;
	}
	return n;
}
