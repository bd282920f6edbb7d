/* coordinator/accounts.c - users and pre-auth keys
 *
 * A key is 256 random bits behind a prefix; what is kept is its BLAKE2b, compared in constant time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"
#include "crypto/hash.h"

static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= TAILNET_NAME_MAX)
		return false;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("\"'\\/:,", *p))
			return false;
	return true;
}

static struct tailnet_user *user(struct tailnet *t, int64_t id)
{
	for (size_t i = 0; i < t->n_users; i++)
		if (t->users[i].id == id)
			return &t->users[i];
	return NULL;
}

const struct tailnet_user *tailnet_user(const struct tailnet *t, int64_t id)
{
	for (size_t i = 0; i < t->n_users; i++)
		if (t->users[i].id == id)
			return &t->users[i];
	return NULL;
}

const struct tailnet_user *tailnet_user_named(const struct tailnet *t, const char *name)
{
	for (size_t i = 0; i < t->n_users; i++)
		if (strcmp(t->users[i].name, name) == 0)
			return &t->users[i];
	return NULL;
}

const struct tailnet_user *tailnet_user_at(const struct tailnet *t, size_t i)
{
	return i < t->n_users ? &t->users[i] : NULL;
}

static struct tailnet_user *user_room(struct tailnet *t)
{
	if (t->n_users == t->cap_users) {
		size_t cap = t->cap_users ? t->cap_users * 2 : 8;
		struct tailnet_user *v =
		    t->n_users < TAILNET_USERS_MAX ? realloc(t->users, cap * sizeof *v) : NULL;

		if (!v)
			return NULL;
		t->users = v;
		t->cap_users = cap;
	}
	return &t->users[t->n_users];
}

int tailnet_user_add(struct tailnet *t, wall_t wall, const char *name, const char *display,
		     int64_t *id, struct err *e)
{
	struct tailnet_user *u;

	if (!name_ok(name))
		return err_say(e, EINVAL,
			       "user name '%.40s' is not usable: 1-255 characters, no spaces, "
			       "quotes, slashes or colons",
			       name);
	if (tailnet_user_named(t, name))
		return err_say(e, EEXIST, "user '%s' exists already", name);
	u = user_room(t);
	if (!u)
		return err_say(e, ENOBUFS, "no room for another user (limit %d)",
			       TAILNET_USERS_MAX);
	*u = (struct tailnet_user){ .id = t->next_user++, .created = wall };
	snprintf(u->name, sizeof u->name, "%s", name);
	snprintf(u->display, sizeof u->display, "%s", display ? display : "");
	t->n_users++;
	*id = u->id;
	tailnet_emit(t, TAILNET_STORE_USER, u->id);
	tailnet_audit(t, "user %s created", name);
	return 0;
}

int tailnet_user_del(struct tailnet *t, wall_t wall, int64_t id, struct err *e)
{
	struct tailnet_user *u = user(t, id);

	(void)wall;
	if (!u)
		return err_say(e, ENOENT, "there is no user %lld", (long long)id);
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->nodes[i].used && !t->nodes[i].dead && t->nodes[i].pub.user == id)
			return err_say(e, EBUSY,
				       "user '%s' still has nodes: delete or move them first",
				       u->name);
	for (size_t i = t->n_keys; i-- > 0;)
		if (t->keys[i].user == id && tailnet_authkey_del(t, wall, t->keys[i].id, e) != 0)
			return -e->code;
	tailnet_audit(t, "user %s deleted", u->name);
	*u = t->users[--t->n_users];
	tailnet_emit(t, TAILNET_DELETE_USER, id);
	return 0;
}

int tailnet_user_rename(struct tailnet *t, wall_t wall, int64_t id, const char *name, struct err *e)
{
	struct tailnet_user *u = user(t, id);

	(void)wall;
	if (!u)
		return err_say(e, ENOENT, "there is no user %lld", (long long)id);
	if (!name_ok(name))
		return err_say(e, EINVAL, "user name '%.40s' is not usable", name);
	if (tailnet_user_named(t, name))
		return err_say(e, EEXIST, "user '%s' exists already", name);
	tailnet_audit(t, "user %s renamed to %s", u->name, name);
	snprintf(u->name, sizeof u->name, "%s", name);
	for (size_t i = 0; i < t->n_slots; i++) /* whole, with the profile of its owner */
		if (t->nodes[i].used && !t->nodes[i].dead && t->nodes[i].pub.user == id)
			t->nodes[i].full_seq = ++t->seq;
	t->policy_dirty = t->view_dirty = true;
	t->flush_at = (mono_t){ 0 };
	tailnet_emit(t, TAILNET_STORE_USER, id);
	return 0;
}

/* --- keys --- */

