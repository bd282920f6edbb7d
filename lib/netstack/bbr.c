/* netstack/bbr.c - BBR: the window and the pace follow a model of the path, not losses
 *
 * After draft-ietf-ccwg-bbr and its forerunner draft-cardwell-iccrg-bbr-congestion-control. The
 * model is the largest delivery rate seen lately (bw) and the least round trip seen lately
 * (min_rtt); their product is what the path holds without a queue. Segments leave at gain * bw, and
 * at most about two such products are under way. Four states:
 *
 *      STARTUP    doubles the rate each round until three rounds in a row brought less than a
 *                 quarter more
 *      DRAIN      takes the queue away that this made
 *      PROBE_BW   a cycle of eight round trips: one 5/4 faster, one 3/4, six as fast as bw
 *      PROBE_RTT  when min_rtt is ten seconds old: half the window for 200 ms, so that the queue of
 *                 everybody is gone and it can be measured
 *
 * The rate filter is that of the newer text (the last two cycles), the answer to loss that of the
 * older one: for a round what is delivered may be sent anew, then the model rules again. So loss
 * that says nothing about the rate (radio, policers of small bursts) costs what was lost and no
 * more; the price is that a queue shorter than one product loses more than under CUBIC.
 *
 * Ours: min_rtt is the least of the means of rounds, from what was acknowledged in order. Where
 * some packets overtake others, the fastest one says nothing about the path that the rest takes,
 * and a window of twice that would starve the flow.
 */
#include "netstack/cc.h"
#include "netstack/rtt.h"

enum { /* of BBR_UNIT; 4.1 of the draft and its forerunner's 4.2 to 4.3 */
       BBR_UNIT = 256,
       BBR_HIGH_GAIN = BBR_UNIT * 2885 / 1000 + 1, /* 2/ln 2 */
       BBR_DRAIN_GAIN = BBR_UNIT * 1000 / 2885,
       BBR_CWND_GAIN = BBR_UNIT * 2, /* in STARTUP too, as the newer text has it */
       BBR_PROBE_RTT_GAIN = BBR_UNIT / 2,
       BBR_PACING_MARGIN = 1, /* percent below bw, so that queues go away */
};
enum {
	BBR_CYCLE = 8,
	BBR_FULL_ROUNDS = 3,
	BBR_FULL_LOSS = 10, /* percent lost in a round end STARTUP: ours, see check_full */
	BBR_MIN_SEGS = 4,
	BBR_EXTRA_ROUNDS = 5, /* of one half of the window of the aggregation filter */
};
#define BBR_MIN_RTT_AGE SPAN_S(10)
#define BBR_PROBE_RTT_TIME SPAN_MS(200)
#define BBR_QUANTUM SPAN_MS(1) /* what is due within it leaves at once (tcp_output.c) */

static const uint16_t cycle_gain[BBR_CYCLE] = { BBR_UNIT * 5 / 4, BBR_UNIT * 3 / 4, BBR_UNIT,
						BBR_UNIT,         BBR_UNIT,         BBR_UNIT,
						BBR_UNIT,         BBR_UNIT };

static uint64_t bw_of(const struct bbr *b)
{
	return MAX_OF(b->bw[0], b->bw[1]);
}

static uint64_t per_span(uint64_t rate, span_t d) /* bytes that rate brings in d */
{
	return rate * (uint64_t)(d.ns / 1000) / 1000000;
}

/* gain * bw * min_rtt; without a model the initial window */
static uint64_t product(const struct cc_state *cc, unsigned gain)
{
	const struct bbr *b = &cc->bbr;

	if (bw_of(b) == 0 || b->min_rtt.ns == 0)
		return (uint64_t)CC_INITIAL_SEGS * cc->mss;
	return per_span(bw_of(b), b->min_rtt) * gain / BBR_UNIT;
}

static uint32_t min_cwnd(const struct cc_state *cc)
{
	return BBR_MIN_SEGS * cc->mss;
}

/* --- what an ACK says about the path --- */

/* A round: what was sent since the last began is acknowledged. Ours: it takes a round trip at
 * least, however fast the one that overtook the others was. */
