/* containerboot/config_file.c - see config_file.h */
#include "containerboot/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hujson.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/key.h"

enum { WHY_MAX = 300 };

struct reading {
	struct bytes text; /* as the user wrote it */
	const char *plain; /* the same without comments: the reader's */
	struct json j;
	size_t at; /* of the key or value that is looked at */
	char why[WHY_MAX];
	struct prefs *p;
	struct config_file c;
	int exit_routes; /* AdvertiseExitNode; -1: not mentioned */
	bool has_version;
	options_warn_fn *warn;
	void *ctx;
};

struct member {
	const char *name;
	bool (*read)(struct reading *rd,
		     const struct member *m); /* false: why says what is wrong */
	size_t off;                           /* in struct prefs */
	size_t size;
	const char *why; /* of a refusal, or of a member without effect */
};

static bool refuse(struct reading *rd, const char *name, const char *what)
{
	snprintf(rd->why, sizeof rd->why, "%s: %s", name, what);
	return false;
}

/* The next value's place, for words about it; null counts as not mentioned. */
static bool is_there(struct reading *rd)
{
	(void)json_type(&rd->j);
	rd->at = (size_t)(rd->j.p - rd->plain);
	return !json_take_null(&rd->j);
}

static bool take_bool(struct reading *rd, const char *name, bool *out)
{
	bool v;

	if (json_type(&rd->j) != JSON_BOOL)
		return refuse(rd, name, "wanted true or false");
	v = json_bool(&rd->j);
	*out = v;
	return true;
}

static bool take_text(struct reading *rd, const char *name, char *out, size_t size)
{
	char words[64];

	if (json_type(&rd->j) != JSON_STRING)
		return refuse(rd, name, "wanted a text");
	memset(out, 0, size);
	(void)json_str(&rd->j, out, size);
	if (json_ok(&rd->j))
		return true;
	snprintf(words, sizeof words, "malformed, or longer than %zu bytes", size - 1);
	return refuse(rd, name, words);
}

/* --- members --- */

static bool read_version(struct reading *rd, const struct member *m)
{
	char text[32];

	if (!take_text(rd, m->name, text, sizeof text))
		return false;
	if (*text && strcmp(text, "alpha0") != 0)
		return refuse(rd, m->name, "only alpha0 is known");
	rd->has_version = *text != 0;
	return true;
}

static bool read_locked(struct reading *rd, const struct member *m)
{
	return take_bool(rd, m->name, &rd->c.is_locked);
}

static bool read_key(struct reading *rd, const struct member *m)
{
	char *key = secret_new(CONFIG_KEY_MAX);

	if (!key)
		return refuse(rd, m->name, "out of memory");
	secret_free(rd->c.auth_key);
	rd->c.auth_key = key;
	if (!take_text(rd, m->name, key, CONFIG_KEY_MAX))
		return false;
	if (*key)
		return true;
	secret_free(key);
	rd->c.auth_key = NULL;
	return true;
}

static bool read_bool(struct reading *rd, const struct member *m)
{
	return take_bool(rd, m->name, (bool *)(void *)((char *)rd->p + m->off));
}

static bool read_stateful(struct reading *rd, const struct member *m)
{
	bool on = false;

	if (!take_bool(rd, m->name, &on))
		return false;
	rd->p->no_stateful_filtering = on;
	return true;
}

static bool read_exit_routes(struct reading *rd, const struct member *m)
{
	bool on = false;

	if (!take_bool(rd, m->name, &on))
		return false;
	rd->exit_routes = on;
	return true;
}

static bool read_text(struct reading *rd, const struct member *m)
{
	return take_text(rd, m->name, (char *)rd->p + m->off, m->size);
}

static bool checked(struct reading *rd, int r, const struct err *e)
{
	if (r == 0)
		return true;
	(void)bytes_to_str(bytes_str(e->text), rd->why, sizeof rd->why);
	return false;
}

static bool read_url(struct reading *rd, const struct member *m)
{
	char *url = rd->p->control_url;
	struct err e = { 0 };

	if (!take_text(rd, m->name, url, sizeof rd->p->control_url))
		return false;
	if (!*url)
		memcpy(url, PREFS_CONTROL_URL_DEFAULT, sizeof PREFS_CONTROL_URL_DEFAULT);
	return checked(rd, check_server(m->name, url, &e), &e);
}

static bool read_hostname(struct reading *rd, const struct member *m)
{
	char *name = rd->p->hostname;
	struct err e = { 0 };

	if (!take_text(rd, m->name, name, sizeof rd->p->hostname))
		return false;
	return !*name || checked(rd, check_hostname(m->name, name, &e), &e);
}

