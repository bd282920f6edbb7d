/* model/state_node.c - the node in a state: keys, identity, preferences; and back (see state.h) */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "model/merge.h"
#include "model/state.h"
#include "model/state_priv.h"

enum { PROFILE_JSON_MAX = 1 << 20, IDENTITY_JSON_MAX = 64 << 10 };

void state_node_wipe(struct state_node *n)
{
	secret_wipe(n, sizeof *n);
}

void state_node_fresh(struct state_node *n, struct rng *rng, wall_t now)
{
	uint8_t id[2];

	state_node_wipe(n);
	rng_fill(rng, id, sizeof id);
	hex_emit(id, sizeof id, n->profile);
	key_gen(&n->machine, rng);
	n->created = now;
	prefs_default(&n->prefs);
}

/* --- reading --- */

static int bad(struct err *e, const char *name, const char *what)
{
	return err_say(
	    e, EBADMSG,
	    "state: %s %s; restore the state from a backup, or empty it to join as a new node",
	    name, what);
}

static bool read_key(struct json *j, struct key_priv *k)
{
	char text[KEY_TEXT_MAX];
	size_t n = json_str(j, text, sizeof text);
	bool ok = json_ok(j) && (n == 0 || key_priv_parse(bytes_of(text, n), k));

	secret_wipe(text, sizeof text);
	return ok;
}

static void read_user(struct json *j, struct state_node *n)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "ID"))
			n->user_id = json_i64(j);
		else if (json_key_is(key, "LoginName"))
			(void)json_str(j, n->login, sizeof n->login);
		else if (json_key_is(key, "DisplayName"))
			(void)json_str(j, n->display, sizeof n->display);
		else
			json_skip(j);
	}
}

/* the member "Config" of a profile: types/persist of the Go client */
static bool read_identity(struct json *j, struct state_node *n)
{
	struct bytes key;
	bool ok = true;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "PrivateNodeKey"))
			ok = read_key(j, &n->node) && ok;
		else if (json_key_is(key, "OldPrivateNodeKey"))
			ok = read_key(j, &n->old_node) && ok;
		else if (json_key_is(key, "NodeID"))
			(void)json_str(j, n->node_id, sizeof n->node_id);
		else if (json_key_is(key, "UserProfile"))
			read_user(j, n);
		else
			json_skip(j);
	}
	return ok && json_ok(j);
}

static int read_profile(struct bytes json, struct state_node *n, const char *name, struct err *e)
{
	struct json j = json_of(json);
	struct bytes key;
	bool ok = json_is_utf8(json);

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Config"))
			ok = read_identity(&j, n) && ok;
		else
			json_skip(&j);
	}
	if (!ok || !json_done(&j))
		return bad(e, name, "is malformed");
	prefs_default(&n->prefs);
	if (prefs_parse(&n->prefs, json, e) < 0)
		return err_wrap(e, "state: %s", name);
	return 0;
}

static void read_network(struct json *j, struct state_node *n)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "MagicDNSName"))
			(void)json_str(j, n->magic_suffix, sizeof n->magic_suffix);
		else if (json_key_is(key, "DomainName"))
			(void)json_str(j, n->domain, sizeof n->domain);
		else
			json_skip(j);
	}
}

static void read_login_profile(struct json *j, struct state_node *n)
{
	char text[WALL_TEXT + 32];
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "NetworkProfile")) {
			read_network(j, n);
		} else if (json_key_is(key, "Created")) {
			size_t len = json_str(j, text, sizeof text);

			if (!json_ok(j) || !wall_parse(bytes_of(text, len), &n->created))
				n->created = WALL_ZERO; /* of no use but to show it */
		} else {
			json_skip(j);
		}
	}
}

/* Only niceties are read from the list, so a missing entry of ours is no fault; a broken list is.
 */
static int read_profiles(struct bytes json, struct state_node *n, struct err *e)
{
	struct json j = json_of(json);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (bytes_eq_str(key, n->profile))
			read_login_profile(&j, n);
		else
			json_skip(&j);
	}
	return json_done(&j) && json_is_utf8(json) ? 0 : bad(e, STATE_PROFILES, "is malformed");
}

static bool profile_id(struct bytes name, char *id)
{
	const size_t n = sizeof STATE_PROFILE_PREFIX - 1;

	if (name.len <= n || name.len - n >= STATE_PROFILE_ID_MAX ||
	    memcmp(name.data, STATE_PROFILE_PREFIX, n) != 0)
		return false;
	for (size_t i = n; i < name.len; i++) /* it becomes a name and a JSON key again */
		if (!strchr("0123456789abcdefABCDEF-", name.data[i]) || name.data[i] == 0)
			return false;
	return bytes_to_str(bytes_of(name.data + n, name.len - n), id, STATE_PROFILE_ID_MAX);
}

