/* coordinator/api_test.c - the REST API as control-protocol.md 6.2 has it, over a real tailnet
 * without sockets; keys */
#include "coordinator/api.h"

#include <errno.h>

#include "base/json.h"
#include "coordinator/ratelimit.h"
#include "tests/tailnet_world.h"

static struct fleet fleet;
static struct apikeys keys;
static struct api api;
static struct buf out;
static char policy[4096];
static int64_t changed_key;

static void apikey_changed(void *ctx, int64_t id)
{
	(void)ctx;
	changed_key = id;
}

static struct bytes get_policy(void *ctx, wall_t *when)
{
	(void)ctx;
	*when = fleet.wall;
	return bytes_str(policy);
}

static int set_policy(void *ctx, struct bytes text, struct err *e)
{
	(void)ctx;
	if (text.len > 0 && text.data[0] != '{')
		return err_say(e, EINVAL, "line 1, column 1: not a policy");
	(void)bytes_to_str(text, policy, sizeof policy);
	return 0;
}

static int backup(void *ctx, const char *path, struct err *e)
{
	(void)ctx;
	(void)e;
	return strcmp(path, "/tmp/copy") == 0 ? 0 : -EIO;
}

static int debug(void *ctx, struct buf *b)
{
	(void)ctx;
	return buf_append(b, "{}", 2) ? 0 : -ENOMEM;
}

static void begin(uint64_t seed)
{
	fleet_init(&fleet, seed);
	apikeys_init(&keys);
	buf_init(&out, 1 << 20);
	policy[0] = 0;
	api = (struct api){ .t = fleet.t,
			    .keys = &keys,
			    .rng = &fleet.rng.rng,
			    .apikey_changed = apikey_changed,
			    .policy = get_policy,
			    .set_policy = set_policy,
			    .check_policy = set_policy,
			    .backup = backup,
			    .debug = debug };
}

static void end(void)
{
	fleet_fini(&fleet);
	apikeys_fini(&keys);
	buf_fini(&out);
}

static const char *authorization; /* NULL: nobody asks for it */
// /* of the calls that follow */

/* "GET /api/v1/user?name=x" and a body; the answer lies in out, NUL-terminated */
static unsigned call_as(bool is_local, const char *method, const char *target, const char *body)
{
	const char *q = strchr(target, '?');
	struct api_request r = { .method = bytes_str(method),
				 .path =
				     bytes_of(target, q ? (size_t)(q - target) : strlen(target)),
				 .query = bytes_str(q ? q + 1 : ""),
				 .body = bytes_str(body),
				 .authorization = bytes_str(authorization ? authorization : ""),
				 .now = fleet.now,
				 .wall = fleet.wall,
				 .is_local = is_local };
	struct json j;
	unsigned status;

	buf_clear(&out);
	if (authorization && !api_authorized(&api, &r))
		return 401;
	status = api_handle(&api, &r, &out);
	j = json_of(buf_bytes(&out));
	json_skip(&j);
	ck_assert_msg(json_done(&j), "not JSON: %.*s", (int)out.len,
		      (const char *)buf_bytes(&out).data);
	*buf_reserve(&out, 1) = 0;
	return status;
}

static unsigned call(const char *method, const char *target, const char *body)
{
	return call_as(true, method, target, body);
}

static void has(const char *text)
{
	ck_assert_msg(strstr((const char *)buf_bytes(&out).data, text) != NULL, "no %s in %s", text,
		      (const char *)buf_bytes(&out).data);
}

TEST(users_are_made_listed_renamed_and_deleted)
{
	begin(1);
	ck_assert_uint_eq(call("POST", "/api/v1/user",
			       "{\"name\":\"alice\",\"displayName\":\"Alice A.\",\"email\":\"\"}"),
			  200);
	has("{\"user\":{\"id\":\"1\",\"name\":\"alice\"");
	has("\"displayName\":\"Alice A.\"");
	ck_assert_uint_eq(call("POST", "/api/v1/user", "{\"name\":\"alice\"}"),
			  500); /* as Headscale */
	has("\"details\":[]");
	ck_assert_uint_eq(call("POST", "/api/v1/user", "{\"name\":\"a b\"}"), 400);
	ck_assert_uint_eq(call("POST", "/api/v1/user", "{\"name\":"), 400);
	ck_assert_uint_eq(call("GET", "/api/v1/user?name=alice", ""), 200);
	has("\"id\":\"1\"");
	ck_assert_uint_eq(call("GET", "/api/v1/user?name=bob", ""), 200);
	has("{\"users\":[]}");
	ck_assert_uint_eq(call("POST", "/api/v1/user/1/rename/bob%2B1", ""), 200);
	has("\"name\":\"bob+1\"");
	ck_assert_uint_eq(call("DELETE", "/api/v1/user/9", ""), 500); /* as Headscale does */
	has("\"code\":2");
	ck_assert_uint_eq(call("DELETE", "/api/v1/user/x", ""), 400);
	ck_assert_uint_eq(call("DELETE", "/api/v1/user/1", ""), 200);
	has("{}");
	end();
}

