/* netstack/stack.h - the stack itself; for neighbours in this directory */
#ifndef NETSTACK_STACK_H
#define NETSTACK_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shares.h"
#include "crypto/siphash.h"
#include "netstack/conn_table.h"
#include "netstack/dgramq.h"
#include "netstack/netstack.h"
#include "netstack/pool.h"
#include "netstack/reassembly.h"
#include "netstack/tcp_conn.h"
#include "netstack/timer.h"
#include "wire/packet.h"

enum {
	NS_ADDRS_MAX = 65536,  /* own addresses: a group proxy has thousands */
	NS_OUTQ_MAX = 1 << 20, /* bytes of datagrams, resets and ICMP that wait for a pull */
	NS_INQ_MAX = 1 << 20,  /* bytes of datagrams that wait for netstack_next */
	NS_TURN = BURST_MAX,   /* segments of one connection before the next has its turn */
	NS_TTL = 64,
	NS_RATE_BURST = 100,
	NS_PORT_COUNTERS = 64,
	NS_RATE_PER_S = 1000, /* resets, ICMP errors: each kind */
	NS_TELL_BURST = 64,   /* connections told at once that our link narrowed */
	NS_TELL_MS = 500,     /* until they are told again */
	NS_TELL_ROUNDS = 9,   /* as often that time doubles: 256 s */
};
#define NS_TELL_PAUSE SPAN_MS(10) /* between bursts of them */

struct limiter { /* token bucket */
	mono_t at;
	uint32_t tokens;
};

struct netstack {
	struct netstack_conf conf;
	uint8_t key[SIPHASH_KEY_LEN];
	struct pool pool;
	struct timers timers;
	struct conn_table table;
	uint64_t conns_freed;                  /* bytes */
	struct tcp_conn *out_first, *out_last; /* may have something to send, round robin */
	struct tcp_conn *ev_first, *ev_last;   /* have events */
	struct tcp_conn *aged_first,
	    *aged_last; /* TIME-WAIT, oldest first: evicted when connections run out */
	struct tcp_conn *starved_first, *starved_last; /* wait for memory to write into */
	struct tcp_conn *last_conn;                    /* of the last segment */
	struct dgramq outq, inq;
	struct reassembly reassembly;
	struct ip *addrs; /* sorted */
	size_t n_addrs, cap_addrs;
	size_t n_pending, n_aged, n_woken;
	struct shares pending, held; /* of incoming connections, by remote address: those that wait
					for accept; those not in TIME-WAIT */
	struct limiter resets, errors;
	uint32_t ip_id;
	uint16_t port_next[NS_PORT_COUNTERS]; /* RFC 6056 3.3.4: one for several destinations */
	uint16_t conf_mtu;                    /* as configured; conf.mtu: at present */
	mono_t tell_at;                       /* who offered too much is told on: tcp_path.c */
	uint32_t tell_next;                   /* slot of the table */
	uint8_t tell_round;
	bool tell_found;
	bool udp_turn; /* datagrams and connections take turns in netstack_next */
	struct netstack_stat stat;
};

static inline void ns_drop(struct netstack *ns, enum ns_drop why)
{
	ns->stat.drops[why]++;
}

bool limiter_take(struct limiter *l, mono_t now);

/* --- netstack.c --- */
bool ns_is_own(const struct netstack *ns, const struct ip *a);
/* An own address of the family of `like`; false: none. */
bool ns_own_address(const struct netstack *ns, const struct ip *like, struct ip *out);

/* --- ip.c --- */
enum { IP_HEAD_MAX = 40 };
static inline size_t ip_head_len(const struct ip *dst)
{
	return ip_is_v4(dst) ? 20 : 40;
}
/* Writes the IP header for a packet of head + len bytes that may not be fragmented. */
void ip_emit(struct netstack *ns, uint8_t *out, const struct ip *src, const struct ip *dst,
	     uint8_t proto, size_t len);
/* Queues a packet whose payload is head then data, with the transport checksum put in at csum_off;
 * fragments it when it must. */
MUST_USE int ip_queue(struct netstack *ns, const struct ip *src, const struct ip *dst,
		      uint8_t proto, struct bytes head, struct bytes data, size_t csum_off);
void ip_input(struct netstack *ns, mono_t now, const uint8_t *data, size_t len);

/* --- above IP: data is the payload of the IP packet --- */
void icmp_input(struct netstack *ns, mono_t now, const struct packet *p, struct bytes data);
void udp_input(struct netstack *ns, mono_t now, const struct packet *p, struct bytes data);
void tcp_receive(struct netstack *ns, mono_t now, const struct packet *p, struct bytes data);

/* what an ICMP error quotes */
void tcp_icmp_error(struct netstack *ns, mono_t now, const struct packet *quoted,
		    struct bytes transport, uint32_t mtu, bool is_hard);

#endif
