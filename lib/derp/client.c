/* derp/client.c - client end of one relay connection
 *
 * Bytes come in by feed and wait in `in`; next takes frame after frame from there, so that an event
 * may point into it. HTTP answer, ServerKey and ServerInfo come in this order; packets may leave as
 * soon as our ClientInfo is queued, without waiting for ServerInfo. What leaves is, in order of
 * precedence: the frame already begun, control bytes, queued packets. When a relay announces a
 * rate, packets above it are dropped at the moment they would leave. Everything that ends the
 * connection goes through die(), which keeps the first reason; CLOSED is the last event.
 */
#include "derp/client.h"

#include "base/json.h"
#include "crypto/box.h"
#include "derp/queue.h"
#include "wire/http1.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum client_state { ST_HTTP, ST_SERVER_KEY, ST_SERVER_INFO, ST_READY, ST_DEAD };

enum {
	CONTROL_MAX = 8192, /* what we say besides packets; when full, Pongs are not sent */
	SPARE_BLOCKS = 64,
	APP_MAX = 64,
	MESH_KEY_LEN = 64,
};

struct bucket { /* the relay's limit for us; rate 0: none */
	double rate, burst, tokens;
	mono_t at;
};

struct derp_client {
	enum client_state state;
	struct rng *rng;
	struct {
		struct key_priv node;
		uint8_t shared[BOX_SHARED]; /* with the relay */
	} * secret;                         /* secret_new */
	struct key_pub node_pub, server;
	char app[APP_MAX + 1], mesh_key[MESH_KEY_LEN + 1];
	bool is_home, is_watching, is_pinging, closed_told;
	uint8_t ping[DERP_PING_LEN];
	mono_t now, ping_at, heard, login_by;
	struct http1_head *head; /* while in ST_HTTP */
	struct derp_input in;
	struct derp_pool pool;
	struct derp_queue queue;
	struct derp_writer out;
	struct bucket bucket;
	struct derp_client_stats stats;
	char text[256]; /* of HEALTH and CLOSED */
};

static void die(struct derp_client *c, const char *why, const char *detail)
{
	if (c->state == ST_DEAD)
		return;
	c->state = ST_DEAD;
	snprintf(c->text, sizeof c->text, "%s%s", why, detail);
	derp_queue_clear(&c->queue, &c->pool);
	derp_writer_fini(&c->out, &c->pool);
	derp_input_fini(&c->in);
	derp_pool_trim(&c->pool);
}

/* --- starting --- */

static bool emit_request(struct derp_client *c, const char *host)
{
	struct http1_emit e =
	    http1_emit_request(&c->out.control, "GET", bytes_str("/derp"), bytes_str(host));

	http1_emit_field(&e, "Connection", "Upgrade");
	http1_emit_field(&e, "Upgrade", "DERP");
	return http1_emit_end(&e);
}

/* what goes between quotes in our JSON: cut when long, odd characters replaced */
static void copy_label(char *out, size_t cap, const char *text)
{
	(void)bytes_to_str(bytes_str(text ? text : ""), out, cap);
	for (char *p = out; *p; p++)
		if (*p < ' ' || *p == '"' || *p == '\\' || *p == 0x7f)
			*p = '_';
}

struct derp_client *derp_client_new(const struct derp_client_conf *conf, mono_t now)
{
	struct derp_client *c = calloc(1, sizeof *c);

	if (!c || !(c->secret = secret_new(sizeof *c->secret))) {
		free(c);
		return NULL;
	}
	c->secret->node = conf->node;
	key_public(&c->node_pub, &c->secret->node);
	c->rng = conf->rng;
	c->is_home = conf->is_home;
	c->now = c->heard = now;
	c->login_by = mono_add(now, SPAN_S(DERP_LOGIN_TIMEOUT_S));
	c->pool.max = DERP_QUEUE_BLOCKS;
	c->pool.keep = SPARE_BLOCKS;
	copy_label(c->app, sizeof c->app, conf->app);
	copy_label(c->mesh_key, sizeof c->mesh_key, conf->mesh_key);
	derp_writer_init(&c->out, CONTROL_MAX);
	c->head = malloc(sizeof *c->head);
	if (!c->head || !emit_request(c, conf->host)) {
		derp_client_free(c);
		return NULL;
	}
	http1_response_init(c->head, "GET");
	return c;
}

