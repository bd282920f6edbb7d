/* derp/conn.c - one client of the relay: login, its frames, its queues */
#include "derp/server_priv.h"

#include "base/json.h"
#include "base/text.h"
#include "wire/http1.h"

#include <assert.h>
#include <stdlib.h>

static const uint8_t disco_magic[6] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

/* --- output --- */

static bool has_output(const struct derp_server *s, const struct conn *c)
{
	return derp_writer_has(&c->out) || c->data.n > 0 || c->disco.n > 0 ||
	       (c->is_watcher && c->dump_at < s->conf.max_conns);
}

static span_t write_time(const struct conn *c)
{
	return SPAN_S(c->is_mesh ? WRITE_MESH_S : WRITE_S);
}

void conn_wake(struct derp_server *s, mono_t now, struct conn *c)
{
	if (c->output_told)
		return;
	c->output_told = true;
	c->write_by = mono_add(now, write_time(c));
	conn_want(s, c, WANT_OUTPUT);
	conn_rearm(s, c);
}

bool conn_control(struct derp_server *s, mono_t now, struct conn *c, enum derp_frame_type type,
		  struct bytes body)
{
	if (c->state == CONN_DEAD ||
	    !derp_frame_emit(&c->out.control, type, body, bytes_of(NULL, 0)))
		return false;
	conn_wake(s, now, c);
	return true;
}

static bool emit_answer_head(struct derp_server *s, struct conn *c)
{
	struct http1_emit e = http1_emit_response(&c->out.control, 101, NULL);
	char hex[2 * KEY_LEN + 1];

	hex_emit(s->pub.b, KEY_LEN, hex);
	http1_emit_field(&e, "Upgrade", "DERP");
	http1_emit_field(&e, "Connection", "Upgrade");
	http1_emit_field(&e, "Derp-Version", "2");
	http1_emit_field(&e, "Derp-Public-Key", hex);
	return http1_emit_end(&e);
}

bool conn_begin(struct derp_server *s, mono_t now, struct conn *c, bool fast_start)
{
	derp_writer_init(&c->out, CONTROL_MAX);
	if (!fast_start && !emit_answer_head(s, c))
		return false;
	if (!derp_frame_emit(&c->out.control, DERP_SERVER_KEY,
			     bytes_of(derp_magic, sizeof derp_magic), bytes_of(s->pub.b, KEY_LEN)))
		return false;
	conn_wake(s, now, c);
	return true;
}

/* Blocks that the data queue of c may hold now: a share of what is free, so that slow readers leave
 * room for the others */
static size_t data_limit(const struct derp_server *s)
{
	return MIN_OF(s->conf.queue_bytes / DERP_BLOCK_SIZE,
		      (s->pool.max - s->pool.n_used) / SHARE);
}

static void drop_head(struct derp_server *s, struct derp_queue *q)
{
	derp_pool_release(&s->pool, derp_queue_take(q));
	s->stats.dropped[DERP_DROP_QUEUE_HEAD]++;
}

static bool
is_disco(struct bytes packet) /* and not more than a block, so that this queue is small */
{
	return packet.len >= sizeof disco_magic + KEY_LEN + BOX_NONCE &&
	       packet.len <= DERP_BLOCK_DATA - DERP_HEAD_LEN - KEY_LEN &&
	       memcmp(packet.data, disco_magic, sizeof disco_magic) == 0;
}

void conn_deliver(struct derp_server *s, mono_t now, struct conn *c, const struct key_pub *from,
		  struct bytes packet)
{
	struct derp_queue *q = is_disco(packet) ? &c->disco : &c->data;
	size_t need = derp_blocks_for(DERP_HEAD_LEN + KEY_LEN + packet.len);
	uint8_t head[DERP_HEAD_LEN + KEY_LEN];

	while (q->n >= QUEUE_DEPTH ||
	       (q == &c->data && q->n > 0 && q->n_blocks + need > data_limit(s)))
		drop_head(s, q);
	derp_frame_head(head, DERP_RECV_PACKET, KEY_LEN + packet.len);
	memcpy(head + DERP_HEAD_LEN, from->b, KEY_LEN);
	if ((q == &c->data && need > data_limit(s)) ||
	    !derp_queue_put(q, &s->pool, bytes_of(head, sizeof head), packet)) {
		s->stats.dropped[DERP_DROP_QUEUE_TAIL]++;
		return;
	}
	conn_wake(s, now, c);
}

