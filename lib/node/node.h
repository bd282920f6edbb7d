/* node/node.h - one tailnet node, pure: joins control, netmap, filter, WireGuard, paths, relays and
 * the IP stack
 *
 * The node asks for effects (dial, send, resolve, persist) by node_next and is fed results; it
 * knows no socket, clock or file. Two hosts carry it: lib/host with real ones, tests/sim with
 * virtual time.
 *
 * A turn of the host: feed what arrived (node_udp_recv, node_stream_*, node_tick when node_deadline
 * is due), then pull node_next until it returns false. Packets in an effect are borrowed until the
 * next node_next; packets given to node_udp_recv are decrypted where they lie.
 *
 *      UDP in -> demultiplex -> wg -> filter -> netstack -> flow events
 *      flow writes -> netstack -> filter notes -> wg -> path -> UDP or relay out
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/pkt.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "model/netmap.h"
#include "netstack/netstack.h"
#include "ts2021/control.h"

struct node;
struct netcheck_report;

enum {
	NODE_MTU = 1280,
	NODE_RELAYS_MAX = 16,
	NODE_ENDPOINTS_MAX = 64,
	NODE_STATIC_MAX = 12, /* with all that STUN finds they fit into a call-me-maybe */
	NODE_HEALTH_MAX = 16
};

struct node_conf {
	struct rng *rng;         /* outlives the node */
	const char *control_url; /* http[s]://host[:port] */
	struct key_priv machine, node, disco;
	bool node_is_kept;          /* of an earlier run: control may know it */
	struct key_pub control_key; /* zero, or the pinned control key (TS_CONTROL_KEY) */
	const char *auth_key;       /* NULL: none; copied into locked memory by control */
	struct control_hostinfo hostinfo;
	bool ephemeral;
	bool accept_routes; /* use subnet routes of peers */
	/* of those only what lies in these; n_accept_within 0: all. Copied, no defaults among them
	 */
	const struct ipprefix *accept_within;
	size_t n_accept_within;
	const char *exit_node; /* as node_set_prefs has it */
	bool shields_up;
	bool derp_only;   /* never UDP */
	bool derp_http;   /* relays over plain HTTP (TS_DEBUG_USE_DERP_HTTP) */
	bool raw_packets; /* no IP stack: accepted packets come out as NODE_INNER, the host has a
			     device */
	bool plain_map;
	bool port_mapping; /* ask the gateway for a port; then node_set_gateway */
	uint16_t home;     /* home relay of an earlier run, 0: unknown */
	size_t memory;     /* budget of stream buffers; 0: default */
	enum ns_cc cc;
};

/* NULL: e says why (bad url, no memory). */
struct node *node_new(const struct node_conf *conf, struct err *e);
void node_free(struct node *n); /* wipes keys */

void node_start(struct node *n, mono_t now, wall_t wall);
/* Peers of an earlier run: usable at once while control is away. json: what netmap_emit gave.
 * 0, -EBADMSG, -ENOMEM */
MUST_USE int node_load_netmap(struct node *n, mono_t now, wall_t wall, struct bytes json,
			      struct err *e);
/* The same in pieces; when a feed fails load_end says why and nothing was loaded. */
void node_load_begin(struct node *n);
MUST_USE int node_load_feed(struct node *n, struct bytes json);
MUST_USE int node_load_end(struct node *n, mono_t now, wall_t wall, struct err *e);
void node_logout(struct node *n, mono_t now); /* NODE_LOGGED_OUT follows */
/* log in again; auth_key NULL keeps the present one */
void node_login(struct node *n, mono_t now, const char *auth_key);
void node_set_running(struct node *n, mono_t now, wall_t wall,
		      bool want); /* `tailscale up` and `down` */

/* Preferences of a node in use; what hostinfo says goes up to control. Destinations within its
 * routes are taken for us, as far as the filter allows. exit_node: of which peer the default
 * routes are used: its address, stable id or name; "" or NULL: none. 0 or -ENOMEM */
MUST_USE int node_set_prefs(struct node *n, const struct control_hostinfo *hi, bool accept_routes,
			    bool shields_up, const char *exit_node);

/* --- what the host feeds --- */

/* datagrams of one source on our UDP sockets; may be changed in place */
void node_udp_recv(struct node *n, mono_t now, wall_t wall, const struct ipport *from,
		   struct pkt *v, size_t count);
void node_udp_failed(struct node *n, mono_t now, const struct ipport *to,
		     int code); /* a send failed with errno code */
/* Addresses of the host's interfaces and the ports of our sockets (0: that family has no socket).
 */
void node_set_addresses(struct node *n, mono_t now, const struct ip *v, size_t count,
			uint16_t port4, uint16_t port6);
