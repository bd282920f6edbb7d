/* pod/rule_test.c - rules as JSON and as text; what a file that somebody wrote may not say */
#include "pod/rule.h"

#include "tests/harness.h"

static bool parse(const char *text, struct rule *out)
{
	struct json j = json_of(bytes_str(text));

	rule_parse(&j, out);
	return json_done(&j);
}

static struct ipprefix prefix(const char *text)
{
	struct ipprefix p;

	ck_assert(ipprefix_parse(bytes_str(text), &p));
	return p;
}

static struct rule some(struct seed_rng *seed)
{
	const bool v4 = rng_below(&seed->rng, 2);
	struct rule r = { .priority = rng_u32(&seed->rng) | 1 };
	struct ip a;

	rng_fill(&seed->rng, a.b, sizeof a.b);
	if (v4)
		a = ip_from_v4(a.b);
	r.to = ipprefix_of(
	    &a, (uint8_t)(v4 ? 96 + rng_below(&seed->rng, 33) : rng_below(&seed->rng, 129)));
	r.has_from = rng_below(&seed->rng, 2);
	if (r.has_from)
		r.from = ipprefix_of(&a, 128);
	if (!r.has_from || rng_below(&seed->rng, 2))
		snprintf(r.iif, sizeof r.iif, "veth%llx",
			 (unsigned long long)rng_below(&seed->rng, UINT64_C(1) << 40));
	r.is_lookup = rng_below(&seed->rng, 2);
	if (r.is_lookup)
		r.table = rng_u32(&seed->rng);
	return r;
}

TEST(what_emit_wrote_parse_reads)
{
	struct seed_rng seed;

	seed_rng_init(&seed, 5);
	for (int i = 0; i < 1000; i++) {
		const struct rule r = some(&seed);
		struct rule back;
		struct jsonw w;
		struct json j;
		struct buf b;

		buf_init(&b, 1000);
		jsonw_init(&w, &b);
		rule_emit(&w, &r);
		ck_assert(jsonw_ok(&w));
		j = json_of(buf_bytes(&b));
		rule_parse(&j, &back);
		ck_assert_msg(json_done(&j) && rule_eq(&r, &back), "%.*s", (int)b.len,
			      (const char *)buf_bytes(&b).data);
		for (size_t n = 0; n < b.len; n++) { /* cut anywhere it is no rule */
			j = json_of(bytes_of(buf_bytes(&b).data, n));
			rule_parse(&j, &back);
			ck_assert(!json_done(&j));
		}
		buf_fini(&b);
	}
}

TEST(two_rules_are_one_when_the_kernel_would_say_so)
{
	const struct rule r = { .is_lookup = true,
				.has_from = true,
				.priority = 5,
				.table = 7,
				.from = prefix("10.0.0.1"),
				.to = prefix("100.64.0.0/10"),
				.iif = "veth1" };
	struct rule other[8];

	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		other[i] = r;
	ck_assert(rule_eq(&r, &other[0]));
	other[0].is_lookup = false;
	other[1].has_from = false;
	other[2].priority++;
	other[3].table++;
	other[4].from = prefix("10.0.0.2");
	other[5].to = prefix("100.64.0.0/11");
	other[6].iif[4] = '2';
	other[7].iif[0] = 0;
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		ck_assert_msg(!rule_eq(&r, &other[i]), "difference %zu is not seen", i);
	other[1].has_from = other[0].has_from = false; /* then `from` means nothing */
	other[0].is_lookup = true;
	other[0].from = prefix("10.9.9.9");
	ck_assert(rule_eq(&other[0], &other[1]));
}

TEST(a_rule_that_would_catch_more_than_one_pod_is_refused)
{
	/* the plugin removes and makes again what its files say */
	static const char *const bad[] = {
		"null",
		"[]",
		"{}",
		"{\"priority\":5,\"from\":\"10.0.0.1/32\"}", /* to nobody knows where */
		"{\"priority\":5,\"to\":\"10.0.0.0/8\"}",    /* from everybody */
		"{\"priority\":5,\"to\":\"10.0.0.0/8\",\"iif\":\"\"}",
		"{\"priority\":5,\"to\":\"10.0.0.0/8\",\"iif\":null}",
		"{\"priority\":0,\"from\":\"10.0.0.1/32\",\"to\":\"10.0.0.0/8\"}", /* before all */
		"{\"from\":\"10.0.0.1/32\",\"to\":\"10.0.0.0/8\"}",
		"{\"priority\":5,\"from\":\"10.0.0.1/32\",\"to\":\"fd00::/8\"}", /* two families */
		"{\"priority\":5,\"from\":\"fd00::1/128\",\"to\":\"10.0.0.0/8\"}",
		"{\"priority\":5,\"from\":null,\"to\":\"10.0.0.0/8\"}",
		"{\"priority\":5,\"from\":\"all\",\"to\":\"10.0.0.0/8\"}",
		"{\"priority\":5,\"from\":\"10.0.0.1/33\",\"to\":\"10.0.0.0/8\"}",
		"{\"priority\":4294967296,\"from\":\"10.0.0.1/32\",\"to\":\"10.0.0.0/8\"}",
		"{\"priority\":-1,\"from\":\"10.0.0.1/32\",\"to\":\"10.0.0.0/8\"}",
		("{\"priority\":5,\"from\":\"10.0.0.1/32\",\"to\":\"10.0.0.0/"
		 "8\",\"lookup\":4294967296}"),
		"{\"priority\":5,\"to\":\"10.0.0.0/8\",\"iif\":\"0123456789abcdef\"}", /* 16 */
		"{\"priority\":5,\"to\":\"10.0.0.0/8\",\"iif\":\"\xff\"}",
		"{\"priority\":5,\"to\":\"10.0.0.0/8\",\"iif\":\"a\\u0000b\"}",
		"{\"priority\":5,\"to\":\"10.0.0.0/8\",\"iif\":7}",
	};
	struct rule r;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!parse(bad[i], &r), "%s was taken", bad[i]);
	ck_assert(
	    parse("{\"priority\":4294967295,\"to\":\"10.0.0.0/8\",\"iif\":\"0123456789abcde\","
		  "\"later\":[{}]}",
		  &r));
	ck_assert_uint_eq(r.priority, UINT32_MAX);
	ck_assert(!r.is_lookup && !r.has_from);
}

TEST(the_text_is_that_of_ip_rule)
{
	struct rule r = { .priority = 5,
			  .has_from = true,
			  .from = prefix("10.0.0.1"),
			  .to = prefix("100.64.0.0/10") };
	char text[256];

	ck_assert_str_eq(rule_text(&r, text, sizeof text),
			 "5: from 10.0.0.1/32 to 100.64.0.0/10 unreachable");
	r = (struct rule){ .priority = UINT32_MAX,
			   .is_lookup = true,
			   .table = UINT32_MAX,
			   .to = prefix("fd7a:115c:a1e0::/48"),
			   .iif = "0123456789abcde" };
	ck_assert_str_eq(
	    rule_text(&r, text, sizeof text),
	    "4294967295: from all to fd7a:115c:a1e0::/48 iif 0123456789abcde lookup 4294967295");
	ck_assert_str_eq(rule_text(&r, text, 5), "4294");
}
