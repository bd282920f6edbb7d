/* node/map_test.c - a node at a control server: what becomes of maps that cannot be used */
#include "base/log.h"
#include "node/node.h"
#include "tests/node_world.h"

static const char *health(void)
{
	const char *v[NODE_HEALTH_MAX];

	return node_health(node, v, ARRAY_LEN(v)) > 0 ? v[0] : "";
}

static void spoil(const char *frame, const char *words)
{
	struct world w;
	size_t streams, dials;

	start(&w);
	dials = w.n_dials;
	streams = world_count(&w, world_is_stream);
	world_send_map(&w, frame);
	run(&w);
	ck_assert_msg(strstr(health(), words) != NULL, "health is \"%s\"", health());
	/* changes that follow are changes of what is not known: they are not taken */
	pass(&w, SPAN_S(10));
	ck_assert_uint_eq(world_count(&w, world_is_stream), streams + 1);
	ck_assert_uint_eq(w.n_dials, dials); /* the connection is good */
	ck_assert_str_eq(health(), "");
	ck_assert_str_eq(node_state_names[node_state(node)], "Running");
	stop(&w);
}

TEST(a_frame_that_is_no_json_makes_the_node_ask_for_the_whole_map)
{
	spoil("{\"PeersChanged\":[{\"ID\":2,]}", "sent a map that cannot be read: malformed JSON");
	spoil("{\"PeersChanged\":[", "sent a map that cannot be read");
}

TEST(a_server_that_never_sends_a_usable_map_is_asked_ever_more_seldom)
{
	struct world w;
	size_t streams;

	start(&w);
	w.first_map = "{\"Peers\":[]}"; /* no Node: not the beginning of a stream */
	world_send_map(&w, "nonsense");
	pass(&w, SPAN_S(600));
	streams = world_count(&w, world_is_stream);
	ck_assert_uint_ge(streams, 10);
	ck_assert_uint_le(streams, 60);
	ck_assert_msg(strstr(health(), "no Node") != NULL, "health is \"%s\"", health());
	ck_assert_uint_eq(netmap_self(node_netmap(node))->id, 1); /* what was known still counts */
	stop(&w);
}

/* a log sink that counts the lines about losses */
static int loss_lines;

static void count_losses(enum log_level level, const char *line)
{
	(void)level;
	loss_lines += strstr(line, "left out of control's map") != NULL;
}

#define KEY_B "nodekey:2222222222222222222222222222222222222222222222222222222222222222"
#define KEY_C "nodekey:3333333333333333333333333333333333333333333333333333333333333333"

static void change(struct world *w, const char *json)
{
	world_send_map(w, json);
	run(w);
	ck_assert_str_eq(health(), "");
}

static bool reaches(uint8_t last)
{
	const struct ip a = ip_v4(100, 64, 0, last);

	return node_routes(node, &a);
}

TEST(what_is_left_out_of_a_map_is_said_once_and_the_rest_is_taken)
{
	struct world w;
	char json[1024];

	log_set(count_losses, LOG_WARN);
	start(&w);
	ck_assert_int_eq(loss_lines, 0);
	for (int i = 0; i < 3; i++) {
		snprintf(
		    json, sizeof json,
		    "{\"PeersChanged\":[{\"ID\":2,\"StableID\":\"n2\",\"Name\":\"b%d.example.\","
		    "\"Key\":\"" KEY_B "\",\"Addresses\":[\"100.64.0.2/32\"],\"Hostinfo\":{"
		    "\"Hostname\":\"%0300d\"}}]}",
		    i, 0);
		change(&w, json);
		ck_assert(reaches(2));
	}
	ck_assert_int_eq(loss_lines, 1);
	stop(&w);
	log_set(NULL, LOG_ERROR);
}

TEST(a_relay_that_cannot_be_reached_is_not_dialled_for_every_map_that_names_it)
{
	static const char names_it[] =
	    "{\"DERPMap\":{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"a\",\"Nodes\":[{"
	    "\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"relay.example\",\"IPv4\":\"192.0.2.1\"}]"
	    "}}}}";
	struct world w;

	start(&w);
	world_send_map(&w, names_it);
	for (int i = 0; i < 4; i++) { /* until the wait is at its longest */
		pass(&w, SPAN_S(30));
		world_send_map(&w, "{\"KeepAlive\":true}");
	}
	ck_assert_uint_ge(relay_dials, 10);
	relay_dials = 0;
	for (int i = 0; i < 200; i++) {
		world_send_map(&w, names_it);
		pass(&w, SPAN_MS(100));
	}
	ck_assert_msg(relay_dials <= 5, "%u dials in twenty seconds", relay_dials);
	stop(&w);
}

