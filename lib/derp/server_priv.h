/* derp/server_priv.h - what the parts of the relay share: connections, peers by node key, timers,
 * events
 *
 * A conn is one stream. A peer is one node key, with the conns that have it (the first one is
 * active: it gets the packets) and the mesh links it can be reached over. An edge remembers that a
 * conn was sent packets of a peer, so that it is told when that peer disconnects.
 *
 * Who may die where: conn_kill takes a conn out of everything but its slot, at once; the slot lives
 * until the HANGUP event is pulled or the caller closes it. Whoever calls something that may kill
 * looks at the state afterwards.
 */
#ifndef DERP_SERVER_PRIV_H
#define DERP_SERVER_PRIV_H

#include "crypto/box.h"
#include "derp/frame.h"
#include "derp/queue.h"
#include "derp/server.h"

enum { /* data-plane.md 3.3, 3.4; seconds */
       KEEPALIVE_S = 60,
       KEEPALIVE_JITTER_S = 5,
       LOGIN_S = 10,
       WRITE_S = 2,
       WRITE_MESH_S = 30,
       GONE_BURST = 3, /* PeerGone "not here", 1 a second */
       QUEUE_DEPTH = 32,
};

enum { /* ours */
       CONTROL_MAX =
	   4096, /* bytes of a client's control frames that wait; further ones are not sent */
       CONTROL_MESH_MAX =
	   1 << 20, /* a mesh peer that does not read them is hung up: its picture would be wrong */
       WATCHERS_MAX = 32,          /* mesh peers that watch */
       EDGES_MAX = 1024,           /* of one conn; further sources are not remembered */
       EDGES_PER_CONN = 32,        /* of all conns on average */
       INPUT_KEEP = 8192,          /* input buffers above this are freed when empty */
       INPUT_TOTAL_MIN = 16 << 20, /* all input buffers: this and INPUT_KEEP a conn */
       FEED_STEP = 4096, /* input is looked at in such pieces, so that little has to be kept */
       QUEUE_BYTES = 512 << 10, /* of one conn, when not configured */
       TOTAL_BYTES = 64 << 20,
       SPARE_BLOCKS = 512,
       SHARE =
	   8, /* a conn's data may hold this part of the blocks that are free, so some always are */
};

enum conn_state { CONN_LOGIN, CONN_VERIFY, CONN_LIVE, CONN_DEAD };
enum { WANT_VERIFY = 1, WANT_READABLE = 2, WANT_OUTPUT = 4, WANT_HANGUP = 8 };

struct edge {
	struct peer *from;
	struct conn *to;
	struct edge *from_next, **from_link; /* in peer.edges */
	struct edge *to_next, **to_link;     /* in conn.edges */
	struct edge *hash_next;
};

struct peer {
	struct key_pub key;
	struct peer *hash_next;
	struct conn *conns; /* the active one first */
	struct edge *edges;
	uint32_t links; /* bit i: present behind s->links[i] */
};

struct conn {
	struct derp_conn_id id;
	enum conn_state state;
	struct ipport remote;
	struct key_pub key;
	struct peer *peer; /* when CONN_LIVE */
	struct conn *peer_next;
	struct edge *edges;
	size_t n_edges;
	bool is_mesh, is_prober, is_home, is_watcher;
	bool output_told;
	uint32_t dump_at; /* watcher: slots below were told */
	struct derp_input in;
	struct derp_writer out;
	struct derp_queue data, disco;
	bool disco_turn;
	double tokens; /* rate limit; below zero: not read */
	mono_t tokens_at;
	unsigned gone_tokens;
	mono_t gone_at;
	mono_t login_by, keepalive_at, write_by, read_at; /* MONO_NEVER: not armed */
	mono_t heap_key;
	size_t heap_at;
	unsigned wants;
	struct conn *event_next;
	bool in_events;
	const char *reason;
	uint8_t shared[BOX_SHARED];
};

struct derp_server {
	struct derp_server_conf conf;
	struct key_priv *key; /* secret_new; conf has none */
	struct key_pub pub;
	struct derp_server_stats stats;
	struct conn **slots; /* conf.max_conns */
	uint32_t *generations, *free_slots;
	size_t n_free;
	struct conn **heap; /* by heap_key, which is never later than the conn's deadline */
	size_t n_heap;
	struct peer **peers; /* n_buckets */
	struct edge **edges; /* n_buckets */
	size_t n_buckets, n_peers, n_edges;
	uint64_t hash_key[8];
	struct conn *watchers[WATCHERS_MAX];
	struct derp_client *links[DERP_LINKS_MAX];
	struct derp_pool pool;
	size_t input_bytes, input_max;
	struct conn *event_head, *event_tail;
};

/* conn.c */
void conn_feed(struct derp_server *s, mono_t now, struct conn *c, struct bytes in);
size_t conn_pull(struct derp_server *s, mono_t now, struct conn *c, uint8_t *buf, size_t cap);
bool conn_begin(struct derp_server *s, mono_t now, struct conn *c,
		bool fast_start); /* false: out of memory */
void conn_admit(struct derp_server *s, mono_t now, struct conn *c);
/* A control frame; false: no room */
bool conn_control(struct derp_server *s, mono_t now, struct conn *c, enum derp_frame_type type,
		  struct bytes body);
void conn_deliver(struct derp_server *s, mono_t now, struct conn *c, const struct key_pub *from,
		  struct bytes packet);
void conn_keepalive(struct derp_server *s, mono_t now,
		    struct conn *c);                               /* sends one and arms the next */
void conn_wake(struct derp_server *s, mono_t now, struct conn *c); /* it has output */

/* server.c */
void conn_kill(struct derp_server *s, mono_t now, struct conn *c, const char *reason,
	       enum derp_drop drop);
void conn_want(struct derp_server *s, struct conn *c, unsigned what);
void conn_rearm(struct derp_server *s, struct conn *c);

/* peer.c */
bool peers_init(struct derp_server *s);
void peers_fini(struct derp_server *s);
struct peer *peer_find(const struct derp_server *s, const struct key_pub *key);
bool peer_join(struct derp_server *s, struct conn *c); /* false: out of memory */
void peer_leave(struct derp_server *s, mono_t now, struct conn *c);
void peer_wrote(struct conn *c); /* it becomes the active one of its key */
void peer_link(struct derp_server *s, mono_t now, const struct key_pub *key, unsigned link,
	       bool is_present);
void peer_unlink_all(struct derp_server *s, mono_t now, unsigned link);
void edge_note(struct derp_server *s, struct peer *from, struct conn *to);
void edges_drop(struct derp_server *s, struct conn *to);

/* mesh.c */
bool mesh_watch(struct derp_server *s, struct conn *c); /* false: too many */
void mesh_leave(struct derp_server *s, struct conn *c);
void mesh_present(struct derp_server *s, mono_t now, const struct conn *c);
void mesh_gone(struct derp_server *s, mono_t now, const struct key_pub *key);
bool mesh_dump(struct derp_server *s,
	       struct conn *c); /* one more PeerPresent; false: all are told */
bool mesh_forward(struct derp_server *s, const struct peer *p, const struct key_pub *from,
		  struct bytes packet);

#endif
