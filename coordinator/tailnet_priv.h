/* coordinator/tailnet_priv.h - what the files of the pure control server share */
#ifndef COORDINATOR_TAILNET_PRIV_H
#define COORDINATOR_TAILNET_PRIV_H

#include "base/json.h"
#include "base/log.h"
#include "coordinator/index.h"
#include "coordinator/tailnet.h"
#include "ts2021/server.h"

enum {
	TAILNET_EVENTS_MAX =
	    1 << 20, /* store and audit events that wait; the carrier takes all in every turn */
	TAILNET_FRAME_MAX = 64 << 20,
	TAILNET_QUEUE_MAX = 4 << 20, /* bytes queued for one stream before it is cut off as too
					slow; one frame alone may be larger */
	TAILNET_LOGIN_S = 900,
	TAILNET_SCAN_S = 5, /* sessions are asked for their deadlines this often */
	TAILNET_LOGIN_ID = 24,
	TAILNET_STRANGER_BODIES = 32 << 10, /* of a connection whose machine has no node */
	TAILNET_PROBE_ID = 16,              /* bytes at random; nobody else can answer */
};

/* A node in its slot. Slots of deleted nodes stay dead until every stream has been told. */
struct tnode {
	struct tailnet_node pub;
	bool used, dead, store_dirty, expiry_told, in_changed, in_touched;
	unsigned n_streams;
	uint32_t stream[TAILNET_STREAMS_PER_NODE]; /* where they are */
	uint32_t next_free;                        /* of a slot that is not used */
	struct ipprefix *active; /* announced and approved: as the policy sees it */
	size_t n_active;
	uint64_t served; /* hash of the routes it served at the last flush */
	uint64_t primary[TAILNET_ROUTES_MAX / 64]; /* the same, a bit for an approved route */
	uint64_t full_seq, patch_seq; /* when it last changed, in steps of tailnet.seq */
	mono_t offline_at, remove_at; /* MONO_NEVER: not pending */
	mono_t probe_by;              /* an answer is waited for until then; MONO_NEVER: none */
	uint8_t probe[TAILNET_PROBE_ID];
};

struct told { /* the routes of a peer as a stream has them */
	uint32_t slot;
	uint64_t routes; /* a hash; 0: none */
};

struct stream { /* one open map stream */
	struct session_id session;
	int32_t h2;
	size_t slot; /* of the node */
	bool zstd, started, self_dirty, gone;
	bool is_alone; /* its node was not approved yet at the last frame */
	uint64_t seen; /* tailnet.seq at the last frame */
	mono_t keepalive_at;
	uint8_t *sent; /* bitmap by slot: this stream knows that peer */
	size_t sent_bits;
	struct told *told; /* of routers, by slot */
	size_t n_told, cap_told;
	uint64_t filter_hash, ssh_hash;
	bool has_ssh;
};

struct session {
	struct ts2021_server *conn;
	uint32_t generation;
	struct ipport remote;
	struct key_pub machine;
	bool used, has_output, hangup, in_ready, is_of_node;
	unsigned n_streams;
	uint64_t malformed; /* of conn, as counted in tailnet_stat */
	uint32_t next;      /* of those that have something to tell, or of the free ones */
};
enum { NO_INDEX = UINT32_MAX };

struct delta { /* what a stream must be told of a slot */
	uint32_t slot;
	enum delta_what { DELTA_NONE, DELTA_FULL, DELTA_PATCH, DELTA_REMOVE } what;
	uint64_t routes; /* whole: those that the stream is told, as in struct told */
};
enum {
	FRAMES_KEPT = 1024,           /* different frames of one telling, each made once */
	FRAMES_KEPT_BYTES = 32 << 20, /* of them; further ones are made for each stream */
};
struct kept_frame {
	size_t list_at, n_list, at, len; /* in deltas and bytes of the cache */
	bool zstd;
};

