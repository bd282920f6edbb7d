/* ts2021/control_login_test.c - the client: registering again, expiry, interactive login, logout */
#include "ts2021/control.h"

#include "tests/ts2021_world.h"
#include "ts2021/control_priv.h"

/* --- login --- */

static bool map_404_once(struct world *w, const struct world_request *rq)
{
	if (!world_is_stream(rq) || world_count(w, world_is_stream) > 1)
		return false;
	world_answer(w, rq, 404, "node not found");
	return true;
}

TEST(a_404_on_the_map_registers_again)
{
	struct world w;

	world_init(&w, 23);
	w.handle = map_404_once;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 2);
	ck_assert(is_streaming(&w));
	ck_assert_ptr_nonnull(strstr(w.all_troubles, "registering again"));
	world_fini(&w);
}

static bool map_404_always(struct world *w, const struct world_request *rq)
{
	if (world_is_register(rq))
		return false;
	world_answer(w, rq, 404, "node not found");
	return true;
}

TEST(a_node_that_is_registered_and_yet_not_known_makes_no_storm)
{
	struct world w;

	world_init(&w, 29);
	w.handle = map_404_always;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(10));
	ck_assert_uint_gt(world_count(&w, world_is_register), 3);
	ck_assert_uint_le(world_count(&w, world_is_register), 30);
	w.handle = NULL;
	world_pass(&w, SPAN_S(60));
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

static bool lite_404_later(struct world *w, const struct world_request *rq)
{
	if (!world_is_lite(rq) || world_count(w, world_is_lite) != 2)
		return false;
	world_answer(w, rq, 404, "node not found");
	return true;
}

TEST(ten_silent_minutes_are_probed_by_a_lite_update_whose_404_registers_again)
{
	struct world w;

	world_start(&w, 24);
	world_run(&w);
	w.handle = lite_404_later;
	for (int i = 0; i < 11; i++) { /* the stream of a deleted node stays open and alive */
		ck_assert_uint_eq(world_count(&w, world_is_lite), 1);
		world_send_map(&w, "{\"KeepAlive\":true}");
		world_pass(&w, SPAN_S(54));
	}
	world_send_map(&w, "{\"KeepAlive\":true}");
	world_pass(&w, SPAN_S(30));
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 2);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(a_stream_with_news_is_not_probed)
{
	struct world w;

	world_start(&w, 25);
	world_run(&w);
	for (int i = 0; i < 40; i++) {
		world_send_map(&w, "{\"PeersChangedPatch\":[{\"NodeID\":1,\"Online\":true}],"
				   "\"ControlTime\":\"2026-01-01T00:00:00Z\"}");
		world_pass(&w, SPAN_S(54));
	}
	ck_assert_uint_eq(world_count(&w, world_is_lite), 1);
	world_fini(&w);
}

static bool expired_once(struct world *w, const struct world_request *rq)
{
	if (!world_is_register(rq) || world_count(w, world_is_register) > 1)
		return false;
	world_answer(w, rq, 200, "{\"NodeKeyExpired\":true,\"MachineAuthorized\":false}");
	return true;
}

TEST(an_expired_node_key_is_replaced_once_and_the_old_one_named)
{
	struct world w;
	struct key_pub first, second;
	char text[KEY_TEXT_MAX];

	world_init(&w, 26);
	w.handle = expired_once;
	world_connect(&w, NULL);
	world_run(&w);
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 1);
	key_public(&first, &w.node);
	key_public(&second, &w.node_key);
	ck_assert(!key_eq(&first, &second));
	ck_assert_ptr_nonnull(strstr(w.rq[0].body, key_pub_text(KEY_NODE, &first, text)));
	ck_assert_ptr_null(strstr(w.rq[0].body, "OldNodeKey"));
	ck_assert_ptr_nonnull(strstr(w.rq[1].body, "\"OldNodeKey\":\"nodekey:"));
	ck_assert_ptr_nonnull(strstr(w.rq[1].body, key_pub_text(KEY_NODE, &second, text)));
	world_fini(&w);
}

static bool expired_always(struct world *w, const struct world_request *rq)
{
	if (!world_is_register(rq))
		return false;
	world_answer(w, rq, 200, "{\"NodeKeyExpired\":true}");
	return true;
}

TEST(node_keys_that_are_always_expired_do_not_make_a_storm)
{
	struct world w;

	world_init(&w, 27);
	w.handle = expired_always;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(100));
	ck_assert_uint_le(world_count(&w, world_is_register), 9);
	ck_assert_uint_eq(w.seen[CONTROL_LOGIN_FAILED], 1);
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 0);
	world_fini(&w);
}

