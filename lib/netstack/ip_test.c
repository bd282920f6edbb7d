/* netstack/ip_test.c - packets made by hand, above all those of IPv6: fragments, extension headers,
 * checksums, errors */
#include "base/cursor.h"
#include "netstack/stack.h"
#include "tests/harness.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/ip6.h"
#include "wire/udp.h"

static struct seed_rng rng;
static struct netstack *ns;
static const struct ip own6 = { { 0xfd, 0x7a, [15] = 1 } }, peer6 = { { 0xfd, 0x7a, [15] = 2 } };
static const struct ip own4 = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } };
static const struct ip peer4 = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } };
static const mono_t now = { NS_PER_S };

static void start(void)
{
	const struct netstack_conf conf = { .rng = &rng.rng, .mtu = 1400 };

	seed_rng_init(&rng, 1);
	ck_assert_ptr_nonnull(ns = netstack_new(&conf));
	ck_assert_int_eq(netstack_addr_add(ns, &own6), 0);
	ck_assert_int_eq(netstack_addr_add(ns, &own4), 0);
}

static void feed(uint8_t *data, size_t len)
{
	netstack_feed(ns, now, &(struct pkt){ .data = data, .len = (uint32_t)len }, 1);
}

/* An IPv6 packet of what lies in body behind its header; next: of the IPv6 header */
static void feed6(uint8_t next, const uint8_t *body, size_t len)
{
	uint8_t b[2048];
	const struct ip6_head h = {
		.src = peer6, .dst = own6, .payload_len = (uint16_t)len, .next = next, .hops = 64
	};

	ip6_emit(b, &h);
	memcpy(b + IP6_HEAD_LEN, body, len);
	feed(b, IP6_HEAD_LEN + len);
}

/* A datagram of n bytes for port 9, with its checksum; returns its length. */
static size_t datagram(uint8_t *out, size_t n)
{
	const struct udp_head u = { .sport = 7, .dport = 9, .len = (uint16_t)(UDP_HEAD_LEN + n) };

	udp_emit(out, &u);
	memset(out + UDP_HEAD_LEN, 'd', n);
	checksum_store(out + 6,
		       checksum_add(checksum_pseudo(&peer6, &own6, PROTO_UDP, u.len), out, u.len));
	return u.len;
}

static void fragment(uint32_t id, const uint8_t *whole, size_t off, size_t len, bool more)
{
	uint8_t b[1500];
	const struct ip6_fragment f = {
		.next = PROTO_UDP, .off = (uint16_t)off, .more = more, .id = id
	};

	ip6_fragment_emit(b, &f);
	memcpy(b + IP6_FRAGMENT_LEN, whole + off, len);
	feed6(PROTO_FRAGMENT, b, IP6_FRAGMENT_LEN + len);
}

/* Bytes of the datagrams that came */
static size_t came(void)
{
	struct ns_event ev;
	size_t n = 0;

	while (netstack_next(ns, &ev)) {
		ck_assert_int_eq(ev.type, NS_UDP_RECV);
		n += ev.data.len;
	}
	return n;
}

static uint64_t dropped(enum ns_drop why)
{
	struct netstack_stat st;

	netstack_stat(ns, &st);
	return st.drops[why];
}

/* RFC 8200 8.1; RFC 768 lets a sender over IPv4 leave it out */
TEST(a_datagram_without_checksum_is_taken_over_ipv4_only)
{
	uint8_t b[64], p4[64];
	struct ip4_head h = { .src = peer4, .dst = own4, .ttl = 64, .proto = PROTO_UDP };
	const size_t len = datagram(b, 5);

	start();
	feed6(PROTO_UDP, b, len);
	ck_assert_uint_eq(came(), 5);
	b[6] = b[7] = 0;
	feed6(PROTO_UDP, b, len);
	ck_assert_uint_eq(came(), 0);
	ck_assert_uint_eq(dropped(NS_DROP_CHECKSUM), 1);
	h.total_len = (uint16_t)(IP4_HEAD_LEN + len);
	ip4_emit(p4, &h);
	memcpy(p4 + IP4_HEAD_LEN, b, len);
	feed(p4, h.total_len);
	ck_assert_uint_eq(came(), 5);
	netstack_free(ns);
}

