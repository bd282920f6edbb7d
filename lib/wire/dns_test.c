/* wire/dns_test.c */
#include "wire/dns.h"

#include "tests/harness.h"

#include <stdlib.h>

/* An answer of the shape of RFC 1035 4.1.4: A and CNAME records, compressed; written out by hand.
 */
static const char answer_hex[] =
    "1234 8180 0001 0003 0000 0001 03777777 07657861 6d706c65 03636f6d 00 0001 0001"
    "c00c 0005 0001 0000003c 0006 0361 6c69 c010"
    "c02d 0001 0001 0000003c 0004 5db8d822"
    "c010 001c 0001 0000003c 0010 20010db8000000000000000000000001"
    "00 0029 04d0 00008000 0000";

TEST(dns_reads_compressed_answers_and_edns)
{
	uint8_t msg[256];
	size_t n = harness_unhex(answer_hex, msg, sizeof msg);
	char name[DNS_NAME_TEXT], text[IP_TEXT];
	struct dns_reader r;
	struct dns_edns e;
	struct dns_rr rr;
	struct ip a;

	ck_assert(dns_open(&r, bytes_of(msg, n)));
	ck_assert(r.head.id == 0x1234 && r.head.qr && r.head.rd && r.head.ra && !r.head.aa);
	ck_assert_str_eq(r.q.name, "www.example.com");
	ck_assert(dns_next(&r, &rr) && rr.type == DNS_CNAME && rr.ttl == 60 &&
		  rr.section == DNS_ANSWER);
	ck_assert(dns_rr_target(&r, &rr, name));
	ck_assert_str_eq(name, "ali.example.com");
	ck_assert(dns_next(&r, &rr) && dns_rr_ip(&rr, &a));
	ck_assert_str_eq(rr.name, "ali.example.com");
	ck_assert_str_eq(ip_text(&a, text), "93.184.216.34");
	ck_assert(dns_next(&r, &rr) && dns_rr_ip(&rr, &a));
	ck_assert_str_eq(ip_text(&a, text), "2001:db8::1");
	ck_assert(dns_next(&r, &rr) && rr.type == DNS_OPT && rr.section == DNS_ADDITIONAL);
	ck_assert(!dns_next(&r, &rr) && dns_ok(&r));
	ck_assert(dns_find_edns(bytes_of(msg, n), &e) && e.there && e.udp_size == 1232 &&
		  e.dnssec_ok);
}

TEST(dns_cut_at_each_byte_is_malformed)
{
	uint8_t msg[256];
	size_t n = harness_unhex(answer_hex, msg, sizeof msg);
	struct dns_edns e;

	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *copy = malloc(cut + !cut);

		memcpy(copy, msg, cut);
		ck_assert_msg(!dns_find_edns(bytes_of(copy, cut), &e), "cut at %zu", cut);
		free(copy);
	}
}

static bool opens(const char *name_hex)
{
	uint8_t msg[600];
	size_t n = harness_unhex("0001 0100 0001 0000 0000 0000", msg, sizeof msg);
	struct dns_reader r;

	n += harness_unhex(name_hex, msg + n, sizeof msg - n);
	n += harness_unhex("0001 0001", msg + n, sizeof msg - n);
	return dns_open(&r, bytes_of(msg, n));
}

TEST(dns_names_with_loops_forward_pointers_or_bad_labels_are_refused)
{
	ck_assert(opens("00"));
	ck_assert(opens("0161 00"));
	ck_assert(!opens("c00c"));         /* to itself */
	ck_assert(!opens("0161 c00c"));    /* to its own start */
	ck_assert(!opens("0161 c00e"));    /* to the pointer */
	ck_assert(!opens("0161 c020"));    /* forward */
	ck_assert(!opens("0361 2e62 00")); /* a dot inside a label */
	ck_assert(!opens("0261 00 00"));   /* a NUL inside a label */
	ck_assert(!opens("4061 00"));      /* reserved label types */
	ck_assert(!opens("8061 00"));
}

TEST(dns_names_end_at_255_bytes)
{
	char hex[1200];
	size_t n = 0;

	for (int i = 0; i < 3; i++) {
		n += (size_t)snprintf(hex + n, sizeof hex - n, "3f");
		for (int k = 0; k < 63; k++)
			n += (size_t)snprintf(hex + n, sizeof hex - n, "61");
	}
	n += (size_t)snprintf(hex + n, sizeof hex - n, "3d"); /* 3 * 64 + 62 + 1 = 255 */
	for (int k = 0; k < 61; k++)
		n += (size_t)snprintf(hex + n, sizeof hex - n, "61");
	snprintf(hex + n, sizeof hex - n, "00");
	ck_assert(opens(hex));
	n -= 61 * 2 + 2;
	n += (size_t)snprintf(hex + n, sizeof hex - n, "3e");
	for (int k = 0; k < 62; k++)
		n += (size_t)snprintf(hex + n, sizeof hex - n, "61");
	snprintf(hex + n, sizeof hex - n, "00");
	ck_assert(!opens(hex));
}

