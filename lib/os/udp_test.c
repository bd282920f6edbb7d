/* os/udp_test.c - bundles both ways over loopback, fall-backs, closing from callbacks, memory given
 * back */
#include "os/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/udp_priv.h"
#include "tests/harness.h"

static struct loop *loop;

struct sink {
	struct udp *u;
	size_t n, calls, dones, bytes;
	uint32_t len[4096];
	uint8_t first[4096]; /* first byte of each packet */
	struct ipport from;
	bool close_at_once, room_is_wrong;
};

static void on_recv(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	struct sink *s = ctx;

	ck_assert(n > 0 && n <= BURST_MAX);
	s->calls++;
	s->from = *from;
	s->room_is_wrong |= v[0].head != PKT_HEAD || v[n - 1].tail != PKT_TAIL;
	for (size_t i = 0; i < n; i++) {
		if (s->n < ARRAY_LEN(s->len)) {
			s->len[s->n] = v[i].len;
			s->first[s->n] = v[i].data[0];
		}
		s->n++;
		s->bytes += v[i].len;
		memset(v[i].data - v[i].head, 0xee,
		       v[i].head + v[i].len + v[i].tail); /* ours to write */
	}
	if (s->close_at_once)
		udp_close(s->u);
}

static void on_done(void *ctx)
{
	((struct sink *)ctx)->dones++;
}

static const struct udp_ops ops = { on_recv, on_done };

static const struct ip v4_loopback = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
static const struct ip v6_loopback = { { [15] = 1 } };

static void open_pair(struct sink *rx, struct sink *tx, int family)
{
	struct err err;

	loop = loop_new();
	rx->u = udp_open(loop, family, 0, &ops, rx, &err);
	tx->u = udp_open(loop, family, 0, &ops, tx, &err);
	ck_assert_msg(rx->u && tx->u, "%s", err.text);
	ck_assert_int_ne(udp_port(rx->u), 0);
}

static void close_pair(struct sink *rx, struct sink *tx)
{
	udp_close(rx->u);
	udp_close(tx->u);
	loop_free(loop);
}

static void turns(const struct sink *s, size_t want)
{
	for (int i = 0; i < 200 && s->n < want; i++)
		loop_turn(loop, SPAN_MS(100));
}

/* n packets, sizes by `size(i)`, first byte i */
static struct pkt *packets(size_t n, uint32_t (*size)(size_t i))
{
	struct pkt *v = calloc(n, sizeof *v);
	uint8_t *mem = calloc(n, 2048);

	for (size_t i = 0; i < n; i++) {
		v[i] = (struct pkt){ .data = mem + i * 2048, .len = size(i) };
		v[i].data[0] = (uint8_t)i;
	}
	return v;
}

static void packets_free(struct pkt *v)
{
	free(v[0].data);
	free(v);
}

static uint32_t size_equal(size_t i)
{
	(void)i;
	return 1280;
}

static uint32_t size_mixed(size_t i)
{
	static const uint32_t sizes[] = { 1280, 1280, 1280, 100, 1280, 52, 52, 1, 1400, 1400, 60 };

	return sizes[i % ARRAY_LEN(sizes)];
}

static struct sink rx, tx;

static void check_all_arrive(int family, uint32_t (*size)(size_t i))
{
	struct pkt *v = packets(200, size);
	struct ipport to;

	open_pair(&rx, &tx, family);
	to = (struct ipport){ family == AF_INET ? v4_loopback : v6_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 200), 200);
	turns(&rx, 200);
	ck_assert_uint_eq(rx.n, 200);
	for (size_t i = 0; i < 200; i++) {
		ck_assert_uint_eq(rx.len[i], size(i));
		ck_assert_uint_eq(rx.first[i], i);
	}
	ck_assert(!rx.room_is_wrong);
	ck_assert_uint_eq(rx.from.port, udp_port(tx.u));
	ck_assert(ip_eq(&rx.from.ip, &to.ip));
	ck_assert_uint_ge(rx.dones, 1);
	ck_assert_uint_eq(udp_stats(rx.u)->rx_packets, 200);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_packets, 200);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_bytes, rx.bytes);
	packets_free(v);
}

