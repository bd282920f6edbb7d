/* os/udp.c - see udp.h: opening, receiving, giving memory back
 *
 * Receive memory is reserved address space; pages appear when the kernel writes to them. A wake-up
 * that took more than BUSY_BYTES is busy; GIVE_BACK_S after the last busy one the pages go back, by
 * one timer that is not armed at all while only keep-alives arrive (those touch a page or two).
 */
#include "os/udp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/sockaddr.h"
#include "os/udp_priv.h"

enum {
	UDP_BUFFER = 7 << 20,    /* of the kernel, each way; data-plane.md 9 */
	UDP_WAKE_MESSAGES = 128, /* a wake-up; the rest waits for the next turn */
	BUSY_BYTES = 32768,
	GIVE_BACK_S = 5,
	CONTROL_MAX = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)),
};

/* --- receiving --- */

struct rx {
	struct mmsghdr msg[UDP_RX_SLOTS];
	struct iovec iov[UDP_RX_SLOTS];
	struct sockaddr_storage from[UDP_RX_SLOTS];
	_Alignas(struct cmsghdr) uint8_t control[UDP_RX_SLOTS][CONTROL_MAX];
};

static uint8_t *slot(struct udp *u, size_t i)
{
	return u->mem + i * UDP_RX_SLOT + PKT_HEAD;
}

static void rx_prepare(struct udp *u, struct rx *rx)
{
	for (size_t i = 0; i < UDP_RX_SLOTS; i++) {
		rx->iov[i] = (struct iovec){ slot(u, i), UDP_RX_SLOT - PKT_HEAD - PKT_TAIL };
		rx->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &rx->from[i],
			.msg_namelen = sizeof rx->from[i],
			.msg_iov = &rx->iov[i],
			.msg_iovlen = 1,
			.msg_control = rx->control[i],
			.msg_controllen = CONTROL_MAX,
		};
	}
}

/* Size of the packets in a bundle; 0: not a bundle. */
static size_t read_control(struct udp *u, struct msghdr *h)
{
	size_t segment = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int v;

			memcpy(&v, CMSG_DATA(c), sizeof v);
			segment = v > 0 ? (size_t)v : 0;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			uint32_t v;

			memcpy(&v, CMSG_DATA(c), sizeof v);
			u->stats.rx_overflow += v - u->overflow;
			u->overflow = v;
		}
	}
	return segment;
}

/* One message of len bytes in slot i as packets of `segment` bytes. */
static void deliver(struct udp *u, size_t i, size_t len, size_t segment, const struct ipport *from)
{
	struct pkt v[BURST_MAX];
	uint8_t *p = slot(u, i);
	uint16_t head = PKT_HEAD;

	if (segment == 0 || segment > len)
		segment = len;
	while (len > 0 && !u->is_closed) {
		size_t n = 0;

		while (len > 0 && n < BURST_MAX) {
			size_t k = MIN_OF(segment, len);

			len -= k;
			v[n++] = (struct pkt){ p, (uint32_t)k, head, len == 0 ? PKT_TAIL : 0 };
			p += k;
			head = 0;
		}
		u->stats.rx_packets += n;
		u->ops->recv(u->ctx, from, v, n);
	}
}

static void take_message(struct udp *u, struct rx *rx, size_t i)
{
	struct msghdr *h = &rx->msg[i].msg_hdr;
	size_t len = rx->msg[i].msg_len, segment = read_control(u, h);
	struct ipport from;

	u->stats.rx_bytes += len;
	u->touched[i] = MAX_OF(u->touched[i], len);
	if (h->msg_flags & MSG_TRUNC)
		u->stats.rx_truncated++;
	else if (sockaddr_to(&rx->from[i], &from))
		deliver(u, i, len, segment, &from);
}

static void note_load(struct udp *u, uint64_t bytes)
{
	if (bytes < BUSY_BYTES)
		return;
	u->last_busy = loop_now(u->loop);
	if (!loop_timer_is_set(&u->give_back))
		loop_timer_set(&u->give_back, mono_add(u->last_busy, SPAN_S(GIVE_BACK_S)));
}

static void give_back(void *ctx)
{
	struct udp *u = ctx;
	mono_t due = mono_add(u->last_busy, SPAN_S(GIVE_BACK_S));

	if (!mono_due(due, loop_now(u->loop))) {
		loop_timer_set(&u->give_back, due);
		return;
	}
	madvise(u->mem, (size_t)UDP_RX_SLOTS * UDP_RX_SLOT, MADV_DONTNEED);
	memset(u->touched, 0, sizeof u->touched);
}

static void udp_free(struct udp *u)
{
	if (u->mem)
		munmap(u->mem, (size_t)UDP_RX_SLOTS * UDP_RX_SLOT);
	free(u);
}