/* the next queued frame, data and disco in turn */
static struct derp_block *next_frame(struct conn *c)
{
	struct derp_queue *first = c->disco_turn ? &c->disco : &c->data;
	struct derp_queue *second = c->disco_turn ? &c->data : &c->disco;

	c->disco_turn = !c->disco_turn;
	return derp_queue_take(first->n > 0 ? first : second);
}

static bool begin_next(struct derp_server *s, struct conn *c)
{
	struct derp_block *b = next_frame(c);

	if (!b)
		return mesh_dump(s, c);
	s->stats.packets_out++;
	s->stats.bytes_out += b->len;
	derp_writer_begin(&c->out, b);
	return true;
}

size_t conn_pull(struct derp_server *s, mono_t now, struct conn *c, uint8_t *buf, size_t cap)
{
	size_t n = derp_writer_pull(&c->out, &s->pool, buf, cap);

	while (n < cap && begin_next(s, c))
		n += derp_writer_pull(&c->out, &s->pool, buf + n, cap - n);
	if (n > 0)
		c->write_by = mono_add(now, write_time(c));
	if (!has_output(s, c)) {
		c->output_told = false;
		c->write_by = MONO_NEVER;
	}
	return n;
}

/* --- login --- */

struct client_info {
	char mesh_key[80];
	bool is_prober;
	int64_t version;
};

static bool parse_info(struct bytes text, struct client_info *info)
{
	struct json j = json_of(text);
	struct bytes key;

	*info = (struct client_info){ .version = 0 };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "meshKey"))
			json_str(&j, info->mesh_key, sizeof info->mesh_key);
		else if (json_key_is(key, "IsProber"))
			info->is_prober = json_bool(&j);
		else if (json_key_is(key, "version"))
			info->version = json_i64(&j);
		else
			json_skip(&j);
	}
	return json_done(&j);
}

/* opens the box; false: not for us, or malformed */
static bool open_info(struct derp_server *s, struct conn *c, struct bytes body,
		      struct client_info *info)
{
	const size_t fixed = KEY_LEN + BOX_NONCE;
	struct bytes sealed;
	uint8_t *text;
	bool ok;

	if (body.len < fixed + BOX_TAG)
		return false;
	memcpy(c->key.b, body.data, KEY_LEN);
	if (!box_shared(c->shared, s->key, &c->key))
		return false;
	sealed = bytes_of(body.data + fixed, body.len - fixed);
	text = malloc(sealed.len);
	if (!text)
		return false;
	ok = box_open(text, sealed.data, sealed.len, body.data + KEY_LEN, c->shared) &&
	     parse_info(bytes_of(text, sealed.len - BOX_TAG), info);
	secret_wipe(text, sealed.len);
	free(text);
	return ok;
}

static bool send_server_info(struct derp_server *s, mono_t now, struct conn *c)
{
	static const char json[] = "{\"version\":2}";
	uint8_t body[BOX_NONCE + BOX_TAG + sizeof json - 1];

	rng_fill(s->conf.rng, body, BOX_NONCE);
	box_seal(body + BOX_NONCE, (const uint8_t *)json, sizeof json - 1, body, c->shared);
	secret_wipe(c->shared, sizeof c->shared); /* this was its last use */
	return conn_control(s, now, c, DERP_SERVER_INFO, bytes_of(body, sizeof body));
}

static void arm_keepalive(struct derp_server *s, mono_t now, struct conn *c)
{
	uint64_t jitter = rng_below(s->conf.rng, (uint64_t)KEEPALIVE_JITTER_S * (uint64_t)NS_PER_S);

	c->keepalive_at = mono_add(mono_add(now, SPAN_S(KEEPALIVE_S)), SPAN_NS(jitter));
}

void conn_keepalive(struct derp_server *s, mono_t now, struct conn *c)
{
	size_t before = c->in.cap;

	arm_keepalive(s, now, c);
	(void)conn_control(s, now, c, DERP_KEEP_ALIVE,
			   bytes_of(NULL, 0)); /* no room: it hears from us anyway */
	derp_input_shrink(&c->in); /* once a minute: a good moment to give memory back */
	s->input_bytes -= before - c->in.cap;
}

static void drain(struct derp_server *s, mono_t now, struct conn *c);

