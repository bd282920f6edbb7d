/* coordinator/policy_read.c - see policy_read.h
 *
 * Sections and members that are not known are refused, with the nearest known name left to the
 * user's eye: a misspelt rule that is silently ignored opens or closes a network.
 *
 * A fault is told where the key or value stands that is wrong; where something is missing, at the
 * rule that lacks it; where the text is malformed, at the last key or value that could be read.
 */
#include "coordinator/policy_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct reader {
	struct policy *p;
	struct json j;
	const char *start;
	uint32_t token;   /* where the key or value stands that is looked at */
	uint32_t element; /* where the rule, test or entry stands that is read */
	size_t at;
	char *why;
};

static bool fail(struct reader *r, const char *fmt, ...) PRINTF(2, 3);
static bool fail(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (r->why[0])
		return false; /* the first fault counts */
	va_start(ap, fmt);
	vsnprintf(r->why, ERR_TEXT_MAX, fmt, ap);
	va_end(ap);
	r->at = r->token;
	r->j.failed = true;
	return false;
}

/* What is read lacks something: told where it begins */
static void lacking(struct reader *r, const char *what)
{
	r->token = r->element;
	fail(r, "%s", what);
}

/* The next value is looked at; its type. */
static enum json_type look(struct reader *r)
{
	enum json_type type = json_type(&r->j);

	if (json_ok(&r->j))
		r->token = (uint32_t)(r->j.p - r->start);
	return type;
}

/* A key out of the text, at its quote */
static void look_at_key(struct reader *r, struct bytes key)
{
	r->token = (uint32_t)((const char *)key.data - 1 - r->start);
}

static bool next_key(struct reader *r, struct bytes *key)
{
	bool is_key = json_key(&r->j, key);

	if (is_key)
		look_at_key(r, *key);
	return is_key;
}

static bool is(struct bytes key, const char *name)
{
	return bytes_eq_str(key, name);
}

/* --- lists --- */

static char *text(struct reader *r)
{
	char *s = look(r) == JSON_STRING ? json_strdup(&r->j, POLICY_ALIAS_MAX) : NULL;

	if (!s)
		fail(r, "a text of at most %d bytes is wanted here", POLICY_ALIAS_MAX);
	return s;
}

/* Room for one more behind n, which began at 0 and rises by one: twice as much at each power of
 * two, so that ten thousand entries are not copied ten thousand times. */
static void *grow(struct reader *r, void *v, size_t n, size_t size)
{
	void *bigger = v;

	if (n >= POLICY_NAMES_MAX)
		bigger = NULL;
	else if ((n & (n - 1)) == 0)
		bigger = realloc(v, (n ? 2 * n : 1) * size);
	if (!bigger)
		fail(r, "too many entries (limit %d)", POLICY_NAMES_MAX);
	else
		memset((char *)bigger + n * size, 0, size);
	return bigger;
}

/* Takes s; NULL: no memory, or told already. */
static bool names_add(struct reader *r, struct names *out, char *s)
{
	char **v = s ? grow(r, out->v, out->n, sizeof *v) : NULL;
	uint32_t *at;

	if (!s)
		return fail(r, "out of memory");
	if (v)
		out->v = v;
	at = v ? grow(r, out->at, out->n, sizeof *at) : NULL;
	if (!at) {
		free(s);
		return false;
	}
	out->at = at;
	out->at[out->n] = r->token;
	out->v[out->n++] = s;
	return true;
}

static void names(struct reader *r, struct names *out)
{
	if (look(r) != JSON_ARRAY) {
		fail(r, "a list of names is wanted here");
		return;
	}
	json_arr(&r->j);
	while (json_elem(&r->j))
		if (!names_add(r, out, text(r)))
			return;
}

/* --- groups, hosts, owners, approvers --- */

static void entries(struct reader *r, struct entries *out, const char *prefix)
{
	struct bytes key;

	json_obj(&r->j);
	while (next_key(r, &key)) {
		struct entry *v = grow(r, out->v, out->n, sizeof *v);

		if (!v)
			return;
		out->v = v;
		if (prefix &&
		    (key.len <= strlen(prefix) || memcmp(key.data, prefix, strlen(prefix)) != 0)) {
			fail(r, "names here begin with %s", prefix);
			return;
		}
		out->v[out->n].at = r->token;
		out->v[out->n].name = strndup((const char *)key.data, key.len);
		if (!out->v[out->n].name) {
			fail(r, "out of memory");
			return;
		}
		names(r, &out->v[out->n++].members);
	}
}

