/* base/bytes_test.c */
#include "base/bytes.h"
#include "base/cursor.h"
#include "tests/harness.h"

#include <stdlib.h>

TEST(buf_refuses_to_grow_past_its_limit)
{
	struct buf b;

	buf_init(&b, 10);
	ck_assert(buf_append(&b, "0123456789", 10));
	ck_assert(!buf_append(&b, "x", 1));
	ck_assert(!buf_printf(&b, "%d", 5));
	ck_assert_uint_eq(b.len, 10);
	buf_consume(&b, 4);
	ck_assert(buf_append(&b, "abcd", 4));
	ck_assert(bytes_eq_str(buf_bytes(&b), "456789abcd"));
	buf_fini(&b);
}

TEST(buf_printf_appends_and_take_str_terminates)
{
	struct buf b;
	char *s;

	buf_init(&b, 1000);
	for (int i = 0; i < 100; i++)
		ck_assert(buf_printf(&b, "%d,", i));
	buf_consume(&b, 2);
	s = buf_take_str(&b);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(strncmp(s, "1,2,3,", 6), 0);
	ck_assert_uint_eq(strlen(s), 288);
	free(s);
	ck_assert_uint_eq(b.len, 0);
	buf_fini(&b);
}

TEST(a_buffer_over_memory_of_the_callers_stays_in_it)
{
	char mem[11];
	struct buf b;

	memset(mem, 'x', sizeof mem);
	buf_init_over(&b, mem, sizeof mem - 1); /* 9 and a NUL */
	ck_assert(buf_append(&b, "abcdef", 6));
	buf_consume(&b, 4);
	ck_assert(!buf_append(&b, "12345678", 8));
	ck_assert(buf_printf(&b, "%s", "1234567")); /* moved to the front */
	ck_assert(buf_bytes(&b).data == (const uint8_t *)mem && b.len == 9);
	ck_bytes_eq(mem, "ef1234567", 10);
	ck_assert_ptr_null(buf_reserve(&b, 1));
	buf_clear(&b);
	ck_assert(b.data == (uint8_t *)mem && b.len == 0);
	buf_fini(&b);
	ck_assert_ptr_nonnull(buf_reserve(&b, 9)); /* still there, still empty */
	ck_assert_int_eq(mem[10], 'x');
}

TEST(bytes_to_str_cuts_and_says_so)
{
	char out[4];

	ck_assert(bytes_to_str(bytes_str("abc"), out, sizeof out));
	ck_assert(!bytes_to_str(bytes_str("abcd"), out, sizeof out));
	ck_assert_str_eq(out, "abc");
}

TEST(cursor_cut_hides_what_follows_and_fails_when_there_is_less)
{
	static const uint8_t five[] = { 1, 2, 3, 4, 5 };
	struct rd r = rd_of(five, sizeof five);

	rd_skip(&r, 1);
	rd_cut(&r, 2);
	ck_assert_uint_eq(rd_be16(&r), 0x0203);
	ck_assert(rd_done(&r));
	ck_assert_uint_eq(rd_u8(&r), 0);
	ck_assert(!rd_ok(&r));

	r = rd_of(five, sizeof five);
	rd_cut(&r, 5);
	ck_assert(rd_ok(&r) && r.left == 5);
	rd_cut(&r, 6);
	ck_assert(!rd_ok(&r) && r.left == 0);
	rd_cut(&r, 0); /* stays failed */
	ck_assert(!rd_ok(&r));
}
