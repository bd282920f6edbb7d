/* node/node_priv.h - what the files of lib/node share */
#ifndef NODE_NODE_PRIV_H
#define NODE_NODE_PRIV_H

#include "base/log.h"
#include "base/pkt.h"
#include "derp/client.h"
#include "model/filter.h"
#include "node/node.h"
#include "path/netcheck.h"
#include "path/path.h"
#include "path/portmap.h"
#include "wg/wg.h"

enum {
	NODE_INNER_MAX =
	    512, /* accepted packets that wait for the host in one turn: 1 MiB, raw_packets only */
	NODE_QUEUE_MAX = 64, /* effects that wait for node_next; a full queue drops the oldest pong
			      */
	NODE_HOST_MAX = 256,
	NODE_GREETS_MAX = 64,   /* peers whose first handshake is being helped */
	NODE_RETRIES_MAX = 256, /* connections to one peer that send at once when its path changes
				 */
	NODE_PINGS_MAX = 32,    /* TSMP and ICMP pings under way */
	NODE_ASKED_MAX = 4,     /* requests of control to ping a peer under way */
	NODE_STAGED_BYTES = 1 << 20,
	NODE_GREET_MS = 250, /* ours: how often a peer that may not know us yet is asked */
	NODE_GREET_S = 20,
	NODE_RELAY_IDLE_S = 60,       /* data-plane.md 2.4 */
	NODE_RELAY_BACKOFF_MS = 5000, /* data-plane.md 3.3 */
	NODE_RELAY_USEFUL_S = 15,     /* ours: a connection that lived so long was one */
	NODE_RESTUN_S = 20,
	NODE_RESTUN_SPREAD_MS = 6000, /* data-plane.md 2.4: 20-26 s while active */
	NODE_ACTIVE_S = 45,
	NODE_NETMAP_STORE_S = 2, /* ours: changes are stored together */
};

/* One relay region: its connection, or the wait before the next try. */
struct relay {
	uint16_t region; /* 0: the slot is free */
	unsigned node_index, failures;
	bool dialing, open, ready, want_dial, want_close, want_output;
	bool tls, insecure;
	struct derp_client *client; /* NULL: waiting for retry_at */
	bool probed;                /* a ping of netcheck is under way */
	bool for_probe;             /* nothing was sent by it yet: it may give way to the next */
	bool told;                  /* that it is there, in the log */
	bool flaps;                 /* the connection before ended soon after it was ready */
	mono_t retry_at, last_used, dialed_at, ready_at;
	span_t setup; /* what dialing took */
	char host[NODE_HOST_MAX], cert_name[NODE_HOST_MAX];
	uint16_t port;
	struct ip addr[2]; /* IPv4 and IPv6, as far as the map has them; zero: none */
};

struct greet { /* a peer without a session to which something waits */
	uint32_t peer;
	span_t gap; /* to the ping after next */
	mono_t next, end;
};

struct pending_ping {
	bool used;
	enum node_ping_kind kind;
	uint64_t token;
	uint32_t peer;
	mono_t sent;
	uint8_t id[8];
};

struct health {
	const char *key; /* static text that names the problem; NULL: free */
	char text[ERR_TEXT_MAX];
};

struct node {
	struct rng *rng;
	struct key_priv *key; /* of the node; secret_new */
	struct key_pub pub, disco_pub;
	bool accept_routes, derp_only, derp_http;
	struct ipprefix *within; /* subnet routes lie in one of these; NULL: anywhere */
	size_t n_within;

	struct control *control;
	struct netmap *netmap;
	struct filter *filter;
	struct wg *wg;
	struct path *path;
	struct netcheck *netcheck;
	struct netstack *netstack;
	struct relay relays[NODE_RELAYS_MAX];
	uint16_t to_probe[NETCHECK_REGIONS_MAX]; /* regions that wait for a place in relays */
	size_t n_to_probe;

