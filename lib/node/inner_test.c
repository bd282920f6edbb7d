/* node/inner_test.c - raw packets: in order, bounded, copied */
#include <stdlib.h>

#include "node/node_priv.h"
#include "tests/harness.h"

static struct node *raw_node(struct seed_rng *rng, bool raw)
{
	struct node_conf conf = { .rng = &rng->rng,
				  .control_url = "http://127.0.0.1:1",
				  .raw_packets = raw };
	struct err e = { 0 };
	struct node *n;

	seed_rng_init(rng, 7);
	rng_fill(&rng->rng, &conf.machine, sizeof conf.machine);
	rng_fill(&rng->rng, &conf.node, sizeof conf.node);
	rng_fill(&rng->rng, &conf.disco, sizeof conf.disco);
	n = node_new(&conf, &e);
	ck_assert_msg(n != NULL, "%s", e.text);
	return n;
}

TEST(accepted_packets_come_out_in_order_and_what_exceeds_the_queue_is_counted)
{
	struct seed_rng rng;
	struct node *n = raw_node(&rng, true);
	struct node_effect ef;
	uint8_t data[PKT_INNER_MAX + 1] = { 0 };
	struct pkt p = { .data = data, .len = 100 };
	unsigned next = 0;

	for (unsigned i = 0; i < NODE_INNER_MAX + 9; i++) {
		data[0] = (uint8_t)i;
		data[1] = (uint8_t)(i >> 8);
		node_inner_take(n, &p, 1);
	}
	ck_assert_uint_eq(n->counters.inner_full, 9);
	memset(data, 0xee, sizeof data); /* the caller's memory is its own again */
	while (node_inner_next(n, &ef)) {
		ck_assert_int_eq(ef.type, NODE_INNER);
		ck_assert(ef.count > 0 && ef.count <= BURST_MAX);
		for (size_t i = 0; i < ef.count; i++, next++) {
			ck_assert_uint_eq(ef.v[i].len, 100);
			ck_assert_uint_eq((unsigned)(ef.v[i].data[0] | ef.v[i].data[1] << 8), next);
		}
	}
	ck_assert_uint_eq(next, NODE_INNER_MAX);
	node_inner_take(n, &p, 1);
	ck_assert(node_inner_next(n, &ef) && ef.count == 1);
	p.len = PKT_INNER_MAX + 1;
	node_inner_take(n, &p, 1);
	ck_assert(!node_inner_next(n, &ef));
	ck_assert_uint_eq(n->counters.inner_full, 10);
	node_free(n);
}

TEST(packets_of_the_device_are_taken_as_far_as_there_is_room)
{
	struct seed_rng rng;
	struct node *n = raw_node(&rng, true);
	uint8_t data[64] = { 0x45 };
	struct pkt v[BURST_MAX + 5];

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		v[i] = (struct pkt){ .data = data, .len = sizeof data };
	ck_assert_uint_eq(node_send_packets(n, v, ARRAY_LEN(v)), BURST_MAX);
	ck_assert_uint_eq(node_send_packets(n, v, 1), 0);
	ck_assert_uint_eq(n->made.n, BURST_MAX);
	node_free(n);
}

TEST(without_raw_packets_there_is_no_queue_and_no_effect)
{
	struct seed_rng rng;
	struct node *n = raw_node(&rng, false);
	struct node_effect ef;

	ck_assert(!node_inner_next(n, &ef));
	node_free(n);
}
