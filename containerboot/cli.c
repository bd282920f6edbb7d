/* containerboot/cli.c - status, ping, ip, whois, ... over the local API: the commands health checks
 * and people use
 *
 * The binary answers to the names tailscale and tailpod too. Flags, exit codes and what scripts
 * read are those of the stock CLI: 0 done, 1 failed or wrong arguments, 2 a flag that a command has
 * not. Flags may also stand behind arguments.
 */
#include "containerboot/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "containerboot/program.h"
#include "os/file.h"
#include "wire/http1.h"

#define API "/localapi/v0/"

enum { LOGIN_POLL_NS = 100000000 };

static int complain(const struct err *e)
{
	fprintf(stderr, "%s\n", e->text);
	return 1;
}

/* Does the request; on any status of 400 and above prints what the server says. 0 or 1. */
static int call(const struct cli *c, const char *method, const char *target, const char *body,
		struct buf *out)
{
	struct err e = { 0 };
	int status = 0;

	buf_init(out, CLI_BODY_MAX);
	if (cli_request(c, method, target, bytes_str(body), &status, out, &e) < 0)
		return complain(&e);
	if (status < 400)
		return 0;
	fprintf(stderr, "%.*s%s", (int)out->len, (const char *)buf_bytes(out).data,
		status == 403 ? "" : "\n");
	return 1;
}

static int show(const struct cli *c, const char *method, const char *target)
{
	struct buf out;
	int r = call(c, method, target, "", &out);

	if (r == 0 && out.len > 0) {
		const struct bytes b = buf_bytes(&out);

		r = fwrite(b.data, 1, b.len, stdout) != b.len ||
		    (b.data[b.len - 1] != '\n' && putchar('\n') == EOF) || fflush(stdout) != 0;
	}
	buf_fini(&out);
	return r;
}

static int get_status(const struct cli *c, struct cli_status *s)
{
	struct buf out;
	int r = call(c, "GET", API "status", "", &out);

	if (r == 0 && !cli_status_parse(s, buf_bytes(&out))) {
		fputs("the status is malformed\n", stderr);
		r = 1;
	}
	buf_fini(&out);
	return r;
}

/* --- flags --- */

static const char *given(const struct cli *c, const char *flag) /* NULL: not given */
{
	for (size_t i = 0; i < c->n_flags; i++)
		if (strcmp(c->flags[i].name, flag) == 0)
			return c->flags[i].value;
	return NULL;
}

static bool on(const struct cli *c, const char *flag, bool dflt)
{
	const char *v = given(c, flag);

	return v ? strcmp(v, "true") == 0 : dflt;
}

/* names: "json timeout= ..", with = when the flag takes a value. 0: no such, 1: boolean, 2: value
 */
static int flag_kind(const char *names, struct bytes flag)
{
	while (*names) {
		size_t len = strcspn(names, " "), bare = names[len - 1] == '=' ? len - 1 : len;

		if (bytes_eq(bytes_of(names, bare), flag))
			return bare < len ? 2 : 1;
		names += len + (names[len] == ' ');
	}
	return 0;
}

/* Moves the flags of the command from argv to flags. False: words were said. */
static bool take_flags(struct cli *c, const char *names)
{
	int kept = 0;

	for (int i = 0; i < c->argc; i++) {
		const char *a = c->argv[i], *name = a + 1 + (a[0] == '-' && a[1] == '-'), *eq,
			   *value;
		struct bytes flag;
		bool ok;
		int kind;

		if (strcmp(a, "--") == 0) {
			while (++i < c->argc)
				c->argv[kept++] = c->argv[i];
			break;
		}
		if (*a != '-' || !a[1]) {
			c->argv[kept++] = c->argv[i];
			continue;
		}
		eq = strchr(name, '=');
		flag = bytes_of(name, eq ? (size_t)(eq - name) : strlen(name));
		kind = c->n_flags < CLI_FLAGS_MAX ? flag_kind(names, flag) : 0;
		if (kind == 0) {
			fprintf(stderr, "no such flag: %s\n", a);
			return false;
		}
		value = eq ? eq + 1 : kind == 1 ? "true" : i + 1 < c->argc ? c->argv[++i] : NULL;
		if (!value) {
			fprintf(stderr, "%s needs a value\n", a);
			return false;
		}
		if (kind == 1) {
			if (!bool_parse(bytes_str(value), &ok)) {
				fprintf(stderr, "%s: wanted true or false\n", a);
				return false;
			}
			value = ok ? "true" : "false";
		}
		c->flags[c->n_flags].value = value;
		(void)bytes_to_str(flag, c->flags[c->n_flags++].name, CLI_FLAG_MAX);
	}
	c->argc = kept;
	return true;
}