TEST(equal_packets_arrive_in_order_over_ipv4_with_few_system_calls)
{
	check_all_arrive(AF_INET, size_equal);
	if (udp_stats(tx.u)->has_gso)
		ck_assert_uint_le(udp_stats(tx.u)->tx_calls, 8);
	if (udp_stats(rx.u)->has_gro)
		ck_assert_uint_le(udp_stats(rx.u)->rx_calls, 8);
	close_pair(&rx, &tx);
}

TEST(equal_packets_arrive_in_order_over_ipv6)
{
	check_all_arrive(AF_INET6, size_equal);
	close_pair(&rx, &tx);
}

TEST(packets_of_mixed_size_arrive_in_order)
{
	check_all_arrive(AF_INET, size_mixed);
	close_pair(&rx, &tx);
}

TEST(without_segmentation_the_same_arrives)
{
	struct pkt *v = packets(150, size_mixed);
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	tx.u->stats.has_gso = false;
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 150), 150);
	turns(&rx, 150);
	ck_assert_uint_eq(rx.n, 150);
	for (size_t i = 0; i < 150; i++)
		ck_assert_uint_eq(rx.len[i], size_mixed(i));
	packets_free(v);
	close_pair(&rx, &tx);
}

TEST(an_empty_datagram_is_not_delivered_and_the_next_is)
{
	struct pkt *v = packets(2, size_equal);
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	v[0].len = 0;
	ck_assert_int_eq(udp_send(tx.u, &to, v, 2), 2);
	turns(&rx, 1);
	ck_assert_uint_eq(rx.n, 1);
	ck_assert_uint_eq(rx.len[0], 1280);
	packets_free(v);
	close_pair(&rx, &tx);
}

TEST(a_packet_larger_than_a_datagram_may_be_is_skipped_and_counted)
{
	static uint8_t big[70000];
	struct pkt v[3] = { { big, 100, 0, 0 }, { big, sizeof big, 0, 0 }, { big, 200, 0, 0 } };
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 3), 2);
	ck_assert_int_eq(udp_send(tx.u, &to, v + 1, 1), -EMSGSIZE);
	turns(&rx, 2);
	ck_assert_uint_eq(rx.len[0], 100);
	ck_assert_uint_eq(rx.len[1], 200);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_errors, 2);
	close_pair(&rx, &tx);
}

TEST(the_largest_datagram_arrives_whole)
{
	static uint8_t big[65507];
	struct pkt v = { big, sizeof big, 0, 0 };
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, &v, 1), 1);
	turns(&rx, 1);
	ck_assert_uint_eq(rx.len[0], sizeof big);
	ck_assert_uint_eq(udp_stats(rx.u)->rx_truncated, 0);
	close_pair(&rx, &tx);
}

/* --- what the kernel may answer: sendmmsg with faults, in place of libc's --- */

static int refuse_runs;     /* errno for a segmented message */
static int full_after = -1; /* messages until the socket is full */
static int refuse_all;      /* errno for every message */

int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	unsigned k = 0;

	if (refuse_all)
		return errno = refuse_all, -1;
	while (k < n && !(refuse_runs && v[k].msg_hdr.msg_controllen > 0) && full_after != 0) {
		k++;
		if (full_after > 0)
			full_after--;
	}
	if (k == 0 && n > 0)
		return errno = full_after == 0 ? EAGAIN : refuse_runs, -1;
	return (int)syscall(SYS_sendmmsg, fd, v, k, flags);
}

