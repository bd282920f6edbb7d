/* coordinator/api_users.c - REST calls about users, auth keys and API keys */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "base/text.h"
#include "coordinator/api_priv.h"
#include "wire/http1.h"

/* --- users --- */

int api_users_list(struct call *c)
{
	char name[TAILNET_NAME_MAX], id[24];
	bool by_name = http1_query_get(c->r->query, "name", name, sizeof name) && name[0];
	bool by_id = http1_query_get(c->r->query, "id", id, sizeof id) && id[0];
	const struct tailnet_user *u;
	int64_t number = 0;
	struct jsonw w;

	if (by_id && !text_i64(bytes_str(id), &number))
		return err_say(&c->e, EINVAL, "'%s' is not an id", id);
	api_list(c, &w, "users");
	for (size_t i = 0; (u = tailnet_user_at(c->a->t, i)); i++)
		if ((!by_name || strcmp(u->name, name) == 0) && (!by_id || u->id == number))
			api_user(&w, u);
	return api_list_done(c, &w);
}

static int answer_user(struct call *c, int64_t id)
{
	struct jsonw w;

	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_key(&w, "user");
	api_user(&w, tailnet_user(c->a->t, id));
	jsonw_obj_end(&w);
	return api_done(c, &w);
}

int api_users_create(struct call *c)
{
	char name[TAILNET_NAME_MAX] = "", display[TAILNET_NAME_MAX] = "";
	struct json j = json_of(c->r->body);
	struct bytes key;
	int64_t id;
	int ret;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "name"))
			json_str(&j, name, sizeof name);
		else if (json_key_is(key, "displayName"))
			json_str(&j, display, sizeof display);
		else
			json_skip(&j);
	}
	if (!json_done(&j))
		return api_malformed(c);
	ret = tailnet_user_add(c->a->t, c->r->wall, name, display, &id, &c->e);
	return ret == 0 ? answer_user(c, id) : ret;
}

int api_users_delete(struct call *c)
{
	int64_t id;
	int ret = api_arg_id(c, 0, &id);

	if (ret == 0)
		ret = tailnet_user_del(c->a->t, c->r->wall, id, &c->e);
	return ret == 0 ? api_empty(c) : ret;
}

int api_users_rename(struct call *c)
{
	int64_t id;
	int ret = api_arg_id(c, 0, &id);

	if (ret == 0)
		ret = tailnet_user_rename(c->a->t, c->r->wall, id, c->arg[1], &c->e);
	return ret == 0 ? answer_user(c, id) : ret;
}

/* --- auth keys --- */

int api_keys_list(struct call *c)
{
	const struct tailnet_authkey *k;
	struct jsonw w;

	api_list(c, &w, "preAuthKeys");
	for (size_t i = 0; (k = tailnet_authkey_at(c->a->t, i)); i++)
		api_authkey(c->a->t, &w, k, NULL);
	return api_list_done(c, &w);
}

int api_keys_create(struct call *c)
{
	char tags[TAILNET_TAGS_MAX][TAILNET_LABEL_MAX];
	struct tailnet_authkey conf = {
		.expires = { 1 }, .tags = tags
	}; /* without an expiration it is born expired (6.2) */
	struct json j = json_of(c->r->body);
	char text[AUTHKEY_TEXT_MAX];
	struct bytes key;
	struct jsonw w;
	int64_t id;
	int ret;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "user"))
			conf.user = api_id(&j);
		else if (json_key_is(key, "reusable"))
			conf.reusable = json_bool(&j);
		else if (json_key_is(key, "ephemeral"))
			conf.ephemeral = json_bool(&j);
		else if (json_key_is(key, "expiration"))
			conf.expires = json_wall(&j);
		else if (json_key_is(key, "aclTags"))
			conf.n_tags = tailnet_read_labels(&j, tags, conf.n_tags, TAILNET_TAGS_MAX);
		else
			json_skip(&j);
	}
	if (!json_done(&j))
		return api_malformed(c);
	if (conf.expires.ns == 0)
		conf.expires.ns = 1;
	if (conf.n_tags > 0)
		conf.user = 0; /* tags own it */
	ret = tailnet_authkey_add(c->a->t, c->r->wall, &conf, text, &id, &c->e);
	if (ret != 0)
		return ret;
	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_key(&w, "preAuthKey");
	api_authkey(c->a->t, &w, tailnet_authkey(c->a->t, id), text);
	jsonw_obj_end(&w);
	secret_wipe(text, sizeof text);
	return api_done(c, &w);
}

