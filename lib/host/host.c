/* host/host.c - carries a node's effects out
 *
 * Everything that happens in a turn of the loop (datagrams, stream bytes, deadlines, calls of
 * proxies) is fed to the node as it comes; once, at the end of the turn, its effects are pulled
 * until there are none. So one wake-up handles a whole burst: all datagrams in, then all segments
 * and acknowledgements out.
 */
#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/host_priv.h"

void host_kick(struct host *h)
{
	h->dirty = true;
	loop_defer(
	    h->loop,
	    &h->again); /* also when the flush of this turn is over: no sleep before the next */
}

struct node *host_node(struct host *h)
{
	return h->node;
}

size_t host_send_packets(struct host *h, const struct pkt *v, size_t n)
{
	h->dirty = true;
	loop_defer(h->loop, &h->again);
	return node_send_packets(h->node, v, n);
}

void host_set_dest(struct host *h, const struct ip *dest)
{
	h->no_dest = !dest;
	if (dest)
		h->dest = *dest;
}

void host_set_exit_lan(struct host *h, bool on)
{
	h->exit_allow_lan = on;
}

struct loop *host_loop(struct host *h)
{
	return h->loop;
}

size_t host_n_splices(const struct host *h)
{
	return h->n_splices;
}

/* --- streams that the node asked for --- */

static void ns_open(void *ctx)
{
	struct node_stream *st = ctx;
	LOG_AS(st->host->label);

	node_stream_opened(st->host->node, loop_now(st->host->loop), st->number);
	host_kick(st->host);
}

static size_t ns_room(void *ctx, struct iovec *v, size_t max)
{
	struct node_stream *st = ctx;

	(void)max;
	v[0] = (struct iovec){ st->host->read_buf, HOST_READ_MAX };
	return 1;
}

static void ns_got(void *ctx, size_t n)
{
	struct node_stream *st = ctx;
	LOG_AS(st->host->label);

	node_stream_feed(st->host->node, loop_now(st->host->loop), loop_wall(), st->number,
			 bytes_of(st->host->read_buf, n));
	st->host->stream_was_read = true;
	st->host->stream_bytes += n;
	host_kick(st->host);
}

static size_t ns_data(void *ctx, struct iovec *v, size_t max)
{
	struct node_stream *st = ctx;

	(void)max;
	if (st->out_len == 0) {
		if (!st->out)
			st->out = malloc(HOST_WRITE_MAX);
		if (!st->out)
			return 0;
		st->out_off = 0;
		st->out_len = node_stream_pull(st->host->node, loop_now(st->host->loop), st->number,
					       st->out, HOST_WRITE_MAX);
		host_kick(st->host);
	}
	if (st->out_len == 0) {
		free(st->out);
		st->out = NULL;
		return 0;
	}
	v[0] = (struct iovec){ st->out + st->out_off, st->out_len };
	return 1;
}

static void ns_sent(void *ctx, size_t n)
{
	struct node_stream *st = ctx;

	st->out_off += n;
	st->out_len -= n;
}

static void forget_stream(struct node_stream *st)
{
	st->s = NULL;
	free(st->out);
	st->out = NULL;
	st->out_len = 0;
}

static void ns_closed(void *ctx, const struct err *why)
{
	struct node_stream *st = ctx;
	LOG_AS(st->host->label);

	forget_stream(st);
	node_stream_closed(st->host->node, loop_now(st->host->loop), st->number,
			   why ? why->text : NULL);
	host_kick(st->host);
}

static const struct stream_ops node_stream_ops = {
	.open = ns_open,
	.room = ns_room,
	.got = ns_got,
	.data = ns_data,
	.sent = ns_sent,
	.closed = ns_closed,
};

static void dial(struct host *h, const struct node_effect *ef)
{
	const struct ip addrs[2] = { ef->addr, ef->addr2 }; /* a host may have one family only */
	struct node_stream *st = &h->streams[ef->stream];
	struct stream_conf conf = {
		.dial = { .host = ef->host, .port = ef->port, .resolver = h->resolver }
	};
	struct err e = { 0 };

	if (st->s)
		stream_close(st->s);
	forget_stream(st);
	if (!ip_is_zero(&ef->addr)) {
		conf.dial.addrs = addrs;
		conf.dial.n_addrs = ip_is_zero(&ef->addr2) ? 1 : 2;
	}
	if (h->proxy)
		conf.dial.proxy = proxy_for(h->proxy, ef->host, ef->port, ef->tls);
	if (ef->tls) {
		conf.tls = h->tls;
		conf.expect = (struct tls_expect){ .host = ef->host,
						   .cert_name = ef->cert_name,
						   .is_insecure = ef->insecure };
	}
	st->s = stream_dial(h->loop, &conf, &node_stream_ops, st, &e);
	if (!st->s)
		node_stream_closed(h->node, loop_now(h->loop), ef->stream, e.text);
}

/* --- UDP --- */

static void udp_recv(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	struct host *h = ctx;
	LOG_AS(h->label);

	node_udp_recv(h->node, loop_now(h->loop), loop_wall(), from, v, n);
	h->dirty = true;
	host_trim_received(h, n);
}