/* RFC 6946 4: it is no part of anything else that has its id */
TEST(an_atomic_fragment_is_a_whole_packet_by_itself)
{
	static uint8_t whole[1000], small[16];
	const size_t len = datagram(whole, 800), n = datagram(small, 8);

	start();
	fragment(7, whole, 0, 400, true);
	fragment(7, small, 0, n, false);
	ck_assert_uint_eq(came(), 8);
	fragment(7, whole, 400, len - 400, false);
	ck_assert_uint_eq(came(), 800);
	netstack_free(ns);
}

/* RFC 8200 4.5, RFC 5722 */
TEST(ipv6_fragments_that_overlap_give_nothing)
{
	static uint8_t whole[1000];
	const size_t len = datagram(whole, 800);

	start();
	fragment(7, whole, 0, 400, true);
	fragment(7, whole, 392, len - 392, false);
	fragment(7, whole, 400, len - 400, false);
	ck_assert_uint_eq(came(), 0);
	ck_assert_uint_eq(dropped(NS_DROP_FRAGMENT), 2);
	fragment(8, whole, 400, len - 400, false); /* another */
	fragment(8, whole, 0, 400, true);
	ck_assert_uint_eq(came(), 800);
	netstack_free(ns);
}

/* data-plane.md 5.3: the stock filter refuses them too. RFC 2675 jumbograms have one, and length 0.
 */
TEST(extension_headers_are_refused_by_name)
{
	static const uint8_t next[] = { 0, 43, 60, 59, 135, 139, 140 };
	uint8_t b[64] = { PROTO_UDP, 0 };
	const size_t len = 8 + datagram(b + 8, 5);

	start();
	for (size_t i = 0; i < ARRAY_LEN(next); i++) {
		feed6(next[i], b, len);
		ck_assert_uint_eq(came(), 0);
		ck_assert_uint_eq(dropped(NS_DROP_PROTOCOL), i + 1);
	}
	feed6(0, b, 0);
	feed6(PROTO_UDP, b, 0);
	ck_assert_uint_eq(dropped(NS_DROP_PROTOCOL), ARRAY_LEN(next) + 2);
	ck_assert_uint_eq(came(), 0);
	netstack_free(ns);
}

/* The MSS that the next SYN offers */
static uint16_t offered(mono_t t, uint32_t *seq)
{
	struct tcp_head h = { 0 };
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	netstack_tick(ns, t);
	ck_assert_uint_eq(netstack_pull(ns, t, &b), 1);
	ck_assert(tcp_parse(b.v[0].data + IP6_HEAD_LEN, b.v[0].len - IP6_HEAD_LEN, &h));
	burst_fini(&b);
	*seq = h.seq;
	return h.mss;
}

static void too_big(uint16_t port, uint32_t seq, uint16_t mtu)
{
	const struct icmp_head h = { .type = ICMP6_TOO_BIG, .lo = mtu };
	const struct ip6_head quoted = {
		.src = own6, .dst = peer6, .payload_len = 1300, .next = PROTO_TCP, .hops = 64
	};
	uint8_t b[ICMP_HEAD_LEN + IP6_HEAD_LEN + 8];
	struct wr w = wr_of(b + ICMP_HEAD_LEN + IP6_HEAD_LEN, 8);

	icmp_emit(b, &h);
	ip6_emit(b + ICMP_HEAD_LEN, &quoted);
	wr_be16(&w, port);
	wr_be16(&w, 80);
	wr_be32(&w, seq);
	checksum_store(b + 2, checksum_add(checksum_pseudo(&peer6, &own6, PROTO_ICMPV6, sizeof b),
					   b, sizeof b));
	feed6(PROTO_ICMPV6, b, sizeof b);
}

/* RFC 8201 4: no IPv6 link carries less than 1280 */
TEST(a_packet_too_big_below_1280_is_ignored)
{
	const struct ipport from = { own6, 40000 }, to = { peer6, 80 };
	struct ns_id id;
	uint32_t seq;

	start();
	ck_assert_int_eq(ns_tcp_connect(ns, now, &from, &to, &id), 0);
	ck_assert_uint_eq(offered(now, &seq), 1340);
	too_big(from.port, seq, 600);
	ck_assert_uint_eq(offered((mono_t){ 2 * NS_PER_S }, &seq), 1340);
	too_big(from.port, seq + 7, 1300); /* RFC 5927 4.1: not in flight */
	ck_assert_uint_eq(offered((mono_t){ 4 * NS_PER_S }, &seq), 1340);
	too_big(from.port, seq, 1300);
	ck_assert_uint_eq(offered((mono_t){ 8 * NS_PER_S }, &seq), 1240);
	netstack_free(ns);
}
