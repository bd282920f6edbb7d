/* tests/sim/world.h - a whole tailnet in one process on virtual time
 *
 * The real machines of nodes (lib/node), control server (coordinator/tailnet) and relay
 * (lib/derp/server), joined by a network that loses, delays, reorders and duplicates from a seed,
 * with NAT boxes of RFC 4787's kinds, one behind another if told so. The same seed replays exactly.
 *
 * Checked at every step, by the world itself: no application byte in clear on any wire; nothing
 * that the test forbade reaches an application; nothing goes to a removed node one second after
 * control told so; every queue stays bounded; time moves on; a node that control has told its
 * addresses keeps them, over restarts of control from any disk, and nobody else gets them. A
 * failure prints the seed and the last lines of the event log.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "node/node.h"
#include "tests/nat/nat.h"

enum { WORLD_NODES_MAX = 16, WORLD_FLOWS_MAX = 256, WORLD_RELAYS = 2, WORLD_BOXES_MAX = 32 };

struct world_net {                       /* of every datagram between different hosts */
	double loss, duplicate, corrupt; /* probabilities */
	span_t delay, jitter; /* one way; uniform in [delay, delay + jitter): jitter reorders */
};

struct world;

struct world *world_new(uint64_t seed);
void world_free(struct world *w);
void world_net(struct world *w, const struct world_net *net);
mono_t world_now(const struct world *w);
/* uniform in [0, n): for scripts, from the world's seed */
uint64_t world_choice(struct world *w, uint64_t n);
/* A line of the event log. */
void world_note(struct world *w, const char *fmt, ...) PRINTF(2, 3);
/* Fails the test with seed and event log. */
#define WORLD_CHECK(w, cond, ...)                                                                  \
	do {                                                                                       \
		if (!(cond))                                                                       \
			world_fail((w), __FILE__, __LINE__, #cond, __VA_ARGS__);                   \
	} while (0)
void world_fail(struct world *w, const char *file, int line, const char *cond, const char *fmt, ...)
    PRINTF(5, 6);

/* A NAT box. Hosts behind one box share a network. */
struct world_box {
	enum nat_mapping mapping; /* not NAT_NONE */
	enum nat_filtering filtering;
	span_t timeout; /* 0: two minutes */
	size_t max;     /* mappings at once; 0: enough for everybody */
	bool hairpin, preserves_ports;
	int behind; /* another box, as world_box numbered it; 0: the internet */
};
int world_box(struct world *w, const struct world_box *box); /* its number, from 1 */

enum world_family { WORLD_IPV4, WORLD_IPV6, WORLD_BOTH };
struct world_host {
	enum nat_mapping mapping; /* of a box of its own, when box is 0 */
	enum nat_filtering filtering;
	int box;                  /* behind this one */
	enum world_family family; /* IPv6 passes no box */
	size_t mtu;               /* larger IP packets vanish on its link; 0: none do */
	bool no_udp, ephemeral;
	bool once;  /* its auth key serves one login */
	int key_of; /* 1 + a node whose auth key it uses; 0: its own */
};
/* A node that joins with a reusable key. Returns its number. */
int world_add(struct world *w, const struct world_host *host);
struct node *world_node(struct world *w, int i);
bool world_running(struct world *w, int i, int unused);
bool world_direct(struct world *w, int i, int j);  /* i sends to j straight, proven */
bool world_relayed(struct world *w, int i, int j); /* i sends to j by a relay only */
bool world_knows(struct world *w, int i, int j);   /* j is in i's netmap */
bool world_located(struct world *w, int i, int j); /* i's netmap has j's present outer address */
bool world_offline(struct world *w, int i, int j); /* i was told that j is offline */
bool world_online(struct world *w, int i, int j);
bool world_forgot(struct world *w, int i, int j); /* j is not in i's netmap */
bool world_meshed(
    struct world *w, int n,
    int unused); /* the first n nodes run and know each other, but for those removed */

void world_run(struct world *w, span_t d);
/* Runs until the predicate holds or `limit` has passed; says which. */
bool world_until(struct world *w, span_t limit, bool (*pred)(struct world *w, int i, int j), int i,
		 int j);

/* A TCP flow from i to j: len bytes out, echoed, compared. Number of the flow, or -1 when the stack
 * refused. */
int world_transfer(struct world *w, int i, int j, size_t len);
bool world_done(struct world *w, int flow, int unused);   /* all bytes came back right */
bool world_ended(struct world *w, int flow, int unused);  /* done or failed */
bool world_failed(struct world *w, int flow, int unused); /* reset, refused or timed out */
size_t world_progress(struct world *w, int flow);         /* bytes that came back */
/* A TCP flow that stays open: push asks for len more bytes to be echoed, settled says that all came
 * back. */
int world_open(struct world *w, int i, int j);
void world_push(struct world *w, int flow, size_t len);
bool world_settled(struct world *w, int flow, int unused);
/* One datagram from i to j, no answer; how many of i's have arrived at j */
void world_datagram(struct world *w, int i, int j);
uint64_t world_datagrams_seen(const struct world *w, int i, int j);

void world_udp(struct world *w, int i, bool works);
void world_control(struct world *w, bool up); /* down: connections break, dials fail */
void world_control_restart(struct world *w);  /* a new process from what was stored */
/* Control's disk fails at the transaction after the next `after` ones; but for a full disk, which
 * stays full until told otherwise, once. Control ends then, without another word to anybody, and is
 * started again from what was stored a second later. */
enum world_disk {
	WORLD_DISK_GOOD,
	WORLD_DISK_DIES_BEFORE, /* killed when nothing of the transaction is written */
	WORLD_DISK_TORN,        /* killed when half of it is */
	WORLD_DISK_DIES_AFTER,  /* killed when all of it is, and nobody has got an answer */
	WORLD_DISK_FULL,        /* the write is refused */
	WORLD_DISK_N
};
void world_disk(struct world *w, enum world_disk fault, unsigned after);
uint64_t world_disk_strikes(const struct world *w); /* how often it failed */
void world_relay(struct world *w, int relay, bool up);
/* Dials to a relay (-1: control) get no answer, not even a refusal; open streams go on. */
void world_hang(struct world *w, int relay, bool hangs);
/* Each connection to the relay is closed by it as soon as the login is through. */
void world_relay_flaps(struct world *w, int relay, bool flaps);
/* Its only static endpoint; NULL: none */
void world_static(struct world *w, int i, const struct ipport *a);
/* Type of i's endpoint at control; -1: it has no such */
int world_endpoint(struct world *w, int i, const struct ipport *a);
/* i's netmap has this endpoint of j */
bool world_lists(struct world *w, int i, int j, const struct ipport *a);
uint16_t world_home(struct world *w, int i); /* home relay of i as control tells the others */
uint64_t world_relay_packets(const struct world *w, int relay); /* that the relay passed on */
uint64_t world_relay_accepts(const struct world *w, int relay); /* connections since it started */
void world_move(struct world *w, int i); /* new address; the host tells the node */
void world_rebind(struct world *w,
		  int i); /* its NAT gets a new address and forgets; nobody tells */
void world_restart(struct world *w, int i,
		   bool keep_netmap); /* same machine and node key, new disco key */
/* Killed and started again at once, with all that ours keeps: keys, netmap, address and port. */
void world_resume(struct world *w, int i);
/* Its key expires now, at control; it has its auth key and logs in again. */
void world_expire(struct world *w, int i);
/* Deleted at control; its process goes on. false: control's disk failed, and whether it is deleted
 * is seen by trying again. */
bool world_remove(struct world *w, int i);
bool world_removed(struct world *w, int i);                /* by world_remove, for good */
bool world_at_control(struct world *w, int i, int unused); /* control has the node */
bool world_gone(struct world *w, int i, int unused);       /* control has it not */
void world_stop(struct world *w, int i);                   /* its process is killed */
void world_policy(struct world *w, const char *text);      /* NULL: allow all; must parse */
/* From `grace` on nothing of i may reach an application of j; grace zero: at once. allow: again. */
void world_forbid(struct world *w, int i, int j, span_t grace);
void world_allow(struct world *w, int i, int j);
void world_wall_jump(struct world *w,
		     span_t d); /* the hosts' wall clocks jump, monotonic time does not */
void world_sleep(struct world *w, int i, span_t d); /* the host does nothing; its clock goes on */

/* Bytes that the heap has grown by since the world began; 0 under a sanitizer, whose heap is
 * another one. */
size_t world_memory(const struct world *w);
uint64_t world_datagrams(const struct world *w); /* carried so far */
size_t world_rows(const struct world *w);        /* on control's disk */
size_t world_flight(const struct world *w);      /* datagrams under way */
/* a number that differs when anything on any wire differed */
uint64_t world_trace(const struct world *w);

#endif
