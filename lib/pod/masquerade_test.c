/* pod/masquerade_test.c - in a network namespace of its own */
#include "pod/masquerade.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pod/netlink.h"
#include "tests/harness.h"

static bool own_namespace(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

TEST(masquerade_is_made_once_and_removed_twice_without_a_fault)
{
	struct err e = { 0 };

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_add("tp0", &e) == 0, "%s", e.text);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_del("tp0", &e) == 0, "%s", e.text);
}

/* A device, up, with a route to one destination; its descriptor is the other end of the wire. */
static int device(struct netlink *nl, const char *name, const char *dst)
{
	struct netlink_route route = { 0 };
	struct netlink_link link;
	struct ifreq rq = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)bytes_to_str(bytes_str(name), rq.ifr_name, sizeof rq.ifr_name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &rq) < 0)
		return -1;
	ck_assert_int_eq(netlink_link(nl, name, &link), 0);
	ck_assert_int_eq(netlink_link_up(nl, link.index, 1280), 0);
	ck_assert(ipprefix_parse(bytes_str(dst), &route.dst));
	route.link = link.index;
	ck_assert_int_eq(netlink_route_add(nl, &route, 116), 0);
	return fd;
}

static void put_sum(uint8_t *at, uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

enum kind { UDP, SYN, ACK };

/* From 10.0.0.2 to 100.64.0.9 port 9: a datagram, or a segment of TCP. */
static void send_one(int pod, enum kind kind)
{
	const uint8_t len = kind == UDP ? 28 : 40;
	uint8_t p[40] = { [0] = 0x45, [3] = len, [8] = 64,   [9] = kind == UDP ? 17 : 6,
			  [12] = 10,  [15] = 2,  [16] = 100, [17] = 64,
			  [19] = 9,   [21] = 9,  [23] = 9 };

	put_sum(p + 10, 0, p, 20);
	if (kind == UDP) {
		p[25] = 8;
	} else {
		p[32] = 0x50;
		p[33] = kind == SYN ? 2 : 16;
		put_sum(p + 36, 6 + 20 + 10 * 256 + 2 + 100 * 256 + 64 + 9, p + 20, 20);
	}
	ck_assert_int_eq(write(pod, p, len), len);
}

/* Does one leave by the device? False: the pod was told, by a reset or by ICMP, that it does not.
 */
static bool passes_one(int pod, int dev, enum kind kind)
{
	struct pollfd v[2] = { { .fd = pod, .events = POLLIN }, { .fd = dev, .events = POLLIN } };

	send_one(pod, kind);
	for (;;) {
		ck_assert_msg(poll(v, 2, 30000) > 0, "lost in silence");
		for (int i = 0; i < 2; i++) {
			uint8_t in[1500];
			ssize_t n;

			if (!(v[i].revents & POLLIN))
				continue;
			n = read(v[i].fd, in, sizeof in);
			if (n < 28 || in[0] >> 4 != 4) /* the kernel's own of IPv6 */
				continue;
			if (i == 1 && in[9] == (kind == UDP ? 17 : 6))
				return true;
			if (i == 0 && in[9] == 6) {
				ck_assert_int_eq(kind, SYN);
				ck_assert_int_eq(in[33] & 4, 4);
				return false;
			}
			if (i == 0 && in[9] == 1 && in[20] == 3) {
				ck_assert_int_ne(kind, SYN);
				ck_assert_int_eq(in[21], 1);
				return false;
			}
		}
	}
}

/* More often than ICMP's rate limit would let errors out: by resets. */
static bool passes(int pod, int dev)
{
	bool all = true, any = false;

	for (int i = 0; i < 20; i++) {
		const bool one = passes_one(pod, dev, SYN);

		all &= one;
		any |= one;
	}
	ck_assert(all == any);
	return all;
}

TEST(what_is_forwarded_to_the_device_is_refused_as_soon_as_nobody_holds_it)
{
	struct err e = { 0 };
	struct netlink nl;
	int pod, dev, fd;
	pid_t child;
	char end = 0;
	int ready[2];

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	pod = device(&nl, "pod0", "10.0.0.0/8");
	dev = device(&nl, "tp0", "100.64.0.0/10");
	fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
	if (pod < 0 || dev < 0 || fd < 0 || write(fd, "1", 1) != 1) {
		puts("no TUN device or no /proc/sys here: nothing is tried");
		return;
	}
	close(fd);
	ck_assert(passes(pod, dev)); /* without a guard */
	fd = masquerade_hold("tp0", &e);
	if (fd == -EINVAL || fd == -EOPNOTSUPP || fd == -ENOENT) {
		printf("%s: the kernel cannot, nothing is tried\n", e.text);
		ck_assert(passes(pod, dev));
		return;
	}
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert(passes(pod, dev));
	ck_assert_msg(masquerade_hold("tp0", &e) < 0, "two hold it");
	close(fd);
	ck_assert_msg(passes(pod, dev), "the one that failed has taken the guard away");

	/* another process holds it and is killed */
	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		end = masquerade_hold("tp0", &e) >= 0 ? 'y' : 'n';
		(void)!write(ready[1], &end, 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &end, 1), 1);
	ck_assert_int_eq(end, 'y');
	ck_assert(passes(pod, dev));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(!passes(pod, dev));
	fd = masquerade_hold("tp0", &e); /* the next one */
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert(passes(pod, dev));
	close(fd);
	ck_assert(!passes(pod, dev));
	ck_assert_msg(!passes_one(pod, dev, UDP), "a datagram");
	ck_assert_msg(!passes_one(pod, dev, ACK), "of an established connection");
	ck_assert_msg(masquerade_del("tp0", &e) == 0, "%s", e.text);
	ck_assert(passes(pod, dev));
	netlink_close(&nl);
	close(pod);
	close(dev);
}
