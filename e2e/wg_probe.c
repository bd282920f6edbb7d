/* wg_probe.c - lib/wg against a real WireGuard on loopback: `ping` begins the session, `answer`
 * lets the peer begin it, `flow` (argument 3: seconds) holds one over rekeys
 *
 * Configures the other end over its UAPI socket (argument 2) with keys that guard nothing, carries
 * datagrams over one UDP socket, and speaks ICMP echo inside: we are 10.9.0.2, the other end's
 * interface is 10.9.0.1.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/text.h"
#include "wg/wg.h"

enum { OUR_PORT = 51821, THEIR_PORT = 51820, PINGS = 300, ANSWERS = 20, ECHO = 8, ECHO_REPLY = 0 };

static void fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	if (getrandom(buf, len, 0) != (ssize_t)len)
		abort();
}

static struct rng rng = { fill };
static struct wg *wg;
static int sock;
static unsigned replies, answers;

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static mono_t now(void)
{
	return (mono_t){ clock_ns(CLOCK_MONOTONIC) };
}

static wall_t wall(void)
{
	return (wall_t){ clock_ns(CLOCK_REALTIME) };
}

static struct sockaddr_in at(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_all(const struct pkt *v, size_t n)
{
	struct sockaddr_in to = at(THEIR_PORT);

	for (size_t i = 0; i < n; i++)
		if (sendto(sock, v[i].data, v[i].len, 0, (struct sockaddr *)&to, sizeof to) < 0)
			die("sendto");
}

static void drain(void)
{
	struct wg_out out;

	while (wg_pull(wg, now(), wall(), &out))
		send_all(out.v, out.n);
}

static uint16_t sum(const uint8_t *p, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i < n; i++)
		s += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* An echo message of len bytes after its header, sent through the tunnel. */
static void echo(uint8_t type, uint16_t id, uint16_t seq, const uint8_t *body, size_t len)
{
	static uint8_t mem[PKT_SLOT];
	uint8_t *ip = mem + PKT_HEAD, *icmp = ip + 20;
	struct pkt p = { ip, (uint32_t)(28 + len), PKT_HEAD, PKT_TAIL };

	memset(ip, 0, 28);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)p.len);
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, (const uint8_t[]){ 10, 9, 0, 2, 10, 9, 0, 1 }, 8);
	put16(ip + 10, sum(ip, 20));
	icmp[0] = type;
	put16(icmp + 4, id);
	put16(icmp + 6, seq);
	memmove(icmp + 8, body, len);
	put16(icmp + 2, sum(icmp, 8 + len));
	if (wg_seal(wg, now(), wall(), 0, &p, 1) == 1)
		send_all(&p, 1);
	drain();
}

static void take(const struct pkt *p)
{
	struct rd r = rd_of(p->data, p->len);
	uint8_t proto, type;
	uint16_t id, seq;
	struct bytes body;

	rd_skip(&r, 9);
	proto = rd_u8(&r);
	rd_skip(&r, 10);
	type = rd_u8(&r);
	rd_skip(&r, 3);
	id = rd_be16(&r);
	seq = rd_be16(&r);
	if (!rd_ok(&r) || proto != 1)
		return;
	body = rd_rest(&r);
	if (type == ECHO_REPLY && id == 7)
		replies++;
	if (type == ECHO && body.len <= 1400) {
		answers++;
		echo(ECHO_REPLY, id, seq, body.data, body.len);
	}
}

static void turn(int ms)
{
	static uint8_t mem[PKT_SLOT];
	struct pollfd fd = { .fd = sock, .events = POLLIN };
	const struct ipport from = { ip_v4(127, 0, 0, 1), THEIR_PORT };
	struct wg_plain out[1];
	ssize_t n;

	(void)poll(&fd, 1, ms);
	while ((n = recv(sock, mem + PKT_HEAD, PKT_INNER_MAX, MSG_DONTWAIT)) >= 0) {
		struct pkt p = { mem + PKT_HEAD, (uint32_t)n, PKT_HEAD, PKT_TAIL };

		if (wg_feed(wg, now(), wall(), &from, &p, 1, out) == 1)
			take(out[0].pkt);
		drain();
	}
	wg_tick(wg, now(), wall());
	drain();
}

