/* path/netcheck_test.c - rounds, early stop, home with hysteresis (data-plane.md 3.6, 4.2), against
 * relays in memory */
#include "path/netcheck.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/harness.h"
#include "wire/stun.h"

enum { RELAYS = 8, PENDING = 2048 };

struct relay {
	int64_t rtt_ms;    /* 0: dead */
	uint16_t nat_port; /* what it sees of us; 0: 41641 */
	int lose;          /* probes still to be lost */
	size_t n_v4, n_v6; /* probes received */
};
struct answer {
	mono_t at;
	struct ipport from;
	uint8_t data[STUN_ANSWER_MAX];
	size_t len;
};
struct world {
	struct seed_rng rng;
	struct netcheck *nc;
	mono_t now;
	struct relay r[RELAYS];
	struct netcheck_region map[RELAYS];
	size_t n;
	struct answer pending[PENDING];
	size_t n_pending;
	bool v6_works;
	int64_t https_ms[RELAYS]; /* 0: fails */
	size_t n_names, n_https, n_done, n_sent;
	mono_t sent_at[PENDING];
};

static struct ip relay_ip(size_t i, bool v6)
{
	return v6 ? (struct ip){ { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)(i + 1) } }
		  : ip_v4(192, 0, 2, (uint8_t)(i + 1));
}

static struct world *world_new(const int64_t *rtt_ms, size_t n)
{
	struct world *w = calloc(1, sizeof *w);

	ck_assert_ptr_nonnull(w);
	seed_rng_init(&w->rng, 3);
	w->nc = netcheck_new(&w->rng.rng);
	ck_assert_ptr_nonnull(w->nc);
	w->now = (mono_t){ 5000 * NS_PER_S };
	w->n = n;
	for (size_t i = 0; i < n; i++) {
		struct netcheck_region *r = &w->map[i];

		w->r[i].rtt_ms = rtt_ms[i];
		*r = (struct netcheck_region){ .id = (uint16_t)(i + 1), .score = 1, .n_nodes = 1 };
		r->nodes[0].v4 = relay_ip(i, false);
		r->nodes[0].v6 = relay_ip(i, true);
		r->nodes[0].stun_port = 3478;
	}
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, n), 0);
	netcheck_set_families(w->nc, true, false);
	return w;
}

static void world_free(struct world *w)
{
	netcheck_free(w->nc);
	free(w);
}

static void relay_gets(struct world *w, const struct netcheck_want *want)
{
	bool v6 = !ip_is_v4(&want->to.ip);
	size_t i = want->to.ip.b[15] - 1U;
	struct ipport me = { ip_v4(203, 0, 113, 1), 41641 };
	uint8_t txid[STUN_TXID];
	struct answer *a;

	ck_assert_uint_lt(i, w->n);
	ck_assert_uint_eq(want->to.port, 3478);
	ck_assert_int_eq(stun_request_parse(want->data, want->len, txid), STUN_OK);
	w->sent_at[w->n_sent++] = w->now;
	*(v6 ? &w->r[i].n_v6 : &w->r[i].n_v4) += 1;
	if (w->r[i].rtt_ms == 0 || (v6 && !w->v6_works) || w->r[i].lose-- > 0)
		return;
	if (w->r[i].nat_port && !v6)
		me.port = w->r[i].nat_port;
	if (v6)
		me.ip = (struct ip){ { 0x20, 0x01, 0x0d, 0xb8, 0xff } };
	ck_assert_uint_lt(w->n_pending, PENDING);
	a = &w->pending[w->n_pending++];
	a->at = mono_add(w->now, SPAN_MS(w->r[i].rtt_ms));
	a->from = want->to;
	a->len = stun_answer_emit(txid, &me, a->data);
}

static void drain(struct world *w)
{
	struct netcheck_want want;

	while (netcheck_next(w->nc, w->now, &want)) {
		switch (want.type) {
		case NETCHECK_WANT_SEND:
			relay_gets(w, &want);
			break;
		case NETCHECK_WANT_NAME:
			w->n_names++;
			break;
		case NETCHECK_WANT_HTTPS:
			w->n_https++;
			if (w->https_ms[want.region - 1])
				netcheck_derp_rtt(w->nc, w->now, want.region,
						  SPAN_MS(w->https_ms[want.region - 1]));
			break;
		case NETCHECK_DONE:
			w->n_done++;
			break;
		}
	}
}

