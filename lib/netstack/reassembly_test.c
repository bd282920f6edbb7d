/* netstack/reassembly_test.c - datagrams in fragments, and what has arrived out of order */
#include "netstack/reassembly.h"

#include "tests/harness.h"

static struct reassembly r;
static struct pool p;
static uint8_t text[65536];
static const uint8_t *out;
static size_t len;
static const mono_t t0 = { NS_PER_S };

static void begin(size_t limit)
{
	r = (struct reassembly){ 0 };
	pool_init(&p, limit);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 31 >> 3);
}

static void end(void) /* nothing is left */
{
	reassembly_fini(&r, &p);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}

static uint8_t source = 1; /* of the fragments to come */

static enum reassembly_result add(mono_t t, uint32_t id, uint32_t off, uint32_t n, bool more)
{
	const struct fragment f = { .src = { { source } },
				    .dst = { { 2 } },
				    .id = id,
				    .proto = 17,
				    .more = more,
				    .off = off,
				    .len = n,
				    .data = text + off };

	return reassembly_add(&r, &p, t, &f, &out, &len);
}

TEST(fragments_in_any_order_make_the_datagram)
{
	struct seed_rng rng;

	begin(1 << 20);
	seed_rng_init(&rng, 1);
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t v[20], n = 1 + (uint32_t)rng_below(&rng.rng, 20);

		for (uint32_t i = 0; i < n; i++)
			v[i] = i;
		for (uint32_t i = n; i > 1; i--) {
			uint32_t k = (uint32_t)rng_below(&rng.rng, i), t = v[k];

			v[k] = v[i - 1];
			v[i - 1] = t;
		}
		for (uint32_t i = 0; i < n; i++) {
			bool last = v[i] == n - 1;

			ck_assert_int_eq(add(t0, round, v[i] * 1232, last ? 77 : 1232, !last),
					 i == n - 1 ? REASSEMBLY_DONE : REASSEMBLY_WAIT);
		}
		ck_assert_uint_eq(len, (n - 1) * 1232 + 77);
		ck_bytes_eq(out, text, len);
		ck_assert_uint_eq(p.used, 0);
	}
	end();
}

TEST(a_fragment_that_overlaps_spoils_its_datagram_and_a_duplicate_does_not)
{
	begin(1 << 20);
	ck_assert_int_eq(add(t0, 1, 0, 16, true), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(t0, 1, 0, 16, true), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(t0, 1, 8, 16, true), REASSEMBLY_REFUSED);
	ck_assert_int_eq(add(t0, 1, 16, 8, false), REASSEMBLY_REFUSED); /* RFC 5722 4 */
	ck_assert_int_eq(add(t0, 2, 0, 16, true), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(t0, 2, 16, 8, false), REASSEMBLY_DONE);
	end();
}

TEST(a_fragment_behind_the_end_or_a_second_end_spoils_its_datagram)
{
	begin(1 << 20);
	ck_assert_int_eq(add(t0, 1, 16, 8, false), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(t0, 1, 24, 8, true), REASSEMBLY_REFUSED);
	ck_assert_int_eq(add(t0, 2, 16, 8, false), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(t0, 2, 32, 8, false), REASSEMBLY_REFUSED);
	ck_assert_int_eq(add(t0, 3, 16, 8, true), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(t0, 3, 8, 4, false), REASSEMBLY_REFUSED);
	end();
}

TEST(fragments_of_impossible_shape_are_refused)
{
	begin(1 << 20);
	ck_assert_int_eq(add(t0, 1, 0, 0, true), REASSEMBLY_REFUSED);
	ck_assert_int_eq(add(t0, 1, 0, 7, true), REASSEMBLY_REFUSED);
	ck_assert_int_eq(add(t0, 1, 65528, 8, false), REASSEMBLY_REFUSED);
	ck_assert_uint_eq(r.n, 0);
	end();
}

TEST(one_datagram_more_than_the_limit_takes_the_place_of_the_oldest)
{
	begin(4 << 20);
	for (uint32_t i = 0; i < REASSEMBLY_MAX; i++)
		ck_assert_int_eq(add(mono_add(t0, SPAN_MS(i)), i, 0, 8, true), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(mono_add(t0, SPAN_S(1)), 99, 0, 8, true), REASSEMBLY_EVICTED);
	ck_assert_uint_eq(r.n, REASSEMBLY_MAX);
	ck_assert_int_eq(add(mono_add(t0, SPAN_S(1)), 1, 8, 8, false), REASSEMBLY_DONE);
	ck_assert_int_eq(add(mono_add(t0, SPAN_S(1)), 0, 8, 8, false), REASSEMBLY_WAIT);
	end();
}

