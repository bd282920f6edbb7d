/* derp/server.h - a relay: many connections, packets switched by node key, pure (data-plane.md 3.4)
 *
 * The caller owns sockets; a connection here is an index with a generation. The HTTP request head
 * (GET /derp with Upgrade) is the caller's or derp_server_accept_http's business.
 */
#ifndef DERP_SERVER_H
#define DERP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"

struct derp_client;
struct derp_server;

struct derp_server_conf {
	struct rng *rng;
	struct key_priv key;
	size_t max_conns;
	size_t queue_bytes;              /* of one connection's packets that wait; 0: 512 KiB */
	char mesh_key[65];               /* empty: no mesh */
	bool verify;                     /* every client waits for derp_server_admit */
	uint64_t rate_bytes, rate_burst; /* per client, 0: unlimited */
	size_t total_bytes;              /* of all connections' packets that wait; 0: 64 MiB */
};
struct derp_server *derp_server_new(const struct derp_server_conf *conf); /* NULL: out of memory */
void derp_server_free(struct derp_server *s);
const struct key_pub *derp_server_key(const struct derp_server *s);

struct derp_conn_id {
	uint32_t index, generation;
};
/* A new stream whose HTTP request was read. fast_start: no HTTP answer is sent (Derp-Fast-Start:
 * 1), else the 101 head comes first out of derp_server_pull. 0, -ENOSPC, -ENOMEM */
MUST_USE int derp_server_open(struct derp_server *s, mono_t now, const struct ipport *remote,
			      bool fast_start, struct derp_conn_id *id);
void derp_server_close(struct derp_server *s, mono_t now,
		       struct derp_conn_id id); /* the stream ended */
void derp_server_feed(struct derp_server *s, mono_t now, struct derp_conn_id id, struct bytes in);
/* Pull only what the stream takes: 2 s of output without a pull (30 s for a mesh peer) ends the
 * connection. */
size_t derp_server_pull(struct derp_server *s, mono_t now, struct derp_conn_id id, uint8_t *buf,
			size_t cap);
bool derp_server_wants_read(const struct derp_server *s,
			    struct derp_conn_id id); /* false: rate limited, stop reading */
bool derp_server_is_client(const struct derp_server *s,
			   struct derp_conn_id id); /* it has logged in and was let in */
void derp_server_admit(struct derp_server *s, mono_t now, struct derp_conn_id id, bool allow);

enum derp_server_event_type {
	DERP_SRV_OUTPUT,   /* id has bytes to pull (once until pulled dry) */
	DERP_SRV_VERIFY,   /* id, key, remote: is this node known? answer with derp_server_admit */
	DERP_SRV_HANGUP,   /* id: close the stream; reason; id is dead */
	DERP_SRV_READABLE, /* id may be read again (rate limit) */
};
struct derp_server_event {
	enum derp_server_event_type type;
	struct derp_conn_id id;
	struct key_pub key;
	struct ipport remote;
	const char *reason;
};
bool derp_server_next(struct derp_server *s, struct derp_server_event *ev);

/* --- mesh: each relay is a client of the others (derp_client with mesh_key), and forwards over
 * these links --- */

enum { DERP_LINKS_MAX = 16 };
/* The link stays the caller's; packets for its clients are queued on it, so look at
 * derp_client_has_output after feeding the server. 0 or -ENOSPC */
MUST_USE int derp_server_link_add(struct derp_server *s, struct derp_client *link);
void derp_server_link_del(struct derp_server *s, mono_t now,
			  struct derp_client *link); /* before the link dies */
/* The link's client is there, or not any more (DERP_EV_PEER_PRESENT, DERP_EV_PEER_GONE) */
void derp_server_link_peer(struct derp_server *s, mono_t now, struct derp_client *link,
			   const struct key_pub *key, bool is_present);

/* --- counters --- */

enum derp_drop { /* packets; the first six as data-plane.md 3.4 */
		 DERP_DROP_UNKNOWN_DEST,
		 DERP_DROP_UNKNOWN_DEST_ON_FWD,
		 DERP_DROP_GONE_DISCONNECTED,
		 DERP_DROP_QUEUE_HEAD,
		 DERP_DROP_QUEUE_TAIL,
		 DERP_DROP_WRITE_ERROR,
		 DERP_DROP_N,
};
const char *derp_drop_name(enum derp_drop d);
struct derp_server_stats {
	uint64_t accepts, packets_in, bytes_in, packets_out, bytes_out, forwarded_in, forwarded_out;
	uint64_t gone_disconnected, gone_not_here; /* PeerGone frames sent */
	uint64_t malformed;      /* frames, and connections that were ended for one */
	uint64_t unknown_frames; /* of a type that we do not know, passed over */
	uint64_t dropped[DERP_DROP_N];
	size_t conns, clients, homes; /* present: streams, node keys, those who call us home */
};
const struct derp_server_stats *derp_server_stats(const struct derp_server *s);

mono_t derp_server_deadline(const struct derp_server *s);
void derp_server_tick(struct derp_server *s, mono_t now);

#endif
