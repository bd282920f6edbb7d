/* model/arena_test.c - pieces of one life: zeroed, aligned, apart; failures that are asked for once
 */
#include "model/arena.h"

#include "tests/harness.h"

static bool all_are(const uint8_t *piece, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (piece[i] != value)
			return false;
	return true;
}

TEST(pieces_of_any_size_are_zeroed_aligned_and_apart)
{
	static const size_t sizes[] = { 1, 7, 8, 9, 2047, 2048, 2049, 100000, 3, 1000, 0, 16 };
	uint8_t *piece[ARRAY_LEN(sizes) * 20];
	struct arena a = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(piece); i++) {
		const size_t n = sizes[i % ARRAY_LEN(sizes)];

		piece[i] = arena_alloc(&a, n);
		ck_assert_ptr_nonnull(piece[i]);
		ck_assert_uint_eq((uintptr_t)piece[i] % sizeof(void *), 0);
		ck_assert(all_are(piece[i], n, 0));
		memset(piece[i], (int)(i + 1) & 0xff, n);
	}
	for (size_t i = 0; i < ARRAY_LEN(piece); i++) /* nobody wrote into another's */
		ck_assert(all_are(piece[i], sizes[i % ARRAY_LEN(sizes)], (i + 1) & 0xff));
	ck_assert(!a.failed);
	arena_free(&a);
	ck_assert(a.head == NULL && a.bytes == 0);
	arena_free(&a);
}

TEST(many_small_pieces_cost_little_more_than_their_bytes)
{
	struct arena a = { 0 };

	for (int i = 0; i < 10000; i++)
		ck_assert_ptr_nonnull(arena_alloc(&a, 24));
	ck_assert_uint_lt(a.bytes, 10000 * 24 * 105 / 100);
	arena_free(&a);
}

TEST(strings_are_copied_and_end_with_a_nul)
{
	struct arena a = { 0 };
	char text[] = "borrowed";
	char *s = arena_str(&a, bytes_str(text)), *none = arena_str(&a, bytes_of(NULL, 0));

	text[0] = 'x';
	ck_assert_str_eq(s, "borrowed");
	ck_assert_str_eq(none, "");
	arena_free(&a);
}

#ifndef __SANITIZE_ADDRESS__ /* which ends the program when so much is asked for */
TEST(a_failed_allocation_is_remembered_and_harms_nothing_that_is_there)
{
	struct arena a = { 0 };
	char *s = arena_str(&a, bytes_str("kept"));

	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX / 2));
	ck_assert(a.failed);
	ck_assert_str_eq(s, "kept");
	ck_assert_ptr_nonnull(arena_alloc(&a, 8)); /* goes on, but who asks at the end is told */
	ck_assert(a.failed);
	arena_free(&a);
	ck_assert(!a.failed);
}
#endif