TEST(auth_key_is_shown_once_and_masked_ever_after)
{
	char body[200], when[WALL_TEXT];

	begin(2);
	fleet_user(&fleet);
	wall_text((wall_t){ fleet.wall.ns + 3600 * NS_PER_S }, when);
	snprintf(body, sizeof body,
		 "{\"user\":1,\"reusable\":true,\"ephemeral\":true,\"expiration\":\"%s\"}", when);
	ck_assert_uint_eq(call("POST", "/api/v1/preauthkey", body), 200);
	has("\"key\":\"hskey-auth-");
	has("\"reusable\":true");
	has("\"id\":\"1\"");
	ck_assert_ptr_null(strstr((const char *)buf_bytes(&out).data, "***"));
	ck_assert_uint_eq(call("GET", "/api/v1/preauthkey", ""), 200);
	has("-***\"");
	ck_assert_uint_eq(call("POST", "/api/v1/preauthkey", "{\"user\":\"alice\"}"),
			  400); /* ids, not names */
	ck_assert_uint_eq(call("POST", "/api/v1/preauthkey", "{}"), 500);
	has("user or tags");
	ck_assert_uint_eq(call("POST", "/api/v1/preauthkey", "{\"aclTags\":[\"web\"]}"), 500);
	ck_assert_uint_eq(call("POST", "/api/v1/preauthkey/expire", "{\"id\":\"1\"}"), 200);
	ck_assert(tailnet_authkey(fleet.t, 1)->expires.ns <= fleet.wall.ns);
	ck_assert_uint_eq(call("DELETE", "/api/v1/preauthkey?id=1", ""), 200);
	ck_assert_uint_eq(call("DELETE", "/api/v1/preauthkey?id=1", ""), 200);
	ck_assert_uint_eq(call("DELETE", "/api/v1/preauthkey", ""), 400);
	end();
}

TEST(key_without_expiration_is_born_expired)
{
	begin(3);
	fleet_user(&fleet);
	ck_assert_uint_eq(call("POST", "/api/v1/preauthkey", "{\"user\":\"1\"}"), 200);
	ck_assert_int_gt(tailnet_authkey(fleet.t, 1)->expires.ns, 0);
	ck_assert_int_lt(tailnet_authkey(fleet.t, 1)->expires.ns, fleet.wall.ns);
	end();
}

TEST(a_node_that_logged_out_is_shown_as_such)
{
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;

	begin(41);
	fleet_user(&fleet);
	fleet_key(&fleet, 0, key);
	p = fleet_join(&fleet, "web", key);
	ck_assert_uint_eq(call("GET", "/api/v1/node", ""), 200);
	has("\"loggedOut\":false");
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/expire", ""), 200);
	has("\"loggedOut\":false"); /* that was not the node */
	control_logout(p->c, fleet.now);
	fleet_pass(&fleet, SPAN_S(1));
	ck_assert_uint_eq(p->logged_out, 1);
	ck_assert_uint_eq(call("GET", "/api/v1/node/1", ""), 200);
	has("\"loggedOut\":true");
	end();
}

