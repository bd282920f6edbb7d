/* netstack/chunkq_test.c - chunks against a flat model, at the limits of directory and budget */
#include "netstack/chunkq.h"

#include <stdlib.h>

#include "base/attr.h"
#include "tests/harness.h"

enum { SPACE = 8 << 20 };

static uint8_t *line; /* what must lie at each offset */

static void write_both(struct chunkq *q, uint64_t off, size_t len, struct rng *rng)
{
	uint8_t *b = malloc(len);

	rng_fill(rng, b, len);
	memcpy(line + off, b, len);
	chunkq_write(q, off, b, len);
	free(b);
}

static bool same(const struct chunkq *q, uint64_t off, size_t len)
{
	uint8_t *b = malloc(len);
	bool ok;

	chunkq_read(q, off, b, len);
	ok = memcmp(b, line + off, len) == 0;
	free(b);
	return ok;
}

TEST(chunkq_keeps_every_byte_between_head_and_end)
{
	struct seed_rng r;
	struct pool p;
	struct chunkq q;
	uint64_t end = 0;

	seed_rng_init(&r, 1);
	line = malloc(SPACE);
	pool_init(&p, SPACE);
	chunkq_init(&q);
	while (end < SPACE - 300000) {
		size_t n = 1 + (size_t)rng_below(&r.rng, 100000);

		if (rng_below(&r.rng, 3) > 0 && end - q.head < 2000000) {
			ck_assert(chunkq_need(&q, &p, end, n));
			ck_assert(chunkq_has(&q, end, n));
			write_both(&q, end, n, &r.rng);
			end += n;
		} else if (end > q.head) {
			chunkq_drop(&q, &p, q.head + rng_below(&r.rng, end - q.head + 1));
		}
		ck_assert_uint_eq(p.used, chunkq_memory(&q));
		if (end > q.head) {
			uint64_t at = q.head + rng_below(&r.rng, end - q.head);

			ck_assert(same(&q, at, (size_t)MIN_OF(end - at, (uint64_t)50000)));
		}
	}
	ck_assert(same(&q, q.head, (size_t)(end - q.head)));
	chunkq_clear(&q, &p);
	ck_assert_uint_eq(p.used, 0);
	ck_assert_uint_gt(q.head, 0); /* it stays */
	pool_fini(&p);
	free(line);
}

TEST(chunkq_has_chunks_only_where_somebody_asked)
{
	struct pool p;
	struct chunkq q;

	pool_init(&p, 1 << 20);
	chunkq_init(&q);
	ck_assert(!chunkq_has(&q, 0, 1));
	ck_assert(chunkq_need(&q, &p, 0, 0)); /* nothing is nothing */
	ck_assert_uint_eq(chunkq_memory(&q), 0);
	ck_assert(chunkq_need(&q, &p, 3 * CHUNK_LEN + 5, 10));
	ck_assert_uint_eq(q.n_chunks, 1);
	ck_assert(chunkq_has(&q, 3 * CHUNK_LEN, CHUNK_LEN));
	ck_assert(!chunkq_has(&q, 3 * CHUNK_LEN, CHUNK_LEN + 1));
	ck_assert(!chunkq_has(&q, 0, 1));
	ck_assert(chunkq_need(&q, &p, CHUNK_LEN - 1, 2)); /* across a border */
	ck_assert_uint_eq(q.n_chunks, 3);

	chunkq_cut(&q, &p, CHUNK_LEN + 1); /* the chunk that the cut goes through stays */
	ck_assert(chunkq_has(&q, 0, 2 * CHUNK_LEN) && !chunkq_has(&q, 3 * CHUNK_LEN, 1));
	chunkq_cut(&q, &p, CHUNK_LEN);
	ck_assert(chunkq_has(&q, 0, CHUNK_LEN) && !chunkq_has(&q, CHUNK_LEN, 1));
	ck_assert_uint_eq(q.n_chunks, 1);
	chunkq_drop(&q, &p, 100 * (uint64_t)CHUNK_LEN); /* far beyond all of it */
	ck_assert_uint_eq(q.n_chunks, 0);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}

TEST(chunkq_at_the_end_of_its_budget_keeps_what_it_has)
{
	struct seed_rng r;
	struct pool p;
	struct chunkq q;
	size_t n = 0;

	seed_rng_init(&r, 2);
	line = malloc(SPACE);
	pool_init(&p, 10 * CHUNK_LEN + 1024);
	chunkq_init(&q);
	while (chunkq_need(&q, &p, n, CHUNK_LEN)) {
		write_both(&q, n, CHUNK_LEN, &r.rng);
		n += CHUNK_LEN;
	}
	ck_assert_uint_eq(n, 10 * CHUNK_LEN);
	ck_assert(same(&q, 0, n));
	chunkq_drop(&q, &p, CHUNK_LEN);
	ck_assert(chunkq_need(&q, &p, n, 1));
	ck_assert(same(&q, CHUNK_LEN, n - CHUNK_LEN));
	chunkq_clear(&q, &p);
	pool_fini(&p);
	free(line);
}

TEST(chunkq_refuses_a_stretch_that_no_directory_names)
{
	struct pool p;
	struct chunkq q;

	pool_init(&p, 64 << 20);
	chunkq_init(&q);
	ck_assert(chunkq_need(&q, &p, (UINT64_C(32) << 20) - 1, 1));
	ck_assert(!chunkq_need(&q, &p, UINT64_C(32) << 20, 1));
	chunkq_drop(&q, &p, CHUNK_LEN); /* the line goes on as its head does */
	ck_assert(chunkq_need(&q, &p, UINT64_C(32) << 20, 1));
	chunkq_clear(&q, &p);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}
