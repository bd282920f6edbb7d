/* base/json_test.c - the reader and the writer; the splitter's tests are in json_split_test.c */
#include "base/json.h"
#include "tests/harness.h"

#include <math.h>
#include <stdlib.h>

static struct json reader(const char *s)
{
	return json_of(bytes_str(s));
}

struct node {
	int64_t id;
	char name[32];
	char tags[4][16];
	size_t n_tags;
	bool online;
};

static bool read_node(struct json *j, struct node *n)
{
	struct bytes key;

	*n = (struct node){ 0 };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "ID"))
			n->id = json_i64(j);
		else if (json_key_is(key, "Name"))
			json_str(j, n->name, sizeof n->name);
		else if (json_key_is(key, "Online"))
			n->online = json_bool(j);
		else if (json_key_is(key, "Tags")) {
			json_arr(j);
			while (json_elem(j) && n->n_tags < 4)
				json_str(j, n->tags[n->n_tags++], 16);
		} else
			json_skip(j);
	}
	return json_done(j);
}

TEST(json_reads_what_is_asked_for_and_skips_the_rest)
{
	struct json j =
	    reader(" { \"id\" : 9007199254740993 , "
		   "\"x\":{\"a\":[1,{\"b\":null}],\"c\":\"}\"},\"Name\":\"p\\u00e4\\n\","
		   "\"Tags\":[\"tag:a\",\"tag:b\"],\"Online\":true,\"last\":[[],{}] } ");
	struct node n;

	ck_assert(read_node(&j, &n));
	ck_assert_int_eq(n.id, INT64_C(9007199254740993)); /* not through a double */
	ck_assert_str_eq(n.name, "p\xc3\xa4\n");
	ck_assert_uint_eq(n.n_tags, 2);
	ck_assert_str_eq(n.tags[1], "tag:b");
	ck_assert(n.online);
}

TEST(json_null_is_the_zero_value_everywhere)
{
	struct json j = reader("{\"ID\":null,\"Name\":null,\"Tags\":null,\"Online\":null}");
	struct node n;
	char *s;

	ck_assert(read_node(&j, &n));
	ck_assert(n.id == 0 && n.n_tags == 0 && !n.online && n.name[0] == 0);
	j = reader("null");
	ck_assert(read_node(&j, &n));
	j = reader("[null,null,null]");
	json_arr(&j);
	ck_assert(json_elem(&j) && json_f64(&j) == 0 && json_elem(&j));
	s = json_strdup(&j, 10);
	ck_assert_str_eq(s, "");
	free(s);
	ck_assert(json_elem(&j) && json_null(&j) && !json_elem(&j) && json_done(&j));
}

TEST(json_cut_at_each_byte_is_malformed_and_stays_failed)
{
	static const char text[] = "{\"ID\":12,\"Name\":\"a\\u0041\",\"Tags\":[\"x\",\"y\"],\"z\":["
				   "true,false,null,-1.5e3],\"Online\":true}";
	struct node n;

	for (size_t len = 0; len < sizeof text - 1; len++) {
		char *copy = malloc(len + !len);
		struct json j;

		memcpy(copy, text, len);
		j = json_of(bytes_of(copy, len));
		ck_assert_msg(!read_node(&j, &n), "cut at %zu was taken", len);
		ck_assert(!json_ok(&j) && json_type(&j) == JSON_ERROR && json_i64(&j) == 0 &&
			  !json_done(&j));
		free(copy);
	}
}