TEST(nodes_are_shown_changed_and_deleted)
{
	char key[AUTHKEY_TEXT_MAX];

	begin(4);
	fleet_user(&fleet);
	fleet_key(&fleet, 0, key);
	fleet_join(&fleet, "web", key);
	ck_assert_uint_eq(call("GET", "/api/v1/node", ""), 200);
	has("\"nodes\":[{\"id\":\"1\",\"machineKey\":\"mkey:");
	has("\"ipAddresses\":[\"100.64.0.1\",\"fd7a:115c:a1e0::1\"]");
	has("\"registerMethod\":\"REGISTER_METHOD_AUTH_KEY\"");
	ck_assert_uint_eq(call("GET", "/api/v1/node?user=alice", ""), 200);
	has("\"givenName\":\"web\"");
	ck_assert_uint_eq(call("GET", "/api/v1/node?user=nobody", ""), 500);
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/rename/db", ""), 200);
	has("\"givenName\":\"db\"");
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/rename/No.Good", ""), 500);
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/tags", "{\"tags\":[\"tag:a\",\"tag:b\"]}"),
			  200);
	has("\"tags\":[\"tag:a\",\"tag:b\"]");
	has("\"name\":\"tagged-devices\"");
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/tags", "{\"tags\":[\"a\"]}"), 500);
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/approve_routes",
			       "{\"routes\":[\"10.0.0.0/24\",\"::/0\"]}"),
			  200);
	has("\"approvedRoutes\":[\"10.0.0.0/24\",\"::/0\"]");
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/approve_routes", "{\"routes\":[\"ten\"]}"),
			  500);
	ck_assert_uint_eq(call("POST", "/api/v1/node/1/expire", ""), 200);
	ck_assert(tailnet_node_expired(tailnet_node(fleet.t, 1), fleet.wall));
	ck_assert_uint_eq(call("GET", "/api/v1/node/2", ""), 404);
	ck_assert_uint_eq(call("DELETE", "/api/v1/node/1", ""), 200);
	ck_assert_uint_eq(call("DELETE", "/api/v1/node/1", ""), 404);
	end();
}

TEST(more_tags_or_routes_than_a_node_may_have_are_refused_whole)
{
	static const char *const targets[] = { "/api/v1/node/1/tags",
					       "/api/v1/node/1/approve_routes",
					       "/api/v2/device/1/tags", "/api/v2/device/1/routes" };
	static char body[65536];
	char key[AUTHKEY_TEXT_MAX];

	begin(4);
	fleet_user(&fleet);
	fleet_key(&fleet, 0, key);
	fleet_join(&fleet, "web", key);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		const bool tags = i % 2 == 0;
		const int max = tags ? TAILNET_TAGS_MAX : TAILNET_ROUTES_MAX;
		size_t n = (size_t)snprintf(body, sizeof body, "{\"%s\":[\"%s\"",
					    tags ? "tags" : "routes", tags ? "tag:a" : "::/0");

		for (int k = 0; k < max; k++)
			n += (size_t)snprintf(body + n, sizeof body - n, ",\"%s\"",
					      tags ? "tag:a" : "::/0");
		ck_assert_uint_lt(n + 3, sizeof body);
		memcpy(body + n, "]}", 3);
		ck_assert_uint_ge(call("POST", targets[i], body), 400);
		has("malformed");
	}
	ck_assert_uint_eq(call("GET", "/api/v1/node/1", ""), 200);
	has("\"tags\":[]");
	has("\"approvedRoutes\":[]");
	end();
}

TEST(login_is_approved_by_id_or_url)
{
	struct party *p;
	char body[1400];

	begin(5);
	fleet_user(&fleet);
	p = fleet_join(&fleet, "laptop", NULL);
	ck_assert_uint_eq(
	    call("POST", "/api/v1/auth/register", "{\"user\":\"alice\",\"authId\":\"unknown\"}"),
	    500);
	snprintf(body, sizeof body, "{\"user\":\"nobody\",\"authId\":\"%s\"}", p->auth_url);
	ck_assert_uint_eq(call("POST", "/api/v1/auth/register", body), 500);
	snprintf(body, sizeof body, "{\"user\":\"alice\",\"authId\":\"%s\"}", p->auth_url);
	ck_assert_uint_eq(call("POST", "/api/v1/auth/register", body), 200);
	has("\"givenName\":\"laptop\"");
	has("REGISTER_METHOD_CLI");
	fleet_pass(&fleet, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 1);
	ck_assert_uint_eq(call("POST", "/api/v1/auth/reject", body), 404);
	end();
}

