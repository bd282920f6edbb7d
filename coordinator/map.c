/* coordinator/map.c - POST /machine/map: what a node tells, and the stream that tells it of all
 * others
 *
 * Every change gets a number (tailnet.seq). A stream remembers the number it has seen and which
 * peers it knows, so a frame is the difference: peers that changed whole, patches, peers that may
 * not be seen any more. Changes within a few milliseconds leave together. A reader that does not
 * keep up loses its stream, and comes back for a whole map.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"
#include "crypto/hash.h"

enum { ZSTD_LEVEL = 1 };

struct request {
	int version;
	struct key_pub node, disco;
	bool stream, omit_peers, zstd, has_endpoints;
	size_t n_endpoints;
	struct ipport endpoints[TAILNET_ENDPOINTS_MAX];
	uint8_t types[TAILNET_ENDPOINTS_MAX];
	struct bytes hostinfo;
};

/* --- reading --- */

static void read_endpoints(struct json *j, struct request *r)
{
	char text[IPPORT_TEXT];

	r->has_endpoints = json_type(j) == JSON_ARRAY;
	json_arr(j);
	while (json_elem(j)) {
		size_t len = json_str(j, text, sizeof text);

		if (r->n_endpoints < TAILNET_ENDPOINTS_MAX &&
		    ipport_parse(bytes_of(text, len), &r->endpoints[r->n_endpoints]))
			r->n_endpoints++;
	}
}

static void read_types(struct json *j, struct request *r)
{
	size_t n = 0;

	json_arr(j);
	while (json_elem(j)) {
		int64_t v = json_i64(j);

		if (n < TAILNET_ENDPOINTS_MAX)
			r->types[n++] = v >= 0 && v < 6 ? (uint8_t)v : 0;
	}
}

static bool read_request(struct bytes body, struct request *r)
{
	struct json j = json_of(body);
	struct bytes key;
	char text[16];

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Version")) {
			r->version = (int)json_i64(&j);
		} else if (json_key_is(key, "NodeKey")) {
			tailnet_read_key(&j, KEY_NODE, &r->node);
		} else if (json_key_is(key, "DiscoKey")) {
			tailnet_read_key(&j, KEY_DISCO, &r->disco);
		} else if (json_key_is(key, "Stream")) {
			r->stream = json_bool(&j);
		} else if (json_key_is(key, "OmitPeers")) {
			r->omit_peers = json_bool(&j);
		} else if (json_key_is(key, "Compress")) {
			json_str(&j, text, sizeof text);
			r->zstd = strcmp(text, "zstd") == 0;
		} else if (json_key_is(key, "Endpoints")) {
			read_endpoints(&j, r);
		} else if (json_key_is(key, "EndpointTypes")) {
			read_types(&j, r);
		} else if (json_key_is(key, "Hostinfo")) {
			r->hostinfo = json_raw(&j);
		} else {
			json_skip(&j);
		}
	}
	return json_done(&j);
}

static bool same_endpoints(const struct tailnet_node *p, const struct request *r)
{
	if (p->n_endpoints != r->n_endpoints)
		return false;
	for (size_t i = 0; i < r->n_endpoints; i++)
		if (!ipport_eq(&p->endpoints[i], &r->endpoints[i]))
			return false;
	return true;
}

static bool take_endpoints(struct tailnet_node *p, const struct request *r)
{
	struct ipport *v = malloc((r->n_endpoints + 1) * sizeof *v);
	uint8_t *types = malloc(r->n_endpoints + 1);

	if (!v || !types) {
		free(v);
		free(types);
		return false;
	}
	memcpy(v, r->endpoints, r->n_endpoints * sizeof *v);
	memcpy(types, r->types, r->n_endpoints);
	free(p->endpoints);
	free(p->endpoint_types);
	p->endpoints = v;
	p->endpoint_types = types;
	p->n_endpoints = r->n_endpoints;
	return true;
}

/* What the request says of the node; peers are told only when something moved. */
static void update(struct tailnet *t, mono_t now, struct tnode *n, const struct request *r)
{
	struct tailnet_node *p = &n->pub;
	uint16_t home = p->home;
	bool patched = false, whole = p->cap != r->version;

	p->cap = r->version;
	if (!key_is_zero(&r->disco) && !key_eq(&r->disco, &p->disco)) {
		p->disco = r->disco;
		patched = true;
	}
	if (r->has_endpoints && !same_endpoints(p, r))
		patched |= take_endpoints(p, r);
	if (r->hostinfo.len > 0 && !(p->hostinfo && bytes_eq_str(r->hostinfo, p->hostinfo))) {
		node_set_hostinfo(t, n, r->hostinfo);
		whole = true;
	}
	patched |= p->home != home;
	if (whole)
		node_changed(t, now, n);
	else if (patched)
		node_patched(t, now, n);
	for (size_t i = 0; (whole || patched) && i < t->n_streams; i++)
		if (&t->nodes[t->streams[i].slot] == n)
			t->streams[i].self_dirty = true;
}

