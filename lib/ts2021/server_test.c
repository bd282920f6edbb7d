/* ts2021/server_test.c - the server end: limits, order, abandoned streams, idle clients; the early
 * payload at the client */
#include "ts2021/server.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/harness.h"
#include "ts2021/h2_client.h"
#include "ts2021/h2_server.h"
#include "wire/http1.h"

struct ends {
	struct seed_rng rng;
	struct h2_client c;
	struct ts2021_server *s;
	mono_t now;
	size_t cap; /* of each pull */
};

static void ends_open(struct ends *e)
{
	uint8_t init[NOISE_INIT_LEN], buf[4096];
	struct key_priv control, machine;
	struct key_pub pub, machine_pub;
	struct http1_head head;
	bool ready = false;
	size_t n;

	memset(e, 0, sizeof *e);
	seed_rng_init(&e->rng, 1);
	e->now = (mono_t){ NS_PER_S };
	e->cap = 5000;
	key_gen(&control, &e->rng.rng);
	key_gen(&machine, &e->rng.rng);
	key_public(&pub, &control);
	key_public(&machine_pub, &machine);
	ck_assert_int_eq(h2_client_init(&e->c, 130, &machine, &pub, &e->rng.rng, "x", init), 0);
	e->s = ts2021_server_new(&e->rng.rng, &control, init, e->now);
	ck_assert_ptr_nonnull(e->s);
	ck_assert(key_eq(ts2021_server_machine(e->s), &machine_pub));
	ck_assert_uint_eq(ts2021_server_version(e->s), 130);
	n = ts2021_server_pull(e->s, e->now, buf, sizeof buf);
	http1_response_init(&head, "POST");
	ck_assert_int_eq(http1_head_feed(&head, bytes_of(buf, n)), HTTP1_OK);
	ck_assert_int_eq(head.status, 101);
	ck_assert(h2_client_feed(&e->c, bytes_of(buf + head.len, n - head.len), &ready));
	ck_assert(ready);
}

static void ends_close(struct ends *e)
{
	h2_client_fini(&e->c);
	ts2021_server_free(e->s);
}

/* Everything that can move moves; false: the client's link died */
static bool ends_run(struct ends *e)
{
	uint8_t buf[5000];
	bool moved = true, ready;
	size_t n;

	while (moved) {
		moved = false;
		while ((n = link_pull(&e->c.link, buf, e->cap)) > 0) {
			ts2021_server_feed(e->s, e->now, bytes_of(buf, n));
			moved = true;
		}
		while ((n = ts2021_server_pull(e->s, e->now, buf, e->cap)) > 0) {
			moved = true;
			if (!h2_client_feed(&e->c, bytes_of(buf, n), &ready))
				return false;
		}
	}
	return true;
}

static void ask(struct ends *e, enum h2_slot slot, const char *path, size_t body_len)
{
	struct buf body;

	buf_init(&body, 4 << 20);
	ck_assert_ptr_nonnull(buf_reserve(&body, body_len + 1));
	memset(body.data, 'b', body_len);
	buf_commit(&body, body_len);
	ck_assert_int_eq(h2_client_send(&e->c, slot, "POST", path, NULL, NULL, &body), 0);
}

static bool next_request(struct ends *e, struct ts2021_server_event *ev)
{
	while (ts2021_server_next(e->s, ev))
		if (ev->type == TS2021_REQUEST)
			return true;
	return false;
}

TEST(a_request_body_of_one_mebibyte_passes_and_a_longer_one_gets_413)
{
	struct ts2021_server_event ev;
	struct ends e;

	ends_open(&e);
	ask(&e, H2_REGISTER, "/a", TS2021_BODY_MAX);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	ck_assert_uint_eq(ev.body.len, TS2021_BODY_MAX);
	ck_assert_str_eq(ev.path, "/a");
	ck_assert_int_eq(ts2021_server_answer(e.s, ev.stream, 200, NULL, false), 0);
	ck_assert(ends_run(&e));
	ck_assert_uint_eq(e.c.rq[H2_REGISTER].status, 200);
	ck_assert_int_eq(e.c.rq[H2_REGISTER].phase, H2_ENDED);
	ask(&e, H2_LITE, "/b", TS2021_BODY_MAX + 1);
	ck_assert(ends_run(&e));
	ck_assert(!next_request(&e, &ev));
	ck_assert_uint_eq(e.c.rq[H2_LITE].status, 413);
	ends_close(&e);
}

TEST(bodies_are_held_to_a_lower_limit_when_one_is_set)
{
	struct ts2021_server_event ev;
	struct ends e;

	ends_open(&e);
	ts2021_server_limit(e.s, 1000);
	ask(&e, H2_REGISTER, "/a", 1000);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	ck_assert_uint_eq(ev.body.len, 1000);
	ck_assert_int_eq(ts2021_server_answer(e.s, ev.stream, 200, NULL, false), 0);
	ck_assert(ends_run(&e));
	ck_assert(!next_request(&e, &ev)); /* its body is given back */
	ask(&e, H2_LITE, "/b", 1001);
	ck_assert(ends_run(&e));
	ck_assert(!next_request(&e, &ev));
	ck_assert_uint_eq(e.c.rq[H2_LITE].status, 413);
	ts2021_server_limit(e.s, SIZE_MAX);
	ask(&e, H2_PING, "/c", TS2021_BODY_MAX);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	ends_close(&e);
}