struct login { /* an interactive login that waits for a person */
	char id[TAILNET_LOGIN_ID + 1];
	struct key_pub machine, node;
	char *hostinfo;
	int cap;
	bool ephemeral;
	struct ip from; /* who asked */
	mono_t expires;
	struct session_id waiter;
	int32_t waiter_h2; /* 0: nobody waits */
};

struct ssh_check { /* a session that waits for a person (sshcheck.c) */
	char id[TAILNET_LOGIN_ID + 1];
	int64_t src, dst; /* nodes */
	enum { SSH_WAITS, SSH_ACCEPTED, SSH_REJECTED } verdict;
	mono_t expires;
	struct session_id waiter;
	int32_t waiter_h2; /* 0: nobody waits */
};
struct ssh_pass { /* a pair of nodes whose check was approved */
	int64_t src, dst;
	mono_t at;
};

struct tailnet {
	struct tailnet_conf conf;
	char url[512], domain[TAILNET_NAME_MAX];
	struct buf derp_map, dns;
	struct key_priv *key; /* secret_new; conf has none */
	struct key_pub pub;
	struct policy *policy;

	uint8_t hash_key[16];
	struct tailnet_user **users; /* one by one: policies point to their names */
	size_t n_users, cap_users;
	struct index users_by_id, users_by_name;
	struct tailnet_authkey *keys;
	size_t n_keys, cap_keys;
	struct index keys_by_id, keys_by_hash;
	struct tnode *nodes;
	size_t n_slots, cap_slots, n_nodes;
	uint32_t free_slot; /* first of a list */
	struct index by_id, by_key, by_machine, by_label, by_address;
	uint32_t *routers; /* slots of nodes with approved routes */
	size_t n_routers;
	bool routers_stale, routes_dirty;
	mono_t probe_at; /* routers are asked again */
	struct session *sessions;
	size_t n_sessions, cap_sessions;
	uint32_t free_session, ready_first, ready_last;
	struct index sessions_by_machine;
	struct stream *streams;
	size_t n_streams, cap_streams;
	struct login *logins;
	size_t n_logins, cap_logins;
	struct ssh_check *checks;
	size_t n_checks, cap_checks;
	struct ssh_pass *passes;
	size_t n_passes, cap_passes;
	char ssh_url[640];
	int64_t next_user, next_key, next_node;

	uint64_t seq;      /* counts changes */
	uint32_t *changed; /* slots that changed since the last telling */
	size_t n_changed;
	struct delta *deltas; /* scratch */
	size_t n_deltas;
	struct {
		struct delta *deltas;
		size_t n_deltas, cap_deltas, n;
		struct kept_frame v[FRAMES_KEPT];
		struct buf bytes;
		struct index by_list;
	} kept;
	mono_t flush_at, scan_at, told_at;
	bool is_torn;      /* tailnet_is_torn */
	uint64_t derp_seq; /* when the relay map changed */
	bool policy_dirty; /* visibility or filters may have changed for anybody */

	struct queued {
		enum tailnet_event_type type;
		int64_t id;
		char *text;
	} * events;
	size_t ev_head, n_events, cap_events;
	char *text;    /* of the event handed out last */
	struct asker { /* of what is carried out now; all zero: the server itself */
		char who[TAILNET_ASKER_MAX];
		bool is_node;
		struct ipport remote; /* of a node */
		struct key_pub machine;
	} asker;

	void *zstd;               /* ZSTD_CCtx, shared by all streams */
	struct buf frame, packed; /* scratch */
	struct policy_node *view; /* nodes as the policy sees them, by slot */
	uint32_t *touched;        /* slots whose place in the view is out of date */
	size_t n_touched;
	bool view_stale; /* the policy has to look at all of them */
	struct tailnet_stat stat;
};

/* events.c */
void tailnet_emit(struct tailnet *t, enum tailnet_event_type type, int64_t id);
/* The node of that connection asks for what follows; NULL: nobody any more */
void tailnet_asked_by_node(struct tailnet *t, const struct session *s);

