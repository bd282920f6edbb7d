/* netstack/dgramq_test.c - a line of records against a model, at its limits */
#include "netstack/dgramq.h"

#include "base/attr.h"
#include "tests/harness.h"

enum { N = 4096 };

/* what a record of n bytes takes */
static size_t takes(size_t n)
{
	return (sizeof(struct dgram) + n + 7) / 8 * 8;
}

static uint8_t byte_of(uint32_t record, size_t i)
{
	return (uint8_t)(record * 31 + i);
}

static bool is_record(const struct dgram *d, uint32_t record, uint32_t len)
{
	bool same = d->len == len && d->a == (uint16_t)record && d->kind == (uint8_t)record;

	for (size_t i = 0; i < d->len; i++)
		same = same && d->data[i] == byte_of(record, i);
	return same;
}

TEST(dgramq_gives_records_whole_and_in_order)
{
	static uint32_t len[N];
	struct seed_rng r;
	struct pool p;
	struct dgramq q;
	uint32_t first = 0, last = 0;

	seed_rng_init(&r, 1);
	pool_init(&p, 4 << 20);
	dgramq_init(&q, 1 << 20);
	while (first < N) {
		const struct dgram *seen = dgramq_peek(&q);

		ck_assert_int_eq(seen != NULL, first < last);
		ck_assert(!seen || is_record(seen, first, len[first]));
		if (last < N && rng_below(&r.rng, 2) == 0) {
			/* now and then one that no block holds, and an empty one */
			uint64_t kind = rng_below(&r.rng, 20);
			uint32_t n = kind == 0   ? 20000 + (uint32_t)rng_below(&r.rng, 40000)
				     : kind == 1 ? 0
						 : (uint32_t)rng_below(&r.rng, 1500);
			struct dgram *d = dgramq_add(&q, &p, n);

			if (!d) {
				ck_assert_uint_gt(q.bytes + takes(n), q.max);
				continue;
			}
			len[last] = n;
			d->a = (uint16_t)last;
			d->kind = (uint8_t)last;
			for (size_t i = 0; i < n; i++)
				d->data[i] = byte_of(last, i);
			last++;
		} else if (first < last) {
			const struct dgram *d = dgramq_take(&q, &p);

			ck_assert_ptr_nonnull(d);
			ck_assert(is_record(d, first, len[first]));
			first++;
		} else {
			ck_assert_ptr_null(dgramq_take(&q, &p));
			ck_assert_uint_eq(p.used, 0);
		}
	}
	ck_assert_ptr_null(dgramq_take(&q, &p));
	ck_assert(q.bytes == 0 && p.used == 0);
	dgramq_fini(&q, &p);
	pool_fini(&p);
}

TEST(dgramq_holds_its_bytes_and_not_one_more)
{
	struct pool p;
	struct dgramq q;

	pool_init(&p, 1 << 20);
	dgramq_init(&q, takes(600) + takes(400));
	ck_assert_ptr_null(dgramq_add(&q, &p, q.max));
	ck_assert_ptr_nonnull(dgramq_add(&q, &p, 600));
	ck_assert_ptr_null(dgramq_add(&q, &p, 408));
	ck_assert_ptr_nonnull(dgramq_add(&q, &p, 400));
	ck_assert_ptr_null(dgramq_add(&q, &p, 0));
	ck_assert_uint_eq(dgramq_take(&q, &p)->len, 600);
	ck_assert_ptr_nonnull(dgramq_add(&q, &p, 600)); /* the taken one counts no more */
	dgramq_fini(&q, &p);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}

TEST(dgramq_of_empty_records_is_full_too)
{
	struct pool p;
	struct dgramq q;

	pool_init(&p, 4 << 20);
	dgramq_init(&q, 64 << 10);
	for (size_t n = 0; dgramq_add(&q, &p, 0); n++)
		ck_assert_uint_le(n, q.max / sizeof(struct dgram));
	ck_assert_uint_le(p.used, q.max + 2 * pool_bytes(POOL_16K));
	dgramq_fini(&q, &p);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}

TEST(dgramq_without_memory_says_so_and_goes_on)
{
	struct pool p;
	struct dgramq q;
	void *all;

	pool_init(&p, 16 << 10);
	dgramq_init(&q, 1 << 20);
	ck_assert_ptr_null(dgramq_add(&q, &p, 30000)); /* more than the whole budget */
	all = pool_get(&p, POOL_16K);
	ck_assert_ptr_nonnull(all);
	ck_assert_ptr_null(dgramq_add(&q, &p, 1));
	ck_assert_ptr_null(dgramq_peek(&q));
	pool_put(&p, POOL_16K, all);
	ck_assert_ptr_nonnull(dgramq_add(&q, &p, 1));
	ck_assert_uint_eq(dgramq_take(&q, &p)->len, 1);
	dgramq_fini(&q, &p);
	pool_fini(&p);
}
