/* os/loop.c - see loop.h
 *
 * A turn by libuv's names: poll (descriptors, signals), check (deadlines, deferred), prepare
 * (flush, arming), poll.
 *
 * Deadlines: the earliest one decides how long to sleep. Far ones use a uv_timer, which is the
 * time-out of epoll_wait and costs no system call; those nearer than FINE_NS use a timerfd, since
 * the time-out counts in milliseconds. A timerfd armed for a deadline that was moved away is left
 * alone: one idle wake-up is cheaper than a system call a turn.
 *
 * `awake` is a uv_idle: while it is active, poll does not sleep.
 */
#include "os/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "os/loop_heap.h"

enum { FINE_NS = 4000000, COARSE_MAX_MS = 3600000, LOOP_SIGNALS = 65 };

struct signal_watch {
	uv_signal_t uv;
	void (*fn)(void *ctx, int signo);
	void *ctx;
};

struct poll_watch {
	uv_poll_t uv;
	struct loop_poll *owner; /* NULL: closing */
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t awake;
	uv_timer_t coarse;
	int fine_fd;
	struct loop_poll fine;
	mono_t fine_at; /* what the timerfd is armed for; MONO_NEVER: it has fired or was never
			   armed */
	mono_t now;
	bool now_is_fresh;
	struct loop_timer *timers;
	struct loop_timer due;       /* ring of timers about to be called, in order */
	struct loop_defer defer;     /* ring */
	struct loop_flush flush;     /* ring */
	struct loop_flush *flush_at; /* next to be called while flushing */
	struct signal_watch *signals[LOOP_SIGNALS];
};

/* --- time --- */

mono_t loop_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_t){ (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec };
}

mono_t loop_now(struct loop *loop)
{
	if (!loop->now_is_fresh) {
		loop->now = loop_clock();
		loop->now_is_fresh = true;
	}
	return loop->now;
}

wall_t loop_wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (wall_t){ (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec };
}

/* --- deadlines --- */

void loop_timer_init(struct loop *loop, struct loop_timer *t, void (*fn)(void *ctx), void *ctx)
{
	*t = (struct loop_timer){ .loop = loop, .fn = fn, .ctx = ctx, .at = MONO_NEVER };
}

static void timer_disarm(struct loop_timer *t)
{
	if (t->state == LOOP_TIMER_ARMED) {
		t->loop->timers = loop_heap_del(t->loop->timers, t);
	} else if (t->state == LOOP_TIMER_DUE) {
		t->prev->next = t->next;
		t->next->prev = t->prev;
		t->next = t->prev = NULL;
	}
	t->state = LOOP_TIMER_IDLE;
	t->at = MONO_NEVER;
}

void loop_timer_set(struct loop_timer *t, mono_t deadline)
{
	assert(t->loop);
	if (t->state == LOOP_TIMER_ARMED && t->at.ns == deadline.ns)
		return;
	timer_disarm(t);
	if (mono_is_never(deadline))
		return;
	t->at = deadline;
	t->state = LOOP_TIMER_ARMED;
	t->loop->timers = loop_heap_add(t->loop->timers, t);
}

void loop_timer_fini(struct loop_timer *t)
{
	timer_disarm(t);
}

/* First all that are due are collected, so that one which sets itself to the past waits for the
 * next turn. */
static void run_deadlines(struct loop *loop)
{
	struct loop_timer *t;

	if (!loop->timers)
		return;
	while ((t = loop->timers) && mono_due(t->at, loop_now(loop))) {
		loop->timers = loop_heap_del(t, t);
		t->state = LOOP_TIMER_DUE;
		t->prev = loop->due.prev;
		t->next = &loop->due;
		t->prev->next = t->next->prev = t;
	}
	while ((t = loop->due.next) != &loop->due) {
		timer_disarm(t);
		t->fn(t->ctx);
	}
}

static void fine_fired(void *ctx, int events)
{
	struct loop *loop = ctx;
	uint64_t n;

	(void)events;
	if (read(loop->fine_fd, &n, sizeof n) == sizeof n)
		loop->fine_at = MONO_NEVER;
}

