/* netstack/tcp_conn.h - one TCP connection; for neighbours in this directory
 *
 * tcp_conn.c    life: create, user calls, end
 * tcp_input.c   what a segment does (RFC 9293 3.10.7)
 * tcp_ack.c     what its acknowledgement does: scoreboard, RACK, recovery, window
 * tcp_output.c  which segment goes next
 * tcp_timer.c   what time does
 *
 * An idle connection has no chunks and no directory: all of it is this struct (test: under 1 KiB).
 */
#ifndef NETSTACK_TCP_CONN_H
#define NETSTACK_TCP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "netstack/cc.h"
#include "netstack/chunkq.h"
#include "netstack/netstack.h"
#include "netstack/ranges.h"
#include "netstack/rtt.h"
#include "netstack/timer.h"
#include "netstack/txq.h"
#include "wire/tcp.h"

enum tcp_state {
	TCP_CLOSED,
	TCP_PENDING, /* ours: a SYN came, the user has not said accept or refuse */
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
	TCP_STATES
};
extern const char *const tcp_state_names[TCP_STATES];

enum tcp_timer { /* what the retransmission timer is for; they exclude one another */
		 RTX_OFF,
		 RTX_RTO,
		 RTX_TLP,
		 RTX_REORDER,
		 RTX_PERSIST
};

enum {
	TCP_MSS_DEFAULT4 = 536,
	TCP_MSS_DEFAULT6 = 1220, /* RFC 9293 3.7.1 MUST-15 */
	TCP_MSS_MIN = 88,        /* ours: less is an attack on our processor */
	TCP_TS_LEN = 12,         /* of options in every segment */
	TCP_SYN_RETRIES = 6,
	TCP_RETRIES = 15,
	TCP_ORPHAN_RETRIES = 8,       /* as widely used; RFC 9293 3.8.3 asks for 100 s */
	TCP_RCVBUF_FIRST = 65536 - 1, /* before autotuning; what a SYN can say */
	TCP_SNDBUF_FIRST = 65536,
	TCP_PRESSURE = 8, /* of 16 parts of the budget: from here on buffers are held to a share */
	TCP_PRESSURE_HIGH = 12, /* and from here on to a small one */
	TCP_SHARE = 4,
	TCP_SHARE_LAST = 64,   /* parts of what is left that one buffer may be */
	TCP_EDGE_CREEP = 4096, /* bytes by which rounding may move a window beyond its limit */
	TCP_CHALLENGES = 100,  /* challenge ACKs of a connection in TCP_CHALLENGE_MS */
	TCP_CHALLENGE_MS = 100,
	TCP_DELACK_PARTS = 16,
	TCP_QUICKACKS = 16,      /* segments at the start that are acknowledged at once */
	TCP_QUICKACKS_HOLE = 64, /* and after a hole: where packets are lost the window is small */
	TCP_BLACK_HOLE_RETRIES = 2, /* time-outs in a row of full segments before a smaller size is
				       tried (RFC 4821 style) */
	TCP_MSS_BLACK_HOLE =
	    1024 - 40 - TCP_TS_LEN, /* then this; fits under any link that carries 1064 */
};
#define TCP_DELACK SPAN_MS(25)              /* RFC 9293 3.8.6.3: below 500 */
#define TCP_DELACK_MIN SPAN_MS(1)           /* ours, in a stream: a part of the round trip */
#define TCP_MSL2 SPAN_S(60)                 /* TIME-WAIT */
#define TCP_FIN_WAIT_2_MAX SPAN_S(60)       /* only when the user has released */
#define TCP_PENDING_MAX SPAN_S(120)         /* the user never answered */
#define TCP_PAWS_AGE SPAN_S(24 * 24 * 3600) /* RFC 7323 5.5: an older TS.Recent is void */

struct tcp_link {
	struct tcp_conn *prev, *next;
};

