/* tailnet_world.h - the coordinator's control server and any number of real control clients in one
 * process: in-memory streams cut into random pieces, virtual time, and a shadow of the database
 *
 * Every store event goes into the shadow, and no byte is pulled while one waits. fleet_restart
 * throws the server away and loads a new one from the shadow, as a crash at that moment would.
 */
#ifndef TESTS_TAILNET_WORLD_H
#define TESTS_TAILNET_WORLD_H

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "coordinator/tailnet.h"
#include "model/netmap.h"
#include "tests/harness.h"
#include "ts2021/control.h"
#include "ts2021/upgrade.h"
#include "wire/http1.h"

enum { FLEET_MAX = 24, FLEET_ROWS = 4096, FLEET_TABLES = 3 };

struct fleet_wire {
	bool is_open, is_upgraded, hung_up;
	struct buf up, down;
	struct session_id session;
};

struct party {
	bool used, deaf; /* deaf: reads nothing from its streams */
	char name[32];
	struct control *c;
	struct netmap *nm;
	struct key_priv machine, node;
	struct fleet_wire wire[CONTROL_CONNS];
	unsigned frames, registered, needs_login, login_failed, logged_out, hangups;
	bool authorized, fatal, in_frame;
	char why[600], auth_url[1100], trouble[600];
	struct key_pub current; /* node key that is registered */
	size_t bytes_down;
};

struct fleet_row {
	int64_t id;
	char *json;
};

struct fleet {
	struct seed_rng rng;
	mono_t now;
	wall_t wall;
	struct key_priv control_key;
	struct tailnet_conf conf;
	struct tailnet *t;
	struct party v[FLEET_MAX];
	struct fleet_row row[FLEET_TABLES][FLEET_ROWS];
	unsigned audits, stores;
	char audit[1024]; /* the last line */
	int64_t user;
	bool torn; /* a pull was tried while something waited to be stored */
};

/* --- server --- */

static inline void fleet_open(struct fleet *f)
{
	struct err e = { 0 };
	static const char map[] =
	    "{\"Regions\":{\"900\":{\"RegionID\":900,\"RegionCode\":\"own\",\"Nodes\":[{"
	    "\"Name\":\"900a\",\"RegionID\":900,\"HostName\":\"127.0.0.1\"}]}}}";

	f->conf.rng = &f->rng.rng;
	f->conf.key = f->control_key;
	f->conf.derp_map = bytes_str(map);
	f->t = tailnet_new(&f->conf, &e);
	ck_assert_msg(f->t != NULL, "%s", e.text);
}

static inline void fleet_init(struct fleet *f, uint64_t seed)
{
	memset(f, 0, sizeof *f);
	seed_rng_init(&f->rng, seed);
	f->now = (mono_t){ 5000 * NS_PER_S };
	f->wall = (wall_t){ 1800000000 * NS_PER_S };
	key_gen(&f->control_key, &f->rng.rng);
	f->conf = (struct tailnet_conf){ .server_url = "http://control.example:8080",
					 .base_domain = "tail.test",
					 .ephemeral_timeout = SPAN_S(60),
					 .key_expiry = SPAN_S(86400) };
	ck_assert(ipprefix_parse(bytes_str("100.64.0.0/10"), &f->conf.v4));
	ck_assert(ipprefix_parse(bytes_str("fd7a:115c:a1e0::/48"), &f->conf.v6));
	fleet_open(f);
}

static inline void fleet_store(struct fleet *f, int table, int64_t id, const struct buf *json)
{
	struct fleet_row *empty = NULL;

	for (size_t i = 0; i < FLEET_ROWS; i++) {
		struct fleet_row *r = &f->row[table][i];

		if (r->json && r->id == id) {
			free(r->json);
			r->json = NULL;
			empty = r;
			break;
		}
		if (!r->json && !empty)
			empty = r;
	}
	if (!json)
		return;
	ck_assert_ptr_nonnull(empty);
	empty->id = id;
	empty->json = strndup((const char *)buf_bytes(json).data, json->len);
}