/* An address goes where the stock client keeps addresses, all else where it keeps ids. */
static bool read_exit_node(struct reading *rd, const struct member *m)
{
	char text[PREFS_NAME_MAX], *to;
	struct ip ip;

	if (!take_text(rd, m->name, text, sizeof text))
		return false;
	rd->p->exit_node_id[0] = rd->p->exit_node_ip[0] = 0;
	to = ip_parse(bytes_str(text), &ip) ? rd->p->exit_node_ip : rd->p->exit_node_id;
	memcpy(to, text, sizeof text);
	return true;
}

static bool read_netfilter(struct reading *rd, const struct member *m)
{
	static const char *const modes[] = { "off", "nodivert", "on" };
	char text[16];

	if (!take_text(rd, m->name, text, sizeof text))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (strcmp(text, modes[i]) == 0 || (!*text && i == 2)) {
			rd->p->netfilter_mode = (int)i;
			return true;
		}
	return refuse(rd, m->name, "wanted on, nodivert or off");
}

/* Elements are checked one by one, so that the place is theirs. */
static bool read_list(struct reading *rd, const struct member *m,
		      int (*check)(const char *what, const char *text, struct err *e))
{
	char *list = (char *)rd->p + m->off, elem[PREFS_NAME_MAX];
	struct err e = { 0 };

	if (json_type(&rd->j) != JSON_ARRAY)
		return refuse(rd, m->name, "wanted a list of texts");
	list[0] = 0;
	json_arr(&rd->j);
	while (json_elem(&rd->j)) {
		(void)json_type(&rd->j);
		rd->at = (size_t)(rd->j.p - rd->plain);
		if (!take_text(rd, m->name, elem, sizeof elem) ||
		    (check && !checked(rd, check(m->name, elem, &e), &e)))
			return false;
		if (!prefs_list_add(list, m->size, bytes_str(elem)))
			return refuse(rd, m->name,
				      "an element is empty or has a comma, or the list "
				      "is too long");
	}
	return json_ok(&rd->j) || refuse(rd, m->name, "wanted a list of texts");
}

/* check_routes wants both default routes or none, which is a matter of the whole list */
static int check_prefix(const char *what, const char *text, struct err *e)
{
	if (strcmp(text, "0.0.0.0/0") == 0 || strcmp(text, "::/0") == 0)
		return 0;
	return *text ? check_routes(what, text, e) : err_say(e, EINVAL, "%s: empty", what);
}

static bool read_routes(struct reading *rd, const struct member *m)
{
	const size_t at = rd->at;
	struct err e = { 0 };

	if (!read_list(rd, m, check_prefix))
		return false;
	rd->at = at;
	return checked(rd, check_routes(m->name, rd->p->routes, &e), &e);
}

static bool read_services(struct reading *rd, const struct member *m)
{
	if (!read_list(rd, m, NULL))
		return false;
	if (*rd->p->services)
		rd->warn(rd->ctx, "AdvertiseServices: services are not offered by this program");
	return true;
}

static bool read_endpoints(struct reading *rd, const struct member *m)
{
	char text[IPPORT_TEXT], words[48];
	struct ipport a;

	if (json_type(&rd->j) != JSON_ARRAY)
		return refuse(rd, m->name, "wanted a list of texts");
	rd->c.n_endpoints = 0;
	json_arr(&rd->j);
	while (json_elem(&rd->j)) {
		(void)json_type(&rd->j);
		rd->at = (size_t)(rd->j.p - rd->plain);
		if (!take_text(rd, m->name, text, sizeof text))
			return false;
		if (!ipport_parse(bytes_str(text), &a) || a.port == 0 || ip_is_unspecified(&a.ip) ||
		    ip_is_multicast(&a.ip))
			return refuse(rd, m->name,
				      "wanted a host's ADDRESS:PORT, such as 192.0.2.1:41641 or "
				      "[2001:db8::1]:41641");
		if (rd->c.n_endpoints == NODE_STATIC_MAX) {
			snprintf(words, sizeof words, "more than %d endpoints", NODE_STATIC_MAX);
			return refuse(rd, m->name, words);
		}
		rd->c.endpoints[rd->c.n_endpoints++] = a;
	}
	return json_ok(&rd->j) || refuse(rd, m->name, "wanted a list of texts");
}

