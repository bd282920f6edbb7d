/* host/lookup_test.c - names: of the tailnet, of a domain whose resolver is a peer
 *
 * The resolver's datagrams are made by hand and fed to the stack of a host whose node knows the
 * peer from a map.
 */
#include "host/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/host_fixture.h"
#include "wire/checksum.h"
#include "wire/dns.h"
#include "wire/ip4.h"
#include "wire/packet.h"
#include "wire/udp.h"

static int n_done;
static struct ip got[8];
static size_t n_got;

static const struct ip own = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } };
static const struct ip peer = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } };
static const struct ip other = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 3 } };
static const char peers[] = "\"100.64.0.2/32\",\"100.64.0.3/32\"";

static void start(const char *addresses, const char *server)
{
	host_fixture_init();
	host_fixture_load_pair(addresses, server);
	host_start(host);
	loop_turn(loop, SPAN_MS(0));
}

static void done(void *ctx, const struct ip *v, size_t n)
{
	(void)ctx;
	n_done++;
	n_got = MIN_OF(n, ARRAY_LEN(got));
	memcpy(got, v, n_got * sizeof *v);
}

/* --- the resolver --- */

struct query {
	uint16_t id, port, type;
	char name[DNS_NAME_TEXT];
};

/* The datagrams that the stack wants to send now, which are queries to the peer. */
static size_t pull_queries(struct query *v, size_t max)
{
	struct burst out;
	size_t n;

	ck_assert_int_eq(burst_init(&out), 0);
	n = netstack_pull(stack(), loop_now(loop), &out);
	ck_assert_uint_le(n, max);
	for (size_t i = 0; i < n; i++) {
		struct dns_reader r;
		struct packet facts;
		struct udp_head u;
		const uint8_t *t;

		ck_assert_int_eq(packet_parse(out.v[i].data, out.v[i].len, &facts), PACKET_OK);
		ck_assert(facts.proto == PROTO_UDP && ip_eq(&facts.dst, &peer));
		t = out.v[i].data + facts.transport_off;
		ck_assert(udp_parse(t, out.v[i].len - facts.transport_off, &u));
		ck_assert_uint_eq(u.dport, 53);
		ck_assert(dns_open(&r, bytes_of(t + UDP_HEAD_LEN, u.len - UDP_HEAD_LEN)));
		v[i] = (struct query){ .id = r.head.id, .port = u.sport, .type = r.q.type };
		memcpy(v[i].name, r.q.name, sizeof v[i].name);
	}
	burst_fini(&out);
	return n;
}

static enum dns_rcode rcode;

static void answer(const struct query *q, const struct ip *from, const char *name,
		   const struct ip *a)
{
	const struct dns_head head = {
		.id = q->id, .qr = true, .rd = true, .ra = true, .rcode = rcode
	};
	struct dns_question question = { .type = q->type, .class = DNS_IN };
	uint8_t b[PKT_INNER_MAX] = { 0 }, *t = b + IP4_HEAD_LEN;
	struct ip4_head ip = { .src = *from, .dst = own, .ttl = 64, .proto = PROTO_UDP };
	struct udp_head u = { .sport = 53, .dport = q->port };
	struct dns_writer w;
	struct pkt p = { .data = b };
	size_t len;

	snprintf(question.name, sizeof question.name, "%s", name);
	dns_begin(&w, t + UDP_HEAD_LEN, DNS_UDP_MIN, &head);
	dns_put_question(&w, &question);
	if (a)
		dns_put_ip(&w, DNS_ANSWER, name, 60, a);
	len = dns_finish(&w);
	ck_assert_uint_gt(len, 0);
	u.len = (uint16_t)(UDP_HEAD_LEN + len);
	udp_emit(t, &u);
	checksum_store(t + 6,
		       checksum_add(checksum_pseudo(&own, from, PROTO_UDP, u.len), t, u.len));
	p.len = (uint32_t)(IP4_HEAD_LEN + u.len);
	ip.total_len = (uint16_t)p.len;
	ip4_emit(b, &ip);
	netstack_feed(stack(), loop_now(loop), &p, 1);
	host_kick(host);
}

TEST(names_of_the_tailnet_are_answered_from_the_map_and_asked_of_nobody)
{
	struct query q[4];

	start(peers, "100.64.0.2");
	ck_assert_ptr_nonnull(host_lookup(host, "b.tail.test", done, NULL));
	ck_assert_int_eq(n_done, 0); /* never before the call returns */
	turns(2);
	ck_assert_int_eq(n_done, 1);
	ck_assert(n_got == 2 && ip_eq(&got[0], &peer));
	ck_assert_ptr_nonnull(host_lookup(host, "b", done, NULL));
	ck_assert_ptr_nonnull(host_lookup(host, "nobody.tail.test.", done, NULL));
	ck_assert_uint_eq(pull_queries(q, ARRAY_LEN(q)), 0);
	turns(2);
	ck_assert_int_eq(n_done, 3);
	ck_assert_uint_eq(n_got, 0); /* the last: there is no such name */
	host_fixture_fini();
}

