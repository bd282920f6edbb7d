/* base/text_test.c */
#include "base/text.h"
#include "tests/harness.h"

#include <time.h>

TEST(hex_reads_back_and_refuses_other_lengths_and_letters)
{
	uint8_t out[3] = { 7, 7, 7 };
	char text[7];

	hex_emit((const uint8_t[3]){ 0x00, 0xab, 0xff }, 3, text);
	ck_assert_str_eq(text, "00abff");
	ck_assert(!hex_parse(bytes_str("00abf"), out, 3));
	ck_assert(!hex_parse(bytes_str("00abff00"), out, 3));
	ck_assert(!hex_parse(bytes_str("00abfg"), out, 3));
	ck_assert_uint_eq(out[0], 7);
	ck_assert(hex_parse(bytes_str("00ABff"), out, 3));
	ck_bytes_eq(out, ((const uint8_t[3]){ 0x00, 0xab, 0xff }), 3);
}

TEST(base64_gives_the_vectors_of_rfc_4648_both_ways_with_and_without_padding)
{
	static const struct {
		const char *plain, *text, *bare;
	} rows[] = {
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
		{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	};
	uint8_t out[16];
	char text[32];
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].plain);

		base64_emit((const uint8_t *)rows[i].plain, len, BASE64_STD, text);
		ck_assert_str_eq(text, rows[i].text);
		ck_assert(base64_parse(bytes_str(rows[i].text), BASE64_STD, out, sizeof out, &n) &&
			  n == len);
		ck_bytes_eq(out, rows[i].plain, len);
		ck_assert(base64_parse(bytes_str(rows[i].bare), BASE64_STD, out, sizeof out, &n) &&
			  n == len);
	}
	base64_emit((const uint8_t[3]){ 0xfb, 0xff, 0xfe }, 3, BASE64_URL, text);
	ck_assert_str_eq(text, "-__-");
	base64_emit((const uint8_t[3]){ 0xfb, 0xff, 0xfe }, 3, BASE64_STD, text);
	ck_assert_str_eq(text, "+//+");
}

TEST(base64_refuses_bad_letters_lengths_padding_and_what_does_not_fit)
{
	static const char *const bad[] = {
		"Z",      "Zg=",  "Zg===", "=",    "====",     "Zm9v=", "Zm 9v",
		"Zm9v\n", "-__-", "Zh==",  "Zm9=", "Zg==Zg==", "Z=g="
	};
	uint8_t out[8];
	size_t n = 99;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!base64_parse(bytes_str(bad[i]), BASE64_STD, out, sizeof out, &n),
			      "%s was taken", bad[i]);
	ck_assert(!base64_parse(bytes_str("Zm9vYmFy"), BASE64_STD, out, 5, &n));
	ck_assert_uint_eq(n, 99);
	ck_assert(base64_parse(bytes_str("Zm9vYmFy"), BASE64_STD, out, 6, &n));
}

TEST(numbers_know_their_borders)
{
	uint64_t u;
	int64_t i;
	uint16_t s;

	ck_assert(text_u64(bytes_str("18446744073709551615"), &u) && u == UINT64_MAX);
	ck_assert(!text_u64(bytes_str("18446744073709551616"), &u));
	ck_assert(!text_u64(bytes_str(""), &u) && !text_u64(bytes_str("+1"), &u) &&
		  !text_u64(bytes_str("1 "), &u));
	ck_assert(text_i64(bytes_str("-9223372036854775808"), &i) && i == INT64_MIN);
	ck_assert(!text_i64(bytes_str("-9223372036854775809"), &i));
	ck_assert(text_i64(bytes_str("9223372036854775807"), &i) && i == INT64_MAX);
	ck_assert(!text_i64(bytes_str("9223372036854775808"), &i));
	ck_assert(!text_i64(bytes_str("-"), &i) && !text_i64(bytes_of(NULL, 0), &i));
	ck_assert(text_u16(bytes_str("65535"), &s) && s == 65535);
	ck_assert(!text_u16(bytes_str("65536"), &s) && !text_u16(bytes_str("-1"), &s));
}

static int64_t ns_of(const char *s)
{
	wall_t t;

	ck_assert_msg(wall_parse(bytes_str(s), &t), "%s does not parse", s);
	return t.ns;
}