TEST(of_two_peers_with_one_key_the_one_told_last_counts_and_nothing_breaks)
{
	static const struct control_hostinfo info = { .hostname = "a" };
	struct world w;

	start(&w);
	change(&w, "{\"PeersChanged\":[{\"ID\":2,\"Key\":\"" KEY_B "\",\"Name\":\"b.example.\","
		   "\"Addresses\":[\"100.64.0.2/32\"]}]}");
	ck_assert(reaches(2));
	change(&w, "{\"PeersChanged\":[{\"ID\":3,\"Key\":\"" KEY_B "\",\"Name\":\"b2.example.\","
		   "\"Addresses\":[\"100.64.0.3/32\"]}]}");
	ck_assert(reaches(3) && !reaches(2));
	/* what goes over all peers finds one that WireGuard does not have */
	ck_assert_int_eq(node_set_prefs(node, &info, true, false, NULL), 0);
	change(&w, "{\"PeersRemoved\":[3]}");
	ck_assert(!reaches(3));
	change(&w, "{\"PeersChanged\":[{\"ID\":2,\"Key\":\"" KEY_B "\",\"Name\":\"b.example.\","
		   "\"Addresses\":[\"100.64.0.2/32\",\"100.64.0.4/32\"]}]}");
	ck_assert(reaches(2) && reaches(4));
	stop(&w);
}

TEST(two_peers_may_swap_their_keys_in_one_frame)
{
	struct world w;

	start(&w);
	change(&w, "{\"PeersChanged\":[{\"ID\":2,\"Key\":\"" KEY_B "\",\"Name\":\"b.example.\","
		   "\"Addresses\":[\"100.64.0.2/32\"]},{\"ID\":3,\"Key\":\"" KEY_C
		   "\",\"Name\":\"c.example.\",\"Addresses\":[\"100.64.0.3/32\"]}]}");
	change(&w, "{\"PeersChanged\":[{\"ID\":2,\"Key\":\"" KEY_C "\",\"Name\":\"b.example.\","
		   "\"Addresses\":[\"100.64.0.2/32\"]},{\"ID\":3,\"Key\":\"" KEY_B
		   "\",\"Name\":\"c.example.\",\"Addresses\":[\"100.64.0.3/32\"]}]}");
	ck_assert(reaches(2) && reaches(3));
	stop(&w);
}

TEST(a_pong_that_waits_while_its_peer_is_removed_names_nobody)
{
	const struct ip b = ip_v4(100, 64, 0, 2);
	struct node_effect ef;
	unsigned pongs = 0;
	struct world w;

	start(&w);
	change(&w, "{\"PeersChanged\":[{\"ID\":2,\"Key\":\"" KEY_B "\",\"Name\":\"b.example.\","
		   "\"Addresses\":[\"100.64.0.2/32\"]}]}");
	node_ping(node, w.now, NODE_PING_TSMP, &b, 7, 0);
	run(&w);
	w.now = mono_add(w.now, SPAN_S(6));
	node_tick(node, w.now, w.wall); /* its time is over: the answer waits to be taken */
	world_send_map(&w, "{\"PeersRemoved\":[2]}");
	while (world_serve(&w, 0))
		;
	node_stream_feed(node, w.now, w.wall, 0, buf_bytes(&w.wire[0].down));
	buf_clear(&w.wire[0].down);
	while (node_next(node, w.now, w.wall, &ef)) {
		if (ef.type == NODE_PONG) {
			pongs++;
			ck_assert_str_eq(ef.ping.error, "timeout");
			ck_assert_ptr_null(ef.ping.peer);
		} else {
			node_event(&w, &ef);
		}
	}
	ck_assert_uint_eq(pongs, 1);
	stop(&w);
}

TEST(many_answers_to_pings_do_not_push_anything_else_out)
{
	const struct ip nobody = ip_v4(192, 0, 2, 1);
	unsigned seen[NODE_FATAL + 1] = { 0 };
	struct node_effect ef;
	struct world w;

	start(&w);
	node_set_running(node, w.now, w.wall, false); /* its state is to be told */
	for (uint64_t i = 0; i < 1000; i++)
		node_ping(node, w.now, NODE_PING_DISCO, &nobody, 1000 + i, 0);
	while (node_next(node, w.now, w.wall, &ef)) {
		ck_assert_uint_le(ef.type, NODE_FATAL);
		seen[ef.type]++;
		node_event(&w, &ef);
	}
	ck_assert_uint_eq(seen[NODE_STATE], 1);
	ck_assert_uint_ge(seen[NODE_PONG], 30);
	stop(&w);
}
