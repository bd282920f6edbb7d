/* host/doh.h - asks resolvers over HTTPS (RFC 8484), on connections that are kept for a while
 *
 * One for a host. A resolver has at most HOST_DOH_CONNS connections, each with one query at a time;
 * further queries wait. A resolver whose address is in the tailnet is reached through it, any other
 * by the ordinary network and its proxy; plain http only inside the tailnet. Where the well-known
 * services are is known (wire/doh.h); the name of another is asked of the tailnet, then of the
 * system's resolver, never of those that control names, which may be this one.
 */
#ifndef HOST_DOH_H
#define HOST_DOH_H

#include <stdbool.h>

#include "base/bytes.h"

struct host;
struct host_doh_query;

enum {                        /* ours */
       HOST_DOH_SERVERS = 8,  /* that are remembered, a count */
       HOST_DOH_CONNS = 2,    /* of one server */
       HOST_DOH_QUERIES = 64, /* of one server, waiting or asked */
       HOST_DOH_QUERY_S = 5,  /* for an answer */
       HOST_DOH_IDLE_S = 30,  /* a connection without a query; the stock client's time */
       HOST_DOH_DOWN_S = 30,  /* after a failure, see host_doh_is_down */
};

/* Called once, never before host_doh_ask returns; the answer has the query's identifier and is
 * borrowed for the call; empty: none came. */
typedef void host_doh_fn(void *ctx, struct bytes answer);
/* query: a DNS message with one question, copied. NULL: too many wait, the URL or the query is
 * malformed, or no memory. */
struct host_doh_query *host_doh_ask(struct host *h, const char *url, struct bytes query,
				    host_doh_fn *done, void *ctx);
void host_doh_cancel(struct host_doh_query *q); /* no callback; NULL is fine */
/* Has it failed lately? For those that also answer on port 53, which need not wait then. */
bool host_doh_is_down(const struct host *h, const char *url);

#endif
