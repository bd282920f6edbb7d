/* host/splice.c - a flow of the IP stack and a local stream, joined without a buffer in between
 *
 * The stream reads straight into the connection's send buffer and writes straight from its receive
 * buffer. When the send buffer has no room, reading the stream stops until the stack says WRITABLE;
 * when the stream cannot be written, the receive buffer fills and the window closes. Each direction
 * ends by itself: end of stream becomes FIN, FIN becomes shutdown.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_priv.h"

/* What one read of the stream may bring: a request of some bytes shall not take chunks for a
 * quarter of a megabyte, a download shall not make four calls where one does. */
enum { WANT_LEAST = 16 * 1024, WANT_MOST = 256 * 1024 };

struct splice {
	struct flow flow;
	struct host *host;
	struct stream *s;
	struct ns_id id;
	bool shut;            /* our end was sent to the stream */
	size_t want, offered; /* of the next read; of the last one */
	uint8_t before[HOST_BEFORE_MAX];
	size_t before_off, before_len;
};

static struct netstack *stack(const struct splice *sp)
{
	return node_netstack(sp->host->node);
}

static mono_t now(const struct splice *sp)
{
	return loop_now(sp->host->loop);
}

void host_flow_add(struct host *h, struct flow *f)
{
	f->prev = NULL;
	f->next = h->flows;
	if (h->flows)
		h->flows->prev = f;
	h->flows = f;
}

void host_flow_del(struct host *h, struct flow *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		h->flows = f->next;
	if (f->next)
		f->next->prev = f->prev;
}

void host_flows_free(struct host *h)
{
	while (h->flows)
		h->flows->drop(h->flows);
}

static void splice_free(struct splice *sp)
{
	host_flow_del(sp->host, &sp->flow);
	sp->host->n_splices--;
	host_kick(sp->host);
	free(sp);
}

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct splice *sp = ctx;
	struct ns_piece pieces[STREAM_IOV_MAX];
	size_t n = ns_tcp_reserve(stack(sp), sp->id, sp->want, pieces,
				  max < STREAM_IOV_MAX ? max : STREAM_IOV_MAX);

	sp->offered = 0;
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct iovec){ pieces[i].data, pieces[i].len };
		sp->offered += pieces[i].len;
	}
	return n;
}

static void on_got(void *ctx, size_t n)
{
	struct splice *sp = ctx;

	if (n == sp->offered && n >= sp->want && sp->want < WANT_MOST)
		sp->want *= 2;
	else if (n < sp->want / 4 && sp->want > WANT_LEAST)
		sp->want /= 2;
	ns_tcp_commit(stack(sp), now(sp), sp->id, n);
	host_kick(sp->host);
}

/* An idle connection holds no room. */
static void on_none(void *ctx)
{
	struct splice *sp = ctx;

	ns_tcp_commit(stack(sp), now(sp), sp->id, 0);
}

static void on_end(void *ctx)
{
	struct splice *sp = ctx;

	ns_tcp_shutdown(stack(sp), now(sp), sp->id);
	host_kick(sp->host);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct splice *sp = ctx;
	struct ns_piece pieces[STREAM_IOV_MAX];
	size_t n;

	if (sp->before_off < sp->before_len) {
		v[0] =
		    (struct iovec){ sp->before + sp->before_off, sp->before_len - sp->before_off };
		return 1;
	}
	n = ns_tcp_peek(stack(sp), sp->id, pieces, max < STREAM_IOV_MAX ? max : STREAM_IOV_MAX);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct iovec){ pieces[i].data, pieces[i].len };
	if (n == 0 && !sp->shut && ns_tcp_at_end(stack(sp), sp->id)) {
		sp->shut = true;
		stream_shutdown(sp->s);
	}
	return n;
}

static void on_sent(void *ctx, size_t n)
{
	struct splice *sp = ctx;

	if (sp->before_off < sp->before_len) {
		sp->before_off += n;
		return;
	}
	ns_tcp_consume(stack(sp), now(sp), sp->id, n);
	host_kick(sp->host);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct splice *sp = ctx;

	if (why)
		ns_tcp_abort(stack(sp), now(sp), sp->id);
	else
		ns_tcp_release(stack(sp), now(sp), sp->id);
	splice_free(sp);
}

static const struct stream_ops splice_ops = {
	.room = on_room,
	.got = on_got,
	.none = on_none,
	.end = on_end,
	.data = on_data,
	.sent = on_sent,
	.closed = on_closed,
};

static void on_event(struct flow *f, const struct ns_event *ev)
{
	struct splice *sp = (struct splice *)f;

	switch (ev->type) {
	case NS_TCP_READABLE:
		stream_kick(sp->s);
		break;
	case NS_TCP_WRITABLE:
		stream_resume(sp->s);
		break;
	case NS_TCP_ENDED:
		if (ev->end == NS_END_DONE)
			stream_close(sp->s); /* both directions are over and read */
		else
			stream_reset(sp->s);
		splice_free(sp);
		break;
	default:
		break;
	}
}