static void update_round(struct bbr *b, const struct cc_ack *a)
{
	b->delivered = a->prior_delivered + a->rate_delivered;
	b->round_lost += a->lost;
	b->is_round_start = a->interval.ns > 0 && a->prior_delivered >= b->round_end &&
			    mono_sub(a->now, b->round_at).ns >= b->min_rtt.ns;
	if (!b->is_round_start)
		return;
	b->is_round_lossy = (uint64_t)b->round_lost * 100 >
			    (b->delivered - b->round_end + b->round_lost) * BBR_FULL_LOSS;
	b->round_lost = 0;
	b->round_end = b->delivered;
	b->round_at = a->now;
	b->extra_rounds++;
	b->probe_rtt_rounds++;
	b->is_conserving = false;
}

static void update_bw(struct bbr *b, const struct cc_ack *a)
{
	uint64_t us = (uint64_t)(a->interval.ns / 1000), rate;

	if (us == 0)
		return;
	rate = a->rate_delivered * 1000000 / us;
	if (!a->is_app_limited || rate >= bw_of(b))
		b->bw[1] = MAX_OF(b->bw[1], rate);
}

static void take_min_rtt(struct bbr *b, mono_t now, span_t rtt)
{
	b->min_rtt = rtt;
	b->min_rtt_at = now;
}

/* The mean of a round, at its end; until the first is over, each sample. */
static void update_min_rtt(struct bbr *b, const struct cc_ack *a)
{
	span_t mean;

	b->is_min_rtt_old =
	    b->min_rtt.ns > 0 && mono_due(mono_add(b->min_rtt_at, BBR_MIN_RTT_AGE), a->now);
	if (a->rtt_in_order.ns > 0) {
		b->rtt_sum += (uint64_t)a->rtt_in_order.ns;
		b->n_rtt++;
		if (b->min_rtt.ns == 0)
			take_min_rtt(b, a->now, a->rtt_in_order);
	}
	if (!b->is_round_start || b->n_rtt == 0)
		return;
	mean = SPAN_NS(b->rtt_sum / b->n_rtt);
	b->rtt_sum = 0;
	b->n_rtt = 0;
	if (mean.ns <= b->min_rtt.ns || b->is_min_rtt_old || b->is_first_mean)
		take_min_rtt(b, a->now, mean);
	b->is_first_mean = false;
}

/* How much more than bw promises is acknowledged at once, where ACKs come in lumps: the window
 * must hold it too. */
static void update_extra(struct cc_state *cc, const struct cc_ack *a)
{
	struct bbr *b = &cc->bbr;
	uint64_t expected = per_span(bw_of(b), mono_sub(a->now, b->extra_from)), extra;

	if (b->extra_acked <= expected || b->extra_from.ns == 0) {
		b->extra_acked = expected = 0;
		b->extra_from = a->now;
	}
	b->extra_acked += a->delivered;
	extra = MIN_OF(b->extra_acked - expected, (uint64_t)cc->cwnd);
	if (b->extra_rounds >= BBR_EXTRA_ROUNDS) {
		b->extra[0] = b->extra[1];
		b->extra[1] = 0;
		b->extra_rounds = 0;
	}
	b->extra[1] = MAX_OF(b->extra[1], (uint32_t)extra);
}

/* The path is full when more speed brought no more, or when it overflows: the newer text takes 2 %
 * for that, which radio loses on a good day. */
static void check_full(struct bbr *b, const struct cc_ack *a)
{
	if (b->is_full || !b->is_round_start || a->is_app_limited)
		return;
	if (b->is_round_lossy) {
		b->is_full = true;
	} else if (bw_of(b) >= b->full_bw + b->full_bw / 4) {
		b->full_bw = bw_of(b);
		b->full_rounds = 0;
	} else if (++b->full_rounds >= BBR_FULL_ROUNDS) {
		b->is_full = true;
	}
}

/* --- states ------------------------------------------------------------------------------------
 */

static void enter(struct bbr *b, enum bbr_state s, unsigned gain)
{
	b->state = (uint8_t)s;
	b->pacing_gain = (uint16_t)gain;
}

static void set_phase(struct bbr *b, mono_t now, unsigned phase)
{
	b->phase = (uint8_t)phase;
	b->state_at = now;
	b->pacing_gain = cycle_gain[phase];
	if (phase == 0) { /* the rates of the last cycle and of this one count */
		b->bw[0] = b->bw[1];
		b->bw[1] = 0;
	}
}

