/* coordinator/cli_commands.c - commands in one table: words, arguments, help, and what each asks of
 * the server */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "coordinator/cli_priv.h"
#include "coordinator/config.h"
#include "coordinator/policy.h"
#include "os/file.h"
#include "wire/http1.h"

enum { BODY_MAX = 65536, POLICY_BODY_MAX = 8 << 20, NODE_PATH_MAX = 1024 };

/* --- asking and showing --- */

static int show(const struct cli *c, const struct buf *answer)
{
	(void)c;
	printf("%.*s\n", (int)answer->len, (const char *)buf_bytes(answer).data);
	return 0;
}

/* Asks; shows the answer as JSON when that is wanted, else says `done`. */
static int ask(const struct cli *c, const char *method, const char *path, struct bytes body,
	       const char *done)
{
	struct buf answer;
	int ret;

	buf_init(&answer, SIZE_MAX / 2);
	ret = cli_call(c, method, path, body, &answer);
	if (ret == 0 && c->json)
		ret = show(c, &answer);
	else if (ret == 0)
		puts(done);
	buf_fini(&answer);
	return ret;
}

/* The object of a request: begun, filled by the caller, asked with. */
struct body {
	struct buf text;
	struct jsonw w;
};

static void body_begin(struct body *b, size_t max)
{
	buf_init(&b->text, max);
	jsonw_init(&b->w, &b->text);
	jsonw_obj(&b->w);
}

static bool body_end(struct body *b)
{
	jsonw_obj_end(&b->w);
	return jsonw_ok(&b->w);
}

static int ask_with(const struct cli *c, const char *method, const char *path, struct body *b,
		    const char *done)
{
	const int ret = body_end(b) ? ask(c, method, path, buf_bytes(&b->text), done)
				    : cli_usage("that is too long");

	buf_fini(&b->text);
	return ret;
}

static int list(const struct cli *c, const char *path, const char *name, const struct cli_column *v,
		size_t n)
{
	struct buf answer;
	int ret;

	buf_init(&answer, SIZE_MAX / 2);
	ret = cli_call(c, "GET", path, bytes_of(NULL, 0), &answer);
	if (ret == 0)
		ret = c->json ? show(c, &answer) : cli_table(buf_bytes(&answer), name, v, n);
	buf_fini(&answer);
	return ret;
}

static bool escaped(const char *text, char *out, size_t cap)
{
	struct buf b;
	bool ok;

	buf_init(&b, cap - 1);
	ok = http1_escape(&b, bytes_str(text), false) && bytes_to_str(buf_bytes(&b), out, cap);
	buf_fini(&b);
	return ok;
}

static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

/* The id of the object in a list of the server (its path, its key there) whose member has the
 * value. 0: there is none; -1: there is no answer, said why */
static int64_t look_up(const struct cli *c, const char *path, const char *in, const char *member,
		       const char *value)
{
	struct buf answer;
	struct json j;
	struct bytes key;
	int64_t id = 0;

	buf_init(&answer, SIZE_MAX / 2);
	if (cli_call(c, "GET", path, bytes_of(NULL, 0), &answer) != 0) {
		buf_fini(&answer);
		return -1;
	}
	j = json_of(buf_bytes(&answer));
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (!json_key_is(key, in)) {
			json_skip(&j);
			continue;
		}
		json_arr(&j);
		while (json_elem(&j)) {
			struct bytes object = json_raw(&j);
			char name[256], number[24];

			if (cli_field(object, member, name, sizeof name) &&
			    strcmp(name, value) == 0 &&
			    cli_field(object, "id", number, sizeof number))
				(void)!text_i64(bytes_str(number), &id);
		}
	}
	buf_fini(&answer);
	return id;
}

