/* os/listen_test.c - address forms, TCP and unix listeners, stale socket files, running out of
 * descriptors */
#include "os/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "os/sockaddr.h"
#include "tests/harness.h"

static struct loop *loop;
static int n_accepted, last_fd = -1;
static bool close_in_callback;
static struct listener *listener;

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	(void)ctx;
	(void)from;
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	n_accepted++;
	last_fd = fd;
	if (close_in_callback) {
		listener_close(listener);
		listener = NULL;
	}
}

static int connect_to(const char *address, uint16_t port)
{
	struct sockaddr_storage ss;
	struct ipport at = { .port = port };
	socklen_t len;
	int fd;

	ck_assert(ip_parse(bytes_str(address), &at.ip));
	len = sockaddr_from(&at, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&ss, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void turns(int want)
{
	for (int i = 0; i < 100 && n_accepted < want; i++)
		loop_turn(loop, SPAN_MS(50));
	ck_assert_int_eq(n_accepted, want);
}

TEST(address_forms_parse_as_users_write_them)
{
	struct listen_addr a;
	struct err err;

	ck_assert_int_eq(listen_addr_parse(bytes_str(":1055"), &a, &err), 0);
	ck_assert(a.is_dual && a.n == 1 && a.v[0].port == 1055 && ip_is_zero(&a.v[0].ip));
	ck_assert_int_eq(listen_addr_parse(bytes_str("[::]:9002"), &a, &err), 0);
	ck_assert(a.is_dual && a.v[0].port == 9002);
	ck_assert_int_eq(listen_addr_parse(bytes_str("localhost:1080"), &a, &err), 0);
	ck_assert(!a.is_dual && a.n == 2 && ip_is_v4(&a.v[0].ip) && !ip_is_v4(&a.v[1].ip) &&
		  a.v[1].port == 1080);
	ck_assert_int_eq(listen_addr_parse(bytes_str("0.0.0.0:80"), &a, &err), 0);
	ck_assert(!a.is_dual && ip_is_v4(&a.v[0].ip));
	ck_assert_int_eq(listen_addr_parse(bytes_str("[fd7a::1]:80"), &a, &err), 0);
	ck_assert(!a.is_dual && a.n == 1);
}

TEST(bad_address_forms_are_refused)
{
	static const char *const bad[] = { "",          "1055",         "host.example.com:1",
					   "::1:80",    "[1.2.3.4]:80", ":x",
					   ":70000",    "[::1]",        "[::1",
					   "1.2.3:4",   "[]:80",        ":-1",
					   "localhost", " :80",         ":80 " };
	struct listen_addr a;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(listen_addr_parse(bytes_str(bad[i]), &a, &err) == -EINVAL,
			      "%s was taken", bad[i]);
}

TEST(a_listener_on_all_addresses_takes_both_families)
{
	struct err err;
	int v4, v6;

	loop = loop_new();
	listener = listen_tcp(loop, ":0", accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
	v4 = connect_to("127.0.0.1", listener_port(listener));
	ck_assert_int_ge(v4, 0);
	turns(1);
	close(last_fd);
	v6 = connect_to("::1", listener_port(listener));
	if (v6 >= 0) {
		turns(2);
		close(last_fd);
		close(v6);
	}
	close(v4);
	listener_close(listener);
	loop_free(loop);
}

TEST(localhost_listens_on_both_loopback_addresses_with_one_port)
{
	struct err err;
	int v4, v6;

	loop = loop_new();
	listener = listen_tcp(loop, "localhost:0", accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
	v4 = connect_to("127.0.0.1", listener_port(listener));
	v6 = connect_to("::1", listener_port(listener));
	ck_assert_int_ge(v4, 0);
	turns(v6 >= 0 ? 2 : 1);
	close(v4);
	listener_close(listener);
	loop_free(loop);
}

TEST(a_taken_port_is_one_clear_line)
{
	struct err err;
	char text[32];

	loop = loop_new();
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &err);
	snprintf(text, sizeof text, "127.0.0.1:%u", listener_port(listener));
	ck_assert_ptr_null(listen_tcp(loop, text, accepted, NULL, &err));
	ck_assert_int_eq(err.code, EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, text));
	listener_close(listener);
	loop_free(loop);
}

TEST(a_listener_may_be_closed_in_its_callback_and_calls_no_more)
{
	struct err err;
	int a, b;

	loop = loop_new();
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &err);
	a = connect_to("127.0.0.1", listener_port(listener));
	b = connect_to("127.0.0.1", listener_port(listener));
	close_in_callback = true;
	turns(1);
	loop_turn(loop, SPAN_MS(1));
	ck_assert_int_eq(n_accepted, 1);
	close(a);
	close(b);
	loop_free(loop);
}

TEST(a_paused_listener_accepts_nothing_until_it_goes_on)
{
	struct err err;
	int a;

	loop = loop_new();
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &err);
	listener_pause(listener, true);
	a = connect_to("127.0.0.1", listener_port(listener));
	for (int i = 0; i < 3; i++)
		loop_turn(loop, SPAN_MS(2));
	ck_assert_int_eq(n_accepted, 0);
	listener_pause(listener, false);
	turns(1);
	close(a);
	listener_close(listener);
	loop_free(loop);
}

