/* host/datagram.c - UDP flows: inbound ones to the same port on loopback (or TS_DEST_IP), and ports
 * of proxies; or to an address of a route that we serve
 *
 * One connected socket per inbound flow, no thread and no buffer of its own; a flow ends after two
 * idle minutes (DNS: 30 s), or when there are too many, the one idle longest. A refused datagram is
 * answered by an ICMP port unreachable, which the stock client does not do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "os/sockaddr.h"

enum { DATAGRAM_MAX = 65535, DATAGRAM_READS = 32 /* of one flow in one wake-up */ };
enum { PORT_FIRST = 49152, PORT_N = 16384 }; /* of proxies; RFC 6335 section 6 */
static_assert(PORT_N >= 8 * HOST_UDP_PORTS_MAX, "a port that is free is found soon");

struct udp_flow {
	struct host *host;
	struct udp_flow *next;
	struct udp_flow *older, *newer; /* by last */
	struct ipport local, remote;    /* as the peer sees them */
	int fd;
	struct loop_poll poll;
	mono_t last;
};

struct host_udp {
	struct host *host;
	struct host_udp *next;
	uint16_t port;
	host_udp_fn *recv;
	void *ctx;
};

static size_t bucket(const struct host *h, const struct ipport *local, const struct ipport *remote)
{
	uint64_t x = h->udp_seed ^ ((uint64_t)local->port << 16 | remote->port);

	for (int i = 0; i < 16; i++)
		x = (x ^ remote->ip.b[i]) * UINT64_C(0x100000001b3);
	for (int i = 0; i < 16; i++)
		x = (x ^ local->ip.b[i]) * UINT64_C(0x100000001b3);
	return (size_t)((x ^ x >> 32) % HOST_UDP_BUCKETS);
}

static void unlist(struct udp_flow *f)
{
	*(f->older ? &f->older->newer : &f->host->udp_oldest) = f->newer;
	*(f->newer ? &f->newer->older : &f->host->udp_newest) = f->older;
}

static void list(struct udp_flow *f)
{
	struct host *h = f->host;

	f->last = loop_now(h->loop);
	f->older = h->udp_newest;
	f->newer = NULL;
	*(f->older ? &f->older->newer : &h->udp_oldest) = f;
	h->udp_newest = f;
}

static void used(struct udp_flow *f)
{
	unlist(f);
	list(f);
}

static void flow_free(struct udp_flow *f)
{
	struct udp_flow **pp = &f->host->udp_buckets[bucket(f->host, &f->local, &f->remote)];

	while (*pp != f)
		pp = &(*pp)->next;
	*pp = f->next;
	unlist(f);
	loop_poll_close(&f->poll);
	close(f->fd);
	shares_give(&f->host->udp_shares, &f->remote.ip);
	f->host->n_udp_flows--;
	free(f);
}

static void flow_readable(void *ctx, int events)
{
	struct udp_flow *f = ctx;
	struct host *h = f->host;
	uint8_t buf[DATAGRAM_MAX];

	(void)events;
	for (int i = 0; i < DATAGRAM_READS; i++) {
		ssize_t n = recv(f->fd, buf, sizeof buf, MSG_DONTWAIT);

		if (n < 0 && errno == ECONNREFUSED) {
			ns_udp_refuse(node_netstack(h->node), loop_now(h->loop), &f->local,
				      &f->remote);
			host_kick(h);
			flow_free(f);
			return;
		}
		if (n < 0)
			return;
		used(f);
		if (ns_udp_send(node_netstack(h->node), &f->local, &f->remote,
				bytes_of(buf, (size_t)n)) != 0)
			return; /* the stack's queue is full: UDP may lose */
		host_kick(h);
	}
}

