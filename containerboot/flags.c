/* containerboot/flags.c - TS_EXTRA_ARGS as flags of `tailscale up`, TS_TAILSCALED_EXTRA_ARGS as
 * flags of tailscaled
 *
 * Nothing is executed: the flags are read into structs. One or two dashes, `--flag=value` or
 * `--flag value`, booleans also without a value, as Go's flag package has it. A flag that cannot be
 * honoured is refused by name with a reason, since silently ignoring it would give a node that is
 * not what was asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "containerboot/options.h"

enum flag_kind {
	FLAG_TEXT,
	FLAG_URL,
	FLAG_HOSTNAME,
	FLAG_TAGS,
	FLAG_ROUTES,
	FLAG_LISTEN,
	FLAG_SWITCH,  /* bool */
	FLAG_TRI,     /* int 0 or 1 */
	FLAG_NUMBER,  /* int */
	FLAG_STATE,   /* tailscaled's --state */
	FLAG_NOTHING, /* accepted, takes a value, changes nothing here */
	FLAG_NOTHING_BOOL,
	FLAG_REFUSED,
	FLAG_REFUSED_BOOL, /* refused when true */
};

struct flag {
	const char *name;
	enum flag_kind kind;
	size_t off;
	const char *why; /* of a refusal */
};

struct flag_set {
	const char *variable;
	const struct flag *v;
	size_t n;
};

#define UP(member) offsetof(struct up_flags, member)
#define NEEDS_KERNEL "needs kernel mode, which this version does not have"
#define NO_SSH "this program has no SSH server; remove it, and run one beside it"

/* clang-format off */
static const struct flag up_table[] = {
        { "login-server",               FLAG_URL,          UP(login_server), NULL },
        { "hostname",                   FLAG_HOSTNAME,     UP(hostname), NULL },
        { "authkey",                    FLAG_TEXT,         UP(auth_key), NULL },
        { "auth-key",                   FLAG_TEXT,         UP(auth_key), NULL },
        { "advertise-tags",             FLAG_TAGS,         UP(tags), NULL },
        { "advertise-routes",           FLAG_ROUTES,       UP(routes), NULL },
        { "advertise-exit-node",        FLAG_TRI,          UP(advertise_exit_node), NULL },
        { "accept-routes",              FLAG_TRI,          UP(accept_routes), NULL },
        { "accept-dns",                 FLAG_TRI,          UP(accept_dns), NULL },
        { "shields-up",                 FLAG_TRI,          UP(shields_up), NULL },
        { "exit-node",                  FLAG_TEXT,         UP(exit_node), NULL },
        { "exit-node-allow-lan-access", FLAG_TRI,          UP(exit_node_allow_lan), NULL },
        { "operator",                   FLAG_TEXT,         UP(operator_user), NULL },
        { "snat-subnet-routes",         FLAG_TRI,          UP(snat), NULL },
        { "stateful-filtering",         FLAG_TRI,          UP(stateful_filtering), NULL },
        { "force-reauth",               FLAG_SWITCH,       UP(force_reauth), NULL },
        { "reset",                      FLAG_NOTHING_BOOL, 0, NULL }, /* the environment always is the whole wish */
        { "accept-risk",                FLAG_NOTHING,      0, NULL },
        { "json",                       FLAG_NOTHING_BOOL, 0, NULL },
        { "qr",                         FLAG_NOTHING_BOOL, 0, NULL },
        { "timeout",                    FLAG_NOTHING,      0, NULL }, /* TS_BOOT_TIMEOUT */
        { "netfilter-mode",             FLAG_NOTHING,      0, NULL },
        { "host-routes",                FLAG_NOTHING_BOOL, 0, NULL },
        { "report-posture",             FLAG_REFUSED_BOOL, 0, "posture reports are not collected by this program" },
        { "advertise-connector",        FLAG_REFUSED_BOOL, 0, "app connectors are not supported" },
        { "webclient",                  FLAG_REFUSED_BOOL, 0, "there is no web interface" },
        { "ssh",                        FLAG_REFUSED_BOOL, 0, NO_SSH },
        { "client-id",                  FLAG_REFUSED,      0, "TS_CLIENT_ID is the place for it" },
        { "client-secret",              FLAG_REFUSED,      0, "TS_CLIENT_SECRET is the place for it" },
        { "id-token",                   FLAG_REFUSED,      0, "TS_ID_TOKEN is the place for it" },
        { "audience",                   FLAG_REFUSED,      0, "tokens are not asked of a cloud; TS_ID_TOKEN=file:PATH takes one" },
};
static const struct flag_set up_set = { "TS_EXTRA_ARGS", up_table, ARRAY_LEN(up_table) };