/* Endpoints that somebody has made for us (a forwarded port): offered beside those that are found,
 * in place of the ones set before. At most NODE_STATIC_MAX, the rest is left out. */
void node_set_static_endpoints(struct node *n, mono_t now, const struct ipport *v, size_t count);
void node_link_changed(struct node *n, mono_t now);
/* The host's own link carries IP packets of this size; 0: unknown. What is too large for it need
 * not be told to us by anybody, so connections are kept to what fits. */
void node_set_link_mtu(struct node *n, mono_t now, size_t mtu);
/* The IPv4 gateway and our address towards it; zero: there is none. Without port_mapping nothing
 * happens. */
void node_set_gateway(struct node *n, mono_t now, const struct ip *gateway, const struct ip *own);
/* what arrived at the socket that NODE_GATEWAY_SEND uses */
void node_gateway_recv(struct node *n, mono_t now, const struct ipport *from, struct bytes data);
/* answers NODE_GATEWAY_HTTP; status 0: no answer */
void node_gateway_answer(struct node *n, mono_t now, uint32_t request, unsigned status,
			 struct bytes body);
/* Gives a mapped port back for good. true: NODE_GATEWAY_LEFT comes when that is done */
bool node_gateway_leave(struct node *n, mono_t now);

/* streams: numbers come with NODE_DIAL */
void node_stream_opened(struct node *n, mono_t now, uint32_t stream);
void node_stream_feed(struct node *n, mono_t now, wall_t wall, uint32_t stream, struct bytes in);
size_t node_stream_pull(struct node *n, mono_t now, uint32_t stream, uint8_t *buf, size_t cap);
/* why: one line, NULL: orderly */
void node_stream_closed(struct node *n, mono_t now, uint32_t stream, const char *why);
/* IP packets of the host's device, for the tailnet; copied. How many were taken: fewer than count
 * when the queue is full, then node_next first. */
size_t node_send_packets(struct node *n, const struct pkt *v, size_t count);
void node_resolved(struct node *n, mono_t now, const char *host, const struct ip *v,
		   size_t count); /* 0: no such name */

/* Gives back what a load has left behind: flow table, pools. For a quiet moment. */
void node_trim(struct node *n, mono_t now);

mono_t node_deadline(const struct node *n);
void node_tick(struct node *n, mono_t now, wall_t wall);

/* --- what the host does --- */

enum node_state { /* numbers and names as the local API has them (data-plane.md 7.4) */
		  NODE_NO_STATE,
		  NODE_IN_USE,
		  NODE_NEEDS_LOGIN,
		  NODE_NEEDS_APPROVAL,
		  NODE_STOPPED,
		  NODE_STARTING,
		  NODE_RUNNING,
		  NODE_STATE_N
};
extern const char *const node_state_names[NODE_STATE_N];

enum {
	NODE_EXIT_LOGIN = 3
}; /* of NODE_FATAL: the node must log in and has no key that control takes */
enum node_effect_type {
	NODE_DIAL, /* stream, host, port, addr, addr2 (zero: none; both: resolve host), tls,
		      cert_name, insecure */
	NODE_STREAM_OUTPUT,  /* stream: there is something for node_stream_pull */
	NODE_STREAM_CLOSE,   /* stream: close, feed nothing more of it */
	NODE_UDP_SEND,       /* to, v, count, whole: must not be fragmented, may be lost */
	NODE_RESOLVE,        /* host; answer with node_resolved */
	NODE_INNER,          /* v, count: decrypted and accepted; only with raw_packets */
	NODE_FLOW,           /* flow: an event of the IP stack */
	NODE_STATE,          /* node_state() changed */
	NODE_AUTH_URL,       /* text: show it to the user */
	NODE_PERSIST_LOGIN,  /* node key, profile or home changed: store them now */
	NODE_PERSIST_NETMAP, /* the netmap changed: store it soon */
	NODE_HEALTH,         /* the list of problems changed */
	NODE_PONG,           /* ping: answer to node_ping */
	NODE_C2N,            /* control wants something of this node: node_c2n, node_c2n_reply */
	NODE_NETMAP,         /* the netmap changed; who cares may look (DNS, names, users) */
	NODE_LOGGED_OUT,
	NODE_GATEWAY_SEND, /* to, data: from a UDP socket of its own */
	NODE_GATEWAY_HTTP, /* request, to, method, target, headers, data: to that address and to no
			      other, whatever it answers; then node_gateway_answer */
	NODE_GATEWAY_LEFT,
	NODE_FATAL, /* text; value: exit code wanted by an orchestrator, 0: any */
};
struct node_ping_result {
	uint64_t token;
	const struct netmap_node *peer; /* NULL: gone */
	struct ipport addr;             /* direct; ip zero: relayed by derp */
	uint16_t derp;
	span_t latency;
	const char *error; /* NULL: answered */
};
struct node_effect {
	enum node_effect_type type;
	uint32_t stream;
	const char *host, *cert_name, *text;
	uint16_t port;
	bool tls, insecure, whole;
	struct ip addr, addr2;
	struct ipport to;
	struct pkt *v;
	size_t count;
	struct ns_event flow;
	struct node_ping_result ping;
	int value;
	struct bytes data; /* borrowed until the next node_next, as the three below */
	uint32_t request;
	const char *method, *target, *headers;
};
bool node_next(struct node *n, mono_t now, wall_t wall, struct node_effect *ef);

