/* tests/netns/deny.c - runs a command under a seccomp filter that refuses some system calls, as a
 * strict container runtime does: deny CALL[,CALL...] COMMAND... (each fails with EPERM) */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	char *save = NULL;
	int r = ctx && argc > 2 ? 0 : -EINVAL;

	for (char *name = r == 0 ? strtok_r(argv[1], ",", &save) : NULL; name && r == 0;
	     name = strtok_r(NULL, ",", &save)) {
		int nr = seccomp_syscall_resolve_name(name);

		r = nr == __NR_SCMP_ERROR ? -ENOENT
					  : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	if (r == 0)
		r = seccomp_load(ctx);
	if (r < 0) {
		fprintf(stderr, "deny: %s\n", strerror(-r));
		return 126;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
