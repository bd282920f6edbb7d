/* derp/client.h - client end of one DERP connection over a byte stream, pure (data-plane.md 3)
 *
 * The stream (TCP or TLS) is the caller's. Starts with the HTTP upgrade, then frames.
 */
#ifndef DERP_CLIENT_H
#define DERP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"

struct derp_client;

struct derp_client_conf {
        struct rng *rng;
        struct key_priv node;
        const char *host;      /* for the Host header; copied */
        const char *app;       /* AppName, may be NULL */
        bool is_home;          /* NotePreferred right after the handshake */
        const char *mesh_key;  /* 64 hex or NULL */
};
struct derp_client *derp_client_new(const struct derp_client_conf *conf, mono_t now); /* NULL: out of memory */
void derp_client_free(struct derp_client *c);

void derp_client_feed(struct derp_client *c, mono_t now, struct bytes in); /* takes all, or the connection is dead (CLOSED event) */
size_t derp_client_pull(struct derp_client *c, mono_t now, uint8_t *buf, size_t cap); /* bytes to send; 0: nothing */
bool derp_client_has_output(const struct derp_client *c);
/* Queues a packet; never blocks: DERP_QUEUE_MAX packets, head drop. false: too long, or the connection is dead */
bool derp_client_send(struct derp_client *c, const struct key_pub *to, const uint8_t *data, size_t len);
void derp_client_set_home(struct derp_client *c, bool is_home);
void derp_client_ping(struct derp_client *c, mono_t now); /* a Pong gives DERP_EV_PONG; none in 5 s closes */

enum { DERP_QUEUE_MAX = 256, DERP_PACKET_MAX = 65536, DERP_FRAME_MAX = 1 << 20 };

enum derp_event_type {
        DERP_EV_READY,     /* ServerInfo received: usable */
        DERP_EV_PACKET,    /* from, data (borrowed until the next call) */
        DERP_EV_PEER_GONE, /* from, reason */
        DERP_EV_PEER_PRESENT, /* from; mesh watchers only */
        DERP_EV_HEALTH,    /* text; empty: healthy */
        DERP_EV_RESTARTING,/* reconnect_in */
        DERP_EV_PONG,      /* rtt */
        DERP_EV_CLOSED,    /* text says why; the last event */
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
mono_t derp_client_deadline(const struct derp_client *c); /* 120 s without a frame is death; 10 s for the handshake */
void derp_client_tick(struct derp_client *c, mono_t now);
const struct key_pub *derp_client_server_key(const struct derp_client *c); /* NULL before ServerKey */

#endif