TEST(a_path_at_its_limit_passes_and_a_longer_one_is_refused)
{
	struct ts2021_server_event ev;
	char path[TS2021_PATH_MAX + 1];
	struct ends e;

	ends_open(&e);
	memset(path, '/', sizeof path);
	path[TS2021_PATH_MAX - 1] = 0;
	ask(&e, H2_REGISTER, path, 0);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	path[TS2021_PATH_MAX - 1] = '/';
	path[TS2021_PATH_MAX] = 0;
	ask(&e, H2_LITE, path, 0);
	ck_assert(ends_run(&e));
	ck_assert(!next_request(&e, &ev));
	ck_assert_uint_eq(e.c.rq[H2_LITE].status, 413);
	ends_close(&e);
}

TEST(requests_come_out_in_the_order_in_which_they_were_completed_first)
{
	struct ts2021_server_event ev;
	struct ends e;

	ends_open(&e);
	ask(&e, H2_LITE, "/1", 10);
	ask(&e, H2_MAP, "/2", 10);
	ask(&e, H2_REGISTER, "/3", 10);
	ck_assert(ends_run(&e));
	for (char i = '1'; i <= '3'; i++) {
		ck_assert(next_request(&e, &ev));
		ck_assert_int_eq(ev.path[1], i);
	}
	ends_close(&e);
}

TEST(a_reader_that_does_not_read_fills_its_queue_to_the_limit_and_no_further)
{
	struct ts2021_server_event ev;
	uint8_t *chunk = calloc(1, 1 << 20);
	size_t sent = 0;
	struct ends e;
	int r;

	ends_open(&e);
	ask(&e, H2_MAP, "/m", 0);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	ck_assert_int_eq(ts2021_server_send(e.s, ev.stream, chunk, 1, false),
			 -EINVAL); /* not answered yet */
	ck_assert_int_eq(ts2021_server_answer(e.s, ev.stream, 200, NULL, true), 0);
	ck_assert_int_eq(ts2021_server_answer(e.s, ev.stream, 200, NULL, true), -EINVAL);
	while ((r = ts2021_server_send(e.s, ev.stream, chunk, 1 << 20, false)) == 0) {
		sent += 1 << 20;
		ck_assert(
		    ends_run(&e)); /* as far as the client's window goes: it consumes nothing */
	}
	ck_assert_int_eq(r, -ENOBUFS);
	ck_assert_uint_le(ts2021_server_queued(e.s, ev.stream), TS2021_QUEUE_MAX);
	ck_assert_uint_eq(e.c.rq[H2_MAP].body.len, H2_MAP_WINDOW);
	ck_assert_uint_eq(ts2021_server_queued(e.s, ev.stream), sent - H2_MAP_WINDOW);
	while (ts2021_server_queued(e.s, ev.stream) > 0) { /* consuming opens the window again */
		h2_client_consume(&e.c, H2_MAP, e.c.rq[H2_MAP].body.len);
		ck_assert(ends_run(&e));
	}
	free(chunk);
	ends_close(&e);
}

TEST(what_was_sent_and_has_left_is_told)
{
	struct ts2021_server_event ev;
	struct ends e;

	ends_open(&e);
	ask(&e, H2_MAP, "/m", 0);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	ck_assert_int_eq(ts2021_server_answer(e.s, ev.stream, 200, NULL, true), 0);
	ck_assert_int_eq(ts2021_server_send(e.s, ev.stream, "abc", 3, false), 0);
	ck_assert(!ts2021_server_next(e.s, &ev));
	ck_assert(ends_run(&e));
	ck_assert(ts2021_server_next(e.s, &ev));
	ck_assert_int_eq(ev.type, TS2021_DRAINED);
	ck_assert(!ts2021_server_next(e.s, &ev));
	ends_close(&e);
}

TEST(a_stream_that_the_client_gives_up_is_told_and_then_gone)
{
	struct ts2021_server_event ev;
	struct ends e;
	int32_t id;

	ends_open(&e);
	ask(&e, H2_MAP, "/m", 0);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	id = ev.stream;
	ck_assert_int_eq(ts2021_server_answer(e.s, id, 200, NULL, true), 0);
	ck_assert(ends_run(&e));
	h2_client_drop(&e.c, H2_MAP);
	ck_assert(ends_run(&e));
	ck_assert(ts2021_server_next(e.s, &ev));
	ck_assert_int_eq(ev.type, TS2021_RESET);
	ck_assert_int_eq(ev.stream, id);
	ck_assert_int_eq(ts2021_server_send(e.s, id, "x", 1, false), -ENOENT);
	ends_close(&e);
}