static void coarse_fired(uv_timer_t *t)
{
	(void)t; /* only its end of sleep is wanted */
}

static void stay_awake(uv_idle_t *h)
{
	(void)h;
}

static void arm_fine(struct loop *loop, mono_t at, mono_t now)
{
	struct itimerspec its = { .it_value = { .tv_sec = at.ns / NS_PER_S,
						.tv_nsec = at.ns % NS_PER_S } };

	if (!mono_before(at, loop->fine_at) && mono_before(now, loop->fine_at))
		return; /* it wakes us early enough */
	if (timerfd_settime(loop->fine_fd, TFD_TIMER_ABSTIME, &its, NULL) == 0)
		loop->fine_at = at;
}

/* How long to sleep. The uv_timer also runs beside the timerfd: it keeps the loop alive. */
static void arm(struct loop *loop)
{
	mono_t now;
	int64_t ns;

	if (!loop->timers)
		return;
	now = loop_clock();
	uv_update_time(&loop->uv);
	ns = loop->timers->at.ns - now.ns;
	if (ns <= 0) {
		uv_idle_start(&loop->awake, stay_awake);
		ns = 0;
	} else if (ns < FINE_NS) {
		arm_fine(loop, loop->timers->at, now);
	}
	ns = ns / 1000000 < COARSE_MAX_MS ? (ns + 999999) / 1000000 : COARSE_MAX_MS;
	uv_timer_start(&loop->coarse, coarse_fired, (uint64_t)ns, 0);
}

/* --- end of the turn --- */

void loop_defer_init(struct loop_defer *d, void (*fn)(void *ctx), void *ctx)
{
	*d = (struct loop_defer){ .fn = fn, .ctx = ctx };
}

void loop_defer(struct loop *loop, struct loop_defer *d)
{
	if (d->loop)
		return;
	d->loop = loop;
	d->next = &loop->defer;
	d->prev = loop->defer.prev;
	d->prev->next = d->next->prev = d;
}

void loop_defer_cancel(struct loop_defer *d)
{
	if (!d->loop)
		return;
	d->prev->next = d->next;
	d->next->prev = d->prev;
	d->next = d->prev = NULL;
	d->loop = NULL;
}

static void run_deferred(struct loop *loop)
{
	struct loop_defer ring, *d;

	if (loop->defer.next == &loop->defer)
		return;
	ring.next = loop->defer.next;
	ring.prev = loop->defer.prev;
	ring.next->prev = ring.prev->next = &ring;
	loop->defer.next = loop->defer.prev = &loop->defer;
	while ((d = ring.next) != &ring) {
		loop_defer_cancel(d);
		d->fn(d->ctx);
	}
}

void loop_on_flush(struct loop *loop, struct loop_flush *f, void (*fn)(void *ctx), void *ctx)
{
	*f = (struct loop_flush){ fn, ctx, loop, &loop->flush, loop->flush.prev };
	f->prev->next = f->next->prev = f;
	if (loop->flush_at == &loop->flush)
		loop->flush_at = f; /* added by the last one while flushing: it is called too */
}

void loop_flush_del(struct loop_flush *f)
{
	if (!f->loop)
		return;
	if (f->loop->flush_at == f)
		f->loop->flush_at = f->next;
	f->prev->next = f->next;
	f->next->prev = f->prev;
	f->next = f->prev = NULL;
	f->loop = NULL;
}

static void run_flush(struct loop *loop)
{
	loop->flush_at = loop->flush.next;
	while (loop->flush_at != &loop->flush) {
		struct loop_flush *f = loop->flush_at;

		loop->flush_at = f->next;
		f->fn(f->ctx);
	}
	loop->flush_at = NULL;
}

/* libuv looks for active handles before prepare: what waits only with us must count by then. */
static void stay_alive(struct loop *loop)
{
	if (loop->defer.next != &loop->defer)
		uv_idle_start(&loop->awake, stay_awake);
	if (!loop->timers)
		uv_timer_stop(&loop->coarse);
	else if (!uv_is_active((uv_handle_t *)&loop->coarse))
		uv_timer_start(&loop->coarse, coarse_fired, COARSE_MAX_MS, 0); /* until `arm` */
}

