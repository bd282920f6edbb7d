/* containerboot/cli.c - status, ping, ip, whois, ... over the local API: the commands health checks
 * and people use
 *
 * The binary answers to the names tailscale and tailpod too. Exit codes: 0 done, 1 failed, 2 wrong
 * usage.
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
#include "wire/http1.h"

#define API "/localapi/v0/"

struct cli {
	const char *socket;
	int argc; /* of what follows the command */
	char **argv;
};

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
	if (cli_request(c->socket, method, target, bytes_str(body), &status, out, &e) < 0)
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

	if (r == 0 && out.len > 0)
		r = fwrite(buf_bytes(&out).data, 1, out.len, stdout) != out.len ||
		    fflush(stdout) != 0;
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

static bool has_flag(struct cli *c, const char *flag) /* takes it out */
{
	for (int i = 0; i < c->argc; i++) {
		const char *a = c->argv[i];

		if (*a != '-' || strcmp(a + 1 + (a[1] == '-'), flag) != 0)
			continue;
		memmove(&c->argv[i], &c->argv[i + 1], (size_t)(c->argc - i) * sizeof *c->argv);
		c->argc--;
		return true;
	}
	return false;
}

/* --flag=value or --flag value; taken out; NULL: absent */
static const char *flag_value(struct cli *c, const char *flag)
{
	const size_t n = strlen(flag);

	for (int i = 0; i < c->argc; i++) {
		const char *name = c->argv[i], *value;
		int used = 1;

		if (*name != '-')
			continue;
		name += 1 + (name[1] == '-');
		if (strncmp(name, flag, n) != 0 || (name[n] != '=' && name[n] != 0))
			continue;
		value = name[n] == '=' ? name + n + 1 : i + 1 < c->argc ? c->argv[i + 1] : "";
		used += name[n] != '=' && i + 1 < c->argc;
		memmove(&c->argv[i], &c->argv[i + used],
			(size_t)(c->argc - i - used + 1) * sizeof *c->argv);
		c->argc -= used;
		return value;
	}
	return NULL;
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

static int status(struct cli *c)
{
	struct cli_status s;
	const bool json = has_flag(c, "json");
	int r;

	if (json)
		return show(c, "GET",
			    has_flag(c, "peers=false") ? API "status?peers=false" : API "status");
	if (get_status(c, &s) != 0)
		return 1;
	r = strcmp(s.state, "Running") != 0;
	if (r) {
		printf("%s%s%s\n", s.state, *s.auth_url ? ", log in at: " : "", s.auth_url);
	} else {
		print_node(&s, &s.self, true);
		for (size_t i = 0; i < s.n_peers; i++)
			print_node(&s, &s.peers[i], false);
	}
	for (size_t i = 0; i < s.n_health; i++)
		printf("# health: %s\n", s.health[i]);
	cli_status_fini(&s);
	return r;
}

static int ip(struct cli *c)
{
	const bool v4 = has_flag(c, "4"), v6 = has_flag(c, "6");
	const char *who = c->argc > 0 ? c->argv[0] : NULL;
	struct cli_status s;
	char text[IP_TEXT];
	struct ip found;
	int r = 1;

	if (get_status(c, &s) != 0)
		return 1;
	for (int six = 0; six < 2; six++) {
		if (six ? v4 && !v6 : v6 && !v4)
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
	char target[512] = API "whois?addr=";
	struct buf escaped;
	int r;

	(void)has_flag(c, "json");
	if (c->argc < 1)
		return 2;
	buf_init(&escaped, 400);
	if (!http1_escape(&escaped, bytes_str(c->argv[0]), false)) {
		fputs("no such address\n", stderr);
		return 1;
	}
	snprintf(target, sizeof target, API "whois?addr=%.*s", (int)escaped.len,
		 (const char *)buf_bytes(&escaped).data);
	r = show(c, "GET", target);
	if (r == 0)
		putchar('\n');
	buf_fini(&escaped);
	return r;
}

struct pong {
	char error[256], endpoint[64], relay[32], name[256];
	double seconds;
};

static bool read_pong(struct bytes json, struct pong *p)
{
	struct json j = json_of(json);
	struct bytes key;

	*p = (struct pong){ 0 };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Err"))
			(void)json_str(&j, p->error, sizeof p->error);
		else if (json_key_is(key, "Endpoint"))
			(void)json_str(&j, p->endpoint, sizeof p->endpoint);
		else if (json_key_is(key, "DERPRegionCode"))
			(void)json_str(&j, p->relay, sizeof p->relay);
		else if (json_key_is(key, "NodeName"))
			(void)json_str(&j, p->name, sizeof p->name);
		else if (json_key_is(key, "LatencySeconds"))
			p->seconds = json_f64(&j);
		else
			json_skip(&j);
	}
	return json_done(&j);
}

/* 1: failed, 0: answered over a relay, -1: answered directly */
static int ping_once(const struct cli *c, const struct ip *to, const char *type)
{
	char target[160], text[IP_TEXT];
	struct pong p;
	struct buf out;
	int r;

	snprintf(target, sizeof target, API "ping?ip=%s&type=%s", ip_text(to, text), type);
	r = call(c, "POST", target, "", &out);
	if (r == 0 && !read_pong(buf_bytes(&out), &p))
		r = 1;
	buf_fini(&out);
	if (r)
		return 1;
	if (*p.error) {
		printf("%s\n", p.error);
		return 1;
	}
	if (*p.endpoint)
		printf("pong from %s (%s) via %s in %.1f ms\n", p.name, text, p.endpoint,
		       p.seconds * 1000);
	else if (*p.relay)
		printf("pong from %s (%s) via DERP(%s) in %.1f ms\n", p.name, text, p.relay,
		       p.seconds * 1000);
	else
		printf("pong from %s (%s) via %s in %.1f ms\n", p.name, text, type,
		       p.seconds * 1000);
	return *p.endpoint ? -1 : 0;
}

static int ping(struct cli *c)
{
	const bool tsmp = has_flag(c, "tsmp"), icmp = has_flag(c, "icmp"),
		   all = has_flag(c, "until-direct=false");
	const char *type = tsmp ? "TSMP" : icmp ? "ICMP" : "disco", *count = flag_value(c, "c");
	struct cli_status s;
	uint64_t n = 10;
	struct ip to;
	bool answered = false;
	int r;

	if (c->argc < 1 || (count && (!text_u64(bytes_str(count), &n) || n == 0)))
		return 2;
	if (get_status(c, &s) != 0)
		return 1;
	r = cli_find(&s, c->argv[0], false, &to) || ip_parse(bytes_str(c->argv[0]), &to);
	cli_status_fini(&s);
	if (!r) {
		fprintf(stderr, "no such node: %s\n", c->argv[0]);
		return 1;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (i > 0)
			sleep(1);
		r = ping_once(c, &to, type);
		fflush(stdout);
		answered = answered || r <= 0;
		if (r < 0 && !all)
			break;
	}
	return !answered;
}

static int netcheck(struct cli *c)
{
	struct cli_status s;
	struct buf out;
	bool ok;

	if (has_flag(c, "json"))
		return show(c, "GET", API "netcheck");
	if (call(c, "GET", API "netcheck", "", &out) != 0)
		return 1;
	ok = cli_netcheck_print(buf_bytes(&out));
	buf_fini(&out);
	if (!ok) {
		fputs("the report is malformed\n", stderr);
		return 1;
	}
	if (get_status(c, &s) != 0)
		return 1;
	printf("home relay: %s\n", *s.self.relay ? s.self.relay : "none");
	for (size_t i = 0; i < s.n_own_addrs; i++)
		printf("endpoint: %s\n", s.own_addrs[i]);
	for (size_t i = 0; i < s.n_health; i++)
		printf("problem: %s\n", s.health[i]);
	cli_status_fini(&s);
	return 0;
}

static int metrics(struct cli *c)
{
	return show(c, "GET", API "usermetrics");
}

static int logout(struct cli *c)
{
	return show(c, "POST", API "logout");
}

static int want(struct cli *c, const char *body)
{
	struct buf out;
	int r = call(c, "PATCH", API "prefs", body, &out);

	buf_fini(&out);
	return r;
}

static int up(struct cli *c)
{
	return want(c, "{\"WantRunning\":true,\"WantRunningSet\":true}");
}

static int down(struct cli *c)
{
	return want(c, "{\"WantRunning\":false,\"WantRunningSet\":true}");
}

static int version(struct cli *c)
{
	(void)c;
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
	const char *name, *usage;
	int (*fn)(struct cli *c);
} commands[] = {
	{ "status", "status [--json]", status },
	{ "ping", "ping [-c N] [--tsmp|--icmp] [--until-direct=false] NODE", ping },
	{ "ip", "ip [-4|-6] [NODE]", ip },
	{ "whois", "whois [--json] ADDRESS[:PORT]", whois },
	{ "netcheck", "netcheck [--json]", netcheck },
	{ "metrics", "metrics", metrics },
	{ "nc", "nc NODE PORT", nc },
	{ "up", "up", up },
	{ "down", "down", down },
	{ "logout", "logout", logout },
	{ "version", "version", version },
	{ "healthcheck", "healthcheck", healthcheck },
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
	struct cli c = { .argc = argc - 1, .argv = argv + 1 };
	const struct command *cmd;
	int r;

	c.socket = flag_value(&c, "socket");
	if (!c.socket)
		c.socket = default_socket();
	if (has_flag(&c, "help") || has_flag(&c, "h") ||
	    (c.argc > 0 && strcmp(c.argv[0], "help") == 0))
		return usage(stdout);
	if (c.argc < 1)
		return usage(stderr);
	cmd = command_named(c.argv[0]);
	if (!cmd) {
		fprintf(stderr, "unknown command %s\n", c.argv[0]);
		return usage(stderr);
	}
	c.argc--;
	c.argv++;
	r = cmd->fn(&c);
	if (r == 2)
		fprintf(stderr, "usage: tailpod %s\n", cmd->usage);
	return r;
}