	enum node_state state;
	bool want_running, started, registered, authorized, needs_login, have_map, map_is_live,
	    in_frame;
	unsigned losses_told; /* bits of what was left out of maps */
	int load_failed;      /* of a stored netmap: what a feed gave */
	bool logged_out;      /* the next login starts control anew, with a new key */
	bool login_again;
	bool masquerades; /* some peer knows us, or knew us, by another address */
	bool renewing;    /* our key has expired and a new one was asked for */
	char resolve_host[NETCHECK_HOST_MAX], auth_url[512], fatal[ERR_TEXT_MAX];
	uint16_t home, home_wanted;
	struct health health[NODE_HEALTH_MAX];

	struct ip local[NODE_ENDPOINTS_MAX];
	size_t n_local;
	uint16_t port4, port6;
	struct ipport fixed[NODE_STATIC_MAX]; /* static endpoints */
	size_t n_fixed;
	struct portmap *portmap; /* NULL: not wanted */
	struct ip gateway, gateway_own;
	struct ipport mapped;
	bool leaving, left;
	struct ipport endpoints[NODE_ENDPOINTS_MAX];
	size_t n_endpoints;
	struct ip addrs[NETMAP_ADDRS_MAX]; /* ours, as netstack has them */
	size_t n_addrs;
	struct ipprefix *routes; /* offered */
	size_t n_routes;
	char exit_node[NODE_HOST_MAX];

	mono_t last_active, restun_at, store_at;
	wall_t expire_at;
	bool store_pending;

	struct greet greets[NODE_GREETS_MAX];
	size_t n_greets;
	struct pending_ping pings[NODE_PINGS_MAX];
	struct asked *asked[NODE_ASKED_MAX];
	uint32_t asked_number;
	struct ping *c2n; /* a request of control that waits for the host */

	struct node_effect queue[NODE_QUEUE_MAX];
	size_t q_head, q_len;

	struct burst out; /* from netstack, on their way to peers */
	size_t out_pos;
	uint32_t out_peer[BURST_MAX];
	struct burst made; /* inner packets that we make ourselves (TSMP), for the next pump */
	struct burst
	    in; /* packets of relays, decrypted in place; copies of single datagrams to send */
	struct wg_plain plain[BURST_MAX];
	struct pkt accepted[BURST_MAX];

	struct node_inner *inner; /* NULL: the IP stack has the packets */
	struct node_counters counters;
};

/* node.c */
struct node_effect *node_push(struct node *n,
			      enum node_effect_type type); /* never NULL; the caller fills it in */
void node_state_update(struct node *n);
void node_health_set(struct node *n, const char *key,
		     const char *text); /* text NULL: the problem is gone */
/* the same, when somebody else says it; true: the list changed */
bool node_health_put(struct node *n, const char *key, const char *text);

/* control_events.c */
bool node_control_next(struct node *n, mono_t now, wall_t wall, struct node_effect *ef);

/* peers.c: netmap changes to wg, path, filter, netstack, relays */
void node_apply_changes(struct node *n, mono_t now, wall_t wall);

MUST_USE int node_offer_routes(struct node *n, const struct ipprefix *v, size_t count); /* copied */
void node_local_changed(struct node *n); /* own addresses, routes, or those of the host */

/* relay.c */
/* what waits for that node at our relay connections is dropped */
void node_relays_forget(struct node *n, const struct key_pub *key);
void node_relay_send(struct node *n, mono_t now, uint16_t region, const struct key_pub *to,
		     const uint8_t *data, size_t len);
void node_relay_ensure_home(struct node *n, mono_t now);
void node_relay_probe(struct node *n, mono_t now,
		      uint16_t region); /* connects, so that its time to be ready is known */
