/* coordinator/audit_test.c - every change of what is stored leaves one line that names it and says
 * who asked for it */
#include "base/text.h"
#include "coordinator/api.h"
#include "coordinator/tailnet_priv.h"
#include "tests/tailnet_world.h"

static struct fleet fleet; /* large */
static unsigned before;

/* One line more than at the last look, with these words, asked for by them */
static void line_from(const char *words, const char *from)
{
	const char *field;

	fleet_settle(&fleet);
	field = strstr(fleet.audit, " from=");
	ck_assert_msg(field && strcmp(field + 6, from) == 0, "'%s': not from '%s'", fleet.audit,
		      from);
	ck_assert_msg(fleet.audits == before + 1, "%s: %u lines, the last '%s'", words,
		      fleet.audits - before, fleet.audit);
	ck_assert_msg(strstr(fleet.audit, words) != NULL, "'%s' lacks '%s'", fleet.audit, words);
	before = fleet.audits;
}

static void line(const char *words)
{
	line_from(words, "server");
}

/* As the control server sees that client */
static const char *node_text(const struct party *p)
{
	static char text[128];
	struct key_pub machine;
	char key[33];

	key_public(&machine, &p->machine);
	hex_emit(machine.b, 16, key);
	snprintf(text, sizeof text, "192.0.2.1:1234 machine=mkey:%s", key);
	return text;
}

static void begin(uint64_t seed)
{
	fleet_init(&fleet, seed);
	before = 0;
	fleet_user(&fleet);
	line("user alice created");
}

TEST(each_change_by_an_administrator_leaves_one_audit_line)
{
	const char *tags[] = { "tag:x" };
	struct tailnet_authkey conf = { .reusable = true };
	char key[AUTHKEY_TEXT_MAX];
	struct ipprefix lan;
	struct err e = { 0 };
	struct party *p;
	int64_t user, id;

	begin(1);
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &lan));
	ck_assert_int_eq(tailnet_user_add(fleet.t, fleet.wall, "bob", "", &user, &e), 0);
	line("user bob created");
	ck_assert_int_eq(tailnet_user_rename(fleet.t, fleet.wall, user, "carol", &e), 0);
	line("user bob renamed to carol");
	ck_assert_int_eq(tailnet_user_del(fleet.t, fleet.wall, user, &e), 0);
	line("user carol deleted");
	conf.user = fleet.user;
	ck_assert_int_eq(tailnet_authkey_add(fleet.t, fleet.wall, &conf, key, &id, &e), 0);
	line("created, reusable");
	ck_assert_ptr_null(strstr(fleet.audit, key)); /* a prefix of it is enough */
	p = fleet_join(&fleet, "n", key);
	line_from("node 1 (n) registered by auth key 1", node_text(p));
	ck_assert_int_eq(tailnet_authkey_expire(fleet.t, fleet.wall, id, &e), 0);
	line("expired");
	ck_assert_int_eq(tailnet_authkey_del(fleet.t, fleet.wall, id, &e), 0);
	line("deleted");
	id = fleet_node(&fleet, p)->id;
	ck_assert_int_eq(tailnet_node_rename(fleet.t, fleet.now, fleet.wall, id, "other", &e), 0);
	line("renamed to other");
	ck_assert_int_eq(tailnet_node_set_tags(fleet.t, fleet.now, fleet.wall, id, tags, 1, &e), 0);
	line("tags set");
	ck_assert_int_eq(
	    tailnet_node_approve_routes(fleet.t, fleet.now, fleet.wall, id, &lan, 1, &e), 0);
	line("1 routes approved");
	ck_assert_int_eq(tailnet_node_approve(fleet.t, fleet.now, fleet.wall, id, &e), 0);
	line("approved");
	ck_assert_int_eq(tailnet_node_expire(fleet.t, fleet.now, fleet.wall, id, &e), 0);
	line("expired");
	ck_assert_int_eq(tailnet_node_del(fleet.t, fleet.now, fleet.wall, id, &e), 0);
	line("deleted");
	fleet_fini(&fleet);
}

