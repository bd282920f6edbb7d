/* containerboot/cli_flags.c - flags of our CLI: one row each; reading them, help, and what somebody
 * meant who wrote another, come from it
 */
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "containerboot/cli.h"

#define ANY "Taken from the stock CLI's command lines, without effect here."

/* clang-format off */
const struct cli_flag_row cli_set_flags[] = {
        { "accept-dns", NULL, "no", "Take the tailnet's DNS settings. The proxies resolve names of the tailnet either way.", "--accept-dns" },
        { "accept-routes", NULL, "no", "Use the subnet routes that peers offer and control has approved.", "--accept-routes" },
        { "advertise-exit-node", NULL, "no", "Offer this node as exit node: what peers send to public addresses is dialled from here. Control must approve it.", "--advertise-exit-node" },
        { "advertise-routes", "SUBNETS", "none", "Offer subnets behind this node, separated by commas; empty withdraws them. Control must approve them.", "--advertise-routes=10.0.0.0/8,fd00::/64" },
        { "exit-node", "NODE", "none", "Reach what is not in the tailnet by this peer: its name, address or id; empty: directly again.", "--exit-node=frankfurt" },
        { "exit-node-allow-lan-access", NULL, "no", "With an exit node, still reach the networks that this host is in directly.", "--exit-node=frankfurt --exit-node-allow-lan-access" },
        { "hostname", "NAME", "the container's", "Name of the node in the tailnet: letters, digits, hyphens; empty: the container's.", "--hostname=shop" },
        { "netfilter-mode", "MODE", "on", "on, nodivert or off. Without effect in user space, where no packet filter of the host is touched.", "--netfilter-mode=off" },
        { "nickname", "NAME", "none", "Name of the profile, which only status shows.", "--nickname=shop-1" },
        { "operator", "USER", "none", "User of /etc/passwd who may change settings besides root and the program's own user; empty: nobody.", "--operator=app" },
        { "report-posture", NULL, "no", "Refused when true: nothing about this host is reported.", "--report-posture=false" },
        { "shields-up", NULL, "no", "Refuse all inbound connections.", "--shields-up" },
        { "snat-subnet-routes", NULL, "yes", "Connections from peers to the offered subnets come from this host's address, as they always do in user space.", "--snat-subnet-routes=false" },
        { "ssh", NULL, "no", "Refused when true: this program has no SSH server.", "--ssh=false" },
        { "stateful-filtering", NULL, "no", "Kept for the stock client: in user space only what belongs to a connection gets back either way.", "--stateful-filtering" },
        { "webclient", NULL, "no", "Refused when true: there is no web interface.", "--webclient=false" },
        { 0 },
};
const struct cli_flag_row cli_up_flags[] = {
        { "timeout", "DURATION", "0s", "How long to wait until the node runs; 0s: for ever.", "--timeout=30s" },
        { "reset", NULL, "no", "Taken without effect: what no flag names stays as it is.", "--reset --hostname=shop" },
        { "accept-risk", "RISK", "none", ANY, "--accept-risk=all" },
        { 0 },
};
const struct cli_flag_row cli_down_flags[] = {
        { "accept-risk", "RISK", "none", ANY, "--accept-risk=all" },
        { "reason", "TEXT", "none", ANY, "--reason=maintenance" },
        { 0 },
};
const struct cli_flag_row cli_logout_flags[] = {
        { "reason", "TEXT", "none", ANY, "--reason=moved" },
        { 0 },
};
const struct cli_flag_row cli_status_flags[] = {
        { "json", NULL, "no", "The whole status as JSON.", "--json" },
        { "active", NULL, "no", "Only peers that traffic goes to or comes from.", "--active" },
        { "self", NULL, "yes", "Show this node.", "--self=false" },
        { "peers", NULL, "yes", "Show peers.", "--peers=false" },
        { 0 },
};
const struct cli_flag_row cli_ping_flags[] = {
        { "c", "NUMBER", "10", "How many pings at most; 0: no end.", "-c 1 web" },
        { "timeout", "DURATION", "15s", "How long to wait for each answer.", "--timeout=2s web" },
        { "size", "BYTES", "0", "Size of the ping, padded.", "--size=1300 web" },
        { "tsmp", NULL, "no", "Through WireGuard, answered by the peer's client.", "--tsmp web" },
        { "icmp", NULL, "no", "Through WireGuard, answered by the peer's host.", "--icmp web" },
        { "until-direct", NULL, "yes", "Stop at the first answer by a direct path, and fail without one.", "--until-direct=false web" },
        { "verbose", NULL, "no", ANY, "--verbose web" },
        { 0 },
};
const struct cli_flag_row cli_ip_flags[] = {
        { "1", NULL, "no", "Only one address.", "-1" },
        { "4", NULL, "no", "Only IPv4.", "-4 web" },
        { "6", NULL, "no", "Only IPv6.", "-6 web" },
        { "assert", "ADDRESS", "none", "Succeed when the address is this node's, else fail.", "--assert=100.64.0.1" },
        { 0 },
};
const struct cli_flag_row cli_whois_flags[] = {
        { "json", NULL, "no", "Node and user as JSON.", "--json 100.64.0.2" },
        { "proto", "PROTOCOL", "any", ANY, "--proto=tcp 100.64.0.2:443" },
        { 0 },
};
const struct cli_flag_row cli_netcheck_flags[] = {
        { "json", NULL, "no", "The report as JSON.", "--json" },
        { "format", "FORMAT", "lines", "json, or lines for people.", "--format=json" },
        { "verbose", NULL, "no", "With the numbers of relay regions.", "--verbose" },
        { 0 },
};
const struct cli_flag_row cli_version_flags[] = {
        { "json", NULL, "no", "As JSON.", "--json" },
        { 0 },
};
const struct cli_flag_row cli_no_flags[] = { { 0 } };

