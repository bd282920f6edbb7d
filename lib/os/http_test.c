/* os/http_test.c - requests against a server of the same loop that says exactly what it is told */
#include "os/http.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "os/listen.h"
#include "tests/harness.h"

static struct loop *loop;
static struct listener *listener;
static const char *answer; /* NULL: none */
static bool close_after;

static struct conn {
	struct stream *s;
	struct buf in;
	uint8_t mem[4096];
	size_t sent;
	bool has_answered;
} conn;

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)max;
	v[0] = (struct iovec){ conn.mem, sizeof conn.mem };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	(void)ctx;
	ck_assert(buf_append(&conn.in, conn.mem, n));
	if (memmem(buf_bytes(&conn.in).data, conn.in.len, "\r\n\r\n", 4))
		stream_kick(conn.s);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)max;
	if (!answer || conn.in.len == 0 || conn.sent == strlen(answer))
		return 0;
	v[0] = (struct iovec){ (char *)(uintptr_t)answer + conn.sent, strlen(answer) - conn.sent };
	return 1;
}

static void on_sent(void *ctx, size_t n)
{
	(void)ctx;
	conn.sent += n;
	if (close_after && conn.sent == strlen(answer))
		stream_shutdown(conn.s);
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	(void)why;
	conn.s = NULL;
}

static const struct stream_ops ops = {
	.room = on_room, .got = on_got, .data = on_data, .sent = on_sent, .closed = on_closed
};

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	(void)ctx;
	(void)from;
	buf_init(&conn.in, 1 << 20);
	conn.s = stream_adopt(loop, fd, &ops, NULL);
	ck_assert_ptr_nonnull(conn.s);
}

static struct result {
	int n;
	unsigned status;
	char body[70000];
	size_t body_len;
	struct err why;
} result;

static void on_reply(void *ctx, const struct http_reply *reply, const struct err *why)
{
	(void)ctx;
	result.n++;
	if (!reply) {
		result.why = *why;
		return;
	}
	result.status = reply->status;
	result.body_len = reply->body.len;
	(void)bytes_to_str(reply->body, result.body, sizeof result.body);
	ck_assert_uint_gt(reply->head.len, 0);
}

static void ask(struct http_conf *conf)
{
	struct err err;

	loop = loop_new();
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
	conf->stream.dial.host = "127.0.0.1";
	conf->stream.dial.port = listener_port(listener);
	if (!conf->target)
		conf->target = "/";
	ck_assert_msg(http_start(loop, conf, on_reply, NULL, &err) != NULL, "%s", err.text);
	ck_assert_int_eq(result.n, 0);
	for (int i = 0; i < 500 && result.n == 0; i++)
		loop_turn(loop, SPAN_MS(50));
	ck_assert_int_eq(result.n, 1);
	stream_close(conn.s);
	listener_close(listener);
	loop_turn(loop, SPAN_MS(1));
	loop_free(loop);
}

static void done(void)
{
	buf_fini(&conn.in);
}

TEST(a_get_with_a_length_gives_status_and_body)
{
	struct http_conf conf = { .target = "/key?v=116", .headers = "X-One: 1\r\n" };
	char want[200];

	answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	ask(&conf);
	ck_assert_uint_eq(result.status, 200);
	ck_assert_str_eq(result.body, "hello");
	snprintf(want, sizeof want,
		 "GET /key?v=116 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\nX-One: "
		 "1\r\n\r\n",
		 conf.stream.dial.port);
	ck_assert_uint_eq(conn.in.len, strlen(want));
	ck_assert_mem_eq(buf_bytes(&conn.in).data, want, strlen(want));
	done();
}

TEST(a_chunked_body_is_joined_and_an_interim_answer_is_skipped)
{
	struct http_conf conf = { 0 };

	answer = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n"
		 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
	ask(&conf);
	ck_assert_uint_eq(result.status, 404);
	ck_assert_str_eq(result.body, "abcde");
	done();
}

TEST(a_body_to_the_end_of_the_connection_is_whole)
{
	struct http_conf conf = { 0 };

	answer = "HTTP/1.0 200 OK\r\n\r\nuntil the end";
	close_after = true;
	ask(&conf);
	ck_assert_str_eq(result.body, "until the end");
	done();
}

