/* os/privilege_test.c - what is given up is gone; secrets are outside dumps; memory goes back; log
 * lines are whole */
#include "os/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/file.h"
#include "os/logger.h"
#include "tests/harness.h"

static struct err err;

static unsigned long long status_field(const char *name)
{
	char *data, *at;
	size_t len;
	unsigned long long v;

	ck_assert_int_eq(file_read("/proc/self/status", 1 << 16, &data, &len, &err), 0);
	at = strstr(data, name);
	ck_assert_ptr_nonnull(at);
	v = strtoull(at + strlen(name), NULL, 16);
	file_wipe(data, len);
	return v;
}

TEST(after_start_the_process_is_undumpable_and_leaves_no_core)
{
	struct rlimit lim;

	ck_assert_int_eq(privilege_at_start(&err), 0);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &lim), 0);
	ck_assert_uint_eq(lim.rlim_cur + lim.rlim_max, 0);
}

TEST(a_core_file_taken_by_a_debugger_holds_no_private_memory)
{
	char *data;
	size_t len;

	ck_assert_int_eq(privilege_at_start(&err), 0);
	ck_assert_int_eq(file_read("/proc/self/coredump_filter", 64, &data, &len, &err), 0);
	ck_assert_uint_eq(strtoul(data, NULL, 16), 0x10);
	file_wipe(data, len);
}