/* --- commands --- */

static void print_node(const struct cli_status *s, const struct cli_node *n, bool is_self)
{
	char ip[IP_TEXT];

	printf("%-15s %-20s %-12s %-7s ", ip_text(ip_is_zero(&n->ip4) ? &n->ip6 : &n->ip4, ip),
	       n->name, cli_login(s, n->user), n->os);
	if (is_self)
		printf("-");
	else if (n->active && *n->addr)
		printf("active; direct %s", n->addr);
	else if (n->active)
		printf("active; relay \"%s\"", n->relay);
	else
		printf(n->online ? "-" : "offline");
	if (n->rx || n->tx)
		printf(", tx %llu rx %llu", (unsigned long long)n->tx, (unsigned long long)n->rx);
	putchar('\n');
}

/* what a script compares with, as the stock CLI says it */
static void print_state(const struct cli_status *s)
{
	if (strcmp(s->state, "Stopped") == 0)
		puts("Tailscale is stopped.");
	else if (strcmp(s->state, "NeedsLogin") == 0)
		printf("Logged out.\n%s%s%s", *s->auth_url ? "Log in at: " : "", s->auth_url,
		       *s->auth_url ? "\n" : "");
	else if (strcmp(s->state, "NeedsMachineAuth") == 0)
		puts("Machine is not yet approved by tailnet admin.");
	else
		printf("unexpected state: %s\n", s->state);
}

static int status(struct cli *c)
{
	struct cli_status s;
	int r;

	if (c->argc > 0) {
		fputs("status takes no arguments\n", stderr);
		return 1;
	}
	if (on(c, "json", false)) {
		r = show(c, "GET", on(c, "peers", true) ? API "status" : API "status?peers=false");
		if (r == 0)
			putchar('\n');
		return r;
	}
	if (get_status(c, &s) != 0)
		return 1;
	r = strcmp(s.state, "Running") != 0 && strcmp(s.state, "Starting") != 0;
	if (r)
		print_state(&s);
	if (!r && on(c, "self", true))
		print_node(&s, &s.self, true);
	for (size_t i = 0; !r && on(c, "peers", true) && i < s.n_peers; i++)
		if (s.peers[i].active || !on(c, "active", false))
			print_node(&s, &s.peers[i], false);
	for (size_t i = 0; i < s.n_health; i++)
		printf("# health: %s\n", s.health[i]);
	cli_status_fini(&s);
	return r;
}

static int ip(struct cli *c)
{
	const bool v4 = on(c, "4", false), v6 = on(c, "6", false), one = on(c, "1", false);
	const char *who = c->argc > 0 ? c->argv[0] : NULL, *want = given(c, "assert");
	struct cli_status s;
	char text[IP_TEXT];
	struct ip found, wanted;
	int r = 1;

	if (v4 + v6 + one > 1 || c->argc > 1) {
		fputs(c->argc > 1 ? "ip takes one node at most\n"
				  : "-1, -4 and -6 exclude each other\n",
		      stderr);
		return 1;
	}
	if (get_status(c, &s) != 0)
		return 1;
	if (want) {
		r = !ip_parse(bytes_str(want), &wanted) ||
		    (!ip_eq(&wanted, &s.self.ip4) && !ip_eq(&wanted, &s.self.ip6));
		if (r)
			fprintf(stderr, "%s is none of this node's addresses\n", want);
		cli_status_fini(&s);
		return r;
	}
	for (int six = 0; six < 2 && (r || !one); six++) {
		if (six ? v4 : v6)
			continue;
		found = six ? s.self.ip6 : s.self.ip4;
		if (who && !cli_find(&s, who, six, &found))
			break;
		if (ip_is_zero(&found) || ip_is_v4(&found) == six)
			continue;
		printf("%s\n", ip_text(&found, text));
		r = 0;
	}
	if (r)
		fprintf(stderr, "no such address\n");
	cli_status_fini(&s);
	return r;
}

