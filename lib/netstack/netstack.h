/* netstack/netstack.h - IPv4, IPv6, ICMP, UDP and TCP in user space, pure
 *
 * IP packets go in by netstack_feed and come out by netstack_pull, in bursts. Nothing is called
 * back: what happened is pulled with netstack_next. Connections are named by an index with a
 * generation (struct ns_id), so a stale name is harmless: calls on it do nothing and say so.
 *
 * The stack accepts TCP and UDP for any port of its own addresses (and, when promiscuous, for any
 * destination): a SYN becomes NS_TCP_INCOMING and is answered only after ns_tcp_accept or
 * ns_tcp_refuse, so that the backend can be dialled first (data-plane.md 6.4). Limits on pending
 * ones, on connections and on memory are in netstack_conf; what comes in of one address gets no
 * more places than are left (base/shares.h).
 *
 * TCP: RFC 9293, 7323, 2018, 6675, 8985 (RACK-TLP), 2883 (DSACK), 9438 (CUBIC), 5681/6582 (Reno),
 * 6298, 5961, 6691, 8201.
 */
#ifndef NETSTACK_NETSTACK_H
#define NETSTACK_NETSTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/pkt.h"
#include "base/rng.h"

struct netstack;

enum ns_cc { NS_CC_CUBIC, NS_CC_RENO, NS_CC_BBR, NS_CC_N };
MUST_USE bool ns_cc_parse(struct bytes name, enum ns_cc *out); /* "cubic", "reno", "bbr" */

struct netstack_conf {
	struct rng *rng;
	uint16_t mtu;     /* of the tunnel; 1280 */
	bool promiscuous; /* as netstack_set_promiscuous */
	enum ns_cc cc;
	size_t max_conns;                /* TCP connections, all states; 0: NS_CONNS_DEFAULT */
	size_t max_pending;              /* incoming that wait for ns_tcp_accept */
	size_t memory;                   /* bytes of all buffers together; 0: NS_MEMORY_DEFAULT */
	uint32_t rcvbuf_max, sndbuf_max; /* of one connection; 0: 8 and 9 MiB */
};
enum { NS_CONNS_DEFAULT = 65536, NS_PENDING_DEFAULT = 8192, NS_MEMORY_DEFAULT = 48 << 20 };

struct netstack *netstack_new(const struct netstack_conf *conf); /* NULL: out of memory */
void netstack_free(struct netstack *ns);

MUST_USE int netstack_addr_add(struct netstack *ns, const struct ip *a); /* 0, -ENOMEM, -EEXIST */
void netstack_addr_del(struct netstack *ns,
		       const struct ip *a); /* its connections end with NS_END_ABORTED */

/* Takes any destination, not just own addresses: whoever feeds has chosen what may come. Echo
 * requests to others come out as NS_ECHO_REQUEST. */
void netstack_set_promiscuous(struct netstack *ns, bool on);

/* The tunnel's link carries packets of this size only; from 576 to what netstack_conf said (for
 * which there is room in packets). New connections offer no larger segments; the peers of open ones
 * are told what a router would tell them, so that they send no larger ones either, and again as
 * long as they are open (over IPv4: over IPv6 nobody need believe in less than 1280). */
void netstack_set_mtu(struct netstack *ns, mono_t now, uint16_t mtu);

void netstack_feed(struct netstack *ns, mono_t now, struct pkt *v,
		   size_t n); /* whole IP packets, borrowed */
/* Fills out (after what is in it) with IP packets to send, headroom as in base/pkt.h; returns how
 * many were added. Call again while it fills the burst. */
size_t netstack_pull(struct netstack *ns, mono_t now, struct burst *out);
mono_t netstack_deadline(const struct netstack *ns);
void netstack_tick(struct netstack *ns, mono_t now);

struct ns_id {
	uint32_t index, generation; /* {0, 0} names nothing */
};

