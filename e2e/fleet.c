/* fleet.c - many control clients in one process, against a control server over loopback
 *
 *      fleet URL KEYS COUNT PEERS SECONDS [SERVER_PID [COMMAND]]
 *      fleet URL KEYS
 *
 * Each client is the control machine of lib/ts2021 on a socket of its own: key, Noise, HTTP/2,
 * registration, zstd map stream, lite updates. KEYS is a file with a line for each client, used
 * again from its start when there are more: an auth key, then if wanted a host name and routes to
 * announce.
 *
 * First form (bench): all join, WINDOW at a time, until each knows PEERS others or SECONDS are
 * over; then one of them moves to another endpoint, and all who know it have to hear of it; then
 * COMMAND runs, after which every stream has to bring a packet filter. Each line of output is one
 * figure; the CPU time of this process is told apart from the server's. The streams stay until
 * standard input ends.
 *
 * Second form: a client for each line, one after the other, so that ids and addresses go by the
 * order of lines. A line "dump FILE" on standard input writes what each client knows now, a JSON
 * object a line: name, id, peers (id: AllowedIPs and PrimaryRoutes), filters, ssh; then "dumped" is
 * printed. The end of standard input ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "ts2021/control.h"

enum { WINDOW = 64, KEYS_MAX = 1024, FRAME_MAX = 64 << 20, SETTLE_MS = 1500 };

struct client {
	struct control *c;
	int fd;
	bool wants_write, streams, complete, heard;
	struct buf out, frame;
	uint8_t *known; /* bitmap by node id */
	size_t n_known;
	int64_t id;          /* its own node */
	char *name, *routes; /* as the line of KEYS has them */
	struct buf filters;  /* PacketFilters or PacketFilter as it came last */
	struct buf ssh;      /* SSHPolicy likewise */
	char **routes_of;    /* by peer: {"AllowedIPs":..,"PrimaryRoutes":..}; second form only */
	mono_t due;
};

struct fleet {
	struct client *v;
	size_t n, started, streaming, complete, want, id_max;
	int ep;
	char *lines[KEYS_MAX];
	size_t n_lines;
	bool is_watched; /* second form */
	uint64_t bytes, frames;
	int64_t moved;      /* node whose change is waited for; 0: none */
	bool wants_filters; /* a packet filter is waited for */
	size_t heard;
	mono_t now;
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
static struct rng rng = { .fill = kernel_fill };

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static mono_t mono_now(void)
{
	return (mono_t){ clock_ns(CLOCK_MONOTONIC) };
}

static wall_t wall_now(void)
{
	return (wall_t){ clock_ns(CLOCK_REALTIME) };
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* --- frames --- */

static void know(struct fleet *f, struct client *c, int64_t id, bool on)
{
	uint8_t bit = (uint8_t)(1U << (id % 8));

	if (id <= 0 || (size_t)id >= f->id_max)
		return;
	if (!(c->known[id / 8] & bit) == on) {
		c->known[id / 8] ^= bit;
		c->n_known += on ? 1 : (size_t)-1;
	}
}

static void hear(struct fleet *f, struct client *c)
{
	f->heard += !c->heard;
	c->heard = true;
}

static int64_t member_id(struct json *j, const char *name)
{
	struct bytes key;
	int64_t id = 0;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, name))
			id = json_i64(j);
		else
			json_skip(j);
	}
	return id;
}

/* What it may send to the peer */
static void keep_routes(struct fleet *f, struct client *c, int64_t id, struct bytes node)
{
	struct json j = json_of(node);
	struct bytes key, allowed = bytes_str("null"), primary = bytes_str("null");

	if (!f->is_watched || id <= 0 || (size_t)id >= f->id_max)
		return;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "AllowedIPs"))
			allowed = json_raw(&j);
		else if (json_key_is(key, "PrimaryRoutes"))
			primary = json_raw(&j);
		else
			json_skip(&j);
	}
	free(c->routes_of[id]);
	if (asprintf(&c->routes_of[id], "{\"AllowedIPs\":%.*s,\"PrimaryRoutes\":%.*s}",
		     (int)allowed.len, (const char *)allowed.data, (int)primary.len,
		     (const char *)primary.data) < 0)
		die("routes");
}