void derp_client_free(struct derp_client *c)
{
	if (!c)
		return;
	derp_queue_clear(&c->queue, &c->pool);
	derp_writer_fini(&c->out, &c->pool);
	derp_pool_fini(&c->pool);
	derp_input_fini(&c->in);
	free(c->head);
	secret_free(c->secret);
	secret_wipe(c->mesh_key, sizeof c->mesh_key);
	free(c);
}

/* the HTTP answer; false: not complete, or refused */
static bool read_answer(struct derp_client *c)
{
	enum http1_result r = http1_head_feed(c->head, derp_input_bytes(&c->in));
	char status[32];

	if (r == HTTP1_MORE)
		return false;
	if (r != HTTP1_OK) {
		die(c, "relay's HTTP answer: ", http1_result_name(r));
		return false;
	}
	if (c->head->status != 101 || !http1_is_upgrade(c->head, "DERP")) {
		snprintf(status, sizeof status, "HTTP status %d", c->head->status);
		die(c, "relay does not speak DERP here: ", status);
		return false;
	}
	derp_input_consume(&c->in, c->head->len);
	free(c->head);
	c->head = NULL;
	c->state = ST_SERVER_KEY;
	return true;
}

/* --- handshake --- */

static size_t client_info_json(const struct derp_client *c, char *out, size_t cap)
{
	struct buf b;
	size_t n;
	bool ok;

	buf_init(&b, cap - 1);
	ok =
	    buf_printf(&b, "{\"version\":%d,\"CanAckPings\":true,\"IsProber\":false", DERP_VERSION);
	if (c->mesh_key[0])
		ok = ok && buf_printf(&b, ",\"meshKey\":\"%s\"", c->mesh_key);
	if (c->app[0])
		ok = ok && buf_printf(&b, ",\"AppName\":\"%s\"", c->app);
	ok = ok && buf_append(&b, "}", 1);
	n = ok ? b.len : 0;
	if (n > 0)
		memcpy(out, buf_bytes(&b).data, n);
	buf_fini(&b);
	return n;
}

static void note_preferred(struct derp_client *c)
{
	uint8_t v = c->is_home;

	if (!derp_frame_emit(&c->out.control, DERP_NOTE_PREFERRED, bytes_of(&v, 1),
			     bytes_of(NULL, 0)))
		die(c, "relay does not read", "");
}

static void on_server_key(struct derp_client *c, const struct derp_frame *f)
{
	uint8_t body[KEY_LEN + BOX_NONCE], sealed[512 + BOX_TAG];
	char json[512];
	size_t len;

	if (f->type != DERP_SERVER_KEY || !derp_server_key_parse(f->body, &c->server)) {
		die(c, "relay did not begin with its key", "");
		return;
	}
	if (!box_shared(c->secret->shared, &c->secret->node, &c->server)) {
		die(c, "relay's key is not usable", "");
		return;
	}
	len = client_info_json(c, json, sizeof json);
	memcpy(body, c->node_pub.b, KEY_LEN);
	rng_fill(c->rng, body + KEY_LEN, BOX_NONCE);
	box_seal(sealed, (const uint8_t *)json, len, body + KEY_LEN, c->secret->shared);
	secret_wipe(json, sizeof json);
	if (len == 0 ||
	    !derp_frame_emit(&c->out.control, DERP_CLIENT_INFO, bytes_of(body, sizeof body),
			     bytes_of(sealed, len + BOX_TAG))) {
		die(c, "out of memory", "");
		return;
	}
	c->state = ST_SERVER_INFO;
	if (c->is_home)
		note_preferred(c);
	if (c->is_watching)
		derp_client_watch(c);
}

static bool read_server_info(struct derp_client *c, struct bytes text)
{
	struct json j = json_of(text);
	double rate = 0, burst = 0;
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "TokenBucketBytesPerSecond"))
			rate = json_f64(&j);
		else if (json_key_is(key, "TokenBucketBytesBurst"))
			burst = json_f64(&j);
		else
			json_skip(&j);
	}
	if (!json_done(&j))
		return false;
	c->bucket = (struct bucket){ .at = c->now };
	if (rate > 0 && burst > 0)
		c->bucket = (struct bucket){ rate, burst, burst, c->now };
	return true;
}

