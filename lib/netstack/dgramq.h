/* netstack/dgramq.h - a bounded line of records (datagrams, packets), each in one piece, in blocks
 * of the pool */
#ifndef NETSTACK_DGRAMQ_H
#define NETSTACK_DGRAMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "netstack/pool.h"

struct dgram {
	uint32_t len, cap; /* of data; of what the record takes of its block */
	uint8_t kind;      /* the user's */
	uint16_t a, b;     /* the user's */
	struct ipport local, remote;
	uint8_t data[];
};

struct dgram_block;

struct dgramq {
	struct dgram_block *first, *last;
	size_t bytes, max;   /* that the records take: many small ones fill it too */
	struct dgram *taken; /* what dgramq_take gave last: freed by the next call */
};

void dgramq_init(struct dgramq *q, size_t max);
void dgramq_fini(struct dgramq *q, struct pool *p);
/* A record of len bytes to fill in at once; NULL: full or no memory. */
struct dgram *dgramq_add(struct dgramq *q, struct pool *p, size_t len);
const struct dgram *dgramq_peek(const struct dgramq *q); /* the first; NULL: empty */
/* The first, out of the line; valid until the next call of dgramq_take or dgramq_add. */
const struct dgram *dgramq_take(struct dgramq *q, struct pool *p);

#endif
