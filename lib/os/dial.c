/* os/dial.c - see dial.h
 *
 * Phases: look up and connect (RFC 8305; they overlap), then the proxy's CONNECT if there is one.
 * Addresses wait in two queues by family; the next attempt takes from the other family than the
 * last one. An attempt starts when there is an address and none is younger than 250 ms, or as soon
 * as the youngest has failed. When IPv4 answers first, IPv6 gets 50 ms to answer too.
 *
 * The reply of a proxy is peeked at before it is taken, so that not one byte behind its head is
 * consumed: those belong to whoever gets the descriptor.
 */
#include "os/dial.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/sockaddr.h"

enum { ATTEMPT_DELAY_MS = 250, RESOLUTION_DELAY_MS = 50 }; /* RFC 8305 section 8 */
enum { V6, V4, FAMILIES };

struct attempt {
	struct dial *d;
	int fd;
	struct loop_poll poll;
	struct ip ip;
};

struct queue {
	struct ip v[DIAL_ADDRS_MAX];
	size_t n, next;
};

struct tunnel { /* CONNECT through a proxy */
	struct proxy proxy;
	int fd;
	struct loop_poll poll;
	size_t len;
	uint8_t head[PROXY_REPLY_MAX];
};

struct dial {
	struct loop *loop;
	dial_fn *fn;
	void *ctx;
	char *host;    /* the destination */
	char *connect; /* what is connected to: the destination or the proxy; or the path of a unix
			  socket */
	uint16_t port, connect_port;
	bool is_unix, no_v4, no_v6, keep_order;
	uint32_t mark;
	span_t timeout;
	struct resolver *resolver;
	struct resolve *resolve;
	struct queue queue[FAMILIES];
	int last_family;
	struct attempt attempts[2 * DIAL_ADDRS_MAX];
	size_t n_attempts, n_running;
	struct tunnel *tunnel; /* NULL: no proxy */
	struct loop_defer start;
	struct loop_timer limit, next;
	struct err why; /* the most telling failure so far; code 0: none */
};

static void try_next(struct dial *d);

/* --- the end --- */

static void stop_attempts(struct dial *d)
{
	for (size_t i = 0; i < d->n_attempts; i++) {
		struct attempt *a = &d->attempts[i];

		loop_poll_close(&a->poll);
		if (a->fd >= 0)
			close(a->fd);
		a->fd = -1;
	}
	d->n_running = 0;
	resolve_cancel(d->resolve);
	d->resolve = NULL;
	loop_timer_fini(&d->next);
}

void dial_cancel(struct dial *d)
{
	if (!d)
		return;
	stop_attempts(d);
	loop_timer_fini(&d->limit);
	loop_defer_cancel(&d->start);
	if (d->tunnel) {
		loop_poll_close(&d->tunnel->poll);
		if (d->tunnel->fd >= 0)
			close(d->tunnel->fd);
		explicit_bzero(&d->tunnel->proxy, sizeof d->tunnel->proxy);
	}
	free(d->tunnel);
	free(d->host);
	free(d->connect);
	free(d);
}

static void succeed(struct dial *d, int fd)
{
	dial_fn *fn = d->fn;
	void *ctx = d->ctx;

	dial_cancel(d);
	fn(ctx, fd, NULL);
}

static void fail(struct dial *d, const struct err *why)
{
	struct err e = *why;
	dial_fn *fn = d->fn;
	void *ctx = d->ctx;

	if (d->tunnel && d->tunnel->fd < 0)
		err_wrap(&e, "proxy for %s:%u", d->host, d->port);
	dial_cancel(d);
	fn(ctx, -1, &e);
}

static void limit_reached(void *ctx)
{
	struct dial *d = ctx;
	long long s = (d->timeout.ns + NS_PER_S - 1) / NS_PER_S;
	struct err err;

	if (d->tunnel && d->tunnel->fd >= 0)
		err_say(&err, ETIMEDOUT, "proxy %s:%u: no answer to CONNECT %s:%u within %lld s",
			d->connect, d->connect_port, d->host, d->port, s);
	else if (d->n_attempts == 0)
		err_say(&err, ETIMEDOUT, "look up %s: no answer within %lld s", d->connect, s);
	else
		err_say(&err, ETIMEDOUT, "connect to %s:%u: no answer within %lld s", d->connect,
			d->connect_port, s);
	fail(d, &err);
}

/* --- CONNECT --- */

