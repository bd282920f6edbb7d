/* netstack/pair_test.c - two stacks against each other (tests/netstack_pair.h) */
#include "tests/netstack_pair.h"

TEST(pair_carries_every_byte_over_a_clean_link)
{
	run("clean, 20 ms, 100 Mb/s", 1, wan20, 20 << 20, SPAN_S(0), (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_loss)
{
	struct link l = wan20;

	l.loss = 200;
	for (uint64_t seed = 1; seed <= 3; seed++)
		run("2 % loss, 20 ms, 100 Mb/s", seed, l, 8 << 20, SPAN_S(0),
		    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_reordering)
{
	struct link l = wan20;

	l.reorder = 500;
	for (uint64_t seed = 1; seed <= 3; seed++)
		run("5 % reordering, 20 ms, 100 Mb/s", seed, l, 40 << 20, SPAN_S(0),
		    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_loss_and_reordering)
{
	struct link l = wan20;

	l.reorder = 500;
	l.loss = 200;
	for (uint64_t seed = 1; seed <= 2; seed++)
		run("2 % loss, 5 % reordering, 20 ms, 100 Mb/s", seed, l, 8 << 20, SPAN_S(0),
		    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_when_some_are_late)
{
	struct link l = wan20;

	l.late = 500;
	run("5 % late by 3 ms, 20 ms, 100 Mb/s", 1, l, 40 << 20, SPAN_S(0),
	    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_duplication)
{
	struct link l = wan20;

	l.dup = 500;
	l.loss = 50;
	run("5 % twice, 0.5 % loss, 20 ms, 100 Mb/s", 1, l, 8 << 20, SPAN_S(0),
	    (struct netstack_conf){ 0 });
}

TEST(pair_fills_a_long_fat_pipe)
{
	run("no loss, 100 ms, 1 Gb/s", 1, wan100, 400 << 20, SPAN_S(0),
	    (struct netstack_conf){ 0 });
}

TEST(pair_allocates_nothing_in_a_steady_transfer)
{
	struct world w;
	struct flow f = { .want = 40 << 20 };
	uint64_t before[2] = { 0 };

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	open_flow(&w, &f, 0);
	while (f.read < (36 << 20) && step(&w, MONO_NEVER)) {
		events(&w, &f, 1);
		for (int i = 0; i < 2 && f.read < (20 << 20); i++)
			before[i] = w.ns[i]->pool.n_malloc;
	}
	ck_assert_uint_ge(f.read, 36 << 20);
	ck_assert_uint_eq(w.ns[0]->pool.n_malloc, before[0]);
	ck_assert_uint_eq(w.ns[1]->pool.n_malloc, before[1]);
	world_fini(&w);
}

TEST(pair_idle_connection_holds_no_buffers)
{
	struct world w;
	struct flow f = { .want = 1 << 20 };
	mono_t until;

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	f.shut = true; /* stays open */
	open_flow(&w, &f, 0);
	until = mono_add(w.now, SPAN_S(20));
	while (step(&w, until))
		events(&w, &f, 1);
	ck_assert_uint_eq(f.read, f.want);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(w.ns[i]->table.n, 1);
		ck_assert_uint_eq(w.ns[i]->pool.used, 0);
		ck_assert_uint_eq(w.ns[i]->pool.waiting_bytes, 0);
		ck_assert(mono_is_never(netstack_deadline(w.ns[i])));
	}
	world_fini(&w);
}
