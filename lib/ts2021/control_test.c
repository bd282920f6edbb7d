/* ts2021/control_test.c - the client against our server end: in-memory streams in random pieces, on
 * virtual time */
#include "ts2021/control.h"

#include "tests/ts2021_world.h"
#include "ts2021/control_priv.h"

static bool is_streaming(const struct world *w)
{
	struct control_stat st;

	control_stat(w->c, &st);
	return st.streaming && strcmp(st.state, "streaming") == 0;
}

TEST(client_registers_sends_a_lite_update_and_streams)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;

		world_start(&w, seed);
		world_run(&w);
		ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 1);
		ck_assert(w.authorized);
		ck_assert_uint_eq(w.n_rq, 3);
		ck_assert(world_is_register(&w.rq[0]));
		ck_assert(world_is_lite(&w.rq[1]));
		ck_assert(world_is_stream(&w.rq[2]));
		ck_assert_uint_eq(w.frames, 1);
		ck_assert(w.last_is_first);
		ck_assert_str_eq(w.last_map, w.first_map);
		ck_assert(is_streaming(&w));
		ck_assert_uint_eq(w.seen[CONTROL_TROUBLE], 0);
		ck_assert_str_eq(w.dial_host, "control.example");
		ck_assert_uint_eq(w.dial_port, 8080);
		ck_assert(!w.dial_tls);
		world_fini(&w);
	}
}

TEST(key_fetch_and_upgrade_share_a_stream_where_the_server_lets_them)
{
	struct world w;

	world_start(&w, 3);
	world_run(&w);
	ck_assert_uint_eq(w.n_dials, 1);
	world_fini(&w);

	world_init(&w, 3);
	struct control_conf conf = world_conf(&w);
	world_client(&w, &conf);
	w.close_after_key = true;
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	ck_assert_uint_eq(w.n_dials, 2);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(deltas_follow_and_only_the_first_frame_is_marked_as_such)
{
	struct world w;

	world_start(&w, 4);
	world_run(&w);
	for (int i = 0; i < 50; i++) {
		char json[100];

		snprintf(json, sizeof json, "{\"PeersRemoved\":[%d]}", i);
		world_send_map(&w, json);
		world_run(&w);
		ck_assert_str_eq(w.last_map, json);
		ck_assert(!w.last_is_first);
	}
	world_fini(&w);
}

TEST(map_stream_works_as_plain_json_when_no_compression_is_asked_for)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 5);
	conf = world_conf(&w);
	conf.plain_map = true;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	ck_assert(!w.map_zstd);
	ck_assert_str_eq(w.last_map, w.first_map);
	world_fini(&w);
}

TEST(endless_map_stream_never_stalls_on_flow_control)
{
	const size_t len = 3 << 20; /* many times the window */
	char *big = malloc(len + 1);
	struct world w;
	struct control_conf conf;

	world_init(&w, 6);
	for (size_t i = 0; i < len; i++)
		big[i] = (char)('a' + rng_below(&w.rng.rng, 26));
	big[len] = 0;
	conf = world_conf(&w);
	conf.plain_map = true;
	w.max_piece = 4500;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	for (int i = 0; i < 3; i++) {
		world_send_map(&w, big);
		world_run(&w);
		ck_assert_uint_eq(w.frames, (unsigned)i + 2);
		ck_assert(strcmp(w.last_map, big) == 0);
	}
	free(big);
	world_fini(&w);
}

TEST(plain_is_asked_for_after_a_map_larger_than_four_megabytes)
{
	const size_t len = (4 << 20) + 100;
	char *big = malloc(len + 1);
	struct world w;

	memset(big, ' ', len);
	big[len] = 0;
	world_start(&w, 7);
	world_run(&w);
	ck_assert(w.map_zstd);
	world_send_map(&w, big);
	world_run(&w);
	ck_assert_uint_eq(w.frames, 2);
	control_closed(w.c, w.now, 0, "gone");
	world_shut(&w, 0);
	world_pass(&w, SPAN_S(2));
	ck_assert(is_streaming(&w));
	ck_assert(!w.map_zstd);
	free(big);
	world_fini(&w);
}

