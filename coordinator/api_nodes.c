/* coordinator/api_nodes.c - REST calls about nodes and logins that wait for a person */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/api_priv.h"
#include "wire/http1.h"

int api_nodes_list(struct call *c)
{
	char name[TAILNET_NAME_MAX];
	bool by_user = http1_query_get(c->r->query, "user", name, sizeof name) && name[0];
	const struct tailnet_user *u = by_user ? tailnet_user_named(c->a->t, name) : NULL;
	const struct tailnet_node *n;
	size_t cursor = 0;
	struct jsonw w;

	if (by_user && !u)
		return err_say(&c->e, ENOENT, "there is no user '%.60s'", name);
	api_list(c, &w, "nodes");
	while ((n = tailnet_node_each(c->a->t, &cursor)))
		if (!u || (n->n_tags == 0 && n->user == u->id))
			api_node(c->a->t, &w, n);
	return api_list_done(c, &w);
}

static int answer_node(struct call *c, int64_t id)
{
	const struct tailnet_node *n = tailnet_node(c->a->t, id);
	struct jsonw w;

	if (!n)
		return err_say(&c->e, ENOENT, "node not found");
	jsonw_init(&w, c->out);
	jsonw_obj(&w);
	jsonw_key(&w, "node");
	api_node(c->a->t, &w, n);
	jsonw_obj_end(&w);
	return api_done(c, &w);
}

int api_nodes_get(struct call *c)
{
	int64_t id;
	int ret = api_arg_id(c, 0, &id);

	return ret == 0 ? answer_node(c, id) : ret;
}

/* --- what is done with one, by either version --- */

int api_delete_node(struct call *c, int64_t id)
{
	return tailnet_node_del(c->a->t, c->r->now, c->r->wall, id, &c->e);
}

int api_expire_node(struct call *c, int64_t id)
{
	return tailnet_node_expire(c->a->t, c->r->now, c->r->wall, id, &c->e);
}

int api_approve_node(struct call *c, int64_t id)
{
	return tailnet_node_approve(c->a->t, c->r->now, c->r->wall, id, &c->e);
}

int api_set_tags(struct call *c, int64_t id)
{
	char tags[TAILNET_TAGS_MAX][TAILNET_LABEL_MAX];
	const char *v[TAILNET_TAGS_MAX];
	struct json j = json_of(c->r->body);
	struct bytes key;
	size_t n = 0;

	for (size_t i = 0; i < TAILNET_TAGS_MAX; i++)
		v[i] = tags[i];
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "tags"))
			n = tailnet_read_labels(&j, tags, n, TAILNET_TAGS_MAX);
		else
			json_skip(&j);
	}
	if (!json_done(&j))
		return api_malformed(c);
	for (size_t i = 0; i < n; i++)
		if (strncmp(v[i], "tag:", 4) == 0 && tailnet_node(c->a->t, id) &&
		    !policy_has_tag(tailnet_policy(c->a->t), v[i]))
			return err_say(&c->e, EBADMSG, "the policy's tagOwners have no %s", v[i]);
	return tailnet_node_set_tags(c->a->t, c->r->now, c->r->wall, id, v, n, &c->e);
}

int api_set_routes(struct call *c, int64_t id)
{
	struct ipprefix v[TAILNET_ROUTES_MAX];
	struct json j = json_of(c->r->body);
	char text[64];
	struct bytes key;
	size_t n = 0;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (!json_key_is(key, "routes")) {
			json_skip(&j);
			continue;
		}
		json_arr(&j);
		while (json_elem(&j)) {
			size_t len = json_str(&j, text, sizeof text);

			if (n == TAILNET_ROUTES_MAX)
				j.failed = true;
			else if (!ipprefix_parse(bytes_of(text, len), &v[n]))
				return err_say(&c->e, EINVAL, "'%.60s' is not a route", text);
			else
				n++;
		}
	}
	if (!json_done(&j))
		return api_malformed(c);
	return tailnet_node_approve_routes(c->a->t, c->r->now, c->r->wall, id, v, n, &c->e);
}

/* --- the calls --- */

/* Done with the node that the path names, which is the answer then */
static int act(struct call *c, api_node_fn *action)
{
	int64_t id;
	int ret = api_arg_id(c, 0, &id);

	if (ret == 0)
		ret = action(c, id);
	return ret == 0 ? answer_node(c, id) : ret;
}

int api_nodes_delete(struct call *c)
{
	int64_t id;
	int ret = api_arg_id(c, 0, &id);

	if (ret == 0)
		ret = api_delete_node(c, id);
	return ret == 0 ? api_empty(c) : ret;
}

int api_nodes_expire(struct call *c)
{
	return act(c, api_expire_node);
}

static int rename_node(struct call *c, int64_t id)
{
	return tailnet_node_rename(c->a->t, c->r->now, c->r->wall, id, c->arg[1], &c->e);
}

int api_nodes_rename(struct call *c)
{
	return act(c, rename_node);
}

int api_nodes_approve(struct call *c)
{
	return act(c, api_approve_node);
}

int api_nodes_tags(struct call *c)
{
	return act(c, api_set_tags);
}

int api_nodes_routes(struct call *c)
{
	int64_t id;
	int ret = api_arg_id(c, 0, &id);

	if (ret == 0)
		ret = api_set_routes(c, id);
	if (ret == -ENOENT)
		return -EBADMSG; /* 400, as Headscale */
	return ret == 0 ? answer_node(c, id) : ret;
}

/* --- logins --- */

static int read_login(struct call *c, char user[static TAILNET_NAME_MAX], char login[static 256])
{
	struct json j = json_of(c->r->body);
	struct bytes key;
	char *slash;

	user[0] = login[0] = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "user"))
			json_str(&j, user, TAILNET_NAME_MAX);
		else if (json_key_is(key, "authId"))
			json_str(&j, login, 256);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || !login[0])
		return api_malformed(c);
	slash = strrchr(login, '/'); /* the whole URL will do too */
	if (slash)
		memmove(login, slash + 1, strlen(slash));
	return 0;
}

int api_login_register(struct call *c)
{
	char name[TAILNET_NAME_MAX], login[256];
	int ret = read_login(c, name, login);
	const struct tailnet_user *u;
	int64_t id = 0, node = 0;

	if (ret != 0)
		return ret;
	u = tailnet_user_named(c->a->t, name);
	if (!u && text_i64(bytes_str(name), &id))
		u = tailnet_user(c->a->t, id);
	if (!u)
		return err_say(&c->e, ENOENT, "there is no user '%.60s'", name);
	ret = tailnet_login_approve(c->a->t, c->r->now, c->r->wall, login, u->id, &node, &c->e);
	return ret == 0 ? answer_node(c, node) : ret;
}

int api_login_reject(struct call *c)
{
	char name[TAILNET_NAME_MAX], login[256];
	int ret = read_login(c, name, login);

	if (ret == 0) {
		struct err not_ssh = { 0 };

		ret = tailnet_ssh_decide(c->a->t, c->r->now, login, false, &not_ssh);
		if (ret == -ENOENT)
			ret = tailnet_login_reject(c->a->t, c->r->now, login, &c->e);
	}
	return ret == 0 ? api_empty(c) : ret;
}

/* Of an ssh session; a login needs a user: auth/register */
int api_login_approve(struct call *c)
{
	char name[TAILNET_NAME_MAX], login[256];
	int ret = read_login(c, name, login);

	if (ret == 0)
		ret = tailnet_ssh_decide(c->a->t, c->r->now, login, true, &c->e);
	return ret == 0 ? api_empty(c) : ret;
}