TEST(dns_valid_names_are_exactly_what_can_be_written)
{
	static const char *const good[] = { "", ".", "a", "a.", "a.b.c", "_x._tcp.example.com." };
	static const char *const bad[] = {
		"..", ".a", "a..b", "a..",
		"0123456789012345678901234567890123456789012345678901234567890123.x"
	};
	uint8_t out[DNS_UDP_MIN];

	for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(bad); i++) {
		const char *s = i < ARRAY_LEN(good) ? good[i] : bad[i - ARRAY_LEN(good)];
		struct dns_question q = { .type = DNS_A, .class = DNS_IN };
		struct dns_writer d;
		struct dns_head h = { .id = 1 };

		ck_assert(bytes_to_str(bytes_str(s), q.name, sizeof q.name));
		ck_assert_msg(dns_name_valid(bytes_str(s)) == (i < ARRAY_LEN(good)), "%s", s);
		dns_begin(&d, out, sizeof out, &h);
		dns_put_question(&d, &q);
		ck_assert((dns_finish(&d) > 0) == (i < ARRAY_LEN(good)));
	}
}

TEST(dns_parse_of_emit_is_the_same_and_suffixes_of_the_question_are_compressed)
{
	struct dns_head h = {
		.id = 77, .qr = true, .aa = true, .rd = true, .ra = true, .rcode = DNS_NXDOMAIN
	};
	struct dns_question q = { .name = "Host.tail.test", .type = DNS_ANY, .class = DNS_IN };
	struct ip v4 = ip_v4(100, 64, 0, 1), got;
	uint8_t out[DNS_UDP_MIN];
	char name[DNS_NAME_TEXT];
	struct dns_writer d;
	struct dns_reader r;
	struct dns_rr rr;
	size_t n;

	dns_begin(&d, out, sizeof out, &h);
	dns_put_question(&d, &q);
	dns_put_ip(&d, DNS_ANSWER, "host.TAIL.test.", 5, &v4);
	dns_put_name(&d, DNS_ANSWER, "x.tail.test", DNS_PTR, 6, "other.tail.test.");
	dns_put_soa(&d, "tail.test", 10, "ns.tail.test", "root.example");
	dns_put_edns(&d, 1232);
	n = dns_finish(&d);
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(out[32], 0xc0); /* the answer's name is a pointer to the question */
	ck_assert(dns_open(&r, bytes_of(out, n)));
	ck_assert(r.head.id == 77 && r.head.aa && r.head.rcode == DNS_NXDOMAIN &&
		  r.head.count[1] == 2 && r.head.count[2] == 1 && r.head.count[3] == 1);
	ck_assert(dns_next(&r, &rr) && dns_rr_ip(&rr, &got) && ip_eq(&got, &v4) && rr.ttl == 5);
	ck_assert_str_eq(rr.name, "Host.tail.test");
	ck_assert(dns_next(&r, &rr) && dns_rr_target(&r, &rr, name));
	ck_assert_str_eq(rr.name, "x.tail.test");
	ck_assert_str_eq(name, "other.tail.test");
	ck_assert(dns_next(&r, &rr) && rr.type == DNS_SOA && rr.section == DNS_AUTHORITY);
	ck_assert_str_eq(rr.name, "tail.test");
	ck_assert(dns_next(&r, &rr) && rr.type == DNS_OPT && !dns_next(&r, &rr) && dns_ok(&r));
	for (size_t cap = 0; cap < n; cap++) { /* what does not fit fails */
		dns_begin(&d, out, cap, &h);
		dns_put_question(&d, &q);
		dns_put_ip(&d, DNS_ANSWER, "host.TAIL.test.", 5, &v4);
		dns_put_name(&d, DNS_ANSWER, "x.tail.test", DNS_PTR, 6, "other.tail.test.");
		dns_put_soa(&d, "tail.test", 10, "ns.tail.test", "root.example");
		dns_put_edns(&d, 1232);
		ck_assert_uint_eq(dns_finish(&d), 0);
	}
}

TEST(dns_reverse_names_read_back_and_partial_ones_are_none)
{
	static const char *const addrs[] = { "100.64.0.1", "0.0.0.0", "255.255.255.255",
					     "fd7a:115c:a1e0::53",
					     "2001:db8:1234:5678:9abc:def0:1:2" };
	static const char *const bad[] = { "64.100.in-addr.arpa",
					   "1.0.64.100.5.in-addr.arpa",
					   "256.0.64.100.in-addr.arpa",
					   "01.0.64.100.in-addr.arpa",
					   "in-addr.arpa",
					   ".in-addr.arpa",
					   "1.0.64.100.in-addr.arpa.x",
					   "1.ip6.arpa",
					   "x.0.64.100.in-addr.arpa",
					   "" };
	char text[DNS_REVERSE_TEXT];
	struct ip a, b;

	for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
		ck_assert(ip_parse(bytes_str(addrs[i]), &a));
		ck_assert_msg(dns_reverse_parse(dns_reverse_text(&a, text), &b) && ip_eq(&a, &b),
			      "%s: %s", addrs[i], text);
	}
	ck_assert(ip_parse(bytes_str("100.64.0.1"), &a));
	ck_assert_str_eq(dns_reverse_text(&a, text), "1.0.64.100.in-addr.arpa");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!dns_reverse_parse(bad[i], &a), "%s", bad[i]);
}
