/* ts2021_world.h - a control client and a control server in one process: in-memory streams cut into
 * random pieces, virtual time
 *
 * The server side is server.h plus a few lines of HTTP for /key and /ts2021. What the client says
 * about pings over plain HTTP arrives at the same place. Tests set `handle` to answer requests
 * otherwise than the default does.
 */
#ifndef TESTS_TS2021_WORLD_H
#define TESTS_TS2021_WORLD_H

#include <stdlib.h>
#include <zstd.h>

#include "base/cursor.h"
#include "base/text.h"
#include "tests/harness.h"
#include "ts2021/control.h"
#include "ts2021/server.h"
#include "ts2021/upgrade.h"
#include "wire/http1.h"

enum { WORLD_REQUESTS = 1024, WORLD_EVENT_TYPES = CONTROL_LOGGED_OUT + 1 };

struct world_request {
	unsigned conn;
	int32_t stream;
	char method[16], path[600];
	char *body;
};

struct world_wire {
	bool is_open;
	struct buf up, down; /* to the server, to the client */
	struct buf head;     /* HTTP before the upgrade */
	struct ts2021_server *s;
	bool is_closed_by_server;
};

struct world {
	struct seed_rng rng;
	mono_t now;
	wall_t wall;
	struct control *c;
	struct key_priv control_key, machine, node;
	struct world_wire wire[CONTROL_CONNS];

	/* behaviour */
	bool (*handle)(struct world *w, const struct world_request *rq); /* true: done with */
	const char *refuse_dial; /* every dial fails with these words */
	bool swallow_dial;       /* dials hang */
	int key_status;
	const char *key_body; /* instead of the usual */
	bool close_after_key, mute_handshake, close_handshake, wrong_key_answer;
	bool is_silent;        /* the server reads nothing and says nothing */
	const char *first_map; /* sent when a stream opens; NULL: nothing */
	size_t flip_down; /* flip a bit of the n-th byte from now on towards the client; 0: none */
	size_t max_piece;

	/* what was seen */
	struct world_request rq[WORLD_REQUESTS];
	size_t n_rq, n_dials, n_hangups, n_upgrades, n_keys, n_plain_heads;
	unsigned seen[WORLD_EVENT_TYPES];
	char trouble[600], all_troubles[8192], auth_url[1100], login_failed[600];
	bool fatal, authorized, trouble_now, last_is_first;
	struct key_priv node_key;
	uint16_t dial_port;
	char dial_host[300];
	bool dial_tls;
	struct buf frame;
	char *last_map;
	unsigned frames;
	int32_t map_stream;
	unsigned map_conn;
	bool map_zstd;
};

static inline void world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	seed_rng_init(&w->rng, seed);
	w->now = (mono_t){ 1000 * NS_PER_S };
	w->wall = (wall_t){ 1800000000 * NS_PER_S };
	key_gen(&w->control_key, &w->rng.rng);
	key_gen(&w->machine, &w->rng.rng);
	key_gen(&w->node, &w->rng.rng);
	for (size_t i = 0; i < CONTROL_CONNS; i++) {
		buf_init(&w->wire[i].up, 64 << 20);
		buf_init(&w->wire[i].down, 64 << 20);
		buf_init(&w->wire[i].head, 64 << 10);
	}
	buf_init(&w->frame, 80 << 20);
	w->key_status = 200;
	w->max_piece = 3000;
	w->map_stream = -1;
	w->first_map = "{\"Node\":{\"ID\":1,\"Name\":\"a.example.\"},\"Domain\":\"example\","
		       "\"PacketFilters\":{\"base\":[]}}";
}

static inline struct control_conf world_conf(struct world *w)
{
	return (struct control_conf){ .rng = &w->rng.rng,
				      .url = "http://control.example:8080",
				      .machine = w->machine,
				      .node = w->node,
				      .user_agent_version = "1.2.3" };
}

