/* tests/heard.h - for tests: what a function says on standard output and standard error */
#ifndef TESTS_HEARD_H
#define TESTS_HEARD_H

#include <unistd.h>

#include "tests/harness.h"

static char heard_out[1 << 16], heard_err[1 << 16];

static inline void heard_take(FILE *f, int fd, int saved, char *text, size_t cap)
{
	size_t n;

	rewind(f);
	n = fread(text, 1, cap - 1, f);
	text[n] = 0;
	fclose(f);
	ck_assert_int_ge(dup2(saved, fd), 0);
	close(saved);
}

static inline FILE *heard_divert(int fd, int *saved)
{
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	*saved = dup(fd);
	ck_assert(*saved >= 0 && dup2(fileno(f), fd) >= 0);
	return f;
}

/* fn's exit code; what it says lies in heard_out and heard_err until the next call */
static inline int heard(int (*fn)(const void *arg), const void *arg)
{
	int saved[2], code;
	FILE *f[2];

	fflush(stdout);
	f[0] = heard_divert(STDOUT_FILENO, &saved[0]);
	f[1] = heard_divert(STDERR_FILENO, &saved[1]);
	code = fn(arg);
	fflush(stdout);
	fflush(stderr);
	heard_take(f[0], STDOUT_FILENO, saved[0], heard_out, sizeof heard_out);
	heard_take(f[1], STDERR_FILENO, saved[1], heard_err, sizeof heard_err);
	return code;
}

#endif