void conn_admit(struct derp_server *s, mono_t now, struct conn *c)
{
	if (!peer_join(s, c) || !send_server_info(s, now, c)) {
		conn_kill(s, now, c, "out of memory", DERP_DROP_GONE_DISCONNECTED);
		return;
	}
	c->state = CONN_LIVE;
	c->login_by = MONO_NEVER;
	arm_keepalive(s, now, c);
	conn_rearm(s, c);
	mesh_present(s, now, c);
	drain(s, now, c); /* what came behind ClientInfo */
}

/* a client that breaks the protocol */
static void reject(struct derp_server *s, mono_t now, struct conn *c, const char *why)
{
	s->stats.malformed++;
	conn_kill(s, now, c, why, DERP_DROP_GONE_DISCONNECTED);
}

static void on_client_info(struct derp_server *s, mono_t now, struct conn *c,
			   const struct derp_frame *f)
{
	struct client_info info;

	if (f->type != DERP_CLIENT_INFO || !open_info(s, c, f->body, &info) || info.version < 1) {
		reject(s, now, c, "client did not introduce itself properly");
		return;
	}
	c->is_prober = info.is_prober;
	c->is_mesh = s->conf.mesh_key[0] && strlen(info.mesh_key) == strlen(s->conf.mesh_key) &&
		     secret_eq(info.mesh_key, s->conf.mesh_key, strlen(s->conf.mesh_key));
	secret_wipe(&info, sizeof info);
	if (c->is_mesh)
		c->out.control.max = CONTROL_MESH_MAX;
	if (!s->conf.verify || c->is_mesh) {
		conn_admit(s, now, c);
		return;
	}
	c->state = CONN_VERIFY;
	conn_want(s, c, WANT_VERIFY);
}

/* --- frames of a client that is in --- */

static void tell_not_here(struct derp_server *s, mono_t now, struct conn *c,
			  const struct key_pub *to)
{
	int64_t secs = mono_sub(now, c->gone_at).ns / NS_PER_S;
	uint8_t body[KEY_LEN + 1];

	if (secs > 0) {
		c->gone_tokens = secs > GONE_BURST
				     ? GONE_BURST
				     : MIN_OF(c->gone_tokens + (unsigned)secs, GONE_BURST);
		c->gone_at = mono_add(c->gone_at, SPAN_S(secs));
	}
	if (c->gone_tokens == 0)
		return;
	c->gone_tokens--;
	memcpy(body, to->b, KEY_LEN);
	body[KEY_LEN] = DERP_GONE_NOT_HERE;
	if (conn_control(s, now, c, DERP_PEER_GONE, bytes_of(body, sizeof body)))
		s->stats.gone_not_here++;
}

static void on_packet(struct derp_server *s, mono_t now, struct conn *c, struct bytes body)
{
	struct bytes packet;
	struct key_pub to;
	struct peer *p;

	if (!derp_packet_parse(body, &to, &packet)) {
		s->stats.malformed++;
		return;
	}
	s->stats.packets_in++;
	s->stats.bytes_in += packet.len;
	peer_wrote(c);
	p = peer_find(s, &to);
	if (p && p->conns) {
		edge_note(s, c->peer, p->conns);
		conn_deliver(s, now, p->conns, &c->key, packet);
	} else if (p && mesh_forward(s, p, &c->key, packet)) {
		s->stats.forwarded_out++;
	} else {
		s->stats.dropped[DERP_DROP_UNKNOWN_DEST]++;
		if (is_disco(packet))
			tell_not_here(s, now, c, &to);
	}
}

/* from a mesh peer: to our own clients only, never a second hop */
static void on_forward(struct derp_server *s, mono_t now, struct conn *c, struct bytes body)
{
	struct key_pub from, to;
	struct bytes packet;
	struct peer *p, *src;

	if (!c->is_mesh) {
		reject(s, now, c, "not a mesh peer");
		return;
	}
	if (!derp_forward_parse(body, &from, &to, &packet)) {
		s->stats.malformed++;
		return;
	}
	s->stats.forwarded_in++;
	p = peer_find(s, &to);
	if (!p || !p->conns) {
		s->stats.dropped[DERP_DROP_UNKNOWN_DEST_ON_FWD]++;
		return;
	}
	src = peer_find(s, &from);
	if (src)
		edge_note(s, src, p->conns);
	conn_deliver(s, now, p->conns, &from, packet);
}