static int load(const struct state *s, struct state_node *n, struct err *e)
{
	struct bytes machine, current, profiles, profile;
	const bool has_machine = state_get(s, STATE_MACHINE_KEY, &machine),
		   has_current = state_get(s, STATE_CURRENT_PROFILE, &current) && current.len > 0,
		   has_profiles = state_get(s, STATE_PROFILES, &profiles);
	char name[sizeof STATE_PROFILE_PREFIX + STATE_PROFILE_ID_MAX];
	int r;

	if (has_machine && !key_priv_parse(machine, &n->machine))
		return bad(e, STATE_MACHINE_KEY, "is not a key");
	if (!has_current) {
		/* tailscaled makes the machine key first and the profile at login: that is still
		 * "not registered" */
		return -ENOENT;
	}
	if (!profile_id(current, n->profile))
		return bad(e, STATE_CURRENT_PROFILE, "does not name a profile");
	if (!has_machine)
		return bad(e, STATE_MACHINE_KEY, "is missing although there is a profile");
	snprintf(name, sizeof name, STATE_PROFILE_PREFIX "%s", n->profile);
	if (!state_get(s, name, &profile))
		return bad(e, name, "is missing although it is the current profile");
	r = read_profile(profile, n, name, e);
	if (r == 0 && has_profiles)
		r = read_profiles(profiles, n, e);
	return r;
}

int state_load(const struct state *s, struct state_node *n, struct err *e)
{
	static const struct key_priv none;
	struct state_node next = { 0 };
	int r = load(s, &next, e);

	if (r == 0)
		*n = next;
	else if (r == -ENOENT && !secret_eq(&next.machine, &none, sizeof none))
		n->machine = next.machine;
	state_node_wipe(&next);
	return r;
}

/* --- writing --- */

static void write_key(struct jsonw *w, const struct key_priv *k)
{
	char text[KEY_TEXT_MAX];

	jsonw_str(w, key_priv_text(k, text));
	secret_wipe(text, sizeof text);
}

static void write_user(struct jsonw *w, const struct state_node *n)
{
	jsonw_obj(w);
	jsonw_ki64(w, "ID", n->user_id);
	jsonw_kstr(w, "LoginName", n->login);
	jsonw_kstr(w, "DisplayName", n->display);
	jsonw_obj_end(w);
}

/* Values written one after the other into one buffer that never moves; members point into it. */
struct pieces {
	struct buf text;
	struct jsonw w;
	struct merge_member m[8];
	size_t n;
	bool failed;
};

static bool pieces_init(struct pieces *p)
{
	*p = (struct pieces){ 0 };
	buf_init(&p->text, IDENTITY_JSON_MAX);
	return buf_reserve(&p->text, IDENTITY_JSON_MAX) != NULL;
}

static struct jsonw *piece(struct pieces *p, const char *key)
{
	p->m[p->n].key = key;
	p->m[p->n].json = bytes_of(buf_bytes(&p->text).data + p->text.len, 0);
	jsonw_init(&p->w, &p->text);
	return &p->w;
}

static void piece_end(struct pieces *p)
{
	struct merge_member *m = &p->m[p->n++];

	m->json.len = (size_t)(p->text.data + p->text.off + p->text.len - m->json.data);
	p->failed = p->failed || !jsonw_ok(&p->w);
}

static void piece_str(struct pieces *p, const char *key, const char *value)
{
	jsonw_str(piece(p, key), value);
	piece_end(p);
}

static int pieces_merge(struct pieces *p, struct bytes base, struct buf *out)
{
	return p->failed ? -ENOMEM : merge_emit(base, p->m, p->n, out);
}

/* The raw value of one member of an object, or empty. */
static struct bytes member(struct bytes json, const char *name)
{
	struct json j = json_of(json);
	struct bytes key, raw = { 0 }, v;

	json_obj(&j);
	while (json_key(&j, &key)) {
		v = json_raw(&j);
		if (json_key_is(key, name))
			raw = v;
	}
	return json_ok(&j) ? raw : bytes_of(NULL, 0);
}

static int emit_identity(const struct state_node *n, struct bytes base, bool with_keys,
			 struct buf *out)
{
	static const struct key_priv none;
	struct pieces p;
	int r = -ENOMEM;

