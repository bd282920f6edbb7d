/* os/loop_test.c - order of a turn, deadlines, deferral, descriptors, signals */
#include "os/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/signal_hold.h"
#include "tests/harness.h"

static struct loop *loop;
static char trace[256];

static void note(char c)
{
	size_t n = strlen(trace);

	if (n + 1 < sizeof trace)
		trace[n] = c;
}

static void note_ctx(void *ctx)
{
	note(*(const char *)ctx);
}

static void stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

TEST(run_returns_when_there_is_nothing_to_wait_for)
{
	loop = loop_new();
	loop_run(loop);
	ck_assert(!loop_turn(loop, SPAN_S(10)));
	loop_free(loop);
}

TEST(deadlines_come_in_order_and_never_early)
{
	static const int ms[] = { 7, 1, 3, 30, 0, 12 };
	struct loop_timer t[6];
	static char names[] = "eBCf0d";
	mono_t start;

	loop = loop_new();
	start = loop_now(loop);
	for (int i = 0; i < 6; i++) {
		loop_timer_init(loop, &t[i], note_ctx, &names[i]);
		loop_timer_set(&t[i], mono_add(start, SPAN_MS(ms[i])));
		ck_assert(loop_timer_is_set(&t[i]));
	}
	loop_run(loop); /* ends by itself after the last */
	ck_assert_str_eq(trace, "0BCedf");
	ck_assert_int_ge(mono_sub(loop_clock(), start).ns, SPAN_MS(30).ns);
	for (int i = 0; i < 6; i++)
		loop_timer_fini(&t[i]);
	loop_free(loop);
}

static void stop_again(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

TEST(a_stop_behind_the_last_turn_is_none_for_the_end_of_the_loop)
{
	struct loop_timer t;
	struct loop_flush hook;

	loop = loop_new();
	loop_timer_init(loop, &t, stop, NULL);
	loop_timer_set(&t, mono_add(loop_now(loop), SPAN_MS(1)));
	loop_on_flush(loop, &hook, stop_again, NULL); /* also called when loop_run is over */
	loop_run(loop);
	loop_flush_del(&hook);
	loop_free(loop);
}

struct early {
	struct loop_timer t;
	mono_t at;
};
static int n_fired, n_early;

static void check_early(void *ctx)
{
	struct early *e = ctx;

	n_fired++;
	if (mono_before(loop_now(loop), e->at))
		n_early++;
	ck_assert(!loop_timer_is_set(&e->t));
}

TEST(two_thousand_random_timers_set_moved_and_disarmed_fire_exactly_when_due)
{
	enum { N = 2000 };
	static struct early e[N];
	struct seed_rng rng;
	int want = 0;
	mono_t start;

	seed_rng_init(&rng, 1);
	loop = loop_new();
	start = loop_now(loop);
	for (int i = 0; i < N; i++)
		loop_timer_init(loop, &e[i].t, check_early, &e[i]);
	for (int k = 0; k < 3 * N; k++) {
		struct early *x = &e[rng_below(&rng.rng, N)];

		x->at = mono_add(start, SPAN_US(rng_below(&rng.rng, 50000)));
		if (rng_below(&rng.rng, 4) == 0)
			x->at = MONO_NEVER;
		loop_timer_set(&x->t, x->at);
	}
	for (int i = 0; i < N; i++)
		want += loop_timer_is_set(&e[i].t);
	loop_run(loop);
	ck_assert_int_eq(n_fired, want);
	ck_assert_int_eq(n_early, 0);
	loop_free(loop);
}

static struct loop_timer past;
static int n_past;

static void again_in_the_past(void *ctx)
{
	(void)ctx;
	note('t');
	if (++n_past < 3)
		loop_timer_set(&past, (mono_t){ 0 });
}

static struct loop_flush hook;

TEST(a_timer_that_sets_itself_to_the_past_runs_once_a_turn)
{
	static char f = 'f';

	loop = loop_new();
	loop_timer_init(loop, &past, again_in_the_past, NULL);
	loop_timer_set(&past, (mono_t){ 0 });
	loop_on_flush(loop, &hook, note_ctx, &f);
	loop_run(loop);
	loop_flush_del(&hook);
	ck_assert_str_eq(trace, "ftftftf");
	loop_free(loop);
}

static struct loop_timer victim;

static void kill_victim(void *ctx)
{
	(void)ctx;
	note('k');
	loop_timer_fini(&victim);
}

TEST(a_timer_removed_by_an_earlier_one_of_the_same_turn_is_not_called)
{
	static char v = 'v';
	struct loop_timer killer;

	loop = loop_new();
	loop_timer_init(loop, &killer, kill_victim, NULL);
	loop_timer_init(loop, &victim, note_ctx, &v);
	loop_timer_set(&victim, (mono_t){ 2 });
	loop_timer_set(&killer, (mono_t){ 1 });
	loop_run(loop);
	ck_assert_str_eq(trace, "k");
	loop_free(loop);
}

static struct loop_defer d1, d2;

static void defer_again(void *ctx)
{
	note_ctx(ctx);
	if (strlen(trace) < 6)
		loop_defer(loop, &d1);
}

TEST(deferred_things_run_once_a_turn_even_when_asked_for_twice)
{
	static char a = 'a', b = 'b', f = 'f';

	loop = loop_new();
	loop_defer_init(&d1, defer_again, &a);
	loop_defer_init(&d2, note_ctx, &b);
	loop_on_flush(loop, &hook, note_ctx, &f);
	loop_defer(loop, &d1);
	loop_defer(loop, &d2);
	loop_defer(loop, &d1);
	loop_run(loop);
	loop_flush_del(&hook);
	ck_assert_str_eq(trace, "fabfafaf");
	loop_free(loop);
}

TEST(a_cancelled_deferral_does_not_run_and_the_others_do)
{
	static char a = 'a', b = 'b';

	loop = loop_new();
	loop_defer_init(&d1, note_ctx, &a);
	loop_defer_init(&d2, note_ctx, &b);
	loop_defer(loop, &d1);
	loop_defer(loop, &d2);
	loop_defer_cancel(&d1);
	loop_defer_cancel(&d1);
	loop_free(loop); /* runs what is deferred */
	ck_assert_str_eq(trace, "b");
}

static struct loop_poll poll_a;
static int fds[2];

static void on_readable(void *ctx, int events)
{
	char c;

	(void)ctx;
	ck_assert_int_eq(events, LOOP_READ);
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	note(c);
	if (c == 'x')
		loop_poll_close(&poll_a);
}

TEST(a_descriptor_reports_while_it_is_readable_until_closed)
{
	loop = loop_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], "abx-", 4), 4);
	ck_assert_int_eq(loop_poll_open(loop, &poll_a, fds[0], on_readable, NULL), 0);
	loop_poll_set(&poll_a, LOOP_READ);
	loop_run(loop); /* ends: the only watcher closes itself */
	ck_assert_str_eq(trace, "abx");
	loop_poll_close(&poll_a);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}