/* Flags of the stock CLI that have another place here, or none. */
static const struct {
	const char *name, *why;
} elsewhere[] = {
        { "advertise-tags", "tags are asked for at the start: set TS_ADVERTISE_TAGS and restart" },
        { "auth-key", "the key is taken at the start: set TS_AUTHKEY (file:PATH is read again when it changes)" },
        { "authkey", "the key is taken at the start: set TS_AUTHKEY (file:PATH is read again when it changes)" },
        { "login-server", "the control server is settled at the start: set TS_LOGIN_SERVER and restart" },
        { "force-reauth", "is settled at the start: TS_EXTRA_ARGS=--force-reauth; tailpod logout and up do it now" },
        { "client-id", "TS_CLIENT_ID is the place for it" },
        { "client-secret", "TS_CLIENT_SECRET is the place for it" },
        { "id-token", "TS_ID_TOKEN is the place for it" },
        { "advertise-connector", "app connectors are not in this program" },
        { "auto-update", "this program does not update itself: its image does" },
        { "update-check", "this program does not update itself: its image does" },
        { "relay-server-port", "peer relays are not in this program" },
        { "relay-server-static-endpoints", "peer relays are not in this program" },
};
/* clang-format on */

enum { HELP_WIDTH = 78, HELP_INDENT = 8 };

static const struct cli_flag_row *row_named(const struct cli_command *cmd, struct bytes name)
{
	for (size_t t = 0; t < ARRAY_LEN(cmd->flags); t++)
		for (const struct cli_flag_row *f = cmd->flags[t]; f && f->name; f++)
			if (bytes_eq_str(name, f->name))
				return f;
	return NULL;
}

/* The flag that comes nearest to name, or NULL: by few edits, else one that holds all of it, and
 * takes a value if one is given. */
static const char *nearest(const struct cli_command *cmd, struct bytes name, bool has_value)
{
	const char *names[CLI_FLAGS_MAX], *near;
	char word[CLI_FLAG_MAX];
	size_t n = 0;

	for (size_t t = 0; t < ARRAY_LEN(cmd->flags); t++)
		for (const struct cli_flag_row *f = cmd->flags[t]; f && f->name; f++)
			if (n < ARRAY_LEN(names))
				names[n++] = f->name;
	near = text_nearest(name, names, n);
	if (near || name.len < 3 || !bytes_to_str(name, word, sizeof word))
		return near;
	for (size_t i = 0; i < n; i++)
		if (strstr(names[i], word) &&
		    (!near || (has_value && row_named(cmd, bytes_str(names[i]))->value)))
			near = names[i];
	return near;
}