static inline void fleet_event(struct fleet *f, const struct tailnet_event *ev)
{
	struct buf json;
	int ret = 0;

	buf_init(&json, 1 << 20);
	switch (ev->type) {
	case TAILNET_STORE_USER:
		ret = tailnet_user_emit(f->t, ev->id, &json);
		break;
	case TAILNET_STORE_KEY:
		ret = tailnet_authkey_emit(f->t, ev->id, &json);
		break;
	case TAILNET_STORE_NODE:
		ret = tailnet_node_emit(f->t, ev->id, &json);
		break;
	case TAILNET_DELETE_USER:
		fleet_store(f, 0, ev->id, NULL);
		break;
	case TAILNET_DELETE_KEY:
		fleet_store(f, 1, ev->id, NULL);
		break;
	case TAILNET_DELETE_NODE:
		fleet_store(f, 2, ev->id, NULL);
		break;
	case TAILNET_AUDIT:
		f->audits++;
		snprintf(f->audit, sizeof f->audit, "%s", ev->text);
		break;
	case TAILNET_OUTPUT:
		ck_assert(!tailnet_must_store(f->t));
		break;
	case TAILNET_HANGUP:
		for (size_t i = 0; i < FLEET_MAX; i++)
			for (size_t k = 0; k < CONTROL_CONNS; k++) {
				struct fleet_wire *w = &f->v[i].wire[k];

				if (w->is_upgraded && w->session.index == ev->session.index &&
				    w->session.generation == ev->session.generation)
					w->hung_up = true;
			}
		break;
	}
	if (json.len > 0)
		fleet_store(f,
			    ev->type == TAILNET_STORE_USER  ? 0
			    : ev->type == TAILNET_STORE_KEY ? 1
							    : 2,
			    ev->id, &json);
	ck_assert(ret == 0 || ret == -ENOENT);
	buf_fini(&json);
}

static inline bool fleet_has_row(const struct fleet *f, int table, int64_t id)
{
	for (size_t i = 0; i < FLEET_ROWS; i++)
		if (f->row[table][i].json && f->row[table][i].id == id)
			return true;
	return false;
}

/* Changes that have a line of the audit log each: all of users and keys, a node that is new or
 * gone. Nodes are also stored as they come and go, and a key when a node has used it. */
static inline bool fleet_is_audited(const struct fleet *f, const struct tailnet_event *ev)
{
	const struct tailnet_authkey *k;

	switch (ev->type) {
	case TAILNET_OUTPUT:
	case TAILNET_HANGUP:
	case TAILNET_AUDIT:
		return false;
	case TAILNET_STORE_KEY:
		k = tailnet_authkey(f->t, ev->id);
		return k && !k->used;
	case TAILNET_STORE_NODE:
		return tailnet_node(f->t, ev->id) && !fleet_has_row(f, 2, ev->id);
	default:
		return true;
	}
}

static inline void fleet_settle(struct fleet *f)
{
	const unsigned before = f->audits;
	struct tailnet_event ev;
	unsigned owed = 0;

	while (tailnet_next(f->t, &ev)) {
		owed += fleet_is_audited(f, &ev);
		f->stores += ev.type != TAILNET_OUTPUT && ev.type != TAILNET_HANGUP &&
			     ev.type != TAILNET_AUDIT;
		fleet_event(f, &ev);
	}
	ck_assert_msg(f->audits - before >= owed, "%u changes are stored, %u told in the audit log",
		      owed, f->audits - before);
}

static inline void fleet_shut(struct fleet *f, struct fleet_wire *w)
{
	if (w->is_upgraded)
		tailnet_closed(f->t, f->now, f->wall, w->session);
	buf_clear(&w->up);
	buf_clear(&w->down);
	w->is_open = w->is_upgraded = w->hung_up = false;
}

/* The server of this moment is gone; what was stored is what the next one knows. Clients lose their
 * streams. */
static inline void fleet_restart(struct fleet *f)
{
	struct err e = { 0 };

	tailnet_free(f->t);
	fleet_open(f);
	for (int table = 0; table < FLEET_TABLES; table++)
		for (size_t i = 0; i < FLEET_ROWS; i++) {
			struct bytes json =
			    bytes_str(f->row[table][i].json ? f->row[table][i].json : "");
			int ret = json.len == 0 ? 0
				  : table == 0  ? tailnet_user_load(f->t, json, &e)
				  : table == 1  ? tailnet_authkey_load(f->t, json, &e)
						: tailnet_node_load(f->t, json, &e);

			ck_assert_msg(ret == 0, "%s", e.text);
		}
	for (size_t i = 0; i < FLEET_MAX; i++)
		for (unsigned k = 0; k < CONTROL_CONNS && f->v[i].used; k++) {
			struct fleet_wire *w = &f->v[i].wire[k];
			bool was_open = w->is_open;

			buf_clear(&w->up);
			buf_clear(&w->down);
			w->is_open = w->is_upgraded = w->hung_up = false;
			if (was_open)
				control_closed(f->v[i].c, f->now, k, NULL);
		}
}

