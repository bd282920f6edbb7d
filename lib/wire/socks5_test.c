/* wire/socks5_test.c - byte sequences are those of RFC 1928 sections 3 to 7, written out by hand */
#include "wire/socks5.h"

#include "tests/harness.h"

static struct socks5 s;

/* Feeds hex text after socks5_init; *left gets what was not used. */
static enum socks5_event feed(const char *hex, size_t *left)
{
	uint8_t in[1024];
	size_t n = harness_unhex(hex, in, sizeof in), used;
	enum socks5_event ev;

	socks5_init(&s);
	ev = socks5_feed(&s, bytes_of(in, n), &used);
	*left = n - used;
	return ev;
}

static void check_output(const char *hex)
{
	uint8_t want[64];
	size_t n = harness_unhex(hex, want, sizeof want);

	ck_assert_uint_eq(socks5_output(&s).len, n);
	ck_bytes_eq(socks5_output(&s).data, want, n);
	socks5_sent(&s, n);
	ck_assert_uint_eq(socks5_output(&s).len, 0);
}

TEST(a_greeting_that_offers_no_authentication_is_accepted)
{
	size_t left;

	ck_assert_int_eq(feed("05 02 00 02", &left), SOCKS5_MORE);
	check_output("05 00");
	ck_assert_int_eq(feed("05 03 80 02 00", &left), SOCKS5_MORE);
	check_output("05 00");
}

TEST(a_greeting_without_it_gets_ff_and_the_end)
{
	size_t left;

	ck_assert_int_eq(feed("05 01 02", &left), SOCKS5_CLOSE);
	check_output("05 ff");
	ck_assert_int_eq(feed("05 00", &left), SOCKS5_CLOSE);
	check_output("05 ff");
}

TEST(another_version_is_closed_without_an_answer)
{
	size_t left;

	ck_assert_int_eq(feed("04 01 00 50", &left), SOCKS5_CLOSE);
	check_output("");
	ck_assert_int_eq(feed("05 01 00 04 01 00 01 01", &left), SOCKS5_CLOSE);
	check_output("05 00");
}

TEST(connect_by_ipv4_ipv6_and_name_is_read_and_bytes_behind_are_left)
{
	size_t left;
	struct ip ip;

	ck_assert_int_eq(feed("0501 00 05010001 64400007 0050 4745", &left), SOCKS5_REQUEST);
	ck_assert_uint_eq(left, 2);
	ck_assert_int_eq(s.command, SOCKS5_CONNECT);
	ck_assert_str_eq(s.addr.name, "");
	ck_assert(ip_parse(bytes_str("100.64.0.7"), &ip) && ip_eq(&ip, &s.addr.at.ip));
	ck_assert_uint_eq(s.addr.at.port, 80);

	ck_assert_int_eq(feed("0501 00 05010004 fd7a115ca1e000000000000000000007 01bb", &left),
			 SOCKS5_REQUEST);
	ck_assert(ip_parse(bytes_str("fd7a:115c:a1e0::7"), &ip) && ip_eq(&ip, &s.addr.at.ip));
	ck_assert_uint_eq(s.addr.at.port, 443);

	ck_assert_int_eq(feed("0501 00 05010003 03 776562 0016", &left), SOCKS5_REQUEST);
	ck_assert_str_eq(s.addr.name, "web");
	ck_assert_uint_eq(s.addr.at.port, 22);

	/* "10.0.0.1" as a name is an address */
	ck_assert_int_eq(feed("0501 00 05010003 08 31302e302e302e31 0016", &left), SOCKS5_REQUEST);
	ck_assert_str_eq(s.addr.name, "");
	ck_assert(ip_parse(bytes_str("10.0.0.1"), &ip) && ip_eq(&ip, &s.addr.at.ip));
}

TEST(a_name_of_255_bytes_is_read_whole)
{
	uint8_t in[3 + SOCKS5_REQUEST_MAX] = { 5, 1, 0, 5, 1, 0, 3, 255 };
	size_t used;

	memset(in + 8, 'a', 255);
	in[8 + 255 + 1] = 9;
	socks5_init(&s);
	ck_assert_int_eq(socks5_feed(&s, bytes_of(in, sizeof in), &used), SOCKS5_REQUEST);
	ck_assert_uint_eq(used, sizeof in);
	ck_assert_uint_eq(strlen(s.addr.name), 255);
	ck_assert_uint_eq(s.addr.at.port, 9);
}

