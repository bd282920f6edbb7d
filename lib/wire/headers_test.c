/* wire/headers_test.c - checksum, ip4, ip6, tcp, udp, icmp: parse(emit(x)) is x, every cut is
 * refused
 *
 * The checksum's vector is that of RFC 1071 section 3.
 */
#include "tests/harness.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/ip6.h"
#include "wire/packet.h"
#include "wire/tcp.h"
#include "wire/udp.h"

static const struct ip a4 = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } },
		       b4 = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 9 } },
		       a6 = { { 0xfd, 0x7a, [15] = 1 } }, b6 = { { 0x20, 1, 0xd, 0xb8, [15] = 2 } };

/* word by word, as RFC 1071 writes it */
static uint16_t slow(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

TEST(checksum_is_that_of_rfc_1071)
{
	static const uint8_t v[] = { 0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7 };
	uint8_t out[2];

	checksum_store(out, checksum_add(0, v, sizeof v));
	ck_assert_uint_eq((unsigned)out[0] << 8 | out[1], 0xffffU ^ 0xddf2U);
}

TEST(checksum_of_any_length_and_any_parts_is_that_of_a_slow_model)
{
	struct seed_rng r;
	uint8_t v[2048], out[2];

	seed_rng_init(&r, 1);
	for (int i = 0; i < 2000; i++) {
		size_t len = rng_below(&r.rng, sizeof v + 1),
		       cut = rng_below(&r.rng, len / 2 + 1) * 2;

		rng_fill(&r.rng, v, sizeof v);
		if (i % 4 == 0)
			memset(v, 0xff, sizeof v); /* each carry there can be */
		checksum_store(out, checksum_add(checksum_add(0, v, cut), v + cut, len - cut));
		ck_assert_uint_eq((unsigned)out[0] << 8 | out[1], slow(v, len));
	}
}

TEST(pseudo_header_is_that_of_either_family)
{
	const uint8_t v4[] = { 100, 64, 0, 1, 192, 0, 2, 9, 0, 6, 0x12, 0x34 };
	uint8_t v6[40] = { [34] = 0x12, [35] = 0x34, [39] = 6 }, out[2];

	memcpy(v6, a6.b, 16);
	memcpy(v6 + 16, b6.b, 16);
	checksum_store(out, checksum_pseudo(&a4, &b4, PROTO_TCP, 0x1234));
	ck_assert_uint_eq((unsigned)out[0] << 8 | out[1], slow(v4, sizeof v4));
	checksum_store(out, checksum_pseudo(&a6, &b6, PROTO_TCP, 0x1234));
	ck_assert_uint_eq((unsigned)out[0] << 8 | out[1], slow(v6, sizeof v6));
}

TEST(ip4_header_comes_back_as_it_was_and_no_cut_of_it_is_taken)
{
	const struct ip4_head want = { .src = a4,
				       .dst = b4,
				       .total_len = 28,
				       .id = 0xabcd,
				       .fragment_off = 1480,
				       .more_fragments = true,
				       .tos = 0xb8,
				       .ttl = 63,
				       .proto = PROTO_UDP };
	struct ip4_head h;
	uint8_t v[28] = { 0 };

	ip4_emit(v, &want);
	ck_assert(ip4_parse(v, sizeof v, &h));
	ck_assert(ip_eq(&h.src, &a4) && ip_eq(&h.dst, &b4));
	ck_assert(h.total_len == 28 && h.id == 0xabcd && h.fragment_off == 1480);
	ck_assert(h.more_fragments && !h.dont_fragment && h.tos == 0xb8 && h.ttl == 63 &&
		  h.proto == PROTO_UDP && h.head_len == 20);
	for (size_t n = 0; n < sizeof v; n++)
		ck_assert(!ip4_parse(v, n, &h));
	for (size_t i = 0; i < IP4_HEAD_LEN; i++) { /* each flipped bit is seen */
		v[i] ^= 4;
		ck_assert(!ip4_parse(v, sizeof v, &h));
		v[i] ^= 4;
	}
}

TEST(ip6_headers_come_back_as_they_were_and_no_cut_of_them_is_taken)
{
	const struct ip6_head want = { .src = a6,
				       .dst = b6,
				       .payload_len = 8,
				       .next = 44,
				       .hops = 64,
				       .traffic_class = 0xb8,
				       .flow = 0xfedcb };
	const struct ip6_fragment wantf = { .next = 17, .off = 65528, .more = true, .id = 77 };
	struct ip6_head h;
	struct ip6_fragment f;
	uint8_t v[48] = { 0 };

	ip6_emit(v, &want);
	ip6_fragment_emit(v + 40, &wantf);
	ck_assert(ip6_parse(v, sizeof v, &h) && ip6_fragment_parse(v + 40, 8, &f));
	ck_assert(ip_eq(&h.src, &a6) && ip_eq(&h.dst, &b6) && h.payload_len == 8 && h.next == 44);
	ck_assert(h.hops == 64 && h.traffic_class == 0xb8 && h.flow == 0xfedcb);
	ck_assert(f.next == 17 && f.off == 65528 && f.more && f.id == 77);
	for (size_t n = 0; n < sizeof v; n++)
		ck_assert(!ip6_parse(v, n, &h));
	for (size_t n = 0; n < 8; n++)
		ck_assert(!ip6_fragment_parse(v + 40, n, &f));
	v[0] = 0x45;
	ck_assert(!ip6_parse(v, sizeof v, &h));
}

TEST(tcp_header_comes_back_with_every_set_of_options)
{
	for (unsigned set = 0; set < 16 * 5; set++) {
		struct tcp_head want = { .sport = 1,
					 .dport = 65535,
					 .seq = 0xfffffffe,
					 .ack = 7,
					 .flags = TCP_SYN | TCP_ACK,
					 .wnd = 512,
					 .has_mss = set & 1,
					 .has_wscale = set & 2,
					 .has_ts = set & 4,
					 .sack_permitted = set & 8,
					 .n_sack = (uint8_t)(set / 16) },
				h;
		uint8_t v[TCP_HEAD_MAX];
		size_t n, room;

		want.mss = want.has_mss ? 1220 : 0;
		want.wscale = want.has_wscale ? 14 : 0;
		want.tsval = want.has_ts ? 0x80000001 : 0;
		want.tsecr = want.has_ts ? 3 : 0;
		for (uint32_t i = 0; i < want.n_sack; i++)
			want.sack[i] = (struct tcp_sack){ 10 * i, 10 * i + 5 };
		n = tcp_emit(v, &want);
		ck_assert(n % 4 == 0 && n <= TCP_HEAD_MAX && tcp_parse(v, n, &h));
		room = 40 - (want.has_mss ? 4 : 0) - (want.has_wscale ? 4 : 0) -
		       (want.sack_permitted ? 4 : 0) - (want.has_ts ? 12 : 0);
		ck_assert_uint_eq(h.n_sack, MIN_OF(want.n_sack, (room - 4) / 8));
		ck_assert(h.seq == want.seq && h.ack == 7 && h.wnd == 512 && h.sport == 1);
		ck_assert(h.has_mss == want.has_mss && h.mss == want.mss);
		ck_assert(h.has_wscale == want.has_wscale && h.wscale == want.wscale);
		ck_assert(h.has_ts == want.has_ts && h.tsval == want.tsval &&
			  h.tsecr == want.tsecr);
		ck_assert(h.sack_permitted == want.sack_permitted);
		for (uint32_t i = 0; i < h.n_sack; i++)
			ck_assert(h.sack[i].start == 10 * i && h.sack[i].end == 10 * i + 5);
		for (size_t cut = 0; cut < n; cut++)
			ck_assert(!tcp_parse(v, cut, &h));
	}
}

TEST(tcp_options_that_lie_about_their_length_end_the_list)
{
	uint8_t v[28] = { [12] = 0x70, [13] = TCP_SYN, [20] = 2, 4, 4, 0, 8, 11 };
	struct tcp_head h;

	ck_assert(tcp_parse(v, sizeof v, &h));
	ck_assert(h.has_mss && h.mss == 1024 && !h.has_ts);
	v[25] = 0; /* RFC 9293 MUST-7 */
	ck_assert(tcp_parse(v, sizeof v, &h) && h.has_mss && !h.has_ts);
	v[12] = 0x40; /* a header of 16 bytes */
	ck_assert(!tcp_parse(v, sizeof v, &h));
}

TEST(udp_and_icmp_headers_come_back_and_no_cut_of_them_is_taken)
{
	const struct udp_head wantu = { .sport = 53, .dport = 5353, .len = 12 };
	const struct icmp_head wanti = { .type = ICMP6_TOO_BIG, .hi = 1, .lo = 2 };
	struct udp_head u;
	struct icmp_head i;
	uint8_t v[12] = { 0 };

	udp_emit(v, &wantu);
	ck_assert(udp_parse(v, 12, &u));
	ck_assert(u.sport == 53 && u.dport == 5353 && u.len == 12 && !u.has_checksum);
	for (size_t n = 0; n < 12; n++)
		ck_assert(!udp_parse(v, n, &u));
	v[5] = 7; /* shorter than its header */
	ck_assert(!udp_parse(v, 12, &u));
	icmp_emit(v, &wanti);
	ck_assert(icmp_parse(v, 8, &i));
	ck_assert(i.type == ICMP6_TOO_BIG && icmp_rest(&i) == 0x10002);
	for (size_t n = 0; n < 8; n++)
		ck_assert(!icmp_parse(v, n, &i));
}
