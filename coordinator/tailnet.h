/* coordinator/tailnet.h - the control server itself, pure: users, auth keys, nodes, sessions, map
 * streams
 *
 * Bytes of control connections are fed in and pulled out; what must be durable comes out as
 * TAILNET_STORE_* events. Order matters: carry out all pending store events (in one transaction)
 * before pulling any output, then nothing that a client was told is lost by a crash. tests/sim
 * drives this on virtual time; coordinator/serve.c with sockets and SQLite.
 *
 * control-protocol.md 2-4 and 8 (for the server).
 */
#ifndef COORDINATOR_TAILNET_H
#define COORDINATOR_TAILNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"
#include "coordinator/policy.h"
#include "crypto/key.h"
#include "crypto/noise.h"

struct tailnet;

enum {
	TAILNET_NODES_MAX = 20000,
	TAILNET_USERS_MAX = 10000,
	TAILNET_KEYS_MAX = 100000,
	TAILNET_SESSIONS_MAX = 30000,
	TAILNET_SESSIONS_PER_MACHINE = 8,
	TAILNET_STREAMS_PER_NODE = 4,
	TAILNET_LOGINS_MAX = 1024,     /* interactive logins that wait */
	TAILNET_SSH_CHECKS_MAX = 1024, /* ssh sessions that wait for a person */
	TAILNET_SSH_CHECKS_PER_NODE = 64,
	TAILNET_SSH_PASSES_MAX = 4096, /* pairs of nodes that were let in, for their checkPeriod */
	TAILNET_HOSTINFO_MAX = 16384,  /* bytes of JSON kept of one node */
	TAILNET_ENDPOINTS_MAX = 64,
	TAILNET_TAGS_MAX = 32,
	TAILNET_ROUTES_MAX = 256,
	TAILNET_LABEL_MAX = 64, /* DNS label with NUL */
	TAILNET_NAME_MAX = 256,
	TAILNET_ASKER_MAX = 128,
	TAILNET_BATCH_MS = 10,    /* changes within this time reach the streams together */
	TAILNET_PACE_US = 50,     /* a stream: between two tellings at least so long for all, 250 ms
				     at 5,000 streams; one change in a quiet time waits for nothing */
	TAILNET_KEEPALIVE_S = 50, /* plus up to 9 at random */
	TAILNET_OFFLINE_S = 10,   /* a node without stream is told offline after this */
	TAILNET_PROBE_S = 10,     /* routers that have a stand-in are asked this often */
	TAILNET_PROBE_WAIT_S = 5, /* and are silent without an answer in so long */
	TAILNET_CAP_MIN = 68,     /* older clients are told so */
};

struct tailnet_conf {
	struct rng *rng;
	struct key_priv key;     /* the control key */
	const char *server_url;  /* as clients reach us: for login URLs */
	const char *base_domain; /* MagicDNS suffix, without dots around */
	struct ipprefix v4, v6;  /* pools; zero bits: that family is not given out */
	struct bytes derp_map;   /* JSON object of DERPMap, copied */
	struct bytes
	    dns; /* JSON members of DNSConfig but Proxied; empty: own domain and reverse zones */
	span_t ephemeral_timeout; /* an ephemeral node without stream is removed after this */
	span_t key_expiry;        /* of node keys; 0: never */
	bool needs_approval;      /* new nodes wait for tailnet_node_approve */
};

struct tailnet *tailnet_new(const struct tailnet_conf *conf, struct err *e); /* NULL: e */
void tailnet_free(struct tailnet *t);
const struct key_pub *tailnet_key(const struct tailnet *t);
const char *tailnet_domain(const struct tailnet *t); /* the MagicDNS suffix */
/* GET /key?v=N: appends the JSON answer; version 0: none given */
MUST_USE int tailnet_key_answer(const struct tailnet *t, struct buf *out);

/* --- control connections (after the HTTP request head) --- */

struct session_id {
	uint32_t index, generation;
};
/* 0, -EPROTO (handshake refused: close), -ENOBUFS (limit), -ENOMEM */
MUST_USE int tailnet_open(struct tailnet *t, mono_t now, const uint8_t init[static NOISE_INIT_LEN],
			  const struct ipport *remote, struct session_id *id);
void tailnet_feed(struct tailnet *t, mono_t now, wall_t wall, struct session_id id,
		  struct bytes in);
size_t tailnet_pull(struct tailnet *t, mono_t now, struct session_id id, uint8_t *buf, size_t cap);
/* The session has ended and all that it had to say was pulled; TAILNET_HANGUP comes later too. */
bool tailnet_is_over(const struct tailnet *t, struct session_id id);
/* Its machine has a node here; anybody else may have made up its key on the spot. */
bool tailnet_is_of_node(const struct tailnet *t, struct session_id id);
void tailnet_closed(struct tailnet *t, mono_t now, wall_t wall,
		    struct session_id id); /* the stream ended */

