/* coordinator/main.c - `coordinator serve`, `coordinator relay`, or a command of the CLI */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/version.h"
#include "coordinator/cli.h"
#include "coordinator/config.h"
#include "coordinator/serve.h"
#include "os/logger.h"
#include "os/privilege.h"
#include "os/signal_hold.h"
#include "os/std_fd.h"

/* Options of `coordinator relay`: settings that a relay alone has, without a file */
static const struct {
	const char *option, *key;
} relay_options[] = {
	{ "--listen", "listen" },
	{ "--stun-listen", "derp.stun_listen" },
	{ "--server-url", "server_url" },
	{ "--state-directory", "state_directory" },
	{ "--tls", "tls.mode" },
	{ "--certificate", "tls.certificate" },
	{ "--key", "tls.key" },
	{ "--verify-url", "derp.verify_url" },
	{ "--mesh-key-file", "derp.mesh_key_file" },
	{ "--mesh-with", "derp.mesh_with" },
	{ "--metrics-listen", "metrics_listen" },
	{ "--user", "user" },
};

/* value of "--name=value" or "--name value"; NULL: another option */
static const char *value_of(int argc, char **argv, int *i, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(argv[*i], name, n) != 0)
		return NULL;
	if (argv[*i][n] == '=')
		return argv[*i] + n + 1;
	return argv[*i][n] == 0 && *i + 1 < argc ? argv[++*i] : NULL;
}

/* false: no option of a relay. *ret: the setting was refused */
static bool relay_option(struct config *c, int argc, char **argv, int *i, struct err *e, int *ret)
{
	const char *v;

	if (strcmp(argv[*i], "--open") == 0 || strcmp(argv[*i], "--verify-fail-open") == 0) {
		bool open = strcmp(argv[*i], "--open") == 0;

		*ret = config_set(c, open ? "derp.verify_clients" : "derp.verify_fail_open",
				  open ? "false" : "true", e);
		return true;
	}
	for (size_t k = 0; k < ARRAY_LEN(relay_options); k++)
		if ((v = value_of(argc, argv, i, relay_options[k].option))) {
			*ret = config_set(c, relay_options[k].key, v, e);
			return true;
		}
	return false;
}

/* The file first, so that options win whatever their order. */
static int read_options(struct config *c, int argc, char **argv, bool *is_usage, struct err *e)
{
	const char *path = NULL, *v;
	int ret = 0;

	for (int i = 0; i < argc; i++)
		if ((v = value_of(argc, argv, &i, "--config")))
			path = v;
	if (path)
		ret = config_load(c, path, e);
	for (int i = 0; i < argc && ret == 0; i++)
		if (!value_of(argc, argv, &i, "--config") &&
		    !(c->relay_only && relay_option(c, argc, argv, &i, e, &ret))) {
			*is_usage = true;
			return err_say(e, EINVAL, "%s: %s", argv[i],
				       c->relay_only
					   ? "no option of a relay, or without a value"
					   : "serve takes --config FILE only; settings are in it");
		}
	if (ret == 0 && (ret = config_settle(c, e)) != 0 && path)
		err_wrap(e, "%s", path);
	return ret;
}

static int serve(int argc, char **argv, bool relay_only)
{
	enum log_level level = LOG_INFO;
	struct config c;
	struct err e = { 0 };
	bool is_usage = false;
	int ret;

	signal_hold(SIGTERM);
	signal_hold(SIGINT);
	signal_hold(SIGHUP);
	logger_init("coordinator", LOG_INFO);
	config_init(&c);
	c.relay_only = relay_only;
	if (privilege_at_start(&e) != 0) {
		log_error("%s", e.text);
		return 1;
	}
	if (read_options(&c, argc, argv, &is_usage, &e) != 0 && is_usage) {
		fprintf(stderr, "coordinator: %s\nTry: coordinator --help\n", e.text);
		config_fini(&c);
		return 2;
	}
	if (e.code != 0) {
		log_error("configuration: %s", e.text);
		config_fini(&c);
		return SERVE_EXIT_CONFIG;
	}
	if (logger_level_parse(bytes_str(c.log_level), &level))
		logger_init("coordinator", level);
	ret = serve_run(&c, &e);
	if (ret != 0)
		log_error("%s", e.text);
	config_fini(&c);
	return ret;
}

int main(int argc, char **argv)
{
	bool is_relay = argc > 1 && strcmp(argv[1], "relay") == 0;

	std_fd_fill();
	if (argc > 1 && (is_relay || strcmp(argv[1], "serve") == 0) &&
	    !(argc > 2 && strcmp(argv[2], "--help") == 0))
		return serve(argc - 2, argv + 2, is_relay);
	if (argc > 1 && (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0)) {
		puts("coordinator " TAILPOD_VERSION);
		return 0;
	}
	return cli_run(argc - 1, argv + 1);
}
