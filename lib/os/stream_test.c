/* os/stream_test.c - plain streams over TCP and unix sockets: order, back-pressure, half-close,
 * ends, closing in callbacks */
#include "os/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/listen.h"
#include "tests/stream_peer.h"

static struct loop *loop;

static struct peer a, b;

static void start(void)
{
	int fds[2];

	loop = loop_new();
	peer_init(&a);
	peer_init(&b);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	a.s = stream_adopt(loop, fds[0], &peer_ops, &a);
	b.s = stream_adopt(loop, fds[1], &peer_ops, &b);
	ck_assert_ptr_nonnull(a.s);
	ck_assert_ptr_nonnull(b.s);
}

static void stop(void)
{
	peer_fini(&a);
	peer_fini(&b);
	loop_free(loop);
}

static void send_text(struct peer *p, const char *text)
{
	ck_assert(buf_append(&p->out, text, strlen(text)));
	if (p->s)
		stream_kick(p->s);
}

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		for (int turn_ = 0; turn_ < 2000 && !(cond); turn_++)                              \
			loop_turn(loop, SPAN_MS(50));                                              \
		ck_assert(cond);                                                                   \
	} while (0)

TEST(bytes_arrive_both_ways_and_both_ends_close_in_order)
{
	start();
	send_text(&a, "hello");
	send_text(&b, "world!");
	UNTIL(a.in.len == 6 && b.in.len == 5);
	ck_assert(a.opened && b.opened);
	ck_assert_mem_eq(buf_bytes(&b.in).data, "hello", 5);
	ck_assert_mem_eq(buf_bytes(&a.in).data, "world!", 6);
	stream_shutdown(a.s);
	UNTIL(a.closed && b.closed);
	ck_assert(b.ended && a.ended);
	ck_assert_int_eq(a.why.code, 0);
	ck_assert_int_eq(b.why.code, 0);
	stop();
}

TEST(data_queued_before_shutdown_is_sent_first_and_the_other_direction_lives_on)
{
	start();
	b.shut_on_end = false;
	send_text(&a, "last words");
	stream_shutdown(a.s);
	UNTIL(b.ended);
	ck_assert_uint_eq(b.in.len, 10);
	send_text(&b, "answer after the end");
	UNTIL(a.in.len == 20);
	ck_assert(!a.closed && !b.closed);
	stream_shutdown(b.s);
	UNTIL(a.closed && b.closed);
	ck_assert_int_eq(a.why.code, 0);
	stop();
}

TEST(a_reader_without_room_stops_the_sender_and_resumes_without_loss)
{
	enum { N = 8 << 20 };
	struct buf copy;

	start();
	buf_init(&copy, N);
	peer_fill(&a.out, N);
	peer_fill(&copy, N);
	b.room = 0;
	UNTIL(a.opened);
	for (int i = 0; i < 20; i++)
		loop_turn(loop, SPAN_MS(1));
	ck_assert_uint_eq(b.in.len, 0);
	ck_assert_uint_gt(a.out.len, N / 2); /* the rest waits at the sender */
	b.room = 100000;
	stream_resume(b.s);
	UNTIL(b.in.len == 100000);
	for (int i = 0; i < 20; i++)
		loop_turn(loop, SPAN_MS(1));
	ck_assert_uint_eq(b.in.len, 100000);
	b.room = SIZE_MAX;
	stream_resume(b.s);
	UNTIL(b.in.len == N);
	ck_assert(bytes_eq(buf_bytes(&b.in), buf_bytes(&copy)));
	ck_assert_uint_eq(a.out.len, 0);
	buf_fini(&copy);
	stop();
}

TEST(a_stream_may_be_closed_while_it_opens)
{
	start();
	a.close_on_open = true;
	UNTIL(a.opened);
	a.s = NULL;
	UNTIL(b.closed);
	ck_assert(!a.closed);
	stop();
}

TEST(a_stream_may_be_closed_while_it_reads_and_hears_nothing_more)
{
	start();
	b.close_on_got = true;
	send_text(&a, "x");
	UNTIL(b.in.len == 1);
	b.s = NULL;
	send_text(&a, "y");
	UNTIL(a.closed);
	ck_assert(!b.closed && !b.ended);
	ck_assert_uint_eq(b.in.len, 1);
	stop();
}

static void send_in_flush(void *ctx)
{
	(void)ctx;
	if (a.opened && a.out.len == 0 && a.in.len == 0)
		send_text(&a, "from a flush hook");
}