struct rack {        /* RFC 8985 */
	mono_t xmit; /* when the most recently sent of the delivered was sent */
	uint32_t end_seq;
	span_t rtt;
	span_t reo_seen;           /* ours: how late the latest of late comers was, decays */
	uint32_t fack;             /* highest sacked or acknowledged */
	uint32_t reo_wnd_mult_seq; /* DSACK round: SND.NXT when the multiplier last grew */
	uint32_t tlp_end_seq;      /* RFC 8985 7.1; valid when tlp_outstanding */
	uint8_t reo_wnd_mult, reo_wnd_persist;
	bool reordering_seen, tlp_outstanding, tlp_is_retrans;
};

struct recovery {
	uint32_t point; /* RecoveryPoint: SND.NXT at the start */
	uint32_t prr_delivered, prr_out, recover_fs;
	uint32_t
	    undo_retrans; /* retransmissions of this episode that no DSACK has called needless */
	uint32_t retrans_tsval; /* our clock at the first of them (RFC 3522) */
	uint32_t undo_seq;      /* SND.UNA at the start: DSACKs below belong to older episodes */
	bool undo_possible, retrans_sent;
	enum recovery_state { CA_OPEN, CA_RECOVERY, CA_LOSS } state;
};

struct rate { /* delivery rate */
	uint64_t delivered;
	mono_t delivered_at, first_sent;
	uint64_t app_limited; /* 0: not; else until so much is delivered */
};

struct tcp_conn {
	/* where it is known */
	struct tcp_conn *hash_next;
	struct tcp_link out, aged, ev;
	struct timer timer;
	uint32_t hash, index;
	struct ipport local, remote;
	void *user;

	uint8_t state;  /* enum tcp_state */
	uint8_t end;    /* enum ns_end, when ended */
	uint8_t events; /* 1 << enum ns_event_type */
	bool is_out : 1, is_aged : 1, is_starved : 1, is_queued_event : 1;
	bool is_held : 1;     /* counts in the share of its remote address */
	bool is_released : 1; /* the user's name is dead */
	bool is_done_told : 1;
	bool is_ended : 1; /* TCP is done with it; waits for its ENDED event */
	bool is_active_open : 1;
	bool fin_wanted : 1, fin_sent : 1, fin_seen : 1, fin_received : 1, is_readable_told : 1;
	bool wants_room : 1; /* tell the user when there is room to write */
	bool is_cwnd_limited : 1;
	bool ack_now : 1, ack_pending : 1, syn_due : 1, probe_due : 1, keep_due : 1, tlp_due : 1,
	    window_told : 1;
	bool has_sack : 1, has_ts : 1, has_wscale : 1, has_dsack : 1, was_told : 1;
	bool is_nomem : 1;  /* the next ACK shows no window: what came could not be kept */
	bool zero_told : 1; /* such an ACK was the last */

	/* send: RFC 9293 3.3.1 */
	uint32_t iss, snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2, snd_max_wnd;
	uint32_t snd_dup;                 /* duplicate ACKs in a row, of a peer without SACK */
	uint16_t mss, mss_peer, mss_path; /* payload of one segment; without options */
	uint16_t mss_offered;             /* the most that the peer may have heard from us */
	uint8_t snd_wscale, rcv_wscale;
	uint8_t n_retries, n_probes;
	struct chunkq snd; /* head is the byte at SND.UNA (data only) */
	uint32_t snd_len;  /* bytes written and not acknowledged */
	uint32_t sndbuf;   /* limit of snd_len */
	struct txq tx;
	struct rtt rtt;
	struct rack rack;
	struct recovery rec;
	struct ranges again; /* sent again in this recovery or the one before it */
	struct rate rate;
	struct cc_state cc;
	mono_t pace_at; /* nothing new before this */
	mono_t last_sent, last_received;

