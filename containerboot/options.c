/* containerboot/options.c - from the environment to struct options, in the order of
 * containerboot.md 2.5; see options.h */
#include "containerboot/options.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "host/egress.h"

enum { OPTION_ROWS_MAX = 128, OPTION_SIZE_MIN = 1 << 20 };

struct scan {
	struct options *o;
	const char *raw[OPTION_ROWS_MAX]; /* by row; NULL: not in the environment */
	char *own[OPTION_ROWS_MAX];       /* of raw: without the white space around it */
	bool by_alias[OPTION_ROWS_MAX];   /* raw came by the row's other name */
	options_warn_fn *warn;
	void *ctx;
	struct err *e;
};

static void *slot(const struct scan *s, const struct option *row)
{
	return (char *)s->o + row->off;
}

static PRINTF(2, 3) void warn(const struct scan *s, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	s->warn(s->ctx, line);
}

/* --- collecting --- */

static const struct option *row_named(struct bytes name)
{
	for (size_t i = 0; i < option_table_n; i++)
		if (bytes_eq_str(name, option_table[i].name) ||
		    (option_table[i].alias && bytes_eq_str(name, option_table[i].alias)))
			return &option_table[i];
	return NULL;
}

bool option_of_node(const char *name)
{
	const struct option *row = row_named(bytes_str(name));

	return row && strcmp(row->name, name) == 0 && row->flags & OPTION_NODE;
}

static void warn_unknown(const struct scan *s, struct bytes name)
{
	const char *names[OPTION_ROWS_MAX], *near;

	for (size_t i = 0; i < option_table_n; i++)
		names[i] = option_table[i].name;
	near = text_nearest(name, names, option_table_n);
	if (near)
		warn(s, "unknown variable %.*s is ignored; did you mean %s?",
		     (int)MIN_OF(name.len, 100), (const char *)name.data, near);
	else
		warn(s, "unknown variable %.*s is ignored", (int)MIN_OF(name.len, 100),
		     (const char *)name.data);
}

static void collect(struct scan *s, char *const *env)
{
	for (; *env; env++) {
		const char *eq = strchr(*env, '=');
		const struct option *row;
		struct bytes name;
		size_t i;

		if (!eq)
			continue;
		name = bytes_of(*env, (size_t)(eq - *env));
		row = row_named(name);
		if (!row) {
			if (name.len > 3 && strncasecmp(*env, "TS_", 3) == 0)
				warn_unknown(s, name);
			continue;
		}
		i = (size_t)(row - option_table);
		if (s->raw[i] && *s->raw[i] && eq[1] && strcmp(s->raw[i], eq + 1) != 0 &&
		    s->by_alias[i] == bytes_eq_str(name, row->name))
			warn(s, "%s is ignored: %s is set too, and to something else", row->alias,
			     row->name);
		/* the name wins over the alias, the first of equal ones over the rest; an empty
		 * name does not win */
		if (!s->raw[i] || (s->by_alias[i] && bytes_eq_str(name, row->name) && eq[1])) {
			s->raw[i] = eq + 1;
			s->by_alias[i] = !bytes_eq_str(name, row->name);
		} else if (!*s->raw[i] && eq[1] && row->alias && bytes_eq_str(name, row->alias)) {
			s->raw[i] = eq + 1;
			s->by_alias[i] = true;
		}
	}
}

/* An env file with the line ends of Windows, a trailing blank: nobody sees them, and no value ends
 * in them. Secrets are trimmed where they are copied. */
static int trim(struct scan *s)
{
	static const char blanks[] = " \t\r\n";

	for (size_t i = 0; i < option_table_n; i++) {
		const char *v = s->raw[i];
		size_t len;

		if (!v || option_table[i].flags & OPTION_SECRET)
			continue;
		v += strspn(v, blanks);
		len = strlen(v);
		while (len > 0 && strchr(blanks, v[len - 1]))
			len--;
		if (len == strlen(s->raw[i]))
			continue;
		s->raw[i] = s->own[i] = strndup(v, len);
		if (!s->own[i])
			return err_set(s->e, ENOMEM, "environment");
	}
	return 0;
}

