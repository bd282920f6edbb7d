/* containerboot/confine_test.c - the words of TS_DEBUG_SANDBOX */
#include "containerboot/confine.h"

#include <errno.h>

#include "tests/harness.h"

static struct err err;

TEST(every_limit_is_on_unless_lifted)
{
	struct confine c;

	ck_assert_int_eq(confine_parse(NULL, &c, &err), 0);
	ck_assert(c.files && c.calls && !c.end_on_call);
	ck_assert_int_eq(confine_parse("no-landlock", &c, &err), 0);
	ck_assert(!c.files && c.calls);
	ck_assert_int_eq(confine_parse("no-seccomp,strict", &c, &err), 0);
	ck_assert(c.files && !c.calls && c.end_on_call);
	ck_assert_int_eq(confine_parse("off", &c, &err), 0);
	ck_assert(!c.files && !c.calls);
}

TEST(another_word_is_refused_and_named)
{
	struct confine c;

	ck_assert_int_eq(confine_parse("no-landlock,none", &c, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "TS_DEBUG_SANDBOX: none"));
}