TEST(a_change_goes_up_in_one_lite_update_and_the_stream_stays)
{
	static const enum control_ep types[] = { CONTROL_EP_LOCAL };
	struct ipport ep = { ip_v4(192, 0, 2, 1), 41641 };
	struct control_netinfo ni = {
		.working_udp = 1, .working_v6 = 0, .varies_by_dest = -1, .home = 7
	};
	struct key_pub disco = { { 9 } };
	struct world w;
	size_t lites;

	world_start(&w, 8);
	world_run(&w);
	lites = world_count(&w, world_is_lite);
	ck_assert_int_eq(control_set_endpoints(w.c, &ep, types, 1), 0);
	control_set_netinfo(w.c, &ni);
	control_set_disco(w.c, &disco);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(world_count(&w, world_is_lite), lites + 1);
	ck_assert_uint_eq(world_count(&w, world_is_stream), 1);
	const char *body = world_last(&w, world_is_lite)->body;
	ck_assert_ptr_nonnull(strstr(body, "\"192.0.2.1:41641\""));
	ck_assert_ptr_nonnull(strstr(body, "\"PreferredDERP\":7"));
	ck_assert_ptr_nonnull(strstr(body, "\"discokey:09"));
	ni.n_latency = 1;
	ni.latency[0].region = 7;
	ni.latency[0].seconds = 0.5;
	control_set_netinfo(w.c, &ni); /* latency jitter alone is not worth a request */
	ck_assert_int_eq(control_set_endpoints(w.c, &ep, types, 1), 0);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(world_count(&w, world_is_lite), lites + 1);
	world_fini(&w);
}

TEST(watchdog_reconnects_after_120_s_without_a_frame)
{
	struct world w;

	world_start(&w, 9);
	world_run(&w);
	world_pass(&w, SPAN_S(100));
	world_send_map(&w, "{\"KeepAlive\":true}");
	world_pass(&w, SPAN_S(119));
	ck_assert_uint_eq(w.n_dials, 1);
	ck_assert(is_streaming(&w));
	world_pass(&w, SPAN_S(2));
	ck_assert_uint_eq(w.n_dials, 2);
	ck_assert(is_streaming(&w));
	ck_assert(w.last_is_first);
	ck_assert_uint_eq(world_count(&w, world_is_register), 1); /* still logged in */
	ck_assert_ptr_nonnull(strstr(w.trouble, "120 s"));
	ck_assert(!w.trouble_now); /* well again */
	world_fini(&w);
}

TEST(watchdog_also_covers_the_wait_for_the_first_frame)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 10);
	w.first_map = NULL;
	conf = world_conf(&w);
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(121));
	ck_assert_uint_eq(w.n_dials, 2);
	world_fini(&w);
}

TEST(refused_dials_back_off_to_thirty_seconds_with_jitter_and_say_one_line)
{
	struct world w;
	struct control_conf conf;
	size_t early;

	world_init(&w, 11);
	conf = world_conf(&w);
	w.refuse_dial = "connection refused";
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(10));
	early = w.n_dials;
	ck_assert_uint_ge(early, 10);
	ck_assert_uint_le(early, 30);
	world_pass(&w, SPAN_S(3600));
	w.n_dials = 0;
	world_pass(&w, SPAN_S(3600));
	ck_assert_uint_ge(w.n_dials, 3600 / 45 - 1);
	ck_assert_uint_le(w.n_dials, 3600 / 15 + 1);
	ck_assert_uint_eq(w.seen[CONTROL_TROUBLE], 1); /* repeated ones are suppressed */
	ck_assert_str_eq(w.trouble,
			 "cannot reach control control.example:8080: connection refused");
	w.refuse_dial = NULL;
	world_pass(&w, SPAN_S(60));
	ck_assert(is_streaming(&w));
	ck_assert(!w.trouble_now);
	world_fini(&w);
}

