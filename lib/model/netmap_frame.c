/* model/netmap_frame.c - a frame is read member by member into a stage; what it means for the
 * netmap is decided when it is whole (netmap_apply.c)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/netmap_priv.h"

static void ops_free(struct nm_ops *ops)
{
	for (size_t i = 0; i < ops->n; i++)
		free(ops->v[i].rec);
	free(ops->v);
}

void netmap_abort(struct netmap *nm)
{
	struct nm_stage *st = nm->stage;

	if (!st)
		return;
	json_split_free(st->split);
	buf_fini(&st->scratch.caps);
	ops_free(&st->peers);
	ops_free(&st->changed);
	free(st->removed);
	free(st->flags);
	buf_fini(&st->patches);
	for (size_t i = 0; i < st->n_users; i++)
		free(st->users[i]);
	free(st->users);
	free(st->self);
	arena_free(&st->derp.mem);
	arena_free(&st->dns.mem);
	arena_free(&st->health.mem);
	nm_filters_free(&st->filters);
	buf_fini(&st->texts);
	free(st->url);
	free(st);
	nm->stage = NULL;
}

static bool is_list(struct bytes key)
{
	return json_key_is(key, "Peers") || json_key_is(key, "PeersChanged") ||
	       json_key_is(key, "PeersRemoved") || json_key_is(key, "PeersChangedPatch") ||
	       json_key_is(key, "UserProfiles");
}

void netmap_begin(struct netmap *nm)
{
	struct nm_stage *st;

	netmap_abort(nm);
	nm_reap(nm);
	nm->n_changes = nm->next_change = 0;
	st = calloc(1, sizeof *st); /* NULL: the next feed says so */
	if (!st)
		return;
	nm->stage = st;
	buf_init(&st->scratch.caps, NETMAP_ELEM_MAX);
	buf_init(&st->patches, NETMAP_MEMORY_MAX);
	buf_init(&st->texts, NETMAP_VALUE_MAX);
	st->split = json_split_new(is_list, NETMAP_VALUE_MAX);
	if (!st->split)
		netmap_abort(nm);
}

void netmap_stream_start(struct netmap *nm)
{
	netmap_abort(nm);
	nm->fresh = true;
}

static bool same_as_now(const struct netmap *nm, const struct netmap_node *n)
{
	uint32_t peer = nm_index_id(nm, n->id);

	return peer != NO_PEER && nm_node_diff(nm->peers[peer], n) == 0;
}

static int stage_peer(struct netmap *nm, struct nm_ops *ops, struct bytes value)
{
	struct nm_stage *st = nm->stage;
	struct nm_op op = { 0 };

	if (!nm_node_decode(value, &st->scratch)) {
		nm->stat.bad_peers++;
		return 0;
	}
	nm->stat.left_out += st->scratch.left_out;
	if (ops->n >= NETMAP_PEERS_MAX || nm->stat.memory + st->memory > NETMAP_MEMORY_MAX) {
		nm->stat.skipped_big++;
		return 0;
	}
	op.id = st->scratch.n.id;
	if (!same_as_now(nm, &st->scratch.n)) {
		op.rec = nm_rec_pack(&st->scratch.n);
		if (!op.rec)
			return -ENOMEM;
		st->memory += op.rec->size;
	}
	if (!array_grow(&ops->v, &ops->cap, ops->n + 1, sizeof *ops->v)) {
		free(op.rec);
		return -ENOMEM;
	}
	ops->v[ops->n++] = op;
	return 0;
}

static int stage_removed(struct netmap *nm, struct bytes value)
{
	struct nm_stage *st = nm->stage;
	struct json j = json_of(value);
	int64_t id = json_i64(&j);

	if (!json_done(&j)) {
		nm->stat.bad_values++;
		return 0;
	}
	if (st->n_removed >= NETMAP_PEERS_MAX)
		return -EBADMSG;
	if (!array_grow(&st->removed, &st->removed_cap, st->n_removed + 1, sizeof *st->removed))
		return -ENOMEM;
	st->removed[st->n_removed++] = id;
	return 0;
}

static int stage_patch(struct netmap *nm, struct bytes value)
{
	struct nm_stage *st = nm->stage;
	uint32_t len = (uint32_t)value.len;

	if (st->n_patches >= NETMAP_PEERS_MAX || nm->stat.memory + st->memory > NETMAP_MEMORY_MAX) {
		nm->stat.skipped_big++;
		return 0;
	}
	if (!buf_append(&st->patches, &len, sizeof len) ||
	    !buf_append(&st->patches, value.data, value.len))
		return -ENOMEM;
	st->memory += value.len;
	st->n_patches++;
	return 0;
}

/* A section that cannot be read is ignored and counted; only running out of memory refuses the
 * frame. */