TEST(wall_time_reads_rfc_3339_with_fraction_and_offset)
{
	char text[WALL_TEXT];
	wall_t t;

	ck_assert_int_eq(ns_of("1970-01-01T00:00:01Z"), NS_PER_S);
	ck_assert_int_eq(ns_of("2026-11-22T00:59:11.158242661Z"), INT64_C(1795309151158242661));
	ck_assert_int_eq(ns_of("2026-11-22T01:59:11.158242661+01:00"),
			 INT64_C(1795309151158242661));
	ck_assert_int_eq(ns_of("2026-11-21T19:29:11.158242661-05:30"),
			 INT64_C(1795309151158242661));
	ck_assert_int_eq(ns_of("2000-02-29T12:00:00.5Z"), INT64_C(951825600500000000));
	ck_assert_int_eq(ns_of("0001-01-01T00:00:00Z"), 0);
	ck_assert_int_eq(ns_of("1969-12-31T23:59:59Z"), 0);
	ck_assert_int_eq(ns_of("1970-01-01T00:00:00+01:00"), 0);
	ck_assert_int_eq(ns_of("9999-12-31T23:59:59Z"), INT64_MAX);
	ck_assert(wall_parse(bytes_str("2026-11-22T00:59:11.158242661Z"), &t));
	ck_assert_str_eq(wall_text(t, text), "2026-11-22T00:59:11.158242661Z");
	ck_assert_str_eq(wall_text((wall_t){ INT64_C(951825600500000000) }, text),
			 "2000-02-29T12:00:00.5Z");
	ck_assert_str_eq(wall_text(WALL_ZERO, text), "0001-01-01T00:00:00Z");
	ck_assert_str_eq(wall_text((wall_t){ INT64_MAX }, text), "2262-04-11T23:47:16.854775807Z");
}

TEST(wall_time_refuses_dates_that_do_not_exist)
{
	static const char *const bad[] = {
		"",
		"2026-11-22",
		"2026-11-22T00:59:11",
		"2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-32T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z",
		"2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00.1234567890Z",
		"2026-01-01T00:00:00Zx",
		"2026-01-01t00:00:00Z",
		"2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00+0100",
		"+026-01-01T00:00:00Z",
	};
	wall_t t = { 5 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!wall_parse(bytes_str(bad[i]), &t) && t.ns == 5, "%s was taken",
			      bad[i]);
}

/* the C library as the slow model */
TEST(wall_time_agrees_with_gmtime_and_reads_back)
{
	struct seed_rng r;

	seed_rng_init(&r, 3);
	for (int i = 0; i < 20000; i++) {
		wall_t t = { (int64_t)rng_below(&r.rng, INT64_MAX) + 1 }, back;
		time_t s = t.ns / NS_PER_S;
		char mine[WALL_TEXT], theirs[64];
		struct tm tm;

		gmtime_r(&s, &tm);
		strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S", &tm);
		wall_text(t, mine);
		ck_assert_int_eq(strncmp(mine, theirs, strlen(theirs)), 0);
		ck_assert(wall_parse(bytes_str(mine), &back));
		ck_assert_int_eq(back.ns, t.ns);
	}
}

TEST(spans_are_go_durations)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{ "0", 0 },
		{ "1m30s", 90 * NS_PER_S },
		{ "500ms", 500000000 },
		{ "1.5h", 5400 * NS_PER_S },
		{ ".5s", 500000000 },
		{ "1.s", NS_PER_S },
		{ "100us", 100000 },
		{ "100\xc2\xb5s", 100000 },
		{ "7ns", 7 },
		{ "0.0000001h", 360000 },
		{ "24h0m0s", 86400 * NS_PER_S },
		{ "9223372036854775807ns", INT64_MAX },
	};
	static const char *const bad[] = {
		"",         "1",    "s",  "1x",    "-1s",
		"+1s",      "1s ",  ".s", "1..5s", "9223372036854775808ns",
		"3000000h", "1h-1m"
	};
	span_t d = { 5 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(span_parse(bytes_str(rows[i].text), &d), "%s does not parse",
			      rows[i].text);
		ck_assert_int_eq(d.ns, rows[i].ns);
	}
	d.ns = 5;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!span_parse(bytes_str(bad[i]), &d) && d.ns == 5, "%s was taken",
			      bad[i]);
}

TEST(booleans_are_those_of_go)
{
	bool b;

	ck_assert(bool_parse(bytes_str("True"), &b) && b);
	ck_assert(bool_parse(bytes_str("1"), &b) && b);
	ck_assert(bool_parse(bytes_str("F"), &b) && !b);
	ck_assert(!bool_parse(bytes_str("yes"), &b) && !bool_parse(bytes_str(""), &b) &&
		  !bool_parse(bytes_str("tRUE"), &b));
}

