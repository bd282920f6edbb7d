/* netstack/cubic.c - CUBIC (RFC 9438), slow start by HyStart++ (RFC 9406) */
#include <math.h>

#include "netstack/cc.h"
#include "netstack/rtt.h"

static const double C = 0.4, BETA = 0.7; /* RFC 9438 4.1.2, 4.6 */
enum { MIN_SEGS = 2 };

static double segs(const struct cc_state *cc, uint32_t bytes)
{
	return (double)bytes / cc->mss;
}

static void cubic_init(struct cc_state *cc, mono_t now)
{
	(void)now;
	cc->hystart = (struct hystart){ .round_min = { INT64_MAX }, .last_min = { INT64_MAX } };
	cc->cubic = (struct cubic){ 0 };
}

static void begin_epoch(struct cc_state *cc, mono_t now)
{
	struct cubic *q = &cc->cubic;
	double cwnd = segs(cc, cc->cwnd);

	q->epoch = now;
	q->cwnd_epoch = cwnd;
	if (q->w_max < cwnd)
		q->w_max = cwnd;
	q->k = cbrt((q->w_max - cwnd) / C); /* 4.2 figure 2 */
	q->w_est = cwnd;
	q->credit = 0;
}

static double w_cubic(const struct cubic *q, double t)
{
	double d = t - q->k;

	return C * d * d * d + q->w_max; /* 4.2 figure 1 */
}

static void avoid(struct cc_state *cc, const struct cc_ack *a, const struct rtt *rtt)
{
	struct cubic *q = &cc->cubic;
	double cwnd = segs(cc, cc->cwnd), acked = segs(cc, a->acked), alpha, t, target, grow;

	if (q->epoch.ns == 0)
		begin_epoch(cc, a->now);
	t = (double)mono_sub(a->now, q->epoch).ns / 1e9;
	target = w_cubic(q, t + (double)rtt->srtt.ns / 1e9); /* 4.2: one round trip ahead */
	target = fmin(fmax(target, cwnd), 1.5 * cwnd);
	/* 4.3: never slower than Reno would be; 1 once the old window is reached again */
	alpha = q->w_est < q->cwnd_prior ? 3 * (1 - BETA) / (1 + BETA) : 1;
	q->w_est += alpha * acked / cwnd;
	if (w_cubic(q, t) < q->w_est)
		grow = q->w_est - cwnd;
	else
		grow = (target - cwnd) / cwnd * acked; /* 4.4, 4.5 */
	if (grow <= 0)
		return;
	q->credit += grow * cc->mss;
	cc->cwnd += (uint32_t)q->credit;
	q->credit -= (uint32_t)q->credit;
}

static void cubic_on_ack(struct cc_state *cc, const struct cc_ack *a, const struct rtt *rtt)
{
	if (a->acked == 0 || !a->is_cwnd_limited)
		return;
	if (cc_in_slow_start(cc))
		cc->cwnd += hystart_grow(cc, a);
	else
		avoid(cc, a, rtt);
	cc->cwnd = MIN_OF(cc->cwnd, (uint32_t)CC_CWND_MAX);
}

static uint32_t cubic_on_loss(struct cc_state *cc, mono_t now, uint32_t inflight)
{
	struct cubic *q = &cc->cubic;
	double cwnd = segs(cc, cc->cwnd);

	(void)now;
	(void)inflight;
	q->undo_w_max = q->w_max;
	q->epoch.ns = 0;
	q->cwnd_prior = cwnd;
	q->w_max = cwnd < q->w_max ? cwnd * (1 + BETA) / 2 : cwnd; /* 4.7 fast convergence */
	return MAX_OF((uint32_t)(cc->cwnd * BETA), MIN_SEGS * cc->mss);
}

static void cubic_on_rto(struct cc_state *cc, mono_t now, uint32_t inflight)
{
	cc->ssthresh = cubic_on_loss(cc, now, inflight); /* 4.8 */
	cc->cwnd = cc->mss;
}

static void cubic_on_undo(struct cc_state *cc, mono_t now) /* 4.9 */
{
	(void)now;
	cc->cubic.w_max = cc->cubic.undo_w_max;
	cc->cubic.epoch.ns = 0;
}

static void cubic_on_idle(struct cc_state *cc, mono_t now, span_t idle)
{
	cc_reno.on_idle(cc, now, idle);
	cc->cubic.epoch.ns = 0; /* 4.2.. 5.8: time that nobody used is no time */
}

const struct cc_ops cc_cubic = { "cubic",       false,        cubic_init,    cubic_on_ack,
				 cubic_on_loss, cubic_on_rto, cubic_on_undo, cubic_on_idle };
