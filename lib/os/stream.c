/* os/stream.c - see stream.h: life of a stream, and its two pumps
 *
 * States: DIALLING (os/dial works, no descriptor), SHAKING (TLS handshake), READY (open is due at
 * the end of the turn), OPEN, DEAD (torn down, freed at the end of the turn, so that frames below a
 * callback still find it).
 *
 * Writing happens in the flush phase: stream_kick adds the stream to the loop's flush ring, so all
 * kicks of a turn are one writev, also those made by other flush hooks. While the socket is full
 * kicks do nothing; its becoming writable starts the pump. Reading happens on readiness, a bounded
 * number of calls a wake-up; TLS may hold decrypted input that the descriptor knows nothing of,
 * which is then read at the end of the turn.
 */
#include "os/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/sockaddr.h"
#include "os/tls_conn.h"

enum { READ_CALLS = 16, WRITE_BYTES = 1 << 20 }; /* a turn */
enum state { DIALLING, SHAKING, READY, OPEN, DEAD };

struct stream {
	struct loop *loop;
	const struct stream_ops *ops;
	void *ctx;
	enum state state;
	int fd;
	bool is_paused;      /* room said 0 */
	bool is_full;        /* the socket took no more: wait until it is writable */
	bool read_waits;     /* TLS: reading goes on when writable */
	bool has_ended;      /* the peer's end was seen */
	bool shut_is_wanted; /* send our end when there is no more data */
	bool shut_is_done;
	struct loop_poll poll;
	struct loop_flush out;
	struct loop_defer later; /* open, more TLS input, or the end */
	struct loop_timer limit; /* of dialling and TLS */
	struct dial *dial;
	struct tls_client *tls_client; /* until the handshake starts */
	struct tls_conn *tls;
	char *host, *cert_name; /* dialled name and expectation, until the handshake starts */
	bool is_insecure;
	char *peer; /* "host:port" for messages; NULL: accepted */
};

static void read_pump(struct stream *s);
static void write_pump(struct stream *s);

/* --- the end --- */

static void stream_free(struct stream *s)
{
	free(s->host);
	free(s->cert_name);
	free(s->peer);
	free(s);
}

static void tear_down(struct stream *s)
{
	s->state = DEAD;
	dial_cancel(s->dial);
	s->dial = NULL;
	loop_timer_fini(&s->limit);
	loop_flush_del(&s->out);
	loop_poll_close(&s->poll);
	tls_conn_free(s->tls);
	s->tls = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	loop_defer(s->loop, &s->later);
}

static void finish(struct stream *s, const struct err *why)
{
	struct err e;

	if (s->state == DEAD)
		return;
	if (why) {
		e = *why;
		if (s->peer && !strstr(e.text, s->peer))
			err_wrap(&e, "%s", s->peer);
	}
	tear_down(s);
	s->ops->closed(s->ctx, why ? &e : NULL);
}

void stream_close(struct stream *s)
{
	if (s && s->state != DEAD)
		tear_down(s);
}

