/* control_probe.c - one node's control connection against a real server: register, first map, lite
 * update, log out
 *
 *      control_probe URL [--auth-key-file FILE] [--plain] [--tag TAG]... [--seconds N] [--keep]
 * [--pinned MKEY]
 *
 * Plain http only: it uses lib/ts2021 and blocking sockets, nothing of lib/os. What happens is
 * printed, one line an event; exit 0 when everything asked for was seen, 1 when not within N
 * seconds (default 30), 2 on wrong use.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ts2021/control.h"

enum { TAGS_MAX = 8 };

struct probe {
	struct control *c;
	int fd[CONTROL_CONNS];
	size_t map_len, frames, streams, wanted_streams;
	bool is_registered, has_map, has_update, has_ended, keep, leaving;
	bool updated_more;
};

static void kernel_fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	for (size_t n = 0; n < len;) {
		ssize_t k = getrandom((char *)buf + n, len - n, 0);

		if (k > 0)
			n += (size_t)k;
	}
}

static mono_t mono_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (mono_t){ t.tv_sec * NS_PER_S + t.tv_nsec };
}

static wall_t wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (wall_t){ t.tv_sec * NS_PER_S + t.tv_nsec };
}

static void dial(struct probe *p, const struct control_event *ev)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai = NULL;
	char port[8];
	int fd = -1, r;

	snprintf(port, sizeof port, "%u", ev->port);
	printf("dial %u %s:%s%s\n", ev->conn, ev->host, port, ev->tls ? " tls" : "");
	if (ev->tls) {
		control_closed(p->c, mono_now(), ev->conn, "this probe speaks plain http only");
		return;
	}
	r = getaddrinfo(ev->host, port, &hints, &ai);
	if (r == 0) {
		fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
			r = errno;
			close(fd);
			fd = -1;
		}
		freeaddrinfo(ai);
	}
	if (fd < 0) {
		control_closed(p->c, mono_now(), ev->conn, strerror(r));
		return;
	}
	p->fd[ev->conn] = fd;
	control_opened(p->c, mono_now(), ev->conn);
}

static void hang_up(struct probe *p, unsigned conn)
{
	if (p->fd[conn] >= 0)
		close(p->fd[conn]);
	p->fd[conn] = -1;
}

static void lose(struct probe *p, unsigned conn, const char *why)
{
	hang_up(p, conn);
	control_closed(p->c, mono_now(), conn, why);
}

static void flush(struct probe *p, unsigned conn)
{
	uint8_t buf[16384];
	size_t n;

	while (p->fd[conn] >= 0 && (n = control_pull(p->c, mono_now(), conn, buf, sizeof buf)) > 0)
		for (size_t done = 0; done < n;) {
			ssize_t k = send(p->fd[conn], buf + done, n - done, MSG_NOSIGNAL);

			if (k < 0) {
				lose(p, conn, strerror(errno));
				return;
			}
			done += (size_t)k;
		}
}

static void event(struct probe *p, const struct control_event *ev)
{
	switch (ev->type) {
	case CONTROL_DIAL:
		dial(p, ev);
		break;
	case CONTROL_HANGUP:
		hang_up(p, ev->conn);
		break;
	case CONTROL_OUTPUT:
		flush(p, ev->conn);
		break;
	case CONTROL_AUTH_URL:
		printf("auth-url %s\n", ev->text);
		break;
	case CONTROL_REGISTERED:
		p->is_registered = true;
		printf("registered authorized=%d\n", ev->authorized);
		break;
	case CONTROL_MAP_BEGIN:
		p->map_len = 0;
		p->streams += ev->is_first;
		break;
	case CONTROL_MAP_DATA:
		p->map_len += ev->data.len;
		break;
	case CONTROL_MAP_END:
		p->frames++;
		p->has_map = true;
		printf("map frame %zu: %zu bytes, stream %zu\n", p->frames, p->map_len, p->streams);
		control_map_applied(p->c, mono_now());
		break;
	case CONTROL_MAP_ABORT:
		printf("map aborted\n");
		break;
	case CONTROL_LOGIN_FAILED:
		printf("login-failed fatal=%d %s\n", ev->fatal, ev->text);
		break;
	case CONTROL_NEEDS_LOGIN:
		printf("needs-login\n");
		break;
	case CONTROL_TROUBLE:
		printf("trouble %s\n", ev->text ? ev->text : "(none any more)");
		break;
	case CONTROL_LOGGED_OUT:
		p->has_ended = true;
		printf("logged-out%s%s\n", ev->text ? ": " : "", ev->text ? ev->text : "");
		break;
	}
	fflush(stdout);
}

static void drain(struct probe *p)
{
	struct control_event ev;

	while (control_next(p->c, &ev))
		event(p, &ev);
}

static void read_conn(struct probe *p, unsigned conn)
{
	uint8_t buf[16384];
	ssize_t n = recv(p->fd[conn], buf, sizeof buf, MSG_DONTWAIT);

	if (n > 0)
		control_feed(p->c, mono_now(), wall_now(), conn, bytes_of(buf, (size_t)n));
	else if (n == 0)
		lose(p, conn, NULL);
	else if (errno != EAGAIN)
		lose(p, conn, strerror(errno));
}

/* What is to be done next once the map is there */
static void go_on(struct probe *p)
{
	static const enum control_ep types[] = { CONTROL_EP_LOCAL };
	struct ipport ep = { .ip = ip_v4(192, 0, 2, 7), .port = 41641 };
	struct control_stat st;

	control_stat(p->c, &st);
	if (p->has_map && st.updates >= 1 && !p->updated_more) {
		p->updated_more = true;
		(void)!control_set_endpoints(p->c, &ep, types, 1);
	}
	if (st.updates >= 2 && !p->has_update) {
		p->has_update = true;
		printf("lite updates answered: %u\n", st.updates);
		if (p->keep)
			p->has_ended = true;
	}
	if (p->has_map && p->has_update && p->streams >= p->wanted_streams && !p->keep &&
	    !p->leaving) {
		p->leaving = true;
		control_logout(p->c, mono_now());
	}
}