static void tunnel_refused(struct dial *d, enum proxy_reply reply, unsigned status,
			   const char *reason)
{
	struct err err;

	if (reply == PROXY_GARBAGE)
		err_say(&err, EPROTO, "proxy %s:%u does not answer as an HTTP proxy", d->connect,
			d->connect_port);
	else
		err_say(&err, status == 407 ? EACCES : ECONNREFUSED,
			"proxy %s:%u refuses %s:%u: %u %s%s", d->connect, d->connect_port, d->host,
			d->port, status, reason,
			status == 407 ? " (user and password belong into the proxy's URL)" : "");
	fail(d, &err);
}

/* One look at the socket; false: nothing more for now. */
static bool tunnel_read(struct dial *d)
{
	struct tunnel *t = d->tunnel;
	ssize_t k = recv(t->fd, t->head + t->len, sizeof t->head - t->len, MSG_PEEK);
	char reason[64];
	enum proxy_reply reply;
	unsigned status;
	struct err err;
	size_t end;

	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (k <= 0) {
		if (k < 0)
			err_set(&err, errno, "proxy %s:%u", d->connect, d->connect_port);
		else
			err_say(&err, ECONNRESET, "proxy %s:%u closed the connection", d->connect,
				d->connect_port);
		fail(d, &err);
		return false;
	}
	reply = proxy_reply_parse(bytes_of(t->head, t->len + (size_t)k), &end, &status, reason);
	if (reply == PROXY_MORE || reply == PROXY_OPEN) {
		size_t take = reply == PROXY_OPEN ? end - t->len : (size_t)k;

		if (recv(t->fd, t->head + t->len, take, 0) != (ssize_t)take)
			reply = PROXY_GARBAGE;
		t->len += take;
	}
	if (reply == PROXY_MORE)
		return true;
	if (reply == PROXY_OPEN) {
		int fd = t->fd;

		loop_poll_close(&t->poll);
		t->fd = -1;
		succeed(d, fd);
	} else {
		tunnel_refused(d, reply, status, reason);
	}
	return false;
}

static void tunnel_ready(void *ctx, int events)
{
	(void)events;
	while (tunnel_read(ctx))
		;
}

static void tunnel_start(struct dial *d, int fd)
{
	struct tunnel *t = d->tunnel;
	char request[PROXY_AUTH_MAX + 2 * PROXY_HOST_MAX + 128];
	size_t n = proxy_request(&t->proxy, d->host, d->port, request, sizeof request);
	struct err err;
	ssize_t k;
	int ret;

	t->fd = fd;
	k = send(fd, request, n, MSG_NOSIGNAL); /* a fresh socket takes a thousand bytes whole */
	explicit_bzero(request, sizeof request);
	ret = k < 0 ? -errno : 0;
	if (ret == 0 && (n == 0 || (size_t)k != n))
		ret = -EMSGSIZE;
	if (ret == 0)
		ret = loop_poll_open(d->loop, &t->poll, fd, tunnel_ready, d);
	if (ret < 0) {
		err_set(&err, -ret, "proxy %s:%u", d->connect, d->connect_port);
		fail(d, &err);
		return;
	}
	loop_poll_set(&t->poll, LOOP_READ);
}

/* --- connecting --- */

static bool is_telling(int code)
{
	return code != ENETUNREACH && code != EADDRNOTAVAIL && code != EAFNOSUPPORT &&
	       code != EHOSTUNREACH && code != ENOENT;
}

static void note_failure(struct dial *d, int code, const struct ip *ip)
{
	char text[IP_TEXT];

	if (d->why.code && !(is_telling(code) && !is_telling(d->why.code)))
		return;
	if (d->is_unix)
		err_set(&d->why, code, "connect to %s", d->connect);
	else if (strcmp(ip_text(ip, text), d->connect) == 0)
		err_set(&d->why, code, "connect to %s port %u", d->connect, d->connect_port);
	else
		err_set(&d->why, code, "connect to %s:%u (%s)", d->connect, d->connect_port, text);
	if (code == ECONNREFUSED) {
		size_t n = strlen(d->why.text);

		snprintf(d->why.text + n, sizeof d->why.text - n,
			 " (nothing listens there, or a firewall says so)");
	}
}

static void connected(struct dial *d, int fd)
{
	stop_attempts(d);
	if (d->tunnel)
		tunnel_start(d, fd);
	else
		succeed(d, fd);
}

static void attempt_failed(struct attempt *a, int code)
{
	struct dial *d = a->d;

	loop_poll_close(&a->poll);
	close(a->fd);
	a->fd = -1;
	d->n_running--;
	note_failure(d, code, &a->ip);
}