TEST(force_new_key_rotates_and_streams_again)
{
	struct world w;
	struct key_pub a, b;

	world_start(&w, 28);
	world_run(&w);
	key_public(&a, &w.node_key);
	control_login(w.c, w.now, true);
	world_run(&w);
	key_public(&b, &w.node_key);
	ck_assert(!key_eq(&a, &b));
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 2);
	ck_assert_uint_eq(world_count(&w, world_is_stream), 2);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

static bool interactive(struct world *w, const struct world_request *rq)
{
	if (!world_is_register(rq))
		return false;
	if (!strstr(rq->body, "\"Followup\""))
		world_answer(
		    w, rq, 200,
		    "{\"AuthURL\":\"http://control.example:8080/register/hskey-authreq-x\"}");
	return true; /* the follow-up waits until somebody acted */
}

TEST(interactive_login_shows_the_url_and_the_follow_up_waits)
{
	struct world w;
	char text[KEY_TEXT_MAX];
	struct key_pub pub;

	world_init(&w, 29);
	w.handle = interactive;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(100));
	ck_assert_str_eq(w.auth_url, "http://control.example:8080/register/hskey-authreq-x");
	ck_assert_uint_eq(w.seen[CONTROL_AUTH_URL], 1);
	ck_assert_uint_eq(w.seen[CONTROL_NEEDS_LOGIN], 0);
	ck_assert_uint_eq(w.n_rq, 2);
	key_public(&pub, &w.node);
	ck_assert_ptr_nonnull(
	    strstr(w.rq[1].body, key_pub_text(KEY_NODE, &pub, text))); /* the tried key is kept */
	ck_assert_ptr_nonnull(strstr(
	    w.rq[1].body, "\"Followup\":\"http://control.example:8080/register/hskey-authreq-x\""));
	w.handle = NULL;
	world_answer(&w, &w.rq[1], 200, "{\"MachineAuthorized\":true}");
	world_run(&w);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(a_follow_up_that_never_ends_is_asked_again_without_a_second_url)
{
	struct world w;

	world_init(&w, 30);
	w.handle = interactive;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(1000));
	ck_assert_uint_eq(w.seen[CONTROL_AUTH_URL], 1);
	ck_assert_uint_ge(world_count(&w, world_is_register), 4);
	ck_assert_uint_le(world_count(&w, world_is_register), 6);
	ck_assert_uint_eq(w.seen[CONTROL_TROUBLE], 0);
	world_fini(&w);
}

static bool gone_for_good(struct world *w, const struct world_request *rq)
{
	if (world_is_register(rq) && world_count(w, world_is_register) > 1)
		return interactive(w, rq);
	if (!world_is_stream(rq) && !world_is_lite(rq))
		return false;
	world_answer(w, rq, 404, "node not found");
	return true;
}

static bool another_url_always(struct world *w, const struct world_request *rq)
{
	char text[128];

	if (!world_is_register(rq))
		return false;
	snprintf(text, sizeof text, "{\"AuthURL\":\"https://c.example/register/%zu\"}",
		 world_count(w, world_is_register));
	world_answer(w, rq, 200, text);
	return true;
}

TEST(a_server_that_answers_each_follow_up_with_another_url_is_not_asked_without_a_pause)
{
	struct world w;

	world_init(&w, 30);
	w.handle = another_url_always;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(10));
	ck_assert_uint_gt(world_count(&w, world_is_register), 3);
	ck_assert_uint_le(world_count(&w, world_is_register), 30);
	world_fini(&w);
}

TEST(a_deleted_node_without_an_auth_key_says_that_it_needs_a_login)
{
	struct world w;

	world_init(&w, 31);
	w.handle = gone_for_good;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(10));
	ck_assert_uint_eq(w.seen[CONTROL_NEEDS_LOGIN], 1);
	ck_assert_uint_eq(w.seen[CONTROL_AUTH_URL], 1);
	world_fini(&w);
}

static bool bad_key(struct world *w, const struct world_request *rq)
{
	if (!world_is_register(rq))
		return false;
	world_answer(
	    w, rq, 200,
	    "{\"Error\":\"authkey already used: hskey-auth-abc-SECRETPART and plain0ldKey\"}");
	return true;
}