static void on_check(uv_check_t *h)
{
	struct loop *loop = h->data;

	uv_idle_stop(&loop->awake);
	run_deadlines(loop);
	run_deferred(loop);
	stay_alive(loop);
}

static void on_prepare(uv_prepare_t *h)
{
	struct loop *loop = h->data;

	run_flush(loop);
	stay_alive(loop);
	arm(loop);
	loop->now_is_fresh = false; /* the next thing is sleep */
}

/* --- descriptors --- */

static int uv_events(int events)
{
	return ((events & LOOP_READ) ? UV_READABLE : 0) | ((events & LOOP_WRITE) ? UV_WRITABLE : 0);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct poll_watch *w = (struct poll_watch *)h;
	struct loop_poll *p = w->owner;

	if (!p)
		return;
	if (status == 0) {
		p->fn(p->ctx, ((events & UV_READABLE) ? LOOP_READ : 0) |
				  ((events & UV_WRITABLE) ? LOOP_WRITE : 0));
		return;
	}
	/* libuv stops a descriptor that reports an error; the owner's next system call says which
	 */
	p->fn(p->ctx, LOOP_READ | LOOP_WRITE);
	if (w->owner && w->owner->events)
		(void)uv_poll_start(h, uv_events(w->owner->events), on_poll);
}

static void poll_closed(uv_handle_t *h)
{
	free(CONTAINER_OF(h, struct poll_watch, uv));
}

int loop_poll_open(struct loop *loop, struct loop_poll *p, int fd,
		   void (*fn)(void *ctx, int events), void *ctx)
{
	struct poll_watch *w = calloc(1, sizeof *w);
	int ret;

	if (!w)
		return -ENOMEM;
	ret = uv_poll_init(&loop->uv, &w->uv, fd);
	if (ret < 0) {
		free(w);
		return ret;
	}
	w->owner = p;
	*p = (struct loop_poll){ w, fn, ctx, 0 };
	return 0;
}

void loop_poll_set(struct loop_poll *p, int events)
{
	struct poll_watch *w = p->handle;

	if (!w || p->events == events)
		return;
	p->events = events;
	if (events)
		(void)uv_poll_start(&w->uv, uv_events(events),
				    on_poll); /* fails only for closing handles */
	else
		uv_poll_stop(&w->uv);
}

void loop_poll_close(struct loop_poll *p)
{
	struct poll_watch *w = p->handle;

	if (!w)
		return;
	p->handle = NULL;
	p->events = 0;
	w->owner = NULL;
	uv_close((uv_handle_t *)&w->uv, poll_closed); /* the descriptor leaves epoll at once */
}

/* --- signals --- */

static void on_signal(uv_signal_t *h, int signo)
{
	struct signal_watch *w = (struct signal_watch *)h;

	if (w->fn)
		w->fn(w->ctx, signo);
}

/* One that waited (signal_hold.h), or was blocked by who started us, comes now. */
static void signal_let_in(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void signal_closed(uv_handle_t *h)
{
	free(CONTAINER_OF(h, struct signal_watch, uv));
}

static void signal_stop(struct loop *loop, int signo)
{
	struct signal_watch *w = loop->signals[signo];

	if (!w)
		return;
	w->fn = NULL;
	uv_close((uv_handle_t *)&w->uv, signal_closed);
	loop->signals[signo] = NULL;
}

int loop_on_signal(struct loop *loop, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
	struct signal_watch *w;
	int ret;

	if (signo <= 0 || signo >= LOOP_SIGNALS)
		return -EINVAL;
	w = loop->signals[signo];
	if (!fn) {
		signal_stop(loop, signo);
		return 0;
	}
	if (!w) {
		w = calloc(1, sizeof *w);
		if (!w)
			return -ENOMEM;
		ret = uv_signal_init(&loop->uv, &w->uv);
		if (ret < 0) {
			free(w);
			return ret;
		}
		loop->signals[signo] = w;
		uv_unref((uv_handle_t *)&w->uv);
		ret = uv_signal_start(&w->uv, on_signal, signo);
		if (ret < 0) {
			signal_stop(loop, signo);
			return ret;
		}
	}
	w->fn = fn;
	w->ctx = ctx;
	signal_let_in(signo);
	return 0;
}

/* --- life --- */

static int start_fine(struct loop *loop)
{
	int ret;

	loop->fine_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->fine_fd < 0)
		return -errno;
	ret = loop_poll_open(loop, &loop->fine, loop->fine_fd, fine_fired, loop);
	if (ret < 0)
		return ret;
	loop_poll_set(&loop->fine, LOOP_READ);
	uv_unref((uv_handle_t *)loop->fine.handle);
	return 0;
}

