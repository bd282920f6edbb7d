/* host/reach.h - one attempt to get from a proxy's client to a destination
 *
 * A name is asked of MagicDNS, then of the system. Addresses that the tailnet routes are dialled
 * through the stack, one after the other; own addresses are loopback; all others are dialled by the
 * ordinary network, unless that is forbidden. An address of the tailnet's ranges that nobody has is
 * never tried outside: it would leak to whoever sits there.
 */
#ifndef HOST_REACH_H
#define HOST_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "host/host.h"

struct stream;

enum reach_result {
	REACH_OK,
	REACH_NO_NAME,     /* no such name */
	REACH_NOT_ALLOWED, /* outside the tailnet, and that is switched off */
	REACH_DENIED,      /* the peer says that its policy forbids it */
	REACH_REFUSED,
	REACH_TIMEOUT,
	REACH_UNREACHABLE,
	REACH_NET_UNREACHABLE,
	REACH_FAILED,
	REACH_N,
};
extern const char *const reach_words[REACH_N];

struct reached {
	enum reach_result result;
	struct stream *s;    /* NULL: a flow of the stack, */
	struct ns_id id;     /* this one */
	struct ipport bound; /* our side of the connection */
};

struct reach;
/* Called once, not before reach_start has returned. The stream is open and waits for
 * stream_set_ops, at once. */
typedef void reach_fn(void *ctx, const struct reached *r);
/* host: a name or an address as text, copied. NULL: out of memory. */
struct reach *reach_start(struct host *h, const char *host, uint16_t port, bool tailnet_only,
			  reach_fn *done, void *ctx);
void reach_cancel(struct reach *r); /* no callback; NULL is fine */

/* What becomes of an address. */
enum reach_way { REACH_TAILNET, REACH_SELF, REACH_OUTSIDE, REACH_NOBODY };
enum reach_way reach_way(const struct host *h, const struct ip *ip);

#endif
