/* base/json_member_test.c - times, prefixes and addresses as members of JSON */
#include "base/json_member.h"

#include <stdlib.h>

#include "tests/harness.h"

TEST(members_are_written_in_order_and_empty_lists_are_lists)
{
	struct ipprefix p[2];
	struct ipport a[2];
	struct jsonw w;
	struct buf b;

	ck_assert(ipprefix_parse(bytes_str("10.0.0.0/8"), &p[0]));
	ck_assert(ipprefix_parse(bytes_str("fd00::1"), &p[1]));
	ck_assert(ipport_parse(bytes_str("1.2.3.4:5"), &a[0]));
	ck_assert(ipport_parse(bytes_str("[fd00::1]:65535"), &a[1]));
	buf_init(&b, 1000);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kprefixes(&w, "p", p, 2);
	jsonw_kprefixes(&w, "none", NULL, 0);
	jsonw_kipports(&w, "a", a, 2);
	jsonw_kipports(&w, "nobody", NULL, 0);
	jsonw_kwall(&w, "t", (wall_t){ 1767323045 * NS_PER_S });
	jsonw_kwall(&w, "zero", WALL_ZERO);
	jsonw_obj_end(&w);
	ck_assert(jsonw_ok(&w));
	ck_assert(bytes_eq_str(
	    buf_bytes(&b), "{\"p\":[\"10.0.0.0/8\",\"fd00::1/128\"],\"none\":[],"
			   "\"a\":[\"1.2.3.4:5\",\"[fd00::1]:65535\"],\"nobody\":[],"
			   "\"t\":\"2026-01-02T03:04:05Z\",\"zero\":\"0001-01-01T00:00:00Z\"}"));
	buf_fini(&b);
}

TEST(a_time_is_read_null_and_nothing_are_zero_and_other_text_fails)
{
	static const struct {
		const char *json;
		int64_t s; /* -1: fails */
	} v[] = {
		{ "\"2026-01-02T03:04:05Z\"", 1767323045 },
		{ "\"2026-01-02T04:04:05.000000000+01:00\"", 1767323045 },
		{ "\"0001-01-01T00:00:00Z\"", 0 },
		{ "null", 0 },
		{ "\"\"", 0 },
		{ "\"soon\"", -1 },
		{ "\"2026-01-02T03:04:05Z \"", -1 },
		{ "\"2026-13-02T03:04:05Z\"", -1 },
		{ "1767323045", -1 },
		{ "[]", -1 },
		{ "\"2026-01-02T03:04:05.000000000000000000000000000000000000000000000000000000Z\"",
		  -1 },
		{ "", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct json j = json_of(bytes_str(v[i].json));
		const wall_t t = json_wall(&j);

		ck_assert_msg(json_done(&j) == (v[i].s >= 0), "%s", v[i].json);
		ck_assert_msg(t.ns == (v[i].s > 0 ? v[i].s * NS_PER_S : 0), "%s", v[i].json);
	}
}
