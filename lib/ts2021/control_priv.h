/* ts2021/control_priv.h - the client's parts among themselves
 *
 * Theory of operation. One stream (slot 0) goes through phases: dialing, key fetch, upgrade, Noise.
 * Above it the machine has a goal (run, log out) and a state:
 *
 *      WAITING ----> CONNECTING ----> REGISTERING <--> FOLLOWUP
 *         ^              |                 |
 *         |   any loss   v                 v
 *         +--------- (control_lost) <-- STREAMING            LOGGING_OUT --> OFF
 *
 * `control_proceed` is the one place that decides what comes next: dial when there is no Noise
 * stream, register when not logged in, else stream. Failures count in one of three back-offs
 * (login, map, update) and lead to WAITING with or without a stream. Events are queued (few, with
 * their text) or made when asked for: map data are decoded by control_next, one piece a call, so
 * that nothing decoded is held.
 *
 *      control.c         life, events, deadlines, what a node says about itself
 *      control_conn.c    the stream: dial, /key, upgrade, loss, and the words for users
 *      control_login.c   register, follow-up, log out
 *      control_map.c     map stream, lite updates, watchdog
 *      control_ping.c    pings that control asks for
 */
#ifndef TS2021_CONTROL_PRIV_H
#define TS2021_CONTROL_PRIV_H

#include "ts2021/answer.h"
#include "ts2021/backoff.h"
#include "ts2021/control.h"
#include "ts2021/h2_client.h"
#include "ts2021/hostinfo.h"
#include "ts2021/map_request.h"
#include "ts2021/map_stream.h"
#include "ts2021/register.h"
#include "ts2021/retry_after.h"
#include "ts2021/url.h"

enum { /* seconds; watchdog: control-protocol.md 4.3, ping: 5.2, the others ours */
       CONTROL_DIAL_S = 8,   /* until the stream is open */
       CONTROL_ANSWER_S = 8, /* each of /key, upgrade and handshake */
       CONTROL_REGISTER_S = 60,
       CONTROL_FOLLOWUP_S = 300, /* then it is asked again, lest a dead path holds the login up */
       CONTROL_LITE_S = 30,
       CONTROL_PROBE_S = 10, /* a lite update after the link changed */
       CONTROL_WATCHDOG_S = 120,
       CONTROL_SILENT_S = 600, /* without news a lite update asks whether we still exist */
       CONTROL_PING_S = 15,
       CONTROL_USEFUL_S = 15, /* a stream that lived so long after its first map ends the back-off:
				proxies cut streams every minute or half */
};
enum { CONTROL_NEWS_MIN = 64 };   /* a shorter frame is a keep-alive */
enum { CONTROL_EVENTS_MAX = 32 }; /* queued; the oldest is dropped */
enum { CONTROL_TEXT_MAX = 512 };

enum control_goal { GOAL_OFF, GOAL_RUN, GOAL_LOGOUT };

enum control_state {
	STATE_OFF,
	STATE_WAITING,
	STATE_CONNECTING,
	STATE_REGISTERING,
	STATE_FOLLOWUP,
	STATE_STREAMING,
	STATE_LOGGING_OUT,
	STATE_N,
};

enum conn_phase {
	CONN_NONE,
	CONN_DIALING,
	CONN_KEY,
	CONN_UPGRADE,
	CONN_HANDSHAKE,
	CONN_NOISE,
	CONN_PING
};

struct conn {
	enum conn_phase phase;
	bool dial_due, hangup_due; /* events not fetched yet */
	bool output_told;
	struct url *url; /* of a plain ping */
	struct buf out;  /* clear bytes: key fetch, plain ping */
	struct buf post; /* of a plain ping: what is posted; empty: HEAD */
	mono_t deadline;
};

struct queued_event {
	struct control_event ev;
	char *text;
};

struct control_keys {
	struct key_priv machine, node;
};

struct control {
	struct rng *rng;
	mono_t now; /* of the latest call that brought it */
	wall_t wall;
	struct url url;
	char *version_text;
	bool plain_map;