static inline void fleet_http(struct fleet *f, struct fleet_wire *w)
{
	uint8_t init[NOISE_INIT_LEN];
	struct http1_head h;
	struct ipport remote = { .ip = ip_v4(192, 0, 2, 1), .port = 1234 };
	struct buf key;
	size_t n = 0;

	http1_request_init(&h);
	if (http1_head_feed(&h, buf_bytes(&w->up)) != HTTP1_OK)
		return;
	if (h.target.len > 5 && memcmp(h.target.data, "/key?", 5) == 0) {
		buf_init(&key, 4096);
		ck_assert_int_eq(tailnet_key_answer(f->t, &key), 0);
		ck_assert(
		    http1_emit_answer(&w->down, 200, "application/json", buf_bytes(&key), false));
		buf_fini(&key);
		buf_consume(&w->up, h.len);
		return;
	}
	ck_assert(bytes_eq_str(h.target, UPGRADE_PATH));
	ck_assert(base64_parse(http1_get(&h, UPGRADE_FIELD), BASE64_STD, init, sizeof init, &n) &&
		  n == sizeof init);
	buf_consume(&w->up, h.len);
	w->is_upgraded = tailnet_open(f->t, f->now, init, &remote, &w->session) == 0;
	w->hung_up = !w->is_upgraded;
}

static inline size_t fleet_piece(struct fleet *f, size_t len)
{
	size_t n = 1 + (size_t)rng_below(&f->rng.rng, rng_below(&f->rng.rng, 4) ? 4000 : 9);

	return MIN_OF(n, len);
}

static inline bool fleet_serve(struct fleet *f, struct party *p, struct fleet_wire *w)
{
	bool moved = w->up.len > 0;
	uint8_t tmp[4096];
	size_t n;

	if (!w->is_open)
		return false;
	if (w->up.len > 0 && w->is_upgraded) {
		n = fleet_piece(f, w->up.len);
		tailnet_feed(f->t, f->now, f->wall, w->session,
			     bytes_of(buf_bytes(&w->up).data, n));
		buf_consume(&w->up, n);
	} else if (w->up.len > 0) {
		size_t before = w->up.len;

		fleet_http(f, w);
		moved = w->up.len != before;
	}
	fleet_settle(f);
	while (w->is_upgraded && !p->deaf &&
	       (n = tailnet_pull(f->t, f->now, w->session, tmp,
				 1 + (size_t)rng_below(&f->rng.rng, sizeof tmp))) > 0) {
		moved = true;
		p->bytes_down += n;
		ck_assert(buf_append(&w->down, tmp, n));
	}
	return moved;
}

/* --- clients --- */

static inline struct party *fleet_party(struct fleet *f, const char *name)
{
	static const struct key_pub no_key;
	struct control_conf conf = { .rng = &f->rng.rng,
				     .url = "http://control.example:8080",
				     .user_agent_version = "1.2.3" };
	struct control_hostinfo hi = { .hostname = name, .os_version = "6.1" };
	struct party *p = NULL;
	struct key_priv disco;
	struct key_pub pub;
	struct err e = { 0 };

	for (size_t i = 0; i < FLEET_MAX && !p; i++)
		if (!f->v[i].used)
			p = &f->v[i];
	ck_assert_ptr_nonnull(p);
	(void)no_key;
	*p = (struct party){ .used = true };
	snprintf(p->name, sizeof p->name, "%s", name);
	key_gen(&p->machine, &f->rng.rng);
	key_gen(&p->node, &f->rng.rng);
	key_gen(&disco, &f->rng.rng);
	key_public(&pub, &disco);
	conf.machine = p->machine;
	conf.node = p->node;
	for (size_t k = 0; k < CONTROL_CONNS; k++) {
		buf_init(&p->wire[k].up, 64 << 20);
		buf_init(&p->wire[k].down, 64 << 20);
	}
	p->c = control_new(&conf, &e);
	p->nm = netmap_new();
	ck_assert(p->c && p->nm);
	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	control_set_disco(p->c, &pub);
	return p;
}