static int unknown(const struct cli_command *cmd, const char *arg, struct bytes name)
{
	const char *near;
	struct bytes shown = bytes_of(arg, strcspn(arg, "=")); /* the value may be a key */

	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		if (bytes_eq_str(name, elsewhere[i].name) && cmd->takes_preferences) {
			fprintf(stderr, "no such flag: --%s: %s\n", elsewhere[i].name,
				elsewhere[i].why);
			return -EINVAL;
		}
	near = nearest(cmd, name, arg[shown.len] == '=');
	fprintf(stderr, "no such flag: %.*s%s%s%s%s tailpod %s --help lists them\n",
		(int)MIN_OF(shown.len, (size_t)100), (const char *)shown.data,
		near ? "; did you mean " : "", near ? near[1] ? "--" : "-" : "", near ? near : "",
		near ? "?" : ";", cmd->name);
	return -EINVAL;
}

/* One flag at argv[*i], which is left at the last word of it. */
static int take_one(struct cli *c, const struct cli_command *cmd, int *i)
{
	const char *a = c->argv[*i], *name = a + 1 + (a[0] == '-' && a[1] == '-'),
		   *eq = strchr(name, '='), *value;
	const struct bytes flag = bytes_of(name, eq ? (size_t)(eq - name) : strlen(name));
	const struct cli_flag_row *row = row_named(cmd, flag);
	bool ok;

	if (!row)
		return unknown(cmd, a, flag);
	if (c->n_flags == CLI_FLAGS_MAX) {
		fprintf(stderr, "more than %d flags\n", CLI_FLAGS_MAX);
		return -EINVAL;
	}
	value = eq ? eq + 1 : !row->value ? "true" : *i + 1 < c->argc ? c->argv[++*i] : NULL;
	if (!value) {
		fprintf(stderr, "%s needs a value: tailpod %s %s\n", a, cmd->name, row->example);
		return -EINVAL;
	}
	if (!row->value) {
		if (!bool_parse(bytes_str(value), &ok)) {
			fprintf(stderr, "%s: wanted true or false\n", a);
			return -EINVAL;
		}
		value = ok ? "true" : "false";
	}
	c->flags[c->n_flags].value = value;
	(void)bytes_to_str(flag, c->flags[c->n_flags++].name, CLI_FLAG_MAX);
	return 0;
}

int cli_flags_take(struct cli *c, const struct cli_command *cmd)
{
	int kept = 0, r = 0;

	for (int i = 0; r == 0 && i < c->argc; i++) {
		const char *a = c->argv[i];

		if (strcmp(a, "--") == 0) {
			while (++i < c->argc)
				c->argv[kept++] = c->argv[i];
			break;
		}
		if (*a != '-' || !a[1])
			c->argv[kept++] = c->argv[i];
		else
			r = take_one(c, cmd, &i);
	}
	c->argc = kept;
	return r;
}

static void wrapped(const char *text)
{
	size_t col = 0;

	while (*text) {
		const size_t n = strcspn(text, " ");

		if (col == 0 || col + 1 + n > HELP_WIDTH) {
			printf("%s%*s", col ? "\n" : "", HELP_INDENT, "");
			col = HELP_INDENT;
		} else {
			putchar(' ');
			col++;
		}
		printf("%.*s", (int)n, text);
		col += n;
		text += n + (text[n] == ' ');
	}
	putchar('\n');
}

void cli_flags_help(const struct cli_command *cmd)
{
	printf("usage: tailpod [--socket=PATH] %s%s%s\n\n%s\n", cmd->name, *cmd->args ? " " : "",
	       cmd->args, cmd->what);
	for (size_t t = 0; t < ARRAY_LEN(cmd->flags); t++)
		for (const struct cli_flag_row *f = cmd->flags[t]; f && f->name; f++) {
			printf("\n    %s%s%s%s  (default: %s)\n", f->name[1] ? "--" : "-", f->name,
			       !f->value    ? ""
			       : f->name[1] ? "="
					    : " ",
			       f->value ? f->value : "", f->dflt);
			wrapped(f->help);
			printf("%*stailpod %s %s\n", HELP_INDENT, "", cmd->name, f->example);
		}
}