static const char *raw_of(const struct scan *s, const char *name) /* NULL when absent or empty */
{
	const struct option *row = row_named(bytes_str(name));
	const char *v = row ? s->raw[row - option_table] : NULL;

	return v && *v ? v : NULL;
}

/* --- single values --- */

static const char *called(const struct scan *s, const struct option *row) /* as the user wrote it */
{
	return s->by_alias[row - option_table] ? row->alias : row->name;
}

static int bad(const struct scan *s, const struct option *row, const char *what)
{
	return err_say(s->e, EINVAL, "%s: %s", called(s, row), what);
}

static bool size_parse(const char *text, uint64_t *out)
{
	static const char *const units[] = { "",   "K",  "M",   "G",   "Ki",
					     "Mi", "Gi", "KiB", "MiB", "GiB" };
	size_t digits = strspn(text, "0123456789");
	uint64_t v;

	if (!text_u64(bytes_of(text, digits), &v))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(text + digits, units[i]) == 0) {
			unsigned shift = (unsigned)(i == 0 ? 0 : 1 + (i - 1) % 3) * 10;

			if (v > UINT64_MAX >> shift)
				return false;
			*out = v << shift;
			return true;
		}
	return false;
}

/* Secrets lose the white space around them: an env file or a `$(cat key)` leaves line ends there.
 */
static int set_text(const struct scan *s, const struct option *row, const char *v)
{
	static const char blanks[] = " \t\r\n";
	size_t len = strlen(v);
	char *copy;

	if (row->flags & OPTION_SECRET) {
		const size_t skip = strspn(v, blanks);

		v += skip;
		len -= skip;
		while (len > 0 && strchr(blanks, v[len - 1]))
			len--;
		if (len == 0)
			return 0; /* as if it were empty */
	}
	copy = row->flags & OPTION_SECRET ? secret_new(len + 1) : malloc(len + 1);
	if (!copy)
		return err_set(s->e, ENOMEM, "environment");
	memcpy(copy, v, len);
	copy[len] = 0;
	*(char **)slot(s, row) = copy;
	return 0;
}

static int set_number(const struct scan *s, const struct option *row, const char *v)
{
	if (!text_u64(bytes_str(v), slot(s, row)) || *(uint64_t *)slot(s, row) > row->max)
		return err_say(s->e, EINVAL, "%s: wanted a number from 0 to %llu", row->name,
			       (unsigned long long)row->max);
	return 0;
}

static int set_size(const struct scan *s, const struct option *row, const char *v)
{
	if (!size_parse(v, slot(s, row)) || *(uint64_t *)slot(s, row) < OPTION_SIZE_MIN)
		return bad(s, row, "wanted a size of at least 1M, such as 64M or 64Mi");
	return 0;
}

/* v: the value, not empty */
static int set_value(const struct scan *s, const struct option *row, const char *v)
{
	int r = 0;

	switch (row->kind) {
	case OPTION_SPAN:
		return span_parse(bytes_str(v), slot(s, row))
			   ? 0
			   : bad(s, row, "wanted a duration such as 60s or 2m");
	case OPTION_IP:
		if (!ip_parse(bytes_str(v), slot(s, row)))
			return bad(s, row, "wanted an IP address, without port and brackets");
		return 0;
	case OPTION_MKEY:
		if (!key_pub_parse(KEY_MACHINE, bytes_str(v), slot(s, row)))
			return bad(
			    s, row,
			    "wanted mkey: and 64 hex digits, as /key?v=119 of the server shows it");
		return 0;
	case OPTION_CC:
		if (!ns_cc_parse(bytes_str(v), slot(s, row)))
			return bad(s, row, "wanted cubic, reno or bbr");
		return 0;
	case OPTION_NUMBER:
		return set_number(s, row, v);
	case OPTION_SIZE:
		return set_size(s, row, v);
	case OPTION_LISTEN:
		r = check_listen(called(s, row), v, s->e);
		break;
	case OPTION_ROUTES:
		r = check_routes(called(s, row), v, s->e);
		break;
	case OPTION_TAGS:
		r = check_tags(called(s, row), v, s->e);
		break;
	case OPTION_URL:
		r = check_server(called(s, row), v, s->e);
		break;
	default:
		break;
	}
	return r < 0 ? r : set_text(s, row, v);
}