void node_relays_map_changed(struct node *n, mono_t now);
void node_relays_restart(struct node *n, mono_t now); /* node key changed, or the link did */
void node_relays_tick(struct node *n, mono_t now);
mono_t node_relays_deadline(const struct node *n);
bool node_relays_next(struct node *n, mono_t now, wall_t wall, struct node_effect *ef);
struct relay *node_relay_of_stream(struct node *n, uint32_t stream);
void node_relay_opened(struct node *n, mono_t now, struct relay *r);
void node_relay_closed(struct node *n, mono_t now, struct relay *r, const char *why);
void node_relays_free(struct node *n);

/* inbound.c */
void node_wg_input(struct node *n, mono_t now, wall_t wall, const struct ipport *from,
		   enum node_path_kind kind, struct pkt *v, size_t count);
void node_relay_packet(struct node *n, mono_t now, wall_t wall, uint16_t region,
		       const struct key_pub *from, struct bytes data);

/* masquerade.c: a peer that knows us by another address gets and sends that one */
void node_masquerade_note(struct node *n, const struct netmap_node *p);
void node_masquerade_in(const struct node *n, const struct netmap_node *from, const struct pkt *p);
/* facts: of the packet; the source in them is changed along */
void node_masquerade_out(const struct node *n, uint32_t peer, const struct pkt *p,
			 struct packet *facts);

/* inner.c */
struct node_inner *node_inner_new(void);
void node_inner_free(struct node_inner *in);
void node_inner_take(struct node *n, const struct pkt *v, size_t count);
bool node_inner_next(struct node *n, struct node_effect *ef);

/* outbound.c */
bool node_pump_out(struct node *n, mono_t now, wall_t wall, struct node_effect *ef);
void node_send_inner(struct node *n, const uint8_t *data,
		     size_t len); /* an inner IP packet; dropped when 64 wait */
void node_send_one(struct node *n, const struct ipport *to, const uint8_t *data, size_t len,
		   struct node_effect *ef);
void node_note_active(struct node *n, mono_t now);
/* the pseudo-address of a peer behind a relay, and back (cookie replies) */
struct ipport node_relay_pseudo(uint32_t peer, uint16_t region);
bool node_relay_pseudo_parse(const struct ipport *a, uint32_t *peer, uint16_t *region);

/* probe.c: netcheck, endpoints, home */
void node_probe_map_changed(struct node *n, mono_t now);
void node_probe_tick(struct node *n, mono_t now);
mono_t node_probe_deadline(const struct node *n);
bool node_probe_next(struct node *n, mono_t now, struct node_effect *ef);
void node_probe_publish_endpoints(struct node *n, mono_t now);

void node_probe_tell(struct node *n, mono_t now); /* what is found, to control */

/* gateway.c */
void node_gateway_update(struct node *n, mono_t now); /* our port or whether we run changed */
bool node_gateway_next(struct node *n, mono_t now, struct node_effect *ef);

/* greet.c */
void node_greet_start(struct node *n, mono_t now, uint32_t peer);
/* the peer knows us, its answer took rtt: repeat a handshake whose answer is overdue */
void node_greet_heard(struct node *n, mono_t now, uint32_t peer, span_t rtt);
void node_greet_stop(struct node *n, uint32_t peer);
void node_greet_tick(struct node *n, mono_t now);
mono_t node_greet_deadline(const struct node *n);

/* asked.c */
void node_asked_take(struct node *n, mono_t now, struct bytes json); /* a PingRequest */
/* true: it was control that wanted this ping */
bool node_asked_pong(struct node *n, mono_t now, const struct node_ping_result *r);
void node_asked_free(struct node *n);

/* ping.c */
void node_ping_pong(struct node *n, mono_t now, const struct path_event *ev);
void node_ping_tsmp(struct node *n, mono_t now, uint32_t peer, const struct packet *pkt,
		    struct bytes body); /* an inbound TSMP packet */
void node_ping_echo_reply(struct node *n, mono_t now, const struct ns_event *ev);
void node_ping_tick(struct node *n, mono_t now);
mono_t node_ping_deadline(const struct node *n);

#endif