TEST(a_paused_descriptor_does_not_report)
{
	loop = loop_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], "ab", 2), 2);
	ck_assert_int_eq(loop_poll_open(loop, &poll_a, fds[0], on_readable, NULL), 0);
	loop_poll_set(&poll_a, LOOP_READ);
	ck_assert(loop_turn(loop, SPAN_S(5)));
	loop_poll_set(&poll_a, 0);
	ck_assert(!loop_turn(loop, SPAN_MS(5)));
	ck_assert_str_eq(trace, "a");
	loop_poll_set(&poll_a, LOOP_READ);
	loop_turn(loop, SPAN_S(5));
	ck_assert_str_eq(trace, "ab");
	loop_poll_close(&poll_a);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}

static void on_signal(void *ctx, int signo)
{
	(void)ctx;
	note(signo == SIGUSR1 ? '1' : '?');
	loop_stop(loop);
}

static void raise_usr1(void *ctx)
{
	(void)ctx;
	raise(SIGUSR1);
}

TEST(a_signal_arrives_in_the_loop_and_can_be_given_back)
{
	struct loop_timer t, limit;

	loop = loop_new();
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, on_signal, NULL), 0);
	loop_timer_init(loop, &t, raise_usr1, NULL);
	loop_timer_set(&t, mono_add(loop_now(loop), SPAN_MS(1)));
	loop_timer_init(loop, &limit, stop, NULL);
	loop_timer_set(&limit, mono_add(loop_now(loop), SPAN_S(10)));
	loop_run(loop);
	ck_assert_str_eq(trace, "1");
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, NULL, NULL), 0);
	ck_assert_int_lt(loop_on_signal(loop, 1000, on_signal, NULL), 0);
	loop_timer_fini(&limit);
	loop_timer_fini(&t);
	loop_free(loop);
}

static mono_t seen[2];

static void look_at_clock(void *ctx)
{
	mono_t *out = ctx;

	*out = loop_now(loop);
	for (mono_t t = loop_clock(); mono_sub(loop_clock(), t).ns < SPAN_MS(1).ns;)
		;
}

/* The loop ends with the first signal that it is told of, or after a minute. */
static void run_for_a_signal(void)
{
	struct loop_timer limit;

	loop_timer_init(loop, &limit, stop, NULL);
	loop_timer_set(&limit, mono_add(loop_now(loop), SPAN_S(60)));
	loop_run(loop);
	loop_timer_fini(&limit);
}

TEST(a_signal_that_came_before_its_handler_waits_for_it)
{
	signal_hold(SIGUSR1);
	signal_hold(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR2);
	loop = loop_new();
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, on_signal, NULL), 0);
	run_for_a_signal();
	ck_assert_str_eq(trace, "1"); /* the other one is still nobody's */
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR2, on_signal, NULL), 0);
	run_for_a_signal();
	ck_assert_str_eq(trace, "1?");
	loop_free(loop);
}

TEST(the_clock_stands_still_within_a_turn)
{
	struct loop_timer a, b;

	loop = loop_new();
	loop_timer_init(loop, &a, look_at_clock, &seen[0]);
	loop_timer_init(loop, &b, look_at_clock, &seen[1]);
	loop_timer_set(&a, (mono_t){ 1 });
	loop_timer_set(&b, (mono_t){ 2 });
	loop_run(loop);
	ck_assert_int_eq(seen[0].ns, seen[1].ns);
	ck_assert_int_lt(seen[1].ns, loop_now(loop).ns);
	loop_free(loop);
}
