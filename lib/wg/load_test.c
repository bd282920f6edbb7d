/* wg/load_test.c - floods of initiations, cookies, limits, memory that runs out */
#include "tests/wg_pair.h"

/* sanitizers bring their own allocator, so not under them */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 1
#include <openssl/crypto.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
static unsigned long allocations; /* of everybody below wg */
static unsigned long ours,        /* but for those of OpenSSL */
    fail_at;                      /* of ours: that one and all later ones fail; 0: none */

static bool refuse(void)
{
	if (!in_wg)
		return false;
	allocations++;
	return ++ours >= fail_at && fail_at != 0;
}

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

/* The crypto library's own small contexts are counted but never refused: crypto/blake2s.c says why.
 * They come through functions of ours, before lib/crypto gives OpenSSL its own: who called malloc
 * is not to be seen from its return address, which depends on how the compiler ends a function. */
static void *ssl_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations += in_wg;
	return __libc_malloc(n);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations += in_wg;
	return __libc_realloc(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

__attribute__((constructor(101))) static void own_ssl(void)
{
	if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1)
		abort();
}
#endif

/* --- load --- */

static void flood(struct net *t, int n) /* from many strangers' addresses, with a right mac1 */
{
	static uint8_t mem[PKT_SLOT];
	struct identity it;
	struct cookie none = { .valid = false };
	struct wg_plain out[1];
	struct wg_out drained;
	uint8_t msg[MSG_INIT_LEN];

	wg_identity_init(&it, &t->key[B]);
	for (int i = 0; i < n; i++) {
		struct pkt p = { mem + PKT_HEAD, sizeof msg, PKT_HEAD, PKT_TAIL };
		struct ipport from = { ip_v4(203, 0, (uint8_t)rng_u32(&t->rng.rng), (uint8_t)i),
				       (uint16_t)i };

		rng_fill(&t->rng.rng, msg, sizeof msg);
		le32_put(msg, MSG_INIT);
		wg_macs_put(msg, INIT_MACS, it.mac1_key, &none, t->now);
		memcpy(p.data, msg, sizeof msg);
		ck_assert_uint_eq(wg_feed(t->wg[B], t->now, wall(t), &from, &p, 1, out), 0);
	}
	while (wg_pull(t->wg[B], t->now, wall(t),
		       &drained)) /* cookies to strangers; the rest goes to A */
		if (drained.peer != WG_NO_PEER)
			fly(t, B, &drained.v[0]);
		else if (ip_is_private(&drained.to.ip) || drained.to.ip.b[12] == 192)
			fly(t, B, &drained.v[0]);
}

TEST(a_flood_of_initiations_leaves_a_legitimate_peer_connected_within_ten_seconds)
{
	struct net *t = net_new(40);
	const uint64_t *d = wg_drops(t->wg[B]);

	flood(t, 300);
	ck_assert_uint_le(d[WG_DROP_FORGED], LOAD_LEVEL); /* work done for strangers */
	ck_assert_uint_ge(d[WG_DROP_MAC2], 300 - LOAD_LEVEL);
	say(t, A);
	for (int ms = 0; ms < 10000; ms += 10) {
		struct datagram *own = NULL;

		flood(t, 30); /* 3000 a second */
		for (size_t i = 0; i < t->n; i++)
			if (t->flight[i].to == B && mono_due(t->flight[i].at, t->now))
				own = &t->flight[i];
		if (own) { /* deliver without draining B: flood() does, and tells cookies apart */
			struct datagram one = *own;

			*own = t->flight[--t->n];
			if (feed_raw(t, B, one.b, one.len) == 1)
				t->seen[B][0]++;
			flood(t, 0);
		}
		for (size_t i = 0; i < t->n;)
			if (t->flight[i].to == A && mono_due(t->flight[i].at, t->now)) {
				struct datagram one = t->flight[i];

				t->flight[i] = t->flight[--t->n];
				arrive(t, &one);
			} else {
				i++;
			}
		t->now = mono_add(t->now, SPAN_MS(10));
		wg_tick(t->wg[A], t->now, wall(t));
		drain(t, A);
		wg_tick(t->wg[B], t->now, wall(t));
	}
	ck_assert(has_session(t, A));
	ck_assert_uint_eq(t->seen[B][0], 1);
	ck_assert_uint_ge(t->sent_type[B][MSG_COOKIE], 1); /* it was under load */
	ck_assert_uint_le(d[WG_DROP_FORGED], 2 * LOAD_LEVEL);
	net_free(t);
}

