/* ts2021/control_answers_test.c - the client: pings, and answers that go wrong */
#include "ts2021/control.h"

#include "tests/ts2021_world.h"
#include "ts2021/control_priv.h"

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

	world_init(&w, 49);
	w.handle = lite_500_thrice;
	world_connect(&w, NULL);
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

	world_init(&w, 50);
	w.handle = lite_never;
	world_connect(&w, NULL);
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

	world_init(&w, 51);
	w.handle = map_500;
	world_connect(&w, NULL);
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

/* The head of an answer; its Retry-After is put where it is read, since no server of ours sends one
 */
static bool head_only(struct world *w, const struct world_request *rq, unsigned status)
{
	ck_assert_int_eq(
	    ts2021_server_answer(w->wire[rq->conn].s, rq->stream, status, "text/plain", true), 0);
	w->map_stream = rq->stream;
	return true;
}

static bool map_503_once(struct world *w, const struct world_request *rq)
{
	return world_is_stream(rq) && world_count(w, world_is_stream) == 1 && head_only(w, rq, 503);
}

static bool register_500_once(struct world *w, const struct world_request *rq)
{
	return world_is_register(rq) && world_count(w, world_is_register) == 1 &&
	       head_only(w, rq, 500);
}

TEST(retry_after_is_obeyed_whatever_the_status)
{
	for (int of_map = 0; of_map < 2; of_map++) {
		struct world w;

		world_init(&w, 57);
		w.handle = of_map ? map_503_once : register_500_once;
		world_connect(&w, NULL);
		world_run(&w);
		memcpy(w.c->h2->rq[of_map ? H2_MAP : H2_REGISTER].retry_after, "120", sizeof "120");
		ck_assert_int_eq(ts2021_server_send(w.wire[0].s, w.map_stream, "busy", 4, true), 0);
		world_pass(&w, SPAN_S(119));
		ck_assert_uint_eq(world_count(&w, of_map ? world_is_stream : world_is_register), 1);
		world_pass(&w, SPAN_S(2));
		ck_assert(is_streaming(&w));
		world_fini(&w);
	}
}

enum silence { AT_KEY, AT_UPGRADE, AT_HANDSHAKE, AT_REGISTER, AT_STREAM };
static enum silence silent_at;

static bool falls_silent(struct world *w, const struct world_request *rq)
{
	(void)w;
	return (silent_at == AT_REGISTER && world_is_register(rq)) ||
	       (silent_at == AT_STREAM && world_is_stream(rq));
}

/* What it began to say counts as silence too: a byte now and then gains no time. */
static void trickle(struct world *w)
{
	static const char key[] = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n        ";
	static size_t n;

	if (silent_at == AT_KEY && w->wire[0].is_open && n < sizeof key - 1)
		ck_assert(buf_append(&w->wire[0].down, &key[n++], 1));
}

TEST(a_server_that_falls_silent_at_any_step_is_given_up_in_that_steps_time)
{
	static const int64_t seconds[] = { [AT_KEY] = CONTROL_ANSWER_S,
					   [AT_UPGRADE] = CONTROL_ANSWER_S,
					   [AT_HANDSHAKE] = CONTROL_ANSWER_S,
					   [AT_REGISTER] = CONTROL_REGISTER_S,
					   [AT_STREAM] = CONTROL_WATCHDOG_S };

	for (silent_at = AT_KEY; silent_at <= AT_STREAM; silent_at++) {
		struct world w;

		world_init(&w, 59);
		w.is_silent = silent_at == AT_KEY;
		w.mute_handshake = silent_at == AT_UPGRADE || silent_at == AT_HANDSHAKE;
		w.handle = falls_silent;
		world_connect(&w, NULL);
		world_run(&w);
		if (silent_at == AT_HANDSHAKE)
			ck_assert(upgrade_answer_emit(&w.wire[0].down));
		for (int64_t s = 0; s < seconds[silent_at]; s++) {
			ck_assert_msg(w.n_hangups == 0, "step %d: given up after %d s",
				      (int)silent_at, (int)s);
			trickle(&w);
			world_pass(&w, SPAN_S(1));
		}
		ck_assert_msg(w.n_hangups == 1, "step %d: not given up", (int)silent_at);
		world_pass(&w, SPAN_S(3600));
		ck_assert_uint_le(w.n_dials, 3600 / 8);
		w.is_silent = w.mute_handshake = false;
		w.handle = NULL;
		world_pass(&w, SPAN_S(180));
		ck_assert_msg(is_streaming(&w), "step %d: no recovery", (int)silent_at);
		world_fini(&w);
	}
}

