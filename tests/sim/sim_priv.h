/* tests/sim/sim_priv.h - inside of the world */
#ifndef TESTS_SIM_PRIV_H
#define TESTS_SIM_PRIV_H

#include "coordinator/tailnet.h"
#include "derp/server.h"
#include "tests/harness.h"
#include "tests/sim/world.h"

enum {
	SIM_STREAMS = CONTROL_CONNS + NODE_RELAYS_MAX,
	SIM_WINDOW =
	    256 << 10, /* bytes under way in one direction of a stream: then the writer waits */
	SIM_FLIGHT_MAX = 200000, /* datagrams under way: more is a queue without bound */
	SIM_HEAP_MAX = 64 << 20, /* growth of the heap, of all machines together: more is a queue
				    without bound */
	SIM_LEAK_MAX = 64 << 10, /* what may be left of a world */
	SIM_SPIN_MAX = 100000,   /* steps or effects at one instant: more is a loop without end */
	SIM_MAPPINGS = 512,
	SIM_NAT_TIMEOUT_S = 120,
	SIM_DGRAM_MAX = 2048,
	SIM_CHUNKS = 1024,
	SIM_PORT = 41641,
	SIM_APP_PORT = 7777,
	SIM_LOG_LINES = 60,
	SIM_LOG_LINE = 160,
	SIM_ROWS_MAX = 64,
	SIM_PENDING_MAX = 256,    /* rows of one transaction: more is a queue without bound */
	SIM_SUPERVISOR_MS = 1000, /* control that ended is started again after this */
};

#define SIM_MARK "plaintext-of-the-application!"

struct dgram {
	int64_t at;
	uint64_t order;
	struct ipport from, to;
	int net; /* where it is: box, or -1: the internet */
	size_t len;
	uint8_t data[];
};

struct pipe { /* one direction of a stream: bytes that arrive at a time */
	struct {
		int64_t at;
		size_t len;
	} chunk[SIM_CHUNKS];
	size_t head, n;
	struct buf bytes;
	int64_t close_at; /* INT64_MAX: open */
	bool blocked;     /* the writer waits for room */
};

enum peer_kind { PEER_HTTP, PEER_CONTROL, PEER_RELAY };

struct sim_stream {
	bool used, opened, hung_up;
	bool cut; /* the host's address changed: nothing arrives any more, and nobody says so */
	enum peer_kind kind;
	int relay;        /* dialled relay, or -1: control */
	unsigned outputs; /* how often that has spoken */
	int64_t open_at;
	struct pipe up, down; /* from the node, to the node */
	struct buf head;
	struct session_id session;
	struct derp_conn_id conn;
};

struct sim_box {
	struct nat *nat;
	struct ip outside;
	int outer; /* box that it is behind; -1: the internet */
	int users; /* hosts and boxes behind it */
	bool hairpin;
};

struct sim_flow {
	bool used, client, hold, done, failed, shut;
	int node, peer;
	struct ns_id id;
	size_t len, sent, got;
	uint64_t seed;
};

struct sim_node {
	bool used, removed, ephemeral, dirty;
	int64_t wake_at; /* asleep until */
	int64_t
	    forgot_at[WORLD_NODES_MAX]; /* when the node took that removed one from its netmap */
	struct node *node;
	struct key_priv machine, key, disco;
	struct key_pub pub;
	struct ip addr, addr6; /* of the host; zero: it has not that family */
	int box;               /* that it is behind; -1: none */
	enum world_family family;
	size_t mtu; /* of its link; SIZE_MAX: enough */
	bool udp;
	uint16_t home;
	struct buf netmap; /* as stored last */
	struct sim_stream *streams;
	int64_t deadline;
	int64_t forbidden_at[WORLD_NODES_MAX]; /* by sender; INT64_MAX: allowed */
	uint64_t seen[WORLD_NODES_MAX];        /* datagrams of that sender */
	struct ip tailnet_ip;
	int64_t id;             /* at control */
	bool removing;          /* control was asked to remove it */
	struct ip told4, told6; /* addresses that control acknowledged */
	char authkey[AUTHKEY_TEXT_MAX];
};

struct sim_row {
	enum tailnet_event_type type; /* a TAILNET_STORE_* */
	int64_t id;                   /* 0: no row */
	bool is_erased;
	struct buf json;
};

struct sim_disk { /* what control's carrier keeps */
	struct sim_row rows[SIM_ROWS_MAX], journal[SIM_PENDING_MAX], pending[SIM_PENDING_MAX];
	size_t n_journal, n_pending;
	bool is_whole; /* the journal ends with its mark */
	enum world_disk fault;
	unsigned after; /* transactions that still succeed */
	uint64_t transactions, strikes;
};

