/* coordinator/frames.c - what the map streams are told
 *
 * Every change gets a number (tailnet.seq). A stream remembers the number it has seen and which
 * peers it knows, so a frame is the difference: peers that changed whole, patches, peers that may
 * not be seen any more. Changes within a few milliseconds leave together; a large tailnet is left
 * alone for longer between two tellings (tailnet_pace). A router is told whole again to a stream
 * that may use other routes of it than before (routes.c). A reader that does not keep up loses its
 * stream, and comes back for a whole map.
 *
 * A telling looks at the nodes that changed; only a stream whose own node changed under a policy,
 * and all streams after a new policy, look at every node. Frames that say the same are made and
 * packed once: most streams of a telling are told the same. What is a stream's own (itself, its
 * packet filter, the relay map) travels in a frame of its own in front.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"

/* --- which peers a stream knows --- */

static bool knows(const struct stream *s, size_t slot)
{
	return slot < s->sent_bits && (s->sent[slot / 8] >> (slot % 8) & 1);
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

/* --- sending --- */

/* As the stream wants it; borrowed until the next frame. Empty: no memory */
static struct bytes pack(struct tailnet *t, bool zstd)
{
	struct bytes body = buf_bytes(&t->frame);
	size_t bound = ZSTD_compressBound(body.len), n;
	uint8_t *out;

	if (!zstd)
		return body;
	buf_clear(&t->packed);
	out = buf_reserve(&t->packed, bound);
	n = out ? ZSTD_compress2(t->zstd, out, bound, body.data, body.len) : 0;
	return !out || ZSTD_isError(n) ? bytes_of(NULL, 0) : bytes_of(out, n);
}

/* Its length, then the frame. false: the reader is too slow or there is no memory */
static bool send_packed(struct tailnet *t, struct stream *s, struct bytes body)
{
	struct session *conn = session_get(t, s->session);
	uint8_t len[4];
	size_t queued;

	if (!conn || body.len == 0)
		return false;
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

bool frame_send(struct tailnet *t, struct stream *s)
{
	return send_packed(t, s, pack(t, s->zstd));
}

/* --- the difference --- */

/* A node that waits for approval is alone: whoever runs it may ask for a map and speak WireGuard
 * all the same. */
static bool meets(const struct tailnet *t, const struct stream *s, uint32_t slot)
{
	return t->nodes[s->slot].pub.approved && t->nodes[slot].pub.approved &&
	       policy_sees(t->policy, s->slot, slot);
}

static struct delta delta_of(struct tailnet *t, const struct stream *s, uint32_t slot)
{
	const struct tnode *n = &t->nodes[slot];
	bool known = knows(s, slot);
	struct delta d = { .slot = slot };

	if (slot == s->slot || !n->used)
		return d;
	if (n->dead || !meets(t, s, slot)) {
		d.what = known ? DELTA_REMOVE : DELTA_NONE;
		return d;
	}
	d.routes = routes_seen(t, (uint32_t)s->slot, n, NULL, NULL);
	if (!known || n->full_seq > s->seen || d.routes != routes_told(s, slot))
		d.what = DELTA_FULL;
	else
		d.routes = 0;
	if (d.what == DELTA_NONE && n->patch_seq > s->seen)
		d.what = DELTA_PATCH;
	return d;
}

static void find_delta(struct tailnet *t, const struct stream *s, uint32_t slot)
{
	const struct delta d = delta_of(t, s, slot);

	if (d.what != DELTA_NONE)
		t->deltas[t->n_deltas++] = d;
}

/* Into t->deltas, in order of slots when it looks at all of them */
static void find_deltas(struct tailnet *t, const struct stream *s, bool all)
{
	size_t n = all ? t->n_slots : t->n_changed;

	t->n_deltas = 0;
	for (size_t k = 0; k < n; k++)
		find_delta(t, s, all ? (uint32_t)k : t->changed[k]);
	/* another node may have opened or closed a route of one that has not changed */
	for (size_t k = 0; !all && policy_routes_stale(t->policy) && k < t->n_routers; k++)
		if (!t->nodes[t->routers[k]].in_changed)
			find_delta(t, s, t->routers[k]);
}

static bool mark_deltas(const struct tailnet *t, struct stream *s)
{
	for (size_t k = 0; k < t->n_deltas; k++)
		if ((t->deltas[k].what == DELTA_FULL &&
		     (!mark(s, t->deltas[k].slot, true) ||
		      !routes_tell(s, t->deltas[k].slot, t->deltas[k].routes))) ||
		    (t->deltas[k].what == DELTA_REMOVE && !mark(s, t->deltas[k].slot, false)))
			return false;
	return true;
}

/* Those of t->deltas, as the node in slot viewer is told; opens the array at the first. */
static bool peers(struct tailnet *t, struct jsonw *w, uint32_t viewer, const char *key,
		  enum delta_what what, wall_t wall)
{
	bool any = false;

	for (size_t k = 0; k < t->n_deltas; k++) {
		const struct tnode *n = &t->nodes[t->deltas[k].slot];

		if (t->deltas[k].what != what)
			continue;
		if (!any) {
			jsonw_key(w, key);
			jsonw_arr(w);
			any = true;
		}
		if (what == DELTA_FULL)
			mapjson_node(t, w, n, viewer, wall);
		else if (what == DELTA_PATCH)
			mapjson_patch(w, n, wall);
		else
			jsonw_i64(w, n->pub.id);
	}
	if (any)
		jsonw_arr_end(w);
	return any;
}

struct owners {
	int64_t seen[256];
	size_t n;
};

static void profile(struct tailnet *t, struct jsonw *w, struct owners *o, const struct tnode *n)
{
	int64_t id = n->pub.n_tags > 0 || !tailnet_user(t, n->pub.user) ? TAGGED_USER : n->pub.user;

	for (size_t i = 0; i < o->n; i++)
		if (o->seen[i] == id)
			return;
	if (o->n < ARRAY_LEN(o->seen))
		o->seen[o->n++] = id;
	mapjson_user(t, w, n);
}

/* Profiles of the owners of all that is sent whole in this frame; self NULL: not sent */
static void profiles(struct tailnet *t, struct jsonw *w, const struct tnode *self)
{
	struct owners o = { .n = 0 };

	jsonw_key(w, "UserProfiles");
	jsonw_arr(w);
	if (self)
		profile(t, w, &o, self);
	for (size_t k = 0; k < t->n_deltas; k++)
		if (t->deltas[k].what == DELTA_FULL)
			profile(t, w, &o, &t->nodes[t->deltas[k].slot]);
	jsonw_arr_end(w);
}

static void begin(struct tailnet *t, struct jsonw *w)
{
	buf_clear(&t->frame);
	jsonw_init(w, &t->frame);
	jsonw_obj(w);
}

static bool finish(struct jsonw *w, wall_t wall)
{
	char time[WALL_TEXT];

	jsonw_kstr(w, "ControlTime", wall_text(wall, time));
	jsonw_obj_end(w);
	return jsonw_ok(w);
}

static bool delta_frame(struct tailnet *t, uint32_t viewer, wall_t wall)
{
	struct jsonw w;

	begin(t, &w);
	if (peers(t, &w, viewer, "PeersChanged", DELTA_FULL, wall))
		profiles(t, &w, NULL);
	peers(t, &w, viewer, "PeersRemoved", DELTA_REMOVE, wall);
	peers(t, &w, viewer, "PeersChangedPatch", DELTA_PATCH, wall);
	return finish(&w, wall);
}

/* --- frames of one telling that say the same --- */

static const struct kept_frame *kept_find(const struct tailnet *t, uint64_t hash, bool zstd)
{
	uint32_t i;

	for (size_t at = 0; index_next(&t->kept.by_list, hash, &at, &i);) {
		const struct kept_frame *f = &t->kept.v[i];

		if (f->zstd == zstd && f->n_list == t->n_deltas &&
		    memcmp(t->kept.deltas + f->list_at, t->deltas,
			   t->n_deltas * sizeof *t->deltas) == 0)
			return f;
	}
	return NULL;
}

static bool kept_room(struct tailnet *t)
{
	size_t want = t->kept.n_deltas + t->n_deltas;

	if (t->kept.n == FRAMES_KEPT || !index_reserve(&t->kept.by_list, 1))
		return false;
	if (want > t->kept.cap_deltas) {
		struct delta *v = realloc(t->kept.deltas, 2 * want * sizeof *v);

		if (!v)
			return false;
		t->kept.deltas = v;
		t->kept.cap_deltas = 2 * want;
	}
	return true;
}

static void keep(struct tailnet *t, uint64_t hash, bool zstd, struct bytes body)
{
	struct kept_frame *f = &t->kept.v[t->kept.n];

	if (!kept_room(t) || !buf_append(&t->kept.bytes, body.data, body.len))
		return;
	*f = (struct kept_frame){ .list_at = t->kept.n_deltas,
				  .n_list = t->n_deltas,
				  .at = t->kept.bytes.len - body.len,
				  .len = body.len,
				  .zstd = zstd };
	memcpy(t->kept.deltas + f->list_at, t->deltas, t->n_deltas * sizeof *t->deltas);
	t->kept.n_deltas += t->n_deltas;
	index_add(&t->kept.by_list, hash, (uint32_t)t->kept.n++);
}

static void keep_none(struct tailnet *t)
{
	index_fini(&t->kept.by_list);
	free(t->kept.deltas);
	t->kept.deltas = NULL;
	t->kept.n = t->kept.n_deltas = t->kept.cap_deltas = 0;
	buf_fini(&t->kept.bytes);
}

static bool send_deltas(struct tailnet *t, struct stream *s, wall_t wall)
{
	uint64_t hash = tailnet_hash(t, t->deltas, t->n_deltas * sizeof *t->deltas);
	const struct kept_frame *f = kept_find(t, hash, s->zstd);
	struct bytes body;

	if (f)
		return send_packed(t, s, bytes_of(buf_bytes(&t->kept.bytes).data + f->at, f->len));
	if (!delta_frame(t, (uint32_t)s->slot, wall))
		return false;
	body = pack(t, s->zstd);
	if (body.len > 0)
		keep(t, hash, s->zstd, body);
	return send_packed(t, s, body);
}

/* --- what is a stream's own --- */

/* The packet filter when it is not what this stream has. */
static bool filter(struct tailnet *t, struct jsonw *w, struct stream *s)
{
	struct buf rules;
	uint64_t hash;
	bool changed;

	buf_init(&rules, TAILNET_FRAME_MAX);
	if (policy_filter_emit(t->policy, s->slot, &rules) != 0) {
		buf_fini(&rules);
		w->failed = true;
		return false;
	}
	hash = tailnet_hash(t, buf_bytes(&rules).data, rules.len);
	changed = hash != s->filter_hash;
	if (changed) {
		s->filter_hash = hash;
		jsonw_key(w, "PacketFilters");
		jsonw_obj(w);
		jsonw_key(w, "base");
		jsonw_raw(w, buf_bytes(&rules));
		jsonw_obj_end(w);
	}
	buf_fini(&rules);
	return changed;
}

static bool ssh_policy(struct tailnet *t, struct jsonw *w, struct stream *s)
{
	struct buf out;
	uint64_t hash;
	bool changed = false;

	buf_init(&out, TAILNET_FRAME_MAX);
	if (t->policy && policy_ssh_emit(t->policy, s->slot, sshcheck_url(t), &out) != 0)
		w->failed = true;
	if (out.len == 0 && s->has_ssh && !buf_append(&out, "{\"rules\":[]}", 12))
		w->failed = true; /* it had one */
	hash = out.len > 0 ? tailnet_hash(t, buf_bytes(&out).data, out.len) : 0;
	if (out.len > 0 && hash != s->ssh_hash) {
		s->ssh_hash = hash;
		s->has_ssh = changed = true;
		jsonw_key(w, "SSHPolicy");
		jsonw_raw(w, buf_bytes(&out));
	}
	buf_fini(&out);
	return changed;
}

/* Members that only this stream gets. false: there are none */
static bool own(struct tailnet *t, struct jsonw *w, struct stream *s, bool self, bool judge,
		wall_t wall)
{
	bool any = self;

	if (self) {
		jsonw_key(w, "Node");
		mapjson_node(t, w, &t->nodes[s->slot], (uint32_t)s->slot, wall);
	}
	if (!s->started || t->derp_seq > s->seen) {
		jsonw_key(w, "DERPMap");
		jsonw_raw(w, buf_bytes(&t->derp_map));
		any = true;
	}
	if (judge) {
		any |= filter(t, w, s);
		any |= ssh_policy(t, w, s);
	}
	return any;
}

bool frame_first(struct tailnet *t, mono_t now, wall_t wall, struct stream *s)
{
	struct jsonw w;

	find_deltas(t, s, true);
	begin(t, &w);
	own(t, &w, s, true, true, wall);
	peers(t, &w, (uint32_t)s->slot, "Peers", DELTA_FULL, wall);
	profiles(t, &w, &t->nodes[s->slot]);
	mapjson_dns(t, &w);
	jsonw_kstr(&w, "Domain", t->domain);
	if (!finish(&w, wall) || !mark_deltas(t, s))
		return false;
	s->started = true;
	s->is_alone = !t->nodes[s->slot].pub.approved;
	s->self_dirty = false;
	s->seen = t->seq;
	s->keepalive_at = map_keepalive(t, now);
	return frame_send(t, s);
}

/* What one stream is to be told, if anything. false: cut the stream off */
static bool tell(struct tailnet *t, mono_t now, wall_t wall, struct stream *s, bool judge_all)
{
	const struct tnode *n = &t->nodes[s->slot];
	bool whole = n->full_seq > s->seen;
	bool judge = judge_all || (t->policy && policy_filter_stale(t->policy, s->slot));
	bool any = false, ok = true;
	struct jsonw w;

	begin(t, &w);
	if (own(t, &w, s, whole || s->self_dirty, judge, wall)) {
		any = true;
		t->n_deltas = 0;
		if (whole || s->self_dirty)
			profiles(t, &w, n);
		ok = finish(&w, wall) && frame_send(t, s);
	} else {
		ok = jsonw_ok(&w);
	}
	find_deltas(t, s, judge_all || (whole && (t->policy || s->is_alone != !n->pub.approved)));
	s->is_alone = !n->pub.approved;
	if (ok && t->n_deltas > 0) {
		any = true;
		ok = mark_deltas(t, s) && send_deltas(t, s, wall);
	}
	if (any)
		s->keepalive_at = map_keepalive(t, now);
	s->self_dirty = false;
	s->seen = t->seq;
	return ok;
}

void map_flush(struct tailnet *t, mono_t now, wall_t wall)
{
	bool judge = t->policy_dirty;

	t->flush_at = MONO_NEVER;
	node_routes_moved(t);
	if (!view_make(t)) {
		t->flush_at = mono_add(now, SPAN_S(1));
		return;
	}
	t->policy_dirty = false;
	for (size_t i = t->n_streams; i-- > 0;) {
		if (t->streams[i].gone)
			map_cut_off(t, now, i, "the node was deleted");
		else if (!tell(t, now, wall, &t->streams[i], judge))
			map_cut_off(t, now, i, "it does not read fast enough");
	}
	policy_settle(t->policy);
	keep_none(t);
	for (size_t i = 0; i < t->n_changed; i++) {
		struct tnode *n = &t->nodes[t->changed[i]];

		n->in_changed = false;
		if (n->dead) /* everybody knows that it is gone: the slot is free */
			slot_free(t, n);
	}
	t->n_changed = 0;
	t->told_at = now;
}
