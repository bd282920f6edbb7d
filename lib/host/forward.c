/* host/forward.c - inbound TCP: a peer's SYN is answered only after the local program (or
 * TS_DEST_IP) has accepted
 *
 * data-plane.md 6.4: the same port on loopback, whichever family the peer used; addresses of routes
 * that we serve are dialled themselves. A refused dial refuses the peer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "host/host_priv.h"

enum { FORWARD_DIAL_S = 10 };

struct forward {
	struct flow flow;
	struct host *host;
	struct ns_id id;
	struct stream *s;
	struct ipport local, remote;
	unsigned proxy_protocol; /* of what goes to the local program */
};

static void forward_free(struct forward *f)
{
	host_flow_del(f->host, &f->flow);
	f->host->n_forwards--;
	host_kick(f->host);
	free(f);
}

/* PROXY protocol, version 1: one line of text; version 2: a binary head (haproxy's
 * proxy-protocol.txt, 2.1 and 2.2) */
size_t host_proxy_header(unsigned version, const struct ipport *src, const struct ipport *dst,
			 uint8_t *out, size_t cap)
{
	static const uint8_t magic[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
					   0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
	bool v4 = ip_is_v4(&src->ip);
	struct wr w = wr_of(out, cap);

	if (version == 1) {
		char a[IP_TEXT], b[IP_TEXT];
		int n = snprintf((char *)out, cap, "PROXY %s %s %s %u %u\r\n", v4 ? "TCP4" : "TCP6",
				 ip_text(&src->ip, a), ip_text(&dst->ip, b), src->port, dst->port);

		return n > 0 && (size_t)n < cap ? (size_t)n : 0;
	}
	if (version != 2)
		return 0;
	wr_put(&w, magic, sizeof magic);
	wr_u8(&w, 0x21);
	wr_u8(&w, v4 ? 0x11 : 0x21);
	wr_be16(&w, v4 ? 12 : 36);
	wr_put(&w, src->ip.b + (v4 ? 12 : 0), v4 ? 4 : 16);
	wr_put(&w, dst->ip.b + (v4 ? 12 : 0), v4 ? 4 : 16);
	wr_be16(&w, src->port);
	wr_be16(&w, dst->port);
	return wr_len(&w);
}

static void on_open(void *ctx)
{
	struct forward *f = ctx;
	uint8_t head[HOST_BEFORE_MAX];
	size_t len = host_proxy_header(f->proxy_protocol, &f->remote, &f->local, head, sizeof head);
	LOG_AS(f->host->label);

	ns_tcp_accept(node_netstack(f->host->node), loop_now(f->host->loop), f->id);
	if (host_splice_after(f->host, f->id, f->s, bytes_of(NULL, 0), bytes_of(head, len)) ==
	    -ENOMEM)
		log_warn("host: out of memory for an inbound connection");
	forward_free(f);
}

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)v;
	(void)max;
	return 0; /* until the splice takes over */
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	return on_room(ctx, v, max);
}

static void on_bytes(void *ctx, size_t n)
{
	(void)ctx;
	(void)n;
}

static void on_closed(void *ctx, const struct err *why)
{
	struct forward *f = ctx;
	LOG_AS(f->host->label);

	log_debug("host: port %u: %s", f->local.port, why ? why->text : "closed");
	ns_tcp_refuse(node_netstack(f->host->node), loop_now(f->host->loop), f->id);
	forward_free(f);
}

static const struct stream_ops forward_ops = {
	.open = on_open,
	.room = on_room,
	.got = on_bytes,
	.data = on_data,
	.sent = on_bytes,
	.closed = on_closed,
};

static void on_event(struct flow *flow, const struct ns_event *ev)
{
	struct forward *f = (struct forward *)flow;

	if (ev->type != NS_TCP_ENDED)
		return;
	stream_close(f->s); /* the peer gave up while we were dialling */
	forward_free(f);
}

static void on_drop(struct flow *fl)
{
	struct forward *f = (struct forward *)fl;

	stream_close(f->s);
	forward_free(f);
}

static void refuse(struct host *h, struct ns_id id)
{
	ns_tcp_refuse(node_netstack(h->node), loop_now(h->loop), id);
	host_kick(h);
}

void host_forward(struct host *h, const struct ns_event *ev, const struct dial_conf *to,
		  unsigned proxy_protocol)
{
	struct stream_conf conf = { .dial = *to };
	struct forward *f = calloc(1, sizeof *f);
	struct err e = { 0 };

	conf.dial.timeout = SPAN_S(FORWARD_DIAL_S);
	if (f) {
		*f = (struct forward){ .flow = { .event = on_event, .drop = on_drop },
				       .host = h,
				       .id = ev->id,
				       .local = ev->local,
				       .remote = ev->remote,
				       .proxy_protocol = proxy_protocol };
		f->s = stream_dial(h->loop, &conf, &forward_ops, f, &e);
	}
	if (!f || !f->s) {
		log_warn("host: cannot forward port %u: %s", ev->local.port,
			 f ? e.text : "out of memory");
		free(f);
		refuse(h, ev->id);
		return;
	}
	host_flow_add(h, &f->flow);
	h->n_forwards++;
	ns_tcp_set_user(node_netstack(h->node), ev->id, &f->flow);
}

void host_set_incoming(struct host *h, host_incoming_fn *fn, void *ctx)
{
	h->incoming = fn;
	h->incoming_ctx = ctx;
}

void host_forward_incoming(struct host *h, const struct ns_event *ev)
{
	const struct ip loopback[2] = { ip_v4(127, 0, 0, 1), { { [15] = 1 } } };
	struct dial_conf dial = {
		.host = "127.0.0.1", .port = ev->local.port, .addrs = loopback, .n_addrs = 2
	};
	char text[IP_TEXT];
	struct ip to;
	const enum host_way way = host_target(h, &ev->local.ip, &to);

	if (way == HOST_OWN && h->incoming && h->incoming(h->incoming_ctx, ev))
		return;
	if (way == HOST_NOWHERE || (way == HOST_OWN && h->no_dest)) {
		refuse(h, ev->id);
		return;
	}
	if (way == HOST_OWN)
		to = h->dest;
	if (!ip_is_zero(&to)) {
		dial.host = ip_text(&to, text);
		dial.addrs = &to;
		dial.n_addrs = 1;
	}
	host_forward(h, ev, &dial, way == HOST_OWN ? h->proxy_protocol : 0);
}