/* --- what happened --- */

enum tailnet_event_type {
	TAILNET_OUTPUT,     /* session has bytes to pull */
	TAILNET_HANGUP,     /* session: close the connection and say so by tailnet_closed */
	TAILNET_STORE_USER, /* id: store tailnet_user_emit's text */
	TAILNET_STORE_KEY,  /* id: tailnet_authkey_emit */
	TAILNET_STORE_NODE, /* id: tailnet_node_emit */
	TAILNET_DELETE_USER,
	TAILNET_DELETE_KEY,
	TAILNET_DELETE_NODE, /* id */
	TAILNET_AUDIT,       /* text: one line, what was done, from whom; no secret */
};
struct tailnet_event {
	enum tailnet_event_type type;
	struct session_id session;
	int64_t id;
	const char *text; /* borrowed until the next call */
};
/* A line of the audit log: an event that ends with " from=WHO". That is the node whose request is
 * carried out, who was named last, or the server itself (timers, start, signals). */
void tailnet_audit(struct tailnet *t, const char *fmt, ...) PRINTF(2, 3);
/* What follows is asked for by who (copied, cut at TAILNET_ASKER_MAX - 1 bytes), as in
 * "192.0.2.7:41000 apikey=3"; NULL: by nobody any more. */
void tailnet_asked_by(struct tailnet *t, const char *who);
bool tailnet_next(struct tailnet *t, struct tailnet_event *ev);
/* A change could not be queued to be stored (no memory, or TAILNET_EVENTS_MAX of them): what is in
 * memory will not be on the disk, and nothing may leave any more. */
bool tailnet_is_torn(const struct tailnet *t);
bool tailnet_must_store(
    const struct tailnet *t); /* store events wait: nothing may be pulled before they are kept */
mono_t tailnet_deadline(const struct tailnet *t);
void tailnet_tick(struct tailnet *t, mono_t now, wall_t wall);

/* --- stored objects: one JSON text each; load before anything else --- */

MUST_USE int tailnet_user_emit(const struct tailnet *t, int64_t id,
			       struct buf *out); /* 0, -ENOENT, -ENOMEM */
MUST_USE int tailnet_authkey_emit(const struct tailnet *t, int64_t id, struct buf *out);
MUST_USE int tailnet_node_emit(const struct tailnet *t, int64_t id, struct buf *out);
/* The next ids: to be stored with each deletion, so that no id, and no address, serves again after
 * a restart what once was another's. */
MUST_USE int tailnet_ids_emit(const struct tailnet *t, struct buf *out); /* 0, -ENOMEM */
MUST_USE int tailnet_ids_load(struct tailnet *t, struct bytes json, struct err *e);
MUST_USE int tailnet_user_load(struct tailnet *t, struct bytes json, struct err *e);
MUST_USE int tailnet_authkey_load(struct tailnet *t, struct bytes json, struct err *e);
MUST_USE int tailnet_node_load(struct tailnet *t, struct bytes json, struct err *e);
struct json;
/* The texts of a list (tags) at the reader, behind the n that are in v; more than max fail the
 * reader. Returns how many are in v. */
size_t tailnet_read_labels(struct json *j, char (*v)[TAILNET_LABEL_MAX], size_t n, size_t max);

/* --- administration --- */

struct tailnet_user {
	int64_t id;
	char name[TAILNET_NAME_MAX], display[TAILNET_NAME_MAX];
	wall_t created;
};
/* -EEXIST: the name is taken; -EINVAL; -ENOBUFS */
MUST_USE int tailnet_user_add(struct tailnet *t, wall_t wall, const char *name, const char *display,
			      int64_t *id, struct err *e);
MUST_USE int tailnet_user_del(struct tailnet *t, wall_t wall, int64_t id,
			      struct err *e); /* -EBUSY: it still has nodes */
MUST_USE int tailnet_user_rename(struct tailnet *t, wall_t wall, int64_t id, const char *name,
				 struct err *e);
const struct tailnet_user *tailnet_user(const struct tailnet *t, int64_t id);
const struct tailnet_user *tailnet_user_named(const struct tailnet *t, const char *name);
const struct tailnet_user *tailnet_user_at(const struct tailnet *t,
					   size_t i); /* NULL: past the end */

