/* host/echo.c - ICMP echo to addresses of routes that we serve, through the kernel's unprivileged
 * echo sockets
 *
 * One socket a family for all peers: the kernel chooses the identifier, our sequence number tells
 * the requests apart. Where net.ipv4.ping_group_range keeps us from such sockets, these echoes stay
 * unanswered, which is said once.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "os/sockaddr.h"
#include "wire/icmp.h"

enum { ECHO_READS = 32 /* in one wake-up */ };

struct echo_wait {
	mono_t until; /* the past: free */
	struct ip local, remote, to;
	uint16_t id, seq; /* the peer's */
	uint16_t ours;    /* the sequence number under which it goes out */
};

struct echo_socket {
	struct echo *echo;
	int fd; /* -1: not to be had */
	struct loop_poll poll;
};

struct echo {
	struct host *host;
	struct echo_socket v[2]; /* IPv4, IPv6 */
	struct echo_wait wait[HOST_ECHO_MAX];
	uint16_t next;
	bool told;
};

static void answer(struct echo *x, const struct ip *from, const uint8_t *data, size_t len)
{
	struct host *h = x->host;
	struct echo_wait *w;
	struct icmp_head ih;

	if (!icmp_parse(data, len, &ih) ||
	    ih.type != (ip_is_v4(from) ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY))
		return;
	w = &x->wait[ih.lo % HOST_ECHO_MAX];
	if (w->ours != ih.lo || mono_due(w->until, loop_now(h->loop)) || !ip_eq(&w->to, from))
		return;
	w->until = (mono_t){ 0 };
	(void)!ns_echo_reply(node_netstack(h->node), &w->local, &w->remote, w->id, w->seq,
			     bytes_of(data + ICMP_HEAD_LEN, len - ICMP_HEAD_LEN));
	host_kick(h);
}

static void on_readable(void *ctx, int events)
{
	struct echo_socket *s = ctx;
	uint8_t *buf = s->echo->host->read_buf;

	(void)events;
	for (int i = 0; i < ECHO_READS; i++) {
		struct sockaddr_storage a = { 0 };
		socklen_t alen = sizeof a;
		ssize_t n =
		    recvfrom(s->fd, buf, HOST_READ_MAX, MSG_DONTWAIT, (struct sockaddr *)&a, &alen);
		struct ipport from;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n >= 0 && sockaddr_to(&a, &from))
			answer(s->echo, &from.ip, buf, (size_t)n);
	}
}

static void open_socket(struct echo *x, bool v6)
{
	struct echo_socket *s = &x->v[v6];

	s->echo = x;
	s->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (s->fd < 0)
		return;
	if (loop_poll_open(x->host->loop, &s->poll, s->fd, on_readable, s) != 0) {
		close(s->fd);
		s->fd = -1;
		return;
	}
	loop_poll_set(&s->poll, LOOP_READ);
}

static struct echo *echo_of(struct host *h)
{
	if (!h->echo && (h->echo = calloc(1, sizeof *h->echo))) {
		h->echo->host = h;
		open_socket(h->echo, false);
		open_socket(h->echo, true);
	}
	return h->echo;
}

static bool send_echo(const struct echo_socket *s, const struct ip *to, uint16_t seq,
		      struct bytes payload)
{
	const struct icmp_head ih = { .type = ip_is_v4(to) ? ICMP_ECHO : ICMP6_ECHO, .lo = seq };
	const struct ipport at = { .ip = *to };
	uint8_t head[ICMP_HEAD_LEN];
	struct iovec v[2] = { { head, sizeof head },
			      { (void *)(uintptr_t)payload.data, payload.len } };
	struct sockaddr_storage a = { 0 };
	struct msghdr m = { .msg_name = &a, .msg_iov = v, .msg_iovlen = 2 };

	icmp_emit(head, &ih);
	m.msg_namelen = sockaddr_from(&at, &a);
	return sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* The next place whose request is answered or too old; its index is that of x->next. NULL: as many
 * as may be are under way. */
static struct echo_wait *free_place(struct echo *x, mono_t now)
{
	for (int i = 0; i < HOST_ECHO_MAX; i++, x->next++)
		if (mono_due(x->wait[x->next % HOST_ECHO_MAX].until, now))
			return &x->wait[x->next % HOST_ECHO_MAX];
	return NULL;
}

void host_echo_request(struct host *h, const struct ns_event *ev)
{
	const mono_t now = loop_now(h->loop);
	struct echo *x;
	struct echo_wait *w;
	struct ip to;
	bool v6;

	if (host_target(h, &ev->local.ip, &to) != HOST_ROUTED || !(x = echo_of(h)))
		return;
	v6 = !ip_is_v4(&to);
	if (x->v[v6].fd < 0 && !x->told) {
		x->told = true;
		log_warn("host: pings to our routes stay unanswered: the sysctl "
			 "net.ipv4.ping_group_range does not include this group");
	}
	if (x->v[v6].fd < 0 || !(w = free_place(x, now)))
		return;
	if (!send_echo(&x->v[v6], &to, x->next, ev->data))
		return;
	*w = (struct echo_wait){ .until = mono_add(now, SPAN_S(HOST_ECHO_S)),
				 .local = ev->local.ip,
				 .remote = ev->remote.ip,
				 .to = to,
				 .id = ev->echo_id,
				 .seq = ev->echo_seq,
				 .ours = x->next };
	x->next++;
}

void host_echo_free(struct host *h)
{
	if (!h->echo)
		return;
	for (int i = 0; i < 2; i++)
		if (h->echo->v[i].fd >= 0) {
			loop_poll_close(&h->echo->v[i].poll);
			close(h->echo->v[i].fd);
		}
	free(h->echo);
	h->echo = NULL;
}
