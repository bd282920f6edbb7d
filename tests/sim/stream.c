/* tests/sim/stream.c - TCP (or TLS) between nodes and servers: dialled, delayed, broken
 *
 * The first bytes on a stream are HTTP/1.1; what they ask for decides which machine gets the rest,
 * as on a real server's port.
 */
#include "base/text.h"
#include "derp/http.h"
#include "tests/sim/sim_priv.h"
#include "wire/http1.h"

enum { STREAM_PIECE = 16 << 10 };

static int64_t latency(const struct world *w, const struct sim_stream *s)
{
	return s->relay < 0 ? SPAN_MS(15).ns : w->relay_delay[s->relay].ns;
}

static bool server_up(const struct world *w, const struct sim_stream *s)
{
	return s->relay < 0 ? w->control_up && servers_control_alive(w) : w->relay_up[s->relay];
}

static void tell_server(struct world *w, struct sim_stream *s)
{
	if (s->kind == PEER_CONTROL)
		tailnet_closed(w->control, sim_mono(w), sim_wall(w), s->session);
	else if (s->kind == PEER_RELAY)
		derp_server_close(w->relay[s->relay], sim_mono(w), s->conn);
	s->kind = PEER_HTTP;
}

static void drop(struct sim_stream *s)
{
	pipe_fini(&s->up);
	pipe_fini(&s->down);
	buf_fini(&s->head);
	s->used = s->opened = s->cut = false;
}

void stream_dial(struct world *w, int i, const struct node_effect *ef)
{
	struct sim_stream *s = &w->nodes[i].streams[ef->stream];

	WORLD_CHECK(w, ef->stream < SIM_STREAMS, "stream %u", ef->stream);
	if (s->used)
		stream_close_node(w, i, ef->stream);
	s->used = true;
	s->opened = s->hung_up = s->cut = false;
	s->outputs = 0;
	s->kind = PEER_HTTP;
	s->relay = -1;
	for (int r = 0; r < WORLD_RELAYS; r++)
		if (ip_eq(&ef->addr, &w->relay_ip[r]) || ip_eq(&ef->addr, &w->relay_ip6[r]))
			s->relay = r;
	s->open_at = w->now + 2 * latency(w, s);
	pipe_init(&s->up);
	pipe_init(&s->down);
	buf_init(&s->head, 64 << 10);
}

void stream_close_node(struct world *w, int i, uint32_t stream)
{
	struct sim_stream *s = &w->nodes[i].streams[stream];

	if (!s->used)
		return;
	tell_server(w, s);
	drop(s);
}

void stream_hangup(struct world *w, struct sim_stream *s, span_t later)
{
	tell_server(w, s);
	s->hung_up = true;
	pipe_close(&s->down, w->now + latency(w, s) + later.ns);
}

static void lost(struct world *w, int i, struct sim_stream *s, const char *why)
{
	uint32_t number = (uint32_t)(s - w->nodes[i].streams);

	tell_server(w, s);
	drop(s);
	if (w->nodes[i].node)
		node_stream_closed(w->nodes[i].node, sim_mono(w), number, why);
	w->nodes[i].dirty = true;
}

void stream_break(struct world *w, int relay)
{
	for (int i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; w->nodes[i].streams && k < SIM_STREAMS; k++) {
			struct sim_stream *s = &w->nodes[i].streams[k];

			if (s->used && s->opened && s->relay == relay)
				lost(w, i, s, "connection reset by peer");
		}
}

void streams_end(struct world *w, int relay)
{
	for (int i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; w->nodes[i].streams && k < SIM_STREAMS; k++) {
			struct sim_stream *s = &w->nodes[i].streams[k];

			if (s->used && s->opened && !s->hung_up && s->relay == relay)
				stream_hangup(w, s, SPAN_S(0));
		}
}

struct sim_stream *stream_of_session(struct world *w, struct session_id id, int *node)
{
	for (int i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; w->nodes[i].streams && k < SIM_STREAMS; k++) {
			struct sim_stream *s = &w->nodes[i].streams[k];

			*node = i;
			if (s->used && s->kind == PEER_CONTROL && s->session.index == id.index &&
			    s->session.generation == id.generation)
				return s;
		}
	return NULL;
}

struct sim_stream *stream_of_conn(struct world *w, int relay, struct derp_conn_id id, int *node)
{
	for (int i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; w->nodes[i].streams && k < SIM_STREAMS; k++) {
			struct sim_stream *s = &w->nodes[i].streams[k];

			*node = i;
			if (s->used && s->kind == PEER_RELAY && s->relay == relay &&
			    s->conn.index == id.index && s->conn.generation == id.generation)
				return s;
		}
	return NULL;
}

/* --- bytes --- */

