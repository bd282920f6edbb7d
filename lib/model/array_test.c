/* model/array_test.c - arrays that double: what they hold stays, what cannot be had is refused */
#include "model/array.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/attr.h"
#include "tests/harness.h"

TEST(an_array_doubles_and_keeps_what_it_holds)
{
	uint32_t *v = NULL;
	size_t cap = 0;

	for (size_t n = 1; n <= 1000; n++) {
		const size_t before = cap;

		ck_assert(array_grow(&v, &cap, n, sizeof *v));
		ck_assert_uint_ge(cap, n);
		ck_assert(cap == before || cap == 2 * before || before == 0);
		v[n - 1] = (uint32_t)n;
	}
	for (size_t n = 1; n <= 1000; n++)
		ck_assert_uint_eq(v[n - 1], n);
	free(v);
}

TEST(room_that_is_there_is_not_asked_for_again)
{
	uint8_t *v = NULL, *before;
	size_t cap = 0;

	ck_assert(array_grow(&v, &cap, 0, 1)); /* nothing wanted, nothing taken */
	ck_assert_ptr_null(v);
	ck_assert(array_grow(&v, &cap, 100, 1));
	before = v;
	ck_assert(array_grow(&v, &cap, cap, 1));
	ck_assert_ptr_eq(v, before);
	free(v);
}

TEST(what_no_memory_could_hold_is_refused_and_all_is_as_it_was)
{
	static const size_t want[] = { SIZE_MAX, SIZE_MAX / 2 + 2 };
	uint64_t *v = NULL, *before;
	size_t cap = 0, cap_before;

	ck_assert(array_grow(&v, &cap, 3, sizeof *v));
	v[2] = 7;
	before = v;
	cap_before = cap;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		ck_assert(!array_grow(&v, &cap, want[i], sizeof *v));
		ck_assert_ptr_eq(v, before);
		ck_assert_uint_eq(cap, cap_before);
		ck_assert_uint_eq(v[2], 7);
	}
	free(v);
}