TEST(under_load_a_source_gets_five_at_once_and_twenty_a_second)
{
	struct seed_rng rng;
	struct cookie_guard g;
	struct ip a = ip_v4(1, 2, 3, 4), b = ip_v4(1, 2, 3, 5);
	struct ip v6 = { { 0x20, 1, 0xd, 0xb8 } }, same = v6;
	mono_t now = { 5 };
	bool no_memory;
	int n = 0;

	seed_rng_init(&rng, 1);
	wg_cookie_guard_init(&g, &rng.rng);
	for (int i = 0; i < 10; i++)
		n += wg_cookie_rate_allows(&g, now, &a, &no_memory);
	ck_assert_int_eq(n, RATE_BURST);
	ck_assert(wg_cookie_rate_allows(&g, now, &b, &no_memory));
	for (n = 0; now.ns < 10 * NS_PER_S; now = mono_add(now, SPAN_MS(1)))
		n += wg_cookie_rate_allows(&g, now, &a, &no_memory);
	ck_assert_int_ge(n, 10 * RATE_PER_S - 1);
	ck_assert_int_le(n, 10 * RATE_PER_S + 1);
	for (int i = 0; i < RATE_BURST; i++) {
		same.b[15] = (uint8_t)i; /* one /64 is one source */
		ck_assert(wg_cookie_rate_allows(&g, now, &same, &no_memory));
	}
	ck_assert(!wg_cookie_rate_allows(&g, now, &v6, &no_memory));
	wg_cookie_guard_fini(&g);
}

TEST(load_begins_at_its_limit_and_ends_a_second_after_the_last_excess)
{
	struct seed_rng rng;
	struct cookie_guard g;
	mono_t now = { 5 };

	seed_rng_init(&rng, 1);
	wg_cookie_guard_init(&g, &rng.rng);
	for (int i = 1; i < LOAD_LEVEL; i++)
		ck_assert(!wg_cookie_note_load(&g, now));
	ck_assert(wg_cookie_note_load(&g, now));
	now = mono_add(now, SPAN_MS(LOAD_STICKY_MS - 1));
	ck_assert(wg_cookie_under_load(&g, now));
	now = mono_add(now, SPAN_MS(1));
	ck_assert(!wg_cookie_under_load(&g, now));
	wg_cookie_guard_fini(&g);
}

TEST(a_cookie_serves_its_address_and_port_for_two_minutes)
{
	struct seed_rng rng;
	struct cookie_guard g;
	struct cookie c = { .valid = false };
	struct ipport from = source(A), moved = from;
	uint8_t key[32] = { 1 }, mac1_key[32] = { 2 }, msg[MSG_INIT_LEN] = { 1 },
		reply[MSG_COOKIE_LEN];
	mono_t now = { 5 };

	seed_rng_init(&rng, 1);
	wg_cookie_guard_init(&g, &rng.rng);
	wg_macs_put(msg, INIT_MACS, mac1_key, &c, now);
	ck_assert(!wg_mac2_check(&g, now, &rng.rng, &from, msg, INIT_MACS));
	wg_cookie_emit(&g, now, &rng.rng, &from, key, 9, msg + INIT_MACS, reply);
	reply[40] ^= 1;
	ck_assert(!wg_cookie_read(&c, now, key, msg + INIT_MACS, reply));
	reply[40] ^= 1;
	ck_assert(wg_cookie_read(&c, now, key, msg + INIT_MACS, reply));
	msg[20] = 7; /* the next message */
	wg_macs_put(msg, INIT_MACS, mac1_key, &c, now);
	ck_assert(wg_mac2_check(&g, now, &rng.rng, &from, msg, INIT_MACS));
	moved.port++;
	ck_assert(!wg_mac2_check(&g, now, &rng.rng, &moved, msg, INIT_MACS));
	now = mono_add(now, SPAN_S(COOKIE_LIFE_S));
	ck_assert(!wg_mac2_check(&g, now, &rng.rng, &from, msg, INIT_MACS));
	wg_macs_put(msg, INIT_MACS, mac1_key, &c, now);
	for (int i = 0; i < MAC_LEN; i++)
		ck_assert_uint_eq(msg[INIT_MACS + MAC_LEN + i], 0);
	wg_cookie_guard_fini(&g);
}

/* --- limits --- */

