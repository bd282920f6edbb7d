/* pod/masquerade_test.c - in a network namespace of its own */
#include "pod/masquerade.h"

#include <sched.h>
#include <unistd.h>

#include "tests/harness.h"

static bool own_namespace(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

TEST(masquerade_is_made_once_and_removed_twice_without_a_fault)
{
	struct err e = { 0 };

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_add("tp0", &e) == 0, "%s", e.text);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_del("tp0", &e) == 0, "%s", e.text);
}
