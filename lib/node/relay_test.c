/* node/relay_test.c - a node and its relays: who is measured, who is home */
#include "derp/http.h"
#include "derp/server.h"
#include "tests/node_world.h"

enum { REGIONS = 30, NEAR = 29, STREAMS = CONTROL_CONNS + NODE_RELAYS_MAX };

static struct stream {
	bool is_used, is_open, is_relay;
	mono_t open_at;
	struct buf head;
	struct derp_conn_id id;
} streams[STREAMS];
static struct derp_server *server; /* all of them */

static void drop(struct world *w, struct stream *s)
{
	if (s->is_relay)
		derp_server_close(server, w->now, s->id);
	buf_fini(&s->head);
	*s = (struct stream){ 0 };
}

static void fed(struct world *w, struct stream *s, const uint8_t *data, size_t len)
{
	struct http1_head h;
	struct buf answer;
	bool fast;

	if (s->is_relay) {
		derp_server_feed(server, w->now, s->id, bytes_of(data, len));
		return;
	}
	ck_assert(buf_append(&s->head, data, len));
	http1_request_init(&h);
	if (http1_head_feed(&h, buf_bytes(&s->head)) != HTTP1_OK)
		return;
	buf_init(&answer, 1024);
	ck_assert_int_eq(derp_http_request(&h, &answer, &fast), DERP_HTTP_UPGRADE);
	buf_fini(&answer);
	ck_assert_int_eq(derp_server_open(server, w->now, &(struct ipport){ 0 }, fast, &s->id), 0);
	s->is_relay = true;
	buf_consume(&s->head, h.len);
	if (s->head.len > 0)
		derp_server_feed(server, w->now, s->id, buf_bytes(&s->head));
}

static void effect(struct world *w, const struct node_effect *ef)
{
	struct stream *s = &streams[ef->stream];
	uint8_t tmp[4096];
	unsigned region;
	size_t n;

	if (ef->type == NODE_DIAL) {
		ck_assert(!s->is_used);
		ck_assert_int_eq(sscanf(ef->host, "relay%u.example", &region), 1);
		*s = (struct stream){ .is_used = true };
		buf_init(&s->head, 4096);
		s->open_at = mono_add(w->now, SPAN_MS(region == NEAR ? 5 : 100 + region));
	} else if (ef->type == NODE_STREAM_CLOSE) {
		ck_assert(s->is_used);
		drop(w, s);
	} else if (ef->type == NODE_STREAM_OUTPUT) {
		while ((n = node_stream_pull(node, w->now, ef->stream, tmp, sizeof tmp)) > 0)
			fed(w, s, tmp, n);
	}
}

static bool move(struct world *w)
{
	struct derp_server_event ev;
	uint8_t tmp[4096];
	bool moved = false;
	size_t n;

	for (uint32_t i = 0; i < STREAMS; i++)
		if (streams[i].is_used && !streams[i].is_open &&
		    mono_due(streams[i].open_at, w->now)) {
			streams[i].is_open = moved = true;
			node_stream_opened(node, w->now, i);
		}
	while (derp_server_next(server, &ev))
		for (uint32_t i = 0; i < STREAMS; i++) {
			struct stream *s = &streams[i];

			if (!s->is_relay || memcmp(&s->id, &ev.id, sizeof ev.id) != 0)
				continue;
			moved = true;
			while ((n = derp_server_pull(server, w->now, s->id, tmp, sizeof tmp)) > 0)
				node_stream_feed(node, w->now, w->wall, i, bytes_of(tmp, n));
		}
	return moved;
}

static mono_t due(void)
{
	mono_t d = MONO_NEVER;

	for (size_t i = 0; i < STREAMS; i++)
		if (streams[i].is_used && !streams[i].is_open)
			d = mono_min(d, streams[i].open_at);
	return d;
}

TEST(without_udp_the_nearest_of_more_relays_than_there_are_places_for_becomes_home)
{
	struct derp_server_conf conf = { .max_conns = 64 };
	struct world w;
	struct buf map;

	start(&w);
	conf.rng = &w.rng.rng;
	key_gen(&conf.key, conf.rng);
	server = derp_server_new(&conf);
	ck_assert_ptr_nonnull(server);
	relays.effect = effect;
	relays.move = move;
	relays.due = due;
	buf_init(&map, 1 << 16);
	ck_assert(buf_printf(&map, "{\"DERPMap\":{\"Regions\":{"));
	for (int i = 1; i <= REGIONS; i++)
		ck_assert(
		    buf_printf(&map,
			       "%s\"%d\":{\"RegionID\":%d,\"RegionCode\":\"r%d\",\"Nodes\":[{"
			       "\"Name\":\"%d\",\"RegionID\":%d,\"HostName\":\"relay%d.example\","
			       "\"IPv4\":\"192.0.2.%d\"}]}",
			       i > 1 ? "," : "", i, i, i, i, i, i, i));
	ck_assert(buf_printf(&map, "}}}") && buf_append(&map, "", 1));
	world_send_map(&w, (const char *)buf_bytes(&map).data);
	buf_fini(&map);
	pass(&w, SPAN_S(10));
	ck_assert_uint_eq(node_home(node), NEAR);
	stop(&w);
	for (size_t i = 0; i < STREAMS; i++)
		if (streams[i].is_used)
			drop(&w, &streams[i]);
	derp_server_free(server);
}
