/* host/proxy_udp.c - UDP ASSOCIATE of SOCKS5 (RFC 1928 section 7): a relay that lives as long as
 * its TCP connection
 *
 * The relay socket takes datagrams from the client's address only, and from the first port that
 * spoke. Tailnet destinations leave through the stack from a port of their own, others by a socket
 * per family, unless that is switched off. Datagrams that cannot be carried are dropped, as UDP
 * may.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/proxy_priv.h"
#include "os/file.h"
#include "os/sockaddr.h"

enum { DATAGRAM_MAX = 65535, NAMES = 4, PER_WAKE = 64 };

struct way_out { /* a socket to the ordinary network */
	int fd;
	struct loop_poll poll;
};

struct association {
	struct client *c;
	int fd;
	struct loop_poll poll;
	struct ip client_ip;
	struct ipport client_at; /* port 0: has not spoken yet */
	struct host_udp *inside;
	struct way_out outside[2]; /* IPv4, IPv6 */
	struct known {
		char name[256]; /* "": none */
		struct ip ip;
		mono_t until; /* then it is asked again */
	} names[NAMES];
	size_t next_name;
	/* one datagram waits for its name; more are dropped meanwhile */
	struct host_lookup *lookup;
	struct socks5_addr asked;
	uint8_t *waiting; /* NULL: a name that was known is asked again, and nothing waits */
	size_t waiting_len;
};

/* --- answers to the client --- */

static void to_client(struct association *a, const struct ipport *from, struct bytes data)
{
	uint8_t head[SOCKS5_UDP_HEADER_MAX];
	struct iovec v[2] = { { head, socks5_udp_header(from, head) },
			      { (void *)(uintptr_t)data.data, data.len } };
	struct sockaddr_storage ss;
	struct msghdr h = { .msg_name = &ss, .msg_iov = v, .msg_iovlen = 2 };

	h.msg_namelen = sockaddr_from(&a->client_at, &ss);
	(void)sendmsg(a->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT); /* full or gone: a lost datagram */
}

static void from_tailnet(void *ctx, const struct ipport *remote, struct bytes data)
{
	to_client(ctx, remote, data);
}

static bool receive(int fd, uint8_t *buf, struct ipport *from, size_t *len)
{
	struct sockaddr_storage ss;
	socklen_t sl = sizeof ss;
	ssize_t n = recvfrom(fd, buf, DATAGRAM_MAX, MSG_DONTWAIT, (struct sockaddr *)&ss, &sl);

	if (n < 0)
		return false;
	*len = (size_t)n;
	if (!sockaddr_to(&ss, from))
		*from = (struct ipport){ 0 };
	return true;
}

static void from_outside(struct association *a, int fd)
{
	uint8_t buf[DATAGRAM_MAX];
	struct ipport from;
	size_t len;

	for (int i = 0; i < PER_WAKE && receive(fd, buf, &from, &len); i++)
		if (from.port)
			to_client(a, &from, bytes_of(buf, len));
}

static void outside4_ready(void *ctx, int events)
{
	struct association *a = ctx;

	(void)events;
	from_outside(a, a->outside[0].fd);
}

static void outside6_ready(void *ctx, int events)
{
	struct association *a = ctx;

	(void)events;
	from_outside(a, a->outside[1].fd);
}

/* --- datagrams of the client --- */

static int open_socket(struct loop *loop, const struct ipport *at, struct loop_poll *poll,
		       void (*fn)(void *, int), void *ctx)
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_from(at, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 ||
	    loop_poll_open(loop, poll, fd, fn, ctx) < 0) {
		close(fd);
		return -1;
	}
	loop_poll_set(poll, LOOP_READ);
	return fd;
}

static void send_outside(struct association *a, const struct ipport *to, struct bytes data)
{
	const int v6 = !ip_is_v4(&to->ip);
	struct way_out *w = &a->outside[v6];
	struct ipport any = { .ip = ip_v4(0, 0, 0, 0) };
	struct sockaddr_storage ss;
	socklen_t len;

	if (v6)
		any.ip = (struct ip){ 0 };
	if (w->fd < 0)
		w->fd = open_socket(a->c->server->loop, &any, &w->poll,
				    v6 ? outside6_ready : outside4_ready, a);
	if (w->fd < 0)
		return;
	len = sockaddr_from(to, &ss);
	(void)sendto(w->fd, data.data, data.len, MSG_NOSIGNAL | MSG_DONTWAIT,
		     (struct sockaddr *)&ss, len);
}

