/* host/splice_test.c - flows into the tailnet whose peer does not wait until they are joined
 *
 * Segments of the peer are made by hand and fed to the stack of a host whose node knows the peer
 * from a map.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "os/stream.h"
#include "tests/host_fixture.h"
#include "wire/checksum.h"
#include "wire/ip4.h"
#include "wire/packet.h"
#include "wire/tcp.h"

enum { PEER_ISS = 1000 };

static struct ns_id flow;
static int n_done;
static struct tcp_head syn; /* what we sent */

static const struct ip own = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } };
static const struct ip peer = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } };
static void start(void)
{
	host_fixture_init();
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	host_start(host);
	loop_turn(loop, SPAN_MS(0));
}

/* A segment of the peer; sequence numbers are relative to both initial ones. */
static void from_peer(uint8_t flags, uint32_t seq, const char *data)
{
	const size_t len = strlen(data);
	struct tcp_head h = { .sport = 80,
			      .dport = syn.sport,
			      .seq = PEER_ISS + seq,
			      .ack = syn.seq + 1,
			      .flags = flags,
			      .wnd = 65535 };
	uint8_t b[PKT_INNER_MAX] = { 0 }, *t = b + IP4_HEAD_LEN;
	size_t n = tcp_emit(t, &h);
	struct ip4_head ip = { .src = peer, .dst = own, .ttl = 64, .proto = PROTO_TCP };
	struct pkt p = { .data = b, .len = (uint32_t)(IP4_HEAD_LEN + n + len) };

	memcpy(t + n, data, len);
	checksum_store(
	    t + 16,
	    checksum_add(checksum_pseudo(&peer, &own, PROTO_TCP, (uint32_t)(n + len)), t, n + len));
	ip.total_len = (uint16_t)p.len;
	ip4_emit(b, &ip);
	netstack_feed(stack(), loop_now(loop), &p, 1);
	host_kick(host);
}

static void connected(void *ctx, struct ns_id id, bool ok, enum ns_end end)
{
	(void)ctx;
	ck_assert_msg(ok, "%s", ns_end_names[end]);
	flow = id;
	n_done++;
}

/* Our SYN is out; the peer's answer is still to be made. */
static void begin_connect(void)
{
	const struct ipport to = { peer, 80 };
	struct burst out;
	struct err e = { 0 };

	ck_assert_ptr_nonnull(host_connect(host, &to, connected, NULL, &e));
	ck_assert_int_eq(burst_init(&out), 0);
	ck_assert_uint_eq(netstack_pull(stack(), loop_now(loop), &out), 1);
	ck_assert(tcp_parse(out.v[0].data + IP4_HEAD_LEN, out.v[0].len - IP4_HEAD_LEN, &syn));
	ck_assert_uint_eq(syn.flags, TCP_SYN);
	burst_fini(&out);
}

/* --- the stream that is joined --- */

static size_t no_room(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)v;
	(void)max;
	return 0;
}

static void nothing(void *ctx, size_t n)
{
	(void)ctx;
	(void)n;
}

static void closed(void *ctx, const struct err *why)
{
	(void)ctx;
	(void)why;
}

static const struct stream_ops hold = {
	.room = no_room, .got = nothing, .data = no_room, .sent = nothing, .closed = closed
};

/* Joins the flow with one end of a socket pair; the other end. */
static int join(int *ret)
{
	int fd[2];
	struct stream *s;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	s = stream_adopt(loop, fd[0], &hold, NULL);
	ck_assert_ptr_nonnull(s);
	turns(1);
	*ret = host_splice(host, flow, s, bytes_of(NULL, 0));
	return fd[1];
}

TEST(what_a_peer_sends_before_the_flow_is_joined_waits_for_it)
{
	char buf[16];
	int fd, ret;

	start();
	begin_connect();
	from_peer(TCP_SYN | TCP_ACK, 0, "");
	turns(2);
	ck_assert_int_eq(n_done, 1);
	from_peer(TCP_ACK | TCP_PSH, 1, "banner"); /* the client has not taken its answer yet */
	turns(2);
	from_peer(TCP_ACK | TCP_PSH, 7, " more");
	turns(2);
	fd = join(&ret);
	ck_assert_int_eq(ret, 0);
	turns(3);
	ck_assert_int_eq(recv(fd, buf, sizeof buf, MSG_DONTWAIT), 11);
	ck_bytes_eq(buf, "banner more", 11);
	close(fd);
	turns(2);
	host_fixture_fini();
}

TEST(a_flow_that_was_reset_before_it_is_joined_ends_the_stream)
{
	char buf[16];
	int fd, ret;

	start();
	begin_connect();
	from_peer(TCP_SYN | TCP_ACK, 0, "");
	turns(2);
	ck_assert_int_eq(n_done, 1);
	from_peer(TCP_RST | TCP_ACK, 1, "");
	turns(2);
	fd = join(&ret);
	ck_assert_int_lt(ret, 0);
	turns(2);
	ck_assert_int_le(recv(fd, buf, sizeof buf, MSG_DONTWAIT), 0);
	ck_assert_uint_eq(host_n_splices(host), 0);
	close(fd);
	host_fixture_fini();
}