/* true: this is the first one, so READY */
static bool on_server_info(struct derp_client *c, struct bytes body)
{
	uint8_t *text;
	size_t len;
	bool ok, is_first = c->state == ST_SERVER_INFO;

	if (body.len < BOX_NONCE + BOX_TAG) {
		die(c, "relay's ServerInfo is too short", "");
		return false;
	}
	len = body.len - BOX_NONCE;
	text = malloc(len);
	if (!text) {
		die(c, "out of memory", "");
		return false;
	}
	ok = box_open(text, body.data + BOX_NONCE, len, body.data, c->secret->shared) &&
	     read_server_info(c, bytes_of(text, len - BOX_TAG));
	free(text);
	if (!ok) {
		die(c, "relay's ServerInfo is not for us or malformed", "");
		return false;
	}
	c->state = ST_READY;
	return is_first;
}

/* --- frames --- */

static bool on_health(struct derp_client *c, struct bytes body, struct derp_event *ev)
{
	ev->type = DERP_EV_HEALTH;
	(void)bytes_to_str(body, c->text, sizeof c->text); /* cut: it is for a person */
	for (char *p = c->text; *p; p++)
		if ((uint8_t)*p < ' ')
			*p = ' ';
	ev->text = c->text;
	return true;
}

static bool malformed(struct derp_client *c)
{
	c->stats.malformed++;
	return false;
}

static bool on_ping(struct derp_client *c, struct bytes body)
{
	if (body.len < DERP_PING_LEN)
		return malformed(c);
	/* no room: the relay asks faster than it reads, and gets no answer */
	if (!derp_frame_emit(&c->out.control, DERP_PONG, bytes_of(body.data, DERP_PING_LEN),
			     bytes_of(NULL, 0)))
		c->stats.pings_dropped++;
	return false;
}

static bool on_pong(struct derp_client *c, struct bytes body, struct derp_event *ev)
{
	if (!c->is_pinging || body.len < DERP_PING_LEN ||
	    memcmp(body.data, c->ping, DERP_PING_LEN) != 0)
		return false;
	c->is_pinging = false;
	ev->type = DERP_EV_PONG;
	ev->rtt = mono_sub(c->now, c->ping_at);
	return true;
}

static bool on_peer_present(struct derp_client *c, struct bytes body, struct derp_event *ev)
{
	struct derp_peer_present p;

	if (!derp_peer_present_parse(body, &p))
		return malformed(c);
	ev->type = DERP_EV_PEER_PRESENT;
	ev->from = p.key;
	return true;
}

static bool on_restarting(struct derp_client *c, struct bytes body, struct derp_event *ev)
{
	uint32_t reconnect_ms, try_ms;

	if (!derp_restarting_parse(body, &reconnect_ms, &try_ms))
		return malformed(c);
	ev->type = DERP_EV_RESTARTING;
	ev->reconnect_in = SPAN_MS(reconnect_ms);
	return true;
}

/* true: *ev is an event */
static bool on_frame(struct derp_client *c, const struct derp_frame *f, struct derp_event *ev)
{
	switch (f->type) {
	case DERP_SERVER_INFO:
		ev->type = DERP_EV_READY;
		return on_server_info(c, f->body);
	case DERP_RECV_PACKET:
		if (!derp_packet_parse(f->body, &ev->from, &ev->data))
			return malformed(c);
		ev->type = DERP_EV_PACKET;
		c->stats.received++;
		return true;
	case DERP_KEEP_ALIVE: /* once a minute: a good moment to give spare memory back */
		derp_input_shrink(&c->in);
		derp_pool_trim(&c->pool);
		return false;
	case DERP_PEER_GONE:
		ev->type = DERP_EV_PEER_GONE;
		return derp_peer_gone_parse(f->body, &ev->from, &ev->reason) || malformed(c);
	case DERP_PEER_PRESENT:
		return on_peer_present(c, f->body, ev);
	case DERP_PING:
		return on_ping(c, f->body);
	case DERP_PONG:
		return on_pong(c, f->body, ev);
	case DERP_HEALTH:
		return on_health(c, f->body, ev);
	case DERP_RESTARTING:
		return on_restarting(c, f->body, ev);
	default:
		c->stats.unknown++;
		return false;
	}
}