/* Runs what is under way; returns how long it took in milliseconds. */
static int64_t run(struct world *w)
{
	mono_t start = w->now;

	drain(w);
	for (int turns = 0; netcheck_running(w->nc); turns++) {
		mono_t next = netcheck_deadline(w->nc);
		size_t first = PENDING;

		ck_assert_int_lt(turns, 10000);
		for (size_t i = 0; i < w->n_pending; i++)
			if (!mono_before(next, w->pending[i].at)) {
				next = w->pending[i].at;
				first = i;
			}
		w->now = mono_max(w->now, next);
		if (first < PENDING) {
			struct answer a = w->pending[first];

			w->pending[first] = w->pending[--w->n_pending];
			ck_assert(netcheck_feed(w->nc, w->now, &a.from, a.data, a.len));
		} else {
			netcheck_tick(w->nc, w->now);
		}
		drain(w);
	}
	return span_ms(mono_sub(w->now, start));
}

static int64_t round_of(struct world *w)
{
	w->n_pending = w->n_sent = w->n_done = 0;
	for (size_t i = 0; i < w->n; i++)
		w->r[i].n_v4 = w->r[i].n_v6 = 0;
	netcheck_start(w->nc, w->now);
	return run(w);
}

static const struct netcheck_report *report(struct world *w)
{
	const struct netcheck_report *rep = netcheck_report(w->nc);

	ck_assert_ptr_nonnull(rep);
	return rep;
}

static void wait_s(struct world *w, int64_t s)
{
	w->now = mono_add(w->now, SPAN_S(s));
}

TEST(netcheck_of_relays_at_5_20_and_80_ms_the_first_is_home_and_its_death_moves_home)
{
	struct world *w = world_new((int64_t[]){ 5, 20, 80 }, 3);

	ck_assert_ptr_null(netcheck_report(w->nc));
	round_of(w);
	ck_assert_uint_eq(w->n_done, 1);
	ck_assert_uint_eq(report(w)->home, 1);
	ck_assert(report(w)->udp && report(w)->v4 && !report(w)->v6);
	ck_assert_uint_eq(report(w)->n_latency, 3);
	ck_assert_int_eq(span_ms(report(w)->latency[1].v4), 20);
	w->r[0].rtt_ms = 0;
	wait_s(w, 20);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 2);
	w->r[0].rtt_ms = 5; /* it comes back: 5 against 20 ms is clearly better */
	wait_s(w, 301);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 1);
	world_free(w);
}

TEST(netcheck_home_stays_when_the_other_is_less_than_10_ms_or_less_than_a_third_better)
{
	static const struct {
		int64_t old_ms, other_ms;
		uint16_t home;
	} rows[] = {
		{ 12, 3, 1 },   /* 9 ms better */
		{ 100, 70, 1 }, /* 30 ms better, yet not under two thirds */
		{ 100, 60, 2 }, /* both */
		{ 14, 3, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world *w = world_new((int64_t[]){ rows[i].old_ms, 400 }, 2);

		round_of(w);
		ck_assert_uint_eq(report(w)->home, 1);
		w->r[1].rtt_ms = rows[i].other_ms;
		wait_s(w, 310);
		round_of(w);
		ck_assert_uint_eq(report(w)->home, rows[i].home);
		world_free(w);
	}
}

TEST(netcheck_home_that_spoke_within_8_s_is_reachable_without_a_stun_answer)
{
	struct world *w = world_new((int64_t[]){ 5, 50 }, 2);

	round_of(w);
	w->r[0].rtt_ms = 0;
	wait_s(w, 20);
	netcheck_derp_heard(w->nc, mono_add(w->now, SPAN_S(-3)), 1); /* the round takes 3 s more */
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 1);
	wait_s(w, 20);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 2);
	world_free(w);
}

TEST(netcheck_home_of_the_last_run_is_kept_when_another_is_hardly_better)
{
	struct world *w = world_new((int64_t[]){ 12, 9, 50 }, 3);

	netcheck_set_home(w->nc, 1);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 1);
	world_free(w);
	w = world_new((int64_t[]){ 12, 9, 50 }, 3);
	netcheck_set_home(w->nc, 99); /* no such region any more */
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 2);
	world_free(w);
}

TEST(netcheck_home_is_held_while_control_is_away)
{
	struct world *w = world_new((int64_t[]){ 5, 20 }, 2);

	netcheck_hold_home(w->nc, true);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 1); /* a first home is found all the same */
	w->r[0].rtt_ms = 0;
	wait_s(w, 310);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 1);
	netcheck_hold_home(w->nc, false);
	wait_s(w, 20);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 2);
	world_free(w);
}

TEST(netcheck_home_is_neither_an_avoided_region_nor_one_with_a_bad_score)
{
	struct world *w = world_new((int64_t[]){ 5, 20, 30 }, 3);

	w->map[0].no_home = true;
	w->map[1].score = 3;
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, 3), 0);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 3);
	world_free(w);
}

