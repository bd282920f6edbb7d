/* host/reach_test.c - what becomes of an address that a proxy's client wants, and how it ends */
#include "host/reach.h"

#include <unistd.h>

#include "os/stream.h"
#include "tests/host_fixture.h"
#include "tests/loopback.h"

static int n_done;
static struct reached last;

static void done(void *ctx, const struct reached *r)
{
	(void)ctx;
	n_done++;
	last = *r;
}

static enum reach_way way(const char *text)
{
	struct ip a;

	ck_assert_msg(ip_parse(bytes_str(text), &a), "%s", text);
	return reach_way(host, &a);
}

static void start(void)
{
	host_fixture_init();
	host_fixture_load_pair("\"100.64.0.2/32\",\"fd7a:115c:a1e0::2/128\"", NULL);
	host_start(host);
	loop_turn(loop, SPAN_MS(0));
}

static enum reach_result reach(const char *name, uint16_t port, bool tailnet_only)
{
	struct reach *r = reach_start(host, name, port, tailnet_only, done, NULL);

	ck_assert_ptr_nonnull(r);
	n_done = 0;
	for (int i = 0; i < 10000 && n_done == 0; i++)
		loop_turn(loop, SPAN_MS(2));
	ck_assert_int_eq(n_done, 1);
	return last.result;
}

/* A port of 127.0.0.1 that is ours and at which nobody listens: who dials it is refused, whatever
 * else runs on this machine. */
static int refusing(uint16_t *port)
{
	struct sockaddr_in sa = loopback(0);
	socklen_t len = sizeof sa;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

TEST(an_address_is_of_the_tailnet_our_own_outside_or_nobodys)
{
	start();
	ck_assert_int_eq(way("100.64.0.1"), REACH_SELF);
	ck_assert_int_eq(way("100.64.0.2"), REACH_TAILNET);
	ck_assert_int_eq(way("fd7a:115c:a1e0::2"), REACH_TAILNET);
	ck_assert_int_eq(way("100.64.0.3"), REACH_NOBODY); /* never to whoever sits there outside */
	ck_assert_int_eq(way("fd7a:115c:a1e0::3"), REACH_NOBODY);
	ck_assert_int_eq(way("10.0.0.1"), REACH_OUTSIDE);
	ck_assert_int_eq(way("8.8.8.8"), REACH_OUTSIDE);
	ck_assert_int_eq(way("127.0.0.1"), REACH_OUTSIDE);
	ck_assert_int_eq(way("::"), REACH_OUTSIDE);
	host_fixture_fini();
}

TEST(every_end_has_words)
{
	for (size_t i = 0; i < REACH_N; i++)
		ck_assert_msg(reach_words[i] && *reach_words[i], "%zu", i);
}

TEST(outside_is_dialled_unless_that_is_forbidden)
{
	uint16_t port, refused;
	const int fd = loopback_listen(SOCK_STREAM, &port), held = refusing(&refused);

	start();
	ck_assert_int_eq(reach("127.0.0.1", port, true), REACH_NOT_ALLOWED);
	ck_assert_ptr_null(last.s);
	ck_assert_int_eq(reach("127.0.0.1", port, false), REACH_OK);
	ck_assert_ptr_nonnull(last.s);
	stream_close(last.s);
	ck_assert_int_eq(reach("127.0.0.1", refused, false), REACH_REFUSED);
	host_fixture_fini();
	close(held);
	close(fd);
}

TEST(an_address_of_the_tailnet_that_nobody_has_is_not_tried_outside)
{
	start();
	ck_assert_int_eq(reach("100.64.0.3", 80, false), REACH_UNREACHABLE);
	ck_assert_int_eq(reach("nobody.tail.test", 80, false), REACH_NO_NAME);
	ck_assert_int_eq(reach("", 80, false), REACH_NO_NAME);
	host_fixture_fini();
}

TEST(an_attempt_that_is_given_up_says_nothing_more)
{
	uint16_t port;
	const int held = refusing(&port);
	struct reach *r;

	start();
	n_done = 0;
	r = reach_start(host, "127.0.0.1", port, false, done, NULL);
	ck_assert_ptr_nonnull(r);
	reach_cancel(r);
	reach_cancel(NULL);
	r = reach_start(host, "127.0.0.1", port, false, done, NULL);
	loop_turn(loop, SPAN_MS(0)); /* begun */
	if (n_done == 0)
		reach_cancel(r);
	n_done = 0;
	turns(5);
	ck_assert_int_eq(n_done, 0);
	host_fixture_fini();
	close(held);
}
