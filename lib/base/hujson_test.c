/* base/hujson_test.c - comments and trailing commas become blanks, nothing else changes */
#include "base/hujson.h"
#include "tests/harness.h"

TEST(hujson_positions_are_those_of_the_original)
{
	char text[] = "{ // x\n /* y\n z */ \"a\": [1,2,], }";
	size_t at = 0;

	ck_assert(hujson_plain(text, strlen(text), &at));
	ck_assert_str_eq(text, "{     \n     \n      \"a\": [1,2 ]  }");
	ck_assert_uint_eq(hujson_pos(bytes_str("ab\ncd"), 4).line, 2);
	ck_assert_uint_eq(hujson_pos(bytes_str("ab\ncd"), 4).column, 2);
}

TEST(hujson_leaves_texts_alone)
{
	char text[] = "[\"// no, /* no */\", \"a\\\"//\", \"x,\" , ]";
	size_t at = 0;

	ck_assert(hujson_plain(text, strlen(text), &at));
	ck_assert_str_eq(text, "[\"// no, /* no */\", \"a\\\"//\", \"x,\"   ]");
}

TEST(hujson_says_where_what_does_not_end_begins)
{
	static const struct {
		const char *text;
		size_t at;
	} v[] = { { "{ \"abc", 2 }, { "[1, /* x", 4 }, { "[\n/*/", 2 }, { "\"a\\", 0 } };

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		char text[16];
		size_t at = 99;

		ck_assert(bytes_to_str(bytes_str(v[i].text), text, sizeof text));
		ck_assert_msg(!hujson_plain(text, strlen(text), &at), "%s", v[i].text);
		ck_assert_uint_eq(at, v[i].at);
	}
}

TEST(hujson_takes_a_trailing_comma_only_after_a_value)
{
	static const char *const v[] = { "[,]", "{,}", "[1,,]", "{\"a\":,}" };

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		char text[16];
		size_t at = 0;

		ck_assert(bytes_to_str(bytes_str(v[i]), text, sizeof text));
		ck_assert(hujson_plain(text, strlen(text), &at));
		ck_assert_str_eq(text, v[i]); /* no JSON before, none after */
	}
}
