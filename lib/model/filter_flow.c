/* model/filter_flow.c - UDP and SCTP flows that we opened; see filter_priv.h
 *
 * Each flow has two buckets of eight places, chosen by two hashes; it goes to the emptier one. The
 * table doubles when both are full, up to twice as many places as flows are promised, where two
 * choices all but never overflow; if they do, the flow that was quiet for the longest time makes
 * room. Nothing is allocated but by doubling.
 */
#include "model/filter_priv.h"

#include <assert.h>
#include <stdlib.h>

enum { WAYS = 8, FIRST_BUCKETS = 8 };

struct flow_bucket {
	uint16_t sig[WAYS];  /* part of the hash; 0: free */
	uint32_t last[WAYS]; /* second of the last use */
	struct flow_key key[WAYS];
};
static_assert(sizeof(struct flow_bucket) * 2 <= (size_t)FILTER_FLOW_BYTES * WAYS,
	      "two places a flow fit the budget");

struct place {
	uint32_t one, two;
	uint16_t sig;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	return x;
}

static uint64_t hash_key(const struct flow_key *k)
{
	uint64_t w[4], ports = (uint64_t)k->sport << 32 | (uint64_t)k->dport << 8 | k->proto;

	memcpy(w, k->src.b, 16);
	memcpy(w + 2, k->dst.b, 16);
	return mix(mix(mix(w[1] ^ ports) ^ w[3]) + (w[0] ^ w[2] * UINT64_C(0x9e3779b97f4a7c15)));
}

static struct place place_of(const struct flows *t, uint64_t h)
{
	uint16_t sig = (uint16_t)(h >> 48);

	return (struct place){ (uint32_t)h & (t->n_buckets - 1),
			       (uint32_t)(mix(h) >> 24) & (t->n_buckets - 1), sig ? sig : 1 };
}

static bool key_same(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static bool stale(uint32_t last, uint32_t now_s)
{
	return now_s - last > FILTER_FLOW_TTL_S;
}

void flows_init(struct flows *t, size_t max)
{
	uint32_t n = FIRST_BUCKETS;

	while ((size_t)n * WAYS < 2 * max)
		n *= 2;
	*t = (struct flows){ .max_buckets = n };
}

void flows_free(struct flows *t)
{
	free(t->v);
	t->v = NULL;
	t->n_buckets = 0;
	t->n = 0;
}

size_t flows_memory(const struct flows *t)
{
	return t->n_buckets * sizeof *t->v;
}

static int find(struct flow_bucket *b, uint16_t sig, const struct flow_key *k)
{
	for (int i = 0; i < WAYS; i++)
		if (b->sig[i] == sig && key_same(&b->key[i], k))
			return i;
	return -1;
}

bool flows_has(struct flows *t, const struct flow_key *k, uint32_t now_s)
{
	struct place p;

	if (t->n == 0)
		return false;
	p = place_of(t, hash_key(k));
	for (int side = 0; side < 2; side++) {
		struct flow_bucket *b = &t->v[side ? p.two : p.one];
		int i = find(b, p.sig, k);

		if (i < 0)
			continue;
		if (stale(b->last[i], now_s)) {
			b->sig[i] = 0;
			t->n--;
			return false;
		}
		b->last[i] = now_s;
		return true;
	}
	return false;
}

/* places in use; stale ones become free on the way */
static int bucket_fill(struct flows *t, struct flow_bucket *b, uint32_t now_s)
{
	int used = 0;

	for (int i = 0; i < WAYS; i++) {
		if (b->sig[i] && stale(b->last[i], now_s)) {
			b->sig[i] = 0;
			t->n--;
		}
		used += b->sig[i] != 0;
	}
	return used;
}

static void put(struct flows *t, struct flow_bucket *b, uint16_t sig, const struct flow_key *k,
		uint32_t last)
{
	for (int i = 0; i < WAYS; i++) {
		if (b->sig[i])
			continue;
		b->sig[i] = sig;
		b->last[i] = last;
		b->key[i] = *k;
		t->n++;
		return;
	}
	assert(!"a bucket with room has room");
}

/* false: both buckets are full */
static bool insert(struct flows *t, const struct flow_key *k, uint32_t last, uint32_t now_s)
{
	struct place p = place_of(t, hash_key(k));
	int one = bucket_fill(t, &t->v[p.one], now_s), two = bucket_fill(t, &t->v[p.two], now_s);

	if (one >= WAYS && two >= WAYS)
		return false;
	put(t, &t->v[one <= two ? p.one : p.two], p.sig, k, last);
	return true;
}

static void evict_oldest(struct flows *t, const struct flow_key *k, uint32_t now_s)
{
	struct place p = place_of(t, hash_key(k));
	struct flow_bucket *b, *oldest = &t->v[p.one];
	int at = 0;

	for (int side = 0; side < 2; side++) {
		b = &t->v[side ? p.two : p.one];
		for (int i = 0; i < WAYS; i++)
			if (now_s - b->last[i] > now_s - oldest->last[at]) {
				oldest = b;
				at = i;
			}
	}
	oldest->sig[at] = 0;
	t->n--;
}

/* Moves all live flows to a table of n buckets; false: no memory, the old table stays. */
static bool resize(struct flows *t, uint32_t n, uint32_t now_s)
{
	struct flows old = *t;
	struct flow_bucket *v = calloc(n, sizeof *v);

	if (!v)
		return false;
	t->v = v;
	t->n_buckets = n;
	t->n = 0;
	for (uint32_t i = 0; i < old.n_buckets; i++)
		for (int k = 0; k < WAYS; k++) {
			const struct flow_bucket *b = &old.v[i];

			if (b->sig[k] && !stale(b->last[k], now_s) &&
			    !insert(t, &b->key[k], b->last[k], now_s)) {
				evict_oldest(t, &b->key[k], now_s);
				(void)insert(t, &b->key[k], b->last[k], now_s);
			}
		}
	free(old.v);
	return true;
}

void flows_note(struct flows *t, const struct flow_key *k, uint32_t now_s)
{
	if (flows_has(t, k, now_s))
		return;
	if (t->n_buckets == 0 && !resize(t, FIRST_BUCKETS, now_s))
		return;
	while (!insert(t, k, now_s, now_s)) {
		if (t->n_buckets == t->max_buckets || !resize(t, t->n_buckets * 2, now_s))
			evict_oldest(t, k, now_s);
	}
}

void flows_trim(struct flows *t, uint32_t now_s)
{
	uint32_t want = FIRST_BUCKETS;

	for (uint32_t i = 0; i < t->n_buckets; i++)
		bucket_fill(t, &t->v[i], now_s);
	if (t->n == 0) {
		flows_free(t);
		return;
	}
	while ((size_t)want * WAYS < 4 * t->n)
		want *= 2;
	if (want < t->n_buckets)
		resize(t, want, now_s);
}
