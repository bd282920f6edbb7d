/* containerboot/agent_dns_test.c - a pod's stack against the resolver behind the device */
#include "containerboot/agent_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netstack/netstack.h"
#include "tests/doh_fixture.h"
#include "tests/harness.h"
#include "wire/dns.h"

#define KEY(d) "nodekey:" d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
static const char map[] = "{\"Node\":{\"ID\":1,\"Name\":\"me.tail.test.\",\"Key\":\"" KEY(
    "01") "\",\"Addresses\":[\"100.64.0.1/32\",\"fd7a:115c:a1e0::1/128\"]},"
	  "\"Peers\":[{\"ID\":2,\"Name\":\"web.tail.test.\",\"Key\":\"" KEY(
	      "02") "\",\"Addresses\":[\"100.64.0.2/32\",\"fd7a:115c:a1e0::2/128\"]}],"
		    "\"DNSConfig\":{\"Proxied\":true,\"Domains\":[\"tail.test\"],\"Routes\":{"
		    "\"tail.test\":[],\"corp.example\":[{\"Addr\":\"127.0.0.1:%u\"}]}}}";

struct place {
	struct loop *loop;
	struct seed_rng rng;
	struct netmap *nm;
	struct agent_dns *dns;
	struct netstack *pod;
	int resolver; /* a socket: the one that control names for corp.example */
	bool mute;    /* the device loses what the resolver says */
};

static void to_pod(void *ctx, struct pkt *v, size_t n)
{
	struct place *w = ctx;

	if (!w->mute)
		netstack_feed(w->pod, loop_now(w->loop), v, n);
}

static void place_init(struct place *w)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ip own;
	socklen_t len = sizeof sa;
	char text[2048];
	struct err e = { 0 };

	*w = (struct place){ .loop = loop_new(), .nm = netmap_new() };
	seed_rng_init(&w->rng, 7);
	w->resolver = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(w->resolver, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(getsockname(w->resolver, (struct sockaddr *)&sa, &len), 0);
	snprintf(text, sizeof text, map, (unsigned)ntohs(sa.sin_port));
	netmap_begin(w->nm);
	ck_assert_int_eq(netmap_feed(w->nm, bytes_str(text)), 0);
	ck_assert_int_eq(netmap_end(w->nm, (wall_t){ 1795309200 * NS_PER_S }, &e), 0);
	w->pod = netstack_new(&(struct netstack_conf){ .rng = &w->rng.rng, .mtu = 1280 });
	ck_assert(ip_parse(bytes_str("100.64.0.1"), &own));
	ck_assert_int_eq(netstack_addr_add(w->pod, &own), 0);
	ck_assert(ip_parse(bytes_str("fd7a:115c:a1e0::1"), &own));
	ck_assert_int_eq(netstack_addr_add(w->pod, &own), 0);
	w->dns = agent_dns_new(
	    &(struct agent_dns_conf){
		.loop = w->loop, .rng = &w->rng.rng, .netmap = w->nm, .out = to_pod, .ctx = w },
	    &e);
	ck_assert_ptr_nonnull(w->dns);
}

static void place_fini(struct place *w)
{
	agent_dns_free(w->dns);
	netstack_free(w->pod);
	netmap_free(w->nm);
	close(w->resolver);
	loop_free(w->loop);
}

/* A turn: what the pod sends, what the resolver answers. */
static void turn(struct place *w)
{
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	netstack_tick(w->pod, loop_now(w->loop));
	netstack_pull(w->pod, loop_now(w->loop), &b);
	for (size_t i = 0; i < b.n; i++)
		ck_assert(agent_dns_wants(&b.v[i]));
	agent_dns_feed(w->dns, b.v, b.n);
	burst_fini(&b);
	loop_turn(w->loop, SPAN_MS(1));
}

static size_t question(const char *name, enum dns_type type, uint16_t id, uint8_t *out, size_t cap)
{
	const struct dns_head head = { .id = id, .rd = true };
	struct dns_question q = { .type = (uint16_t)type, .class = DNS_IN };
	struct dns_writer d;

	snprintf(q.name, sizeof q.name, "%s", name);
	dns_begin(&d, out, cap, &head);
	dns_put_question(&d, &q);
	return dns_finish(&d);
}