void stream_reset(struct stream *s)
{
	struct linger hard = { .l_onoff = 1 };

	if (s && s->fd >= 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	stream_close(s);
}

/* --- readiness --- */

static void update_interest(struct stream *s)
{
	int events = 0;

	if (s->state == SHAKING)
		events = tls_conn_wants(s->tls);
	else if (s->state == OPEN) {
		if (!s->has_ended && !s->is_paused && !s->read_waits)
			events |= LOOP_READ;
		if (s->is_full || s->read_waits)
			events |= LOOP_WRITE;
	}
	if (s->state != DEAD)
		loop_poll_set(&s->poll, events);
}

static void shake(struct stream *s)
{
	struct err err;
	int ret = tls_conn_handshake(s->tls, &err);

	if (ret == 0) {
		loop_timer_fini(&s->limit);
		s->state = READY;
		loop_defer(s->loop, &s->later);
	} else if (ret != -EAGAIN) {
		finish(s, &err);
	}
}

static void on_ready(void *ctx, int events)
{
	struct stream *s = ctx;

	if (s->state == SHAKING)
		shake(s);
	if (s->state == OPEN && (events & LOOP_WRITE)) {
		s->is_full = false;
		s->read_waits = false;
		write_pump(s);
	}
	if (s->state == OPEN && (events & LOOP_READ))
		read_pump(s);
	update_interest(s);
}

static void become_open(struct stream *s)
{
	s->state = OPEN;
	if (s->ops->open)
		s->ops->open(s->ctx);
	if (s->state != OPEN)
		return;
	stream_kick(s);
	if (s->tls && tls_conn_has_input(s->tls))
		loop_defer(s->loop, &s->later);
	update_interest(s);
}

static void on_later(void *ctx)
{
	struct stream *s = ctx;

	switch (s->state) {
	case DEAD:
		stream_free(s);
		break;
	case READY:
		become_open(s);
		break;
	case OPEN:
		read_pump(s);
		update_interest(s);
		break;
	case DIALLING:
	case SHAKING:
		break;
	}
}

/* --- reading --- */

static ssize_t do_read(struct stream *s, const struct iovec *v, size_t n, struct err *err)
{
	ssize_t k;

	if (s->tls)
		return tls_conn_read(s->tls, v[0].iov_base, v[0].iov_len, err);
	k = readv(s->fd, v, (int)n);
	return k < 0 ? err_set(err, errno, "read") : k;
}

static void peer_ended(struct stream *s)
{
	s->has_ended = true;
	if (s->ops->end)
		s->ops->end(s->ctx);
	else
		stream_shutdown(s);
	if (s->state == OPEN && s->shut_is_done)
		finish(s, NULL);
}

/* One read; false: no more for now. */
static bool read_once(struct stream *s)
{
	struct iovec v[STREAM_IOV_MAX];
	struct err err;
	size_t n = s->ops->room(s->ctx, v, STREAM_IOV_MAX), cap = 0;
	ssize_t k;

	if (s->state != OPEN)
		return false;
	for (size_t i = 0; i < n; i++)
		cap += v[i].iov_len;
	if (cap == 0) {
		s->is_paused = true;
		return false;
	}
	k = do_read(s, v, n, &err);
	if (k == -EAGAIN) {
		s->read_waits = s->tls && tls_conn_wants(s->tls) == LOOP_WRITE;
		if (s->ops->none)
			s->ops->none(s->ctx);
		return false;
	}
	if (k == -EINTR)
		return true;
	if (k < 0)
		finish(s, &err);
	else if (k == 0)
		peer_ended(s);
	else
		s->ops->got(s->ctx, (size_t)k);
	/* a short read of a plain socket drained it */
	return k > 0 && s->state == OPEN && (s->tls || (size_t)k == cap);
}

static void read_pump(struct stream *s)
{
	int calls = 0;

	s->is_paused = false;
	while (!s->has_ended && calls < READ_CALLS && read_once(s))
		calls++;
	if (s->state == OPEN && s->tls && !s->has_ended && !s->is_paused && calls == READ_CALLS &&
	    tls_conn_has_input(s->tls))
		loop_defer(s->loop, &s->later); /* epoll does not know of it */
}

void stream_resume(struct stream *s)
{
	if (s->state != OPEN || !s->is_paused)
		return;
	s->is_paused = false;
	if (s->tls)
		loop_defer(s->loop, &s->later);
	update_interest(s);
}

/* --- writing --- */

static ssize_t do_write(struct stream *s, const struct iovec *v, size_t n, struct err *err)
{
	struct msghdr h = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = n };
	ssize_t k;

	if (s->tls)
		return tls_conn_write(s->tls, v, n, err);
	k = sendmsg(s->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	return k < 0 ? err_set(err, errno, "write") : k;
}

/* What the peer sent before it broke the connection is still read, so that its last words arrive.
 */
static void write_failed(struct stream *s, const struct err *err)
{
	struct err why = *err;

	s->is_full = false;
	if (!s->has_ended && !s->is_paused)
		read_pump(s);
	if (s->state != DEAD)
		finish(s, &why);
}

static void send_end(struct stream *s)
{
	struct err err;
	int ret = s->tls ? tls_conn_shutdown(s->tls, &err) : 0;

	if (ret == -EAGAIN) {
		s->is_full = true;
		return;
	}
	if (ret == 0 && shutdown(s->fd, SHUT_WR) < 0)
		ret = err_set(&err, errno, "shut down");
	if (ret < 0) {
		write_failed(s, &err);
		return;
	}
	s->shut_is_done = true;
	if (s->has_ended)
		finish(s, NULL);
}

static void write_pump(struct stream *s)
{
	size_t budget = WRITE_BYTES;
	struct err err;

	while (s->state == OPEN && !s->shut_is_done && !s->is_full) {
		struct iovec v[STREAM_IOV_MAX];
		size_t n = s->ops->data(s->ctx, v, STREAM_IOV_MAX);
		ssize_t k;

		if (s->state != OPEN)
			return;
		if (n == 0) {
			k = s->tls ? tls_conn_flush(s->tls, &err) : 0;
			if (k == 0 && s->shut_is_wanted)
				send_end(s);
			if (k == 0)
				return;
		} else {
			k = do_write(s, v, n, &err);
		}
		if (k == -EINTR)
			continue;
		if (k == -EAGAIN) {
			s->is_full = true;
		} else if (k < 0) {
			write_failed(s, &err);
			return;
		} else {
			s->ops->sent(s->ctx, (size_t)k);
			budget -= MIN_OF(budget, (size_t)k);
			if (budget == 0)
				s->is_full = true; /* as if: the next turn goes on */
		}
	}
}

static void flush_out(void *ctx)
{
	struct stream *s = ctx;

	loop_flush_del(&s->out);
	write_pump(s);
	update_interest(s);
}

size_t stream_hold(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)v;
	(void)max;
	return 0;
}