TEST(api_keys_are_random_hashed_and_expire)
{
	char text[APIKEY_TEXT_MAX], other[APIKEY_TEXT_MAX];
	struct apikeys again;
	struct apikey *k;
	struct buf json;
	struct err e = { 0 };

	begin(6);
	buf_init(&json, 4096);
	apikeys_init(&again);
	k = apikeys_add(&keys, &fleet.rng.rng, fleet.wall, (wall_t){ fleet.wall.ns + NS_PER_S },
			text, &e);
	ck_assert_ptr_nonnull(k);
	ck_assert_ptr_nonnull(apikeys_add(&keys, &fleet.rng.rng, fleet.wall, WALL_ZERO, other, &e));
	ck_assert_str_ne(text, other);
	ck_assert_uint_eq(strlen(text), strlen("hskey-api-") + 12 + 1 + 43);
	ck_assert_int_eq(apikeys_match(&keys, fleet.wall, bytes_str(text))->id, 1);
	ck_assert_int_eq(apikeys_match(&keys, fleet.wall, bytes_str(other))->id, 2);
	ck_assert_ptr_null(
	    apikeys_match(&keys, (wall_t){ fleet.wall.ns + NS_PER_S }, bytes_str(text)));
	text[strlen(text) - 1] ^= 1;
	ck_assert_ptr_null(apikeys_match(&keys, fleet.wall, bytes_str(text)));
	ck_assert_ptr_null(apikeys_match(&keys, fleet.wall, bytes_str("")));
	text[strlen(text) - 1] ^= 1;
	/* one of the administrator's own beside them; it is in no list */
	ck_assert_int_eq(apikeys_give(&keys, bytes_str("0123456789012345678901234567890"), &e),
			 -EINVAL);
	ck_assert_int_eq(apikeys_give(&keys, bytes_str("01234567890123456789012345678901\n"), &e),
			 0);
	ck_assert_ptr_nonnull(
	    apikeys_match(&keys, fleet.wall, bytes_str("01234567890123456789012345678901")));
	ck_assert_int_eq(apikeys_give(&keys, bytes_str("another 890123456789012345678901"), &e), 0);
	ck_assert_ptr_null(
	    apikeys_match(&keys, fleet.wall, bytes_str("01234567890123456789012345678901")));
	ck_assert_int_eq(apikeys_emit(&keys.v[0], &json), 0);
	*buf_reserve(&json, 1) = 0;
	ck_assert_ptr_null(strstr((const char *)buf_bytes(&json).data,
				  strrchr(text, '-') + 1)); /* the secret is not in it */
	ck_assert_int_eq(apikeys_load(&again, buf_bytes(&json), &e), 0);
	ck_assert_int_eq(apikeys_match(&again, fleet.wall, bytes_str(text))->id, 1);
	ck_assert_int_eq(apikeys_load(&again, bytes_str("{\"id\":1}"), &e), -EBADMSG);
	ck_assert_uint_eq(call("GET", "/api/v1/apikey", ""), 200);
	has(keys.v[0].prefix);
	ck_assert_uint_eq(
	    call("POST", "/api/v1/apikey", "{\"expiration\":\"2200-01-01T00:00:00Z\"}"), 200);
	has("{\"apiKey\":\"hskey-api-");
	ck_assert_int_eq(changed_key, 3);
	ck_assert_uint_eq(call("POST", "/api/v1/apikey/expire", "{\"id\":\"3\"}"), 200);
	ck_assert_uint_eq(call("DELETE", "/api/v1/apikey/3", ""), 200);
	ck_assert_uint_eq(call("DELETE", "/api/v1/apikey/3", ""), 500);
	apikeys_fini(&again);
	buf_fini(&json);
	end();
}

TEST(a_prefix_of_an_api_key_is_no_option_of_a_command)
{
	char text[APIKEY_TEXT_MAX];
	struct err e = { 0 };

	begin(8);
	for (int i = 0; i < 900; i++) { /* one in 64 would be */
		const struct apikey *k =
		    apikeys_add(&keys, &fleet.rng.rng, fleet.wall, WALL_ZERO, text, &e);

		ck_assert_ptr_nonnull(k);
		ck_assert_msg(k->prefix[0] != '-', "%s", k->prefix);
	}
	end();
}