static void carry(struct association *a, struct ipport to, struct bytes data)
{
	struct proxy_server *p = a->c->server;
	struct err e;

	switch (reach_way(p->host, &to.ip)) {
	case REACH_TAILNET:
		if (!a->inside)
			a->inside = host_udp_open(p->host, from_tailnet, a, &e);
		if (a->inside && host_udp_send(a->inside, &to, data) < 0)
			p->stat.failed[REACH_FAILED]++;
		break;
	case REACH_SELF:
		to.ip = ip_v4(127, 0, 0, 1);
		send_outside(a, &to, data);
		break;
	case REACH_OUTSIDE:
		if (p->tailnet_only)
			p->stat.failed[REACH_NOT_ALLOWED]++;
		else
			send_outside(a, &to, data);
		break;
	case REACH_NOBODY:
		p->stat.failed[REACH_UNREACHABLE]++;
		break;
	}
}

static struct known *known(struct association *a, const char *name)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strcmp(a->names[i].name, name) == 0)
			return &a->names[i];
	return NULL;
}

static void looked_up(void *ctx, const struct ip *v, size_t n)
{
	struct association *a = ctx;
	const struct proxy_server *p = a->c->server;
	struct known *k = known(a, a->asked.name);

	a->lookup = NULL;
	if (n > 0) {
		if (!k)
			k = &a->names[a->next_name++ % NAMES];
		memcpy(k->name, a->asked.name, sizeof k->name);
		k->ip = v[0];
		k->until = mono_add(loop_now(p->loop), SPAN_S(p->name_s));
		if (a->waiting)
			carry(a, (struct ipport){ v[0], a->asked.at.port },
			      bytes_of(a->waiting, a->waiting_len));
	} else if (k) {
		k->name[0] = 0;
	}
	free(a->waiting);
	a->waiting = NULL;
}

static void ask(struct association *a, const struct socks5_addr *to)
{
	a->asked = *to;
	a->lookup = host_lookup(a->c->server->host, to->name, looked_up, a);
	if (!a->lookup) {
		free(a->waiting);
		a->waiting = NULL;
	}
}

/* A name that is in use is asked again while its datagrams go on to where it was; one that has
 * rested for as long again is asked before anything goes. */
static void by_name(struct association *a, const struct socks5_addr *to, struct bytes data)
{
	const struct proxy_server *p = a->c->server;
	const mono_t now = loop_now(p->loop);
	const struct known *k = known(a, to->name);

	if (k && !mono_due(mono_add(k->until, SPAN_S(p->name_s)), now)) {
		const struct ipport at = { k->ip, to->at.port };

		if (mono_due(k->until, now) && !a->lookup)
			ask(a, to);
		carry(a, at, data);
		return;
	}
	if (a->lookup)
		return;
	a->waiting = malloc(data.len + 1);
	if (!a->waiting)
		return;
	if (data.len > 0)
		memcpy(a->waiting, data.data, data.len);
	a->waiting_len = data.len;
	ask(a, to);
}

static void client_ready(void *ctx, int events)
{
	struct association *a = ctx;
	uint8_t buf[DATAGRAM_MAX];
	struct socks5_addr to;
	struct bytes data;
	struct ipport from;
	size_t len;

	(void)events;
	for (int i = 0; i < PER_WAKE && receive(a->fd, buf, &from, &len); i++) {
		if (!ip_eq(&from.ip, &a->client_ip) ||
		    (a->client_at.port && from.port != a->client_at.port) ||
		    !socks5_udp_parse(bytes_of(buf, len), &to, &data) || to.at.port == 0)
			continue;
		a->client_at = from;
		if (*to.name)
			by_name(a, &to, data);
		else
			carry(a, to.at, data);
	}
}

/* --- life --- */

struct association *proxy_association_new(struct client *c, struct ipport *bound)
{
	struct proxy_server *p = c->server;
	struct association *a = NULL;
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct ipport remote;

	if (p->stat.associations >= p->udp_max || !stream_local(c->s, bound) ||
	    !stream_remote(c->s, &remote) || !(a = calloc(1, sizeof *a)))
		return NULL;
	a->c = c;
	a->client_ip = remote.ip;
	a->outside[0].fd = a->outside[1].fd = -1;
	bound->port = 0;
	p->stat.associations++;
	a->fd = open_socket(p->loop, bound, &a->poll, client_ready, a);
	if (a->fd < 0 || getsockname(a->fd, (struct sockaddr *)&ss, &len) < 0 ||
	    !sockaddr_to(&ss, bound)) {
		proxy_association_free(a);
		return NULL;
	}
	return a;
}

void proxy_association_free(struct association *a)
{
	if (!a)
		return;
	a->c->server->stat.associations--;
	host_lookup_cancel(a->lookup);
	free(a->waiting);
	if (a->inside)
		host_udp_close(a->inside);
	loop_poll_close(&a->poll);
	file_fd_close(&a->fd);
	for (size_t i = 0; i < ARRAY_LEN(a->outside); i++) {
		loop_poll_close(&a->outside[i].poll);
		file_fd_close(&a->outside[i].fd);
	}
	free(a);
}
