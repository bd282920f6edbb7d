/* host/egress_udp.c - datagrams of egress: one socket a port, one tailnet port for each sender */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/egress_priv.h"
#include "host/host_priv.h"
#include "host/reach.h"
#include "os/sockaddr.h"

enum {
	READS = 32, /* of one socket in one wake-up */
	DATAGRAM_MAX = 65535,
	BUCKETS = 64,
	IDLE_S = 120,
	IDLE_DNS_S = 30,
	SWEEP_S = 10,
};

struct egress_flow {
	struct egress_udp_port *port;
	struct egress_flow *next;
	struct egress_flow *older, *newer; /* by last, of all ports */
	struct ipport from, target;
	struct host_udp *u;
	mono_t last;
};

struct egress_udp_port {
	struct egress *egress;
	struct egress_udp_port *next;
	int fd;
	bool is_v6;
	uint16_t to;
	struct loop_poll poll;
	struct loop_timer sweep;
	struct egress_flow *flows[BUCKETS];
	uint8_t buf[DATAGRAM_MAX];
};

static struct loop *loop_of(const struct egress_udp_port *p)
{
	return host_loop(p->egress->host);
}

static struct egress_flow **slot(struct egress_udp_port *p, const struct ipport *from)
{
	uint32_t x = from->port;

	for (int i = 0; i < 16; i++)
		x = (x ^ from->ip.b[i]) * 16777619U;
	return &p->flows[(x ^ x >> 16) % BUCKETS];
}

static void unlist(struct egress_flow *f)
{
	struct egress *g = f->port->egress;

	*(f->older ? &f->older->newer : &g->udp_oldest) = f->newer;
	*(f->newer ? &f->newer->older : &g->udp_newest) = f->older;
}

static void list(struct egress_flow *f)
{
	struct egress *g = f->port->egress;

	f->last = loop_now(loop_of(f->port));
	f->older = g->udp_newest;
	f->newer = NULL;
	*(f->older ? &f->older->newer : &g->udp_oldest) = f;
	g->udp_newest = f;
}

static void used(struct egress_flow *f)
{
	unlist(f);
	list(f);
}

static void flow_free(struct egress_flow **at)
{
	struct egress_flow *f = *at;

	*at = f->next;
	unlist(f);
	shares_give(&f->port->egress->udp_shares, &f->from.ip);
	host_udp_close(f->u);
	f->port->egress->stat.udp_flows--;
	free(f);
}

/* IPv4 as an IPv6 socket has it: our addresses have that form anyway. */
static socklen_t mapped(struct sockaddr_storage *ss, const struct ipport *a)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

	memcpy(&sa.sin6_addr, a->ip.b, 16);
	memcpy(ss, &sa, sizeof sa);
	return sizeof sa;
}

static void on_answer(void *ctx, const struct ipport *remote, struct bytes data)
{
	struct egress_flow *f = ctx;
	struct sockaddr_storage to;
	socklen_t len;

	if (!ip_eq(&remote->ip, &f->target.ip) || remote->port != f->target.port)
		return; /* a stranger on our port */
	used(f);
	len = f->port->is_v6 ? mapped(&to, &f->from) : sockaddr_from(&f->from, &to);
	(void)sendto(f->port->fd, data.data, data.len, MSG_DONTWAIT, (const struct sockaddr *)&to,
		     len); /* UDP may lose */
}

/* The target's address now; IPv4 before IPv6. */
static bool target_now(const struct egress *g, struct ip *out)
{
	struct ip v[8];
	int n;

	if (ip_parse(bytes_str(g->target), out))
		return reach_way(g->host, out) == REACH_TAILNET;
	n = node_lookup(host_node(g->host), g->target, v, ARRAY_LEN(v));
	for (int i = 0; i < n; i++)
		if (ip_is_v4(&v[i]) || i == n - 1) {
			*out = v[i];
			return reach_way(g->host, out) == REACH_TAILNET;
		}
	return false;
}

static void free_listed(struct egress_flow *f)
{
	struct egress_flow **at = slot(f->port, &f->from);

	while (*at != f)
		at = &(*at)->next;
	flow_free(at);
}

/* Each question to a DNS server may come from a port of its own. Who has its share gets a place for
 * one of its own that is idle, who has none for anybody's, as in datagram.c. */
static bool make_room(struct egress *g, const struct ip *who)
{
	const bool has_none = shares_held(&g->udp_shares, who) == 0;
	struct egress_flow *f = g->udp_oldest;

	if (shares_allow(&g->udp_shares, who, g->udp_max - g->stat.udp_flows))
		return true;
	for (int i = 0; i < HOST_UDP_LOOKS && f; i++, f = f->newer) {
		if (!mono_due(mono_add(f->last, g->udp_yields), loop_now(loop_of(f->port))))
			return false;
		if (has_none || ip_eq(&f->from.ip, who)) {
			free_listed(f);
			return true;
		}
	}
	return false;
}