#define DM(member) offsetof(struct daemon_flags, member)
static const struct flag daemon_table[] = {
        { "port",                        FLAG_NUMBER,       DM(port), NULL },
        { "verbose",                     FLAG_NUMBER,       DM(verbose), NULL },
        { "socks5-server",               FLAG_LISTEN,       DM(socks5), NULL },
        { "outbound-http-proxy-listen",  FLAG_LISTEN,       DM(http_proxy), NULL },
        { "statedir",                    FLAG_TEXT,         DM(state_dir), NULL },
        { "state",                       FLAG_STATE,        0, NULL },
        { "socket",                      FLAG_TEXT,         DM(socket), NULL },
        { "debug",                       FLAG_TEXT,         DM(debug), NULL },
        { "no-logs-no-support",          FLAG_NOTHING_BOOL, 0, NULL }, /* nothing is ever uploaded */
        { "encrypt-state",               FLAG_REFUSED_BOOL, 0, "there is no TPM support" },
        { "tun",                         FLAG_TEXT,         0, "use TS_USERSPACE" },
        { "config",                      FLAG_REFUSED,      0, "put the file into a directory as cap-95.hujson and name that in TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR" },
        { "bird-socket",                 FLAG_REFUSED,      0, "BIRD is not supported" },
        { "cleanup",                     FLAG_REFUSED_BOOL, 0, "there is nothing to clean up" },
};
/* clang-format on */
enum { FLAGS_MAX = 64 };
static_assert(ARRAY_LEN(up_table) <= FLAGS_MAX && ARRAY_LEN(daemon_table) <= FLAGS_MAX,
	      "names fit");
static const struct flag_set daemon_set = { "TS_TAILSCALED_EXTRA_ARGS", daemon_table,
					    ARRAY_LEN(daemon_table) };

static const struct flag *flag_named(const struct flag_set *set, struct bytes name)
{
	for (size_t i = 0; i < set->n; i++)
		if (bytes_eq_str(name, set->v[i].name))
			return &set->v[i];
	return NULL;
}

static bool is_boolean(enum flag_kind k)
{
	return k == FLAG_SWITCH || k == FLAG_TRI || k == FLAG_NOTHING_BOOL ||
	       k == FLAG_REFUSED_BOOL;
}

static int set_text(char **slot, const char *value, struct err *e)
{
	char *copy = strdup(value);

	if (!copy)
		return err_set(e, ENOMEM, "arguments");
	if (*slot)
		secret_wipe(*slot, strlen(*slot));
	free(*slot);
	*slot = copy;
	return 0;
}

static int apply_bool(const struct flag *f, char *at, const char *what, const char *value,
		      struct err *e)
{
	bool on;

	if (!bool_parse(bytes_str(value), &on))
		return err_say(e, EINVAL, "%s: wanted true or false", what);
	if (f->kind == FLAG_TRI)
		*(int *)(void *)at = on;
	else if (f->kind == FLAG_SWITCH)
		*(bool *)(void *)at = on;
	else if (f->kind == FLAG_REFUSED_BOOL && on)
		return err_say(e, EINVAL, "%s: %s", what, f->why);
	return 0;
}

static int apply_tun(const char *what, const char *value, struct err *e)
{
	if (strcmp(value, "userspace-networking") == 0)
		return 0;
	return err_say(e, EINVAL, "%s: only userspace-networking: a device " NEEDS_KERNEL, what);
}

static int apply_state(struct daemon_flags *d, const char *what, const char *value, struct err *e)
{
	if (strcmp(value, "mem:") != 0)
		return err_say(e, EINVAL,
			       "%s: only mem: is understood; use TS_STATE_DIR for a directory",
			       what);
	d->state_mem = true;
	return 0;
}

static int apply(const struct flag *f, void *flags, const char *what, const char *value,
		 struct err *e)
{
	char *at = (char *)flags + f->off;
	uint64_t v;
	int r = 0;

