/* derp/server.c - the relay as its caller sees it: connections by id, events, deadlines
 *
 * Every conn has one deadline, the earliest of its timers, in a heap. A heap entry may be earlier
 * than the deadline (timers mostly move outwards), never later: tick looks at what is due and puts
 * it back where it belongs. Conns that have something to say to the caller stand in one list, each
 * at most once, so events need no memory.
 */
#include "derp/server_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static const char *const drop_names[] = {
	[DERP_DROP_UNKNOWN_DEST] = "unknown_dest",
	[DERP_DROP_UNKNOWN_DEST_ON_FWD] = "unknown_dest_on_fwd",
	[DERP_DROP_GONE_DISCONNECTED] = "gone_disconnected",
	[DERP_DROP_QUEUE_HEAD] = "queue_head",
	[DERP_DROP_QUEUE_TAIL] = "queue_tail",
	[DERP_DROP_WRITE_ERROR] = "write_error",
};
_Static_assert(ARRAY_LEN(drop_names) == DERP_DROP_N, "every drop reason has a name");

const char *derp_drop_name(enum derp_drop d)
{
	return d < DERP_DROP_N ? drop_names[d] : "?";
}

/* --- the heap of deadlines --- */

static mono_t conn_deadline(const struct conn *c)
{
	mono_t t =
	    mono_min(mono_min(c->login_by, c->keepalive_at), mono_min(c->write_by, c->read_at));

	return c->state == CONN_DEAD ? MONO_NEVER : t;
}

static void heap_put(struct derp_server *s, size_t at, struct conn *c)
{
	s->heap[at] = c;
	c->heap_at = at;
}