TEST(what_a_flush_hook_writes_leaves_in_the_same_turn)
{
	struct loop_flush hook;

	start();
	loop_on_flush(loop, &hook, send_in_flush, NULL);
	UNTIL(a.opened);
	ck_assert_uint_eq(a.out.len,
			  0); /* queued and sent by the flush that ended the turn of opening */
	UNTIL(b.in.len > 0);
	ck_assert_mem_eq(buf_bytes(&b.in).data, "from a flush hook", 17);
	loop_flush_del(&hook);
	stop();
}

TEST(last_words_before_a_reset_are_read_although_writing_failed)
{
	int fds[2];

	loop = loop_new();
	peer_init(&a);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], "403", 3), 3);
	close(fds[1]);
	send_text(&a, "a long request");
	a.shut_on_end = false;
	a.s = stream_adopt(loop, fds[0], &peer_ops, &a);
	UNTIL(a.closed);
	ck_assert_int_eq(a.why.code, EPIPE);
	ck_assert_uint_eq(a.in.len, 3);
	stream_close(a.s);
	buf_fini(&a.in);
	buf_fini(&a.out);
	loop_turn(loop, SPAN_MS(1));
	loop_free(loop);
}

/* --- TCP --- */

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	struct peer *p = ctx;

	ck_assert(ip_is_loopback(&from->ip));
	p->s = stream_adopt(loop, fd, &peer_ops, p);
	ck_assert_ptr_nonnull(p->s);
}

static struct listener *serve(void)
{
	struct err err;
	struct listener *l;

	loop = loop_new();
	peer_init(&a);
	peer_init(&b);
	l = listen_tcp(loop, "127.0.0.1:0", accepted, &b, &err);
	ck_assert_msg(l != NULL, "%s", err.text);
	return l;
}

static void dial(uint16_t port)
{
	struct stream_conf conf = { .dial = { .host = "127.0.0.1", .port = port } };
	struct err err;

	a.s = stream_dial(loop, &conf, &peer_ops, &a, &err);
	ck_assert_msg(a.s != NULL, "%s", err.text);
	ck_assert(!a.opened);
}

TEST(a_dialled_stream_carries_megabytes_both_ways_over_tcp)
{
	enum { N = 4 << 20 };
	struct listener *l = serve();
	struct ipport local, remote;

	peer_fill(&a.out, N);
	peer_fill(&b.out, N);
	dial(listener_port(l));
	UNTIL(a.in.len == N && b.in.len == N);
	ck_assert(bytes_eq(buf_bytes(&a.in), buf_bytes(&b.in)));
	ck_assert(stream_local(a.s, &local) && stream_remote(b.s, &remote));
	ck_assert(ipport_eq(&local, &remote));
	ck_assert(stream_remote(a.s, &remote));
	ck_assert_uint_eq(remote.port, listener_port(l));
	listener_close(l);
	stop();
}

TEST(a_reset_is_told_with_the_peer_and_the_reason)
{
	struct listener *l = serve();

	dial(listener_port(l));
	UNTIL(a.opened && b.opened);
	stream_reset(b.s);
	b.s = NULL;
	UNTIL(a.closed);
	ck_assert_int_eq(a.why.code, ECONNRESET);
	ck_assert_ptr_nonnull(strstr(a.why.text, "127.0.0.1:"));
	ck_assert(!b.closed);
	listener_close(l);
	stop();
}

TEST(a_refused_dial_ends_in_closed_with_words)
{
	struct listener *l = serve();
	uint16_t port = listener_port(l);

	listener_close(l);
	dial(port);
	UNTIL(a.closed);
	ck_assert(!a.opened);
	ck_assert_int_eq(a.why.code, ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(a.why.text, "nothing listens"));
	stop();
}

TEST(a_dial_may_be_closed_before_it_connects)
{
	struct listener *l = serve();

	dial(listener_port(l));
	stream_close(a.s);
	a.s = NULL;
	for (int i = 0; i < 5; i++)
		loop_turn(loop, SPAN_MS(1));
	ck_assert(!a.opened && !a.closed);
	listener_close(l);
	stop();
}

TEST(unix_sockets_work_the_same)
{
	char path[] = "/tmp/stream_test_XXXXXX";
	struct stream_conf conf = { 0 };
	struct listener *l;
	struct err err;

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chdir(path), 0);
	loop = loop_new();
	peer_init(&a);
	peer_init(&b);
	l = listen_unix(loop, "sock", 0600, NULL, &b, &err);
	ck_assert_msg(l != NULL, "%s", err.text);
	conf.dial.unix_path = "sock";
	listener_pause(l, true); /* the kernel's queue is enough here */
	a.s = stream_dial(loop, &conf, &peer_ops, &a, &err);
	ck_assert_msg(a.s != NULL, "%s", err.text);
	UNTIL(a.opened);
	listener_close(l);
	ck_assert_int_ne(access("sock", F_OK), 0);
	UNTIL(a.closed);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(path), 0);
	stop();
}
