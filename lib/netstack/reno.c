/* netstack/reno.c - Reno (RFC 5681) with byte counting (RFC 3465), and slow start that stops in
 * time (HyStart++, RFC 9406) */
#include "netstack/cc.h"
#include "netstack/rtt.h"
#include "netstack/seq.h"

enum { MIN_SEGS = 2 };
enum { HY_SAMPLES = 8, HY_CSS_DIVISOR = 4, HY_CSS_ROUNDS = 5, HY_L = 8 }; /* RFC 9406 4.3 */
#define HY_MIN_RTT_THRESH SPAN_MS(4)
#define HY_MAX_RTT_THRESH SPAN_MS(16)

void hystart_round(struct hystart *h, uint32_t snd_una, uint32_t snd_nxt)
{
	if (seq_lt(snd_una, h->round_end))
		return;
	h->round_end = snd_nxt;
	h->last_min = h->round_min;
	h->round_min = SPAN_NS(INT64_MAX);
	h->n_samples = 0;
	if (h->is_css)
		h->css_rounds++;
}

static void hystart_sample(struct cc_state *cc, span_t rtt)
{
	struct hystart *h = &cc->hystart;
	int64_t thresh;

	if (rtt.ns < h->round_min.ns)
		h->round_min = rtt;
	if (++h->n_samples < HY_SAMPLES || h->last_min.ns == INT64_MAX || h->last_min.ns == 0)
		return;
	if (h->is_css) { /* the delay went back: it was a burst, not a queue */
		if (h->round_min.ns < h->css_baseline.ns)
			h->is_css = false;
		return;
	}
	thresh = MIN_OF(MAX_OF(h->last_min.ns / 8, HY_MIN_RTT_THRESH.ns), HY_MAX_RTT_THRESH.ns);
	if (h->round_min.ns >= h->last_min.ns + thresh) {
		h->is_css = true;
		h->css_rounds = 0;
		h->css_baseline = h->round_min;
	}
}

uint32_t hystart_grow(struct cc_state *cc, const struct cc_ack *a)
{
	struct hystart *h = &cc->hystart;

	if (a->rtt.ns > 0)
		hystart_sample(cc, a->rtt);
	if (!h->is_css)
		return a->acked; /* paced, so no limit L is needed (RFC 9406 4.3) */
	if (h->css_rounds >= HY_CSS_ROUNDS)
		cc->ssthresh = cc->cwnd;
	return a->acked / HY_CSS_DIVISOR;
}

static void reno_init(struct cc_state *cc, mono_t now)
{
	(void)now;
	cc->hystart = (struct hystart){ .round_min = { INT64_MAX }, .last_min = { INT64_MAX } };
}

static void reno_on_ack(struct cc_state *cc, const struct cc_ack *a, const struct rtt *rtt)
{
	(void)rtt;
	if (a->acked == 0 || !a->is_cwnd_limited)
		return;
	if (cc_in_slow_start(cc)) {
		cc->cwnd += hystart_grow(cc, a);
	} else { /* one segment a window */
		cc->cubic.credit += (double)a->acked * cc->mss / cc->cwnd;
		cc->cwnd += (uint32_t)cc->cubic.credit;
		cc->cubic.credit -= (uint32_t)cc->cubic.credit;
	}
	cc->cwnd = MIN_OF(cc->cwnd, (uint32_t)CC_CWND_MAX);
}

static uint32_t reno_on_loss(struct cc_state *cc, mono_t now, uint32_t inflight)
{
	(void)now;
	return MAX_OF(inflight / 2, MIN_SEGS * cc->mss); /* RFC 5681 3.1 (4) */
}

static void reno_on_rto(struct cc_state *cc, mono_t now, uint32_t inflight)
{
	cc->ssthresh = reno_on_loss(cc, now, inflight);
	cc->cwnd = cc->mss;
}

static void reno_on_undo(struct cc_state *cc, mono_t now)
{
	(void)cc;
	(void)now;
}

/* RFC 5681 4.1: back to the initial window at most; ssthresh remembers */
static void reno_on_idle(struct cc_state *cc, mono_t now, span_t idle)
{
	(void)now;
	(void)idle;
	cc->ssthresh = MAX_OF(cc->ssthresh, cc->cwnd / 4 * 3);
	cc->cwnd = MIN_OF(cc->cwnd, (uint32_t)CC_INITIAL_SEGS * cc->mss);
}

const struct cc_ops cc_reno = { "reno",       false,       reno_init,    reno_on_ack,
				reno_on_loss, reno_on_rto, reno_on_undo, reno_on_idle };
