/* coordinator/map.c - POST /machine/map: what a node tells, and the streams that tell it of all
 * others (frames.c)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"

struct request {
	int version;
	struct key_pub node, disco;
	bool stream, omit_peers, zstd, has_endpoints;
	size_t n_endpoints;
	struct ipport endpoints[TAILNET_ENDPOINTS_MAX];
	size_t place[TAILNET_ENDPOINTS_MAX]; /* in the list as it came, which types follow */
	uint8_t types[TAILNET_ENDPOINTS_MAX];
	struct bytes hostinfo; /* empty: none, or more than is kept */
};

/* --- reading --- */

static void read_endpoints(struct json *j, struct request *r)
{
	char text[IPPORT_TEXT];

	r->has_endpoints = json_type(j) == JSON_ARRAY;
	json_arr(j);
	for (size_t i = 0; json_elem(j); i++) {
		size_t len = json_str(j, text, sizeof text);

		if (r->n_endpoints < TAILNET_ENDPOINTS_MAX &&
		    ipport_parse(bytes_of(text, len), &r->endpoints[r->n_endpoints]))
			r->place[r->n_endpoints++] = i;
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
			if (r->hostinfo.len > TAILNET_HOSTINFO_MAX) /* what is known stays */
				r->hostinfo = bytes_of(NULL, 0);
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
	free(p->endpoints);
	free(p->endpoint_types);
	p->endpoints = v;
	p->endpoint_types = types;
	p->n_endpoints = r->n_endpoints;
	return true;
}

/* Of the endpoints that p has now. They are nobody's business but ours: peers are told addresses.
 */
static void take_types(struct tailnet_node *p, const struct request *r)
{
	for (size_t i = 0; i < p->n_endpoints; i++)
		p->endpoint_types[i] =
		    r->place[i] < TAILNET_ENDPOINTS_MAX ? r->types[r->place[i]] : 0;
}

/* What a node says of itself but its NetInfo, which changes with every measurement and of which
 * only the home relay concerns others */
static uint64_t lasting(const struct tailnet *t, struct bytes hostinfo)
{
	struct json j = json_of(hostinfo);
	struct bytes key, value;
	uint64_t sum = 0;

	json_obj(&j);
	while (json_key(&j, &key)) {
		value = json_raw(&j);
		if (!json_key_is(key, "NetInfo")) /* the value lies behind its key */
			sum +=
			    tailnet_hash(t, key.data, (size_t)(value.data + value.len - key.data));
	}
	return json_done(&j) ? sum : 0;
}

/* What the request says of the node; peers are told only when something moved. */
static void update(struct tailnet *t, mono_t now, struct tnode *n, const struct request *r)
{
	struct tailnet_node *p = &n->pub;
	uint16_t home = p->home;
	bool patched = false, stored = false, whole = p->cap != r->version;

	p->cap = r->version;
	if (!key_is_zero(&r->disco) && !key_eq(&r->disco, &p->disco)) {
		p->disco = r->disco;
		patched = true;
	}
	if (r->has_endpoints && !same_endpoints(p, r))
		patched |= take_endpoints(p, r);
	if (r->has_endpoints && same_endpoints(p, r))
		take_types(p, r);
	if (r->hostinfo.len > 0 && !(p->hostinfo && bytes_eq_str(r->hostinfo, p->hostinfo))) {
		whole |=
		    !p->hostinfo || lasting(t, r->hostinfo) != lasting(t, bytes_str(p->hostinfo));
		node_set_hostinfo(t, n, r->hostinfo);
		stored = true;
	}
	patched |= p->home != home;
	if (whole)
		node_changed(t, now, n);
	else if (patched)
		node_patched(t, now, n);
	else if (stored)
		node_store(t, n);
	for (unsigned i = 0; (whole || patched) && i < n->n_streams; i++)
		t->streams[n->stream[i]].self_dirty = true;
}

/* --- streams --- */

mono_t map_keepalive(struct tailnet *t, mono_t now)
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
			      .keepalive_at = map_keepalive(t, now) };
	n->stream[n->n_streams++] = (uint32_t)(t->n_streams - 1);
	session_get(t, id)->n_streams++;
	n->offline_at = n->remove_at = MONO_NEVER;
	ha_alive(t, now, n);
	if (!n->pub.online) {
		n->pub.online = true;
		t->routes_dirty |= n->pub.n_approved > 0;
		node_patched(t, now, n);
	}
	t->scan_at = mono_min(t->scan_at, s->keepalive_at);
	return s;
}

