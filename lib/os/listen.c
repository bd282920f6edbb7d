/* os/listen.c - see listen.h */
#include "os/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "os/sockaddr.h"

enum { BACKLOG = 1024, ACCEPTS = 64, EMFILE_PAUSE_MS = 100, EMFILE_WORDS_S = 60 };

struct listener {
	struct loop *loop;
	listen_fn *fn;
	void *ctx;
	uint16_t port;
	bool is_accepting, is_closed,
	    is_paused; /* closed while accepting: freed when that returns */
	size_t n;
	struct listen_socket {
		struct listener *l;
		int fd;
		struct loop_poll poll;
	} sockets[LISTEN_ADDRS_MAX];
	struct loop_timer retry; /* after EMFILE */
	mono_t words_at;         /* not before then is it told again */
	char *path;              /* of a unix socket that is ours to remove */
	dev_t dev;
	ino_t ino;
};

/* --- addresses --- */

static const struct ip v4_loopback = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
static const struct ip v6_loopback = { { [15] = 1 } };

int listen_addr_parse(struct bytes text, struct listen_addr *out, struct err *err)
{
	const uint8_t *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
	struct listen_addr a = { .n = 1 };
	struct bytes host;
	uint16_t port;

	if (!colon ||
	    !text_u16(bytes_of(colon + 1, text.len - (size_t)(colon - text.data) - 1), &port))
		return err_say(err, EINVAL,
			       "listen address: wanted [host]:port, as in :1055 or 127.0.0.1:8080");
	host = bytes_of(text.data, (size_t)(colon - text.data));
	a.v[0].port = a.v[1].port = port;
	if (host.len == 0 || bytes_eq_str(host, "*")) {
		a.is_dual = true;
	} else if (bytes_caseeq(host, bytes_str("localhost"))) {
		a.n = 2;
		a.v[0].ip = v4_loopback;
		a.v[1].ip = v6_loopback;
	} else if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
		if (!ip_parse(bytes_of(host.data + 1, host.len - 2), &a.v[0].ip) ||
		    ip_is_v4(&a.v[0].ip))
			return err_say(err, EINVAL,
				       "listen address: no IPv6 address in the brackets");
		a.is_dual = ip_is_zero(&a.v[0].ip); /* as Go programs take it */
	} else if (!ip_parse(host, &a.v[0].ip) || !ip_is_v4(&a.v[0].ip)) {
		return err_say(err, EINVAL,
			       "listen address: the host is empty, an address ([IPv6] in brackets) "
			       "or localhost");
	}
	*out = a;
	return 0;
}

/* --- accepting --- */

static void listener_free(struct listener *l)
{
	free(l->path);
	free(l);
}

static void update(struct listener *l)
{
	bool is_on = !l->is_paused && !loop_timer_is_set(&l->retry);

	for (size_t i = 0; i < l->n; i++)
		loop_poll_set(&l->sockets[i].poll, is_on ? LOOP_READ : 0);
}

static void retry(void *ctx)
{
	update(ctx);
}

/* It may last for hours, and is looked at ten times a second. */
static void tell_short(struct listener *l, int code)
{
	const mono_t now = loop_now(l->loop);

	if (!mono_due(l->words_at, now))
		return;
	l->words_at = mono_add(now, SPAN_S(EMFILE_WORDS_S));
	log_warn("listen: port %u: connections wait, none can be accepted for now: %s", l->port,
		 strerrordesc_np(code));
}

/* One connection; false: no more for now. */
static bool accept_one(struct listen_socket *s)
{
	struct listener *l = s->l;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	struct ipport from = { 0 };
	int fd = accept4(s->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		(void)sockaddr_to(&ss, &from);
		l->fn(l->ctx, fd, &from);
		return !l->is_closed && !l->is_paused;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		tell_short(l, errno);
		loop_timer_set(&l->retry, mono_add(loop_now(l->loop), SPAN_MS(EMFILE_PAUSE_MS)));
		return false;
	}
	return errno == EINTR || errno == ECONNABORTED ||
	       errno == EPROTO; /* that one is gone, the next may be fine */
}

static void on_ready(void *ctx, int events)
{
	struct listen_socket *s = ctx;
	struct listener *l = s->l;
	int n = 0;

	(void)events;
	l->is_accepting = true;
	while (n < ACCEPTS && accept_one(s))
		n++;
	l->is_accepting = false;
	if (l->is_closed)
		listener_free(l);
	else
		update(l);
}

void listener_pause(struct listener *l, bool on)
{
	l->is_paused = on;
	if (!l->is_closed)
		update(l);
}

uint16_t listener_port(const struct listener *l)
{
	return l->port;
}

/* --- opening --- */

static struct listener *listener_new(struct loop *loop, listen_fn *fn, void *ctx, struct err *err)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l) {
		err_set(err, ENOMEM, "listen");
		return NULL;
	}
	*l = (struct listener){ .loop = loop, .fn = fn, .ctx = ctx, .words_at = { INT64_MIN } };
	loop_timer_init(loop, &l->retry, retry, l);
	return l;
}

