/* path/lookup_test.c - the hash table and the queue against slow models */
#include "path/lookup.h"
#include "path/queue.h"
#include "tests/harness.h"

TEST(lookup_finds_exactly_what_a_list_of_pairs_would)
{
	enum { PAIRS = 300 };
	struct {
		uint32_t hash, id;
		bool there;
	} model[PAIRS] = { 0 };
	struct lookup l = { 0 };
	struct seed_rng r;

	seed_rng_init(&r, 11);
	for (int step = 0; step < 20000; step++) {
		size_t i = rng_below(&r.rng, PAIRS), pos = LOOKUP_START, want = 0, got = 0;
		uint32_t id, hash;

		if (!model[i].there) {
			model[i].hash = (uint32_t)rng_below(&r.rng, 40) * 7; /* many collide */
			model[i].id = (uint32_t)i;
			ck_assert_int_eq(lookup_add(&l, model[i].hash, model[i].id), 0);
		} else {
			lookup_del(&l, model[i].hash, model[i].id);
		}
		model[i].there = !model[i].there;
		hash = (uint32_t)rng_below(&r.rng, 40) * 7;
		for (size_t k = 0; k < PAIRS; k++)
			want += model[k].there && model[k].hash == hash;
		while (lookup_next(&l, hash, &pos, &id)) {
			ck_assert(model[id].there && model[id].hash == hash);
			got++;
		}
		ck_assert_uint_eq(got, want);
	}
	lookup_fini(&l);
}

TEST(lookup_hash_depends_on_seed_length_and_every_byte)
{
	uint8_t key[34] = { 0 };

	for (size_t i = 0; i < sizeof key; i++) {
		uint32_t before = lookup_hash(1, key, sizeof key);

		key[i] ^= 1;
		ck_assert_uint_ne(lookup_hash(1, key, sizeof key), before);
	}
	ck_assert_uint_ne(lookup_hash(1, key, 33), lookup_hash(1, key, 34));
	ck_assert_uint_ne(lookup_hash(1, key, 34), lookup_hash(2, key, 34));
}

TEST(queue_keeps_order_refuses_past_its_limit_and_is_small_when_empty)
{
	struct queue q;
	int v, next = 0;

	queue_init(&q, sizeof v, 100);
	for (int round = 0; round < 5; round++) {
		for (v = 0; v < 100; v++)
			ck_assert(queue_push(&q, &v));
		ck_assert(!queue_push(&q, &v));
		ck_assert_int_eq(*(int *)queue_at(&q, 42), 42);
		for (next = 0; queue_pop(&q, &v); next++)
			ck_assert_int_eq(v, next);
		ck_assert_int_eq(next, 100);
		ck_assert_uint_eq(q.cap, 0);
	}
	queue_fini(&q);
}
