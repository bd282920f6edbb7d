/* os/udp_send.c - see udp.h: sending
 *
 * A call becomes messages: a run of packets of one size is one message with UDP_SEGMENT (its last
 * packet may be shorter), the rest are single; all leave by one sendmmsg. The kernel stops at the
 * first message that fails, and what the failure means decides how to go on: EIO on a run: this
 * interface cannot segment (no checksum offload): never again on this socket; EINVAL, EMSGSIZE on a
 * run: too large for this path: singly for the rest of this call; EMSGSIZE on a single packet: it
 * is lost, the next may be smaller; EAGAIN, ENOBUFS: full: the rest is dropped and counted;
 *      anything else concerns the address: the rest would fail likewise.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "os/sockaddr.h"
#include "os/udp_priv.h"

enum { GSO_BYTES_MAX = 65507 }; /* of a run: the largest IPv4 datagram; data-plane.md 9 */

struct tx {
	size_t n;
	size_t packets[BURST_MAX]; /* in each message */
	struct mmsghdr msg[BURST_MAX];
	struct iovec iov[BURST_MAX];
	_Alignas(struct cmsghdr) uint8_t control[BURST_MAX][CMSG_SPACE(sizeof(uint16_t))];
};

/* Packets from v[0] on that fit into one segmented message. */
static size_t run_len(const struct pkt *v, size_t n)
{
	size_t k = 1, bytes = v[0].len;

	while (k < n && v[k].len > 0 && v[k].len <= v[0].len && bytes + v[k].len <= GSO_BYTES_MAX) {
		bytes += v[k].len;
		if (v[k++].len < v[0].len)
			break;
	}
	return k;
}

static void set_segment(struct msghdr *h, void *control, uint16_t size)
{
	struct cmsghdr *c;

	h->msg_control = control;
	h->msg_controllen = CMSG_SPACE(sizeof size);
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof size);
	memcpy(CMSG_DATA(c), &size, sizeof size);
}

static void tx_build(struct tx *tx, struct sockaddr_storage *ss, socklen_t len, const struct pkt *v,
		     size_t n, bool with_runs)
{
	tx->n = 0;
	for (size_t i = 0; i < n;) {
		size_t k = with_runs ? run_len(v + i, n - i) : 1, m = tx->n++;
		struct msghdr *h = &tx->msg[m].msg_hdr;

		for (size_t j = i; j < i + k; j++)
			tx->iov[j] = (struct iovec){ v[j].data, v[j].len };
		*h = (struct msghdr){
			.msg_name = ss, .msg_namelen = len, .msg_iov = &tx->iov[i], .msg_iovlen = k
		};
		if (k > 1)
			set_segment(h, tx->control[m], (uint16_t)v[i].len);
		tx->packets[m] = k;
		i += k;
	}
}

/* What the failure of the message at the front means; false: go no further. `skip` packets are
 * given up. */
static bool go_on(struct udp *u, int error, size_t packets, bool *with_runs, size_t *skip)
{
	*skip = 0;
	if (error == EINTR)
		return true;
	if (packets > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
		*with_runs = false;
		if (error == EIO)
			u->stats.has_gso = false;
		return true;
	}
	if (error == EMSGSIZE) {
		*skip = packets;
		u->stats.tx_errors += packets;
		return true;
	}
	return false;
}

/* n <= BURST_MAX; *sent grows; 0: all tried; -errno: stopped. */
static int send_some(struct udp *u, struct sockaddr_storage *ss, socklen_t len, const struct pkt *v,
		     size_t n, size_t *sent)
{
	bool with_runs = u->stats.has_gso;
	int last = 0;

	while (n > 0) {
		size_t done = 0;
		struct tx tx;
		int k;

		tx_build(&tx, ss, len, v, n, with_runs);
		k = sendmmsg(u->fd, tx.msg, (unsigned)tx.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		u->stats.tx_calls++;
		if (k < 0) {
			int error = errno;

			if (!go_on(u, error, tx.packets[0], &with_runs, &done))
				return -error;
			if (done > 0)
				last = -error;
		} else {
			for (int i = 0; i < k; i++) {
				done += tx.packets[i];
				u->stats.tx_bytes += tx.msg[i].msg_len;
			}
			u->stats.tx_packets += done;
			*sent += done;
		}
		v += done;
		n -= done;
	}
	return last;
}

int udp_send(struct udp *u, const struct ipport *to, const struct pkt *v, size_t n)
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_from(to, &ss);
	size_t sent = 0;
	int ret = 0;

	if (u->is_closed)
		return -EBADF;
	if (ss.ss_family != u->family)
		return -EAFNOSUPPORT;
	for (size_t i = 0; i < n; i += BURST_MAX) {
		size_t before = sent, k = MIN_OF(n - i, (size_t)BURST_MAX);

		ret = send_some(u, &ss, len, v + i, k, &sent);
		if (ret == 0 || ret == -EMSGSIZE)
			continue;
		k = n - i - (sent - before);
		if (ret == -EAGAIN || ret == -ENOBUFS) {
			u->stats.tx_dropped += k;
			return (int)sent;
		}
		u->stats.tx_errors += k;
		break;
	}
	return sent > 0 || ret == 0 ? (int)sent : ret;
}

static void set_discovery(const struct udp *u, int how)
{
	/* IPv6 has no other routers, and the kernel's default is what is wanted */
	if (u->family == AF_INET)
		(void)setsockopt(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof how);
}

void udp_send_whole(struct udp *u, const struct ipport *to, const struct pkt *p)
{
	set_discovery(u, IP_PMTUDISC_WANT);
	(void)!udp_send(u, to, p, 1);
	set_discovery(u, IP_PMTUDISC_DONT);
}
