/* host/proxy_test.c - the proxies against ordinary sockets on loopback; a node that never started
 * is behind them
 *
 * The tailnet's side of a tunnel is e2e/t-10's; here are the handshakes, reply codes, half-close,
 * forwarding, UDP.
 */
#include "host/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/proxy_priv.h"
#include "netstack/stack.h"
#include "tests/host_fixture.h"
#include "tests/loopback.h"

static struct proxy_server *server;
static struct proxy_stat stat;
static unsigned ended_s, name_s; /* of the next server */

static void start(bool tailnet_only)
{
	struct proxy_conf pc = { .socks5 = "127.0.0.1:0",
				 .http = "127.0.0.1:0",
				 .tailnet_only = tailnet_only,
				 .ended_s = ended_s,
				 .name_s = name_s };
	struct err e = { 0 };

	host_fixture_init();
	pc.host = host;
	server = proxy_server_new(&pc, &e);
	ck_assert_msg(server != NULL, "%s", e.text);
	proxy_server_stat(server, &stat);
}

static void stop(void)
{
	proxy_server_free(server);
	host_fixture_fini();
}

/* Turns the loop until n bytes have come; 0 bytes wanted: until the end of the stream. */
static size_t get(int fd, uint8_t *buf, size_t n)
{
	size_t got = 0;

	for (int i = 0; i < 2000; i++) {
		ssize_t k = recv(fd, buf + got, n ? n - got : 64, 0);

		if (k > 0) {
			got += (size_t)k;
			ck_assert_uint_gt(n, 0);
		} else if (k == 0) {
			return got;
		} else {
			ck_assert_int_eq(errno, EAGAIN);
		}
		if (n && got == n)
			return got;
		loop_turn(loop, SPAN_MS(5));
	}
	ck_abort_msg("%zu of %zu bytes came", got, n);
	return 0;
}

static int accept_one(int lfd)
{
	for (int i = 0; i < 2000; i++) {
		int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);

		if (fd >= 0)
			return fd;
		loop_turn(loop, SPAN_MS(5));
	}
	ck_abort_msg("nobody connected");
	return -1;
}

static void put(int fd, const void *data, size_t n)
{
	ck_assert_int_eq(send(fd, data, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void put_text(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

static void check_text(int fd, const char *want)
{
	uint8_t buf[1024];
	size_t n = get(fd, buf, strlen(want));

	ck_assert_msg(bytes_eq_str(bytes_of(buf, n), want), "got \"%.*s\"", (int)n, (char *)buf);
}

/* A SOCKS5 request for an address; returns the reply code. */
static uint8_t socks(int fd, uint8_t command, const uint8_t ip[4], uint16_t port, uint8_t reply[10])
{
	const uint8_t req[] = { 5,
				1,
				0,
				5,
				command,
				0,
				1,
				ip[0],
				ip[1],
				ip[2],
				ip[3],
				(uint8_t)(port >> 8),
				(uint8_t)port };
	uint8_t hello[2];

	put(fd, req, sizeof req);
	ck_assert_uint_eq(get(fd, hello, 2), 2);
	ck_assert_uint_eq(hello[0] << 8 | hello[1], 0x0500);
	ck_assert_uint_eq(get(fd, reply, 10), 10);
	return reply[1];
}

static const uint8_t local[4] = { 127, 0, 0, 1 };

TEST(socks5_connect_carries_both_ways_and_each_end_by_itself)
{
	uint8_t reply[10], buf[8];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b;

	start(false);
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 1, local, port, reply), 0);
	ck_bytes_eq(reply + 4, local, 4); /* the bound address */
	b = accept_one(lfd);
	put_text(c, "question");
	check_text(b, "question");
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	ck_assert_uint_eq(get(b, buf, 0), 0); /* the end came through */
	put_text(b, "answer after the end");
	check_text(c, "answer after the end");
	close(b);
	ck_assert_uint_eq(get(c, buf, 0), 0);
	for (int i = 0; i < 100 && (proxy_server_stat(server, &stat), stat.pipes || stat.clients);
	     i++)
		loop_turn(loop, SPAN_MS(5));
	ck_assert_uint_eq(stat.pipes + stat.clients, 0);
	close(c);
	close(lfd);
	stop();
}

static void no_pipe_stays(void)
{
	for (int i = 0; i < 100 && (proxy_server_stat(server, &stat), stat.pipes || stat.clients);
	     i++)
		loop_turn(loop, SPAN_MS(5));
	ck_assert_uint_eq(stat.pipes + stat.clients, 0);
}

/* A client need not wait for the answer to what it asks of the proxy, nor keep its side open. */
TEST(an_end_that_came_before_the_tunnel_stood_is_passed_on)
{
	uint8_t buf[64];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b;

	start(false);
	for (int http = 0; http < 2; http++) {
		const uint8_t socks5[] = {
			5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, (uint8_t)(port >> 8), (uint8_t)port
		};
		char connect[128];

		snprintf(connect, sizeof connect,
			 "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\n", port);
		c = loopback_dial(http ? stat.http_port : stat.socks5_port);
		if (http)
			put_text(c, connect);
		else
			put(c, socks5, sizeof socks5);
		put_text(c, "question");
		ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
		b = accept_one(lfd);
		check_text(b, "question");
		ck_assert_uint_eq(get(b, buf, 0), 0);
		put_text(b, "answer");
		close(b);
		if (http)
			check_text(c, "HTTP/1.1 200 Connection established\r\n\r\n");
		else
			ck_assert_uint_eq(get(c, buf, 12), 12);
		check_text(c, "answer");
		ck_assert_uint_eq(get(c, buf, 0), 0);
		close(c);
		no_pipe_stays();
	}
	close(lfd);
	stop();
}

TEST(socks5_tells_why_a_destination_is_not_reached)
{
	static const uint8_t nobody[4] = { 100, 64, 9, 9 };
	uint8_t reply[10];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c;

	close(lfd); /* nobody listens there now */
	start(false);
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 1, local, port, reply), 5);
	ck_assert_uint_eq(get(c, reply, 0), 0);
	close(c);
	c = loopback_dial(
	    stat.socks5_port); /* of the tailnet's range, and nobody's: never tried outside */
	ck_assert_uint_eq(socks(c, 1, nobody, 80, reply), 4);
	close(c);
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 2, local, port, reply), 7);
	close(c);
	stop();
}