static int whois(struct cli *c)
{
	char target[512];
	struct buf escaped, out;
	struct err e = { 0 };
	int r = 1, code = 0;

	if (c->argc != 1) {
		fputs("whois takes one address\n", stderr);
		return 1;
	}
	buf_init(&escaped, 400);
	buf_init(&out, CLI_BODY_MAX);
	if (!http1_escape(&escaped, bytes_str(c->argv[0]), false)) {
		fputs("no such address\n", stderr);
		return 1;
	}
	snprintf(target, sizeof target, API "whois?addr=%.*s", (int)escaped.len,
		 (const char *)buf_bytes(&escaped).data);
	if (cli_request(c, "GET", target, bytes_str(""), &code, &out, &e) < 0)
		complain(&e);
	else if (code == 404)
		fputs("peer not found\n", stderr);
	else if (code >= 400)
		fprintf(stderr, "%.*s\n", (int)out.len, (const char *)buf_bytes(&out).data);
	else if (on(c, "json", false))
		r = printf("%.*s\n", (int)out.len, (const char *)buf_bytes(&out).data) < 0;
	else
		r = !cli_whois_print(buf_bytes(&out));
	buf_fini(&escaped);
	buf_fini(&out);
	return r;
}

struct pong {
	char error[256], endpoint[64], relay[32], name[256];
	double seconds;
	bool is_own;
};

static bool read_pong(struct bytes json, struct pong *p)
{
	struct json j = json_of(json);
	struct bytes key;

	*p = (struct pong){ 0 };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Err"))
			cli_text(&j, p->error, sizeof p->error);
		else if (json_key_is(key, "Endpoint"))
			cli_text(&j, p->endpoint, sizeof p->endpoint);
		else if (json_key_is(key, "DERPRegionCode"))
			cli_text(&j, p->relay, sizeof p->relay);
		else if (json_key_is(key, "NodeName"))
			cli_text(&j, p->name, sizeof p->name);
		else if (json_key_is(key, "IsLocalIP"))
			p->is_own = json_bool(&j);
		else if (json_key_is(key, "LatencySeconds"))
			p->seconds = json_f64(&j);
		else
			json_skip(&j);
	}
	return json_done(&j);
}

enum pong_kind { PONG_NONE, PONG_OWN, PONG_RELAYED, PONG_DIRECT };

static enum pong_kind ping_once(const struct cli *c, const struct ip *to, const char *type,
				const char *size)
{
	char target[200], text[IP_TEXT], took[32];
	struct pong p;
	struct buf out;
	int r, ms;

	snprintf(target, sizeof target, API "ping?ip=%s&type=%s&size=%.5s", ip_text(to, text), type,
		 size);
	r = call(c, "POST", target, "", &out);
	if (r == 0 && !read_pong(buf_bytes(&out), &p))
		r = 1;
	buf_fini(&out);
	if (r)
		return PONG_NONE;
	if (*p.error) {
		fprintf(p.is_own ? stdout : stderr, "%s\n", p.error);
		return p.is_own ? PONG_OWN : PONG_NONE;
	}
	/* whole milliseconds, "0s" for less than half of one: as the stock CLI has it */
	ms = (int)(p.seconds * 1000 + 0.5);
	snprintf(took, sizeof took, ms > 0 ? "%dms" : "%ds", ms);
	if (*p.endpoint)
		printf("pong from %s (%s) via %s in %s\n", p.name, text, p.endpoint, took);
	else if (*p.relay)
		printf("pong from %s (%s) via DERP(%s) in %s\n", p.name, text, p.relay, took);
	else
		printf("pong from %s (%s) via %s in %s\n", p.name, text, type, took);
	return *p.endpoint ? PONG_DIRECT : PONG_RELAYED;
}

