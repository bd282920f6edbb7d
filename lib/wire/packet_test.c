/* wire/packet_test.c */
#include "wire/packet.h"

#include "tests/harness.h"

/* 100.64.0.1:1000 > 100.64.0.2:80 SYN */
static const char syn4[] =
    "45000028 12344000 40060000 64400001 64400002 03e80050 00000001 00000000 50020400 00000000";
/* fd7a::1 > fd7a::2, UDP 53 > 4000, 4 bytes */
static const char udp6[] =
    "60000000 000c1140 fd7a0000000000000000000000000001 fd7a0000000000000000000000000002 "
    "00350fa0 000c0000 61626364";

static struct ip v4(uint8_t d)
{
	return (struct ip){ { [10] = 0xff, [11] = 0xff, 100, 64, 0, d } };
}

TEST(packet_gives_the_facts_of_a_tcp_syn)
{
	uint8_t b[64];
	size_t n = harness_unhex(syn4, b, sizeof b);
	struct packet p;
	struct ip src = v4(1), dst = v4(2);

	ck_assert_int_eq(packet_parse(b, n, &p), PACKET_OK);
	ck_assert(ip_eq(&p.src, &src) && ip_eq(&p.dst, &dst));
	ck_assert(!p.is_v6 && !p.more_fragments && !p.is_later_fragment);
	ck_assert_uint_eq(p.proto, PROTO_TCP);
	ck_assert_uint_eq(p.sport, 1000);
	ck_assert_uint_eq(p.dport, 80);
	ck_assert_uint_eq(p.tcp_flags, TCP_SYN);
	ck_assert_uint_eq(p.transport_off, 20);
	ck_assert_uint_eq(p.total_len, 40);
}

TEST(packet_ignores_bytes_behind_the_packets_own_length)
{
	uint8_t b[64] = { 0 };
	struct packet p;

	harness_unhex(udp6, b, sizeof b);
	ck_assert_int_eq(packet_parse(b, 60, &p), PACKET_OK);
	ck_assert_uint_eq(p.total_len, 52);
	ck_assert(p.is_v6);
	ck_assert_uint_eq(p.sport, 53);
	ck_assert_uint_eq(p.dport, 4000);
	ck_assert_uint_eq(p.src.b[15], 1);
	ck_assert_uint_eq(p.dst.b[15], 2);
}

static void refuses_each_cut(const char *hex)
{
	uint8_t b[128];
	size_t n = harness_unhex(hex, b, sizeof b);
	struct packet p;

	for (size_t i = 0; i < n; i++)
		ck_assert_int_ne(packet_parse(b, i, &p), PACKET_OK);
	ck_assert_int_eq(packet_parse(b, n, &p), PACKET_OK);
}

TEST(packet_cut_at_any_byte_is_refused)
{
	refuses_each_cut(syn4);
	refuses_each_cut(udp6);
}

TEST(packet_first_fragment_must_hold_the_fixed_transport_header)
{
	uint8_t b[64];
	struct packet p;

	harness_unhex(syn4, b, sizeof b);
	b[6] = 0x20; /* more fragments */
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_OK);
	ck_assert(p.more_fragments && !p.is_later_fragment);
	b[3] = 36;
	ck_assert_int_eq(packet_parse(b, 36, &p), PACKET_UNKNOWN);
}

TEST(packet_later_fragment_below_80_bytes_is_refused_and_has_no_ports)
{
	uint8_t b[64];
	struct packet p;

	harness_unhex(syn4, b, sizeof b);
	b[6] = 0;
	b[7] = 9;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_BAD_FRAGMENT);
	b[7] = 10;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_OK);
	ck_assert(p.is_later_fragment);
	ck_assert_uint_eq(p.sport, 0);
	ck_assert_uint_eq(p.tcp_flags, 0);
	ck_assert_uint_eq(p.proto, PROTO_TCP);
}

TEST(packet_reads_one_ipv6_fragment_header_and_refuses_other_extensions)
{
	static const uint8_t refused[] = { 0, 43, 59, 60, 135, 139, 140, 255 };
	uint8_t b[128];
	size_t n = harness_unhex(
	    "60000000 00142c40 fd7a0000000000000000000000000001 "
	    "fd7a0000000000000000000000000002 11000001 00000007 00350fa0 000c0000 61626364",
	    b, sizeof b);
	struct packet p;

	ck_assert_int_eq(packet_parse(b, n, &p), PACKET_OK);
	ck_assert_uint_eq(p.proto, PROTO_UDP);
	ck_assert_uint_eq(p.transport_off, 48);
	ck_assert_uint_eq(p.dport, 4000);
	ck_assert(p.more_fragments);
	b[40] = PROTO_FRAGMENT;
	ck_assert_int_eq(packet_parse(b, n, &p), PACKET_UNKNOWN);
	for (size_t i = 0; i < sizeof refused; i++) {
		b[6] = refused[i];
		ck_assert_int_eq(packet_parse(b, n, &p), PACKET_UNKNOWN);
	}
	b[6] = 47; /* GRE is kept for a rule that names it */
	ck_assert_int_eq(packet_parse(b, n, &p), PACKET_OK);
	ck_assert_uint_eq(p.proto, 47);
}

TEST(packet_names_what_is_wrong_with_lengths_and_versions)
{
	uint8_t b[64];
	struct packet p;

	harness_unhex(syn4, b, sizeof b);
	ck_assert_int_eq(packet_parse(b, 19, &p), PACKET_TOO_SHORT);
	b[0] = 0x44;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_BAD_LENGTH);
	b[0] = 0x55;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_BAD_VERSION);
	b[0] = 0x4f;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_BAD_LENGTH);
	for (int i = 0; i < PACKET_FAULT_N; i++)
		ck_assert_ptr_nonnull(packet_fault_names[i]);
}

TEST(packet_refuses_fragmented_tsmp)
{
	uint8_t b[64];
	struct packet p;

	harness_unhex(syn4, b, sizeof b);
	b[9] = PROTO_TSMP;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_OK);
	b[6] = 0x20;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_BAD_FRAGMENT);
	b[6] = 0;
	b[7] = 20;
	ck_assert_int_eq(packet_parse(b, 40, &p), PACKET_BAD_FRAGMENT);
}
