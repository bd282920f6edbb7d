/* containerboot/store_test.c - the state file on a real disk */
#include "containerboot/store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"

static char dir[64];
static struct err e;

static void make_dir(void)
{
	snprintf(dir, sizeof dir, "/tmp/store-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	static const char *const files[] = { "tailscaled.state", "tailpod.lock" };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		(void)unlink(path);
	}
	ck_assert_int_eq(rmdir(dir), 0); /* nothing else is left, no temporary file */
}

TEST(what_is_saved_is_there_again_with_mode_0600)
{
	char path[128];
	struct store s;
	struct bytes v;
	struct stat st;

	make_dir();
	ck_assert_msg(store_open(&s, dir, &e) == 0, "%s", e.text);
	ck_assert_int_eq(state_put(s.state, "_machinekey", bytes_str("secret")), 0);
	ck_assert(store_save(&s));
	store_close(&s);
	snprintf(path, sizeof path, "%s/tailscaled.state", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_msg(store_open(&s, dir, &e) == 0, "%s", e.text);
	ck_assert(state_get(s.state, "_machinekey", &v) && bytes_eq_str(v, "secret"));
	store_close(&s);
	remove_dir();
}

TEST(a_second_user_of_the_directory_is_refused_until_the_first_is_gone)
{
	struct store a, b;

	make_dir();
	ck_assert_int_eq(store_open(&a, dir, &e), 0);
	ck_assert_int_eq(store_open(&b, dir, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "in use by another process"));
	store_close(&b);
	store_close(&a);
	ck_assert_int_eq(store_open(&b, dir, &e), 0);
	store_close(&b);
	remove_dir();
}

TEST(a_torn_file_is_refused_by_name_and_left_as_it_is)
{
	char path[128];
	struct store s;
	struct stat st;
	FILE *f;

	make_dir();
	snprintf(path, sizeof path, "%s/tailscaled.state", dir);
	f = fopen(path, "w");
	fputs("{\"_machinekey\": \"cHJp", f);
	fclose(f);
	ck_assert_int_eq(store_open(&s, dir, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, path));
	store_close(&s);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 21);
	remove_dir();
}

TEST(what_a_killed_process_left_half_written_is_removed)
{
	struct store s;
	char path[128];
	FILE *f;

	make_dir();
	snprintf(path, sizeof path, "%s/tailscaled.state.0011223344556677.tmp", dir);
	f = fopen(path, "w");
	fputs("{\"_machinekey\": \"cHJp", f);
	fclose(f);
	ck_assert_msg(store_open(&s, dir, &e) == 0, "%s", e.text);
	ck_assert_int_eq(access(path, F_OK), -1);
	store_close(&s);
	remove_dir();
}

TEST(memory_state_has_no_file_and_saving_it_always_works)
{
	struct store s;

	ck_assert_int_eq(store_open(&s, NULL, &e), 0);
	ck_assert_ptr_null(s.path);
	ck_assert_int_eq(state_put(s.state, "a", bytes_str("b")), 0);
	ck_assert(store_save(&s));
	store_close(&s);
}

TEST(a_missing_directory_is_made_and_an_impossible_one_is_named)
{
	char sub[96];
	struct store s;

	make_dir();
	snprintf(sub, sizeof sub, "%s/deep/er", dir);
	ck_assert_msg(store_open(&s, sub, &e) == 0, "%s", e.text);
	store_close(&s);
	snprintf(sub, sizeof sub, "%s/deep/er/tailpod.lock", dir);
	ck_assert_int_eq(unlink(sub), 0);
	snprintf(sub, sizeof sub, "%s/deep/er", dir);
	ck_assert_int_eq(rmdir(sub), 0);
	snprintf(sub, sizeof sub, "%s/deep", dir);
	ck_assert_int_eq(rmdir(sub), 0);
	ck_assert_int_lt(store_open(&s, "/proc/no/such", &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "/proc/no"));
	store_close(&s);
	remove_dir();
}