static int n_lines;

static void count_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
	n_lines++;
}

TEST(without_free_descriptors_accepting_waits_says_so_once_and_then_goes_on)
{
	struct rlimit old, low;
	struct err err;
	int a, probe;

	loop = loop_new();
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &err);
	a = connect_to("127.0.0.1", listener_port(listener));
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	probe = dup(a);
	close(probe);
	low = (struct rlimit){ (rlim_t)probe, old.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	log_set(count_line, LOG_WARN);
	for (int i = 0; i < 10; i++) /* looked at again some times */
		loop_turn(loop, SPAN_MS(60));
	ck_assert_int_eq(n_accepted, 0);
	ck_assert_int_eq(n_lines, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	turns(1);
	close(a);
	listener_close(listener);
	loop_free(loop);
}

/* --- unix --- */

static char dir[] = "/tmp/listen_test_XXXXXX";

static void enter_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	loop = loop_new();
}

static void leave_dir(void)
{
	loop_free(loop);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static int connect_unix(const char *path)
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_unix(path, &ss);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&ss, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

TEST(a_unix_socket_has_its_mode_knows_its_peer_and_is_removed)
{
	struct listen_peer peer;
	struct stat st;
	struct err err;
	int a;

	enter_dir();
	listener = listen_unix(loop, "s", 0660, accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
	ck_assert_int_eq(stat("s", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	a = connect_unix("s");
	turns(1);
	ck_assert_int_eq(listen_peer(last_fd, &peer), 0);
	ck_assert_int_eq(peer.pid, getpid());
	ck_assert_uint_eq(peer.uid, getuid());
	listener_close(listener);
	ck_assert_int_eq(access("s", F_OK), -1);
	close(a);
	leave_dir();
}

TEST(a_stale_socket_file_is_replaced_and_a_live_one_is_not)
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_unix("s", &ss);
	int dead = socket(AF_UNIX, SOCK_STREAM, 0), a;
	struct err err;

	enter_dir();
	ck_assert_int_eq(bind(dead, (struct sockaddr *)&ss, len), 0);
	close(dead); /* its file stays */
	listener = listen_unix(loop, "s", 0600, accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
	ck_assert_ptr_null(listen_unix(loop, "s", 0600, accepted, NULL, &err));
	ck_assert_int_eq(err.code, EADDRINUSE);
	a = connect_unix("s");
	ck_assert_int_ge(a, 0);
	turns(2); /* the look at the live socket was a connection too */
	close(a);
	listener_close(listener);
	leave_dir();
}

TEST(what_is_not_a_socket_is_left_alone)
{
	struct err err;

	enter_dir();
	close(open("s", O_CREAT | O_WRONLY, 0600));
	ck_assert_ptr_null(listen_unix(loop, "s", 0600, accepted, NULL, &err));
	ck_assert_int_eq(err.code, EEXIST);
	ck_assert_int_eq(unlink("s"), 0);
	leave_dir();
}

TEST(the_file_of_a_successor_is_not_removed)
{
	struct listener *second;
	struct err err;

	enter_dir();
	listener = listen_unix(loop, "s", 0600, accepted, NULL, &err);
	ck_assert_int_eq(unlink("s"), 0);
	second = listen_unix(loop, "s", 0600, accepted, NULL, &err);
	ck_assert_ptr_nonnull(second);
	listener_close(listener);
	ck_assert_int_eq(access("s", F_OK), 0);
	listener_close(second);
	leave_dir();
}

TEST(a_path_longer_than_the_kernel_takes_is_told)
{
	char path[200];
	struct err err;

	loop = loop_new();
	memset(path, 'a', sizeof path);
	path[108] = 0;
	ck_assert_ptr_null(listen_unix(loop, path, 0600, accepted, NULL, &err));
	ck_assert_int_eq(err.code, ENAMETOOLONG);
	ck_assert_ptr_nonnull(strstr(err.text, "107"));
	loop_free(loop);
}
