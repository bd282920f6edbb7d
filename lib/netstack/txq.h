/* netstack/txq.h - what has been sent and is not yet acknowledged: one record a segment
 *
 * Records lie in order of sequence, named by an index that counts from when the queue was last
 * empty; where it never is, a push numbers them anew at TX_INDEX_MAX. Each is in flight, lost
 * (waits to be sent again) or sacked. Those in flight are linked in order of their last
 * transmission, which is what RACK looks at (RFC 8985 6.2 step 5); lost ones in order of sequence,
 * in which they shall be sent again (RFC 6675 4, NextSeg (1)). Sums of bytes are kept so that
 * nobody walks.
 */
#ifndef NETSTACK_TXQ_H
#define NETSTACK_TXQ_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "netstack/chunkq.h"

enum tx_where { TX_INFLIGHT, TX_LOST, TX_LISTS, TX_SACKED = TX_LISTS };
enum { TX_NONE = UINT32_MAX };
enum { TX_INDEX_MAX = 1 << 30 };
enum { TX_FIN = 1, TX_RETRANSMITTED = 2, TX_APP_LIMITED = 4, TX_PROBE = 8 /* of a zero window */ };

struct tx_seg {
	mono_t sent, original; /* last time, first time */
	mono_t first_sent;     /* rate sample (rate.c): as struct rate when it was sent */
	mono_t delivered_at;
	uint64_t delivered;
	uint32_t seq, len;   /* len: bytes of data; a FIN takes one more of sequence space */
	uint32_t prev, next; /* in the list of its `where` */
	uint32_t
	    skip; /* a sacked record: so many from here on are sacked for sure (itself counted) */
	uint8_t where, flags, n_sent;
	uint8_t to_64;
};
static_assert(sizeof(struct tx_seg) == 64, "a chunk holds a whole number of records");

struct tx_list {
	uint32_t first, last;
};

struct txq {
	struct chunkq q;
	uint32_t head, tail; /* records [head, tail) */
	struct tx_list list[TX_LISTS];
	uint32_t bytes[TX_LISTS + 1]; /* of sequence space, by `where` */
	uint32_t n[TX_LISTS + 1];
};

void txq_init(struct txq *t);
void txq_clear(struct txq *t, struct pool *p);

static inline struct tx_seg *txq_at(const struct txq *t, uint32_t i)
{
	size_t run;

	return (struct tx_seg *)(void *)chunkq_at(&t->q, (uint64_t)i * sizeof(struct tx_seg), &run);
}

static inline bool txq_is_empty(const struct txq *t)
{
	return t->head == t->tail;
}

static inline uint32_t tx_span(const struct tx_seg *s) /* of sequence space */
{
	return s->len + (s->flags & TX_FIN ? 1 : 0);
}

static inline uint32_t tx_end(const struct tx_seg *s)
{
	return s->seq + tx_span(s);
}

/* A new last record, in flight; NULL: no memory (nothing changed). Its times are the caller's to
 * fill in. */
struct tx_seg *txq_push(struct txq *t, struct pool *p, uint32_t seq, uint32_t len, uint8_t flags);
void txq_pop(struct txq *t, struct pool *p); /* the first, wherever it is */
void txq_cut(struct txq *t, uint32_t n);     /* n bytes from the front of the first */
void txq_grow(struct txq *t, uint32_t i, uint32_t n,
	      bool fin); /* the record gets more bytes, or a FIN, at its end */
/* To the end of that list (also within the same), or to its place among the lost. */
void txq_move(struct txq *t, uint32_t i, enum tx_where to);
void txq_unlose(
    struct txq *t); /* what was held to be lost is in flight again, in front of the rest */
uint32_t txq_find(const struct txq *t,
		  uint32_t seq); /* the first record that ends behind seq; tail: none */
/* Cuts records so that none is longer than mss; false: no memory (nothing changed). O(n): path MTU
 * shrank. */
MUST_USE bool txq_split(struct txq *t, struct pool *p, uint32_t mss);

#endif
