/* netstack/bbr_test.c - BBR over links with faults, and beside CUBIC (tests/netstack_pair.h) */
#include "tests/netstack_pair.h"

#define BBR ((struct netstack_conf){ .cc = NS_CC_BBR })

/* minutes of virtual time are seconds of ours, and more where others compute too */
__attribute__((constructor)) static void allow_time(void)
{
	harness_timeout(240);
}

/* A lossless run shows the rate of the link; at a loss of 2 % CUBIC gets 4 Mb/s here. */
TEST(bbr_keeps_most_of_the_rate_through_loss_that_is_no_queue)
{
	struct link l = wan20;

	l.loss = 200;
	for (uint64_t seed = 1; seed <= 3; seed++)
		ck_assert_double_ge(
		    run("bbr, 2 % loss, 20 ms, 100 Mb/s", seed, l, 40 << 20, SPAN_S(0), BBR), 50);
}

TEST(bbr_fills_a_clean_link)
{
	ck_assert_double_ge(run("bbr, clean, 20 ms, 100 Mb/s", 1, wan20, 100 << 20, SPAN_S(0), BBR),
			    80);
}

TEST(bbr_is_not_misled_by_packets_that_overtake)
{
	struct link l = wan20;

	l.reorder = 500;
	for (uint64_t seed = 1; seed <= 3; seed++)
		ck_assert_double_ge(
		    run("bbr, 5 % reordering, 20 ms, 100 Mb/s", seed, l, 40 << 20, SPAN_S(0), BBR),
		    50);
}

TEST(bbr_keeps_its_rate_through_loss_and_reordering)
{
	struct link l = wan20;

	l.reorder = 500;
	l.loss = 200;
	for (uint64_t seed = 1; seed <= 2; seed++)
		ck_assert_double_ge(run("bbr, 2 % loss, 5 % reordering, 20 ms, 100 Mb/s", seed, l,
					40 << 20, SPAN_S(0), BBR),
				    30);
}

TEST(bbr_keeps_its_rate_through_loss_on_a_long_path)
{
	struct link l = wan20;

	l.loss = 100;
	l.delay = SPAN_MS(50);
	l.queue_max = 1 << 20;
	for (uint64_t seed = 1; seed <= 2; seed++)
		ck_assert_double_ge(
		    run("bbr, 1 % loss, 100 ms, 100 Mb/s", seed, l, 40 << 20, SPAN_S(0), BBR), 30);
}

TEST(bbr_works_with_a_queue_of_a_tenth_of_the_path)
{
	struct link l = wan20;

	l.queue_max = 25000;
	run("bbr, queue of 25 KB, 20 ms, 100 Mb/s", 1, l, 40 << 20, SPAN_S(0), BBR);
	run("cubic, queue of 25 KB, 20 ms, 100 Mb/s", 1, l, 40 << 20, SPAN_S(0),
	    (struct netstack_conf){ 0 });
}

/* --- beside others --- */

static struct tcp_conn *conn_of(struct world *w, const struct flow *f)
{
	return conn_table_get(&w->ns[0]->table, f->id[0].index, f->id[0].generation);
}

/* Two flows for a while, each with its controller; both must live. */
static void share(const char *what, const struct link *l, const struct cc_ops *first,
		  const struct cc_ops *second)
{
	struct world w;
	struct flow f[2] = { { .want = UINT64_MAX }, { .want = UINT64_MAX } };
	const span_t d = SPAN_S(SANITIZED ? 10 : 30);
	mono_t until;

	world_init(&w, 1, l, (struct netstack_conf){ 0 });
	open_flow(&w, f, 0);
	conn_of(&w, &f[0])->cc.ops = first;
	open_flow(&w, f, 1);
	conn_of(&w, &f[1])->cc.ops = second;
	until = mono_add(w.now, d);
	while (step(&w, until))
		events(&w, f, 2);
	printf("figure: %s: %s %.1f Mb/s, %s %.1f Mb/s, %llu queue drops\n", what, first->name,
	       mbps(f[0].read, d), second->name, mbps(f[1].read, d),
	       (unsigned long long)w.queue_drops);
	fflush(stdout);
	for (int i = 0; i < 2; i++)
		ck_assert_double_ge(mbps(f[i].read, d), 2);
	world_fini(&w);
}

TEST(bbr_and_cubic_both_live_at_a_bottleneck)
{
	struct link l = wan20;

	share("share, queue of 2 BDP", &l, &cc_bbr, &cc_cubic);
	l.queue_max = 250000;
	share("share, queue of 1 BDP", &l, &cc_bbr, &cc_cubic);
	l.queue_max = 2000000;
	share("share, queue of 8 BDP", &l, &cc_bbr, &cc_cubic);
}

TEST(bbr_shares_with_bbr)
{
	share("share, queue of 2 BDP", &wan20, &cc_bbr, &cc_bbr);
}
