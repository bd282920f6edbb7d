/* derp_probe.c - drives lib/derp's client end over plain sockets against a relay that somebody else
 * wrote
 *
 * usage: derp_probe PORT MESHKEY. Prints a line for each thing that was seen; exit 0 when all were,
 * in 20 seconds.
 */
#include "derp/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct end {
	int fd;
	struct derp_client *c;
	struct key_pub key;
	uint8_t out[65536];
	size_t out_len, packets, present, gone, not_here, pongs, ready;
	uint8_t last[DERP_PACKET_MAX];
	size_t last_len;
	struct key_pub last_from, last_gone;
};

static mono_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_t){ ts.tv_sec * NS_PER_S + ts.tv_nsec };
}

static void kernel_fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	if (getrandom(buf, len, 0) != (ssize_t)len)
		abort();
}
static struct rng rng = { kernel_fill };

static void fail(const char *what)
{
	printf("FAIL %s\n", what);
	exit(1);
}

static void dial(struct end *e, uint16_t port, const char *mesh)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct derp_client_conf conf = {
		.rng = &rng, .host = "127.0.0.1", .app = "probe", .is_home = true, .mesh_key = mesh
	};

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	e->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (e->fd < 0 || connect(e->fd, (struct sockaddr *)&sa, sizeof sa) != 0)
		fail("connect");
	key_gen(&conf.node, &rng);
	key_public(&e->key, &conf.node);
	e->c = derp_client_new(&conf, now());
	if (!e->c)
		fail("memory");
}

static void on_event(struct end *e, const struct derp_event *ev)
{
	switch (ev->type) {
	case DERP_EV_READY:
		e->ready = 1;
		break;
	case DERP_EV_PACKET:
		e->packets++;
		e->last_from = ev->from;
		e->last_len = ev->data.len;
		memcpy(e->last, ev->data.data, ev->data.len);
		break;
	case DERP_EV_PEER_GONE:
		*(ev->reason == DERP_GONE_NOT_HERE ? &e->not_here : &e->gone) += 1;
		e->last_gone = ev->from;
		break;
	case DERP_EV_PEER_PRESENT:
		e->present++;
		break;
	case DERP_EV_PONG:
		e->pongs++;
		break;
	case DERP_EV_CLOSED:
		fail(ev->text);
		break;
	case DERP_EV_HEALTH:
	case DERP_EV_RESTARTING:
		break;
	}
}

static void turn(struct end *e, short revents)
{
	uint8_t buf[32768];
	struct derp_event ev;
	ssize_t n;

	if (revents & (POLLIN | POLLHUP)) {
		n = recv(e->fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n <= 0)
			fail("the relay closed the stream");
		derp_client_feed(e->c, now(), bytes_of(buf, (size_t)n));
		while (derp_client_next(e->c, &ev))
			on_event(e, &ev);
	}
	if (e->out_len == 0)
		e->out_len = derp_client_pull(e->c, now(), e->out, sizeof e->out);
	if (e->out_len == 0)
		return;
	n = send(e->fd, e->out, e->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		fail("send");
	if (n > 0) {
		memmove(e->out, e->out + n, e->out_len - (size_t)n);
		e->out_len -= (size_t)n;
	}
}

/* turns the loop until *count reaches want */
static void await(struct end **ends, size_t n, const size_t *count, size_t want, const char *what)
{
	mono_t end = mono_add(now(), SPAN_S(20));

	while (*count < want) {
		struct pollfd p[3];

		for (size_t i = 0; i < n; i++) {
			turn(ends[i], 0);
			p[i] = (struct pollfd){ .fd = ends[i]->fd, .events = POLLIN };
			if (ends[i]->out_len > 0 || derp_client_has_output(ends[i]->c))
				p[i].events |= POLLOUT;
		}
		if (mono_due(end, now()) || poll(p, n, 1000) < 0)
			fail(what);
		for (size_t i = 0; i < n; i++)
			turn(ends[i], p[i].revents);
	}
	printf("ok %s\n", what);
}

static void exchange(struct end *a, struct end *b, size_t len, uint8_t fill)
{
	struct end *both[] = { a, b };
	uint8_t *p = malloc(len + 1);
	char what[64];

	if (!p)
		fail("memory");
	memset(p, fill, len);
	if (!derp_client_send(a->c, &b->key, p, len))
		fail("derp_client_send");
	snprintf(what, sizeof what, "packet of %zu bytes", len);
	await(both, 2, &b->packets, b->packets + 1, what);
	if (b->last_len != len || memcmp(b->last, p, len) != 0 || !key_eq(&b->last_from, &a->key))
		fail("the packet is another one");
	free(p);
}

static void await_ready(struct end *e)
{
	struct end *one[] = { e };

	await(one, 1, &e->ready, 1, "handshake");
}

int main(int argc, char **argv)
{
	static struct end a, b, m;
	struct end *all[] = { &a, &m, &b };
	uint8_t disco[80] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };
	struct key_pub nobody = { { 1, 2, 3 } };
	uint16_t port = argc == 3 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0;

	if (port == 0)
		fail("usage: derp_probe PORT MESHKEY");
	dial(&m, port, argv[2]);
	await_ready(&m);
	derp_client_watch(m.c);
	dial(&a, port, NULL);
	dial(&b, port, NULL);
	await_ready(&a);
	await_ready(&b);
	await(all, 3, &m.present, 2, "mesh watcher is told of both clients");
	for (size_t len = 1; len <= DERP_PACKET_MAX; len *= 4)
		exchange(&a, &b, len, (uint8_t)len);
	for (size_t i = 0; i < 200; i++)
		exchange(&b, &a, 1300, (uint8_t)i);
	derp_client_ping(a.c, now());
	await(all, 3, &a.pongs, 1, "ping is answered");
	if (!derp_client_send(a.c, &nobody, disco, sizeof disco))
		fail("derp_client_send");
	await(all, 3, &a.not_here, 1, "disco to nobody: peer is not here");
	if (!key_eq(&a.last_gone, &nobody) ||
	    !derp_client_forward(m.c, &nobody, &b.key, bytes_of(disco, sizeof disco)))
		fail("wrong key, or no forward");
	await(all, 3, &b.packets, b.packets + 1, "forwarded packet arrives");
	if (!key_eq(&b.last_from, &nobody))
		fail("forwarded packet has the wrong source");
	close(b.fd);
	await(all, 2, &a.gone, 1, "peer that sent to us is gone");
	await(all, 2, &m.gone, 1, "mesh watcher is told so");
	if (!key_eq(&a.last_gone, &b.key))
		fail("another one is gone");
	derp_client_free(a.c);
	derp_client_free(b.c);
	derp_client_free(m.c);
	puts("all seen");
	return 0;
}
