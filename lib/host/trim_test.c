/* host/trim_test.c - how long after a load memory goes back */
#include "host/host_priv.h"
#include "tests/harness.h"

/* Intervals of the wait until it ends, while each brings so many datagrams and freed bytes; 0: it
 * has not ended after `most`. */
static unsigned waits(struct trim_wait *w, uint64_t *freed, unsigned datagrams, size_t bytes,
		      unsigned most)
{
	for (unsigned n = 1; n <= most; n++) {
		w->n_received += datagrams;
		*freed += bytes;
		if (trim_wait_ends(w, *freed))
			return n;
	}
	return 0;
}

/* 20,000 datagrams and 8 MiB of buffers that went back, and the interval that saw them. */
static struct trim_wait after_a_load(uint64_t *freed)
{
	struct trim_wait w = { 0 };

	w.n_received = 20000;
	*freed = 8 << 20;
	ck_assert(trim_wait_begins(&w, *freed));
	ck_assert(!trim_wait_ends(&w, *freed));
	return w;
}

TEST(memory_goes_back_at_the_first_quiet_and_the_wait_begins_anew_with_the_next_load)
{
	uint64_t freed;
	struct trim_wait w = after_a_load(&freed);

	ck_assert_uint_eq(waits(&w, &freed, 0, 0, 100), 1);
	ck_assert(!trim_wait_begins(&w, freed));
	w.n_received += HOST_TRIM_PACKETS;
	ck_assert(!trim_wait_begins(&w, freed));
	w.n_received++;
	ck_assert(trim_wait_begins(&w, freed));
}

TEST(a_request_a_second_is_quiet)
{
	uint64_t freed;
	struct trim_wait w = after_a_load(&freed);

	ck_assert_uint_eq(waits(&w, &freed, 4 * 12, 4 * 8192, 100), 1);
}

TEST(a_lesser_load_that_goes_on_keeps_what_the_greater_one_left_for_a_minute)
{
	uint64_t freed;
	struct trim_wait w = after_a_load(&freed);
	unsigned n = waits(&w, &freed, 4 * 500, 0, 100);

	ck_assert_uint_eq((n + 1) * HOST_TRIM_S, 60);
	ck_assert_uint_eq(w.n_waits, 0); /* the next wait has its own minute */
}

TEST(a_load_that_gives_nothing_back_is_left_alone)
{
	struct trim_wait w = { .n_received = 20000 };
	uint64_t freed = HOST_TRIM_FREED;

	ck_assert(trim_wait_begins(&w, freed));
	ck_assert_uint_eq(waits(&w, &freed, 100000, 0, 1000), 0);
	ck_assert_uint_eq(waits(&w, &freed, 0, 0, 10), 1);
}