static void nodes(struct fleet *f, struct client *c, struct json *j, bool patch)
{
	json_arr(j);
	while (json_elem(j)) {
		struct bytes node = json_raw(j);
		struct json one = json_of(node);
		int64_t id = member_id(&one, patch ? "NodeID" : "ID");

		if (!patch)
			keep_routes(f, c, id, node);
		if (!patch)
			know(f, c, id, true);
		if (id == f->moved)
			hear(f, c);
	}
}

static void keep(struct fleet *f, struct buf *to, struct bytes json)
{
	if (!f->is_watched)
		return;
	buf_clear(to);
	if (!buf_append(to, json.data, json.len))
		die("keep");
}

static void read_frame(struct fleet *f, struct client *c)
{
	struct json j = json_of(buf_bytes(&c->frame));
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Node")) {
			c->id = member_id(&j, "ID");
		} else if (json_key_is(key, "Peers") || json_key_is(key, "PeersChanged")) {
			nodes(f, c, &j, false);
		} else if (json_key_is(key, "PeersChangedPatch")) {
			nodes(f, c, &j, true);
		} else if (json_key_is(key, "PeersRemoved")) {
			json_arr(&j);
			while (json_elem(&j))
				know(f, c, json_i64(&j), false);
		} else if (json_key_is(key, "PacketFilters") || json_key_is(key, "PacketFilter")) {
			if (f->wants_filters)
				hear(f, c);
			keep(f, &c->filters, json_raw(&j));
		} else if (json_key_is(key, "PingRequest")) {
			control_ping_request(c->c, f->now, json_raw(&j), NULL);
		} else if (json_key_is(key, "SSHPolicy")) {
			keep(f, &c->ssh, json_raw(&j));
		} else {
			json_skip(&j);
		}
	}
	if (!json_done(&j)) {
		fprintf(stderr, "a frame that is no JSON\n");
		exit(1);
	}
	if (!c->complete && c->n_known >= f->want) {
		c->complete = true;
		f->complete++;
	}
}

/* --- one client --- */

static void watch(struct fleet *f, struct client *c, bool write)
{
	struct epoll_event ev = { .events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c };

	if (c->wants_write != write)
		epoll_ctl(f->ep, EPOLL_CTL_MOD, c->fd, &ev);
	c->wants_write = write;
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->wants_write = false;
	buf_clear(&c->out);
}