/* A frame for a removed node has its key in clear. */
static void watch_removed(struct world *w, int i, const struct sim_stream *s, const uint8_t *data,
			  size_t len)
{
	for (int k = 0; k < w->n_nodes && s->relay >= 0; k++)
		WORLD_CHECK(w,
			    w->nodes[i].forgot_at[k] > w->now ||
				memmem(data, len, w->nodes[k].pub.b, KEY_LEN) == NULL,
			    "node %d sends to %d by a relay, but control has removed it", i, k);
}

void stream_pull_node(struct world *w, int i, uint32_t stream)
{
	struct sim_stream *s = &w->nodes[i].streams[stream];
	uint8_t buf[STREAM_PIECE];
	size_t n;

	while (s->used && s->opened) {
		if (pipe_room(&s->up) == 0) {
			s->up.blocked = true;
			break;
		}
		n = node_stream_pull(w->nodes[i].node, sim_mono(w), stream, buf, sizeof buf);
		if (n == 0)
			break;
		net_watch(w, i, buf, n);
		watch_removed(w, i, s, buf, n);
		pipe_put(&s->up, w->now + latency(w, s), buf, n);
	}
}

void stream_pull_server(struct world *w, int i, struct sim_stream *s)
{
	uint8_t buf[STREAM_PIECE];
	size_t n;

	(void)i;
	while (s->used && s->kind != PEER_HTTP) {
		if (pipe_room(&s->down) == 0) {
			s->down.blocked = true;
			break;
		}
		if (s->kind == PEER_CONTROL && w->control_died)
			break;
		WORLD_CHECK(w,
			    s->kind != PEER_CONTROL ||
				(!tailnet_must_store(w->control) && !disk_pending(w)),
			    "control speaks before it has kept what it says");
		if (s->kind == PEER_CONTROL)
			n = tailnet_pull(w->control, sim_mono(w), s->session, buf, sizeof buf);
		else
			n = derp_server_pull(w->relay[s->relay], sim_mono(w), s->conn, buf,
					     sizeof buf);
		if (n == 0)
			break;
		net_watch(w, -1, buf, n);
		pipe_put(&s->down, w->now + latency(w, s), buf, n);
	}
}

/* --- HTTP heads --- */

static void answer_key(struct world *w, struct sim_stream *s)
{
	struct buf body, out;

	buf_init(&body, 4096);
	buf_init(&out, 8192);
	ck_assert(tailnet_key_answer(w->control, &body) == 0);
	ck_assert(http1_emit_answer(&out, 200, "application/json", buf_bytes(&body), false));
	pipe_put(&s->down, w->now + latency(w, s), buf_bytes(&out).data, out.len);
	buf_fini(&body);
	buf_fini(&out);
}

static void upgrade_control(struct world *w, int i, struct sim_stream *s,
			    const struct http1_head *h)
{
	struct ipport remote = { net_outside(w, i), 40000 };
	uint8_t init[NOISE_INIT_LEN];
	size_t n = 0;

	if (!base64_parse(http1_get(h, "X-Tailscale-Handshake"), BASE64_STD, init, sizeof init,
			  &n) ||
	    n != sizeof init ||
	    tailnet_open(w->control, sim_mono(w), init, &remote, &s->session) != 0) {
		world_note(w, "control refuses a handshake");
		stream_hangup(w, s, SPAN_S(0));
		return;
	}
	s->kind = PEER_CONTROL;
}

static void upgrade_relay(struct world *w, int i, struct sim_stream *s, const struct http1_head *h)
{
	struct ipport remote = { net_outside(w, i), 40000 };
	struct buf out;
	bool fast = false;
	enum derp_http r;

	buf_init(&out, 8192);
	r = derp_http_request(h, &out, &fast);
	if (r == DERP_HTTP_UPGRADE &&
	    derp_server_open(w->relay[s->relay], sim_mono(w), &remote, fast, &s->conn) == 0)
		s->kind = PEER_RELAY;
	else if (out.len > 0)
		pipe_put(&s->down, w->now + latency(w, s), buf_bytes(&out).data, out.len);
	buf_fini(&out);
}

/* One whole head, if there is one. Returns whether to look again. */
static bool http(struct world *w, int i, struct sim_stream *s)
{
	struct http1_head h;
	enum http1_result r;

	http1_request_init(&h);
	r = http1_head_feed(&h, buf_bytes(&s->head));
	if (r == HTTP1_MORE)
		return false;
	WORLD_CHECK(w, r == HTTP1_OK, "node %d sends a bad HTTP head: %s", i, http1_result_name(r));
	if (s->relay >= 0)
		upgrade_relay(w, i, s, &h);
	else if (bytes_eq_str(h.method, "POST"))
		upgrade_control(w, i, s, &h);
	else
		answer_key(w, s);
	buf_consume(&s->head, h.len);
	return s->kind == PEER_HTTP;
}