static void attempt_ready(void *ctx, int events)
{
	struct attempt *a = ctx;
	struct dial *d = a->d;
	int code = 0, fd = a->fd;
	socklen_t len = sizeof code;

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		code = errno;
	if (code != 0) {
		attempt_failed(a, code);
		try_next(d); /* at once: RFC 8305 section 5 */
		return;
	}
	loop_poll_close(&a->poll);
	a->fd = -1;
	connected(d, fd);
}

/* 1: connected at once; 0: under way; -errno */
static int attempt_start(struct attempt *a, const struct sockaddr_storage *ss, socklen_t len)
{
	int ret;

	a->fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return -errno;
	if (a->d->mark)
		(void)setsockopt(a->fd, SOL_SOCKET, SO_MARK, &a->d->mark, sizeof a->d->mark);
	if (connect(a->fd, (const struct sockaddr *)ss, len) == 0)
		return 1;
	if (errno != EINPROGRESS)
		return -errno;
	ret = loop_poll_open(a->d->loop, &a->poll, a->fd, attempt_ready, a);
	if (ret < 0)
		return ret;
	loop_poll_set(&a->poll, LOOP_WRITE);
	return 0;
}

/* Returns whether the dial is still there and wants another attempt at once. */
static bool try_one(struct dial *d, const struct ip *ip)
{
	struct attempt *a = &d->attempts[d->n_attempts++];
	struct sockaddr_storage ss;
	socklen_t len;
	int ret;

	*a = (struct attempt){ .d = d, .fd = -1 };
	if (ip) {
		a->ip = *ip;
		len = sockaddr_from(&(struct ipport){ *ip, d->connect_port }, &ss);
	} else {
		len = sockaddr_unix(d->connect, &ss);
	}
	ret = attempt_start(a, &ss, len);
	if (ret > 0) {
		int fd = a->fd;

		a->fd = -1;
		connected(d, fd);
		return false;
	}
	if (ret < 0) {
		if (a->fd >= 0)
			close(a->fd);
		a->fd = -1;
		note_failure(d, -ret, &a->ip);
		return true;
	}
	d->n_running++;
	loop_timer_set(&d->next, mono_add(loop_now(d->loop), SPAN_MS(ATTEMPT_DELAY_MS)));
	return false;
}

static const struct ip *next_address(struct dial *d)
{
	int family = d->last_family == V6 ? V4 : V6;

	if (d->keep_order)
		family = V6; /* the only queue then */
	else if (d->queue[family].next == d->queue[family].n)
		family = d->last_family;
	if (d->queue[family].next == d->queue[family].n)
		return NULL;
	d->last_family = family;
	return &d->queue[family].v[d->queue[family].next++];
}

static void try_next(struct dial *d)
{
	const struct ip *ip;

	loop_timer_set(&d->next, MONO_NEVER);
	while ((ip = next_address(d)))
		if (!try_one(d, ip))
			return;
	if (d->n_running > 0 || d->resolve)
		return;
	if (!d->why.code)
		err_say(&d->why, ENOENT, "look up %s: no usable address", d->connect);
	fail(d, &d->why);
}

static void next_due(void *ctx)
{
	try_next(ctx);
}

static void enqueue(struct queue *q, const struct ip *ip)
{
	if (q->n < DIAL_ADDRS_MAX)
		q->v[q->n++] = *ip;
}

static void resolved(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		     bool is_last)
{
	struct dial *d = ctx;

	if (is_last)
		d->resolve = NULL;
	for (size_t i = 0; i < n; i++)
		enqueue(&d->queue[family == AF_INET6 ? V6 : V4], &v[i]);
	if (n == 0 && (!d->why.code || d->why.code == ENOENT))
		d->why = *why;
	if (d->n_running > 0 && loop_timer_is_set(&d->next))
		return; /* the running attempt has its 250 ms */
	if (n > 0 && family == AF_INET && !is_last)
		loop_timer_set(&d->next, mono_add(loop_now(d->loop), SPAN_MS(RESOLUTION_DELAY_MS)));
	else if (n > 0 || is_last)
		try_next(d);
}

/* --- life --- */

