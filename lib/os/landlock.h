/* os/landlock.h - the files that a program may reach from now on
 *
 * Landlock of the kernel, by its newest version that both know: what is not below one of the given
 * paths can no longer be opened, made, renamed or removed; nothing can be executed; signals reach
 * no process outside. Descriptors that are open stay usable; sockets are not concerned. There is no
 * way back; children inherit it. Needs no_new_privs (privilege_drop).
 */
#ifndef OS_LANDLOCK_H
#define OS_LANDLOCK_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

enum landlock_access {
	LANDLOCK_READ = 1,  /* files and directories */
	LANDLOCK_WRITE = 2, /* also: make, replace and remove files and directories */
};

struct landlock_path {
	const char *path; /* NULL or not there: skipped. A symbolic link stands for its target. */
	unsigned access;
};

/* The directory in which a file lies, so that it can be replaced: "." for a bare name, the file
 * itself when it lies in the root. out is as long as path at most, cap counts its end. NULL: no
 * room. */
const char *landlock_dir_of(const char *path, char *out, size_t cap);

/* 1: done; 0: this kernel (or its start-up line, or a container's filter) has no Landlock; or
 * -errno with one line. */
MUST_USE int landlock_confine(const struct landlock_path *v, size_t n, struct err *e);

#endif