static struct ipport service(const char *ip, uint16_t port)
{
	struct ipport p = { .port = port };

	ck_assert(ip_parse(bytes_str(ip), &p.ip));
	return p;
}

/* "rcode first-address" of a reply with the id */
static const char *told(struct bytes msg, uint16_t id)
{
	static char text[IP_TEXT + 8];
	struct dns_reader r;
	struct dns_rr rr;
	struct ip a;
	char one[IP_TEXT];
	size_t n;

	ck_assert(dns_open(&r, msg) && r.head.qr && r.head.id == id);
	n = (size_t)snprintf(text, sizeof text, "%u", r.head.rcode);
	if (dns_next(&r, &rr) && rr.section == DNS_ANSWER && dns_rr_ip(&rr, &a))
		snprintf(text + n, sizeof text - n, " %s", ip_text(&a, one));
	return text;
}

static void send_udp(struct place *w, const struct ipport *to, const char *name, enum dns_type type)
{
	uint8_t buf[512];
	const size_t len = question(name, type, 0x1234, buf, sizeof buf);

	ck_assert_int_eq(
	    ns_udp_send(w->pod, &(struct ipport){ .port = 4000 }, to, bytes_of(buf, len)), 0);
}

static const char *await_udp(struct place *w)
{
	struct ns_event ev;

	for (int i = 0; i < 5000; i++) {
		turn(w);
		while (netstack_next(w->pod, &ev))
			if (ev.type == NS_UDP_RECV)
				return told(ev.data, 0x1234);
	}
	return "nothing";
}

TEST(a_pod_hears_the_tailnets_names_by_udp_over_both_families)
{
	static const char *const services[] = { "100.100.100.100", "fd7a:115c:a1e0::53" };
	struct place w;

	place_init(&w);
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct ipport to = service(services[i], 53);

		send_udp(&w, &to, "web.tail.test", DNS_A);
		ck_assert_str_eq(await_udp(&w), "0 100.64.0.2");
		send_udp(&w, &to, "nobody.tail.test", DNS_A);
		ck_assert_str_eq(await_udp(&w), "3");
		send_udp(&w, &to, "www.example.com", DNS_A); /* the next name server's business */
		ck_assert_str_eq(await_udp(&w), "2");
	}
	ck_assert_uint_eq(agent_dns_counts(w.dns)->answered, 6);
	place_fini(&w);
}

static struct ns_id dial(struct place *w, uint16_t port)
{
	const struct ipport to = service("100.100.100.100", port);
	struct ns_id id;

	ck_assert_int_eq(
	    ns_tcp_connect(w->pod, loop_now(w->loop), &(struct ipport){ .port = 0 }, &to, &id), 0);
	return id;
}

/* The type of the next event, reading left to the caller. */
static enum ns_event_type await(struct place *w, enum ns_event_type a, enum ns_event_type b)
{
	struct ns_event ev;

	for (int i = 0; i < 5000; i++) {
		while (netstack_next(w->pod, &ev))
			if (ev.type == a || ev.type == b)
				return ev.type;
		turn(w);
	}
	ck_abort_msg("nothing happened");
}

static void put_query(struct place *w, struct ns_id id, const char *name, uint16_t qid, size_t skip)
{
	uint8_t buf[512];
	const size_t len = question(name, DNS_A, qid, buf + 2, sizeof buf - 2);

	buf[0] = 0;
	buf[1] = (uint8_t)len;
	ck_assert_uint_eq(ns_tcp_write(w->pod, loop_now(w->loop), id, buf + skip, len + 2 - skip),
			  len + 2 - skip);
}

static size_t read_answer(struct place *w, struct ns_id id, uint8_t *out)
{
	struct ns_piece p;

	while (ns_tcp_peek(w->pod, id, &p, 1) == 0)
		await(w, NS_TCP_READABLE, NS_TCP_READABLE);
	ck_assert_uint_gt(p.len, 2);
	const size_t len = (size_t)p.data[0] << 8 | p.data[1];

	ck_assert_uint_ge(p.len, len + 2);
	memcpy(out, p.data + 2, len);
	ns_tcp_consume(w->pod, loop_now(w->loop), id, len + 2);
	return len;
}