static const struct udp_ops udp_ops = { .recv = udp_recv };

static void send_udp(struct host *h, const struct node_effect *ef)
{
	struct udp *u = ip_is_v4(&ef->to.ip) ? h->udp4 : h->udp6;
	int ret = -ENETUNREACH;

	if (u && ef->whole) {
		udp_send_whole(u, &ef->to, &ef->v[0]);
		return;
	}
	if (u)
		ret = udp_send(u, &ef->to, ef->v, ef->count);
	if (ret < 0)
		node_udp_failed(h->node, loop_now(h->loop), &ef->to, -ret);
}

static void publish_addresses(struct host *h)
{
	struct link_addr v[LINK_ADDRS_MAX];
	struct ip a[LINK_ADDRS_MAX];
	struct err e = { 0 };
	int n = link_addrs(v, LINK_ADDRS_MAX, &e);

	if (n < 0) {
		log_warn("host: %s", e.text);
		return;
	}
	for (int i = 0; i < n; i++)
		a[i] = v[i].ip;
	node_set_addresses(h->node, loop_now(h->loop), a, (size_t)n,
			   h->udp4 ? udp_port(h->udp4) : 0, h->udp6 ? udp_port(h->udp6) : 0);
	node_set_link_mtu(h->node, loop_now(h->loop), link_mtu());
	if (h->gateway)
		host_gateway_find(h->gateway, v, (size_t)n);
	h->dirty = true;
}

/* What an address that is gone has opened hears nothing any more: it ends now, as with stock, and
 * not when somebody notices. */
static void end_orphans(struct host *h)
{
	for (size_t i = 0; i < HOST_STREAMS_MAX; i++) {
		struct node_stream *st = &h->streams[i];
		uint32_t number = st->number;
		struct ipport local;

		if (!st->s || !stream_local(st->s, &local) || link_has_addr(&local.ip))
			continue;
		stream_close(st->s);
		forget_stream(st);
		node_stream_closed(h->node, loop_now(h->loop), number,
				   "the address that it came from is gone");
	}
}

static void links_changed(void *ctx)
{
	struct host *h = ctx;
	LOG_AS(h->label);

	log_info("host: addresses or links changed");
	publish_addresses(h);
	end_orphans(h);
	node_link_changed(h->node, loop_now(h->loop));
}

/* is_wish: another port will do when that one is taken */
static struct udp *open_socket(struct host *h, int family, uint16_t port, bool is_wish,
			       struct err *e)
{
	struct udp *u = udp_open(h->loop, family, port, &udp_ops, h, e);

	if (!u && is_wish && port != 0)
		u = udp_open(h->loop, family, 0, &udp_ops, h, e);
	return u;
}

static bool open_sockets(struct host *h, const struct host_conf *conf, struct err *e)
{
	const bool is_wish = conf->port == 0;
	uint16_t port = is_wish ? conf->kept_port : conf->port;
	struct err e6 = { 0 };

	if (conf->node.derp_only)
		return true;
	if (!conf->no_udp4)
		h->udp4 = open_socket(h, AF_INET, port, is_wish, e);
	if (h->udp4)
		port = udp_port(h->udp4);
	if (!conf->no_udp6)
		h->udp6 = open_socket(h, AF_INET6, port, is_wish, &e6);
	if (h->udp4 || h->udp6 || (conf->no_udp4 && conf->no_udp6))
		return true;
	if (conf->no_udp4)
		*e = e6;
	return false;
}

/* --- effects --- */

static void flow_event(struct host *h, const struct ns_event *ev)
{
	struct flow *f = ev->user;

	if (ev->type == NS_TCP_INCOMING)
		host_forward_incoming(h, ev);
	else if (ev->type == NS_ECHO_REQUEST)
		host_echo_request(h, ev);
	else if (ev->type == NS_UDP_RECV || ev->type == NS_UDP_UNREACHABLE)
		host_datagram_event(h, ev);
	else if (f)
		f->event(f, ev);
}