TEST(a_post_carries_its_body_and_length)
{
	struct http_conf conf = { .method = "POST", .body = bytes_str("{\"a\":1}") };

	answer = "HTTP/1.1 204 No Content\r\n\r\n";
	ask(&conf);
	ck_assert_uint_eq(result.status, 204);
	ck_assert_uint_eq(result.body_len, 0);
	ck_assert_ptr_nonnull(
	    memmem(buf_bytes(&conn.in).data, conn.in.len, "Content-Length: 7\r\n", 19));
	ck_assert_mem_eq(buf_bytes(&conn.in).data + conn.in.len - 7, "{\"a\":1}", 7);
	done();
}

TEST(a_head_request_has_no_body_to_wait_for)
{
	struct http_conf conf = { .method = "HEAD" };

	answer = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
	ask(&conf);
	ck_assert_uint_eq(result.status, 200);
	ck_assert_uint_eq(result.body_len, 0);
	done();
}

static char pieces[64];
static bool wants_pieces;

static bool on_piece(void *ctx, struct bytes piece)
{
	const size_t at = strlen(pieces);

	(void)ctx;
	ck_assert_uint_gt(piece.len, 0);
	ck_assert(bytes_to_str(piece, pieces + at, sizeof pieces - at));
	return wants_pieces;
}

TEST(a_body_in_pieces_is_not_collected_and_may_be_longer_than_any_limit)
{
	struct http_conf conf = { .piece = on_piece, .body_max = 1 };

	wants_pieces = true;
	answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
	ask(&conf);
	ck_assert_uint_eq(result.status, 200);
	ck_assert_uint_eq(result.body_len, 0);
	ck_assert_str_eq(pieces, "abcde");
	done();
}

TEST(a_body_in_pieces_ends_when_they_are_not_wanted)
{
	struct http_conf conf = { .piece = on_piece };

	answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n";
	ask(&conf);
	ck_assert_int_eq(result.why.code, EFBIG);
	ck_assert_str_eq(pieces, "abc");
	done();
}

TEST(an_error_is_whole_where_pieces_were_wanted)
{
	struct http_conf conf = { .piece = on_piece };

	answer = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno";
	ask(&conf);
	ck_assert_uint_eq(result.status, 403);
	ck_assert_str_eq(result.body, "no");
	ck_assert_str_eq(pieces, "");
	done();
}

TEST(a_body_above_the_limit_is_refused)
{
	struct http_conf conf = { .body_max = 4 };

	answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	ask(&conf);
	ck_assert_int_eq(result.why.code, EFBIG);
	done();
}

TEST(an_answer_cut_short_is_an_error)
{
	struct http_conf conf = { 0 };

	answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
	close_after = true;
	ask(&conf);
	ck_assert_int_eq(result.why.code, ECONNRESET);
	done();
}

TEST(what_is_not_http_is_an_error)
{
	struct http_conf conf = { 0 };

	answer = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
	ask(&conf);
	ck_assert_int_eq(result.why.code, EPROTO);
	ck_assert_ptr_nonnull(strstr(result.why.text, "not HTTP"));
	done();
}

TEST(a_silent_server_runs_into_the_time_limit)
{
	struct http_conf conf = { .timeout = SPAN_MS(50) };

	answer = NULL;
	ask(&conf);
	ck_assert_int_eq(result.why.code, ETIMEDOUT);
	done();
}

TEST(a_head_without_end_is_refused)
{
	struct http_conf conf = { 0 };
	char *big = malloc(40000);

	memset(big, 'a', 39999);
	big[39999] = 0;
	memcpy(big, "HTTP/1.1 200 OK\r\nX: ", 20);
	answer = big;
	ask(&conf);
	ck_assert_int_eq(result.why.code, EPROTO);
	free(big);
	done();
}

TEST(a_cancelled_request_calls_nobody)
{
	struct http_conf conf = { .target = "/",
				  .stream.dial = { .host = "127.0.0.1", .port = 9 } };
	struct http *h;
	struct err err;

	loop = loop_new();
	h = http_start(loop, &conf, on_reply, NULL, &err);
	ck_assert_ptr_nonnull(h);
	http_cancel(h);
	loop_turn(loop, SPAN_MS(1));
	ck_assert_int_eq(result.n, 0);
	loop_free(loop);
}
