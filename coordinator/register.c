/* coordinator/register.c - POST /machine/register: auth keys, known nodes, interactive logins,
 * logout (control-protocol.md 3) */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"

struct request {
	int version;
	struct key_pub node, old;
	char auth_key[AUTHKEY_TEXT_MAX];
	bool has_auth, ephemeral, has_expiry, expiry_is_past;
	wall_t expiry;
	char followup[256];
	struct bytes hostinfo;
	size_t n_tags;
	char tags[TAILNET_TAGS_MAX][TAILNET_LABEL_MAX];
};

struct answer {
	const struct tnode *node;
	bool key_expired, authorized;
	char auth_url[600], error[256];
};

/* --- reading --- */

static void read_auth(struct json *j, struct request *r)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "AuthKey"))
			r->has_auth = json_str(j, r->auth_key, sizeof r->auth_key) > 0;
		else
			json_skip(j);
	}
}

static void read_tags(struct request *r)
{
	struct json j = json_of(r->hostinfo);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (!json_key_is(key, "RequestTags")) {
			json_skip(&j);
			continue;
		}
		json_arr(&j);
		while (json_elem(&j) && r->n_tags < TAILNET_TAGS_MAX)
			if (json_str(&j, r->tags[r->n_tags], sizeof r->tags[0]) > 0)
				r->n_tags++;
	}
}

static bool read_request(struct bytes body, wall_t wall, struct request *r)
{
	struct json j = json_of(body);
	struct bytes key;
	char text[64];

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Version")) {
			r->version = (int)json_i64(&j);
		} else if (json_key_is(key, "NodeKey")) {
			tailnet_read_key(&j, KEY_NODE, &r->node);
		} else if (json_key_is(key, "OldNodeKey")) {
			tailnet_read_key(&j, KEY_NODE, &r->old);
		} else if (json_key_is(key, "Auth")) {
			read_auth(&j, r);
		} else if (json_key_is(key, "Ephemeral")) {
			r->ephemeral = json_bool(&j);
		} else if (json_key_is(key, "Followup")) {
			json_str(&j, r->followup, sizeof r->followup);
		} else if (json_key_is(key, "Expiry")) {
			size_t len = json_str(&j, text, sizeof text);

			r->has_expiry = len > 0 && strncmp(text, "0001-", 5) != 0 &&
					wall_parse(bytes_of(text, len), &r->expiry);
			r->expiry_is_past = r->has_expiry && r->expiry.ns <= wall.ns;
		} else if (json_key_is(key, "Hostinfo")) {
			r->hostinfo = json_raw(&j);
		} else {
			json_skip(&j);
		}
	}
	if (!json_done(&j) || key_is_zero(&r->node) || r->hostinfo.len > TAILNET_HOSTINFO_MAX)
		return false;
	if (r->hostinfo.len > 0)
		read_tags(r);
	return true;
}

/* --- answering --- */

static void reply(struct tailnet *t, struct session_id id, int32_t h2, const struct answer *a)
{
	struct jsonw w;

	buf_clear(&t->frame);
	jsonw_init(&w, &t->frame);
	jsonw_obj(&w);
	if (a->node) {
		const struct tailnet_user *u = tailnet_user(t, a->node->pub.user);
		bool tagged = a->node->pub.n_tags > 0 || !u;
		int64_t uid = tagged ? TAGGED_USER : u->id;
		const char *name = tagged ? "tagged-devices" : u->name;

		jsonw_key(&w, "User");
		jsonw_obj(&w);
		jsonw_ki64(&w, "ID", uid);
		jsonw_kstr(&w, "DisplayName", tagged || !u->display[0] ? name : u->display);
		jsonw_obj_end(&w);
		jsonw_key(&w, "Login");
		jsonw_obj(&w);
		jsonw_ki64(&w, "ID", uid);
		jsonw_kstr(&w, "Provider", "");
		jsonw_kstr(&w, "LoginName", name);
		jsonw_kstr(&w, "DisplayName", tagged || !u->display[0] ? name : u->display);
		jsonw_obj_end(&w);
	}
	jsonw_kbool(&w, "NodeKeyExpired", a->key_expired);
	jsonw_kbool(&w, "MachineAuthorized", a->authorized);
	jsonw_kstr(&w, "AuthURL", a->auth_url);
	jsonw_kstr(&w, "Error", a->error);
	jsonw_obj_end(&w);
	if (jsonw_ok(&w))
		session_reply(t, id, h2, 200, "application/json", buf_bytes(&t->frame));
}