TEST(json_refuses_what_the_grammar_refuses)
{
	static const char *const bad[] = {
		"",         "{",           "}",          "[1,]",
		"[,1]",     "[1 2]",       "{\"a\":1,}", "{\"a\" 1}",
		"{a:1}",    "{\"a\":}",    "01",         "-",
		"+1",       "1.",          ".5",         "1e",
		"1e+",      "tru",         "nulll",      "\"\x01\"",
		"\"\\x\"",  "\"\\u12g4\"", "\"abc",      "'a'",
		"[1]]",     "{}{}",        "[}",         "{]",
		"1 1",      "\"\\\"",      "[\"a\":1]",  "{\"a\",\"b\"}",
		"\"a\nb\"", "nan",         "Infinity",   "--1",
		"0x10",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct json j = reader(bad[i]);
		char tmp[16];

		/* skipping looks at the escapes of strings only as far as their end, reading looks
		 * at all */
		if (bad[i][0] == '"')
			json_str(&j, tmp, sizeof tmp);
		else
			json_skip(&j);
		ck_assert_msg(!json_done(&j), "%s was taken", bad[i]);
	}
}

TEST(json_of_another_type_fails_for_good)
{
	struct json j = reader("{\"ID\":\"12\"}");
	struct node n;

	ck_assert(!read_node(&j, &n));
	j = reader("{\"Name\":12}");
	ck_assert(!read_node(&j, &n));
	j = reader("{\"Tags\":{}}");
	ck_assert(!read_node(&j, &n));
	j = reader("{\"Online\":1}");
	ck_assert(!read_node(&j, &n));
	j = reader("[]");
	ck_assert(!read_node(&j, &n));
}

TEST(json_integers_know_their_borders)
{
	static const struct {
		const char *text;
		bool i, u;
	} rows[] = {
		{ "9223372036854775807", true, true },
		{ "9223372036854775808", false, true },
		{ "-9223372036854775808", true, false },
		{ "-9223372036854775809", false, false },
		{ "18446744073709551615", false, true },
		{ "18446744073709551616", false, false },
		{ "1.0", false, false },
		{ "1e2", false, false },
		{ "-0", true, true },
	};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		struct json j = reader(rows[k].text);

		json_i64(&j);
		ck_assert_msg(json_done(&j) == rows[k].i, "%s", rows[k].text);
		j = reader(rows[k].text);
		json_u64(&j);
		ck_assert_msg(json_done(&j) == rows[k].u, "%s", rows[k].text);
	}
}

TEST(json_depth_is_limited)
{
	char text[2 * JSON_DEPTH_MAX + 3];
	struct json j;

	for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		j = json_of(bytes_of(text, 2 * (size_t)depth));
		json_skip(&j);
		ck_assert(json_done(&j) == (depth == JSON_DEPTH_MAX));
	}
}

TEST(json_strings_decode_escapes_and_respect_their_room)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u20ac\"", "\xe2\x82\xac" },
		{ "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
		{ "\"\\ud83dx\"", "\xef\xbf\xbdx" }, /* a lone surrogate */
		{ "\"\\ude00\"", "\xef\xbf\xbd" },
		{ "\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
					"A" },
		{ "\"\xc3\xa4\"", "\xc3\xa4" },
	};
	char out[16], tmp[4];
	struct bytes b;
	struct json j;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		j = reader(rows[i].in);
		json_str(&j, out, sizeof out);
		ck_assert(json_done(&j));
		ck_assert_str_eq(out, rows[i].out);
	}
	j = reader("\"abcd\"");
	ck_assert_uint_eq(json_str(&j, tmp, 4), 0);
	ck_assert(!json_ok(&j));
	j = reader("\"abc\"");
	ck_assert_uint_eq(json_str(&j, tmp, 4), 3);
	j = reader("\"a\\u0000b\"");
	json_str(&j, out, sizeof out);
	ck_assert(!json_ok(&j));
	j = reader("\"abcd\"");
	b = json_strb(&j, NULL, 4);
	ck_assert(json_ok(&j) && bytes_eq_str(b, "abcd"));
	j = reader("\"a\\u0062cd\"");
	b = json_strb(&j, tmp, 4);
	ck_assert(json_ok(&j) && bytes_eq_str(b, "abcd"));
	j = reader("\"a\\u0062cde\"");
	json_strb(&j, tmp, 4);
	ck_assert(!json_ok(&j));
	ck_assert(json_unescape(bytes_str("a\\u0062"), tmp, 3) && strcmp(tmp, "ab") == 0);
	ck_assert(!json_unescape(bytes_str("a\\u0062"), tmp, 2) &&
		  !json_unescape(bytes_str("a\\"), tmp, 4));
}