TEST(a_dial_that_hangs_is_given_up_in_time_and_said)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 12);
	conf = world_conf(&w);
	w.swallow_dial = true;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_MS(10001));
	ck_assert_uint_eq(w.n_hangups, 1);
	ck_assert_ptr_nonnull(strstr(
	    w.trouble, "cannot reach control control.example:8080: no connection within 8 s"));
	world_fini(&w);
}

static void key_trouble(int status, const char *body, const char *words)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 13);
	conf = world_conf(&w);
	w.key_status = status;
	w.key_body = body;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(10));
	ck_assert_uint_eq(w.seen[CONTROL_TROUBLE], 1);
	ck_assert_msg(strstr(w.trouble, words) != NULL, "%s", w.trouble);
	ck_assert_ptr_nonnull(strstr(w.trouble, "control.example:8080"));
	ck_assert_uint_eq(w.n_upgrades, 0);
	ck_assert_uint_le(w.n_dials, 2); /* no storm */
	world_fini(&w);
}

TEST(wrong_servers_are_named_in_one_line_within_ten_seconds)
{
	key_trouble(404, "not found", "answers 404 to /key");
	key_trouble(200, "<html>welcome</html>", "does not answer /key as a control server");
	key_trouble(200, "{\"publicKey\":\"nonsense\"}",
		    "does not answer /key as a control server");
	key_trouble(502, "bad gateway", "answers status 502 to /key");
	key_trouble(200, "", "gives no key for capability version 119");
}

TEST(a_server_that_does_not_speak_http_is_named)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 14);
	conf = world_conf(&w);
	w.is_silent = true;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	ck_assert(buf_append(&w.wire[0].down, "SSH-2.0-x\r\n\r\n", 13));
	world_run(&w);
	ck_assert_ptr_nonnull(strstr(w.trouble, "does not speak HTTP"));
	world_fini(&w);
}

TEST(a_pinned_key_that_differs_is_refused)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 15);
	conf = world_conf(&w);
	conf.pinned = (struct key_pub){ { 1, 2, 3 } };
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(60));
	ck_assert_ptr_nonnull(strstr(w.trouble, "is pinned: refused"));
	ck_assert_uint_eq(w.n_upgrades, 0);
	ck_assert_uint_eq(w.n_rq, 0);
	world_fini(&w);
}

TEST(a_pinned_key_that_matches_is_taken)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 15);
	conf = world_conf(&w);
	key_public(&conf.pinned, &w.control_key);
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(a_control_key_that_changes_under_a_running_node_is_refused_after_a_new_key_fetch)
{
	struct world w;
	struct key_priv old;

	world_start(&w, 16);
	world_run(&w);
	old = w.control_key;
	key_gen(&w.control_key, &w.rng.rng);
	world_shut(&w, 0);
	control_closed(w.c, w.now, 0, NULL);
	world_pass(&w, SPAN_S(100));
	ck_assert_uint_ge(w.n_keys, 2); /* fetched anew after the failed handshake */
	ck_assert_ptr_nonnull(strstr(w.trouble, "changed its key"));
	ck_assert_ptr_nonnull(strstr(w.all_troubles, "during the handshake"));
	ck_assert_uint_eq(w.frames, 1);
	ck_assert_uint_eq(world_count(&w, world_is_stream), 1);
	w.control_key = old;
	world_pass(&w, SPAN_S(60));
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(key_is_fetched_again_after_a_failed_handshake_but_not_at_each_reconnect)
{
	struct world w;

	world_start(&w, 17);
	world_run(&w);
	ck_assert_uint_eq(w.n_keys, 1);
	world_shut(&w, 0);
	control_closed(w.c, w.now, 0, NULL);
	world_pass(&w, SPAN_S(5));
	ck_assert(is_streaming(&w));
	ck_assert_uint_eq(w.n_keys, 1);
	w.close_handshake = true;
	world_shut(&w, 0);
	control_closed(w.c, w.now, 0, NULL);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_ge(w.n_keys, 2);
	world_fini(&w);
}

TEST(unknown_version_at_headscale_is_a_silent_close_and_gets_words)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 18);
	conf = world_conf(&w);
	w.close_handshake = true;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(5));
	ck_assert_ptr_nonnull(strstr(w.trouble, "does not accept capability version 119"));
	world_fini(&w);
}

