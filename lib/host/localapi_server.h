/* host/localapi_server.h - the local API on its unix socket: who asks, answers that wait, streams;
 * rules in node/localapi.h */
#ifndef HOST_LOCALAPI_SERVER_H
#define HOST_LOCALAPI_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/host.h"
#include "node/localapi.h"

struct localapi_server;

enum { LOCALAPI_WATCHERS_MAX = 64, LOCALAPI_PINGS_MAX = 256, LOCALAPI_PING_S = 10 };

struct localapi_server_ops { /* what the program does; a status other than 0 and its words go to the
				client */
	int (*act)(void *ctx, const struct localapi_answer *what, const char **words);
	/* fills a view (node, state, self, version, is_ephemeral) */
	void (*view)(void *ctx, struct localapi_view *v);
};
struct localapi_server_conf {
	struct host *host;
	const char *path;
	uid_t operator_uid; /* (uid_t)-1: none */
	const struct localapi_server_ops *ops;
	void *ctx;
};
struct localapi_server *localapi_server_new(const struct localapi_server_conf *conf,
					    struct err *e); /* NULL: e */
/* Who besides root and our own user may change settings; (uid_t)-1: nobody. */
void localapi_server_set_operator(struct localapi_server *s, uid_t uid);
void localapi_server_free(struct localapi_server *s);

/* Tells the watchers; what: LOCALAPI_N_ bits. */
void localapi_server_notify(struct localapi_server *s, unsigned what, const char *text);
void localapi_server_pong(struct localapi_server *s, const struct node_ping_result *r);

#endif
