/* host/reach.c - see reach.h */
#include "host/reach.h"

#include <errno.h>
#include <stdlib.h>

#include "host/host_priv.h"
#include "os/dial.h"
#include "os/loop.h"
#include "os/stream.h"

enum { REACH_ADDRS_MAX = DIAL_ADDRS_MAX, REACH_OUTSIDE_S = 10 };

const char *const reach_words[REACH_N] = {
	[REACH_OK] = "connected",
	[REACH_NO_NAME] = "no such name",
	[REACH_NOT_ALLOWED] = "outside the tailnet, which TS_PROXY_TAILNET_ONLY forbids",
	[REACH_DENIED] = "denied by the tailnet's policy",
	[REACH_REFUSED] = "connection refused",
	[REACH_TIMEOUT] = "no answer in time",
	[REACH_UNREACHABLE] = "host unreachable",
	[REACH_NET_UNREACHABLE] = "network unreachable",
	[REACH_FAILED] = "connection failed",
};

struct reach {
	struct host *h;
	reach_fn *done;
	void *ctx;
	bool tailnet_only;
	uint16_t port;
	char name[256];
	struct ip v[REACH_ADDRS_MAX]; /* those of one way only */
	size_t n, next;
	enum reach_result worst; /* of the addresses tried so far */
	struct host_lookup *lookup;
	struct host_connect *connect;
	struct stream *s;
	struct loop_defer begin;
};

enum reach_way reach_way(const struct host *h, const struct ip *ip)
{
	const struct node *n = h->node;

	if (node_is_own(n, ip))
		return REACH_SELF;
	/* an exit node's default route covers everything: not what can only be meant of this host
	 */
	if (ip_is_loopback(ip) || ip_is_unspecified(ip) ||
	    (node_wants_exit(n) && h->exit_allow_lan && ip_is_private(ip) && !ip_is_tailnet(ip)))
		return REACH_OUTSIDE;
	if (node_routes(n, ip))
		return REACH_TAILNET;
	/* an exit node that is away: nothing leaks to the ordinary network */
	return ip_is_tailnet(ip) || node_wants_exit(n) ? REACH_NOBODY : REACH_OUTSIDE;
}

static void reach_free(struct reach *r)
{
	loop_defer_cancel(&r->begin);
	host_lookup_cancel(r->lookup);
	host_connect_cancel(r->connect);
	stream_close(r->s);
	free(r);
}

void reach_cancel(struct reach *r)
{
	if (r)
		reach_free(r);
}

static void finish(struct reach *r, const struct reached *what)
{
	reach_fn *done = r->done;
	void *ctx = r->ctx;

	reach_free(r);
	done(ctx, what);
}

static void fail(struct reach *r, enum reach_result why)
{
	finish(r, &(struct reached){ .result = why });
}

/* --- through the stack --- */

static void try_next(struct reach *r);

static enum reach_result of_end(enum ns_end end)
{
	switch (end) {
	case NS_END_REFUSED:
		return REACH_REFUSED;
	case NS_END_DENIED:
		return REACH_DENIED;
	case NS_END_TIMEOUT:
		return REACH_TIMEOUT;
	case NS_END_UNREACHABLE:
		return REACH_UNREACHABLE;
	default:
		return REACH_FAILED;
	}
}

static void connected(void *ctx, struct ns_id id, bool ok, enum ns_end end)
{
	struct reach *r = ctx;
	struct reached what = { .id = id };
	struct ns_tcp_info info;

	r->connect = NULL;
	if (!ok) {
		r->worst = of_end(end);
		if (r->worst == REACH_DENIED) /* so is its other family, which nobody would tell */
			fail(r, r->worst);
		else
			try_next(r);
		return;
	}
	if (ns_tcp_info(node_netstack(host_node(r->h)), id, &info))
		what.bound = info.local;
	finish(r, &what);
}