static int ping(struct cli *c)
{
	const bool tsmp = on(c, "tsmp", false), icmp = on(c, "icmp", false);
	const bool until_direct = on(c, "until-direct", true) && !tsmp && !icmp;
	const char *type = tsmp   ? "TSMP"
			   : icmp ? "ICMP"
				  : "disco",
		   *count = given(c, "c"), *size = given(c, "size"), *timeout = given(c, "timeout");
	struct cli_status s;
	uint64_t n = 10, bytes = 0;
	struct ip to;
	enum pong_kind best = PONG_NONE, k = PONG_NONE;
	bool found;

	if (c->argc != 1) {
		fputs("ping takes one node\n", stderr);
		return 1;
	}
	if ((count && !text_u64(bytes_str(count), &n)) ||
	    (size && !text_u64(bytes_str(size), &bytes)) ||
	    (timeout && (!span_parse(bytes_str(timeout), &c->limit) || c->limit.ns <= 0))) {
		fputs("wanted -c NUMBER, --size NUMBER, --timeout DURATION such as 5s\n", stderr);
		return 2;
	}
	if (get_status(c, &s) != 0)
		return 1;
	found = cli_find(&s, c->argv[0], false, &to) || ip_parse(bytes_str(c->argv[0]), &to);
	cli_status_fini(&s);
	if (!found) {
		fprintf(stderr, "no such node: %s\n", c->argv[0]);
		return 1;
	}
	for (uint64_t i = 0; n == 0 || i < n; i++) { /* 0: for ever */
		if (i > 0)
			sleep(1);
		k = ping_once(c, &to, type, size ? size : "");
		fflush(stdout);
		best = k > best ? k : best;
		if (k == PONG_OWN || (k == PONG_DIRECT && until_direct))
			return 0;
	}
	if (best == PONG_NONE)
		fputs("no reply\n", stderr);
	else if (until_direct)
		fputs("direct connection not established\n", stderr);
	return best == PONG_NONE || until_direct;
}

/* What the stock CLI does not show, below what it does. */
static void netcheck_more(const struct cli_status *s)
{
	for (size_t i = 0; i < s->n_own_addrs; i++)
		printf("\t* Endpoint: %s\n", s->own_addrs[i]);
	for (size_t i = 0; i < s->n_health; i++)
		printf("\t* Problem: %s\n", s->health[i]);
}

static int netcheck_text(struct cli *c, struct buf *report, struct buf *map, struct buf *out)
{
	struct cli_status s;
	int r;

	if (call(c, "GET", API "netcheck", "", report) != 0 ||
	    call(c, "GET", API "derpmap", "", map) != 0)
		return 1;
	r = cli_netcheck_text(buf_bytes(report), buf_bytes(map), on(c, "verbose", false), out);
	if (r < 0) {
		fputs(r == -ENOMEM ? "out of memory\n" : "the report is malformed\n", stderr);
		return 1;
	}
	if (get_status(c, &s) != 0)
		return 1;
	fwrite(buf_bytes(out).data, 1, out->len, stdout);
	netcheck_more(&s);
	cli_status_fini(&s);
	return 0;
}

static int netcheck(struct cli *c)
{
	const char *format = given(c, "format");
	struct buf report, map, out;
	int r;

	if (on(c, "json", false) || (format && strncmp(format, "json", 4) == 0))
		return show(c, "GET", API "netcheck");
	if (format && *format) {
		fprintf(stderr, "--format=%s: json is the only one\n", format);
		return 1;
	}
	buf_init(&report, CLI_BODY_MAX);
	buf_init(&map, CLI_BODY_MAX);
	buf_init(&out, CLI_BODY_MAX);
	r = netcheck_text(c, &report, &map, &out);
	buf_fini(&report);
	buf_fini(&map);
	buf_fini(&out);
	return r;
}

static int metrics(struct cli *c)
{
	const char *what = c->argc > 0 ? c->argv[0] : "print";
	struct err e = { 0 };
	struct buf out;
	int r;

	if (strcmp(what, "print") == 0 && c->argc < 2)
		return show(c, "GET", API "usermetrics");
	if (strcmp(what, "write") != 0 || c->argc != 2) {
		fputs("metrics: wanted print, or write FILE\n", stderr);
		return 1;
	}
	r = call(c, "GET", API "usermetrics", "", &out);
	if (r == 0 && file_replace(c->argv[1], buf_bytes(&out), 0644, &e) < 0)
		r = complain(&e);
	buf_fini(&out);
	return r;
}