static void configure(const char *path, const struct key_priv *theirs, const struct key_pub *ours)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char priv[65], pub[65], text[512];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n;

	hex_emit(theirs->b, KEY_LEN, priv);
	hex_emit(ours->b, KEY_LEN, pub);
	n = snprintf(text, sizeof text,
		     "set=1\nprivate_key=%s\nlisten_port=%d\nreplace_peers=true\npublic_key=%s\n"
		     "endpoint=127.0.0.1:%d\nallowed_ip=10.9.0.2/32\n\n",
		     priv, THEIR_PORT, pub, OUR_PORT);
	if (!bytes_to_str(bytes_str(path), a.sun_path, sizeof a.sun_path) ||
	    connect(fd, (struct sockaddr *)&a, sizeof a) != 0 || write(fd, text, (size_t)n) != n)
		die(path);
	n = (int)read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	if (strncmp(text, "errno=0\n", 8) != 0) {
		fprintf(stderr, "the peer refused its configuration: %s\n", text);
		exit(1);
	}
	close(fd);
}

static void setup(const char *uapi)
{
	struct key_priv theirs = { { 8, 2, [31] = 0x41 } };
	struct wg_conf conf = { .key = { { 16, 3, [31] = 0x42 } },
				.rng = &rng,
				.max_peers = 1,
				.staged_bytes = 65536 };
	struct ip ip = ip_v4(10, 9, 0, 1);
	struct ipprefix p = ipprefix_of(&ip, 128);
	struct sockaddr_in a = at(OUR_PORT);
	struct key_pub their_pub, our_pub;

	key_public(&their_pub, &theirs);
	key_public(&our_pub, &conf.key);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&a, sizeof a) != 0)
		die("bind");
	wg = wg_new(&conf);
	if (!wg || wg_peer_add(wg, 0, &their_pub) != 0 || wg_peer_allow(wg, 0, &p, 1) != 0)
		die("wg");
	configure(uapi, &theirs, &our_pub);
}

static int verdict(const char *what, unsigned got, unsigned want)
{
	struct wg_peer_stat st;

	(void)wg_peer_stat(wg, 0, &st);
	printf("%s: %u of %u, session %s\n", what, got, want, st.has_session ? "yes" : "no");
	for (int i = 1; i < WG_DROP_N; i++)
		if (wg_drops(wg)[i] > 0) {
			printf("dropped for %s: %u\n", wg_drop_names[i], (unsigned)wg_drops(wg)[i]);
			got = 0; /* nothing is dropped on loopback */
		}
	wg_free(wg);
	return got >= want ? 0 : 1;
}

static int flow(int seconds)
{
	static const uint8_t body[64];
	const mono_t end = mono_add(now(), SPAN_S(seconds));
	struct wg_event ev;
	unsigned asked = 0, sessions = 0;
	int rc;

	while (mono_before(now(), end)) {
		echo(ECHO, 7, (uint16_t)asked++, body, sizeof body);
		for (int tries = 0; tries < 1500 && replies < asked;
		     tries++) /* half a minute on a busy machine */
			turn(20);
		turn(20);
		while (wg_next(wg, &ev))
			sessions += ev.type == WG_EV_SESSION;
	}
	rc = verdict("replies in a flow", replies, asked);
	printf("sessions in %d s: %u\n", seconds, sessions);
	return rc != 0 || sessions < 1 + (unsigned)seconds / 121;
}

int main(int argc, char **argv)
{
	static const uint8_t body[1252];

	if (argc == 4 && strcmp(argv[1], "flow") == 0) {
		setup(argv[2]);
		return flow((int)strtol(argv[3], NULL, 10));
	}
	if (argc != 3)
		return 2;
	setup(argv[2]);
	if (strcmp(argv[1], "ping") == 0) {
		for (uint16_t i = 0; i < PINGS; i++) {
			echo(ECHO, 7, i, body, (size_t)i * 4 % sizeof body + i % 4);
			for (int tries = 0; tries < 200 && replies <= i; tries++)
				turn(20);
		}
		return verdict("replies to our echo requests", replies, PINGS);
	}
	puts("ready");
	fflush(stdout);
	for (mono_t end = mono_add(now(), SPAN_S(40));
	     answers < ANSWERS && mono_before(now(), end);)
		turn(100);
	return verdict("echo requests answered", answers, ANSWERS);
}