enum { AUTHKEY_TEXT_MAX = 128, AUTHKEY_HASH = 32, AUTHKEY_PREFIX = 12 };
struct tailnet_authkey {
	int64_t id, user;                /* user 0: owned by its tags */
	char prefix[AUTHKEY_PREFIX + 1]; /* shown in lists */
	uint8_t hash[AUTHKEY_HASH];      /* BLAKE2b of the whole text; the text is shown once */
	bool reusable, ephemeral, used;
	wall_t created, expires; /* expires 0: never */
	size_t n_tags;
	char (*tags)[TAILNET_LABEL_MAX];
};
/* conf: user, reusable, ephemeral, expires, tags (copied); text gets the key */
MUST_USE int tailnet_authkey_add(struct tailnet *t, wall_t wall, const struct tailnet_authkey *conf,
				 char text[static AUTHKEY_TEXT_MAX], int64_t *id, struct err *e);
MUST_USE int tailnet_authkey_expire(struct tailnet *t, wall_t wall, int64_t id, struct err *e);
MUST_USE int tailnet_authkey_del(struct tailnet *t, wall_t wall, int64_t id, struct err *e);
const struct tailnet_authkey *tailnet_authkey(const struct tailnet *t, int64_t id);
const struct tailnet_authkey *tailnet_authkey_at(const struct tailnet *t, size_t i);

struct tailnet_node {
	int64_t id, user, authkey;
	struct key_pub machine, node, disco;
	struct ip v4, v6;                /* zero: none */
	char hostname[TAILNET_NAME_MAX]; /* as the node says */
	char given[TAILNET_LABEL_MAX];   /* DNS label, unique */
	char os[32];
	wall_t created, last_seen, expiry; /* expiry 0: never */
	bool ephemeral, approved, online;
	bool logged_out; /* by itself: its key is over whatever the clock says */
	bool silent;     /* a subnet router that is online and does not answer */
	int cap;
	uint16_t home;
	size_t n_tags, n_endpoints, n_routes, n_approved;
	char (*tags)[TAILNET_LABEL_MAX];
	struct ipport *endpoints;
	uint8_t *endpoint_types;
	struct ipprefix *routes; /* announced */
	struct ipprefix *approved_routes;
	char *hostinfo; /* JSON object text */
};
const struct tailnet_node *tailnet_node(const struct tailnet *t, int64_t id);
const struct tailnet_node *tailnet_node_at(const struct tailnet *t, size_t i);
/* All in turn, *cursor 0 at first; NULL: that was the last. Nodes may be changed meanwhile, not
 * removed. */
const struct tailnet_node *tailnet_node_each(const struct tailnet *t, size_t *cursor);
const struct tailnet_node *tailnet_node_by_key(const struct tailnet *t, const struct key_pub *node);
bool tailnet_node_expired(const struct tailnet_node *n, wall_t wall);
MUST_USE int tailnet_node_del(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
			      struct err *e);
MUST_USE int tailnet_node_expire(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
				 struct err *e);
MUST_USE int tailnet_node_rename(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
				 const char *name, struct err *e);
MUST_USE int tailnet_node_set_tags(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
				   const char *const *tags, size_t n, struct err *e);
MUST_USE int tailnet_node_approve(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
				  struct err *e);
MUST_USE int tailnet_node_approve_routes(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
					 const struct ipprefix *v, size_t n, struct err *e);

/* Interactive login: the part of the URL behind /register/ is named and given to a user. -ENOENT:
 * unknown or too late */
MUST_USE int tailnet_login_approve(struct tailnet *t, mono_t now, wall_t wall, const char *login,
				   int64_t user, int64_t *node, struct err *e);
MUST_USE int tailnet_login_reject(struct tailnet *t, mono_t now, const char *login, struct err *e);
/* What waits under that name, for the page that shows it: the host name it gave. false: nothing */
bool tailnet_login_waits(const struct tailnet *t, mono_t now, const char *login,
			 char host[static TAILNET_NAME_MAX]);

/* An ssh session that waits (rules with the action check), by the name its user was told. -ENOENT:
 * unknown, too late or decided already */
MUST_USE int tailnet_ssh_decide(struct tailnet *t, mono_t now, const char *check, bool accept,
				struct err *e);

/* The new policy is in force for all streams at once; NULL: allow all. Takes ownership. */
void tailnet_set_policy(struct tailnet *t, mono_t now, struct policy *p);
/* The policy's own tests against the nodes there are: 0 or -EINVAL with e. */
MUST_USE int tailnet_policy_test(struct tailnet *t, struct policy *p, struct err *e);
const struct policy *tailnet_policy(const struct tailnet *t);
MUST_USE int tailnet_set_derp_map(struct tailnet *t, mono_t now, struct bytes json);

struct tailnet_stat {
	size_t users, keys, nodes, online, sessions, streams;
	uint64_t registrations, refused, maps_sent, map_bytes;
	uint64_t malformed;         /* records, frames and requests of clients that were none */
	uint64_t probes, failovers; /* of routers */
};
void tailnet_stat(const struct tailnet *t, struct tailnet_stat *st);

#endif