static inline void world_client(struct world *w, const struct control_conf *conf)
{
	static const struct control_hostinfo hi = {
		.hostname = "a", .os_version = "6.1", .container = true, .userspace = true
	};
	struct key_pub disco = { { 7 } };
	struct err e;

	w->c = control_new(conf, &e);
	ck_assert_msg(w->c != NULL, "%s", e.text);
	ck_assert_int_eq(control_set_hostinfo(w->c, &hi), 0);
	control_set_disco(w->c, &disco);
}

static inline void world_shut(struct world *w, unsigned conn)
{
	struct world_wire *x = &w->wire[conn];

	ts2021_server_free(x->s);
	buf_clear(&x->up);
	buf_clear(&x->down);
	buf_clear(&x->head);
	x->s = NULL;
	x->is_open = x->is_closed_by_server = false;
}

static inline void world_fini(struct world *w)
{
	control_free(w->c);
	for (unsigned i = 0; i < CONTROL_CONNS; i++) {
		world_shut(w, i);
		buf_fini(&w->wire[i].up);
		buf_fini(&w->wire[i].down);
		buf_fini(&w->wire[i].head);
	}
	for (size_t i = 0; i < w->n_rq; i++)
		free(w->rq[i].body);
	free(w->last_map);
	buf_fini(&w->frame);
}

/* --- server --- */

static inline void world_answer(struct world *w, const struct world_request *rq, unsigned status,
				const char *body)
{
	struct ts2021_server *s = w->wire[rq->conn].s;

	ck_assert_int_eq(
	    ts2021_server_answer(s, rq->stream, status, "application/json", body != NULL), 0);
	if (body)
		ck_assert_int_eq(ts2021_server_send(s, rq->stream, body, strlen(body), true), 0);
}

/* Bytes as they are into the open map stream */
static inline void world_send_raw(struct world *w, const void *data, size_t len)
{
	ck_assert_int_eq(
	    ts2021_server_send(w->wire[w->map_conn].s, w->map_stream, data, len, false), 0);
}

/* A frame, packed as the client asked */
static inline void world_send_map_n(struct world *w, const void *json, size_t n)
{
	size_t cap = w->map_zstd ? ZSTD_compressBound(n) : n, len = n;
	uint8_t *buf = malloc(cap + 4);
	struct wr wr = wr_of(buf, 4);

	ck_assert_ptr_nonnull(buf);
	if (w->map_zstd)
		len = ZSTD_compress(buf + 4, cap, json, n, 3);
	else
		memcpy(buf + 4, json, n);
	ck_assert(!ZSTD_isError(len));
	wr_le32(&wr, (uint32_t)len);
	world_send_raw(w, buf, len + 4);
	free(buf);
}

static inline void world_send_map(struct world *w, const char *json)
{
	world_send_map_n(w, json, strlen(json));
}

static inline bool world_is_stream(const struct world_request *rq)
{
	return strcmp(rq->path, "/machine/map") == 0 && strstr(rq->body, "\"Stream\":true");
}

static inline bool world_is_lite(const struct world_request *rq)
{
	return strcmp(rq->path, "/machine/map") == 0 && strstr(rq->body, "\"OmitPeers\":true");
}

static inline bool world_is_register(const struct world_request *rq)
{
	return strcmp(rq->path, "/machine/register") == 0;
}

static inline void world_open_stream(struct world *w, const struct world_request *rq)
{
	w->map_stream = rq->stream;
	w->map_conn = rq->conn;
	w->map_zstd = strstr(rq->body, "\"Compress\":\"zstd\"") != NULL;
	ck_assert_int_eq(ts2021_server_answer(w->wire[rq->conn].s, rq->stream, 200,
					      "application/octet-stream", true),
			 0);
	if (w->first_map)
		world_send_map(w, w->first_map);
}

