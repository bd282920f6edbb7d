/* os/udp_priv.h - for neighbours: the socket behind udp.h */
#ifndef OS_UDP_PRIV_H
#define OS_UDP_PRIV_H

#include "os/udp.h"

enum {
	UDP_RX_SLOTS = 8,           /* messages a recvmmsg; each may be a bundle of 64 KiB */
	UDP_RX_SLOT = 65536 + 4096, /* whole pages; PKT_HEAD and PKT_TAIL are in the last 4096 */
};

struct udp {
	struct loop *loop;
	int fd, family;
	uint16_t port;
	bool is_receiving, is_closed; /* closed while receiving: freed when that returns */
	uint32_t overflow;            /* SO_RXQ_OVFL as last seen: a running 32-bit count */
	struct loop_poll poll;
	const struct udp_ops *ops;
	void *ctx;
	struct udp_stats stats;
	/* receive memory: reserved at open, its pages given back when traffic has stopped */
	uint8_t *mem;
	size_t touched[UDP_RX_SLOTS];
	struct loop_timer give_back;
	mono_t last_busy;
};

#endif