/* accounts.c */
struct tailnet_authkey *authkey_find(struct tailnet *t,
				     struct bytes text); /* by hash, constant time per key */

uint64_t tailnet_hash(const struct tailnet *t, const void *data, size_t len);
struct tailnet_user *user_new(struct tailnet *t, const struct tailnet_user *u); /* NULL: limit */
/* A copy with tags of its own, found from now on; NULL: limit or memory */
struct tailnet_authkey *authkey_new(struct tailnet *t, const struct tailnet_authkey *k);

/* slots.c: the nodes there are, found by id, keys, label, address */
struct tnode *node_slot(struct tailnet *t, int64_t id);
bool machine_has_node(const struct tailnet *t, const struct key_pub *machine);
struct tnode *node_by_machine(struct tailnet *t, const struct key_pub *machine, int64_t owner,
			      bool tagged);
struct tnode *node_by_key(struct tailnet *t, const struct key_pub *node);
/* A slot for a node with these facts, known by id and machine; NULL: limit or memory. */
struct tnode *slot_new(struct tailnet *t, const struct tnode *facts);
void slot_set_key(struct tailnet *t, struct tnode *n, const struct key_pub *key);
void slot_set_label(struct tailnet *t, struct tnode *n, const char *label);
bool label_taken(const struct tailnet *t, const struct tnode *self, const char *label);
bool address_taken(const struct tailnet *t, const struct ip *a);
void slot_set_addresses(struct tailnet *t, struct tnode *n, const struct ip *v4,
			const struct ip *v6);
void slot_bury(struct tailnet *t, struct tnode *n); /* dead: not found any more but its addresses */
void slot_free(struct tailnet *t, struct tnode *n); /* the slot is free again */
void node_note(struct tailnet *t, struct tnode *n); /* it belongs to the next telling */

/* nodes.c */
/* NULL: limit or memory. The caller fills in and then calls node_changed. */
struct tnode *node_create(struct tailnet *t, wall_t wall, const struct key_pub *machine,
			  const struct key_pub *node);
void node_remove(struct tailnet *t, mono_t now, struct tnode *n);
void node_set_hostinfo(struct tailnet *t, struct tnode *n,
		       struct bytes json); /* also hostname, os, routes, home, label at first */
void node_changed(struct tailnet *t, mono_t now, struct tnode *n); /* whole: peers get it anew */
void node_patched(struct tailnet *t, mono_t now,
		  struct tnode *n); /* endpoints, home, disco, online */
bool node_set_tags(struct tnode *n, const char *const *tags, size_t count);
void node_store(struct tailnet *t, struct tnode *n);
void node_whole(struct tailnet *t, struct tnode *n); /* the same without storing it */
void node_fini(struct tnode *n);
bool node_has_route(const struct ipprefix *v, size_t n, const struct ipprefix *route);
void node_find_routers(struct tailnet *t);
/* Nodes whose routes went to or came from another router, by whatever changed since the last flush,
 * are told anew. */
void node_routes_moved(struct tailnet *t);
void node_auto_approve(struct tailnet *t, struct tnode *n);
bool node_allocate(struct tailnet *t, struct tnode *n); /* addresses */

/* register.c, map.c: one complete request */
void register_request(struct tailnet *t, mono_t now, wall_t wall, struct session_id id, int32_t h2,
		      struct bytes body);
void map_request(struct tailnet *t, mono_t now, wall_t wall, struct session_id id, int32_t h2,
		 struct bytes body);
void map_stream_gone(struct tailnet *t, mono_t now, struct session_id id,
		     int32_t h2);                    /* h2 0: all of the session */
mono_t map_keepalive(struct tailnet *t, mono_t now); /* when a stream that was sent to now is due */
void map_cut_off(struct tailnet *t, mono_t now, size_t i, const char *why); /* a stream */
mono_t map_scan(struct tailnet *t, mono_t now,
		wall_t wall); /* keep-alives, offline, ephemeral, expiry; when next */
