/* tests/pod_wire.h - for tests in a network namespace of their own: TUN devices in the place of
 * pods and of ways out, single packets, and what becomes of them
 */
#ifndef TESTS_POD_WIRE_H
#define TESTS_POD_WIRE_H

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pod/netlink.h"
#include "tests/harness.h"

static inline bool wire_namespace(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

/* The machine passes packets on. False: /proc/sys cannot be written here. */
static inline bool wire_forwards(void)
{
	static const char *const paths[] = { "/proc/sys/net/ipv4/ip_forward",
					     "/proc/sys/net/ipv6/conf/all/forwarding" };
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const int fd = open(paths[i], O_WRONLY | O_CLOEXEC);

		ok &= fd >= 0 && write(fd, "1", 1) == 1;
		if (fd >= 0)
			close(fd);
	}
	return ok;
}

static inline struct netlink_route wire_route(struct netlink *nl, const char *name, const char *dst)
{
	struct netlink_route route = { 0 };
	struct netlink_link link;

	ck_assert_int_eq(netlink_link(nl, name, &link), 0);
	ck_assert(ipprefix_parse(bytes_str(dst), &route.dst));
	route.link = link.index;
	return route;
}

/* A device, up, with routes to two destinations (NULL: none); its descriptor is the other end of
 * the wire. -1: no TUN devices here. */
static inline int wire_device(struct netlink *nl, const char *name, const char *dst,
			      const char *dst6)
{
	const char *const v[] = { dst, dst6 };
	struct netlink_link link;
	struct ifreq rq = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)bytes_to_str(bytes_str(name), rq.ifr_name, sizeof rq.ifr_name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &rq) < 0)
		return -1;
	ck_assert_int_eq(netlink_link(nl, name, &link), 0);
	ck_assert_int_eq(netlink_link_up(nl, link.index, 1280), 0);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (v[i]) {
			const struct netlink_route route = wire_route(nl, name, v[i]);

			ck_assert_int_eq(netlink_route_add(nl, &route, 116), 0);
		}
	return fd;
}

static inline void wire_sum(uint8_t *at, uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

enum wire_kind { WIRE_UDP, WIRE_SYN, WIRE_ACK };

/* From port 9 to port 9. */
static inline void wire_send(int fd, enum wire_kind kind, const char *from, const char *to)
{
	const uint8_t proto = kind == WIRE_UDP ? 17 : 6, len = kind == WIRE_UDP ? 8 : 20;
	uint8_t p[60] = { 0 }, *at, *addrs;
	struct ip src, dst;
	size_t head, width, all;

	ck_assert(ip_parse(bytes_str(from), &src) && ip_parse(bytes_str(to), &dst));
	if (ip_is_v4(&src)) {
		head = 20;
		width = 4;
		p[0] = 0x45;
		p[3] = (uint8_t)(head + len);
		p[8] = 64;
		p[9] = proto;
		addrs = p + 12;
	} else {
		head = 40;
		width = 16;
		p[0] = 0x60;
		p[5] = len;
		p[6] = proto;
		p[7] = 64;
		addrs = p + 8;
	}
	memcpy(addrs, src.b + 16 - width, width);
	memcpy(addrs + width, dst.b + 16 - width, width);
	if (width == 4)
		wire_sum(p + 10, 0, p, head);
	at = p + head;
	at[1] = at[3] = 9;
	if (kind == WIRE_UDP) {
		at[5] = len;
	} else {
		at[12] = 0x50;
		at[13] = kind == WIRE_SYN ? 2 : 16;
	}
	/* what comes after the addresses is summed with them: the header's end */
	wire_sum(at + (kind == WIRE_UDP ? 6 : 16), (uint32_t)proto + len, addrs, 2 * width + len);
	all = head + len;
	ck_assert_int_eq(write(fd, p, all), (ssize_t)all);
}

struct wire_fate {
	enum { WIRE_PASSED, WIRE_ANSWERED, WIRE_RESET, WIRE_ICMP } what;
	uint8_t code; /* of ICMP */
};

static inline bool wire_is_fate(const uint8_t *in, size_t n, bool came_back, enum wire_kind kind,
				struct wire_fate *out)
{
	const bool v4 = n >= 20 && in[0] >> 4 == 4;
	const size_t head = v4 ? 20 : 40;
	uint8_t proto;

	if (n < head + 8)
		return false;
	proto = in[v4 ? 9 : 6];
	if (!came_back) {
		out->what = WIRE_PASSED;
		return proto == (kind == WIRE_UDP ? 17 : 6);
	}
	if (proto == 6 && n >= head + 20) {
		out->what = in[head + 13] & 4 ? WIRE_RESET : WIRE_ANSWERED;
		return true;
	}
	out->what = WIRE_ICMP;
	out->code = in[head + 1];
	return (proto == 1 && in[head] == 3) || (proto == 58 && in[head] == 1);
}

/* One packet of a pod: does it leave by dev, or what does the pod get? */
static inline struct wire_fate wire_try(int pod, int dev, enum wire_kind kind, const char *from,
					const char *to)
{
	struct pollfd v[2] = { { .fd = pod, .events = POLLIN }, { .fd = dev, .events = POLLIN } };
	struct wire_fate fate = { 0 };

	wire_send(pod, kind, from, to);
	for (;;) {
		ck_assert_msg(poll(v, 2, 30000) > 0, "%s to %s: lost in silence", from, to);
		for (int i = 0; i < 2; i++) {
			uint8_t in[1500];
			ssize_t n;

			if (!(v[i].revents & POLLIN))
				continue;
			n = read(v[i].fd, in, sizeof in);
			/* else it is the kernel's own, of IPv6 */
			if (n > 0 && wire_is_fate(in, (size_t)n, i == 0, kind, &fate))
				return fate;
		}
	}
}

#endif
