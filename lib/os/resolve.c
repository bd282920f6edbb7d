/* os/resolve.c - see resolve.h
 *
 * c-ares tells which sockets it waits for (sock_state) and when it wants to be called next
 * (ares_timeout). It cannot cancel one query, so a cancelled look-up stays until its queries have
 * answered, with nobody to tell. When /etc/resolv.conf has changed, new look-ups get a new channel;
 * the old one goes when its last query has ended. The same when a channel has been asking for a
 * second: the queries that it waits for at a time leave by one port, which c-ares closes behind the
 * last of them (RFC 5452 section 9.2 wants another for each; before its version 1.20 that has no
 * option).
 *
 * c-ares also calls back from within its functions, so channels are freed at the end of the turn.
 */
#include "os/resolve.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/sockaddr.h"

enum { SOCKETS_MAX = 32, SERVERS_MAX = 8, TIMEOUT_MS = 2000, TRIES = 3 };
#define PORT_PERIOD SPAN_S(1)

struct ares_socket {
	struct channel *ch;
	ares_socket_t fd;
	struct loop_poll poll; /* handle NULL: free */
};

struct channel {
	struct resolver *r;
	ares_channel ares;
	size_t n_queries;
	struct timespec conf_time; /* of resolv.conf as it was read */
	mono_t begun;
	struct loop_timer timer;
	struct loop_defer end;
	struct ares_socket sockets[SOCKETS_MAX];
	struct channel *next;
};

struct resolver {
	struct loop *loop;
	unsigned timeout_ms, tries;
	struct ipport servers[SERVERS_MAX];
	size_t n_servers;
	struct channel *channels; /* the first is the newest */
};

struct query {
	struct resolve *q;
	struct channel *ch;
	int family;
};

struct resolve {
	struct resolver *r;
	resolve_fn *fn; /* NULL: cancelled */
	void *ctx;
	int families;
	size_t n_pending;
	struct loop_defer start;
	struct query queries[2];
	char name[RESOLVE_NAME_MAX + 1];
};

/* --- channels --- */

static struct timespec conf_time(void)
{
	struct stat st;