static void enter_probe_bw(struct cc_state *cc, mono_t now)
{
	struct bbr *b = &cc->bbr;
	/* any but the slow phase, by chance: flows shall not march in step */
	unsigned phase = (unsigned)rng_below(cc->rng, BBR_CYCLE - 1);

	enter(b, BBR_PROBE_BW, BBR_UNIT);
	set_phase(b, now, phase > 0 ? phase + 1 : 0);
}

static void run_cycle(struct cc_state *cc, const struct cc_ack *a)
{
	struct bbr *b = &cc->bbr;
	bool is_over = mono_sub(a->now, b->state_at).ns > b->min_rtt.ns;

	if (b->pacing_gain > BBR_UNIT) /* until the path was really filled, or it dropped some */
		is_over =
		    is_over && (a->lost > 0 || a->prior_inflight >= product(cc, b->pacing_gain));
	else if (b->pacing_gain < BBR_UNIT)
		is_over = is_over || a->inflight <= product(cc, BBR_UNIT);
	if (is_over)
		set_phase(b, a->now, (b->phase + 1u) % BBR_CYCLE);
}

static void save_cwnd(struct cc_state *cc, bool in_recovery)
{
	struct bbr *b = &cc->bbr;

	b->prior_cwnd =
	    !in_recovery && b->state != BBR_PROBE_RTT ? cc->cwnd : MAX_OF(b->prior_cwnd, cc->cwnd);
}

static void leave_probe_rtt(struct cc_state *cc, mono_t now)
{
	struct bbr *b = &cc->bbr;

	b->min_rtt_at = now;
	cc->cwnd = MAX_OF(cc->cwnd, b->prior_cwnd);
	if (b->is_full)
		enter_probe_bw(cc, now);
	else
		enter(b, BBR_STARTUP, BBR_HIGH_GAIN);
}

static uint32_t probe_rtt_cwnd(const struct cc_state *cc)
{
	uint64_t want = product(cc, BBR_PROBE_RTT_GAIN);

	return MAX_OF((uint32_t)MIN_OF(want, (uint64_t)CC_CWND_MAX), min_cwnd(cc));
}

static void run_probe_rtt(struct cc_state *cc, const struct cc_ack *a)
{
	struct bbr *b = &cc->bbr;

	if (b->state != BBR_PROBE_RTT) {
		if (!b->is_min_rtt_old || b->is_idle_restart)
			return;
		save_cwnd(cc, a->in_recovery);
		enter(b, BBR_PROBE_RTT, BBR_UNIT);
		b->state_at = MONO_NEVER;
	}
	if (mono_is_never(b->state_at)) {
		if (a->inflight > probe_rtt_cwnd(cc))
			return;
		b->state_at = mono_add(a->now, BBR_PROBE_RTT_TIME);
		b->probe_rtt_rounds = 0;
	} else if (mono_due(b->state_at, a->now) &&
		   b->probe_rtt_rounds > 1) { /* a whole round of it */
		leave_probe_rtt(cc, a->now);
	}
}

static void update_state(struct cc_state *cc, const struct cc_ack *a)
{
	struct bbr *b = &cc->bbr;

	check_full(b, a);
	if (b->state == BBR_STARTUP && b->is_full)
		enter(b, BBR_DRAIN, BBR_DRAIN_GAIN);
	if (b->state == BBR_DRAIN && a->inflight <= product(cc, BBR_UNIT))
		enter_probe_bw(cc, a->now);
	else if (b->state == BBR_PROBE_BW)
		run_cycle(cc, a);
	run_probe_rtt(cc, a);
	if (a->delivered > 0)
		b->is_idle_restart = false;
}

/* --- what follows from it -----------------------------------------------------------------------
 */

static void set_pace(struct cc_state *cc, const struct rtt *rtt)
{
	const struct bbr *b = &cc->bbr;
	uint64_t bw = bw_of(b), rate;

	if (bw == 0 && rtt_known(rtt)) /* the first sample is to come */
		bw = (uint64_t)cc->cwnd * 1000000 / (uint64_t)MAX_OF(rtt->srtt.ns / 1000, 1);
	rate = bw * b->pacing_gain / BBR_UNIT * (100 - BBR_PACING_MARGIN) / 100;
	/* in STARTUP it only grows: the first samples are of the application */
	if (rate > 0 && (b->is_full || rate > cc->pacing_rate))
		cc->pacing_rate = rate;
}