TEST(policy_backup_and_debug_reach_the_server_and_say_what_it_says)
{
	begin(7);
	ck_assert_uint_eq(call("GET", "/api/v1/policy", ""), 200);
	has("\"policy\":\"\"");
	ck_assert_uint_eq(call("PUT", "/api/v1/policy", "{\"policy\":\"{\\\"acls\\\":[]}\"}"), 200);
	has("\"policy\":\"{\\\"acls\\\":[]}\"");
	ck_assert_uint_eq(call("PUT", "/api/v1/policy", "{\"policy\":\"x\"}"), 500);
	has("line 1, column 1");
	ck_assert_uint_eq(call("PUT", "/api/v1/policy", "{}"), 400);
	ck_assert_uint_eq(call("POST", "/api/v1/debug/backup", "{\"path\":\"/tmp/copy\"}"), 200);
	ck_assert_uint_eq(call("POST", "/api/v1/debug/backup", "{\"path\":\"copy\"}"), 400);
	ck_assert_uint_eq(
	    call_as(false, "POST", "/api/v1/debug/backup", "{\"path\":\"/tmp/copy\"}"), 403);
	ck_assert_uint_eq(call("GET", "/api/v1/debug", ""), 200);
	ck_assert_uint_eq(call("GET", "/api/v1/health", ""), 200);
	has("{\"databaseConnectivity\":true}");
	end();
}

TEST(unknown_paths_and_methods_get_json_errors)
{
	begin(8);
	ck_assert_uint_eq(call("GET", "/api/v1/", ""), 404);
	ck_assert_uint_eq(call("GET", "/api/v1/nothing", ""), 404);
	ck_assert_uint_eq(call("GET", "/api/v2/node", ""), 404);
	ck_assert_uint_eq(call("GET", "/api/v1/node/1/expire", ""), 501);
	has("\"code\":12");
	ck_assert_uint_eq(call("DELETE", "/api/v1/node/", ""),
			  501); /* the list cannot be deleted */
	end();
}

TEST(rate_is_held_per_address_and_recovers)
{
	struct ratelimit *r = calloc(1, sizeof *r);
	struct ip a = ip_v4(192, 0, 2, 1), b = ip_v4(192, 0, 2, 2);
	mono_t now = { 1000 * NS_PER_S };
	struct seed_rng rng;

	ck_assert_ptr_nonnull(r);
	seed_rng_init(&rng, 1);
	ratelimit_init(r, &rng.rng, 5, 10);
	for (int i = 0; i < 10; i++)
		ck_assert(ratelimit_take(r, now, &a));
	ck_assert(!ratelimit_take(r, now, &a));
	ck_assert(ratelimit_take(r, now, &b));
	ck_assert(!ratelimit_take(r, mono_add(now, SPAN_MS(150)), &a));
	ck_assert(ratelimit_take(r, mono_add(now, SPAN_MS(250)), &a));
	now = mono_add(now, SPAN_S(1000000000));
	for (int i = 0; i < 10; i++)
		ck_assert(ratelimit_take(r, now, &a));
	ck_assert(!ratelimit_take(r, now, &a));
	free(r);
}

TEST(ipv6_hosts_of_one_network_share_their_rate)
{
	struct ratelimit *r = calloc(1, sizeof *r);
	struct ip a, b, c;
	mono_t now = { 1000 * NS_PER_S };
	struct seed_rng rng;

	ck_assert_ptr_nonnull(r);
	ck_assert(ip_parse(bytes_str("2001:db8:0:1::1"), &a) &&
		  ip_parse(bytes_str("2001:db8:0:1::2"), &b) &&
		  ip_parse(bytes_str("2001:db8:0:2::1"), &c));
	seed_rng_init(&rng, 1);
	ratelimit_init(r, &rng.rng, 1, 1);
	ck_assert(ratelimit_take(r, now, &a));
	ck_assert(!ratelimit_take(r, now, &b));
	ck_assert(ratelimit_take(r, now, &c));
	free(r);
}

/* --- the Tailscale API: shapes of control-protocol.md 6.1 --- */

static char field_text[512];
static const char *field(const char *name) /* of the answer's top level */
{
	struct json j = json_of(bytes_str((const char *)buf_bytes(&out).data));
	struct bytes key;

	field_text[0] = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, name))
			json_str(&j, field_text, sizeof field_text);
		else
			json_skip(&j);
	}
	return field_text;
}

TEST(who_has_a_workloads_token_is_told_that_it_is_not_exchanged_here)
{
	begin(42);
	authorization = "";
	ck_assert_uint_eq(
	    call_as(false, "POST", "/api/v2/oauth/token-exchange", "client_id=a&jwt=b.c.d"), 404);
	has("not exchanged here");
	ck_assert_uint_eq(call_as(false, "POST", "/api/v2/oauth/token-exchanges", ""), 401);
	ck_assert_uint_eq(call_as(false, "POST", "/api/v2/tailnet/-/keys", "{}"), 401);
	end();
}

