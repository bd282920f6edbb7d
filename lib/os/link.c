/* os/link.c - see link.h */
#include "os/link.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/file.h"
#include "os/sockaddr.h"

enum { QUIET_MS = 250, ROUTES_MAX = 1 << 20 };

/* --- addresses --- */

static bool copy_sockaddr(const struct sockaddr *sa, struct ip *out)
{
	struct sockaddr_storage ss = { 0 };
	struct ipport at;

	if (!sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return false;
	memcpy(&ss, sa,
	       sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	if (!sockaddr_to(&ss, &at))
		return false;
	*out = at.ip;
	return true;
}

static uint8_t mask_bits(const struct sockaddr *mask, bool is_v4)
{
	struct ip m;
	uint8_t bits = is_v4 ? 96 : 0;

	if (!copy_sockaddr(mask, &m))
		return 128;
	for (size_t i = is_v4 ? 12 : 0; i < 16; i++)
		bits = (uint8_t)(bits + __builtin_popcount(m.b[i]));
	return bits;
}

static bool take(const struct ifaddrs *a, struct link_addr *out)
{
	*out = (struct link_addr){ 0 };
	if (!(a->ifa_flags & IFF_UP) || !copy_sockaddr(a->ifa_addr, &out->ip))
		return false;
	out->bits = mask_bits(a->ifa_netmask, ip_is_v4(&out->ip));
	out->is_loopback = a->ifa_flags & IFF_LOOPBACK;
	(void)bytes_to_str(bytes_str(a->ifa_name), out->name, sizeof out->name);
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct link_addr *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : ip_cmp(&x->ip, &y->ip);
}

int link_addrs(struct link_addr *v, size_t max, struct err *err)
{
	struct ifaddrs *list;
	size_t n = 0;

	if (getifaddrs(&list) < 0)
		return err_set(err, errno, "list the addresses of this host");
	for (const struct ifaddrs *a = list; a && n < max; a = a->ifa_next)
		n += take(a, &v[n]);
	freeifaddrs(list);
	qsort(v, n, sizeof *v, compare);
	return (int)n;
}

/* --- default route --- */

/* A line of /proc/net/route: interface, destination, gateway (both as the words lie in memory),
 * flags, ..., metric. */
static bool default_route(const char *line, uint32_t *gateway, unsigned *metric)
{
	unsigned destination, via, flags, mask;

	if (sscanf(line, "%*15s %x %x %x %*d %*d %u %x", &destination, &via, &flags, metric,
		   &mask) != 5 ||
	    destination != 0 || mask != 0 || !(flags & RTF_GATEWAY) || !(flags & RTF_UP))
		return false;
	*gateway = via;
	return true;
}

bool link_has_addr(const struct ip *a)
{
	const struct ipport at = { .ip = *a };
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_from(&at, &sa);
	AUTO_FD int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || bind(fd, (const struct sockaddr *)&sa, len) == 0 || errno != EADDRNOTAVAIL;
}

bool link_gateway(struct ip *out)
{
	AUTO_FREE char *text = NULL;
	unsigned best = UINT32_MAX;
	size_t len;
	bool found = false;

	if (file_read("/proc/net/route", ROUTES_MAX, &text, &len, NULL) < 0)
		return false;
	for (char *line = strchr(text, '\n'); line; line = strchr(line + 1, '\n')) {
		uint32_t gateway;
		unsigned metric;

		if (!default_route(line + 1, &gateway, &metric) || (found && metric >= best))
			continue;
		found = true;
		best = metric;
		*out = ip_from_v4((const uint8_t *)&gateway);
	}
	return found;
}

/* A socket that is connected knows its route; the addresses are those of documents. */
static size_t mtu_to(const char *address)
{
	struct sockaddr_storage ss;
	struct ipport at = { .port = 9 };
	AUTO_FD int fd = -1;
	socklen_t len, size;
	bool v4;
	int mtu = 0;

	if (!ip_parse(bytes_str(address), &at.ip))
		return 0;
	v4 = ip_is_v4(&at.ip);
	len = sockaddr_from(&at, &ss);
	size = sizeof mtu;
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&ss, len) < 0 ||
	    getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu, &size) < 0)
		return 0;
	return mtu > 0 ? (size_t)mtu : 0;
}

size_t link_mtu(void)
{
	size_t v4 = mtu_to("192.0.2.1"), v6 = mtu_to("2001:db8::1");

	return v4 && v6 ? MIN_OF(v4, v6) : v4 + v6;
}

/* --- what of it matters --- */