enum ns_event_type {
	NS_TCP_INCOMING,  /* id, local, remote: a peer wants to connect; accept or refuse */
	NS_TCP_CONNECTED, /* our connect succeeded, or an accepted one is established */
	NS_TCP_READABLE, /* there is something to read, or the end (edge-triggered: read until 0) */
	NS_TCP_WRITABLE, /* room again after a short write */
	NS_TCP_ENDED, /* id is dead after this event; reason; only when the user has not released it
		       */
	NS_UDP_RECV,  /* local, remote, data (borrowed until the next call) */
	NS_ECHO_REPLY,      /* remote, echo_id, echo_seq, data */
	NS_ECHO_REQUEST,    /* local (not an own address), remote, echo_id, echo_seq, data */
	NS_UDP_UNREACHABLE, /* a datagram from local to remote was refused (ICMP) */
};
enum ns_end {
	NS_END_DONE, /* both sides closed in order */
	NS_END_REFUSED,
	NS_END_DENIED, /* ns_tcp_denied */
	NS_END_RESET,
	NS_END_TIMEOUT,
	NS_END_UNREACHABLE,
	NS_END_ABORTED,
	NS_END_NO_MEMORY,
	NS_END_N
};
extern const char *const ns_end_names[NS_END_N];

struct ns_event {
	enum ns_event_type type;
	struct ns_id id;
	enum ns_end end;
	struct ipport local, remote;
	struct bytes data;
	uint16_t echo_id, echo_seq;
	void *user; /* what ns_tcp_set_user gave */
};
bool netstack_next(struct netstack *ns, struct ns_event *ev);

/* --- TCP --- */

/* local.ip zero: the own address of the remote's family; local.port 0: an ephemeral one. 0,
 * -EADDRNOTAVAIL, -ENOMEM, -ENOBUFS */
MUST_USE int ns_tcp_connect(struct netstack *ns, mono_t now, const struct ipport *local,
			    const struct ipport *remote, struct ns_id *id);
void ns_tcp_accept(struct netstack *ns, mono_t now, struct ns_id id); /* SYN-ACK goes out */
void ns_tcp_refuse(struct netstack *ns, mono_t now,
		   struct ns_id id); /* RST goes out; id is dead, no event */
/* The remote's node says that its policy drops the SYN that it got: an opening connection ends with
 * NS_END_DENIED, any other stays. Whoever calls has made sure that it is the remote who says so. */
void ns_tcp_denied(struct netstack *ns, const struct ipport *local, const struct ipport *remote);
void ns_tcp_set_user(struct netstack *ns, struct ns_id id, void *user);

struct ns_piece { /* a stretch of a connection's buffer */
	uint8_t *data;
	size_t len;
};
/* What can be read, as up to max pieces in order; returns how many (0: nothing now). */
size_t ns_tcp_peek(struct netstack *ns, struct ns_id id, struct ns_piece *v, size_t max);
void ns_tcp_consume(struct netstack *ns, mono_t now, struct ns_id id,
		    size_t n); /* opens the window */
bool ns_tcp_at_end(const struct netstack *ns,
		   struct ns_id id); /* FIN received and everything read */
/* Room to write into, at most `want` bytes in up to max pieces; returns how many pieces (0: no room
 * now, WRITABLE will come). */
size_t ns_tcp_reserve(struct netstack *ns, struct ns_id id, size_t want, struct ns_piece *v,
		      size_t max);
void ns_tcp_commit(struct netstack *ns, mono_t now, struct ns_id id, size_t n);
size_t ns_tcp_write(struct netstack *ns, mono_t now, struct ns_id id, const void *data,
		    size_t n); /* bytes taken */
size_t ns_tcp_unsent(const struct netstack *ns,
		     struct ns_id id); /* bytes written and not yet acknowledged */
void ns_tcp_shutdown(struct netstack *ns, mono_t now,
		     struct ns_id id); /* FIN after what was written; reading goes on */
