/* netstack/timer.h - one deadline per connection, in a binary heap
 *
 * A timer that moves later keeps its place until it comes up (then its owner sets it again): moving
 * the retransmission timer on every ACK costs a comparison.
 */
#ifndef NETSTACK_TIMER_H
#define NETSTACK_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mono.h"

struct timer {
	mono_t at;
	uint32_t pos; /* in the heap, from 1; 0: not in it */
};

struct timers {
	struct timer **v; /* v[0] unused */
	uint32_t n, cap;
};

void timers_fini(struct timers *h);
/* Room for n timers in all, so that timer_set cannot fail. */
MUST_USE bool timers_reserve(struct timers *h, uint32_t n);
/* Earlier than it is: at once. Later, MONO_NEVER too: it still comes up at its old time. */
void timer_set(struct timers *h, struct timer *t, mono_t at);
void timer_stop(struct timers *h, struct timer *t);
struct timer *timers_due(struct timers *h,
			 mono_t now); /* the first that is due, taken out; NULL: none */

static inline mono_t timers_deadline(const struct timers *h)
{
	return h->n > 0 ? h->v[1]->at : MONO_NEVER;
}

#endif