static void try_next(struct reach *r)
{
	struct ipport to = { .port = r->port };
	struct err e = { 0 };

	while (r->next < r->n) {
		to.ip = r->v[r->next++];
		r->connect = host_connect(r->h, &to, connected, r, &e);
		if (r->connect)
			return;
		r->worst = REACH_FAILED;
	}
	fail(r, r->worst);
}

/* --- by the ordinary network --- */

static enum reach_result of_errno(int code)
{
	switch (code) {
	case ECONNREFUSED:
		return REACH_REFUSED;
	case ETIMEDOUT:
		return REACH_TIMEOUT;
	case EHOSTUNREACH:
		return REACH_UNREACHABLE;
	case ENETUNREACH:
		return REACH_NET_UNREACHABLE;
	default:
		return REACH_FAILED;
	}
}

static void outside_open(void *ctx)
{
	struct reach *r = ctx;
	struct reached what = { .s = r->s };

	(void)stream_local(r->s, &what.bound);
	r->s = NULL;
	finish(r, &what);
}

static void outside_closed(void *ctx, const struct err *why)
{
	struct reach *r = ctx;

	r->s = NULL;
	fail(r, of_errno(why ? why->code : 0));
}

static const struct stream_ops outside_ops = {
	.open = outside_open,
	.room = stream_hold,
	.got = stream_ignore,
	.data = stream_hold,
	.sent = stream_ignore,
	.closed = outside_closed,
};

static void dial_outside(struct reach *r)
{
	struct stream_conf conf = { .dial = { .host = r->name,
					      .port = r->port,
					      .addrs = r->v,
					      .n_addrs = r->n,
					      .timeout = SPAN_S(REACH_OUTSIDE_S) } };
	struct err e = { 0 };

	r->s = stream_dial(host_loop(r->h), &conf, &outside_ops, r, &e);
	if (!r->s)
		fail(r, REACH_FAILED);
}

/* --- which of both --- */

static size_t keep(struct reach *r, const struct ip *v, size_t n, enum reach_way way)
{
	r->n = 0;
	for (size_t i = 0; i < n && r->n < REACH_ADDRS_MAX; i++)
		if (reach_way(r->h, &v[i]) == way)
			r->v[r->n++] = v[i];
	return r->n;
}

static void choose(struct reach *r, const struct ip *v, size_t n)
{
	if (keep(r, v, n, REACH_TAILNET) > 0) {
		try_next(r);
	} else if (keep(r, v, n, REACH_SELF) > 0) {
		r->n = 1;
		r->v[0] = ip_v4(127, 0, 0, 1);
		dial_outside(r);
	} else if (keep(r, v, n, REACH_OUTSIDE) > 0) {
		if (r->tailnet_only)
			fail(r, REACH_NOT_ALLOWED);
		else
			dial_outside(r);
	} else {
		fail(r, REACH_UNREACHABLE);
	}
}

static void looked_up(void *ctx, const struct ip *v, size_t n)
{
	struct reach *r = ctx;

	r->lookup = NULL;
	if (n == 0)
		fail(r, REACH_NO_NAME);
	else
		choose(r, v, n);
}

static void begin(void *ctx)
{
	struct reach *r = ctx;
	struct ip ip;

	if (ip_parse(bytes_str(r->name), &ip)) {
		choose(r, &ip, 1);
		return;
	}
	r->lookup = host_lookup(r->h, r->name, looked_up, r);
	if (!r->lookup)
		fail(r, REACH_NO_NAME);
}

struct reach *reach_start(struct host *h, const char *host, uint16_t port, bool tailnet_only,
			  reach_fn *done, void *ctx)
{
	struct reach *r = calloc(1, sizeof *r);

	if (!r || !bytes_to_str(bytes_str(host), r->name, sizeof r->name)) {
		free(r);
		return NULL;
	}
	r->h = h;
	r->port = port;
	r->tailnet_only = tailnet_only;
	r->done = done;
	r->ctx = ctx;
	r->worst = REACH_FAILED;
	loop_defer_init(&r->begin, begin, r);
	loop_defer(host_loop(h), &r->begin);
	return r;
}
