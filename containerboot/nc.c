/* containerboot/nc.c - `tailpod nc NODE PORT`: standard input and output joined with a port of a
 * node, for ssh's ProxyCommand and the like
 *
 * The local API's `dial` turns its connection into the one asked for. Half-closes pass both ways.
 * Standard input and output may be shared with others and stay blocking, so they are touched only
 * when poll says that they would not wait.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "containerboot/cli.h"
#include "node/localapi.h"
#include "os/file.h"
#include "wire/http1.h"

enum {
	NC_BUFFER = 64 << 10,
	NC_OUT_MAX = 4096, /* PIPE_BUF: a writable pipe takes so much without waiting */
	NC_CONNECT_S = 60, /* for the answer, which waits for the other end */
};

struct lane { /* one direction */
	int from, to;
	uint8_t mem[NC_BUFFER];
	size_t start, end;
	bool has_ended, is_done; /* no more comes; and nothing is left to pass on */
};

static int ask(int fd, const char *host, const char *port, struct err *e)
{
	struct buf out;
	struct http1_emit em;
	int r;

	buf_init(&out, HTTP1_HEAD_MAX);
	em = http1_emit_request(&out, "POST", bytes_str("/localapi/v0/dial"),
				bytes_str(LOCALAPI_HOST));
	http1_emit_field(&em, "Upgrade", "ts-dial");
	http1_emit_field(&em, "Connection", "upgrade");
	http1_emit_field(&em, "Dial-Host", host);
	http1_emit_field(&em, "Dial-Port", port);
	http1_emit_field(&em, "Dial-Network", "tcp");
	http1_emit_length(&em, 0);
	r = http1_emit_end(&em) ? cli_send(fd, buf_bytes(&out), e)
				: err_say(e, EINVAL, "%s is no name of a node", host);
	buf_fini(&out);
	return r;
}

/* What the refusal says, as far as it has come. */
static int refused(const struct http1_head *h, struct bytes in, const char *host, struct err *e)
{
	struct bytes body = bytes_of(in.data + h->len, in.len - h->len);

	if (h->status == 200)
		return err_say(e, EHOSTUNREACH, "%s is not in the tailnet: nc reaches nodes only",
			       host);
	while (body.len > 0 && body.data[body.len - 1] == '\n')
		body.len--;
	return err_say(e, ECONNREFUSED, "%s: %.*s", host, (int)MIN_OF(body.len, (size_t)200),
		       (const char *)body.data);
}

/* Reads the answer; what follows a 101 stays in l as the first bytes for standard output. */
static int answered(int fd, const char *host, struct lane *l, struct err *e)
{
	struct http1_head h;
	enum http1_result r;

	http1_response_init(&h, "POST");
	for (;;) {
		ssize_t n = recv(fd, l->mem + l->end, sizeof l->mem - l->end, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? err_say(e, ETIMEDOUT, "%s does not answer", host)
					       : err_set(e, errno, "receive");
		l->end += (size_t)n;
		r = http1_head_feed(&h, bytes_of(l->mem, l->end));
		if (r == HTTP1_OK)
			break;
		if (r != HTTP1_MORE || n == 0)
			return err_say(e, EBADMSG, "the answer is not HTTP");
	}
	if (h.status != 101)
		return refused(&h, bytes_of(l->mem, l->end), host, e);
	l->start = h.len;
	return 0;
}

/* false: the way is broken */
static bool fill(struct lane *l)
{
	ssize_t n;

	if (l->start == l->end)
		l->start = l->end = 0;
	if (l->end == sizeof l->mem)
		return true;
	n = read(l->from, l->mem + l->end, sizeof l->mem - l->end);
	if (n > 0)
		l->end += (size_t)n;
	else if (n == 0)
		l->has_ended = true;
	return n >= 0 || errno == EINTR || errno == EAGAIN;
}

static bool drain(struct lane *l, bool is_socket)
{
	size_t len = l->end - l->start;
	ssize_t n;

	if (is_socket)
		n = send(l->to, l->mem + l->start, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	else
		n = write(l->to, l->mem + l->start, MIN_OF(len, (size_t)NC_OUT_MAX));
	if (n > 0)
		l->start += (size_t)n;
	return n >= 0 || errno == EINTR || errno == EAGAIN;
}

/* The end is passed on once what came before it is. */
static void settle(struct lane *l, bool is_socket)
{
	if (l->is_done || !l->has_ended || l->start < l->end)
		return;
	l->is_done = true;
	if (is_socket)
		(void)shutdown(l->to, SHUT_WR);
}

static bool turn(struct lane *up, struct lane *down)
{
	const bool up_waits = up->start < up->end, down_waits = down->start < down->end;
	/* in order: input, socket, output; a negative descriptor is left out */
	struct pollfd p[3] = {
		{ .fd = up->has_ended || up_waits ? -1 : up->from, .events = POLLIN },
		{ .fd = up->to,
		  .events = (short)((up_waits ? POLLOUT : 0) |
				    (down->has_ended || down_waits ? 0 : POLLIN)) },
		{ .fd = down_waits ? down->to : -1, .events = POLLOUT },
	};
	bool ok = true;

	if (!p[1].events)
		p[1].fd = -1;
	if (poll(p, ARRAY_LEN(p), -1) < 0)
		return errno == EINTR;
	if (p[0].revents)
		ok = fill(up);
	if (ok && (p[1].revents & POLLOUT) && up_waits)
		ok = drain(up, true);
	if (ok && (p[1].revents & (POLLIN | POLLHUP | POLLERR)) && !down->has_ended && !down_waits)
		ok = fill(down);
	if (ok && p[2].revents)
		ok = drain(down, false);
	settle(up, true);
	settle(down, false);
	return ok;
}

int cli_nc(const char *socket, const char *host, const char *port)
{
	static struct lane up, down; /* too much for a stack */
	struct timeval limit = { .tv_sec = NC_CONNECT_S };
	struct err e = { 0 };
	AUTO_FD int fd = cli_dial(socket, SPAN_S(CLI_TIMEOUT_S), &e);
	bool ok = true;

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (fd < 0 || ask(fd, host, port, &e) < 0 || answered(fd, host, &down, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	up.from = STDIN_FILENO;
	up.to = down.from = fd;
	down.to = STDOUT_FILENO;
	/* over when the other end has sent everything: input may stay open for ever */
	while (ok && !down.is_done)
		ok = turn(&up, &down);
	return ok ? 0 : 1;
}