static inline void world_request(struct world *w, unsigned conn,
				 const struct ts2021_server_event *ev)
{
	struct world_request *rq = &w->rq[w->n_rq];

	ck_assert_uint_lt(w->n_rq, WORLD_REQUESTS);
	w->n_rq++;
	*rq = (struct world_request){ .conn = conn, .stream = ev->stream };
	snprintf(rq->method, sizeof rq->method, "%s", ev->method);
	snprintf(rq->path, sizeof rq->path, "%s", ev->path);
	rq->body = calloc(1, ev->body.len + 1);
	if (ev->body.len)
		memcpy(rq->body, ev->body.data, ev->body.len);
	if (w->handle && w->handle(w, rq))
		return;
	if (world_is_register(rq))
		world_answer(w, rq, 200,
			     "{\"MachineAuthorized\":true,\"AuthURL\":\"\",\"Error\":\"\","
			     "\"NodeKeySignature\":null}");
	else if (world_is_stream(rq))
		world_open_stream(w, rq);
	else if (world_is_lite(rq))
		world_answer(w, rq, 200, NULL);
	else
		world_answer(w, rq, 501, "no");
}

static inline void world_http(struct world *w, unsigned conn)
{
	struct world_wire *x = &w->wire[conn];
	uint8_t init[NOISE_INIT_LEN];
	char key[KEY_TEXT_MAX], body[200];
	struct http1_head h;
	struct key_pub pub;
	struct key_priv other;
	size_t n;

	http1_request_init(&h);
	if (http1_head_feed(&h, buf_bytes(&x->head)) != HTTP1_OK)
		return;
	key_public(&pub, &w->control_key);
	if (h.target.len > 5 && memcmp(h.target.data, "/key?", 5) == 0) {
		w->n_keys++;
		snprintf(body, sizeof body,
			 "{\"legacyPublicKey\":\"mkey:%064d\",\"publicKey\":\"%s\"}", 0,
			 key_pub_text(KEY_MACHINE, &pub, key));
		ck_assert(http1_emit_answer(&x->down, w->key_status, "application/json",
					    bytes_str(w->key_body ? w->key_body : body),
					    w->close_after_key));
		buf_consume(&x->head, h.len);
		x->is_closed_by_server = w->close_after_key;
	} else if (bytes_eq_str(h.method, "POST") && bytes_eq_str(h.target, UPGRADE_PATH)) {
		w->n_upgrades++;
		ck_assert(http1_is_upgrade(&h, UPGRADE_PROTOCOL));
		ck_assert(
		    base64_parse(http1_get(&h, UPGRADE_FIELD), BASE64_STD, init, sizeof init, &n) &&
		    n == sizeof init);
		buf_consume(&x->head, h.len);
		if (w->mute_handshake)
			return;
		if (w->wrong_key_answer) { /* a server that pretends: its response cannot be right
					    */
			ck_assert(upgrade_answer_emit(&x->down));
			memset(init, 0, sizeof init);
			memcpy(init, "\x02\x00\x30", 3);
			ck_assert(buf_append(&x->down, init, NOISE_RESP_LEN));
			return;
		}
		other = w->control_key;
		x->s = ts2021_server_new(&w->rng.rng, &other, init, w->now);
		if (!x->s || w->close_handshake) { /* as Headscale does: 101, then nothing */
			ts2021_server_free(x->s);
			x->s = NULL;
			ck_assert(upgrade_answer_emit(&x->down));
			x->is_closed_by_server = true;
		}
	} else {
		w->n_plain_heads++;
		ck_assert(bytes_eq_str(h.method, "HEAD"));
		snprintf(body, sizeof body, "%.*s", (int)h.target.len, (const char *)h.target.data);
		snprintf(w->rq[w->n_rq].path, sizeof w->rq[0].path, "%s", body);
		snprintf(w->rq[w->n_rq].method, sizeof w->rq[0].method, "HEAD");
		w->rq[w->n_rq].body = calloc(1, 1);
		w->n_rq++;
		ck_assert(http1_emit_answer(&x->down, 200, NULL, bytes_str(""), true));
		buf_consume(&x->head, h.len);
	}
}

static inline size_t world_piece(struct world *w, size_t len)
{
	size_t max = rng_below(&w->rng.rng, 4) ? w->max_piece : 7,
	       n = 1 + (size_t)rng_below(&w->rng.rng, max);

	return n < len ? n : len;
}

