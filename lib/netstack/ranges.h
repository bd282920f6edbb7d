/* netstack/ranges.h - what has arrived out of order: disjoint stretches of sequence space, with the
 * order of their arrival
 *
 * The sender keeps what it sent again in one too. Sorted; at most RANGES_MAX (as many holes as a
 * sender can make with that many segments lost apart); a segment that would make one more is
 * dropped by the caller. Memory comes from the pool with the first range and goes back with the
 * last.
 */
#ifndef NETSTACK_RANGES_H
#define NETSTACK_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "netstack/pool.h"
#include "wire/tcp.h"

struct range {
	uint32_t start, end;
	uint32_t touched; /* counter: greatest is the most recent */
};

enum { RANGES_MAX = 4096 / sizeof(struct range) };

struct ranges {
	struct range *v; /* NULL when n == 0 */
	uint32_t n, clock;
};

/* Adds [start, end); false: no room. *was gets the stretch that holds it afterwards; *dup whether
 * all of it was there. */
MUST_USE bool ranges_add(struct ranges *r, struct pool *p, uint32_t start, uint32_t end,
			 struct tcp_sack *was, bool *dup);
bool ranges_has(const struct ranges *r, uint32_t start, uint32_t end); /* all of [start, end) */
/* Everything below seq goes. */
void ranges_drop(struct ranges *r, struct pool *p, uint32_t seq);
void ranges_clear(struct ranges *r, struct pool *p);
/* RFC 2018 4: up to max blocks, the most recently touched first. */
size_t ranges_sack(const struct ranges *r, struct tcp_sack *v, size_t max);

#endif
