/* coordinator/stored.c - users, keys, nodes and the next ids as JSON texts that the database keeps,
 * and back
 *
 * Unknown members are skipped, so an older program reads what a newer one wrote; what is missing
 * has its zero value.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "base/text.h"
#include "coordinator/tailnet_priv.h"

/* --- writing --- */

static int done(const struct jsonw *w)
{
	return jsonw_ok(w) ? 0 : -ENOMEM;
}

static void key_out(struct jsonw *w, const char *name, enum key_kind kind, const struct key_pub *k)
{
	char text[KEY_TEXT_MAX];

	jsonw_kstr(w, name, key_pub_text(kind, k, text));
}

static void labels_out(struct jsonw *w, const char *name, char (*v)[TAILNET_LABEL_MAX], size_t n)
{
	jsonw_key(w, name);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, v[i]);
	jsonw_arr_end(w);
}

int tailnet_user_emit(const struct tailnet *t, int64_t id, struct buf *out)
{
	const struct tailnet_user *u = tailnet_user(t, id);
	struct jsonw w;

	if (!u)
		return -ENOENT;
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "id", u->id);
	jsonw_kstr(&w, "name", u->name);
	jsonw_kstr(&w, "display", u->display);
	jsonw_ki64(&w, "created", u->created.ns);
	jsonw_obj_end(&w);
	return done(&w);
}

int tailnet_ids_emit(const struct tailnet *t, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "user", t->next_user);
	jsonw_ki64(&w, "key", t->next_key);
	jsonw_ki64(&w, "node", t->next_node);
	jsonw_obj_end(&w);
	return done(&w);
}

int tailnet_authkey_emit(const struct tailnet *t, int64_t id, struct buf *out)
{
	const struct tailnet_authkey *k = tailnet_authkey(t, id);
	char hash[2 * AUTHKEY_HASH + 1];
	struct jsonw w;

	if (!k)
		return -ENOENT;
	hex_emit(k->hash, AUTHKEY_HASH, hash);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "id", k->id);
	jsonw_ki64(&w, "user", k->user);
	jsonw_kstr(&w, "prefix", k->prefix);
	jsonw_kstr(&w, "hash", hash);
	jsonw_kbool(&w, "reusable", k->reusable);
	jsonw_kbool(&w, "ephemeral", k->ephemeral);
	jsonw_kbool(&w, "used", k->used);
	jsonw_ki64(&w, "created", k->created.ns);
	jsonw_ki64(&w, "expires", k->expires.ns);
	labels_out(&w, "tags", k->tags, k->n_tags);
	jsonw_obj_end(&w);
	return done(&w);
}

int tailnet_node_emit(const struct tailnet *t, int64_t id, struct buf *out)
{
	const struct tailnet_node *p = tailnet_node(t, id);
	char text[IP_TEXT];
	struct jsonw w;

	if (!p)
		return -ENOENT;
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "id", p->id);
	jsonw_ki64(&w, "user", p->user);
	jsonw_ki64(&w, "authkey", p->authkey);
	key_out(&w, "machine", KEY_MACHINE, &p->machine);
	key_out(&w, "node", KEY_NODE, &p->node);
	key_out(&w, "disco", KEY_DISCO, &p->disco);
	jsonw_kstr(&w, "v4", ip_is_zero(&p->v4) ? "" : ip_text(&p->v4, text));
	jsonw_kstr(&w, "v6", ip_is_zero(&p->v6) ? "" : ip_text(&p->v6, text));
	jsonw_kstr(&w, "given", p->given);
	jsonw_ki64(&w, "created", p->created.ns);
	jsonw_ki64(&w, "last_seen", p->last_seen.ns);
	jsonw_ki64(&w, "expiry", p->expiry.ns);
	jsonw_kbool(&w, "ephemeral", p->ephemeral);
	jsonw_kbool(&w, "approved", p->approved);
	jsonw_kbool(&w, "logged_out", p->logged_out);
	jsonw_ki64(&w, "cap", p->cap);
	labels_out(&w, "tags", p->tags, p->n_tags);
	jsonw_kipports(&w, "endpoints", p->endpoints, p->n_endpoints);
	jsonw_kprefixes(&w, "approved_routes", p->approved_routes, p->n_approved);
	jsonw_key(&w, "hostinfo");
	jsonw_raw(&w, bytes_str(p->hostinfo ? p->hostinfo : "{}"));
	jsonw_obj_end(&w);
	return done(&w);
}

/* --- reading --- */