TEST(a_character_is_one_to_four_bytes_and_only_what_is_well_formed)
{
	static const struct {
		const char *text;
		size_t len, shown;
	} rows[] = {
		{ "", 0, 0 },
		{ "a", 1, 1 },
		{ "\n", 1, 0 },
		{ "\x7f", 1, 0 },
		{ "\xc3\xa9!", 2, 2 },
		{ "\xc2\x80", 2, 0 },
		{ "\xc2\x9f", 2, 0 },
		{ "\xc2\xa0", 2, 2 },
		{ "\xd8\x9c", 2, 0 },
		{ "\xe2\x80\x8d", 3, 3 }, /* joins emoji */
		{ "\xe2\x80\x8e", 3, 0 },
		{ "\xe2\x80\xa7", 3, 3 },
		{ "\xe2\x80\xa8", 3, 0 },
		{ "\xe2\x80\xae", 3, 0 },
		{ "\xe2\x80\xaf", 3, 3 },
		{ "\xe2\x81\xa6", 3, 0 },
		{ "\xe2\x81\xaa", 3, 3 },
		{ "\xf0\x9f\x8d\xb5", 4, 4 },
		{ "\xc3", 0, 0 },             /* cut */
		{ "\xc0\x80", 0, 0 },         /* longer than need be */
		{ "\xed\xa0\x80", 0, 0 },     /* half a pair of UTF-16 */
		{ "\xf4\x90\x80\x80", 0, 0 }, /* beyond U+10FFFF */
		{ "\x80", 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_uint_eq(utf8_len(bytes_str(rows[i].text)), rows[i].len);
		ck_assert_uint_eq(utf8_shown_len(bytes_str(rows[i].text)), rows[i].shown);
	}
}

TEST(the_nearest_name_is_two_edits_away_at_most)
{
	static const char *const names[] = { "exit-node", "hostname", "c", "json" };
	static const char *const cases[][2] = {
		{ "exitnode", "exit-node" },
		{ "EXIT-NODE", "exit-node" },
		{ "hostnmae", "hostname" },
		{ "jsn", "json" },
		{ "hostnaaame", "hostname" },
		{ "x", NULL },
		{ "", NULL },
		{ "ex", NULL },
		{ "hstnm-x", NULL },
	};
	char long_one[200];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *is = text_nearest(bytes_str(cases[i][0]), names, ARRAY_LEN(names));

		ck_assert_msg(is == cases[i][1] ||
				  (is && cases[i][1] && strcmp(is, cases[i][1]) == 0),
			      "%s: %s", cases[i][0], is ? is : "none");
	}
	memset(long_one, 'a', sizeof long_one);
	ck_assert_ptr_null(
	    text_nearest(bytes_of(long_one, sizeof long_one), names, ARRAY_LEN(names)));
}

TEST(text_of_others_is_made_fit_for_a_line_byte_for_byte)
{
	char text[] = "a\x1b[2J\xc2\x9b\xe2\x80\xae\xc3\xa9\n\xff\xc3";

	text_show(text);
	ck_assert_str_eq(text, "a?[2J?????\xc3\xa9???");
	text[0] = 0;
	text_show(text);
	ck_assert_str_eq(text, "");
}

TEST(edits_between_names_are_counted_in_either_case)
{
	static const struct {
		const char *a, *b;
		size_t n;
	} rows[] = {
		{ "", "", 0 },
		{ "", "abc", 3 },
		{ "abc", "", 3 },
		{ "failopen", "failOpen", 0 },
		{ "fail_open", "failOpen", 1 },
		{ "namespace", "namespaces", 1 },
		{ "kitten", "sitting", 3 },
		{ "ab", "ba", 2 },
	};
	static const char longest[] =
	    "0123456789012345678901234567890123456789012345678901234567890123";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_uint_eq(text_edits(bytes_str(rows[i].a), bytes_str(rows[i].b)),
				  rows[i].n);
	ck_assert_uint_eq(text_edits(bytes_str(longest), bytes_str(longest)), 64);
	ck_assert_uint_eq(text_edits(bytes_str(""), bytes_str(longest)), 64);
	ck_assert_uint_eq(text_edits(bytes_str(longest + 1), bytes_str(longest + 1)), 0);
}