/* "12", or the id behind a name of a user or a node. 0: said why */
static int64_t find_id(const struct cli *c, const char *noun, const char *member, const char *what)
{
	char path[64], in[32];
	int64_t id = 0;

	if (is_number(what) && text_i64(bytes_str(what), &id))
		return id;
	snprintf(path, sizeof path, "/api/v1/%s", noun);
	snprintf(in, sizeof in, "%ss", noun);
	id = look_up(c, path, in, member, what);
	if (id == 0)
		cli_complain("no %s is called '%s'; `coordinator %s list` shows them", noun, what,
			     in);
	return id < 0 ? 0 : id;
}

static int64_t user_id(const struct cli *c, const char *what)
{
	return find_id(c, "user", "name", what);
}

static int64_t node_id(const struct cli *c, const char *what)
{
	return find_id(c, "node", "givenName", what);
}

/* Now plus --expiration as RFC 3339 text; "never" (or 0) is the year 2200 */
static bool expiration(const struct cli *c, const char *preset, char out[static WALL_TEXT])
{
	const char *text = c->expiration ? c->expiration : preset;
	span_t span;

	if (strcmp(text, "never") == 0 || strcmp(text, "0") == 0) {
		snprintf(out, WALL_TEXT, "2200-01-01T00:00:00Z");
		return true;
	}
	if (!span_parse(bytes_str(text), &span))
		return false;
	wall_text(wall_add((wall_t){ (int64_t)time(NULL) * NS_PER_S }, span), out);
	return true;
}

static void texts_member(struct jsonw *w, const char *key, const char *comma_separated)
{
	jsonw_key(w, key);
	jsonw_arr(w);
	for (const char *p = comma_separated; p && *p;) {
		size_t n = strcspn(p, ",");

		if (n > 0)
			jsonw_strn(w, bytes_of(p, n));
		p += n + (p[n] == ',');
	}
	jsonw_arr_end(w);
}

/* --- users --- */

static int users_list(struct cli *c)
{
	static const struct cli_column v[] = { { "ID", "id" },
					       { "NAME", "name" },
					       { "DISPLAY NAME", "displayName" },
					       { "CREATED", "createdAt" } };

	return list(c, "/api/v1/user", "users", v, ARRAY_LEN(v));
}

static int users_create(struct cli *c)
{
	struct body b;

	body_begin(&b, BODY_MAX);
	jsonw_kstr(&b.w, "name", c->arg[0]);
	jsonw_kstr(&b.w, "displayName", c->display ? c->display : "");
	return ask_with(c, "POST", "/api/v1/user", &b, "user created");
}

static int users_delete(struct cli *c)
{
	int64_t id = user_id(c, c->arg[0]);
	char path[128];

	snprintf(path, sizeof path, "/api/v1/user/%lld", (long long)id);
	return id ? ask(c, "DELETE", path, bytes_of(NULL, 0), "user deleted") : 1;
}

static int users_rename(struct cli *c)
{
	int64_t id = user_id(c, c->arg[0]);
	char path[1024], name[768];

	if (!id)
		return 1;
	if (!escaped(c->arg[1], name, sizeof name))
		return cli_usage("that name is too long");
	snprintf(path, sizeof path, "/api/v1/user/%lld/rename/%s", (long long)id, name);
	return ask(c, "POST", path, bytes_of(NULL, 0), "user renamed");
}

/* --- auth keys --- */

static int keys_list(struct cli *c)
{
	static const struct cli_column v[] = { { "ID", "id" },
					       { "KEY", "key" },
					       { "USER", "user.name" },
					       { "REUSABLE", "reusable" },
					       { "EPHEMERAL", "ephemeral" },
					       { "USED", "used" },
					       { "EXPIRES", "expiration" },
					       { "TAGS", "aclTags" } };

	return list(c, "/api/v1/preauthkey", "preAuthKeys", v, ARRAY_LEN(v));
}

static int show_secret(const struct cli *c, const char *path, struct bytes body, const char *key)
{
	struct buf answer;
	char text[256];
	int ret;

	buf_init(&answer, 1 << 20);
	ret = cli_call(c, "POST", path, body, &answer);
	if (ret == 0 && c->json)
		ret = show(c, &answer);
	else if (ret == 0 && cli_field(buf_bytes(&answer), key, text, sizeof text))
		puts(text);
	else if (ret == 0)
		ret = cli_complain("the answer of the server is malformed");
	buf_fini(&answer);
	return ret;
}

