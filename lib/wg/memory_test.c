/* wg/memory_test.c - the packet path allocates nothing; any allocation may fail */
#include "tests/wg_pair.h"

/* sanitizers bring their own allocator, so not under them */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 1
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern char __executable_start, etext;
static unsigned long allocations; /* of everybody below wg */
static unsigned long ours,
    fail_at; /* of our code; fail_at: that one and all later ones fail; 0: none */

/* The crypto library's own small contexts are counted but never refused: crypto/blake2s.c says why.
 */
static bool is_ours(const char *caller)
{
	return caller >= &__executable_start && caller < &etext;
}

static bool refuse_for(const char *caller)
{
	if (!in_wg)
		return false;
	allocations++;
	return is_ours(caller) && ++ours >= fail_at && fail_at != 0;
}
#define refuse() refuse_for(__builtin_return_address(0))

void *malloc(size_t n)
{
	return refuse() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
	return refuse() ? NULL : __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
	return refuse() ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t m)
{
	size_t all;

	return __builtin_mul_overflow(n, m, &all) || refuse() ? NULL : __libc_realloc(p, all);
}
#endif

/* --- memory
 * ---------------------------------------------------------------------------------------------------
 */

#ifdef OWN_MALLOC
TEST(the_transport_path_allocates_nothing)
{
	struct net *t = net_new(60);
	static uint8_t mem[BURST_MAX][PKT_SLOT];
	struct ip src = node_ip(A), dst = node_ip(B);
	struct ipport from = source(A);
	unsigned long before;
	int keepalives = 0;

	say(t, A);
	run_for(t, SPAN_S(1));
	before = allocations;
	for (int round = 0; round < 100; round++) {
		struct pkt v[BURST_MAX];
		struct wg_plain out[BURST_MAX];
		struct wg_out extra;

		for (size_t i = 0; i < BURST_MAX; i++) {
			v[i] = (struct pkt){ mem[i] + PKT_HEAD, 0, PKT_HEAD, PKT_SLOT - PKT_HEAD };
			inner_v4(&v[i], &src, &dst, i % 2 ? 1280 : 40);
			v[i].tail = PKT_TAIL;
		}
		t->now = mono_add(t->now, SPAN_MS(200));
		ck_assert_uint_eq(IN_WG(wg_seal(t->wg[A], t->now, wall(t), 3, v, BURST_MAX)),
				  BURST_MAX);
		ck_assert_uint_eq(
		    IN_WG(wg_feed(t->wg[B], t->now, wall(t), &from, v, BURST_MAX, out)), BURST_MAX);
		for (int i = 0; i < NODES; i++) {
			wg_tick(t->wg[i], t->now, wall(t));
			while (IN_WG(wg_pull(t->wg[i], t->now, wall(t), &extra))) {
				ck_assert_uint_eq(extra.v[0].len,
						  MSG_DATA_MIN); /* keepalives of B */
				ck_assert_uint_eq(
				    wg_feed(t->wg[A], t->now, wall(t), &from, extra.v, 1, out), 0);
				keepalives++;
			}
		}
	}
	ck_assert_uint_eq(allocations, before);
	ck_assert_int_ge(keepalives, 1);
	net_free(t);
}

TEST(any_allocation_of_ours_may_fail_and_the_next_try_succeeds)
{
	struct net *t = net_new(61);
	unsigned long last = 0;
	int failures = 0;

	for (unsigned long k = 1; k < 40; k++) {
		unsigned long base;

		for (int i = 0; i < NODES; i++) {
			wg_free(t->wg[i]);
			node_start(t, i);
		}
		t->n = 0;
		run_for(t, SPAN_S(1)); /* timestamps rise */
		base = ours;
		fail_at = base + k;
		say(t, A);
		run_for(t, SPAN_MS(200));
		failures += ours >= fail_at;
		last = ours - base;
		fail_at = 0;
		say(t, A);
		run_for(t, SPAN_S(12));
		say(t, A);
		run_for(t, SPAN_S(1));
		ck_assert_msg(t->seen[B][t->next_seq[A] - 1] == 1, "allocation %lu", k);
	}
	ck_assert_int_ge(failures, 7); /* keys are not of the heap */
	ck_assert_uint_lt(last, 40); /* all of them were tried */
	net_free(t);
}
#endif
