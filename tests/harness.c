/* harness.c - main of every test program: runs the registered tests under Check */
#include "harness.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { HARNESS_MAX = 512 };

static const TTest *tests[HARNESS_MAX];
static size_t n_tests;
static double seconds = 60;

/* Last assertions that held, one for each test in the order in which they run (Check runs one at a
 * time), in memory that outlives their processes. */
struct mark {
	const char *file;
	int line;
};
static struct marks {
	size_t n;
	struct mark v[HARNESS_MAX];
} * marks;
static struct mark before_any, *mark = &before_any;

void harness_mark(const char *file, int line)
{
	*mark = (struct mark){ file, line };
}

#if defined(__SANITIZE_ADDRESS__)
/* What was freed waits here until it is given out again: 16 MiB instead of 256, of which every
 * process would have to get each page from the kernel anew. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16";
}
#endif

void harness_add(const TTest *t)
{
	if (n_tests == HARNESS_MAX)
		abort();
	tests[n_tests++] = t;
}

void harness_timeout(double s)
{
	seconds = s;
}

void harness_skip(const char *why)
{
	printf("SKIP: %s\n", why);
	fflush(stdout);
	if (getenv("CI"))
		ck_abort_msg("skipped in CI: %s", why);
}

static uint64_t mix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15U);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

/* xoshiro256++ */
static void seed_fill(struct rng *rng, void *buf, size_t len)
{
	struct seed_rng *r = (struct seed_rng *)rng;
	uint8_t *p = buf;

	while (len > 0) {
		uint64_t v = rotl(r->s[0] + r->s[3], 23) + r->s[0], t = r->s[1] << 17;
		size_t n = len < sizeof v ? len : sizeof v;

		r->s[2] ^= r->s[0];
		r->s[3] ^= r->s[1];
		r->s[1] ^= r->s[2];
		r->s[0] ^= r->s[3];
		r->s[2] ^= t;
		r->s[3] = rotl(r->s[3], 45);
		memcpy(p, &v, n);
		p += n;
		len -= n;
	}
}

void seed_rng_init(struct seed_rng *r, uint64_t seed)
{
	r->rng.fill = seed_fill;
	for (size_t i = 0; i < 4; i++)
		r->s[i] = mix(&seed);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t harness_unhex(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;

	while (*hex) {
		if (*hex == ' ' || *hex == '\n') {
			hex++;
			continue;
		}
		ck_assert(nibble(hex[0]) >= 0 && nibble(hex[1]) >= 0 && n < cap);
		out[n++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
		hex += 2;
	}
	return n;
}

uint8_t *harness_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf = NULL;
	size_t n = 0, cap = 0, got;

	ck_assert_msg(f != NULL, "cannot open %s (tests run from the root of the tree)", path);
	do {
		cap = cap ? cap * 2 : 65536;
		buf = realloc(buf, cap + 1);
		ck_assert_ptr_nonnull(buf);
		got = fread(buf + n, 1, cap - n, f);
		n += got;
	} while (n == cap);
	fclose(f);
	buf[n] = 0;
	*len = n;
	return buf;
}

void harness_bytes_eq(const void *got, const void *want, size_t n, const char *file, int line)
{
	const uint8_t *g = got, *w = want;

	for (size_t i = 0; i < n; i++)
		if (g[i] != w[i])
			ck_abort_msg("%s:%d: byte %zu of %zu is %02x, wanted %02x", file, line, i,
				     n, g[i], w[i]);
}

/* in the test's process, before it */
static void mark_begin(void)
{
	mark = &marks->v[marks->n++];
}

/* Check names the place of an assertion that failed, but of a test that died only where it begins.
 */
static void marks_print(SRunner *sr)
{
	TestResult **r = srunner_results(sr);

	for (size_t i = 0; i < (size_t)srunner_ntests_run(sr); i++)
		if (tr_rtype(r[i]) == CK_ERROR && marks->v[i].file)
			printf("%s:%d: the last assertion that held in %s\n", marks->v[i].file,
			       marks->v[i].line, tests[i]->name);
	free(r);
}

int main(void)
{
	Suite *s = suite_create("tailpod");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

#if defined(__SANITIZE_ADDRESS__)
	seconds *= 4;
#endif
	tcase_set_timeout(tc, seconds);
	marks =
	    mmap(NULL, sizeof *marks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (marks == MAP_FAILED)
		abort();
	tcase_add_checked_fixture(tc, mark_begin, NULL);
	for (size_t i = 0; i < n_tests; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	marks_print(sr);
	srunner_free(sr);
	return failed != 0;
}