/* one frame; false: no whole one is there */
static bool step(struct derp_client *c, struct derp_event *ev, bool *is_event)
{
	struct derp_frame f;

	switch (derp_input_next(&c->in, &f)) {
	case DERP_INPUT_MORE:
		return false;
	case DERP_INPUT_TOO_LONG:
		die(c, "relay sent a frame that is too long", "");
		return false;
	case DERP_INPUT_FRAME:
		break;
	}
	c->heard = c->now;
	if (c->state == ST_SERVER_KEY)
		on_server_key(c, &f);
	else
		*is_event = on_frame(c, &f, ev);
	return c->state != ST_DEAD;
}

bool derp_client_next(struct derp_client *c, struct derp_event *ev)
{
	bool is_event = false;

	*ev = (struct derp_event){ .type = DERP_EV_CLOSED };
	if (c->state == ST_HTTP)
		(void)read_answer(c);
	while (c->state != ST_HTTP && c->state != ST_DEAD && step(c, ev, &is_event))
		if (is_event)
			return true;
	if (c->state != ST_DEAD || c->closed_told)
		return false;
	c->closed_told = true;
	*ev = (struct derp_event){ .type = DERP_EV_CLOSED, .text = c->text };
	return true;
}

void derp_client_feed(struct derp_client *c, mono_t now, struct bytes in)
{
	c->now = now;
	if (c->state != ST_DEAD && !derp_input_feed(&c->in, in))
		die(c, "out of memory for the relay's input", "");
}

/* --- sending --- */

static bool queue_packet(struct derp_client *c, enum derp_frame_type type,
			 const struct key_pub *from, const struct key_pub *to, struct bytes packet)
{
	uint8_t head[DERP_HEAD_LEN + 2 * KEY_LEN];
	size_t keys = from ? 2 * KEY_LEN : KEY_LEN;
	size_t need = derp_blocks_for(DERP_HEAD_LEN + keys + packet.len);

	if (c->state == ST_DEAD || packet.len > DERP_PACKET_MAX)
		return false;
	derp_frame_head(head, type, keys + packet.len);
	if (from)
		memcpy(head + DERP_HEAD_LEN, from->b, KEY_LEN);
	memcpy(head + DERP_HEAD_LEN + keys - KEY_LEN, to->b, KEY_LEN);
	while (c->queue.n >= DERP_QUEUE_MAX ||
	       (c->queue.n > 0 && c->pool.max - c->pool.n_used < need)) {
		derp_pool_release(&c->pool, derp_queue_take(&c->queue));
		c->stats.dropped_queue++;
	}
	if (!derp_queue_put(&c->queue, &c->pool, bytes_of(head, DERP_HEAD_LEN + keys), packet))
		c->stats.dropped_queue++;
	return true;
}

bool derp_client_send(struct derp_client *c, const struct key_pub *to, const uint8_t *data,
		      size_t len)
{
	return queue_packet(c, DERP_SEND_PACKET, NULL, to, bytes_of(data, len));
}

bool derp_client_forward(struct derp_client *c, const struct key_pub *from,
			 const struct key_pub *to, struct bytes packet)
{
	return queue_packet(c, DERP_FORWARD_PACKET, from, to, packet);
}

void derp_client_watch(struct derp_client *c)
{
	c->is_watching = true;
	if (c->state != ST_SERVER_INFO && c->state != ST_READY)
		return; /* goes out behind ClientInfo */
	if (!derp_frame_emit(&c->out.control, DERP_WATCH_CONNS, bytes_of(NULL, 0),
			     bytes_of(NULL, 0)))
		die(c, "out of memory", "");
}

void derp_client_set_home(struct derp_client *c, bool is_home)
{
	if (c->is_home == is_home)
		return;
	c->is_home = is_home;
	if (c->state == ST_SERVER_INFO || c->state == ST_READY)
		note_preferred(c);
}

