/* harness.h - every *_test.c: TEST(sentence) { ... }, run by Check in fork mode, one process a test
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

/* a test registers itself; its name is the sentence it proves */
#define TEST(name)                                                                                 \
	static void name##_fn(int);                                                                \
	static const TTest name##_ttest = { "" #name, name##_fn, __FILE__, __LINE__ };             \
	__attribute__((constructor)) static void name##_register(void)                             \
	{                                                                                          \
		harness_add(&name##_ttest);                                                        \
	}                                                                                          \
	static void name##_fn(int _i CK_ATTRIBUTE_UNUSED)

void harness_add(const TTest *t);

/* Where the test made its last assertion that held. Check itself writes each of them to a file and
 * reads them all: that was a third of what the sanitized tests cost. */
void harness_mark(const char *file, int line);
#define _mark_point harness_mark /* which every ck_assert of check.h calls */

/* Seconds that each test of this program may take (default 60, times 4 under sanitizers: bounds of
 * waits on a busy machine, not of work); call from a constructor. */
void harness_timeout(double seconds);

/* Figures over long virtual time are the plain build's; under sanitizers a part of such a run does.
 */
#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* A test that cannot run here says so loudly and returns; in CI it fails instead. */
void harness_skip(const char *why);
#define SKIP(why)                                                                                  \
	do {                                                                                       \
		harness_skip(why);                                                                 \
		return;                                                                            \
	} while (0)

/* Deterministic random numbers for tests and simulations: same seed, same bytes. Not for keys. */
struct seed_rng {
	struct rng rng;
	uint64_t s[4];
};
void seed_rng_init(struct seed_rng *r, uint64_t seed);

/* hex text to bytes, for vectors; fails the test on bad text; returns the count */
size_t harness_unhex(const char *hex, uint8_t *out, size_t cap);
/* whole file under the source tree's root; fails the test when missing; NUL-terminated; free() it
 */
uint8_t *harness_file(const char *path, size_t *len);

#define ck_bytes_eq(got, want, n) harness_bytes_eq((got), (want), (n), __FILE__, __LINE__)
void harness_bytes_eq(const void *got, const void *want, size_t n, const char *file, int line);

#endif
