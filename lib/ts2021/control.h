/* ts2021/control.h - client of a control server: key, Noise, HTTP/2, register, map stream; pure
 * (control-protocol.md)
 *
 * One machine that knows when to dial, log in, stream, send lite updates, back off and log in
 * again. Streams are the caller's: CONTROL_DIAL asks for one (plain TCP or verified TLS), bytes
 * cross by control_feed / control_pull. The map stream comes out as the decompressed JSON of each
 * frame in pieces (CONTROL_MAP_BEGIN, _DATA..., _END); a frame that is cut off ends in
 * CONTROL_MAP_ABORT and must have no effect.
 */
#ifndef TS2021_CONTROL_H
#define TS2021_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "ts2021/ping.h"

/* What this version promises; docs/protocol/capability.md lists it, and each promise has a test. */
enum { CONTROL_CAPABILITY_VERSION = 119 };

/* Slots for streams: 0 carries the key fetch and, on the same stream where the server allows it,
 * Noise; the others answer pings over plain HTTP. */
enum { CONTROL_CONNS = 4 };

struct control;

struct control_conf {
	struct rng *rng;
	const char *url; /* http[s]://host[:port]; copied */
	struct key_priv machine, node;
	bool node_is_kept;     /* of an earlier run: control may know it, so a logout is sent */
	struct key_pub pinned; /* zero: take what /key says; else it must equal */
	const char *user_agent_version; /* Hostinfo.IPNVersion */
	bool plain_map;                 /* ask for no compression */
};
struct control *control_new(const struct control_conf *conf,
			    struct err *e); /* NULL: bad url or no memory; e says which */
void control_free(struct control *c);

struct control_hostinfo { /* all strings borrowed for the call, NULL or "" omits */
	const char *hostname, *os_version, *distro, *distro_version, *distro_code, *app,
	    *backend_log_id, *machine;
	bool container, userspace, shields_up;
	const struct ipprefix *routes;
	size_t n_routes;
	const char *const *tags;
	size_t n_tags;               /* RequestTags */
	uint16_t peerapi4, peerapi6; /* ports; 0: not offered */
};
struct control_netinfo {
	int working_udp, working_v6, varies_by_dest; /* -1 unknown */
	bool os_has_v6;
	uint16_t home;
	bool asked_gateway; /* else the three after the next are unknown */
	bool have_portmap, upnp, pmp, pcp;
	struct {
		uint16_t region;
		bool v6;
		double seconds;
	} latency[32];
	size_t n_latency;
};
enum control_ep {
	CONTROL_EP_UNKNOWN,
	CONTROL_EP_LOCAL,
	CONTROL_EP_STUN,
	CONTROL_EP_PORTMAPPED,
	CONTROL_EP_STUN4_LOCAL_PORT,
	CONTROL_EP_EXPLICIT
};

/* Each returns 0 or -ENOMEM; a change while a stream is open goes up in a lite update (coalesced).
 */
MUST_USE int control_set_hostinfo(struct control *c, const struct control_hostinfo *hi);
void control_set_netinfo(struct control *c, const struct control_netinfo *ni);
MUST_USE int control_set_endpoints(struct control *c, const struct ipport *v,
				   const enum control_ep *types, size_t n);
void control_set_disco(struct control *c, const struct key_pub *disco);
MUST_USE int
control_set_auth_key(struct control *c,
		     const char *key); /* copied into locked memory, wiped; NULL: none; a new key is
					  tried at once (with the next tick) when a login failed */
void control_set_ephemeral(struct control *c, bool ephemeral);

void control_start(struct control *c, mono_t now,
		   wall_t wall); /* log in and stream; until then nothing happens */
void control_login(struct control *c, mono_t now,
		   bool force_new_key);             /* log in again (expiry, `up --force-reauth`) */
void control_logout(struct control *c, mono_t now); /* then CONTROL_LOGGED_OUT */
void control_stop(struct control *c);
void control_link_changed(struct control *c, mono_t now); /* reconnect soon */
/* Node says that the map was applied. A stream that lives on for a while after that resets the
 * back-off; one that ends at once is a failure, as if it had brought nothing. */
void control_map_applied(struct control *c, mono_t now);
/* Or that it could not be applied (why: words): the stream, whose later frames would be changes of
 * a state that nobody has, is left and asked for anew after the back-off. */
void control_map_unusable(struct control *c, mono_t now, const char *why);
/* PingRequest of the map; json: the object. HEAD (over Noise or plain) and c2n /echo are answered
 * here. true: something is left for the node in *left (PING_C2N, PING_PEER), which is the caller's:
 * control_ping_answer for each answer, ping_fini at the end. left NULL: nobody acts, other c2n
 * requests get 400. */
bool control_ping_request(struct control *c, mono_t now, struct bytes json, struct ping *left);
/* Posts body (taken over) to where p wants it. With all slots busy it is dropped: control asks
 * again. */
void control_ping_answer(struct control *c, mono_t now, const struct ping *p, struct buf *body);

/* Streams. CONTROL_DIAL is answered by control_opened or control_closed; after CONTROL_HANGUP the
 * caller closes and says nothing more about that stream: a later CONTROL_DIAL of the same slot is a
 * new one. Bytes that come between an event being due and being fetched are ignored. */
void control_opened(struct control *c, mono_t now, unsigned conn);
void control_feed(struct control *c, mono_t now, wall_t wall, unsigned conn, struct bytes in);
size_t control_pull(struct control *c, mono_t now, unsigned conn, uint8_t *buf, size_t cap);
bool control_has_output(const struct control *c, unsigned conn);
void control_closed(struct control *c, mono_t now, unsigned conn,
		    const char *why); /* why: one line for the user; NULL: end of stream */

enum control_event_type {
	CONTROL_DIAL,       /* conn, host, port, tls */
	CONTROL_HANGUP,     /* conn */
	CONTROL_OUTPUT,     /* conn has bytes to pull */
	CONTROL_AUTH_URL,   /* text: show it to the user, login waits */
	CONTROL_REGISTERED, /* registered; node_key is the one to persist as current; authorized */
	CONTROL_MAP_BEGIN,
	CONTROL_MAP_DATA,
	CONTROL_MAP_END,
	CONTROL_MAP_ABORT,    /* data */
	CONTROL_LOGIN_FAILED, /* text; fatal: retrying with the same key is hopeless (it goes on
				 retrying slowly) */
	CONTROL_NEEDS_LOGIN,  /* node deleted or key expired and no auth key at hand */
	CONTROL_TROUBLE, /* text: one line for log and health; repeated ones are suppressed; text
			    NULL: all well again */
	CONTROL_LOGGED_OUT,
};
struct control_event {
	enum control_event_type type;
	unsigned conn;
	const char *host; /* borrowed until the next call */
	uint16_t port;
	bool tls, authorized, fatal;
	bool is_first; /* CONTROL_MAP_BEGIN: first frame of a new stream, which starts from nothing
			  (netmap_stream_start) */
	struct bytes data;
	const char *text;
	struct key_priv node_key;
};
bool control_next(struct control *c, struct control_event *ev);
mono_t control_deadline(const struct control *c);
void control_tick(struct control *c, mono_t now, wall_t wall);

struct control_stat {
	const char *state; /* "fetching key", "registering", "streaming", ... */
	struct key_pub server_key;
	bool streaming;
	mono_t last_frame;
	unsigned updates; /* lite updates that were answered well */
};
void control_stat(const struct control *c, struct control_stat *st);

#endif
