/* coordinator/main.c - `coordinator serve`, or a command of the CLI */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/version.h"
#include "coordinator/cli.h"
#include "coordinator/config.h"
#include "coordinator/serve.h"
#include "os/logger.h"
#include "os/privilege.h"

enum {
	EXIT_CONFIG = 78
}; /* sysexits.h: what is wrong is in the settings, a restart will not help */

static int usage(const char *what)
{
	fprintf(stderr, "coordinator: serve: %s\nTry: coordinator --help\n", what);
	return 2;
}

static int read_config(struct config *c, const char *path, struct err *e)
{
	int ret = path ? config_load(c, path, e) : 0;

	if (ret == 0 && (ret = config_settle(c, e)) != 0 && path)
		err_wrap(e, "%s", path);
	return ret;
}

static int serve(int argc, char **argv)
{
	const char *path = NULL;
	enum log_level level = LOG_INFO;
	struct config c;
	struct err e = { 0 };
	int ret;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			path = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			path = argv[++i];
		else
			return usage("it takes --config FILE only; settings are in the file");
	}
	logger_init("coordinator", LOG_INFO);
	config_init(&c);
	if (privilege_at_start(&e) != 0) {
		log_error("%s", e.text);
		return 1;
	}
	if (read_config(&c, path, &e) != 0) {
		log_error("configuration: %s", e.text);
		config_fini(&c);
		return EXIT_CONFIG;
	}
	if (logger_level_parse(bytes_str(c.log_level), &level))
		logger_init("coordinator", level);
	ret = serve_run(&c, &e);
	if (ret != 0)
		log_error("%s", e.text);
	config_fini(&c);
	return ret == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "serve") == 0 &&
	    !(argc > 2 && strcmp(argv[2], "--help") == 0))
		return serve(argc - 2, argv + 2);
	if (argc > 1 && (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0)) {
		puts("coordinator " TAILPOD_VERSION);
		return 0;
	}
	return cli_run(argc - 1, argv + 1);
}