void tailnet_read_key(struct json *j, enum key_kind kind, struct key_pub *k)
{
	char text[KEY_TEXT_MAX];
	size_t len = json_str(j, text, sizeof text);

	if (len > 0 && !key_pub_parse(kind, bytes_of(text, len), k))
		j->failed = true;
}

static void ip_in(struct json *j, struct ip *a)
{
	char text[IP_TEXT];
	size_t len = json_str(j, text, sizeof text);

	if (len > 0 && !ip_parse(bytes_of(text, len), a))
		j->failed = true;
}

size_t tailnet_read_labels(struct json *j, char (*v)[TAILNET_LABEL_MAX], size_t n, size_t max)
{
	json_arr(j);
	while (json_elem(j)) {
		if (n == max)
			j->failed = true;
		else
			json_str(j, v[n++], TAILNET_LABEL_MAX);
	}
	return n;
}

static int bad(struct err *e, const char *what)
{
	return err_say(e, EBADMSG, "a stored %s is malformed", what);
}

/* Another one must be left to give. */
static bool is_id(int64_t id)
{
	return id > 0 && id < INT64_MAX;
}

int tailnet_user_load(struct tailnet *t, struct bytes text, struct err *e)
{
	struct json j = json_of(text);
	struct tailnet_user u = { 0 };
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "id"))
			u.id = json_i64(&j);
		else if (json_key_is(key, "name"))
			json_str(&j, u.name, sizeof u.name);
		else if (json_key_is(key, "display"))
			json_str(&j, u.display, sizeof u.display);
		else if (json_key_is(key, "created"))
			u.created.ns = json_i64(&j);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || !is_id(u.id))
		return bad(e, "user");
	if (!user_new(t, &u))
		return err_set(e, ENOMEM, "load users");
	if (u.id >= t->next_user)
		t->next_user = u.id + 1;
	return 0;
}

static void id_in(struct json *j, int64_t *next)
{
	int64_t id = json_i64(j);

	if (!is_id(id)) {
		j->failed = true;
		return;
	}
	if (id > *next)
		*next = id;
}

int tailnet_ids_load(struct tailnet *t, struct bytes text, struct err *e)
{
	struct json j = json_of(text);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "user"))
			id_in(&j, &t->next_user);
		else if (json_key_is(key, "key"))
			id_in(&j, &t->next_key);
		else if (json_key_is(key, "node"))
			id_in(&j, &t->next_node);
		else
			json_skip(&j);
	}
	return json_done(&j) ? 0 : bad(e, "list of next ids");
}

static void hash_in(struct json *j, struct tailnet_authkey *k)
{
	char text[2 * AUTHKEY_HASH + 1];
	size_t len = json_str(j, text, sizeof text);

	if (!hex_parse(bytes_of(text, len), k->hash, AUTHKEY_HASH))
		j->failed = true;
}

int tailnet_authkey_load(struct tailnet *t, struct bytes text, struct err *e)
{
	struct json j = json_of(text);
	char tags[TAILNET_TAGS_MAX][TAILNET_LABEL_MAX];
	struct tailnet_authkey k = { .tags = tags };
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "id"))
			k.id = json_i64(&j);
		else if (json_key_is(key, "user"))
			k.user = json_i64(&j);
		else if (json_key_is(key, "prefix"))
			json_str(&j, k.prefix, sizeof k.prefix);
		else if (json_key_is(key, "hash"))
			hash_in(&j, &k);
		else if (json_key_is(key, "reusable"))
			k.reusable = json_bool(&j);
		else if (json_key_is(key, "ephemeral"))
			k.ephemeral = json_bool(&j);
		else if (json_key_is(key, "used"))
			k.used = json_bool(&j);
		else if (json_key_is(key, "created"))
			k.created.ns = json_i64(&j);
		else if (json_key_is(key, "expires"))
			k.expires.ns = json_i64(&j);
		else if (json_key_is(key, "tags"))
			k.n_tags = tailnet_read_labels(&j, k.tags, 0, TAILNET_TAGS_MAX);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || !is_id(k.id))
		return bad(e, "auth key");
	if (!authkey_new(t, &k))
		return err_set(e, ENOMEM, "load auth keys");
	if (k.id >= t->next_key)
		t->next_key = k.id + 1;
	return 0;
}