static void turn(struct probe *p, mono_t end)
{
	struct pollfd pf[CONTROL_CONNS];
	mono_t t = mono_min(control_deadline(p->c), end);
	int64_t ms = span_ms(mono_sub(t, mono_now())) + 1;

	for (unsigned i = 0; i < CONTROL_CONNS; i++)
		pf[i] = (struct pollfd){ .fd = p->fd[i], .events = POLLIN };
	poll(pf, CONTROL_CONNS, ms < 0 ? 0 : ms > 1000 ? 1000 : (int)ms);
	for (unsigned i = 0; i < CONTROL_CONNS; i++)
		if (pf[i].revents && p->fd[i] >= 0)
			read_conn(p, i);
	if (mono_due(control_deadline(p->c), mono_now()))
		control_tick(p->c, mono_now(), wall_now());
}

static bool read_key_file(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, cap - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	out[n] = 0;
	out[strcspn(out, "\r\n")] = 0;
	return true;
}

int main(int argc, char **argv)
{
	struct rng rng = { .fill = kernel_fill };
	struct control_conf conf = { .rng = &rng, .user_agent_version = "0.0.0-probe" };
	struct control_hostinfo hi = {
		.hostname = "probe", .os_version = "test", .container = true, .userspace = true
	};
	struct control_netinfo ni = {
		.working_udp = 1, .working_v6 = -1, .varies_by_dest = -1, .home = 999
	};
	const char *tags[TAGS_MAX], *key_file = NULL;
	char auth_key[512] = "";
	struct probe p = { .fd = { -1, -1, -1, -1 } };
	struct key_priv disco_priv;
	struct key_pub disco;
	struct err e = { 0 };
	int seconds = 30;
	mono_t end;

	if (argc < 2) {
		fprintf(stderr, "usage: control_probe URL [--auth-key-file F] [--plain] [--tag T] "
				"[--seconds N] [--keep]\n");
		return 2;
	}
	conf.url = argv[1];
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--plain") == 0)
			conf.plain_map = true;
		else if (strcmp(argv[i], "--keep") == 0)
			p.keep = true;
		else if (strcmp(argv[i], "--auth-key-file") == 0 && i + 1 < argc)
			key_file = argv[++i];
		else if (strcmp(argv[i], "--streams") == 0 && i + 1 < argc)
			p.wanted_streams = strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--tag") == 0 && i + 1 < argc && hi.n_tags < TAGS_MAX)
			tags[hi.n_tags++] = argv[++i];
		else if (strcmp(argv[i], "--pinned") == 0 && i + 1 < argc &&
			 key_pub_parse(KEY_MACHINE, bytes_str(argv[++i]), &conf.pinned))
			continue;
		else
			return 2;
	}
	hi.tags = tags;
	if (key_file && !read_key_file(key_file, auth_key, sizeof auth_key)) {
		fprintf(stderr, "cannot read %s\n", key_file);
		return 2;
	}
	key_gen(&conf.machine, &rng);
	key_gen(&conf.node, &rng);
	key_gen(&disco_priv, &rng);
	key_public(&disco, &disco_priv);
	p.c = control_new(&conf, &e);
	if (!p.c) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	if (control_set_auth_key(p.c, auth_key) != 0 || control_set_hostinfo(p.c, &hi) != 0)
		return 2;
	control_set_netinfo(p.c, &ni);
	control_set_disco(p.c, &disco);
	end = mono_add(mono_now(), SPAN_S(seconds));
	control_start(p.c, mono_now(), wall_now());
	drain(&p);
	while (!p.has_ended && mono_before(mono_now(), end)) {
		turn(&p, end);
		drain(&p);
		go_on(&p);
		drain(&p);
	}
	printf("registered=%d map=%d update=%d ended=%d\n", p.is_registered, p.has_map,
	       p.has_update, p.has_ended);
	for (unsigned i = 0; i < CONTROL_CONNS; i++)
		hang_up(&p, i);
	control_free(p.c);
	return p.is_registered && p.has_map && p.has_update && p.has_ended ? 0 : 1;
}
