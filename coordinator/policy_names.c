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

static bool user_is(const char *alias, const char *user)
{
	size_t len = strlen(alias);

	if (!*user)
		return false;
	if (len > 0 && alias[len - 1] == '@' && strncmp(alias, user, len - 1) == 0 &&
	    user[len - 1] == 0)
		return true;
	return strcmp(alias, user) == 0;
}

bool alias_of(const struct policy *p, const char *text, struct alias *out)
{
	static const struct {
		const char *name;
		enum alias_kind kind;
	} words[] = { { "*", ALIAS_ANY },
		      { "autogroup:member", ALIAS_MEMBER },
		      { "autogroup:tagged", ALIAS_TAGGED },
		      { "autogroup:self", ALIAS_SELF },
		      { "autogroup:internet", ALIAS_INTERNET },
		      { "autogroup:danger-all", ALIAS_ALL } };
	const struct host *h;

	*out = (struct alias){ .text = text };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(text, words[i].name) == 0) {
			out->kind = words[i].kind;
			return true;
		}
	out->kind = ALIAS_PREFIX;
	if (address_of(text, &out->prefix))
		return true;
	if (is_user_alias(text)) {
		out->kind = ALIAS_USER;
		return true;
	}
	if (starts(text, "group:")) {
		out->kind = ALIAS_GROUP;
		return (out->group = entry_find(&p->groups, text));
	}
	if (starts(text, "tag:")) {
		out->kind = ALIAS_TAG;
		return entry_find(&p->tags, text);
	}
	h = host_find(p, text);
	if (h)
		out->prefix = h->prefix;
	return h;
}

bool node_has_tag(const struct policy_node *n, const char *tag)
{
	for (size_t i = 0; i < n->n_tags; i++)
		if (strcmp(n->tags[i], tag) == 0)
			return true;
	return false;
}

bool alias_names(const struct alias *a, const struct policy_node *n)
{
	switch (a->kind) {
	case ALIAS_TAG:
		return node_has_tag(n, a->text);
	case ALIAS_TAGGED:
		return n->n_tags > 0;
	case ALIAS_MEMBER:
		return n->n_tags == 0;
	case ALIAS_USER:
		return n->n_tags == 0 && user_is(a->text, n->user);
	case ALIAS_GROUP:
		for (size_t i = 0; n->n_tags == 0 && i < a->group->members.n; i++)
			if (user_is(a->group->members.v[i], n->user))
				return true;
		return false;
	default:
		return false;
	}
}

bool node_covered(const struct policy_node *n, const struct ipprefix *p)
{
	return (!ip_is_zero(&n->v4) && ipprefix_has(p, &n->v4)) ||
	       (!ip_is_zero(&n->v6) && ipprefix_has(p, &n->v6));
}

bool alias_covers(const struct alias *a, const struct policy_node *n)
{
	if (a->kind == ALIAS_PREFIX)
		return node_covered(n, &a->prefix);
	return a->kind == ALIAS_ANY || a->kind == ALIAS_ALL || alias_names(a, n);
}

bool names_cover(const struct policy *p, const struct names *v, const struct policy_node *n)
{
	struct alias a;

	for (size_t i = 0; i < v->n; i++)
		if (alias_of(p, v->v[i], &a) && alias_covers(&a, n))
			return true;
	return false;
}

bool route_is_exit(const struct ipprefix *r)
{
	return r->bits == (ip_is_v4(&r->ip) ? 96 : 0);
}

bool node_offers_exit(const struct policy_node *n)
{
	for (size_t i = 0; i < n->n_routes; i++)
		if (route_is_exit(&n->routes[i]))
			return true;
	return false;
}

/* control-protocol.md 4.10: what Headscale makes of a source `*` */
static bool whole_tailnet(struct ipranges *out)
{
	const struct iprange low = { ip_v4(100, 64, 0, 0), ip_v4(100, 115, 91, 255) };
	const struct iprange high = { ip_v4(100, 115, 94, 0), ip_v4(100, 127, 255, 255) };
	const struct ipprefix ula = { { { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 };

	return ipranges_add(out, &low) && ipranges_add(out, &high) &&
	       ipranges_add_prefix(out, &ula);
}

/* Headscale's: all of IPv4 but the private, shared and link-local networks; global IPv6 */
static const struct {
	uint8_t first[4], last[4];
} public_v4[] = {
	{ { 0, 0, 0, 0 }, { 9, 255, 255, 255 } },
	{ { 11, 0, 0, 0 }, { 100, 63, 255, 255 } },
	{ { 100, 128, 0, 0 }, { 169, 253, 255, 255 } },
	{ { 169, 255, 0, 0 }, { 172, 15, 255, 255 } },
	{ { 172, 32, 0, 0 }, { 192, 167, 255, 255 } },
	{ { 192, 169, 0, 0 }, { 255, 255, 255, 255 } },
};
static const struct ipprefix public_v6 = { { { 0x20 } }, 3 };

bool internet_ranges(struct ipranges *out)
{
	for (size_t i = 0; i < ARRAY_LEN(public_v4); i++) {
		const struct iprange r = { ip_from_v4(public_v4[i].first),
					   ip_from_v4(public_v4[i].last) };

		if (!ipranges_add(out, &r))
			return false;
	}
	return ipranges_add_prefix(out, &public_v6);
}

bool internet_has(const struct ipprefix *p)
{
	const struct iprange one = range_of(p);

	for (size_t i = 0; i < ARRAY_LEN(public_v4); i++) {
		const struct ip first = ip_from_v4(public_v4[i].first),
				last = ip_from_v4(public_v4[i].last);

		if (ip_is_v4(&one.first) && ip_cmp(&first, &one.first) <= 0 &&
		    ip_cmp(&one.last, &last) <= 0)
			return true;
	}
	return !ip_is_v4(&one.first) && p->bits >= public_v6.bits &&
	       ipprefix_has(&public_v6, &p->ip);
}

bool alias_ranges(const struct alias *a, const struct policy_node *v, size_t n,
		  struct ipranges *out)
{
	const struct ipprefix v4 = { ip_v4(0, 0, 0, 0), 96 }, v6 = { 0 };

	switch (a->kind) {
	case ALIAS_ANY:
		return whole_tailnet(out);
	case ALIAS_ALL:
		return ipranges_add_prefix(out, &v4) && ipranges_add_prefix(out, &v6);
	case ALIAS_INTERNET:
		return internet_ranges(out);
	case ALIAS_PREFIX:
		return ipranges_add_prefix(out, &a->prefix);
	case ALIAS_SELF:
		return true;
	default:
		break;
	}
	for (size_t i = 0; i < n; i++)
		if (v[i].id != 0 && alias_names(a, &v[i]) && !ipranges_add_node(out, &v[i]))
			return false;
	return true;
}