static void refuse(struct tailnet *t, struct answer *a, const char *why)
{
	snprintf(a->error, sizeof a->error, "%s", why);
	t->stat.refused++;
}

static void accept_node(struct answer *a, const struct tnode *n)
{
	a->node = n;
	a->authorized = n->pub.approved;
}

/* --- the cases --- */

static void logout(struct tailnet *t, mono_t now, wall_t wall, const struct key_pub *machine,
		   const struct request *r, struct answer *a)
{
	struct tnode *n = node_by_key(t, &r->node);

	a->key_expired = true;
	if (!n || !key_eq(&n->pub.machine, machine))
		return;
	tailnet_audit(t, "node %lld (%s) logged out", (long long)n->pub.id, n->pub.given);
	if (n->pub.ephemeral) {
		node_remove(t, now, n);
		return;
	}
	n->pub.expiry = wall;
	n->pub.logged_out = true;
	node_changed(t, now, n);
}

static const char *key_trouble(const struct tailnet_authkey *k, wall_t wall)
{
	if (!k)
		return "invalid pre auth key";
	if (k->expires.ns != 0 && k->expires.ns <= wall.ns)
		return "authkey expired";
	return k->used && !k->reusable ? "authkey already used" : NULL;
}

static const char *tags_trouble(struct tailnet *t, const struct request *r, const char *user)
{
	for (size_t i = 0; i < r->n_tags; i++)
		if (!policy_tag_allowed(t->policy, user, r->tags[i]))
			return "requested tags are invalid or not permitted by tagOwners";
	return NULL;
}

/* A node of this machine and owner, new or as it was; keys and facts brought up to date. authkey 0:
 * a person approved it. */
static struct tnode *admit(struct tailnet *t, mono_t now, wall_t wall,
			   const struct key_pub *machine, const struct key_pub *node, int64_t user,
			   const char *const *tags, size_t n_tags, bool ephemeral,
			   struct bytes hostinfo, int64_t authkey)
{
	struct tnode *known = node_by_key(t, node);
	struct tnode *n = known && key_eq(&known->pub.machine, machine)
			      ? known
			      : node_by_machine(t, machine, user, n_tags > 0);
	char how[40] = "login";
	bool fresh =
	    !n; /* never two nodes with one node key: the one that has it changes its owner */

	if (!n && !(n = node_create(t, wall, machine, node)))
		return NULL;
	slot_set_key(t, n, node);
	n->pub.user = user;
	n->pub.ephemeral = ephemeral;
	n->pub.logged_out = n->expiry_told = false;
	if (!node_set_tags(n, tags, n_tags))
		return NULL;
	if (n_tags > 0) {
		n->pub.expiry = WALL_ZERO; /* tagged nodes do not expire */
	} else {
		n->pub.expiry =
		    t->conf.key_expiry.ns > 0 ? wall_add(wall, t->conf.key_expiry) : WALL_ZERO;
	}
	node_set_hostinfo(t, n, hostinfo);
	if (!n->pub.given[0])
		node_set_hostinfo(t, n, bytes_str("{}"));
	node_changed(t, now, n);
	t->stat.registrations++;
	if (authkey != 0)
		snprintf(how, sizeof how, "auth key %lld", (long long)authkey);
	tailnet_audit(t, "node %lld (%s) %s by %s", (long long)n->pub.id, n->pub.given,
		      fresh ? "registered" : "registered again", how);
	return n;
}

