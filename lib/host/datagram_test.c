/* host/datagram_test.c - inbound UDP flows: their places, and what comes back */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/host_fixture.h"

#include "host/host_priv.h"

static int server;
static uint16_t port;

static void start(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;

	host_fixture_init();
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	host->no_dest = false;
	host->udp_flows_max = 8; /* a peer alone gets half */
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&a, &len), 0);
	port = ntohs(a.sin_port);
}

static void end(void)
{
	close(server);
	host_fixture_fini();
}

/* A datagram of that port of a peer; the port of the flow's socket, 0: it was dropped */
static uint16_t of_peer(uint8_t peer, uint16_t remote)
{
	const struct ns_event ev = { .type = NS_UDP_RECV,
				     .local = { ip_v4(100, 64, 0, 1), port },
				     .remote = { ip_v4(100, 64, 0, peer), remote },
				     .data = bytes_str("x") };
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	char c;

	turns(1);
	host_datagram_event(host, &ev);
	if (recvfrom(server, &c, 1, MSG_DONTWAIT, (struct sockaddr *)&a, &len) != 1)
		return 0;
	return ntohs(a.sin_port);
}

static uint16_t from(uint16_t remote)
{
	return of_peer(2, remote);
}

TEST(of_too_many_udp_flows_the_one_idle_longest_gives_way)
{
	uint16_t at[5];

	start();
	host->udp_yields = SPAN_MS(1);
	for (uint16_t i = 0; i < 4; i++)
		ck_assert_uint_ne(at[i] = from(i), 0);
	ck_assert_uint_eq(from(0), at[0]);
	ck_assert_uint_ne(at[4] = from(4), 0); /* in place of 1 */
	ck_assert_uint_eq(host->n_udp_flows, 4);
	ck_assert_uint_eq(from(0), at[0]);
	ck_assert_uint_eq(from(2), at[2]);
	ck_assert_uint_eq(from(3), at[3]);
	ck_assert_uint_eq(from(4), at[4]);
	end();
}

TEST(a_flood_of_udp_flows_ends_none_that_is_used)
{
	uint16_t first;

	start();
	first = from(1);
	for (uint16_t i = 2; i < 100; i++)
		ck_assert_int_eq(from(i) != 0, i <= 4);
	ck_assert_uint_eq(from(1), first);
	end();
}

TEST(a_peer_that_opens_all_udp_flows_it_can_keeps_no_other_out_and_ends_none_of_theirs)
{
	uint16_t mine, late;

	start();
	mine = of_peer(3, 7);
	for (uint16_t i = 0; i < 50; i++) {
		const bool new = from(i) != 0;

		ck_assert_int_eq(new, i < 4);
	}
	late = of_peer(4, 1);
	ck_assert_uint_ne(late, 0);
	host->udp_yields = SPAN_MS(0); /* all count as idle: it gets its own places only */
	for (uint16_t i = 50; i < 60; i++)
		ck_assert_uint_ne(from(i), 0);
	ck_assert_uint_eq(of_peer(3, 7), mine);
	ck_assert_uint_eq(of_peer(4, 1), late);
	end();
}

/* So many peers that all is full: who has nothing gets the place that is idle longest. */
TEST(a_peer_without_a_udp_flow_gets_a_place_when_all_are_taken)
{
	start();
	for (uint8_t i = 2; i < 10; i++)
		ck_assert_uint_ne(of_peer(i, 1), 0);
	ck_assert_uint_eq(host->n_udp_flows, 8);
	ck_assert_uint_eq(of_peer(10, 1), 0); /* none is idle */
	host->udp_yields = SPAN_MS(0);
	ck_assert_uint_ne(of_peer(10, 1), 0);
	ck_assert_uint_eq(host->n_udp_flows, 8);
	end();
}

/* bytes of IP that wait to be sent to the peer, without heads */
static size_t waiting(void)
{
	struct burst b;
	size_t n = 0;

	ck_assert_int_eq(burst_init(&b), 0);
	while (netstack_pull(node_netstack(host_node(host)), loop_now(loop), &b) > 0) {
		for (size_t i = 0; i < b.n; i++)
			n += b.v[i].len - 20;
		burst_reset(&b);
	}
	burst_fini(&b);
	return n;
}

TEST(an_answer_goes_back_whole_however_large)
{
	static const size_t lens[] = { 1, 1000, 32768, 32769, 60000, 65507 };
	static uint8_t data[65507];
	struct sockaddr_in a = { .sin_family = AF_INET };

	start();
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(from(7));
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		ck_assert_int_eq(sendto(server, data, lens[i], 0, (struct sockaddr *)&a, sizeof a),
				 (ssize_t)lens[i]);
		turns(5);
		ck_assert_uint_eq(waiting(), 8 + lens[i]);
	}
	end();
}

static unsigned fired;

static void fire(void *ctx)
{
	(void)ctx;
	fired++;
}

/* The next flow after the last one was refused found its timer running, and began it anew. */
TEST(a_peer_that_asks_a_port_where_nobody_listens_stops_no_timer)
{
	struct loop_timer t[8];

	start();
	close(server);
	server = -1;
	fired = 0;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		loop_timer_init(loop, &t[i], fire, NULL);
		loop_timer_set(&t[i], mono_add(loop_now(loop), SPAN_MS(50 + (int64_t)i)));
	}
	for (uint16_t i = 0; i < 3; i++) {
		(void)from(i);
		ck_assert_uint_eq(host->n_udp_flows, 1);
		for (int k = 0; k < 100 && host->n_udp_flows > 0; k++)
			turns(1);
		ck_assert_msg(host->n_udp_flows == 0, "%u", i);
	}
	for (int k = 0; k < 100 && fired < ARRAY_LEN(t); k++)
		turns(1);
	ck_assert_uint_eq(fired, ARRAY_LEN(t));
	host_fixture_fini();
}