TEST(registration_errors_come_with_http_200_and_are_told_once_without_the_key)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 32);
	conf = world_conf(&w);
	w.handle = bad_key;
	world_client(&w, &conf);
	ck_assert_int_eq(control_set_auth_key(w.c, "plain0ldKey"), 0);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(300));
	ck_assert_uint_eq(w.seen[CONTROL_LOGIN_FAILED], 1);
	ck_assert(w.fatal);
	ck_assert_str_eq(w.login_failed,
			 "control control.example:8080 refuses the auth key: authkey already "
			 "used: (key) and (key). Make a new auth key");
	ck_assert_ptr_nonnull(strstr(w.rq[0].body, "\"Auth\":{\"AuthKey\":\"plain0ldKey\"}"));
	ck_assert_uint_le(world_count(&w, world_is_register), 21); /* goes on, slowly */
	ck_assert_uint_ge(world_count(&w, world_is_register), 6);
	world_fini(&w);
}

TEST(a_new_auth_key_is_tried_at_once_after_a_failed_login)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 57);
	conf = world_conf(&w);
	w.handle = bad_key;
	world_client(&w, &conf);
	ck_assert_int_eq(control_set_auth_key(w.c, "old"), 0);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(100));
	w.handle = NULL;
	ck_assert_int_eq(control_set_auth_key(w.c, "new"), 0);
	world_to(&w, w.now);
	ck_assert(is_streaming(&w));
	ck_assert_ptr_nonnull(
	    strstr(world_last(&w, world_is_register)->body, "\"AuthKey\":\"new\""));
	world_fini(&w);
}

static bool refuses_tags(struct world *w, const struct world_request *rq)
{
	if (!world_is_register(rq) || !strstr(rq->body, "RequestTags"))
		return false;
	world_answer(w, rq, 200,
		     "{\"Error\":\"requested tags [tag:x] are invalid or not permitted\"}");
	return true;
}

TEST(requested_tags_refused_with_a_pre_auth_key_are_left_out_once_with_a_warning)
{
	static const char *tags[] = { "tag:x" };
	struct control_hostinfo hi = { .hostname = "a", .tags = tags, .n_tags = 1 };
	struct world w;
	struct control_conf conf;

	world_init(&w, 33);
	conf = world_conf(&w);
	w.handle = refuses_tags;
	world_client(&w, &conf);
	ck_assert_int_eq(control_set_hostinfo(w.c, &hi), 0);
	ck_assert_int_eq(control_set_auth_key(w.c, "hskey-auth-a-b"), 0);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	ck_assert_uint_eq(world_count(&w, world_is_register), 2);
	ck_assert_ptr_nonnull(strstr(w.rq[0].body, "\"RequestTags\":[\"tag:x\"]"));
	for (size_t i = 1; i < w.n_rq; i++)
		ck_assert_ptr_null(strstr(w.rq[i].body, "RequestTags"));
	ck_assert(is_streaming(&w));
	ck_assert_ptr_nonnull(strstr(w.trouble, "refuses the requested tags"));
	ck_assert(w.trouble_now); /* a warning stays */
	ck_assert_uint_eq(w.seen[CONTROL_LOGIN_FAILED], 0);
	world_fini(&w);
}

TEST(tags_refused_without_an_auth_key_are_a_failure)
{
	static const char *tags[] = { "tag:x" };
	struct control_hostinfo hi = { .hostname = "a", .tags = tags, .n_tags = 1 };
	struct world w;
	struct control_conf conf;

	world_init(&w, 34);
	conf = world_conf(&w);
	w.handle = refuses_tags;
	world_client(&w, &conf);
	ck_assert_int_eq(control_set_hostinfo(w.c, &hi), 0);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	ck_assert_uint_eq(world_count(&w, world_is_register), 1);
	ck_assert_uint_eq(w.seen[CONTROL_LOGIN_FAILED], 1);
	world_fini(&w);
}

static bool busy_once(struct world *w, const struct world_request *rq)
{
	if (!world_is_register(rq) || world_count(w, world_is_register) > 1)
		return false;
	world_answer(w, rq, 429, "slow down");
	return true;
}

TEST(a_429_without_retry_after_waits_five_to_ten_seconds)
{
	struct world w;

	world_init(&w, 35);
	w.handle = busy_once;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_MS(4900));
	ck_assert_uint_eq(world_count(&w, world_is_register), 1);
	world_pass(&w, SPAN_MS(5200));
	ck_assert_uint_eq(world_count(&w, world_is_register), 2);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

static bool unauthorized(struct world *w, const struct world_request *rq)
{
	if (!world_is_register(rq))
		return false;
	world_answer(w, rq, 200, "{\"MachineAuthorized\":false}");
	return true;
}

