/* base/shares_test.c - shares of places: against a plain count, and what the rule leaves */
#include "base/shares.h"

#include "tests/harness.h"

TEST(shares_are_what_was_taken_less_what_was_given)
{
	enum { WHO = 300 };
	struct shares s = { .seed = 7 };
	size_t held[WHO] = { 0 }, all = 0;
	struct ip keys[WHO];
	struct seed_rng r;

	seed_rng_init(&r, 3);
	for (size_t k = 0; k < WHO; k++)
		keys[k] = ip_v4(100, 64, (uint8_t)(k >> 8), (uint8_t)k);
	ck_assert_uint_eq(shares_held(&s, &(struct ip){ 0 }), 0);
	for (int i = 0; i < 20000; i++) {
		const size_t k = (size_t)rng_below(&r.rng, WHO);
		const struct ip who = keys[k];

		ck_assert_uint_eq(shares_held(&s, &who), held[k]);
		if (held[k] > 0 && rng_below(&r.rng, 9) < (i < 12000 ? 3 : 7)) {
			shares_give(&s, &who);
			held[k]--;
			all--;
		} else if (i < 12000) {
			ck_assert(shares_take(&s, &who));
			held[k]++;
			all++;
		}
	}
	ck_assert_uint_gt(all, 0);
	for (size_t k = 0; k < WHO; k++)
		while (held[k]-- > 0)
			shares_give(&s, &keys[k]);
	ck_assert(s.n == 0 && !s.buckets);
	shares_fini(&s);
}

static size_t take_all(struct shares *s, uint8_t who, size_t max, size_t *used)
{
	const struct ip a = ip_v4(100, 64, 0, who);

	while (shares_allow(s, &a, max - *used)) {
		ck_assert(shares_take(s, &a));
		++*used;
	}
	return shares_held(s, &a);
}

TEST(who_takes_all_that_can_be_had_leaves_as_much)
{
	const struct ip first = ip_v4(100, 64, 0, 1);
	struct shares s = { .seed = 1 };
	size_t used = 0, alone;

	ck_assert_uint_eq(take_all(&s, 1, 1000, &used), 500);
	ck_assert_uint_eq(take_all(&s, 2, 1000, &used), 250);
	ck_assert_uint_eq(take_all(&s, 3, 1000, &used), 125);
	for (int i = 0; i < 500; i++) /* the first has to share: what it gives it gets no more */
		shares_give(&s, &first);
	used -= 500;
	alone = take_all(&s, 1, 1000, &used);
	ck_assert(alone > 300 && alone < 320);
	ck_assert_uint_ge(1000 - used + 1, alone);
	shares_fini(&s);
	used = 0;
	ck_assert_uint_eq(take_all(&s, 1, 1, &used), 1); /* a single place can be had */
	shares_fini(&s);
}