TEST(routes_that_the_policy_approves_leave_an_audit_line)
{
	struct ipprefix lan;
	struct control_hostinfo hi = {
		.hostname = "r", .os_version = "6.1", .routes = &lan, .n_routes = 1
	};
	char key[AUTHKEY_TEXT_MAX];
	struct err e = { 0 };
	struct party *p;

	begin(2);
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &lan));
	fleet_key(&fleet, KEY_REUSABLE, key);
	tailnet_set_policy(
	    fleet.t, fleet.now,
	    policy_parse(
		bytes_str("{\"autoApprovers\":{\"routes\":{\"10.0.0.0/8\":[\"alice@\"]}}}"), &e));
	p = fleet_join(&fleet, "r", key);
	before = fleet.audits;
	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	fleet_pass(&fleet, SPAN_S(2));
	line_from("routes approved by the policy, 1 in all", node_text(p));
	fleet_fini(&fleet);
}

TEST(an_ephemeral_node_that_is_removed_leaves_an_audit_line)
{
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;

	begin(3);
	fleet_key(&fleet, KEY_EPHEMERAL, key);
	p = fleet_join(&fleet, "e", key);
	before = fleet.audits;
	fleet_drop(&fleet, p);
	fleet_pass(&fleet, SPAN_S(120));
	line("ephemeral node 1 (e) removed");
	fleet_fini(&fleet);
}

/* --- over the API --- */

static struct apikeys keys;
static struct api api;

static unsigned kept; /* API keys and policies */

static void keep_apikey(void *ctx, int64_t id)
{
	(void)ctx;
	(void)id;
	kept++;
}

static int look_at_policy(void *ctx, struct bytes text, struct err *e)
{
	(void)ctx;
	(void)text;
	(void)e;
	return 0;
}

static int take_policy(void *ctx, struct bytes text, struct err *e)
{
	(void)ctx;
	(void)text;
	(void)e;
	kept++;
	return 0;
}

static int write_copy(void *ctx, const char *path, struct err *e)
{
	return look_at_policy(ctx, bytes_str(path), e);
}

static struct bytes no_policy(void *ctx, wall_t *when)
{
	(void)ctx;
	*when = WALL_ZERO;
	return bytes_str("");
}

static void begin_api(uint64_t seed)
{
	begin(seed);
	apikeys_init(&keys);
	api = (struct api){ .t = fleet.t,
			    .keys = &keys,
			    .rng = &fleet.rng.rng,
			    .apikey_changed = keep_apikey,
			    .policy = no_policy,
			    .set_policy = take_policy,
			    .check_policy = look_at_policy,
			    .backup = write_copy };
}

static void end_api(void)
{
	apikeys_fini(&keys);
	fleet_fini(&fleet);
}

/* Who asks in the calls that follow: the user of that number over the unix socket, or for -1 an
 * address with this header */
static int64_t uid;
static const char *authorization;

static unsigned call(const char *method, const char *path, const char *body, struct buf *out)
{
	const char *q = strchr(path, '?');
	struct api_request r = { .method = bytes_str(method),
				 .path = bytes_of(path, q ? (size_t)(q - path) : strlen(path)),
				 .query = bytes_str(q ? q + 1 : ""),
				 .body = bytes_str(body),
				 .authorization = bytes_str(authorization),
				 .now = fleet.now,
				 .wall = fleet.wall,
				 .is_local = uid >= 0,
				 .uid = uid,
				 .from = { ip_v4(192, 0, 2, 7), 41000 } };
	unsigned status;

	buf_clear(out);
	ck_assert(api_authorized(&api, &r));
	status = api_handle(&api, &r, out);
	*buf_reserve(out, 1) = 0;
	return status;
}

static void new_user(const char *name, const char *from)
{
	char body[64], words[64];
	struct buf out;

	buf_init(&out, 65536);
	snprintf(body, sizeof body, "{\"name\":\"%s\"}", name);
	snprintf(words, sizeof words, "user %s created", name);
	ck_assert_uint_eq(call("POST", "/api/v1/user", body, &out), 200);
	line_from(words, from);
	buf_fini(&out);
}