void derp_client_ping(struct derp_client *c, mono_t now)
{
	if (c->state != ST_READY || c->is_pinging)
		return;
	rng_fill(c->rng, c->ping, sizeof c->ping);
	if (!derp_frame_emit(&c->out.control, DERP_PING, bytes_of(c->ping, sizeof c->ping),
			     bytes_of(NULL, 0)))
		die(c, "relay does not read", "");
	c->is_pinging = true;
	c->ping_at = now;
}

/* whether a frame of that length may leave now; takes its tokens */
static bool bucket_allows(struct bucket *b, mono_t now, size_t len)
{
	if (b->rate == 0)
		return true;
	if (mono_before(b->at, now)) {
		b->tokens += (double)mono_sub(now, b->at).ns / (double)NS_PER_S * b->rate;
		b->at = now;
	}
	if (b->tokens > b->burst)
		b->tokens = b->burst;
	if (b->tokens < (double)len)
		return false;
	b->tokens -= (double)len;
	return true;
}

void derp_client_forget(struct derp_client *c, const struct key_pub *to)
{
	struct derp_queue kept = { 0 };
	struct derp_block *b;

	while ((b = derp_queue_take(&c->queue))) {
		if (b->data[0] == DERP_SEND_PACKET &&
		    memcmp(b->data + DERP_HEAD_LEN, to->b, KEY_LEN) == 0) {
			derp_pool_release(&c->pool, b);
			c->stats.dropped_queue++;
		} else {
			derp_queue_push(&kept, b);
		}
	}
	c->queue = kept;
}

/* the next packet that may leave, or false */
static bool begin_packet(struct derp_client *c, mono_t now)
{
	struct derp_block *b;

	if (c->state != ST_SERVER_INFO && c->state != ST_READY)
		return false;
	while ((b = derp_queue_take(&c->queue))) {
		if (bucket_allows(&c->bucket, now, b->len)) {
			derp_writer_begin(&c->out, b);
			c->stats.sent++;
			return true;
		}
		derp_pool_release(&c->pool, b);
		c->stats.dropped_rate++;
	}
	return false;
}

size_t derp_client_pull(struct derp_client *c, mono_t now, uint8_t *buf, size_t cap)
{
	size_t n = derp_writer_pull(&c->out, &c->pool, buf, cap);

	while (n < cap && begin_packet(c, now))
		n += derp_writer_pull(&c->out, &c->pool, buf + n, cap - n);
	return n;
}

bool derp_client_has_output(const struct derp_client *c)
{
	bool may_send = c->state == ST_SERVER_INFO || c->state == ST_READY;

	return derp_writer_has(&c->out) || (may_send && c->queue.n > 0);
}

/* --- time --- */

mono_t derp_client_deadline(const struct derp_client *c)
{
	mono_t t = mono_add(c->heard, SPAN_S(DERP_READ_TIMEOUT_S));

	if (c->state == ST_DEAD)
		return MONO_NEVER;
	if (c->state != ST_READY)
		t = mono_min(t, c->login_by);
	if (c->is_pinging)
		t = mono_min(t, mono_add(c->ping_at, SPAN_S(DERP_PING_WAIT_S)));
	return t;
}

void derp_client_tick(struct derp_client *c, mono_t now)
{
	if (c->state == ST_DEAD)
		return;
	if (c->state != ST_READY && mono_due(c->login_by, now))
		die(c, "relay did not finish the handshake in time", "");
	else if (c->is_pinging && mono_due(mono_add(c->ping_at, SPAN_S(DERP_PING_WAIT_S)), now))
		die(c, "relay did not answer a ping", "");
	else if (mono_due(mono_add(c->heard, SPAN_S(DERP_READ_TIMEOUT_S)), now))
		die(c, "relay was silent for two minutes", "");
	c->now = now;
}

const struct derp_client_stats *derp_client_stats(const struct derp_client *c)
{
	return &c->stats;
}

const struct key_pub *derp_client_server_key(const struct derp_client *c)
{
	return c->state == ST_SERVER_INFO || c->state == ST_READY ? &c->server : NULL;
}