static void endpoints_in(struct json *j, struct tailnet_node *p)
{
	struct ipport v[TAILNET_ENDPOINTS_MAX];
	char text[IPPORT_TEXT];
	size_t n = 0;

	json_arr(j);
	while (json_elem(j)) {
		size_t len = json_str(j, text, sizeof text);

		if (n < TAILNET_ENDPOINTS_MAX && ipport_parse(bytes_of(text, len), &v[n]))
			n++;
	}
	p->endpoints = malloc((n + 1) * sizeof *v);
	p->endpoint_types = calloc(n + 1, 1);
	p->n_endpoints = p->endpoints && p->endpoint_types ? n : 0;
	if (p->n_endpoints > 0)
		memcpy(p->endpoints, v, n * sizeof *v);
}

static void routes_in(struct json *j, struct tailnet_node *p)
{
	struct ipprefix v[TAILNET_ROUTES_MAX];
	char text[IPPREFIX_TEXT];
	size_t n = 0;

	json_arr(j);
	while (json_elem(j)) {
		size_t len = json_str(j, text, sizeof text);

		if (n < TAILNET_ROUTES_MAX && ipprefix_parse(bytes_of(text, len), &v[n]))
			n++;
	}
	p->approved_routes = n ? malloc(n * sizeof *v) : NULL;
	p->n_approved = p->approved_routes ? n : 0;
	if (p->approved_routes)
		memcpy(p->approved_routes, v, n * sizeof *v);
}

static void node_member(struct json *j, struct bytes key, struct tnode *n, struct bytes *hostinfo)
{
	char tags[TAILNET_TAGS_MAX][TAILNET_LABEL_MAX];
	const char *v[TAILNET_TAGS_MAX];
	struct tailnet_node *p = &n->pub;

	if (json_key_is(key, "id"))
		p->id = json_i64(j);
	else if (json_key_is(key, "user"))
		p->user = json_i64(j);
	else if (json_key_is(key, "authkey"))
		p->authkey = json_i64(j);
	else if (json_key_is(key, "machine"))
		tailnet_read_key(j, KEY_MACHINE, &p->machine);
	else if (json_key_is(key, "node"))
		tailnet_read_key(j, KEY_NODE, &p->node);
	else if (json_key_is(key, "disco"))
		tailnet_read_key(j, KEY_DISCO, &p->disco);
	else if (json_key_is(key, "v4"))
		ip_in(j, &p->v4);
	else if (json_key_is(key, "v6"))
		ip_in(j, &p->v6);
	else if (json_key_is(key, "given"))
		json_str(j, p->given, sizeof p->given);
	else if (json_key_is(key, "created"))
		p->created.ns = json_i64(j);
	else if (json_key_is(key, "last_seen"))
		p->last_seen.ns = json_i64(j);
	else if (json_key_is(key, "expiry"))
		p->expiry.ns = json_i64(j);
	else if (json_key_is(key, "ephemeral"))
		p->ephemeral = json_bool(j);
	else if (json_key_is(key, "approved"))
		p->approved = json_bool(j);
	else if (json_key_is(key, "logged_out"))
		p->logged_out = json_bool(j);
	else if (json_key_is(key, "cap"))
		p->cap = (int)json_i64(j);
	else if (json_key_is(key, "endpoints"))
		endpoints_in(j, p);
	else if (json_key_is(key, "approved_routes"))
		routes_in(j, p);
	else if (json_key_is(key, "hostinfo"))
		*hostinfo = json_raw(j);
	else if (json_key_is(key, "tags")) {
		size_t count = tailnet_read_labels(j, tags, 0, TAILNET_TAGS_MAX);

		for (size_t i = 0; i < count; i++)
			v[i] = tags[i];
		if (!node_set_tags(n, v, count))
			j->failed = true;
	} else {
		json_skip(j);
	}
}

int tailnet_node_load(struct tailnet *t, struct bytes text, struct err *e)
{
	struct json j = json_of(text);
	struct tnode n = { .offline_at = MONO_NEVER,
			   .remove_at = MONO_NEVER,
			   .probe_by = MONO_NEVER },
		     *made;
	struct bytes key, hostinfo = { 0 };

	json_obj(&j);
	while (json_key(&j, &key))
		node_member(&j, key, &n, &hostinfo);
	if (!json_done(&j) || !is_id(n.pub.id) || key_is_zero(&n.pub.machine)) {
		node_fini(&n);
		return bad(e, "node");
	}
	made = slot_new(t, &n);
	if (!made) {
		node_fini(&n);
		return err_set(e, ENOMEM, "load nodes");
	}
	node_set_hostinfo(t, made, hostinfo);
	if (n.pub.id >= t->next_node)
		t->next_node = n.pub.id + 1;
	/* expiry; and the first scan gives ephemeral nodes their time again */
	t->scan_at = (mono_t){ 0 };
	return 0;
}