void ns_tcp_abort(struct netstack *ns, mono_t now, struct ns_id id); /* RST; id is dead, no event */
/* The user is done with id: it lingers by itself as TCP wants (FIN if not sent), no further event.
 */
void ns_tcp_release(struct netstack *ns, mono_t now, struct ns_id id);
void ns_tcp_keepalive(struct netstack *ns, mono_t now, struct ns_id id, span_t idle,
		      span_t interval, unsigned count);

/* A connection that has heard nothing since a time-out of its retransmission timer, nor sent
 * anything for a round trip. index 0: the first; then the one behind it. false: no more. */
struct ns_stalled {
	uint32_t index;
	struct ip remote;
};
bool ns_tcp_stalled(const struct netstack *ns, mono_t now, struct ns_stalled *s);
/* It sends again now, one segment, and its time-outs begin anew (they go on counting): for who
 * knows that the way to its remote is another one, as draft-eggert-tcpm-tcp-retransmit-now has it.
 * s: just found by ns_tcp_stalled. */
void ns_tcp_try_again(struct netstack *ns, mono_t now, const struct ns_stalled *s);

struct ns_tcp_info {
	const char *state; /* RFC 9293 name */
	struct ipport local, remote;
	uint64_t bytes_in, bytes_out, segs_in, segs_out, segs_retrans, segs_spurious;
	uint32_t cwnd, mss;
	span_t srtt;
	size_t rcvbuf, sndbuf; /* memory held now */
};
bool ns_tcp_info(const struct netstack *ns, struct ns_id id, struct ns_tcp_info *info);

/* --- UDP and echo: datagrams, no state inside --- */

/* Queues one datagram (fragmented when it must be); 0, -ENOBUFS, -EMSGSIZE, -EADDRNOTAVAIL.
 * local.ip zero as for connect. */
MUST_USE int ns_udp_send(struct netstack *ns, const struct ipport *local,
			 const struct ipport *remote, struct bytes data);
/* Answers a datagram that nobody wanted: ICMP port unreachable (rate limited). */
void ns_udp_refuse(struct netstack *ns, mono_t now, const struct ipport *local,
		   const struct ipport *remote);
MUST_USE int ns_echo_send(struct netstack *ns, const struct ip *remote, uint16_t id, uint16_t seq,
			  struct bytes payload);
/* Answers an NS_ECHO_REQUEST in the name of its local. */
MUST_USE int ns_echo_reply(struct netstack *ns, const struct ip *local, const struct ip *remote,
			   uint16_t id, uint16_t seq, struct bytes payload);

enum ns_drop {
	NS_DROP_NONE,
	NS_DROP_SHAPE,
	NS_DROP_CHECKSUM,
	NS_DROP_NOT_OURS,
	NS_DROP_FRAGMENT,
	NS_DROP_REASSEMBLY_LIMIT,
	NS_DROP_NO_MEMORY,
	NS_DROP_PROTOCOL,
	NS_DROP_TCP_NO_CONN,
	NS_DROP_TCP_PENDING_LIMIT,
	NS_DROP_TCP_CONN_LIMIT,
	NS_DROP_TCP_PAWS,
	NS_DROP_TCP_WINDOW,
	NS_DROP_TCP_RST_INVALID,
	NS_DROP_QUEUE_FULL,
	NS_DROP_RATE,
	NS_DROP_N
};
extern const char *const ns_drop_names[NS_DROP_N];
struct netstack_stat {
	uint64_t drops[NS_DROP_N];
	uint64_t packets_in, packets_out, tcp_retrans, tcp_spurious;
	size_t conns, pending, memory; /* now */
};
void netstack_stat(const struct netstack *ns, struct netstack_stat *st);
/* Bytes of buffers and connections that went back to malloc, ever: when they grow, trimming the
 * heap is worth it.
 */
uint64_t netstack_freed(const struct netstack *ns);

#endif