static int section_fault(struct netmap *nm, int r)
{
	if (r == -EBADMSG) {
		nm->stat.bad_values++;
		r = 0;
	}
	return r;
}

static int stage_user(struct netmap *nm, struct bytes value)
{
	struct nm_stage *st = nm->stage;
	struct nm_user *u;
	int fault;

	if (st->n_users >= NETMAP_USERS_MAX || nm->stat.memory + st->memory > NETMAP_MEMORY_MAX) {
		nm->stat.skipped_big++;
		return 0;
	}
	if (!array_grow(&st->users, &st->users_cap, st->n_users + 1, sizeof *st->users))
		return -ENOMEM;
	u = nm_user_decode(value, &fault, &nm->stat.left_out);
	if (!u)
		return section_fault(nm, fault);
	st->users[st->n_users++] = u;
	st->memory += u->size;
	return 0;
}

static int stage_flags(struct netmap *nm, struct bytes value, bool online) /* {"17":true} */
{
	struct nm_stage *st = nm->stage;
	struct json j = json_of(value);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		struct nm_flag f = { .online = online, .value = json_bool(&j) };

		if (!text_i64(key, &f.id) || st->n_flags >= 2 * NETMAP_PEERS_MAX)
			continue;
		if (!array_grow(&st->flags, &st->flags_cap, st->n_flags + 1, sizeof *st->flags))
			return -ENOMEM;
		st->flags[st->n_flags++] = f;
	}
	if (!json_done(&j))
		nm->stat.bad_values++;
	return 0;
}

static int stage_elem(struct netmap *nm, struct bytes key, struct bytes value)
{
	struct nm_stage *st = nm->stage;

	if (json_key_is(key, "Peers"))
		st->has_peers = true;
	if (value.len > NETMAP_ELEM_MAX) {
		nm->stat.skipped_big++;
		return 0;
	}
	if (json_key_is(key, "Peers"))
		return stage_peer(nm, &st->peers, value);
	if (json_key_is(key, "PeersChanged"))
		return stage_peer(nm, &st->changed, value);
	if (json_key_is(key, "PeersRemoved"))
		return stage_removed(nm, value);
	if (json_key_is(key, "PeersChangedPatch"))
		return stage_patch(nm, value);
	return stage_user(nm, value);
}

/* The first filter of a frame starts from what is in force; on a fresh stream from nothing. */
static int stage_filters(struct netmap *nm, struct bytes value, bool parts)
{
	struct nm_stage *st = nm->stage;
	int r = 0;

	if (!st->has_filters && !nm->fresh)
		r = nm_filters_copy(&st->filters, &nm->filters);
	st->has_filters = true;
	if (r == 0)
		r = parts ? nm_filters_parts(&st->filters, value)
			  : nm_filters_set(&st->filters, bytes_str("base"), value);
	if (r != -E2BIG)
		return r;
	nm->stat.skipped_big++; /* as below: what cannot be held whole allows nothing */
	return nm_filters_parts(&st->filters, bytes_str("{\"*\":null}"));
}

static int stage_node(struct netmap *nm, struct bytes value)
{
	struct nm_stage *st = nm->stage;

	if (!nm_node_decode(value, &st->scratch))
		return -EBADMSG;
	nm->stat.left_out += st->scratch.left_out;
	free(st->self);
	st->self = nm_rec_pack(&st->scratch.n);
	return st->self ? 0 : -ENOMEM;
}

static int stage_derp(struct netmap *nm, struct bytes value)
{
	struct nm_stage *st = nm->stage;
	struct nm_derp d;
	int r = nm_derp_decode(value, st->has_derp ? &st->derp : &nm->derp, &d);

	if (r < 0)
		return section_fault(nm, r);
	arena_free(&st->derp.mem);
	st->derp = d;
	st->has_derp = true;
	return 0;
}

static int stage_dns(struct netmap *nm, struct bytes value)
{
	struct nm_stage *st = nm->stage;
	struct nm_dns d;
	int r = nm_dns_decode(value, &d);

	if (r < 0)
		return section_fault(nm, r);
	nm->stat.left_out += d.left_out;
	arena_free(&st->dns.mem);
	st->dns = d;
	st->has_dns = true;
	return 0;
}

static int stage_health(struct netmap *nm, struct bytes value, bool display)
{
	static const struct nm_health none;
	struct nm_stage *st = nm->stage;
	const struct nm_health *old = st->has_health ? &st->health
				      : nm->fresh    ? &none
						     : &nm->health;
	struct nm_health h;
	int r = nm_health_decode(value, display, old, &h);

	if (r < 0)
		return section_fault(nm, r);
	nm->stat.left_out += h.left_out;
	arena_free(&st->health.mem);
	st->health = h;
	st->has_health = true;
	return 0;
}

