/* os/file_test.c - bounded reads, atomic replacement, locks, watches as Kubernetes' mounts need
 * them */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"

static char dir[] = "/tmp/file_test_XXXXXX";
static struct err err;

static void enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void leave(void)
{
	char cmd[64];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void put(const char *path, const char *text)
{
	ck_assert_msg(file_replace(path, bytes_str(text), 0644, &err) == 0, "%s", err.text);
}

static void expect(const char *path, const char *text)
{
	char *data;
	size_t len;

	ck_assert_msg(file_read(path, 1 << 20, &data, &len, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_str_eq(data, text);
	file_wipe(data, len);
}

static size_t count(const char *cmd)
{
	FILE *f = popen(cmd, "r");
	size_t n = 0;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%zu", &n), 1);
	pclose(f);
	return n;
}

TEST(a_replaced_file_has_the_content_and_mode_and_leaves_no_temporary)
{
	struct stat st;

	enter();
	umask(077);
	put("f", "one");
	put("f", "two");
	expect("f", "two");
	ck_assert_int_eq(stat("f", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	ck_assert_uint_eq(count("ls -A | wc -l"), 1);
	leave();
}

TEST(a_failed_replacement_leaves_the_old_content_and_no_temporary)
{
	enter();
	ck_assert_int_eq(mkdir("d", 0700), 0);
	put("d/x", "inside");
	ck_assert_int_lt(file_replace("d", bytes_str("y"), 0600, &err),
			 0); /* a directory is in the way */
	ck_assert_ptr_nonnull(strstr(err.text, "write d"));
	expect("d/x", "inside");
	ck_assert_uint_eq(count("ls -A | wc -l"), 1);
	ck_assert_int_eq(file_replace("none/f", bytes_str("y"), 0600, &err), -ENOENT);
	leave();
}

TEST(what_killed_replacements_left_is_swept_and_nothing_else)
{
	struct file_new f;
	struct err e;

	enter();
	put("f", "one");
	ck_assert_int_eq(file_new_open(&f, "f", 0600, &e), 0); /* and never ended */
	put("f.0123456789abcde.tmp", "a digit short");
	put("f.0123456789abcdef.tmp.old", "somebody's");
	put("g.0123456789abcdef.tmp", "another file's");
	ck_assert_uint_eq(count("ls -A | wc -l"), 5);
	file_sweep("f");
	ck_assert_uint_eq(count("ls -A | wc -l"), 4);
	ck_assert_int_eq(access(f.temp, F_OK), -1);
	expect("f", "one");
	file_new_drop(&f);
	put("f.0123456789abcdef.tmp", "left");
	file_sweep("../nowhere/f");
	file_sweep("./f");
	ck_assert_uint_eq(count("ls -A | wc -l"), 4);
	leave();
}

TEST(a_file_at_the_limit_is_read_and_one_byte_more_is_refused)
{
	static char big[10001];
	char *data;
	size_t len;

	enter();
	memset(big, 'x', sizeof big - 1);
	put("f", big);
	ck_assert_int_eq(file_read("f", 10000, &data, &len, &err), 0);
	ck_assert_uint_eq(len, 10000);
	file_wipe(data, len);
	ck_assert_int_eq(file_read("f", 9999, &data, &len, &err), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "larger than 9999"));
	put("f", "");
	ck_assert_int_eq(file_read("f", 0, &data, &len, &err), 0);
	ck_assert_uint_eq(len, 0);
	file_wipe(data, len);
	ck_assert_int_eq(file_read("none", 10, &data, &len, &err), -ENOENT);
	ck_assert_int_eq(file_read(".", 10, &data, &len, &err), -EISDIR);
	leave();
}

TEST(files_of_proc_without_a_size_are_read_whole)
{
	char *data;
	size_t len;

	ck_assert_int_eq(file_read("/proc/self/status", 65536, &data, &len, &err), 0);
	ck_assert_ptr_nonnull(strstr(data, "VmRSS"));
	file_wipe(data, len);
}

TEST(a_lock_is_exclusive_between_processes_and_ends_with_its_descriptor)
{
	int fd, again, status;
	pid_t pid;

	enter();
	ck_assert_int_eq(file_lock("lock", &fd, &err), 0);
	pid = fork();
	if (pid == 0) {
		int other;

		_exit(file_lock("lock", &other, &err) == -EBUSY ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(fd);
	ck_assert_int_eq(file_lock("lock", &again, &err), 0);
	close(again);
	leave();
}

TEST(missing_directories_are_made)
{
	struct stat st;

	enter();
	ck_assert_int_eq(file_mkdirs("a/b/c", 0700, &err), 0);
	ck_assert_int_eq(file_mkdirs("a/b/c/", 0700, &err), 0);
	ck_assert_int_eq(stat("a/b/c", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	put("f", "");
	ck_assert_int_lt(file_mkdirs("f/x", 0700, &err), 0);
	ck_assert_int_eq(file_mkdirs("f", 0700, &err), -ENOTDIR);
	leave();
}

TEST(random_bytes_differ_and_a_local_descriptor_closes_itself)
{
	uint64_t a = rng_u64(&os_rng), b = rng_u64(&os_rng);
	int number;

	ck_assert_uint_ne(a, b);
	{
		AUTO_FD int fd = open("/dev/null", O_RDONLY);

		number = fd;
		ck_assert_int_ge(fd, 0);
	}
	ck_assert_int_eq(fcntl(number, F_GETFD), -1);
	{
		AUTO_FD int fd = open("/dev/null", O_RDONLY);

		number = TAKE_FD(fd);
	}
	ck_assert_int_ge(fcntl(number, F_GETFD), 0);
	close(number);
}

/* --- watches --- */

static struct loop *loop;
static int n_told;

static void told(void *ctx)
{
	(void)ctx;
	n_told++;
}

static void expect_told(int n)
{
	for (int i = 0; i < 100 && n_told < n; i++)
		loop_turn(loop, SPAN_MS(50));
	for (int i = 0; i < 3; i++) /* and not more often */
		loop_turn(loop, SPAN_MS(5));
	ck_assert_int_eq(n_told, n);
}

TEST(a_watch_tells_of_replacement_removal_and_return_but_not_of_neighbours)
{
	struct file_watch *w;

	enter();
	loop = loop_new();
	put("f", "1");
	w = file_watch_new(loop, "f", told, NULL, &err);
	ck_assert_ptr_nonnull(w);
	put("neighbour", "x");
	expect_told(0);
	put("f", "2");
	expect_told(1);
	ck_assert_int_eq(unlink("f"), 0);
	expect_told(2);
	put("f", "3");
	expect_told(3);
	file_watch_free(w);
	loop_free(loop);
	leave();
}

/* of the same size within one tick of the clock, which a time put back makes sure of */
TEST(a_watch_tells_of_what_was_written_in_place_and_looks_the_same)
{
	struct file_watch *w;
	struct stat st;

	enter();
	loop = loop_new();
	put("real", "1");
	ck_assert_int_eq(symlink("real", "f"), 0);
	w = file_watch_new(loop, "f", told, NULL, &err);
	for (int i = 1; i < 4; i++) {
		const char text[2] = { (char)('1' + i), 0 };
		int fd = open("f", O_WRONLY);

		ck_assert_int_eq(stat("f", &st), 0);
		ck_assert_int_eq(write(fd, text, 1), 1);
		ck_assert_int_eq(futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }), 0);
		ck_assert_int_eq(close(fd), 0);
		expect_told(i);
	}
	file_watch_free(w);
	loop_free(loop);
	leave();
}

TEST(a_watch_follows_the_symlinks_of_a_kubernetes_mount)
{
	struct file_watch *w;

	enter();
	loop = loop_new();
	ck_assert_int_eq(mkdir("..v1", 0700), 0);
	ck_assert_int_eq(mkdir("..v2", 0700), 0);
	put("..v1/key", "one");
	put("..v2/key", "two");
	ck_assert_int_eq(symlink("..v1", "..data"), 0);
	ck_assert_int_eq(symlink("..data/key", "key"), 0);
	w = file_watch_new(loop, "key", told, NULL, &err);
	ck_assert_int_eq(symlink("..v2", "..data_tmp"), 0);
	ck_assert_int_eq(rename("..data_tmp", "..data"), 0); /* as the kubelet does it */
	expect_told(1);
	expect("key", "two");
	put("..v2/key", "three");
	expect_told(2);
	file_watch_free(w);
	loop_free(loop);
	leave();
}
