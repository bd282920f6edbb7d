/* host/proxy_priv.h - a client of a proxy on its way to a tunnel, shared by proxy.c, proxy_http.c
 * and proxy_udp.c */
#ifndef HOST_PROXY_PRIV_H
#define HOST_PROXY_PRIV_H

#include "base/log.h"
#include "host/http_end.h"
#include "host/pipe.h"
#include "host/proxy.h"
#include "host/reach.h"
#include "os/listen.h"
#include "os/loop.h"
#include "os/stream.h"
#include "wire/httpproxy.h"
#include "wire/socks5.h"

enum { CLIENT_RX = 4096 };

enum listen_kind { LISTEN_SOCKS5 = 1, LISTEN_HTTP = 2 };

struct door { /* one listener */
	struct proxy_server *server;
	struct listener *l;
	unsigned kinds;
};

struct proxy_server {
	struct host *host;
	struct loop *loop;
	bool tailnet_only;
	unsigned ended_s, name_s;
	size_t clients_max, udp_max;
	span_t yields;
	struct door doors[2];
	size_t n_doors;
	struct client *clients;
	struct host_pipes pipes; /* tunnels to the ordinary network */
	struct loop_timer again; /* looks whether a full house has room again */
	struct proxy_stat stat;
};

struct client {
	struct proxy_server *server;
	struct client *next, *prev;
	struct stream *s;
	struct loop_timer timer;
	mono_t since;   /* the timer was set */
	unsigned kinds; /* narrowed to one by the first byte */
	struct socks5 socks;
	struct httpproxy *http;
	struct association *udp;
	struct reach *reach;
	struct reached to; /* what was reached, until it is handed over */
	bool has_reached;  /* a tunnel stands on the far side and waits for the answer to be sent */
	bool ended;        /* the client sent its end */
	bool closing;      /* only output is left */
	struct http_end back; /* of a forwarded request */
	size_t rx_len;
	uint8_t rx[CLIENT_RX];
};

void proxy_client_free(struct client *c);  /* closes everything of it */
void proxy_client_close(struct client *c); /* when its output is sent */
void proxy_client_arm(struct client *c, unsigned seconds);
void proxy_client_reach(struct client *c, const char *host, uint16_t port);
bool proxy_client_hand_over(struct client *c); /* true: the tunnel stands, c is gone */

/* proxy_http.c */
void proxy_http_run(struct client *c);     /* feeds what lies in rx, does what is to be done */
void proxy_http_reached(struct client *c); /* c->to is the outcome */

/* proxy_udp.c */
struct association;
struct association *proxy_association_new(struct client *c,
					  struct ipport *bound); /* NULL: no socket or too many */
void proxy_association_free(struct association *a);

#endif