void stream_ignore(void *ctx, size_t n)
{
	(void)ctx;
	(void)n;
}

void stream_kick(struct stream *s)
{
	if (s->state == OPEN && !s->is_full && !s->shut_is_done && !s->out.loop)
		loop_on_flush(s->loop, &s->out, flush_out, s);
}

void stream_shutdown(struct stream *s)
{
	s->shut_is_wanted = true;
	stream_kick(s);
}

/* --- beginnings --- */

static struct stream *stream_new(struct loop *loop, const struct stream_ops *ops, void *ctx)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	assert(ops->room && ops->got && ops->data && ops->sent && ops->closed);
	*s = (struct stream){ .loop = loop, .ops = ops, .ctx = ctx, .state = DIALLING, .fd = -1 };
	loop_defer_init(&s->later, on_later, s);
	return s;
}

/* Takes fd; the caller tears down on failure. */
static int take_fd(struct stream *s, int fd)
{
	int ret;

	s->fd = fd;
	ret = loop_poll_open(s->loop, &s->poll, fd, on_ready, s);
	if (ret < 0)
		return ret;
	stream_nodelay(s, true);
	return 0;
}

static void limit_reached(void *ctx)
{
	struct err err;

	err_say(&err, ETIMEDOUT, "TLS handshake: no answer in time");
	finish(ctx, &err);
}

static int start_tls(struct stream *s, struct err *err)
{
	struct tls_expect expect = { s->host, s->cert_name, s->is_insecure };

	s->tls = tls_conn_new_client(s->tls_client, s->fd, &expect, err);
	if (!s->tls)
		return -err->code;
	s->state = SHAKING;
	return 0;
}

static void dialled(void *ctx, int fd, const struct err *why)
{
	struct stream *s = ctx;
	struct err err;
	int ret;

	s->dial = NULL;
	if (fd < 0) {
		finish(s, why);
		return;
	}
	ret = take_fd(s, fd);
	if (ret < 0)
		err_set(&err, -ret, "watch the connection");
	else if (s->tls_client)
		ret = start_tls(s, &err);
	if (ret < 0) {
		finish(s, &err);
	} else if (s->state == SHAKING) {
		shake(s);
		update_interest(s);
	} else {
		loop_timer_fini(&s->limit);
		become_open(s);
	}
}

static char *peer_text(const struct dial_conf *d)
{
	char *text;

	if (d->unix_path)
		return strdup(d->unix_path);
	if (asprintf(&text, strchr(d->host, ':') ? "[%s]:%u" : "%s:%u", d->host, d->port) < 0)
		return NULL;
	return text;
}

static int copy_conf(struct stream *s, const struct stream_conf *conf, struct err *err)
{
	const char *host = conf->expect.host ? conf->expect.host : conf->dial.host;

	s->tls_client = conf->tls;
	s->is_insecure = conf->expect.is_insecure;
	s->peer = peer_text(&conf->dial);
	if (host)
		s->host = strdup(host);
	if (conf->expect.cert_name)
		s->cert_name = strdup(conf->expect.cert_name);
	if (!s->peer || (host && !s->host) || (conf->expect.cert_name && !s->cert_name))
		return err_set(err, ENOMEM, "connect");
	return 0;
}

