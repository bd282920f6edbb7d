/* e2e/natbox.c - a NAT box between two TUN devices, in user space, of any kind that RFC 4787 names
 *
 *   natbox INNER_NS INNER_DEV OUTER_NS OUTER_DEV ADDRESS MAPPING FILTERING [OPTION...]
 *
 *      host --- INNER_DEV [ this process ] OUTER_DEV --- router
 *
 * Opens both devices in their namespaces (ip netns names); addresses and routes are the caller's,
 * after the line "ready". Packets from INNER_DEV leave by OUTER_DEV from ADDRESS. MAPPING:
 * independent, address, port. FILTERING: the same words. Options: timeout=SECONDS (30), max=N
 * mappings, preserve (ports), hairpin.
 *
 * UDP is as told. TCP and ICMP echo pass as behind any box: mapped independently, filtered by
 * address and port, for long. Other packets, fragments, ICMP errors and everything of IPv6 are
 * dropped. Two layers: the outer device of one box and the inner device of another in one
 * namespace that forwards. SIGUSR1: UDP mappings are forgotten. On SIGTERM counts are printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "tests/nat/nat.h"
#include "wire/checksum.h"

enum { PACKET_MAX = 65536, BURST = 256, ICMP = 1, TCP = 6, UDP = 17, ECHO_REPLY = 0, ECHO = 8 };

struct box {
	int inner, outer;
	struct ip address;
	bool hairpin;
	struct nat *udp, *tcp, *icmp;
	unsigned long long out, in, refused, filtered, odd, hairpinned;
};

struct packet { /* an IPv4 packet whose ends can be translated */
	uint8_t *ip, *l4;
	size_t len, l4_len;
	uint8_t proto;
	struct ipport src, dst; /* ICMP echo: the identifier is the inner end's port */
};

static volatile sig_atomic_t stop, forget;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		forget = 1;
	else
		stop = 1;
}

_Noreturn static void die(const char *what)
{
	perror(what);
	exit(1);
}

