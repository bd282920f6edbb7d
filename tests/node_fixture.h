/* tests/node_fixture.h - for tests: a node that never started, its stored state, and the view of
 * both that requests are answered from */
#ifndef TESTS_NODE_FIXTURE_H
#define TESTS_NODE_FIXTURE_H

#include "node/localapi.h"
#include "tests/harness.h"

static struct seed_rng rng;
static struct node *node;
static struct state *state;
static struct state_node self;
static struct localapi_view view;

static inline void node_fixture_init(void)
{
	struct node_conf conf = { .rng = &rng.rng, .control_url = "http://127.0.0.1:9" };
	struct err e = { 0 };

	seed_rng_init(&rng, 1);
	state_node_fresh(&self, &rng.rng, WALL_ZERO);
	key_gen(&self.node, &rng.rng);
	conf.machine = self.machine;
	conf.node = self.node;
	key_gen(&conf.disco, &rng.rng);
	node = node_new(&conf, &e);
	ck_assert_msg(node != NULL, "%s", e.text);
	state = state_new();
	ck_assert_int_eq(state_store(state, &self), 0);
	view = (struct localapi_view){
		.node = node, .state = state, .self = &self, .version = "1.2.3", .now = { 1 }
	};
}

static inline void node_fixture_fini(void)
{
	node_free(node);
	state_free(state);
}

#endif
