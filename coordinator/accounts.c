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

static uint64_t hash_id(const struct tailnet *t, int64_t id)
{
	return tailnet_hash(t, &id, sizeof id);
}

static uint64_t hash_name(const struct tailnet *t, const char *name)
{
	return tailnet_hash(t, name, strlen(name));
}

static struct tailnet_user *user(const struct tailnet *t, int64_t id)
{
	uint64_t h = hash_id(t, id);
	uint32_t i;

	for (size_t at = 0; index_next(&t->users_by_id, h, &at, &i);)
		if (t->users[i]->id == id)
			return t->users[i];
	return NULL;
}

const struct tailnet_user *tailnet_user(const struct tailnet *t, int64_t id)
{
	return user(t, id);
}

const struct tailnet_user *tailnet_user_named(const struct tailnet *t, const char *name)
{
	uint64_t h = hash_name(t, name);
	uint32_t i;

	for (size_t at = 0; index_next(&t->users_by_name, h, &at, &i);)
		if (strcmp(t->users[i]->name, name) == 0)
			return t->users[i];
	return NULL;
}

const struct tailnet_user *tailnet_user_at(const struct tailnet *t, size_t i)
{
	return i < t->n_users ? t->users[i] : NULL;
}

static bool user_room(struct tailnet *t)
{
	if (t->n_users == t->cap_users) {
		size_t cap = t->cap_users ? t->cap_users * 2 : 8;
		struct tailnet_user **v = realloc(t->users, cap * sizeof *v);

		if (!v)
			return false;
		t->users = v;
		t->cap_users = cap;
	}
	return index_reserve(&t->users_by_id, 1) && index_reserve(&t->users_by_name, 1);
}

static void user_list(struct tailnet *t, size_t i)
{
	index_add(&t->users_by_id, hash_id(t, t->users[i]->id), (uint32_t)i);
	index_add(&t->users_by_name, hash_name(t, t->users[i]->name), (uint32_t)i);
}

static void user_unlist(struct tailnet *t, size_t i)
{
	index_del(&t->users_by_id, hash_id(t, t->users[i]->id), (uint32_t)i);
	index_del(&t->users_by_name, hash_name(t, t->users[i]->name), (uint32_t)i);
}

static size_t user_place(const struct tailnet *t, const struct tailnet_user *u)
{
	size_t i = 0;

	while (t->users[i] != u)
		i++;
	return i;
}

struct tailnet_user *user_new(struct tailnet *t, const struct tailnet_user *u)
{
	struct tailnet_user *copy = user_room(t) ? malloc(sizeof *copy) : NULL;

	if (!copy)
		return NULL;
	*copy = *u;
	t->users[t->n_users] = copy;
	user_list(t, t->n_users++);
	return copy;
}

int tailnet_user_add(struct tailnet *t, wall_t wall, const char *name, const char *display,
		     int64_t *id, struct err *e)
{
	struct tailnet_user conf = { .id = t->next_user, .created = wall }, *u;

	if (!name_ok(name))
		return err_say(e, EINVAL,
			       "user name '%.40s' is not usable: 1-255 characters, no spaces, "
			       "quotes, slashes or colons",
			       name);
	if (tailnet_user_named(t, name))
		return err_say(e, EEXIST, "user '%s' exists already", name);
	snprintf(conf.name, sizeof conf.name, "%s", name);
	snprintf(conf.display, sizeof conf.display, "%s", display ? display : "");
	u = t->n_users < TAILNET_USERS_MAX ? user_new(t, &conf) : NULL;
	if (!u)
		return err_say(e, ENOBUFS, "no room for another user (limit %d)",
			       TAILNET_USERS_MAX);
	t->next_user++;
	*id = u->id;
	tailnet_emit(t, TAILNET_STORE_USER, u->id);
	tailnet_audit(t, "user %s created", name);
	return 0;
}

int tailnet_user_del(struct tailnet *t, wall_t wall, int64_t id, struct err *e)
{
	struct tailnet_user *u = user(t, id);
	size_t place;

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
	place = user_place(t, u);
	user_unlist(t, place);
	if (place != --t->n_users) {
		user_unlist(t, t->n_users);
		t->users[place] = t->users[t->n_users];
		user_list(t, place);
	}
	free(u);
	tailnet_emit(t, TAILNET_DELETE_USER, id);
	return 0;
}

int tailnet_user_rename(struct tailnet *t, wall_t wall, int64_t id, const char *name, struct err *e)
{
	struct tailnet_user *u = user(t, id);
	size_t place;

	(void)wall;
	if (!u)
		return err_say(e, ENOENT, "there is no user %lld", (long long)id);
	if (!name_ok(name))
		return err_say(e, EINVAL, "user name '%.40s' is not usable", name);
	if (tailnet_user_named(t, name))
		return err_say(e, EEXIST, "user '%s' exists already", name);
	tailnet_audit(t, "user %s renamed to %s", u->name, name);
	place = user_place(t, u);
	user_unlist(t, place);
	snprintf(u->name, sizeof u->name, "%s", name);
	user_list(t, place);
	for (size_t i = 0; i < t->n_slots; i++) /* whole, with the profile of its owner */
		if (t->nodes[i].used && !t->nodes[i].dead && t->nodes[i].pub.user == id)
			node_whole(t, &t->nodes[i]);
	t->policy_dirty = true;
	t->flush_at = (mono_t){ 0 };
	tailnet_emit(t, TAILNET_STORE_USER, id);
	return 0;
}