/* --- streams --- */

static size_t streams_of(const struct tailnet *t, size_t slot)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_streams; i++)
		n += t->streams[i].slot == slot;
	return n;
}

static mono_t next_keepalive(struct tailnet *t, mono_t now)
{
	return mono_add(
	    now, SPAN_MS(TAILNET_KEEPALIVE_S * 1000 + (int64_t)rng_below(t->conf.rng, 9000)));
}

static struct stream *stream_add(struct tailnet *t, mono_t now, struct session_id id, int32_t h2,
				 struct tnode *n, const struct request *r)
{
	struct stream *s;

	if (t->n_streams == t->cap_streams) {
		size_t cap = t->cap_streams ? t->cap_streams * 2 : 16;
		struct stream *v = realloc(t->streams, cap * sizeof *v);

		if (!v)
			return NULL;
		t->streams = v;
		t->cap_streams = cap;
	}
	s = &t->streams[t->n_streams++];
	*s = (struct stream){ .session = id,
			      .h2 = h2,
			      .slot = (size_t)(n - t->nodes),
			      .zstd = r->zstd,
			      .self_dirty = true,
			      .keepalive_at = next_keepalive(t, now) };
	n->n_streams++;
	n->offline_at = n->remove_at = MONO_NEVER;
	if (!n->pub.online) {
		n->pub.online = true;
		node_patched(t, now, n);
	}
	t->scan_at = mono_min(t->scan_at, s->keepalive_at);
	return s;
}

static void stream_del(struct tailnet *t, mono_t now, size_t i)
{
	struct tnode *n = &t->nodes[t->streams[i].slot];

	free(t->streams[i].sent);
	if (!n->dead && --n->n_streams == 0) {
		n->offline_at = mono_add(now, SPAN_S(TAILNET_OFFLINE_S));
		t->scan_at = mono_min(t->scan_at, n->offline_at);
	}
	t->streams[i] = t->streams[--t->n_streams];
}

void map_stream_gone(struct tailnet *t, mono_t now, struct session_id id, int32_t h2)
{
	for (size_t i = t->n_streams; i-- > 0;)
		if (session_eq(t->streams[i].session, id) && (h2 == 0 || t->streams[i].h2 == h2))
			stream_del(t, now, i);
}

/* --- frames --- */

static bool knows(const struct stream *s, size_t slot)
{
	return slot / 8 < s->sent_bits / 8 && (s->sent[slot / 8] >> (slot % 8) & 1);
}

static bool mark(struct stream *s, size_t slot, bool on)
{
	if (slot >= s->sent_bits) {
		size_t bits = (slot / 512 + 1) * 512;
		uint8_t *v = on ? realloc(s->sent, bits / 8) : NULL;

		if (!v)
			return !on;
		memset(v + s->sent_bits / 8, 0, (bits - s->sent_bits) / 8);
		s->sent = v;
		s->sent_bits = bits;
	}
	if (on)
		s->sent[slot / 8] |= (uint8_t)(1U << (slot % 8));
	else
		s->sent[slot / 8] &= (uint8_t) ~(1U << (slot % 8));
	return true;
}

/* Length, then the JSON in t->frame, plain or compressed. false: the reader is too slow or there is
 * no memory */
static bool send_frame(struct tailnet *t, struct stream *s)
{
	struct session *conn = session_get(t, s->session);
	struct bytes body = buf_bytes(&t->frame);
	uint8_t len[4];
	size_t queued;

	if (!conn)
		return false;
	if (s->zstd) {
		size_t bound = ZSTD_compressBound(body.len), n;
		uint8_t *out;

		buf_clear(&t->packed);
		out = buf_reserve(&t->packed, bound);
		n = out ? ZSTD_compressCCtx(t->zstd, out, bound, body.data, body.len, ZSTD_LEVEL)
			: 0;
		if (!out || ZSTD_isError(n))
			return false;
		body = bytes_of(out, n);
	}
	queued = ts2021_server_queued(conn->conn, s->h2);
	if (queued > 0 && queued + body.len > TAILNET_QUEUE_MAX)
		return false;
	for (int i = 0; i < 4; i++)
		len[i] = (uint8_t)(body.len >> (8 * i));
	if (ts2021_server_send(conn->conn, s->h2, len, 4, false) != 0 ||
	    ts2021_server_send(conn->conn, s->h2, body.data, body.len, false) != 0)
		return false;
	session_output(t, s->session);
	t->stat.maps_sent++;
	t->stat.map_bytes += body.len;
	return true;
}

