/* lib/path/whole_test.c - an address that carries small packets only is neither used nor kept alive
 */
#include "tests/path_fixture.h"

/* Seconds until traffic leaves the address, with small pings answered and large ones as told; 60:
 * it stays */
static int seconds_direct(struct world *w, const struct ipport *ep)
{
	for (int ms = 0; ms < 60000; ms += 100) {
		size_t n = w->n_log;
		struct path_route r = send_to(w, 1);

		if (ip_is_zero(&r.udp.ip))
			return ms / 1000;
		advance(w, 100);
		for (; n < w->n_log; n++)
			if (w->log[n].msg.type == DISCO_PING)
				answer(w, 0, ep, 0);
	}
	return 60;
}

TEST(an_address_that_answers_large_pings_stays)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);

	ck_assert_int_eq(seconds_direct(w, &ep), 60);
	ck_assert_uint_ge(w->n_whole, 6);
	ck_assert_uint_le(w->n_whole, 7); /* one in 9 s */
	world_free(w);
}

TEST(an_address_that_loses_large_pings_only_is_left_and_its_small_pings_stay_unanswered)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);

	w->loses_whole = true;
	ck_assert_int_le(seconds_direct(w, &ep), 6);
	forget_log(w);
	feed_ping(w, 0, &ep, 77);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, &ep), 0);
	feed_ping(w, 0, NULL, 78); /* by the relay it is answered */
	ck_assert_uint_eq(n_derp(w, DISCO_PONG), 1);
	feed_call(w, 0, NULL, &ep, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, &ep), 0); /* nor is it pinged small */
	world_free(w);
}

TEST(the_other_addresses_of_a_narrow_peer_prove_themselves_by_large_pings)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w), two[2] = { ep, at("[2001:db8::2]:2") };
	struct path_route r;

	peer_set(w, 1, 0, two, 2);
	w->loses_whole = true;
	(void)seconds_direct(w, &ep);
	forget_log(w);
	send_to(w, 1);
	ck_assert_uint_eq(n_udp(w, DISCO_PING, NULL), 0);
	ck_assert(ipport_eq(&w->whole.udp, &two[1]));
	feed_ping(w, 0, &two[1], 70); /* not proven yet */
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, NULL), 0);
	feed_pong(w, 0, &two[1], w->whole.msg.txid);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &two[1]));
	world_free(w);
}

TEST(a_large_ping_half_a_minute_later_may_bring_the_address_back)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);
	struct path_route r;
	size_t n;

	w->loses_whole = true;
	(void)seconds_direct(w, &ep);
	w->loses_whole = false;
	n = w->n_whole;
	advance(w, 29000);
	send_to(w, 1);
	ck_assert_uint_eq(w->n_whole, n);
	advance(w, 2000);
	send_to(w, 1);
	ck_assert_uint_eq(w->n_whole, n + 1);
	feed_pong(w, 0, &ep, w->whole.msg.txid);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	forget_log(w);
	feed_ping(w, 0, &ep, 79);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, &ep), 1);
	world_free(w);
}

TEST(a_large_ping_from_a_narrow_address_is_answered)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);
	const uint8_t txid[DISCO_TXID] = { 80 };
	uint8_t plain[DISCO_PLAIN_MAX];
	size_t len;

	w->loses_whole = true;
	(void)seconds_direct(w, &ep);
	forget_log(w);
	len = disco_ping_emit(plain, sizeof plain, txid, &w->r[0].node,
			      1312 - DISCO_OVERHEAD - DISCO_PING_LEN);
	feed_plain(w, 0, &ep, plain, len);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, &ep), 1);
	world_free(w);
}

TEST(a_path_that_is_silent_altogether_is_not_called_narrow)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);

	for (int s = 0; s < 20; s++) {
		send_to(w, 1);
		advance(w, 1000);
	}
	ck_assert_uint_le(w->n_whole, 3);
	forget_log(w);
	feed_ping(w, 0, &ep, 81);
	ck_assert_uint_eq(n_udp(w, DISCO_PONG, &ep), 1);
	world_free(w);
}

TEST(a_changed_link_gives_a_narrow_address_another_chance)
{
	struct world *w = world_new(false);
	struct ipport ep = make_direct(w);
	struct path_route r;

	w->loses_whole = true;
	(void)seconds_direct(w, &ep);
	path_link_changed(w->p, w->now);
	advance(w, 10);
	answer(w, 0, &ep, 1);
	r = send_to(w, 1);
	ck_assert(ipport_eq(&r.udp, &ep));
	world_free(w);
}
