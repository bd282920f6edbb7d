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

#define STARTING "the node is still starting: it waits for the control server"

enum { UP_POLL_NS = 100000000 };

static int complain(const struct err *e)
{
	fprintf(stderr, "%s\n", e->text);
	return 1;
}

/* What the server says, which is text or {"error": text}, as one line. */
static void refusal(struct bytes body)
{
	char text[ERR_TEXT_MAX] = "";
	struct json j = json_of(body);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key))
		if (json_key_is(key, "error"))
			cli_text(&j, text, sizeof text);
		else
			json_skip(&j);
	while (body.len > 0 && body.data[body.len - 1] == '\n')
		body.len--;
	if (json_done(&j) && *text)
		fprintf(stderr, "%s\n", text);
	else
		fprintf(stderr, "%.*s\n", (int)body.len, (const char *)body.data);
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
	refusal(buf_bytes(out));
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

/* --- commands --- */

static void print_node(const struct cli_status *s, const struct cli_node *n, bool is_self)
{
	const struct ip *addr = ip_is_zero(&n->ip4) ? &n->ip6 : &n->ip4;
	char ip[IP_TEXT];

	printf("%-15s %-20s %-12s %-7s ", ip_is_zero(addr) ? "-" : ip_text(addr, ip), n->name,
	       cli_login(s, n->user), n->os);
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
static void print_state(const struct cli_status *s, FILE *f)
{
	if (strcmp(s->state, "Stopped") == 0)
		fputs("Tailscale is stopped.\n", f);
	else if (strcmp(s->state, "NeedsLogin") == 0)
		fprintf(f, "Logged out.\n%s%s%s", *s->auth_url ? "Log in at: " : "", s->auth_url,
			*s->auth_url ? "\n" : "");
	else if (strcmp(s->state, "NeedsMachineAuth") == 0)
		fputs("Machine is not yet approved by tailnet admin.\n", f);
	else
		fprintf(f, "unexpected state: %s\n", s->state);
}

static bool is_in(const struct cli_status *s, const char *state)
{
	return strcmp(s->state, state) == 0;
}

/* What takes the node out of its state; NULL: nothing that could be told here. */
static const char *advice(const struct cli_status *s)
{
	if (is_in(s, "Stopped"))
		return "to start it: tailpod up";
	if (is_in(s, "NeedsLogin"))
		return *s->auth_url ? NULL : "to log in: tailpod up";
	if (is_in(s, "NeedsMachineAuth"))
		return "the node waits: approve it at the control server";
	return "the node is only beginning: try again in a moment";
}

/* Neither Running nor Starting: says so to f, and what to do on standard error. */
static bool is_off(const struct cli_status *s, FILE *f)
{
	const char *what;

	if (is_in(s, "Running") || is_in(s, "Starting"))
		return false;
	print_state(s, f);
	fflush(f);
	what = advice(s);
	if (what)
		fprintf(stderr, "%s\n", what);
	return true;
}

/* Who is asked for is not known; while starting nobody may be. */
static void no_such_node(const struct cli_status *s, const char *name)
{
	if (is_in(s, "Running"))
		fprintf(stderr, "no such node: %s\n", name);
	else
		fprintf(stderr, "no such node: %s (state is %s%s%s)\n", name, s->state,
			s->n_health ? ": " : "", s->n_health ? s->health[0] : "");
}

static int status(struct cli *c)
{
	struct cli_status s;
	int r;

	if (on(c, "json", false)) {
		r = show(c, "GET", on(c, "peers", true) ? API "status" : API "status?peers=false");
		if (r == 0)
			putchar('\n');
		return r;
	}
	if (get_status(c, &s) != 0)
		return 1;
	r = is_off(&s, stdout);
	if (!r && on(c, "self", true))
		print_node(&s, &s.self, true);
	for (size_t i = 0; !r && on(c, "peers", true) && i < s.n_peers; i++)
		if (s.peers[i].active || !on(c, "active", false))
			print_node(&s, &s.peers[i], false);
	for (size_t i = 0; i < s.n_health; i++)
		printf("# health: %s\n", s.health[i]);
	if (is_in(&s, "Starting"))
		fputs(STARTING "\n", stderr);
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

	if (v4 + v6 + one > 1) {
		fputs("-1, -4 and -6 exclude each other\n", stderr);
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
	if (who && !cli_find(&s, who, false, &found)) {
		no_such_node(&s, who);
		cli_status_fini(&s);
		return 1;
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
	if (r && (who || !is_off(&s, stderr)))
		fprintf(stderr, "no Tailscale IP%s address; state is %s\n",
			v4   ? "v4"
			: v6 ? "v6"
			     : "",
			s.state);
	cli_status_fini(&s);
	return r;
}

static void no_such_peer(const struct cli *c)
{
	struct cli_status s;

	if (get_status(c, &s) != 0)
		return;
	fprintf(stderr, "peer not found%s%s\n", is_in(&s, "Running") ? "" : "; state is ",
		is_in(&s, "Running") ? "" : s.state);
	cli_status_fini(&s);
}

static int whois(struct cli *c)
{
	char target[512];
	struct buf escaped, out;
	struct err e = { 0 };
	int r = 1, code = 0;

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
		no_such_peer(c);
	else if (code >= 400)
		refusal(buf_bytes(&out));
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
	bool found, off, is_starting;

	if ((count && !text_u64(bytes_str(count), &n)) ||
	    (size && !text_u64(bytes_str(size), &bytes)) ||
	    (timeout && (!span_parse(bytes_str(timeout), &c->limit) || c->limit.ns <= 0))) {
		fputs("wanted -c NUMBER, --size NUMBER, --timeout DURATION such as 5s\n", stderr);
		return 2;
	}
	if (get_status(c, &s) != 0)
		return 1;
	off = is_off(&s, stdout);
	found =
	    !off && (cli_find(&s, c->argv[0], false, &to) || ip_parse(bytes_str(c->argv[0]), &to));
	if (!off && !found)
		no_such_node(&s, c->argv[0]);
	is_starting = is_in(&s, "Starting");
	cli_status_fini(&s);
	if (!found)
		return 1;
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
		fprintf(stderr, "no reply%s\n", is_starting ? "; " STARTING : "");
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
	const char *exit_node = given(c, "exit-node");
	struct cli_status s = { 0 };
	struct err e = { 0 };
	struct buf old, body, out;
	int r;

	if (exit_node && *exit_node && get_status(c, &s) != 0)
		return 1;
	r = call(c, "GET", API "prefs", "", &old);
	buf_init(&body, CLI_BODY_MAX);
	if (r == 0 && cli_prefs_change(c, run, buf_bytes(&old), &s, &body, &e) < 0)
		r = complain(&e);
	if (r == 0) {
		char *text = buf_take_str(&body);

		r = text ? call(c, "PATCH", API "prefs", text, &out) : 1;
		if (text)
			buf_fini(&out);
		free(text);
	}
	cli_status_fini(&s);
	buf_fini(&old);
	buf_fini(&body);
	return r;
}

/* Waits until the node is in. A URL that a person has to visit is shown. limit 0: for ever, as the
 * stock CLI. */
static int wait_until_in(struct cli *c, span_t limit)
{
	const struct timespec pause = { 0, UP_POLL_NS };
	int64_t waited = 0;
	bool shown = false, waits = true;
	int r = 0;

	for (; r == 0 && waits; waited += UP_POLL_NS) {
		struct cli_status s;

		if (waited > 0)
			nanosleep(&pause, NULL);
		r = get_status(c, &s);
		if (r != 0)
			break;
		waits = is_in(&s, "NeedsLogin") || is_in(&s, "Starting") || is_in(&s, "NoState");
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
	struct buf out;
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
	if (is_in(&s, "NeedsLogin")) {
		r = call(c, "POST", API "login-interactive", "", &out);
		buf_fini(&out);
	}
	cli_status_fini(&s);
	return r ? r : wait_until_in(c, limit);
}

static int down(struct cli *c)
{
	return change(c, 0);
}

static int set(struct cli *c)
{
	if (c->n_flags == 0) {
		fputs("nothing to change: tailpod set --help lists the flags\n", stderr);
		return 0; /* as the stock CLI */
	}
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
	r = !is_in(&s, "Running");
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
	struct cli_status s;
	bool off, is_starting;
	int r;

	if (get_status(c, &s) != 0)
		return 1;
	off = is_off(&s, stderr); /* standard output belongs to the other end */
	is_starting = is_in(&s, "Starting");
	cli_status_fini(&s);
	if (off)
		return 1;
	r = cli_nc(c->socket, c->argv[0], c->argv[1]);
	if (r != 0 && is_starting)
		fputs(STARTING "\n", stderr);
	return r;
}

/* clang-format off */
static const struct cli_command commands[] = {
        { "status", "[FLAGS]", "The state of the node, its peers, and what is wrong. Fails unless it runs.",
          { cli_status_flags }, 0, 0, false, status },
        { "ping", "[FLAGS] NODE", "Asks a node for a sign of life, and tells by which path it came.",
          { cli_ping_flags }, 1, 1, false, ping },
        { "ip", "[FLAGS] [NODE]", "Tailnet addresses of this node, or of another.", { cli_ip_flags }, 0, 1, false, ip },
        { "whois", "[FLAGS] ADDRESS[:PORT]", "Which node has an address of the tailnet, and whose it is.",
          { cli_whois_flags }, 1, 1, false, whois },
        { "netcheck", "[FLAGS]", "What the running node last found out about the network it is in.",
          { cli_netcheck_flags }, 0, 0, false, netcheck },
        { "metrics", "[print | write FILE]", "Counters of the node, in the format of Prometheus: on standard output, or into a file.\n\n"
          "    tailpod metrics write /var/lib/node_exporter/tailpod.prom",
          { cli_no_flags }, 0, 2, false, metrics },
        { "nc", "NODE PORT", "Joins standard input and output with a port of a node.\n\n"
          "    ssh -o ProxyCommand='tailpod nc %h %p' web",
          { cli_no_flags }, 2, 2, false, nc },
        { "up", "[FLAGS]", "Takes the node up again after down or logout, and changes what flags of set name.",
          { cli_up_flags, cli_set_flags }, 0, 0, true, up },
        { "down", "[FLAGS]", "Takes the node off the tailnet until up; the program stays.", { cli_down_flags }, 0, 0, false, down },
        { "set", "[FLAGS]", "Changes what a flag names and leaves the rest. Kept in the state; the next start follows the environment\n"
          "again (TS_AUTH_ONCE=true keeps what it does not mention).",
          { cli_set_flags }, 0, 0, true, set },
        { "logout", "[FLAGS]", "Gives the node's key up: it must log in again.", { cli_logout_flags }, 0, 0, false, logout },
        { "debug", "derp-map | prefs", "Relay map or preferences as JSON.\n\n    tailpod debug derp-map", { cli_no_flags }, 0, 1, false, debug },
        { "version", "[FLAGS]", "Versions of the local API and of this program.", { cli_version_flags }, 0, 0, false, version },
        { "healthcheck", "", "For exec probes: ends with 0 while the node runs, else with 1 and one line that says why not.\n\n"
          "    readinessProbe: { exec: { command: [containerboot, healthcheck] } }",
          { cli_no_flags }, 0, 0, false, healthcheck },
};
/* clang-format on */

static const struct cli_command *command_named(const char *name)
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
		fprintf(f, "    %-11s %-22s %.*s\n", commands[i].name, commands[i].args,
			(int)strcspn(commands[i].what, ".:;"), commands[i].what);
	fputs("tailpod COMMAND --help tells its flags, their defaults, and examples.\n", f);
	return f == stdout ? 0 : 2;
}

static int help(const char *name) /* NULL: of no command */
{
	const struct cli_command *cmd = name ? command_named(name) : NULL;

	if (!cmd)
		return usage(stdout);
	cli_flags_help(cmd);
	return 0;
}

static int no_such(const char *name) /* with the codes of the stock CLI */
{
	const char *names[ARRAY_LEN(commands)], *near;
	const bool is_flag = *name == '-';

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	near = is_flag ? NULL : text_nearest(bytes_str(name), names, ARRAY_LEN(names));
	fprintf(stderr, "%s: this program has no such %s%s%s%s\n", name,
		is_flag ? "flag" : "command", near ? "; did you mean " : "", near ? near : "",
		near ? "?" : "; see tailpod --help");
	return is_flag ? 2 : 1;
}

static int run(struct cli *c, const struct cli_command *cmd)
{
	int r;

	if (cli_flags_take(c, cmd) < 0)
		return 2;
	if (c->argc > cmd->max_args) {
		fprintf(stderr, "%s: one word too many: %s%s\n", cmd->name, c->argv[cmd->max_args],
			bool_parse(bytes_str(c->argv[cmd->max_args]), &(bool){ 0 })
			    ? " (a boolean takes its value behind =, as --FLAG=false)"
			    : "");
		return 1;
	}
	r = c->argc < cmd->min_args ? 1 : cmd->fn(c);
	if (c->argc < cmd->min_args)
		fprintf(stderr, "usage: tailpod %s %s\n", cmd->name, cmd->args);
	return r;
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
	const struct cli_command *cmd = NULL;

	/* in front of the command; --socket also behind it */
	for (int i = 0; i < c.argc && strcmp(c.argv[i], "--") != 0; i++) {
		const char *a = c.argv[i], *name = a + 1 + (a[0] == '-' && a[1] == '-');
		int used = 1;

		if (*a != '-')
			continue;
		if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0)
			return help(i > 0 ? c.argv[0] : NULL);
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
		return help(c.argc > 1 ? c.argv[1] : NULL);
	if (c.argc < 1)
		return usage(stderr);
	cmd = command_named(c.argv[0]);
	if (!cmd)
		return no_such(c.argv[0]);
	c.argc--;
	c.argv++;
	return run(&c, cmd);
}