static inline bool world_serve(struct world *w, unsigned conn)
{
	struct world_wire *x = &w->wire[conn];
	struct ts2021_server_event ev;
	bool moved = false;
	uint8_t tmp[5000];
	size_t n;

	if (!x->is_open || w->is_silent)
		return false;
	if (x->up.len > 0) {
		n = world_piece(w, x->up.len);
		moved = true;
		if (x->s) {
			ts2021_server_feed(x->s, w->now, bytes_of(buf_bytes(&x->up).data, n));
			buf_consume(&x->up, n);
		} else {
			ck_assert(buf_append(&x->head, buf_bytes(&x->up).data, n));
			buf_consume(&x->up, n);
			world_http(w, conn);
		}
	}
	if (x->s && x->head.len > 0) { /* bytes behind the upgrade's head */
		ts2021_server_feed(x->s, w->now, buf_bytes(&x->head));
		buf_clear(&x->head);
	}
	while (x->s && ts2021_server_next(x->s, &ev)) {
		moved = true;
		if (ev.type == TS2021_REQUEST)
			world_request(w, conn, &ev);
		else if (ev.type == TS2021_CLOSED)
			x->is_closed_by_server = true;
	}
	while (x->s &&
	       (n = ts2021_server_pull(x->s, w->now, tmp,
				       1 + (size_t)rng_below(&w->rng.rng, sizeof tmp))) > 0) {
		moved = true;
		if (w->flip_down > 0 && w->flip_down <= n)
			tmp[w->flip_down - 1] ^= 4;
		w->flip_down = w->flip_down > n ? w->flip_down - n : 0;
		ck_assert(buf_append(&x->down, tmp, n));
	}
	return moved;
}

/* --- client --- */

static inline void world_dialed(struct world *w, const struct control_event *ev)
{
	w->n_dials++;
	w->dial_port = ev->port;
	w->dial_tls = ev->tls;
	snprintf(w->dial_host, sizeof w->dial_host, "%s", ev->host);
	ck_assert(!w->wire[ev->conn].is_open);
	if (w->refuse_dial)
		control_closed(w->c, w->now, ev->conn, w->refuse_dial);
	else if (!w->swallow_dial) {
		w->wire[ev->conn].is_open = true;
		control_opened(w->c, w->now, ev->conn);
	}
}

static inline void world_pull(struct world *w, unsigned conn)
{
	uint8_t tmp[5000];
	size_t n;

	while ((n = control_pull(w->c, w->now, conn, tmp,
				 1 + (size_t)rng_below(&w->rng.rng, sizeof tmp))) > 0)
		if (w->wire[conn].is_open)
			ck_assert(buf_append(&w->wire[conn].up, tmp, n));
}

static inline void world_event(struct world *w, const struct control_event *ev)
{
	w->seen[ev->type]++;
	switch (ev->type) {
	case CONTROL_DIAL:
		world_dialed(w, ev);
		break;
	case CONTROL_HANGUP:
		w->n_hangups++;
		world_shut(w, ev->conn);
		break;
	case CONTROL_OUTPUT:
		world_pull(w, ev->conn);
		break;
	case CONTROL_AUTH_URL:
		snprintf(w->auth_url, sizeof w->auth_url, "%s", ev->text);
		break;
	case CONTROL_REGISTERED:
		w->node_key = ev->node_key;
		w->authorized = ev->authorized;
		break;
	case CONTROL_MAP_BEGIN:
		buf_clear(&w->frame);
		w->last_is_first = ev->is_first;
		break;
	case CONTROL_MAP_DATA:
		ck_assert(buf_append(&w->frame, ev->data.data, ev->data.len));
		break;
	case CONTROL_MAP_END:
		w->frames++;
		free(w->last_map);
		w->last_map = calloc(1, w->frame.len + 1);
		memcpy(w->last_map, buf_bytes(&w->frame).data, w->frame.len);
		control_map_applied(w->c, w->now);
		break;
	case CONTROL_MAP_ABORT:
		buf_clear(&w->frame);
		break;
	case CONTROL_LOGIN_FAILED:
		snprintf(w->login_failed, sizeof w->login_failed, "%s", ev->text);
		w->fatal = ev->fatal;
		break;
	case CONTROL_TROUBLE:
		w->trouble_now = ev->text != NULL;
		if (ev->text) {
			snprintf(w->trouble, sizeof w->trouble, "%s", ev->text);
			strncat(w->all_troubles, ev->text,
				sizeof w->all_troubles - strlen(w->all_troubles) - 2);
			strncat(w->all_troubles, "\n", 2);
		}
		break;
	case CONTROL_NEEDS_LOGIN:
	case CONTROL_LOGGED_OUT:
		break;
	}
}

