/* base/pkt.h - packets in bursts: the currency between os, path, wg, filter and netstack
 *
 * A packet is a view into memory that somebody else owns. It has room in front and behind, so that
 * encryption and encapsulation happen in place: WireGuard needs 16 bytes in front and up to 31
 * behind, Geneve 8 more in front.
 *
 * Ownership, always: **whoever is handed packets borrows them for the length of the call** and may
 * write anywhere in [data - head, data + len + tail). Who wants to keep bytes copies them. A
 * `struct burst` owns slots of equal size that a producer fills and a consumer reads before the
 * next reset; no allocation per packet.
 */
#ifndef BASE_PKT_H
#define BASE_PKT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum {
	PKT_HEAD = 64, /* headroom in every slot: WireGuard 16, Geneve 8, rest to spare; keeps data
			  aligned to 64 */
	PKT_TAIL = 32, /* padding to 16 and the tag */
	PKT_SLOT = 2048, /* a slot; the largest inner packet is PKT_SLOT - PKT_HEAD - PKT_TAIL */
	PKT_INNER_MAX = PKT_SLOT - PKT_HEAD - PKT_TAIL,
	BURST_MAX = 64, /* packets a burst: UDP_SEGMENT's limit, 128 KiB of slots: stays in L2 */
};

struct pkt {
	uint8_t *data;
	uint32_t len;
	uint16_t head, tail; /* bytes that may be written before data and behind data + len */
};

/* Moves the start by n bytes outwards (a header is put in front) or inwards (a header is stripped).
 */
static inline uint8_t *pkt_push(struct pkt *p, uint16_t n)
{
	assert(p->head >= n);
	p->data -= n;
	p->head = (uint16_t)(p->head - n);
	p->len += n;
	return p->data;
}

static inline void pkt_pull(struct pkt *p, uint16_t n)
{
	assert(p->len >= n);
	p->data += n;
	p->head = (uint16_t)(p->head + n);
	p->len -= n;
}

/* Shortens or lengthens at the end. */
static inline void pkt_trim(struct pkt *p, uint32_t len)
{
	assert(len <= p->len + p->tail);
	p->tail = (uint16_t)(p->tail + p->len - len);
	p->len = len;
}

struct burst {
	uint8_t *mem; /* BURST_MAX slots of PKT_SLOT bytes, 64-byte aligned; owned */
	size_t n;
	struct pkt v[BURST_MAX];
};

MUST_USE int burst_init(struct burst *b); /* 0 or -ENOMEM */
void burst_fini(struct burst *b);

static inline void burst_reset(struct burst *b)
{
	b->n = 0;
}

static inline size_t burst_room(const struct burst *b)
{
	return BURST_MAX - b->n;
}

/* The next slot as a packet of len bytes (uninitialised), or NULL when the burst is full or len is
 * too large. */
struct pkt *burst_add(struct burst *b, uint32_t len);

#endif
