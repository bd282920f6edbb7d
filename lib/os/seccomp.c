/* os/seccomp.c - see seccomp.h */
#include "os/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* clang-format off */
const char *const seccomp_os_calls[] = {
        /* memory: malloc, memory.c; mmap, mprotect and shmat come with a condition below */
        "brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock",
        /* the C library, abort and assert, waiting for orphans */
        "exit", "exit_group", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "sigaltstack", "tgkill", "restart_syscall",
        "wait4", "waitid", "futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "membarrier",
        "getrandom", "uname", "sysinfo", "getcpu", "getrusage", "capget",
        /* clocks (without vDSO) */
        "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
        /* loop.c, file_watch.c, c-ares */
        "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "pipe2",
        "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd4",
        "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "poll", "ppoll", "select", "pselect6",
        /* file.c, tls_verify.c, resolve.c, logger.c */
        "read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "dup", "dup2", "dup3", "fcntl",
        "open", "openat", "openat2", "fstat", "stat", "lstat", "newfstatat", "fstatat64", "statx", "fstatfs", "statfs",
        "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "flock",
        "fsync", "fdatasync", "ftruncate", "fallocate", "fchmod", "fchmodat", "chmod", "umask",
        "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
        /* listen.c, dial.c, stream.c, udp.c, link.c; socket and ioctl come with a condition below */
        "bind", "listen", "accept", "accept4", "connect", "shutdown", "getsockname", "getpeername",
        "getsockopt", "setsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "splice",
        NULL,
};
/* clang-format on */

static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
static const unsigned long ioctls[] = { FIONBIO,      FIOCLEX,     FIONREAD,       TCGETS,
					SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFMTU,     SIOCGIFFLAGS,
					SIOCGIFCONF,  SIOCGIFADDR, SIOCGIFNETMASK, SIOCOUTQ };

static int allow(scmp_filter_ctx f, const char *const *names)
{
	int r = 0;

	for (; r == 0 && names && *names; names++) {
		int nr = seccomp_syscall_resolve_name(*names);

		if (nr >= 0)
			r = seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0);
	}
	return r;
}

/* A rule that holds when one argument, masked, has a value. */
static int allow_if(scmp_filter_ctx f, const char *name, unsigned arg, uint64_t mask,
		    uint64_t value)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr < 0)
		return 0;
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 1,
				SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value));
}

static int allow_conditions(scmp_filter_ctx f)
{
	int r = allow_if(f, "mmap", 2, PROT_EXEC, 0);

	if (r == 0)
		r = allow_if(f, "mprotect", 2, PROT_EXEC, 0);
	if (r == 0)
		r = allow_if(f, "prlimit64", 2, UINT64_MAX, 0); /* reading */
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(families); i++)
		r = allow_if(f, "socket", 0, UINT32_MAX, (uint64_t)families[i]);
	if (r == 0)
		r = allow_if(f, "socketpair", 0, UINT32_MAX, AF_UNIX);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(ioctls); i++)
		r = allow_if(f, "ioctl", 1, UINT32_MAX, ioctls[i]);
	return r;
}

int seccomp_confine(const char *const *more, enum seccomp_refusal refusal, struct err *e)
{
	scmp_filter_ctx f =
	    seccomp_init(refusal == SECCOMP_END ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
	int r = f ? 0 : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = allow(f, seccomp_os_calls);
	if (r == 0)
		r = allow(f, more);
	if (r == 0)
		r = allow_conditions(f);
	if (r == 0)
		r = seccomp_load(f);
	if (f)
		seccomp_release(f);
	return r < 0 ? err_set(e, -r, "limit system calls") : 0;
}