static uint64_t target(const struct cc_state *cc)
{
	const struct bbr *b = &cc->bbr;
	uint64_t quantum = MAX_OF(per_span(cc->pacing_rate, BBR_QUANTUM), 2 * (uint64_t)cc->mss);
	uint64_t want = product(cc, BBR_CWND_GAIN) + 3 * quantum;

	return b->is_full ? want + MAX_OF(b->extra[0], b->extra[1]) : want;
}

static void set_cwnd(struct cc_state *cc, const struct cc_ack *a)
{
	struct bbr *b = &cc->bbr;
	uint64_t cwnd = cc->cwnd, want = target(cc);

	if (b->was_in_recovery && !a->in_recovery)
		cwnd = MAX_OF(cwnd, (uint64_t)b->prior_cwnd);
	b->was_in_recovery = a->in_recovery;
	if (a->in_recovery && a->lost > 0)
		cwnd -= MIN_OF(cwnd - cc->mss, (uint64_t)a->lost);
	if (a->in_recovery && b->is_conserving)
		cwnd = MAX_OF(cwnd, (uint64_t)a->inflight + a->delivered);
	else if (b->is_full)
		cwnd = MIN_OF(cwnd + a->delivered, want);
	else if (cwnd < want || b->delivered < (uint64_t)CC_INITIAL_SEGS * cc->mss)
		cwnd += a->delivered;
	cwnd = MAX_OF(cwnd, (uint64_t)min_cwnd(cc));
	if (b->state == BBR_PROBE_RTT)
		cwnd = MIN_OF(cwnd, (uint64_t)probe_rtt_cwnd(cc));
	cc->cwnd = (uint32_t)MIN_OF(cwnd, (uint64_t)CC_CWND_MAX);
}

/* --- the table ----------------------------------------------------------------------------------
 */

static void bbr_init(struct cc_state *cc, mono_t now)
{
	cc->bbr = (struct bbr){ .min_rtt_at = now, .is_first_mean = true };
	enter(&cc->bbr, BBR_STARTUP, BBR_HIGH_GAIN);
}

static void bbr_on_ack(struct cc_state *cc, const struct cc_ack *a, const struct rtt *rtt)
{
	update_round(&cc->bbr, a);
	update_bw(&cc->bbr, a);
	update_extra(cc, a);
	update_min_rtt(&cc->bbr, a);
	update_state(cc, a);
	set_pace(cc, rtt);
	set_cwnd(cc, a);
}

static uint32_t bbr_on_loss(struct cc_state *cc, mono_t now, uint32_t inflight)
{
	struct bbr *b = &cc->bbr;

	(void)now;
	(void)inflight;
	save_cwnd(cc, b->was_in_recovery);
	b->was_in_recovery = true;
	b->is_conserving = true;
	b->round_end = b->delivered; /* the round of conservation begins here */
	return cc->ssthresh;
}

static void bbr_on_rto(struct cc_state *cc, mono_t now, uint32_t inflight)
{
	(void)now;
	(void)inflight;
	save_cwnd(cc, cc->bbr.was_in_recovery);
	cc->bbr.is_conserving = false;
	cc->cwnd = min_cwnd(cc); /* grows back to the model by what is delivered */
}

static void bbr_on_undo(struct cc_state *cc, mono_t now)
{
	(void)now;
	cc->bbr.is_conserving = false; /* the window is back already; full_bw may have been wrong */
	cc->bbr.full_bw = 0;
	cc->bbr.full_rounds = 0;
}

static void bbr_on_idle(struct cc_state *cc, mono_t now, span_t idle)
{
	struct bbr *b = &cc->bbr;

	(void)idle;
	b->is_idle_restart = true;
	b->extra_from.ns = 0;
	if (b->state == BBR_PROBE_BW) /* no queue of ours is there: as fast as the path is */
		cc->pacing_rate = MAX_OF(bw_of(b), UINT64_C(1));
	else if (b->state == BBR_PROBE_RTT && !mono_is_never(b->state_at) &&
		 mono_due(b->state_at, now))
		leave_probe_rtt(cc, now);
}

const struct cc_ops cc_bbr = { "bbr",       true,       bbr_init,    bbr_on_ack,
			       bbr_on_loss, bbr_on_rto, bbr_on_undo, bbr_on_idle };
