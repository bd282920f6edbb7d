/* path/home_test.c - the choice of the home relay (data-plane.md 3.6) */
#include "path/netcheck_priv.h"

#include "tests/harness.h"

static struct region r[4];
static struct netcheck nc;
static const mono_t now = { 5000 * NS_PER_S };

static mono_t ago(int64_t s)
{
	return (mono_t){ now.ns - s * NS_PER_S };
}

static void setup(size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = (struct region){
			.id = (uint16_t)(i + 1), .score = 1, .n_nodes = 1, .heard_at = NEVER_HEARD
		};
	nc = (struct netcheck){ .regions = r, .n_regions = n };
}

/* what region id took in this round; 0: no answer */
static void took(uint16_t id, int64_t ms)
{
	r[id - 1].v4 = SPAN_MS(ms);
	region_remember(&r[id - 1], now);
}

TEST(the_best_of_a_region_is_its_quickest_way)
{
	setup(1);
	ck_assert_int_eq(region_best(&r[0]).ns, 0);
	r[0].https = SPAN_MS(30);
	ck_assert_int_eq(region_best(&r[0]).ns, SPAN_MS(30).ns);
	r[0].v6 = SPAN_MS(20);
	r[0].v4 = SPAN_MS(25);
	ck_assert_int_eq(region_best(&r[0]).ns, SPAN_MS(20).ns);
}

TEST(the_quickest_of_the_last_five_minutes_is_home_if_it_answers_now)
{
	setup(3);
	r[0].history[7] = (struct sample){ ago(200), SPAN_MS(5) };
	r[1].history[0] = (struct sample){ ago(306), SPAN_MS(1) }; /* too long ago */
	r[2].history[0] = (struct sample){ ago(10), SPAN_MS(2) };  /* and silent now */
	took(1, 50);
	took(2, 20);
	ck_assert_uint_eq(home_choose(&nc, now, 0), 1);
}

TEST(a_history_goes_round_and_forgets_the_oldest)
{
	setup(1);
	r[0].v4 = SPAN_MS(1);
	region_remember(&r[0], now);
	r[0].v4 = SPAN_MS(9);
	for (int i = 0; i < HISTORY_N - 1; i++)
		region_remember(&r[0], now);
	ck_assert_int_eq(r[0].history[0].latency.ns, SPAN_MS(1).ns);
	region_remember(&r[0], now);
	ck_assert_int_eq(r[0].history[0].latency.ns, SPAN_MS(9).ns);
	r[0].v4 = SPAN_MS(0); /* no answer is not remembered */
	region_remember(&r[0], now);
	ck_assert_int_eq(r[0].history[1].latency.ns, SPAN_MS(9).ns);
}

TEST(home_moves_only_to_what_is_clearly_better)
{
	static const struct {
		int64_t old, new;
		uint16_t home;
	} rows[] = {
		{ 12, 3, 1 },   /* 9 ms are too few */
		{ 13, 3, 2 },   /* 10 ms, and less than two thirds */
		{ 90, 61, 1 },  /* 29 ms, yet more than two thirds */
		{ 90, 60, 2 },  /* exactly two thirds */
		{ 300, 50, 2 }, /* far away */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setup(2);
		took(1, rows[i].old);
		took(2, rows[i].new);
		ck_assert_msg(home_choose(&nc, now, 1) == rows[i].home, "row %zu", i);
		ck_assert_uint_eq(home_choose(&nc, now, 0), 2);
		ck_assert_uint_eq(home_choose(&nc, now, 77), 2); /* a home that is no more */
	}
}

TEST(a_score_makes_a_region_seem_nearer_or_farther)
{
	setup(2);
	took(1, 20);
	took(2, 30);
	ck_assert_uint_eq(home_choose(&nc, now, 0), 1);
	r[1].score = 0.5;
	ck_assert_uint_eq(home_choose(&nc, now, 0), 2);
}

TEST(a_silent_home_stays_while_it_spoke_just_now)
{
	setup(2);
	took(2, 5);
	r[0].heard_at = ago(8);
	ck_assert_uint_eq(home_choose(&nc, now, 1), 1);
	r[0].heard_at = ago(9);
	ck_assert_uint_eq(home_choose(&nc, now, 1), 2);
}

TEST(when_nobody_answers_home_stays_two_minutes_after_it_spoke)
{
	setup(3);
	nc.stable = 2;
	r[0].heard_at = ago(120);
	ck_assert_uint_eq(home_choose(&nc, now, 1), 1);
	r[0].heard_at = ago(121);
	ck_assert_uint_eq(home_choose(&nc, now, 1), 3);
}

TEST(a_region_that_is_no_home_is_never_chosen_and_left_when_it_is_one)
{
	setup(3);
	r[0].no_home = true;
	took(1, 1);
	took(2, 200);
	ck_assert_uint_eq(home_choose(&nc, now, 0), 2);
	ck_assert_uint_eq(home_choose(&nc, now, 1), 2);
	setup(3);
	r[0].no_home = true;
	r[0].heard_at = now; /* spoke, and nobody else answers */
	r[2].n_nodes = 0;
	for (nc.stable = 0; nc.stable < 5; nc.stable++)
		ck_assert_uint_eq(home_choose(&nc, now, 1), 2);
	r[1].no_home = true;
	ck_assert_uint_eq(home_choose(&nc, now, 1), 0); /* there is none */
}

TEST(what_is_picked_without_an_answer_is_the_same_each_time_and_may_be_any)
{
	bool picked[5] = { false };

	setup(4);
	r[1].n_nodes = 0;
	for (nc.stable = 0; nc.stable < 30; nc.stable++) {
		const uint16_t home = home_choose(&nc, now, 0);

		ck_assert_uint_eq(home_choose(&nc, now, 0), home);
		ck_assert_uint_le(home, 4);
		picked[home] = true;
	}
	ck_assert(!picked[0] && picked[1] && !picked[2] && picked[3] && picked[4]);
}

TEST(a_held_home_stays_whatever_is_measured)
{
	setup(2);
	took(1, 500);
	took(2, 1);
	nc.hold_home = true;
	ck_assert_uint_eq(home_choose(&nc, now, 1), 1);
	ck_assert_uint_eq(home_choose(&nc, now, 9), 2); /* one that is no more cannot be held */
}
