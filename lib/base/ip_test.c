/* base/ip_test.c */
#include "base/ip.h"
#include "tests/harness.h"

#include <arpa/inet.h>

static struct ip must(const char *s)
{
	struct ip a;

	ck_assert_msg(ip_parse(bytes_str(s), &a), "%s does not parse", s);
	return a;
}

static struct ipprefix must_prefix(const char *s)
{
	struct ipprefix p;

	ck_assert_msg(ipprefix_parse(bytes_str(s), &p), "%s does not parse", s);
	return p;
}

TEST(ip_text_is_the_shortest_form_of_rfc_5952)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "100.64.0.1", "100.64.0.1" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:0db8:0000:0001:0001:0001:0001:0001", "2001:db8:0:1:1:1:1:1" },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "fd7a:115c:a1e0::53", "fd7a:115c:a1e0::53" },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
		{ "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
		{ "::ffff:1.2.3.4", "1.2.3.4" },
		{ "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
	};
	char text[IP_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip a = must(rows[i].in);

		ck_assert_str_eq(ip_text(&a, text), rows[i].out);
	}
}

TEST(ip_parse_refuses_what_is_not_exactly_an_address)
{
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1..2.3",
		"1.2.3.",
		":",
		":1",
		"1:",
		":::",
		"1::2::3",
		"12345::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::",
		"::1:2:3:4:5:6:7:8",
		"fe80::1%eth0",
		"::1.2.3",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4",
		"g::",
		"-1.2.3.4",
		"0x1.2.3.4",
		"1.2.3.4/32",
		"::ffff:1.2.3.4.5",
		"1:2:3:4:5:6:7:8:",
	};
	struct ip a = ip_v4(9, 9, 9, 9);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!ip_parse(bytes_str(bad[i]), &a), "%s was taken", bad[i]);
		ck_assert_uint_eq(a.b[15], 9);
	}
}

/* the C library as the slow model */
TEST(ip_agrees_with_inet_pton_on_random_addresses_and_their_text_reads_back)
{
	struct seed_rng r;
	char mine[IP_TEXT], theirs[INET6_ADDRSTRLEN];

	seed_rng_init(&r, 1);
	for (int i = 0; i < 20000; i++) {
		struct ip a, b;
		uint8_t raw[16];

		rng_fill(&r.rng, a.b, 16);
		for (int k = 0; k < 8; k++) /* many zero groups */
			if (rng_below(&r.rng, 2))
				a.b[2 * k] = a.b[2 * k + 1] = 0;
		if (ip_is_zero(&a))
			continue;
		inet_ntop(AF_INET6, a.b, theirs, sizeof theirs);
		ck_assert(ip_parse(bytes_str(theirs), &b) && ip_eq(&a, &b));
		ip_text(&a, mine);
		ck_assert(ip_parse(bytes_str(mine), &b) && ip_eq(&a, &b));
		if (!strchr(mine, '.')) {
			ck_assert_int_eq(inet_pton(AF_INET6, mine, raw), 1);
			ck_assert(memcmp(raw, a.b, 16) == 0);
		}
	}
}

TEST(ipport_puts_brackets_around_ipv6_only_and_reads_back)
{
	static const char *const good[] = { "1.2.3.4:5", "[fe80::1]:65535", "[::]:0",
					    "100.64.0.1:41641" };
	static const char *const bad[] = { "",
					   ":1",
					   "1.2.3.4",
					   "1.2.3.4:",
					   "1.2.3.4:65536",
					   "[1.2.3.4]:5",
					   "fe80::1:5",
					   "[fe80::1]",
					   "[fe80::1]:x",
					   "1.2.3.4:05",
					   "[]:1",
					   "[::1]]:1",
					   "1.2.3.4:-1" };
	char text[IPPORT_TEXT];
	struct ipport p;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert(ipport_parse(bytes_str(good[i]), &p));
		ck_assert_str_eq(ipport_text(&p, text), good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!ipport_parse(bytes_str(bad[i]), &p), "%s was taken", bad[i]);
}

