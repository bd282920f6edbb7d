/* os/seccomp.h - the system calls that a program may make from now on
 *
 * An allow list by name: what no list names is refused. New system calls of new kernels are
 * refused too, until somebody adds them. Beyond names: no memory becomes executable, sockets are
 * only of the internet, unix and routing families, resource limits are only read. There is no way
 * back; children inherit it.
 */
#ifndef OS_SECCOMP_H
#define OS_SECCOMP_H

#include "base/attr.h"
#include "base/err.h"

enum seccomp_refusal {
	SECCOMP_REFUSE, /* the call fails with EPERM */
	SECCOMP_END,    /* the process ends with SIGSYS: for finding out what a list lacks */
};

/* What every program over lib/os and lib/host needs; NULL-terminated. */
extern const char *const seccomp_os_calls[];

/* Allows seccomp_os_calls and what the program adds (NULL-terminated names, or NULL). Names that
 * this architecture does not have are skipped. Sets no_new_privs. 0 or -errno with one line. */
MUST_USE int seccomp_confine(const char *const *more, enum seccomp_refusal refusal, struct err *e);

#endif