TEST(a_resolver_in_the_tailnet_is_asked_through_it_and_only_its_own_answers_count)
{
	const struct ip right = ip_v4(10, 1, 2, 3), wrong = ip_v4(6, 6, 6, 6);
	struct query q[4], guess;

	start(peers, "100.64.0.2");
	ck_assert_ptr_nonnull(host_lookup(host, "db.corp.test", done, NULL));
	ck_assert_uint_eq(pull_queries(q, ARRAY_LEN(q)), 2);
	ck_assert(q[0].type == DNS_A && q[1].type == DNS_AAAA);
	ck_assert_str_eq(q[0].name, "db.corp.test");
	answer(&q[0], &other, "db.corp.test", &wrong); /* not who was asked */
	answer(&q[0], &peer, "other.corp.test", &wrong);
	guess = q[0];
	guess.id = (uint16_t)(q[0].id + 7);
	answer(&guess, &peer, "db.corp.test", &wrong);
	turns(2);
	ck_assert_int_eq(n_done, 0);
	answer(&q[0], &peer, "DB.corp.test", &right);
	answer(&q[0], &peer, "db.corp.test", &wrong); /* it has answered that */
	turns(2);
	ck_assert_int_eq(n_done, 0); /* the other family may still come */
	answer(&q[1], &peer, "db.corp.test", NULL);
	turns(2);
	ck_assert_int_eq(n_done, 1);
	ck_assert(n_got == 1 && ip_eq(&got[0], &right));
	host_fixture_fini();
}

/* RFC 5452 section 9: what one look-up shows tells nothing about the next. */
TEST(each_look_up_through_the_tailnet_has_a_port_and_ids_of_its_own)
{
	enum { N = 6 };
	struct query q[4], first = { 0 };
	struct host_lookup *l;
	int same_port = 0, same_id = 0, next_id = 0;

	start(peers, "100.64.0.2");
	for (int i = 0; i < N; i++) {
		l = host_lookup(host, "db.corp.test", done, NULL);
		ck_assert_uint_eq(pull_queries(q, ARRAY_LEN(q)), 2);
		ck_assert_uint_ge(q[0].port, 49152);
		if (i == 0)
			first = q[0];
		same_port += q[0].port == first.port;
		same_id += q[0].id == first.id;
		next_id += (uint16_t)(q[0].id + 1) == q[1].id;
		host_lookup_cancel(l);
	}
	/* once more may be chance, each time is none */
	ck_assert_int_le(same_port, 3);
	ck_assert_int_le(same_id, 3);
	ck_assert_int_le(next_id, 3);
	host_fixture_fini();
}

static void ignore(void *ctx, const struct ipport *remote, struct bytes data)
{
	(void)ctx;
	(void)remote;
	(void)data;
}

/* The peer has an address of this host, where a socket listens that nothing may come to. */
TEST(a_resolver_in_the_tailnet_that_refuses_aaaa_keeps_nobody_waiting)
{
	const struct ip right = ip_v4(10, 1, 2, 3);
	struct query q[4];
	struct host_lookup *l;

	start(peers, "100.64.0.2");
	for (int first = 0; first < 2; first++) { /* whichever comes first */
		n_done = 0;
		ck_assert_ptr_nonnull(host_lookup(host, "db.corp.test", done, NULL));
		ck_assert_uint_eq(pull_queries(q, ARRAY_LEN(q)), 2);
		for (int i = 0; i < 2; i++) {
			const int k = i ^ first;

			rcode = k == 0 ? DNS_NOERROR : DNS_SERVFAIL;
			answer(&q[k], &peer, "db.corp.test", k == 0 ? &right : NULL);
			turns(2);
			ck_assert_int_eq(n_done, i);
		}
		ck_assert(n_got == 1 && ip_eq(&got[0], &right));
	}
	rcode = DNS_SERVFAIL;
	l = host_lookup(host, "db.corp.test", done, NULL);
	ck_assert_uint_eq(pull_queries(q, ARRAY_LEN(q)), 2);
	for (int i = 0; i < 2; i++)
		answer(&q[i], &peer, "db.corp.test", NULL);
	turns(2);
	ck_assert_int_eq(n_done, 1); /* of neither: it is asked again */
	host_lookup_cancel(l);
	rcode = DNS_NOERROR;
	host_fixture_fini();
}

TEST(a_name_for_a_resolver_in_the_tailnet_never_leaves_by_the_ordinary_network)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char server[32], byte;
	struct err e;

	at.sin_addr.s_addr = htonl(0x7f000009);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(server, sizeof server, "127.0.0.9:%u", ntohs(at.sin_port));
	start("\"127.0.0.9/32\"", server);
	while (host_udp_open(host, ignore, NULL, &e)) /* no port is left for the question */
		;
	ck_assert_ptr_nonnull(host_lookup(host, "db.corp.test", done, NULL));
	turns(5);
	ck_assert_int_lt(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	ck_assert_int_eq(n_done, 1);
	ck_assert_uint_eq(n_got, 0);
	close(fd);
	host_fixture_fini();
}

TEST(a_resolver_of_the_tailnet_that_is_away_is_not_looked_for_elsewhere)
{
	struct host_lookup *l;
	struct query q[4];

	start("\"100.64.0.7/32\"", "100.64.0.2");
	l = host_lookup(host, "db.corp.test", done, NULL);
	ck_assert_uint_eq(pull_queries(q, ARRAY_LEN(q)), 2); /* which WireGuard drops */
	host_lookup_cancel(l);
	host_fixture_fini();
}

TEST(a_look_up_may_be_cancelled_at_any_time)
{
	const struct ip right = ip_v4(10, 1, 2, 3);
	struct host_lookup *l;
	struct query q[4];

	start(peers, "100.64.0.2");
	host_lookup_cancel(host_lookup(host, "b.tail.test", done, NULL));
	l = host_lookup(host, "db.corp.test", done, NULL);
	ck_assert_uint_eq(pull_queries(q, ARRAY_LEN(q)), 2);
	answer(&q[0], &peer, "db.corp.test", &right);
	turns(1);
	host_lookup_cancel(l);
	answer(&q[1], &peer, "db.corp.test", NULL);
	turns(3);
	ck_assert_int_eq(n_done, 0);
	host_fixture_fini();
}