TEST(netcheck_with_nothing_known_picks_one_and_the_same_region)
{
	struct world *w = world_new((int64_t[]){ 0, 0, 0, 0 }, 4);
	uint16_t home;

	round_of(w);
	home = report(w)->home;
	ck_assert_uint_ge(home, 1);
	ck_assert_uint_le(home, 4);
	for (int i = 0; i < 3; i++) {
		wait_s(w, 20);
		round_of(w);
		ck_assert_uint_eq(report(w)->home, home);
	}
	ck_assert(!report(w)->udp);
	world_free(w);
}

TEST(netcheck_full_round_tries_three_times_at_100_ms_steps_over_both_families)
{
	struct world *w = world_new((int64_t[]){ 0, 0 }, 2);
	mono_t start = w->now;

	netcheck_set_families(w->nc, true, true);
	round_of(w);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(w->r[i].n_v4, 3);
		ck_assert_uint_eq(w->r[i].n_v6, 3);
	}
	for (size_t i = 0; i < w->n_sent; i++)
		ck_assert_int_eq(span_ms(mono_sub(w->sent_at[i], start)), (int64_t)(i / 4) * 100);
	world_free(w);
}

TEST(netcheck_a_lost_probe_is_repeated_and_an_answered_one_is_not)
{
	struct world *w = world_new((int64_t[]){ 5, 5, 5 }, 3);

	w->r[1].lose = 1;
	round_of(w);
	ck_assert_uint_eq(w->r[0].n_v4, 1);
	ck_assert_uint_eq(w->r[1].n_v4, 2);
	ck_assert_uint_eq(report(w)->n_latency, 3);
	world_free(w);
}

TEST(netcheck_incremental_round_asks_the_three_fastest_and_the_home_and_every_5_min_all)
{
	struct world *w = world_new((int64_t[]){ 50, 5, 6, 7, 90, 91 }, 6);

	w->map[1].no_home = w->map[2].no_home = w->map[3].no_home = true;
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, 6), 0);
	round_of(w); /* stops early: 5, 6 and 7 ms answered */
	wait_s(w, 20);
	netcheck_want_full(w->nc);
	w->r[1].rtt_ms = w->r[2].rtt_ms = w->r[3].rtt_ms = 49;
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 1);
	wait_s(w, 20);
	round_of(w);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_ge(w->r[i].n_v4, 1);
	ck_assert_uint_eq(w->r[4].n_v4 + w->r[5].n_v4, 0);
	wait_s(w, 300);
	round_of(w);
	ck_assert_uint_ge(w->r[4].n_v4, 1);
	world_free(w);
}