TEST(two_queries_of_one_tcp_connection_are_answered_also_when_it_is_half_closed)
{
	uint8_t msg[4096];
	struct place w;
	struct ns_id id;
	size_t len;

	place_init(&w);
	id = dial(&w, 53);
	ck_assert_int_eq(await(&w, NS_TCP_CONNECTED, NS_TCP_ENDED), NS_TCP_CONNECTED);
	put_query(&w, id, "web.tail.test", 1, 0);
	put_query(&w, id, "me.tail.test", 2, 0);
	ns_tcp_shutdown(w.pod, loop_now(w.loop), id);
	len = read_answer(&w, id, msg);
	ck_assert_str_eq(told(bytes_of(msg, len), 1), "0 100.64.0.2");
	len = read_answer(&w, id, msg);
	ck_assert_str_eq(told(bytes_of(msg, len), 2), "0 100.64.0.1");
	ck_assert_int_eq(await(&w, NS_TCP_ENDED, NS_TCP_ENDED), NS_TCP_ENDED);
	place_fini(&w);
}

TEST(another_port_is_refused_and_a_query_over_the_limit_ends_its_connection)
{
	static const uint8_t huge[] = { 0x10, 0x01 }; /* 4,097 bytes follow, it says */
	struct place w;
	struct ns_id id;

	place_init(&w);
	dial(&w, 80);
	ck_assert_int_eq(await(&w, NS_TCP_CONNECTED, NS_TCP_ENDED), NS_TCP_ENDED);
	id = dial(&w, 53);
	ck_assert_int_eq(await(&w, NS_TCP_CONNECTED, NS_TCP_ENDED), NS_TCP_CONNECTED);
	ck_assert_uint_eq(ns_tcp_write(w.pod, loop_now(w.loop), id, huge, sizeof huge), 2);
	ck_assert_int_eq(await(&w, NS_TCP_READABLE, NS_TCP_ENDED), NS_TCP_ENDED);
	place_fini(&w);
}

/* The resolver of corp.example is one over HTTPS from now on. */
static void use_https(struct place *w, enum manner how)
{
	struct agent_dns_conf conf = {
		.loop = w->loop, .rng = &w->rng.rng, .netmap = w->nm, .out = to_pod, .ctx = w
	};
	char text[512];
	struct err e;

	doh_world_init(w->loop, how);
	snprintf(
	    text, sizeof text,
	    "{\"DNSConfig\":{\"Proxied\":true,\"Routes\":{\"corp.example\":[{\"Addr\":\"%s\"}]}}}",
	    url);
	netmap_begin(w->nm);
	ck_assert_int_eq(netmap_feed(w->nm, bytes_str(text)), 0);
	ck_assert_int_eq(netmap_end(w->nm, (wall_t){ 1795309200 * NS_PER_S }, &e), 0);
	agent_dns_free(w->dns);
	conf.host = host;
	w->dns = agent_dns_new(&conf, &e);
	ck_assert_ptr_nonnull(w->dns);
}

static void end_https(struct place *w)
{
	agent_dns_free(w->dns);
	w->dns = NULL;
	doh_world_fini();
	place_fini(w);
}

TEST(a_resolver_that_control_names_by_url_is_asked_over_https)
{
	const struct ipport to = service("100.100.100.100", 53);
	struct place w;

	place_init(&w);
	use_https(&w, ANSWERS);
	send_udp(&w, &to, "www.corp.example", DNS_A);
	ck_assert_str_eq(await_udp(&w), "0 192.0.2.7");
	ck_assert_uint_eq(agent_dns_counts(w.dns)->asked, 1);
	manner = REFUSES; /* nobody else is there: told at once, not when the time is over */
	send_udp(&w, &to, "www.corp.example", DNS_A);
	ck_assert_str_eq(await_udp(&w), "2");
	ck_assert_uint_eq(agent_dns_counts(w.dns)->lost, 1);
	end_https(&w);
}