TEST(a_machine_that_awaits_approval_is_registered_unauthorized_and_streams)
{
	struct world w;

	world_init(&w, 36);
	w.handle = unauthorized;
	world_connect(&w, NULL);
	world_run(&w);
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 1);
	ck_assert(!w.authorized);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(logout_sends_a_past_expiry_and_then_says_so)
{
	struct world w;

	world_start(&w, 37);
	ck_assert_int_eq(control_set_auth_key(w.c, "hskey-auth-a-b"), 0);
	world_run(&w);
	control_logout(w.c, w.now);
	world_run(&w);
	ck_assert_uint_eq(w.seen[CONTROL_LOGGED_OUT], 1);
	const char *body = world_last(&w, world_is_register)->body;
	ck_assert_ptr_nonnull(strstr(body, "\"Expiry\":\"1970-01-01T00:02:03Z\""));
	ck_assert_ptr_null(strstr(body, "hskey")); /* no secret where none is needed */
	ck_assert_uint_eq(w.n_hangups, 1);
	world_pass(&w, SPAN_S(500));
	ck_assert_uint_eq(w.n_dials, 1);
	world_fini(&w);
}

TEST(logout_while_disconnected_connects_first)
{
	struct world w;

	world_start(&w, 38);
	world_run(&w);
	world_hang_up(&w, 0);
	control_logout(w.c, w.now);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(w.seen[CONTROL_LOGGED_OUT], 1);
	world_fini(&w);
}

TEST(logout_of_a_kept_key_is_sent_although_nothing_was_started)
{
	struct world w;

	world_init(&w, 41);
	struct control_conf conf = world_conf(&w);
	conf.node_is_kept = true;
	world_client(&w, &conf);
	control_logout(w.c, w.now);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(w.seen[CONTROL_LOGGED_OUT], 1);
	ck_assert_ptr_nonnull(
	    strstr(world_last(&w, world_is_register)->body, "\"Expiry\":\"1970-01-01T00:02:03Z\""));
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 0);
	world_pass(&w, SPAN_S(500));
	ck_assert_uint_eq(w.n_dials, 1); /* for the logout alone */
	control_logout(w.c, w.now);
	world_run(&w);
	ck_assert_uint_eq(w.n_dials, 1); /* it is done */
	world_fini(&w);
}

TEST(logout_of_a_node_that_never_logged_in_is_done_at_once)
{
	struct world w;

	world_init(&w, 39);
	struct control_conf conf = world_conf(&w);
	world_client(&w, &conf);
	control_logout(w.c, w.now);
	world_run(&w);
	ck_assert_uint_eq(w.seen[CONTROL_LOGGED_OUT], 1);
	ck_assert_uint_eq(w.n_dials, 0);
	world_fini(&w);
}

TEST(stop_hangs_up_and_start_begins_again)
{
	struct world w;

	world_start(&w, 40);
	world_run(&w);
	control_stop(w.c);
	world_pass(&w, SPAN_S(300));
	ck_assert_uint_eq(w.n_hangups, 1);
	ck_assert_uint_eq(w.n_dials, 1);
	ck_assert(mono_is_never(control_deadline(w.c)));
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(a_link_change_retries_at_once_or_probes_the_open_stream)
{
	struct world w;

	world_start(&w, 41);
	world_run(&w);
	control_link_changed(w.c, w.now);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(world_count(&w, world_is_lite), 2);
	ck_assert_uint_eq(w.n_dials, 1); /* it survived */
	w.is_silent = true;
	control_link_changed(w.c, w.now);
	world_pass(&w, SPAN_MS(10100));
	ck_assert_uint_ge(w.n_dials, 2); /* it did not */
	world_fini(&w);

	world_init(&w, 41);
	struct control_conf conf = world_conf(&w);
	w.refuse_dial = "network is unreachable";
	world_connect(&w, &conf);
	world_pass(&w, SPAN_S(600));
	w.refuse_dial = NULL;
	control_link_changed(w.c, w.now);
	world_run(&w);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(no_secret_appears_in_any_text)
{
	static const char auth[] = "hskey-auth-AAAAAAAAAAAA-BBBBBBBBBBBBBBBB";
	struct world w;
	struct control_conf conf;
	char text[KEY_TEXT_MAX];

	world_init(&w, 47);
	conf = world_conf(&w);
	w.handle = bad_key;
	world_client(&w, &conf);
	ck_assert_int_eq(control_set_auth_key(w.c, auth), 0);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(60));
	w.handle = NULL;
	w.key_status = 404;
	world_hang_up(&w, 0);
	world_pass(&w, SPAN_S(60));
	ck_assert_ptr_null(strstr(w.all_troubles, "BBBB"));
	ck_assert_ptr_null(strstr(w.all_troubles, key_priv_text(&w.machine, text) + 8));
	ck_assert_ptr_null(strstr(w.all_troubles, key_priv_text(&w.node, text) + 8));
	ck_assert_ptr_null(strstr(w.login_failed, "SECRETPART"));
	world_fini(&w);
}