struct world {
	uint64_t seed;
	struct seed_rng rng;    /* the machines' */
	struct seed_rng chance; /* the network's and the script's */
	int64_t now, wall_off;
	size_t memory;           /* of the heap in use when the world began */
	int64_t memory_check_at; /* once a second */
	struct world_net net;
	struct tailnet *control;
	struct key_priv control_key;
	struct sim_disk disk;
	bool control_up;
	bool control_died;       /* its disk failed it: it tells nothing any more */
	int64_t control_back_at; /* its supervisor starts it again */
	const char *policy;
	struct derp_server *relay[WORLD_RELAYS];
	struct key_priv relay_key[WORLD_RELAYS];
	struct ip relay_ip[WORLD_RELAYS], relay_ip6[WORLD_RELAYS];
	span_t relay_delay[WORLD_RELAYS];
	bool relay_up[WORLD_RELAYS], relay_hangs[WORLD_RELAYS], relay_flaps[WORLD_RELAYS],
	    control_hangs;
	struct sim_box boxes[WORLD_BOXES_MAX];
	int n_boxes;
	uint64_t relay_past[WORLD_RELAYS]; /* packets of earlier lives */
	int64_t user;
	struct sim_node nodes[WORLD_NODES_MAX];
	int n_nodes;
	struct sim_flow flows[WORLD_FLOWS_MAX];
	uint64_t n_flows;
	unsigned moves;
	struct dgram **heap;
	size_t n_heap, cap_heap;
	uint64_t order, datagrams, trace;
	char log[SIM_LOG_LINES][SIM_LOG_LINE];
	size_t n_log;
};

static inline mono_t sim_mono(const struct world *w)
{
	return (mono_t){ w->now };
}

static inline wall_t sim_wall(const struct world *w)
{
	return (wall_t){ INT64_C(1800000000) * NS_PER_S + w->now + w->wall_off };
}

static inline bool sim_awake(const struct world *w, int i)
{
	return w->nodes[i].node && w->nodes[i].wake_at <= w->now;
}

/* net.c */
bool net_chance(struct world *w, double p);
void net_send(struct world *w, int i, uint16_t port, const struct ipport *to, const uint8_t *data,
	      size_t len);
int64_t net_next(const struct world *w);
void net_step(struct world *w); /* delivers what is due */
void net_free(struct world *w);
struct ip net_outside(const struct world *w, int i); /* IPv4 address that the internet sees */
/* every byte that leaves a node or a server passes here */
void net_watch(struct world *w, int from, const uint8_t *data, size_t len);

/* pipe.c */
void pipe_init(struct pipe *p);
void pipe_fini(struct pipe *p);
size_t pipe_room(const struct pipe *p); /* 0: and the pipe remembers that somebody waits */
void pipe_put(struct pipe *p, int64_t at, const uint8_t *data, size_t len);
void pipe_close(struct pipe *p, int64_t at);              /* behind what is in it */
struct bytes pipe_due(const struct pipe *p, int64_t now); /* bytes that have arrived */
bool pipe_take(struct pipe *p, size_t n); /* true: the writer waited and may go on */
bool pipe_ended(const struct pipe *p, int64_t now);
int64_t pipe_next(const struct pipe *p);

/* servers.c */
void servers_authkey(struct world *w, const struct world_host *host,
		     char out[static AUTHKEY_TEXT_MAX]);
void servers_new(struct world *w);
void servers_free(struct world *w);
void servers_step(struct world *w);
int64_t servers_next(const struct world *w);
void servers_settle(struct world *w); /* what the servers want done now */
bool servers_control_alive(const struct world *w);
void servers_deleted(struct world *w, enum tailnet_event_type type, int64_t id); /* for good */
void servers_told(struct world *w, int i); /* node i has heard of its addresses */

/* disk.c */
struct buf *disk_put(struct world *w, enum tailnet_event_type type, int64_t id); /* to be filled */
void disk_erase(struct world *w, enum tailnet_event_type type, int64_t id);
bool disk_pending(const struct world *w);
bool disk_commit(struct world *w); /* false: control dies, and must not say anything any more */
void disk_open(struct world *w);   /* by a new process */
void disk_each(struct world *w, enum tailnet_event_type type,
	       int (*fn)(struct tailnet *t, struct bytes json, struct err *e));
void disk_fini(struct world *w);

/* stream.c */
void stream_dial(struct world *w, int i, const struct node_effect *ef);
void stream_pull_node(struct world *w, int i, uint32_t stream);
void stream_pull_server(struct world *w, int i, struct sim_stream *s);
void stream_close_node(struct world *w, int i,
		       uint32_t stream); /* by the node: the server is told */
/* by the server, after what it sent and a pause */
void stream_hangup(struct world *w, struct sim_stream *s, span_t later);
void stream_break(struct world *w, int relay); /* all to it (-1: control) are reset */
/* by a server that ends: what it has sent arrives */
void streams_end(struct world *w, int relay);
struct sim_stream *stream_of_session(struct world *w, struct session_id id, int *node);
struct sim_stream *stream_of_conn(struct world *w, int relay, struct derp_conn_id id, int *node);
void streams_step(struct world *w);
int64_t streams_next(const struct world *w);
void streams_fini(struct world *w, int i);
void streams_cut(struct world *w, int i);

/* apps.c */
void apps_event(struct world *w, int i, const struct ns_event *ev);
void apps_node_died(struct world *w, int i);
void apps_print(struct world *w); /* the flows that go on */

/* world.c */
void sim_pump(struct world *w, int i);

#endif