TEST(netcheck_retransmits_to_the_home_after_1_2_of_its_latency_four_times)
{
	struct world *w = world_new((int64_t[]){ 100 }, 1);
	static const int64_t want[] = { 0, 120, 2 * 170, 3 * 170 };
	mono_t start;

	round_of(w);
	w->r[0].rtt_ms = 0;
	wait_s(w, 20);
	start = w->now;
	round_of(w);
	ck_assert_uint_eq(w->n_sent, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(span_ms(mono_sub(w->sent_at[i], start)), want[i]);
	world_free(w);
}

TEST(netcheck_stops_after_three_answers_and_a_grace_instead_of_waiting_for_dead_regions)
{
	struct world *w = world_new((int64_t[]){ 100, 100, 100, 0, 0 }, 5);

	ck_assert_int_eq(round_of(w), 300); /* full: twice the slowest */
	wait_s(w, 20);
	w->r[0].rtt_ms = w->r[1].rtt_ms = w->r[2].rtt_ms = 90;
	ck_assert_int_le(round_of(w), 200); /* incremental: once */
	ck_assert_uint_eq(report(w)->n_latency, 3);
	world_free(w);
}

TEST(netcheck_waits_3_s_when_fewer_than_three_of_the_regions_answer)
{
	struct world *w = world_new((int64_t[]){ 5, 0, 0 }, 3);

	ck_assert_int_eq(round_of(w), 3000);
	ck_assert_uint_eq(report(w)->home, 1);
	ck_assert_uint_eq(w->n_https, 0);
	world_free(w);
}

TEST(netcheck_mapping_that_differs_between_servers_is_told_and_one_answer_tells_nothing)
{
	struct world *w = world_new((int64_t[]){ 5, 6, 7 }, 3);

	round_of(w);
	ck_assert_int_eq(report(w)->varies_by_dest, 0);
	ck_assert_uint_eq(report(w)->n_global, 1);
	w->r[1].nat_port = 1111;
	wait_s(w, 20);
	round_of(w);
	ck_assert_int_eq(report(w)->varies_by_dest, 1);
	ck_assert_uint_eq(report(w)->global[0].port,
			  41641); /* seen twice, so best; 1111 was seen once */
	ck_assert_uint_eq(report(w)->n_global, 1);
	w->r[1].rtt_ms = w->r[2].rtt_ms = 0;
	wait_s(w, 20);
	round_of(w);
	ck_assert_int_eq(report(w)->varies_by_dest, -1);
	world_free(w);
}

TEST(netcheck_reports_each_address_that_was_seen_more_than_once_and_ipv6_behind)
{
	struct world *w = world_new((int64_t[]){ 5, 6, 7, 8, 9 }, 5);

	w->v6_works = true;
	netcheck_set_families(w->nc, true, true);
	w->r[0].nat_port = w->r[1].nat_port = 1111;
	w->r[2].nat_port = 2222;
	round_of(w);
	ck_assert_uint_eq(report(w)->n_global, 3);
	ck_assert_uint_eq(report(w)->global[0].port, 1111);
	ck_assert_uint_eq(report(w)->global[1].port, 41641);
	ck_assert(!ip_is_v4(&report(w)->global[2].ip));
	ck_assert(report(w)->v6);
	world_free(w);
}

TEST(netcheck_wants_https_of_every_region_when_udp_is_dead_and_finds_the_home_by_it)
{
	struct world *w = world_new((int64_t[]){ 0, 0, 0 }, 3);

	w->https_ms[1] = 40;
	w->https_ms[2] = 90;
	ck_assert_int_eq(round_of(w), 5000); /* the first region never answers */
	ck_assert_uint_eq(w->n_https, 3);
	ck_assert(!report(w)->udp);
	ck_assert_uint_eq(report(w)->home, 2);
	ck_assert_uint_eq(report(w)->n_latency, 2);
	ck_assert_int_eq(span_ms(report(w)->latency[0].https), 40);
	w->https_ms[0] = 10;
	wait_s(w, 20);
	ck_assert_int_eq(round_of(w), 3000); /* now all did */
	ck_assert_uint_eq(report(w)->home, 1);
	world_free(w);
}

TEST(netcheck_regions_without_stun_go_to_https_at_once)
{
	struct world *w = world_new((int64_t[]){ 5 }, 1);

	w->map[0].nodes[0].stun_port = 0;
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, 1), 0);
	w->https_ms[0] = 30;
	ck_assert_int_eq(round_of(w), 0);
	ck_assert_uint_eq(w->n_https, 1);
	ck_assert_uint_eq(report(w)->home, 1);
	world_free(w);
}

TEST(netcheck_asks_for_a_name_once_and_probes_when_it_is_known)
{
	struct world *w = world_new((int64_t[]){ 5 }, 1);
	const struct ip addrs[3] = { relay_ip(0, false), relay_ip(0, true), ip_v4(9, 9, 9, 9) };

	memset(&w->map[0].nodes[0].v4, 0, sizeof(struct ip));
	memset(&w->map[0].nodes[0].v6, 0, sizeof(struct ip));
	memcpy(w->map[0].nodes[0].host, "derp.example.com", 17);
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, 1), 0);
	netcheck_start(w->nc, w->now);
	drain(w);
	drain(w);
	ck_assert_uint_eq(w->n_names, 1);
	ck_assert_uint_eq(w->n_sent, 0);
	w->now = mono_add(w->now, SPAN_MS(30));
	netcheck_name(w->nc, w->now, "derp.example.com", addrs, 3);
	run(w);
	ck_assert_uint_ge(w->r[0].n_v4, 1);
	ck_assert_int_eq(span_ms(report(w)->latency[0].v4), 5);
	world_free(w);
}

TEST(netcheck_a_name_that_does_not_resolve_ends_the_probes_and_not_the_round)
{
	struct world *w = world_new((int64_t[]){ 5, 9 }, 2);

	memset(&w->map[0].nodes[0].v4, 0, sizeof(struct ip));
	memset(&w->map[0].nodes[0].v6, 0, sizeof(struct ip));
	memcpy(w->map[0].nodes[0].host, "gone.example.com", 17);
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, 2), 0);
	netcheck_start(w->nc, w->now);
	drain(w);
	netcheck_name(w->nc, w->now, "gone.example.com", NULL, 0);
	ck_assert_int_lt(run(w), 1000);
	ck_assert_uint_eq(report(w)->home, 2);
	world_free(w);
}