	return stat("/etc/resolv.conf", &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

static void set_timer(struct channel *ch)
{
	struct timeval tv, *t = ares_timeout(ch->ares, NULL, &tv);

	loop_timer_set(&ch->timer,
		       t ? mono_add(loop_now(ch->r->loop),
				    SPAN_US((int64_t)t->tv_sec * 1000000 + t->tv_usec + 999))
			 : MONO_NEVER);
}

static void on_timer(void *ctx)
{
	struct channel *ch = ctx;

	ares_process_fd(ch->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(ch);
}

static void on_socket(void *ctx, int events)
{
	struct ares_socket *s = ctx;
	struct channel *ch = s->ch; /* the socket may be closed in between */

	ares_process_fd(ch->ares, (events & LOOP_READ) ? s->fd : ARES_SOCKET_BAD,
			(events & LOOP_WRITE) ? s->fd : ARES_SOCKET_BAD);
	set_timer(ch);
}

static struct ares_socket *socket_of(struct channel *ch, ares_socket_t fd)
{
	struct ares_socket *empty = NULL;

	for (size_t i = 0; i < SOCKETS_MAX; i++) {
		struct ares_socket *s = &ch->sockets[i];

		if (s->poll.handle && s->fd == fd)
			return s;
		if (!s->poll.handle && !empty)
			empty = s;
	}
	return empty;
}

static void sock_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct channel *ch = ctx;
	struct ares_socket *s = socket_of(ch, fd);

	if (!s)
		return; /* more sockets than we serve: those queries run into their time limit */
	if (!readable && !writable) {
		loop_poll_close(&s->poll);
		return;
	}
	if (!s->poll.handle) {
		s->ch = ch;
		s->fd = fd;
		if (loop_poll_open(ch->r->loop, &s->poll, fd, on_socket, s) < 0)
			return;
	}
	loop_poll_set(&s->poll, (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0));
}

static void channel_free(struct channel *ch)
{
	struct channel **at = &ch->r->channels;

	while (*at != ch)
		at = &(*at)->next;
	*at = ch->next;
	loop_defer_cancel(&ch->end);
	if (ch->ares)
		ares_destroy(ch->ares); /* ends the queries of cancelled look-ups */
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		loop_poll_close(&ch->sockets[i].poll);
	loop_timer_fini(&ch->timer);
	loop_defer_cancel(&ch->end);
	free(ch);
}

static void channel_end(void *ctx)
{
	struct channel *ch = ctx;

	if (ch->n_queries == 0 && ch != ch->r->channels)
		channel_free(ch);
}

static int set_servers(struct channel *ch)
{
	struct resolver *r = ch->r;
	struct ares_addr_port_node v[SERVERS_MAX] = { 0 };

	if (r->n_servers == 0)
		return ARES_SUCCESS;
	for (size_t i = 0; i < r->n_servers; i++) {
		const struct ipport *a = &r->servers[i];

		v[i].next = i + 1 < r->n_servers ? &v[i + 1] : NULL;
		v[i].family = sockaddr_family(&a->ip);
		v[i].udp_port = v[i].tcp_port = a->port;
		if (v[i].family == AF_INET)
			memcpy(&v[i].addr.addr4, a->ip.b + 12, 4);
		else
			memcpy(&v[i].addr.addr6, a->ip.b, 16);
	}
	return ares_set_servers_ports(ch->ares, v);
}

static struct channel *channel_new(struct resolver *r)
{
	struct channel *ch = calloc(1, sizeof *ch);
	char lookups[] = "fb"; /* files, then DNS */
	struct ares_options o = {
		.sock_state_cb = sock_state,
		.sock_state_cb_data = ch,
		.timeout = (int)r->timeout_ms,
		.tries = (int)r->tries,
		.lookups = lookups,
	};

	if (!ch)
		return NULL;
	ch->r = r;
	ch->conf_time = conf_time();
	ch->begun = loop_now(r->loop);
	ch->next = r->channels;
	r->channels = ch;
	loop_timer_init(r->loop, &ch->timer, on_timer, ch);
	loop_defer_init(&ch->end, channel_end, ch);
	if (ares_init_options(&ch->ares, &o,
			      ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
				  ARES_OPT_LOOKUPS) != ARES_SUCCESS ||
	    set_servers(ch) != ARES_SUCCESS) {
		channel_free(ch);
		return NULL;
	}
	return ch;
}

static bool is_outdated(const struct channel *ch)
{
	const struct timespec t = ch->r->n_servers > 0 ? ch->conf_time : conf_time();

	return t.tv_sec != ch->conf_time.tv_sec || t.tv_nsec != ch->conf_time.tv_nsec ||
	       (ch->n_queries > 0 &&
		mono_due(mono_add(ch->begun, PORT_PERIOD), loop_now(ch->r->loop)));
}

static struct channel *channel_now(struct resolver *r)
{
	struct channel *ch = r->channels;

	if (!ch)
		return channel_new(r);
	if (!is_outdated(ch))
		return ch;
	loop_defer(r->loop, &ch->end);
	return channel_new(r);
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_conf *conf)
{
	static const struct resolver_conf defaults;
	struct resolver *r;

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS || !(r = calloc(1, sizeof *r)))
		return NULL;
	conf = conf ? conf : &defaults;
	r->loop = loop;
	r->timeout_ms = conf->timeout_ms ? conf->timeout_ms : TIMEOUT_MS;
	r->tries = conf->tries ? conf->tries : TRIES;
	r->n_servers = MIN_OF(conf->n_servers, (size_t)SERVERS_MAX);
	for (size_t i = 0; i < r->n_servers; i++)
		r->servers[i] = conf->servers[i];
	return r;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	while (r->channels)
		channel_free(r->channels);
	ares_library_cleanup();
	free(r);
}

/* --- look-ups --- */

static int explain(const struct resolve *q, int status, struct err *err)
{
	switch (status) {
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_ENONAME:
		return err_say(err, ENOENT, "look up %s: no such name", q->name);
	case ARES_ETIMEOUT:
		return err_say(err, ETIMEDOUT, "look up %s: no DNS server answers", q->name);
	case ARES_ECONNREFUSED:
		return err_say(err, ECONNREFUSED, "look up %s: the DNS server cannot be reached",
			       q->name);
	case ARES_EBADNAME:
		return err_say(err, EINVAL, "look up %s: not a valid name", q->name);
	default:
		return err_say(err, EIO, "look up %s: %s", q->name, ares_strerror(status));
	}
}

static size_t addresses(const struct ares_addrinfo *info, int family, struct ip *v, size_t max)
{
	size_t n = 0;

	for (const struct ares_addrinfo_node *a = info ? info->nodes : NULL; a && n < max;
	     a = a->ai_next) {
		struct sockaddr_storage ss = { 0 };
		struct ipport at;

		if (a->ai_family != family || a->ai_addrlen > sizeof ss)
			continue;
		memcpy(&ss, a->ai_addr, a->ai_addrlen);
		if (sockaddr_to(&ss, &at))
			v[n++] = at.ip;
	}
	return n;
}

/* Tells the owner and, after the last answer, frees. */
static void answer(struct resolve *q, int family, const struct ip *v, size_t n,
		   const struct err *why)
{
	bool is_last = --q->n_pending == 0;
	resolve_fn *fn = q->fn;
	void *ctx = q->ctx;

	if (is_last)
		free(q);
	if (fn)
		fn(ctx, family, v, n, n > 0 ? NULL : why, is_last);
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct query *query = arg;
	struct ip v[RESOLVE_ADDRS_MAX];
	size_t n = addresses(info, query->family, v, RESOLVE_ADDRS_MAX);
	struct channel *ch = query->ch;
	struct err err;

	(void)timeouts;
	if (info)
		ares_freeaddrinfo(info);
	explain(query->q, status == ARES_SUCCESS ? ARES_ENODATA : status, &err);
	if (--ch->n_queries == 0 && ch != ch->r->channels)
		loop_defer(ch->r->loop, &ch->end);
	answer(query->q, query->family, v, n, &err);
}

static void ask(struct resolve *q, struct channel *ch, struct query *query, int family)
{
	struct ares_addrinfo_hints hints = { .ai_family = family, .ai_flags = ARES_AI_NOSORT };

	*query = (struct query){ q, ch, family };
	ch->n_queries++;
	ares_getaddrinfo(ch->ares, q->name, NULL, &hints, on_answer, query);
}

/* localhost and what is below it (RFC 6761 section 6.3) */
static bool is_localhost(struct bytes name)
{
	const struct bytes word = bytes_str("localhost");
	size_t before;

	if (name.len > 0 && name.data[name.len - 1] == '.')
		name.len--;
	if (name.len < word.len)
		return false;
	before = name.len - word.len;
	return bytes_caseeq(bytes_of(name.data + before, word.len), word) &&
	       (before == 0 || name.data[before - 1] == '.');
}

/* For names that need no question, where there is no /etc/hosts either. false: it has to be asked.
 */
static bool answer_itself(struct resolve *q)
{
	struct bytes name = bytes_str(q->name);
	int wanted = q->families, known = RESOLVE_BOTH;
	struct ip v4 = { { [10] = 0xff, 0xff, 127, 0, 0, 1 } }, v6 = { { [15] = 1 } }, ip;
	struct err err;

	if (ip_parse(name, &ip)) {
		v4 = v6 = ip;
		known = ip_is_v4(&ip) ? RESOLVE_V4 : RESOLVE_V6;
	} else if (!is_localhost(name)) {
		return false;
	}
	err_say(&err, ENOENT, "%s is an address of the other family", q->name);
	if (wanted & RESOLVE_V6) /* q may be gone after the last */
		answer(q, AF_INET6, &v6, (known & RESOLVE_V6) != 0, &err);
	if (wanted & RESOLVE_V4)
		answer(q, AF_INET, &v4, (known & RESOLVE_V4) != 0, &err);
	return true;
}

static void start(void *ctx)
{
	struct resolve *q = ctx;
	int families = q->families;
	struct channel *ch;

	if (answer_itself(q))
		return;
	ch = channel_now(q->r);
	if (!ch) {
		struct err err;

		err_say(&err, ENOMEM, "look up %s: the resolver cannot start", q->name);
		if (families == RESOLVE_BOTH)
			answer(q, AF_INET6, NULL, 0, &err);
		answer(q, families == RESOLVE_V6 ? AF_INET6 : AF_INET, NULL, 0, &err);
		return;
	}
	/* q may be gone when the last answer comes at once */
	if (families & RESOLVE_V6)
		ask(q, ch, &q->queries[0], AF_INET6);
	if (families & RESOLVE_V4)
		ask(q, ch, &q->queries[1], AF_INET);
	set_timer(ch);
}

struct resolve *resolve_start(struct resolver *r, const char *name, int families, resolve_fn *fn,
			      void *ctx, struct err *err)
{
	size_t n = strlen(name);
	struct resolve *q;

	assert(families > 0 && families <= RESOLVE_BOTH);
	if (n == 0 || n > RESOLVE_NAME_MAX) {
		err_say(err, EINVAL, "look up: a name has 1 to %d characters", RESOLVE_NAME_MAX);
		return NULL;
	}
	q = calloc(1, sizeof *q);
	if (!q) {
		err_set(err, ENOMEM, "look up %s", name);
		return NULL;
	}
	q->r = r;
	q->fn = fn;
	q->ctx = ctx;
	q->families = families;
	q->n_pending = families == RESOLVE_BOTH ? 2 : 1;
	memcpy(q->name, name, n);
	loop_defer_init(&q->start, start, q);
	loop_defer(r->loop, &q->start);
	return q;
}

void resolve_cancel(struct resolve *q)
{
	if (!q)
		return;
	q->fn = NULL;
	if (q->start.loop) { /* nothing has been asked yet */
		loop_defer_cancel(&q->start);
		free(q);
	}
}