TEST(a_response_from_another_than_the_holder_of_the_key_is_refused)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 19);
	conf = world_conf(&w);
	w.wrong_key_answer = true;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(5));
	ck_assert_ptr_nonnull(strstr(w.trouble, "failed the handshake"));
	ck_assert_uint_eq(w.n_rq, 0);
	world_fini(&w);
}

TEST(a_handshake_without_an_answer_is_given_up)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 20);
	conf = world_conf(&w);
	w.mute_handshake = true;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_MS(10500));
	ck_assert_ptr_nonnull(strstr(w.trouble, "does not answer the handshake within 8 s"));
	world_fini(&w);
}

TEST(one_flipped_bit_kills_the_connection_and_a_torn_frame_ends_in_abort)
{
	char *big = malloc(200001);
	unsigned aborts = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;

		world_init(&w, seed);
		for (size_t i = 0; i < 200000; i++)
			big[i] = (char)('a' + rng_below(&w.rng.rng, 26));
		big[200000] = 0;
		struct control_conf conf = world_conf(&w);
		conf.plain_map = true;
		world_client(&w, &conf);
		control_start(w.c, w.now, w.wall);
		world_run(&w);
		ck_assert_uint_eq(w.frames, 1);
		world_send_map(&w, big);
		w.flip_down = 1 + (size_t)rng_below(&w.rng.rng, 190000);
		world_run(&w);
		ck_assert_uint_eq(w.frames, 1); /* nothing partial counts */
		ck_assert_uint_eq(w.n_hangups, 1);
		ck_assert_ptr_nonnull(
		    strstr(w.trouble, "connection to control control.example:8080 given up"));
		ck_assert_uint_eq(w.seen[CONTROL_MAP_BEGIN],
				  w.seen[CONTROL_MAP_END] + w.seen[CONTROL_MAP_ABORT]);
		aborts += w.seen[CONTROL_MAP_ABORT];
		world_pass(&w, SPAN_S(2));
		ck_assert(is_streaming(&w));
		ck_assert(w.last_is_first);
		world_fini(&w);
	}
	ck_assert_uint_gt(aborts, 10);
	free(big);
}

TEST(a_stream_cut_inside_a_frame_ends_in_abort)
{
	struct world w;

	world_start(&w, 21);
	world_run(&w);
	world_send_raw(&w, "\x20\x00\x00\x00\x28\xb5", 6);
	world_run(&w);
	ck_assert_uint_eq(w.seen[CONTROL_MAP_BEGIN], 2);
	ck_assert_uint_eq(w.seen[CONTROL_MAP_ABORT], 0);
	world_shut(&w, 0);
	control_closed(w.c, w.now, 0, "reset by peer");
	world_run(&w);
	ck_assert_uint_eq(w.seen[CONTROL_MAP_ABORT], 1);
	ck_assert_str_eq(w.trouble,
			 "connection to control control.example:8080 lost: reset by peer");
	world_fini(&w);
}