	if (is_boolean(f->kind))
		return apply_bool(f, at, what, value, e);
	if (strcmp(f->name, "tun") == 0)
		return apply_tun(what, value, e);
	switch (f->kind) {
	case FLAG_URL:
		r = check_server(what, value, e);
		break;
	case FLAG_HOSTNAME:
		r = check_hostname(what, value, e);
		break;
	case FLAG_TAGS:
		r = check_tags(what, value, e);
		break;
	case FLAG_ROUTES:
		r = check_routes(what, value, e);
		break;
	case FLAG_LISTEN:
		r = check_listen(what, value, e);
		break;
	case FLAG_NUMBER:
		if (!text_u64(bytes_str(value), &v) || v > 65535)
			return err_say(e, EINVAL, "%s: wanted a number from 0 to 65535", what);
		*(int *)(void *)at = (int)v;
		return 0;
	case FLAG_STATE:
		return apply_state(flags, what, value, e);
	case FLAG_REFUSED:
		return err_say(e, EINVAL, "%s: %s", what, f->why);
	case FLAG_NOTHING:
		return 0;
	default:
		break;
	}
	return r < 0 ? r : set_text((char **)(void *)at, value, e);
}

static int no_such(const struct flag_set *set, struct bytes name, const char *what, struct err *e)
{
	const char *names[FLAGS_MAX], *near;

	if (memchr(name.data, ' ', name.len))
		return err_say(e, EINVAL,
			       "%s: quotation marks make one word of several flags; leave them out",
			       set->variable);
	for (size_t i = 0; i < set->n; i++)
		names[i] = set->v[i].name;
	near = text_nearest(name, names, set->n);
	return err_say(e, EINVAL, "%s: no such flag%s%s%s", what, near ? "; did you mean --" : "",
		       near ? near : "", near ? "?" : "");
}

/* One flag at v[*i]; moves *i past it and its value. */
static int one(const struct flag_set *set, void *flags, char **v, size_t *i, struct err *e)
{
	const char *arg = v[(*i)++], *name = arg + 1 + (arg[0] == '-' && arg[1] == '-'), *eq,
		   *value;
	struct bytes key;
	const struct flag *f;
	char what[128];

	if (arg[0] != '-' || !*name) /* not repeated: it may be a key that lost its flag */
		return err_say(
		    e, EINVAL,
		    "%s: word %zu is not a flag (flags begin with --; a boolean takes its value "
		    "behind =)",
		    set->variable, *i);
	eq = strchr(name, '=');
	key = bytes_of(name, eq ? (size_t)(eq - name) : strlen(name));
	snprintf(what, sizeof what, "%s: --%.*s", set->variable, (int)MIN_OF(key.len, 64), name);
	f = flag_named(set, key);
	if (!f)
		return no_such(set, key, what, e);
	if (eq)
		value = eq + 1;
	else if (is_boolean(f->kind))
		value = "true";
	else if (v[*i])
		value = v[(*i)++];
	else
		return err_say(e, EINVAL, "%s: needs a value", what);
	return apply(f, flags, what, value, e);
}

static int parse(const struct flag_set *set, void *flags, const char *text, struct err *e)
{
	size_t n, i = 0;
	char **v = words_split(text, &n, e);
	int r = 0;

	if (!v)
		return err_wrap(e, "%s", set->variable);
	while (r == 0 && i < n)
		r = one(set, flags, v, &i, e);
	for (i = 0; i < n; i++) /* one of them may be the key */
		secret_wipe(v[i], strlen(v[i]));
	free(v);
	return r;
}

int up_flags_parse(struct up_flags *f, const char *text, options_warn_fn *warn, void *ctx,
		   struct err *e)
{
	int r;

	*f = (struct up_flags){ .accept_routes = -1,
				.accept_dns = -1,
				.shields_up = -1,
				.exit_node_allow_lan = -1,
				.advertise_exit_node = -1,
				.snat = -1,
				.stateful_filtering = -1 };
	r = text ? parse(&up_set, f, text, e) : 0;
	if (r == 0 && f->auth_key)
		warn(ctx, "TS_EXTRA_ARGS holds an auth key; TS_AUTHKEY is the place for it");
	return r;
}

void up_flags_fini(struct up_flags *f)
{
	if (f->auth_key)
		secret_wipe(f->auth_key, strlen(f->auth_key));
	free(f->login_server);
	free(f->hostname);
	free(f->auth_key);
	free(f->tags);
	free(f->routes);
	free(f->exit_node);
	free(f->operator_user);
	*f = (struct up_flags){ 0 };
}

int daemon_flags_parse(struct daemon_flags *f, const char *text, struct err *e)
{
	*f = (struct daemon_flags){ .port = -1, .verbose = -1 };
	return text ? parse(&daemon_set, f, text, e) : 0;
}

void daemon_flags_fini(struct daemon_flags *f)
{
	free(f->socks5);
	free(f->http_proxy);
	free(f->state_dir);
	free(f->socket);
	free(f->debug);
	*f = (struct daemon_flags){ 0 };
}
