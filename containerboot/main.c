/* containerboot/main.c - the door: name and arguments choose between sidecar, its own CLI and texts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/version.h"
#include "containerboot/owner.h"
#include "containerboot/process.h"
#include "containerboot/program.h"
#include "os/logger.h"
#include "os/privilege.h"
#include "os/signal_hold.h"
#include "os/std_fd.h"

extern char **environ;

static int print(bool (*text)(struct buf *out))
{
	struct buf out;
	bool ok;

	buf_init(&out, 1 << 20);
	ok = text(&out) && fwrite(out.data + out.off, 1, out.len, stdout) == out.len &&
	     fflush(stdout) == 0;
	buf_fini(&out);
	return ok ? EXIT_STOPPED : EXIT_FAILED;
}

static void warn(void *ctx, const char *line)
{
	(void)ctx;
	log_warn("containerboot: %s", line);
}

static enum log_level level(const struct options *o)
{
	const uint64_t v = o->daemon.verbose >= 0 ? (uint64_t)o->daemon.verbose : o->verbosity;

	return v == 0 ? LOG_INFO : v == 1 ? LOG_DEBUG : LOG_TRACE;
}

static void hold_stop(void)
{
	signal_hold(SIGTERM);
	signal_hold(SIGINT);
}

static int sidecar(void)
{
	static struct process s;
	struct err e = { 0 };
	int r, code;

	hold_stop();
	std_fd_most();
	logger_init(NULL, LOG_INFO);
	if (privilege_at_start(&e) < 0)
		log_warn("containerboot: %s", e.text);
	r = options_parse(&s.options, environ, warn, NULL, &e);
	options_wipe_env(environ);
	if (r < 0) {
		log_error("containerboot: %s", e.text);
		options_fini(&s.options);
		return EXIT_FAILED;
	}
	logger_init(NULL, level(&s.options));
	log_info("containerboot: version " TAILPOD_VERSION " starts");
	code = process_run(&s);
	options_fini(&s.options);
	return code;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];

	std_fd_fill();
	if (strcmp(name, "tailscale") == 0 || strcmp(name, "tailpod") == 0)
		return cli_main(argc, argv);
	if (argc < 2)
		return sidecar();
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return print(argc > 2 && strcmp(argv[2], "markdown") == 0 ? options_markdown
									  : options_help);
	if (strcmp(argv[1], "--version") == 0) {
		puts("containerboot " TAILPOD_VERSION);
		return EXIT_STOPPED;
	}
	if (strcmp(argv[1], "watch-owner") == 0) {
		hold_stop();
		logger_init(NULL, LOG_INFO);
		return owner_main(argc - 2, argv + 2);
	}
	if (cli_knows(argv[1]))
		return cli_main(argc, argv);
	fprintf(stderr,
		"containerboot: unknown command %s; settings come from the environment, see "
		"containerboot --help\n",
		argv[1]);
	return 2;
}