TEST(a_malformed_map_is_dropped_and_asked_for_again)
{
	struct world w;

	world_start(&w, 22);
	world_run(&w);
	world_send_raw(&w, "\x08\x00\x00\x00not zstd", 12);
	world_pass(&w, SPAN_S(2));
	ck_assert_uint_eq(w.seen[CONTROL_MAP_ABORT], 1);
	ck_assert_ptr_nonnull(strstr(w.trouble, "map that cannot be read: malformed zstd"));
	ck_assert_uint_eq(world_count(&w, world_is_stream), 2);
	ck_assert(is_streaming(&w));
	ck_assert_uint_eq(w.n_dials, 1); /* the connection is good */
	world_fini(&w);
}

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
	struct control_conf conf;

	world_init(&w, 23);
	conf = world_conf(&w);
	w.handle = map_404_once;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 2);
	ck_assert(is_streaming(&w));
	ck_assert_ptr_nonnull(strstr(w.all_troubles, "registering again"));
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
	struct control_conf conf;
	struct key_pub first, second;
	char text[KEY_TEXT_MAX];

	world_init(&w, 26);
	conf = world_conf(&w);
	w.handle = expired_once;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
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
	struct control_conf conf;

	world_init(&w, 27);
	conf = world_conf(&w);
	w.handle = expired_always;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
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
	struct control_conf conf;
	char text[KEY_TEXT_MAX];
	struct key_pub pub;

	world_init(&w, 29);
	conf = world_conf(&w);
	w.handle = interactive;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
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
	struct control_conf conf;

	world_init(&w, 30);
	conf = world_conf(&w);
	w.handle = interactive;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
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

TEST(a_deleted_node_without_an_auth_key_says_that_it_needs_a_login)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 31);
	conf = world_conf(&w);
	w.handle = gone_for_good;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
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
	struct control_conf conf;

	world_init(&w, 35);
	conf = world_conf(&w);
	w.handle = busy_once;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
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
	struct control_conf conf;

	world_init(&w, 36);
	conf = world_conf(&w);
	w.handle = unauthorized;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
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
	world_shut(&w, 0);
	control_closed(w.c, w.now, 0, NULL);
	control_logout(w.c, w.now);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(w.seen[CONTROL_LOGGED_OUT], 1);
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
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(600));
	w.refuse_dial = NULL;
	control_link_changed(w.c, w.now);
	world_run(&w);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

/* --- pings --- */

