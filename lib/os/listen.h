/* os/listen.h - listening sockets: TCP and unix
 *
 * An address is "host:port" with host empty (all addresses, both families), an IPv4 address, an
 * IPv6 address in brackets or "localhost" (127.0.0.1 and ::1). When descriptors run out (EMFILE)
 * accepting pauses for a short time instead of spinning; connections wait in the kernel's queue
 * meanwhile.
 */
#ifndef OS_LISTEN_H
#define OS_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "os/loop.h"

enum { LISTEN_ADDRS_MAX = 2 };
struct listen_addr {
	struct ipport v[LISTEN_ADDRS_MAX];
	size_t n;
	bool is_dual; /* one socket for both families; v[0] is [::] */
};
MUST_USE int listen_addr_parse(struct bytes text, struct listen_addr *out,
			       struct err *err); /* 0 or -EINVAL */

struct listener;
/* A new connection, non-blocking and close-on-exec, now the callee's. from is zero for unix
 * sockets. */
typedef void listen_fn(void *ctx, int fd, const struct ipport *from);

struct listener *listen_tcp(struct loop *loop, const char *addr, listen_fn *fn, void *ctx,
			    struct err *err);
struct listener *listen_tcp_at(struct loop *loop, const struct ipport *at, listen_fn *fn, void *ctx,
			       struct err *err);
/* A socket file left over by a dead process is replaced; one that somebody answers on is
 * -EADDRINUSE. */
struct listener *listen_unix(struct loop *loop, const char *path, mode_t mode, listen_fn *fn,
			     void *ctx, struct err *err);
void listener_close(
    struct listener *l); /* also removes the socket file; NULL is fine; allowed in the callback */
uint16_t listener_port(const struct listener *l); /* 0 for unix */
void listener_pause(struct listener *l, bool on); /* the owner has enough for now */

/* Who is at the other end of a unix socket. */
struct listen_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};
MUST_USE int listen_peer(int fd, struct listen_peer *out);

#endif
