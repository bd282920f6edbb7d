/* host/doh_test.c - resolvers over HTTPS on loopback; a node that never started asks them */
#include "host/doh.h"

#include "model/netmap.h"
#include "tests/doh_fixture.h"

static void begin(enum manner how)
{
	doh_world_init(loop_new(), how);
}

static void end(void)
{
	doh_world_fini();
	loop_free(loop);
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
