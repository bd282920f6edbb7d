/* path/queue_test.c - first in, first out, against a counter; the limit; memory that goes back */
#include "path/queue.h"

#include "tests/harness.h"

TEST(items_come_out_as_they_went_in_however_pushes_and_pops_are_mixed)
{
	struct seed_rng rng;
	struct queue q;
	uint32_t in = 0, out = 0, v;

	seed_rng_init(&rng, 11);
	queue_init(&q, sizeof v, 1000);
	for (int step = 0; step < 100000; step++) {
		/* waves: mostly in, then mostly out, so that the ring grows, wraps and empties */
		const bool push = rng_below(&rng.rng, 10) < (step / 700 % 2 ? 3 : 7);

		if (push && queue_push(&q, &in))
			in++;
		else if (!push && queue_pop(&q, &v))
			ck_assert_uint_eq(v, out++);
		ck_assert_uint_eq(q.n, in - out);
		if (q.n > 0) {
			ck_assert_uint_eq(*(uint32_t *)queue_at(&q, 0), out);
			ck_assert_uint_eq(*(uint32_t *)queue_at(&q, q.n - 1), in - 1);
		}
	}
	ck_assert_uint_gt(out, 1000);
	queue_fini(&q);
}

TEST(the_limit_is_exact_and_a_full_queue_is_left_as_it_was)
{
	struct queue q;
	uint16_t v;

	queue_init(&q, sizeof v, 37);
	for (v = 0; v < 37; v++)
		ck_assert(queue_push(&q, &v));
	ck_assert(!queue_push(&q, &v));
	ck_assert_uint_eq(q.n, 37);
	ck_assert(queue_pop(&q, &v) && v == 0);
	v = 37;
	ck_assert(queue_push(&q, &v));
	ck_assert(!queue_push(&q, &v));
	for (uint16_t want = 1; want <= 37; want++)
		ck_assert(queue_pop(&q, &v) && v == want);
	ck_assert(!queue_pop(&q, &v));
	queue_fini(&q);
}

TEST(an_emptied_queue_that_was_large_holds_no_memory_and_a_small_one_keeps_its_room)
{
	struct queue q;
	char item[64] = "";

	queue_init(&q, sizeof item, 100);
	ck_assert_ptr_null(q.mem);
	ck_assert(queue_push(&q, item) && queue_pop(&q, item));
	ck_assert_ptr_nonnull(q.mem); /* the next one needs no malloc */
	for (int i = 0; i < 100; i++)
		ck_assert(queue_push(&q, item));
	for (int i = 0; i < 100; i++)
		ck_assert(queue_pop(&q, item));
	ck_assert_ptr_null(q.mem);
	ck_assert(queue_push(&q, item)); /* and goes on */
	queue_fini(&q);
	ck_assert_ptr_null(q.mem);
	ck_assert_uint_eq(q.max, 100);
}
