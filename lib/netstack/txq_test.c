/* netstack/txq_test.c - records of what was sent, against a slow model */
#include "netstack/txq.h"

#include "netstack/seq.h"
#include "tests/harness.h"

enum { N = 400, BASE = UINT32_MAX - 5000 /* across the wrap */ };

struct model {
	uint32_t seq, len;
	enum tx_where where;
	uint64_t
	    moved; /* order within the list of what is in flight; that of the lost is by sequence */
};

static struct txq t;
static struct pool p;
static struct model m[N];
static size_t first, n;
static uint64_t clock_now;

/* Lists hold exactly what the model says, in its order; so do the sums. An assert is a system call:
 * none for each record. */
static void check(void)
{
	uint32_t bytes[TX_LISTS + 1] = { 0 }, count[TX_LISTS + 1] = { 0 };
	bool same = true;

	ck_assert_uint_eq(t.tail - t.head, n - first);
	for (size_t i = first; i < n; i++) {
		const struct tx_seg *s = txq_at(&t, t.head + (uint32_t)(i - first));

		same = same && s->seq == m[i].seq && s->len == m[i].len && s->where == m[i].where;
		bytes[m[i].where] += m[i].len;
		count[m[i].where]++;
	}
	ck_assert(same);
	for (unsigned k = 0; k <= TX_LISTS; k++)
		ck_assert(t.bytes[k] == bytes[k] && t.n[k] == count[k]);
	for (unsigned k = 0; k < TX_LISTS; k++) {
		uint32_t seen = 0, before = TX_NONE;
		uint64_t moved = 0;

		for (uint32_t i = t.list[k].first; i != TX_NONE; i = txq_at(&t, i)->next) {
			const struct model *x = &m[first + (i - t.head)];

			uint64_t order = k == TX_LOST ? 1 + (uint64_t)(x - m) : x->moved;

			same =
			    same && x->where == k && order > moved && txq_at(&t, i)->prev == before;
			moved = order;
			before = i;
			seen++;
		}
		ck_assert(same);
		ck_assert_uint_eq(t.list[k].last, before);
		ck_assert_uint_eq(seen, count[k]);
	}
}

static void push(struct seed_rng *r)
{
	uint32_t seq = n > 0 ? m[n - 1].seq + m[n - 1].len : BASE,
		 len = 1 + (uint32_t)rng_below(&r->rng, 50);

	ck_assert_ptr_nonnull(txq_push(&t, &p, seq, len, 0));
	m[n++] = (struct model){ seq, len, TX_INFLIGHT, ++clock_now };
}

/* as after so many records without a moment in which there was none */
static void begin_at(uint32_t index)
{
	txq_init(&t);
	t.head = t.tail = index;
	chunkq_drop(&t.q, &p, (uint64_t)index * sizeof(struct tx_seg));
}

TEST(records_their_lists_and_sums_are_those_of_the_model)
{
	static const uint32_t begins[] = { 0, TX_INDEX_MAX - 100, TX_INDEX_MAX - 3, TX_NONE - 100 };
	struct seed_rng r;

	seed_rng_init(&r, 9);
	pool_init(&p, 1 << 20);
	for (int round = 0; round < 20; round++) {
		begin_at(begins[round % ARRAY_LEN(begins)]);
		first = n = 0;
		while (n < N) {
			uint64_t what = rng_below(&r.rng, 8);
			size_t i = first + rng_below(&r.rng, MAX_OF(n - first, 1));

			if (what < 4 || first == n) {
				push(&r);
			} else if (what < 6) {
				m[i].where = (enum tx_where)rng_below(&r.rng, TX_LISTS + 1);
				m[i].moved = ++clock_now;
				txq_move(&t, t.head + (uint32_t)(i - first), m[i].where);
			} else if (what == 6) {
				txq_pop(&t, &p);
				first++;
			} else if (m[first].len > 1) {
				txq_cut(&t, 1);
				m[first].seq++;
				m[first].len--;
			}
			check();
			if (first < n) {
				uint32_t at = txq_find(&t, m[i < n ? i : first].seq);

				ck_assert_uint_eq(at - t.head,
						  (i < n && i >= first ? i : first) - first);
			}
			if (first == n)
				first = n = 0; /* the queue counts from 0 again */
		}
		txq_clear(&t, &p);
		ck_assert_uint_eq(p.used, 0);
	}
	pool_fini(&p);
}

TEST(what_was_lost_goes_in_front_when_it_was_not)
{
	struct seed_rng r;

	seed_rng_init(&r, 2);
	pool_init(&p, 1 << 20);
	txq_init(&t);
	first = n = 0;
	for (int i = 0; i < 20; i++)
		push(&r);
	for (uint32_t i = 3; i < 9; i++) {
		m[i].where = TX_LOST;
		txq_move(&t, t.head + i, TX_LOST);
	}
	txq_unlose(&t);
	for (size_t i = 0; i < n; i++) {
		m[i].moved = i >= 3 && i < 9 ? i + 1 : 100 + i;
		m[i].where = TX_INFLIGHT;
	}
	check();
	txq_clear(&t, &p);
	pool_fini(&p);
}

TEST(split_makes_no_record_longer_than_asked_and_keeps_every_byte)
{
	struct seed_rng r;
	uint32_t at = BASE;

	seed_rng_init(&r, 2);
	pool_init(&p, 1 << 20);
	txq_init(&t);
	first = n = 0;
	for (int i = 0; i < 50; i++)
		push(&r);
	txq_move(&t, t.head + 7, TX_LOST);
	txq_move(&t, t.head + 9, TX_SACKED);
	ck_assert(txq_split(&t, &p, 8));
	for (uint32_t i = t.head; i != t.tail; i++) {
		ck_assert(txq_at(&t, i)->seq == at && txq_at(&t, i)->len <= 8);
		at = tx_end(txq_at(&t, i));
	}
	ck_assert_uint_eq(at, m[n - 1].seq + m[n - 1].len);
	ck_assert_uint_eq(t.bytes[TX_LOST], m[7].len);
	ck_assert_uint_eq(t.bytes[TX_SACKED], m[9].len);
	txq_clear(&t, &p);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}

TEST(without_memory_there_is_no_record_and_a_split_changes_nothing)
{
	size_t before;

	pool_init(&p, 40 << 10);
	txq_init(&t);
	while (txq_push(&t, &p, BASE + t.tail * 10, 10, 0))
		;
	before = t.tail;
	ck_assert_uint_gt(before, 0);
	ck_assert(!txq_split(&t, &p, 1));
	ck_assert_uint_eq(t.tail - t.head, before);
	ck_assert_uint_eq(t.bytes[TX_INFLIGHT], 10 * before);
	txq_clear(&t, &p);
	ck_assert_uint_eq(p.used, 0);
	pool_fini(&p);
}