TEST(json_raw_is_the_text_of_the_value)
{
	struct json j = reader("[ {\"a\": [1, 2]} , 5]");

	json_arr(&j);
	ck_assert(json_elem(&j) && bytes_eq_str(json_raw(&j), "{\"a\": [1, 2]}"));
	ck_assert(json_elem(&j) && bytes_eq_str(json_raw(&j), "5"));
	ck_assert(!json_elem(&j) && json_done(&j));
}

/* --- writer --- */

TEST(jsonw_places_commas_and_escapes)
{
	struct buf out;
	struct jsonw w;

	buf_init(&out, 4096);
	jsonw_init(&w, &out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "a", "x\"\\\n\x01\xc3\xa4\xff\xed\xa0\x80");
	jsonw_ki64(&w, "b", INT64_MIN);
	jsonw_key(&w, "c");
	jsonw_arr(&w);
	jsonw_u64(&w, UINT64_MAX);
	jsonw_f64(&w, 0.1);
	jsonw_f64(&w, 5);
	jsonw_f64(&w, NAN);
	jsonw_str(&w, NULL);
	jsonw_obj(&w);
	jsonw_obj_end(&w);
	jsonw_raw(&w, bytes_str("{\"z\":1}"));
	jsonw_raw(&w, bytes_of(NULL, 0));
	jsonw_arr(&w);
	jsonw_arr_end(&w);
	jsonw_arr_end(&w);
	jsonw_kbool(&w, "d", false);
	jsonw_obj_end(&w);
	ck_assert(jsonw_ok(&w));
	ck_assert(buf_append(&out, "", 1));
	ck_assert_str_eq(
	    (const char *)out.data,
	    "{\"a\":"
	    "\"x\\\"\\\\\\n\\u0001\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"b\":"
	    "-9223372036854775808,"
	    "\"c\":[18446744073709551615,0.1,5,null,null,{},{\"z\":1},null,[]],\"d\":false}");
	buf_fini(&out);
}

TEST(jsonw_stays_failed_when_its_buffer_ran_out)
{
	struct buf out;
	struct jsonw w;

	buf_init(&out, 8);
	jsonw_init(&w, &out);
	jsonw_arr(&w);
	jsonw_str(&w, "0123456789");
	jsonw_arr_end(&w);
	ck_assert(!jsonw_ok(&w));
	ck_assert_uint_le(out.len, 8);
	buf_fini(&out);
}

TEST(jsonw_strings_and_doubles_read_back_equal)
{
	struct seed_rng r;
	struct buf out;
	struct jsonw w;
	struct json j;
	char s[64], back[64];

	seed_rng_init(&r, 5);
	buf_init(&out, 4096);
	for (int i = 0; i < 5000; i++) {
		size_t n = (size_t)rng_below(&r.rng, 20);
		union {
			uint64_t u;
			double d;
		} v = { rng_u64(&r.rng) };

		for (size_t k = 0; k < n; k++)
			s[k] = (char)(1 + rng_below(&r.rng, 127));
		s[n] = 0;
		buf_clear(&out);
		jsonw_init(&w, &out);
		jsonw_arr(&w);
		jsonw_str(&w, s);
		jsonw_f64(&w, v.d);
		jsonw_arr_end(&w);
		j = json_of(buf_bytes(&out));
		json_arr(&j);
		ck_assert(json_elem(&j));
		json_str(&j, back, sizeof back);
		ck_assert_str_eq(back, s);
		ck_assert(json_elem(&j));
		if (isfinite(v.d))
			ck_assert(json_f64(&j) == v.d);
		else
			ck_assert(json_null(&j));
		ck_assert(!json_elem(&j) && json_done(&j));
	}
	buf_fini(&out);
}