static void with_key(struct tailnet *t, mono_t now, wall_t wall, const struct key_pub *machine,
		     const struct request *r, struct answer *a)
{
	struct tailnet_authkey *k = authkey_find(t, bytes_str(r->auth_key));
	struct tnode *known = node_by_key(t, &r->node);
	const struct tailnet_user *u = k ? tailnet_user(t, k->user) : NULL;
	const char *tags[TAILNET_TAGS_MAX], *trouble;
	size_t n_tags = 0;
	struct tnode *n;

	/* a spent key is good enough for a node that has not changed (control-protocol.md 3.3) */
	if (known && key_eq(&known->pub.machine, machine) &&
	    !tailnet_node_expired(&known->pub, wall)) {
		node_set_hostinfo(t, known, r->hostinfo);
		node_changed(t, now, known);
		accept_node(a, known);
		return;
	}
	trouble = key_trouble(k, wall);
	if (!trouble && known && !key_eq(&known->pub.machine, machine))
		trouble = "node key already in use by another machine";
	if (!trouble)
		trouble = tags_trouble(t, r, u ? u->name : "");
	if (trouble) {
		refuse(t, a, trouble);
		return;
	}
	for (size_t i = 0; i < k->n_tags; i++)
		tags[n_tags++] = k->tags[i];
	for (size_t i = 0; i < r->n_tags && n_tags < TAILNET_TAGS_MAX; i++)
		tags[n_tags++] = r->tags[i];
	n = admit(t, now, wall, machine, &r->node, k->user, tags, n_tags,
		  k->ephemeral || r->ephemeral, r->hostinfo, k->id);
	if (!n) {
		refuse(t, a, "this tailnet is full");
		return;
	}
	n->pub.authkey = k->id;
	if (!k->used) {
		k->used = true;
		tailnet_emit(t, TAILNET_STORE_KEY, k->id);
	}
	accept_node(a, n);
}

/* --- interactive logins --- */

static void login_free(struct tailnet *t, struct login *l)
{
	free(l->hostinfo);
	*l = t->logins[--t->n_logins];
}

static struct login *login_named(struct tailnet *t, const char *id)
{
	for (size_t i = 0; i < t->n_logins; i++)
		if (strcmp(t->logins[i].id, id) == 0)
			return &t->logins[i];
	return NULL;
}

void login_gone(struct tailnet *t, struct session_id id, int32_t h2)
{
	for (size_t i = 0; i < t->n_logins; i++)
		if (session_eq(t->logins[i].waiter, id) &&
		    (h2 == 0 || t->logins[i].waiter_h2 == h2))
			t->logins[i].waiter_h2 = 0;
}

void login_id(struct tailnet *t, char id[static TAILNET_LOGIN_ID + 1])
{
	uint8_t raw[18];

	rng_fill(t->conf.rng, raw, sizeof raw);
	raw[0] &= 0x7f;
	base64_emit(raw, sizeof raw, BASE64_URL, id);
}

static void login_name(struct tailnet *t, struct login *l, mono_t now)
{
	login_id(t, l->id);
	l->expires = mono_add(now, SPAN_S(TAILNET_LOGIN_S));
}

static void login_url(const struct tailnet *t, const struct login *l, struct answer *a)
{
	snprintf(a->auth_url, sizeof a->auth_url, "%s/register/%s", t->url, l->id);
}

/* Who still waits for a person when the time is over is given another URL, once: the node that asks
 * again has another quarter of an hour. No request is left without its answer. */
void logins_expire(struct tailnet *t, mono_t now)
{
	for (size_t i = t->n_logins; i-- > 0;) {
		struct login *l = &t->logins[i];
		struct answer a = { 0 };

		if (!mono_due(l->expires, now))
			continue;
		if (l->waiter_h2 == 0) {
			login_free(t, l);
			continue;
		}
		login_name(t, l, now);
		login_url(t, l, &a);
		reply(t, l->waiter, l->waiter_h2, &a);
		l->waiter_h2 = 0;
	}
}

/* Of the address (IPv6: /64) that has most of them, the oldest: one source cannot keep others out.
 */
static struct login *login_of_most(struct tailnet *t)
{
	uint16_t count[4 * TAILNET_LOGINS_MAX] = { 0 }, most = 0;
	struct login *found = NULL;

	for (size_t i = 0; i < t->n_logins; i++) {
		const struct ip *from = &t->logins[i].from;
		uint64_t h = tailnet_hash(t, from->b, ip_is_v4(from) ? 16 : 8);
		uint16_t n = ++count[h % ARRAY_LEN(count)];

		most = MAX_OF(most, n);
	}
	for (size_t i = 0; i < t->n_logins; i++) {
		struct login *l = &t->logins[i];
		uint64_t h = tailnet_hash(t, l->from.b, ip_is_v4(&l->from) ? 16 : 8);

		if (count[h % ARRAY_LEN(count)] == most &&
		    (!found || mono_before(l->expires, found->expires)))
			found = l;
	}
	return found;
}

