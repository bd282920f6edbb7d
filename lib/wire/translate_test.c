/* wire/translate_test.c - after each translation every checksum is what a full computation gives */
#include <string.h>

#include "tests/harness.h"
#include "wire/checksum.h"
#include "wire/translate.h"

static const struct ip a4 = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } },
		       b4 = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } },
		       m4 = { { [10] = 0xff, [11] = 0xff, 100, 108, 109, 110 } };
static const struct ip a6 = { { 0xfd, 0x7a, [15] = 1 } }, b6 = { { 0xfd, 0x7a, [15] = 2 } },
		       m6 = { { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [14] = 0xff, [15] = 0xfe } };

struct made {
	uint8_t b[256];
	size_t len, transport;
	uint16_t sum_at; /* in the transport; 0: none */
	bool udp;
};

static uint16_t fold_transport(const struct made *m, const struct ip *src, const struct ip *dst,
			       uint8_t proto)
{
	size_t n = m->len - m->transport;
	uint64_t sum = proto == PROTO_ICMP ? 0 : checksum_pseudo(src, dst, proto, (uint32_t)n);

	return checksum_fold(checksum_add(sum, m->b + m->transport, n));
}

static size_t head4(uint8_t *b, size_t total, uint8_t proto, const struct ip *src,
		    const struct ip *dst, uint16_t fragment)
{
	memset(b, 0, 20);
	b[0] = 0x45;
	b[2] = (uint8_t)(total >> 8);
	b[3] = (uint8_t)total;
	b[6] = (uint8_t)(fragment >> 8);
	b[7] = (uint8_t)fragment;
	b[8] = 64;
	b[9] = proto;
	memcpy(b + 12, src->b + 12, 4);
	memcpy(b + 16, dst->b + 12, 4);
	checksum_store(b + 10, checksum_add(0, b, 20));
	return 20;
}

static size_t head6(uint8_t *b, size_t total, uint8_t proto, const struct ip *src,
		    const struct ip *dst)
{
	memset(b, 0, 40);
	b[0] = 0x60;
	b[4] = (uint8_t)((total - 40) >> 8);
	b[5] = (uint8_t)(total - 40);
	b[6] = proto;
	b[7] = 64;
	memcpy(b + 8, src->b, 16);
	memcpy(b + 24, dst->b, 16);
	return 40;
}

/* A packet with random payload and right sums. */
static void make(struct made *m, struct rng *rng, uint8_t proto, const struct ip *src,
		 const struct ip *dst, uint8_t icmp_type)
{
	bool v4 = ip_is_v4(src);
	size_t head = v4 ? 20 : 40, body = 20 + (size_t)rng_below(rng, 60);

	*m = (struct made){ .len = head + body, .transport = head };
	rng_fill(rng, m->b, sizeof m->b);
	if (v4)
		head4(m->b, m->len, proto, src, dst, 0);
	else
		head6(m->b, m->len, proto, src, dst);
	if (proto == PROTO_ICMP || proto == PROTO_ICMPV6)
		m->b[head] = icmp_type;
	m->sum_at = proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : 2;
	memset(m->b + head + m->sum_at, 0, 2);
	checksum_store(m->b + head + m->sum_at,
		       (uint16_t)~fold_transport(m, src, dst, proto)); /* ~fold: the sum itself */
}

static void sums_are_right(const struct made *m, const struct packet *p)
{
	if (!p->is_v6)
		ck_assert_uint_eq(checksum_fold(checksum_add(0, m->b, 20)), 0);
	ck_assert_uint_eq(fold_transport(m, &p->src, &p->dst, p->proto), 0);
}

/* there and back, for every protocol and many contents */
static void round_trip(uint8_t proto, const struct ip *src, const struct ip *dst,
		       const struct ip *masq, uint8_t icmp_type)
{
	struct seed_rng seed;

	seed_rng_init(&seed, proto);
	for (int i = 0; i < 2000; i++) {
		struct made m;
		struct packet p, again;
		uint8_t before[sizeof m.b];

		make(&m, &seed.rng, proto, src, dst, icmp_type);
		memcpy(before, m.b, m.len);
		ck_assert_int_eq(packet_parse(m.b, m.len, &p), PACKET_OK);
		sums_are_right(&m, &p);
		translate_src(m.b, &p, masq);
		sums_are_right(&m, &p);
		ck_assert_int_eq(packet_parse(m.b, m.len, &again), PACKET_OK);
		ck_assert(ip_eq(&again.src, masq) && ip_eq(&again.dst, dst));
		translate_dst(m.b, &p, src);
		sums_are_right(&m, &p);
		translate_dst(m.b, &p, dst);
		translate_src(m.b, &p, src);
		ck_bytes_eq(m.b, before, m.len);
	}
}

TEST(tcp_sums_follow_a_translated_address)
{
	round_trip(PROTO_TCP, &a4, &b4, &m4, 0);
	round_trip(PROTO_TCP, &a6, &b6, &m6, 0);
}

TEST(udp_sums_follow_a_translated_address)
{
	round_trip(PROTO_UDP, &a4, &b4, &m4, 0);
	round_trip(PROTO_UDP, &a6, &b6, &m6, 0);
}