/* libuv ends the process when its first loop gets no pipe for signals; a loop holds more
 * descriptors than are tried here. errno says why not. */
static bool has_descriptors(void)
{
	int a[2], b[2];
	bool ok;

	if (pipe2(a, O_CLOEXEC) < 0)
		return false;
	ok = pipe2(b, O_CLOEXEC) == 0;
	if (ok) {
		close(b[0]);
		close(b[1]);
	}
	close(a[0]);
	close(a[1]);
	return ok;
}

struct loop *loop_new(void)
{
	struct loop *loop = has_descriptors() ? calloc(1, sizeof *loop) : NULL;

	if (!loop)
		return NULL;
	if (uv_loop_init(&loop->uv) < 0) {
		free(loop);
		return NULL;
	}
	loop->fine_fd = -1;
	loop->fine_at = MONO_NEVER;
	loop->due.next = loop->due.prev = &loop->due;
	loop->defer.next = loop->defer.prev = &loop->defer;
	loop->flush.next = loop->flush.prev = &loop->flush;
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_check_init(&loop->uv, &loop->check);
	uv_idle_init(&loop->uv, &loop->awake);
	uv_timer_init(&loop->uv, &loop->coarse);
	loop->prepare.data = loop->check.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_check_start(&loop->check, on_check);
	uv_unref((uv_handle_t *)&loop->prepare);
	uv_unref((uv_handle_t *)&loop->check);
	if (start_fine(loop) < 0) {
		loop_free(loop);
		return NULL;
	}
	signal(SIGPIPE, SIG_IGN);
	return loop;
}

void loop_free(struct loop *loop)
{
	int ret;

	if (!loop)
		return;
	while (loop->defer.next != &loop->defer)
		run_deferred(loop);
	for (int i = 0; i < LOOP_SIGNALS; i++)
		signal_stop(loop, i);
	loop_poll_close(&loop->fine);
	if (loop->fine_fd >= 0)
		close(loop->fine_fd);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->awake, NULL);
	uv_close((uv_handle_t *)&loop->coarse, NULL);
	/* a stop since the last turn is still to be obeyed: the first run may do nothing but forget
	 * it */
	for (int i = 0; i < 2; i++)
		uv_run(&loop->uv, UV_RUN_NOWAIT);
	ret = uv_loop_close(&loop->uv);
	assert(ret == 0); /* else a watcher was not removed */
	free(loop);
}

void loop_run(struct loop *loop)
{
	stay_alive(loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	run_flush(loop);
	loop->now_is_fresh = false;
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

static void turn_ended(void *ctx)
{
	(void)ctx;
}

bool loop_turn(struct loop *loop, span_t wait)
{
	struct loop_timer limit;
	bool is_alive;

	stay_alive(loop);
	if (uv_loop_alive(&loop->uv)) {
		loop_timer_init(loop, &limit, turn_ended, NULL);
		loop_timer_set(&limit, mono_add(loop_clock(), wait));
		stay_alive(loop);
		uv_run(&loop->uv, UV_RUN_ONCE);
		loop_timer_fini(&limit);
	}
	run_flush(loop);
	stay_alive(loop);
	is_alive = uv_loop_alive(&loop->uv);
	loop->now_is_fresh = false;
	return is_alive;
}