static void login_yield(struct tailnet *t, struct login *l, const char *why)
{
	struct answer a = { 0 };

	refuse(t, &a, why);
	if (l->waiter_h2 != 0)
		reply(t, l->waiter, l->waiter_h2, &a);
	l->waiter_h2 = 0;
}

/* One login for each machine: what it asked for before is over. Strangers may ask too, with machine
 * keys made up on the spot: when there is no room, the oldest that no node waits for gives way, and
 * with none of these the oldest of the address that has most. NULL: no memory. */
static struct login *login_place(struct tailnet *t, const struct key_pub *machine)
{
	struct login *idle = NULL;

	for (size_t i = 0; i < t->n_logins; i++) {
		struct login *l = &t->logins[i];

		if (key_eq(&l->machine, machine)) {
			login_yield(t, l, "another login of this machine took its place");
			return l;
		}
		if (l->waiter_h2 == 0 && (!idle || mono_before(l->expires, idle->expires)))
			idle = l;
	}
	if (t->n_logins == TAILNET_LOGINS_MAX && !idle) {
		idle = login_of_most(t);
		login_yield(t, idle, "too many logins wait for approval; try again later");
	}
	if (t->n_logins == TAILNET_LOGINS_MAX)
		return idle;
	if (t->n_logins == t->cap_logins) {
		size_t cap = t->cap_logins ? t->cap_logins * 2 : 8;
		struct login *v = realloc(t->logins, cap * sizeof *v);

		if (!v)
			return NULL;
		t->logins = v;
		t->cap_logins = cap;
	}
	t->logins[t->n_logins] = (struct login){ 0 };
	return &t->logins[t->n_logins++];
}

static struct login *login_new(struct tailnet *t, mono_t now, const struct key_pub *machine,
			       const struct ip *from, const struct request *r)
{
	char *hostinfo = NULL;
	struct login *l;

	logins_expire(t, now);
	if (r->hostinfo.len > 0 &&
	    !(hostinfo = strndup((const char *)r->hostinfo.data, r->hostinfo.len)))
		return NULL;
	l = login_place(t, machine);
	if (!l) {
		free(hostinfo);
		return NULL;
	}
	/* the page that somebody has open already stays good for the same keys */
	if (!key_eq(&l->machine, machine) || !key_eq(&l->node, &r->node))
		l->id[0] = 0;
	free(l->hostinfo);
	l->machine = *machine;
	l->node = r->node;
	l->from = *from;
	l->cap = r->version;
	l->ephemeral = r->ephemeral;
	l->hostinfo = hostinfo;
	l->waiter_h2 = 0;
	l->expires = mono_add(now, SPAN_S(TAILNET_LOGIN_S));
	if (!l->id[0])
		login_name(t, l, now);
	return l;
}

static const char *login_of_url(const struct request *r)
{
	const char *slash = strrchr(r->followup, '/');

	return slash ? slash + 1 : r->followup;
}

/* true: the answer waits for a person */
static bool interactively(struct tailnet *t, mono_t now, struct session_id id, int32_t h2,
			  const struct key_pub *machine, const struct request *r, struct answer *a)
{
	struct login *l = r->followup[0] ? login_named(t, login_of_url(r)) : NULL;

	if (l && key_eq(&l->machine, machine) && !mono_due(l->expires, now)) {
		l->waiter = id;
		l->waiter_h2 = h2;
		return true;
	}
	l = login_new(t, now, machine, &session_get(t, id)->remote.ip, r);
	if (!l) {
		refuse(t, a, "too many logins wait for approval; try again later");
		return false;
	}
	login_url(t, l, a);
	return false;
}

static struct login *login_waiting(struct tailnet *t, mono_t now, const char *id, struct err *e)
{
	struct login *l = login_named(t, id);

	if (l && !mono_due(l->expires, now))
		return l;
	err_say(e, ENOENT, "no login '%.40s' waits; it may be too old: start it again on the node",
		id);
	return NULL;
}

