/* os/udp.h - one UDP socket that moves packets in bundles
 *
 * Receiving: UDP_GRO where the kernel has it, recvmmsg always; work per wake-up is bounded. Receive
 * memory exists only while traffic flows. Sending: runs of equal size leave by UDP_SEGMENT; when an
 * interface refuses (EIO) the socket goes over to sendmmsg for good. data-plane.md 9.
 */
#ifndef OS_UDP_H
#define OS_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/pkt.h"
#include "os/loop.h"

struct udp;

struct udp_ops {
	/* n <= BURST_MAX packets from one sender, none empty, borrowed for the call. The first of a
	 * bundle has PKT_HEAD in front, the last PKT_TAIL behind; in between they lie back to back
	 * and have no room. */
	void (*recv)(void *ctx, const struct ipport *from, struct pkt *v, size_t n);
	void (*done)(void *ctx); /* end of a wake-up in which something was received; may be NULL */
};

struct udp_stats {
	uint64_t rx_calls, rx_packets, rx_bytes;
	uint64_t rx_overflow;  /* datagrams the kernel dropped since the buffer was full */
	uint64_t rx_truncated; /* larger than any buffer: dropped */
	uint64_t tx_calls, tx_packets, tx_bytes;
	uint64_t tx_dropped; /* the socket would have blocked */
	uint64_t tx_errors;  /* refused for another reason */
	bool has_gro, has_gso;
};

/* family AF_INET or AF_INET6 (then IPv6 only), any address of the host; port 0: the kernel picks.
 * NULL and err otherwise. ops and what it points to stay the caller's and outlive the socket. */
struct udp *udp_open(struct loop *loop, int family, uint16_t port, const struct udp_ops *ops,
		     void *ctx, struct err *err);
/* Bound to one address */
struct udp *udp_open_at(struct loop *loop, const struct ipport *local, const struct udp_ops *ops,
			void *ctx, struct err *err);
void udp_close(struct udp *u); /* NULL is fine; no callback after it, also from within one */

/* Sends n packets to one address, none of which is kept or changed. Returns packets handed to the
 * kernel; fewer than n: the socket was full and the rest is dropped and counted. -errno: none was
 * sent (-ENETUNREACH, -EPERM, ...). */
int udp_send(struct udp *u, const struct ipport *to, const struct pkt *v, size_t n);

/* Sends one as a kernel sends what it thinks fits: no router may fragment it, while the kernel
 * itself does when it has been told that the path is narrow. For asking a path; failing is an
 * answer too. */
void udp_send_whole(struct udp *u, const struct ipport *to, const struct pkt *p);

uint16_t udp_port(const struct udp *u);
int udp_family(const struct udp *u);
int udp_fd(const struct udp *u); /* for setting options such as marks */
const struct udp_stats *udp_stats(const struct udp *u);

#endif