static bool ends_each_stream(struct world *w, const struct world_request *rq)
{
	if (!world_is_stream(rq))
		return false;
	world_open_stream(w, rq);
	ck_assert_int_eq(ts2021_server_send(w->wire[rq->conn].s, rq->stream, "", 0, true), 0);
	return true;
}

static bool hangs_up_on_each_stream(struct world *w, const struct world_request *rq)
{
	if (!world_is_stream(rq))
		return false;
	world_open_stream(w, rq);
	w->wire[rq->conn].is_closed_by_server = true;
	return true;
}

static void is_asked_ever_more_seldom(bool (*handle)(struct world *, const struct world_request *),
				      bool with_map)
{
	struct world w;
	const char *map;
	size_t n;

	world_init(&w, 58);
	map = w.first_map;
	w.first_map = with_map ? map : NULL;
	w.handle = handle;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(600));
	n = world_count(&w, world_is_stream);
	ck_assert_msg(n >= 30 && n <= 100, "%zu streams in ten minutes", n);
	ck_assert_uint_eq(w.frames, with_map ? n : 0);
	w.handle = NULL; /* well again: a stream that lives makes the next end a first failure */
	w.first_map = map;
	world_pass(&w, SPAN_S(60));
	for (int i = 0; i < 20; i++) { /* as a proxy ends it every half minute */
		ck_assert(is_streaming(&w));
		n = world_count(&w, world_is_stream);
		ck_assert_int_eq(ts2021_server_send(w.wire[0].s, w.map_stream, "", 0, true), 0);
		world_pass(&w, SPAN_MS(100));
		ck_assert_uint_eq(world_count(&w, world_is_stream), n + 1);
		world_pass(&w, SPAN_S(30));
	}
	world_fini(&w);
}

TEST(a_server_that_ends_each_stream_is_asked_ever_more_seldom_even_if_it_sends_good_maps)
{
	is_asked_ever_more_seldom(ends_each_stream, true);
	is_asked_ever_more_seldom(ends_each_stream, false);
	is_asked_ever_more_seldom(hangs_up_on_each_stream, true);
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

	world_init(&w, 52);
	w.handle = register_huge;
	w.max_piece = 4500;
	world_connect(&w, NULL);
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

	world_init(&w, 53);
	w.handle = register_never;
	world_connect(&w, NULL);
	world_pass(&w, SPAN_S(59));
	ck_assert_uint_eq(w.n_dials, 1);
	world_pass(&w, SPAN_S(2));
	ck_assert_uint_eq(w.n_dials, 2);
	ck_assert(is_streaming(&w));
	world_fini(&w);
}

TEST(a_hang_up_in_place_of_the_key_asks_whether_https_was_meant_when_the_url_has_http)
{
	struct world w;
	struct control_conf conf;

	world_init(&w, 77);
	conf = world_conf(&w);
	w.swallow_dial = true;
	world_client(&w, &conf);
	control_start(w.c, w.now, w.wall);
	world_run(&w);
	control_opened(w.c, w.now, 0);
	world_run(&w);
	control_closed(w.c, w.now, 0, NULL);
	world_run(&w);
	ck_assert_msg(strstr(w.trouble, "instead of answering /key: check the login server URL "
					"(http:// where https:// is spoken?)") != NULL,
		      "%s", w.trouble);
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
		world_connect(&w, &conf);
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

	world_init(&w, 56);
	w.handle = register_never;
	world_connect(&w, NULL);
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
		world_connect(&w, &conf);
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