static void hosts(struct reader *r)
{
	struct policy *p = r->p;
	struct bytes key;

	json_obj(&r->j);
	while (next_key(r, &key)) {
		struct host *v = grow(r, p->hosts, p->n_hosts, sizeof *v);
		char *s;

		if (!v)
			return;
		p->hosts = v;
		v[p->n_hosts].name = strndup((const char *)key.data, key.len);
		s = text(r);
		p->n_hosts++;
		if (s && !ipprefix_parse(bytes_str(s), &v[p->n_hosts - 1].prefix))
			fail(r, "'%s' is not an address or prefix", s);
		free(s);
	}
}

static void approvers(struct reader *r)
{
	struct bytes key;

	json_obj(&r->j);
	while (next_key(r, &key)) {
		if (is(key, "routes"))
			entries(r, &r->p->routes, NULL);
		else if (is(key, "exitNode"))
			names(r, &r->p->exit);
		else
			fail(r, "autoApprovers has routes and exitNode, not '%.*s'", (int)key.len,
			     (const char *)key.data);
	}
	for (size_t i = 0; i < r->p->routes.n; i++) {
		struct ipprefix pfx;

		if (r->p->routes.v[i].name && json_ok(&r->j) &&
		    !ipprefix_parse(bytes_str(r->p->routes.v[i].name), &pfx)) {
			r->token = r->p->routes.v[i].at;
			fail(r, "'%s' is not a route", r->p->routes.v[i].name);
		}
	}
}

/* --- destinations: "alias:ports" --- */

/* "*", or ports and ranges with commas between; port 0 only as the start of a range */
static bool port_list(struct target *t, const char *s)
{
	if (strcmp(s, "*") == 0) {
		t->ports[t->n_ports++] = (struct ports){ 0, 65535 };
		return true;
	}
	while (*s) {
		size_t len = strcspn(s, ",");
		const char *dash = memchr(s, '-', len);
		size_t first = dash ? (size_t)(dash - s) : len;
		struct ports *pp = &t->ports[t->n_ports];

		if (t->n_ports == POLICY_PORTS_MAX || !text_u16(bytes_of(s, first), &pp->first))
			return false;
		pp->last = pp->first;
		if (dash ? !text_u16(bytes_of(dash + 1, len - first - 1), &pp->last) ||
			       pp->first > pp->last
			 : pp->first == 0)
			return false;
		t->n_ports++;
		s += len;
		if (*s && !*++s) /* ends in a comma */
			return false;
	}
	return t->n_ports > 0;
}

static void targets(struct reader *r, struct target **list, size_t *n)
{
	if (look(r) != JSON_ARRAY) {
		fail(r, "a list of destinations is wanted here");
		return;
	}
	json_arr(&r->j);
	while (json_elem(&r->j)) {
		struct target *v;
		char *s, *colon;

		(void)look(r); /* beyond the limit it is told where this one stands */
		v = grow(r, *list, *n, sizeof *v);
		if (!v)
			return;
		*list = v;
		s = text(r);
		if (!s)
			return;
		colon = strrchr(s, ':');
		v[*n].alias = s;
		v[*n].at = r->token;
		++*n;
		if (!colon || !port_list(&v[*n - 1], colon + 1)) {
			if (colon && v[*n - 1].n_ports == POLICY_PORTS_MAX)
				fail(r, "a destination has at most %d port ranges",
				     POLICY_PORTS_MAX);
			fail(r, "'%s' is not of the form name:ports, as in tag:web:80,443 or *:*",
			     s);
			return;
		}
		*colon = 0;
	}
}

static const struct {
	const char *name;
	uint8_t number;
} protos[] = {
	{ "icmp", 1 }, { "igmp", 2 },       { "ipv4", 4 },   { "ip-in-ip", 4 }, { "tcp", 6 },
	{ "egp", 8 },  { "igp", 9 },        { "udp", 17 },   { "gre", 47 },     { "esp", 50 },
	{ "ah", 51 },  { "ipv6-icmp", 58 }, { "sctp", 132 }, { "fc", 133 },
};

/* A name or a number; a leading zero is refused but where the number has a name (as Headscale has
 * it) */
static bool proto_number(struct bytes s, uint8_t *out)
{
	bool named = false;
	uint64_t v;

	for (size_t i = 0; i < ARRAY_LEN(protos); i++)
		if (bytes_caseeq(s, bytes_str(protos[i].name))) {
			*out = protos[i].number;
			return true;
		}
	if (s.len == 0 || !text_u64(s, &v) || v > 255)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++)
		named |= protos[i].number == v;
	*out = (uint8_t)v;
	return named || s.data[0] != '0';
}

