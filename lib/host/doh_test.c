/* host/doh_test.c - resolvers over HTTPS on loopback; a node that never started asks them */
#include "host/doh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "host/host_priv.h"
#include "model/netmap.h"
#include "os/file.h"
#include "os/listen.h"
#include "tests/harness.h"
#include "wire/dns.h"
#include "wire/http1.h"

enum manner {
	ANSWERS,
	ONCE, /* hangs up when the next query comes on the same connection */
	REFUSES,
	OTHER, /* answers another question */
	SILENT
};
static enum manner manner;
static size_t n_accepted, n_asked;
static struct loop *loop;
static struct host *host;
static struct resolver *resolver;
static struct tls_client *client;
static struct tls_server *tls;
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
	uint8_t out[512];
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
	c->s = stream_adopt_tls(loop, fd, tls, SPAN_S(10), &ops, c);
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

static void begin(enum manner how)
{
	static const struct host_ops none;
	struct host_conf hc = { .ops = &none };
	char cert[96], key[96];
	struct tls_client_conf tc = { .ca_file = cert };
	struct err e = { 0 };

	manner = how;
	loop = loop_new();
	snprintf(dir, sizeof dir, "/tmp/doh-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(cert, sizeof cert, "%s/c", dir);
	snprintf(key, sizeof key, "%s/k", dir);
	tls = tls_server_new_self("127.0.0.1", &e);
	ck_assert_msg(tls != NULL, "%s", e.text);
	ck_assert_int_eq(tls_server_save(tls, cert, key, &e), 0);
	client = tls_client_new(&tc, &e);
	ck_assert_msg(client != NULL, "%s", e.text);
	resolver = resolver_new(loop, NULL);
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &e);
	ck_assert_msg(listener != NULL, "%s", e.text);
	udp = udp_open(loop, AF_INET, 0, &udp_ops, NULL, &e);
	ck_assert_msg(udp != NULL, "%s", e.text);
	snprintf(url, sizeof url, "https://127.0.0.1:%u/q", listener_port(listener));
	hc.loop = loop;
	hc.resolver = resolver;
	hc.tls = client;
	hc.node.rng = &os_rng;
	hc.node.control_url = "http://127.0.0.1:9";
	hc.node.hostinfo.hostname = "test";
	key_gen(&hc.node.machine, &os_rng);
	key_gen(&hc.node.node, &os_rng);
	key_gen(&hc.node.disco, &os_rng);
	host = host_new(&hc, &e);
	ck_assert_msg(host != NULL, "%s", e.text);
}

static void end(void)
{
	host_free(host);
	listener_close(listener);
	udp_close(udp);
	for (int i = 0; i < 20; i++) /* the server's ends see it */
		loop_turn(loop, SPAN_MS(5));
	resolver_free(resolver);
	tls_client_free(client);
	tls_server_free(tls);
	loop_free(loop);
	unlink(strcat(dir, "/c"));
	dir[strlen(dir) - 1] = 'k';
	unlink(dir);
	dir[strlen(dir) - 2] = 0;
	rmdir(dir);
}

static struct came {
	size_t n, n_empty;
	uint16_t id;
} came;

static void on_answer(void *ctx, struct bytes answer)
{
	struct dns_reader r;

	(void)ctx;
	came.n++;
	if (answer.len == 0)
		came.n_empty++;
	else if (dns_open(&r, answer))
		came.id = r.head.id;
}

static struct host_doh_query *ask(uint16_t id)
{
	const struct dns_head h = { .id = id, .rd = true };
	const struct dns_question q = { .name = "www.example", .type = DNS_A, .class = DNS_IN };
	uint8_t buf[128];
	struct dns_writer w;

	dns_begin(&w, buf, sizeof buf, &h);
	dns_put_question(&w, &q);
	return host_doh_ask(host, url, bytes_of(buf, dns_finish(&w)), on_answer, NULL);
}

static void wait_for(size_t n)
{
	for (int i = 0; i < 4000 && came.n < n; i++)
		loop_turn(loop, SPAN_MS(5));
	ck_assert_uint_eq(came.n, n);
}

TEST(doh_queries_share_kept_connections)
{
	begin(ANSWERS);
	for (uint16_t i = 1; i <= 10; i++)
		ck_assert_ptr_nonnull(ask(i));
	ck_assert_uint_eq(came.n, 0);
	wait_for(10);
	ck_assert_uint_eq(came.n_empty, 0);
	ck_assert_uint_le(n_accepted, HOST_DOH_CONNS);
	ck_assert_ptr_nonnull(ask(77));
	wait_for(11);
	ck_assert_uint_eq(came.id, 77);
	ck_assert_uint_le(n_accepted, HOST_DOH_CONNS);
	ck_assert(!host_doh_is_down(host, url));
	end();
}

TEST(doh_query_on_a_connection_that_was_hung_up_is_asked_again)
{
	begin(ONCE);
	ck_assert_ptr_nonnull(ask(1));
	wait_for(1);
	ck_assert_ptr_nonnull(ask(2));
	wait_for(2);
	ck_assert_uint_eq(came.n_empty, 0);
	ck_assert_uint_eq(n_asked, 3);
	end();
}