	/* who we are */
	struct control_keys *keys;             /* secret_new */
	struct key_pub node_pub, old_node_pub; /* old: zero when none */
	char *auth_key;
	bool ephemeral;
	struct key_pub disco;
	bool has_disco;
	struct hostinfo hostinfo;
	struct ipport *endpoints;
	enum control_ep *types;
	size_t n_endpoints;

	/* what is wanted and where we are */
	enum control_goal goal;
	enum control_state state;
	bool is_logged_in, was_logged_in, may_be_known, tags_refused, has_renewed_key;
	char *followup;        /* AuthURL being waited for */
	bool wants_login_told; /* CONTROL_NEEDS_LOGIN was given for this loss */
	mono_t retry_at, request_deadline;
	struct backoff login, map_backoff, update;

	/* the stream */
	struct conn conn[CONTROL_CONNS];
	struct answer *answer;
	struct h2_client *h2;
	struct key_pub server_key, pinned;
	bool has_key, key_proved, refetch_key;
	bool is_reused, reuse_failed; /* upgrade on the stream of the key fetch */

	/* map */
	struct map_stream ms;
	bool map_open, in_frame, stream_is_new;
	size_t map_used; /* of the body, lent to the caller by the last event */
	size_t largest_map;
	mono_t last_frame, last_news, watchdog;
	mono_t good_since; /* when the present stream brought its first good map; never: not yet */
	bool lite_due, lite_is_probe;
	mono_t lite_at, lite_deadline;
	unsigned updates;

	/* pings */
	char *ping_url; /* the last one: repeats are ignored */
	mono_t ping_deadline[2];

	/* events */
	struct queued_event queue[CONTROL_EVENTS_MAX];
	size_t q_head, q_len;
	char *lent_text;
	char trouble[CONTROL_TEXT_MAX], warning[CONTROL_TEXT_MAX], login_failed[CONTROL_TEXT_MAX];
};

/* control.c */
void control_enter(struct control *c, enum control_state state);
void control_proceed(struct control *c);
void control_push(struct control *c, const struct control_event *ev, const char *text);
void control_trouble(struct control *c, const char *fmt, ...) PRINTF(2, 3);
void control_warn(struct control *c, const char *fmt, ...)
    PRINTF(2, 3); /* stays said until control_unwarn */
void control_well(struct control *c);
void control_wait(struct control *c, span_t d); /* then control_proceed */
/* how long to wait after an answer that is no success: the back-off, or what the server asks for */
span_t control_refused(struct control *c, const struct h2_request *rq, struct backoff *b);

/* control_conn.c */
void control_dial(struct control *c);
void control_lost(struct control *c);         /* the stream is gone or given up; back-off follows */
void control_close_stream(struct control *c); /* hang up without consequences */
void control_conn_tick(struct control *c);
mono_t control_conn_deadline(const struct control *c);

/* control_login.c */
void control_login_send(struct control *c);
void control_login_poll(struct control *c);
void control_login_tick(struct control *c);
void control_relogin(
    struct control *c); /* the node is unknown or expired: register again, after a while */
void control_new_node_key(struct control *c);

/* control_map.c */
void control_map_open(struct control *c);
void control_map_drop(struct control *c); /* a frame under way ends in CONTROL_MAP_ABORT */
bool control_map_next(struct control *c, struct control_event *ev);
void control_map_settle(struct control *c); /* what was lent by the last event is taken back */
void control_map_poll(struct control *c);
void control_map_tick(struct control *c);
mono_t control_map_deadline(const struct control *c);
void control_lite_want(struct control *c, bool is_probe);

/* control_ping.c */
void control_ping_opened(struct control *c, unsigned conn);
void control_ping_close(struct control *c, unsigned conn, bool hangup);
void control_ping_poll(struct control *c);
void control_ping_tick(struct control *c);
mono_t control_ping_deadline(const struct control *c);

#endif
