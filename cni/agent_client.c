/* cni/agent_client.c - see agent_client.h */
#include "cni/agent_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 0: ready; -ETIMEDOUT; -errno */
static int wait_for(int fd, short events, int64_t until)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		const int64_t left = until - now_ms();
		int r;

		if (left <= 0)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)left);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int connect_to(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (!bytes_to_str(bytes_str(path), at.sun_path, sizeof at.sun_path) ||
	    connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		const int r = errno ? -errno : -ENAMETOOLONG;

		close(fd);
		return r; /* -EAGAIN: its queue is full, which is away too */
	}
	return fd;
}

static int send_all(int fd, struct bytes data, int64_t until)
{
	while (data.len > 0) {
		const ssize_t n = send(fd, data.data, data.len, MSG_NOSIGNAL);
		int r = 0;

		if (n > 0)
			data = bytes_of(data.data + n, data.len - (size_t)n);
		else if (errno == EAGAIN)
			r = wait_for(fd, POLLOUT, until);
		else if (errno != EINTR)
			r = -errno;
		if (r < 0)
			return r;
	}
	return 0;
}

/* One line into in; its length without the newline, or -errno. */
static ssize_t read_line(int fd, char *in, size_t cap, int64_t until)
{
	size_t len = 0;

	for (;;) {
		const ssize_t n = recv(fd, in + len, cap - len, 0);
		const char *end;
		int r = 0;

		if (n > 0) {
			end = memchr(in + len, '\n', (size_t)n);
			if (end)
				return end - in;
			len += (size_t)n;
			if (len == cap)
				return -EMSGSIZE;
		} else if (n == 0)
			return -ECONNRESET;
		else if (errno == EAGAIN)
			r = wait_for(fd, POLLIN, until);
		else if (errno != EINTR)
			r = -errno;
		if (r < 0)
			return r;
	}
}

static struct agent_answer ask(const char *socket, enum words_op op, const struct attachment *a)
{
	const int64_t until = now_ms() + AGENT_TIMEOUT_MS;
	struct agent_answer answer = { .is_away = true };
	struct words_answer said;
	struct buf request;
	char line[1024];
	ssize_t n = -ENOMEM;
	int fd = connect_to(socket);

	buf_init(&request, AGENT_LINE_MAX);
	if (fd < 0)
		n = fd;
	else if (words_request_emit(op, a, &request))
		n = send_all(fd, buf_bytes(&request), until);
	if (n == 0)
		n = read_line(fd, line, sizeof line, until);
	if (n < 0) {
		snprintf(answer.said.words, sizeof answer.said.words, "the node agent at %s: %s",
			 socket, strerror((int)-n));
	} else if (words_answer_parse(bytes_of(line, (size_t)n), &said)) {
		answer = (struct agent_answer){ .said = said };
	} else {
		snprintf(answer.said.words, sizeof answer.said.words,
			 "the node agent at %s gave an answer that makes no sense", socket);
	}
	if (fd >= 0)
		close(fd);
	buf_fini(&request);
	return answer;
}

struct agent_answer agent_ask_add(const char *socket, const struct attachment *a)
{
	return ask(socket, WORDS_ADD, a);
}

struct agent_answer agent_ask_status(const char *socket)
{
	return ask(socket, WORDS_STATUS, NULL);
}