	/* receive */
	uint32_t irs, rcv_nxt, rcv_adv; /* rcv_adv: right edge that we have shown */
	uint32_t ts_recent, last_ack_sent, ts_offset;
	mono_t ts_recent_at;
	uint32_t unacked; /* bytes received since our last ACK */
	uint16_t rcv_mss; /* largest segment seen */
	uint8_t quickacks, n_challenged;
	struct chunkq rcv; /* head is the next byte that the user reads */
	uint32_t rcv_len;  /* readable */
	uint32_t rcvbuf;   /* limit: what may be unread, autotuned */
	uint32_t fin_seq;  /* of the peer's FIN, when it came out of order */
	/* challenge ACKs, counted by connection: with one limit for all a peer could use up what
	 * others need to have their keep-alives answered */
	uint32_t challenged_ms; /* when the count began */
	struct ranges ooo;
	struct tcp_sack dsack; /* to be shown in the next ACK, when has_dsack */
	uint32_t drs_copied,
	    drs_last; /* autotuning: bytes the user took since drs_at, and in the round before */
	mono_t drs_at;
	span_t rcv_rtt;
	uint32_t rcv_rtt_seq;
	mono_t rcv_rtt_at;

	/* timers: the heap holds the least of these */
	mono_t t_rtx, t_ack, t_keep, t_life, t_pace;
	uint8_t rtx_kind; /* enum tcp_timer */
	uint8_t keep_count, keep_sent;
	uint32_t keep_idle_ms, keep_interval_ms;

	uint64_t bytes_in, bytes_out;
	uint32_t segs_in, segs_out, segs_retrans, segs_spurious;
};

/* --- life (tcp_conn.c) --- */
struct tcp_conn *tcp_new(struct netstack *ns, mono_t now, const struct ipport *local,
			 const struct ipport *remote);
/* TCP is done: buffers go; ENDED is told unless released. */
void tcp_end(struct netstack *ns, struct tcp_conn *c, enum ns_end why);
void tcp_set_state(struct netstack *ns, struct tcp_conn *c, enum tcp_state s);
void tcp_tell(struct netstack *ns, struct tcp_conn *c, enum ns_event_type ev);
void tcp_want_out(struct netstack *ns, struct tcp_conn *c); /* it may have something to send */
void tcp_no_out(struct netstack *ns, struct tcp_conn *c);
/* An incoming connection takes its places; false: no memory. */
bool tcp_take_share(struct netstack *ns, struct tcp_conn *c);
void tcp_enter_time_wait(struct netstack *ns, mono_t now, struct tcp_conn *c);
void tcp_finish(struct netstack *ns,
		struct tcp_conn *c); /* TCP is done in order; unread bytes stay readable */
void tcp_start_cc(struct tcp_conn *c, mono_t now);
/* When there is memory again the user is told WRITABLE, and the peer that the window is open. */
void tcp_starve(struct netstack *ns, struct tcp_conn *c);
void tcp_feed_starved(struct netstack *ns);
void tcp_check_done(struct netstack *ns,
		    struct tcp_conn *c); /* both sides closed and all read: tell the user */
bool tcp_next_event(struct netstack *ns, struct ns_event *ev);
void tcp_free(struct netstack *ns, struct tcp_conn *c);
/* Keyed hash of the four numbers of a connection; another for each purpose. */
uint64_t tcp_hash(const struct netstack *ns, const struct ipport *local,
		  const struct ipport *remote, char purpose);
uint32_t tcp_isn(const struct netstack *ns, mono_t now, const struct ipport *local,
		 const struct ipport *remote);
uint32_t tcp_clock(const struct tcp_conn *c, mono_t now); /* of our timestamps: milliseconds */
void tcp_path_mtu(struct netstack *ns, mono_t now, struct tcp_conn *c, uint32_t mtu);
/* What is not acknowledged is cut into segments that fit c->mss, and is lost; false: no memory, the
 * next time-out tries again. */
bool tcp_cut_to_fit(struct netstack *ns, struct tcp_conn *c);
void tcp_path_tick(struct netstack *ns, mono_t now);
void tcp_set_mss(struct tcp_conn *c);

/* --- receive buffer and window (tcp_window.c) --- */
/* Whether a buffer that holds q may grow: under pressure only who holds little gets more. */
bool tcp_may_hold(const struct netstack *ns, const struct chunkq *q);
uint32_t tcp_share(const struct netstack *ns); /* the most that one buffer may become now */
uint32_t tcp_window(struct netstack *ns,
		    struct tcp_conn *c); /* unscaled, to be shown now; moves rcv_adv */
