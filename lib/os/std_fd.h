/* os/std_fd.h - standard input, output and error are something before anything else is opened; and
 * how many descriptors there may be
 */
#ifndef OS_STD_FD_H
#define OS_STD_FD_H

#include <fcntl.h>
#include <sys/resource.h>

/* First in a program: of descriptors 0, 1 and 2 those that it was started without become /dev/null,
 * else the next file or socket would be one of them, and messages would go into it. Without a /dev
 * they become a descriptor that neither reads nor writes. */
static inline void std_fd_fill(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			(void)!open("/", O_PATH);
}

/* As many as may be: the 1024 that shells and container engines begin with are for select(2), which
 * nothing here calls, and a peer's flows could take them all. */
static inline void std_fd_most(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

#endif