static void dial(struct fleet *f, struct client *c, const struct control_event *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(e->port) };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	inet_pton(AF_INET, e->host, &a.sin_addr);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	if (connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0) {
		hang_up(c);
		control_closed(c->c, f->now, e->conn, strerror(errno));
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(f->ep, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("epoll");
	control_opened(c->c, f->now, e->conn);
}

static void flush(struct fleet *f, struct client *c)
{
	for (;;) {
		uint8_t *p;
		ssize_t k;

		if (c->out.len == 0) {
			p = buf_reserve(&c->out, 16384);
			buf_commit(&c->out, control_pull(c->c, f->now, 0, p, 16384));
		}
		if (c->out.len == 0 || c->fd < 0)
			break;
		k = send(c->fd, buf_bytes(&c->out).data, c->out.len, MSG_NOSIGNAL);
		if (k < 0) {
			if (errno == EAGAIN)
				watch(f, c, true);
			return;
		}
		buf_consume(&c->out, (size_t)k);
	}
	buf_fini(&c->out);
	if (c->fd >= 0)
		watch(f, c, false);
}

static void event(struct fleet *f, struct client *c, const struct control_event *e)
{
	switch (e->type) {
	case CONTROL_DIAL:
		dial(f, c, e);
		break;
	case CONTROL_HANGUP:
		hang_up(c);
		break;
	case CONTROL_OUTPUT:
		if (e->conn == 0)
			flush(f, c);
		break;
	case CONTROL_MAP_BEGIN:
		buf_clear(&c->frame);
		f->streaming += !c->streams;
		c->streams = true;
		break;
	case CONTROL_MAP_DATA:
		if (!buf_append(&c->frame, e->data.data, e->data.len))
			die("frame");
		break;
	case CONTROL_MAP_END:
		f->frames++;
		f->bytes += c->frame.len;
		read_frame(f, c);
		buf_fini(&c->frame);
		control_map_applied(c->c, f->now);
		break;
	case CONTROL_LOGIN_FAILED:
		fprintf(stderr, "login failed: %s\n", e->text);
		break;
	case CONTROL_TROUBLE:
		if (e->text)
			fprintf(stderr, "trouble: %s\n", e->text);
		break;
	default:
		break;
	}
}

static void drain(struct fleet *f, struct client *c)
{
	struct control_event e;

	while (control_next(c->c, &e))
		event(f, c, &e);
	c->due = control_deadline(c->c);
}

static void readable(struct fleet *f, struct client *c)
{
	static uint8_t buf[65536];
	ssize_t n = recv(c->fd, buf, sizeof buf, 0);

	if (n > 0) {
		control_feed(c->c, f->now, wall_now(), 0, bytes_of(buf, (size_t)n));
	} else if (n == 0 || errno != EAGAIN) {
		hang_up(c);
		control_closed(c->c, f->now, 0, n == 0 ? NULL : strerror(errno));
	}
	drain(f, c);
}

/* The words of its line: auth key, host name, routes with commas between */
static void line_of(struct client *c, const char *line, size_t i, char key[static 512])
{
	char name[128] = "", routes[512] = "";

	if (sscanf(line, "%511s %127s %511s", key, name, routes) < 2)
		snprintf(name, sizeof name, "fleet-%zu", i);
	c->name = strdup(name);
	c->routes = strdup(routes);
	if (!c->name || !c->routes)
		die("memory");
}

static size_t routes_of(const struct client *c, struct ipprefix v[static 8])
{
	size_t n = 0;

	for (const char *p = c->routes; *p && n < 8;) {
		size_t len = strcspn(p, ",");

		if (!ipprefix_parse(bytes_of(p, len), &v[n++])) {
			fprintf(stderr, "%s is not a route\n", p);
			exit(2);
		}
		p += len + (p[len] == ',');
	}
	return n;
}

static void begin(struct fleet *f, const char *url)
{
	size_t i = f->started++;
	struct client *c = &f->v[i];
	struct control_conf conf = { .rng = &rng, .url = url, .user_agent_version = "1.0-fleet" };
	struct control_netinfo ni = { .working_udp = 1, .working_v6 = 0, .home = 999 };
	const enum control_ep types[] = { CONTROL_EP_LOCAL, CONTROL_EP_STUN };
	struct ipport ep[2] = { { ip_v4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i),
				  41641 },
				{ ip_v4(192, 0, 2, (uint8_t)i), (uint16_t)(1024 + i % 60000) } };
	struct ipprefix routes[8];
	char key[512];
	struct control_hostinfo hi = { .os_version = "6.1.0",
				       .distro = "debian",
				       .distro_version = "12.11",
				       .distro_code = "bookworm",
				       .machine = "x86_64",
				       .container = true,
				       .userspace = true,
				       .routes = routes };
	struct key_priv disco;
	struct key_pub pub;
	struct err e = { 0 };

	line_of(c, f->lines[i % f->n_lines], i, key);
	hi.hostname = c->name;
	hi.n_routes = routes_of(c, routes);
	key_gen(&conf.machine, &rng);
	key_gen(&conf.node, &rng);
	key_gen(&disco, &rng);
	key_public(&pub, &disco);
	c->fd = -1;
	buf_init(&c->out, 1 << 20);
	buf_init(&c->frame, FRAME_MAX);
	buf_init(&c->filters, FRAME_MAX);
	buf_init(&c->ssh, FRAME_MAX);
	if (f->is_watched && !(c->routes_of = calloc(f->id_max, sizeof *c->routes_of)))
		die("calloc");
	c->known = calloc(f->id_max / 8 + 1, 1);
	c->c = control_new(&conf, &e);
	if (!c->c || !c->known || control_set_auth_key(c->c, key) != 0 ||
	    control_set_hostinfo(c->c, &hi) != 0 ||
	    control_set_endpoints(c->c, ep, types, 2) != 0) {
		fprintf(stderr, "client %zu: %s\n", i, e.text);
		exit(2);
	}
	control_set_netinfo(c->c, &ni);
	control_set_disco(c->c, &pub);
	control_start(c->c, f->now, wall_now());
	drain(f, c);
}

