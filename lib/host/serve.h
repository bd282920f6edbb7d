/* host/serve.h - carries a serve configuration out: inbound TCP to ports that it names
 * (model/serve.h)
 *
 * A forward goes to its back end as it comes, or after TLS has been ended here. HTTP and HTTPS end
 * here: each request is answered with a text, a file, a redirect, or by a back end, to which the
 * connection is a reverse proxy (wire/httpproxy.h): X-Forwarded-For, -Host, -Proto, and who asks in
 * Tailscale-User-Login, -Name, -Profile-Pic (not for tagged nodes); what a client says there itself
 * is removed. Upgrades become tunnels. Bodies stream both ways with back-pressure.
 *
 * Requests and answers may take hours. What ends is a connection whose client owes something - the
 * rest of its request, or reading of what is held for it - while no byte moves in either direction;
 * nobody is cut because a back end is silent, and tunnels and forwards never are.
 */
#ifndef HOST_SERVE_H
#define HOST_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"
#include "host/host.h"
#include "model/serve.h"

struct serve_server;
struct tls_server;

enum {
	SERVE_CLIENTS_MAX =
	    4096,          /* HTTP connections, and TLS ones that are forwarded, till they stand */
	SERVE_HEAD_S = 15, /* for TLS and the first head */
	SERVE_IDLE_S = 75, /* between two requests */
	SERVE_DIAL_S = 10,
	SERVE_STALL_S = 120, /* a client that owes something, and no byte moves */
	SERVE_LOOKS = 8,     /* so often in that time each is looked at */
	/* With all connections taken a new one gets the place of the client that owes something and
	 * has been still for longest, at least this long. */
	SERVE_GIVE_WAY_S = 5,
	SERVE_ROOM_LOOKS = 256, /* at clients, to find it */
};

struct serve_server_conf {
	struct host *host;
	struct resolver *resolver; /* of names of back ends; borrowed, as what follows */
	struct tls_client *tls;    /* for https:// back ends */
	/* zero: SERVE_CLIENTS_MAX, SERVE_STALL_S, SERVE_GIVE_WAY_S */
	size_t clients_max;
	span_t stall, give_way;
};
struct serve_server *serve_server_new(const struct serve_server_conf *conf); /* NULL: no memory */
void serve_server_free(struct serve_server *v); /* before the host; NULL is fine */
/* Takes s (NULL: nothing is served). cert: for HTTPS and TerminateTLS, borrowed till the next call;
 * NULL: such ports are refused. Connections that stand are asked about their next request. */
void serve_server_set(struct serve_server *v, struct serve *s, struct tls_server *cert);

struct serve_stat {
	size_t clients;
	uint64_t accepted, refused, requests;
	uint64_t stalled, gave_way; /* connections that were cut */
};
void serve_server_stat(const struct serve_server *v, struct serve_stat *st);

#endif
