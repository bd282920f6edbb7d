/* tests/doh_fixture.h - for tests: a resolver over HTTPS and one on UDP, both on loopback, and a
 * host with a node that never started, which trusts the former */
#ifndef TESTS_DOH_FIXTURE_H
#define TESTS_DOH_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "os/listen.h"
#include "tests/host_fixture.h"
#include "wire/dns.h"
#include "wire/http1.h"

enum manner {
	ANSWERS,
	ONCE, /* hangs up when the next query comes on the same connection */
	REFUSES,
	OTHER, /* answers another question */
	LARGE, /* more than an ordinary datagram holds */
	SILENT
};
static enum manner manner;
static size_t n_accepted, n_asked;
static struct tls_server *tls_end;
static struct listener *listener;
static struct udp *udp;
static bool udp_answers;
static char url[64], dir[64];

/* --- the resolvers --- */

static size_t reply(struct bytes query, uint8_t *out, size_t cap)
{
	const struct ip v4 = ip_v4(192, 0, 2, 7);
	struct ip v6;
	struct dns_writer w;
	struct dns_reader q;
	struct dns_head h;

	ck_assert(ip_parse(bytes_str("2001:db8::7"), &v6));
	ck_assert(dns_open(&q, query));
	h = q.head;
	h.qr = true;
	if (manner == OTHER)
		q.q.class = 3;
	dns_begin(&w, out, cap, &h);
	dns_put_question(&w, &q.q);
	for (int i = 0; i < (manner == LARGE ? 60 : 1); i++)
		dns_put_ip(&w, DNS_ANSWER, q.q.name, 60, q.q.type == DNS_A ? &v4 : &v6);
	return dns_finish(&w);
}

struct conn {
	struct stream *s;
	struct buf in, out;
	uint8_t mem[2048];
	size_t n;
};

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct conn *c = ctx;

	(void)max;
	v[0] = (struct iovec){ c->mem, sizeof c->mem };
	return 1;
}

static void conn_end(struct conn *c)
{
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static bool take_query(struct conn *c) /* false: c is gone */
{
	struct http1_head h;
	uint8_t out[2048];
	struct bytes in;
	size_t len, n;

	http1_request_init(&h);
	if (http1_head_feed(&h, buf_bytes(&c->in)) != HTTP1_OK ||
	    c->in.len < h.len + h.content_length)
		return true;
	ck_assert(bytes_eq_str(h.method, "POST") && bytes_eq_str(h.target, "/q"));
	len = h.len + (size_t)h.content_length;
	in = bytes_of(buf_bytes(&c->in).data + h.len, (size_t)h.content_length);
	n_asked++;
	if (manner == ONCE && c->n++ > 0) {
		stream_close(c->s);
		conn_end(c);
		return false;
	}
	if (manner == REFUSES) {
		ck_assert(http1_emit_answer(&c->out, 403, NULL, bytes_of(NULL, 0), false));
	} else if (manner != SILENT) {
		n = reply(in, out, sizeof out);
		ck_assert(http1_emit_answer(&c->out, 200, "application/dns-message",
					    bytes_of(out, n), false));
	}
	buf_consume(&c->in, len);
	stream_kick(c->s);
	return true;
}

static void on_got(void *ctx, size_t n)
{
	struct conn *c = ctx;

	ck_assert(buf_append(&c->in, c->mem, n));
	(void)take_query(c);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	const struct bytes b = buf_bytes(&((struct conn *)ctx)->out);

	(void)max;
	v[0] = (struct iovec){ (void *)(uintptr_t)b.data, b.len };
	return b.len > 0;
}

static void on_sent(void *ctx, size_t n)
{
	buf_consume(&((struct conn *)ctx)->out, n);
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)why;
	conn_end(ctx);
}

static const struct stream_ops ops = {
	.room = on_room, .got = on_got, .data = on_data, .sent = on_sent, .closed = on_closed
};

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	struct conn *c = calloc(1, sizeof *c);

	(void)ctx;
	(void)from;
	ck_assert_ptr_nonnull(c);
	n_accepted++;
	buf_init(&c->in, 1 << 16);
	buf_init(&c->out, 1 << 16);
	c->s = stream_adopt_tls(loop, fd, tls_end, SPAN_S(10), &ops, c);
	ck_assert_ptr_nonnull(c->s);
}

static void on_datagrams(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	(void)ctx;
	for (size_t i = 0; udp_answers && i < n; i++) {
		uint8_t out[512];
		struct pkt p = { .data = out };

		p.len = (uint32_t)reply(bytes_of(v[i].data, v[i].len), out, sizeof out);
		(void)!udp_send(udp, from, &p, 1);
	}
}

static const struct udp_ops udp_ops = { .recv = on_datagrams };

/* --- the world --- */

static void doh_world_init(struct loop *l, enum manner how)
{
	char cert[96], key[96];
	struct tls_client_conf tc = { .ca_file = cert };
	struct err e = { 0 };

	manner = how;
	loop = l;
	snprintf(dir, sizeof dir, "/tmp/doh-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(cert, sizeof cert, "%s/c", dir);
	snprintf(key, sizeof key, "%s/k", dir);
	tls_end = tls_server_new_self("127.0.0.1", &e);
	ck_assert_msg(tls_end != NULL, "%s", e.text);
	ck_assert_int_eq(tls_server_save(tls_end, cert, key, &e), 0);
	tls = tls_client_new(&tc, &e);
	ck_assert_msg(tls != NULL, "%s", e.text);
	resolver = resolver_new(loop, NULL);
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &e);
	ck_assert_msg(listener != NULL, "%s", e.text);
	udp = udp_open(loop, AF_INET, 0, &udp_ops, NULL, &e);
	ck_assert_msg(udp != NULL, "%s", e.text);
	snprintf(url, sizeof url, "https://127.0.0.1:%u/q", listener_port(listener));
	host_fixture_make();
}

static void doh_world_fini(void) /* the loop stays */
{
	host_free(host);
	listener_close(listener);
	udp_close(udp);
	for (int i = 0; i < 20; i++) /* the server's ends see it */
		loop_turn(loop, SPAN_MS(5));
	resolver_free(resolver);
	tls_client_free(tls);
	tls_server_free(tls_end);
	for (const char *name = "ck"; *name; name++) {
		char path[sizeof dir + 2];

		snprintf(path, sizeof path, "%s/%c", dir, *name);
		unlink(path);
	}
	rmdir(dir);
}

#endif
