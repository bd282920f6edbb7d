/* derp/client.h - client end of one DERP connection over a byte stream, pure (data-plane.md 3)
 *
 * The stream (TCP or TLS) is the caller's. Starts with the HTTP upgrade, then frames. What is
 * pulled is gone: pull only what the stream takes, or keep the rest.
 */
#ifndef DERP_CLIENT_H
#define DERP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "derp/frame.h"

struct derp_client;

struct derp_client_conf {
	struct rng *rng;
	struct key_priv node;
	const char *host;     /* for the Host header; copied */
	const char *app;      /* AppName, may be NULL */
	bool is_home;         /* NotePreferred right after the handshake */
	const char *mesh_key; /* 64 hex or NULL */
};
struct derp_client *derp_client_new(const struct derp_client_conf *conf,
				    mono_t now); /* NULL: out of memory */
void derp_client_free(struct derp_client *c);

/* Events must be pulled until there are none before more is fed: at most DERP_INPUT_MAX bytes wait
 * inside. */
void derp_client_feed(struct derp_client *c, mono_t now,
		      struct bytes in); /* takes all, or the connection is dead (CLOSED event) */
size_t derp_client_pull(struct derp_client *c, mono_t now, uint8_t *buf,
			size_t cap); /* bytes to send; 0: nothing */
bool derp_client_has_output(const struct derp_client *c);
/* Queues a packet; never blocks: DERP_QUEUE_MAX packets, head drop. false: too long, or the
 * connection is dead */
bool derp_client_send(struct derp_client *c, const struct key_pub *to, const uint8_t *data,
		      size_t len);
/* What waits for that node is dropped: it is no peer any more. */
void derp_client_forget(struct derp_client *c, const struct key_pub *to);
void derp_client_set_home(struct derp_client *c, bool is_home);
void derp_client_ping(struct derp_client *c,
		      mono_t now); /* a Pong gives DERP_EV_PONG; none in 5 s closes */

/* ours: packets that wait, and the memory they wait in; the oldest goes first */
enum { DERP_QUEUE_MAX = 256, DERP_QUEUE_BLOCKS = 512 };
enum { /* data-plane.md 3.3, seconds */
       DERP_READ_TIMEOUT_S = 120,
       DERP_PING_WAIT_S = 5,
       DERP_LOGIN_TIMEOUT_S = 10,
};

enum derp_event_type {
	DERP_EV_READY,        /* ServerInfo received: usable */
	DERP_EV_PACKET,       /* from, data (borrowed until the next call) */
	DERP_EV_PEER_GONE,    /* from, reason */
	DERP_EV_PEER_PRESENT, /* from; mesh watchers only */
	DERP_EV_HEALTH,       /* text; empty: healthy */
	DERP_EV_RESTARTING,   /* reconnect_in */
	DERP_EV_PONG,         /* rtt */
	DERP_EV_CLOSED,       /* text says why; the last event */
};
struct derp_event {
	enum derp_event_type type;
	struct key_pub from;
	struct bytes data;
	uint8_t reason;
	span_t rtt, reconnect_in;
	const char *text;
};
bool derp_client_next(struct derp_client *c, struct derp_event *ev);
mono_t derp_client_deadline(
    const struct derp_client *c); /* 120 s without a frame is death; 10 s for the handshake */
void derp_client_tick(struct derp_client *c, mono_t now);
/* For a relay's mesh only: be told who is connected; a packet of another client, one hop on */
void derp_client_watch(struct derp_client *c);
bool derp_client_forward(struct derp_client *c, const struct key_pub *from,
			 const struct key_pub *to, struct bytes packet);

struct derp_client_stats {
	uint64_t sent, received; /* packets */
	uint64_t dropped_queue,
	    dropped_rate; /* of ours: queue or memory full; over the relay's own limit */
	uint64_t malformed, unknown, pings_dropped; /* frames without effect */
};
const struct derp_client_stats *derp_client_stats(const struct derp_client *c);
const struct key_pub *
derp_client_server_key(const struct derp_client *c); /* NULL before ServerKey */

#endif