TEST(an_oauth_client_gets_a_token_that_lives_for_an_hour)
{
	struct err e = { 0 };
	char key[APIKEY_TEXT_MAX], body[512], bearer[600], basic[300], b64[256];
	struct apikey *k;

	begin(41);
	k = apikeys_add(&keys, &fleet.rng.rng, fleet.wall, (wall_t){ 0 }, key, &e);
	ck_assert_ptr_nonnull(k);
	authorization = "";
	ck_assert_uint_eq(call_as(false, "GET", "/api/v2/tailnet/-/devices", ""), 401);
	ck_assert_uint_eq(call_as(false, "POST", "/api/v2/oauth/token",
				  "grant_type=client_credentials&client_id=x&client_secret=y"),
			  401);
	has("\"error\":\"invalid_client\"");
	snprintf(body, sizeof body,
		 "grant_type=client_credentials&client_id=%s&client_secret=%s&scope=auth_keys",
		 k->prefix, key);
	ck_assert_uint_eq(call_as(false, "POST", "/api/v2/oauth/token", body), 200);
	has("\"token_type\":\"Bearer\",\"expires_in\":3600");
	snprintf(bearer, sizeof bearer, "Bearer %s", field("access_token"));
	authorization = bearer;
	ck_assert_uint_eq(call_as(false, "GET", "/api/v2/tailnet/-/devices", ""), 200);
	ck_assert_uint_eq(call_as(false, "GET", "/api/v1/node", ""), 200);
	/* the same by Basic, as the Go library tries first */
	snprintf(body, sizeof body, "%s:%s", k->prefix, key);
	base64_emit((const uint8_t *)body, strlen(body), BASE64_STD, b64);
	snprintf(basic, sizeof basic, "Basic %s", b64);
	authorization = basic;
	ck_assert_uint_eq(
	    call_as(false, "POST", "/api/v2/oauth/token", "grant_type=client_credentials"), 200);
	ck_assert_uint_eq(call_as(false, "POST", "/api/v2/oauth/token", "grant_type=password"),
			  400);
	/* an API key as user name of Basic */
	snprintf(body, sizeof body, "%s:", key);
	base64_emit((const uint8_t *)body, strlen(body), BASE64_STD, b64);
	snprintf(basic, sizeof basic, "Basic %s", b64);
	ck_assert_uint_eq(call_as(false, "GET", "/api/v2/tailnet/-/keys", ""), 200);
	authorization = bearer;
	fleet.wall.ns += 3601 * NS_PER_S;
	ck_assert_uint_eq(call_as(false, "GET", "/api/v2/tailnet/-/devices", ""), 401);
	fleet.wall.ns -= 3601 * NS_PER_S;
	/* the client may ask when its secret ends */
	{
		struct apikey *ends;
		char target[64], other[APIKEY_TEXT_MAX];

		ends = apikeys_add(&keys, &fleet.rng.rng, fleet.wall,
				   (wall_t){ fleet.wall.ns + 3600 * NS_PER_S }, other, &e);
		snprintf(target, sizeof target, "/api/v2/tailnet/-/keys/%s", ends->prefix);
		ck_assert_uint_eq(call("GET", target, ""), 200);
		has("\"keyType\":\"client\"");
		has("\"expires\":\"2");
		ck_assert_uint_eq(call("GET", "/api/v2/tailnet/-/keys/nobodys-key0", ""), 400);
		apikeys_del(&keys, ends->id);
		k = apikeys_match(&keys, fleet.wall, bytes_str(key));
	}
	apikeys_del(&keys, k->id); /* its tokens go with it */
	ck_assert_uint_eq(call_as(false, "GET", "/api/v2/tailnet/-/devices", ""), 401);
	authorization = NULL;
	end();
}

