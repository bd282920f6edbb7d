/* host/localapi_dial_test.c - `dial` of the local API, over a real socket; what passes a tailnet is
 * e2e/t-14's
 */
#include "host/localapi_dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/host_fixture.h"
#include "tests/loopback.h"

static struct httpd *httpd;
static struct host_pipes pipes;

static void handle(void *ctx, struct httpd_call *c, const struct httpd_request *rq)
{
	(void)ctx;
	localapi_dial(host, &pipes, c, rq);
}

/* 100.64.0.2 is a peer that never answers. */
static void start(void)
{
	struct httpd_conf conf = {
		.addr = "127.0.0.1:0", .body_max = 1000, .answer_max = 1000, .fn = handle
	};
	struct err e = { 0 };

	host_fixture_init();
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	conf.loop = loop;
	httpd = httpd_new(&conf, &e);
	ck_assert_msg(httpd != NULL, "%s", e.text);
}

static void stop(void)
{
	httpd_free(httpd);
	host_pipes_close(&pipes);
	host_fixture_fini();
}

static void ask(int fd, const char *fields, const char *more)
{
	char text[600];
	int n = snprintf(text, sizeof text,
			 "POST /localapi/v0/dial HTTP/1.1\r\nHost: local-tailscaled.sock\r\n"
			 "Content-Length: 0\r\n%s\r\n%s",
			 fields, more);

	ck_assert_int_eq(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

/* Reads until there is nothing for a while or the text has come; NUL-terminated. */
static const char *hear(int fd, const char *until)
{
	static char buf[4096];
	size_t got = 0;

	for (int i = 0; i < 500 && !(got > 0 && strstr(buf, until)); i++) {
		ssize_t k = recv(fd, buf + got, sizeof buf - 1 - got, 0);

		got += k > 0 ? (size_t)k : 0;
		buf[got] = 0;
		loop_turn(loop, SPAN_MS(2));
	}
	ck_assert_msg(strstr(buf, until), "got \"%s\"", buf);
	return buf;
}

TEST(dial_to_our_own_address_is_a_tunnel_with_early_bytes_and_half_close)
{
	uint16_t port;
	char fields[200], buf[64];
	int l, fd, far = -1;

	start();
	l = loopback_listen(SOCK_STREAM, &port);
	fd = loopback_dial(httpd_port(httpd));
	snprintf(fields, sizeof fields,
		 "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: 100.64.0.1\r\nDial-Port: "
		 "%u\r\nDial-Network: tcp\r\n",
		 port);
	ask(fd, fields, "early");
	for (int i = 0; i < 500 && far < 0; i++) {
		turns(1);
		far = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	}
	ck_assert_int_ge(far, 0);
	ck_assert_int_eq(strncmp(hear(fd, "\r\n\r\n"), "HTTP/1.1 101 Switching Protocols\r\n", 34),
			 0);
	hear(far, "early");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	for (int i = 0; i < 500 && recv(far, buf, sizeof buf, 0) != 0; i++)
		turns(1);
	ck_assert_int_eq(recv(far, buf, sizeof buf, 0), 0);
	ck_assert_int_eq(send(far, "late", 4, 0), 4); /* the other direction is open still */
	hear(fd, "late");
	close(far);
	close(l);
	close(fd);
	turns(5);
	stop();
}

TEST(dial_outside_the_tailnet_is_left_to_the_client)
{
	int fd;

	start();
	fd = loopback_dial(httpd_port(httpd));
	ask(fd,
	    "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: 192.0.2.1\r\nDial-Port: 22\r\n",
	    "");
	hear(fd, "Dial-Addr: 192.0.2.1:22\r\n");
	ask(fd,
	    "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: 2001:db8::1\r\nDial-Port: "
	    "22\r\n",
	    "");
	ck_assert_ptr_nonnull(
	    strstr(hear(fd, "Dial-Addr: [2001:db8::1]:22\r\n"), "Dial-Self: true\r\n"));
	close(fd);
	stop();
}

TEST(dial_refuses_what_is_malformed)
{
	static const char *const bad[][2] = {
		{ "Dial-Host: a\r\nDial-Port: 1\r\n", "HTTP/1.1 400 " },
		{ "Connection: upgrade\r\nUpgrade: h2c\r\nDial-Host: a\r\nDial-Port: 1\r\n",
		  "HTTP/1.1 400 " },
		{ "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: a\r\n", "HTTP/1.1 400 " },
		{ "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Port: 1\r\n", "HTTP/1.1 400 " },
		{ "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: a\r\nDial-Port: 0\r\n",
		  "HTTP/1.1 400 " },
		{ "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: a\r\nDial-Port: 65536\r\n",
		  "HTTP/1.1 400 " },
		{ "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: a\r\nDial-Port: "
		  "1\r\nDial-Network: udp\r\n",
		  "HTTP/1.1 501 " },
	};

	start();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int fd = loopback_dial(httpd_port(httpd));

		ask(fd, bad[i][0], "");
		hear(fd, bad[i][1]);
		close(fd);
	}
	stop();
}

TEST(an_attempt_ends_with_the_connection_it_is_for)
{
	struct netstack_stat st;
	int fd;

	start();
	fd = loopback_dial(httpd_port(httpd));
	ask(fd,
	    "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: 100.64.0.2\r\nDial-Port: 22\r\n",
	    "");
	for (int i = 0; i < 500; i++) {
		turns(1);
		netstack_stat(stack(), &st);
		if (st.conns > 0)
			break;
	}
	ck_assert_uint_eq(st.conns, 1);
	httpd_free(httpd);
	httpd = NULL;
	turns(1);
	netstack_stat(stack(), &st);
	ck_assert_uint_eq(st.conns, 0);
	close(fd);
	stop();
}