/* --- all --- */

static void dump(const struct fleet *f, const char *path)
{
	FILE *out = fopen(path, "we");

	if (!out)
		die(path);
	for (size_t i = 0; i < f->n; i++) {
		const struct client *c = &f->v[i];
		const char *sep = "";

		fprintf(out, "{\"name\":\"%s\",\"id\":%lld,\"peers\":{", c->name, (long long)c->id);
		for (size_t k = 0; k < f->id_max; k++)
			if (c->known[k / 8] >> (k % 8) & 1) {
				fprintf(out, "%s\"%zu\":%s", sep, k,
					c->routes_of[k] ? c->routes_of[k] : "null");
				sep = ",";
			}
		fprintf(out, "},\"filters\":%.*s,\"ssh\":%.*s}\n",
			(int)(c->filters.len ? c->filters.len : 4),
			c->filters.len ? (const char *)buf_bytes(&c->filters).data : "null",
			(int)(c->ssh.len ? c->ssh.len : 4),
			c->ssh.len ? (const char *)buf_bytes(&c->ssh).data : "null");
	}
	if (fclose(out) != 0)
		die(path);
	printf("dumped\n");
	fflush(stdout);
}

/* Lines of standard input; its end is ours */
static void commands(struct fleet *f)
{
	static char line[512];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, line + len, sizeof line - 1 - len);
	char *end;

	if (n <= 0)
		exit(0);
	len += (size_t)n;
	line[len] = 0;
	while ((end = strchr(line, '\n'))) {
		*end = 0;
		if (f->is_watched && strncmp(line, "dump ", 5) == 0)
			dump(f, line + 5);
		len -= (size_t)(end + 1 - line);
		memmove(line, end + 1, len + 1);
	}
}