TEST(a_call_of_the_api_is_told_by_its_socket_its_address_and_its_key)
{
	static const char given[] = "a key that the administrator chose himself";
	char text[APIKEY_TEXT_MAX], bearer[256], body[256];
	const char *token, *end;
	struct err e = { 0 };
	struct buf out;

	begin_api(4);
	buf_init(&out, 65536);
	uid = 1000;
	authorization = "";
	new_user("local", "unix uid=1000");
	uid = -1;
	ck_assert_ptr_nonnull(apikeys_add(&keys, &fleet.rng.rng, fleet.wall, WALL_ZERO, text, &e));
	ck_assert_int_eq(apikeys_give(&keys, bytes_str(given), &e), 0);
	authorization = bearer;
	snprintf(bearer, sizeof bearer, "Bearer %s", text);
	new_user("keyed", "192.0.2.7:41000 apikey=1");
	ck_assert_ptr_null(strstr(fleet.audit, text));
	snprintf(bearer, sizeof bearer, "Bearer %s", given);
	new_user("given", "192.0.2.7:41000 apikey=file");
	snprintf(body, sizeof body, "grant_type=client_credentials&client_secret=%s", text);
	authorization = "";
	ck_assert_uint_eq(call("POST", "/api/v2/oauth/token", body, &out), 200);
	line_from("access token made by API key 1", "192.0.2.7:41000");
	token = strstr((const char *)buf_bytes(&out).data, "\"access_token\":\"");
	ck_assert_ptr_nonnull(token);
	token += strlen("\"access_token\":\"");
	end = strchr(token, '"');
	ck_assert_ptr_nonnull(end);
	snprintf(bearer, sizeof bearer, "Bearer %.*s", (int)(end - token), token);
	authorization = bearer;
	new_user("tokened", "192.0.2.7:41000 token=1");
	ck_assert_int_eq(tailnet_user_add(fleet.t, fleet.wall, "later", "", &fleet.user, &e), 0);
	line("user later created"); /* the call is over */
	buf_fini(&out);
	end_api();
}

/* A client that waits for a person; the name of its login */
static struct party *waiting(const char *name, char login[static 80])
{
	struct party *p = fleet_party(&fleet, name);

	control_start(p->c, fleet.now, fleet.wall);
	fleet_run(&fleet);
	ck_assert_ptr_nonnull(strstr(p->auth_url, "/register/"));
	snprintf(login, 80, "%s", strstr(p->auth_url, "/register/") + strlen("/register/"));
	return p;
}

TEST(logins_that_a_person_decides_leave_audit_lines)
{
	char login[80], body[256], words[64];
	struct buf out;

	begin_api(6);
	buf_init(&out, 65536);
	uid = 0;
	authorization = "";
	(void)waiting("one", login);
	snprintf(body, sizeof body, "{\"user\":\"alice\",\"authId\":\"%s\"}", login);
	ck_assert_uint_eq(call("POST", "/api/v1/auth/register", body, &out), 200);
	line_from("node 1 (one) registered by login", "unix uid=0");
	(void)waiting("two", login);
	snprintf(body, sizeof body, "{\"authId\":\"%s\"}", login);
	snprintf(words, sizeof words, "login %.8s... refused", login);
	ck_assert_uint_eq(call("POST", "/api/v1/auth/reject", body, &out), 200);
	line_from(words, "unix uid=0");
	ck_assert_ptr_null(strstr(fleet.audit, login));
	buf_fini(&out);
	end_api();
}

/* Every route that is not GET has a row here, in an order that can be carried out: alice has the
 * nodes 1 and 2, that came by the auth key 1. words NULL: nothing is changed, and nothing told. */