static inline bool world_drain(struct world *w)
{
	struct control_event ev;
	bool any = false;

	while (control_next(w->c, &ev)) {
		any = true;
		world_event(w, &ev);
	}
	return any;
}

static inline bool world_hear(struct world *w, unsigned conn)
{
	struct world_wire *x = &w->wire[conn];
	uint8_t tmp[5000];
	size_t n;

	if (!x->is_open)
		return false;
	if (x->down.len > 0) {
		n = world_piece(w, x->down.len);
		memcpy(tmp, buf_bytes(&x->down).data, n);
		buf_consume(&x->down, n);
		control_feed(w->c, w->now, w->wall, conn, bytes_of(tmp, n));
		return true;
	}
	if (!x->is_closed_by_server)
		return false;
	world_shut(w, conn);
	control_closed(w->c, w->now, conn, NULL);
	return true;
}

/* Until nothing moves any more */
static inline void world_run(struct world *w)
{
	bool moved = true;

	for (unsigned rounds = 0; moved; rounds++) {
		ck_assert_msg(rounds < 200000, "the two ends do not come to rest");
		moved = world_drain(w);
		for (unsigned i = 0; i < CONTROL_CONNS; i++) {
			moved = world_serve(w, i) || moved;
			moved = world_hear(w, i) || moved;
		}
	}
}

static inline void world_to(struct world *w, mono_t t)
{
	w->wall.ns += t.ns - w->now.ns;
	w->now = t;
	control_tick(w->c, w->now, w->wall);
	world_run(w);
}

/* Lets time pass, stopping at each deadline */
static inline void world_pass(struct world *w, span_t d)
{
	mono_t end = mono_add(w->now, d), t;

	world_run(w);
	for (unsigned turns = 0; (t = control_deadline(w->c), mono_before(t, end)); turns++) {
		ck_assert_msg(turns < 20000, "deadlines come without end");
		world_to(w, mono_max(t, w->now));
	}
	world_to(w, end);
}

/* conf: NULL for world_conf's */
static inline void world_connect(struct world *w, const struct control_conf *conf)
{
	const struct control_conf usual = world_conf(w);

	world_client(w, conf ? conf : &usual);
	control_start(w->c, w->now, w->wall);
}

static inline void world_start(struct world *w, uint64_t seed)
{
	world_init(w, seed);
	world_connect(w, NULL);
}

/* Control's end of a connection is gone, and the client's owner sees it close. */
static inline void world_hang_up(struct world *w, unsigned conn)
{
	world_shut(w, conn);
	control_closed(w->c, w->now, conn, NULL);
}

static inline size_t world_count(const struct world *w, bool (*is)(const struct world_request *))
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_rq; i++)
		n += is(&w->rq[i]);
	return n;
}

static inline const struct world_request *world_last(const struct world *w,
						     bool (*is)(const struct world_request *))
{
	for (size_t i = w->n_rq; i-- > 0;)
		if (is(&w->rq[i]))
			return &w->rq[i];
	ck_abort_msg("no such request");
	return NULL;
}

static inline bool is_streaming(const struct world *w)
{
	struct control_stat st;

	control_stat(w->c, &st);
	return st.streaming && strcmp(st.state, "streaming") == 0;
}

#endif