static int keys_create(struct cli *c)
{
	char when[WALL_TEXT];
	struct body b;
	int64_t user = 0;
	int ret;

	if (!c->user && !c->tags)
		return cli_usage("a key needs --user NAME or --tags tag:x");
	if (!expiration(c, "1h", when))
		return cli_usage("--expiration wants a time such as 24h, or never");
	if (c->user && !(user = user_id(c, c->user)))
		return 1;
	body_begin(&b, BODY_MAX);
	jsonw_ki64(&b.w, "user", user);
	jsonw_kbool(&b.w, "reusable", c->reusable);
	jsonw_kbool(&b.w, "ephemeral", c->ephemeral);
	jsonw_kstr(&b.w, "expiration", when);
	texts_member(&b.w, "aclTags", c->tags);
	ret = body_end(&b)
		  ? show_secret(c, "/api/v1/preauthkey", buf_bytes(&b.text), "preAuthKey.key")
		  : cli_usage("that is too long");
	buf_fini(&b.text);
	return ret;
}

/* The REST API takes the id of no key for done, as Headscale's does; a person is told. */
static bool is_key(const struct cli *c)
{
	const int64_t id = look_up(c, "/api/v1/preauthkey", "preAuthKeys", "id", c->arg[0]);

	if (id == 0)
		cli_complain("there is no auth key %s; `coordinator preauthkeys list` shows them",
			     c->arg[0]);
	return id > 0;
}

static int keys_expire(struct cli *c)
{
	char body[64];

	if (!is_number(c->arg[0]))
		return cli_usage("preauthkeys expire wants the ID of a key");
	if (!is_key(c))
		return 1;
	snprintf(body, sizeof body, "{\"id\":\"%.20s\"}", c->arg[0]);
	return ask(c, "POST", "/api/v1/preauthkey/expire", bytes_str(body), "key expired");
}

static int keys_delete(struct cli *c)
{
	char path[64];

	if (!is_number(c->arg[0]))
		return cli_usage("preauthkeys delete wants the ID of a key");
	if (!is_key(c))
		return 1;
	snprintf(path, sizeof path, "/api/v1/preauthkey?id=%.20s", c->arg[0]);
	return ask(c, "DELETE", path, bytes_of(NULL, 0), "key deleted");
}

/* --- API keys --- */

static int apikeys_list(struct cli *c)
{
	static const struct cli_column v[] = { { "ID", "id" },
					       { "PREFIX", "prefix" },
					       { "EXPIRES", "expiration" },
					       { "CREATED", "createdAt" },
					       { "LAST SEEN", "lastSeen" } };

	return list(c, "/api/v1/apikey", "apiKeys", v, ARRAY_LEN(v));
}

static int apikeys_create(struct cli *c)
{
	char when[WALL_TEXT], body[128];

	if (!expiration(c, "2160h", when))
		return cli_usage("--expiration wants a time such as 24h, or never");
	snprintf(body, sizeof body, "{\"expiration\":\"%s\"}", when);
	return show_secret(c, "/api/v1/apikey", bytes_str(body), "apiKey");
}

static int apikeys_expire(struct cli *c)
{
	char body[256];

	if (strpbrk(c->arg[0], "\"\\") || strlen(c->arg[0]) > 64)
		return cli_usage("apikeys expire wants an ID or a prefix");
	snprintf(body, sizeof body, "{\"%s\":\"%s\"}", is_number(c->arg[0]) ? "id" : "prefix",
		 c->arg[0]);
	return ask(c, "POST", "/api/v1/apikey/expire", bytes_str(body), "API key expired");
}