/* What is not there may be switched off, by false, null or an object that only has such. */
static bool is_off(struct json *j)
{
	struct bytes key;
	bool off = true;

	switch (json_type(j)) {
	case JSON_NULL:
		json_skip(j);
		return true;
	case JSON_BOOL:
		return !json_bool(j);
	case JSON_OBJECT:
		json_obj(j);
		while (json_key(j, &key))
			off = is_off(j) && off;
		return off;
	default:
		json_skip(j);
		return false;
	}
}

static bool read_refused(struct reading *rd, const struct member *m)
{
	const bool off = is_off(&rd->j);

	if (!json_ok(&rd->j))
		return refuse(rd, m->name, "malformed");
	return off || refuse(rd, m->name, m->why);
}

static bool read_ignored(struct reading *rd, const struct member *m)
{
	const bool off = is_off(&rd->j);
	char line[WHY_MAX];

	if (!json_ok(&rd->j))
		return refuse(rd, m->name, "malformed");
	snprintf(line, sizeof line, "%s: %s", m->name, m->why);
	if (!off)
		rd->warn(rd->ctx, line);
	return true;
}

#define PREFS(member) offsetof(struct prefs, member), sizeof((struct prefs *)0)->member
/* clang-format off */
static const struct member members[] = {
        { "Version",                    read_version,     0, 0, NULL },
        { "Locked",                     read_locked,      0, 0, NULL },
        { "ServerURL",                  read_url,         0, 0, NULL },
        { "AuthKey",                    read_key,         0, 0, NULL },
        { "Enabled",                    read_bool,        PREFS(want_running), NULL },
        { "OperatorUser",               read_text,        PREFS(operator_user), NULL },
        { "Hostname",                   read_hostname,    0, 0, NULL },
        { "AcceptDNS",                  read_bool,        PREFS(accept_dns), NULL },
        { "AcceptRoutes",               read_bool,        PREFS(accept_routes), NULL },
        { "ExitNode",                   read_exit_node,   0, 0, NULL },
        { "AllowLANWhileUsingExitNode", read_bool,        PREFS(exit_node_allow_lan), NULL },
        { "AdvertiseRoutes",            read_routes,      PREFS(routes), NULL },
        { "AdvertiseExitNode",          read_exit_routes, 0, 0, NULL },
        { "DisableSNAT",                read_bool,        PREFS(no_snat), NULL },
        { "AdvertiseServices",          read_services,    PREFS(services), NULL },
        { "NetfilterMode",              read_netfilter,   0, 0, NULL },
        { "NoStatefulFiltering",        read_stateful,    0, 0, NULL },
        { "ShieldsUp",                  read_bool,        PREFS(shields_up), NULL },
        { "AppConnector",               read_refused,     0, 0, "app connectors are not supported" },
        { "PostureChecking",            read_refused,     0, 0, "posture reports are not collected by this program" },
        { "RunSSHServer",               read_refused,     0, 0, "this program has no SSH server" },
        { "RunWebClient",               read_refused,     0, 0, "there is no web interface" },
        { "ServeConfigTemp",            read_refused,     0, 0, "TS_SERVE_CONFIG is the place for a serve configuration" },
        { "RemoteConfig",               read_ignored,     0, 0, "this program is not configured from afar" },
        { "AutoUpdate",                 read_ignored,     0, 0, "this program does not update itself; the image is what is updated" },
        { "StaticEndpoints",            read_endpoints,   0, 0, NULL },
        { "RelayServerPort",            read_ignored,     0, 0, "this program is no relay for peers" },
        { "RelayServerStaticEndpoints", read_ignored,     0, 0, "this program is no relay for peers" },
};
/* clang-format on */

/* --- the whole --- */

static const struct member *member_named(struct bytes key)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (json_key_is(key, members[i].name))
			return &members[i];
	return NULL;
}

