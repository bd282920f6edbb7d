/* ts2021/control_stream_test.c - the client: streaming, servers that are none, handshakes that fail
 */
#include "ts2021/control.h"

#include "tests/ts2021_world.h"
#include "ts2021/control_priv.h"

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
	world_connect(&w, &conf);
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
	world_connect(&w, &conf);
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

	world_init(&w, 10);
	w.first_map = NULL;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(121));
	ck_assert_uint_eq(w.n_dials, 2);
	world_fini(&w);
}

TEST(refused_dials_back_off_to_thirty_seconds_with_jitter_and_say_one_line)
{
	struct world w;
	size_t early;

	world_init(&w, 11);
	w.refuse_dial = "connection refused";
	world_connect(&w, NULL);
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

	world_init(&w, 12);
	w.swallow_dial = true;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_MS(10001));
	ck_assert_uint_eq(w.n_hangups, 1);
	ck_assert_ptr_nonnull(strstr(
	    w.trouble, "cannot reach control control.example:8080: no connection within 8 s"));
	world_fini(&w);
}

static void key_trouble(int status, const char *body, const char *words)
{
	struct world w;

	world_init(&w, 13);
	w.key_status = status;
	w.key_body = body;
	world_connect(&w, NULL);
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
	key_trouble(400, "this port speaks TLS only", "by plain HTTP: write https:// in");
	key_trouble(200, "", "gives no key for capability version 119");
}

TEST(a_server_that_does_not_speak_http_is_named)
{
	struct world w;

	world_init(&w, 14);
	w.is_silent = true;
	world_connect(&w, NULL);
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
	world_connect(&w, &conf);
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
	world_connect(&w, &conf);
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
	world_hang_up(&w, 0);
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
	world_hang_up(&w, 0);
	world_pass(&w, SPAN_S(5));
	ck_assert(is_streaming(&w));
	ck_assert_uint_eq(w.n_keys, 1);
	w.close_handshake = true;
	world_hang_up(&w, 0);
	world_pass(&w, SPAN_S(1));
	ck_assert_uint_ge(w.n_keys, 2);
	world_fini(&w);
}

TEST(unknown_version_at_headscale_is_a_silent_close_and_gets_words)
{
	struct world w;

	world_init(&w, 18);
	w.close_handshake = true;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(5));
	ck_assert_ptr_nonnull(strstr(w.trouble, "does not accept capability version 119"));
	world_fini(&w);
}

TEST(a_response_from_another_than_the_holder_of_the_key_is_refused)
{
	struct world w;

	world_init(&w, 19);
	w.wrong_key_answer = true;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(5));
	ck_assert_ptr_nonnull(strstr(w.trouble, "failed the handshake"));
	ck_assert_uint_eq(w.n_rq, 0);
	world_fini(&w);
}

TEST(a_handshake_without_an_answer_is_given_up)
{
	struct world w;

	world_init(&w, 20);
	w.mute_handshake = true;
	world_connect(&w, NULL);
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
		world_connect(&w, &conf);
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
