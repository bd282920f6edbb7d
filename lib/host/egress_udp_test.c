/* host/egress_udp_test.c - senders of datagrams: their places */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/host_fixture.h"

#include "host/egress_priv.h"
#include "host/host_priv.h"

static struct egress *g;
static uint16_t port;

static void start(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct egress_port p = { .to = 53, .is_udp = true };
	struct egress_conf conf = { .target = "100.64.0.2", .ports = &p, .n_ports = 1 };
	struct err e = { 0 };

	host_fixture_init();
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0); /* a free port */
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	p.port = port = ntohs(a.sin_port);
	conf.host = host;
	g = egress_new(&conf, &e);
	ck_assert_msg(g != NULL, "%s", e.text);
	g->udp_max = 4;
}

static void end(void)
{
	egress_free(g);
	ck_assert_uint_eq(host->n_udp_ports, 0);
	host_fixture_fini();
}

/* A datagram of a port of 127.0.1.n; whether it was taken */
static bool from_port(uint8_t n, uint16_t at)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(at) };
	const uint64_t failed = g->stat.failed;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	a.sin_addr.s_addr = htonl(0x7f000100U + n);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(port);
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof a), 1);
	close(fd);
	turns(2);
	return g->stat.failed == failed;
}

static bool from(uint8_t n)
{
	return from_port(n, 20000);
}

TEST(of_too_many_senders_the_one_idle_longest_gives_way)
{
	start();
	g->udp_yields = SPAN_MS(1);
	for (uint8_t i = 1; i <= 100; i++) {
		ck_assert(from(i));
		ck_assert(from(1)); /* keeps its place */
	}
	ck_assert_uint_eq(g->stat.udp_flows, 4);
	ck_assert_uint_eq(g->stat.accepted, 100);
	end();
}

TEST(a_flood_of_senders_ends_none_that_is_used)
{
	start();
	for (uint8_t i = 1; i < 100; i++)
		ck_assert_int_eq(from(i), i <= 4);
	ck_assert(from(1));
	ck_assert_uint_eq(g->stat.accepted, 4);
	end();
}

TEST(an_address_that_sends_from_all_its_ports_keeps_no_other_out)
{
	start();
	for (uint16_t i = 0; i < 20; i++)
		ck_assert_int_eq(from_port(1, 20000 + i), i < 2);
	ck_assert(from(2));
	ck_assert(from_port(1, 20001));
	end();
}
