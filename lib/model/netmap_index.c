/* model/netmap_index.c - open addressing over peers by id, key, name and address; see netmap_priv.h
 *
 * A slot holds a reference: the peer's number, for addresses times NETMAP_ADDRS_MAX plus which one.
 * Hashes are not stored: they come from the record, so a slot is four bytes. Deletion moves the
 * following entries back.
 */
#include "model/netmap_priv.h"

#include <assert.h>
#include <stdlib.h>

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

uint64_t nm_hash_id(int64_t id)
{
	return mix((uint64_t)id);
}

static uint64_t hash_bytes16(const uint8_t *b)
{
	uint64_t lo, hi;

	memcpy(&lo, b, 8);
	memcpy(&hi, b + 8, 8);
	return mix(lo ^ mix(hi));
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static struct bytes undotted(const char *name)
{
	size_t n = strlen(name);

	return bytes_of(name, n > 0 && name[n - 1] == '.' ? n - 1 : n);
}

static uint64_t hash_name(struct bytes s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ lower(s.data[i])) * UINT64_C(0x100000001b3);
	return mix(h);
}

static uint64_t hash_ref(const struct netmap *nm, enum nm_ix ix, uint32_t ref)
{
	const struct netmap_node *n = &nm->peers[ix == IX_IP ? ref / NETMAP_ADDRS_MAX : ref]->n;

	switch (ix) {
	case IX_ID:
		return nm_hash_id(n->id);
	case IX_KEY:
		return hash_bytes16(n->key.b);
	case IX_NAME:
		return hash_name(undotted(n->name));
	default:
		return hash_bytes16(n->addresses[ref % NETMAP_ADDRS_MAX].ip.b);
	}
}

static void put(struct netmap *nm, enum nm_ix ix, uint32_t ref)
{
	struct nm_index *t = &nm->ix[ix];
	uint32_t mask = t->cap - 1, i = (uint32_t)hash_ref(nm, ix, ref) & mask;

	assert(t->n < t->cap / 2);
	while (t->slot[i])
		i = (i + 1) & mask;
	t->slot[i] = ref + 1;
	t->n++;
}

static void del(struct netmap *nm, enum nm_ix ix, uint32_t ref)
{
	struct nm_index *t = &nm->ix[ix];
	uint32_t mask = t->cap - 1, i = (uint32_t)hash_ref(nm, ix, ref) & mask, j;

	while (t->slot[i] != ref + 1) {
		assert(t->slot[i]);
		i = (i + 1) & mask;
	}
	for (j = (i + 1) & mask; t->slot[j]; j = (j + 1) & mask) {
		uint32_t home = (uint32_t)hash_ref(nm, ix, t->slot[j] - 1) & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) { /* may stand at the hole */
			t->slot[i] = t->slot[j];
			i = j;
		}
	}
	t->slot[i] = 0;
	t->n--;
}

bool nm_index_reserve(struct netmap *nm, enum nm_ix ix, size_t n)
{
	struct nm_index *t = &nm->ix[ix], old = *t;
	uint32_t cap = old.cap ? old.cap : 16;

	while (n >= cap / 2)
		cap *= 2;
	if (cap == old.cap)
		return true;
	t->slot = calloc(cap, sizeof *t->slot);
	if (!t->slot) {
		*t = old;
		return false;
	}
	t->cap = cap;
	t->n = 0;
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slot[i])
			put(nm, ix, old.slot[i] - 1);
	free(old.slot);
	return true;
}

static void each(struct netmap *nm, const struct nm_rec *r,
		 void (*fn)(struct netmap *, enum nm_ix, uint32_t))
{
	uint32_t peer = r->n.peer;

	fn(nm, IX_ID, peer);
	fn(nm, IX_KEY, peer);
	if (r->n.name[0])
		fn(nm, IX_NAME, peer);
	for (size_t k = 0; k < r->n.n_addresses; k++)
		if (ipprefix_is_single(&r->n.addresses[k]))
			fn(nm, IX_IP, peer * NETMAP_ADDRS_MAX + (uint32_t)k);
}

void nm_index_add(struct netmap *nm, const struct nm_rec *r)
{
	each(nm, r, put);
}

void nm_index_del(struct netmap *nm, const struct nm_rec *r)
{
	each(nm, r, del);
}

/* Goes through the references of one hash value: *i starts at it; NO_PEER when there is no more. */
static uint32_t probe(const struct nm_index *t, uint32_t *i)
{
	uint32_t ref;

	if (t->cap == 0)
		return NO_PEER;
	*i &= t->cap - 1;
	ref = t->slot[(*i)++];
	return ref ? ref - 1 : NO_PEER;
}

uint32_t nm_index_id(const struct netmap *nm, int64_t id)
{
	uint32_t i = (uint32_t)nm_hash_id(id), ref;

	while ((ref = probe(&nm->ix[IX_ID], &i)) != NO_PEER)
		if (nm->peers[ref]->n.id == id)
			return ref;
	return NO_PEER;
}

uint32_t nm_index_key(const struct netmap *nm, const struct key_pub *k)
{
	uint32_t i = (uint32_t)hash_bytes16(k->b), ref;

	while ((ref = probe(&nm->ix[IX_KEY], &i)) != NO_PEER)
		if (key_eq(&nm->peers[ref]->n.key, k))
			return ref;
	return NO_PEER;
}

uint32_t nm_index_name(const struct netmap *nm, struct bytes fqdn)
{
	uint32_t i = (uint32_t)hash_name(fqdn), ref;

	while ((ref = probe(&nm->ix[IX_NAME], &i)) != NO_PEER)
		if (bytes_caseeq(undotted(nm->peers[ref]->n.name), fqdn))
			return ref;
	return NO_PEER;
}

uint32_t nm_index_ip(const struct netmap *nm, const struct ip *a)
{
	uint32_t i = (uint32_t)hash_bytes16(a->b), ref;

	while ((ref = probe(&nm->ix[IX_IP], &i)) != NO_PEER) {
		uint32_t peer = ref / NETMAP_ADDRS_MAX;

		if (ip_eq(&nm->peers[peer]->n.addresses[ref % NETMAP_ADDRS_MAX].ip, a))
			return peer;
	}
	return NO_PEER;
}
