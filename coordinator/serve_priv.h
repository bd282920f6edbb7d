/* coordinator/serve_priv.h - what the files of the server share
 *
 * Life of a request: conn.c reads an HTTP/1 message; http.c answers it, or hands the connection to
 * the control server (tailnet.h) or to the relay (derp/server.h), whose bytes conn.c carries from
 * then on. All that a turn of the loop changed is stored by serve_settle in one transaction before
 * any byte of that turn leaves.
 */
#ifndef COORDINATOR_SERVE_PRIV_H
#define COORDINATOR_SERVE_PRIV_H

#include "coordinator/api.h"
#include "coordinator/apikeys.h"
#include "coordinator/config.h"
#include "coordinator/ratelimit.h"
#include "coordinator/relay.h"
#include "coordinator/serve.h"
#include "coordinator/store.h"
#include "coordinator/tailnet.h"
#include "derp/server.h"
#include "os/listen.h"
#include "os/loop.h"
#include "os/stream.h"
#include "os/tls.h"
#include "os/udp.h"
#include "wire/http1.h"
#include "wire/websocket.h"

enum {
	CONN_HEAD_S = 15, /* for a whole request */
	CONN_IDLE_S = 75, /* between requests, and for an answer to be taken */
	CONN_CHUNK = 32768,
	CONN_IN_MAX = HTTP1_HEAD_MAX + CONN_CHUNK,
	CONN_LOCAL_SPARE = 16, /* at the socket beyond limits.connections: for who puts it right */
	CONN_STRANGER_BODY = 16384, /* of a request by whoever has no API key */
	TRIM_S = 10, /* after starting and after connections came, what is not needed goes back */
};

enum conn_mode { CONN_HTTP, CONN_CONTROL, CONN_DERP };

struct conn {
	struct serve *s;
	struct stream *stream; /* NULL: over, waits to be freed */
	struct conn *next, *prev;
	struct conn *younger, *older; /* in the list of those that are nobody's yet */
	bool is_young;
	enum conn_mode mode;
	struct ipport from;
	int64_t uid; /* at the other end of the unix socket; -1: not known */
	bool is_local, is_metrics, is_tls, has_spoken, must_close, has_head;
	struct buf in, head, body, out;
	int body_refusal;    /* status for a body beyond body.max */
	struct http1_head h; /* of the request; points into head once has_head */
	struct http1_body framing;
	struct session_id session;
	struct derp_conn_id derp;
	struct ws *ws; /* of a relay client that came by WebSocket; else NULL */
	struct loop_timer timer;
	struct loop_defer reap;
};

struct serve_counters {
	uint64_t connections, refused_connections, slow, tls_failed; /* tls_failed: without a
									byte of HTTP */
	uint64_t websockets, websockets_malformed, requests, bad_requests, limited, unauthorized,
	    api_refused, stun, stun_bad;
};

struct serve {
	const struct config *conf;
	struct loop *loop;
	struct store *store; /* with t NULL for a relay alone */
	struct tailnet *t;
	struct relay relay;
	struct tls_server *tls;
	struct listener *tcp, *local, *metrics;
	struct apikeys apikeys;
	struct api api;
	/* api_strangers: calls without a good key, which take nothing from those with one */
	struct ratelimit handshakes, api_calls, api_strangers;
	struct conn *conns; /* list */
	/* those from the network by age: strangers, but for those that became a node's since */
	struct conn *youngest, *oldest;
	size_t n_conns, max_conns;
	struct conn **by_session, **by_derp;
	size_t cap_session, cap_derp;
	struct loop_timer wake, trim;
	struct loop_flush flush;
	uint8_t scratch[CONN_CHUNK];
	bool failed;    /* the database: nothing leaves any more */
	bool is_config; /* what kept it from starting is in the settings */
	struct err why;
	wall_t policy_at;
	mono_t started;
	struct serve_counters count;
};

/* serve.c */
bool serve_settle(
    struct serve *s); /* events carried out and stored; false: the database failed, send nothing */

/* Of what is done at the start with a setting or the file it names: passes ret on, and lets the
 * program end with SERVE_EXIT_CONFIG when that failed. */
int serve_setting(struct serve *s, int ret);
/* a key file in the state directory, made when it is not there */
MUST_USE int serve_private_key(const struct config *c, const char *name, struct key_priv *k,
			       struct err *e);
void serve_trim_later(struct serve *s); /* memory of starting and joining goes back in a while */

/* conn.c */
void conn_accept(void *serve, int fd, const struct ipport *from);
void conn_accept_metrics(void *serve, int fd,
			 const struct ipport *from); /* only /metrics and /health */
void conn_accept_local(void *serve, int fd, const struct ipport *from);
void conn_end(struct conn *c); /* its machine is told, the stream is closed, memory goes at the end
				  of the turn */
void conn_kick(struct conn *c);
bool conn_index(struct conn ***v, size_t *cap, size_t i, struct conn *c); /* v[i] = c */

/* http.c: how long the body of the request in c->h may be; *status: the answer to a longer one */
size_t http_body_max(struct conn *c, int *status);
/* One request whose head and body are complete. The answer is appended to c->out, or
 * c->mode changes. */
void http_request(struct conn *c, struct bytes body);

/* relaymap.c: JSON for nodes */
MUST_USE int relaymap_derp(const struct config *c, const struct tls_server *tls, struct buf *out,
			   struct err *e);
MUST_USE int relaymap_dns(const struct config *c, struct buf *out); /* members of DNSConfig */

/* metrics.c */
MUST_USE int metrics_emit(const struct serve *s, struct buf *out);  /* Prometheus text */
MUST_USE int metrics_debug(const struct serve *s, struct buf *out); /* a JSON object */

/* admin.c: what the API asks of the server */
void admin_init(struct serve *s);
MUST_USE int admin_load(struct serve *s,
			struct err *e); /* API keys and the policy, from database and file */
void admin_reload(struct serve *s);     /* SIGHUP: policy file, certificate, relay map */

#endif