static void turn(struct fleet *f)
{
	struct epoll_event ev[256];
	int n = epoll_wait(f->ep, ev, 256, 20);
	static mono_t scanned;

	f->now = mono_now();
	for (int i = 0; i < n; i++) {
		struct client *c = ev[i].data.ptr;

		if (!c)
			commands(f);
		else if (c->fd >= 0 && ev[i].events & EPOLLOUT)
			flush(f, c);
		if (c && c->fd >= 0 && ev[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			readable(f, c);
	}
	if (!mono_due(mono_add(scanned, SPAN_MS(20)), f->now))
		return;
	scanned = f->now;
	for (size_t i = 0; i < f->started; i++)
		if (mono_due(f->v[i].due, f->now)) {
			control_tick(f->v[i].c, f->now, wall_now());
			drain(f, &f->v[i]);
		}
}

static double own_cpu(void)
{
	return (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9;
}

static double server_cpu(int pid)
{
	char path[64];
	unsigned long user = 0, sys = 0;
	FILE *p;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	p = pid > 0 ? fopen(path, "re") : NULL;
	if (!p)
		return 0;
	if (fscanf(p, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) !=
	    2)
		user = sys = 0;
	fclose(p);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static void settle(struct fleet *f, int64_t ms)
{
	mono_t end = mono_add(mono_now(), SPAN_MS(ms));

	while (mono_before(mono_now(), end))
		turn(f);
}

/* Until so many have heard, or 30 s */
static void wait_heard(struct fleet *f, const char *what, size_t want, mono_t since)
{
	mono_t end = mono_add(since, SPAN_S(30));

	while (f->heard < want && mono_before(f->now, end))
		turn(f);
	printf("%s: at %zu of %zu streams after %.0f ms\n", what, f->heard, want,
	       (double)mono_sub(f->now, since).ns / 1e6);
}

static void forget(struct fleet *f)
{
	f->heard = 0;
	for (size_t i = 0; i < f->n; i++)
		f->v[i].heard = false;
}

static void move(struct fleet *f)
{
	const enum control_ep types[] = { CONTROL_EP_LOCAL };
	struct ipport ep = { ip_v4(10, 99, 99, 99), 4 };
	struct client *c = &f->v[f->n / 2];
	size_t want = 0;
	mono_t at = mono_now();

	forget(f);
	f->moved = c->id;
	for (size_t i = 0; i < f->n; i++)
		want += &f->v[i] != c && f->v[i].known[c->id / 8] >> (c->id % 8) & 1;
	if (control_set_endpoints(c->c, &ep, types, 1) != 0)
		die("endpoints");
	control_tick(c->c, at, wall_now());
	drain(f, c);
	wait_heard(f, "a moved node", want, at);
	f->moved = 0;
}

static void command(struct fleet *f, const char *cmd)
{
	mono_t at = mono_now();
	pid_t pid;
	int status = 0;

	forget(f);
	f->wants_filters = true;
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	wait_heard(f, "a new policy", f->n, at);
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "the command failed\n");
		exit(1);
	}
}

static void read_lines(struct fleet *f, const char *path)
{
	char line[512];
	FILE *p = fopen(path, "re");

	if (!p)
		die(path);
	while (f->n_lines < KEYS_MAX && fgets(line, sizeof line, p)) {
		line[strcspn(line, "\r\n")] = 0;
		if (line[0] && !(f->lines[f->n_lines++] = strdup(line)))
			die("keys");
	}
	fclose(p);
	if (f->n_lines == 0) {
		fprintf(stderr, "no keys in %s\n", path);
		exit(2);
	}
}

static void listen_to_stdin(const struct fleet *f)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (epoll_ctl(f->ep, EPOLL_CTL_ADD, STDIN_FILENO, &ev) != 0)
		die("standard input");
}

/* Second form; ends with standard input */
NORETURN static void watch_all(struct fleet *f, const char *url)
{
	mono_t end = mono_add(f->now, SPAN_S(60));

	while (f->streaming < f->n && mono_before(f->now, end)) {
		if (f->started == f->streaming)
			begin(f, url);
		turn(f);
	}
	printf(f->streaming == f->n ? "ready\n" : "failed\n");
	fflush(stdout);
	listen_to_stdin(f);
	for (;;)
		turn(f);
}

int main(int argc, char **argv)
{
	struct fleet f = { .ep = epoll_create1(EPOLL_CLOEXEC) };
	struct rlimit lim;
	double cpu, server;
	mono_t start, end;
	int pid;

	if (argc != 3 && argc < 6) {
		fprintf(stderr,
			"usage: fleet URL KEYS [COUNT PEERS SECONDS [SERVER_PID [COMMAND]]]\n");
		return 2;
	}
	read_lines(&f, argv[2]);
	f.is_watched = argc == 3;
	f.n = f.is_watched ? f.n_lines : strtoul(argv[3], NULL, 10);
	f.want = f.is_watched ? 0 : strtoul(argv[4], NULL, 10);
	f.id_max = 4 * f.n + 1024;
	f.v = calloc(f.n, sizeof *f.v);
	pid = argc > 6 ? (int)strtol(argv[6], NULL, 10) : 0;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
	f.now = start = mono_now();
	if (f.is_watched)
		watch_all(&f, argv[1]);
	end = mono_add(start, SPAN_S(strtol(argv[5], NULL, 10)));
	server = server_cpu(pid);
	while (f.complete < f.n && mono_before(f.now, end)) {
		while (f.started < f.n && f.started - f.streaming < WINDOW)
			begin(&f, argv[1]);
		turn(&f);
	}
	cpu = own_cpu();
	printf("joined: %zu of %zu stream, %zu know %zu peers or more, in %.1f s; CPU %.1f s, the "
	       "clients' own %.1f s; %.1f MB of maps in %.0f frames\n",
	       f.streaming, f.n, f.complete, f.want, (double)mono_sub(f.now, start).ns / 1e9,
	       server_cpu(pid) - server, cpu, (double)f.bytes / 1e6, (double)f.frames);
	fflush(stdout);
	if (f.complete < f.n)
		return 1;
	settle(&f, SETTLE_MS);
	move(&f);
	if (argc > 7)
		command(&f, argv[7]);
	settle(&f, SETTLE_MS);
	printf("settled\n");
	fflush(stdout);
	/* the streams stay until somebody has looked at the server's memory */
	listen_to_stdin(&f);
	for (;;)
		turn(&f);
}
