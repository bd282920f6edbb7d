/* os/std_fd.h - standard input, output and error are something before anything else is opened
 */
#ifndef OS_STD_FD_H
#define OS_STD_FD_H

#include <fcntl.h>

/* First in a program: of descriptors 0, 1 and 2 those that it was started without become /dev/null,
 * else the next file or socket would be one of them, and messages would go into it. Without a /dev
 * they become a descriptor that neither reads nor writes. */
static inline void std_fd_fill(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			(void)!open("/", O_PATH);
}

#endif
