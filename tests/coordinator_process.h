/* tests/coordinator_process.h - the whole coordinator as a process on loopback, and requests to it
 *
 * One server at a time: server_begin starts it in a directory of its own, server_stop ends it,
 * server_run starts it again on what it left, server_clean removes the directory, which must then
 * hold nothing unexpected.
 */
#ifndef TESTS_COORDINATOR_PROCESS_H
#define TESTS_COORDINATOR_PROCESS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "coordinator/serve.h"
#include "os/logger.h"
#include "tests/harness.h"

struct server {
	char dir[64], socket[96], yaml[1024];
	uint16_t port, stun;
	pid_t pid;
	bool has_log; /* what it says lies in dir/log */
};

static struct server srv;
static char reply[1 << 20];

static inline uint16_t server_free_port(int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, type, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static inline int server_connect(const void *to, socklen_t len)
{
	const struct sockaddr *a = to;
	struct timeval limit = { .tv_sec = 30 };
	int fd = socket(a->sa_family, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, a, len) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int server_dial_port(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) },
				 .sin_port = htons(port) };

	return server_connect(&a, sizeof a);
}

static inline int server_dial(bool local)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };

	if (!local)
		return server_dial_port(srv.port);
	snprintf(u.sun_path, sizeof u.sun_path, "%s", srv.socket);
	return server_connect(&u, sizeof u);
}

/* in the server's process */
static inline void server_log_to_file(void)
{
	char path[96];
	int fd;

	snprintf(path, sizeof path, "%s/log", srv.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(2);
	close(fd);
	logger_init("coordinator", LOG_INFO);
}

static inline void server_fork(void)
{
	struct config c;
	struct err e = { 0 };
	int ret;

	srv.pid = fork();
	ck_assert_int_ge(srv.pid, 0);
	if (srv.pid == 0) {
		if (srv.has_log)
			server_log_to_file();
		config_init(&c);
		ret = config_parse(&c, bytes_str(srv.yaml), &e);
		if (ret == 0)
			ret = config_settle(&c, &e);
		ret = ret != 0 ? 2 : serve_run(&c, &e);
		if (ret != 0)
			fprintf(stderr, "server: %s\n", e.text);
		config_fini(&c);
		_exit(ret);
	}
}

static inline void server_run(void)
{
	server_fork();
	for (int i = 0; i < 1000; i++) {
		int fd = server_dial(false),
		    local = server_dial(true); /* both listeners, in whatever order they come */

		if (fd >= 0)
			close(fd);
		if (local >= 0)
			close(local);
		if (fd >= 0 && local >= 0)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	ck_abort_msg("the server does not start");
}

static inline void server_prepare(const char *more)
{
	snprintf(srv.dir, sizeof srv.dir, "/tmp/serve-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(srv.dir));
	srv.port = server_free_port(SOCK_STREAM);
	srv.stun = server_free_port(SOCK_DGRAM);
	snprintf(srv.socket, sizeof srv.socket, "%s/s", srv.dir);
	snprintf(srv.yaml, sizeof srv.yaml,
		 "state_directory: %s\nlisten: 127.0.0.1:%u\nsocket: %s\nbase_domain: "
		 "tail.test\n%s\nderp: {stun_listen: '127.0.0.1:%u'}\n",
		 srv.dir, srv.port, srv.socket, more, srv.stun);
}

static inline void server_begin(const char *more)
{
	server_prepare(more);
	server_run();
}

static inline void server_clean(void)
{
	static const char *const names[] = { "coordinator.db",
					     "coordinator.db-wal",
					     "coordinator.db-journal",
					     "control.key",
					     "derp.key",
					     "tls.crt",
					     "tls.key",
					     "s",
					     "log" };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof path, "%s/%s", srv.dir, names[i]);
		unlink(path);
	}
	ck_assert_int_eq(rmdir(srv.dir), 0);
}

static inline void server_stop(int signo, bool orderly)
{
	int status;

	ck_assert_int_eq(kill(srv.pid, signo), 0);
	ck_assert_int_eq(waitpid(srv.pid, &status, 0), srv.pid);
	if (orderly)
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Sends over fd, which is closed afterwards; what comes until the end of the stream lies in reply.
 * A server that leaves the connection open fails the test. */
static inline size_t server_say(int fd, const void *text, size_t len)
{
	size_t n = 0;
	ssize_t k = 0;

	ck_assert_int_ge(fd, 0);
	for (size_t sent = 0; sent < len; sent += (size_t)k) {
		k = send(fd, (const char *)text + sent, len - sent, MSG_NOSIGNAL);
		if (k <= 0)
			break; /* it hung up: what it said is read below */
	}
	while (n < sizeof reply - 1 && ((k = recv(fd, reply + n, sizeof reply - 1 - n, 0)) > 0 ||
					(k < 0 && errno == EINTR))) /* stopped and continued */
		n += k > 0 ? (size_t)k : 0;
	ck_assert_msg(k >= 0 || errno != EAGAIN, "neither closed nor done after %zu bytes", n);
	reply[n] = 0;
	close(fd);
	return n;
}

static inline size_t server_talk(bool local, const char *text, size_t len)
{
	return server_say(server_dial(local), text, len);
}

static inline unsigned server_request(bool local, const char *method, const char *target,
				      const char *more, const char *body)
{
	char text[8192];
	int n = snprintf(
	    text, sizeof text,
	    "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
	    method, target, strlen(body), more, body);

	server_talk(local, text, (size_t)n);
	return strncmp(reply, "HTTP/1.1 ", 9) == 0 ? (unsigned)strtoul(reply + 9, NULL, 10) : 0;
}

#endif