static void feed_server(struct world *w, int i, struct sim_stream *s, struct bytes in)
{
	if (s->kind == PEER_HTTP) {
		ck_assert(buf_append(&s->head, in.data, in.len));
		while (s->head.len > 0 && http(w, i, s))
			;
		if (s->kind == PEER_HTTP)
			return;
		in = buf_bytes(&s->head);
	}
	if (in.len > 0 && s->kind == PEER_CONTROL && servers_control_alive(w))
		tailnet_feed(w->control, sim_mono(w), sim_wall(w), s->session, in);
	else if (in.len > 0 && s->kind == PEER_RELAY)
		derp_server_feed(w->relay[s->relay], sim_mono(w), s->conn, in);
	buf_clear(&s->head);
}

/* --- time --- */

static void open_due(struct world *w, int i, struct sim_stream *s)
{
	if (s->relay < 0 ? w->control_hangs : w->relay_hangs[s->relay]) {
		s->open_at = INT64_MAX; /* for good: who dials must lose patience */
		return;
	}
	if (!server_up(w, s)) {
		lost(w, i, s, "connection refused");
		return;
	}
	s->opened = true;
	node_stream_opened(w->nodes[i].node, sim_mono(w), (uint32_t)(s - w->nodes[i].streams));
	w->nodes[i].dirty = true;
}

static void up_due(struct world *w, int i, struct sim_stream *s)
{
	struct bytes in = pipe_due(&s->up, w->now);

	if (in.len == 0 ||
	    (s->kind == PEER_RELAY && !derp_server_wants_read(w->relay[s->relay], s->conn)))
		return;
	if (!s->hung_up)
		feed_server(w, i, s, in);
	if (s->used && pipe_take(&s->up, in.len) && sim_awake(w, i)) {
		stream_pull_node(w, i, (uint32_t)(s - w->nodes[i].streams));
		w->nodes[i].dirty = true;
	}
}

static void down_due(struct world *w, int i, struct sim_stream *s)
{
	uint32_t number = (uint32_t)(s - w->nodes[i].streams);
	struct bytes in = pipe_due(&s->down, w->now);

	if (in.len > 0) {
		/* as a host reads: the node's turn comes between two pieces */
		in = bytes_of(in.data, MIN_OF(in.len, (size_t)STREAM_PIECE));
		node_stream_feed(w->nodes[i].node, sim_mono(w), sim_wall(w), number, in);
		if (pipe_take(&s->down, in.len)) {
			servers_settle(w);
			stream_pull_server(w, i, s);
		}
		w->nodes[i].dirty = true;
	}
	if (pipe_ended(&s->down, w->now))
		lost(w, i, s, NULL);
}

void streams_cut(struct world *w, int i)
{
	for (size_t k = 0; k < SIM_STREAMS; k++)
		w->nodes[i].streams[k].cut = w->nodes[i].streams[k].opened;
}

static void step(struct world *w, int i, struct sim_stream *s)
{
	bool awake = sim_awake(w, i);

	if (s->cut)
		return;
	if (!s->opened && awake && s->open_at <= w->now)
		open_due(w, i, s);
	if (s->used && s->opened)
		up_due(w, i, s);
	if (s->used && s->opened && awake)
		down_due(w, i, s);
}

void streams_step(struct world *w)
{
	for (int i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; w->nodes[i].streams && k < SIM_STREAMS; k++)
			if (w->nodes[i].streams[k].used)
				step(w, i, &w->nodes[i].streams[k]);
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t next_of(const struct world *w, int i, const struct sim_stream *s)
{
	int64_t t = INT64_MAX, floor = w->nodes[i].wake_at;

	if (s->cut)
		return t;
	if (!s->opened)
		return s->open_at > floor ? s->open_at : floor;
	if (s->kind != PEER_RELAY || derp_server_wants_read(w->relay[s->relay], s->conn))
		t = pipe_next(&s->up);
	return min64(t, pipe_next(&s->down) > floor ? pipe_next(&s->down) : floor);
}

int64_t streams_next(const struct world *w)
{
	int64_t t = INT64_MAX;

	for (int i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; w->nodes[i].streams && k < SIM_STREAMS; k++)
			if (w->nodes[i].streams[k].used)
				t = min64(t, next_of(w, i, &w->nodes[i].streams[k]));
	return t;
}

void streams_fini(struct world *w, int i)
{
	for (uint32_t k = 0; w->nodes[i].streams && k < SIM_STREAMS; k++)
		stream_close_node(w, i, k);
}
