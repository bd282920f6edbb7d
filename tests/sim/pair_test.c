/* tests/sim/pair_test.c - two nodes: they meet, go direct or by relay, and a transfer arrives */
#include "tests/harness.h"
#include "tests/sim/world.h"

static struct world *pair(uint64_t seed, struct world_host a, struct world_host b)
{
	struct world *w = world_new(seed);

	world_add(w, &a);
	world_add(w, &b);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 2, 0), "two nodes do not meet");
	return w;
}

TEST(two_nodes_go_direct_and_transfer_a_megabyte)
{
	struct world *w = pair(1, (struct world_host){ 0 }, (struct world_host){ 0 });
	int f = world_transfer(w, 0, 1, 1 << 20);

	WORLD_CHECK(w, world_until(w, SPAN_S(30), world_done, f, 0), "%zu bytes came back",
		    world_progress(w, f));
	WORLD_CHECK(w, world_direct(w, 0, 1) && world_direct(w, 1, 0), "the path is not direct");
	world_free(w);
}

static uint64_t trace_of(uint64_t seed)
{
	struct world *w =
	    pair(seed,
		 (struct world_host){ .mapping = NAT_PORT_DEPENDENT, .filtering = NAT_FILTER_PORT },
		 (struct world_host){ .mapping = NAT_ENDPOINT_INDEPENDENT,
				      .filtering = NAT_FILTER_PORT });
	struct world_net bad = {
		.loss = 0.05, .duplicate = 0.02, .delay = SPAN_MS(20), .jitter = SPAN_MS(30)
	};
	uint64_t t;

	world_net(w, &bad);
	(void)world_transfer(w, 0, 1, 200000);
	world_run(w, SPAN_S(30));
	t = world_trace(w);
	world_free(w);
	return t;
}

TEST(the_same_seed_replays_every_byte_and_another_one_does_not)
{
	uint64_t a = trace_of(7);

	ck_assert(a == trace_of(7));
	ck_assert(a != trace_of(8));
}
