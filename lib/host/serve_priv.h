/* host/serve_priv.h - what serve.c and serve_http.c share */
#ifndef HOST_SERVE_PRIV_H
#define HOST_SERVE_PRIV_H

#include "base/log.h"
#include "base/shares.h"
#include "host/http_end.h"
#include "host/pipe.h"
#include "host/serve.h"
#include "os/loop.h"
#include "os/resolve.h"
#include "os/tls.h"

struct serve_client { /* a connection that ends here; the first member of what it is */
	struct serve_server *server;
	struct serve_client *next, *prev;
	void (*drop)(struct serve_client *c);       /* closes everything of it and frees it */
	bool (*owes)(const struct serve_client *c); /* is it the client's turn? */
	struct ipport local, remote;
	struct ns_id id;
	uint64_t moved;       /* its owner counts up when something moves on any side */
	uint64_t seen;        /* all that had moved when last looked at */
	mono_t still_since;   /* it owes, and nothing moved since */
	unsigned still_looks; /* so often was that found */
	bool is_counted;      /* in the share of its peer */
};

struct serve_server {
	struct serve_server_conf conf;
	struct loop *loop;
	struct serve *serve; /* NULL: nothing is served */
	struct tls_server *cert;
	struct serve_client *clients, *last; /* by still_since, the latest first */
	struct shares shares;                /* by peer */
	struct host_pipes pipes;
	struct serve_stat stat;
};

void serve_client_add(struct serve_server *v, struct serve_client *c, const struct ns_event *ev);
void serve_client_del(struct serve_client *c);
/* Has it been still for longer than conf.stall? To be called SERVE_LOOKS times in that time: looks
 * are counted, so that a process that slept does not take its own sleep for the client's. */
bool serve_client_stalled(struct serve_client *c);
/* Bytes that the peer has not acknowledged. */
bool serve_client_unread(const struct serve_client *c);
void serve_client_cut(struct serve_client *c); /* with a reset; c is gone */
/* Accepts an incoming flow and makes a stream of it; cert: which speaks TLS. NULL: the flow is
 * reset. */
struct stream *serve_accept(struct serve_server *v, const struct ns_event *ev,
			    struct tls_server *cert, const struct stream_ops *ops, void *ctx);
/* What dialling a back end needs; views into to. */
void serve_dial_conf(const struct serve_server *v, const struct serve_to *to,
		     struct stream_conf *out);

/* serve_http.c */
void serve_http_start(struct serve_server *v, const struct ns_event *ev,
		      const struct serve_port *port);

#endif