static int connect_to(const struct ipport *to)
{
	struct sockaddr_storage a;
	socklen_t alen = sockaddr_from(to, &a);
	int fd = socket(sockaddr_family(&to->ip), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = connect(fd, (struct sockaddr *)&a, alen);
	if (ret == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/* Where datagrams for local go; false: nowhere. */
static bool target_of(const struct host *h, const struct ipport *local, struct ipport *to)
{
	*to = (struct ipport){ .port = local->port };
	switch (host_target(h, &local->ip, &to->ip)) {
	case HOST_ROUTED:
		return true;
	case HOST_OWN:
		to->ip = ip_is_zero(&h->dest) ? ip_v4(127, 0, 0, 1) : h->dest;
		return !h->no_dest;
	default:
		return false;
	}
}

static int64_t idle_s(const struct udp_flow *f)
{
	return f->local.port == 53 ? HOST_UDP_IDLE_DNS_S : HOST_UDP_IDLE_S;
}

static void sweep(void *ctx)
{
	struct host *h = ctx;
	mono_t now = loop_now(h->loop);

	for (size_t i = 0; i < HOST_UDP_BUCKETS; i++)
		for (struct udp_flow *f = h->udp_buckets[i], *next; f; f = next) {
			next = f->next;
			if (mono_due(mono_add(f->last, SPAN_S(idle_s(f))), now))
				flow_free(f);
		}
	if (h->n_udp_flows > 0)
		loop_timer_set(&h->udp_sweep, mono_add(now, SPAN_S(HOST_UDP_SWEEP_S)));
}

/* A peer that has its share (base/shares.h) gets a place for one of its own that is idle; who has
 * none, for anybody's. So many flows of one peer keep nobody out, and end nobody else's. */
static bool make_room(struct host *h, const struct ip *who)
{
	const size_t left = h->udp_flows_max - h->n_udp_flows;
	const bool has_none = shares_held(&h->udp_shares, who) == 0;
	struct udp_flow *f = h->udp_oldest;

	if (shares_allow(&h->udp_shares, who, left))
		return true;
	for (int i = 0; i < HOST_UDP_LOOKS && f; i++, f = f->newer) {
		if (!mono_due(mono_add(f->last, h->udp_yields), loop_now(h->loop)))
			return false;
		if (has_none || ip_eq(&f->remote.ip, who)) {
			flow_free(f);
			return true;
		}
	}
	return false;
}

static struct udp_flow *flow_new(struct host *h, const struct ipport *local,
				 const struct ipport *remote)
{
	struct udp_flow *f, **head = &h->udp_buckets[bucket(h, local, remote)];
	struct ipport to;
	int fd;

	if (!target_of(h, local, &to) || !make_room(h, &remote->ip))
		return NULL;
	fd = connect_to(&to);
	f = fd >= 0 ? calloc(1, sizeof *f) : NULL;
	if (!f || !shares_take(&h->udp_shares, &remote->ip)) {
		if (fd >= 0)
			close(fd);
		free(f);
		return NULL;
	}
	*f = (struct udp_flow){
		.host = h, .next = *head, .local = *local, .remote = *remote, .fd = fd
	};
	*head = f;
	list(f);
	h->n_udp_flows++;
	if (loop_poll_open(h->loop, &f->poll, fd, flow_readable, f) != 0) {
		flow_free(f);
		return NULL;
	}
	loop_poll_set(&f->poll, LOOP_READ);
	if (h->n_udp_flows == 1)
		loop_timer_set(&h->udp_sweep,
			       mono_add(loop_now(h->loop), SPAN_S(HOST_UDP_SWEEP_S)));
	return f;
}

static void forward_datagram(struct host *h, const struct ns_event *ev)
{
	struct udp_flow *f = h->udp_buckets[bucket(h, &ev->local, &ev->remote)];

	while (f && !(ipport_eq(&f->local, &ev->local) && ipport_eq(&f->remote, &ev->remote)))
		f = f->next;
	if (!f)
		f = flow_new(h, &ev->local, &ev->remote);
	if (!f)
		return;
	used(f);
	if (send(f->fd, ev->data.data, ev->data.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno == ECONNREFUSED) {
		ns_udp_refuse(node_netstack(h->node), loop_now(h->loop), &ev->local, &ev->remote);
		flow_free(f);
	}
}

void host_datagram_event(struct host *h, const struct ns_event *ev)
{
	if (ev->type != NS_UDP_RECV)
		return;
	for (struct host_udp *u = h->udp_ports; u; u = u->next)
		if (u->port == ev->local.port && node_is_own(h->node, &ev->local.ip)) {
			u->recv(u->ctx, &ev->remote, ev->data);
			return;
		}
	forward_datagram(h, ev);
}

/* --- ports of proxies --- */

static bool port_taken(const struct host *h, uint16_t port)
{
	for (const struct host_udp *u = h->udp_ports; u; u = u->next)
		if (u->port == port)
			return true;
	return false;
}

struct host_udp *host_udp_open(struct host *h, host_udp_fn *recv_fn, void *ctx, struct err *e)
{
	struct host_udp *u;
	uint16_t port;

	if (h->n_udp_ports == HOST_UDP_PORTS_MAX) {
		err_set(e, ENOBUFS, "open a tailnet UDP port (%d are open)", HOST_UDP_PORTS_MAX);
		return NULL;
	}
	u = calloc(1, sizeof *u);
	if (!u) {
		err_set(e, ENOMEM, "open a tailnet UDP port");
		return NULL;
	}
	do /* RFC 6056 section 3.3.1: what is asked from it may be asked of a resolver */
		port = (uint16_t)(PORT_FIRST + rng_below(h->rng, PORT_N));
	while (port_taken(h, port));
	*u = (struct host_udp){
		.host = h, .next = h->udp_ports, .port = port, .recv = recv_fn, .ctx = ctx
	};
	h->udp_ports = u;
	h->n_udp_ports++;
	return u;
}

int host_udp_send(struct host_udp *u, const struct ipport *to, struct bytes data)
{
	const struct ipport from = { .port = u->port };

	host_kick(u->host);
	return ns_udp_send(node_netstack(u->host->node), &from, to, data);
}

void host_udp_close(struct host_udp *u)
{
	struct host_udp **pp;

	if (!u)
		return;
	pp = &u->host->udp_ports;
	while (*pp != u)
		pp = &(*pp)->next;
	*pp = u->next;
	u->host->n_udp_ports--;
	free(u);
}

void host_datagram_init(struct host *h)
{
	h->udp_flows_max = HOST_UDP_FLOWS_MAX;
	h->udp_yields = SPAN_S(HOST_UDP_YIELDS_S);
	h->udp_shares.seed = h->udp_seed;
	loop_timer_init(h->loop, &h->udp_sweep, sweep, h);
}

void host_datagram_free(struct host *h)
{
	for (size_t i = 0; i < HOST_UDP_BUCKETS; i++)
		while (h->udp_buckets[i])
			flow_free(h->udp_buckets[i]);
	shares_fini(&h->udp_shares);
	loop_timer_fini(&h->udp_sweep);
	while (h->udp_ports)
		host_udp_close(h->udp_ports);
}