/* The node's note of where its stream is: from there to here; NO_INDEX: nowhere any more */
static void stream_moved(struct tnode *n, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < n->n_streams; i++)
		if (n->stream[i] == from) {
			n->stream[i] = to == NO_INDEX ? n->stream[--n->n_streams] : to;
			return;
		}
}

static void stream_del(struct tailnet *t, mono_t now, size_t i)
{
	struct session *conn = session_get(t, t->streams[i].session);
	struct tnode *n = &t->nodes[t->streams[i].slot];
	size_t last = t->n_streams - 1;

	free(t->streams[i].sent);
	free(t->streams[i].told);
	if (conn)
		conn->n_streams--;
	stream_moved(n, (uint32_t)i, NO_INDEX);
	if (!n->dead && n->n_streams == 0) {
		n->offline_at = mono_add(now, SPAN_S(TAILNET_OFFLINE_S));
		t->scan_at = mono_min(t->scan_at, n->offline_at);
	}
	if (i != last) {
		t->streams[i] = t->streams[last];
		stream_moved(&t->nodes[t->streams[i].slot], (uint32_t)last, (uint32_t)i);
	}
	t->n_streams--;
}

void map_stream_gone(struct tailnet *t, mono_t now, struct session_id id, int32_t h2)
{
	struct session *conn = session_get(t, id);

	for (size_t i = t->n_streams; conn && conn->n_streams > 0 && i-- > 0;)
		if (session_eq(t->streams[i].session, id) && (h2 == 0 || t->streams[i].h2 == h2))
			stream_del(t, now, i);
}

void map_cut_off(struct tailnet *t, mono_t now, size_t i, const char *why)
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

/* --- requests --- */

void map_request(struct tailnet *t, mono_t now, wall_t wall, struct session_id id, int32_t h2,
		 struct bytes body)
{
	struct session *conn = session_get(t, id);
	struct request r = { 0 };
	struct tnode *n;
	struct stream *s;

	if (!read_request(body, &r)) {
		t->stat.malformed++;
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
	while (n->n_streams >= TAILNET_STREAMS_PER_NODE)
		map_cut_off(t, now, n->stream[0], "a newer one took its place");
	s = stream_add(t, now, id, h2, n, &r);
	node_routes_moved(t); /* what this frame shows, the others are to be told */
	if (!s ||
	    ts2021_server_answer(conn->conn, h2, 200, "application/octet-stream", true) != 0 ||
	    !view_make(t) || !frame_first(t, now, wall, s)) {
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
			s->keepalive_at = map_keepalive(t, now);
			buf_clear(&t->frame);
			if (!buf_append(&t->frame, "{\"KeepAlive\":true}", 18) ||
			    !frame_send(t, s)) {
				map_cut_off(t, now, i, "it does not read");
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
			n->pub.silent = false;
			n->probe_by = MONO_NEVER;
			n->pub.last_seen = wall;
			t->routes_dirty |= n->pub.n_approved > 0; /* to another router */
			node_patched(t, now, n);
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
		if (n->expiry_told != tailnet_node_expired(&n->pub, wall)) { /* or not any more */
			n->expiry_told = !n->expiry_told;
			node_changed(t, now, n);
		}
		next = mono_min(next, mono_min(n->offline_at, n->remove_at));
	}
	next = mono_min(next, ha_scan(t, now));
	keepalives(t, now, &next);
	if (t->stat.sessions > 0)
		next = mono_min(
		    next, mono_add(now, SPAN_S(TAILNET_SCAN_S))); /* handshakes and idle connections
								     have deadlines too */
	return next;
}
