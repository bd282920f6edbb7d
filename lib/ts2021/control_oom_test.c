/* ts2021/control_oom_test.c - each allocation of the client fails once: it says so, drops nothing
 * by half, and recovers */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "ts2021/control.h"

#include "tests/harness.h"

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)

static bool armed;
static long countdown; /* the allocation that fails; 0: none */
static bool failed;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool fails(void)
{
	if (!armed || countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	return true;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

/* OpenSSL's own allocations are not failed: lib/crypto takes a hash without memory for the end of
 * the program. */
static void *ssl_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return __libc_malloc(n);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return __libc_realloc(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

__attribute__((constructor)) static void spare_openssl(void)
{
	if (!CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free))
		abort();
}

/* Only what the client itself allocates may fail: the calls of the world's code into it are fenced.
 */
#define FENCED(call)                                                                               \
	({                                                                                         \
		armed = true;                                                                      \
		__typeof__(call) r_ = call;                                                        \
		armed = false;                                                                     \
		r_;                                                                                \
	})
#define FENCED_VOID(call)                                                                          \
	do {                                                                                       \
		armed = true;                                                                      \
		call;                                                                              \
		armed = false;                                                                     \
	} while (0)
#define control_next(c, ev) FENCED(control_next(c, ev))
#define control_pull(c, now, conn, buf, cap) FENCED(control_pull(c, now, conn, buf, cap))
#define control_feed(c, now, wall, conn, in) FENCED_VOID(control_feed(c, now, wall, conn, in))
#define control_opened(c, now, conn) FENCED_VOID(control_opened(c, now, conn))
#define control_tick(c, now, wall) FENCED_VOID(control_tick(c, now, wall))
#define control_closed(c, now, conn, why) FENCED_VOID(control_closed(c, now, conn, why))

#include "tests/ts2021_world.h"

TEST(each_failed_allocation_is_survived_and_the_client_streams)
{
	long n = 0;

	do {
		struct world w;
		struct control_conf conf;

		world_init(&w, 7);
		conf = world_conf(&w);
		world_client(&w, &conf);
		ck_assert_int_eq(control_set_auth_key(w.c, "hskey-auth-a-b"), 0);
		failed = false;
		countdown = ++n;
		control_start(w.c, w.now, w.wall);
		world_pass(&w, SPAN_S(150));
		countdown = 0;
		ck_assert_msg(w.frames > 0, "allocation %ld", n);
		ck_assert_uint_ge(w.seen[CONTROL_REGISTERED], 1);
		ck_assert_uint_eq(w.seen[CONTROL_MAP_BEGIN],
				  w.seen[CONTROL_MAP_END] + w.seen[CONTROL_MAP_ABORT]);
		world_send_map(&w, "{\"PeersRemoved\":[9]}");
		world_run(&w);
		ck_assert_msg(strcmp(w.last_map, "{\"PeersRemoved\":[9]}") == 0, "allocation %ld",
			      n);
		world_fini(&w);
		ck_assert_int_lt(n, 5000);
	} while (failed);
	ck_assert_int_gt(n, 50);
	printf("%ld allocations failed in turn\n", n - 1);
}

TEST(no_memory_for_a_client_is_said)
{
	struct world w;
	struct control_conf conf;
	struct err e;
	struct control *c;

	world_init(&w, 8);
	conf = world_conf(&w);
	for (long n = 1;; n++) {
		e = (struct err){ 0 };
		countdown = n;
		failed = false;
		armed = true;
		c = control_new(&conf, &e);
		armed = false;
		countdown = 0;
		control_free(c);
		if (!failed)
			break;
		ck_assert_ptr_null(c);
		ck_assert_int_eq(e.code, ENOMEM);
	}
	world_fini(&w);
}

#else

TEST(allocations_cannot_be_made_to_fail_under_this_sanitizer)
{
	struct err e;
	struct control_conf conf = { .url = "" };

	ck_assert_ptr_null(control_new(&conf, &e)); /* the plain build has the tests of this file */
}

#endif
