/* node/localapi.h - the local API of tailscaled, as far as its CLI needs it: requests to answers,
 * pure (data-plane.md 7.2-7.9)
 *
 * The host parses HTTP and knows who is at the other end of the socket; here a request becomes an
 * answer, a stream of notifications, a ping that is answered later, or something the program must
 * do first. JSON has the names of the stock client; fields that it lets out when empty are let out
 * too.
 *
 * Who may do what: root, the uid of the program and the operator may change things, everybody else
 * may read (the socket's file mode is the outer gate). Requests that a browser could be tricked
 * into are refused: Host must be the fixed name, Origin and Referer must be absent.
 */
#ifndef NODE_LOCALAPI_H
#define NODE_LOCALAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "model/prefs.h"
#include "model/state.h"
#include "node/node.h"

#define LOCALAPI_HOST "local-tailscaled.sock"

enum {
	LOCALAPI_BODY_MAX = 1 << 20, /* of a request */
	LOCALAPI_ANSWER_MAX =
	    64 << 20,           /* of an answer: status of NETMAP_PEERS_MAX peers fits with room */
	LOCALAPI_KEY_MAX = 256, /* of an auth key */
	LOCALAPI_PING_SIZE_MAX = 1200,
};

/* What answers are made of; all borrowed for the call. */
struct localapi_view {
	struct node *node;
	const char *name; /* of one of several nodes of a process: a label of metrics; NULL or "":
			     there is one */
	const struct state *state;
	const struct state_node *self; /* identity and preferences */
	const char *version;           /* "1.102.5-tailpod..." as the CLI shows it */
	bool is_ephemeral;
	mono_t now;
	wall_t wall;
};

struct localapi_request {
	struct bytes method, path, query; /* path and query as sent */
	struct bytes host;
	bool has_origin; /* Origin or Referer is there */
	bool may_write;
	struct bytes body;
};

enum localapi_kind {
	LOCALAPI_DONE,   /* status, type, body */
	LOCALAPI_STREAM, /* 200 without an end: body holds the first lines, then localapi_notify for
			    each change; mask */
	LOCALAPI_PING,   /* ask the node (ip, ping, size), then localapi_ping_json */
	LOCALAPI_ACT,    /* do `act` first; then send status and body */
};
enum localapi_act {
	LOCALAPI_SET_PREFS, /* prefs; then body is empty: answer with state_prefs_json when
			       `wants_prefs` */
	LOCALAPI_START,     /* prefs, auth_key (or "") */
	LOCALAPI_LOGIN,     /* interactive: ask control for a URL */
	LOCALAPI_LOGOUT,
	LOCALAPI_REBIND, /* paths are looked for anew */
};

struct localapi_answer {
	enum localapi_kind kind;
	int status;
	const char *type; /* Content-Type */
	struct buf body;
	unsigned mask;
	enum localapi_act act;
	bool wants_prefs;
	struct prefs prefs;
	char auth_key[LOCALAPI_KEY_MAX];
	struct ip ip;
	enum node_ping_kind ping;
	size_t size;
};

void localapi_answer_init(struct localapi_answer *a);
void localapi_answer_fini(struct localapi_answer *a); /* wipes */
/* a has been initialised and not used. Running out of memory is an answer with status 500. */
void localapi_handle(const struct localapi_view *v, const struct localapi_request *rq,
		     struct localapi_answer *a);

/* --- pieces, each false when out of memory --- */

MUST_USE bool localapi_status_json(const struct localapi_view *v, bool with_peers, struct buf *out);
MUST_USE bool localapi_derpmap_json(const struct netmap *nm, struct buf *out);
/* 0; -ENOENT: nobody has that address; -ENOMEM */
MUST_USE int localapi_whois_json(const struct localapi_view *v, const struct netmap_node *who,
				 struct buf *out);
MUST_USE bool localapi_ping_json(const struct localapi_view *v, const struct ip *ip,
				 const struct node_ping_result *r, struct buf *out);
/* What control gets that asked for the ping (PingResponse); type NULL: none. Of v only the node is
 * looked at. */
MUST_USE bool localapi_ping_response_json(const struct localapi_view *v, const char *type,
					  const struct ip *ip, const struct node_ping_result *r,
					  struct buf *out);
MUST_USE bool localapi_netcheck_json(const struct localapi_view *v, struct buf *out);
/* Prometheus text of n nodes, each value with the name of its node. */
MUST_USE bool localapi_metrics(const struct localapi_view *v, size_t n, struct buf *out);
MUST_USE bool localapi_error_json(const char *text, struct buf *out); /* {"error":"..."} */

enum { /* bits of the mask of watch-ipn-bus, data-plane.md 7.6 */
       LOCALAPI_WATCH_STATE = 1 << 1,
       LOCALAPI_WATCH_PREFS = 1 << 2,
       LOCALAPI_WATCH_NETMAP = 1 << 3,
       LOCALAPI_WATCH_HEALTH = 1 << 7,
       LOCALAPI_NO_NETMAP = 1 << 13,
       LOCALAPI_WATCH_STATUS = 1 << 14,
};
enum { /* what a notification tells, bits */
       LOCALAPI_N_STATE = 1,
       LOCALAPI_N_LOGIN = 2, /* a login has finished */
       LOCALAPI_N_URL = 4,
       LOCALAPI_N_PREFS = 8,
       LOCALAPI_N_NETMAP = 16,
       LOCALAPI_N_HEALTH = 32,
       LOCALAPI_N_STATUS = 64,
       LOCALAPI_N_FIRST = 128, /* version and session */
       LOCALAPI_N_ERROR = 256, /* text */
};
/* One line of the stream; nothing when the mask leaves nothing of what. */
MUST_USE bool localapi_notify(const struct localapi_view *v, unsigned mask, unsigned what,
			      const char *text, struct buf *out);

#endif