/* sshcheck.c */
/* true: the target was one of ssh checks, and is answered or will be */
bool sshcheck_request(struct tailnet *t, mono_t now, struct session_id id, int32_t h2,
		      const char *target);
void sshchecks_expire(struct tailnet *t, mono_t now);
void sshcheck_gone(struct tailnet *t, struct session_id id, int32_t h2); /* h2 0: all of it */
const char *sshcheck_url(struct tailnet *t); /* HoldAndDelegate of rules; until the next call */

/* ha.c: do routers of the same subnet live? */
mono_t ha_scan(struct tailnet *t, mono_t now); /* when next */
void ha_alive(struct tailnet *t, mono_t now, struct tnode *n);
/* A request of a node over Noise; true: it proves that the node lives */
bool ha_answer(struct tailnet *t, mono_t now, const struct key_pub *machine, const char *target);

/* frames.c */
void map_flush(struct tailnet *t, mono_t now, wall_t wall);
bool frame_first(struct tailnet *t, mono_t now, wall_t wall, struct stream *s);
bool frame_send(struct tailnet *t, struct stream *s); /* what t->frame holds; false: cut it off */
void login_gone(struct tailnet *t, struct session_id id, int32_t h2);
/* A name that a stranger cannot guess, of what an administrator decides on: for an address and for
 * a command line, so it begins with a letter, never with a dash. */
void login_id(struct tailnet *t, char id[static TAILNET_LOGIN_ID + 1]);
void logins_expire(struct tailnet *t, mono_t now);

/* routes.c */
/* Routes of n that the node in slot viewer is told; out may be NULL, n_out too. A hash of them (0:
 * none). After view_make and node_routes_moved. */
uint64_t routes_seen(struct tailnet *t, uint32_t viewer, const struct tnode *n,
		     struct policy_route out[TAILNET_ROUTES_MAX], size_t *n_out);
uint64_t routes_told(const struct stream *s, uint32_t slot);
bool routes_tell(struct stream *s, uint32_t slot, uint64_t routes); /* false: no memory */

/* mapjson.c */
/* As the node in slot viewer is told; its own slot: itself */
void mapjson_node(struct tailnet *t, struct jsonw *w, const struct tnode *n, uint32_t viewer,
		  wall_t wall);
void mapjson_patch(struct jsonw *w, const struct tnode *n, wall_t wall);
void mapjson_user(struct tailnet *t, struct jsonw *w, const struct tnode *n);
void mapjson_dns(struct tailnet *t, struct jsonw *w);
enum { TAGGED_USER = 2147455555 }; /* control-protocol.md 3.4: id shown as owner of tagged nodes */

/* session.c */
struct session *session_get(const struct tailnet *t, struct session_id id);
void session_output(struct tailnet *t, struct session_id id);
bool session_event(struct tailnet *t, struct tailnet_event *ev); /* the next output or hangup */
void session_reply(struct tailnet *t, struct session_id id, int32_t h2, unsigned status,
		   const char *type, struct bytes body);

/* view.c: nodes as the policy sees them */
bool view_make(struct tailnet *t); /* false: no memory */
void view_touch(struct tailnet *t, struct tnode *n);
struct policy_node view_node(const struct tailnet *t, const struct tnode *n);

static inline uint32_t slot_of(const struct tailnet *t, const struct tnode *n)
{
	return (uint32_t)(n - t->nodes);
}

/* How long the whole tailnet is left alone between two tellings or scans */
static inline span_t tailnet_pace(const struct tailnet *t)
{
	return SPAN_US((int64_t)t->n_streams * TAILNET_PACE_US);
}

static inline bool session_eq(struct session_id a, struct session_id b)
{
	return a.index == b.index && a.generation == b.generation;
}

/* stored.c: a key as text; empty leaves it as it is, anything else that is no key fails the reader
 */
void tailnet_read_key(struct json *j, enum key_kind kind, struct key_pub *k);

#endif