static void begin(void *ctx)
{
	struct dial *d = ctx;
	int families = (d->no_v4 ? 0 : RESOLVE_V4) | (d->no_v6 ? 0 : RESOLVE_V6);
	struct err err;
	struct ip ip;

	if (d->is_unix) {
		if (try_one(d, NULL))
			fail(d, &d->why);
		return;
	}
	if (!d->keep_order && ip_parse(bytes_str(d->connect), &ip)) {
		d->keep_order = true;
		enqueue(&d->queue[V6], &ip);
	}
	if (d->keep_order) {
		try_next(d);
		return;
	}
	d->resolve = resolve_start(d->resolver, d->connect, families, resolved, d, &err);
	if (!d->resolve)
		fail(d, &err);
}

static void copy_addrs(struct dial *d, const struct dial_conf *conf)
{
	for (size_t i = 0; i < conf->n_addrs; i++)
		if (!(ip_is_v4(&conf->addrs[i]) ? conf->no_v4 : conf->no_v6))
			enqueue(&d->queue[V6], &conf->addrs[i]);
	d->keep_order = conf->addrs != NULL && !conf->proxy;
	if (conf->proxy)
		d->queue[V6].n = 0; /* the proxy looks the name up */
}

static int copy_conf(struct dial *d, const struct dial_conf *conf)
{
	const char *connect_to = conf->unix_path ? conf->unix_path
				 : conf->proxy   ? conf->proxy->host
						 : conf->host;

	d->port = conf->port;
	d->connect_port = conf->proxy ? conf->proxy->port : conf->port;
	d->is_unix = conf->unix_path != NULL;
	d->no_v4 = conf->no_v4;
	d->no_v6 = conf->no_v6;
	d->mark = conf->mark;
	d->resolver = conf->resolver;
	d->timeout = conf->timeout.ns > 0 ? conf->timeout : SPAN_S(DIAL_TIMEOUT_S);
	d->host = strdup(conf->host ? conf->host : connect_to);
	d->connect = strdup(connect_to);
	if (!d->host || !d->connect)
		return -ENOMEM;
	if (conf->proxy && !conf->unix_path) {
		d->tunnel = calloc(1, sizeof *d->tunnel);
		if (!d->tunnel)
			return -ENOMEM;
		d->tunnel->fd = -1;
		d->tunnel->proxy = *conf->proxy;
	}
	copy_addrs(d, conf);
	return 0;
}

/* A name as it may stand in a request line; the resolver and TLS have their own rules. */
static bool is_plain(const char *host)
{
	size_t n = strlen(host);

	if (n == 0 || n >= PROXY_HOST_MAX)
		return false;
	for (; *host; host++)
		if ((unsigned char)*host <= 0x20 || (unsigned char)*host == 0x7f)
			return false;
	return true;
}

static int check(const struct dial_conf *conf, struct err *err)
{
	struct sockaddr_storage ss;
	struct ip ip;

	if (conf->unix_path)
		return sockaddr_unix(conf->unix_path, &ss)
			   ? 0
			   : err_say(err, ENAMETOOLONG,
				     "connect: the path of a unix socket has 1 to 107 bytes");
	if (!conf->host || !is_plain(conf->host))
		return err_say(err, EINVAL, "connect: not a valid host name");
	if (conf->port == 0)
		return err_say(err, EINVAL, "connect to %s: port 0", conf->host);
	if (conf->no_v4 && conf->no_v6)
		return err_say(err, EINVAL, "connect to %s: neither IPv4 nor IPv6 may be used",
			       conf->host);
	if (!conf->resolver && !conf->addrs &&
	    !ip_parse(bytes_str(conf->proxy ? conf->proxy->host : conf->host), &ip))
		return err_say(err, EINVAL, "connect to %s: no resolver", conf->host);
	return 0;
}

struct dial *dial_start(struct loop *loop, const struct dial_conf *conf, dial_fn *fn, void *ctx,
			struct err *err)
{
	struct dial *d;

	if (check(conf, err) < 0)
		return NULL;
	d = calloc(1, sizeof *d);
	if (!d) {
		err_set(err, ENOMEM, "connect");
		return NULL;
	}
	*d = (struct dial){ .loop = loop, .fn = fn, .ctx = ctx, .last_family = V4 };
	loop_timer_init(loop, &d->limit, limit_reached, d);
	loop_timer_init(loop, &d->next, next_due, d);
	loop_defer_init(&d->start, begin, d);
	if (copy_conf(d, conf) < 0) {
		dial_cancel(d);
		err_set(err, ENOMEM, "connect");
		return NULL;
	}
	loop_timer_set(&d->limit, mono_add(loop_now(loop), d->timeout));
	loop_defer(loop, &d->start);
	return d;
}