TEST(a_head_ping_over_plain_http_is_answered_at_once_and_repeats_are_ignored)
{
	static const char ping[] =
	    "{\"URL\":\"http://pings.example:9/machine/ping-response?id=7\",\"Types\":\"\"}";
	struct world w;
	size_t n;

	world_start(&w, 42);
	world_run(&w);
	n = w.n_rq;
	for (int i = 0; i < 3; i++)
		control_ping_request(w.c, w.now, bytes_str(ping), NULL);
	world_run(&w);
	ck_assert_uint_eq(w.n_plain_heads, 1);
	ck_assert_str_eq(w.rq[n].path, "/machine/ping-response?id=7");
	ck_assert_str_eq(w.dial_host, "pings.example");
	ck_assert_uint_eq(w.dial_port, 9);
	ck_assert_uint_eq(w.n_hangups, 1);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(a_head_ping_over_noise_goes_through_the_open_connection)
{
	struct world w;

	world_start(&w, 43);
	world_run(&w);
	control_ping_request(
	    w.c, w.now,
	    bytes_str("{\"URL\":\"https://unused/machine/pingme\",\"URLIsNoise\":true}"), NULL);
	world_run(&w);
	ck_assert_str_eq(w.rq[w.n_rq - 1].method, "HEAD");
	ck_assert_str_eq(w.rq[w.n_rq - 1].path, "/machine/pingme");
	ck_assert_uint_eq(w.n_dials, 1);
	world_fini(&w);
}

TEST(c2n_echo_is_posted_back_over_noise_and_an_unknown_path_gets_400)
{
	static const char echo[] =
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
	static const char other[] = "GET /debug/goroutines HTTP/1.1\r\nHost: x\r\n\r\n";
	char b64[200], json[400];
	struct world w;

	world_start(&w, 44);
	world_run(&w);
	base64_emit((const uint8_t *)echo, sizeof echo - 1, BASE64_STD, b64);
	snprintf(json, sizeof json,
		 "{\"URL\":\"https://unused/c2n/1\",\"Types\":\"c2n\",\"Payload\":\"%s\"}", b64);
	control_ping_request(w.c, w.now, bytes_str(json), NULL);
	world_run(&w);
	ck_assert_str_eq(w.rq[w.n_rq - 1].method, "POST");
	ck_assert_str_eq(w.rq[w.n_rq - 1].path, "/c2n/1");
	ck_assert_int_eq(strncmp(w.rq[w.n_rq - 1].body, "HTTP/1.1 200 OK\r\n", 17), 0);
	ck_assert_ptr_nonnull(strstr(w.rq[w.n_rq - 1].body, "\r\n\r\nhello"));
	base64_emit((const uint8_t *)other, sizeof other - 1, BASE64_STD, b64);
	snprintf(json, sizeof json,
		 "{\"URL\":\"https://unused/c2n/2\",\"Types\":\"c2n\",\"Payload\":\"%s\"}", b64);
	control_ping_request(w.c, w.now, bytes_str(json), NULL);
	world_run(&w);
	ck_assert_int_eq(strncmp(w.rq[w.n_rq - 1].body, "HTTP/1.1 400 ", 13), 0);
	ck_assert_ptr_nonnull(strstr(w.rq[w.n_rq - 1].body, "unknown c2n path"));
	world_fini(&w);
}

TEST(a_plain_ping_without_an_answer_frees_its_slot_after_fifteen_seconds)
{
	struct world w;
	char json[100];

	world_start(&w, 45);
	world_run(&w);
	w.swallow_dial = true;
	for (int i = 0; i < 10; i++) {
		snprintf(json, sizeof json, "{\"URL\":\"http://pings.example/%d\"}", i);
		control_ping_request(w.c, w.now, bytes_str(json), NULL);
	}
	world_run(&w);
	ck_assert_uint_eq(w.n_dials, CONTROL_CONNS); /* the rest is dropped */
	world_send_map(&w, "{\"KeepAlive\":true}");
	world_pass(&w, SPAN_S(16));
	ck_assert_uint_eq(w.n_hangups, CONTROL_CONNS - 1);
	w.swallow_dial = false;
	control_ping_request(w.c, w.now, bytes_str("{\"URL\":\"http://pings.example/again\"}"),
			     NULL);
	world_run(&w);
	ck_assert_uint_eq(w.n_plain_heads, 1);
	world_fini(&w);
}

/* --- the rest --- */

TEST(a_bad_url_is_refused_with_words)
{
	static const char *const bad[] = {
		"",           "control.example", "ftp://x",        "http://",
		"http://a b", "http://x/path",   "http://x:99999", "http://u:p@x"
	};
	struct world w;
	struct control_conf conf;
	struct err e;

	world_init(&w, 46);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		conf = world_conf(&w);
		conf.url = bad[i];
		e = (struct err){ 0 };
		ck_assert_msg(!control_new(&conf, &e), "%s", bad[i]);
		ck_assert_ptr_nonnull(strstr(e.text, "login server"));
	}
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
	world_shut(&w, 0);
	control_closed(w.c, w.now, 0, NULL);
	world_pass(&w, SPAN_S(60));
	ck_assert_ptr_null(strstr(w.all_troubles, "BBBB"));
	ck_assert_ptr_null(strstr(w.all_troubles, key_priv_text(&w.machine, text) + 8));
	ck_assert_ptr_null(strstr(w.all_troubles, key_priv_text(&w.node, text) + 8));
	ck_assert_ptr_null(strstr(w.login_failed, "SECRETPART"));
	world_fini(&w);
}

/* --- answers that go wrong --- */

