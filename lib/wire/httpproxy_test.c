/* wire/httpproxy_test.c */
#include "wire/httpproxy.h"

#include <stdlib.h>

#include "tests/harness.h"

static struct httpproxy *p;

static void start(const char *request)
{
	httpproxy_free(p);
	p = httpproxy_new();
	ck_assert_uint_eq(httpproxy_client(p, bytes_str(request)), strlen(request));
}

static void check_dial(const char *host, unsigned port)
{
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_DIAL);
	ck_assert_str_eq(httpproxy_host(p), host);
	ck_assert_uint_eq(httpproxy_port(p), port);
	ck_assert_uint_eq(httpproxy_to_backend(p).len, 0);
	httpproxy_dialed(p, 0, NULL);
}

static void check_out(struct bytes got, const char *want)
{
	ck_assert_msg(bytes_eq_str(got, want), "got \"%.*s\"", (int)got.len,
		      (const char *)got.data);
}

static void check_backend(const char *want)
{
	check_out(httpproxy_to_backend(p), want);
	httpproxy_backend_sent(p, strlen(want));
}

static void check_client(const char *want)
{
	check_out(httpproxy_to_client(p), want);
	httpproxy_client_sent(p, strlen(want));
}

static void check_refused(const char *request, const char *status)
{
	struct bytes out;

	start(request);
	out = httpproxy_to_client(p);
	ck_assert_msg(out.len > 12 && memcmp(out.data, status, strlen(status)) == 0, "%s -> %.*s",
		      request, (int)out.len, (const char *)out.data);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

static void answer(const char *text)
{
	ck_assert_uint_eq(httpproxy_backend(p, bytes_str(text)), strlen(text));
}

TEST(connect_becomes_a_tunnel_and_early_bytes_are_left)
{
	start("CONNECT web.tail.test:443 HTTP/1.1\r\nHost: web.tail.test:443\r\n\r\n\x16\x03");
	check_dial("web.tail.test", 443);
	check_client("HTTP/1.1 200 Connection established\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_TUNNEL);
	check_out(httpproxy_client_left(p), "\x16\x03");
}

TEST(connect_by_ipv6_address_is_dialled_without_brackets)
{
	start("CONNECT [fd7a::1]:22 HTTP/1.1\r\nHost: [fd7a::1]:22\r\n\r\n");
	check_dial("fd7a::1", 22);
}

TEST(an_absolute_request_is_rewritten_and_hop_by_hop_fields_stay_here)
{
	start(
	    "GET http://web:8080/a?b=c HTTP/1.1\r\nHost: other\r\nProxy-Connection: keep-alive\r\n"
	    "Connection: X-Hop, close\r\nX-Hop: 1\r\nProxy-Authorization: Basic eA==\r\nTE: "
	    "trailers\r\nAccept: */*\r\n\r\n");
	check_dial("web", 8080);
	check_backend(
	    "GET /a?b=c HTTP/1.1\r\nHost: web:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

TEST(the_clients_connection_carries_request_after_request)
{
	start(
	    "GET http://a/1 HTTP/1.1\r\nHost: a\r\n\r\nGET http://b/2 HTTP/1.1\r\nHost: b\r\n\r\n");
	check_dial("a", 80);
	check_backend("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\nConnection: "
	       "Keep-Alive\r\n\r\nhi");
	check_client("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
	check_dial("b", 80);
	check_backend("GET /2 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
	answer("HTTP/1.1 204 No Content\r\n\r\n");
	check_client("HTTP/1.1 204 No Content\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_NONE);
	httpproxy_client_end(p);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(bodies_pass_both_ways_framed_anew)
{
	start("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
	      "chunked\r\n\r\n3;x=y\r\nabc\r\n");
	check_dial("a", 80);
	check_backend("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: "
		      "close\r\n\r\n3\r\nabc\r\n");
	ck_assert_uint_eq(httpproxy_client(p, bytes_str("0\r\nTrailer: 1\r\n\r\n")), 17);
	check_backend("0\r\n\r\n");
	answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab");
	check_client("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
	answer("cd\r\n0\r\n\r\n");
	check_client("2\r\ncd\r\n0\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
}

TEST(a_body_that_ends_with_the_connection_closes_the_clients_too)
{
	start("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
	check_dial("a", 80);
	answer("HTTP/1.0 200 OK\r\n\r\nab");
	check_client("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab");
	httpproxy_backend_end(p);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(a_client_of_http_1_0_gets_no_chunks_and_no_interim_answer)
{
	start("GET http://a/ HTTP/1.0\r\n\r\n");
	check_dial("a", 80);
	answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
	       "chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
	check_client("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(interim_answers_pass_and_the_answer_to_head_has_no_body)
{
	start("HEAD http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
	check_dial("a", 80);
	answer("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
	       "9999\r\n\r\n");
	check_client("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
		     "OK\r\nContent-Length: 9999\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
}

TEST(an_upgrade_that_the_server_grants_becomes_a_tunnel)
{
	start("GET http://a/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: "
	      "websocket\r\n\r\n");
	check_dial("a", 80);
	check_backend(
	    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
	answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
	       "websocket\r\n\r\nWS");
	check_client("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: "
		     "websocket\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_TUNNEL);
	check_out(httpproxy_backend_left(p), "WS");
}

TEST(an_upgrade_that_nobody_asked_for_is_a_bad_gateway)
{
	start("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
	check_dial("a", 80);
	answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
	ck_assert(memcmp(httpproxy_to_client(p).data, "HTTP/1.1 502 ", 13) == 0);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(what_is_no_proxy_request_gets_400)
{
	check_refused("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ");
	check_refused("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ");
	check_refused("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ");
	check_refused("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ");
	check_refused("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ");
	check_refused("CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ");
	check_refused("nonsense\r\n\r\n", "HTTP/1.1 400 ");
	check_refused("GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: "
		      "1\r\nTransfer-Encoding: chunked\r\n\r\n",
		      "HTTP/1.1 400 ");
}

TEST(a_failed_dial_is_told_with_its_status)
{
	start("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_DIAL);
	httpproxy_dialed(p, 504, "a:1 did not answer");
	check_client("HTTP/1.1 504 Gateway Timeout\r\nContent-Type: text/plain; "
		     "charset=utf-8\r\nContent-Length: 19\r\n"
		     "Connection: close\r\n\r\na:1 did not answer\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(a_server_that_dies_early_is_a_bad_gateway_and_a_torn_body_closes)
{
	start("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
	check_dial("a", 80);
	answer("HTTP/1.1 200");
	httpproxy_backend_end(p);
	ck_assert(memcmp(httpproxy_to_client(p).data, "HTTP/1.1 502 ", 13) == 0);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);

	start("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
	check_dial("a", 80);
	answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
	httpproxy_backend_end(p);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(a_server_that_answers_before_the_request_is_whole_ends_the_clients_connection)
{
	start("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab");
	check_dial("a", 80);
	answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(a_client_that_leaves_within_a_body_is_not_taken_for_done)
{
	start("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab");
	check_dial("a", 80);
	httpproxy_client_end(p);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(a_slow_side_stops_the_other_and_nothing_is_lost)
{
	static uint8_t block[8192];
	struct bytes out;
	size_t in = 0, got = 0, n, total = 1 << 20;
	uint8_t want = 0;
	char head[64];

	start("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
	check_dial("a", 80);
	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", total);
	answer(head);
	check_client(head);
	while (got < total) {
		do {
			n = MIN_OF(sizeof block, total - in);
			for (size_t i = 0; i < n; i++)
				block[i] = (uint8_t)((in + i) * 7);
			n = httpproxy_backend(p, bytes_of(block, n));
			in += n;
		} while (n > 0);
		out = httpproxy_to_client(p);
		ck_assert_uint_le(out.len, HTTPPROXY_OUT_MAX + HTTPPROXY_IN_MAX);
		ck_assert_uint_gt(out.len, 0);
		n = MIN_OF(out.len, 5000);
		for (size_t i = 0; i < n; i++, want = (uint8_t)(want + 7))
			ck_assert_uint_eq(out.data[i], want);
		got += n;
		httpproxy_client_sent(p, n);
	}
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
}

TEST(an_exchange_may_be_cut_anywhere)
{
	const char *req = "PUT http://a/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
	const char *resp =
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";

	for (size_t cut = 1; cut < strlen(req); cut++) {
		start("");
		httpproxy_client(p, bytes_of(req, cut));
		if (httpproxy_next(p) == HTTPPROXY_DIAL)
			httpproxy_dialed(p, 0, NULL);
		httpproxy_client(p, bytes_str(req + cut));
		if (httpproxy_next(p) == HTTPPROXY_DIAL)
			httpproxy_dialed(p, 0, NULL);
		check_backend("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: "
			      "close\r\n\r\nabc");
		for (size_t i = 0; i < strlen(resp); i++)
			ck_assert_uint_eq(httpproxy_backend(p, bytes_of(resp + i, 1)), 1);
		check_client("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
			     "chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n");
		ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
	}
}

/* --- reverse --- */

static void reverse(const char *request)
{
	httpproxy_free(p);
	p = httpproxy_new_reverse();
	ck_assert_uint_eq(httpproxy_client(p, bytes_str(request)), strlen(request));
}

static struct httpproxy_request asked(void)
{
	struct httpproxy_request rq;

	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_REQUEST);
	ck_assert(httpproxy_request(p, &rq));
	return rq;
}

TEST(reverse_each_request_is_asked_about_and_fields_are_put_instead_of_the_clients)
{
	const struct httpproxy_field set[] = { { "X-Forwarded-For", bytes_str("100.64.0.2") },
					       { "Tailscale-", { 0 } },
					       { "Tailscale-User-Login", bytes_str("me@x") } };
	struct httpproxy_request rq;

	reverse("POST /app/x?q=1 HTTP/1.1\r\nHost: web.tail.test\r\nX-Forwarded-For: 6.6.6.6\r\n"
		"tailscale_user_LOGIN: root\r\nTailscale-Funnel-Request: ?1\r\nX-Other: 1\r\n"
		"Content-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\nHost: b\r\n\r\n");
	rq = asked();
	ck_assert(bytes_eq_str(rq.host, "web.tail.test") && bytes_eq_str(rq.target.path, "/app/x"));
	ck_assert(httpproxy_route(
	    p, &(struct httpproxy_route){
		   .target = bytes_str("/x?q=1"), .host = rq.host, .set = set, .n_set = 3 }));
	ck_assert_uint_eq(httpproxy_to_backend(p).len, 0); /* not before it is dialled */
	httpproxy_dialed(p, 0, "");
	check_backend("POST /x?q=1 HTTP/1.1\r\nHost: web.tail.test\r\nX-Other: 1\r\n"
		      "X-Forwarded-For: 100.64.0.2\r\nTailscale-User-Login: me@x\r\n"
		      "Content-Length: 2\r\nConnection: close\r\n\r\nhi");
	answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	check_client("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
	rq = asked();
	ck_assert(bytes_eq_str(rq.host, "b"));
	httpproxy_answer(p, 200, "text/plain", NULL, 0, bytes_str("hello"));
	check_client(
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_NONE);
	httpproxy_client_end(p);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(reverse_nothing_is_taken_while_a_request_waits_to_be_decided)
{
	const char two[] = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
			   "GET /second?x HTTP/1.1\r\nHost: b\r\n\r\n";
	struct httpproxy_request rq;
	char more[8000];

	memset(more, 'm', sizeof more);
	httpproxy_free(p);
	p = httpproxy_new_reverse();
	ck_assert_uint_eq(httpproxy_client(p, bytes_str(two)), strlen(two));
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_REQUEST);
	httpproxy_answer(p, 204, NULL, NULL, 0, bytes_of(NULL, 0));
	httpproxy_client_sent(p, httpproxy_to_client(p).len); /* the second is found */
	ck_assert_uint_eq(httpproxy_client(p, bytes_of(more, sizeof more)), 0);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_REQUEST);
	ck_assert(httpproxy_request(p, &rq));
	ck_assert(bytes_eq_str(rq.target.path, "/second"));
	ck_assert(bytes_eq_str(rq.host, "b"));
	httpproxy_answer(p, 204, NULL, NULL, 0, bytes_of(NULL, 0));
	ck_assert_uint_eq(httpproxy_client(p, bytes_of(more, sizeof more)), sizeof more);
}

TEST(reverse_an_absolute_target_names_the_host_and_other_forms_are_refused)
{
	static const char *const bad[] = { "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
					   "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
					   "GET a HTTP/1.1\r\nHost: a\r\n\r\n" };
	struct httpproxy_request rq;

	reverse("GET http://one/x HTTP/1.1\r\nHost: two\r\n\r\n");
	rq = asked();
	ck_assert(bytes_eq_str(rq.host, "one") && bytes_eq_str(rq.target.path, "/x"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		reverse(bad[i]);
		ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
		ck_assert_int_eq(memcmp(httpproxy_to_client(p).data, "HTTP/1.1 400", 12), 0);
	}
}

TEST(reverse_an_upgrade_becomes_a_tunnel_and_head_gets_no_body)
{
	struct httpproxy_request rq;

	reverse("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	rq = asked();
	ck_assert(httpproxy_route(
	    p, &(struct httpproxy_route){ .target = rq.target.path, .host = rq.host }));
	httpproxy_dialed(p, 0, "");
	check_backend(
	    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
	answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
	       "Upgrade\r\n\r\nxy");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_TUNNEL);
	ck_assert(bytes_eq_str(httpproxy_backend_left(p), "xy"));

	reverse("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: H2c\r\n"
		"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n");
	rq = asked();
	ck_assert(httpproxy_route(
	    p, &(struct httpproxy_route){ .target = rq.target.path, .host = rq.host }));
	httpproxy_dialed(p, 0, "");
	check_backend("GET / HTTP/1.1\r\nHost: a\r\nHTTP2-Settings: "
		      "AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: close\r\n\r\n");

	reverse("HEAD / HTTP/1.0\r\nHost: a\r\n\r\n");
	(void)asked();
	httpproxy_answer(p, 404, "text/plain", NULL, 0, bytes_str("none"));
	check_client("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
		     "Connection: close\r\n\r\n");
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_CLOSE);
}

TEST(reverse_answers_that_nobody_takes_stop_the_reading_of_requests)
{
	static const char one[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	static uint8_t body[32 << 10];
	size_t taken = 0;

	reverse(one);
	for (int i = 0; i < 5000; i++) {
		taken += httpproxy_client(p, bytes_str(one));
		if (httpproxy_next(p) == HTTPPROXY_REQUEST)
			httpproxy_answer(p, 200, NULL, NULL, 0, bytes_of(body, sizeof body));
	}
	ck_assert_uint_le(httpproxy_to_client(p).len, HTTPPROXY_OUT_MAX + 2 * HTTPPROXY_IN_MAX);
	ck_assert_uint_le(taken, HTTPPROXY_IN_MAX + 4 * sizeof one);
	httpproxy_client_sent(p, httpproxy_to_client(p).len);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_REQUEST); /* it goes on */
}

TEST(reverse_knows_whose_turn_it_is)
{
	struct httpproxy_request rq;

	reverse("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
	rq = asked();
	ck_assert(!httpproxy_client_owes(p));
	ck_assert(httpproxy_route(
	    p, &(struct httpproxy_route){ .target = rq.target.path, .host = rq.host }));
	ck_assert(!httpproxy_client_owes(p)); /* the back end is dialled */
	httpproxy_dialed(p, 0, "");
	ck_assert(!httpproxy_client_owes(p)); /* it does not take the head */
	httpproxy_backend_sent(p, httpproxy_to_backend(p).len);
	ck_assert(httpproxy_client_owes(p)); /* a body */
	ck_assert_uint_eq(httpproxy_client(p, bytes_str("ab")), 2);
	ck_assert(!httpproxy_client_owes(p));
	httpproxy_backend_sent(p, 2);
	ck_assert(httpproxy_client_owes(p)); /* its rest */
	ck_assert_uint_eq(httpproxy_client(p, bytes_str("cd")), 2);
	httpproxy_backend_sent(p, 2);
	ck_assert(!httpproxy_client_owes(p)); /* the answer is the back end's */
	answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nxy");
	ck_assert(httpproxy_client_owes(p)); /* reading */
	httpproxy_client_sent(p, httpproxy_to_client(p).len);
	ck_assert(!httpproxy_client_owes(p)); /* half an answer */
	answer("zz");
	httpproxy_client_sent(p, httpproxy_to_client(p).len);
	ck_assert_int_eq(httpproxy_next(p), HTTPPROXY_HANGUP);
	ck_assert(httpproxy_client_owes(p)); /* a next request */
}
