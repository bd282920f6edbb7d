/* counted/hooks.c - linked into a program of ours, counts what it asks of the kernel and of malloc
 *
 * The definitions here come before those of the C library, for our code and for every shared
 * library (libuv). SIGUSR2 writes one line to standard error:
 *
 *      counted: calls N allocations N packets N bytes N
 *
 * calls: of the functions below, those that the data path uses; nothing holds them against a count
 * of the kernel's own. packets: UDP datagrams in and out, each of a bundle; bytes: of those.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_ullong calls, allocations, packets, bytes;

/* --- memory --- */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

/* --- system calls --- */

#define HOOK(type, name, params, ...)                                                              \
	type name params;                                                                          \
	type name params                                                                           \
	{                                                                                          \
		calls++;                                                                           \
		return (type)syscall(__VA_ARGS__);                                                 \
	}

HOOK(ssize_t, read, (int fd, void *p, size_t n), SYS_read, fd, p, n)
HOOK(ssize_t, __read_chk, (int fd, void *p, size_t n, size_t room), SYS_read, fd, p, n + 0 * room)
HOOK(ssize_t, write, (int fd, const void *p, size_t n), SYS_write, fd, p, n)
HOOK(ssize_t, readv, (int fd, const struct iovec *v, int n), SYS_readv, fd, v, n)
HOOK(ssize_t, writev, (int fd, const struct iovec *v, int n), SYS_writev, fd, v, n)
HOOK(ssize_t, recvfrom,
     (int fd, void *restrict p, size_t n, int flags, struct sockaddr *restrict a,
      socklen_t *restrict len),
     SYS_recvfrom, fd, p, n, flags, a, len)
HOOK(ssize_t, recv, (int fd, void *p, size_t n, int flags), SYS_recvfrom, fd, p, n, flags, NULL,
     NULL)
HOOK(ssize_t, __recv_chk, (int fd, void *p, size_t n, size_t room, int flags), SYS_recvfrom, fd, p,
     n + 0 * room, flags, NULL, NULL)
HOOK(ssize_t, sendto,
     (int fd, const void *p, size_t n, int flags, const struct sockaddr *a, socklen_t len),
     SYS_sendto, fd, p, n, flags, a, len)
HOOK(ssize_t, send, (int fd, const void *p, size_t n, int flags), SYS_sendto, fd, p, n, flags, NULL,
     0)
HOOK(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *ev), SYS_epoll_ctl, ep, op, fd,
     ev)
HOOK(int, epoll_pwait, (int ep, struct epoll_event *v, int n, int ms, const sigset_t *mask),
     SYS_epoll_pwait, ep, v, n, ms, mask, _NSIG / 8)
HOOK(int, epoll_wait, (int ep, struct epoll_event *v, int n, int ms), SYS_epoll_pwait, ep, v, n, ms,
     NULL, _NSIG / 8)
HOOK(int, poll, (struct pollfd * v, nfds_t n, int ms), SYS_poll, v, n, ms)
HOOK(int, timerfd_settime,
     (int fd, int flags, const struct itimerspec *new, struct itimerspec *old), SYS_timerfd_settime,
     fd, flags, new, old)
HOOK(int, accept4, (int fd, struct sockaddr *a, socklen_t *restrict len, int flags), SYS_accept4,
     fd, a, len, flags)
HOOK(int, shutdown, (int fd, int how), SYS_shutdown, fd, how)
HOOK(int, close, (int fd), SYS_close, fd)
HOOK(int, getsockopt, (int fd, int level, int name, void *restrict v, socklen_t *restrict len),
     SYS_getsockopt, fd, level, name, v, len)
HOOK(int, setsockopt, (int fd, int level, int name, const void *v, socklen_t len), SYS_setsockopt,
     fd, level, name, v, len)

static void note_message(struct msghdr *h, size_t len)
{
	size_t segment = len;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_UDP)
			continue;
		if (c->cmsg_type == UDP_SEGMENT) {
			uint16_t v;

			memcpy(&v, CMSG_DATA(c), sizeof v);
			segment = v;
		} else if (c->cmsg_type == UDP_GRO) {
			int v;

			memcpy(&v, CMSG_DATA(c), sizeof v);
			segment = (size_t)v;
		}
	}
	packets += segment > 0 ? (len + segment - 1) / segment : 1;
	bytes += len;
}

static void note_messages(struct mmsghdr *v, int n)
{
	for (int i = 0; i < n; i++)
		note_message(&v[i].msg_hdr, v[i].msg_len);
}

int recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *limit)
{
	int k = (int)syscall(SYS_recvmmsg, fd, v, n, flags, limit);

	calls++;
	note_messages(v, k);
	return k;
}

int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	int k = (int)syscall(SYS_sendmmsg, fd, v, n, flags);

	calls++;
	note_messages(v, k);
	return k;
}

ssize_t recvmsg(int fd, struct msghdr *h, int flags)
{
	calls++;
	return syscall(SYS_recvmsg, fd, h, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	calls++;
	return syscall(SYS_sendmsg, fd, h, flags);
}

/* --- telling --- */

static char *number(char *to, unsigned long long v)
{
	char digits[24];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	while (n > 0)
		*to++ = digits[--n];
	return to;
}

static void tell(int sig) /* what a signal handler may do: no stdio */
{
	static const char *const words[] = { "counted: calls ", " allocations ", " packets ",
					     " bytes " };
	unsigned long long v[] = { calls, allocations, packets, bytes };
	int saved = errno;
	char line[192], *to = line;

	(void)sig;
	for (size_t i = 0; i < 4; i++) {
		to = stpcpy(to, words[i]);
		to = number(to, v[i]);
	}
	*to++ = '\n';
	(void)!syscall(SYS_write, STDERR_FILENO, line, (size_t)(to - line));
	errno = saved;
}

__attribute__((constructor)) static void listen_to_the_signal(void)
{
	struct sigaction a = { .sa_handler = tell, .sa_flags = SA_RESTART };

	sigaction(SIGUSR2, &a, NULL);
}
