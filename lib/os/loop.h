/* os/loop.h - one thread, one loop: descriptors, deadlines, signals, things to do at the end of a
 * turn
 *
 * Order of a turn: sleep, descriptors (loop_poll, signals), deadlines (loop_timer), deferred
 * (loop_defer), flush (loop_on_flush). The clock is read at most once a turn. Watchers are members
 * of their owners: the owner removes them before it dies, and a watcher that was removed is never
 * called again, not even in the same turn. None of the functions may be called from another thread.
 */
#ifndef OS_LOOP_H
#define OS_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/mono.h"

struct loop;

struct loop *
loop_new(void); /* NULL: no memory or no descriptors; SIGPIPE is ignored from here on */
void loop_free(struct loop *loop); /* NULL is fine; all watchers have been removed; runs what is
				      still deferred */
void loop_run(struct loop *loop);  /* until loop_stop, or until there is nothing left to wait for */
void loop_stop(struct loop *loop); /* the turn is finished first */
/* One turn, sleeping at most `wait`; false when there is nothing left to wait for. For tests and
 * start-up. */
bool loop_turn(struct loop *loop, span_t wait);

mono_t loop_now(struct loop *loop); /* the same all through a turn */
mono_t loop_clock(void);            /* reads the clock: for measuring only */
wall_t loop_wall(void);

/* Deadlines. Exact to tens of microseconds when near, to a millisecond (never early) when far. Init
 * does not arm. */
struct loop_timer {
	struct loop *loop;
	void (*fn)(void *ctx); /* the timer is disarmed when called and may be set again */
	void *ctx;
	mono_t at; /* meaningful while armed */
	struct loop_timer *child, *next, *prev;
	enum { LOOP_TIMER_IDLE, LOOP_TIMER_ARMED, LOOP_TIMER_DUE } state;
};
void loop_timer_init(struct loop *loop, struct loop_timer *t, void (*fn)(void *ctx), void *ctx);
void loop_timer_set(struct loop_timer *t,
		    mono_t deadline); /* MONO_NEVER disarms; the past: this turn or the next */
static inline bool loop_timer_is_set(const struct loop_timer *t)
{
	return t->state != LOOP_TIMER_IDLE;
}
void loop_timer_fini(struct loop_timer *t); /* also of a zeroed timer that was never initialised */

/* Done once at the end of the turn, also when asked for several times; a deferred thing may defer
 * again (next turn). */
struct loop_defer {
	void (*fn)(void *ctx);
	void *ctx;
	struct loop *loop; /* NULL: not waiting */
	struct loop_defer *next, *prev;
};
void loop_defer_init(struct loop_defer *d, void (*fn)(void *ctx), void *ctx);
void loop_defer(struct loop *loop, struct loop_defer *d);
void loop_defer_cancel(struct loop_defer *d);

/* Called in every turn after all else and before sleeping, in the order of adding: the place to
 * send what the turn has collected. */
struct loop_flush {
	void (*fn)(void *ctx);
	void *ctx;
	struct loop *loop;
	struct loop_flush *next, *prev;
};
void loop_on_flush(struct loop *loop, struct loop_flush *f, void (*fn)(void *ctx), void *ctx);
void loop_flush_del(struct loop_flush *f); /* twice or of a zeroed one is fine */

/* A descriptor. It stays the owner's, who closes it after loop_poll_close. LOOP_READ and LOOP_WRITE
 * both come with errors and hang-ups, which the next system call on the descriptor explains. */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_poll {
	void *handle; /* NULL: closed */
	void (*fn)(void *ctx, int events);
	void *ctx;
	int events;
};
MUST_USE int loop_poll_open(struct loop *loop, struct loop_poll *p, int fd,
			    void (*fn)(void *ctx, int events),
			    void *ctx);              /* 0 or -errno; waits for nothing yet */
void loop_poll_set(struct loop_poll *p, int events); /* 0 pauses */
void loop_poll_close(struct loop_poll *p);           /* twice or of a zeroed one is fine */

/* One handler a signal, which is unblocked: one that waited (signal_hold.h) comes in the next turn.
 * fn NULL gives the signal back. 0 or -errno. */
MUST_USE int loop_on_signal(struct loop *loop, int signo, void (*fn)(void *ctx, int signo),
			    void *ctx);

#endif