static void proto(struct reader *r, uint8_t *v, size_t *n)
{
	char *s = text(r);

	if (s && *s) {
		if (proto_number(bytes_str(s), v))
			*n = 1;
		else
			fail(r, "'%s' is not a protocol", s);
	}
	free(s);
}

/* --- acls and grants --- */

static struct rule *new_rule(struct reader *r)
{
	struct policy *p = r->p;
	struct rule *v =
	    p->n_rules < POLICY_RULES_MAX ? grow(r, p->rules, p->n_rules, sizeof *v) : NULL;

	if (!v) {
		fail(r, "too many rules (limit %d)", POLICY_RULES_MAX);
		return NULL;
	}
	p->rules = v;
	v[p->n_rules].at = r->element;
	buf_init(&v[p->n_rules].src_text, POLICY_SOURCES_MAX);
	return &v[p->n_rules++];
}

static void acl(struct reader *r)
{
	struct rule *rule = new_rule(r);
	struct bytes key;
	bool has_action = false;
	char *s;

	json_obj(&r->j);
	while (rule && next_key(r, &key)) {
		if (is(key, "action")) {
			s = text(r);
			has_action = s && strcmp(s, "accept") == 0;
			if (s && !has_action)
				fail(r, "the action of a rule is accept, not '%s'", s);
			free(s);
		} else if (is(key, "src")) {
			names(r, &rule->src);
		} else if (is(key, "dst")) {
			targets(r, &rule->dst, &rule->n_dst);
		} else if (is(key, "proto")) {
			proto(r, rule->protos, &rule->n_protos);
		} else if (key.len > 0 && key.data[0] == '#') { /* a note of an editor */
			json_skip(&r->j);
		} else {
			fail(r, "a rule has action, src, dst and proto, not '%.*s'", (int)key.len,
			     (const char *)key.data);
		}
	}
	if (json_ok(&r->j) && !has_action)
		lacking(r, "a rule needs an action");
}

static bool names_copy(struct reader *r, struct names *to, const struct names *from)
{
	for (size_t i = 0; i < from->n; i++) {
		r->token = from->at[i];
		if (!names_add(r, to, strdup(from->v[i])))
			return false;
	}
	return true;
}

/* "tcp:443", "443", "*", "tcp:80-90": the ports of one protocol become a rule of their own */
static void grant_ip(struct reader *r, const struct names *src, const struct names *dst,
		     const struct names *via, const char *ip)
{
	struct rule *rule = new_rule(r);
	const char *colon = strchr(ip, ':'), *ports = colon ? colon + 1 : ip;
	const uint32_t ip_at = r->token;
	uint8_t number;

	if (!rule)
		return;
	rule->is_grant = true;
	if (colon) {
		if (!proto_number(bytes_of(ip, (size_t)(colon - ip)), &number)) {
			fail(r, "'%s' is not of the form protocol:ports", ip);
			return;
		}
		rule->protos[rule->n_protos++] = number;
	}
	if (!names_copy(r, &rule->src, src) || (via && !names_copy(r, &rule->via, via)))
		return;
	for (size_t i = 0; i < dst->n; i++) {
		struct target *v = grow(r, rule->dst, rule->n_dst, sizeof *v);

		if (!v)
			return;
		rule->dst = v;
		v[rule->n_dst].at = dst->at[i];
		if (!(v[rule->n_dst].alias = strdup(dst->v[i]))) {
			fail(r, "out of memory");
			return;
		}
		r->token = ip_at;
		if (!port_list(&v[rule->n_dst++], ports))
			fail(r, "'%s' has no usable ports", ip);
	}
}

static void names_free(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
	free(n->at);
	*n = (struct names){ 0 };
}

/* true: the object has that member */
static bool has_capability(struct bytes app, const char *name)
{
	struct json j = json_of(app);
	struct bytes key;
	bool found = false;

	json_obj(&j);
	while (json_key(&j, &key)) {
		found |= bytes_eq_str(key, name);
		json_skip(&j);
	}
	return found;
}

static void capability_names(struct reader *r, struct bytes app)
{
	static const char *const known[] = { "tailscale.com/cap/drive", "tailscale.com/cap/relay",
					     "tailscale.com/cap/webui",
					     "tailscale.com/cap/kubernetes",
					     "tailscale.com/cap/tsidp" };
	struct json j = json_of(app);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		bool ok = key.len < 14 || memcmp(key.data, "tailscale.com/", 14) != 0;

		for (size_t i = 0; !ok && i < ARRAY_LEN(known); i++)
			ok = bytes_eq_str(key, known[i]);
		look_at_key(r, key);
		if (!ok || memmem(key.data, key.len, "://", 3))
			fail(r, "'%.*s' is not a capability of the form domain/path",
			     (int)MIN_OF(key.len, 100), (const char *)key.data);
		json_skip(&j);
	}
}

