/* containerboot/kube_secret_test.c - the Secret against an API server of the same loop, which holds
 * one */
#include "containerboot/kube_secret.h"

#include "tests/kube_api_fixture.h"

static void holds(const char *name, const char *value)
{
	struct bytes v;

	ck_assert_msg(state_get(api.secret, name, &v), "no %s", name);
	ck_assert_msg(bytes_eq_str(v, value), "%s is %.*s", name, (int)v.len, (const char *)v.data);
}

static bool lacks(const char *name)
{
	struct bytes v;

	return !state_get(api.secret, name, &v);
}

static void give(struct state *s, const char *name, const char *value)
{
	ck_assert_int_eq(state_put(s, name, bytes_str(value)), 0);
}

static struct state *st;

static struct kube_secret *open_it(void)
{
	struct kube_secret_conf conf = { .client = { .loop = api.loop,
						     .account_dir = api.dir,
						     .host = "127.0.0.1",
						     .port = listener_port(api.listener) },
					 .name = "ts",
					 .pod = "web-0",
					 .pod_uid = "u-1",
					 .state = st = state_new(),
					 .limit = SPAN_S(10) };

	return kube_secret_open(&conf, &e);
}

static struct kube_secret *opened(void)
{
	struct kube_secret *s = open_it();

	ck_assert_msg(s != NULL, "%s", e.text);
	return s;
}

static void saved(struct kube_secret *s)
{
	kube_secret_save(s);
	ck_assert(kube_secret_flush(s, SPAN_S(10)));
}

static void refused(const char *words)
{
	struct kube_secret *s = open_it();

	ck_assert_ptr_null(s);
	ck_assert_msg(strstr(e.text, words) != NULL, "%s", e.text);
	state_free(st);
}

static void finished(struct kube_secret *s)
{
	kube_secret_free(s);
	state_free(st);
	api_stop();
}

/* --- tests --- */

TEST(the_state_comes_from_the_secret_and_changes_go_there_as_one_patch)
{
	struct kube_secret *s;
	struct bytes v;

	api_start();
	give(api.secret, "_machinekey", "m");
	give(api.secret, "https_endpoint", "old.example");
	s = opened();
	ck_assert(state_get(st, "_machinekey", &v) && bytes_eq_str(v, "m"));
	give(st, "_machinekey", "m2");
	give(st, "_serve/1", "x");
	kube_secret_set(s, KUBE_F_DEVICE_ID, "7");
	kube_secret_clear(s, KUBE_F_HTTPS);
	saved(s);
	holds("_machinekey", "m2");
	holds("_serve_1", "x");
	holds("device_id", "7");
	ck_assert(lacks("https_endpoint"));
	ck_assert_uint_eq(api.n_patch, 1);
	saved(s);
	ck_assert_uint_eq(api.n_patch, 1); /* nothing differs: nothing is sent */
	ck_assert_uint_ge(api.n_events, 1);
	finished(s);
}

TEST(changes_during_a_write_are_written_next)
{
	struct kube_secret *s;

	api_start();
	s = opened();
	give(st, "a", "1");
	kube_secret_save(s);
	give(st, "a", "2");
	give(st, "b", "3");
	saved(s);
	holds("a", "2");
	holds("b", "3");
	finished(s);
}

TEST(a_secret_that_does_not_exist_is_made_with_everything_in_it)
{
	struct kube_secret *s;

	api_start();
	state_free(api.secret);
	api.secret = NULL;
	s = opened();
	give(st, "_machinekey", "m");
	kube_secret_set(s, KUBE_F_CAPVER, "116");
	saved(s);
	holds("_machinekey", "m");
	holds("tailscale_capver", "116");
	ck_assert_uint_eq(api.n_post, 1);
	finished(s);
}

TEST(a_secret_deleted_meanwhile_is_made_anew_with_the_whole_state)
{
	struct kube_secret *s;

	api_start();
	give(api.secret, "_machinekey", "m");
	s = opened();
	state_free(api.secret);
	api.secret = NULL;
	give(st, "a", "1");
	saved(s);
	holds("_machinekey", "m");
	holds("a", "1");
	finished(s);
}

TEST(without_the_right_to_patch_the_secret_is_put_and_foreign_fields_stay)
{
	struct kube_secret *s;

	api_start();
	api.may[KUBE_PATCH] = false;
	s = opened();
	give(api.secret, "foreign", "f");
	give(st, "a", "1");
	saved(s);
	holds("a", "1");
	holds("foreign", "f");
	ck_assert_uint_eq(api.n_patch, 0);
	ck_assert_uint_eq(api.n_put, 1);
	ck_assert_int_eq(kube_secret_check_key(s, &e), -EACCES);
	finished(s);
}

TEST(a_right_that_is_lost_while_running_is_no_end)
{
	struct kube_secret *s;

	api_start();
	s = opened();
	api.may[KUBE_PATCH] = false;
	give(st, "a", "1");
	saved(s);
	holds("a", "1");
	ck_assert_uint_eq(api.n_put, 1);
	finished(s);
}

TEST(a_field_to_remove_that_somebody_removed_is_success)
{
	struct kube_secret *s;

	api_start();
	give(api.secret, "a", "1");
	give(api.secret, "https_endpoint", "x");
	s = opened();
	state_del(api.secret, "a");
	state_del(api.secret, "https_endpoint");
	state_del(st, "a");
	kube_secret_clear(s, KUBE_F_HTTPS);
	give(st, "b", "2");
	saved(s);
	holds("b", "2");
	ck_assert(lacks("a"));
	finished(s);
}

