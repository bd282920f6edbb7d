/* base/err_test.c - one line of words: what is set, said, wrapped, and cut */
#include "base/err.h"

#include <errno.h>

#include "tests/harness.h"

TEST(set_appends_the_words_of_the_errno_and_say_does_not)
{
	struct err e;

	ck_assert_int_eq(err_set(&e, ENOENT, "open %s", "/x"), -ENOENT);
	ck_assert_int_eq(e.code, ENOENT);
	ck_assert_str_eq(e.text, "open /x: No such file or directory");
	ck_assert_int_eq(err_say(&e, EINVAL, "%d is odd", 3), -EINVAL);
	ck_assert_int_eq(e.code, EINVAL);
	ck_assert_str_eq(e.text, "3 is odd");
}

TEST(a_code_of_nothing_or_of_nobody_still_fails)
{
	struct err e;

	ck_assert_int_eq(err_say(&e, 0, "odd"), -EIO);
	ck_assert_int_eq(e.code, EIO);
	ck_assert_int_eq(err_set(&e, 99999, "odd"), -99999);
	ck_assert_str_eq(e.text, "odd: unknown error");
}

TEST(wrapping_puts_words_in_front_and_keeps_the_code)
{
	struct err e, none = { 0 };

	(void)err_set(&e, EACCES, "open %s", "key");
	ck_assert_int_eq(err_wrap(&e, "user %d", 7), -EACCES);
	ck_assert_str_eq(e.text, "user 7: open key: Permission denied");
	ck_assert_int_eq(e.code, EACCES);
	ck_assert_int_eq(err_wrap(&none, "outer"), -EIO);
}

TEST(who_does_not_want_the_words_gets_the_code)
{
	ck_assert_int_eq(err_set(NULL, EPERM, "x"), -EPERM);
	ck_assert_int_eq(err_say(NULL, EPERM, "x"), -EPERM);
	ck_assert_int_eq(err_wrap(NULL, "x"), -EIO);
}

TEST(words_too_long_are_cut_at_the_end_and_terminated)
{
	char big[2 * ERR_TEXT_MAX];
	struct err e;

	memset(big, 'a', sizeof big - 1);
	big[sizeof big - 1] = 0;
	for (size_t n = ERR_TEXT_MAX - 30; n < ERR_TEXT_MAX + 30; n++) {
		(void)err_set(&e, ENOENT, "%.*s", (int)n, big);
		ck_assert_uint_eq(strlen(e.text), MIN_OF(n + strlen(": No such file or directory"),
							 (size_t)ERR_TEXT_MAX - 1));
		ck_assert_uint_eq(e.text[0], 'a');
		(void)err_wrap(&e, "outer");
		ck_assert_uint_eq(strncmp(e.text, "outer: aaa", 10), 0);
		ck_assert_uint_lt(strlen(e.text), ERR_TEXT_MAX);
		(void)err_wrap(&e, "%s", big); /* nothing of the old text is left */
		ck_assert_uint_eq(strlen(e.text), ERR_TEXT_MAX - 1);
		ck_assert_int_eq(e.code, ENOENT);
	}
}