#define TELL(h, member, ...)                                                                       \
	do {                                                                                       \
		if ((h)->ops.member)                                                               \
			(h)->ops.member((h)->ctx, ##__VA_ARGS__);                                  \
	} while (0)

static void carry_out(struct host *h, const struct node_effect *ef)
{
	struct node_stream *st = &h->streams[ef->stream < HOST_STREAMS_MAX ? ef->stream : 0];

	switch (ef->type) {
	case NODE_UDP_SEND:
		send_udp(h, ef);
		break;
	case NODE_FLOW:
		flow_event(h, &ef->flow);
		break;
	case NODE_INNER:
		TELL(h, inner, ef->v, ef->count);
		break;
	case NODE_DIAL:
		dial(h, ef);
		break;
	case NODE_STREAM_OUTPUT:
		if (st->s)
			stream_kick(st->s);
		break;
	case NODE_STREAM_CLOSE:
		if (st->s)
			stream_close(st->s);
		forget_stream(st);
		break;
	case NODE_RESOLVE:
		host_name_resolve(h, ef->host);
		break;
	case NODE_STATE:
		TELL(h, state, node_state(h->node));
		break;
	case NODE_AUTH_URL:
		TELL(h, auth_url, ef->text);
		break;
	case NODE_PERSIST_LOGIN:
		TELL(h, persist_login);
		break;
	case NODE_PERSIST_NETMAP:
		TELL(h, persist_netmap);
		break;
	case NODE_HEALTH:
		TELL(h, health);
		break;
	case NODE_PONG:
		TELL(h, pong, &ef->ping);
		break;
	case NODE_C2N:
		TELL(h, c2n);
		break;
	case NODE_NETMAP:
		h->netmap_changed = true;
		TELL(h, netmap);
		break;
	case NODE_LOGGED_OUT:
		TELL(h, logged_out);
		break;
	case NODE_GATEWAY_SEND:
		host_gateway_send(h->gateway, ef);
		break;
	case NODE_GATEWAY_HTTP:
		host_gateway_http(h->gateway, ef);
		break;
	case NODE_GATEWAY_LEFT:
		TELL(h, left);
		break;
	case NODE_FATAL:
		TELL(h, fatal, ef->value, ef->text);
		break;
	}
}

static void pump(struct host *h)
{
	struct node_effect ef;
	int budget = HOST_EFFECTS_MAX;

	while (budget-- > 0 && node_next(h->node, loop_now(h->loop), loop_wall(), &ef))
		carry_out(h, &ef);
	if (budget < 0)
		loop_defer(h->loop, &h->again); /* others get their turn */
	loop_timer_set(&h->timer, node_deadline(h->node));
}

static void on_flush(void *ctx)
{
	struct host *h = ctx;
	LOG_AS(h->label);

	if (!h->dirty || !h->started)
		return;
	h->dirty = false;
	pump(h);
	host_trim_turn(h);
}

static void on_again(void *ctx)
{
	((struct host *)ctx)->dirty = true;
}

static void on_timer(void *ctx)
{
	struct host *h = ctx;
	LOG_AS(h->label);

	node_tick(h->node, loop_now(h->loop), loop_wall());
	h->dirty = true;
}

/* --- life --- */

struct host *host_new(const struct host_conf *conf, struct err *e)
{
	struct host *h = calloc(1, sizeof *h);
	LOG_AS(conf->label);

	if (!h || !(h->read_buf = malloc(HOST_READ_MAX))) {
		err_set(e, ENOMEM, "start");
		free(h);
		return NULL;
	}
	h->loop = conf->loop;
	h->label = conf->label;
	h->tls = conf->tls;
	h->proxy = conf->proxy;
	h->rng = conf->node.rng;
	h->resolver = conf->resolver;
	h->dest = conf->dest;
	h->exit_allow_lan = conf->exit_allow_lan;
	h->proxy_protocol = conf->proxy_protocol;
	if (conf->ops)
		h->ops = *conf->ops;
	h->ctx = conf->ctx;
	rng_fill(conf->node.rng, &h->udp_seed, sizeof h->udp_seed);
	host_datagram_init(h);
	for (uint32_t i = 0; i < HOST_STREAMS_MAX; i++)
		h->streams[i] = (struct node_stream){ .host = h, .number = i };
	loop_timer_init(h->loop, &h->timer, on_timer, h);
	host_trim_init(h);
	loop_defer_init(&h->again, on_again, h);
	loop_on_flush(h->loop, &h->flush, on_flush, h);
	h->node = node_new(&conf->node, e);
	if (!h->node || !open_sockets(h, conf, e)) {
		host_free(h);
		return NULL;
	}
	if (h->udp4 && conf->node.port_mapping && !(h->gateway = host_gateway_new(h, e))) {
		host_free(h);
		return NULL;
	}
	h->links = link_watch_new(h->loop, SPAN_MS(0), links_changed, h, e);
	if (!h->links)
		log_warn("host: changes of addresses are not seen: %s", e->text);
	return h;
}

void host_start(struct host *h)
{
	LOG_AS(h->label);

	h->started = true;
	publish_addresses(h);
	node_start(h->node, loop_now(h->loop), loop_wall());
	host_kick(h);
}

uint16_t host_port(const struct host *h)
{
	return h->udp4 ? udp_port(h->udp4) : h->udp6 ? udp_port(h->udp6) : 0;
}

bool host_leave(struct host *h)
{
	bool waits = node_gateway_leave(h->node, loop_now(h->loop));

	host_kick(h);
	return waits;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	h->closing = true;
	h->started = false;
	for (size_t i = 0; i < HOST_STREAMS_MAX; i++) {
		if (h->streams[i].s)
			stream_close(h->streams[i].s);
		forget_stream(&h->streams[i]);
	}
	host_flows_free(h);
	host_datagram_free(h);
	host_echo_free(h);
	host_name_free(h);
	host_doh_free(h);
	link_watch_free(h->links);
	host_gateway_free(h->gateway);
	udp_close(h->udp4);
	udp_close(h->udp6);
	loop_flush_del(&h->flush);
	loop_defer_cancel(&h->again);
	loop_timer_fini(&h->timer);
	loop_timer_fini(&h->trim);
	node_free(h->node);
	free(h->read_buf);
	free(h);
}
