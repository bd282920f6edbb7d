/* operator/main.c - the door: help, or run with the environment's settings */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/version.h"
#include "operator/check.h"
#include "operator/operator.h"
#include "os/logger.h"
#include "os/privilege.h"
#include "os/signal_hold.h"
#include "os/std_fd.h"

static const char *env(const char *name)
{
	return getenv(name);
}

static int print(bool (*text)(struct buf *out))
{
	struct buf out;
	bool ok;

	buf_init(&out, 1 << 20);
	ok = text(&out) && fwrite(out.data + out.off, 1, out.len, stdout) == out.len &&
	     fflush(stdout) == 0;
	buf_fini(&out);
	return ok ? 0 : 1;
}

static void tell_without_effect(void)
{
	const char *name, *why;
	size_t at = 0;

	while ((name = options_without_effect(&at, env, &why)))
		log_warn("operator: %s has no effect: %s", name, why);
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return argc > 1 && strcmp(argv[1], "help") == 0;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct err e = { 0 };
	enum log_level level = LOG_INFO;

	std_fd_fill();
	if (asks_for_help(argc, argv))
		return print(argc > 2 && strcmp(argv[2], "markdown") == 0 ? options_markdown
									  : options_help);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("operator " TAILPOD_VERSION);
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "check") == 0)
		return operator_check(argv + 2, argc - 2, env("OPERATOR_CA_FILE"));
	if (argc == 3 && strcmp(argv[1], "--kubeconfig") == 0) {
		(void)setenv("KUBECONFIG", argv[2], 1);
	} else if (argc > 1) {
		fprintf(stderr, "operator: unknown argument %s; see operator --help\n", argv[1]);
		return 2;
	}
	signal_hold(SIGTERM);
	signal_hold(SIGINT);
	logger_init(NULL, LOG_INFO);
	if (privilege_at_start(&e) < 0)
		log_warn("operator: %s", e.text);
	if (options_read(&o, env, &e) < 0) {
		log_error("operator: %s", e.text);
		return 2;
	}
	if (!logger_level_parse(bytes_str(o.logging), &level))
		log_warn("operator: OPERATOR_LOGGING=%.40s is none of error, warn, info, debug, "
			 "trace; info is taken",
			 o.logging);
	logger_init(NULL, level);
	tell_without_effect();
	return operator_run(&o);
}
