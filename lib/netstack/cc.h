/* netstack/cc.h - congestion control behind one table
 *
 * The sender (recovery.c) decides when something is lost and when a recovery begins and ends; the
 * controller decides how much may be in flight. cwnd and ssthresh are in bytes. During recovery of
 * CUBIC and Reno the sender keeps cwnd by proportional rate reduction (RFC 6937); a rate-based
 * controller keeps its own.
 */
#ifndef NETSTACK_CC_H
#define NETSTACK_CC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mono.h"
#include "base/rng.h"

struct rtt;

enum { CC_INITIAL_SEGS = 10 /* RFC 6928 */, CC_CWND_MAX = 1 << 30 };

/* What one ACK told (RFC draft-cheng-iccrg-delivery-rate-estimation for the rate part). */
struct cc_ack {
	mono_t now;
	uint32_t acked;     /* bytes newly acknowledged in order */
	uint32_t delivered; /* bytes newly acknowledged or sacked */
	uint32_t lost;      /* bytes newly marked lost */
	uint32_t inflight;  /* after this ACK */
	uint32_t prior_inflight;
	span_t rtt;           /* 0: no sample */
	span_t rtt_in_order;  /* of what was acknowledged in order; 0: no sample */
	bool is_cwnd_limited; /* the window, not the user, kept us from sending more */
	bool in_recovery;
	/* rate sample; interval 0: none */
	uint64_t rate_delivered;  /* bytes over the interval */
	uint64_t prior_delivered; /* total when the sampled segment was sent */
	span_t interval;
	bool is_app_limited;
};

struct hystart {
	uint32_t round_end; /* snd_nxt when the round began */
	span_t round_min, last_min;
	uint32_t n_samples;
	bool is_css;
	uint8_t css_rounds;
	span_t css_baseline;
};

struct cubic {
	mono_t epoch;                       /* 0: no epoch */
	double k, w_max, w_est, cwnd_epoch; /* in segments; k in seconds */
	double cwnd_prior;
	double undo_w_max, credit;
};

enum bbr_state { BBR_STARTUP, BBR_DRAIN, BBR_PROBE_BW, BBR_PROBE_RTT };

struct bbr {            /* all zero without a sample */
	uint64_t bw[2]; /* bytes a second, largest of the last cycle and of this one */
	uint64_t full_bw, delivered, round_end;
	uint64_t rtt_sum; /* of this round */
	uint64_t extra_acked;
	mono_t extra_from, min_rtt_at, round_at;
	mono_t state_at; /* PROBE_BW: its phase began; PROBE_RTT: it may end */
	span_t min_rtt;
	uint32_t n_rtt, round_lost, extra[2], prior_cwnd;
	uint16_t pacing_gain; /* of BBR_UNIT */
	uint8_t state, phase, full_rounds, extra_rounds, probe_rtt_rounds;
	bool is_full : 1, is_round_start : 1, is_conserving : 1, was_in_recovery : 1;
	bool is_idle_restart : 1, is_min_rtt_old : 1, is_first_mean : 1, is_round_lossy : 1;
};

struct cc_state {
	const struct cc_ops *ops;
	struct rng *rng;
	uint32_t mss, cwnd, ssthresh;
	uint32_t undo_cwnd, undo_ssthresh;
	uint64_t pacing_rate; /* bytes of data a second; 0: by cwnd and srtt */
	union {
		struct {
			struct hystart hystart;
			struct cubic cubic; /* Reno has its credit there */
		};
		struct bbr bbr;
	};
};

struct cc_ops {
	const char *name;
	bool has_own_recovery; /* keeps cwnd itself through loss */
	void (*init)(struct cc_state *cc, mono_t now);
	void (*on_ack)(struct cc_state *cc, const struct cc_ack *a, const struct rtt *rtt);
	uint32_t (*on_loss)(struct cc_state *cc, mono_t now,
			    uint32_t inflight); /* recovery begins; returns ssthresh */
	void (*on_rto)(struct cc_state *cc, mono_t now, uint32_t inflight);
	void (*on_undo)(struct cc_state *cc,
			mono_t now); /* the loss was none; cwnd and ssthresh have been restored */
	void (*on_idle)(struct cc_state *cc, mono_t now,
			span_t idle); /* sending again after a pause */
};

extern const struct cc_ops cc_reno, cc_cubic, cc_bbr;

static inline bool cc_in_slow_start(const struct cc_state *cc)
{
	return cc->cwnd < cc->ssthresh;
}

/* HyStart++ (RFC 9406): bytes by which slow start may grow for this many acknowledged; leaves slow
 * start when delay grows. */
void hystart_round(struct hystart *h, uint32_t snd_una, uint32_t snd_nxt);
uint32_t hystart_grow(struct cc_state *cc, const struct cc_ack *a);

#endif