TEST(ipprefix_clears_host_bits_and_reads_back)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "10.1.2.3/8", "10.0.0.0/8" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "::/0", "::/0" },
		{ "100.64.0.1", "100.64.0.1/32" },
		{ "fd7a:115c:a1e0::1/48", "fd7a:115c:a1e0::/48" },
		{ "fd7a::1", "fd7a::1/128" },
		{ "192.168.255.255/23", "192.168.254.0/23" },
	};
	static const char *const bad[] = {
		"",       "/8",          "10.0.0.0/",   "10.0.0.0/33",
		"::/129", "10.0.0.0/08", "10.0.0.0/-1", "::ffff:0:0/80"
	};
	char text[IPPREFIX_TEXT];
	struct ipprefix p;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		p = must_prefix(rows[i].in);
		ck_assert_str_eq(ipprefix_text(&p, text), rows[i].out);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!ipprefix_parse(bytes_str(bad[i]), &p), "%s was taken", bad[i]);
}

TEST(ipprefix_has_compares_exactly_its_bits_and_keeps_families_apart)
{
	struct seed_rng r;
	struct ipprefix all4 = must_prefix("0.0.0.0/0"), all6 = must_prefix("::/0");
	struct ip v4 = must("1.2.3.4"), v6 = must("2001:db8::1");

	ck_assert(ipprefix_has(&all4, &v4) && !ipprefix_has(&all4, &v6));
	ck_assert(ipprefix_has(&all6, &v6) && !ipprefix_has(&all6, &v4));
	seed_rng_init(&r, 2);
	for (int i = 0; i < 5000; i++) {
		uint8_t bits = (uint8_t)rng_below(&r.rng, 129);
		struct ip a, b;
		struct ipprefix p;
		bool same = true;

		rng_fill(&r.rng, a.b, 16);
		b = a;
		if (rng_below(&r.rng, 4))
			b.b[rng_below(&r.rng, 16)] ^= (uint8_t)(1U << rng_below(&r.rng, 8));
		for (unsigned k = 0; k < bits; k++)
			same &= (a.b[k / 8] >> (7 - k % 8) & 1) == (b.b[k / 8] >> (7 - k % 8) & 1);
		p = ipprefix_of(&a, bits);
		ck_assert(ipprefix_has(&p, &b) == same);
	}
}

