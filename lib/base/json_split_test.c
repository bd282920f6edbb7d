/* base/json_split_test.c - the splitter of base/json.h */
#include "base/json.h"
#include "tests/harness.h"

#include <stdlib.h>

static bool is_list(struct bytes key)
{
	return json_key_is(key, "Peers") || json_key_is(key, "PeersChanged");
}

/* Runs text through in pieces of `piece` bytes (0: random ones); the events as one line of text. */
static char *events(const char *text, size_t piece, size_t max, struct seed_rng *r)
{
	struct json_split *s = json_split_new(is_list, max);
	size_t len = strlen(text), at = 0;
	enum json_split_ev ev = JSON_SPLIT_MORE;
	struct bytes in, key, value;
	struct buf out;

	buf_init(&out, 1 << 20);
	while (at < len && ev != JSON_SPLIT_ERROR) {
		size_t n = piece ? piece : 1 + (size_t)rng_below(&r->rng, 40);
		uint8_t *copy;

		if (n > len - at)
			n = len - at;
		copy = malloc(n); /* exact, and gone after the piece: a borrowed pointer kept too
				     long is seen */
		memcpy(copy, text + at, n);
		in = bytes_of(copy, n);
		do {
			static const char *const names[] = { "more", "M", "[",     "E",
							     "]",    ".", "error", "big" };

			ev = json_split_next(s, &in, &key, &value);
			if (ev != JSON_SPLIT_MORE && (ev != JSON_SPLIT_END || at + n == len))
				ck_assert(buf_printf(&out, "%s %.*s %.*s|", names[ev], (int)key.len,
						     (const char *)key.data, (int)value.len,
						     (const char *)value.data));
		} while (ev != JSON_SPLIT_MORE && ev != JSON_SPLIT_END && ev != JSON_SPLIT_ERROR);
		free(copy);
		at += n;
	}
	json_split_free(s);
	return buf_take_str(&out);
}

static const char sample[] =
    " {\"KeepAlive\" : false,\"Node\":{\"ID\":1,\"Name\":\"a}]\\\"b\"}, \"Peers\":[ {\"ID\":2} "
    ",{\"ID\":3,\"x\":[1,[2]]}, null ,\"s\",7 ],"
    "\"PeersChanged\":[ ],\"peersChanged\":null,\"Domain\":\"x,y\",\"n\":-12.5e3 , \"t\":true} \n";
static const char sample_events[] =
    "M KeepAlive false|M Node {\"ID\":1,\"Name\":\"a}]\\\"b\"}|[ Peers |E Peers {\"ID\":2}|E Peers "
    "{\"ID\":3,\"x\":[1,[2]]}|"
    "E Peers null|E Peers \"s\"|E Peers 7|] Peers |M PeersChanged []|M peersChanged null|M Domain "
    "\"x,y\"|M n -12.5e3|M t true|. t |";

TEST(json_split_gives_the_same_events_in_any_pieces)
{
	struct seed_rng r;
	char *got;

	seed_rng_init(&r, 7);
	for (size_t piece = 1; piece <= sizeof sample; piece++) {
		got = events(sample, piece, 1000, NULL);
		ck_assert_str_eq(got, sample_events);
		free(got);
	}
	for (int i = 0; i < 500; i++) {
		got = events(sample, 0, 1000, &r);
		ck_assert_str_eq(got, sample_events);
		free(got);
	}
}

TEST(json_split_skips_a_value_above_the_limit_and_goes_on)
{
	static const char text[] =
	    "{\"Peers\":[{\"a\":1},{\"a\":\"0123456789\"},{\"a\":2}],\"s\":\"01234567\",\"b\":"
	    "\"0123456789abc\",\"n\":1234567890123,\"c\":3}";
	static const char want[] = "[ Peers |E Peers {\"a\":1}|big Peers |E Peers {\"a\":2}|] "
				   "Peers |M s \"01234567\"|big b |big n |M c 3|. c |";

	for (size_t piece = 1; piece < sizeof text; piece++) {
		char *got = events(text, piece, 10, NULL);

		ck_assert_str_eq(got, want);
		free(got);
	}
}

TEST(json_split_takes_a_value_of_exactly_the_limit)
{
	char *got = events("{\"a\":\"01234567\"}", 3, 10, NULL);

	ck_assert_str_eq(got, "M a \"01234567\"|. a |");
	free(got);
}

TEST(json_split_counts_the_value_of_an_overlong_key_as_too_big)
{
	char text[JSON_SPLIT_KEY_MAX + 32], *got;

	snprintf(text, sizeof text, "{\"%0*d\":[1,2],\"b\":1}", JSON_SPLIT_KEY_MAX + 1, 0);
	got = events(text, 11, 1000, NULL);
	ck_assert_int_eq(strncmp(got, "big 0000", 8), 0);
	ck_assert_ptr_nonnull(strstr(got, " |M b 1|. b |"));
	free(got);
}

TEST(json_split_refuses_malformed_streams)
{
	static const char *const bad[] = { "[",
					   "x",
					   "{x",
					   "{\"a\"1",
					   "{\"a\":\"1\";",
					   "{\"a\":1}x",
					   "{\"a\":[}",
					   "{\"a\":{]",
					   "{\"a\":1,}",
					   "{,",
					   "{\"Peers\":[1 2",
					   "{\"Peers\":[,",
					   "{\"Peers\":[1}",
					   "{\"a\":x",
					   "{\"\n\":1",
					   "{\"Peers\":[1,]",
					   "{\"a\":,",
					   "{\"a\":}" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (size_t piece = 1; piece < 4; piece++) {
			char *got = events(bad[i], piece, 1000, NULL);

			ck_assert_msg(strstr(got, "error ") != NULL, "%s gave %s", bad[i], got);
			free(got);
		}
}

TEST(json_split_limits_depth_and_an_error_lasts_until_reset)
{
	struct json_split *s = json_split_new(is_list, 1000);
	struct bytes in, key, value;
	char text[JSON_DEPTH_MAX + 8];

	memset(text, '[', sizeof text);
	memcpy(text, "{\"a\":", 5);
	in = bytes_of(text, sizeof text);
	ck_assert_int_eq(json_split_next(s, &in, &key, &value), JSON_SPLIT_ERROR);
	in = bytes_str("{}");
	ck_assert_int_eq(json_split_next(s, &in, &key, &value), JSON_SPLIT_ERROR);
	json_split_reset(s);
	ck_assert_int_eq(json_split_next(s, &in, &key, &value), JSON_SPLIT_END);
	ck_assert_int_eq(json_split_next(s, &in, &key, &value), JSON_SPLIT_END);
	json_split_free(s);
}