static int body_id(struct call *c, int64_t *id, char *prefix, size_t cap)
{
	struct json j = json_of(c->r->body);
	struct bytes key;

	*id = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "id"))
			*id = api_id(&j);
		else if (prefix && json_key_is(key, "prefix"))
			json_str(&j, prefix, cap);
		else
			json_skip(&j);
	}
	return json_done(&j) ? 0 : api_malformed(c);
}

int api_keys_expire(struct call *c)
{
	int64_t id;
	int ret = body_id(c, &id, NULL, 0);

	if (ret == 0)
		ret = tailnet_authkey_expire(c->a->t, c->r->wall, id, &c->e);
	return ret == 0 || ret == -ENOENT ? api_empty(c) : ret; /* gone is expired: Headscale too */
}

int api_keys_delete(struct call *c)
{
	char text[24];
	int64_t id;
	int ret;

	if (!http1_query_get(c->r->query, "id", text, sizeof text) ||
	    !text_i64(bytes_str(text), &id))
		return err_say(&c->e, EINVAL, "say which: ?id=");
	ret = tailnet_authkey_del(c->a->t, c->r->wall, id, &c->e);
	return ret == 0 || ret == -ENOENT ? api_empty(c) : ret;
}

/* --- API keys --- */

int api_apikeys_list(struct call *c)
{
	struct jsonw w;

	api_list(c, &w, "apiKeys");
	for (size_t i = 0; i < c->a->keys->n; i++)
		api_apikey(&w, &c->a->keys->v[i]);
	return api_list_done(c, &w);
}

static void apikey_changed(struct call *c, int64_t id, const char *what)
{
	tailnet_audit(c->a->t, "API key %lld %s", (long long)id, what);
	c->a->apikey_changed(c->a->ctx, id);
}

int api_apikeys_create(struct call *c)
{
	struct json j = json_of(c->r->body);
	wall_t expires = { 1 };
	char text[APIKEY_TEXT_MAX];
	struct apikey *made;
	struct bytes key;
	struct jsonw w;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "expiration"))
			expires = json_wall(&j);
		else
			json_skip(&j);
	}
	if (!json_done(&j))
		return api_malformed(c);
	if (expires.ns == 0)
		expires.ns = 1;
	made = apikeys_add(c->a->keys, c->a->rng, c->r->wall, expires, text, &c->e);
	if (!made)
		return -c->e.code;
	apikey_changed(c, made->id, "created");
	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiKey", text);
	jsonw_obj_end(&w);
	secret_wipe(text, sizeof text);
	return api_done(c, &w);
}

int api_apikeys_expire(struct call *c)
{
	char prefix[64] = "";
	int64_t id;
	int ret = body_id(c, &id, prefix, sizeof prefix);
	struct apikey *k = ret == 0 ? apikeys_find(c->a->keys, id, prefix) : NULL;

	if (ret != 0)
		return ret;
	if (!k)
		return err_say(&c->e, ENOENT, "there is no such API key");
	k->expires = c->r->wall;
	apikey_changed(c, k->id, "expired");
	return api_empty(c);
}

int api_apikeys_delete(struct call *c)
{
	struct apikey *k = apikeys_find(c->a->keys, 0, c->arg[0]);
	int64_t id = 0;

	if (!k && text_i64(bytes_str(c->arg[0]), &id) && id > 0)
		k = apikeys_find(c->a->keys, id, "");
	if (!k)
		return err_say(&c->e, ENOENT, "there is no such API key");
	id = k->id;
	apikeys_del(c->a->keys, id);
	apikey_changed(c, id, "deleted");
	return api_empty(c);
}