TEST(ipprefix_common_is_the_narrower_of_one_family)
{
	static const struct {
		const char *a, *b, *want; /* NULL: nothing in common */
	} v[] = {
		{ "10.0.0.0/8", "10.50.0.0/16", "10.50.0.0/16" },
		{ "10.50.0.0/16", "10.50.0.0/16", "10.50.0.0/16" },
		{ "10.50.1.0/24", "10.50.0.0/16", "10.50.1.0/24" },
		{ "10.51.0.0/16", "10.50.0.0/16", NULL },
		{ "fd00::/8", "fd00:50::/64", "fd00:50::/64" },
		{ "::/0", "10.50.0.0/16", NULL },
		{ "fd00::/8", "10.50.0.0/16", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		for (int swap = 0; swap < 2; swap++) {
			struct ipprefix a, b, want, got;

			ck_assert(ipprefix_parse(bytes_str(swap ? v[i].b : v[i].a), &a));
			ck_assert(ipprefix_parse(bytes_str(swap ? v[i].a : v[i].b), &b));
			ck_assert_int_eq(ipprefix_common(&a, &b, &got), v[i].want != NULL);
			if (!v[i].want)
				continue;
			ck_assert(ipprefix_parse(bytes_str(v[i].want), &want));
			ck_assert(ipprefix_eq(&got, &want));
		}
}

TEST(iprange_takes_ranges_prefixes_and_single_addresses)
{
	struct iprange r;
	struct ip a;

	ck_assert(iprange_parse(bytes_str("100.64.0.0-100.115.91.255"), &r));
	a = must("100.115.91.255");
	ck_assert(ip_eq(&r.last, &a));
	ck_assert(iprange_parse(bytes_str("fd7a:115c:a1e0::/48"), &r));
	a = must("fd7a:115c:a1e0:ffff:ffff:ffff:ffff:ffff");
	ck_assert(ip_eq(&r.last, &a));
	ck_assert(iprange_parse(bytes_str("10.0.0.5"), &r) && ip_eq(&r.first, &r.last));
	ck_assert(iprange_parse(bytes_str("10.0.0.5/30"), &r));
	ck_assert_uint_eq(r.first.b[15], 4);
	ck_assert_uint_eq(r.last.b[15], 7);
	ck_assert(!iprange_parse(bytes_str("10.0.0.5-10.0.0.4"), &r));
	ck_assert(!iprange_parse(bytes_str("10.0.0.5-::1"), &r));
	ck_assert(!iprange_parse(bytes_str("10.0.0.5-"), &r));
	ck_assert(!iprange_parse(bytes_str("-"), &r));
	ck_assert(!iprange_parse(bytes_str("*"), &r));
}

TEST(ip_kinds_know_their_borders)
{
	static const struct {
		const char *ip;
		const char *kinds; /* l loopback, L link-local, m multicast, p private, t tailnet, u
				      unspecified */
	} rows[] = {
		{ "127.0.0.1", "l" },
		{ "128.0.0.1", "" },
		{ "::1", "l" },
		{ "169.254.169.254", "L" },
		{ "fe80::1", "L" },
		{ "febf::1", "L" },
		{ "fec0::1", "" },
		{ "224.0.0.1", "m" },
		{ "239.255.255.255", "m" },
		{ "240.0.0.1", "" },
		{ "ff02::1", "m" },
		{ "10.9.9.9", "p" },
		{ "172.16.0.1", "p" },
		{ "172.32.0.1", "" },
		{ "192.168.1.1", "p" },
		{ "fc00::1", "p" },
		{ "100.64.0.0", "t" },
		{ "100.63.255.255", "" },
		{ "100.127.255.255", "t" },
		{ "100.128.0.0", "" },
		{ "100.115.91.255", "t" },
		{ "100.115.92.0", "" },
		{ "100.115.93.255", "" },
		{ "100.115.94.0", "t" },
		{ "fd7a:115c:a1e0::1", "pt" },
		{ "fd7a:115c:a1e1::1", "p" },
		{ "0.0.0.0", "u" },
		{ "::", "u" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip a = must(rows[i].ip);
		char got[8], *p = got;

		if (ip_is_loopback(&a))
			*p++ = 'l';
		if (ip_is_link_local(&a))
			*p++ = 'L';
		if (ip_is_multicast(&a))
			*p++ = 'm';
		if (ip_is_private(&a))
			*p++ = 'p';
		if (ip_is_tailnet(&a))
			*p++ = 't';
		if (ip_is_unspecified(&a))
			*p++ = 'u';
		*p = 0;
		ck_assert_msg(strcmp(got, rows[i].kinds) == 0, "%s: %s, wanted %s", rows[i].ip, got,
			      rows[i].kinds);
	}
}

TEST(ip_order_is_that_of_the_bytes)
{
	struct seed_rng r;

	seed_rng_init(&r, 1);
	for (int i = 0; i < 2000; i++) {
		struct ip a, b;
		int want;

		rng_fill(&r.rng, a.b, sizeof a.b);
		b = a;
		if (i % 4) /* near one another too: one byte apart */
			b.b[rng_below(&r.rng, 16)] ^= (uint8_t)rng_below(&r.rng, 256);
		else
			rng_fill(&r.rng, b.b, sizeof b.b);
		want = memcmp(a.b, b.b, sizeof a.b);
		if (ip_cmp(&a, &b) != (want > 0) - (want < 0) || ip_eq(&a, &b) != (want == 0))
			ck_abort_msg("round %d", i);
	}
}