TEST(a_field_taken_away_once_may_be_written_by_its_owner_again)
{
	struct kube_secret *s;

	api_start();
	give(api.secret, "authkey", "k1");
	s = opened();
	kube_secret_clear(s, KUBE_F_AUTHKEY);
	saved(s);
	ck_assert(lacks("authkey"));
	give(api.secret, "authkey", "k2");
	give(st, "a", "1");
	saved(s);
	give(st, "a", "2");
	saved(s);
	holds("authkey", "k2");
	finished(s);
}

static char looked[32];
static unsigned n_looked;

static void on_look(void *ctx, struct bytes value)
{
	(void)ctx;
	n_looked++;
	ck_assert(bytes_to_str(value, looked, sizeof looked));
}

static const char *look(struct kube_secret *s, const char *field)
{
	const unsigned n = n_looked;

	ck_assert(kube_secret_look(s, field, on_look, NULL));
	ck_assert(!kube_secret_look(s, field, on_look, NULL)); /* one at a time */
	for (int i = 0; i < 600 && n_looked == n; i++)
		loop_turn(api.loop, SPAN_MS(100));
	ck_assert_uint_eq(n_looked, n + 1);
	return looked;
}

TEST(a_field_that_somebody_wrote_meanwhile_is_seen_by_a_look_and_answered)
{
	struct kube_secret *s;

	api_start();
	s = opened();
	ck_assert_str_eq(look(s, KUBE_F_LOGOUT), "");
	give(api.secret, KUBE_F_LOGOUT, "true");
	ck_assert_str_eq(look(s, KUBE_F_LOGOUT), "true");
	kube_secret_set(s, KUBE_F_LOGOUT, KUBE_LOGGED_OUT);
	saved(s);
	holds("logout_on_exit", "done");
	api.fail_status = 500;
	api.n_fail = 1;
	ck_assert_str_eq(look(s, KUBE_F_LOGOUT), ""); /* no answer is no wish */
	ck_assert_str_eq(look(s, KUBE_F_LOGOUT), "done");
	ck_assert(kube_secret_look(s, KUBE_F_LOGOUT, on_look, NULL));
	finished(s); /* with one under way */
	ck_assert_uint_eq(n_looked, 4);
}

TEST(conflicts_and_errors_of_the_server_are_outlived)
{
	static const unsigned rows[] = { 409, 422, 429, 500, 503, 504 };
	struct kube_secret *s;
	char value[8];

	api_start();
	s = opened();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		api.fail_status = rows[i];
		api.n_fail = 1;
		snprintf(value, sizeof value, "%zu", i);
		give(st, "a", value);
		saved(s);
		holds("a", value);
		ck_assert_uint_eq(api.n_fail, 0);
	}
	finished(s);
}

TEST(a_token_that_is_no_longer_taken_is_read_again)
{
	struct kube_secret *s;

	api_start();
	s = opened();
	api.token = "second";
	write_file("token", "second\n");
	give(st, "a", "1");
	saved(s);
	holds("a", "1");
	finished(s);
}

TEST(reading_is_tried_again_while_the_server_has_trouble)
{
	struct kube_secret *s;

	api_start();
	give(api.secret, "a", "1");
	api.fail_status = 503;
	api.n_fail = 1;
	s = opened();
	ck_assert_uint_eq(state_n(st), 1);
	ck_assert_uint_eq(api.n_get, 2);
	finished(s);
}

TEST(reviews_that_fail_are_no_refusal)
{
	struct kube_secret *s;

	api_start();
	api.no_reviews = true;
	s = opened();
	give(st, "a", "1");
	saved(s);
	holds("a", "1");
	finished(s);
}

TEST(what_is_not_allowed_is_told_with_advice)
{
	api_start();
	api.may[KUBE_UPDATE] = api.may[KUBE_PATCH] = false;
	refused("may not update or patch the Secret shop/ts");
	api.may[KUBE_UPDATE] = api.may[KUBE_PATCH] = true;
	api.may[KUBE_GET] = false;
	refused("may not get the Secret shop/ts");
	api.may[KUBE_GET] = true;
	api.may[KUBE_CREATE] = false;
	state_free(api.secret);
	api.secret = NULL;
	refused("does not exist");
	api.token = "another";
	api.no_reviews = true;
	refused("does not accept the pod's service account token");
	api_stop();
}

TEST(an_account_that_is_not_there_or_malformed_is_told)
{
	char path[128];

	api_start();
	write_file("token", "a\r\nX-Evil: 1");
	refused("not one line of text");
	write_file("token", "\n");
	refused("is empty");
	snprintf(path, sizeof path, "%s/token", api.dir);
	unlink(path);
	refused("automountServiceAccountToken");
	api_stop();
}

TEST(a_server_with_a_certificate_of_another_ca_gets_no_token)
{
	struct tls_server *mine = api.tls;

	api_start();
	mine = api.tls;
	api.tls = tls_server_new_self("127.0.0.1", &e);
	ck_assert_ptr_nonnull(api.tls);
	ck_assert_ptr_null(({
		struct kube_secret_conf conf = { .client = { .loop = api.loop,
							     .account_dir = api.dir,
							     .host = "127.0.0.1",
							     .port = listener_port(api.listener) },
						 .name = "ts",
						 .state = st = state_new(),
						 .limit = SPAN_S(3) };
		kube_secret_open(&conf, &e);
	}));
	ck_assert_msg(strstr(e.text, "self-signed") || strstr(e.text, "not trusted"), "%s", e.text);
	ck_assert_uint_eq(api.n_get, 0);
	state_free(st);
	tls_server_free(mine);
	api_stop();
}