static void heap_up(struct derp_server *s, struct conn *c)
{
	size_t at = c->heap_at;

	while (at > 0 && mono_before(c->heap_key, s->heap[(at - 1) / 2]->heap_key)) {
		heap_put(s, at, s->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(s, at, c);
}

static void heap_down(struct derp_server *s, struct conn *c)
{
	size_t at = c->heap_at;

	for (;;) {
		size_t kid = 2 * at + 1;

		if (kid + 1 < s->n_heap &&
		    mono_before(s->heap[kid + 1]->heap_key, s->heap[kid]->heap_key))
			kid++;
		if (kid >= s->n_heap || !mono_before(s->heap[kid]->heap_key, c->heap_key))
			break;
		heap_put(s, at, s->heap[kid]);
		at = kid;
	}
	heap_put(s, at, c);
}

static void heap_add(struct derp_server *s, struct conn *c)
{
	c->heap_key = conn_deadline(c);
	heap_put(s, s->n_heap++, c);
	heap_up(s, c);
}

static void heap_del(struct derp_server *s, struct conn *c)
{
	struct conn *last = s->heap[--s->n_heap];

	if (last == c)
		return;
	heap_put(s, c->heap_at, last);
	heap_up(s, last);
	heap_down(s, last);
}

void conn_rearm(struct derp_server *s, struct conn *c)
{
	mono_t t = conn_deadline(c);

	if (!mono_before(t, c->heap_key))
		return;
	c->heap_key = t;
	heap_up(s, c);
}

/* --- making and ending --- */

struct derp_server *derp_server_new(const struct derp_server_conf *conf)
{
	struct derp_server *s = calloc(1, sizeof *s);
	size_t total = conf->total_bytes ? conf->total_bytes : TOTAL_BYTES;

	assert(conf->max_conns > 0 && conf->max_conns < UINT32_MAX / 64);
	if (!s)
		return NULL;
	s->conf = *conf;
	key_wipe(&s->conf.key);
	if (s->conf.queue_bytes == 0)
		s->conf.queue_bytes = QUEUE_BYTES;
	s->pool.max = total / DERP_BLOCK_SIZE;
	s->pool.keep = SPARE_BLOCKS;
	s->input_max = INPUT_TOTAL_MIN + conf->max_conns * INPUT_KEEP;
	s->slots = calloc(conf->max_conns, sizeof(struct conn *));
	s->heap = calloc(conf->max_conns, sizeof(struct conn *));
	s->generations = calloc(conf->max_conns, sizeof *s->generations);
	s->free_slots = calloc(conf->max_conns, sizeof *s->free_slots);
	s->key = secret_new(sizeof *s->key);
	if (!s->key || !s->slots || !s->heap || !s->generations || !s->free_slots ||
	    !peers_init(s)) {
		derp_server_free(s);
		return NULL;
	}
	*s->key = conf->key;
	key_public(&s->pub, s->key);
	while (s->n_free < conf->max_conns) { /* the lowest index is taken first */
		s->free_slots[s->n_free] = (uint32_t)(conf->max_conns - 1 - s->n_free);
		s->n_free++;
	}
	return s;
}

static void slot_free(struct derp_server *s, struct conn *c)
{
	struct conn **link = &s->event_head, *before = NULL;

	while (c->in_events && *link != c) {
		before = *link;
		link = &(*link)->event_next;
	}
	if (c->in_events) {
		*link = c->event_next;
		if (s->event_tail == c)
			s->event_tail = before;
	}
	s->slots[c->id.index] = NULL;
	s->generations[c->id.index]++;
	s->free_slots[s->n_free++] = c->id.index;
	s->stats.conns--;
	free(c);
}

void conn_kill(struct derp_server *s, mono_t now, struct conn *c, const char *reason,
	       enum derp_drop drop)
{
	if (c->state == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	c->reason = reason;
	s->stats.homes -= c->is_home;
	heap_del(s, c);
	if (c->is_watcher)
		mesh_leave(s, c);
	edges_drop(s, c);
	peer_leave(s, now, c);
	s->stats.dropped[drop] +=
	    derp_queue_clear(&c->data, &s->pool) + derp_queue_clear(&c->disco, &s->pool);
	derp_writer_fini(&c->out, &s->pool);
	s->input_bytes -= c->in.cap;
	derp_input_fini(&c->in);
	secret_wipe(c->shared, sizeof c->shared);
	c->wants = 0;
	conn_want(s, c, WANT_HANGUP);
}

void derp_server_free(struct derp_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->slots && i < s->conf.max_conns; i++) {
		struct conn *c = s->slots[i];

		if (!c)
			continue;
		edges_drop(s, c);
		derp_queue_clear(&c->data, &s->pool);
		derp_queue_clear(&c->disco, &s->pool);
		derp_writer_fini(&c->out, &s->pool);
		derp_input_fini(&c->in);
		secret_wipe(c->shared, sizeof c->shared);
		free(c);
	}
	peers_fini(s);
	derp_pool_fini(&s->pool);
	free(s->slots);
	free(s->heap);
	free(s->generations);
	free(s->free_slots);
	secret_free(s->key);
	secret_wipe(s->conf.mesh_key, sizeof s->conf.mesh_key);
	free(s);
}

int derp_server_open(struct derp_server *s, mono_t now, const struct ipport *remote,
		     bool fast_start, struct derp_conn_id *id)
{
	struct conn *c;

	if (s->n_free == 0)
		return -ENOSPC;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->id.index = s->free_slots[s->n_free - 1];
	c->id.generation = s->generations[c->id.index];
	c->remote = *remote;
	c->login_by = mono_add(now, SPAN_S(LOGIN_S));
	c->keepalive_at = c->write_by = c->read_at = MONO_NEVER;
	c->gone_tokens = GONE_BURST;
	c->gone_at = c->tokens_at = now;
	c->tokens = (double)s->conf.rate_burst;
	heap_add(s, c);
	if (!conn_begin(s, now, c, fast_start)) {
		heap_del(s, c);
		derp_writer_fini(&c->out, &s->pool);
		free(c);
		return -ENOMEM;
	}
	s->n_free--;
	s->slots[c->id.index] = c;
	s->stats.conns++;
	s->stats.accepts++;
	*id = c->id;
	return 0;
}

static struct conn *slot_of(const struct derp_server *s, struct derp_conn_id id)
{
	struct conn *c = id.index < s->conf.max_conns ? s->slots[id.index] : NULL;

	return c && c->id.generation == id.generation ? c : NULL;
}

static struct conn *live_of(const struct derp_server *s, struct derp_conn_id id)
{
	struct conn *c = slot_of(s, id);

	return c && c->state != CONN_DEAD ? c : NULL;
}

void derp_server_close(struct derp_server *s, mono_t now, struct derp_conn_id id)
{
	struct conn *c = slot_of(s, id);

	if (!c)
		return;
	conn_kill(s, now, c, "closed", DERP_DROP_GONE_DISCONNECTED);
	slot_free(s, c);
}

/* --- bytes --- */

void derp_server_feed(struct derp_server *s, mono_t now, struct derp_conn_id id, struct bytes in)
{
	struct conn *c = live_of(s, id);

	if (c)
		conn_feed(s, now, c, in);
}

size_t derp_server_pull(struct derp_server *s, mono_t now, struct derp_conn_id id, uint8_t *buf,
			size_t cap)
{
	struct conn *c = live_of(s, id);

	return c ? conn_pull(s, now, c, buf, cap) : 0;
}

bool derp_server_wants_read(const struct derp_server *s, struct derp_conn_id id)
{
	const struct conn *c = live_of(s, id);

	return c && c->state != CONN_VERIFY && mono_is_never(c->read_at);
}

bool derp_server_is_client(const struct derp_server *s, struct derp_conn_id id)
{
	const struct conn *c = live_of(s, id);

	return c && c->state == CONN_LIVE;
}

void derp_server_admit(struct derp_server *s, mono_t now, struct derp_conn_id id, bool allow)
{
	struct conn *c = live_of(s, id);

	if (!c || c->state != CONN_VERIFY)
		return;
	if (!allow) {
		conn_kill(s, now, c, "not admitted", DERP_DROP_GONE_DISCONNECTED);
		return;
	}
	conn_want(s, c, WANT_READABLE);
	conn_admit(s, now, c);
}

/* --- events --- */

void conn_want(struct derp_server *s, struct conn *c, unsigned what)
{
	c->wants |= what;
	if (c->in_events)
		return;
	c->in_events = true;
	c->event_next = NULL;
	if (s->event_tail)
		s->event_tail->event_next = c;
	else
		s->event_head = c;
	s->event_tail = c;
}

static enum derp_server_event_type take_want(struct conn *c)
{
	static const struct {
		unsigned want;
		enum derp_server_event_type type;
	} order[] = { { WANT_VERIFY, DERP_SRV_VERIFY },
		      { WANT_READABLE, DERP_SRV_READABLE },
		      { WANT_OUTPUT, DERP_SRV_OUTPUT } };

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (c->wants & order[i].want) {
			c->wants &= ~order[i].want;
			return order[i].type;
		}
	}
	return DERP_SRV_HANGUP;
}

bool derp_server_next(struct derp_server *s, struct derp_server_event *ev)
{
	struct conn *c = s->event_head;

	if (!c)
		return false;
	*ev = (struct derp_server_event){
		.id = c->id, .key = c->key, .remote = c->remote, .reason = c->reason
	};
	ev->type = take_want(c);
	if (ev->type == DERP_SRV_HANGUP) {
		slot_free(s, c);
		return true;
	}
	if (c->wants)
		return true;
	s->event_head = c->event_next;
	if (!s->event_head)
		s->event_tail = NULL;
	c->in_events = false;
	return true;
}

/* --- time --- */

mono_t derp_server_deadline(const struct derp_server *s)
{
	return s->n_heap > 0 ? s->heap[0]->heap_key : MONO_NEVER;
}

/* whatever of c is due; afterwards its deadline is later than now, or it is dead */
static void conn_tick(struct derp_server *s, mono_t now, struct conn *c)
{
	if (mono_due(c->login_by, now)) {
		conn_kill(s, now, c, "login took too long", DERP_DROP_GONE_DISCONNECTED);
		return;
	}
	if (mono_due(c->write_by, now)) {
		conn_kill(s, now, c, "client does not read", DERP_DROP_WRITE_ERROR);
		return;
	}
	if (mono_due(c->read_at, now)) {
		c->read_at = MONO_NEVER;
		conn_want(s, c, WANT_READABLE);
	}
	if (mono_due(c->keepalive_at, now))
		conn_keepalive(s, now, c);
}

void derp_server_tick(struct derp_server *s, mono_t now)
{
	while (s->n_heap > 0 && mono_due(s->heap[0]->heap_key, now)) {
		struct conn *c = s->heap[0];

		conn_tick(s, now, c);
		if (c->state == CONN_DEAD)
			continue;
		c->heap_key = conn_deadline(c);
		heap_down(s, c);
	}
}

const struct key_pub *derp_server_key(const struct derp_server *s)
{
	return &s->pub;
}

const struct derp_server_stats *derp_server_stats(const struct derp_server *s)
{
	return &s->stats;
}
