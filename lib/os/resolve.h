/* os/resolve.h - names to addresses on the loop (c-ares): /etc/hosts, then DNS; A and AAAA side by
 * side
 *
 * The two families answer apart, so that a dialer can start with the first (RFC 8305 section 3).
 */
#ifndef OS_RESOLVE_H
#define OS_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"
#include "os/loop.h"

enum { RESOLVE_ADDRS_MAX = 16, RESOLVE_NAME_MAX = 253 };

struct resolver;
struct resolver_conf {
	const struct ipport
	    *servers; /* NULL: those of /etc/resolv.conf, read anew when it changes */
	size_t n_servers;
	unsigned timeout_ms; /* of one try; 0: 2000 */
	unsigned tries;      /* 0: 3 */
};
struct resolver *resolver_new(struct loop *loop,
			      const struct resolver_conf *conf); /* conf NULL: defaults */
void resolver_free(
    struct resolver *r); /* all look-ups have ended or been cancelled; NULL is fine */

struct resolve;
/* Comes once for each family that was asked for, AF_INET6 and AF_INET; n 0: why says what is wrong
 * (no such name, no server answers). Never from within resolve_start. After the last one the
 * look-up is gone; `is_last` says so. */
typedef void resolve_fn(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
			bool is_last);

enum { RESOLVE_V4 = 1, RESOLVE_V6 = 2, RESOLVE_BOTH = 3 };
/* NULL and err: the name is malformed or there is no memory. An address as text answers itself, and
 * so do localhost and names below it (RFC 6761 section 6.3): an image may have no /etc/hosts. */
struct resolve *resolve_start(struct resolver *r, const char *name, int families, resolve_fn *fn,
			      void *ctx, struct err *err);
void resolve_cancel(struct resolve *q); /* no callback; NULL is fine */

#endif