struct stream *stream_dial(struct loop *loop, const struct stream_conf *conf,
			   const struct stream_ops *ops, void *ctx, struct err *err)
{
	struct stream *s = stream_new(loop, ops, ctx);
	span_t timeout = conf->dial.timeout.ns ? conf->dial.timeout : SPAN_S(DIAL_TIMEOUT_S);

	if (!s) {
		err_set(err, ENOMEM, "connect");
		return NULL;
	}
	assert(conf->dial.unix_path || conf->dial.host);
	loop_timer_init(loop, &s->limit, limit_reached, s);
	if (copy_conf(s, conf, err) == 0)
		s->dial = dial_start(loop, &conf->dial, dialled, s, err);
	if (!s->dial) {
		tear_down(s);
		return NULL;
	}
	if (conf->tls) /* the dial has the same limit and better words: it speaks first */
		loop_timer_set(&s->limit,
			       mono_add(loop_now(loop), (span_t){ timeout.ns + 1000000 }));
	return s;
}

void stream_set_ops(struct stream *s, const struct stream_ops *ops, void *ctx)
{
	assert(ops->room && ops->got && ops->data && ops->sent && ops->closed);
	s->ops = ops;
	s->ctx = ctx;
}

struct stream *stream_adopt(struct loop *loop, int fd, const struct stream_ops *ops, void *ctx)
{
	struct stream *s = stream_new(loop, ops, ctx);

	if (!s) {
		close(fd);
		return NULL;
	}
	if (take_fd(s, fd) < 0) {
		tear_down(s);
		return NULL;
	}
	s->state = READY;
	loop_defer(loop, &s->later);
	return s;
}

struct stream *stream_adopt_client(struct loop *loop, int fd, const struct stream_conf *conf,
				   const struct stream_ops *ops, void *ctx, struct err *err)
{
	struct stream *s = stream_new(loop, ops, ctx);
	span_t timeout = conf->dial.timeout.ns ? conf->dial.timeout : SPAN_S(DIAL_TIMEOUT_S);
	int ret;

	if (!s) {
		close(fd);
		err_set(err, ENOMEM, "connect");
		return NULL;
	}
	ret = take_fd(s, fd);
	if (ret < 0)
		err_set(err, -ret, "watch the connection");
	else
		ret = copy_conf(s, conf, err);
	if (ret == 0 && conf->tls)
		ret = start_tls(s, err);
	if (ret < 0) {
		tear_down(s);
		return NULL;
	}
	if (!conf->tls) {
		s->state = READY;
		loop_defer(loop, &s->later);
		return s;
	}
	loop_timer_init(loop, &s->limit, limit_reached, s);
	loop_timer_set(&s->limit, mono_add(loop_now(loop), timeout));
	loop_poll_set(&s->poll, LOOP_WRITE); /* we speak first */
	return s;
}

struct stream *stream_adopt_tls(struct loop *loop, int fd, struct tls_server *tls, span_t timeout,
				const struct stream_ops *ops, void *ctx)
{
	struct stream *s = stream_new(loop, ops, ctx);

	if (!s) {
		close(fd);
		return NULL;
	}
	if (take_fd(s, fd) < 0 || !(s->tls = tls_conn_new_server(tls, fd, NULL))) {
		tear_down(s);
		return NULL;
	}
	s->state = SHAKING;
	loop_timer_init(loop, &s->limit, limit_reached, s);
	loop_timer_set(&s->limit, mono_add(loop_now(loop), timeout));
	loop_poll_set(&s->poll, LOOP_READ); /* the client speaks first */
	return s;
}

/* --- facts and options --- */

bool stream_local(const struct stream *s, struct ipport *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	return s->fd >= 0 && getsockname(s->fd, (struct sockaddr *)&ss, &len) == 0 &&
	       sockaddr_to(&ss, out);
}

bool stream_remote(const struct stream *s, struct ipport *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	return s->fd >= 0 && getpeername(s->fd, (struct sockaddr *)&ss, &len) == 0 &&
	       sockaddr_to(&ss, out);
}

void stream_nodelay(struct stream *s, bool on)
{
	int v = on;

	if (s->fd >= 0)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &v,
				 sizeof v); /* no such thing on unix sockets */
}

void stream_keepalive(struct stream *s, unsigned idle_s, unsigned interval_s, unsigned count)
{
	const int v[4] = { 1, (int)idle_s, (int)interval_s, (int)count };

	if (s->fd < 0)
		return;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &v[0], sizeof v[0]);
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, &v[1], sizeof v[1]);
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, &v[2], sizeof v[2]);
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPCNT, &v[3], sizeof v[3]);
}

bool stream_has_ended(const struct stream *s)
{
	return s->has_ended;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

size_t stream_peer_cert(const struct stream *s, size_t i, uint8_t *out, size_t cap)
{
	return s->tls ? tls_conn_peer_cert(s->tls, i, out, cap) : 0;
}