/* The pool hears how large the buffers of a busy connection may become. */
void tcp_expect(struct netstack *ns, const struct tcp_conn *c);
bool tcp_window_worth_telling(struct netstack *ns, const struct tcp_conn *c);
void tcp_user_read(struct netstack *ns, mono_t now, struct tcp_conn *c, uint32_t n);

/* --- segments --- */
struct tcp_in { /* one segment, parsed */
	struct tcp_head h;
	const uint8_t *data;
	uint32_t len;
};
void tcp_input(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_in *in);
/* A segment for no connection: a SYN to one of our ports, or something to reset. */
void tcp_input_stray(struct netstack *ns, mono_t now, const struct ipport *local,
		     const struct ipport *remote, struct tcp_in *in);
void tcp_challenge(struct netstack *ns, mono_t now, struct tcp_conn *c);
/* Returns false when the segment is to be dropped. */
bool tcp_ack(struct netstack *ns, mono_t now, struct tcp_conn *c, const struct tcp_in *in);

/* Adds at most `max` packets of c to the burst; returns whether it wants another turn. */
bool tcp_output(struct netstack *ns, mono_t now, struct tcp_conn *c, struct burst *out, size_t max);
void tcp_send_rst(struct netstack *ns, struct tcp_conn *c);

/* --- loss (rack.c, recovery.c) --- */
struct tcp_ack_facts {
	struct cc_ack cc;
	bool una_moved, is_dsack, spurious_seen, sampled;
	const struct tcp_in *in;
};
void rack_delivered(struct tcp_conn *c, mono_t now, const struct tx_seg *s, uint32_t tsecr,
		    bool has_tsecr);
uint32_t rack_detect(struct tcp_conn *c,
		     mono_t now); /* marks lost, arms the reordering timer; bytes newly lost */
void rack_dsack(struct tcp_conn *c);
void rack_recovered(struct tcp_conn *c);
span_t rack_reo_wnd(const struct tcp_conn *c);
span_t rack_pto(const struct tcp_conn *c); /* RFC 8985 7.2 */
bool rack_tlp_possible(const struct tcp_conn *c);

void recovery_on_ack(struct netstack *ns, mono_t now, struct tcp_conn *c, struct tcp_ack_facts *f);
void recovery_on_rto(struct netstack *ns, mono_t now, struct tcp_conn *c);
void recovery_on_reorder_timer(struct netstack *ns, mono_t now, struct tcp_conn *c);
void recovery_on_dsack(struct netstack *ns, mono_t now, struct tcp_conn *c,
		       const struct tcp_sack *d);
void recovery_sent(struct netstack *ns, mono_t now, struct tcp_conn *c, const struct tx_seg *s,
		   bool again);
void recovery_forget(struct netstack *ns,
		     struct tcp_conn *c); /* what no DSACK will name any more */

void rate_sent(struct tcp_conn *c, mono_t now, struct tx_seg *s);
void rate_delivered(struct tcp_conn *c, mono_t now, const struct tx_seg *s, struct tcp_ack_facts *f,
		    uint32_t n);
void rate_sample(struct tcp_conn *c, mono_t now, struct tcp_ack_facts *f);

/* --- time (tcp_timer.c) --- */
void tcp_arm_rtx(struct netstack *ns, mono_t now,
		 struct tcp_conn *c); /* RTO, TLP or persist, as the state of c asks */
void tcp_timer_set(struct netstack *ns, struct tcp_conn *c); /* after any t_ changed */
void tcp_timeout(struct netstack *ns, mono_t now, struct tcp_conn *c);
void tcp_keep_touch(struct netstack *ns, mono_t now, struct tcp_conn *c);

static inline uint32_t tcp_inflight(const struct tcp_conn *c)
{
	return c->tx.bytes[TX_INFLIGHT];
}

static inline bool tcp_is_synchronized(const struct tcp_conn *c)
{
	return c->state >= TCP_ESTABLISHED;
}

#endif