/* The slots that a frame looks at: all of them, or in a flush those that changed since the one
 * before. */
static size_t n_looked_at(const struct tailnet *t)
{
	return t->look_at_all ? t->n_slots : t->n_changed;
}

static size_t looked_at(const struct tailnet *t, size_t k)
{
	return t->look_at_all ? k : t->changed[k];
}

/* Without a judgement about all, nothing else can concern a stream that has its first frame. false:
 * no memory for the list */
static bool find_changed(struct tailnet *t)
{
	if (t->cap_changed < t->n_slots) {
		size_t *v = realloc(t->changed, t->cap_slots * sizeof *v);

		if (!v)
			return false;
		t->changed = v;
		t->cap_changed = t->cap_slots;
	}
	t->n_changed = 0;
	for (size_t i = 0; i < t->n_slots; i++) {
		const struct tnode *n = &t->nodes[i];

		if (n->used && (n->dead || n->full_seq > t->flushed || n->patch_seq > t->flushed))
			t->changed[t->n_changed++] = i;
	}
	return true;
}

struct delta { /* what one stream must be told of one slot */
	enum { DELTA_NONE, DELTA_FULL, DELTA_PATCH, DELTA_REMOVE } what;
};

static struct delta delta_of(struct tailnet *t, const struct stream *s, size_t slot, bool judge)
{
	const struct tnode *n = &t->nodes[slot];
	bool known = knows(s, slot), visible;

	if (slot == s->slot || !n->used)
		return (struct delta){ DELTA_NONE };
	if (n->dead)
		return (struct delta){ known ? DELTA_REMOVE : DELTA_NONE };
	if (!judge && known)
		visible = true;
	else if (!t->policy)
		visible = true;
	else
		visible = policy_sees(t->policy, view_index(t, s->slot), view_index(t, slot));
	if (!visible)
		return (struct delta){ known ? DELTA_REMOVE : DELTA_NONE };
	if (!known || n->full_seq > s->seen)
		return (struct delta){ DELTA_FULL };
	return (struct delta){ n->patch_seq > s->seen ? DELTA_PATCH : DELTA_NONE };
}

/* Does any slot want `what`? Opens the array `key` at the first. */
static bool peers(struct tailnet *t, struct jsonw *w, struct stream *s, const char *key, int what,
		  bool judge, wall_t wall)
{
	bool any = false;

	for (size_t k = 0; k < n_looked_at(t); k++) {
		size_t i = looked_at(t, k);
		if ((int)delta_of(t, s, i, judge).what != what)
			continue;
		if (!any) {
			jsonw_key(w, key);
			jsonw_arr(w);
			any = true;
		}
		if (what == DELTA_FULL)
			mapjson_node(t, w, &t->nodes[i], false, wall);
		else if (what == DELTA_PATCH)
			mapjson_patch(w, &t->nodes[i], wall);
		else
			jsonw_i64(w, t->nodes[i].pub.id);
	}
	if (any)
		jsonw_arr_end(w);
	return any;
}

static bool user_seen(const struct tailnet *t, const int64_t *v, size_t n, const struct tnode *node,
		      int64_t *id)
{
	*id =
	    node->pub.n_tags > 0 || !tailnet_user(t, node->pub.user) ? TAGGED_USER : node->pub.user;
	for (size_t i = 0; i < n; i++)
		if (v[i] == *id)
			return true;
	return false;
}

/* Profiles of the owners of all that is sent whole in this frame. */
static void profiles(struct tailnet *t, struct jsonw *w, struct stream *s, bool judge, bool self)
{
	int64_t seen[256], id;
	size_t n = 0;

	jsonw_key(w, "UserProfiles");
	jsonw_arr(w);
	for (size_t k = 0; k < n_looked_at(t); k++) {
		size_t i = looked_at(t, k);
		bool whole = i == s->slot ? self : delta_of(t, s, i, judge).what == DELTA_FULL;

		if (!whole || user_seen(t, seen, n, &t->nodes[i], &id))
			continue;
		if (n < ARRAY_LEN(seen))
			seen[n++] = id;
		mapjson_user(t, w, &t->nodes[i]);
	}
	jsonw_arr_end(w);
}

