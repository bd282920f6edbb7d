/* wire/encoded_word_test.c - RFC 2047 4.2, and what Go's mime.QEncoding gives */
#include "wire/encoded_word.h"

#include "tests/harness.h"

static void check(const char *text, const char *want)
{
	struct buf out;

	buf_init(&out, 4096);
	ck_assert(encoded_word(&out, bytes_str(text)));
	ck_assert_msg(bytes_eq_str(buf_bytes(&out), want), "%s -> %.*s", text, (int)out.len,
		      (const char *)buf_bytes(&out).data);
	buf_fini(&out);
}

TEST(ascii_stays_and_all_else_is_encoded)
{
	check("", "");
	check("Ada Lovelace <a@b.c>", "Ada Lovelace <a@b.c>");
	check("Zo\xc3\xab K", "=?utf-8?q?Zo=C3=AB_K?=");
	check("a_b=c? \xc3\xa9", "=?utf-8?q?a=5Fb=3Dc=3F_=C3=A9?=");
	check("a\r\nX: b", "=?utf-8?q?a=0D=0AX:_b?=");
	check("\xff", "=?utf-8?q?=FF?=");
}

TEST(a_long_text_is_divided_between_characters)
{
	/* 63 characters fit: ten of six, then the next word */
	check("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
	      "\xa9",
	      "=?utf-8?q?=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9?= "
	      "=?utf-8?q?=C3=A9?=");
}