TEST(tokens_do_not_grow_without_limit)
{
	struct err e = { 0 };
	char key[APIKEY_TEXT_MAX], first[APIKEY_TEXT_MAX], text[APIKEY_TEXT_MAX];
	struct apikey *k;

	begin(42);
	k = apikeys_add(&keys, &fleet.rng.rng, fleet.wall, (wall_t){ 0 }, key, &e);
	ck_assert_int_eq(apikeys_token(&keys, &fleet.rng.rng, fleet.wall, k, first), 0);
	ck_assert_ptr_eq(apikeys_match_token(&keys, fleet.wall, bytes_str(first)), k);
	for (int i = 0; i < APITOKENS_MAX; i++)
		ck_assert_int_eq(apikeys_token(&keys, &fleet.rng.rng, fleet.wall, k, text), 0);
	ck_assert_ptr_null(apikeys_match_token(&keys, fleet.wall, bytes_str(first)));
	ck_assert_ptr_eq(apikeys_match_token(&keys, fleet.wall, bytes_str(text)), k);
	end();
}

TEST(keys_and_devices_of_the_tailscale_api)
{
	char target[96], key[AUTHKEY_TEXT_MAX];
	struct party *p;

	begin(43);
	ck_assert_uint_eq(
	    call("POST", "/api/v2/tailnet/-/keys",
		 "{\"capabilities\":{\"devices\":{\"create\":{\"reusable\":false,"
		 "\"ephemeral\":true,\"preauthorized\":true,\"tags\":[\"tag:k8s\"]}}},"
		 "\"expirySeconds\":3600,\"description\":\"a proxy\"}"),
	    200);
	has("\"capabilities\":{\"devices\":{\"create\":{\"reusable\":false,\"ephemeral\":true,"
	    "\"preauthorized\":true,\"tags\":[\"tag:k8s\"]}}}");
	snprintf(key, sizeof key, "%s", field("key"));
	snprintf(target, sizeof target, "/api/v2/tailnet/-/keys/%s", field("id"));
	ck_assert_uint_eq(call("GET", target, ""), 200);
	ck_assert_ptr_null(strstr((const char *)buf_bytes(&out).data, "\"key\":")); /* once only */
	ck_assert_uint_eq(call("POST", "/api/v2/tailnet/-/keys",
			       "{\"capabilities\":{\"devices\":{\"create\":{}}}}"),
			  400);
	has("{\"message\":");
	p = fleet_join(&fleet, "web", key);
	fleet_pass(&fleet, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 1);
	ck_assert_uint_eq(call("GET", "/api/v2/tailnet/-/devices?fields=all", ""), 200);
	has("{\"devices\":[{\"addresses\":[\"100.64.0.1\",\"fd7a:115c:a1e0::1\"],\"id\":\"1\","
	    "\"nodeId\":\"1\",\"name\":\"web.tail.test\",\"hostname\":\"web\","
	    "\"user\":\"tagged-devices\",\"tags\":[\"tag:k8s\"],\"authorized\":true,"
	    "\"isEphemeral\":true,\"keyExpiryDisabled\":true");
	has("\"enabledRoutes\":[]");
	ck_assert_uint_eq(call("POST", "/api/v2/device/1/tags", "{\"tags\":[\"tag:a\"]}"), 200);
	ck_assert_uint_eq(call("POST", "/api/v2/device/1/name", "{\"name\":\"api.tail.test\"}"),
			  200);
	ck_assert_uint_eq(call("POST", "/api/v2/device/1/routes", "{\"routes\":[\"10.0.0.0/8\"]}"),
			  200);
	has("\"enabledRoutes\":[\"10.0.0.0/8\"]");
	ck_assert_uint_eq(call("POST", "/api/v2/device/1/authorized", "{\"authorized\":true}"),
			  200);
	ck_assert_uint_eq(call("GET", "/api/v2/device/1", ""), 200);
	has("\"name\":\"api.tail.test\"");
	has("\"tags\":[\"tag:a\"]");
	ck_assert_uint_eq(call("DELETE", "/api/v2/device/1", ""), 200);
	ck_assert_uint_eq(call("DELETE", "/api/v2/device/1", ""), 404);
	ck_assert_uint_eq(call("GET", "/api/v2/nothing", ""), 404);
	ck_assert_uint_eq(call("DELETE", target, ""), 200);
	ck_assert_uint_eq(call("GET", target, ""), 404);
	end();
}

TEST(a_policy_is_checked_without_being_put_in_force)
{
	begin(44);
	ck_assert_uint_eq(call("POST", "/api/v1/policy/check", "{\"policy\":\"{}\"}"), 200);
	has("{}");
	ck_assert_uint_eq(call("POST", "/api/v1/policy/check", "{\"policy\":\"x\"}"), 400);
	end();
}