static uint64_t mixed(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* "interface\tdestination\tgateway\t..." of /proc/net/route; 0: not a default route */
static uint64_t route4(const char *line)
{
	unsigned destination, gateway, mask;
	char name[16];

	if (sscanf(line, "%15s %x %x %*x %*d %*d %*u %x", name, &destination, &gateway, &mask) !=
		4 ||
	    destination != 0 || mask != 0)
		return 0;
	return mixed(mixed(4, name, strlen(name)), &gateway, sizeof gateway);
}

/* "destination bits source bits gateway metric references uses flags interface" of
 * /proc/net/ipv6_route; the entry of the loopback interface stands for none */
static uint64_t route6(const char *line)
{
	char destination[33], gateway[33], name[16];
	unsigned bits;

	if (sscanf(line, "%32s %x %*s %*x %32s %*x %*x %*x %*x %15s", destination, &bits, gateway,
		   name) != 4 ||
	    bits != 0 || strspn(destination, "0") != 32 || strcmp(name, "lo") == 0)
		return 0;
	return mixed(mixed(6, name, strlen(name)), gateway, strlen(gateway));
}

static uint64_t routes(const char *path, uint64_t (*of)(const char *line))
{
	AUTO_FREE char *text = NULL;
	uint64_t sum = 0;
	size_t len;

	if (file_read(path, ROUTES_MAX, &text, &len, NULL) < 0)
		return 0;
	for (char *line = text; line && *line;) {
		sum += of(line);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return sum;
}

/* The same sum means the same usable addresses, default routes and MTU, whatever else happened:
 * routers repeat themselves, other containers come and go on the host. */
static uint64_t fingerprint(void)
{
	struct ifaddrs *list = NULL;
	uint64_t sum = routes("/proc/net/route", route4) + routes("/proc/net/ipv6_route", route6);
	size_t mtu = link_mtu();

	sum += mixed(2, &mtu, sizeof mtu);
	if (getifaddrs(&list) < 0)
		return sum;
	for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
		struct link_addr at;
		bool runs = a->ifa_flags & IFF_RUNNING;
		uint64_t h;

		if (!take(a, &at) || ip_is_loopback(&at.ip) || ip_is_link_local(&at.ip))
			continue;
		h = mixed(1, at.name, strlen(at.name));
		h = mixed(h, at.ip.b, sizeof at.ip.b);
		h = mixed(h, &at.bits, sizeof at.bits);
		sum += mixed(h, &runs, sizeof runs);
	}
	freeifaddrs(list);
	return sum;
}

/* --- changes --- */

struct link_watch {
	struct loop *loop;
	void (*fn)(void *ctx);
	void *ctx;
	span_t quiet;
	uint64_t seen; /* fingerprint when it was last told, or at the start */
	int fd;
	struct loop_poll poll;
	struct loop_timer timer;
};

/* What changed is not read: whoever is told looks at the present state. ENOBUFS means changes too.
 */
static void on_readable(void *ctx, int events)
{
	struct link_watch *w = ctx;
	char buf[8192];
	ssize_t n;

	(void)events;
	do
		n = recv(w->fd, buf, sizeof buf, MSG_DONTWAIT);
	while (n >= 0 || errno == ENOBUFS || errno == EINTR);
	if (!loop_timer_is_set(&w->timer))
		loop_timer_set(&w->timer, mono_add(loop_now(w->loop), w->quiet));
}

static void quiet_over(void *ctx)
{
	struct link_watch *w = ctx;
	uint64_t now = fingerprint();

	if (now == w->seen)
		return;
	w->seen = now;
	w->fn(w->ctx);
}

static int start(struct link_watch *w)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK,
				  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
					       RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
					       RTMGRP_IPV6_ROUTE };
	int ret;

	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&nl, sizeof nl) < 0)
		return -errno;
	w->seen = fingerprint(); /* from here on nothing is missed */
	ret = loop_poll_open(w->loop, &w->poll, w->fd, on_readable, w);
	if (ret == 0)
		loop_poll_set(&w->poll, LOOP_READ);
	return ret;
}

struct link_watch *link_watch_new(struct loop *loop, span_t quiet, void (*fn)(void *ctx), void *ctx,
				  struct err *err)
{
	struct link_watch *w = calloc(1, sizeof *w);
	int ret;

	if (!w) {
		err_set(err, ENOMEM, "watch the network links");
		return NULL;
	}
	*w = (struct link_watch){ .loop = loop, .fn = fn, .ctx = ctx, .fd = -1 };
	w->quiet = quiet.ns > 0 ? quiet : SPAN_MS(QUIET_MS);
	loop_timer_init(loop, &w->timer, quiet_over, w);
	ret = start(w);
	if (ret < 0) {
		link_watch_free(w);
		err_set(err, -ret, "watch the network links");
		return NULL;
	}
	return w;
}

void link_watch_free(struct link_watch *w)
{
	if (!w)
		return;
	loop_poll_close(&w->poll);
	file_fd_close(&w->fd);
	loop_timer_fini(&w->timer);
	free(w);
}