TEST(bytes_behind_the_101_head_are_noise_already)
{
	struct control_event ev;
	struct world w;
	uint8_t all[8192];
	size_t n;

	world_start(&w, 48);
	while (w.n_upgrades == 0) { /* one step at a time, until the server answered the upgrade */
		world_drain(&w);
		world_serve(&w, 0);
		if (w.n_upgrades == 0)
			world_hear(&w, 0);
	}
	while (world_serve(&w, 0))
		;
	n = w.wire[0].down.len;
	ck_assert_uint_gt(n, NOISE_RESP_LEN + 100); /* head, response and early payload */
	ck_assert_uint_le(n, sizeof all);
	memcpy(all, buf_bytes(&w.wire[0].down).data, n);
	buf_clear(&w.wire[0].down);
	control_feed(w.c, w.now, w.wall, 0, bytes_of(all, n)); /* all in one read */
	while (control_next(w.c, &ev))
		world_event(&w, &ev);
	world_run(&w);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

static bool lite_500_thrice(struct world *w, const struct world_request *rq)
{
	if (!world_is_lite(rq) || world_count(w, world_is_lite) > 3)
		return false;
	world_answer(w, rq, 500, "database is locked");
	return true;
}

TEST(a_failed_lite_update_is_repeated_after_a_while_and_the_stream_stays)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 49);
	conf = world_conf(&w);
	w.handle = lite_500_thrice;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(2));
	ck_assert_uint_eq(world_count(&w, world_is_lite), 4);
	ck_assert_uint_eq(world_count(&w, world_is_stream), 1);
	ck_assert_uint_eq(w.n_dials, 1);
	world_fini(&w);
}

static bool lite_never(struct world *w, const struct world_request *rq)
{
	return world_is_lite(rq) && world_count(w, world_is_lite) == 1;
}

TEST(a_lite_update_without_an_answer_is_the_end_of_the_connection)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 50);
	conf = world_conf(&w);
	w.handle = lite_never;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(35));
	ck_assert_uint_eq(w.n_dials, 2);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

static bool map_500(struct world *w, const struct world_request *rq)
{
	if (!world_is_stream(rq))
		return false;
	world_answer(w, rq, 500, "something\nis wrong");
	return true;
}

TEST(a_map_that_is_refused_backs_off_and_gives_the_servers_words)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 51);
	conf = world_conf(&w);
	w.handle = map_500;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(60));
	ck_assert_str_eq(
	    w.trouble,
	    "control control.example:8080 refuses the map, status 500: something is wrong");
	ck_assert_uint_ge(world_count(&w, world_is_stream), 15);
	ck_assert_uint_le(world_count(&w, world_is_stream), 40);
	ck_assert_uint_eq(w.n_dials, 1);
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 1);
	world_fini(&w);
}

static bool register_huge(struct world *w, const struct world_request *rq)
{
	char *body;

	if (!world_is_register(rq) || world_count(w, world_is_register) > 1)
		return false;
	body = calloc(1, H2_BODY_MAX + 2);
	memset(body, ' ', H2_BODY_MAX + 1);
	world_answer(w, rq, 200, body);
	free(body);
	return true;
}

TEST(a_register_answer_longer_than_one_mebibyte_is_given_up_and_asked_again)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 52);
	conf = world_conf(&w);
	w.handle = register_huge;
	w.max_piece = 4500;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(2));
	ck_assert_ptr_nonnull(strstr(w.all_troubles, "broke off while registering"));
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

static bool register_never(struct world *w, const struct world_request *rq)
{
	return world_is_register(rq) && world_count(w, world_is_register) == 1;
}

TEST(a_register_request_without_an_answer_ends_after_sixty_seconds)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 53);
	conf = world_conf(&w);
	w.handle = register_never;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_pass(&w, SPAN_S(59));
	ck_assert_uint_eq(w.n_dials, 1);
	world_pass(&w, SPAN_S(2));
	ck_assert_uint_eq(w.n_dials, 2);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(a_map_stream_that_the_server_ends_is_asked_for_again_on_the_same_connection)
{
	struct world w;

	world_start(&w, 54);
	world_run(&w);
	ck_assert_int_eq(ts2021_server_send(w.wire[0].s, w.map_stream, "", 0, true), 0);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_eq(world_count(&w, world_is_stream), 2);
	ck_assert_uint_eq(w.n_dials, 1);
	ck_assert(w.last_is_first);
	ck_assert_ptr_nonnull(strstr(w.all_troubles, "ended the map stream"));
	world_fini(&w);
}