TEST(replies_carry_the_code_and_the_bound_address)
{
	struct ipport v4 = { ip_v4(100, 64, 0, 1), 0x1234 }, v6 = { .port = 1 };
	size_t left;

	ck_assert(ip_parse(bytes_str("fd7a::1"), &v6.ip));
	feed("0501 00 05010001 64400007 0050", &left);
	check_output("0500");
	socks5_reply(&s, SOCKS5_OK, &v4);
	check_output("05000001 64400001 1234");
	feed("0501 00 05010001 64400007 0050", &left);
	check_output("0500");
	socks5_reply(&s, SOCKS5_OK, &v6);
	check_output("05000004 fd7a0000000000000000000000000001 0001");
	feed("0501 00 05010001 64400007 0050", &left);
	check_output("0500");
	socks5_reply(&s, SOCKS5_REFUSED, NULL);
	check_output("05050001 00000000 0000");
}

TEST(udp_associate_is_a_request_and_bind_gets_7)
{
	size_t left;

	ck_assert_int_eq(feed("0501 00 05030001 00000000 0000", &left), SOCKS5_REQUEST);
	ck_assert_int_eq(s.command, SOCKS5_UDP_ASSOCIATE);
	ck_assert_int_eq(feed("0501 00 05020001 64400007 0050", &left), SOCKS5_CLOSE);
	check_output("0500 05070001 00000000 0000");
}

TEST(an_unknown_address_type_gets_8_and_a_bad_name_1)
{
	size_t left;

	ck_assert_int_eq(feed("0501 00 05010002 64", &left), SOCKS5_CLOSE);
	check_output("0500 05080001 00000000 0000");
	ck_assert_int_eq(feed("0501 00 05010003 00 0050", &left), SOCKS5_CLOSE);
	check_output("0500 05010001 00000000 0000");
	ck_assert_int_eq(feed("0501 00 05010003 03 610062 0050", &left), SOCKS5_CLOSE);
	check_output("0500 05010001 00000000 0000");
}

TEST(input_may_be_cut_anywhere)
{
	uint8_t in[64];
	size_t n = harness_unhex("0502 0002 05010003 03 776562 0016", in, sizeof in);

	for (size_t cut = 0; cut <= n; cut++) {
		size_t used;
		enum socks5_event ev;

		socks5_init(&s);
		ev = socks5_feed(&s, bytes_of(in, cut), &used);
		ck_assert_uint_eq(used, cut);
		ck_assert_int_eq(ev, cut == n ? SOCKS5_REQUEST : SOCKS5_MORE);
		if (cut == n)
			continue;
		ck_assert_int_eq(socks5_feed(&s, bytes_of(in + cut, n - cut), &used),
				 SOCKS5_REQUEST);
		ck_assert_uint_eq(used, n - cut);
		ck_assert_str_eq(s.addr.name, "web");
	}
}

TEST(udp_headers_are_read_and_written_and_fragments_refused)
{
	uint8_t in[64], out[SOCKS5_UDP_HEADER_MAX];
	struct socks5_addr to;
	struct bytes payload;
	struct ipport from = { ip_v4(100, 64, 0, 7), 53 };
	size_t n = harness_unhex("0000 00 01 64400007 0035 6869", in, sizeof in);

	ck_assert(socks5_udp_parse(bytes_of(in, n), &to, &payload));
	ck_assert(ipport_eq(&to.at, &from));
	ck_assert(bytes_eq_str(payload, "hi"));
	ck_assert_uint_eq(socks5_udp_header(&from, out), 10);
	ck_bytes_eq(out, in, 10);
	for (size_t cut = 0; cut < 10; cut++)
		ck_assert(!socks5_udp_parse(bytes_of(in, cut), &to, &payload));
	in[2] = 1;
	ck_assert(!socks5_udp_parse(bytes_of(in, n), &to, &payload));
	n = harness_unhex("0000 00 03 03 776562 0035", in, sizeof in);
	ck_assert(socks5_udp_parse(bytes_of(in, n), &to, &payload));
	ck_assert_str_eq(to.name, "web");
	ck_assert_uint_eq(payload.len, 0);
}
