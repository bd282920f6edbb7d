/* netstack/rtt.h - round-trip time and retransmission time-out (RFC 6298), lowest round trip of
 * late (RFC 8985 6.1) */
#ifndef NETSTACK_RTT_H
#define NETSTACK_RTT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

#define RTO_INITIAL SPAN_S(1)  /* RFC 6298 2.1 */
#define RTO_SYN_LOST SPAN_S(3) /* RFC 6298 5.7 */
#define RTO_MIN                                                                                    \
	SPAN_MS(200) /* ours, as all current stacks: 2.4 says 1 s, TLP and timestamps undo a wrong \
			one */
#define RTO_MAX SPAN_S(60)        /* RFC 6298 2.5: at least 60 s */
#define RTT_CLOCK SPAN_MS(1)      /* G of RFC 6298 2.2: the loop's timers */
#define RTT_MIN_WINDOW SPAN_S(60) /* ours: a path that got longer is believed after this */

struct rtt {
	span_t srtt, rttvar, rto; /* srtt 0: no sample yet */
	span_t min, next_min;     /* of the last window and of the one that is filling; 0: none */
	span_t latest;
	mono_t window_end;
	uint8_t backoff; /* RFC 6298 5.5: times the time-out was doubled */
};

void rtt_init(struct rtt *r);
void rtt_sample(struct rtt *r, mono_t now, span_t rtt);
span_t rtt_rto(const struct rtt *r); /* with back-off */

static inline bool rtt_known(const struct rtt *r)
{
	return r->srtt.ns > 0;
}

#endif
