/* allowedips_test.c - longest match against a list that is searched whole */
#include "wg/allowedips.h"

#include "tests/harness.h"

enum { PEERS = 12, MODEL = 400 };

struct model {
	struct ipprefix p[MODEL];
	uint32_t peer[MODEL];
	size_t n;
};

static void model_put(struct model *m, struct ipprefix p, uint32_t peer)
{
	for (size_t i = 0; i < m->n; i++)
		if (ipprefix_eq(&m->p[i], &p)) {
			m->peer[i] = peer;
			return;
		}
	m->p[m->n] = p;
	m->peer[m->n++] = peer;
}

static void model_del(struct model *m, struct ipprefix p, uint32_t peer)
{
	for (size_t i = 0; i < m->n; i++)
		if (ipprefix_eq(&m->p[i], &p) && m->peer[i] == peer) {
			m->p[i] = m->p[--m->n];
			m->peer[i] = m->peer[m->n];
			return;
		}
}

static uint32_t model_find(const struct model *m, const struct ip *ip)
{
	int best = -1;
	uint32_t peer = ALLOWED_NONE;

	for (size_t i = 0; i < m->n; i++) {
		if (ip_is_v4(ip) && m->p[i].bits < 96)
			continue;
		if (m->p[i].bits > best && ipprefix_has(&m->p[i], ip)) {
			best = m->p[i].bits;
			peer = m->peer[i];
		}
	}
	return peer;
}

static struct ip random_ip(struct rng *rng) /* few distinct bits, so that prefixes nest */
{
	struct ip ip;

	if (rng_below(rng, 2))
		return ip_v4(10, (uint8_t)rng_below(rng, 3), (uint8_t)rng_below(rng, 3),
			     (uint8_t)rng_u32(rng));
	memset(&ip, 0, sizeof ip);
	ip.b[0] = 0xfd;
	ip.b[1 + rng_below(rng, 15)] = (uint8_t)rng_u32(rng);
	return ip;
}

static struct ipprefix random_prefix(struct rng *rng)
{
	struct ip ip = random_ip(rng);
	uint8_t bits = (uint8_t)rng_below(rng, 129);

	if (ip_is_v4(&ip))
		bits = (uint8_t)(96 + bits % 33);
	return ipprefix_of(&ip, rng_below(rng, 3) ? bits : 128);
}

TEST(longest_match_agrees_with_a_list_searched_whole)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		static struct model m;
		struct seed_rng rng;
		struct allowed a;

		m.n = 0;
		seed_rng_init(&rng, seed);
		wg_allowed_init(&a, &rng.rng);
		for (int step = 0; step < 3000; step++) {
			struct ipprefix p = random_prefix(&rng.rng);
			uint32_t peer = (uint32_t)rng_below(&rng.rng, PEERS);
			struct ip ip = random_ip(&rng.rng);

			if (rng_below(&rng.rng, 5) < 3 && m.n < MODEL - 1) {
				ck_assert(wg_allowed_reserve(&a, 1));
				wg_allowed_put(&a, &p, peer);
				model_put(&m, p, peer);
			} else if (m.n > 0) {
				size_t i = rng_below(&rng.rng, m.n);

				if (rng_below(&rng.rng, 4)) {
					p = m.p[i];
					peer = m.peer[i];
				}
				wg_allowed_del(&a, &p, peer);
				model_del(&m, p, peer);
			}
			ck_assert_uint_eq(a.n, m.n);
			for (int k = 0; k < 3; k++)
				ck_assert_msg(wg_allowed_find(&a, &ip) == model_find(&m, &ip),
					      "seed %d step %d", (int)seed, step);
		}
		wg_allowed_fini(&a);
	}
}

TEST(an_ipv6_default_route_takes_no_ipv4)
{
	struct seed_rng rng;
	struct allowed a;
	struct ipprefix all = { 0 };
	struct ip v4 = ip_v4(1, 2, 3, 4), v6 = { { 0x20, 1 } };

	seed_rng_init(&rng, 1);
	wg_allowed_init(&a, &rng.rng);
	ck_assert_uint_eq(wg_allowed_find(&a, &v6), ALLOWED_NONE);
	ck_assert(wg_allowed_reserve(&a, 1));
	wg_allowed_put(&a, &all, 7);
	ck_assert_uint_eq(wg_allowed_find(&a, &v4), ALLOWED_NONE);
	ck_assert_uint_eq(wg_allowed_find(&a, &v6), 7);
	wg_allowed_fini(&a);
}
