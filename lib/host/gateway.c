/* host/gateway.c - what port mapping wants of the network: one UDP socket, small HTTP requests
 *
 * Requests go to the address that the node names, which is the gateway's: names are not looked up,
 * redirects not followed, proxies not used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/host_priv.h"
#include "os/http.h"
#include "path/portmap.h"

enum { GATEWAY_TIMEOUT_S = 4 }; /* below what the node waits */

struct request {
	struct host_gateway *gateway;
	struct http *http; /* NULL: the slot is free */
	uint32_t number;
};

struct host_gateway {
	struct host *host;
	struct udp *udp;
	struct request requests[PORTMAP_REQUESTS];
};

static void on_datagrams(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	struct host_gateway *g = ctx;
	LOG_AS(g->host->label);

	for (size_t i = 0; i < n; i++)
		node_gateway_recv(g->host->node, loop_now(g->host->loop), from,
				  bytes_of(v[i].data, v[i].len));
	host_kick(g->host);
}

static const struct udp_ops gateway_udp = { .recv = on_datagrams };

static void on_answer(void *ctx, const struct http_reply *reply, const struct err *why)
{
	struct request *rq = ctx;
	struct host *h = rq->gateway->host;
	LOG_AS(h->label);

	rq->http = NULL;
	if (why)
		log_debug("host: gateway: %s", why->text);
	node_gateway_answer(h->node, loop_now(h->loop), rq->number, reply ? reply->status : 0,
			    reply ? reply->body : bytes_of(NULL, 0));
	host_kick(h);
}

/* The node has at most as many requests under way as there are slots; it has lost interest in the
 * oldest when there is one more. */
static struct request *slot(struct host_gateway *g)
{
	struct request *oldest = &g->requests[0];

	for (size_t i = 0; i < PORTMAP_REQUESTS; i++) {
		if (!g->requests[i].http)
			return &g->requests[i];
		if (g->requests[i].number < oldest->number)
			oldest = &g->requests[i];
	}
	http_cancel(oldest->http);
	oldest->http = NULL;
	return oldest;
}

void host_gateway_http(struct host_gateway *g, const struct node_effect *ef)
{
	struct request *rq = slot(g);
	char name[IP_TEXT];
	struct http_conf conf = { .method = ef->method,
				  .target = ef->target,
				  .headers = ef->headers,
				  .body = ef->data,
				  .body_max = IGD_DESCRIPTION_MAX,
				  .timeout = SPAN_S(GATEWAY_TIMEOUT_S) };
	struct err e = { 0 };

	conf.stream.dial.host = ip_text(&ef->to.ip, name);
	conf.stream.dial.port = ef->to.port;
	conf.stream.dial.addrs = &ef->to.ip;
	conf.stream.dial.n_addrs = 1;
	rq->number = ef->request;
	rq->http = http_start(g->host->loop, &conf, on_answer, rq, &e);
	if (rq->http)
		return;
	log_debug("host: gateway: %s", e.text);
	node_gateway_answer(g->host->node, loop_now(g->host->loop), ef->request, 0,
			    bytes_of(NULL, 0));
}

void host_gateway_send(struct host_gateway *g, const struct node_effect *ef)
{
	uint8_t copy[PORTMAP_PACKET_MAX]; /* packets are not const */
	struct pkt p = { .data = copy, .len = (uint32_t)ef->data.len };
	int r;

	if (ef->data.len > sizeof copy)
		return;
	memcpy(copy, ef->data.data, ef->data.len);
	r = udp_send(g->udp, &ef->to, &p, 1);
	if (r < 0)
		log_debug("host: gateway: send: %s", strerror(-r));
}

void host_gateway_find(struct host_gateway *g, const struct link_addr *v, size_t n)
{
	struct ip gateway = { 0 }, own = { 0 };

	if (link_gateway(&gateway))
		for (size_t i = 0; i < n && ip_is_zero(&own); i++) {
			const struct ipprefix net = ipprefix_of(&v[i].ip, v[i].bits);

			if (ip_is_v4(&v[i].ip) && ipprefix_has(&net, &gateway))
				own = v[i].ip;
		}
	if (ip_is_zero(&own))
		gateway = own;
	node_set_gateway(g->host->node, loop_now(g->host->loop), &gateway, &own);
}

struct host_gateway *host_gateway_new(struct host *h, struct err *e)
{
	struct host_gateway *g = calloc(1, sizeof *g);

	if (!g) {
		err_set(e, ENOMEM, "port mapping");
		return NULL;
	}
	g->host = h;
	for (size_t i = 0; i < PORTMAP_REQUESTS; i++)
		g->requests[i].gateway = g;
	g->udp = udp_open(h->loop, AF_INET, 0, &gateway_udp, g, e);
	if (g->udp)
		return g;
	free(g);
	return NULL;
}

void host_gateway_free(struct host_gateway *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < PORTMAP_REQUESTS; i++)
		http_cancel(g->requests[i].http);
	udp_close(g->udp);
	free(g);
}