TEST(netcheck_ignores_answers_to_nothing_and_leaves_other_packets_alone)
{
	struct world *w = world_new((int64_t[]){ 5 }, 1);
	const struct ipport from = { relay_ip(0, false), 3478 }, lie = { ip_v4(6, 6, 6, 6), 6 };
	const uint8_t wireguard[32] = { 4 };
	uint8_t forged[STUN_ANSWER_MAX], txid[STUN_TXID] = { 0 };
	size_t n = stun_answer_emit(txid, &lie, forged);

	netcheck_start(w->nc, w->now);
	drain(w);
	ck_assert(netcheck_feed(w->nc, w->now, &from, forged, n));
	ck_assert(!netcheck_feed(w->nc, w->now, &from, wireguard, sizeof wireguard));
	run(w);
	ck_assert_uint_eq(report(w)->n_global, 1);
	ck_assert_uint_eq(report(w)->global[0].port, 41641);
	ck_assert(netcheck_feed(w->nc, w->now, &from, forged,
				n)); /* between rounds: still not WireGuard's */
	world_free(w);
}

TEST(netcheck_a_relay_cannot_answer_for_another_from_what_it_was_sent)
{
	struct world *w = world_new((int64_t[]){ 5, 9, 9 }, 3);
	const struct ipport from = { relay_ip(0, false), 3478 }, lie = { ip_v4(6, 6, 6, 6), 6 };
	uint8_t forged[STUN_ANSWER_MAX], txid[STUN_TXID];
	struct netcheck_want want;

	netcheck_start(w->nc, w->now);
	ck_assert(netcheck_next(w->nc, w->now, &want));
	ck_assert_int_eq(stun_request_parse(want.data, want.len, txid), STUN_OK);
	relay_gets(w, &want);
	drain(w); /* the others are asked too */
	ck_assert_uint_eq(txid[STUN_TXID - 1], 0);
	for (unsigned last = 1; last < 256; last++) {
		txid[STUN_TXID - 1] = (uint8_t)last;
		ck_assert(netcheck_feed(w->nc, w->now, &from, forged,
					stun_answer_emit(txid, &lie, forged)));
	}
	run(w);
	ck_assert_uint_eq(report(w)->n_global, 1);
	ck_assert_uint_eq(report(w)->global[0].port, 41641);
	world_free(w);
}

TEST(netcheck_a_new_map_restarts_the_round_and_limits_are_refused_by_name)
{
	struct world *w = world_new((int64_t[]){ 5, 9 }, 2);
	struct netcheck_region *many = calloc(NETCHECK_REGIONS_MAX + 1, sizeof *many);

	netcheck_start(w->nc, w->now);
	drain(w);
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, 1), 0);
	ck_assert(netcheck_running(w->nc));
	run(w);
	ck_assert_uint_eq(report(w)->n_latency, 1);
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, many, NETCHECK_REGIONS_MAX + 1), -E2BIG);
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, many, NETCHECK_REGIONS_MAX), 0);
	many[0].n_nodes = NETCHECK_NODES_MAX + 1;
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, many, 1), -E2BIG);
	free(many);
	world_free(w);
}

TEST(netcheck_without_a_map_ends_at_once_without_a_home)
{
	struct world *w = world_new(NULL, 0);

	ck_assert_int_eq(round_of(w), 0);
	ck_assert_uint_eq(w->n_done, 1);
	ck_assert_uint_eq(report(w)->home, 0);
	ck_assert(mono_is_never(netcheck_deadline(w->nc)));
	world_free(w);
}

TEST(netcheck_home_is_chosen_by_the_best_of_five_minutes_and_not_by_older_latencies)
{
	struct world *w = world_new((int64_t[]){ 100, 20 }, 2);

	round_of(w);
	ck_assert_uint_eq(report(w)->home, 2);
	w->r[1].rtt_ms = 300;
	wait_s(w, 120);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 2); /* it was at 20 ms two minutes ago */
	wait_s(w, 190);
	round_of(w);
	ck_assert_uint_eq(report(w)->home, 1); /* now that is forgotten */
	world_free(w);
}

TEST(netcheck_asks_a_second_node_of_a_region_when_only_that_can_tell_whether_the_mapping_varies)
{
	struct world *w = world_new((int64_t[]){ 150, 150 }, 2);

	w->map[0].n_nodes = 2;
	w->map[0].nodes[1] = w->map[1].nodes[0];
	w->r[1].nat_port = 2222;
	ck_assert_int_eq(netcheck_set_map(w->nc, w->now, w->map, 1), 0);
	round_of(w);
	ck_assert_uint_ge(w->r[1].n_v4, 1);
	ck_assert_int_eq(report(w)->varies_by_dest, 1);
	world_free(w);
}