/* The same machine started again: kept keys, or a new process without state (fresh machine key) is
 * fleet_party */
static inline void fleet_again(struct fleet *f, struct party *p, const char *auth_key)
{
	struct control_conf conf = { .rng = &f->rng.rng,
				     .url = "http://control.example:8080",
				     .user_agent_version = "1.2.3",
				     .machine = p->machine,
				     .node = p->node };
	struct control_hostinfo hi = { .hostname = p->name, .os_version = "6.1" };
	struct err e = { 0 };

	for (size_t k = 0; k < CONTROL_CONNS; k++)
		fleet_shut(f, &p->wire[k]);
	control_free(p->c);
	p->c = control_new(&conf, &e);
	ck_assert_ptr_nonnull(p->c);
	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	control_set_disco(p->c, &(struct key_pub){ { 9, 9, (uint8_t)rng_u32(&f->rng.rng) } });
	ck_assert_int_eq(control_set_auth_key(p->c, auth_key), 0);
	control_start(p->c, f->now, f->wall);
}

static inline void fleet_drop(struct fleet *f, struct party *p) /* the process is gone */
{
	for (size_t k = 0; k < CONTROL_CONNS; k++) {
		fleet_shut(f, &p->wire[k]);
		buf_fini(&p->wire[k].up);
		buf_fini(&p->wire[k].down);
	}
	control_free(p->c);
	netmap_free(p->nm);
	*p = (struct party){ 0 };
}

static inline void fleet_fini(struct fleet *f)
{
	for (size_t i = 0; i < FLEET_MAX; i++)
		if (f->v[i].used)
			fleet_drop(f, &f->v[i]);
	fleet_settle(f);
	for (int table = 0; table < FLEET_TABLES; table++)
		for (size_t i = 0; i < FLEET_ROWS; i++)
			free(f->row[table][i].json);
	tailnet_free(f->t);
}

static inline void fleet_client_event(struct fleet *f, struct party *p,
				      const struct control_event *ev)
{
	struct netmap_change ch;
	struct err e = { 0 };
	uint8_t tmp[4096];
	size_t n;

	switch (ev->type) {
	case CONTROL_DIAL:
		p->wire[ev->conn].is_open = true;
		control_opened(p->c, f->now, ev->conn);
		break;
	case CONTROL_HANGUP:
		p->hangups++;
		fleet_shut(f, &p->wire[ev->conn]);
		break;
	case CONTROL_OUTPUT:
		while ((n = control_pull(p->c, f->now, ev->conn, tmp, sizeof tmp)) > 0)
			if (p->wire[ev->conn].is_open)
				ck_assert(buf_append(&p->wire[ev->conn].up, tmp, n));
		break;
	case CONTROL_AUTH_URL:
		snprintf(p->auth_url, sizeof p->auth_url, "%s", ev->text);
		break;
	case CONTROL_REGISTERED:
		p->registered++;
		p->authorized = ev->authorized;
		p->node = ev->node_key;
		key_public(&p->current, &p->node);
		break;
	case CONTROL_MAP_BEGIN:
		if (ev->is_first)
			netmap_stream_start(p->nm);
		netmap_begin(p->nm);
		break;
	case CONTROL_MAP_DATA:
		ck_assert_int_eq(netmap_feed(p->nm, ev->data), 0);
		break;
	case CONTROL_MAP_END:
		ck_assert_msg(netmap_end(p->nm, f->wall, &e) == 0, "%s", e.text);
		while (netmap_next_change(p->nm, &ch))
			if (ch.type == NETMAP_PING_REQUEST)
				(void)control_ping_request(p->c, f->now, ch.text, NULL);
		p->frames++;
		control_map_applied(p->c, f->now);
		break;
	case CONTROL_MAP_ABORT:
		netmap_abort(p->nm);
		break;
	case CONTROL_LOGIN_FAILED:
		p->login_failed++;
		p->fatal = ev->fatal;
		snprintf(p->why, sizeof p->why, "%s", ev->text);
		break;
	case CONTROL_NEEDS_LOGIN:
		p->needs_login++;
		break;
	case CONTROL_LOGGED_OUT:
		p->logged_out++;
		break;
	case CONTROL_TROUBLE:
		if (ev->text)
			snprintf(p->trouble, sizeof p->trouble, "%s", ev->text);
		break;
	}
}

