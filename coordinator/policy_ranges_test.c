/* coordinator/policy_ranges_test.c - sets of addresses: order, joining, the ends of both families
 */
#include "coordinator/policy_priv.h"

#include <stdlib.h>

#include "tests/harness.h"

static struct iprange range(const char *text)
{
	struct iprange r;

	ck_assert_msg(iprange_parse(bytes_str(text), &r), "%s", text);
	return r;
}

static void add(struct ipranges *set, const char *text)
{
	const struct iprange r = range(text);

	ck_assert(ipranges_add(set, &r));
}

/* the merged set as it goes into a packet filter; texts: separated by blanks */
static void check_merged(const char *texts, const char *want)
{
	struct ipranges set = { 0 };
	char one[128];
	struct buf out;
	struct jsonw w;
	int n;

	for (const char *p = texts; sscanf(p, "%127s%n", one, &n) == 1; p += n)
		add(&set, one);
	ipranges_merge(&set);
	buf_init(&out, 4096);
	jsonw_init(&w, &out);
	jsonw_arr(&w);
	ck_assert(ipranges_emit(&set, &w));
	jsonw_arr_end(&w);
	ck_assert_msg(bytes_eq_str(buf_bytes(&out), want), "%s became %.*s, wanted %s", texts,
		      (int)out.len, (const char *)out.data, want);
	buf_fini(&out);
	ipranges_free(&set);
}

TEST(ranges_that_touch_or_overlap_become_one)
{
	check_merged("10.0.1.0/24 10.0.0.0/24", "[\"10.0.0.0/23\"]");
	check_merged("10.0.0.5 10.0.0.4 10.0.0.7", "[\"10.0.0.4/31\",\"10.0.0.7\"]");
	check_merged("10.0.0.0/8 10.1.0.0/16", "[\"10.0.0.0/8\"]");
	check_merged("10.0.0.1-10.0.0.9 10.0.0.3-10.0.0.12", "[\"10.0.0.1-10.0.0.12\"]");
	check_merged("10.0.0.255 10.0.1.0", "[\"10.0.0.255-10.0.1.0\"]");
	check_merged("fd00::ffff fd00::1:0", "[\"fd00::ffff-fd00::1:0\"]");
	check_merged("", "[]");
}

TEST(ranges_a_single_address_apart_stay_apart)
{
	check_merged("10.0.0.1 10.0.0.3", "[\"10.0.0.1\",\"10.0.0.3\"]");
	check_merged("10.0.0.0/25 10.0.0.129-10.0.0.255",
		     "[\"10.0.0.0/25\",\"10.0.0.129-10.0.0.255\"]");
}

TEST(the_ends_of_a_family_join_nothing)
{
	check_merged("255.255.255.255 0.0.0.0", "[\"0.0.0.0\",\"255.255.255.255\"]");
	check_merged("255.255.255.255 ::1:0:0:0", "[\"255.255.255.255\",\"::1:0:0:0\"]");
	check_merged("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::1",
		     "[\"::1\",\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\"]");
}

TEST(all_of_ipv6_holds_nothing_of_ipv4)
{
	check_merged("::/0 0.0.0.0/0", "[\"0.0.0.0/0\",\"::/0\"]");
	check_merged("0.0.0.0/0 ::/0", "[\"0.0.0.0/0\",\"::/0\"]");
	check_merged("100.64.0.1 ::/0 fd00::1", "[\"100.64.0.1\",\"::/0\"]");
	check_merged("::/64 100.64.0.1", "[\"100.64.0.1\",\"::/64\"]");
}

TEST(overlap_is_within_one_family_and_counts_both_ends)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{ "10.0.0.0/24", "10.0.0.255", true },    { "10.0.0.0/24", "10.0.1.0", false },
		{ "10.0.0.0/24", "10.0.0.0", true },      { "10.0.0.0/24", "9.255.255.255", false },
		{ "10.0.0.7", "10.0.0.0/8", true },       { "::/0", "10.0.0.0/8", false },
		{ "10.0.0.0/8", "::/0", false },          { "::/0", "fd00::/8", true },
		{ "0.0.0.0/0", "255.255.255.255", true }, { "::/0", "0.0.0.0/0", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct iprange b = range(rows[i].b);
		struct ipranges set = { 0 };

		add(&set, rows[i].a);
		ck_assert_msg(ipranges_overlap(&set, &b) == rows[i].overlap, "%s and %s", rows[i].a,
			      rows[i].b);
		ipranges_free(&set);
	}
}

/* A slow model: a byte for each of 256 addresses. */
TEST(a_merged_set_holds_what_was_added_in_order_and_without_overlap)
{
	struct seed_rng rng;

	seed_rng_init(&rng, 5);
	for (int round = 0; round < 300; round++) {
		bool in[256] = { false };
		struct ipranges set = { 0 };

		for (unsigned k = rng_below(&rng.rng, 20); k > 0; k--) {
			const unsigned a = (unsigned)rng_below(&rng.rng, 256),
				       b = a + (unsigned)rng_below(&rng.rng, MIN_OF(256 - a, 9u));
			const struct iprange r = { ip_v4(10, 0, 0, (uint8_t)a),
						   ip_v4(10, 0, 0, (uint8_t)b) };

			ck_assert(ipranges_add(&set, &r));
			memset(in + a, true, b - a + 1);
		}
		ipranges_merge(&set);
		for (size_t i = 0; i < set.n; i++) {
			ck_assert(i == 0 || set.v[i].first.b[15] > set.v[i - 1].last.b[15] + 1);
			for (unsigned a = set.v[i].first.b[15]; a <= set.v[i].last.b[15]; a++) {
				ck_assert_msg(in[a], "round %d: .%u was never added", round, a);
				in[a] = false;
			}
		}
		for (unsigned a = 0; a < 256; a++)
			ck_assert_msg(!in[a], "round %d: .%u is lost", round, a);
		ipranges_free(&set);
	}
}

TEST(a_set_has_a_limit)
{
	struct ipranges set = { 0 };
	struct iprange r = range("10.0.0.1");

	for (size_t i = 0; i < POLICY_RANGES_MAX; i++)
		ck_assert(ipranges_add(&set, &r));
	ck_assert(!ipranges_add(&set, &r));
	ck_assert_uint_eq(set.n, POLICY_RANGES_MAX);
	ipranges_merge(&set);
	ck_assert_uint_eq(set.n, 1);
	ck_assert(ipranges_add(&set, &r)); /* there is room again */
	ipranges_free(&set);
}

TEST(a_node_without_an_address_adds_none)
{
	const struct policy_node n = { .v6 = range("fd00::1").first };
	struct ipranges set = { 0 };

	ck_assert(ipranges_add_node(&set, &n));
	ck_assert_uint_eq(set.n, 1);
	ck_assert(!ip_is_v4(&set.v[0].first));
	ipranges_free(&set);
}
