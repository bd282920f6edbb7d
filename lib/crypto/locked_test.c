/* crypto/locked_test.c - slots come from locked pages, are wiped, and end at their limit; an AEAD
 * key lies nowhere else */
#include "crypto/locked.h"

#include <stdlib.h>

#include "crypto/aead.h"
#include "crypto/key.h"
#include "tests/harness.h"
#include "tests/secrets.h"

enum { MANY = LOCKED_SLABS_MAX * 56 };

TEST(slots_are_zeroed_apart_and_wiped_when_freed)
{
	uint8_t *v[100];

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i] = locked_new(LOCKED_SIZE);
		ck_assert(locked_is(v[i]) && locked_is(v[i] + LOCKED_SIZE - 1));
		ck_assert_uint_eq((uintptr_t)v[i] % 16, 0);
		for (size_t k = 0; k < LOCKED_SIZE; k++)
			ck_assert_uint_eq(v[i][k], 0);
		memset(v[i], (int)i + 1, LOCKED_SIZE);
	}
	ck_assert_uint_eq(locked_count(), ARRAY_LEN(v));
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		ck_assert(v[i][0] == i + 1 && v[i][LOCKED_SIZE - 1] == i + 1);
	locked_free(v[3], LOCKED_SIZE);
	ck_assert_uint_eq(v[3][0], 0); /* its page is still there: another slot is in use */
	ck_assert_uint_eq(v[3][LOCKED_SIZE - 1], 0);
	ck_assert_ptr_eq(locked_new(LOCKED_SIZE), v[3]);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		locked_free(v[i], LOCKED_SIZE);
	ck_assert_uint_eq(locked_count(), 0);
	ck_assert(!locked_is(v[0]));
	locked_free(NULL, 1);
}

TEST(beyond_the_limit_memory_comes_from_the_heap)
{
	uint8_t **v = calloc(MANY, sizeof *v), *more;
	size_t n = 0;

	while (n < MANY && locked_is(v[n] = locked_new(LOCKED_SIZE)))
		n++;
	ck_assert_uint_eq(n, 7 + (LOCKED_SLABS_MAX - 1) * 56);
	more = v[n];
	ck_assert_ptr_nonnull(more);
	ck_assert_uint_eq(more[31], 0);
	locked_free(more, LOCKED_SIZE);
	locked_free(v[100], LOCKED_SIZE);
	v[100] = locked_new(LOCKED_SIZE); /* room again */
	ck_assert(locked_is(v[100]));
	for (size_t i = 0; i < n; i++)
		locked_free(v[i], LOCKED_SIZE);
	ck_assert_uint_eq(locked_count(), 0);
	free(v);
}

TEST(small_slots_have_pages_and_a_limit_of_their_own)
{
	enum { N = 14 + (LOCKED_SLABS_MAX - 1) * 64 };
	uint8_t **v = calloc(N + 1, sizeof *v), *one = locked_new(LOCKED_SMALL + 1);
	size_t n = 0;

	while (n <= N && locked_is(v[n] = locked_new(n % 2 ? 1 : LOCKED_SMALL))) {
		memset(v[n], (int)n, n % 2 ? 1 : LOCKED_SMALL);
		n++;
	}
	ck_assert_uint_eq(n, N);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(v[i][0], (uint8_t)i); /* apart */
	ck_assert(locked_is(one) && !locked_is(v[n]));
	ck_assert_uint_eq(locked_count(), N + 1);
	locked_free(v[N], 1);
	locked_free(v[20], LOCKED_SMALL);
	ck_assert(v[20][0] == 0 && v[20][LOCKED_SMALL - 1] == 0);
	ck_assert_ptr_eq(locked_new(32), v[20]);
	for (size_t i = 0; i < N; i++)
		locked_free(v[i], 32);
	locked_free(one, LOCKED_SMALL + 1);
	ck_assert_uint_eq(locked_count(), 0);
	free(v);
}

#if !defined(__SANITIZE_ADDRESS__) /* which makes mlock do nothing, and memory endless */

TEST(a_key_made_ready_lies_in_locked_memory_only)
{
	uint8_t key[32], inverted[32], data[1400 + AEAD_TAG];
	struct aead_job job = { .data = data, .len = 1400, .counter = 1 };
	struct seed_rng rng;
	struct aead_key *k;
	size_t all;

	seed_rng_init(&rng, 7);
	rng_fill(&rng.rng, key, sizeof key);
	for (size_t i = 0; i < sizeof key; i++)
		inverted[i] = (uint8_t)~key[i];
	k = aead_key_new(key);
	ck_assert(locked_is(k));
	ck_assert_uint_ge(secrets_search(inverted, &all), 1); /* ours on the stack */
	secret_wipe(key, sizeof key);
	aead_seal_batch(k, &job, 1); /* large: OpenSSL */
	job.len = 1400 + AEAD_TAG;
	aead_open_batch(k, &job, 1);
	ck_assert(job.ok);
	ck_assert_uint_eq(secrets_search(inverted, &all), 0);
	ck_assert_uint_ge(all, 1);
	aead_key_free(k);
	ck_assert_uint_eq(locked_count(), 0);
	secrets_search(inverted, &all);
	ck_assert_uint_eq(all, 0);
}

#endif
