/* bench/impair.c - a bad link between two network namespaces: two TUN devices and this process in
 * between
 *
 *   impair NS_A NS_B ADDR_A ADDR_B RTT_MS RATE_MBIT LOSS REORDER LATE LATE_MS SEED [QUEUE_MS]
 *
 * Opens tun0 in each namespace (ip netns names) with the address and a peer route, and carries
 * packets both ways. Per direction and packet: dropped with probability LOSS (per cent); with
 * REORDER sent on at once, past the delay (what netem calls reordering); with LATE held back by
 * LATE_MS more; else half of RTT_MS later, in order. RATE_MBIT with a queue of QUEUE_MS, else of
 * one RTT, at least 64 packets; 0: no limit. Drawn from a generator with a fixed SEED, one per
 * direction. On SIGTERM it prints the counts; units larger than the MTU must be 0, else a device
 * hands over offloaded ones and the figures lie.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MTU = 1500, HELD_MAX = 16384, PACKET_MAX = 65536 };

struct held {
	int64_t at; /* ns */
	uint64_t number;
	uint16_t len;
	uint8_t data[MTU + 4];
};

/* one direction: a heap of packets by time and, among equal times, by arrival */
struct way {
	int in, out;
	uint64_t rng, n, lost, early, late, full, large, carried;
	int64_t link_free; /* when the last byte in the queue is out */
	struct held *heap[HELD_MAX];
	size_t held;
};

static int64_t delay_ns, late_ns, queue_ns;
static double rate, loss, reorder, late;
static volatile sig_atomic_t stop;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* splitmix64, as a number in [0, 100) */
static double chance(struct way *w)
{
	uint64_t z = (w->rng += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return (double)(z >> 11) / (double)(1ULL << 53) * 100;
}

static bool before(const struct held *a, const struct held *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void hold(struct way *w, struct held *h)
{
	size_t i = w->held++;

	while (i > 0 && before(h, w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = h;
}

static struct held *first(struct way *w)
{
	struct held *top = w->heap[0], *last = w->heap[--w->held];
	size_t i = 0;

	for (size_t k; (k = 2 * i + 1) < w->held; i = k) {
		if (k + 1 < w->held && before(w->heap[k + 1], w->heap[k]))
			k++;
		if (!before(w->heap[k], last))
			break;
		w->heap[i] = w->heap[k];
	}
	w->heap[i] = last;
	return top;
}

static void take(struct way *w, const uint8_t *p, size_t len, int64_t t)
{
	double dice = chance(w), kind = chance(w);
	int64_t start = w->link_free > t ? w->link_free : t;
	struct held *h;

	w->n++;
	if (len > MTU) {
		w->large++;
		return;
	}
	if (dice < loss) {
		w->lost++;
		return;
	}
	if (w->held == HELD_MAX || (rate > 0 && start - t > queue_ns)) {
		w->full++;
		return;
	}
	h = malloc(sizeof *h);
	if (!h)
		die("malloc");
	memcpy(h->data, p, len);
	h->len = (uint16_t)len;
	h->number = w->n;
	if (rate > 0)
		w->link_free = start + (int64_t)((double)len * 8 / rate * 1e3);
	h->at = (rate > 0 ? w->link_free : t) + delay_ns;
	if (kind < reorder) {
		h->at = t;
		w->early++;
	} else if (kind < reorder + late) {
		h->at += late_ns;
		w->late++;
	}
	hold(w, h);
}

static void drain(struct way *w, int64_t t)
{
	while (w->held > 0 && w->heap[0]->at <= t) {
		struct held *h = first(w);

		if (write(w->out, h->data, h->len) == h->len)
			w->carried++;
		free(h);
	}
}

static void fill(struct way *w)
{
	static uint8_t p[PACKET_MAX];
	ssize_t len;

	for (int i = 0; i < 256 && (len = read(w->in, p, sizeof p)) > 0; i++)
		take(w, p, (size_t)len, now());
}

static int tun(const char *ns, const char *addr, const char *peer)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char path[128], cmd[512];
	int nsfd, fd;

	snprintf(path, sizeof path, "/run/netns/%s", ns);
	nsfd = open(path, O_RDONLY | O_CLOEXEC);
	if (nsfd < 0 || setns(nsfd, CLONE_NEWNET) < 0)
		die(path);
	close(nsfd);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "bad0");
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		die("TUNSETIFF");
	snprintf(cmd, sizeof cmd,
		 "ip addr add %s peer %s dev bad0 && ip link set bad0 mtu %d txqueuelen 2000 up",
		 addr, peer, MTU);
	if (system(cmd) != 0)
		die("ip");
	return fd;
}

static void tell(const char *name, const struct way *w)
{
	printf("%s: %llu packets, lost %.2f %%, early %.2f %%, late %.2f %%, queue full %llu, "
	       "larger than the MTU %llu\n",
	       name, (unsigned long long)w->n, 100.0 * (double)w->lost / (double)(w->n ? w->n : 1),
	       100.0 * (double)w->early / (double)(w->n ? w->n : 1),
	       100.0 * (double)w->late / (double)(w->n ? w->n : 1), (unsigned long long)w->full,
	       (unsigned long long)w->large);
}

int main(int argc, char **argv)
{
	static struct way ab, ba;
	struct pollfd p[3];
	double rtt_ms, queue_ms;

	if (argc != 12 && argc != 13) {
		fprintf(stderr, "usage: impair NS_A NS_B ADDR_A ADDR_B RTT_MS RATE_MBIT LOSS "
				"REORDER LATE LATE_MS SEED [QUEUE_MS]\n");
		return 2;
	}
	rtt_ms = strtod(argv[5], NULL);
	rate = strtod(argv[6], NULL);
	loss = strtod(argv[7], NULL);
	reorder = strtod(argv[8], NULL);
	late = strtod(argv[9], NULL);
	late_ns = (int64_t)(strtod(argv[10], NULL) * 1e6);
	delay_ns = (int64_t)(rtt_ms / 2 * 1e6);
	queue_ms =
	    rate > 0 && 64 * MTU * 8 / rate / 1e3 > rtt_ms ? 64 * MTU * 8 / rate / 1e3 : rtt_ms;
	if (argc == 13)
		queue_ms = strtod(argv[12], NULL);
	queue_ns = (int64_t)(queue_ms * 1e6);
	ab.rng = strtoull(argv[11], NULL, 10);
	ba.rng = ab.rng + 1000003;
	ab.in = ba.out = tun(argv[1], argv[3], argv[4]);
	ba.in = ab.out = tun(argv[2], argv[4], argv[3]);
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	p[0] = (struct pollfd){ .fd = ab.in, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = ba.in, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
				.events = POLLIN };
	if (p[2].fd < 0)
		die("timerfd");
	puts("ready");
	fflush(stdout);
	while (!stop) {
		struct itimerspec it = { 0 };
		int64_t next = INT64_MAX;
		uint64_t ticks;

		if (ab.held > 0)
			next = ab.heap[0]->at;
		if (ba.held > 0 && ba.heap[0]->at < next)
			next = ba.heap[0]->at;
		if (next != INT64_MAX) {
			it.it_value.tv_sec = next / 1000000000;
			it.it_value.tv_nsec = next % 1000000000;
		}
		timerfd_settime(p[2].fd, TFD_TIMER_ABSTIME, &it, NULL);
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			die("poll");
		if (read(p[2].fd, &ticks, sizeof ticks) < 0)
			errno = 0;
		fill(&ab);
		fill(&ba);
		drain(&ab, now());
		drain(&ba, now());
	}
	tell("a to b", &ab);
	tell("b to a", &ba);
	return 0;
}