static void app_rule(struct reader *r, const struct names *src, const struct names *dst,
		     struct bytes app)
{
	struct rule *rule;

	grant_ip(r, src, dst, NULL, "*");
	if (!json_ok(&r->j))
		return;
	rule = &r->p->rules[r->p->n_rules - 1];
	rule->app = strndup((const char *)app.data, app.len);
	if (!rule->app)
		fail(r, "out of memory");
}

/* Some capabilities tell the other end too: who may use a drive or a relay is told to it by a rule
 * the other way round. */
static void companions(struct reader *r, const struct names *src, const struct names *dst,
		       struct bytes app)
{
	static const char *const pairs[][2] = {
		{ "tailscale.com/cap/drive", "{\"tailscale.com/cap/drive-sharer\":null}" },
		{ "tailscale.com/cap/relay", "{\"tailscale.com/cap/relay-target\":null}" },
	};

	for (size_t i = 0; i < dst->n; i++)
		if (strcmp(dst->v[i], "autogroup:self") == 0)
			return; /* both ends are the same */
	for (size_t i = 0; i < src->n; i++)
		if (strcmp(src->v[i], "autogroup:danger-all") == 0)
			return; /* nobody to tell */
	for (size_t i = 0; i < ARRAY_LEN(pairs) && json_ok(&r->j); i++)
		if (has_capability(app, pairs[i][0]))
			app_rule(r, dst, src, bytes_str(pairs[i][1]));
}

static void tags(struct reader *r, struct names *out)
{
	names(r, out);
	for (size_t i = 0; json_ok(&r->j) && i < out->n; i++)
		if (strncmp(out->v[i], "tag:", 4) != 0) {
			r->token = out->at[i];
			fail(r, "via names tags of routers, not '%s'", out->v[i]);
		}
}

static void grant(struct reader *r)
{
	struct names src = { 0 }, dst = { 0 }, ip = { 0 }, via = { 0 };
	struct bytes key, app = { 0 };

	json_obj(&r->j);
	while (next_key(r, &key)) {
		if (is(key, "src"))
			names(r, &src);
		else if (is(key, "dst"))
			names(r, &dst);
		else if (is(key, "ip"))
			names(r, &ip);
		else if (is(key, "via"))
			tags(r, &via);
		else if (is(key, "app"))
			app = json_raw(&r->j);
		else
			fail(r, "a grant has src, dst, ip, via and app, not '%.*s'", (int)key.len,
			     (const char *)key.data);
	}
	if (json_ok(&r->j) && !ip.n && !app.len)
		lacking(r, "a grant needs one of ip and app");
	if (json_ok(&r->j))
		capability_names(r, app);
	for (size_t i = 0; json_ok(&r->j) && i < ip.n; i++) {
		r->token = ip.at[i];
		grant_ip(r, &src, &dst, &via, ip.v[i]);
	}
	if (json_ok(&r->j) && app.len > 0 && via.n == 0) /* capabilities do not go over routers */
		app_rule(r, &src, &dst, app);
	if (json_ok(&r->j) && app.len > 0 && via.n == 0)
		companions(r, &src, &dst, app);
	names_free(&src);
	names_free(&dst);
	names_free(&ip);
	names_free(&via);
}

/* --- tests, ssh, nodeAttrs --- */

static void check(struct reader *r)
{
	struct policy *p = r->p;
	struct check *v = grow(r, p->checks, p->n_checks, sizeof *v), *c;
	struct bytes key;
	size_t n;

	if (!v)
		return;
	p->checks = v;
	c = &v[p->n_checks++];
	c->at = r->element;
	json_obj(&r->j);
	while (next_key(r, &key)) {
		if (is(key, "src")) {
			free(c->src);
			c->src = text(r);
			c->src_at = r->token;
		} else if (is(key, "accept")) {
			targets(r, &c->accept, &c->n_accept);
		} else if (is(key, "deny")) {
			targets(r, &c->deny, &c->n_deny);
		} else if (is(key, "proto")) {
			proto(r, &c->proto, &n);
			c->proto_at = r->token;
		} else {
			fail(r, "a test has src, accept, deny and proto, not '%.*s'", (int)key.len,
			     (const char *)key.data);
		}
	}
	if (json_ok(&r->j) && (!c->src || c->n_accept + c->n_deny == 0))
		lacking(r, "a test needs a src and one of accept and deny");
}

