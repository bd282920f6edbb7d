/* host/host.h - carries the effects of a node out: UDP sockets, streams, names, timers; joins flows
 * with local sockets */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "node/node.h"

struct loop;
struct stream;
struct host;
struct tls_client;
struct proxy_env;
struct resolver;

struct host_ops { /* what the program hears; each may be NULL */
	void (*state)(void *ctx, enum node_state state);
	void (*auth_url)(void *ctx, const char *url);
	void (*persist_login)(void *ctx);
	void (*persist_netmap)(void *ctx);
	void (*health)(void *ctx);
	void (*netmap)(void *ctx);
	void (*pong)(void *ctx, const struct node_ping_result *r);
	void (*inner)(void *ctx, struct pkt *v,
		      size_t n); /* raw_packets: for the device; borrowed */
	void (*c2n)(void *ctx);  /* node_c2n waits for node_c2n_reply */
	void (*logged_out)(void *ctx);
	void (*left)(void *ctx); /* after host_leave */
	void (*fatal)(void *ctx, int code, const char *text);
};

struct host_conf {
	struct loop *loop;
	struct node_conf node;
	uint16_t port;      /* UDP; 0: kept_port when that is free, else any */
	uint16_t kept_port; /* of an earlier run, 0: none. Peers send there until they hear more. */
	bool no_udp4, no_udp6;
	struct ip dest;      /* TS_DEST_IP; zero: loopback; the port stays the same */
	bool exit_allow_lan; /* as host_set_exit_lan */
	unsigned
	    proxy_protocol; /* 1 or 2: a PROXY header before every inbound TCP forward; 0: none */
	struct tls_client *tls;        /* trust roots; borrowed for the host's life */
	const struct proxy_env *proxy; /* HTTP CONNECT proxies; borrowed; NULL: none */
	struct resolver *resolver;     /* borrowed */
	const struct host_ops *ops;
	void *ctx;
	const char
	    *label; /* of this node in lines of the log (log_as); borrowed for the host's life */
};

struct host *host_new(const struct host_conf *conf, struct err *e); /* NULL: e says why */
void host_free(struct host *h);
void host_start(struct host *h);
struct node *host_node(struct host *h);
struct loop *host_loop(struct host *h);
/* The UDP port, of the IPv4 socket if there is one; 0: no socket */
uint16_t host_port(const struct host *h);
/* Call after touching the node from outside a host callback: its effects are carried out at the end
 * of the turn. */
void host_kick(struct host *h);

/* Gives a port mapped at the gateway back, before the end. true: `left` tells when it is done;
 * false: there is none */
bool host_leave(struct host *h);

/* raw_packets: IP packets of the device; how many were taken. */
size_t host_send_packets(struct host *h, const struct pkt *v, size_t n);

/* Another destination of new inbound flows; NULL: none is known, they are refused. */
void host_set_dest(struct host *h, const struct ip *dest);

/* Asked first about each new TCP flow to an own address: true: it has taken ev->id (accepted,
 * refused or waiting). fn NULL: nobody is asked. */
struct ns_event;
typedef bool host_incoming_fn(void *ctx, const struct ns_event *ev);
void host_set_incoming(struct host *h, host_incoming_fn *fn, void *ctx);
/* Hands an incoming flow on to `to`, as inbound flows are: answered once that is reached, after a
 * PROXY header of that version (0: none). */
struct dial_conf;
void host_forward(struct host *h, const struct ns_event *ev, const struct dial_conf *to,
		  unsigned proxy_protocol);
/* The header: its length, 0 for no such version. out: HOST_BEFORE_MAX bytes. */
size_t host_proxy_header(unsigned version, const struct ipport *src, const struct ipport *dst,
			 uint8_t *out, size_t cap);

/* While an exit node is used: private addresses are dialled by the ordinary network all the same.
 */
void host_set_exit_lan(struct host *h, bool on);

/* --- flows into the tailnet --- */

/* Called once: ok: established, and `id` is the caller's to splice; else `end` says why it failed.
 */
typedef void host_connect_fn(void *ctx, struct ns_id id, bool ok, enum ns_end end);
struct host_connect; /* an attempt; gone when done was called */
struct host_connect *host_connect(struct host *h, const struct ipport *to, host_connect_fn *done,
				  void *ctx, struct err *e);
void host_connect_cancel(struct host_connect *c);

/* Joins an established flow and an open stream, both ways, with half-close and back-pressure and no
 * buffer in between; owns both from now on. `early`: bytes already read from the stream, which
 * enter the flow first. 0, -ENOMEM, or -ECONNRESET: the flow has ended meanwhile (then both are
 * closed) */
MUST_USE int host_splice(struct host *h, struct ns_id id, struct stream *s, struct bytes early);
/* The same with a stream that carries `before` (copied, at most HOST_BEFORE_MAX) ahead of the
 * flow's bytes: a PROXY header, an answer. */
enum { HOST_BEFORE_MAX = 128 };
MUST_USE int host_splice_after(struct host *h, struct ns_id id, struct stream *s,
			       struct bytes early, struct bytes before);
/* Both ends now: the peer sees a reset, the stream is closed. Nothing when id is not spliced. */
void host_splice_cut(struct host *h, struct ns_id id);
size_t host_n_splices(const struct host *h);

/* Datagrams from an own tailnet port; recv is called for each answer. */
typedef void host_udp_fn(void *ctx, const struct ipport *remote, struct bytes data);
struct host_udp;
struct host_udp *host_udp_open(struct host *h, host_udp_fn *recv, void *ctx, struct err *e);
MUST_USE int host_udp_send(struct host_udp *u, const struct ipport *to, struct bytes data);
void host_udp_close(struct host_udp *u);

/* A name as a proxy sees it: MagicDNS first, then the system's resolver. done is called once, never
 * before the call returns; count 0: no such name. */
typedef void host_lookup_fn(void *ctx, const struct ip *v, size_t count);
struct host_lookup;
struct host_lookup *host_lookup(struct host *h, const char *name, host_lookup_fn *done, void *ctx);
void host_lookup_cancel(struct host_lookup *l);

#endif