static int apikeys_delete(struct cli *c)
{
	char path[256], what[128];

	if (!escaped(c->arg[0], what, sizeof what))
		return cli_usage("apikeys delete wants an ID or a prefix");
	snprintf(path, sizeof path, "/api/v1/apikey/%s", what);
	return ask(c, "DELETE", path, bytes_of(NULL, 0), "API key deleted");
}

/* --- nodes --- */

static int nodes_list(struct cli *c)
{
	static const struct cli_column v[] = { { "ID", "id" },
					       { "NAME", "givenName" },
					       { "USER", "user.name" },
					       { "ADDRESSES", "ipAddresses" },
					       { "ONLINE", "online", "!approved",
						 "waits for approval" },
					       { "EPHEMERAL", "ephemeral" },
					       { "EXPIRES", "expiry", "loggedOut", "logged out" },
					       { "TAGS", "tags" },
					       { "OFFERS", "availableRoutes" },
					       { "ROUTES", "subnetRoutes" } };

	return list(c, "/api/v1/node", "nodes", v, ARRAY_LEN(v));
}

/* of the node that is named first; false: said why */
static bool node_path(const struct cli *c, const char *verb, char out[static NODE_PATH_MAX])
{
	const int64_t id = node_id(c, c->arg[0]);

	snprintf(out, NODE_PATH_MAX, "/api/v1/node/%lld%s%.900s", (long long)id, *verb ? "/" : "",
		 verb);
	return id != 0;
}

static int node_call(struct cli *c, const char *method, const char *verb, const char *done)
{
	char path[NODE_PATH_MAX];

	return node_path(c, verb, path) ? ask(c, method, path, bytes_of(NULL, 0), done) : 1;
}

static int nodes_delete(struct cli *c)
{
	return node_call(c, "DELETE", "", "node deleted");
}

static int nodes_expire(struct cli *c)
{
	return node_call(c, "POST", "expire", "node expired");
}

static int nodes_approve(struct cli *c)
{
	return node_call(c, "POST", "approve", "node approved");
}

static int nodes_rename(struct cli *c)
{
	char verb[512] = "rename/";

	if (!escaped(c->arg[1], verb + 7, sizeof verb - 7))
		return cli_usage("that name is too long");
	return node_call(c, "POST", verb, "node renamed");
}

static int node_list(struct cli *c, const char *verb, const char *key, const char *values,
		     const char *done)
{
	char path[NODE_PATH_MAX];
	struct body b;

	if (!node_path(c, verb, path))
		return 1;
	body_begin(&b, BODY_MAX);
	texts_member(&b.w, key, values);
	return ask_with(c, "POST", path, &b, done);
}

static int nodes_tag(struct cli *c)
{
	return c->tags ? node_list(c, "tags", "tags", c->tags, "tags set")
		       : cli_usage("nodes tag wants --tags tag:a,tag:b");
}

static int nodes_routes(struct cli *c)
{
	return c->routes
		   ? node_list(c, "approve_routes", "routes", c->routes, "routes approved")
		   : cli_usage(
			 "nodes approve-routes wants --routes 10.0.0.0/24,... (\"\" for none)");
}

/* --- logins --- */

static int login(struct cli *c, const char *path, const char *done)
{
	struct body b;

	body_begin(&b, BODY_MAX);
	jsonw_kstr(&b.w, "user", c->user ? c->user : "");
	jsonw_kstr(&b.w, "authId", c->arg[0]);
	return ask_with(c, "POST", path, &b, done);
}

static int login_approve(struct cli *c)
{
	int ret;

	if (c->user)
		return login(c, "/api/v1/auth/register", "the node has joined");
	ret = login(c, "/api/v1/auth/approve", "the ssh session is let in");
	if (ret != 0)
		cli_complain("the login of a node wants --user NAME besides");
	return ret;
}

static int login_reject(struct cli *c)
{
	return login(c, "/api/v1/auth/reject", "refused");
}

/* --- policy --- */

