/* containerboot/confine.h - what the sidecar can no longer do once it runs
 *
 * Last step of the start: no capabilities and no way to new ones, only the files that a running
 * sidecar reads and writes (Landlock, where the kernel has it), only the system calls it makes
 * (seccomp). docs/operations/security.md has the list for users.
 */
#ifndef CONTAINERBOOT_CONFINE_H
#define CONTAINERBOOT_CONFINE_H

#include "containerboot/options.h"

struct confine {
	bool files, calls, end_on_call; /* Landlock; seccomp; SIGSYS in place of EPERM */
	bool net_admin;                 /* a capability that is kept */
};

/* TS_DEBUG_SANDBOX: comma-separated words of "off", "no-landlock", "no-seccomp", "strict"; NULL:
 * everything is on. 0, or -EINVAL with one line. */
MUST_USE int confine_parse(const char *text, struct confine *c, struct err *e);
/* What is missing in the kernel is said in the log, nothing else fails. kube_dir: where the account
 * of the pod lies, NULL: not in a cluster. more: further directories that are read,
 * NULL-terminated, at most CONFINE_DIRS_MAX. */
enum { CONFINE_DIRS_MAX = 64 };
MUST_USE int confine_apply(const struct confine *c, const struct options *o, const char *state_dir,
			   const char *kube_dir, const char *const *more, struct err *e);

#endif