static void set_bool(const struct scan *s, const struct option *row, const char *v)
{
	const bool dflt = row->dflt && strcmp(row->dflt, "true") == 0;
	bool on = dflt, ok = !v || !*v || bool_parse(bytes_str(v), &on);

	if (!ok)
		warn(s, "%s is neither true nor false: taken as %s", row->name,
		     row->kind == OPTION_TRI ? "not set"
		     : dflt                  ? "true"
					     : "false");
	if (row->kind == OPTION_BOOL)
		*(bool *)slot(s, row) = on;
	else
		*(int *)slot(s, row) = v && *v && ok ? on : -1;
}

/* --- the order of validation --- */

static bool is_on(const struct scan *s, const struct option *row) /* given, and not just off */
{
	const char *v = s->raw[row - option_table];

	if (!v || !*v)
		return false;
	if (row->kind == OPTION_BOOL)
		return *(const bool *)slot(s, row);
	if (row->kind == OPTION_TRI)
		return *(const int *)slot(s, row) == 1;
	return true;
}

static int check_pod_ips(const struct scan *s)
{
	const char *v = raw_of(s, "POD_IPS");
	struct bytes left = v ? bytes_str(v) : (struct bytes){ 0 }, one;
	struct ip ip;
	size_t n = 0;

	while (prefs_list_next(&left, &one))
		if (!ip_parse(one, &ip) || ++n > 2)
			return err_say(s->e, EINVAL,
				       "POD_IPS: wanted at most two addresses, comma-separated");
	return 0;
}

static int check_flags(const struct scan *s, unsigned flag)
{
	for (size_t i = 0; i < option_table_n; i++) {
		const struct option *row = &option_table[i];

		if (!(row->flags & flag) || !is_on(s, row))
			continue;
		if (flag == OPTION_KERNEL_ONLY && s->o->userspace)
			return bad(s, row,
				   "works in kernel mode only, which this version does not have; "
				   "unset it");
		if (flag == OPTION_CLUSTER_ONLY && !raw_of(s, "KUBERNETES_SERVICE_HOST"))
			return bad(s, row,
				   "works in a Kubernetes cluster only (KUBERNETES_SERVICE_HOST is "
				   "not set)");
		if (flag == OPTION_NOT_YET)
			return bad(s, row, "not supported by this version; unset it");
	}
	return 0;
}

struct pair {
	const char *a, *b;
};

static int check_pairs(const struct scan *s, const struct pair *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_on(s, row_named(bytes_str(v[i].a))) &&
		    is_on(s, row_named(bytes_str(v[i].b))))
			return err_say(s->e, EINVAL,
				       "%s and %s exclude each other; unset one of them", v[i].a,
				       v[i].b);
	return 0;
}

static const struct pair exclusive[] = {
	{ "TS_DEST_IP", "TS_EXPERIMENTAL_DEST_DNS_NAME" },
	{ "TS_TAILNET_TARGET_IP", "TS_TAILNET_TARGET_FQDN" },
	{ "TS_AUTHKEY", "TS_CLIENT_ID" },
	{ "TS_AUTHKEY", "TS_CLIENT_SECRET" },
	{ "TS_AUTHKEY", "TS_ID_TOKEN" },
	{ "TS_AUTHKEY", "TS_AUDIENCE" },
	{ "TS_HEALTHCHECK_ADDR_PORT", "TS_ENABLE_HEALTH_CHECK" },
};