static void check_runs_refused(int error, bool for_good)
{
	struct pkt *v = packets(100, size_mixed);
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	tx.u->stats.has_gso = true;
	refuse_runs = error;
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 100), 100);
	turns(&rx, 100);
	ck_assert_uint_eq(rx.n, 100);
	for (size_t i = 0; i < 100; i++)
		ck_assert(rx.len[i] == size_mixed(i) && rx.first[i] == i);
	ck_assert(udp_stats(tx.u)->has_gso == !for_good);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_errors + udp_stats(tx.u)->tx_dropped, 0);
	packets_free(v);
	close_pair(&rx, &tx);
}

TEST(a_segmented_send_answered_by_eio_is_done_singly_and_never_tried_again)
{
	check_runs_refused(EIO, true);
}

TEST(a_segmented_send_too_large_for_the_path_is_done_singly_this_time)
{
	check_runs_refused(EINVAL, false);
}

TEST(a_full_socket_drops_the_rest_and_counts_it)
{
	struct pkt *v = packets(150, size_equal);
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	tx.u->stats.has_gso = false;
	full_after = 100;
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 150), 100);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_dropped, 50);
	ck_assert_int_eq(udp_send(tx.u, &to, v, 10), 0);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_dropped, 60);
	turns(&rx, 100);
	ck_assert_uint_eq(rx.n, 100);
	packets_free(v);
	close_pair(&rx, &tx);
}

TEST(an_unreachable_address_is_told_and_tried_once_a_call)
{
	struct pkt *v = packets(150, size_mixed);
	struct ipport to = { v4_loopback, 9 };

	open_pair(&rx, &tx, AF_INET);
	refuse_all = ENETUNREACH;
	ck_assert_int_eq(udp_send(tx.u, &to, v, 150), -ENETUNREACH);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_calls, 1);
	ck_assert_uint_eq(udp_stats(tx.u)->tx_errors, 150);
	packets_free(v);
	close_pair(&rx, &tx);
}

TEST(the_other_family_is_refused)
{
	struct pkt *v = packets(1, size_equal);
	struct ipport to = { v6_loopback, 9 };

	open_pair(&rx, &tx, AF_INET);
	ck_assert_int_eq(udp_send(tx.u, &to, v, 1), -EAFNOSUPPORT);
	packets_free(v);
	close_pair(&rx, &tx);
}

TEST(a_socket_may_be_closed_in_its_own_callback)
{
	struct pkt *v = packets(100, size_mixed);
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	rx.close_at_once = true;
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 100), 100);
	turns(&rx, 1);
	ck_assert_uint_eq(rx.calls, 1);
	ck_assert_uint_eq(rx.dones, 0);
	loop_turn(loop, SPAN_MS(1));
	udp_close(tx.u);
	loop_free(loop);
	packets_free(v);
}

TEST(a_taken_port_is_one_clear_line)
{
	struct err err;
	struct ipport at = { v4_loopback, 0 };
	struct udp *u;

	open_pair(&rx, &tx, AF_INET);
	at.port = udp_port(rx.u);
	u = udp_open_at(loop, &at, &ops, &rx, &err);
	ck_assert_ptr_null(u);
	ck_assert_int_eq(err.code, EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "bind UDP port"));
	close_pair(&rx, &tx);
}