static void on_watch(struct derp_server *s, mono_t now, struct conn *c)
{
	if (!c->is_mesh)
		reject(s, now, c, "not a mesh peer");
	else if (!mesh_watch(s, c))
		conn_kill(s, now, c, "too many mesh peers", DERP_DROP_GONE_DISCONNECTED);
	else
		conn_wake(s, now, c);
}

static void on_close_peer(struct derp_server *s, mono_t now, struct conn *c, struct bytes body)
{
	struct key_pub key;
	struct bytes rest;
	struct peer *p;

	if (!c->is_mesh) {
		reject(s, now, c, "not a mesh peer");
		return;
	}
	if (!derp_packet_parse(body, &key, &rest)) {
		s->stats.malformed++;
		return;
	}
	while ((p = peer_find(s, &key)) && p->conns)
		conn_kill(s, now, p->conns, "closed by a mesh peer", DERP_DROP_GONE_DISCONNECTED);
}

static void on_frame(struct derp_server *s, mono_t now, struct conn *c, const struct derp_frame *f)
{
	switch (f->type) {
	case DERP_SEND_PACKET:
		on_packet(s, now, c, f->body);
		break;
	case DERP_FORWARD_PACKET:
		on_forward(s, now, c, f->body);
		break;
	case DERP_WATCH_CONNS:
		on_watch(s, now, c);
		break;
	case DERP_CLOSE_PEER:
		on_close_peer(s, now, c, f->body);
		break;
	case DERP_NOTE_PREFERRED:
		if (f->body.len > 0) {
			s->stats.homes += (f->body.data[0] != 0) - c->is_home;
			c->is_home = f->body.data[0] != 0;
		}
		break;
	case DERP_PING: /* not answered when the client does not read */
		if (f->body.len >= DERP_PING_LEN)
			(void)conn_control(s, now, c, DERP_PONG,
					   bytes_of(f->body.data, DERP_PING_LEN));
		else
			s->stats.malformed++;
		break;
	case DERP_PONG:
		break;
	default:
		s->stats.unknown_frames++;
	}
}

/* --- input --- */

/* data-plane.md 3.4: the limit delays reading; what was read is relayed */
static void spend(struct derp_server *s, mono_t now, struct conn *c, size_t len)
{
	double rate = (double)s->conf.rate_bytes;

	if (s->conf.rate_bytes == 0 || c->is_mesh)
		return;
	c->tokens += (double)mono_sub(now, c->tokens_at).ns / (double)NS_PER_S * rate;
	c->tokens_at = now;
	if (c->tokens > (double)s->conf.rate_burst)
		c->tokens = (double)s->conf.rate_burst;
	c->tokens -= (double)len;
	if (c->tokens >= 0)
		return;
	c->read_at = mono_add(now, SPAN_NS(-c->tokens / rate * (double)NS_PER_S + 1));
	conn_rearm(s, c);
}

static void drain(struct derp_server *s, mono_t now, struct conn *c)
{
	while (c->state == CONN_LOGIN || c->state == CONN_LIVE) {
		struct derp_frame f;

		switch (derp_input_next(&c->in, &f)) {
		case DERP_INPUT_MORE:
			return;
		case DERP_INPUT_TOO_LONG:
			reject(s, now, c, "frame too long");
			return;
		case DERP_INPUT_FRAME:
			break;
		}
		if (c->state == CONN_LOGIN)
			on_client_info(s, now, c, &f);
		else
			on_frame(s, now, c, &f);
	}
}

void conn_feed(struct derp_server *s, mono_t now, struct conn *c, struct bytes in)
{
	spend(s, now, c, in.len);
	while (in.len > 0 && c->state != CONN_DEAD) {
		size_t n = MIN_OF(in.len, (size_t)FEED_STEP), before = c->in.cap;
		bool ok = derp_input_feed(&c->in, bytes_of(in.data, n));

		s->input_bytes += c->in.cap - before;
		if (!ok || s->input_bytes > s->input_max) {
			conn_kill(s, now, c, "too much unread input", DERP_DROP_GONE_DISCONNECTED);
			return;
		}
		drain(s, now, c);
		if (c->in.cap > INPUT_KEEP) { /* nothing is left of it in a dead conn */
			before = c->in.cap;
			derp_input_shrink(&c->in);
			s->input_bytes -= before - c->in.cap;
		}
		in = bytes_of(in.data + n, in.len - n);
	}
}