static void warn_unknown(struct reading *rd, struct bytes key)
{
	const struct hujson_pos pos = hujson_pos(rd->text, rd->at);
	char line[WHY_MAX], name[65];

	(void)bytes_to_str(key, name, sizeof name);
	for (char *s = name; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	snprintf(line, sizeof line, "line %u, column %u: unknown member %s is ignored", pos.line,
		 pos.column, name);
	rd->warn(rd->ctx, line);
}

static bool read_members(struct reading *rd)
{
	const struct member *m;
	struct bytes key;

	if (json_type(&rd->j) != JSON_OBJECT) {
		rd->at = (size_t)(rd->j.p - rd->plain);
		snprintf(rd->why, sizeof rd->why, "wanted an object, { ... }");
		return false;
	}
	json_obj(&rd->j);
	while (json_key(&rd->j, &key)) {
		rd->at = (size_t)((const char *)key.data - 1 - rd->plain);
		m = member_named(key);
		if (!m) {
			warn_unknown(rd, key);
			json_skip(&rd->j);
		} else if (is_there(rd) && !m->read(rd, m)) {
			return false;
		}
	}
	if (json_done(&rd->j))
		return true;
	rd->at = (size_t)((rd->j.bad ? rd->j.bad : rd->j.p) - rd->plain);
	snprintf(rd->why, sizeof rd->why, "not JSON from here on");
	return false;
}

/* The default routes of an exit node stand among the routes. */
static bool set_exit_routes(struct reading *rd)
{
	char *routes = rd->p->routes, *old;
	struct bytes left, one;
	bool ok = true;

	if (rd->exit_routes < 0)
		return true;
	old = strdup(routes);
	left = bytes_str(old ? old : "");
	routes[0] = 0;
	while (ok && prefs_list_next(&left, &one))
		if (!bytes_eq_str(one, "0.0.0.0/0") && !bytes_eq_str(one, "::/0"))
			ok = prefs_list_add(routes, sizeof rd->p->routes, one);
	if (rd->exit_routes)
		ok = ok && prefs_list_add(routes, sizeof rd->p->routes, bytes_str("0.0.0.0/0")) &&
		     prefs_list_add(routes, sizeof rd->p->routes, bytes_str("::/0"));
	ok = ok && old;
	free(old);
	return ok || refuse(rd, "AdvertiseExitNode", "the list of routes is too long");
}

static bool read_all(struct reading *rd)
{
	rd->p->want_running = true;
	rd->p->services[0] = 0; /* the file is the only place for them */
	if (!read_members(rd))
		return false;
	rd->at = 0;
	if (!rd->has_version)
		return refuse(rd, "Version", "missing; it must be \"alpha0\"");
	if (rd->c.auth_key)
		rd->p->logged_out = false;
	if (!set_exit_routes(rd))
		return false;
	if (prefs_exit_node(rd->p)[0] && strstr(rd->p->routes, "0.0.0.0/0"))
		return refuse(rd, "ExitNode", "a node that is an exit node cannot use one");
	return true;
}

int config_file_parse(struct bytes text, struct prefs *p, struct config_file *c,
		      options_warn_fn *warn, void *ctx, struct err *e)
{
	struct reading rd = { .text = text, .exit_routes = -1, .warn = warn, .ctx = ctx };
	struct hujson_pos pos;
	char *plain;
	bool ok;

	if (text.len > CONFIG_TEXT_MAX)
		return err_say(e, EFBIG, "larger than %d bytes", CONFIG_TEXT_MAX);
	plain = malloc(text.len + 1);
	rd.p = malloc(sizeof *rd.p);
	if (!plain || !rd.p) {
		free(plain);
		free(rd.p);
		return err_set(e, ENOMEM, "configuration file");
	}
	if (text.len > 0)
		memcpy(plain, text.data, text.len);
	*rd.p = *p;
	rd.c.is_locked = true; /* unless the file says otherwise */
	rd.plain = plain;
	ok = hujson_plain(plain, text.len, &rd.at);
	if (!ok)
		snprintf(rd.why, sizeof rd.why, "this comment or text does not end");
	rd.j = json_of(bytes_of(plain, text.len));
	ok = ok && read_all(&rd);
	secret_wipe(plain, text.len); /* it may hold a key */
	free(plain);
	if (ok) {
		*p = *rd.p;
		*c = rd.c;
	} else {
		config_file_fini(&rd.c);
	}
	free(rd.p);
	if (ok)
		return 0;
	pos = hujson_pos(text, rd.at);
	return err_say(e, EBADMSG, "line %u, column %u: %s", pos.line, pos.column, rd.why);
}

void config_file_fini(struct config_file *c)
{
	secret_free(c->auth_key);
	*c = (struct config_file){ 0 };
}

void config_file_prefs(struct prefs *p)
{
	prefs_default(p);
	p->want_running = true;
}

unsigned config_file_version(const char *name)
{
	struct bytes text = bytes_str(name);
	const size_t before = sizeof "cap-" - 1, behind = sizeof ".hujson" - 1;
	uint16_t v;

	if (text.len <= before + behind || strncmp(name, "cap-", before) != 0 ||
	    strcmp(name + text.len - behind, ".hujson") != 0 ||
	    !text_u16(bytes_of(name + before, text.len - before - behind), &v))
		return 0;
	return v;
}