#define CONFIG "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR"
static const struct pair config_file[] = {
	{ CONFIG, "TS_HOSTNAME" },
	{ CONFIG, "TS_EXTRA_ARGS" },
	{ CONFIG, "TS_AUTHKEY" },
	{ CONFIG, "TS_ROUTES" },
	{ CONFIG, "TS_ACCEPT_DNS" },
	{ CONFIG, "TS_CLIENT_ID" },
	{ CONFIG, "TS_CLIENT_SECRET" },
	{ CONFIG, "TS_ID_TOKEN" },
	{ CONFIG, "TS_AUDIENCE" },
	/* ours */
	{ CONFIG, "TS_LOGIN_SERVER" },
	{ CONFIG, "TS_ADVERTISE_TAGS" },
	{ CONFIG, "TS_ACCEPT_ROUTES" },
	{ CONFIG, "TS_SHIELDS_UP" },
	{ CONFIG, "TS_ADVERTISE_EXIT_NODE" },
	{ CONFIG, "TS_EXIT_NODE" },
};

static const struct pair tokens[] = {
	{ "TS_CLIENT_SECRET", "TS_ID_TOKEN" },
	{ "TS_CLIENT_SECRET", "TS_AUDIENCE" },
	{ "TS_ID_TOKEN", "TS_AUDIENCE" },
};

static int check_tokens(const struct scan *s)
{
	static const char *const need[] = { "TS_ID_TOKEN", "TS_AUDIENCE" };
	const bool has_id = raw_of(s, "TS_CLIENT_ID");
	int r = check_pairs(s, tokens, ARRAY_LEN(tokens));

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(need); i++)
		if (raw_of(s, need[i]) && !has_id)
			r = err_say(s->e, EINVAL, "%s needs TS_CLIENT_ID", need[i]);
	if (r == 0 && raw_of(s, "TS_AUDIENCE"))
		r = err_say(s->e, EINVAL,
			    "TS_AUDIENCE: tokens are not asked of a cloud's metadata; put one into "
			    "a file and set TS_ID_TOKEN=file:PATH");
	if (r == 0 && has_id && !raw_of(s, "TS_CLIENT_SECRET") && !raw_of(s, "TS_ID_TOKEN"))
		r = err_say(s->e, EINVAL,
			    "TS_CLIENT_ID alone is not enough: set TS_ID_TOKEN (workload identity) "
			    "or TS_CLIENT_SECRET");
	return r;
}

/* Values of one kind, or (kind OPTION_BOOL) of all kinds but the two that have their own place in
 * the order. */