static struct egress_flow *flow_new(struct egress_udp_port *p, const struct ipport *from)
{
	struct egress *g = p->egress;
	struct egress_flow *f, **head = slot(p, from);
	struct err e;

	if (!make_room(g, &from->ip) || !(f = calloc(1, sizeof *f)))
		return NULL;
	*f = (struct egress_flow){ .port = p, .from = *from, .target = { .port = p->to } };
	f->u = target_now(g, &f->target.ip) ? host_udp_open(g->host, on_answer, f, &e) : NULL;
	if (!f->u || !shares_take(&g->udp_shares, &from->ip)) {
		host_udp_close(f->u);
		free(f);
		return NULL;
	}
	f->next = *head;
	*head = f;
	list(f);
	g->stat.udp_flows++;
	g->stat.accepted++;
	if (!loop_timer_is_set(&p->sweep))
		loop_timer_set(&p->sweep, mono_add(loop_now(loop_of(p)), SPAN_S(SWEEP_S)));
	return f;
}

static void sweep(void *ctx)
{
	struct egress_udp_port *p = ctx;
	const mono_t now = loop_now(loop_of(p));
	const span_t idle = p->to == 53 ? SPAN_S(IDLE_DNS_S) : SPAN_S(IDLE_S);
	bool has_any = false;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct egress_flow **at = &p->flows[i]; *at;)
			if (mono_due(mono_add((*at)->last, idle), now)) {
				flow_free(at);
			} else {
				has_any = true;
				at = &(*at)->next;
			}
	if (has_any)
		loop_timer_set(&p->sweep, mono_add(now, SPAN_S(SWEEP_S)));
}

static void on_datagram(struct egress_udp_port *p, const struct ipport *from, size_t len)
{
	struct egress_flow *f = *slot(p, from);
	struct ip now_at;

	while (f && !(ip_eq(&f->from.ip, &from->ip) && f->from.port == from->port))
		f = f->next;
	if (!f && !(f = flow_new(p, from))) {
		p->egress->stat.failed++;
		return;
	}
	if (target_now(p->egress, &now_at)) /* a name follows the netmap */
		f->target.ip = now_at;
	used(f);
	if (host_udp_send(f->u, &f->target, bytes_of(p->buf, len)) < 0)
		p->egress->stat.failed++;
	host_kick(p->egress->host);
}

static void on_readable(void *ctx, int events)
{
	struct egress_udp_port *p = ctx;

	(void)events;
	for (int i = 0; i < READS; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		struct ipport from;
		ssize_t n = recvfrom(p->fd, p->buf, sizeof p->buf, MSG_DONTWAIT,
				     (struct sockaddr *)&sa, &len);

		if (n < 0)
			return; /* none left, or an ICMP error of an earlier answer */
		if (sockaddr_to(&sa, &from))
			on_datagram(p, &from, (size_t)n);
	}
}

static int bind_any(uint16_t port, bool *is_v6)
{
	const int off = 0;
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;
	const bool v6 = fd >= 0;

	if (!v6)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	*is_v6 = v6;
	if (v6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	r = v6 ? bind(fd, (const struct sockaddr *)&any, sizeof any)
	       : bind(fd, (const struct sockaddr *)&any4, sizeof any4);
	if (r == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int egress_udp_open(struct egress *g, const struct egress_port *conf, struct err *e)
{
	struct egress_udp_port *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return err_set(e, ENOMEM, "egress");
	g->udp_max = EGRESS_UDP_MAX;
	g->udp_yields = SPAN_S(HOST_UDP_YIELDS_S);
	g->udp_shares.seed = g->host->udp_seed;
	p->egress = g;
	p->to = conf->to;
	p->fd = bind_any(conf->port, &p->is_v6);
	loop_timer_init(host_loop(g->host), &p->sweep, sweep, p);
	p->next = g->udp;
	g->udp = p;
	r = p->fd < 0 ? p->fd : loop_poll_open(host_loop(g->host), &p->poll, p->fd, on_readable, p);
	if (r < 0)
		return err_set(e, -r, "UDP port %u of the pod for %s", conf->port, g->target);
	loop_poll_set(&p->poll, LOOP_READ);
	return 0;
}

void egress_udp_close(struct egress *g)
{
	while (g->udp) {
		struct egress_udp_port *p = g->udp;

		g->udp = p->next;
		for (size_t i = 0; i < BUCKETS; i++)
			while (p->flows[i])
				flow_free(&p->flows[i]);
		loop_timer_fini(&p->sweep);
		loop_poll_close(&p->poll);
		if (p->fd >= 0)
			close(p->fd);
		free(p);
	}
	shares_fini(&g->udp_shares);
}