TEST(with_the_switch_nothing_outside_the_tailnet_is_dialled)
{
	uint8_t reply[10];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c;

	start(true);
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 1, local, port, reply), 2);
	close(c);
	c = loopback_dial(stat.http_port);
	put_text(c, "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n");
	check_text(c, "HTTP/1.1 403 ");
	ck_assert_int_lt(accept(lfd, NULL, NULL), 0);
	close(c);
	close(lfd);
	stop();
}

TEST(http_connect_becomes_a_tunnel_with_early_bytes)
{
	char req[128];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b;

	start(false);
	c = loopback_dial(stat.http_port);
	snprintf(req, sizeof req, "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\nearly", port);
	put_text(c, req);
	b = accept_one(lfd);
	check_text(c, "HTTP/1.1 200 Connection established\r\n\r\n");
	check_text(b, "early");
	put_text(b, "hello");
	check_text(c, "hello");
	close(b);
	close(c);
	close(lfd);
	stop();
}

TEST(http_requests_are_forwarded_one_after_the_other_on_one_connection)
{
	char req[128], want[128];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b;

	start(false);
	c = loopback_dial(stat.http_port);
	for (int i = 0; i < 3; i++) {
		snprintf(req, sizeof req, "GET http://127.0.0.1:%u/%d HTTP/1.1\r\nHost: x\r\n\r\n",
			 port, i);
		put_text(c, req);
		b = accept_one(lfd);
		snprintf(want, sizeof want,
			 "GET /%d HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", i,
			 port);
		check_text(b, want);
		put_text(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		close(b);
		check_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
	put_text(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	check_text(c, "HTTP/1.1 400 ");
	close(c);
	close(lfd);
	stop();
}

TEST(an_http_exchange_that_nobody_may_wait_for_ends)
{
	char req[128];
	uint8_t buf[256];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b;

	ended_s = 1;
	start(false);
	c = loopback_dial(stat.http_port);
	snprintf(req, sizeof req, "GET http://127.0.0.1:%u/ HTTP/1.1\r\nHost: x\r\n\r\n", port);
	put_text(c, req);
	b = accept_one(lfd);
	check_text(b, "GET / HTTP/1.1\r\n");
	close(c);
	for (int i = 0; i < 600 && (proxy_server_stat(server, &stat), stat.clients); i++)
		loop_turn(loop, SPAN_MS(5));
	ck_assert_uint_eq(stat.clients, 0);
	while (recv(b, buf, sizeof buf, 0) > 0)
		;
	ck_assert_int_eq(recv(b, buf, sizeof buf, 0), 0);
	close(b);
	close(lfd);
	stop();
}

TEST(a_refused_back_end_is_a_bad_gateway)
{
	char req[128];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c;

	close(lfd);
	start(false);
	c = loopback_dial(stat.http_port);
	snprintf(req, sizeof req, "GET http://127.0.0.1:%u/ HTTP/1.1\r\nHost: x\r\n\r\n", port);
	put_text(c, req);
	check_text(c, "HTTP/1.1 502 ");
	close(c);
	stop();
}

TEST(udp_associate_relays_datagrams_and_ends_with_its_connection)
{
	uint8_t reply[10], buf[64], in[32] = { 0, 0, 0, 1, 127, 0, 0, 1 };
	uint16_t port, mine;
	struct sockaddr_in relay, from;
	socklen_t len = sizeof from;
	int echo = loopback_listen(SOCK_DGRAM, &port), u = loopback_listen(SOCK_DGRAM, &mine), c;
	ssize_t n = -1;

	start(false);
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 3, (const uint8_t[4]){ 0 }, 0, reply), 0);
	relay = loopback((uint16_t)(reply[8] << 8 | reply[9]));
	in[8] = (uint8_t)(port >> 8);
	in[9] = (uint8_t)port;
	memcpy(in + 10, "ping", 4);
	ck_assert_int_eq(sendto(u, in, 14, 0, (struct sockaddr *)&relay, sizeof relay), 14);
	for (int i = 0; i < 2000 && n < 0; i++) {
		n = recvfrom(echo, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
		loop_turn(loop, SPAN_MS(1));
	}
	ck_assert_int_eq(n, 4);
	ck_bytes_eq(buf, "ping", 4);
	ck_assert_int_eq(sendto(echo, "pong", 4, 0, (struct sockaddr *)&from, len), 4);
	for (int i = 0, k = -1; i < 2000 && k < 0; i++) {
		k = (int)(n = recv(u, buf, sizeof buf, 0));
		loop_turn(loop, SPAN_MS(1));
	}
	ck_assert_int_eq(n, 14);
	ck_bytes_eq(buf, in, 10); /* from where it came */
	ck_bytes_eq(buf + 10, "pong", 4);
	close(c);
	for (int i = 0; i < 200 && (proxy_server_stat(server, &stat), stat.associations); i++)
		loop_turn(loop, SPAN_MS(5));
	ck_assert_uint_eq(stat.associations, 0);
	close(u);
	close(echo);
	stop();
}

/* a.tail.test is this node, so that its datagrams reach loopback; the peer's go nowhere. */
static void load(const char *own, const char *peer)
{
	char map[1024];

	snprintf(map, sizeof map,
		 "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"%s.tail.test.\",\"Key\":"
		 "\"nodekey:%064d\",\"Addresses\":[\"100.64.0.1/32\"],\"MachineAuthorized\":true},"
		 "\"Peers\":[{\"ID\":2,\"StableID\":\"n2\",\"Name\":\"%s.tail.test.\",\"Key\":"
		 "\"nodekey:%064d\",\"Addresses\":[\"100.64.0.2/32\"]}],\"DNSConfig\":{"
		 "\"Domains\":[\"tail.test\"],\"Proxied\":true}}",
		 own, 1, peer, 2);
	host_fixture_load(map);
}

TEST(a_name_of_an_association_is_asked_again_after_a_while)
{
	uint8_t reply[10], buf[64], to[64] = { 0, 0, 0, 3, 21 };
	uint16_t port, mine;
	struct sockaddr_in relay;
	int echo = loopback_listen(SOCK_DGRAM, &port), u = loopback_listen(SOCK_DGRAM, &mine), c;
	ssize_t n = -1;
	mono_t then;

	name_s = 1;
	start(false);
	load("other", "moved-to-me");
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 3, (const uint8_t[4]){ 0 }, 0, reply), 0);
	relay = loopback((uint16_t)(reply[8] << 8 | reply[9]));
	memcpy(to + 5, "moved-to-me.tail.test", 21);
	to[26] = (uint8_t)(port >> 8);
	to[27] = (uint8_t)port;
	to[28] = 'x';
	ck_assert_int_eq(sendto(u, to, 29, 0, (struct sockaddr *)&relay, sizeof relay), 29);
	turns(20);
	ck_assert_int_lt(recv(echo, buf, sizeof buf, 0), 0); /* it was for the peer */
	load("moved-to-me", "other");
	then = mono_add(loop_now(loop), SPAN_MS(1100));
	while (!mono_due(then, loop_now(loop)))
		loop_turn(loop, SPAN_MS(50));
	for (int i = 0; i < 500 && n < 0; i++) {
		ck_assert_int_eq(sendto(u, to, 29, 0, (struct sockaddr *)&relay, sizeof relay), 29);
		turns(2);
		n = recv(echo, buf, sizeof buf, 0);
	}
	ck_assert_int_eq(n, 1);
	close(c);
	close(u);
	close(echo);
	stop();
}