TEST(dropping_leaves_no_capability_and_no_way_to_new_ones)
{
	ck_assert_msg(privilege_drop(NULL, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(status_field("CapEff:"), 0);
	ck_assert_uint_eq(status_field("CapPrm:"), 0);
	ck_assert_uint_eq(status_field("CapInh:"), 0);
	ck_assert_uint_eq(status_field("CapAmb:"), 0);
	ck_assert_uint_eq(status_field("NoNewPrivs:"), 1);
}

TEST(a_capability_that_is_kept_stays_alone)
{
	static const char *const keep[] = { "cap_net_admin", NULL };

	if (!(status_field("CapPrm:") & 1ULL << 12))
		SKIP("needs CAP_NET_ADMIN to keep");
	ck_assert_msg(privilege_drop(keep, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(status_field("CapEff:"), 1ULL << 12);
	ck_assert_uint_eq(status_field("CapPrm:"), 1ULL << 12);
}

TEST(a_capability_that_is_not_held_or_unknown_is_named)
{
	static const char *const keep[] = { "cap_net_admin", NULL }, *const unknown[] = { "cap_fly",
											  NULL };

	ck_assert_int_eq(privilege_drop(unknown, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "cap_fly"));
	ck_assert_int_eq(privilege_drop(NULL, &err), 0);
	ck_assert_int_eq(privilege_drop(keep, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "cap_net_admin"));
}

TEST(a_user_is_found_by_name_or_number)
{
	char path[] = "/tmp/passwd-XXXXXX", line[2000];
	uid_t id = 0;
	FILE *f = fdopen(mkstemp(path), "w");

	ck_assert_ptr_nonnull(f);
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = 0;
	fprintf(
	    f,
	    "root:x:0:0::/:/bin/sh\n%s:x:7:7::/:/\nnonsense\nann:x:1000:1000::/home/ann:/bin/sh\n",
	    line);
	fclose(f);
	ck_assert_int_eq(user_id("ann", path, &id), 0);
	ck_assert_uint_eq(id, 1000);
	ck_assert_int_eq(user_id("65532", "/no/such/file", &id), 0);
	ck_assert_uint_eq(id, 65532);
	ck_assert_int_eq(user_id("an", path, &id), -ENOENT);
	ck_assert_int_eq(user_id("nonsense", path, &id), -ENOENT);
	ck_assert_int_eq(user_id("4294967295", path, &id),
			 -ENOENT); /* means nobody to the kernel */
	ck_assert_int_eq(user_id("ann", "/no/such/file", &id), -ENOENT);
	unlink(path);
}

TEST(the_arena_gives_zeroed_aligned_pieces_until_it_is_full)
{
	struct secret_arena *a = secret_arena_new(100);
	uint8_t *p, *q;
	size_t n = 2;

	ck_assert_ptr_nonnull(a);
	p = secret_alloc(a, 33);
	q = secret_alloc(a, 1);
	ck_assert(p && q);
	ck_assert_uint_eq((uintptr_t)p % 16, 0);
	ck_assert_uint_eq((size_t)(q - p), 48);
	for (int i = 0; i < 33; i++)
		ck_assert_uint_eq(p[i], 0);
	while (secret_alloc(a, 64))
		n++;
	ck_assert_uint_eq(n, 2 + (4096 - 64) / 64);
	ck_assert_ptr_null(secret_alloc(a, SIZE_MAX));
	secret_arena_free(a);
	secret_arena_free(NULL);
}

TEST(the_arena_is_locked_and_marked_not_to_be_dumped)
{
	struct secret_arena *a = secret_arena_new(4096);
	char *data, *at, start[32];
	size_t len;

	ck_assert_ptr_nonnull(a);
	snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)secret_alloc(a, 16));
	ck_assert_int_eq(file_read("/proc/self/smaps", 16 << 20, &data, &len, &err), 0);
	at = strstr(data, start);
	ck_assert_ptr_nonnull(at);
	at = strstr(at, "VmFlags:");
	*strchr(at, '\n') = 0;
	ck_assert_msg(strstr(at, " dd") != NULL && strstr(at, " wf") != NULL, "%s", at);
#if !defined(__SANITIZE_ADDRESS__) /* which makes mlock do nothing */
	ck_assert_int_eq(strstr(at, " lo") != NULL, secret_arena_is_locked(a));
#endif
	file_wipe(data, len);
	secret_arena_free(a);
}

static const char constants[1 << 18] = { 1 };

/* Whether a page is gone cannot be asked: the kernel maps it again with the next fault in the same
 * part of the file. */
TEST(trimming_gives_code_and_constants_back_and_the_program_goes_on)
{
	static const char *const relocated[] = { "one", "two" };
	const volatile char *middle = constants + sizeof constants / 2;
	size_t n;

	ck_assert_int_eq(*middle, 0);
	n = memory_trim();
	ck_assert_uint_gt(n, sizeof constants); /* and code */
	ck_assert_int_eq(constants[0] + *middle, 1);
	ck_assert_uint_eq(memory_trim(), n); /* the same mappings: nothing was lost */
	ck_assert_str_eq(*(const char *const volatile *)&relocated[1], "two");
}

TEST(a_log_line_has_time_level_and_prefix_and_one_newline)
{
	char got[4096] = { 0 };
	enum log_level level;
	int fds[2], saved = dup(2);
	static char longest[2000];

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], 2);
	logger_init("prog", LOG_INFO);
	log_info("module: %d facts", 3);
	log_debug("not shown");
	ck_assert_int_gt(read(fds[0], got, sizeof got - 1), 0);
	dup2(saved, 2);
	ck_assert_ptr_nonnull(strstr(got, "Z info prog: module: 3 facts\n"));
	ck_assert_ptr_null(strstr(got, "not shown"));
	ck_assert_uint_eq(strcspn(got, "T"), 10);
	memset(longest, 'x', sizeof longest - 1);
	dup2(fds[1], 2);
	log_info("%s", longest);
	memset(got, 0, sizeof got);
	ck_assert_int_gt(read(fds[0], got, sizeof got - 1), 0);
	dup2(saved, 2);
	ck_assert_uint_eq(got[strlen(got) - 1], '\n');
	ck_assert(logger_level_parse(bytes_str("DEBUG"), &level) && level == LOG_DEBUG);
	ck_assert(logger_level_parse(bytes_str("4"), &level) && level == LOG_TRACE);
	ck_assert(!logger_level_parse(bytes_str("5"), &level) &&
		  !logger_level_parse(bytes_str(""), &level));
	log_set(NULL, LOG_ERROR);
}
