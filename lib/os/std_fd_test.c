/* os/std_fd_test.c - descriptors up to the hard limit */
#include "os/std_fd.h"

#include "tests/harness.h"

TEST(the_soft_limit_of_descriptors_becomes_the_hard_one)
{
	struct rlimit was, r;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	r = was;
	r.rlim_cur = 32;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
	std_fd_most();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
	ck_assert_uint_eq(r.rlim_cur, was.rlim_max);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
}
