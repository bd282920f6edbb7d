/* netstack/rtt.c - see rtt.h */
#include "netstack/rtt.h"

void rtt_init(struct rtt *r)
{
	*r = (struct rtt){ .rto = RTO_INITIAL };
}

static span_t span_min(span_t a, span_t b)
{
	return a.ns < b.ns ? a : b;
}

static span_t span_max(span_t a, span_t b)
{
	return a.ns > b.ns ? a : b;
}

/* The minimum of the present and the last window, so of one to two windows. */
static void sample_min(struct rtt *r, mono_t now, span_t rtt)
{
	if (r->min.ns == 0) {
		r->min = r->next_min = rtt;
		r->window_end = mono_add(now, RTT_MIN_WINDOW);
		return;
	}
	if (mono_due(r->window_end, now)) {
		r->min = r->next_min;
		r->next_min = rtt;
		r->window_end = mono_add(now, RTT_MIN_WINDOW);
	}
	r->next_min = span_min(r->next_min, rtt);
	r->min = span_min(r->min, rtt);
}

void rtt_sample(struct rtt *r, mono_t now, span_t rtt)
{
	int64_t off;

	rtt = span_max(rtt, SPAN_US(1));
	r->latest = rtt;
	sample_min(r, now, rtt);
	if (!rtt_known(r)) { /* RFC 6298 2.2 */
		r->srtt = rtt;
		r->rttvar = (span_t){ rtt.ns / 2 };
	} else { /* RFC 6298 2.3 */
		off = r->srtt.ns - rtt.ns;
		if (off < 0)
			off = -off;
		r->rttvar.ns += (off - r->rttvar.ns) / 4;
		r->srtt.ns += (rtt.ns - r->srtt.ns) / 8;
	}
	r->rto.ns = r->srtt.ns + span_max(RTT_CLOCK, (span_t){ 4 * r->rttvar.ns }).ns;
	r->rto = span_min(span_max(r->rto, RTO_MIN), RTO_MAX);
	r->backoff = 0;
}

span_t rtt_rto(const struct rtt *r)
{
	span_t rto = r->rto;

	for (unsigned i = 0; i < r->backoff && rto.ns < RTO_MAX.ns; i++)
		rto.ns *= 2;
	return span_min(rto, RTO_MAX);
}