static void on_drop(struct flow *f)
{
	struct splice *sp = (struct splice *)f;

	stream_close(sp->s);
	splice_free(sp);
}

static int join(struct host *h, struct ns_id id, struct stream *s, struct bytes early,
		struct bytes before)
{
	struct splice *sp = calloc(1, sizeof *sp);
	struct netstack *ns = node_netstack(h->node);
	mono_t t = loop_now(h->loop);
	struct ns_tcp_info info;

	if (!ns_tcp_info(ns, id, &info)) {
		free(sp);
		stream_reset(s);
		return -ECONNRESET;
	}
	if (!sp || ns_tcp_write(ns, t, id, early.data, early.len) != early.len ||
	    before.len > sizeof sp->before) {
		free(sp);
		ns_tcp_abort(ns, t, id);
		stream_reset(s);
		host_kick(h);
		return -ENOMEM;
	}
	sp->flow.event = on_event;
	sp->host = h;
	sp->s = s;
	sp->id = id;
	sp->want = WANT_LEAST;
	if (before.len > 0)
		memcpy(sp->before, before.data, before.len);
	sp->before_len = before.len;
	sp->flow.drop = on_drop;
	host_flow_add(h, &sp->flow);
	h->n_splices++;
	ns_tcp_set_user(ns, id, &sp->flow);
	ns_tcp_keepalive(ns, t, id, SPAN_S(HOST_KEEP_IDLE_S), SPAN_S(HOST_KEEP_INTERVAL_S),
			 HOST_KEEP_COUNT);
	stream_set_ops(s, &splice_ops, sp);
	stream_resume(s);
	stream_kick(s);
	host_kick(h);
	return 0;
}

int host_splice(struct host *h, struct ns_id id, struct stream *s, struct bytes early)
{
	return join(h, id, s, early, bytes_of(NULL, 0));
}

int host_splice_after(struct host *h, struct ns_id id, struct stream *s, struct bytes early,
		      struct bytes before)
{
	return join(h, id, s, early, before);
}

void host_splice_cut(struct host *h, struct ns_id id)
{
	for (struct flow *f = h->flows; f; f = f->next) {
		struct splice *sp = (struct splice *)f;

		if (f->event == on_event && sp->id.index == id.index &&
		    sp->id.generation == id.generation) {
			ns_tcp_abort(stack(sp), now(sp), id);
			on_drop(f);
			return;
		}
	}
}

/* --- connecting into the tailnet --- */

struct host_connect {
	struct flow flow;
	struct host *host;
	struct ns_id id;
	host_connect_fn *done;
	void *ctx;
	struct loop_timer timer;
};

/* The peer need not wait for us: its bytes and its end may come before the flow is joined. Nobody
 * is told of them; host_splice looks for both. */
static void finish(struct host_connect *c, bool ok, enum ns_end end)
{
	host_connect_fn *done = c->done;
	struct ns_id id = c->id;
	void *ctx = c->ctx;

	ns_tcp_set_user(node_netstack(c->host->node), id, NULL);
	loop_timer_fini(&c->timer);
	host_kick(c->host);
	free(c);
	done(ctx, id, ok, end);
}

static void connect_event(struct flow *f, const struct ns_event *ev)
{
	struct host_connect *c = (struct host_connect *)f;

	if (ev->type == NS_TCP_CONNECTED)
		finish(c, true, NS_END_DONE);
	else if (ev->type == NS_TCP_ENDED)
		finish(c, false, ev->end);
}

static void connect_timeout(void *ctx)
{
	struct host_connect *c = ctx;

	ns_tcp_abort(node_netstack(c->host->node), loop_now(c->host->loop), c->id);
	finish(c, false, NS_END_TIMEOUT);
}

struct host_connect *host_connect(struct host *h, const struct ipport *to, host_connect_fn *done,
				  void *ctx, struct err *e)
{
	struct host_connect *c = calloc(1, sizeof *c);
	const struct ipport any = { 0 };
	int ret;

	if (!c) {
		err_set(e, ENOMEM, "connect into the tailnet");
		return NULL;
	}
	ret = ns_tcp_connect(node_netstack(h->node), loop_now(h->loop), &any, to, &c->id);
	if (ret != 0) {
		err_set(e, -ret, "connect into the tailnet");
		free(c);
		return NULL;
	}
	c->flow.event = connect_event;
	c->host = h;
	c->done = done;
	c->ctx = ctx;
	ns_tcp_set_user(node_netstack(h->node), c->id, &c->flow);
	loop_timer_init(h->loop, &c->timer, connect_timeout, c);
	loop_timer_set(&c->timer, mono_add(loop_now(h->loop), SPAN_S(HOST_CONNECT_S)));
	host_kick(h);
	return c;
}

void host_connect_cancel(struct host_connect *c)
{
	if (!c)
		return;
	ns_tcp_abort(node_netstack(c->host->node), loop_now(c->host->loop), c->id);
	loop_timer_fini(&c->timer);
	host_kick(c->host);
	free(c);
}