/* --- looking in --- */

struct netstack *
node_netstack(struct node *n); /* for ns_tcp_* and ns_udp_*; pull node_next afterwards */
struct netmap *node_netmap(struct node *n);
enum node_state node_state(const struct node *n);
const char *node_auth_url(const struct node *n); /* "" when no login waits */
size_t node_health(const struct node *n, const char **v,
		   size_t max); /* present problems, most severe first */
bool node_ip(const struct node *n, bool v6, struct ip *out); /* own tailnet address */
const struct key_priv *node_key(const struct node *n);
const struct key_pub *node_public(const struct node *n);
const struct key_pub *node_disco(const struct node *n);
uint16_t node_home(const struct node *n);
bool node_relay_up(const struct node *n, uint16_t region);
bool node_is_own(const struct node *n, const struct ip *a); /* one of our tailnet addresses? */
/* Is an exit node chosen; is it this peer? */
bool node_wants_exit(const struct node *n);
bool node_is_exit(const struct node *n, const struct netmap_node *p);
/* Is a destination routed into the tailnet (a node's address, or an accepted route)? */
bool node_routes(const struct node *n, const struct ip *dst);
/* What the last whole round of probes found; NULL before. struct netcheck_report: path/netcheck.h
 */
const struct netcheck_report *node_netcheck(const struct node *n);
bool node_sends_v4(const struct node *n); /* is there a UDP socket of the family */
bool node_sends_v6(const struct node *n);
struct node_portmap {
	bool is_on;
	int pmp, pcp, upnp;     /* 1: the gateway has it, 0: it does not answer, -1: not asked */
	struct ipport external; /* ip zero: no port is mapped */
};
void node_portmap(const struct node *n, mono_t now, struct node_portmap *out);
size_t node_endpoints(const struct node *n, struct ipport *v, size_t max);
/* whois: capabilities of src towards us, appended as a JSON object; 0, -ENOMEM */
MUST_USE int node_caps(const struct node *n, const struct ip *src, struct buf *out);

enum node_ping_kind { NODE_PING_DISCO, NODE_PING_TSMP, NODE_PING_ICMP };
void node_ping(struct node *n, mono_t now, enum node_ping_kind kind, const struct ip *dst,
	       uint64_t token, size_t size);

/* A request of control to this node (NODE_C2N), NULL: none waits; and a whole HTTP/1.1 answer to
 * it, which is taken over. */
const struct c2n_request *node_c2n(const struct node *n);
void node_c2n_reply(struct node *n, mono_t now, struct buf *http);

struct node_peer_stat {
	struct ipport addr; /* direct and trusted; ip zero: relayed */
	uint16_t derp;
	uint64_t rx_bytes, tx_bytes;
	wall_t last_handshake, last_write;
	bool active;
};
void node_peer_stat(const struct node *n, mono_t now, uint32_t peer, struct node_peer_stat *st);

enum node_path_kind {
	NODE_DIRECT4,
	NODE_DIRECT6,
	NODE_DERP,
	NODE_PATH_N
}; /* metric label `path` */
enum { NODE_VERDICTS = 16 };
struct node_counters {
	uint64_t in_packets[NODE_PATH_N], in_bytes[NODE_PATH_N], out_packets[NODE_PATH_N],
	    out_bytes[NODE_PATH_N];
	uint64_t in_dropped[NODE_VERDICTS], out_dropped[NODE_VERDICTS]; /* by enum filter_verdict */
	uint64_t unroutable, relay_full, inner_full;
};
const struct node_counters *node_counters(const struct node *n);

/* MagicDNS: short names and FQDNs of the tailnet, extra records. Count; 0: not ours to answer;
 * -ENOENT: ours and absent. */
int node_lookup(const struct node *n, const char *name, struct ip *v, size_t max);
/* Of a name that is not ours: the resolvers that control names for it (split DNS, global), which
 * belong to the netmap; 0: the system's. */
struct netmap_resolver;
size_t node_resolvers(const struct node *n, const char *name, const struct netmap_resolver **v);

#endif