static struct tailnet_authkey *key_of(struct tailnet *t, int64_t id)
{
	for (size_t i = 0; i < t->n_keys; i++)
		if (t->keys[i].id == id)
			return &t->keys[i];
	return NULL;
}

const struct tailnet_authkey *tailnet_authkey(const struct tailnet *t, int64_t id)
{
	for (size_t i = 0; i < t->n_keys; i++)
		if (t->keys[i].id == id)
			return &t->keys[i];
	return NULL;
}

const struct tailnet_authkey *tailnet_authkey_at(const struct tailnet *t, size_t i)
{
	return i < t->n_keys ? &t->keys[i] : NULL;
}

struct tailnet_authkey *authkey_find(struct tailnet *t, struct bytes text)
{
	struct tailnet_authkey *found = NULL;
	uint8_t hash[AUTHKEY_HASH];

	hash256(hash, text);
	for (size_t i = 0; i < t->n_keys; i++)
		if (secret_eq(hash, t->keys[i].hash, sizeof hash))
			found = &t->keys[i];
	return found;
}

static struct tailnet_authkey *key_room(struct tailnet *t)
{
	if (t->n_keys == t->cap_keys) {
		size_t cap = t->cap_keys ? t->cap_keys * 2 : 8;
		struct tailnet_authkey *v =
		    t->n_keys < TAILNET_KEYS_MAX ? realloc(t->keys, cap * sizeof *v) : NULL;

		if (!v)
			return NULL;
		t->keys = v;
		t->cap_keys = cap;
	}
	return &t->keys[t->n_keys];
}

static int check_key(struct tailnet *t, const struct tailnet_authkey *conf, struct err *e)
{
	if (conf->user == 0 && conf->n_tags == 0)
		return err_say(e, EINVAL, "a key needs a user or tags");
	if (conf->user != 0 && !user(t, conf->user))
		return err_say(e, ENOENT, "there is no user %lld", (long long)conf->user);
	for (size_t i = 0; i < conf->n_tags; i++)
		if (strncmp(conf->tags[i], "tag:", 4) != 0 || !conf->tags[i][4])
			return err_say(e, EINVAL, "'%.40s' is not a tag: tags look like tag:web",
				       conf->tags[i]);
	return 0;
}

int tailnet_authkey_add(struct tailnet *t, wall_t wall, const struct tailnet_authkey *conf,
			char text[static AUTHKEY_TEXT_MAX], int64_t *id, struct err *e)
{
	uint8_t secret[32], public[9];
	char body[64], prefix[16];
	struct tailnet_authkey *k;
	int ret = check_key(t, conf, e);

	if (ret != 0)
		return ret;
	k = key_room(t);
	if (!k)
		return err_say(e, ENOBUFS, "no room for another key (limit %d)", TAILNET_KEYS_MAX);
	rng_fill(t->conf.rng, secret, sizeof secret);
	rng_fill(t->conf.rng, public, sizeof public);
	base64_emit(secret, sizeof secret, BASE64_URL, body);
	base64_emit(public, sizeof public, BASE64_URL, prefix);
	body[43] = 0; /* without its padding */
	snprintf(text, AUTHKEY_TEXT_MAX, "hskey-auth-%.12s-%s", prefix, body);
	secret_wipe(secret, sizeof secret);
	secret_wipe(body, sizeof body);
	*k = *conf;
	k->id = t->next_key++;
	k->created = wall;
	k->used = false;
	memcpy(k->prefix, prefix, AUTHKEY_PREFIX);
	k->prefix[AUTHKEY_PREFIX] = 0;
	hash256(k->hash, bytes_str(text));
	t->n_keys++;
	*id = k->id;
	tailnet_emit(t, TAILNET_STORE_KEY, k->id);
	tailnet_audit(t, "auth key %s... created%s%s", k->prefix, k->reusable ? ", reusable" : "",
		      k->ephemeral ? ", ephemeral" : "");
	return 0;
}

int tailnet_authkey_expire(struct tailnet *t, wall_t wall, int64_t id, struct err *e)
{
	struct tailnet_authkey *k = key_of(t, id);

	if (!k)
		return err_say(e, ENOENT, "there is no auth key %lld", (long long)id);
	k->expires = wall;
	tailnet_emit(t, TAILNET_STORE_KEY, id);
	tailnet_audit(t, "auth key %s... expired", k->prefix);
	return 0;
}

int tailnet_authkey_del(struct tailnet *t, wall_t wall, int64_t id, struct err *e)
{
	struct tailnet_authkey *k = key_of(t, id);

	(void)wall;
	if (!k)
		return err_say(e, ENOENT, "there is no auth key %lld", (long long)id);
	tailnet_audit(t, "auth key %s... deleted", k->prefix);
	*k = t->keys[--t->n_keys];
	tailnet_emit(t, TAILNET_DELETE_KEY, id);
	return 0;
}
