/* netstack_tun.c - lib/netstack behind a TUN device, so that the kernel's TCP is the other end
 *
 *      netstack_tun DEVICE OUR-IPv4 OUR-IPv6 LOST LATE [ADDR:PORT ...]
 *
 * TCP port 7 and UDP port 7 echo; TCP port 6 resets after the first byte; others refuse. Connects
 * to each ADDR:PORT at the start and echoes there too, with a line about how each connection ended.
 * LOST of 1000 packets each way are dropped, LATE of 1000 wait until three others have passed.
 * Ends with standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/text.h"
#include "netstack/netstack.h"
#include "os/file.h"

enum { ECHO_PORT = 7, RESET_PORT = 6, LATE_BY = 3 };

struct lane { /* one direction of the impaired link */
	uint8_t held[PKT_INNER_MAX];
	uint32_t len;
	unsigned passed;
};

static struct netstack *ns;

static struct burst burst;
static struct lane in, out;
static unsigned lost, late;
static int tun;

static mono_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (mono_t){ t.tv_sec * NS_PER_S + t.tv_nsec };
}

static void deliver(struct lane *l, uint8_t *data, uint32_t len)
{
	struct pkt p = { .data = data, .len = len };

	if (l == &in)
		netstack_feed(ns, now(), &p, 1);
	else if (write(tun, data, len) < 0 && errno != EAGAIN && errno != ENOBUFS)
		perror("tun");
}

static void carry(struct lane *l, uint8_t *data, uint32_t len)
{
	if (rng_below(&os_rng, 1000) < lost)
		return;
	if (l->len == 0 && rng_below(&os_rng, 1000) < late) {
		memcpy(l->held, data, len);
		l->len = len;
		l->passed = 0;
		return;
	}
	deliver(l, data, len);
	if (l->len > 0 && ++l->passed == LATE_BY) {
		deliver(l, l->held, l->len);
		l->len = 0;
	}
}

static void drain(void)
{
	do {
		burst_reset(&burst);
		netstack_pull(ns, now(), &burst);
		for (size_t i = 0; i < burst.n; i++)
			carry(&out, burst.v[i].data, burst.v[i].len);
	} while (burst.n == BURST_MAX);
}

static void echo(struct ns_id id)
{
	struct ns_piece v;

	while (ns_tcp_peek(ns, id, &v, 1) > 0) {
		size_t n = ns_tcp_write(ns, now(), id, v.data, v.len);

		ns_tcp_consume(ns, now(), id, n);
		if (n < v.len)
			return;
	}
	if (ns_tcp_at_end(ns, id))
		ns_tcp_shutdown(ns, now(), id);
}

static void on_event(const struct ns_event *ev)
{
	struct ns_tcp_info info;

	switch (ev->type) {
	case NS_TCP_INCOMING:
		if (ev->local.port == ECHO_PORT || ev->local.port == RESET_PORT)
			ns_tcp_accept(ns, now(), ev->id);
		else
			ns_tcp_refuse(ns, now(), ev->id);
		break;
	case NS_TCP_CONNECTED:
	case NS_TCP_WRITABLE:
		echo(ev->id);
		break;
	case NS_TCP_READABLE:
		if (ns_tcp_info(ns, ev->id, &info) && info.local.port == RESET_PORT)
			ns_tcp_abort(ns, now(), ev->id);
		else
			echo(ev->id);
		break;
	case NS_TCP_ENDED:
		printf("ended %s\n", ns_end_names[ev->end]);
		fflush(stdout);
		break;
	case NS_UDP_RECV:
		if (ev->local.port != ECHO_PORT)
			ns_udp_refuse(ns, now(), &ev->local, &ev->remote);
		else if (ns_udp_send(ns, &ev->local, &ev->remote, ev->data) < 0)
			printf("a datagram was not sent\n");
		break;
	default:
		break;
	}
}

static void read_tun(void)
{
	uint8_t buf[PKT_INNER_MAX];

	for (int i = 0; i < BURST_MAX; i++) {
		ssize_t n = read(tun, buf, sizeof buf);

		if (n <= 0)
			return;
		carry(&in, buf, (uint32_t)n);
	}
}

static int timeout_ms(void)
{
	mono_t at = netstack_deadline(ns);
	int64_t ms = mono_is_never(at) ? 1000 : span_ms(mono_sub(at, now())) + 1;

	return ms < 0 ? 0 : ms > 1000 ? 1000 : (int)ms;
}

static void serve(void)
{
	struct pollfd p[2] = { { .fd = tun, .events = POLLIN },
			       { .fd = STDIN_FILENO, .events = POLLIN } };
	struct ns_event ev;

	for (;;) {
		while (netstack_next(ns, &ev))
			on_event(&ev);
		drain();
		if (poll(p, 2, timeout_ms()) < 0 || p[1].revents)
			return;
		if (p[0].revents)
			read_tun();
		if (mono_due(netstack_deadline(ns), now()))
			netstack_tick(ns, now());
	}
}

static bool open_tun(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return tun >= 0 && ioctl(tun, TUNSETIFF, &r) == 0;
}

static bool setup(int n, char **arg)
{
	struct netstack_conf conf = { .rng = &os_rng, .mtu = 1280 };
	const char *cc = getenv("NETSTACK_CC");

	if (cc && !ns_cc_parse(bytes_str(cc), &conf.cc))
		return false;
	ns = netstack_new(&conf);
	for (int i = 2; i < 4; i++) {
		struct ip a;

		if (!ip_parse(bytes_str(arg[i]), &a) || netstack_addr_add(ns, &a) != 0)
			return false;
	}
	lost = (unsigned)strtoul(arg[4], NULL, 10);
	late = (unsigned)strtoul(arg[5], NULL, 10);
	for (int i = 6; i < n; i++) {
		struct ipport any = { 0 }, to;
		struct ns_id id;

		if (!ipport_parse(bytes_str(arg[i]), &to) ||
		    ns_tcp_connect(ns, now(), &any, &to, &id) != 0)
			return false;
	}
	return true;
}

int main(int n, char **arg)
{
	if (n < 6 || burst_init(&burst) != 0 || !open_tun(arg[1]) || !setup(n, arg)) {
		fprintf(stderr, "netstack_tun: bad arguments or no device\n");
		return 1;
	}
	serve();
	netstack_free(ns);
	burst_fini(&burst);
	return 0;
}
