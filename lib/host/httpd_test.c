/* host/httpd_test.c - requests over real sockets on loopback and a unix socket */
#include "host/httpd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/loop.h"
#include "tests/harness.h"
#include "tests/loopback.h"

enum { BODY_MAX = 1000, ANSWER_MAX = 100000 };

static struct loop *loop;
static struct httpd *httpd;
static struct httpd_call *held; /* a call that is answered later */
static int n_gone;

static void gone(void *ctx)
{
	(void)ctx;
	held = NULL;
	n_gone++;
}

/* /echo: the body; /path: the target; /hold: later; /stream: a stream that is pushed by the test */
static void handle(void *ctx, struct httpd_call *c, const struct httpd_request *rq)
{
	const struct httpd_field extra[] = { { "X-Extra", "yes" } };

	(void)ctx;
	if (bytes_eq_str(rq->target.path, "/hold")) {
		held = c;
		httpd_on_gone(c, gone, NULL);
	} else if (bytes_eq_str(rq->target.path, "/stream")) {
		held = c;
		httpd_on_gone(c, gone, NULL);
		httpd_begin(c, 200, "text/plain", NULL, 0);
	} else if (bytes_eq_str(rq->target.path, "/echo")) {
		httpd_answer(c, 200, "text/plain", extra, 1, rq->body);
	} else {
		httpd_answer(c, 200, NULL, NULL, 0, rq->target.path);
	}
}

static void start(void)
{
	struct err e = { 0 };
	struct httpd_conf conf = {
		.addr = "127.0.0.1:0", .body_max = BODY_MAX, .answer_max = ANSWER_MAX, .fn = handle
	};

	loop = loop_new();
	conf.loop = loop;
	httpd = httpd_new(&conf, &e);
	ck_assert_msg(httpd != NULL, "%s", e.text);
}

static void stop(void)
{
	httpd_free(httpd);
	loop_free(loop);
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void turn(int n)
{
	while (n-- > 0)
		loop_turn(loop, SPAN_MS(2));
}

/* Reads exactly what is wanted. */
static void check(int fd, const char *want)
{
	char buf[4096];
	size_t got = 0;

	for (int i = 0; i < 1000 && got < strlen(want); i++) {
		ssize_t k = recv(fd, buf + got, MIN_OF(strlen(want) - got, sizeof buf - got), 0);

		got += k > 0 ? (size_t)k : 0;
		loop_turn(loop, SPAN_MS(2));
	}
	ck_assert_msg(bytes_eq_str(bytes_of(buf, got), want), "got \"%.*s\"", (int)got, buf);
}

static bool has_ended(int fd)
{
	char c;

	for (int i = 0; i < 500; i++) {
		ssize_t k = recv(fd, &c, 1, 0);

		if (k == 0 || (k < 0 && errno == ECONNRESET))
			return true;
		ck_assert_int_lt(k, 0);
		loop_turn(loop, SPAN_MS(2));
	}
	return false;
}

TEST(requests_on_one_connection_are_answered_in_order_also_pipelined)
{
	int fd;

	start();
	fd = loopback_dial(httpd_port(httpd));
	put(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: "
		"x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
	check(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/a"
		  "HTTP/1.1 200 OK\r\nX-Extra: yes\r\nContent-Type: text/plain\r\nContent-Length: "
		  "3\r\n\r\nabc"
		  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/b");
	close(fd);
	turn(5);
	stop();
}

TEST(a_body_may_come_in_pieces_chunked_and_after_100_continue)
{
	static char head[9000];
	int fd;

	start();
	fd = loopback_dial(httpd_port(httpd));
	/* a long field, so that the input moves while the body comes */
	snprintf(head, sizeof head,
		 "POST /echo HTTP/1.1\r\nHost: x\r\nX-Long: %08000d\r\nExpect: 100-continue\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n",
		 0);
	put(fd, head);
	check(fd, "HTTP/1.1 100 Continue\r\n\r\n");
	put(fd, "3\r\nab");
	turn(3);
	put(fd, "c\r\n2\r\nde\r\n0\r\n");
	turn(3);
	put(fd, "\r\n");
	check(fd, "HTTP/1.1 200 OK\r\nX-Extra: yes\r\nContent-Type: text/plain\r\nContent-Length: "
		  "5\r\n\r\nabcde");
	close(fd);
	stop();
}

TEST(what_is_too_large_or_malformed_is_refused_and_closed)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		  "HTTP/1.1 400 " },
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
		{ "nonsense\r\n\r\n", "HTTP/1.1 400 " },
	};
	char big[BODY_MAX + 200];
	int fd;

	start();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fd = loopback_dial(httpd_port(httpd));
		put(fd, rows[i].in);
		check(fd, rows[i].out);
		close(fd);
	}
	fd = loopback_dial(httpd_port(httpd));
	snprintf(big, sizeof big,
		 "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%0*d", BODY_MAX + 1,
		 BODY_MAX + 1, 0);
	put(fd, big);
	check(fd, "HTTP/1.1 413 ");
	close(fd);
	fd = loopback_dial(httpd_port(httpd)); /* exactly the limit */
	snprintf(big, sizeof big,
		 "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%0*d", BODY_MAX,
		 BODY_MAX, 0);
	put(fd, big);
	check(fd, "HTTP/1.1 200 ");
	close(fd);
	stop();
}

