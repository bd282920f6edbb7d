/* os/udp_bench.c - ns and system calls per packet over loopback, in one thread: bursts of 64
 * packets of 1312 bytes
 *
 * Sender and receiver share the thread, so the sum is what both ends cost. With and without
 * segmentation offloads.
 */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/udp.h"
#include "os/udp_priv.h"

enum { SIZE = 1312, BURSTS = 20000 };

static uint64_t n_received;

static void on_recv(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	(void)ctx;
	(void)from;
	(void)v;
	n_received += n;
}

static const struct udp_ops ops = { on_recv, NULL };

static void run(struct loop *loop, const char *name, bool offload)
{
	const struct ip loopback = ip_v4(127, 0, 0, 1);
	struct udp *rx, *tx;
	struct burst burst;
	struct ipport to;
	struct err err;
	int64_t send_ns = 0;
	mono_t start;
	int off = 0;

	rx = udp_open(loop, AF_INET, 0, &ops, NULL, &err);
	tx = udp_open(loop, AF_INET, 0, &ops, NULL, &err);
	if (!rx || !tx || burst_init(&burst) < 0)
		exit(1);
	to = (struct ipport){ loopback, udp_port(rx) };
	for (int i = 0; i < BURST_MAX; i++)
		memset(burst_add(&burst, SIZE)->data, i, SIZE);
	if (!offload) {
		tx->stats.has_gso = false;
		(void)setsockopt(udp_fd(rx), SOL_UDP, UDP_GRO, &off, sizeof off);
	}
	n_received = 0;
	start = loop_clock();
	for (int i = 0; i < BURSTS; i++) {
		mono_t t = loop_clock();

		(void)udp_send(tx, &to, burst.v, burst.n);
		send_ns += mono_sub(loop_clock(), t).ns;
		(void)loop_turn(loop, SPAN_MS(0));
	}
	while (n_received < udp_stats(tx)->tx_packets &&
	       mono_sub(loop_clock(), start).ns < 60 * NS_PER_S)
		(void)loop_turn(loop, SPAN_MS(1));
	printf("%-20s send %5.0f ns, both %5.0f ns a packet; %.4f + %.4f system calls a packet; "
	       "lost %llu\n",
	       name, (double)send_ns / ((double)BURSTS * BURST_MAX),
	       (double)mono_sub(loop_clock(), start).ns / (double)n_received,
	       (double)udp_stats(tx)->tx_calls / (double)udp_stats(tx)->tx_packets,
	       (double)udp_stats(rx)->rx_calls / (double)n_received,
	       (unsigned long long)(udp_stats(tx)->tx_packets - n_received));
	udp_close(rx);
	udp_close(tx);
	burst_fini(&burst);
}

int main(void)
{
	struct loop *loop = loop_new();

	if (!loop)
		return 1;
	run(loop, "UDP_SEGMENT + GRO", true);
	run(loop, "sendmmsg, recvmmsg", false);
	loop_free(loop);
	return 0;
}
