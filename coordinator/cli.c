/* coordinator/cli.c - the command line: its options, help, and which command it names */
#include "coordinator/cli.h"

#include <stdio.h>
#include <string.h>

#include "coordinator/cli_priv.h"

static void help(void)
{
	puts("coordinator: a control server, a relay and STUN for a tailnet, in one process\n"
	     "\n"
	     "  coordinator serve [--config FILE]\n"
	     "  coordinator relay [--config FILE] [OPTIONS]     a relay and STUN alone\n"
	     "\n"
	     "Without a file it serves http://127.0.0.1:8080 and keeps its state in "
	     "/var/lib/coordinator.\n"
	     "A first tailnet:\n"
	     "\n"
	     "  coordinator users create me\n"
	     "  coordinator preauthkeys create --user me --reusable\n"
	     "  tailscale up --login-server=http://127.0.0.1:8080 --authkey=KEY\n"
	     "\n"
	     "Commands, to the running server:\n");
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *k = &cli_commands[i];

		printf("  %s%s%s%s%s\n", k->group, *k->verb ? " " : "", k->verb,
		       *k->args ? " " : "", k->args);
		if (*k->help)
			printf("        %s\n", k->help);
	}
	puts("\n"
	     "  --output json|table   answers as JSON, or for people (table, the default)\n"
	     "  --config FILE         where the socket is, by the server's own file\n"
	     "  --socket PATH         or the socket itself (also COORDINATOR_SOCKET)\n"
	     "  --url URL             from elsewhere: the server's URL, with an API key in "
	     "COORDINATOR_API_KEY\n"
	     "\n"
	     "Options of relay, each a setting of the file:\n"
	     "  --listen ADDR  --stun-listen ADDR|off  --server-url URL  --state-directory DIR\n"
	     "  --tls off|self|files  --certificate FILE  --key FILE  --user NAME\n"
	     "  --verify-url URL      who knows the nodes: a coordinator's or Headscale's /verify\n"
	     "  --verify-fail-open    let nodes in while it does not answer\n"
	     "  --open                let everybody in instead\n"
	     "  --mesh-key-file FILE  --mesh-with URL (once for each other relay of the region)\n"
	     "  --metrics-listen ADDR /metrics and /health for whoever reaches it\n"
	     "\n"
	     "Exit code: 0 done, 1 refused or no server, 2 wrong usage;\n"
	     "of serve and relay 78 too: the settings are wrong, or a file that they name.");
}

/* --- options --- */

struct option_row {
	const char *name;
	size_t at;
	bool is_flag;
};

static const struct option_row options[] = {
	{ "--config", offsetof(struct cli, config), false },
	{ "--socket", offsetof(struct cli, socket), false },
	{ "--url", offsetof(struct cli, url), false },
	{ "--user", offsetof(struct cli, user), false },
	{ "--expiration", offsetof(struct cli, expiration), false },
	{ "--tags", offsetof(struct cli, tags), false },
	{ "--display-name", offsetof(struct cli, display), false },
	{ "--routes", offsetof(struct cli, routes), false },
	{ "--reusable", offsetof(struct cli, reusable), true },
	{ "--ephemeral", offsetof(struct cli, ephemeral), true },
	{ "--help", offsetof(struct cli, help), true },
	{ "-h", offsetof(struct cli, help), true },
};

static const struct option_row *option(const char *arg, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strlen(options[i].name) == len && strncmp(options[i].name, arg, len) == 0)
			return &options[i];
	return NULL;
}

static int output(struct cli *c, const char *v)
{
	c->json = strcmp(v, "json") == 0;
	return c->json || strcmp(v, "table") == 0 ? 0 : cli_usage("--output is json or table");
}

/* One option at argv[*i], with its value behind = or in the next word */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
	const char *eq = strchr(argv[*i], '='), *v = eq ? eq + 1 : NULL;
	size_t len = eq ? (size_t)(eq - argv[*i]) : strlen(argv[*i]);
	bool is_output = (len == 8 && strncmp(argv[*i], "--output", 8) == 0) ||
			 (len == 2 && strncmp(argv[*i], "-o", 2) == 0);
	const struct option_row *o = option(argv[*i], len);

	if (!o && !is_output)
		return cli_usage("there is no option %.*s", (int)len, argv[*i]);
	if (o && o->is_flag) {
		if (v)
			return cli_usage("%s takes no value", o->name);
		*(bool *)(void *)((char *)c + o->at) = true;
		return 0;
	}
	if (!v && ++*i < argc)
		v = argv[*i];
	if (!v)
		return cli_usage("%.*s wants a value", (int)len, argv[*i - 1]);
	if (is_output)
		return output(c, v);
	*(const char **)(void *)((char *)c + o->at) = v;
	return 0;
}

static int verb_usage(const char *group, const char *verb)
{
	char verbs[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < cli_n_commands; i++)
		if (strcmp(cli_commands[i].group, group) == 0 && n < sizeof verbs)
			n += (size_t)snprintf(verbs + n, sizeof verbs - n, "%s%s",
					      n > 0 ? ", " : "", cli_commands[i].verb);
	return *verb ? cli_usage("%s: there is no '%s', but: %s", group, verb, verbs)
		     : cli_usage("%s wants one of: %s", group, verbs);
}

int cli_run(int argc, char **argv)
{
	struct cli c = { 0 };
	const char *word[2] = { "", "" };
	bool known = false, no_more = false; /* options: behind -- all are arguments */

	for (int i = 0; i < argc; i++) {
		int ret = 0;

		if (!no_more && strcmp(argv[i], "--") == 0)
			no_more = true;
		else if (!no_more && argv[i][0] == '-' && argv[i][1])
			ret = take_option(&c, argc, argv, &i);
		else if (c.n_args == CLI_ARGS_MAX)
			ret = cli_usage("too many arguments");
		else
			c.arg[c.n_args++] = argv[i];
		if (ret != 0)
			return ret;
	}
	if (c.help || (c.n_args > 0 && strcmp(c.arg[0], "help") == 0)) {
		help();
		return 0;
	}
	for (int i = 0; i < 2 && i < c.n_args; i++)
		word[i] = c.arg[i];
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *k = &cli_commands[i];
		int words = *k->verb ? 2 : 1;

		if (strcmp(k->group, word[0]) != 0)
			continue;
		known = true;
		if (*k->verb && strcmp(k->verb, word[1]) != 0)
			continue;
		if (c.n_args - words != k->n_args)
			return cli_usage("%s%s%s wants: %s", k->group, *k->verb ? " " : "", k->verb,
					 *k->args ? k->args : "nothing more");
		memmove(c.arg, c.arg + words, sizeof c.arg[0] * (size_t)k->n_args);
		return k->fn(&c);
	}
	if (known)
		return verb_usage(word[0], word[1]);
	if (strcmp(word[0], "serve") == 0 || strcmp(word[0], "relay") == 0)
		return cli_usage("%s comes first, its options follow it", word[0]);
	return *word[0] ? cli_usage("there is no command '%s'", word[0])
			: cli_usage("say what to do");
}