/* --- keys --- */

static struct tailnet_authkey *key_of(const struct tailnet *t, int64_t id)
{
	uint64_t h = hash_id(t, id);
	uint32_t i;

	for (size_t at = 0; index_next(&t->keys_by_id, h, &at, &i);)
		if (t->keys[i].id == id)
			return &t->keys[i];
	return NULL;
}

const struct tailnet_authkey *tailnet_authkey(const struct tailnet *t, int64_t id)
{
	return key_of(t, id);
}

const struct tailnet_authkey *tailnet_authkey_at(const struct tailnet *t, size_t i)
{
	return i < t->n_keys ? &t->keys[i] : NULL;
}

struct tailnet_authkey *authkey_find(struct tailnet *t, struct bytes text)
{
	struct tailnet_authkey *found = NULL;
	uint8_t hash[AUTHKEY_HASH];
	uint32_t i;

	hash256(hash, text);
	for (size_t at = 0;
	     index_next(&t->keys_by_hash, tailnet_hash(t, hash, sizeof hash), &at, &i);)
		if (secret_eq(hash, t->keys[i].hash, sizeof hash))
			found = &t->keys[i];
	return found;
}

static bool key_room(struct tailnet *t)
{
	if (t->n_keys == t->cap_keys) {
		size_t cap = t->cap_keys ? t->cap_keys * 2 : 8;
		struct tailnet_authkey *v = realloc(t->keys, cap * sizeof *v);

		if (!v)
			return false;
		t->keys = v;
		t->cap_keys = cap;
	}
	return index_reserve(&t->keys_by_id, 1) && index_reserve(&t->keys_by_hash, 1);
}

static void key_list(struct tailnet *t, size_t i)
{
	const struct tailnet_authkey *k = &t->keys[i];

	index_add(&t->keys_by_id, hash_id(t, k->id), (uint32_t)i);
	index_add(&t->keys_by_hash, tailnet_hash(t, k->hash, sizeof k->hash), (uint32_t)i);
}

static void key_unlist(struct tailnet *t, size_t i)
{
	const struct tailnet_authkey *k = &t->keys[i];

	index_del(&t->keys_by_id, hash_id(t, k->id), (uint32_t)i);
	index_del(&t->keys_by_hash, tailnet_hash(t, k->hash, sizeof k->hash), (uint32_t)i);
}

struct tailnet_authkey *authkey_new(struct tailnet *t, const struct tailnet_authkey *k)
{
	size_t len = k->n_tags * sizeof *k->tags;
	void *tags = NULL;

	if (!key_room(t) || (len > 0 && !(tags = malloc(len))))
		return NULL;
	if (len > 0)
		memcpy(tags, k->tags, len);
	t->keys[t->n_keys] = *k;
	t->keys[t->n_keys].tags = tags;
	key_list(t, t->n_keys++);
	return &t->keys[t->n_keys - 1];
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
	struct tailnet_authkey made = *conf, *k;
	int ret = check_key(t, conf, e);

	if (ret != 0)
		return ret;
	rng_fill(t->conf.rng, secret, sizeof secret);
	rng_fill(t->conf.rng, public, sizeof public);
	base64_emit(secret, sizeof secret, BASE64_URL, body);
	base64_emit(public, sizeof public, BASE64_URL, prefix);
	body[43] = 0; /* without its padding */
	snprintf(text, AUTHKEY_TEXT_MAX, "hskey-auth-%.12s-%s", prefix, body);
	secret_wipe(secret, sizeof secret);
	secret_wipe(body, sizeof body);
	made.id = t->next_key;
	made.created = wall;
	made.used = false;
	memcpy(made.prefix, prefix, AUTHKEY_PREFIX);
	made.prefix[AUTHKEY_PREFIX] = 0;
	hash256(made.hash, bytes_str(text));
	k = t->n_keys < TAILNET_KEYS_MAX ? authkey_new(t, &made) : NULL;
	if (!k) {
		secret_wipe(text, AUTHKEY_TEXT_MAX);
		return err_say(e, ENOBUFS, "no room for another key (limit %d)", TAILNET_KEYS_MAX);
	}
	*id = t->next_key++;
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
	size_t place;

	(void)wall;
	if (!k)
		return err_say(e, ENOENT, "there is no auth key %lld", (long long)id);
	tailnet_audit(t, "auth key %s... deleted", k->prefix);
	place = (size_t)(k - t->keys);
	key_unlist(t, place);
	free(k->tags);
	if (place != --t->n_keys) {
		key_unlist(t, t->n_keys);
		*k = t->keys[t->n_keys];
		key_list(t, place);
	}
	tailnet_emit(t, TAILNET_DELETE_KEY, id);
	return 0;
}