/* Descriptors of this process whose other end is fd, and that look for a silent one */
static int probing(int fd)
{
	struct sockaddr_in own, a;
	socklen_t len = sizeof own, one;
	int n = 0;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	for (int i = 3; i < 256; i++) {
		int on = 0;

		len = sizeof a;
		one = sizeof on;
		if (i != fd && getpeername(i, (struct sockaddr *)&a, &len) == 0 &&
		    a.sin_family == AF_INET && a.sin_port == own.sin_port &&
		    getsockopt(i, SOL_SOCKET, SO_KEEPALIVE, &on, &one) == 0)
			n += on;
	}
	return n;
}

/* An association has no bytes by which an end without a word would be noticed, nor time limits. */
TEST(a_client_that_is_gone_without_a_word_is_looked_for)
{
	uint8_t reply[10];
	int c, h;

	start(false);
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 3, (const uint8_t[4]){ 0 }, 0, reply), 0);
	ck_assert_int_eq(probing(c), 1);
	h = loopback_dial(stat.http_port);
	turns(5);
	ck_assert_int_eq(probing(h), 1);
	close(c);
	close(h);
	stop();
}

TEST(a_megabyte_each_way_through_a_pipe_arrives_whole_while_the_reader_is_slow)
{
	enum { TOTAL = 1 << 20 };
	uint8_t reply[10], buf[4096];
	size_t sent = 0, got = 0;
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b;

	start(false);
	c = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c, 1, local, port, reply), 0);
	b = accept_one(lfd);
	for (int i = 0; i < 200000 && got < TOTAL; i++) {
		ssize_t k;

		for (size_t n = 0; n < sizeof buf; n++)
			buf[n] = (uint8_t)((sent + n) * 31 >> 3);
		k = sent < TOTAL ? send(c, buf, MIN_OF(sizeof buf, TOTAL - sent), MSG_NOSIGNAL)
				 : -1;
		sent += k > 0 ? (size_t)k : 0;
		loop_turn(loop, SPAN_MS(0));
		k = i % 3 ? -1 : recv(b, buf, 1000, 0);
		for (ssize_t n = 0; n < k; n++)
			ck_assert_uint_eq(buf[n], (uint8_t)((got + (size_t)n) * 31 >> 3));
		got += k > 0 ? (size_t)k : 0;
	}
	ck_assert_uint_eq(got, TOTAL);
	close(b);
	close(c);
	close(lfd);
	stop();
}

