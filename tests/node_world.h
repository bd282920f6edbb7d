/* tests/node_world.h - for tests: a node at a control server (ts2021_world.h), without a network:
 * its relays are the test's */
#ifndef TESTS_NODE_WORLD_H
#define TESTS_NODE_WORLD_H

#include "node/node.h"
#include "tests/ts2021_world.h"

static struct node *node;
static unsigned relay_dials;
/* What a node wants of its relays, and time for them; NULL: every dial is refused */
static struct {
	void (*effect)(struct world *w, const struct node_effect *ef);
	bool (*move)(struct world *w); /* true: something did */
	mono_t (*due)(void);
} relays;

static inline void node_event(struct world *w, const struct node_effect *ef)
{
	uint8_t tmp[4096];
	size_t n;

	if (ef->stream >= CONTROL_CONNS) {
		relay_dials += ef->type == NODE_DIAL;
		if (relays.effect)
			relays.effect(w, ef);
		else if (ef->type == NODE_DIAL)
			node_stream_closed(node, w->now, ef->stream, "refused");
	} else if (ef->type == NODE_DIAL && ef->stream == 0) {
		ck_assert(!w->wire[0].is_open);
		w->n_dials++;
		w->wire[0].is_open = true;
		node_stream_opened(node, w->now, 0);
	} else if (ef->type == NODE_STREAM_CLOSE && ef->stream == 0) {
		w->n_hangups++;
		world_shut(w, 0);
	} else if (ef->type == NODE_STREAM_OUTPUT && ef->stream == 0) {
		while ((n = node_stream_pull(node, w->now, 0, tmp, sizeof tmp)) > 0)
			ck_assert(buf_append(&w->wire[0].up, tmp, n));
	}
}

static inline void run(struct world *w)
{
	bool moved = true;

	for (unsigned rounds = 0; moved; rounds++) {
		struct world_wire *x = &w->wire[0];
		struct node_effect ef;

		ck_assert_msg(rounds < 200000, "the two ends do not come to rest");
		moved = false;
		while (node_next(node, w->now, w->wall, &ef)) {
			moved = true;
			node_event(w, &ef);
		}
		moved = world_serve(w, 0) || moved;
		if (relays.move)
			moved = relays.move(w) || moved;
		if (x->is_open && x->down.len > 0) {
			uint8_t tmp[5000];
			size_t n = world_piece(w, x->down.len);

			memcpy(tmp, buf_bytes(&x->down).data, n);
			buf_consume(&x->down, n);
			node_stream_feed(node, w->now, w->wall, 0, bytes_of(tmp, n));
			moved = true;
		}
	}
}

static inline void pass(struct world *w, span_t d)
{
	mono_t end = mono_add(w->now, d), t;

	run(w);
	while (t = mono_min(node_deadline(node), relays.due ? relays.due() : MONO_NEVER),
	       mono_before(t, end)) {
		t = mono_max(t, w->now);
		w->wall.ns += t.ns - w->now.ns;
		w->now = t;
		node_tick(node, w->now, w->wall);
		run(w);
	}
	w->wall.ns += end.ns - w->now.ns;
	w->now = end;
	node_tick(node, w->now, w->wall);
	run(w);
}

static inline void start(struct world *w)
{
	struct node_conf conf = { 0 };
	struct err e = { 0 };

	world_init(w, 31);
	w->first_map =
	    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.example.\",\"Key\":\"nodekey:"
	    "1111111111111111111111111111111111111111111111111111111111111111\","
	    "\"Addresses\":[\"100.64.0.1/32\"],\"MachineAuthorized\":true},\"Domain\":\"example\","
	    "\"PacketFilters\":{\"base\":[]},\"Peers\":[]}";
	conf.rng = &w->rng.rng;
	conf.control_url = "http://control.example:8080";
	conf.hostinfo.hostname = "a";
	conf.machine = w->machine;
	conf.node = w->node;
	key_gen(&conf.disco, &w->rng.rng);
	node = node_new(&conf, &e);
	ck_assert_msg(node != NULL, "%s", e.text);
	node_start(node, w->now, w->wall);
	pass(w, SPAN_S(1));
	ck_assert_str_eq(node_state_names[node_state(node)], "Running");
	ck_assert_uint_eq(world_count(w, world_is_stream), 1);
}

static inline void stop(struct world *w)
{
	node_free(node);
	world_fini(w);
}

#endif