bool tailnet_login_waits(const struct tailnet *t, mono_t now, const char *id,
			 char host[static TAILNET_NAME_MAX])
{
	for (size_t i = 0; i < t->n_logins; i++) {
		struct json j =
		    json_of(bytes_str(t->logins[i].hostinfo ? t->logins[i].hostinfo : "{}"));
		struct bytes key;

		if (strcmp(t->logins[i].id, id) != 0 || mono_due(t->logins[i].expires, now))
			continue;
		host[0] = 0;
		json_obj(&j);
		while (json_key(&j, &key)) {
			if (json_key_is(key, "Hostname"))
				json_str(&j, host, TAILNET_NAME_MAX);
			else
				json_skip(&j);
		}
		return true;
	}
	return false;
}

int tailnet_login_reject(struct tailnet *t, mono_t now, const char *id, struct err *e)
{
	struct login *l = login_waiting(t, now, id, e);
	struct answer a = { 0 };

	if (!l)
		return -ENOENT;
	refuse(t, &a, "this login was refused by an administrator");
	tailnet_audit(t, "login %.8s... refused", id);
	if (l->waiter_h2 != 0)
		reply(t, l->waiter, l->waiter_h2, &a);
	login_free(t, l);
	return 0;
}

int tailnet_login_approve(struct tailnet *t, mono_t now, wall_t wall, const char *id, int64_t user,
			  int64_t *node, struct err *e)
{
	struct login *l = login_waiting(t, now, id, e);
	struct answer a = { 0 };
	struct tnode *n;

	if (!l)
		return -ENOENT;
	if (!tailnet_user(t, user))
		return err_say(e, ENOENT, "there is no user %lld", (long long)user);
	n = node_by_key(t, &l->node);
	if (n && !key_eq(&n->pub.machine, &l->machine)) { /* it came while this one waited */
		refuse(t, &a, "node key already in use by another machine");
		if (l->waiter_h2 != 0)
			reply(t, l->waiter, l->waiter_h2, &a);
		login_free(t, l);
		return err_say(e, EEXIST, "the node key is in use by another machine: node %lld",
			       (long long)n->pub.id);
	}
	n = admit(t, now, wall, &l->machine, &l->node, user, NULL, 0, l->ephemeral,
		  bytes_str(l->hostinfo ? l->hostinfo : ""), 0);
	if (!n)
		return err_say(e, ENOBUFS, "this tailnet is full");
	*node = n->pub.id;
	accept_node(&a, n);
	if (l->waiter_h2 != 0)
		reply(t, l->waiter, l->waiter_h2, &a);
	login_free(t, l);
	return 0;
}

static void without_key(struct tailnet *t, mono_t now, wall_t wall, struct tnode *known,
			const struct request *r, struct answer *a)
{
	if (tailnet_node_expired(&known->pub, wall)) {
		a->key_expired = true;
		return;
	}
	node_set_hostinfo(t, known, r->hostinfo);
	node_changed(t, now, known);
	accept_node(a, known);
}

void register_request(struct tailnet *t, mono_t now, wall_t wall, struct session_id id, int32_t h2,
		      struct bytes body)
{
	const struct key_pub machine = session_get(t, id)->machine;
	struct request r = { 0 };
	struct answer a = { 0 };
	struct tnode *known;

	if (!read_request(body, wall, &r)) {
		t->stat.malformed++;
		session_reply(t, id, h2, 400, "text/plain",
			      bytes_str("malformed register request\n"));
		return;
	}
	if (r.version < TAILNET_CAP_MIN) {
		session_reply(
		    t, id, h2, 400, "text/plain",
		    bytes_str("this client is too old for this control server: update it\n"));
		return;
	}
	known = node_by_key(t, &r.node);
	if (r.expiry_is_past)
		logout(t, now, wall, &machine, &r, &a);
	else if (r.has_auth)
		with_key(t, now, wall, &machine, &r, &a);
	else if (known && !key_eq(&known->pub.machine, &machine))
		refuse(t, &a, "node key already in use by another machine");
	else if (known && !(tailnet_node_expired(&known->pub, wall) &&
			    (r.followup[0] || !key_is_zero(&r.old))))
		without_key(t, now, wall, known, &r,
			    &a); /* also one that missed the answer to its Followup */
	else if (interactively(t, now, id, h2, &machine, &r, &a))
		return;
	reply(t, id, h2, &a);
	secret_wipe(r.auth_key, sizeof r.auth_key);
}
