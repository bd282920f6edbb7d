/* containerboot/owner_test.c - the watcher of the DaemonSet against an API server of the same loop
 */
#include "containerboot/owner.h"

#include "tests/kube_api_fixture.h"

static struct owner *owner;
static char file[128];

#define META(rv, more) "{\"metadata\":{\"name\":\"agents\",\"resourceVersion\":\"" rv "\"" more "}}"

static void begin(void)
{
	struct owner_conf conf = { .daemonset = "agents", .file = file };

	api_start();
	api.daemonset = META("10", "");
	snprintf(file, sizeof file, "%s/end", api.dir);
	conf.client = (struct kube_client_conf){ .loop = api.loop,
						 .account_dir = api.dir,
						 .host = "127.0.0.1",
						 .port = listener_port(api.listener) };
	write_file("end", OWNER_REMOVE); /* of an earlier run */
	owner = owner_new(&conf, &e);
	ck_assert_msg(owner != NULL, "%s", e.text);
	ck_assert_int_ne(access(file, F_OK), 0);
}

static void finish(void)
{
	owner_free(owner);
	unlink(file);
	api_stop();
}

static void turns_until(bool (*is_so)(void))
{
	for (int i = 0; i < 4000 && !is_so(); i++)
		loop_turn(api.loop, SPAN_MS(5));
	ck_assert(is_so());
}

static bool is_watched(void)
{
	return api.watch != NULL;
}

static bool says(const char *what)
{
	char *text;
	size_t len;
	bool ok;

	if (file_read(file, 64, &text, &len, &e) < 0)
		return false;
	ok = strcmp(text, what) == 0;
	free(text);
	return ok;
}

static bool says_remove(void)
{
	return says(OWNER_REMOVE);
}

static bool says_keep(void)
{
	return says(OWNER_KEEP);
}

static bool says_nothing(void)
{
	return access(file, F_OK) < 0;
}

TEST(a_deleted_owner_is_known_at_once_even_if_the_account_is_deleted_too)
{
	begin();
	turns_until(is_watched);
	ck_assert_ptr_nonnull(strstr(api.watch_target, "fieldSelector=metadata.name%3Dagents"));
	ck_assert_ptr_nonnull(strstr(api.watch_target, "resourceVersion=10"));
	api.token = "another"; /* every further request is a 401 */
	api_event("{\"type\":\"MODIFIED\",\"object\":" META("11", "") "}\n{\"type\":\"DEL");
	for (int i = 0; i < 20; i++)
		loop_turn(api.loop, SPAN_MS(5));
	ck_assert(says_nothing());
	api_event("ETED\",\"object\":" META("12", "") "}\n");
	turns_until(says_remove);
	owner_stop(owner);
	ck_assert(says_remove());
	finish();
}

TEST(an_owner_that_is_there_at_the_end_keeps)
{
	begin();
	turns_until(is_watched);
	owner_stop(owner);
	turns_until(says_keep);
	finish();
}

TEST(an_owner_that_is_being_deleted_at_the_last_look_removes)
{
	begin();
	turns_until(is_watched);
	api.daemonset = META("13", ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"");
	owner_stop(owner);
	turns_until(says_remove);
	finish();
}

TEST(an_owner_that_is_gone_at_the_last_look_removes)
{
	begin();
	turns_until(is_watched);
	api.daemonset = NULL;
	owner_stop(owner);
	turns_until(says_remove);
	finish();
}

TEST(a_server_that_refuses_to_say_keeps)
{
	begin();
	turns_until(is_watched);
	api.token = "another";
	owner_stop(owner);
	turns_until(says_keep);
	finish();
}

TEST(an_owner_that_comes_back_takes_its_word_back)
{
	begin();
	turns_until(is_watched);
	api_event("{\"type\":\"DELETED\",\"object\":" META("12", "") "}\n");
	turns_until(says_remove);
	api_event("{\"type\":\"ADDED\",\"object\":" META("13", "") "}\n");
	turns_until(says_nothing);
	finish();
}

TEST(a_watch_that_ends_or_goes_wrong_is_looked_at_again)
{
	begin();
	turns_until(is_watched);
	api.daemonset = NULL;
	api_event("{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n");
	turns_until(says_remove);
	finish();
}

TEST(a_name_that_is_none_is_refused)
{
	static const char *const bad[] = { "", "a/b", "a?x", "A", "a%2f" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct owner_conf conf = { .daemonset = bad[i], .file = "/nowhere/end" };

		ck_assert_ptr_null(owner_new(&conf, &e));
	}
}