static mono_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (mono_t){ (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec };
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static struct nat *table(const struct box *b, uint8_t proto)
{
	return proto == UDP ? b->udp : proto == TCP ? b->tcp : b->icmp;
}

static bool take_icmp(struct packet *p)
{
	if (p->l4_len < 8 || (p->l4[0] != ECHO && p->l4[0] != ECHO_REPLY))
		return false;
	p->src.port = p->dst.port = be16(p->l4 + 4);
	return true;
}

static bool parse(struct packet *p, uint8_t *data, size_t n)
{
	size_t head = n >= 20 ? (size_t)(data[0] & 15) * 4 : 0;

	if (n < 20 || data[0] >> 4 != 4 || head < 20 || be16(data + 2) > n ||
	    be16(data + 2) < head || (be16(data + 6) & 0x3fff) != 0 || data[8] < 2)
		return false;
	*p = (struct packet){ .ip = data,
			      .l4 = data + head,
			      .len = be16(data + 2),
			      .l4_len = be16(data + 2) - head,
			      .proto = data[9],
			      .src.ip = ip_from_v4(data + 12),
			      .dst.ip = ip_from_v4(data + 16) };
	if (p->proto == ICMP)
		return take_icmp(p);
	if ((p->proto != UDP || p->l4_len < 8) && (p->proto != TCP || p->l4_len < 20))
		return false;
	p->src.port = be16(p->l4);
	p->dst.port = be16(p->l4 + 2);
	return true;
}

static void write_checksums(struct packet *p)
{
	size_t at = p->proto == UDP ? 6 : p->proto == TCP ? 16 : 2;
	uint64_t sum = p->proto == ICMP
			   ? 0
			   : checksum_pseudo(&p->src.ip, &p->dst.ip, p->proto, (uint32_t)p->l4_len);

	memset(p->ip + 10, 0, 2);
	checksum_store(p->ip + 10, checksum_add(0, p->ip, (size_t)(p->l4 - p->ip)));
	if (p->proto == UDP && be16(p->l4 + at) == 0)
		return; /* the sender made none */
	memset(p->l4 + at, 0, 2);
	checksum_store(p->l4 + at, checksum_add(sum, p->l4, p->l4_len));
}

/* New ends into the packet; one hop less to live */
static void rewrite(struct packet *p, const struct ipport *src, const struct ipport *dst)
{
	p->ip[8]--;
	memcpy(p->ip + 12, src->ip.b + 12, 4);
	memcpy(p->ip + 16, dst->ip.b + 12, 4);
	if (p->proto == ICMP) {
		put16(p->l4 + 4, ip_eq(&p->src.ip, &src->ip) ? dst->port : src->port);
	} else {
		put16(p->l4, src->port);
		put16(p->l4 + 2, dst->port);
	}
	p->src = *src;
	p->dst = *dst;
	write_checksums(p);
}

static void from_outside(struct box *b, struct packet *p, mono_t t)
{
	struct ipport inner;

	if (!ip_eq(&p->dst.ip, &b->address) ||
	    !nat_in(table(b, p->proto), t, &p->src, p->dst.port, &inner)) {
		b->filtered++;
		return;
	}
	rewrite(p, &p->src, &inner);
	b->in += write(b->inner, p->ip, p->len) == (ssize_t)p->len;
}

static void from_inside(struct box *b, struct packet *p, mono_t t)
{
	struct ipport as = { .ip = b->address };

	if (ip_eq(&p->dst.ip, &b->address) && !b->hairpin) {
		b->filtered++;
		return;
	}
	if (!nat_out(table(b, p->proto), t, &p->src, &p->dst, &as.port)) {
		b->refused++;
		return;
	}
	rewrite(p, &as, &p->dst);
	if (ip_eq(&p->dst.ip, &b->address)) {
		b->hairpinned++;
		from_outside(b, p, t);
	} else {
		b->out += write(b->outer, p->ip, p->len) == (ssize_t)p->len;
	}
}

static void drain(struct box *b, int fd, void (*fn)(struct box *, struct packet *, mono_t))
{
	static uint8_t data[PACKET_MAX];
	struct packet p;
	ssize_t n;

	for (int i = 0; i < BURST && (n = read(fd, data, sizeof data)) > 0; i++) {
		if (parse(&p, data, (size_t)n))
			fn(b, &p, now());
		else
			b->odd++;
	}
}

static int tun(const char *ns, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char path[128];
	int nsfd, fd;

	snprintf(path, sizeof path, "/run/netns/%s", ns);
	nsfd = open(path, O_RDONLY | O_CLOEXEC);
	if (nsfd < 0 || setns(nsfd, CLONE_NEWNET) < 0)
		die(path);
	close(nsfd);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		die(name);
	return fd;
}

_Noreturn static void unknown(const char *word)
{
	fprintf(stderr, "natbox: \"%s\" is no kind and no option\n", word);
	exit(2);
}

static int name_of(const char *const *names, int first, int n, const char *word)
{
	for (int i = first; i < n; i++)
		if (strcmp(names[i], word) == 0)
			return i;
	unknown(word);
}

static struct nat *table_new(const struct nat_conf *conf)
{
	struct nat *n = nat_new(conf);

	if (!n)
		die("nat_new");
	return n;
}

static void options(struct box *b, int argc, char **argv)
{
	struct nat_conf conf = { .timeout = SPAN_S(30), .max = 4096 }, rest;

	if (!ip_parse(bytes_str(argv[5]), &b->address) || !ip_is_v4(&b->address)) {
		fprintf(stderr, "natbox: \"%s\" is no IPv4 address\n", argv[5]);
		exit(2);
	}
	conf.mapping = (enum nat_mapping)name_of(nat_mapping_names, NAT_ENDPOINT_INDEPENDENT,
						 NAT_MAPPING_N, argv[6]);
	conf.filtering =
	    (enum nat_filtering)name_of(nat_filtering_names, 0, NAT_FILTERING_N, argv[7]);
	for (int i = 8; i < argc; i++) {
		if (strncmp(argv[i], "timeout=", 8) == 0)
			conf.timeout = SPAN_S(strtol(argv[i] + 8, NULL, 10));
		else if (strncmp(argv[i], "max=", 4) == 0)
			conf.max = strtoul(argv[i] + 4, NULL, 10);
		else if (strcmp(argv[i], "preserve") == 0)
			conf.preserves_ports = true;
		else if (strcmp(argv[i], "hairpin") == 0)
			b->hairpin = true;
		else
			unknown(argv[i]);
	}
	b->udp = table_new(&conf);
	rest = (struct nat_conf){ .mapping = NAT_ENDPOINT_INDEPENDENT,
				  .filtering = NAT_FILTER_PORT,
				  .timeout = SPAN_S(7200),
				  .max = 4096 };
	b->tcp = table_new(&rest);
	rest.filtering = NAT_FILTER_ADDRESS; /* an echo has no remote port */
	b->icmp = table_new(&rest);
}

int main(int argc, char **argv)
{
	struct box b = { 0 };
	struct pollfd p[2];

	if (argc < 8) {
		fprintf(stderr, "usage: natbox INNER_NS INNER_DEV OUTER_NS OUTER_DEV ADDRESS "
				"MAPPING FILTERING [timeout=S] [max=N] [preserve] [hairpin]\n");
		return 2;
	}
	options(&b, argc, argv);
	b.inner = tun(argv[1], argv[2]);
	b.outer = tun(argv[3], argv[4]);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGUSR1, on_signal);
	p[0] = (struct pollfd){ .fd = b.inner, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = b.outer, .events = POLLIN };
	puts("ready");
	fflush(stdout);
	while (!stop) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (forget) {
			forget = 0;
			nat_forget(b.udp);
		}
		drain(&b, b.inner, from_inside);
		drain(&b, b.outer, from_outside);
	}
	printf("out %llu, in %llu, without a port %llu, filtered %llu, hairpin %llu, odd %llu\n",
	       b.out, b.in, b.refused, b.filtered, b.hairpinned, b.odd);
	return 0;
}