static int stage_debug(struct nm_stage *st, struct bytes value)
{
	struct json j = json_of(value);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Exit") && json_type(&j) == JSON_NUMBER) {
			st->exit_code = (int)json_i64(&j);
			st->has_exit = true;
		} else {
			json_skip(&j);
		}
	}
	if (!json_done(&j))
		st->has_exit = false;
	return 0;
}

static int stage_ping(struct nm_stage *st, struct bytes text)
{
	buf_clear(&st->texts);
	return buf_append(&st->texts, text.data, text.len) ? 0 : -ENOMEM;
}

static int stage_url(struct nm_stage *st, struct bytes url)
{
	if (url.len == 0)
		return 0;
	free(st->url);
	st->url = strndup((const char *)url.data, url.len);
	return st->url ? 0 : -ENOMEM;
}

static int stage_scalar(struct netmap *nm, struct bytes key, struct bytes value)
{
	struct nm_stage *st = nm->stage;
	struct json j = json_of(value);
	char tmp[NETMAP_NAME_MAX * 8];
	int r = 0;

	if (json_key_is(key, "KeepAlive")) {
		st->keepalive = json_bool(&j);
	} else if (json_key_is(key, "Domain")) {
		json_str(&j, st->domain, sizeof st->domain);
		st->has_domain = json_ok(&j);
	} else if (json_key_is(key, "ControlTime")) {
		(void)!wall_parse(json_strb(&j, tmp, sizeof tmp), &st->control_time);
	} else if (json_key_is(key, "PopBrowserURL")) {
		r = stage_url(st, json_strb(&j, tmp, sizeof tmp));
	} else {
		return 0; /* a value that nobody reads */
	}
	if (!json_done(&j))
		nm->stat.bad_values++;
	return r;
}

static int stage_member(struct netmap *nm, struct bytes key, struct bytes value)
{
	if (bytes_eq_str(value, "null")) /* unchanged */
		return 0;
	if (json_key_is(key, "Node"))
		return stage_node(nm, value);
	if (json_key_is(key, "PacketFilter"))
		return stage_filters(nm, value, false);
	if (json_key_is(key, "PacketFilters"))
		return stage_filters(nm, value, true);
	if (json_key_is(key, "OnlineChange"))
		return stage_flags(nm, value, true);
	if (json_key_is(key, "PeerSeenChange"))
		return stage_flags(nm, value, false);
	if (json_key_is(key, "PingRequest"))
		return stage_ping(nm->stage, value);
	if (json_key_is(key, "DERPMap"))
		return stage_derp(nm, value);
	if (json_key_is(key, "DNSConfig"))
		return stage_dns(nm, value);
	if (json_key_is(key, "Health"))
		return stage_health(nm, value, false);
	if (json_key_is(key, "DisplayMessages"))
		return stage_health(nm, value, true);
	if (json_key_is(key, "Debug"))
		return stage_debug(nm->stage, value);
	return stage_scalar(nm, key, value);
}

static int stage_too_big(struct netmap *nm, struct bytes key)
{
	nm->stat.skipped_big++;
	if (json_key_is(key, "Node"))
		return -EBADMSG;
	if (json_key_is(key, "PacketFilter") ||
	    json_key_is(key, "PacketFilters")) /* unreadable: nothing is allowed */
		return stage_filters(nm, bytes_str("{\"*\":null}"), true);
	if (json_key_is(key, "Peers"))
		nm->stage->has_peers = true;
	return 0;
}

int netmap_feed(struct netmap *nm, struct bytes in)
{
	struct bytes key, value;
	int r = 0;

	if (!nm->stage)
		return -ENOMEM;
	while (r == 0) {
		switch (json_split_next(nm->stage->split, &in, &key, &value)) {
		case JSON_SPLIT_MEMBER:
			r = stage_member(nm, key, value);
			break;
		case JSON_SPLIT_ELEM:
			r = stage_elem(nm, key, value);
			break;
		case JSON_SPLIT_TOO_BIG:
			r = stage_too_big(nm, key);
			break;
		case JSON_SPLIT_LIST:
		case JSON_SPLIT_LIST_END:
			break;
		case JSON_SPLIT_MORE:
			return 0;
		case JSON_SPLIT_END:
			nm->stage->ended = true;
			return 0;
		default:
			return -EBADMSG;
		}
	}
	return r;
}

int netmap_end(struct netmap *nm, wall_t now, struct err *e)
{
	int r;

	if (!nm->stage)
		return err_say(e, ENOMEM, "netmap: out of memory");
	if (!nm->stage->ended)
		r = err_say(e, EBADMSG, "netmap: the frame is not complete");
	else
		r = nm_apply(nm, nm->stage, now, e);
	netmap_abort(nm);
	return r;
}