	if (pieces_init(&p)) {
		write_key(piece(&p, "PrivateNodeKey"), with_keys ? &n->node : &none);
		piece_end(&p);
		write_key(piece(&p, "OldPrivateNodeKey"), with_keys ? &n->old_node : &none);
		piece_end(&p);
		write_user(piece(&p, "UserProfile"), n);
		piece_end(&p);
		piece_str(&p, "NodeID", n->node_id);
		if (!with_keys) /* the key of tailnet lock is as private, and attestation keys are
				   not for sockets */
			p.m[p.n++] = (struct merge_member){ "NetworkLockKey", { 0 } };
		if (!with_keys)
			p.m[p.n++] = (struct merge_member){ "AttestationKey", { 0 } };
		r = pieces_merge(&p, base, out);
	}
	state_buf_wipe(&p.text);
	return r;
}

static int emit_profile(const struct state *s, const struct state_node *n, bool with_keys,
			struct buf *out)
{
	char name[sizeof STATE_PROFILE_PREFIX + STATE_PROFILE_ID_MAX];
	struct bytes base = { 0 };
	struct buf id;
	int r = -ENOMEM;

	snprintf(name, sizeof name, STATE_PROFILE_PREFIX "%s", n->profile);
	(void)state_get(s, name, &base);
	buf_init(&id, IDENTITY_JSON_MAX);
	if (buf_reserve(&id, IDENTITY_JSON_MAX))
		r = emit_identity(n, member(base, "Config"), with_keys, &id);
	if (r == 0)
		r = prefs_emit(&n->prefs, base, buf_bytes(&id), out);
	state_buf_wipe(&id);
	return r;
}

int state_prefs_json(const struct state *s, const struct state_node *n, struct buf *out)
{
	return emit_profile(s, n, false, out);
}

static void write_network(struct jsonw *w, const struct state_node *n)
{
	jsonw_obj(w);
	jsonw_kstr(w, "MagicDNSName", n->magic_suffix);
	jsonw_kstr(w, "DomainName", n->domain);
	jsonw_kstr(w, "DisplayName", "");
	jsonw_obj_end(w);
}

static int emit_login_profile(const struct state_node *n, struct bytes base, struct buf *out)
{
	char key[sizeof STATE_PROFILE_PREFIX + STATE_PROFILE_ID_MAX], created[WALL_TEXT];
	struct pieces p;
	int r = -ENOMEM;

	snprintf(key, sizeof key, STATE_PROFILE_PREFIX "%s", n->profile);
	if (pieces_init(&p)) {
		piece_str(&p, "ID", n->profile);
		piece_str(&p, "Name", n->login);
		write_network(piece(&p, "NetworkProfile"), n);
		piece_end(&p);
		piece_str(&p, "Key", key);
		write_user(piece(&p, "UserProfile"), n);
		piece_end(&p);
		piece_str(&p, "NodeID", n->node_id);
		piece_str(&p, "ControlURL", n->prefs.control_url);
		piece_str(&p, "Created", wall_text(n->created, created));
		r = pieces_merge(&p, base, out);
	}
	buf_fini(&p.text);
	return r;
}

static int store_profiles(struct state *s, const struct state_node *n)
{
	struct bytes list = { 0 };
	struct buf one, all;
	int r;

	(void)state_get(s, STATE_PROFILES, &list);
	buf_init(&one, IDENTITY_JSON_MAX);
	buf_init(&all, PROFILE_JSON_MAX);
	r = emit_login_profile(n, member(list, n->profile), &one);
	if (r == 0) {
		struct merge_member m = { n->profile, buf_bytes(&one) };

		r = merge_emit(list, &m, 1, &all);
	}
	if (r == 0)
		r = state_put(s, STATE_PROFILES, buf_bytes(&all));
	buf_fini(&one);
	buf_fini(&all);
	return r;
}

static int store_profile(struct state *s, const struct state_node *n)
{
	char name[sizeof STATE_PROFILE_PREFIX + STATE_PROFILE_ID_MAX];
	struct buf out;
	int r = -ENOMEM;

	snprintf(name, sizeof name, STATE_PROFILE_PREFIX "%s", n->profile);
	buf_init(&out, PROFILE_JSON_MAX);
	if (buf_reserve(&out, 64 << 10)) /* it holds the node key: it should not move */
		r = emit_profile(s, n, true, &out);
	if (r == 0)
		r = state_put(s, name, buf_bytes(&out));
	if (r == 0)
		r = state_put(s, STATE_CURRENT_PROFILE, bytes_str(name));
	state_buf_wipe(&out);
	return r;
}

int state_store(struct state *s, const struct state_node *n)
{
	char key[KEY_TEXT_MAX];
	int r = store_profile(s, n);

	if (r == 0)
		r = store_profiles(s, n);
	if (r == 0)
		r = state_put(s, STATE_MACHINE_KEY, bytes_str(key_priv_text(&n->machine, key)));
	secret_wipe(key, sizeof key);
	return r;
}