static int logout(struct cli *c)
{
	return show(c, "POST", API "logout");
}

/* The change of preferences that the flags ask for, with WantRunning when run is 0 or 1. */
static int change(struct cli *c, int run)
{
	struct err e = { 0 };
	struct buf old, body, out;
	int r = call(c, "GET", API "prefs", "", &old);

	buf_init(&body, CLI_BODY_MAX);
	if (r == 0 && cli_prefs_change(c, run, buf_bytes(&old), &body, &e) < 0) {
		complain(&e);
		r = 2;
	}
	if (r == 0) {
		char *text = buf_take_str(&body);

		r = text ? call(c, "PATCH", API "prefs", text, &out) : 1;
		if (text)
			buf_fini(&out);
		free(text);
	}
	buf_fini(&old);
	buf_fini(&body);
	return r;
}

/* After a logout: asks for a login and waits until the node is in. A URL that a person has to visit
 * is shown. limit 0: for ever, as the stock CLI. */
static int log_in(struct cli *c, span_t limit)
{
	const struct timespec pause = { 0, LOGIN_POLL_NS };
	int64_t waited = 0;
	struct buf out;
	int r = call(c, "POST", API "login-interactive", "", &out);
	bool shown = false, waits = true;

	buf_fini(&out);
	while (r == 0 && waits) {
		struct cli_status s;

		nanosleep(&pause, NULL);
		waited += LOGIN_POLL_NS;
		r = get_status(c, &s);
		if (r != 0)
			break;
		waits = strcmp(s.state, "NeedsLogin") == 0 || strcmp(s.state, "Starting") == 0;
		if (waits && *s.auth_url && !shown) {
			fprintf(stderr, "To authenticate, visit:\n\n\t%s\n\n", s.auth_url);
			shown = true;
		}
		if (waits && limit.ns > 0 && waited >= limit.ns) {
			fprintf(stderr, "not running in time: state is %s%s%s\n", s.state,
				s.n_health ? ": " : "", s.n_health ? s.health[0] : "");
			r = 1;
		}
		cli_status_fini(&s);
	}
	return r;
}

static int up(struct cli *c)
{
	const char *timeout = given(c, "timeout");
	span_t limit = { 0 };
	struct cli_status s;
	bool logged_out;
	int r;

	if (timeout && (!span_parse(bytes_str(timeout), &limit) || limit.ns < 0)) {
		fputs("--timeout: wanted a duration such as 30s\n", stderr);
		return 2;
	}
	r = change(c, 1);
	if (r == 0)
		r = get_status(c, &s);
	if (r != 0)
		return r;
	logged_out = strcmp(s.state, "NeedsLogin") == 0;
	cli_status_fini(&s);
	return logged_out ? log_in(c, limit) : 0;
}

static int down(struct cli *c)
{
	return change(c, 0);
}

static int set(struct cli *c)
{
	return change(c, -1);
}

static int debug(struct cli *c)
{
	const char *what = c->argc == 1 ? c->argv[0] : "";

	if (strcmp(what, "derp-map") == 0)
		return show(c, "GET", API "derpmap");
	if (strcmp(what, "prefs") == 0)
		return show(c, "GET", API "prefs");
	fputs("debug: wanted derp-map or prefs\n", stderr);
	return 1;
}

static int version(struct cli *c)
{
	if (on(c, "json", false))
		printf(
		    "{\"majorMinorPatch\": \"%s\", \"short\": \"%s\", \"long\": \"%s-tailpod-%s\", "
		    "\"cap\": %d}\n",
		    PROGRAM_API_VERSION, PROGRAM_API_VERSION, PROGRAM_API_VERSION, TAILPOD_VERSION,
		    CONTROL_CAPABILITY_VERSION);
	else
		printf("%s\n  tailpod %s\n", PROGRAM_API_VERSION, TAILPOD_VERSION);
	return 0;
}

/* for exec probes: 0 when the node runs */
static int healthcheck(struct cli *c)
{
	struct cli_status s;
	int r;

	if (get_status(c, &s) != 0)
		return 1;
	r = strcmp(s.state, "Running") != 0;
	if (r)
		printf("not healthy: state is %s%s%s\n", s.state, s.n_health ? ": " : "",
		       s.n_health ? s.health[0] : "");
	else
		puts("ok");
	cli_status_fini(&s);
	return r;
}

