/* kube/table_test.c - values by name, against a plain list; walks that delete */
#include "kube/table.h"

#include <stdlib.h>

#include "tests/harness.h"

enum { NAMES = 1000 };

static struct seed_rng seed;
static int values[NAMES];

static struct kube_table *fresh(void)
{
	struct kube_table *t;

	seed_rng_init(&seed, 3);
	t = kube_table_new(&seed.rng);
	ck_assert_ptr_nonnull(t);
	return t;
}

static const char *name_of(size_t i)
{
	static char name[32];

	snprintf(name, sizeof name, "ns/%zu", i);
	return name;
}

TEST(an_empty_table_has_nothing_to_give_and_nothing_to_walk)
{
	struct kube_table *t = fresh();
	struct kube_table_walk w = { 0 };

	ck_assert_ptr_null(kube_table_get(t, ""));
	ck_assert_ptr_null(kube_table_del(t, "a"));
	ck_assert(!kube_table_next(t, &w));
	ck_assert_uint_eq(kube_table_count(t), 0);
	kube_table_free(t);
	kube_table_free(NULL);
}

TEST(names_are_copied_and_a_second_value_replaces_the_first)
{
	struct kube_table *t = fresh();
	char name[] = "a";

	ck_assert(kube_table_put(t, name, &values[0]));
	name[0] = 'b';
	ck_assert_ptr_eq(kube_table_get(t, "a"), &values[0]);
	ck_assert_ptr_null(kube_table_get(t, "b"));
	ck_assert(kube_table_put(t, "a", &values[1]));
	ck_assert_uint_eq(kube_table_count(t), 1);
	ck_assert_ptr_eq(kube_table_del(t, "a"), &values[1]);
	ck_assert_ptr_null(kube_table_get(t, "a"));
	ck_assert(kube_table_put(t, "", &values[2])); /* a name like any other */
	ck_assert_ptr_eq(kube_table_get(t, ""), &values[2]);
	kube_table_free(t);
}

TEST(every_name_keeps_its_value_while_the_table_grows_and_shrinks)
{
	struct kube_table *t = fresh();
	bool there[NAMES] = { 0 };
	size_t n = 0;

	for (size_t turn = 0; turn < 20 * NAMES; turn++) {
		const size_t i = rng_below(&seed.rng, NAMES);

		if (rng_below(&seed.rng, 3) > 0) {
			ck_assert(kube_table_put(t, name_of(i), &values[i]));
			n += !there[i];
			there[i] = true;
		} else {
			ck_assert_ptr_eq(kube_table_del(t, name_of(i)),
					 there[i] ? &values[i] : NULL);
			n -= there[i];
			there[i] = false;
		}
		ck_assert_uint_eq(kube_table_count(t), n);
	}
	for (size_t i = 0; i < NAMES; i++)
		ck_assert_ptr_eq(kube_table_get(t, name_of(i)), there[i] ? &values[i] : NULL);
	kube_table_free(t);
}

TEST(a_walk_sees_each_entry_once_also_when_it_deletes_those_that_it_saw)
{
	struct kube_table *t = fresh();
	struct kube_table_walk w = { 0 }, again = { 0 };
	int seen[NAMES] = { 0 };

	for (size_t i = 0; i < NAMES; i++)
		ck_assert(kube_table_put(t, name_of(i), &values[i]));
	while (kube_table_next(t, &w)) {
		const size_t i = (size_t)((int *)w.value - values);

		ck_assert_str_eq(w.name, name_of(i));
		seen[i]++;
		if (i % 2)
			ck_assert_ptr_eq(kube_table_del(t, name_of(i)), &values[i]);
	}
	for (size_t i = 0; i < NAMES; i++)
		ck_assert_int_eq(seen[i], 1);
	ck_assert_uint_eq(kube_table_count(t), NAMES / 2);
	while (kube_table_next(t, &again))
		ck_assert_ptr_eq(kube_table_del(t, again.name), again.value);
	ck_assert_uint_eq(kube_table_count(t), 0);
	kube_table_free(t);
}