static const struct change {
	const char *method, *version, *pattern, *path, *body, *words;
} changes[] = {
	{ "POST", "v1", "user", "user", "{'name':'bob'}", "user bob created" },
	{ "POST", "v1", "user/*/rename/*", "user/2/rename/carol", "", "user bob renamed to carol" },
	{ "DELETE", "v1", "user/*", "user/2", "", "user carol deleted" },
	{ "POST", "v1", "preauthkey", "preauthkey",
	  "{'user':'1','expiration':'2100-01-01T00:00:00Z'}", "... created" },
	{ "POST", "v1", "preauthkey/expire", "preauthkey/expire", "{'id':'2'}", "... expired" },
	{ "DELETE", "v1", "preauthkey", "preauthkey?id=2", "", "... deleted" },
	{ "POST", "v1", "apikey", "apikey", "{'expiration':'2100-01-01T00:00:00Z'}",
	  "API key 2 created" },
	{ "POST", "v1", "apikey/expire", "apikey/expire", "{'id':'2'}", "API key 2 expired" },
	{ "DELETE", "v1", "apikey/*", "apikey/2", "", "API key 2 deleted" },
	{ "POST", "v1", "node/*/rename/*", "node/1/rename/x", "", "node 1 (n) renamed to x" },
	{ "POST", "v1", "node/*/tags", "node/1/tags", "{'tags':['tag:x']}", "node 1 (x): tags" },
	{ "POST", "v1", "node/*/approve_routes", "node/1/approve_routes",
	  "{'routes':['10.1.0.0/16']}", "node 1 (x): 1 routes approved" },
	{ "POST", "v1", "node/*/approve", "node/1/approve", "", "node 1 (x) approved" },
	{ "POST", "v1", "node/*/expire", "node/1/expire", "", "node 1 (x) expired" },
	{ "DELETE", "v1", "node/*", "node/1", "", "node 1 (x) deleted" },
	{ "POST", "v1", "auth/register", "auth/register", "{'user':'alice','authId':'LOGIN'}",
	  "registered by login" },
	{ "POST", "v1", "auth/reject", "auth/reject", "{'authId':'LOGIN'}", "... refused" },
	/* of an ssh session alone: sshcheck_test.c looks for its line */
	{ "POST", "v1", "auth/approve", NULL, NULL, NULL },
	{ "POST", "v2", "oauth/token", "oauth/token",
	  "grant_type=client_credentials&client_secret=SECRET", "token made by API key 1" },
	{ "POST", "v2", "tailnet/*/keys", "tailnet/-/keys",
	  "{'capabilities':{'devices':{'create':{'tags':['tag:x']}}}}", "... created" },
	{ "DELETE", "v2", "tailnet/*/keys/*", "tailnet/-/keys/3", "", "... deleted" },
	{ "POST", "v2", "device/*/name", "device/2/name", "{'name':'y'}", "renamed to y" },
	{ "POST", "v2", "device/*/tags", "device/2/tags", "{'tags':['tag:x']}",
	  "node 2 (y): tags" },
	{ "POST", "v2", "device/*/routes", "device/2/routes", "{'routes':['10.1.0.0/16']}",
	  "node 2 (y): 1 routes approved" },
	{ "POST", "v2", "device/*/authorized", "device/2/authorized", "{'authorized':true}",
	  "node 2 (y) approved" },
	{ "POST", "v2", "device/*/expire", "device/2/expire", "", "node 2 (y) expired" },
	{ "DELETE", "v2", "device/*", "device/2", "", "node 2 (y) deleted" },
	{ "POST", "v1", "policy/check", "policy/check", "{'policy':'{}'}", NULL },
	{ "PUT", "v1", "policy", "policy", "{'policy':'{}'}", "policy set, 2 bytes" },
	{ "POST", "v1", "debug/backup", "debug/backup", "{'path':'/x'}", NULL },
};

TEST(every_route_that_may_change_something_is_among_those_whose_audit_line_is_checked)
{
	struct api_route r;

	for (size_t i = 0; api_route_at(i, &r); i++) {
		bool found = strcmp(r.method, "GET") == 0;

		for (size_t k = 0; k < ARRAY_LEN(changes); k++)
			found |= strcmp(changes[k].method, r.method) == 0 &&
				 strcmp(changes[k].version, r.version) == 0 &&
				 strcmp(changes[k].pattern, r.path) == 0;
		ck_assert_msg(found, "%s /api/%s/%s has no row in audit_test.c", r.method,
			      r.version, r.path);
	}
}

/* The body with quotation marks, and a name in place of what stands for it */
static void fill(const char *body, const char *word, const char *name, char *out, size_t cap)
{
	const char *at = strstr(body, word);

	if (at)
		snprintf(out, cap, "%.*s%s%s", (int)(at - body), body, name, at + strlen(word));
	else
		snprintf(out, cap, "%s", body);
	for (; *out; out++)
		*out = *out == '\'' ? '"' : *out;
}