static int nc(struct cli *c)
{
	return c->argc == 2 ? cli_nc(c->socket, c->argv[0], c->argv[1]) : 2;
}

static const struct command {
	const char *name, *usage, *flags;
	int (*fn)(struct cli *c);
} commands[] = {
	{ "status", "status [--json] [--active] [--self=false] [--peers=false]",
	  "json active self peers", status },
	{ "ping",
	  "ping [-c N] [--timeout 5s] [--size N] [--tsmp|--icmp] [--until-direct=false] NODE",
	  "c= timeout= size= tsmp icmp until-direct verbose", ping },
	{ "ip", "ip [-1|-4|-6] [--assert=ADDRESS] [NODE]", "1 4 6 assert=", ip },
	{ "whois", "whois [--json] ADDRESS[:PORT]", "json proto=", whois },
	{ "netcheck", "netcheck [--format=json] [--verbose]", "json format= verbose", netcheck },
	{ "metrics", "metrics [print | write FILE]", "", metrics },
	{ "nc", "nc NODE PORT", "", nc },
	{ "up", "up [--timeout 30s] [flags of set]",
	  CLI_SET_FLAGS " reset accept-risk= timeout=", up },
	{ "down", "down", "accept-risk= reason=", down },
	{ "set", "set [--hostname=NAME] [--accept-routes] [--exit-node=NODE] ...", CLI_SET_FLAGS,
	  set },
	{ "logout", "logout", "reason=", logout },
	{ "debug", "debug derp-map | prefs", "", debug },
	{ "version", "version [--json]", "json", version },
	{ "healthcheck", "healthcheck", "", healthcheck },
};

static const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

bool cli_knows(const char *name)
{
	return command_named(name) != NULL;
}

static int usage(FILE *f)
{
	fputs("usage: tailpod [--socket=PATH] COMMAND\n", f);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(f, "    %s\n", commands[i].usage);
	return f == stdout ? 0 : 2;
}

static const char *default_socket(void)
{
	const char *env = getenv("TS_SOCKET");

	if (env && *env)
		return env;
	return access("/tmp/tailscaled.sock", F_OK) == 0 ? "/tmp/tailscaled.sock"
							 : "/var/run/tailscale/tailscaled.sock";
}

int cli_main(int argc, char **argv)
{
	struct cli c = { .argc = argc - 1, .argv = argv + 1, .limit = SPAN_S(CLI_TIMEOUT_S) };
	const struct command *cmd = NULL;
	int r;

	/* in front of the command; --socket also behind it */
	for (int i = 0; i < c.argc; i++) {
		const char *a = c.argv[i], *name = a + 1 + (a[0] == '-' && a[1] == '-');
		int used = 1;

		if (*a != '-')
			continue;
		if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0)
			return usage(stdout);
		if (strncmp(name, "socket", 6) != 0 || (name[6] != 0 && name[6] != '='))
			continue;
		c.socket = name[6] ? name + 7 : i + 1 < c.argc ? c.argv[i + 1] : "";
		used += !name[6] && i + 1 < c.argc;
		memmove(&c.argv[i], &c.argv[i + used],
			(size_t)(c.argc - i - used) * sizeof *c.argv);
		c.argc -= used;
		i--;
	}
	if (!c.socket)
		c.socket = default_socket();
	if (c.argc > 0 && strcmp(c.argv[0], "help") == 0)
		return usage(stdout);
	if (c.argc < 1)
		return usage(stderr);
	cmd = command_named(c.argv[0]);
	if (!cmd) { /* with the codes of the stock CLI */
		bool is_flag = c.argv[0][0] == '-';

		fprintf(stderr, "%s: this program has no such %s\n", c.argv[0],
			is_flag ? "flag" : "command");
		return is_flag ? 2 : 1;
	}
	c.argc--;
	c.argv++;
	r = take_flags(&c, cmd->flags) ? cmd->fn(&c) : 2;
	if (r == 2)
		fprintf(stderr, "usage: tailpod %s\n", cmd->usage);
	return r;
}