static int read_policy(const struct cli *c, char **text, size_t *len)
{
	struct err e = { 0 };
	struct policy *p;

	if (file_read(c->arg[0], POLICY_TEXT_MAX, text, len, &e) != 0)
		return cli_complain("%s", e.text);
	p = policy_parse(bytes_of(*text, *len), &e);
	if (!p) {
		free(*text);
		*text = NULL;
		return cli_complain("%s: %s", c->arg[0], e.text);
	}
	policy_free(p);
	return 0;
}

static int policy_send(struct cli *c, const char *method, const char *path, struct bytes text,
		       const char *done)
{
	struct body b;

	body_begin(&b, POLICY_BODY_MAX);
	jsonw_key(&b.w, "policy");
	jsonw_strn(&b.w, text);
	return ask_with(c, method, path, &b, done);
}

/* Without a server, so without nodes */
static int check_by_names(const struct cli *c, struct bytes text)
{
	struct err e = { 0 };
	struct policy_judged j;
	struct policy *p = policy_parse(text, &e);
	int ret = p ? policy_test_names(p, &j, &e) : -EINVAL;

	policy_free(p);
	if (ret != 0)
		return cli_complain("%s: %s", c->arg[0], e.text);
	printf("the policy is well formed; no server is there: claims of its tests that hold by "
	       "the names in it: %zu",
	       j.held);
	if (j.open > 0)
		printf("; that cannot be judged without nodes: %zu (the first in line %u)", j.open,
		       j.first_open);
	puts("");
	return 0;
}

static int policy_check(struct cli *c)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int ret = read_policy(c, &text, &len);

	if (ret == 0 && !cli_has_server(c))
		return check_by_names(c, bytes_of(text, len));
	return ret == 0 ? policy_send(c, "POST", "/api/v1/policy/check", bytes_of(text, len),
				      "the policy is well formed, and its tests hold")
			: ret;
}

static int policy_set(struct cli *c)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int ret = read_policy(c, &text, &len);

	return ret == 0 ? policy_send(c, "PUT", "/api/v1/policy", bytes_of(text, len),
				      "the policy is in force")
			: ret;
}

static int policy_get(struct cli *c)
{
	struct buf answer;
	int ret;

	buf_init(&answer, 16 << 20);
	ret = cli_call(c, "GET", "/api/v1/policy", bytes_of(NULL, 0), &answer);
	if (ret == 0 && c->json) {
		ret = show(c, &answer);
	} else if (ret == 0) {
		struct json j = json_of(buf_bytes(&answer));
		struct bytes key;

		json_obj(&j);
		while (json_key(&j, &key)) {
			AUTO_FREE char *text =
			    json_key_is(key, "policy") ? json_strdup(&j, POLICY_TEXT_MAX) : NULL;

			if (text && !*text)
				cli_complain("no policy is set: every node may reach every other");
			else if (text)
				printf("%s%s", text, text[strlen(text) - 1] != '\n' ? "\n" : "");
			else
				json_skip(&j);
		}
	}
	buf_fini(&answer);
	return ret;
}

/* --- the server --- */

static int backup(struct cli *c)
{
	char path[4096], cwd[2048] = "";
	struct body b;

	if (c->arg[0][0] != '/' && !getcwd(cwd, sizeof cwd))
		return cli_complain("cannot tell the working directory");
	if (snprintf(path, sizeof path, "%s%s%s", cwd, *cwd ? "/" : "", c->arg[0]) >=
	    (int)sizeof path)
		return cli_usage("backup: that path is too long");
	body_begin(&b, BODY_MAX);
	jsonw_kstr(&b.w, "path", path);
	return ask_with(c, "POST", "/api/v1/debug/backup", &b, "backup written");
}

