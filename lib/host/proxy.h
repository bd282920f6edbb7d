/* host/proxy.h - SOCKS5 and HTTP proxies into the tailnet (data-plane.md 7.1)
 *
 * Listeners of either kind, or of both on one address, where the first byte decides. After the
 * handshake a connection is a splice with the stack or a pipe with a socket, and the proxy knows
 * nothing more of it.
 */
#ifndef HOST_PROXY_H
#define HOST_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "host/host.h"

enum {
	PROXY_CLIENTS_MAX = 4096, /* before their tunnel stands, or with an HTTP exchange */
	PROXY_CONNS_MAX = 65536,  /* with all tunnels */
	PROXY_YIELDS_S = 5, /* who has owed a request so long gives way when there are too many */
	PROXY_HANDSHAKE_S = 15,
	PROXY_IDLE_S = 75,    /* between two HTTP requests */
	PROXY_ENDED_S = 120,  /* an HTTP client has sent its end, and no byte moves */
	PROXY_UDP_MAX = 1024, /* UDP associations */
	PROXY_NAME_S = 30,    /* until the name of an association is asked again */
};

struct proxy_conf {
	struct host *host;
	const char *socks5, *http; /* "host:port" or NULL; may be equal */
	bool tailnet_only;
	unsigned ended_s; /* 0: PROXY_ENDED_S */
	unsigned name_s;  /* 0: PROXY_NAME_S */
};
struct proxy_server;
struct proxy_server *proxy_server_new(const struct proxy_conf *conf,
				      struct err *e); /* NULL: e says why */
/* Before the host is freed, whose tunnels into the tailnet go on till then; those to the ordinary
 * network are closed. */
void proxy_server_free(struct proxy_server *p);

struct proxy_stat {
	size_t clients, pipes, associations;
	uint64_t accepted, failed[16]; /* by enum reach_result */
	uint16_t socks5_port, http_port;
};
void proxy_server_stat(const struct proxy_server *p, struct proxy_stat *st);

#endif