/* Each byte alone, with the loop turning in between. */
static void put_slowly(int fd, const void *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put(fd, (const uint8_t *)data + i, 1);
		loop_turn(loop, SPAN_MS(1));
	}
}

TEST(a_handshake_may_come_byte_by_byte)
{
	uint8_t buf[16];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b;
	const uint8_t socks5[] = { 5,
				   3,
				   1,
				   0,
				   2,
				   5,
				   1,
				   0,
				   3,
				   9,
				   '1',
				   '2',
				   '7',
				   '.',
				   '0',
				   '.',
				   '0',
				   '.',
				   '1',
				   (uint8_t)(port >> 8),
				   (uint8_t)port,
				   'h',
				   'i' };
	char text[256];

	start(false);
	c = loopback_dial(stat.socks5_port);
	put_slowly(c, socks5, sizeof socks5);
	b = accept_one(lfd);
	ck_assert_uint_eq(get(c, buf, 12), 12);
	ck_bytes_eq(buf, "\x05\x00\x05\x00", 4);
	check_text(b, "hi");
	close(b);
	close(c);
	c = loopback_dial(stat.http_port);
	snprintf(text, sizeof text, "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\nhi", port);
	put_slowly(c, text, strlen(text));
	b = accept_one(lfd);
	check_text(c, "HTTP/1.1 200 Connection established\r\n\r\n");
	check_text(b, "hi");
	close(b);
	close(c);
	no_pipe_stays();
	close(lfd);
	stop();
}