static inline bool fleet_hear(struct fleet *f, struct party *p, unsigned k)
{
	struct fleet_wire *w = &p->wire[k];
	uint8_t tmp[4096];
	size_t n;

	if (!w->is_open || p->deaf)
		return false;
	if (w->down.len > 0) {
		n = MIN_OF(fleet_piece(f, w->down.len), sizeof tmp);
		memcpy(tmp, buf_bytes(&w->down).data, n);
		buf_consume(&w->down, n);
		control_feed(p->c, f->now, f->wall, k, bytes_of(tmp, n));
		return true;
	}
	if (!w->hung_up)
		return false;
	fleet_shut(f, w);
	control_closed(p->c, f->now, k, NULL);
	return true;
}

/* Until nothing moves any more at this instant */
static inline void fleet_run(struct fleet *f)
{
	struct control_event ev;
	bool moved = true;

	for (unsigned rounds = 0; moved; rounds++) {
		ck_assert_msg(rounds < 100000, "the fleet does not come to rest");
		moved = false;
		for (size_t i = 0; i < FLEET_MAX; i++) {
			struct party *p = &f->v[i];

			if (!p->used)
				continue;
			while (control_next(p->c, &ev)) {
				fleet_client_event(f, p, &ev);
				moved = true;
			}
			for (unsigned k = 0; k < CONTROL_CONNS; k++) {
				moved = fleet_serve(f, p, &p->wire[k]) || moved;
				moved = fleet_hear(f, p, k) || moved;
			}
		}
		fleet_settle(f);
	}
}

static inline void fleet_to(struct fleet *f, mono_t at)
{
	f->wall.ns += at.ns - f->now.ns;
	f->now = at;
	tailnet_tick(f->t, f->now, f->wall);
	for (size_t i = 0; i < FLEET_MAX; i++)
		if (f->v[i].used)
			control_tick(f->v[i].c, f->now, f->wall);
	fleet_run(f);
}

static inline void fleet_pass(struct fleet *f, span_t d)
{
	mono_t end = mono_add(f->now, d);

	fleet_run(f);
	for (unsigned turns = 0;; turns++) {
		mono_t at = tailnet_deadline(f->t);

		for (size_t i = 0; i < FLEET_MAX; i++)
			if (f->v[i].used)
				at = mono_min(at, control_deadline(f->v[i].c));
		if (!mono_before(at, end))
			break;
		ck_assert_msg(turns < 50000, "deadlines come without end");
		fleet_to(f, mono_max(at, f->now));
	}
	fleet_to(f, end);
}

/* --- short cuts --- */

static inline void fleet_user(struct fleet *f)
{
	struct err e = { 0 };

	ck_assert_msg(tailnet_user_add(f->t, f->wall, "alice", "Alice", &f->user, &e) == 0, "%s",
		      e.text);
}

enum { KEY_REUSABLE = 1, KEY_EPHEMERAL = 2, KEY_EXPIRED = 4, KEY_TAGGED = 8 };
static inline int64_t fleet_key(struct fleet *f, unsigned flags, char text[static AUTHKEY_TEXT_MAX])
{
	struct tailnet_authkey conf = { .user = flags & KEY_TAGGED ? 0 : f->user,
					.reusable = flags & KEY_REUSABLE,
					.ephemeral = flags & KEY_EPHEMERAL,
					.expires = { f->wall.ns + 3600 * NS_PER_S } };
	char tag[1][TAILNET_LABEL_MAX] = { "tag:web" };
	struct err e = { 0 };
	int64_t id;

	if (flags & KEY_EXPIRED)
		conf.expires.ns = f->wall.ns - 1;
	if (flags & KEY_TAGGED) {
		conf.tags = tag;
		conf.n_tags = 1;
	}
	ck_assert_msg(tailnet_authkey_add(f->t, f->wall, &conf, text, &id, &e) == 0, "%s", e.text);
	return id;
}

static inline struct party *fleet_join(struct fleet *f, const char *name, const char *key)
{
	struct party *p = fleet_party(f, name);

	if (key)
		ck_assert_int_eq(control_set_auth_key(p->c, key), 0);
	control_start(p->c, f->now, f->wall);
	fleet_run(f);
	return p;
}

static inline const struct tailnet_node *fleet_node(const struct fleet *f, const struct party *p)
{
	return tailnet_node_by_key(f->t, &p->current);
}

#endif