TEST(a_client_that_asks_nothing_is_closed_and_one_with_an_open_stream_is_not)
{
	struct ts2021_server_event ev;
	struct ends e;

	ends_open(&e);
	ck_assert(ends_run(&e));
	ts2021_server_tick(e.s, ts2021_server_deadline(e.s));
	ck_assert(ts2021_server_next(e.s, &ev));
	ck_assert_int_eq(ev.type, TS2021_CLOSED);
	ck_assert(!ts2021_server_next(e.s, &ev)); /* the last event */
	ends_close(&e);

	ends_open(&e);
	ask(&e, H2_MAP, "/m", 0);
	ck_assert(ends_run(&e));
	ck_assert(mono_is_never(ts2021_server_deadline(e.s)));
	ends_close(&e);
}

TEST(a_client_that_leaves_its_whole_answer_unread_is_closed)
{
	static const uint8_t chunk[H2_MAP_WINDOW + 1000];
	struct ts2021_server_event ev;
	struct ends e;

	ends_open(&e);
	ask(&e, H2_MAP, "/m", 0);
	ck_assert(ends_run(&e));
	ck_assert(next_request(&e, &ev));
	ck_assert_int_eq(ts2021_server_answer(e.s, ev.stream, 200, NULL, true), 0);
	ck_assert(ends_run(&e));
	ck_assert(mono_is_never(ts2021_server_deadline(e.s))); /* there is more to come */
	ck_assert_int_eq(ts2021_server_send(e.s, ev.stream, chunk, sizeof chunk, true), 0);
	ck_assert(ends_run(&e)); /* the client consumes nothing */
	ck_assert_uint_gt(ts2021_server_queued(e.s, ev.stream), 0);
	ck_assert(!mono_is_never(ts2021_server_deadline(e.s)));
	ts2021_server_tick(e.s, ts2021_server_deadline(e.s));
	while (ts2021_server_next(e.s, &ev) && ev.type != TS2021_CLOSED)
		;
	ck_assert_int_eq(ev.type, TS2021_CLOSED);
	ends_close(&e);
}

TEST(a_corrupted_or_short_initiation_is_refused)
{
	uint8_t init[NOISE_INIT_LEN];
	struct key_priv control, machine;
	struct key_pub pub;
	struct seed_rng r;
	struct channel ch;

	seed_rng_init(&r, 3);
	key_gen(&control, &r.rng);
	key_gen(&machine, &r.rng);
	key_public(&pub, &control);
	for (size_t i = 0; i < NOISE_INIT_LEN; i++) {
		ck_assert(channel_start(&ch, 116, &machine, &pub, &r.rng, init));
		init[i] ^= 1;
		ck_assert_ptr_null(ts2021_server_new(&r.rng, &control, init, (mono_t){ 1 }));
	}
}

/* --- the early payload at the client --- */

static bool early(const void *plain, size_t len, size_t step)
{
	uint8_t init[NOISE_INIT_LEN], resp[NOISE_RESP_LEN], frame[NOISE_FRAME_MAX];
	struct key_priv control, machine;
	struct key_pub pub, got;
	struct seed_rng r;
	struct channel server;
	struct h2_client c;
	uint16_t version;
	bool ready = false, ok;

	seed_rng_init(&r, 4);
	key_gen(&control, &r.rng);
	key_gen(&machine, &r.rng);
	key_public(&pub, &control);
	ck_assert_int_eq(h2_client_init(&c, 116, &machine, &pub, &r.rng, "x", init), 0);
	ck_assert(channel_accept(&server, &control, init, &r.rng, &version, &got, resp));
	ok = h2_client_feed(&c, bytes_of(resp, sizeof resp), &ready);
	for (size_t i = 0; ok && i < len; i += step) {
		size_t n = len - i < step ? len - i : step;

		ok = h2_client_feed(
		    &c,
		    bytes_of(frame, channel_write(&server, (const uint8_t *)plain + i, n, frame)),
		    &ready);
	}
	while (link_pull(&c.link, frame, sizeof frame) >
	       0) /* a fault is answered by GOAWAY, then it is over */
		;
	ok = ok && !c.link.why;
	h2_client_fini(&c);
	return ok;
}

TEST(early_payload_is_skipped_across_records_of_any_size_and_may_be_absent)
{
	static const char payload[] =
	    "\xff\xff\xffTS\x00\x00\x00\x05hello\x00\x00\x00\x04\x00\x00\x00\x00\x00"; /* then
											  SETTINGS
											*/
	static const char bare[] = "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
	static const char empty[] =
	    "\xff\xff\xffTS\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00";

	for (size_t step = 1; step < sizeof payload; step++) {
		ck_assert(early(payload, sizeof payload - 1, step));
		ck_assert(early(bare, sizeof bare - 1, step));
		ck_assert(early(empty, sizeof empty - 1, step));
	}
}

TEST(early_payload_beyond_its_limit_or_not_quite_the_magic_is_refused)
{
	ck_assert(early("\xff\xff\xffTS\x00\xa0\x00\x00", 9, 9)); /* 10 MiB announced */
	ck_assert(!early("\xff\xff\xffTS\x00\xa0\x00\x01", 9, 9));
	ck_assert(!early("\xff\xff\xffTX\x00\x00\x00\x05hello\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			 23, 23));
}