static void ssh_period(struct reader *r, struct ssh_rule *s)
{
	char *t = text(r);

	s->period = SPAN_S(0);
	if (t && strcmp(t, "always") != 0 && !span_parse(bytes_str(t), &s->period))
		fail(r, "'%s' is not a duration such as 12h", t);
	else if (s->period.ns > SPAN_S(POLICY_SSH_PERIOD_MAX_S).ns)
		fail(r, "a check holds for 168h at most, not for %s", t);
	s->has_period = true;
	s->period_at = r->token;
	free(t);
}

static void ssh(struct reader *r)
{
	struct policy *p = r->p;
	struct ssh_rule *v = grow(r, p->ssh, p->n_ssh, sizeof *v), *s;
	struct bytes key;
	char *t;

	if (!v)
		return;
	p->ssh = v;
	s = &v[p->n_ssh++];
	s->at = r->element;
	s->period = SPAN_S(POLICY_SSH_PERIOD_S);
	json_obj(&r->j);
	while (next_key(r, &key)) {
		if (is(key, "action")) {
			t = text(r);
			s->has_action = true;
			s->is_check = t && strcmp(t, "check") == 0;
			if (t && !s->is_check && strcmp(t, "accept") != 0)
				fail(r, "the action of an ssh rule is accept or check, not '%s'",
				     t);
			free(t);
		} else if (is(key, "src")) {
			names(r, &s->src);
		} else if (is(key, "dst")) {
			names(r, &s->dst);
		} else if (is(key, "users")) {
			names(r, &s->users);
		} else if (is(key, "checkPeriod")) {
			ssh_period(r, s);
		} else if (is(key, "acceptEnv")) {
			names(r, &s->env);
		} else {
			fail(r,
			     "an ssh rule has action, src, dst, users, checkPeriod and acceptEnv, "
			     "not '%.*s'",
			     (int)key.len, (const char *)key.data);
		}
	}
	if (json_ok(&r->j) && !s->has_action)
		lacking(r, "an ssh rule needs an action: accept or check");
}

static void attr(struct reader *r)
{
	struct policy *p = r->p;
	struct attr *v = grow(r, p->attrs, p->n_attrs, sizeof *v), *a;
	struct bytes key;

	if (!v)
		return;
	p->attrs = v;
	a = &v[p->n_attrs++];
	json_obj(&r->j);
	while (next_key(r, &key)) {
		if (is(key, "target"))
			names(r, &a->target);
		else if (is(key, "attr"))
			names(r, &a->attrs);
		else
			fail(r, "nodeAttrs entries have target and attr, not '%.*s'", (int)key.len,
			     (const char *)key.data);
	}
}

static void each(struct reader *r, void (*one)(struct reader *r))
{
	if (look(r) != JSON_ARRAY && json_type(&r->j) != JSON_NULL) {
		fail(r, "a list is wanted here");
		return;
	}
	json_arr(&r->j);
	while (json_elem(&r->j)) {
		look(r);
		r->element = r->token;
		one(r);
	}
}

static void section(struct reader *r, struct bytes key)
{
	struct policy *p = r->p;

	if (is(key, "groups"))
		entries(r, &p->groups, "group:");
	else if (is(key, "tagOwners"))
		entries(r, &p->tags, "tag:");
	else if (is(key, "hosts") || is(key, "Hosts"))
		hosts(r);
	else if (is(key, "acls") || is(key, "grants")) {
		p->has_rules |= json_type(&r->j) != JSON_NULL;
		each(r, is(key, "acls") ? acl : grant);
	} else if (is(key, "autoApprovers"))
		approvers(r);
	else if (is(key, "tests"))
		each(r, check);
	else if (is(key, "ssh"))
		each(r, ssh);
	else if (is(key, "nodeAttrs"))
		each(r, attr);
	else if (is(key, "sshTests") || is(key, "randomizeClientPort"))
		json_skip(&r->j);
	else
		fail(r, "no section is called '%.*s'", (int)key.len, (const char *)key.data);
}

bool policy_read(struct policy *p, struct bytes plain, size_t *at, char why[static ERR_TEXT_MAX])
{
	struct reader r = {
		.p = p, .j = json_of(plain), .start = (const char *)plain.data, .why = why
	};
	struct bytes key;

	why[0] = 0;
	if (look(&r) != JSON_OBJECT)
		fail(&r, "a policy is an object: { ... }");
	json_obj(&r.j);
	while (next_key(&r, &key))
		section(&r, key);
	if (json_ok(&r.j) && json_done(&r.j))
		return true;
	if (!why[0])
		fail(&r, "malformed here or behind it: a comma, quote or bracket is missing or too "
			 "many");
	*at = r.at;
	return false;
}
