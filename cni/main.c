/* cni/main.c - the plugin: environment and stdin in, stdout and exit code out; or the installer */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "cni/install.h"
#include "cni/verbs.h"

extern char **environ;

static int read_stdin(struct buf *in, struct fail *f)
{
	for (;;) {
		uint8_t *room = buf_reserve(in, 16 << 10);
		ssize_t n;

		if (!room)
			return fail_set(f, FAIL_DECODE,
					"the network configuration is larger than %d bytes",
					CONFIG_STDIN_MAX);
		n = read(STDIN_FILENO, room, 16 << 10);
		if (n < 0 && errno != EINTR)
			return fail_errno(f, FAIL_IO, errno, "read stdin");
		if (n == 0)
			return 0;
		if (n > 0)
			buf_commit(in, (size_t)n);
	}
}

static int print(const struct buf *out)
{
	struct bytes left = buf_bytes(out);

	while (left.len > 0) {
		const ssize_t n = write(STDOUT_FILENO, left.data, left.len);

		if (n < 0 && errno != EINTR)
			return 1;
		if (n > 0)
			left = bytes_of(left.data + n, left.len - (size_t)n);
	}
	return 0;
}

static int run(const struct env *env, struct config *c, struct buf *out, struct fail *f)
{
	struct buf in; /* config borrows from it; the program ends soon */

	if (env->verb == VERB_VERSION)
		return verb_version(out) ? 0 : fail_set(f, FAIL_IO, "out of memory");
	buf_init(&in, CONFIG_STDIN_MAX + (16 << 10));
	if (read_stdin(&in, f) < 0 || config_parse(buf_bytes(&in), c, f) < 0 ||
	    verb_run(env, c, out, f) < 0) {
		buf_fini(&in);
		return -1;
	}
	buf_fini(&in);
	return 0;
}

int main(int argc, char **argv)
{
	static struct config c;
	struct fail f = { 0 };
	struct buf out;
	struct env env;
	int r;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("tailpod-cni " TAILPOD_VERSION);
		return 0;
	}
	if (argc > 1)
		return install_main(argc, argv);
	buf_init(&out, 2 * CONFIG_STDIN_MAX);
	r = env_parse(environ, &env, &f);
	if (r == 0 && env.verb == VERB_NONE) {
		fputs("tailpod-cni: gives pods routes to a tailnet\n"
		      "CNI protocol versions supported: 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
		      "tailpod-cni install --help tells how it comes onto a node\n",
		      stderr);
		return 0;
	}
	if (r == 0)
		r = run(&env, &c, &out, &f);
	if (r < 0) {
		buf_clear(&out);
		fprintf(stderr, "tailpod-cni: %s: %s\n", verb_names[env.verb], f.msg);
		if (!fail_emit(&f,
			       config_version_index(c.version) >= 0 ? c.version
								    : CONFIG_VERSION_LATEST,
			       &out))
			return 1;
	}
	if (print(&out) != 0)
		r = -1;
	buf_fini(&out);
	return r < 0 ? 1 : 0;
}