/* Takes a bound descriptor. */
static int start(struct listener *l, int fd)
{
	struct listen_socket *s = &l->sockets[l->n++];
	int ret;

	*s = (struct listen_socket){ .l = l, .fd = fd };
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	ret = loop_poll_open(l->loop, &s->poll, fd, on_ready, s);
	if (ret < 0)
		return ret;
	loop_poll_set(&s->poll, LOOP_READ);
	return 0;
}

static int bind_tcp(struct listener *l, const struct ipport *at, bool is_dual)
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_from(at, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    v6only = !is_dual, ret;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ss.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	if (l->port == 0) {
		struct ipport got;

		l->port = sockaddr_to(&ss, &got) ? got.port : 0;
	}
	return start(l, fd);
}

static bool has_no_v6(int error)
{
	return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

/* All addresses; where the host has no IPv6, IPv4 alone will do. */
static int bind_all(struct listener *l, const struct listen_addr *a)
{
	static const struct ip v4_any = { { [10] = 0xff, [11] = 0xff } };
	int ret = bind_tcp(l, &a->v[0], a->is_dual);

	if (a->is_dual && has_no_v6(ret))
		ret = bind_tcp(l, &(struct ipport){ v4_any, a->v[0].port }, false);
	if (ret == 0 && a->n > 1) {
		ret = bind_tcp(l, &(struct ipport){ a->v[1].ip, l->port }, false);
		if (has_no_v6(ret))
			ret = 0;
	}
	return ret;
}

static struct listener *open_tcp(struct loop *loop, const struct listen_addr *a, const char *text,
				 listen_fn *fn, void *ctx, struct err *err)
{
	struct listener *l = listener_new(loop, fn, ctx, err);
	int ret;

	if (!l)
		return NULL;
	ret = bind_all(l, a);
	if (ret == 0)
		return l;
	err_set(err, -ret, "listen on %s", text);
	listener_close(l);
	return NULL;
}

struct listener *listen_tcp(struct loop *loop, const char *addr, listen_fn *fn, void *ctx,
			    struct err *err)
{
	struct listen_addr a;

	if (listen_addr_parse(bytes_str(addr), &a, err) < 0)
		return NULL;
	return open_tcp(loop, &a, addr, fn, ctx, err);
}

struct listener *listen_tcp_at(struct loop *loop, const struct ipport *at, listen_fn *fn, void *ctx,
			       struct err *err)
{
	struct listen_addr a = { .v = { *at }, .n = 1 };
	char text[IPPORT_TEXT];

	return open_tcp(loop, &a, ipport_text(at, text), fn, ctx, err);
}

/* Does anybody answer on the socket file? Only what is certainly dead is removed. */
static int remove_stale(const struct sockaddr_storage *ss, socklen_t len, const char *path)
{
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)ss, len) == 0 ? 0 : -errno;
	close(fd);
	if (ret != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_unix(struct listener *l, const char *path, mode_t mode)
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_unix(path, &ss);
	struct stat st;
	mode_t mask;
	int fd, ret;

	if (len == 0)
		return -ENAMETOOLONG;
	if (path[0] != '@') {
		ret = remove_stale(&ss, len, path);
		if (ret < 0)
			return ret;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0777 & ~mode); /* born with its mode: nobody slips in before a chmod */
	ret = bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
	umask(mask);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	if (path[0] != '@' && lstat(path, &st) == 0) {
		l->path = strdup(path);
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return start(l, fd);
}

struct listener *listen_unix(struct loop *loop, const char *path, mode_t mode, listen_fn *fn,
			     void *ctx, struct err *err)
{
	struct listener *l = listener_new(loop, fn, ctx, err);
	int ret;

	if (!l)
		return NULL;
	ret = bind_unix(l, path, mode);
	if (ret == 0)
		return l;
	if (ret == -ENAMETOOLONG)
		err_say(err, ENAMETOOLONG,
			"listen on %s: the path of a unix socket has at most 107 bytes", path);
	else if (ret == -EEXIST)
		err_say(err, EEXIST, "listen on %s: there is a file that is not a socket", path);
	else
		err_set(err, -ret, "listen on %s", path);
	listener_close(l);
	return NULL;
}

void listener_close(struct listener *l)
{
	struct stat st;

	if (!l || l->is_closed)
		return;
	for (size_t i = 0; i < l->n; i++) {
		loop_poll_close(&l->sockets[i].poll);
		close(l->sockets[i].fd);
	}
	loop_timer_fini(&l->retry);
	/* only our own file: a successor may have put its own there */
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	l->is_closed = true;
	if (!l->is_accepting)
		listener_free(l);
}

int listen_peer(int fd, struct listen_peer *out)
{
	struct ucred c;
	socklen_t len = sizeof c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) < 0)
		return -errno;
	*out = (struct listen_peer){ c.pid, c.uid, c.gid };
	return 0;
}
