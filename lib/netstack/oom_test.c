/* netstack/oom_test.c - each allocation of the stack fails in turn, once or for a while: nothing
 * crashes, nothing is lost for good, and what was taken goes back
 */
#include <errno.h>
#include <stdlib.h>

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)

/* The C library's own allocator under its other names; ours counts down and then refuses. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

static long fail_in = -1,
	    fail_for; /* allocations until some fail (below zero: none), how many do */
static long n_asked, n_live;
static int is_armed; /* the stack is at work, not the frame of the test */

static int refuse(void)
{
	if (!is_armed)
		return 0;
	n_asked++;
	if (fail_in < 0 || fail_in-- > 0)
		return 0;
	if (--fail_for > 0)
		fail_in = 0;
	return 1;
}

static void *count(void *p)
{
	n_live += p != NULL;
	return p;
}

static void *resize(void *p, size_t n)
{
	return p ? __libc_realloc(p, n) : count(__libc_malloc(n));
}

static void *link_malloc(size_t n)
{
	return count(__libc_malloc(n));
}

#define PAIR_MALLOC link_malloc
#define PAIR_REALLOC resize
#include "tests/netstack_pair.h"

void *malloc(size_t n)
{
	return refuse() ? NULL : count(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return refuse() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
	return refuse() ? NULL : resize(p, n);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (refuse() || __builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return resize(p, bytes);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	*p = count(__libc_memalign(align, n));
	return *p ? 0 : ENOMEM;
}

void free(void *p)
{
	n_live -= p != NULL;
	__libc_free(p);
}

enum { WANT = 600 << 10, DATAGRAM = 8000 };

/* A stream through loss, which the receiver keeps out of order, and a fragmented datagram each way
 * meanwhile. */
static void exchange(struct world *w)
{
	struct ipport from = { 0 }, to = { w->addr[1], PAIR_PORT };
	struct ipport at[2] = { { w->addr[0], 5000 }, { w->addr[1], 5000 } };
	static const uint8_t datagram[DATAGRAM];
	struct flow f = { .want = WANT };
	mono_t until = mono_add(w->now, SPAN_S(300));
	int ret;

	is_armed = true;
	for (int i = 0; i < 100; i++) { /* the user asks again, as a proxy's client would */
		ret = ns_tcp_connect(w->ns[0], w->now, &from, &to, &f.id[0]);
		if (ret != -ENOMEM)
			break;
	}
	(void)!ns_udp_send(w->ns[0], &at[0], &at[1], bytes_of(datagram, sizeof datagram));
	(void)!ns_udp_send(w->ns[1], &at[1], &at[0], bytes_of(datagram, sizeof datagram));
	drain(w, 0);
	drain(w, 1);
	while (!(f.ended[0] && f.ended[1]) && step(w, until))
		events(w, &f, 1);
	for (mono_t gone = mono_add(w->now, SPAN_S(200)); step(w, gone);) /* TIME-WAIT */
		events(w, &f, 1);
	is_armed = false;
	ck_assert_int_eq(ret, 0);
	ck_assert_uint_eq(f.read, WANT);
	ck_assert_int_eq(f.end[0], NS_END_DONE);
	ck_assert_int_eq(f.end[1], NS_END_DONE);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(w->ns[i]->pool.used, 0);
		ck_assert_uint_eq(w->ns[i]->table.n, 0);
	}
}

/* Returns how many allocations there were. */
static long run_failing(long at, long length)
{
	struct link lossy = wan20;
	struct world w;
	long live = n_live;

	lossy.loss = 100;
	world_init(&w, 1, &lossy, (struct netstack_conf){ 0 });
	n_asked = 0;
	fail_in = at;
	fail_for = length;
	exchange(&w);
	world_fini(&w);
	live = n_live - live;
	ck_assert_int_eq(live, 0);
	return n_asked;
}

TEST(oom_at_any_allocation_loses_nothing_for_good)
{
	long n = run_failing(-1, 0);

	ck_assert_int_gt(n, 20);
	for (long at = 0; at < n; at++)
		run_failing(at, 1);
	printf("figure: %ld allocations, each failed\n", n);
	fflush(stdout);
}

TEST(oom_for_a_while_loses_nothing_for_good)
{
	long n = run_failing(-1, 0);

	for (long at = 0; at < n; at++)
		run_failing(at, 6); /* fewer than a SYN is sent */
}

TEST(oom_at_the_start_is_told)
{
	struct seed_rng rng;
	struct netstack_conf conf = { .rng = &rng.rng, .mtu = 1280 };
	struct ip addr = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } };
	struct netstack *ns;
	int added;

	seed_rng_init(&rng, 1);
	fail_in = 0;
	fail_for = 1;
	is_armed = true;
	ns = netstack_new(&conf);
	is_armed = false;
	ck_assert_ptr_null(ns);
	ns = netstack_new(&conf);
	ck_assert_ptr_nonnull(ns);
	fail_in = 0;
	fail_for = 1;
	is_armed = true;
	added = netstack_addr_add(ns, &addr);
	is_armed = false;
	ck_assert_int_eq(added, -ENOMEM);
	ck_assert_int_eq(netstack_addr_add(ns, &addr), 0);
	netstack_free(ns);
}

#else

#include "netstack/netstack.h"
#include "tests/harness.h"

/* Allocations cannot be made to fail under this sanitizer: the plain build has the tests of this
 * file. Here it looks for what is not given back. */
TEST(oom_a_stack_of_its_own_gives_everything_back)
{
	struct seed_rng rng;
	struct netstack_conf conf = { .rng = &rng.rng, .mtu = 1280 };
	struct ip addr = ip_v4(100, 64, 0, 1);
	struct netstack *ns;

	seed_rng_init(&rng, 1);
	ns = netstack_new(&conf);
	ck_assert_ptr_nonnull(ns);
	ck_assert_int_eq(netstack_addr_add(ns, &addr), 0);
	ck_assert_int_eq(netstack_addr_add(ns, &addr), -EEXIST);
	netstack_free(ns);
}

#endif