/* The packet filter when it is not what this stream has. */
static bool filter(struct tailnet *t, struct jsonw *w, struct stream *s)
{
	struct buf rules;
	uint8_t hash[32];
	bool changed;

	buf_init(&rules, TAILNET_FRAME_MAX);
	if (policy_filter_emit(t->policy, view_index(t, s->slot), &rules) != 0) {
		buf_fini(&rules);
		w->failed = true;
		return false;
	}
	hash256(hash, buf_bytes(&rules));
	changed = memcmp(hash, s->filter_hash, sizeof hash) != 0;
	if (changed) {
		memcpy(s->filter_hash, hash, sizeof hash);
		jsonw_key(w, "PacketFilters");
		jsonw_obj(w);
		jsonw_key(w, "base");
		jsonw_raw(w, buf_bytes(&rules));
		jsonw_obj_end(w);
	}
	buf_fini(&rules);
	return changed;
}

static void ssh_policy(struct tailnet *t, struct jsonw *w, struct stream *s)
{
	struct buf out;

	buf_init(&out, TAILNET_FRAME_MAX);
	if (t->policy && policy_ssh_emit(t->policy, view_index(t, s->slot), &out) == 0 &&
	    out.len > 0) {
		jsonw_key(w, "SSHPolicy");
		jsonw_raw(w, buf_bytes(&out));
	}
	buf_fini(&out);
}

static void once(struct tailnet *t, struct jsonw *w)
{
	mapjson_dns(t, w);
	jsonw_kstr(w, "Domain", t->domain);
}

/* One frame for one stream, if there is anything to tell. false: cut the stream off */
static bool frame(struct tailnet *t, mono_t now, wall_t wall, struct stream *s, bool judge)
{
	struct tnode *n = &t->nodes[s->slot];
	bool self = !s->started || s->self_dirty || n->full_seq > s->seen, any = self, full = false;
	char time[WALL_TEXT];
	struct jsonw w;

	buf_clear(&t->frame);
	jsonw_init(&w, &t->frame);
	jsonw_obj(&w);
	if (self) {
		jsonw_key(&w, "Node");
		mapjson_node(t, &w, n, true, wall);
	}
	if (!s->started || t->derp_seq > s->seen) {
		jsonw_key(&w, "DERPMap");
		jsonw_raw(&w, buf_bytes(&t->derp_map));
		any = true;
	}
	full = peers(t, &w, s, s->started ? "PeersChanged" : "Peers", DELTA_FULL, judge, wall);
	any |= full;
	if (s->started) {
		any |= peers(t, &w, s, "PeersRemoved", DELTA_REMOVE, judge, wall);
		any |= peers(t, &w, s, "PeersChangedPatch", DELTA_PATCH, judge, wall);
	}
	if (full || !s->started)
		profiles(t, &w, s, judge, self);
	if (!s->started || judge)
		any |= filter(t, &w, s);
	if (!s->started) {
		once(t, &w);
		ssh_policy(t, &w, s);
	}
	jsonw_kstr(&w, "ControlTime", wall_text(wall, time));
	jsonw_obj_end(&w);
	if (!any)
		return true;
	if (!jsonw_ok(&w))
		return false;
	for (size_t k = 0; k < n_looked_at(t); k++) {
		size_t i = looked_at(t, k);
		int what = delta_of(t, s, i, judge).what;

		if ((what == DELTA_FULL && !mark(s, i, true)) ||
		    (what == DELTA_REMOVE && !mark(s, i, false)))
			return false;
	}
	s->started = true;
	s->self_dirty = false;
	s->seen = t->seq;
	s->keepalive_at = next_keepalive(t, now);
	return send_frame(t, s);
}

static void cut_off(struct tailnet *t, mono_t now, size_t i, const char *why)
{
	struct session *conn = session_get(t, t->streams[i].session);

	log_info("tailnet: map stream of %s ended: %s", t->nodes[t->streams[i].slot].pub.given,
		 why);
	if (conn) {
		(void)!ts2021_server_send(conn->conn, t->streams[i].h2, NULL, 0, true);
		session_output(t, t->streams[i].session);
	}
	stream_del(t, now, i);
}

void map_flush(struct tailnet *t, mono_t now, wall_t wall)
{
	bool judge = t->policy_dirty;

	t->flush_at = MONO_NEVER;
	t->policy_dirty = false;
	node_routes_moved(t);
	t->look_at_all = judge;
	if (!view_make(t) || !find_changed(t)) {
		t->flush_at = mono_add(now, SPAN_S(1));
		t->policy_dirty = judge;
		return;
	}
	for (size_t i = t->n_streams; i-- > 0;) {
		if (t->streams[i].gone)
			cut_off(t, now, i, "the node was deleted");
		else if (!frame(t, now, wall, &t->streams[i], judge))
			cut_off(t, now, i, "it does not read fast enough");
	}
	t->flushed = t->seq;
	/* everybody knows that they are gone: their slots are free */
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->nodes[i].dead)
			node_fini(&t->nodes[i]);
}

