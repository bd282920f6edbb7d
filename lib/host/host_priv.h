/* host/host_priv.h - what the files of lib/host share */
#ifndef HOST_HOST_PRIV_H
#define HOST_HOST_PRIV_H

#include "base/log.h"
#include "base/shares.h"
#include "host/host.h"
#include "os/link.h"
#include "os/loop.h"
#include "os/proxy_env.h"
#include "os/resolve.h"
#include "os/stream.h"
#include "os/tls.h"
#include "os/udp.h"

enum {
	HOST_STREAMS_MAX = CONTROL_CONNS + NODE_RELAYS_MAX,
	HOST_READ_MAX = 32 * 1024,  /* one read of a node's stream */
	HOST_WRITE_MAX = 16 * 1024, /* taken from the node at once, kept until sent */
	HOST_EFFECTS_MAX = 4096, /* effects carried out in one turn; the rest waits for the next */
	HOST_CONNECT_S = 15,
	/* data-plane.md 8: a flow whose peer is gone without a word ends after 2 h and 9 probes */
	HOST_KEEP_IDLE_S = 7200,
	HOST_KEEP_INTERVAL_S = 75,
	HOST_KEEP_COUNT = 9,
	HOST_TRIM_PACKETS = 2000,
	HOST_TRIM_S = 4,              /* memory goes back when so much has passed and it is quiet */
	HOST_TRIM_BYTES = 256 * 1024, /* read from streams since */
	HOST_TRIM_MAP = 32 * 1024,    /* the same when that was a map */
	HOST_TRIM_QUIET = 400,        /* datagrams in that time that are still quiet */
	HOST_TRIM_TRICKLE = 64 << 10, /* bytes of buffers given back in that time, the same */
	HOST_TRIM_WAITS = 15,         /* of that time, for quiet, when there is something to give */
	HOST_TRIM_FREED = 1 << 20,    /* of buffers given back */
	HOST_TRIM_GAP_S = 10, /* between two times that what a keep-alive touched goes back */
	HOST_ADDRS_MAX = 2 * RESOLVE_ADDRS_MAX, /* of one name */
	HOST_UDP_FLOWS_MAX = 4096,
	HOST_UDP_BUCKETS = 1024, /* inbound datagram flows */
	HOST_UDP_IDLE_S = 120,
	HOST_UDP_IDLE_DNS_S = 30, /* data-plane.md 6.4 */
	HOST_UDP_YIELDS_S = 5,    /* idle so long, the oldest gives way to one too many */
	HOST_UDP_LOOKS = 64,      /* at those idle longest, for one of who wants a place */
	HOST_UDP_SWEEP_S = 10,
	HOST_UDP_PORTS_MAX = 2048, /* ports open for proxies */
	HOST_ECHO_MAX = 256,       /* echo requests to addresses of routes, under way */
	HOST_ECHO_S = 5,
};

/* Whoever holds a connection of the stack is told of its events; ns_tcp_set_user points here. */
struct flow {
	void (*event)(struct flow *f, const struct ns_event *ev);
	void (*drop)(struct flow *f); /* the host goes: close the stream, free */
	struct flow *next, *prev;     /* in host.flows, when it has a stream */
};

/* A stream that the node asked for. */
struct node_stream {
	struct host *host;
	uint32_t number;
	struct stream *s; /* NULL: closed */
	uint8_t *out;     /* HOST_WRITE_MAX while something is unsent */
	size_t out_off, out_len;
};

/* When memory goes back after a load. */
struct trim_wait {
	uint64_t n_received, n_seen, n_trimmed; /* datagrams */
	uint64_t freed_seen, freed_trimmed;     /* netstack_freed */
	unsigned n_waits;
};

struct udp_flow;
struct echo;
struct host_doh;
struct host_gateway;