TEST(a_head_request_gets_no_body_and_http_1_0_the_end_of_the_connection)
{
	char c;
	int fd;

	start();
	fd = loopback_dial(httpd_port(httpd));
	put(fd, "HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\n");
	check(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
	turn(3);
	ck_assert_int_lt(recv(fd, &c, 1, 0), 0);
	close(fd);
	fd = loopback_dial(httpd_port(httpd));
	put(fd, "GET /abc HTTP/1.0\r\n\r\n");
	check(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n/abc");
	ck_assert(has_ended(fd));
	close(fd);
	stop();
}

TEST(an_answer_may_come_later_and_a_client_that_left_is_told)
{
	int fd;

	start();
	fd = loopback_dial(httpd_port(httpd));
	put(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 200 && !held; i++)
		turn(1);
	ck_assert_ptr_nonnull(held);
	httpd_answer(held, 200, NULL, NULL, 0, bytes_str("late"));
	held = NULL;
	check(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlateHTTP/1.1 200 "
		  "OK\r\nContent-Length: 5\r\n\r\n/next");
	put(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 200 && !held; i++)
		turn(1);
	ck_assert(httpd_push(held, bytes_str("one")));
	check(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n3\r\none\r\n");
	close(fd);
	for (int i = 0; i < 200 && held; i++)
		turn(1);
	ck_assert_int_eq(n_gone, 1);
	stop();
}

TEST(a_stream_that_ends_leaves_the_connection_for_the_next_request)
{
	int fd;

	start();
	fd = loopback_dial(httpd_port(httpd));
	put(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 200 && !held; i++)
		turn(1);
	ck_assert(httpd_push(held, bytes_str("x")));
	httpd_end(held);
	held = NULL;
	check(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
	put(fd, "GET /n HTTP/1.1\r\nHost: x\r\n\r\n");
	check(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/n");
	close(fd);
	stop();
}

TEST(a_reader_that_is_too_slow_is_cut_off)
{
	static uint8_t block[1 << 20];
	bool ok = true;
	int fd, i;

	start();
	fd = loopback_dial(httpd_port(httpd));
	put(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	for (i = 0; i < 200 && !held; i++)
		turn(1);
	for (i = 0; i < 64 && ok; i++) { /* nobody reads; sockets hold a few MiB */
		ok = httpd_push(held, bytes_of(block, sizeof block));
		turn(1);
	}
	ck_assert(!ok);
	ck_assert_int_eq(n_gone, 0);
	turn(3);
	close(fd);
	stop();
}

TEST(silent_connections_make_room_for_one_that_asks)
{
	int fd[HTTPD_CLIENTS_MAX], late;

	start();
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = loopback_dial(httpd_port(httpd));
		if (i % 64 == 0)
			turn(1);
	}
	put(fd[0], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"); /* at work: it keeps its place */
	put(fd[1], "GET /unfinished");
	turn(3);
	late = loopback_dial(httpd_port(httpd));
	put(late, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	check(late, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/a");
	ck_assert(has_ended(fd[1])); /* it came first of those without a request */
	httpd_answer(held, 200, NULL, NULL, 0, bytes_str("x"));
	check(fd[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	close(late);
	turn(3);
	stop();
}

TEST(with_every_connection_at_work_the_next_waits_until_one_is_done)
{
	static struct httpd_call *all[HTTPD_CLIENTS_MAX];
	int fd[HTTPD_CLIENTS_MAX], late;
	char c;

	start();
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		held = NULL;
		fd[i] = loopback_dial(httpd_port(httpd));
		put(fd[i], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
		for (int k = 0; k < 1000 && !held; k++)
			turn(1);
		ck_assert_ptr_nonnull(all[i] = held);
	}
	late = loopback_dial(httpd_port(httpd));
	put(late, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	turn(5);
	ck_assert_int_eq(recv(late, &c, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	httpd_answer(all[7], 200, NULL, NULL, 0, bytes_str("x"));
	check(late, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/a");
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	close(late);
	stop();
}

TEST(a_unix_socket_has_its_mode_and_goes_with_the_server)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct httpd_conf conf = { .mode = 0660, .body_max = 10, .answer_max = 100, .fn = handle };
	struct err e = { 0 };
	struct stat st;
	int fd;

	snprintf(sa.sun_path, sizeof sa.sun_path, "/tmp/httpd-test-%d.sock", (int)getpid());
	loop = loop_new();
	conf.loop = loop;
	conf.unix_path = sa.sun_path;
	httpd = httpd_new(&conf, &e);
	ck_assert_msg(httpd != NULL, "%s", e.text);
	ck_assert_int_eq(stat(sa.sun_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	put(fd, "GET /u HTTP/1.1\r\nHost: x\r\n\r\n");
	check(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/u");
	stop();
	close(fd);
	ck_assert_int_lt(stat(sa.sun_path, &st), 0);
}