static void on_readable(void *ctx, int events)
{
	struct udp *u = ctx;
	uint64_t bytes = u->stats.rx_bytes, packets = u->stats.rx_packets;
	struct rx rx;
	int n, total = 0;

	(void)events;
	u->is_receiving = true;
	do {
		rx_prepare(u, &rx);
		n = recvmmsg(u->fd, rx.msg, UDP_RX_SLOTS, MSG_DONTWAIT, NULL);
		u->stats.rx_calls++;
		for (int i = 0; i < n && !u->is_closed; i++)
			take_message(u, &rx, (size_t)i);
		total += n;
	} while (n == UDP_RX_SLOTS && total < UDP_WAKE_MESSAGES && !u->is_closed);
	if (!u->is_closed && u->ops->done && u->stats.rx_packets != packets)
		u->ops->done(u->ctx);
	u->is_receiving = false;
	if (u->is_closed)
		udp_free(u);
	else
		note_load(u, u->stats.rx_bytes - bytes);
}

/* --- life --- */

static void set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value,
			 sizeof value); /* each is an improvement, none is needed */
}

static void set_buffers(int fd)
{
	int size = UDP_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		set_option(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
		set_option(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER);
}

static void set_options(struct udp *u)
{
	int one = 1, v;
	socklen_t len = sizeof v;

	set_buffers(u->fd);
	set_option(u->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	u->stats.has_gro = setsockopt(u->fd, SOL_UDP, UDP_GRO, &one, sizeof one) == 0;
	u->stats.has_gso = getsockopt(u->fd, SOL_UDP, UDP_SEGMENT, &v, &len) == 0;
	if (u->family == AF_INET6)
		set_option(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	else /* no DF: where a link is too narrow and ICMP is blocked, routers fragment instead of
		dropping */
		set_option(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

static int start(struct udp *u, const struct sockaddr_storage *ss, socklen_t len, struct err *err)
{
	struct sockaddr_storage local;
	socklen_t local_len = sizeof local;
	struct ipport at;
	int ret;

	u->fd = socket(u->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (u->fd < 0)
		return err_set(err, errno, "open a UDP socket");
	set_options(u);
	if (!sockaddr_to(ss, &at) || bind(u->fd, (const struct sockaddr *)ss, len) < 0)
		return err_set(err, errno, "bind UDP port %u", at.port);
	if (getsockname(u->fd, (struct sockaddr *)&local, &local_len) < 0 ||
	    !sockaddr_to(&local, &at))
		return err_set(err, errno, "ask for the UDP port");
	u->port = at.port;
	u->mem = mmap(NULL, (size_t)UDP_RX_SLOTS * UDP_RX_SLOT, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (u->mem == MAP_FAILED) {
		u->mem = NULL;
		return err_set(err, errno, "reserve memory for UDP");
	}
	ret = loop_poll_open(u->loop, &u->poll, u->fd, on_readable, u);
	if (ret < 0)
		return err_set(err, -ret, "watch a UDP socket");
	loop_poll_set(&u->poll, LOOP_READ);
	return 0;
}

static struct udp *open_at(struct loop *loop, int family, const struct sockaddr_storage *ss,
			   socklen_t len, const struct udp_ops *ops, void *ctx, struct err *err)
{
	struct udp *u = calloc(1, sizeof *u);

	if (!u) {
		err_set(err, ENOMEM, "open a UDP socket");
		return NULL;
	}
	*u = (struct udp){ .loop = loop, .fd = -1, .family = family, .ops = ops, .ctx = ctx };
	loop_timer_init(loop, &u->give_back, give_back, u);
	if (start(u, ss, len, err) < 0) {
		udp_close(u);
		return NULL;
	}
	return u;
}

struct udp *udp_open(struct loop *loop, int family, uint16_t port, const struct udp_ops *ops,
		     void *ctx, struct err *err)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	assert(family == AF_INET || family == AF_INET6);
	if (family == AF_INET)
		memcpy(&ss, &in, sizeof in);
	else
		memcpy(&ss, &in6, sizeof in6);
	return open_at(loop, family, &ss, family == AF_INET ? sizeof in : sizeof in6, ops, ctx,
		       err);
}

struct udp *udp_open_at(struct loop *loop, const struct ipport *local, const struct udp_ops *ops,
			void *ctx, struct err *err)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sockaddr_from(local, &ss);

	return open_at(loop, sockaddr_family(&local->ip), &ss, len, ops, ctx, err);
}

void udp_close(struct udp *u)
{
	if (!u || u->is_closed)
		return;
	loop_timer_fini(&u->give_back);
	loop_poll_close(&u->poll);
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	u->is_closed = true;
	if (!u->is_receiving)
		udp_free(u);
}

uint16_t udp_port(const struct udp *u)
{
	return u->port;
}

int udp_family(const struct udp *u)
{
	return u->family;
}

int udp_fd(const struct udp *u)
{
	return u->fd;
}

const struct udp_stats *udp_stats(const struct udp *u)
{
	return &u->stats;
}