TEST(icmp_sums_follow_a_translated_address)
{
	round_trip(PROTO_ICMP, &a4, &b4, &m4, 8);
	round_trip(PROTO_ICMPV6, &a6, &b6, &m6, 128);
}

TEST(udp_without_a_sum_stays_without_and_a_sum_never_becomes_none)
{
	struct seed_rng seed;
	struct made m;
	struct packet p;
	bool seen_ones = false;

	seed_rng_init(&seed, 3);
	make(&m, &seed.rng, PROTO_UDP, &a4, &b4, 0);
	memset(m.b + 26, 0, 2);
	ck_assert_int_eq(packet_parse(m.b, m.len, &p), PACKET_OK);
	translate_src(m.b, &p, &m4);
	ck_assert_uint_eq(m.b[26] | m.b[27], 0);
	for (unsigned port = 0; port < 65536; port++) { /* one of these ports makes the sum zero */
		struct made t = m;

		memset(t.b + 26, 0, 2);
		head4(t.b, t.len, PROTO_UDP, &a4, &b4, 0);
		t.b[20] = (uint8_t)(port >> 8);
		t.b[21] = (uint8_t)port;
		checksum_store(t.b + 26, (uint16_t)~fold_transport(&t, &a4, &b4, PROTO_UDP));
		if ((t.b[26] | t.b[27]) == 0)
			continue;
		ck_assert_int_eq(packet_parse(t.b, t.len, &p), PACKET_OK);
		translate_src(t.b, &p, &m4);
		ck_assert_uint_ne(t.b[26] | t.b[27], 0);
		seen_ones |= t.b[26] == 0xff && t.b[27] == 0xff;
		ck_assert_uint_eq(fold_transport(&t, &m4, &b4, PROTO_UDP), 0);
	}
	ck_assert(seen_ones);
}

TEST(a_later_fragment_has_no_transport_header_to_mend)
{
	uint8_t b[60], body[40];
	struct packet p;

	memset(b, 0x5a, sizeof b);
	head4(b, sizeof b, PROTO_UDP, &a4, &b4, 100);
	memcpy(body, b + 20, sizeof body);
	ck_assert_int_eq(packet_parse(b, sizeof b, &p), PACKET_OK);
	ck_assert(p.is_later_fragment);
	translate_dst(b, &p, &m4);
	ck_assert_uint_eq(checksum_fold(checksum_add(0, b, 20)), 0);
	ck_bytes_eq(b + 20, body, sizeof body);
	ck_bytes_eq(b + 16, m4.b + 12, 4);
}

/* The sum of a first fragment covers the whole datagram, so only a difference can mend it. */
TEST(the_sum_of_a_first_fragment_holds_for_the_whole_datagram)
{
	struct seed_rng seed;
	struct made m;
	struct packet p;

	seed_rng_init(&seed, 4);
	make(&m, &seed.rng, PROTO_UDP, &a4, &b4, 0);
	head4(m.b, 40, PROTO_UDP, &a4, &b4, 0x2000);
	ck_assert_int_eq(packet_parse(m.b, 40, &p), PACKET_OK);
	ck_assert(p.more_fragments);
	translate_src(m.b, &p, &m4);
	ck_assert_uint_eq(fold_transport(&m, &m4, &b4, PROTO_UDP), 0);
}

static void quotes(uint8_t proto, uint8_t type, const struct ip *us, const struct ip *them,
		   const struct ip *masq)
{
	bool v4 = ip_is_v4(us);
	struct made m = { .transport = v4 ? 20 : 40 };
	struct packet p;
	uint8_t *q = m.b + m.transport + 8;
	size_t at;

	/* they answer a datagram that we sent as masq */
	m.len = m.transport + 8 + (v4 ? 20 : 40) + 8;
	if (v4) {
		head4(m.b, m.len, proto, them, masq, 0);
		head4(q, 28, PROTO_UDP, masq, them, 0);
	} else {
		head6(m.b, m.len, proto, them, masq);
		head6(q, 48, PROTO_UDP, masq, them);
	}
	m.b[m.transport] = type;
	checksum_store(m.b + m.transport + 2, (uint16_t)~fold_transport(&m, them, masq, proto));
	ck_assert_int_eq(packet_parse(m.b, m.len, &p), PACKET_OK);
	translate_dst(m.b, &p, us);
	sums_are_right(&m, &p);
	at = v4 ? 12 : 8;
	ck_bytes_eq(q + at, us->b + (v4 ? 12 : 0), v4 ? 4U : 16U);
	if (v4)
		ck_assert_uint_eq(checksum_fold(checksum_add(0, q, 20)), 0);
	/* cut off in the quoted header: only the outer address changes */
	m.len = m.transport + 8 + 12;
	if (v4)
		head4(m.b, m.len, proto, them, masq, 0);
	else
		head6(m.b, m.len, proto, them, masq);
	ck_assert_int_eq(packet_parse(m.b, m.len, &p), PACKET_OK);
	translate_dst(m.b, &p, us);
	ck_assert(ip_eq(&p.dst, us));
}

TEST(an_icmp_error_concerns_the_address_that_was_translated)
{
	quotes(PROTO_ICMP, 3, &a4, &b4, &m4);
	quotes(PROTO_ICMPV6, 1, &a6, &b6, &m6);
}
