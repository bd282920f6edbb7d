/* os/confine_test.c - system calls and files that were not asked for are refused, the others go on
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "os/landlock.h"
#include "os/privilege.h"
#include "os/resolve.h"
#include "os/seccomp.h"
#include "os/udp.h"
#include "tests/harness.h"

static struct err err;

/* Runs fn in a child, so that the test itself stays free; the child's status. */
static int child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* in the child: the line that failed is its exit code */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			dprintf(2, "line %d: %s, errno %d\n", __LINE__, #x, errno);                \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)
#define REFUSED(x) MUST((errno = 0, (x) == -1 && errno == EPERM))

static void refused_calls(void)
{
	char *const argv[] = { "/bin/true", NULL };
	struct rlimit lim;

	MUST(seccomp_confine(NULL, SECCOMP_REFUSE, &err) == 0);
	REFUSED(execv("/bin/true", argv));
	REFUSED(syscall(SYS_clone, 17, 0, 0, 0, 0));
	REFUSED(syscall(SYS_ptrace, 0, 0, 0, 0));
	REFUSED(syscall(SYS_bpf, 0, 0, 0));
	REFUSED(syscall(SYS_mount, 0, 0, 0, 0, 0));
	REFUSED(syscall(SYS_unshare, 0));
	REFUSED(syscall(SYS_io_uring_setup, 1, 0));
	REFUSED(syscall(SYS_userfaultfd, 0));
	REFUSED(syscall(SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0));
	REFUSED(syscall(SYS_kill, getppid(), 0));
	REFUSED(syscall(SYS_setuid, 0));
	REFUSED(syscall(451, 0)); /* newer than any list */
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(socket(AF_VSOCK, SOCK_STREAM, 0));
	REFUSED(socket(AF_ALG, SOCK_SEQPACKET, 0));
	MUST(getrlimit(RLIMIT_NOFILE, &lim) == 0);
	REFUSED(setrlimit(RLIMIT_NOFILE, &lim));
}

TEST(calls_that_no_list_names_are_refused)
{
	ck_assert_int_eq(child(refused_calls), 0);
}

static void code_pages(void)
{
	void *p;

	MUST(seccomp_confine(NULL, SECCOMP_REFUSE, &err) == 0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
	REFUSED(mprotect(p, 4096, PROT_READ | PROT_EXEC));
	MUST(mprotect(p, 4096, PROT_READ) == 0);
	MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	     MAP_FAILED);
}

TEST(memory_does_not_become_code)
{
	ck_assert_int_eq(child(code_pages), 0);
}

static void added(void)
{
	static const char *const more[] = { "sched_setaffinity", "no_such_call", NULL };
	unsigned long mask = 1;

	MUST(seccomp_confine(more, SECCOMP_REFUSE, &err) == 0);
	MUST(syscall(SYS_sched_setaffinity, 0, sizeof mask, &mask) == 0);
}

TEST(a_program_adds_calls_and_unknown_names_are_skipped)
{
	ck_assert_int_eq(child(added), 0);
}

static void ended(void)
{
	MUST(seccomp_confine(NULL, SECCOMP_END, &err) == 0);
	syscall(SYS_unshare, 0);
}

TEST(in_strict_mode_such_a_call_ends_the_process)
{
	int status = child(ended);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void aborted(void)
{
	MUST(seccomp_confine(NULL, SECCOMP_END, &err) == 0);
	abort();
}

TEST(a_failed_assertion_still_ends_as_one)
{
	int status = child(aborted);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static char dir[] = "/tmp/confine-XXXXXX";

static void limited_files(void)
{
	char path[64], *data;
	size_t len;
	struct landlock_path v[] = { { dir, LANDLOCK_READ | LANDLOCK_WRITE },
				     { "/etc", LANDLOCK_READ },
				     { "/no/such/place", LANDLOCK_READ },
				     { "/dev/null", LANDLOCK_READ | LANDLOCK_WRITE },
				     { NULL, LANDLOCK_READ } };
	int r;

	MUST(privilege_drop(NULL, &err) == 0);
	r = landlock_confine(v, ARRAY_LEN(v), &err);
	MUST(r >= 0);
	if (r == 0)
		_exit(77);
	snprintf(path, sizeof path, "%s/state", dir);
	MUST(file_replace(path, bytes_str("one"), 0600, &err) == 0);
	MUST(file_replace(path, bytes_str("two"), 0600, &err) == 0);
	MUST(file_read(path, 100, &data, &len, &err) == 0 && len == 3);
	file_wipe(data, len);
	MUST(unlink(path) == 0);
	MUST(open("/etc/passwd", O_RDONLY) >= 0);
	MUST(open("/dev/null", O_RDWR) >= 0);
	MUST(open("/etc/passwd", O_RDWR) < 0 && errno == EACCES);
	MUST(open("/etc/confine-test", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	MUST(open("/usr", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	MUST(open("/tmp", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	MUST(execl("/bin/true", "true", (char *)NULL) < 0 && errno == EACCES);
}

TEST(files_outside_the_given_paths_are_out_of_reach)
{
	int status;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	status = child(limited_files);
	rmdir(dir);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP("this kernel has no Landlock");
	ck_assert_int_eq(status, 0);
}

TEST(the_directory_of_a_file_is_found)
{
	char out[16];

	ck_assert_str_eq(landlock_dir_of("/a/b/c", out, sizeof out), "/a/b");
	ck_assert_str_eq(landlock_dir_of("c", out, sizeof out), ".");
	ck_assert_str_eq(landlock_dir_of("x/c", out, sizeof out), "x");
	ck_assert_str_eq(landlock_dir_of("/c", out, sizeof out), "/c");
	ck_assert_ptr_null(landlock_dir_of("/0123456789abcdef/c", out, sizeof out));
}