TEST(what_is_not_complete_in_time_is_given_up_and_holds_nothing)
{
	begin(1 << 20);
	ck_assert(mono_is_never(reassembly_deadline(&r)));
	ck_assert_int_eq(add(t0, 1, 0, 8, true), REASSEMBLY_WAIT);
	ck_assert_int_eq(reassembly_deadline(&r).ns, t0.ns + REASSEMBLY_SECONDS * NS_PER_S);
	ck_assert_uint_eq(reassembly_tick(&r, &p, mono_add(t0, SPAN_S(REASSEMBLY_SECONDS - 1))), 0);
	ck_assert_uint_eq(reassembly_tick(&r, &p, mono_add(t0, SPAN_S(REASSEMBLY_SECONDS))), 1);
	ck_assert_uint_eq(p.used, 0);
	ck_assert(mono_is_never(reassembly_deadline(&r)));
	end();
}

TEST(without_memory_a_fragment_is_refused_and_nothing_is_held)
{
	begin(20 << 10); /* a chunk, and no list of stretches or the other way round */
	ck_assert_int_eq(add(t0, 1, 0, 1232, true), REASSEMBLY_WAIT);
	ck_assert_int_eq(add(t0, 2, 0, 1232, true), REASSEMBLY_REFUSED);
	ck_assert_uint_eq(r.n, 1);
	end();
}

/* --- ranges.h ----------------------------------------------------------------------------------
 */

TEST(ranges_are_those_of_a_bitmap_in_any_order)
{
	enum { N = 600 };
	struct seed_rng rng;
	struct ranges v = { 0 };
	const uint32_t base = UINT32_MAX - 200; /* across the wrap */

	pool_init(&p, 1 << 20);
	seed_rng_init(&rng, 3);
	for (int round = 0; round < 300; round++) {
		bool have[N + 1] = { false };

		for (int k = 0; k < 60; k++) {
			uint32_t a = (uint32_t)rng_below(&rng.rng, N),
				 b = a + 1 + (uint32_t)rng_below(&rng.rng, MIN_OF(20, N - a)),
				 n = 0;
			struct tcp_sack was;
			bool dup, all = true;

			for (uint32_t i = a; i < b; i++) {
				all = all && have[i];
				have[i] = true;
			}
			ck_assert(ranges_add(&v, &p, base + a, base + b, &was, &dup));
			ck_assert(dup == all);
			ck_assert(was.start - base <= a && was.end - base >= b);
			for (uint32_t i = 0; i < N; i++)
				n += have[i] && !have[i + 1];
			ck_assert_uint_eq(v.n, n);
			ck_assert(ranges_sack(&v, &was, 1) == 1 && was.start - base <= a &&
				  was.end - base >= b);
		}
		for (uint32_t i = 0, at = 0; i < N; i++) {
			if (have[i] && (i == 0 || !have[i - 1]))
				ck_assert_uint_eq(v.v[at].start, base + i);
			if (have[i] && !have[i + 1])
				ck_assert_uint_eq(v.v[at++].end, base + i + 1);
		}
		ranges_drop(&v, &p, base + N / 2);
		ck_assert(v.n == 0 || v.v[0].start - base >= N / 2);
		ranges_drop(&v, &p, base + N);
		ck_assert(v.n == 0 && p.used == 0);
	}
	pool_fini(&p);
}

TEST(ranges_refuse_one_more_than_their_limit_and_stay_as_they_were)
{
	struct ranges v = { 0 };
	struct tcp_sack was;
	bool dup;

	pool_init(&p, 1 << 20);
	for (uint32_t i = 0; i < RANGES_MAX; i++)
		ck_assert(ranges_add(&v, &p, 10 * i, 10 * i + 5, &was, &dup));
	ck_assert(!ranges_add(&v, &p, 10 * RANGES_MAX, 10 * RANGES_MAX + 5, &was, &dup));
	ck_assert_uint_eq(v.n, RANGES_MAX);
	ck_assert(ranges_add(&v, &p, 5, 10, &was, &dup)); /* joins two */
	ck_assert(v.n == RANGES_MAX - 1 && was.start == 0 && was.end == 15);
	ranges_clear(&v, &p);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}

/* Who sends first fragments all the time pushes out its own. */
TEST(a_source_that_fills_all_places_keeps_no_other_out)
{
	begin(1 << 20);
	source = 2;
	ck_assert_int_eq(add(t0, 1, 0, 16, true), REASSEMBLY_WAIT);
	for (uint32_t id = 0; id < 1000; id++) {
		source = 1;
		(void)add(mono_add(t0, SPAN_MS(1 + id)), id, 0, 16, true);
		if (id == 500) { /* one who comes when all is full */
			source = 3;
			ck_assert_int_eq(add(mono_add(t0, SPAN_MS(501)), 1, 0, 16, true),
					 REASSEMBLY_EVICTED);
		}
	}
	source = 3;
	ck_assert_int_eq(add(mono_add(t0, SPAN_MS(1002)), 1, 16, 8, false), REASSEMBLY_DONE);
	source = 2;
	ck_assert_int_eq(add(mono_add(t0, SPAN_MS(1003)), 1, 16, 8, false), REASSEMBLY_DONE);
	ck_assert_uint_eq(r.n, REASSEMBLY_MAX - 2);
	source = 1;
	end();
}
