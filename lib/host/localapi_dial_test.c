/* host/localapi_dial_test.c - `dial` of the local API, over a real socket; what passes a tailnet is
 * e2e/t-14's
 */
#include "host/localapi_dial.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/file.h"
#include "os/loop.h"
#include "os/resolve.h"
#include "os/tls.h"
#include "tests/harness.h"

static struct loop *loop;
static struct host *host;
static struct httpd *httpd;
static struct resolver *resolver;
static struct tls_client *tls;
static struct host_pipes pipes;

/* We are 100.64.0.1; 100.64.0.2 is a peer that never answers. */
static const char map[] =
    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.test.\",\"Key\":\"nodekey:"
    "1111111111111111111111111111111111111111111111111111111111111111\","
    "\"Addresses\":[\"100.64.0.1/32\"],\"MachineAuthorized\":true},\"Peers\":[{\"ID\":2,"
    "\"StableID\":\"n2\",\"Name\":\"b.tail.test.\",\"Key\":\"nodekey:"
    "2222222222222222222222222222222222222222222222222222222222222222\","
    "\"Addresses\":[\"100.64.0.2/32\"]}],\"DNSConfig\":{\"Domains\":[\"tail.test\"],\"Proxied\":"
    "true}}";

static void handle(void *ctx, struct httpd_call *c, const struct httpd_request *rq)
{
	(void)ctx;
	localapi_dial(host, &pipes, c, rq);
}

static void start(void)
{
	static const struct host_ops ops;
	struct host_conf hc = { .ops = &ops };
	struct httpd_conf conf = {
		.addr = "127.0.0.1:0", .body_max = 1000, .answer_max = 1000, .fn = handle
	};
	struct err e = { 0 };

	loop = loop_new();
	resolver = resolver_new(loop, NULL);
	tls = tls_client_new(NULL, &e);
	hc.loop = conf.loop = loop;
	hc.resolver = resolver;
	hc.tls = tls;
	hc.node.rng = &os_rng;
	hc.node.control_url = "http://127.0.0.1:9";
	hc.node.hostinfo.hostname = "test";
	key_gen(&hc.node.machine, &os_rng);
	key_gen(&hc.node.node, &os_rng);
	key_gen(&hc.node.disco, &os_rng);
	host = host_new(&hc, &e);
	ck_assert_msg(host != NULL, "%s", e.text);
	ck_assert_msg(
	    node_load_netmap(host_node(host), loop_now(loop), loop_wall(), bytes_str(map), &e) == 0,
	    "%s", e.text);
	httpd = httpd_new(&conf, &e);
	ck_assert_msg(httpd != NULL, "%s", e.text);
}

static void stop(void)
{
	httpd_free(httpd);
	host_pipes_close(&pipes);
	host_free(host);
	resolver_free(resolver);
	tls_client_free(tls);
	loop_free(loop);
}

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(httpd_port(httpd)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int listen_on(uint16_t *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void turn(int n)
{
	while (n-- > 0)
		loop_turn(loop, SPAN_MS(2));
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
	l = listen_on(&port);
	fd = dial();
	snprintf(fields, sizeof fields,
		 "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: 100.64.0.1\r\nDial-Port: "
		 "%u\r\nDial-Network: tcp\r\n",
		 port);
	ask(fd, fields, "early");
	for (int i = 0; i < 500 && far < 0; i++) {
		turn(1);
		far = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	}
	ck_assert_int_ge(far, 0);
	ck_assert_int_eq(strncmp(hear(fd, "\r\n\r\n"), "HTTP/1.1 101 Switching Protocols\r\n", 34),
			 0);
	hear(far, "early");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	for (int i = 0; i < 500 && recv(far, buf, sizeof buf, 0) != 0; i++)
		turn(1);
	ck_assert_int_eq(recv(far, buf, sizeof buf, 0), 0);
	ck_assert_int_eq(send(far, "late", 4, 0), 4); /* the other direction is open still */
	hear(fd, "late");
	close(far);
	close(l);
	close(fd);
	turn(5);
	stop();
}

TEST(dial_outside_the_tailnet_is_left_to_the_client)
{
	int fd;

	start();
	fd = dial();
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
		int fd = dial();

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
	fd = dial();
	ask(fd,
	    "Connection: upgrade\r\nUpgrade: ts-dial\r\nDial-Host: 100.64.0.2\r\nDial-Port: 22\r\n",
	    "");
	for (int i = 0; i < 500; i++) {
		turn(1);
		netstack_stat(node_netstack(host_node(host)), &st);
		if (st.conns > 0)
			break;
	}
	ck_assert_uint_eq(st.conns, 1);
	httpd_free(httpd);
	httpd = NULL;
	turn(1);
	netstack_stat(node_netstack(host_node(host)), &st);
	ck_assert_uint_eq(st.conns, 0);
	close(fd);
	stop();
}