TEST(the_stage_keeps_the_newest_128_packets_of_a_peer)
{
	struct net *t = net_new(50);

	t->cut = true;
	for (int i = 0; i < STAGED_PEER_MAX + 10; i++)
		say(t, A);
	t->cut = false;
	ck_assert_uint_eq(wg_drops(t->wg[A])[WG_DROP_STAGE_FULL], 10);
	run_for(t, SPAN_S(6));
	ck_assert_uint_eq(arrived(t, B), STAGED_PEER_MAX);
	ck_assert_uint_eq(t->seen[B][9], 0);
	ck_assert_uint_eq(t->seen[B][10], 1);
	net_free(t);
}

TEST(the_stage_keeps_within_its_byte_budget)
{
	struct seed_rng rng;
	struct wg_conf conf = { .rng = &rng.rng, .max_peers = 4, .staged_bytes = 4000 };
	struct key_priv k;
	struct wg *wg;
	uint8_t mem[PKT_SLOT] = { 0 };

	seed_rng_init(&rng, 51);
	key_gen(&conf.key, &rng.rng);
	wg = wg_new(&conf);
	for (uint32_t i = 0; i < 2; i++) {
		struct key_pub pub;

		key_gen(&k, &rng.rng);
		key_public(&pub, &k);
		ck_assert_int_eq(wg_peer_add(wg, i, &pub), 0);
	}
	for (int i = 0; i < 10; i++) {
		struct pkt p = { mem + PKT_HEAD, 1200, PKT_HEAD, PKT_TAIL };

		ck_assert_uint_eq(wg_seal(wg, (mono_t){ 1 }, wall0, 0, &p, 1), 0);
	}
	ck_assert_uint_eq(wg_drops(wg)[WG_DROP_STAGE_FULL], 7);
	{
		struct pkt p = { mem + PKT_HEAD, 1200, PKT_HEAD, PKT_TAIL };

		ck_assert_uint_eq(wg_seal(wg, (mono_t){ 1 }, wall0, 1, &p, 1), 0);
	}
	ck_assert_uint_eq(wg_drops(wg)[WG_DROP_STAGE_FULL],
			  8); /* another peer's packets do not make room */
	wg_free(wg);
}

TEST(peers_are_limited_unique_and_found_by_key)
{
	struct seed_rng rng;
	struct wg_conf conf = { .rng = &rng.rng, .max_peers = 1000, .staged_bytes = 4000 };
	static struct key_pub keys[1000];
	struct wg *wg;
	uint32_t found;

	seed_rng_init(&rng, 52);
	wg = wg_new(&conf);
	for (uint32_t i = 0; i < 1000; i++) {
		rng_fill(&rng.rng, keys[i].b, KEY_LEN);
		ck_assert_int_eq(wg_peer_add(wg, i, &keys[i]), 0);
	}
	ck_assert_int_eq(wg_peer_add(wg, 1000, &keys[0]), -ENOSPC);
	ck_assert_int_eq(wg_peer_add(wg, 5, &(struct key_pub){ { 1 } }), -EEXIST);
	for (uint32_t i = 0; i < 1000; i += 2)
		wg_peer_del(wg, i);
	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert(wg_peer_find(wg, &keys[i], &found) == (i % 2 == 1));
		ck_assert(i % 2 == 0 || found == i);
	}
	ck_assert_int_eq(wg_peer_add(wg, 0, &keys[1]), -EEXIST);
	ck_assert_int_eq(wg_peer_add(wg, 0, &keys[0]), 0);
	wg_free(wg);
}

TEST(a_prefix_moves_to_the_peer_that_got_it_last)
{
	struct net *t = net_new(53);
	struct ip ip = node_ip(B);
	struct ipprefix p = ipprefix_of(&ip, 128);
	struct key_pub other = { { 9 } };

	ck_assert_int_eq(wg_peer_add(t->wg[A], 4, &other), 0);
	ck_assert_int_eq(wg_peer_allow(t->wg[A], 4, &p, 1), 0);
	ck_assert_uint_eq(wg_route(t->wg[A], &ip), 4);
	wg_peer_del(t->wg[A], 3); /* whose stale list names it too */
	ck_assert_uint_eq(wg_route(t->wg[A], &ip), 4);
	ck_assert_int_eq(wg_peer_allow(t->wg[A], 4, NULL, 0), 0);
	ck_assert_uint_eq(wg_route(t->wg[A], &ip), WG_NO_PEER);
	net_free(t);
}

TEST(every_drop_reason_has_a_name)
{
	for (int i = 0; i < WG_DROP_N; i++)
		ck_assert_ptr_nonnull(wg_drop_names[i]);
}

/* --- memory --- */

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
	ck_assert_uint_lt(last, 40);   /* all of them were tried */
	net_free(t);
}
#endif