struct host {
	struct loop *loop;
	struct node *node;
	struct udp *udp4, *udp6;
	struct link_watch *links;
	struct host_gateway *gateway; /* NULL: no port mapping */
	struct loop_timer timer, trim;
	struct trim_wait trim_wait;
	uint64_t n_carried;   /* packets in and out when a stream was last read */
	bool stream_was_read; /* in this turn */
	size_t stream_bytes;  /* since memory was last given back */
	bool netmap_changed;  /* in this turn */
	mono_t trim_again_at;
	struct loop_flush flush;
	bool dirty, started, closing;
	struct tls_client *tls;
	const struct proxy_env *proxy;
	struct rng *rng;
	struct resolver *resolver;
	struct ip dest;
	bool no_dest; /* none is known: inbound is refused */
	unsigned proxy_protocol;
	struct host_ops ops;
	void *ctx;
	const char *label;
	struct node_stream streams[HOST_STREAMS_MAX];
	uint8_t *read_buf; /* HOST_READ_MAX; room and got follow each other at once */
	size_t n_splices, n_forwards;
	struct flow *flows; /* splices and forwards, which hold streams */
	struct loop_defer again;

	struct udp_flow *udp_buckets[HOST_UDP_BUCKETS];
	struct udp_flow *udp_oldest, *udp_newest; /* by use */
	struct shares udp_shares;                 /* by peer */
	size_t n_udp_flows, udp_flows_max;
	span_t udp_yields;
	uint64_t udp_seed;
	struct loop_timer udp_sweep;
	struct host_udp *udp_ports; /* of proxies */
	size_t n_udp_ports;
	struct host_name *names; /* look-ups for the node */
	struct host_doh *doh;    /* NULL: nobody was asked yet */
	struct echo *echo;       /* NULL: none was asked for yet */
	bool exit_allow_lan;
	host_incoming_fn *incoming;
	void *incoming_ctx;
};

/* splice.c */
void host_flow_add(struct host *h, struct flow *f);
void host_flow_del(struct host *h, struct flow *f);
void host_flows_free(struct host *h);

/* forward.c */
void host_forward_incoming(struct host *h, const struct ns_event *ev);

/* route.c: where a destination of an inbound flow is */
enum host_way {
	HOST_OWN,    /* one of our addresses: loopback, or the configured destination */
	HOST_ROUTED, /* *to, behind a route that we serve */
	HOST_NOWHERE /* nothing that a peer may reach through us */
};
enum host_way host_target(const struct host *h, const struct ip *local, struct ip *to);

/* echo.c: ICMP echo to addresses of routes */
void host_echo_request(struct host *h, const struct ns_event *ev);
void host_echo_free(struct host *h);

/* datagram.c */
void host_datagram_init(struct host *h);
void host_datagram_event(struct host *h, const struct ns_event *ev);
void host_datagram_free(struct host *h);

/* trim.c: memory that goes back */
void host_trim_init(struct host *h);
/* Has so much passed, or been given back, that it is worth while to wait for quiet? */
bool trim_wait_begins(const struct trim_wait *w, uint64_t freed);
/* After each HOST_TRIM_S of the wait: it is quiet, or has not been for too long a time while there
 * is something to give. True ends the wait. */
bool trim_wait_ends(struct trim_wait *w, uint64_t freed);
void host_trim_received(struct host *h, size_t n); /* datagrams */
void host_trim_turn(struct host *h);               /* at the end of a turn */

/* gateway.c: port mapping */
struct host_gateway *host_gateway_new(struct host *h, struct err *e); /* NULL: e says why */
void host_gateway_free(struct host_gateway *g);                       /* NULL is fine */
void host_gateway_find(struct host_gateway *g, const struct link_addr *v, size_t n);
void host_gateway_send(struct host_gateway *g, const struct node_effect *ef);
void host_gateway_http(struct host_gateway *g, const struct node_effect *ef);

/* doh.c */
void host_doh_free(struct host *h);

/* name.c: look-ups of the node itself */
void host_name_resolve(struct host *h, const char *name);
void host_name_free(struct host *h);

#endif