static int debug(struct cli *c)
{
	struct buf answer;
	struct bytes key;
	struct json j;
	int ret;

	buf_init(&answer, 1 << 20);
	ret = cli_call(c, "GET", "/api/v1/debug", bytes_of(NULL, 0), &answer);
	if (ret == 0 && c->json)
		ret = show(c, &answer);
	if (ret == 0 && !c->json) {
		j = json_of(buf_bytes(&answer));
		json_obj(&j);
		while (json_key(&j, &key)) {
			struct bytes v = json_raw(&j);

			printf("%-32.*s %.*s\n", (int)key.len, (const char *)key.data, (int)v.len,
			       (const char *)v.data);
		}
	}
	buf_fini(&answer);
	return ret;
}

static int show_config(struct cli *c)
{
	struct buf out;
	int ret;

	(void)c;
	buf_init(&out, 1 << 20);
	ret = config_describe(&out);
	if (ret == 0)
		printf("%.*s", (int)out.len, (const char *)buf_bytes(&out).data);
	buf_fini(&out);
	return ret == 0 ? 0 : 1;
}

/* --- the table --- */

const struct cli_command cli_commands[] = {
	{ "users", "list", "", "users and their ids", 0, users_list },
	{ "users", "create", "NAME [--display-name TEXT]", "a new user", 1, users_create },
	{ "users", "delete", "NAME|ID", "a user without nodes, with its auth keys", 1,
	  users_delete },
	{ "users", "rename", "NAME|ID NEW", "", 2, users_rename },
	{ "preauthkeys", "list", "", "auth keys, masked", 0, keys_list },
	{ "preauthkeys", "create",
	  "--user NAME | --tags tag:a,tag:b [--reusable] [--ephemeral] [--expiration 1h|never]",
	  "an auth key, printed once: for TS_AUTHKEY or `tailscale up --authkey`", 0, keys_create },
	{ "preauthkeys", "expire", "ID", "", 1, keys_expire },
	{ "preauthkeys", "delete", "ID", "", 1, keys_delete },
	{ "nodes", "list", "",
	  "nodes, their addresses, who is online; routes that they OFFER, ROUTES that are approved "
	  "and serve",
	  0, nodes_list },
	{ "nodes", "delete", "NAME|ID", "", 1, nodes_delete },
	{ "nodes", "expire", "NAME|ID", "the node has to log in again", 1, nodes_expire },
	{ "nodes", "rename", "NAME|ID NEW", "its name in MagicDNS", 2, nodes_rename },
	{ "nodes", "tag", "NAME|ID --tags tag:a,tag:b", "", 1, nodes_tag },
	{ "nodes", "approve", "NAME|ID", "let in a node that waits (node_approval)", 1,
	  nodes_approve },
	{ "nodes", "approve-routes", "NAME|ID --routes 10.0.0.0/24,0.0.0.0/0",
	  "subnet routes and exit node: these are approved from now on, no others (\"\": none)", 1,
	  nodes_routes },
	{ "login", "approve", "ID|URL [--user NAME]",
	  "a login that waits: the ID is the end of the URL that the node shows; without a user an "
	  "ssh session that waits",
	  1, login_approve },
	{ "login", "reject", "ID|URL", "", 1, login_reject },
	{ "apikeys", "list", "", "", 0, apikeys_list },
	{ "apikeys", "create", "[--expiration 2160h|never]", "a key for the REST API, printed once",
	  0, apikeys_create },
	{ "apikeys", "expire", "ID|PREFIX", "", 1, apikeys_expire },
	{ "apikeys", "delete", "ID|PREFIX", "", 1, apikeys_delete },
	{ "policy", "check", "FILE",
	  "is the file a policy, and do its tests hold with the nodes of the server, or without "
	  "one by the names in it?",
	  1, policy_check },
	{ "policy", "get", "", "the policy in force", 0, policy_get },
	{ "policy", "set", "FILE", "run its tests, then put it in force at once", 1, policy_set },
	{ "backup", "", "FILE", "a copy of the database while it is in use", 1, backup },
	{ "debug", "", "", "figures of the running server", 0, debug },
	{ "config", "", "",
	  "all settings with their defaults, as a file to begin with; needs no server", 0,
	  show_config },
};
const size_t cli_n_commands = ARRAY_LEN(cli_commands);