TEST(a_large_answer_over_https_is_cut_for_a_datagram_and_whole_over_tcp)
{
	const struct ipport to = service("100.100.100.100", 53);
	uint8_t msg[4096];
	struct dns_head h;
	struct place w;
	struct ns_id id;
	size_t len;

	place_init(&w);
	use_https(&w, LARGE);
	send_udp(&w, &to, "www.corp.example", DNS_A);
	ck_assert_str_eq(await_udp(&w), "0");
	id = dial(&w, 53);
	ck_assert_int_eq(await(&w, NS_TCP_CONNECTED, NS_TCP_ENDED), NS_TCP_CONNECTED);
	put_query(&w, id, "www.corp.example", 7, 0);
	len = read_answer(&w, id, msg);
	ck_assert(dns_head_parse(bytes_of(msg, len), &h));
	ck_assert(h.id == 7 && !h.tc && h.count[DNS_ANSWER + 1] == 60);
	end_https(&w);
}

/* The query that reached the resolver's socket. */
static size_t asked(struct place *w, uint8_t *buf, size_t cap, struct sockaddr_in *from)
{
	socklen_t len = sizeof *from;
	ssize_t n = -1;

	for (int i = 0; i < 5000 && n < 0; i++) {
		turn(w);
		n = recvfrom(w->resolver, buf, cap, MSG_DONTWAIT, (struct sockaddr *)from, &len);
	}
	ck_assert_int_gt(n, 12);
	return (size_t)n;
}

static void answer_asked(struct place *w, uint8_t *query, size_t n, const struct sockaddr_in *to,
			 const char *ip)
{
	uint8_t out[512];
	struct dns_reader q;
	struct dns_writer d;
	struct dns_head head;
	struct ip a;
	size_t len;

	ck_assert(dns_open(&q, bytes_of(query, n)) && ip_parse(bytes_str(ip), &a));
	head = q.head;
	head.qr = true;
	dns_begin(&d, out, sizeof out, &head);
	dns_put_question(&d, &q.q);
	dns_put_ip(&d, DNS_ANSWER, q.q.name, 60, &a);
	len = dns_finish(&d);
	ck_assert_int_eq(sendto(w->resolver, out, len, 0, (const struct sockaddr *)to, sizeof *to),
			 len);
}

TEST(a_split_name_is_asked_of_its_resolver_and_a_forged_answer_is_passed_over)
{
	const struct ipport to = service("100.100.100.100", 53);
	struct sockaddr_in from;
	uint8_t buf[512], forged[512];
	struct place w;
	size_t n;

	place_init(&w);
	send_udp(&w, &to, "wiki.corp.example", DNS_A);
	n = asked(&w, buf, sizeof buf, &from);
	memcpy(forged, buf, n);
	forged[0] ^= 1; /* another id */
	answer_asked(&w, forged, n, &from, "10.6.6.6");
	answer_asked(&w, buf, n, &from, "10.8.8.8");
	ck_assert_str_eq(await_udp(&w), "0 10.8.8.8");
	ck_assert_uint_eq(agent_dns_counts(w.dns)->asked, 1);
	place_fini(&w);
}

/* RFC 5452 section 9: neither port nor id of a question tells those of the next. */
TEST(each_question_leaves_by_a_port_of_its_own_and_hears_its_resolver_alone)
{
	enum { N = 8 };
	const struct ipport to = service("100.100.100.100", 53);
	struct sockaddr_in from[N];
	uint8_t buf[N][512];
	size_t len[N];
	struct place w;
	int stranger;

	place_init(&w);
	for (size_t i = 0; i < N; i++) {
		send_udp(&w, &to, "wiki.corp.example", DNS_A);
		len[i] = asked(&w, buf[i], sizeof buf[i], &from[i]);
		for (size_t k = 0; k < i; k++) {
			ck_assert_uint_ne(from[i].sin_port, from[k].sin_port);
			ck_assert(memcmp(buf[i], buf[k], 2) != 0);
		}
	}
	/* what is right for another question, or comes from somebody else, is none */
	answer_asked(&w, buf[0], len[0], &from[1], "10.6.6.6");
	stranger = w.resolver;
	w.resolver = socket(AF_INET, SOCK_DGRAM, 0);
	answer_asked(&w, buf[2], len[2], &from[2], "10.6.6.6");
	close(w.resolver);
	w.resolver = stranger;
	for (int i = 0; i < 20; i++)
		turn(&w);
	answer_asked(&w, buf[0], len[0], &from[0], "10.8.8.8");
	ck_assert_str_eq(await_udp(&w), "0 10.8.8.8");
	place_fini(&w);
}

