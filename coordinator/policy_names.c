/* coordinator/policy_names.c - what the names of a policy stand for: users, groups, tags, hosts,
 * addresses, autogroups */
#include <string.h>

#include "coordinator/policy_priv.h"

const struct entry *entry_find(const struct entries *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (strcmp(e->v[i].name, name) == 0)
			return &e->v[i];
	return NULL;
}

static const struct host *host_find(const struct policy *p, const char *name)
{
	for (size_t i = 0; i < p->n_hosts; i++)
		if (strcmp(p->hosts[i].name, name) == 0)
			return &p->hosts[i];
	return NULL;
}

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool address_of(const char *alias, struct ipprefix *out)
{
	struct bytes b = bytes_str(alias);

	if (b.len > 2 && b.data[0] == '[' && b.data[b.len - 1] == ']')
		b = bytes_of(b.data + 1, b.len - 2);
	return ipprefix_parse(b, out);
}

/* Headscale writes users with an @ ("alice@", "alice@example.com") */
bool is_user_alias(const char *alias)
{
	return strchr(alias, '@') && !strchr(alias, ':');
}

bool user_is(const char *alias, const char *user)
{
	size_t len = strlen(alias);

	if (!*user)
		return false;
	if (len > 0 && alias[len - 1] == '@' && strncmp(alias, user, len - 1) == 0 &&
	    user[len - 1] == 0)
		return true;
	return strcmp(alias, user) == 0;
}

bool alias_known(const struct policy *p, const char *alias, bool as_dst)
{
	struct ipprefix pfx;

	if (strcmp(alias, "*") == 0 || is_user_alias(alias) || address_of(alias, &pfx) ||
	    host_find(p, alias))
		return true;
	if (starts(alias, "group:"))
		return entry_find(&p->groups, alias);
	if (starts(alias, "tag:"))
		return entry_find(&p->tags, alias);
	if (strcmp(alias, "autogroup:member") == 0 || strcmp(alias, "autogroup:tagged") == 0)
		return true;
	return as_dst &&
	       (strcmp(alias, "autogroup:self") == 0 || strcmp(alias, "autogroup:internet") == 0);
}

static bool has_tag(const struct policy_node *n, const char *tag)
{
	for (size_t i = 0; i < n->n_tags; i++)
		if (strcmp(n->tags[i], tag) == 0)
			return true;
	return false;
}

bool alias_has_node(const struct policy *p, const char *alias, const struct policy_node *n)
{
	const struct entry *g;
	const struct host *h;
	struct ipprefix pfx;

	if (strcmp(alias, "*") == 0)
		return true;
	if (starts(alias, "tag:"))
		return has_tag(n, alias);
	if (strcmp(alias, "autogroup:tagged") == 0)
		return n->n_tags > 0;
	if (strcmp(alias, "autogroup:member") == 0)
		return n->n_tags == 0;
	if (starts(alias, "group:")) {
		g = entry_find(&p->groups, alias);
		for (size_t i = 0; g && n->n_tags == 0 && i < g->members.n; i++)
			if (user_is(g->members.v[i], n->user))
				return true;
		return false;
	}
	if (is_user_alias(alias))
		return n->n_tags == 0 && user_is(alias, n->user);
	h = host_find(p, alias);
	if (h)
		pfx = h->prefix;
	else if (!address_of(alias, &pfx))
		return false;
	return (!ip_is_zero(&n->v4) && ipprefix_has(&pfx, &n->v4)) ||
	       (!ip_is_zero(&n->v6) && ipprefix_has(&pfx, &n->v6));
}

/* control-protocol.md 4.10: what Headscale makes of a source `*` */
static bool whole_tailnet(const struct policy_node *v, size_t n, struct ipranges *out)
{
	const struct iprange low = { ip_v4(100, 64, 0, 0), ip_v4(100, 115, 91, 255) };
	const struct iprange high = { ip_v4(100, 115, 94, 0), ip_v4(100, 127, 255, 255) };
	const struct ipprefix ula = { { { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 };

	if (!ipranges_add(out, &low) || !ipranges_add(out, &high) ||
	    !ipranges_add_prefix(out, &ula))
		return false;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v[i].n_routes; k++) {
			const struct ipprefix *r = &v[i].routes[k];

			if (r->bits > (ip_is_v4(&r->ip) ? 96 : 0) && !ipranges_add_prefix(out, r))
				return false;
		}
	return true;
}

/* public addresses: what an exit node is for */
static bool internet(struct ipranges *out)
{
	static const uint8_t v4[][8] = {
		/* first, last */
		{ 1, 0, 0, 0, 9, 255, 255, 255 },       { 11, 0, 0, 0, 100, 63, 255, 255 },
		{ 100, 128, 0, 0, 126, 255, 255, 255 }, { 128, 0, 0, 0, 169, 253, 255, 255 },
		{ 169, 255, 0, 0, 172, 15, 255, 255 },  { 172, 32, 0, 0, 192, 167, 255, 255 },
		{ 192, 169, 0, 0, 223, 255, 255, 255 },
	};
	const struct ipprefix v6 = { { { 0x20 } }, 3 };

	for (size_t i = 0; i < ARRAY_LEN(v4); i++) {
		const struct iprange r = { ip_from_v4(v4[i]), ip_from_v4(v4[i] + 4) };

		if (!ipranges_add(out, &r))
			return false;
	}
	return ipranges_add_prefix(out, &v6);
}

bool alias_ranges(const struct policy *p, const char *alias, const struct policy_node *v, size_t n,
		  struct ipranges *out)
{
	const struct host *h = host_find(p, alias);
	struct ipprefix pfx;

	if (strcmp(alias, "*") == 0)
		return whole_tailnet(v, n, out);
	if (strcmp(alias, "autogroup:internet") == 0)
		return internet(out);
	if (h)
		return ipranges_add_prefix(out, &h->prefix);
	if (address_of(alias, &pfx))
		return ipranges_add_prefix(out, &pfx);
	for (size_t i = 0; i < n; i++)
		if (alias_has_node(p, alias, &v[i]) &&
		    (!ipranges_add_ip(out, &v[i].v4) || !ipranges_add_ip(out, &v[i].v6)))
			return false;
	return true;
}
