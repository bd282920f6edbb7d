/* coordinator/index_test.c - the index against a plain list */
#include "coordinator/index.h"

#include "tests/harness.h"

TEST(what_was_added_is_found_and_what_was_deleted_is_not)
{
	enum { N = 400 };
	static struct {
		uint64_t hash;
		bool in;
	} model[N];
	struct index x = { 0 };
	struct seed_rng rng;

	seed_rng_init(&rng, 11);
	for (uint32_t i = 0; i < N; i++)
		model[i].hash = rng_below(&rng.rng, 60); /* many of one hash, long runs */
	for (int step = 0; step < 20000; step++) {
		uint32_t i = (uint32_t)rng_below(&rng.rng, N), got;
		size_t at = 0, found = 0, want = 0;

		if (model[i].in) {
			index_del(&x, model[i].hash, i);
		} else {
			ck_assert(index_reserve(&x, 1));
			index_add(&x, model[i].hash, i);
		}
		model[i].in = !model[i].in;
		i = (uint32_t)rng_below(&rng.rng, N);
		while (index_next(&x, model[i].hash, &at, &got)) {
			ck_assert(model[got].in && model[got].hash == model[i].hash);
			found++;
		}
		for (uint32_t k = 0; k < N; k++)
			want += model[k].in && model[k].hash == model[i].hash;
		ck_assert_uint_eq(found, want);
	}
	index_fini(&x);
}

TEST(an_empty_index_finds_nothing)
{
	struct index x = { 0 };
	uint32_t value;
	size_t at = 0;

	ck_assert(!index_next(&x, 5, &at, &value));
	index_del(&x, 5, 1);
	index_fini(&x);
}
