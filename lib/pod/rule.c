/* pod/rule.c - see rule.h */
#include "pod/rule.h"

#include <stdio.h>
#include <string.h>

bool rule_eq(const struct rule *a, const struct rule *b)
{
	return a->is_lookup == b->is_lookup && a->has_from == b->has_from &&
	       a->priority == b->priority && a->table == b->table &&
	       (!a->has_from || ipprefix_eq(&a->from, &b->from)) && ipprefix_eq(&a->to, &b->to) &&
	       strcmp(a->iif, b->iif) == 0;
}

const char *rule_text(const struct rule *r, char *out, size_t cap)
{
	char from[IPPREFIX_TEXT] = "all", to[IPPREFIX_TEXT], action[32] = "unreachable";

	if (r->has_from)
		ipprefix_text(&r->from, from);
	ipprefix_text(&r->to, to);
	if (r->is_lookup)
		snprintf(action, sizeof action, "lookup %u", r->table);
	snprintf(out, cap, "%u: from %s to %s%s%s %s", r->priority, from, to,
		 *r->iif ? " iif " : "", r->iif, action);
	return out;
}

void rule_emit(struct jsonw *w, const struct rule *r)
{
	char text[IPPREFIX_TEXT];

	jsonw_obj(w);
	jsonw_ki64(w, "priority", r->priority);
	if (r->has_from)
		jsonw_kstr(w, "from", ipprefix_text(&r->from, text));
	jsonw_kstr(w, "to", ipprefix_text(&r->to, text));
	if (*r->iif)
		jsonw_kstr(w, "iif", r->iif);
	if (r->is_lookup)
		jsonw_ki64(w, "lookup", r->table);
	jsonw_obj_end(w);
}

static void prefix(struct json *j, struct ipprefix *out)
{
	char text[IPPREFIX_TEXT];

	json_str(j, text, sizeof text);
	if (!ipprefix_parse(bytes_str(text), out))
		j->failed = true;
}

static uint32_t number(struct json *j)
{
	const uint64_t v = json_u64(j);

	if (v > UINT32_MAX)
		j->failed = true;
	return (uint32_t)v;
}

void rule_parse(struct json *j, struct rule *out)
{
	struct bytes key;
	bool has_to = false;

	*out = (struct rule){ 0 };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "priority"))
			out->priority = number(j);
		else if (json_key_is(key, "from")) {
			prefix(j, &out->from);
			out->has_from = true;
		} else if (json_key_is(key, "to")) {
			prefix(j, &out->to);
			has_to = true;
		} else if (json_key_is(key, "iif"))
			json_str(j, out->iif, sizeof out->iif);
		else if (json_key_is(key, "lookup")) {
			out->table = number(j);
			out->is_lookup = true;
		} else
			json_skip(j);
	}
	if (!has_to || out->priority == 0 || !json_is_utf8(bytes_str(out->iif)) ||
	    (!out->has_from && !*out->iif) ||
	    (out->has_from && ip_is_v4(&out->from.ip) != ip_is_v4(&out->to.ip)))
		j->failed = true;
}