TEST(a_resolver_whose_port_is_closed_costs_no_time)
{
	const struct ipport to = service("100.100.100.100", 53);
	struct place w;
	mono_t begun;

	place_init(&w);
	close(w.resolver);
	begun = loop_now(w.loop);
	send_udp(&w, &to, "wiki.corp.example", DNS_A);
	ck_assert_str_eq(await_udp(&w), "2");
	ck_assert(mono_sub(loop_now(w.loop), begun).ns < SPAN_S(4).ns); /* it gives up after 5 */
	ck_assert_uint_eq(agent_dns_counts(w.dns)->lost, 1);
	w.resolver = -1;
	place_fini(&w);
}

TEST(a_resolver_that_is_silent_costs_a_failure_and_waiting_queries_of_a_pod_are_limited)
{
	enum { HALF = AGENT_DNS_UPSTREAM_MAX / 2 };
	const struct ipport to = service("100.100.100.100", 53),
			    other = service("fd7a:115c:a1e0::53", 53);
	struct place w;

	place_init(&w);
	w.mute = true;
	for (int i = 0; i < HALF + 8; i++) {
		send_udp(&w, &to, "wiki.corp.example", DNS_A);
		turn(&w);
	}
	ck_assert_uint_eq(agent_dns_counts(w.dns)->asked, HALF);
	ck_assert_uint_eq(agent_dns_counts(w.dns)->lost, 8);
	send_udp(&w, &other, "wiki.corp.example", DNS_A); /* from another address */
	turn(&w);
	ck_assert_uint_eq(agent_dns_counts(w.dns)->asked, HALF + 1);
	const mono_t end = mono_add(loop_now(w.loop), SPAN_S(15));

	while (agent_dns_counts(w.dns)->lost == 8 && loop_now(w.loop).ns < end.ns)
		loop_turn(w.loop, SPAN_MS(20)); /* the pods have nothing to say */
	w.mute = false; /* those that are left are failed one after the other */
	ck_assert_uint_gt(agent_dns_counts(w.dns)->lost, 8);
	send_udp(&w, &to, "web.tail.test", DNS_A);
	for (int i = 0; i < 300; i++) {
		const char *s = await_udp(&w);

		if (strcmp(s, "0 100.64.0.2") == 0)
			break;
		ck_assert_str_eq(s, "2");
	}
	place_fini(&w);
}

TEST(only_packets_for_the_resolver_are_wanted)
{
	static const struct {
		const char *dst;
		bool wanted;
	} rows[] = { { "100.100.100.100", true },
		     { "100.100.100.101", false },
		     { "100.64.0.2", false },
		     { "fd7a:115c:a1e0::53", true },
		     { "fd7a:115c:a1e0::54", false } };
	struct place w;
	struct burst b;

	place_init(&w);
	ck_assert_int_eq(burst_init(&b), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct ipport to = service(rows[i].dst, 53);

		send_udp(&w, &to, "x.test", DNS_A);
		burst_reset(&b);
		ck_assert_uint_eq(netstack_pull(w.pod, loop_now(w.loop), &b), 1);
		ck_assert_int_eq(agent_dns_wants(&b.v[0]), rows[i].wanted);
		for (uint32_t cut = 0; cut < 20; cut++)
			ck_assert(
			    !agent_dns_wants(&(struct pkt){ .data = b.v[0].data, .len = cut }));
	}
	burst_fini(&b);
	place_fini(&w);
}