/* --- requests --- */

void map_request(struct tailnet *t, mono_t now, wall_t wall, struct session_id id, int32_t h2,
		 struct bytes body)
{
	struct session *conn = session_get(t, id);
	struct request r = { 0 };
	struct tnode *n;
	struct stream *s;

	if (!read_request(body, &r)) {
		session_reply(t, id, h2, 400, "text/plain", bytes_str("malformed map request\n"));
		return;
	}
	if (r.version < TAILNET_CAP_MIN) {
		session_reply(
		    t, id, h2, 400, "text/plain",
		    bytes_str("this client is too old for this control server: update it\n"));
		return;
	}
	n = node_by_key(t, &r.node);
	if (!n || !key_eq(&n->pub.machine, &conn->machine)) {
		session_reply(t, id, h2, 404, "text/plain", bytes_str("node not found\n"));
		return;
	}
	update(t, now, n, &r);
	if (!r.stream) {
		session_reply(t, id, h2, 200, "application/json", bytes_of(NULL, 0));
		return;
	}
	while (streams_of(t, (size_t)(n - t->nodes)) >= TAILNET_STREAMS_PER_NODE)
		for (size_t i = 0; i < t->n_streams; i++)
			if (&t->nodes[t->streams[i].slot] == n) {
				cut_off(t, now, i, "a newer one took its place");
				break;
			}
	s = stream_add(t, now, id, h2, n, &r);
	t->look_at_all = true;
	node_routes_moved(t); /* what this frame shows, the others are to be told */
	if (!s ||
	    ts2021_server_answer(conn->conn, h2, 200, "application/octet-stream", true) != 0 ||
	    !view_make(t) || !frame(t, now, wall, s, true)) {
		if (s)
			stream_del(t, now, (size_t)(s - t->streams));
		session_reply(t, id, h2, 500, "text/plain", bytes_str("out of memory\n"));
	}
}

/* --- time --- */

static void keepalives(struct tailnet *t, mono_t now, mono_t *next)
{
	for (size_t i = t->n_streams; i-- > 0;) {
		struct stream *s = &t->streams[i];

		if (mono_due(s->keepalive_at, now)) {
			s->keepalive_at = next_keepalive(t, now);
			buf_clear(&t->frame);
			if (!buf_append(&t->frame, "{\"KeepAlive\":true}", 18) ||
			    !send_frame(t, s)) {
				cut_off(t, now, i, "it does not read");
				continue;
			}
		}
		*next = mono_min(*next, s->keepalive_at);
	}
}

mono_t map_scan(struct tailnet *t, mono_t now, wall_t wall)
{
	mono_t next = MONO_NEVER;

	for (size_t i = 0; i < t->n_slots; i++) {
		struct tnode *n = &t->nodes[i];

		if (!n->used || n->dead)
			continue;
		if (mono_due(n->offline_at, now)) {
			n->offline_at = MONO_NEVER;
			n->pub.online = false;
			n->pub.last_seen = wall;
			node_changed(t, now, n); /* whole: its routes may move to another router */
		}
		if (n->pub.ephemeral && n->n_streams == 0 && mono_is_never(n->offline_at) &&
		    mono_is_never(n->remove_at))
			n->remove_at = mono_add(now, t->conf.ephemeral_timeout);
		if (mono_due(n->remove_at, now)) {
			tailnet_audit(t, "ephemeral node %lld (%s) removed", (long long)n->pub.id,
				      n->pub.given);
			node_remove(t, now, n);
			continue;
		}
		if (n->pub.expiry.ns > wall.ns)
			next =
			    mono_min(next, mono_add(now, SPAN_NS(n->pub.expiry.ns - wall.ns + 1)));
		else if (n->pub.expiry.ns != 0 && !n->expiry_told) {
			n->expiry_told = true;
			node_changed(t, now, n);
		}
		if (n->pub.expiry.ns == 0 || n->pub.expiry.ns > wall.ns)
			n->expiry_told = false;
		next = mono_min(next, mono_min(n->offline_at, n->remove_at));
	}
	keepalives(t, now, &next);
	if (t->stat.sessions > 0)
		next = mono_min(
		    next, mono_add(now, SPAN_S(TAILNET_SCAN_S))); /* handshakes and idle connections
								     have deadlines too */
	return next;
}
