/* containerboot/cli_http.c - one request to the local API, blocking, bounded in time and size */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "containerboot/cli.h"
#include "node/localapi.h"
#include "os/file.h"
#include "wire/http1.h"

int cli_dial(const char *path, span_t span, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = span.ns / NS_PER_S,
				 .tv_usec = span.ns % NS_PER_S / 1000 };
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(e, errno, "socket");
	if (!bytes_to_str(bytes_str(path), sa.sun_path, sizeof sa.sun_path))
		return err_say(e, ENAMETOOLONG, "socket %s: the path is too long", path);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) < 0)
		return err_set(
		    e, errno, "connect to %s (%s)", path,
		    errno == EACCES
			? "be root, or the user that containerboot runs as"
			: "is containerboot running? --socket=PATH or TS_SOCKET chooses another");
	return TAKE_FD(fd);
}

int cli_send(int fd, struct bytes b, struct err *e)
{
	while (b.len > 0) {
		ssize_t n = send(fd, b.data, b.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "send");
		b.data += n;
		b.len -= (size_t)n;
	}
	return 0;
}

/* The whole connection: the request asks for its end. */
static int receive_all(int fd, span_t limit, struct buf *in, struct err *e)
{
	for (;;) {
		uint8_t *p = buf_reserve(in, 16384);
		ssize_t n;

		if (!p)
			return err_say(e, EFBIG, "the answer is too large");
		n = recv(fd, p, 16384, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? err_say(e, ETIMEDOUT, "no answer in %.3g s",
							 (double)limit.ns / NS_PER_S)
					       : err_set(e, errno, "receive");
		if (n == 0)
			return 0;
		buf_commit(in, (size_t)n);
	}
}

static int parse(struct bytes in, const char *method, int *status, struct buf *answer,
		 struct err *e)
{
	struct http1_head head;
	struct http1_body body;
	struct bytes piece;
	size_t used;
	enum http1_body_result r;

	http1_response_init(&head, method);
	if (http1_head_feed(&head, in) != HTTP1_OK)
		return err_say(e, EBADMSG, "the answer is not HTTP");
	*status = head.status;
	http1_body_init(&body, &head);
	in.data += head.len;
	in.len -= head.len;
	do {
		r = http1_body_feed(&body, in, &used, &piece);
		in.data += used;
		in.len -= used;
		if (r == HTTP1_BODY_DATA && !buf_append(answer, piece.data, piece.len))
			return err_set(e, ENOMEM, "answer");
	} while (r == HTTP1_BODY_DATA);
	if (r == HTTP1_BODY_BAD || (r == HTTP1_BODY_MORE && !http1_body_eof(&body)))
		return err_say(e, EBADMSG, "the answer is torn");
	return 0;
}

int cli_request(const struct cli *c, const char *method, const char *target, struct bytes body,
		int *status, struct buf *answer, struct err *e)
{
	AUTO_FD int fd = cli_dial(c->socket, c->limit, e);
	struct http1_emit em;
	struct buf out, in;
	int r;

	if (fd < 0)
		return fd;
	buf_init(&out, HTTP1_HEAD_MAX + LOCALAPI_BODY_MAX);
	buf_init(&in, CLI_BODY_MAX);
	em = http1_emit_request(&out, method, bytes_str(target), bytes_str(LOCALAPI_HOST));
	http1_emit_field(&em, "Connection", "close");
	http1_emit_length(&em, body.len);
	r = http1_emit_end(&em) && buf_append(&out, body.data, body.len)
		? 0
		: err_set(e, ENOMEM, "request");
	if (r == 0)
		r = cli_send(fd, buf_bytes(&out), e);
	if (r == 0)
		r = receive_all(fd, c->limit, &in, e);
	if (r == 0)
		r = parse(buf_bytes(&in), method, status, answer, e);
	buf_fini(&out);
	buf_fini(&in);
	return r;
}
