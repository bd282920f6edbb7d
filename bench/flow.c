/* bench/flow.c - load for benches: a server that sends, a client that receives through a SOCKS5
 * proxy and times it
 *
 *   flow serve PORT                     sends zeros to each connection, or echoes lines ("e" first)
 *   flow get SOCKS_PORT ADDR PORT S     downloads for S seconds: prints megabits per second
 *   flow put SOCKS_PORT ADDR PORT S     uploads for S seconds
 *   flow ping SOCKS_PORT ADDR PORT N     N one-byte requests on one connection: p50 and p99 in us
 *   flow connect SOCKS_PORT ADDR PORT N  N connections with one request each: p50 and p99 in us
 *   flow start SOCKS_PORT ADDR PORT COMMAND...  runs it until a byte comes back: ms since exec, and
 *                                        when exec was, in ms since 1970
 *
 * Blocking sockets, one process a connection: it must not be what is measured.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 128 * 1024 };
static char buf[CHUNK];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial_loopback(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		die("connect to the proxy");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void need(int fd, void *p, size_t n)
{
	for (char *c = p; n > 0;) {
		ssize_t k = read(fd, c, n);

		if (k <= 0)
			die("read");
		c += k;
		n -= (size_t)k;
	}
}

static void give(int fd, const void *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n)
		die("write");
}

/* a connection to addr:port through the proxy; proxy port 0: straight */
static int reach(uint16_t proxy, const char *addr, uint16_t port)
{
	uint8_t req[10] = { 5, 1, 0, 1 }, ans[262];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd;

	if (inet_pton(AF_INET, addr, &a.sin_addr) != 1)
		die("address");
	if (proxy == 0) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
			die("connect");
		return fd;
	}
	fd = dial_loopback(proxy);
	give(fd, "\5\1\0", 3);
	need(fd, ans, 2);
	memcpy(req + 4, &a.sin_addr, 4);
	memcpy(req + 8, &a.sin_port, 2);
	give(fd, req, sizeof req);
	need(fd, ans, 4);
	if (ans[1] != 0) {
		fprintf(stderr, "proxy says %d\n", ans[1]);
		exit(1);
	}
	need(fd, ans + 4, ans[3] == 4 ? 18 : 6);
	return fd;
}

static void serve_one(int fd)
{
	char first;

	if (read(fd, &first, 1) != 1)
		return;
	if (first == 'g')
		while (write(fd, buf, sizeof buf) > 0)
			;
	else if (first == 'p')
		while (read(fd, buf, sizeof buf) > 0)
			;
	else
		do {
			if (write(fd, &first, 1) != 1)
				break;
		} while (read(fd, &first, 1) == 1);
}

static void serve(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int l = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* the default may be another, and figures beside it would compare something else */
	if (setsockopt(l, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) != 0)
		die("TCP_CONGESTION cubic");
	if (bind(l, (struct sockaddr *)&a, sizeof a) != 0 || listen(l, 1024) != 0)
		die("listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(l, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (fork() == 0) {
			close(l);
			serve_one(fd);
			_exit(0);
		}
		close(fd);
	}
}

static void bulk(int fd, bool get, double limit)
{
	double start, now;
	uint64_t total = 0;

	give(fd, get ? "g" : "p", 1);
	start = now = seconds();
	while (now - start < limit) {
		ssize_t k = get ? read(fd, buf, sizeof buf) : write(fd, buf, sizeof buf);

		if (k <= 0)
			die("transfer");
		total += (uint64_t)k;
		now = seconds();
	}
	printf("%.1f %llu\n", (double)total * 8 / 1e6 / (now - start), (unsigned long long)total);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void latency(uint16_t proxy, const char *addr, uint16_t port, int n, bool fresh)
{
	double *v = calloc((size_t)n, sizeof *v);
	int fd = -1;
	char c = 'e';

	for (int i = 0; i < n; i++) {
		double t = seconds();

		if (fresh || fd < 0)
			fd = reach(proxy, addr, port);
		give(fd, &c, 1);
		need(fd, &c, 1);
		v[i] = (seconds() - t) * 1e6;
		if (fresh)
			close(fd);
	}
	qsort(v, (size_t)n, sizeof *v, by_value);
	printf("%.0f %.0f\n", v[n / 2], v[n * 99 / 100]);
	free(v);
}

/* n connections that are open and then rest: all are asked before the first has to answer */
static void hold(uint16_t proxy, const char *addr, uint16_t port, int n, char first)
{
	int *fds = calloc((size_t)n, sizeof *fds);
	char c = first;

	for (int i = 0; i < n; i++) {
		fds[i] = reach(proxy, addr, port);
		give(fds[i], &first, 1);
	}
	for (int i = 0; i < n; i++)
		need(fds[i], &c, 1);
	puts("open");
	fflush(stdout);
	pause();
}

/* One try: a byte there and back. */
static bool answers(uint16_t proxy, const char *addr, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(proxy) };
	uint8_t req[10] = { 5, 1, 0, 1 }, ans[10] = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct timeval limit = { .tv_sec = 10 }; /* a try that hangs is one more try */
	bool ok;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	inet_pton(AF_INET, addr, req + 4);
	req[8] = (uint8_t)(port >> 8);
	req[9] = (uint8_t)port;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && write(fd, "\5\1\0", 3) == 3 &&
	     recv(fd, ans, 2, MSG_WAITALL) == 2 &&
	     write(fd, req, sizeof req) == (ssize_t)sizeof req &&
	     recv(fd, ans, 10, MSG_WAITALL) == 10 && ans[1] == 0 && write(fd, "e", 1) == 1 &&
	     read(fd, ans, 1) == 1;
	close(fd);
	return ok;
}

static int start(uint16_t proxy, const char *addr, uint16_t port, char **command)
{
	double t = seconds();
	struct timespec wall;
	pid_t pid;

	clock_gettime(CLOCK_REALTIME, &wall);
	pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		execvp(command[0], command);
		_exit(127);
	}
	while (!answers(proxy, addr, port) && seconds() - t < 60)
		usleep(1000);
	printf("%.0f %lld\n", (seconds() - t) * 1e3,
	       (long long)wall.tv_sec * 1000 + wall.tv_nsec / 1000000);
	kill(-pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return 0;
}

int main(int argc, char **argv)
{
	uint16_t proxy, port;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve((uint16_t)strtoul(argv[2], NULL, 10));
	if (argc >= 6 && strcmp(argv[1], "start") == 0)
		return start((uint16_t)strtoul(argv[2], NULL, 10), argv[3],
			     (uint16_t)strtoul(argv[4], NULL, 10), argv + 5);
	if (argc != 6) {
		fprintf(stderr, "usage: flow serve PORT | flow get|put|ping|connect|stall|idle "
				"SOCKS_PORT ADDR PORT SECONDS|N\n");
		return 2;
	}
	proxy = (uint16_t)strtoul(argv[2], NULL, 10);
	port = (uint16_t)strtoul(argv[4], NULL, 10);
	if (strcmp(argv[1], "get") == 0 || strcmp(argv[1], "put") == 0)
		bulk(reach(proxy, argv[3], port), argv[1][0] == 'g', strtod(argv[5], NULL));
	else if (strcmp(argv[1], "stall") == 0 || strcmp(argv[1], "idle") == 0)
		hold(proxy, argv[3], port, (int)strtol(argv[5], NULL, 10),
		     argv[1][0] == 's' ? 'g' : 'e');
	else
		latency(proxy, argv[3], port, (int)strtol(argv[5], NULL, 10),
			strcmp(argv[1], "connect") == 0);
	return 0;
}