static int convert(const struct scan *s, enum option_kind kind)
{
	for (size_t i = 0; i < option_table_n; i++) {
		const struct option *row = &option_table[i];
		const char *v = s->raw[i];
		int r = 0;

		if (row->kind == OPTION_ACCEPTED || row->kind == OPTION_BOOL ||
		    row->kind == OPTION_TRI ||
		    (kind == OPTION_BOOL ? row->kind == OPTION_LISTEN || row->kind == OPTION_SPAN
					 : row->kind != kind))
			continue;
		if (v && !*v && row->kind == OPTION_ROUTES)
			r = set_text(s, row, v);
		else if (v && *v)
			r = set_value(s, row, v);
		else if (row->dflt)
			r = set_value(s, row, row->dflt);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_fqdn(const struct scan *s)
{
	char name[EGRESS_NAME_MAX + 1];
	struct bytes text = bytes_str(s->o->target_fqdn);

	if (text.len > 1 && text.data[text.len - 1] == '.')
		text.len--;
	if (!bytes_to_str(text, name, sizeof name))
		return err_say(s->e, EINVAL, "TS_TAILNET_TARGET_FQDN: longer than a name can be");
	return check_hostname("TS_TAILNET_TARGET_FQDN", name, s->e);
}

static int check_target(const struct scan *s)
{
	const struct options *o = s->o;
	struct egress_port ports[EGRESS_PORTS_MAX];
	struct ip ip;
	size_t n;
	int r = 0;

	if (o->target_ports && !options_target(o))
		return err_say(s->e, EINVAL,
			       "TS_TAILNET_TARGET_PORTS needs TS_TAILNET_TARGET_IP or "
			       "TS_TAILNET_TARGET_FQDN");
	if (!options_target(o))
		return 0;
	if (!o->target_ports)
		return err_say(s->e, EINVAL,
			       "%s: in user space the ports to forward must be named; set "
			       "TS_TAILNET_TARGET_PORTS, for example to 80,443",
			       o->target_ip ? "TS_TAILNET_TARGET_IP" : "TS_TAILNET_TARGET_FQDN");
	if (o->target_ip && !ip_parse(bytes_str(o->target_ip), &ip))
		return err_say(s->e, EINVAL, "TS_TAILNET_TARGET_IP: wanted an IP address");
	if (o->target_fqdn)
		r = check_fqdn(s);
	return r < 0 ? r
		     : egress_ports_parse("TS_TAILNET_TARGET_PORTS", bytes_str(o->target_ports),
					  ports, ARRAY_LEN(ports), &n, s->e);
}

/* --- what is no error and yet a mistake --- */

static void warn_quotes(const struct scan *s)
{
	for (size_t i = 0; i < option_table_n; i++) {
		const char *v = s->raw[i];
		const size_t n = v ? strlen(v) : 0;
		const size_t off = option_table[i].off;

		if (n < 2 || (v[0] != '"' && v[0] != '\'') || v[n - 1] != v[0] ||
		    off == offsetof(struct options, extra_args) || /* quotes count there */
		    off == offsetof(struct options, daemon_args))
			continue;
		warn(s,
		     "%s: the quotation marks around the value are part of it; leave them out (an "
		     "--env-file and a list in a Compose file keep them)",
		     called(s, &option_table[i]));
	}
}

/* The key is never shown: it may be one, with a slip. */
static void warn_key(const struct scan *s)
{
	const struct option *row = row_named(bytes_str("TS_AUTHKEY"));
	const char *key = s->o->auth_key, *what = NULL;

	if (!key || strncmp(key, "file:", 5) == 0)
		return;
	if (key[0] == '/' || strncmp(key, "./", 2) == 0)
		what = "looks like a path; file:PATH reads the key from a file";
	else if (strncmp(key, "tskey-api-", 10) == 0 || strncmp(key, "hskey-api-", 10) == 0)
		what = "is an API key, with which no node can log in; make an auth key";
	else if (strchr(key, '$'))
		what = "holds a $: is it the name of a variable that nobody has replaced?";
	else if (key[strcspn(key, " \t\r\n")])
		what = "holds blanks or line ends, which no auth key has";
	if (what)
		warn(s, "%s %s", called(s, row), what);
}

/* No shell has been there. */
static int check_home(const struct scan *s)
{
	static const char *const paths[] = { "TS_STATE_DIR", "TS_SOCKET", "TS_SERVE_CONFIG",
					     "TS_NODES_FILE" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const char *v = raw_of(s, paths[i]);

		if (v && *v == '~')
			return err_say(s->e, EINVAL,
				       "%s: nobody replaces the ~ here; write the whole path",
				       paths[i]);
	}
	return 0;
}

static int check_own(const struct scan *s)
{
	struct options *o = s->o;
	int r = 0;

	if (!o->userspace)
		return err_say(s->e, EINVAL,
			       "TS_USERSPACE=false: kernel mode is not in this version; unset it");
	o->no_kube_secret = s->raw[row_named(bytes_str("TS_KUBE_SECRET")) - option_table] &&
			    !o->kube_secret; /* given and empty */
	r = check_target(s);
	if (r == 0)
		r = check_home(s);
	if (r == 0 && o->serve_tls_dir && !o->serve_config)
		r = err_say(s->e, EINVAL, "TS_SERVE_TLS_DIR needs TS_SERVE_CONFIG");
	if (r == 0 && o->kube_secret)
		r = check_object_name("TS_KUBE_SECRET", o->kube_secret, s->e);
	if (r == 0 && o->hostname)
		r = check_hostname("TS_HOSTNAME", o->hostname, s->e);
	if (r == 0)
		r = up_flags_parse(&o->up, o->extra_args, s->warn, s->ctx, s->e);
	if (r == 0)
		r = daemon_flags_parse(&o->daemon, o->daemon_args, s->e);
	if (r == 0)
		warn_key(s);
	if (r == 0 && (o->debug_addr || o->daemon.debug))
		warn(s,
		     "%s: this program has no debug server, nothing listens there; "
		     "TS_ENABLE_METRICS "
		     "and TS_LOG_VERBOSITY tell what it does",
		     o->debug_addr ? "TS_DEBUG_ADDR_PORT" : "TS_TAILSCALED_EXTRA_ARGS: --debug");
	return r;
}

static int validate(const struct scan *s)
{
	int r = check_pod_ips(s);

	warn_quotes(s);
	for (size_t i = 0; i < option_table_n; i++)
		if (option_table[i].kind == OPTION_BOOL || option_table[i].kind == OPTION_TRI)
			set_bool(s, &option_table[i], s->raw[i]);
	if (r == 0)
		r = check_flags(s, OPTION_KERNEL_ONLY);
	if (r == 0)
		r = check_pairs(s, exclusive, ARRAY_LEN(exclusive));
	if (r == 0)
		r = check_pairs(s, config_file, ARRAY_LEN(config_file));
	if (r == 0)
		r = check_tokens(s);
	if (r == 0)
		r = convert(s, OPTION_LISTEN);
	if (r == 0)
		r = check_flags(s, OPTION_CLUSTER_ONLY);
	if (r == 0)
		r = convert(s, OPTION_SPAN);
	if (r == 0)
		r = check_flags(s, OPTION_NOT_YET);
	if (r == 0)
		r = convert(s, OPTION_BOOL);
	return r < 0 ? r : check_own(s);
}

int options_parse(struct options *o, char *const *env, options_warn_fn *warn_fn, void *ctx,
		  struct err *e)
{
	struct scan s = { .o = o, .warn = warn_fn, .ctx = ctx, .e = e };
	int r;

	assert(option_table_n <= OPTION_ROWS_MAX);
	*o = (struct options){ 0 };
	collect(&s, env);
	r = trim(&s);
	if (r == 0)
		r = validate(&s);
	for (size_t i = 0; i < ARRAY_LEN(s.own); i++)
		free(s.own[i]);
	return r;
}

void options_fini(struct options *o)
{
	for (size_t i = 0; i < option_table_n; i++) {
		const struct option *row = &option_table[i];
		char **p = (char **)(void *)((char *)o + row->off);

		switch (row->kind) {
		case OPTION_TEXT:
		case OPTION_LISTEN:
		case OPTION_ROUTES:
		case OPTION_TAGS:
		case OPTION_URL:
			if (row->flags & OPTION_SECRET)
				secret_free(*p);
			else
				free(*p);
			break;
		default:
			break;
		}
	}
	up_flags_fini(&o->up);
	daemon_flags_fini(&o->daemon);
	*o = (struct options){ 0 };
}

void options_wipe_env(char **env)
{
	char **out = env;

	for (; *env; env++) {
		char *eq = strchr(*env, '=');
		const struct option *row =
		    eq ? row_named(bytes_of(*env, (size_t)(eq - *env))) : NULL;

		if (row && row->flags & OPTION_SECRET)
			secret_wipe(eq + 1, strlen(eq + 1));
		else
			*out++ = *env;
	}
	*out = NULL;
}

const char *options_auth_key(const struct options *o)
{
	return o->auth_key ? o->auth_key : o->up.auth_key;
}

bool options_subnets(const struct options *o)
{
	return o->cni_socket && o->cni_subnets && *o->cni_subnets;
}

const char *options_target(const struct options *o)
{
	return o->target_ip ? o->target_ip : o->target_fqdn;
}

const char *options_kube_secret(const struct options *o)
{
	if (!o->kubernetes_host || o->no_kube_secret)
		return NULL;
	return o->kube_secret ? o->kube_secret : "tailscale";
}

const char *options_state_dir(const struct options *o)
{
	return o->daemon.state_mem ? NULL : o->state_dir ? o->state_dir : o->daemon.state_dir;
}

const char *options_socket(const struct options *o)
{
	return o->daemon.socket ? o->daemon.socket : o->socket;
}

const char *options_socks5(const struct options *o)
{
	return o->socks5 ? o->socks5 : o->daemon.socks5;
}

const char *options_http_proxy(const struct options *o)
{
	return o->http_proxy ? o->http_proxy : o->daemon.http_proxy;
}