static void change(const struct change *v, const char *secret, struct buf *out)
{
	char path[128], body[512], login[80];
	const bool waits = strstr(v->body, "LOGIN");
	unsigned stored;

	if (waits)
		(void)waiting("w", login);
	fill(v->body, waits ? "LOGIN" : "SECRET", waits ? login : secret, body, sizeof body);
	snprintf(path, sizeof path, "/api/%s/%s", v->version, v->path);
	fleet_settle(&fleet);
	before = fleet.audits;
	stored = fleet.stores + kept;
	ck_assert_msg(call(v->method, path, body, out) == 200, "%s %s: %s", v->method, path,
		      (const char *)buf_bytes(out).data);
	if (v->words) {
		line_from(v->words, "unix uid=0");
		return;
	}
	fleet_settle(&fleet);
	ck_assert_msg(fleet.audits == before && fleet.stores + kept == stored,
		      "%s %s changes something", v->method, path);
}

TEST(each_call_of_the_api_that_changes_something_leaves_one_audit_line)
{
	char key[AUTHKEY_TEXT_MAX], secret[APIKEY_TEXT_MAX];
	struct err e = { 0 };
	struct buf out;

	begin_api(5);
	buf_init(&out, 65536);
	uid = 0;
	authorization = "";
	ck_assert_ptr_nonnull(
	    apikeys_add(&keys, &fleet.rng.rng, fleet.wall, WALL_ZERO, secret, &e));
	fleet_key(&fleet, KEY_REUSABLE, key);
	(void)fleet_join(&fleet, "n", key);
	(void)fleet_join(&fleet, "m", key);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		if (changes[i].path)
			change(&changes[i], secret, &out);
	buf_fini(&out);
	end_api();
}

/* --- by the server itself --- */

static struct party *router(const char *name, const char *key, const struct ipprefix *lan)
{
	struct control_hostinfo hi = {
		.hostname = name, .os_version = "6.1", .routes = lan, .n_routes = 1
	};
	struct party *p = fleet_party(&fleet, name);
	struct err e = { 0 };

	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	ck_assert_int_eq(control_set_auth_key(p->c, key), 0);
	control_start(p->c, fleet.now, fleet.wall);
	fleet_run(&fleet);
	ck_assert_int_eq(tailnet_node_approve_routes(fleet.t, fleet.now, fleet.wall,
						     fleet_node(&fleet, p)->id, lan, 1, &e),
			 0);
	fleet_pass(&fleet, SPAN_MS(100));
	return p;
}

TEST(a_router_that_is_replaced_and_comes_back_leaves_two_audit_lines)
{
	char key[AUTHKEY_TEXT_MAX];
	struct ipprefix lan;
	struct party *one;

	begin(7);
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &lan));
	fleet_key(&fleet, KEY_REUSABLE, key);
	one = router("one", key, &lan);
	(void)router("two", key, &lan);
	before = fleet.audits;
	one->deaf = true;
	fleet_pass(&fleet, SPAN_S(TAILNET_PROBE_S + TAILNET_PROBE_WAIT_S + 1));
	line("router one does not answer: others serve its subnets");
	one->deaf = false;
	fleet_pass(&fleet, SPAN_S(TAILNET_PROBE_S + 1));
	line_from("router one answers again", node_text(one));
	fleet_fini(&fleet);
}

/* so that the server ends rather than to tell what it will not know after a restart */
TEST(a_change_that_cannot_be_queued_to_be_stored_is_known)
{
	struct tailnet_authkey conf = { .reusable = true };
	char text[AUTHKEY_TEXT_MAX];
	struct err e = { 0 };
	int64_t id;

	fleet_init(&fleet, 9);
	fleet_user(&fleet);
	conf.user = fleet.user;
	ck_assert_int_eq(tailnet_authkey_add(fleet.t, fleet.wall, &conf, text, &id, &e), 0);
	fleet_settle(&fleet);
	for (size_t i = 0; i < TAILNET_EVENTS_MAX / 2; i++) /* a store and a line each */
		ck_assert_int_eq(tailnet_authkey_expire(fleet.t, fleet.wall, id, &e), 0);
	ck_assert(!tailnet_is_torn(fleet.t));
	ck_assert_int_eq(tailnet_authkey_expire(fleet.t, fleet.wall, id, &e), 0);
	ck_assert(tailnet_is_torn(fleet.t));
	fleet_fini(&fleet);
}