/* One connection of a client to several servers in turn, with bodies of all framings. */
TEST(one_client_connection_serves_several_hosts_with_bodies_and_interim_answers)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "3\r\nyes\r\n0\r\n\r\n";
	char text[512];
	uint16_t port[2];
	int lfd[2], c, b;

	start(false);
	for (int i = 0; i < 2; i++)
		lfd[i] = loopback_listen(SOCK_STREAM, &port[i]);
	c = loopback_dial(stat.http_port);
	for (int i = 0; i < 6; i++) {
		const bool slowly = i & 2, waits = i & 1;

		snprintf(text, sizeof text,
			 "POST http://127.0.0.1:%u/%d HTTP/1.1\r\nHost: other\r\n%s"
			 "Transfer-Encoding: chunked\r\n\r\n",
			 port[i % 2], i, waits ? "Expect: 100-continue\r\n" : "");
		if (slowly)
			put_slowly(c, text, strlen(text));
		else
			put_text(c, text);
		if (!waits)
			put_text(c, "4\r\nbody\r\n0\r\n\r\n");
		b = accept_one(lfd[i % 2]);
		snprintf(text, sizeof text,
			 "POST /%d HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%sTransfer-Encoding: "
			 "chunked\r\nConnection: close\r\n\r\n",
			 i, port[i % 2], waits ? "Expect: 100-continue\r\n" : "");
		check_text(b, text);
		if (waits) {
			put_text(b, "HTTP/1.1 100 Continue\r\n\r\n");
			check_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
			put_text(c, "4\r\nbody\r\n0\r\n\r\n");
		}
		check_text(b, "4\r\nbody\r\n0\r\n\r\n");
		put_text(b, answer);
		close(b);
		check_text(c, answer);
	}
	close(c);
	for (int i = 0; i < 2; i++)
		close(lfd[i]);
	stop();
}

/* What the other side of fd takes while nobody reads behind it */
static size_t fill(int fd)
{
	static const uint8_t block[16384];
	size_t n = 0;

	for (int quiet = 0; quiet < 20; quiet++) {
		ssize_t k;

		while ((k = send(fd, block, sizeof block, MSG_NOSIGNAL)) > 0) {
			n += (size_t)k;
			quiet = 0;
		}
		ck_assert_int_eq(errno, EAGAIN);
		loop_turn(loop, SPAN_MS(1));
	}
	return n;
}

/* Reads until all has come; a small window opens by the kernel's timers. */
static void drain(int fd, size_t want)
{
	uint8_t buf[16384];
	size_t n = 0;

	for (int i = 0; i < 20000 && n < want; i++) {
		ssize_t k;

		while ((k = recv(fd, buf, sizeof buf, 0)) > 0)
			n += (size_t)k;
		loop_turn(loop, SPAN_MS(1));
	}
	ck_assert_uint_eq(n, want);
}