static size_t resident(const void *mem, size_t len)
{
	size_t pages = len / 4096, n = 0;
	unsigned char vec[UDP_RX_SLOTS * UDP_RX_SLOT / 4096];

	ck_assert_int_eq(mincore((void *)(uintptr_t)mem, len, vec), 0);
	for (size_t i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

TEST(receive_memory_goes_back_when_traffic_has_stopped)
{
	enum { MEM = UDP_RX_SLOTS * UDP_RX_SLOT };
	struct pkt *v = packets(192, size_equal);
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_uint_eq(resident(rx.u->mem, MEM), 0);
	ck_assert_int_eq(udp_send(tx.u, &to, v, 192), 192);
	turns(&rx, 192);
	ck_assert_uint_ge(resident(rx.u->mem, MEM), 8);
	ck_assert(loop_timer_is_set(&rx.u->give_back));
	rx.u->last_busy = (mono_t){ 0 }; /* as if it were long ago */
	loop_timer_set(&rx.u->give_back, (mono_t){ 1 });
	loop_turn(loop, SPAN_MS(1));
	ck_assert_uint_eq(resident(rx.u->mem, MEM), 0);
	ck_assert(!loop_timer_is_set(&rx.u->give_back));
	packets_free(v);
	close_pair(&rx, &tx);
}

TEST(a_keep_alive_does_not_arm_the_timer)
{
	struct pkt *v = packets(1, size_equal);
	struct ipport to;

	open_pair(&rx, &tx, AF_INET);
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 1), 1);
	turns(&rx, 1);
	ck_assert(!loop_timer_is_set(&rx.u->give_back));
	ck_assert_uint_le(resident(rx.u->mem, UDP_RX_SLOTS * UDP_RX_SLOT), 2);
	packets_free(v);
	close_pair(&rx, &tx);
}

/* --- interfaces that refuse; in a network namespace of the test's own --- */

static bool enter_netns(void)
{
	unsigned uid = getuid();
	FILE *f;

	if (unshare(CLONE_NEWNET) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ||
		    !(f = fopen("/proc/self/uid_map", "w")))
			return false;
		fprintf(f, "0 %u 1\n", uid);
		if (fclose(f) != 0)
			return false;
	}
	return system("ip link set lo up") == 0;
}

/* A TUN device as it comes has no checksum offload. */
static int open_tun(void)
{
	struct ifreq ifr = { .ifr_name = "t0", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	if (fd >= 0 && (ioctl(fd, TUNSETIFF, &ifr) < 0 ||
			system("ip addr add 192.0.2.1/24 dev t0 && ip link set t0 up") != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

TEST(an_interface_without_checksum_offload_gets_every_packet)
{
	struct pkt *v = packets(20, size_equal);
	struct ipport to = { ip_v4(192, 0, 2, 9), 1000 };
	int tun, n = 0, wrong = 0;
	uint8_t buf[2048];
	struct err err;

	if (!enter_netns() || (tun = open_tun()) < 0)
		SKIP("no network namespace or TUN device for this user");
	loop = loop_new();
	tx.u = udp_open(loop, AF_INET, 0, &ops, &tx, &err);
	ck_assert_msg(tx.u != NULL, "%s", err.text);
	ck_assert_int_eq(udp_send(tx.u, &to, v, 20), 20);
	ck_assert_int_eq(udp_send(tx.u, &to, v, 20),
			 20); /* newer kernels segment, older ones refuse once */
	for (ssize_t k; (k = read(tun, buf, sizeof buf)) > 0;) {
		if (buf[9] != 17) /* the kernel's own chatter */
			continue;
		wrong += k != 1280 + 28 || buf[28] != n % 20;
		n++;
	}
	ck_assert_int_eq(n, 40);
	ck_assert_int_eq(wrong, 0);
	udp_close(tx.u);
	loop_free(loop);
	close(tun);
	packets_free(v);
}

TEST(packets_larger_than_the_link_arrive_in_fragments)
{
	struct pkt *v;
	struct ipport to;

	if (!enter_netns() || system("ip link set lo mtu 1000") != 0)
		SKIP("no network namespace for this user");
	v = packets(20, size_equal);
	open_pair(&rx, &tx, AF_INET);
	to = (struct ipport){ v4_loopback, udp_port(rx.u) };
	ck_assert_int_eq(udp_send(tx.u, &to, v, 20), 20);
	turns(&rx, 20);
	ck_assert_uint_eq(rx.n, 20);
	for (size_t i = 0; i < 20; i++)
		ck_assert_uint_eq(rx.len[i], 1280);
	packets_free(v);
	close_pair(&rx, &tx);
}
