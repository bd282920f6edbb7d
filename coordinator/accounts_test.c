/* coordinator/accounts_test.c - users and keys of all kinds are limited in number, and names in
 * form */
#include <errno.h>

#include "coordinator/apikeys.h"
#include "coordinator/tailnet_priv.h"
#include "tests/tailnet_world.h"

static struct fleet fleet; /* large */
static struct err e;

static void begin(void)
{
	fleet_init(&fleet, 1);
}

/* what waits to be stored is not what this is about */
static void drain(void)
{
	struct tailnet_event ev;

	while (tailnet_next(fleet.t, &ev))
		;
}

static int add_user(const char *name, int64_t *id)
{
	const int ret = tailnet_user_add(fleet.t, fleet.wall, name, "", id, &e);

	drain();
	return ret;
}

TEST(there_are_as_many_users_as_the_limit_says_and_room_when_one_goes)
{
	int64_t id = 0, first = 0;
	char name[16];

	begin();
	for (int i = 0; i < TAILNET_USERS_MAX; i++) {
		snprintf(name, sizeof name, "u%d", i);
		ck_assert_int_eq(add_user(name, i ? &id : &first), 0);
	}
	ck_assert_int_eq(add_user("one-more", &id), -ENOBUFS);
	ck_assert_ptr_nonnull(strstr(e.text, "limit 10000"));
	ck_assert_ptr_null(tailnet_user_named(fleet.t, "one-more"));
	ck_assert_int_eq(tailnet_user_del(fleet.t, fleet.wall, first, &e), 0);
	drain();
	ck_assert_int_eq(add_user("one-more", &id), 0);
	ck_assert_ptr_nonnull(tailnet_user_named(fleet.t, "u9999")); /* moved, and found */
	fleet_fini(&fleet);
}

TEST(there_are_as_many_auth_keys_as_the_limit_says)
{
	struct tailnet_authkey conf = { .expires = { INT64_MAX } };
	char text[AUTHKEY_TEXT_MAX];
	int64_t id;

	begin();
	ck_assert_int_eq(add_user("a", &conf.user), 0);
	for (int i = 0; i < TAILNET_KEYS_MAX; i++) {
		ck_assert_int_eq(tailnet_authkey_add(fleet.t, fleet.wall, &conf, text, &id, &e), 0);
		drain();
	}
	ck_assert_int_eq(tailnet_authkey_add(fleet.t, fleet.wall, &conf, text, &id, &e), -ENOBUFS);
	ck_assert_ptr_nonnull(strstr(e.text, "limit 100000"));
	ck_assert_str_eq(text, ""); /* nothing to use by mistake */
	fleet_fini(&fleet);
}

TEST(there_are_as_many_api_keys_as_the_limit_says)
{
	char text[APIKEY_TEXT_MAX];
	struct seed_rng rng;
	struct apikeys keys;

	seed_rng_init(&rng, 1);
	apikeys_init(&keys);
	for (int i = 0; i < APIKEYS_MAX; i++)
		ck_assert_ptr_nonnull(
		    apikeys_add(&keys, &rng.rng, (wall_t){ 1 }, (wall_t){ 2 }, text, &e));
	ck_assert_ptr_null(apikeys_add(&keys, &rng.rng, (wall_t){ 1 }, (wall_t){ 2 }, text, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "limit 1000"));
	apikeys_del(&keys, keys.v[0].id);
	ck_assert_ptr_nonnull(apikeys_add(&keys, &rng.rng, (wall_t){ 1 }, (wall_t){ 2 }, text, &e));
	apikeys_fini(&keys);
}

TEST(a_name_of_a_user_is_one_word_that_stands_in_a_policy)
{
	static const char *const bad[] = { "",    "a b", "a\tb", "a\nb", "a\x7f", "a\"b",
					   "a'b", "a\\", "a/b",  "a:b",  "a,b" };
	static const char *const good[] = { "a", "a@example.com", "a.b-c_d", "\xc3\xa9lodie" };
	char longest[TAILNET_NAME_MAX + 1];
	int64_t id;

	begin();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(add_user(bad[i], &id) == -EINVAL, "'%s' is a name", bad[i]);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(add_user(good[i], &id) == 0, "'%s' is no name", good[i]);
	ck_assert_int_eq(add_user("a", &id), -EEXIST);
	memset(longest, 'x', sizeof longest);
	longest[TAILNET_NAME_MAX] = 0;
	ck_assert_int_eq(add_user(longest, &id), -EINVAL);
	longest[TAILNET_NAME_MAX - 1] = 0;
	ck_assert_int_eq(add_user(longest, &id), 0);
	ck_assert_str_eq(tailnet_user(fleet.t, id)->name, longest);
	ck_assert_int_eq(tailnet_user_rename(fleet.t, fleet.wall, id, "a", &e), -EEXIST);
	ck_assert_int_eq(tailnet_user_rename(fleet.t, fleet.wall, id, "new", &e), 0);
	ck_assert_ptr_null(tailnet_user_named(fleet.t, longest));
	ck_assert_int_eq(tailnet_user_named(fleet.t, "new")->id, id);
	fleet_fini(&fleet);
}

/* A file that somebody has written into: no number is left behind the last one. */
TEST(what_is_stored_under_the_last_number_there_is_is_refused)
{
	char text[64];
	int64_t id;

	begin();
	snprintf(text, sizeof text, "{\"id\":%lld,\"name\":\"a\"}", (long long)INT64_MAX);
	ck_assert_int_eq(tailnet_user_load(fleet.t, bytes_str(text), &e), -EBADMSG);
	snprintf(text, sizeof text, "{\"user\":%lld}", (long long)INT64_MAX);
	ck_assert_int_eq(tailnet_ids_load(fleet.t, bytes_str(text), &e), -EBADMSG);
	snprintf(text, sizeof text, "{\"id\":%lld,\"name\":\"a\"}", (long long)INT64_MAX - 2);
	ck_assert_int_eq(tailnet_user_load(fleet.t, bytes_str(text), &e), 0);
	ck_assert_int_eq(add_user("b", &id), 0);
	ck_assert_int_eq(id, INT64_MAX - 1);
	fleet_fini(&fleet);
}