TEST(doh_failures_are_empty_answers_and_mark_the_server)
{
	static const enum manner bad[] = { REFUSES, OTHER };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		came = (struct came){ 0 };
		begin(bad[i]);
		ck_assert_ptr_nonnull(ask(1));
		wait_for(1);
		ck_assert_uint_eq(came.n_empty, 1);
		ck_assert(host_doh_is_down(host, url));
		end();
	}
	came = (struct came){ 0 };
	begin(ANSWERS);
	listener_close(listener); /* nobody is there */
	listener = NULL;
	ck_assert_ptr_nonnull(ask(1));
	ck_assert_ptr_nonnull(ask(2));
	wait_for(2);
	ck_assert_uint_eq(came.n_empty, 2);
	end();
}

TEST(doh_silent_server_runs_into_the_limit_and_queries_are_bounded)
{
	struct host_doh_query *q[HOST_DOH_QUERIES];

	begin(SILENT);
	for (size_t i = 0; i < ARRAY_LEN(q); i++)
		ck_assert_ptr_nonnull(q[i] = ask((uint16_t)i));
	ck_assert_ptr_null(ask(1));
	for (size_t i = HOST_DOH_CONNS; i < ARRAY_LEN(q); i++)
		host_doh_cancel(q[i]);
	wait_for(HOST_DOH_CONNS);
	ck_assert_uint_eq(came.n_empty, HOST_DOH_CONNS);
	ck_assert(host_doh_is_down(host, url));
	end();
}

TEST(doh_cancelled_query_is_not_answered)
{
	struct host_doh_query *q;

	begin(ANSWERS);
	ck_assert_ptr_nonnull(q = ask(1));
	host_doh_cancel(q);
	ck_assert_ptr_nonnull(q = ask(2));
	while (n_asked == 0) /* it has gone out */
		loop_turn(loop, SPAN_MS(5));
	host_doh_cancel(q);
	ck_assert_ptr_nonnull(ask(3));
	wait_for(1);
	ck_assert_uint_eq(came.id, 3);
	end();
}

TEST(doh_servers_are_bounded_and_plain_http_stays_in_the_tailnet)
{
	char first[sizeof url];

	begin(SILENT);
	memcpy(first, url, sizeof url);
	for (unsigned i = 0; i < HOST_DOH_SERVERS; i++) {
		snprintf(url, sizeof url, "https://127.0.0.1:%u/%u", listener_port(listener), i);
		ck_assert_ptr_nonnull(ask(1));
	}
	memcpy(url, first, sizeof url);
	ck_assert_ptr_null(ask(1)); /* all are being asked */
	host_doh_free(host);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/q", listener_port(listener));
	ck_assert_ptr_nonnull(ask(1));
	wait_for(1);
	ck_assert_uint_eq(came.n_empty, 1);
	snprintf(url, sizeof url, "nonsense");
	ck_assert_ptr_null(ask(1));
	end();
}

/* --- names, by what control says --- */

static size_t n_found;
static bool has_answered;

static void on_found(void *ctx, const struct ip *v, size_t n)
{
	(void)ctx;
	(void)v;
	n_found = n;
	has_answered = true;
}

static void set_dns(const char *resolvers)
{
	struct netmap *nm = node_netmap(host_node(host));
	char text[1024];
	struct err e;

	snprintf(text, sizeof text,
		 "{\"Node\":{\"ID\":1,\"Name\":\"me.t.\",\"Key\":\"nodekey:%064d\"},"
		 "\"DNSConfig\":{\"Routes\":{\"split.test\":[%s]}}}",
		 1, resolvers);
	netmap_begin(nm);
	ck_assert_int_eq(netmap_feed(nm, bytes_str(text)), 0);
	ck_assert_int_eq(netmap_end(nm, loop_wall(), &e), 0);
}

static size_t look_up(const char *name)
{
	has_answered = false;
	ck_assert_ptr_nonnull(host_lookup(host, name, on_found, NULL));
	for (int i = 0; i < 4000 && !has_answered; i++)
		loop_turn(loop, SPAN_MS(5));
	ck_assert(has_answered);
	return n_found;
}

TEST(lookup_by_https_alone_and_beside_port_53)
{
	char text[256];

	begin(ANSWERS);
	snprintf(text, sizeof text, "{\"Addr\":\"%s\"}", url);
	set_dns(text);
	ck_assert_uint_eq(look_up("www.split.test"), 2);
	ck_assert_uint_eq(n_asked, 2);
	/* one of both is silent: the other's answer counts, whichever it is */
	snprintf(text, sizeof text, "{\"Addr\":\"127.0.0.1:%u\"},{\"Addr\":\"%s\"}", udp_port(udp),
		 url);
	set_dns(text);
	ck_assert_uint_eq(look_up("www.split.test."), 2);
	manner = REFUSES;
	udp_answers = true;
	ck_assert_uint_eq(look_up("www.split.test"), 2);
	/* nobody answers */
	snprintf(text, sizeof text, "{\"Addr\":\"%s\"}", url);
	set_dns(text);
	ck_assert_uint_eq(look_up("www.split.test"), 0);
	set_dns("{\"Addr\":\"tls://127.0.0.1\"}");
	ck_assert_uint_eq(look_up("www.split.test"), 0);
	end();
}
