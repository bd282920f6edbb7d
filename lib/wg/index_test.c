/* index_test.c - the table against a plain list */
#include "wg/index.h"

#include "tests/harness.h"

TEST(index_table_agrees_with_a_list)
{
	enum { MAX = 300 };
	struct seed_rng rng;
	struct index_table t = { 0 };
	uint32_t list[MAX], peers[MAX], peer;
	size_t n = 0;

	seed_rng_init(&rng, 11);
	ck_assert(!wg_index_find(&t, 5, &peer));
	for (int step = 0; step < 50000; step++) {
		if (n < MAX && rng_below(&rng.rng, 2)) {
			peers[n] = (uint32_t)rng_below(&rng.rng, 1000);
			list[n] = wg_index_add(&t, &rng.rng, peers[n]);
			ck_assert_uint_ne(list[n++], 0);
		} else if (n > 0) {
			size_t i = rng_below(&rng.rng, n);

			wg_index_del(&t, list[i]);
			ck_assert(!wg_index_find(&t, list[i], &peer));
			list[i] = list[--n];
			peers[i] = peers[n];
		}
		ck_assert_uint_eq(t.n, n);
		if (step % 50 == 0)
			for (size_t i = 0; i < n; i++)
				ck_assert(wg_index_find(&t, list[i], &peer) && peer == peers[i]);
	}
	wg_index_fini(&t);
}
