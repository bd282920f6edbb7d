/* os/loop_heap_test.c - the pairing heap of deadlines against a search of all of them */
#include "os/loop_heap.h"

#include "tests/harness.h"

enum { N = 200 };

static struct loop_timer t[N];
static bool is_in[N];

static void check(const struct loop_timer *root)
{
	const struct loop_timer *least = NULL;

	for (int i = 0; i < N; i++)
		if (is_in[i] && (!least || mono_before(t[i].at, least->at)))
			least = &t[i];
	ck_assert_int_eq(root != NULL, least != NULL);
	if (root)
		ck_assert_int_eq(root->at.ns, least->at.ns);
}

TEST(the_root_is_the_least_after_any_mix_of_adding_and_deleting)
{
	struct loop_timer *root = NULL;
	struct seed_rng rng;

	seed_rng_init(&rng, 5);
	for (int step = 0; step < 60000; step++) {
		/* waves, so that it is emptied and filled; few values, so that many are equal */
		const bool fill = step / 1500 % 2 == 0;
		const int i = (int)rng_below(&rng.rng, N);

		if (is_in[i] && (!fill || rng_below(&rng.rng, 3) == 0)) {
			root = loop_heap_del(root, &t[i]);
			is_in[i] = false;
			ck_assert(!t[i].child && !t[i].next && !t[i].prev);
		} else if (!is_in[i] && (fill || rng_below(&rng.rng, 20) == 0)) {
			t[i].at = (mono_t){ (int64_t)rng_below(&rng.rng, 50) };
			root = loop_heap_add(root, &t[i]);
			is_in[i] = true;
		}
		check(root);
	}
}

TEST(all_come_out_in_order_with_the_root_taken_each_time)
{
	struct loop_timer *root = NULL;
	int64_t last = -1;

	for (int i = 0; i < N; i++) {
		t[i].at = (mono_t){ i * 7919 % 101 };
		root = loop_heap_add(root, &t[i]);
	}
	for (int i = 0; i < N; i++) {
		ck_assert_ptr_nonnull(root);
		ck_assert_int_ge(root->at.ns, last);
		last = root->at.ns;
		root = loop_heap_del(root, root);
	}
	ck_assert_ptr_null(root);
}

/* The siblings below a root that goes are as many as there are timers: no recursion over them. */
TEST(a_hundred_thousand_siblings_are_paired_without_depth)
{
	enum { MANY = 100000 };
	static struct loop_timer v[MANY];
	struct loop_timer *root = NULL;

	for (int i = 0; i < MANY; i++) { /* in order: each becomes a child of the first */
		v[i].at = (mono_t){ i };
		root = loop_heap_add(root, &v[i]);
	}
	for (int i = 0; i < MANY; i++) {
		ck_assert_ptr_eq(root, &v[i]);
		root = loop_heap_del(root, root);
	}
	ck_assert_ptr_null(root);
}
