/* model/merge_test.c - what is ours is replaced where it stands, all else is kept as it was written
 */
#include "model/merge.h"

#include <errno.h>

#include "tests/harness.h"

static char got[4096];

static int merge(const char *base, const struct merge_member *m, size_t n)
{
	struct buf out;
	int ret;

	buf_init(&out, sizeof got);
	ck_assert(buf_append(&out, "<", 1));
	ret = merge_emit(bytes_str(base), m, n, &out);
	ck_assert(bytes_to_str(buf_bytes(&out), got, sizeof got));
	buf_fini(&out);
	return ret;
}

TEST(members_are_replaced_in_place_and_missing_ones_come_at_the_end)
{
	const struct merge_member m[] = { { "New", bytes_str("1") },
					  { "b", bytes_str("{\"x\":2}") },
					  { "Gone", bytes_str("") },
					  { "Absent", bytes_str("") } };

	ck_assert_int_eq(
	    merge("{\"a\": 1.50 ,\"B\":[1, 2],\"gone\":null,\"c\\u00e9\":\"\\/\"}", m, 4), 0);
	ck_assert_str_eq(got, "<{\"a\":1.50,\"b\":{\"x\":2},\"c\\u00e9\":\"\\/\",\"New\":1}");
}

TEST(a_member_that_the_document_has_twice_is_written_once)
{
	const struct merge_member m[] = { { "a", bytes_str("9") } };

	ck_assert_int_eq(merge("{\"a\":1,\"z\":0,\"A\":2,\"a\":3}", m, 1), 0);
	ck_assert_str_eq(got, "<{\"a\":9,\"z\":0}");
}

TEST(no_document_is_an_empty_one)
{
	const struct merge_member m[] = { { "a", bytes_str("9") } };
	static const char *const none[] = { "", "null", "{}", " { } " };

	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		ck_assert_int_eq(merge(none[i], m, 1), 0);
		ck_assert_str_eq(got, "<{\"a\":9}");
		ck_assert_int_eq(merge(none[i], NULL, 0), 0);
		ck_assert_str_eq(got, "<{}");
	}
}

TEST(what_is_no_object_or_is_cut_anywhere_leaves_the_output_as_it_was)
{
	static const char whole[] = "{\"a\":1,\"b\":{\"c\":[true,\"x\"]},\"d\":\"\"}";
	const struct merge_member m[] = { { "b", bytes_str("2") }, { "n", bytes_str("3") } };
	char cut[sizeof whole];

	ck_assert_int_eq(merge("[1]", m, 2), -EBADMSG);
	ck_assert_str_eq(got, "<");
	ck_assert_int_eq(merge("{\"a\":1}x", m, 2), -EBADMSG);
	ck_assert_str_eq(got, "<");
	for (size_t n = 1; n + 1 < sizeof whole; n++) {
		snprintf(cut, sizeof cut, "%.*s", (int)n, whole);
		ck_assert_int_eq(merge(cut, m, 2), -EBADMSG);
		ck_assert_str_eq(got, "<");
	}
}

TEST(an_output_that_is_full_is_left_as_it_was)
{
	static const char base[] = "{\"a\":1,\"keep\":\"what others wrote\"}";
	const struct merge_member m[] = { { "a", bytes_str("12345") } };
	struct buf out;
	size_t max = 4;
	int ret;

	do {
		buf_init(&out, ++max);
		ck_assert(buf_append(&out, "old", 3));
		ret = merge_emit(bytes_str(base), m, 1, &out);
		if (ret < 0) {
			ck_assert_int_eq(ret, -ENOMEM);
			ck_assert(bytes_eq_str(buf_bytes(&out), "old"));
		}
		buf_fini(&out);
	} while (ret < 0 && max < 100);
	ck_assert_uint_eq(max, 3 + strlen("{\"a\":12345,\"keep\":\"what others wrote\"}"));
}
