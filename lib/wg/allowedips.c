/* wg/allowedips.c - longest prefix match by one hash table and a bitmap of the lengths that occur
 *
 * A tailnet has thousands of single addresses and a handful of other lengths, so a look-up is a
 * probe for each length that occurs: mostly one, at worst 129 when control hands out every length.
 * A trie would walk fifteen nodes for the same. The hash is seeded: who chooses prefixes cannot aim
 * at one bucket.
 */
#include "wg/allowedips.h"

#include <assert.h>
#include <stdlib.h>

enum { CAP_MIN = 8, V4_BITS = 96 };

void wg_allowed_init(struct allowed *a, struct rng *rng)
{
	*a = (struct allowed){ .seed = { rng_u64(rng), rng_u64(rng) } };
}

void wg_allowed_fini(struct allowed *a)
{
	free(a->v);
	a->v = NULL;
	a->cap = a->n = 0;
}

static size_t home(const struct allowed *a, const struct ip *ip, uint8_t bits)
{
	uint64_t w[2];
	unsigned __int128 m;

	memcpy(w, ip->b, sizeof w);
	m = (unsigned __int128)(w[0] ^ a->seed[0]) * (w[1] ^ a->seed[1]);
	m = (unsigned __int128)((uint64_t)m ^ (uint64_t)(m >> 64) ^ bits) * (a->seed[0] | 1);
	return (size_t)((uint64_t)m ^ (uint64_t)(m >> 64)) & (a->cap - 1);
}

/* where the prefix is, or the empty slot where it would go */
static struct allowed_slot *slot_of(const struct allowed *a, const struct ip *ip, uint8_t bits)
{
	size_t i = home(a, ip, bits);

	while (a->v[i].peer != ALLOWED_NONE && !(a->v[i].bits == bits && ip_eq(&a->v[i].ip, ip)))
		i = (i + 1) & (a->cap - 1);
	return &a->v[i];
}

bool wg_allowed_reserve(struct allowed *a, size_t extra)
{
	struct allowed old = *a;
	size_t want, cap = a->cap ? a->cap : CAP_MIN;

	if (__builtin_add_overflow(a->n, extra, &want) || want > SIZE_MAX / 4)
		return false;
	while (cap / 4 * 3 < want)
		cap *= 2;
	if (cap == a->cap)
		return true;
	a->v = reallocarray(NULL, cap, sizeof *a->v);
	if (!a->v) {
		a->v = old.v;
		return false;
	}
	a->cap = cap;
	for (size_t i = 0; i < cap; i++)
		a->v[i].peer = ALLOWED_NONE;
	for (size_t i = 0; i < old.cap; i++)
		if (old.v[i].peer != ALLOWED_NONE)
			*slot_of(a, &old.v[i].ip, old.v[i].bits) = old.v[i];
	free(old.v);
	return true;
}

void wg_allowed_put(struct allowed *a, const struct ipprefix *p, uint32_t peer)
{
	struct ipprefix q = ipprefix_of(&p->ip, p->bits);
	struct allowed_slot *s = slot_of(a, &q.ip, q.bits);

	a->last_valid = false;
	if (s->peer == ALLOWED_NONE) {
		assert(a->n < a->cap / 4 * 3);
		s->ip = q.ip;
		s->bits = q.bits;
		a->n++;
		if (a->count[q.bits]++ == 0)
			a->used[q.bits / 64] |= UINT64_C(1) << q.bits % 64;
	}
	s->peer = peer;
}

/* Empties a slot and moves back what a probe could no longer reach across the gap. */
static void slot_clear(struct allowed *a, size_t gap)
{
	size_t mask = a->cap - 1;

	for (size_t i = (gap + 1) & mask; a->v[i].peer != ALLOWED_NONE; i = (i + 1) & mask) {
		size_t h = home(a, &a->v[i].ip, a->v[i].bits);

		if (((i - h) & mask) >= ((i - gap) & mask)) {
			a->v[gap] = a->v[i];
			gap = i;
		}
	}
	a->v[gap].peer = ALLOWED_NONE;
}

void wg_allowed_del(struct allowed *a, const struct ipprefix *p, uint32_t peer)
{
	struct ipprefix q = ipprefix_of(&p->ip, p->bits);
	struct allowed_slot *s;

	if (a->n == 0)
		return;
	s = slot_of(a, &q.ip, q.bits);
	if (s->peer == ALLOWED_NONE || s->peer != peer)
		return;
	a->last_valid = false;
	slot_clear(a, (size_t)(s - a->v));
	a->n--;
	if (--a->count[q.bits] == 0)
		a->used[q.bits / 64] &= ~(UINT64_C(1) << q.bits % 64);
}

uint32_t wg_allowed_look(const struct allowed *a, const struct ip *ip)
{
	int least = ip_is_v4(ip) ? V4_BITS : 0; /* ::/0 is no route for IPv4 */

	if (a->n == 0)
		return ALLOWED_NONE;
	for (int word = 2; word >= 0; word--) {
		for (uint64_t w = a->used[word]; w != 0;) {
			int bit = 63 - __builtin_clzll(w);
			int bits = 64 * word + bit;
			struct ipprefix q;
			const struct allowed_slot *s;

			if (bits < least)
				return ALLOWED_NONE;
			q = bits == 128 ? (struct ipprefix){ *ip, 128 }
					: ipprefix_of(ip, (uint8_t)bits);
			s = slot_of(a, &q.ip, q.bits);
			if (s->peer != ALLOWED_NONE)
				return s->peer;
			w &= ~(UINT64_C(1) << bit);
		}
	}
	return ALLOWED_NONE;
}

uint32_t wg_allowed_find(struct allowed *a, const struct ip *ip)
{
	if (!a->last_valid || !ip_eq(&a->last, ip)) {
		a->last = *ip;
		a->last_peer = wg_allowed_look(a, ip);
		a->last_valid = true;
	}
	return a->last_peer;
}