/* The last frame and the end of the stream come together: the frame counts. */
TEST(a_frame_that_comes_with_the_end_of_the_stream_is_delivered)
{
	for (int plain = 0; plain < 2; plain++) {
		struct world w;
		struct control_conf conf;

		world_init(&w, 55);
		conf = world_conf(&w);
		conf.plain_map = plain;
		world_client(&w, &conf);
		control_start(w.c, w.now, w.wall);
		world_run(&w);
		world_send_map(&w, "{\"PeersRemoved\":[4]}");
		ck_assert_int_eq(ts2021_server_send(w.wire[0].s, w.map_stream, "", 0, true), 0);
		w.first_map = NULL;
		world_pass(&w, SPAN_S(1));
		ck_assert_str_eq(w.last_map, "{\"PeersRemoved\":[4]}");
		ck_assert_uint_eq(w.seen[CONTROL_MAP_ABORT], 0);
		world_fini(&w);
	}
}

TEST(a_new_node_key_is_handed_out_only_when_it_is_registered)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 56);
	conf = world_conf(&w);
	w.handle = register_never;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	control_login(w.c, w.now, true);
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 0);
	w.handle = NULL;
	world_run(&w);
	ck_assert_uint_eq(w.seen[CONTROL_REGISTERED], 1);
	ck_assert(memcmp(&w.node_key, &w.node, sizeof w.node) != 0);
	world_fini(&w);
}

/* Any order of what a caller may do, with dials that fail or hang, servers that stop answering,
 * bits that flip and time that passes: afterwards, left alone, it streams. */
TEST(after_any_disorder_the_client_streams_again)
{
	for (uint64_t seed = 100; seed < 160; seed++) {
		struct world w;
		struct control_conf conf;

		world_init(&w, seed);
		conf = world_conf(&w);
		conf.plain_map = seed & 1;
		world_client(&w, &conf);
		control_start(w.c, w.now, w.wall);
		for (int step = 0; step < 40; step++) {
			struct control_hostinfo hi = { .hostname = step & 1 ? "a" : "b" };

			switch (rng_below(&w.rng.rng, 14)) {
			case 0:
				w.refuse_dial = w.refuse_dial ? NULL : "refused";
				break;
			case 1:
				w.swallow_dial = !w.swallow_dial;
				break;
			case 2:
				w.is_silent = !w.is_silent;
				break;
			case 3:
				w.flip_down = 1 + (size_t)rng_below(&w.rng.rng, 500);
				break;
			case 4:
				if (w.wire[0].is_open) {
					world_shut(&w, 0);
					control_closed(w.c, w.now, 0,
						       rng_below(&w.rng.rng, 2) ? "reset" : NULL);
				}
				break;
			case 5:
				control_link_changed(w.c, w.now);
				break;
			case 6:
				control_login(w.c, w.now, rng_below(&w.rng.rng, 2));
				break;
			case 7:
				ck_assert_int_eq(control_set_hostinfo(w.c, &hi), 0);
				break;
			case 8:
				w.close_handshake = !w.close_handshake;
				break;
			case 9:
				w.close_after_key = !w.close_after_key;
				break;
			case 10:
				control_stop(w.c);
				world_drain(&w);
				control_start(w.c, w.now, w.wall);
				break;
			case 11:
				control_ping_request(w.c, w.now,
						     bytes_str("{\"URL\":\"http://p.example/x\"}"),
						     NULL);
				break;
			default:
				world_pass(&w, SPAN_MS(rng_below(&w.rng.rng, 50000)));
				break;
			}
		}
		w.refuse_dial = NULL;
		w.swallow_dial = w.is_silent = w.close_handshake = w.close_after_key = false;
		w.flip_down = 0;
		world_pass(&w, SPAN_S(300));
		ck_assert_msg(w.frames > 0 && w.map_stream >= 0, "seed %llu",
			      (unsigned long long)seed);
		ck_assert_uint_eq(w.seen[CONTROL_MAP_BEGIN],
				  w.seen[CONTROL_MAP_END] + w.seen[CONTROL_MAP_ABORT]);
		world_send_map(&w, "{\"PeersRemoved\":[9]}");
		world_run(&w);
		ck_assert_str_eq(w.last_map, "{\"PeersRemoved\":[9]}");
		world_fini(&w);
	}
}
