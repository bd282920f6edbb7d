/* os/dial.h - from a name to a connected TCP descriptor
 *
 * Happy Eyeballs v2 (RFC 8305): IPv6 and IPv4 are asked for side by side, tried alternately 250 ms
 * apart, the first connection wins. Through a proxy (HTTP CONNECT) the name is resolved by the
 * proxy. One time limit covers all of it.
 */
#ifndef OS_DIAL_H
#define OS_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"
#include "os/loop.h"
#include "os/proxy.h"
#include "os/resolve.h"

enum { DIAL_ADDRS_MAX = 16, DIAL_TIMEOUT_S = 10 };

struct dial_conf {
	const char *host; /* name or address; always given (messages, proxy, TLS) */
	uint16_t port;
	const struct ip *addrs;    /* instead of a look-up, in this order; NULL: look up */
	size_t n_addrs;            /* <= DIAL_ADDRS_MAX */
	bool no_v4, no_v6;         /* families not to use */
	const char *unix_path;     /* a unix socket instead of all this */
	struct resolver *resolver; /* may be NULL when host is an address, addrs is given or a proxy
				      is used by address */
	const struct proxy
	    *proxy;     /* NULL: direct; NO_PROXY has been decided: proxy_for of os/proxy_env.h */
	span_t timeout; /* of the whole; 0: DIAL_TIMEOUT_S */
	uint32_t mark;  /* SO_MARK on the socket; 0: none */
};

struct dial;

/* fd >= 0: connected, non-blocking, close-on-exec, now the callee's. fd < 0: why says what to do.
 * Comes exactly once and never from within dial_start; the dial has freed itself by then. */
typedef void dial_fn(void *ctx, int fd, const struct err *why);

/* NULL and err when the configuration makes no sense. conf and what it points to is copied, but the
 * resolver. */
struct dial *dial_start(struct loop *loop, const struct dial_conf *conf, dial_fn *fn, void *ctx,
			struct err *err);
void dial_cancel(struct dial *d); /* no callback; NULL is fine */

#endif