TEST(who_does_not_read_stops_the_other_side_of_an_http_exchange_and_loses_nothing)
{
	enum { SMALL = 16384, HOLDS = 256 << 20 /* most of it the kernel's */ };
	char text[256];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), c, b, size = SMALL;
	size_t sent;

	start(false);
	ck_assert_int_eq(setsockopt(lfd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
	ck_assert_int_eq(setsockopt(lfd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	c = loopback_dial(stat.http_port);
	ck_assert_int_eq(setsockopt(c, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
	snprintf(
	    text, sizeof text,
	    "POST http://127.0.0.1:%u/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
	    port);
	put_text(c, text);
	b = accept_one(lfd);
	snprintf(text, sizeof text,
		 "POST / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: 1000000000\r\n"
		 "Connection: close\r\n\r\n",
		 port);
	check_text(b, text);
	sent = fill(c); /* the server does not read: what stands in between is bounded */
	printf(
	    "figure: %zu KiB of a request stand between a client and a server that does not read\n",
	    sent >> 10);
	ck_assert_uint_lt(sent, HOLDS);
	drain(b, sent);
	put_text(b, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
	check_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
	sent = fill(b);
	printf("figure: %zu KiB of an answer\n", sent >> 10);
	fflush(stdout);
	ck_assert_uint_lt(sent, HOLDS);
	drain(c, sent);
	close(b);
	close(c);
	close(lfd);
	stop();
}

/* A few clients in place of 4096. */
TEST(a_full_house_waits_and_who_owes_a_request_for_longest_gives_way)
{
	enum { FULL = 6 };
	uint8_t reply[10], hello[2];
	uint16_t port;
	int lfd = loopback_listen(SOCK_STREAM, &port), silent[FULL], c;
	ssize_t n;

	start(false);
	server->clients_max = FULL;
	for (int i = 0; i < FULL; i++) {
		silent[i] = loopback_dial(i & 1 ? stat.http_port : stat.socks5_port);
		turns(3);
	}
	proxy_server_stat(server, &stat);
	ck_assert_uint_eq(stat.clients, FULL);
	c = loopback_dial(stat.socks5_port); /* in the kernel's queue */
	put(c, "\x05\x01", 3);
	turns(10);
	ck_assert_int_lt(recv(c, hello, sizeof hello, 0), 0);
	close(silent[3]); /* one place */
	ck_assert_uint_eq(get(c, hello, 2), 2);
	close(c);
	turns(5);
	silent[3] = loopback_dial(stat.socks5_port);
	turns(3);
	server->yields = SPAN_MS(1);
	for (int i = 0; i < 2 * FULL; i++) { /* all are served, though nobody leaves */
		c = loopback_dial(stat.socks5_port);
		ck_assert_uint_eq(socks(c, 1, local, port, reply), 0);
		close(accept_one(lfd));
		close(c);
	}
	n = recv(silent[0], hello, 1, 0); /* the one that was silent for longest */
	ck_assert_int_eq(n, 0);
	for (int i = 0; i < FULL; i++)
		close(silent[i]);
	close(lfd);
	stop();
}

TEST(associations_beyond_the_limit_are_refused_and_one_that_ends_makes_room)
{
	enum { FULL = 3 };
	uint8_t reply[10];
	int c[FULL + 1];

	start(false);
	server->udp_max = FULL;
	for (int i = 0; i < FULL; i++) {
		c[i] = loopback_dial(stat.socks5_port);
		ck_assert_uint_eq(socks(c[i], 3, (const uint8_t[4]){ 0 }, 0, reply), 0);
	}
	c[FULL] = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c[FULL], 3, (const uint8_t[4]){ 0 }, 0, reply), 1);
	close(c[FULL]);
	close(c[0]);
	turns(5);
	c[0] = loopback_dial(stat.socks5_port);
	ck_assert_uint_eq(socks(c[0], 3, (const uint8_t[4]){ 0 }, 0, reply), 0);
	for (int i = 0; i < FULL; i++)
		close(c[i]);
	stop();
}

/* A dial into the tailnet that nobody answers */
static int dial_peer(bool http)
{
	static const uint8_t req[] = { 5, 1, 0, 5, 1, 0, 1, 100, 64, 0, 2, 0, 80 };
	int c = loopback_dial(http ? stat.http_port : stat.socks5_port);

	if (http)
		put_text(c, "CONNECT 100.64.0.2:80 HTTP/1.1\r\nHost: x\r\n\r\n");
	else
		put(c, req, sizeof req);
	turns(5);
	return c;
}

/* The stack has no place for one more connection: the newest is told at once, those that are there
 * stay, and who leaves makes room. */
TEST(a_stack_that_is_full_refuses_the_newest_and_recovers)
{
	uint8_t reply[12];
	int first, c;

	start(false);
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	stack()->conf.max_conns = 1;
	first = dial_peer(false);
	ck_assert_uint_eq(stack()->table.n, 1);
	c = dial_peer(false);
	ck_assert_uint_eq(get(c, reply, 12), 12);
	ck_assert_uint_eq(reply[3], 1); /* RFC 1928 section 6: general failure */
	close(c);
	c = dial_peer(true);
	check_text(c, "HTTP/1.1 502 ");
	close(c);
	ck_assert_uint_eq(stack()->table.n, 1);
	close(first);
	turns(5);
	ck_assert_uint_eq(stack()->table.n, 0);
	c = dial_peer(true);
	ck_assert_uint_eq(stack()->table.n, 1);
	ck_assert_int_lt(recv(c, reply, sizeof reply, 0), 0);
	close(c);
	stop();
}
