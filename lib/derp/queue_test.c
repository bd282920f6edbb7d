/* derp/queue_test.c */
#include "derp/queue.h"
#include "tests/harness.h"

#include <stdlib.h>

static bool put(struct derp_queue *q, struct derp_pool *p, size_t len)
{
	uint8_t *b = calloc(1, len);
	bool ok;

	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)(i * 7 + len);
	ok = derp_queue_put(q, p, bytes_of(b, len / 3), bytes_of(b + len / 3, len - len / 3));
	free(b);
	return ok;
}

TEST(frames_of_all_lengths_come_out_as_they_went_in_whatever_the_pieces)
{
	static const size_t lens[] = { 1,
				       DERP_BLOCK_DATA - 1,
				       DERP_BLOCK_DATA,
				       DERP_BLOCK_DATA + 1,
				       2 * DERP_BLOCK_DATA,
				       3 * DERP_BLOCK_DATA + 5 };
	struct derp_pool p = { .max = 64, .keep = 4 };
	struct derp_queue q = { .n = 0 };
	struct derp_writer w;
	uint8_t out[4 * DERP_BLOCK_DATA];

	derp_writer_init(&w, 100);
	for (size_t step = 1; step < 5000; step = step * 3 + 1) {
		for (size_t i = 0; i < ARRAY_LEN(lens); i++)
			ck_assert(put(&q, &p, lens[i]));
		for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
			size_t n = 0, k;

			derp_writer_begin(&w, derp_queue_take(&q));
			while ((k = derp_writer_pull(&w, &p, out + n, step)) > 0)
				n += k;
			ck_assert_uint_eq(n, lens[i]);
			for (size_t j = 0; j < n; j++)
				ck_assert_uint_eq(out[j], (uint8_t)(j * 7 + n));
		}
	}
	ck_assert_uint_eq(p.n_used, 0);
	derp_writer_fini(&w, &p);
	derp_pool_fini(&p);
}

TEST(pool_refuses_beyond_its_limit_and_takes_nothing_then)
{
	struct derp_pool p = { .max = 3, .keep = 0 };
	struct derp_queue q = { .n = 0 };

	ck_assert(put(&q, &p, 2 * DERP_BLOCK_DATA));
	ck_assert(!put(&q, &p, DERP_BLOCK_DATA + 1));
	ck_assert_uint_eq(p.n_used, 2);
	ck_assert(put(&q, &p, DERP_BLOCK_DATA));
	ck_assert(!put(&q, &p, 1));
	ck_assert_uint_eq(derp_queue_clear(&q, &p), 2);
	ck_assert_uint_eq(p.n_used, 0);
	derp_pool_fini(&p);
}

TEST(steady_traffic_makes_no_new_blocks)
{
	struct derp_pool p = { .max = 1000, .keep = 64 };
	struct derp_queue q = { .n = 0 };

	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 64; i++)
			ck_assert(put(&q, &p, 1300));
		ck_assert_uint_eq(p.n_used + p.n_spare, 64);
		derp_queue_clear(&q, &p);
		ck_assert_uint_eq(p.n_used + p.n_spare, 64);
	}
	derp_pool_trim(&p);
	ck_assert_uint_eq(p.n_spare, 0);
}

TEST(control_bytes_never_go_into_a_frame_that_was_begun)
{
	struct derp_pool p = { .max = 10, .keep = 1 };
	struct derp_queue q = { .n = 0 };
	struct derp_writer w;
	uint8_t out[16];

	derp_writer_init(&w, 100);
	ck_assert(derp_queue_put(&q, &p, bytes_str("frame"), bytes_str("-one")));
	derp_writer_begin(&w, derp_queue_take(&q));
	ck_assert_uint_eq(derp_writer_pull(&w, &p, out, 3), 3);
	ck_assert(buf_append(&w.control, "CTL", 3));
	ck_assert_uint_eq(derp_writer_pull(&w, &p, out + 3, 8), 8);
	ck_assert_uint_eq(derp_writer_pull(&w, &p, out + 11, 5), 1);
	ck_bytes_eq(out, "frame-oneCTL", 12);
	derp_writer_fini(&w, &p);
	derp_pool_fini(&p);
}
