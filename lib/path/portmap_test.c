/* path/portmap_test.c - NAT-PMP and PCP: messages against the layouts of data-plane.md 4.4 and 4.5,
 * every result code, and the policy of 4.5 */
#include "path/portmap.h"

#include "tests/harness.h"

struct sent {
	uint8_t data[PORTMAP_PACKET_MAX];
	size_t len;
};

static struct {
	struct seed_rng rng;
	struct portmap *pm;
	mono_t now;
	struct ip gateway;
	struct ipport inside, server;
	struct sent last[16]; /* to port 5351 */
	size_t n, n_searches;
	uint32_t epoch;
} w;

static void start(void)
{
	seed_rng_init(&w.rng, 1);
	w.pm = portmap_new(&w.rng.rng);
	ck_assert_ptr_nonnull(w.pm);
	w.now = (mono_t){ 50 * NS_PER_S };
	w.gateway = ip_v4(192, 168, 1, 1);
	w.server = (struct ipport){ w.gateway, PORTMAP_PORT };
	w.inside = (struct ipport){ ip_v4(192, 168, 1, 7), 41641 };
	w.epoch = 1000;
	portmap_set(w.pm, w.now, &w.gateway, &w.inside);
}

static void drain(void)
{
	struct portmap_want want;

	w.n = w.n_searches = 0;
	while (portmap_pull(w.pm, &want)) {
		ck_assert_int_eq(want.type, PORTMAP_SEND);
		if (want.to.port == IGD_SSDP_PORT) {
			w.n_searches++;
			continue;
		}
		ck_assert_uint_lt(w.n, 16);
		ck_assert(ipport_eq(&want.to, &w.server));
		memcpy(w.last[w.n].data, want.data.data, want.data.len);
		w.last[w.n++].len = want.data.len;
	}
}

static void wait_ms(int64_t ms)
{
	drain();
	w.now = mono_add(w.now, SPAN_MS(ms));
	portmap_tick(w.pm, w.now);
	drain();
}

static void be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void pmp_address(const char *hex_ip)
{
	uint8_t m[12] = { 0, 128 };

	be32(m + 4, w.epoch);
	harness_unhex(hex_ip, m + 8, 4);
	portmap_feed(w.pm, w.now, &w.server, m, sizeof m);
}

static void pmp_mapped(uint16_t result, uint16_t port, uint32_t lifetime)
{
	uint8_t m[16] = { 0, 129, 0, (uint8_t)result };

	be32(m + 4, w.epoch);
	be32(m + 8, (uint32_t)w.inside.port << 16 | port);
	be32(m + 12, lifetime);
	portmap_feed(w.pm, w.now, &w.server, m, sizeof m);
}

static void pcp_announced(void)
{
	uint8_t m[24] = { 2, 128 };

	be32(m + 8, w.epoch);
	portmap_feed(w.pm, w.now, &w.server, m, sizeof m);
}

static void pcp_mapped(const struct sent *request, uint8_t result, uint16_t port, uint32_t lifetime)
{
	uint8_t m[60] = { 2, 129, 0, result };

	be32(m + 4, lifetime);
	be32(m + 8, w.epoch);
	memcpy(m + 24, request->data + 24, 18); /* nonce, protocol, internal port */
	m[42] = (uint8_t)(port >> 8);
	m[43] = (uint8_t)port;
	harness_unhex("00000000000000000000ffffcb007109", m + 44, 16);
	portmap_feed(w.pm, w.now, &w.server, m, sizeof m);
}

static void external_is(const char *want)
{
	char text[IPPORT_TEXT];
	struct ipport got;

	if (!want) {
		ck_assert(!portmap_external(w.pm, &got));
		return;
	}
	ck_assert(portmap_external(w.pm, &got));
	ck_assert_str_eq(ipport_text(&got, text), want);
}

static void hold_by_pmp(void)
{
	start();
	pmp_address("cb007109");
	wait_ms(250);
	pmp_mapped(0, 50000, 7200);
	external_is("203.0.113.9:50000");
}

TEST(portmap_probes_both_services_with_the_documented_bytes)
{
	uint8_t announce[24] = { 2 };

	start();
	drain();
	ck_assert_uint_eq(w.n, 2);
	ck_assert_uint_eq(w.last[0].len, 2);
	ck_bytes_eq(w.last[0].data, "\0\0", 2);
	harness_unhex("00000000000000000000ffffc0a80107", announce + 8, 16);
	ck_assert_uint_eq(w.last[1].len, 24);
	ck_bytes_eq(w.last[1].data, announce, 24);
	portmap_free(w.pm);
}

TEST(portmap_prefers_nat_pmp_when_both_answer_and_asks_with_the_documented_bytes)
{
	uint8_t want[12];
	start();
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PMP), 0);
	pcp_announced();
	pmp_address("cb007109");
	wait_ms(250);
	ck_assert_uint_eq(w.n, 1);
	ck_assert_uint_eq(harness_unhex("00010000a2a9000000001c20", want, sizeof want), 12);
	ck_assert_uint_eq(w.last[0].len, 12);
	ck_bytes_eq(w.last[0].data, want, 12);
	pmp_mapped(0, 50000, 7200);
	external_is("203.0.113.9:50000");
	ck_assert(portmap_changed(w.pm));
	ck_assert(!portmap_changed(w.pm));
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PMP), 1);
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PCP), 1);
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_UPNP), 0);
	w.now = mono_add(w.now, SPAN_S(601));
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PMP), 1); /* it holds the mapping */
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PCP), 0);
	portmap_free(w.pm);
}

TEST(portmap_uses_pcp_when_only_that_answers_and_checks_the_nonce)
{
	uint8_t tail[24];
	struct sent request, other;

	start();
	pcp_announced();
	wait_ms(250);
	ck_assert_uint_eq(w.n, 1);
	request = w.last[0];
	ck_assert_uint_eq(request.len, 60);
	ck_bytes_eq(request.data, "\x02\x01\0\0\0\0\x1c\x20", 8);
	harness_unhex("11000000a2a9000000000000000000000000ffff00000000", tail, sizeof tail);
	ck_bytes_eq(request.data + 36, tail, 24);
	other = request;
	other.data[24] ^= 1;
	pcp_mapped(&other, 0, 4000, 7200);
	external_is(NULL);
	pcp_mapped(&request, 0, 4000, 7200);
	external_is("203.0.113.9:4000");
	portmap_free(w.pm);
}

TEST(portmap_turns_to_pcp_when_nat_pmp_refuses)
{
	start();
	pmp_address("cb007109");
	pcp_announced();
	wait_ms(250);
	pmp_mapped(2, 0, 0);
	drain();
	ck_assert_uint_eq(w.n, 1);
	ck_assert_uint_eq(w.last[0].len, 60);
	pcp_mapped(&w.last[0], 0, 4000, 7200);
	external_is("203.0.113.9:4000");
	portmap_free(w.pm);
}

TEST(portmap_without_an_answer_probes_three_times_and_is_quiet_for_five_minutes)
{
	size_t searches;

	start();
	drain();
	ck_assert_uint_eq(w.n, 2);
	searches = w.n_searches;
	ck_assert_uint_eq(searches, 4); /* two kinds, to the gateway and to the group */
	wait_ms(250);
	ck_assert_uint_eq(w.n, 2);
	ck_assert_uint_eq(w.n_searches, 0);
	wait_ms(500);
	ck_assert_uint_eq(w.n, 2);
	ck_assert_uint_eq(w.n_searches, 4);
	wait_ms(1000);
	ck_assert_uint_eq(w.n, 0);
	ck_assert_int_eq(span_ms(mono_sub(portmap_deadline(w.pm), w.now)), 300000);
	wait_ms(300000);
	ck_assert_uint_eq(w.n, 2);
	portmap_free(w.pm);
}

TEST(portmap_asks_at_once_who_answers_late)
{
	start();
	wait_ms(250);
	pmp_address("cb007109");
	wait_ms(0);
	ck_assert_uint_eq(w.n, 1);
	ck_assert_uint_eq(w.last[0].len, 12);
	portmap_free(w.pm);
}

TEST(portmap_repeats_an_unanswered_request_with_doubling_pauses_for_5_s)
{
	size_t requests = 0;
	mono_t begin;

	start();
	pmp_address("cb007109");
	wait_ms(250);
	begin = w.now;
	for (requests = w.n; mono_sub(portmap_deadline(w.pm), begin).ns <= SPAN_S(5).ns;
	     requests += w.n)
		wait_ms(span_ms(mono_sub(portmap_deadline(w.pm), w.now)));
	ck_assert_uint_eq(requests, 5); /* at 0, 250, 750, 1750 and 3750 ms */
	external_is(NULL);
	portmap_free(w.pm);
}

TEST(portmap_renews_at_half_life_with_its_port_and_ends_with_its_life)
{
	hold_by_pmp();
	wait_ms(3600 * 1000);
	ck_assert_uint_eq(w.n, 2);
	ck_assert_uint_eq(w.last[0].len, 2);            /* the address may be another by now */
	ck_bytes_eq(w.last[1].data + 6, "\xc3\x50", 2); /* 50000 again */
	w.epoch += 3600;
	pmp_mapped(0, 50000, 7200);
	for (int i = 0; i < 200 && !mono_is_never(portmap_deadline(w.pm));
	     i++) { /* nobody answers any more */
		struct ipport ext;

		if (!portmap_external(w.pm, &ext))
			break;
		wait_ms(span_ms(mono_sub(portmap_deadline(w.pm), w.now)) + 1);
	}
	external_is(NULL);
	ck_assert_int_ge(mono_sub(w.now, (mono_t){ 50 * NS_PER_S }).ns, SPAN_S(10800).ns);
	portmap_free(w.pm);
}

TEST(portmap_drops_the_mapping_and_starts_anew_when_the_epoch_runs_backwards)
{
	hold_by_pmp();
	w.epoch = 3;
	pmp_address("cb007109");
	external_is(NULL);
	drain();
	ck_assert_uint_eq(w.n, 2);
	ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_EPOCH], 1);
	pmp_address("cb007109");
	wait_ms(250);
	ck_bytes_eq(w.last[0].data + 6, "\xc3\x50", 2); /* with a wish for the port of before */
	portmap_free(w.pm);
}

TEST(portmap_check_finds_a_gateway_that_restarted_long_ago)
{
	hold_by_pmp();
	drain();
	portmap_check(w.pm, w.now);
	drain();
	ck_assert_uint_eq(w.n, 0); /* it has just been asked */
	w.now = mono_add(w.now, SPAN_S(1600));
	portmap_check(w.pm, w.now);
	drain();
	ck_assert_uint_eq(w.n, 2);
	external_is("203.0.113.9:50000");
	w.epoch = 1000 + 300; /* above the old one, yet not 7/8 of what has passed (RFC 6886 3.6) */
	pmp_address("cb007109");
	external_is(NULL);
	portmap_free(w.pm);
}

TEST(portmap_holds_while_the_epoch_is_a_little_slow)
{
	hold_by_pmp();
	w.now = mono_add(w.now, SPAN_S(1600));
	w.epoch = 1000 + 1600 * 7 / 8;
	pmp_address("cb007109");
	external_is("203.0.113.9:50000");
	portmap_free(w.pm);
}

TEST(portmap_follows_an_external_address_that_changes_under_the_mapping)
{
	hold_by_pmp();
	(void)portmap_changed(w.pm);
	pmp_address("cb007163");
	external_is("203.0.113.99:50000");
	ck_assert(portmap_changed(w.pm));
	portmap_free(w.pm);
}

TEST(portmap_takes_each_refusal_of_nat_pmp_as_one)
{
	for (uint16_t code = 1; code <= 6; code++) { /* 1 to 5 have names, 6 is of tomorrow */
		start();
		pmp_address("cb007109");
		wait_ms(250);
		ck_assert_uint_eq(w.n, 1);
		pmp_mapped(code, 50000, 7200);
		external_is(NULL);
		ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_REFUSED], 1);
		wait_ms(299999);
		ck_assert_uint_eq(w.n, 0);
		wait_ms(1);
		ck_assert_uint_eq(w.n, 2); /* probes */
		portmap_free(w.pm);
	}
}

TEST(portmap_does_not_count_a_probe_that_is_refused_as_an_answer)
{
	uint8_t m[12] = { 0, 128, 0, 1 }; /* what a server without NAT-PMP says */

	start();
	portmap_feed(w.pm, w.now, &w.server, m, sizeof m);
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PMP), 0);
	pcp_announced();
	wait_ms(250);
	ck_assert_uint_eq(w.n, 1);
	ck_assert_uint_eq(w.last[0].len, 60); /* so PCP is asked */
	portmap_free(w.pm);
}

static int64_t quiet_after_pcp(uint8_t code, uint32_t lifetime)
{
	int64_t s;

	start();
	pcp_announced();
	wait_ms(250);
	ck_assert_uint_eq(w.n, 1);
	pcp_mapped(&w.last[0], code, 0, lifetime);
	external_is(NULL);
	ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_REFUSED], 1);
	s = mono_sub(portmap_deadline(w.pm), w.now).ns / NS_PER_S;
	portmap_free(w.pm);
	return s;
}

TEST(portmap_keeps_quiet_as_long_as_a_refusal_of_pcp_lasts)
{
	for (uint8_t code = 1; code <= 14; code++) { /* 1 to 13: RFC 6887 7.4 */
		ck_assert_int_eq(quiet_after_pcp(code, 600), 600);
		ck_assert_int_eq(quiet_after_pcp(code, 0), 30);
		ck_assert_int_eq(quiet_after_pcp(code, UINT32_MAX), 1800);
	}
}

TEST(portmap_refuses_an_external_address_that_is_none)
{
	static const char *const bad[] = { "00000000", "7f000001" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		start();
		pmp_address(bad[i]);
		wait_ms(250);
		pmp_mapped(0, 50000, 7200);
		external_is(NULL);
		portmap_free(w.pm);
	}
}

TEST(portmap_gives_the_mapping_back_when_it_is_switched_off)
{
	const struct ip none = { 0 };

	hold_by_pmp();
	drain();
	portmap_set(w.pm, w.now, &none, &w.inside);
	drain();
	ck_assert_uint_eq(w.n, 1);
	ck_bytes_eq(w.last[0].data + 6, "\0\0\0\0\0\0", 6);
	external_is(NULL);
	ck_assert(portmap_is_released(w.pm));
	ck_assert(mono_is_never(portmap_deadline(w.pm)));
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PMP), -1);
	portmap_free(w.pm);
}

TEST(portmap_gives_back_what_it_has_only_asked_for)
{
	const struct ip none = { 0 };

	start();
	pmp_address("cb007109");
	wait_ms(250);
	portmap_set(w.pm, w.now, &none, &w.inside);
	ck_assert(!portmap_is_released(w.pm));
	drain();
	ck_assert_uint_eq(w.n, 1);
	ck_bytes_eq(w.last[0].data + 6, "\0\0\0\0\0\0", 6);
	ck_assert(portmap_is_released(w.pm));
	portmap_free(w.pm);
}

TEST(portmap_listens_to_nobody_but_the_gateway_and_survives_cut_answers)
{
	struct ipport stranger = { ip_v4(192, 168, 1, 66), PORTMAP_PORT };
	uint8_t m[16] = { 0, 129 };

	start();
	for (size_t n = 0; n < sizeof m; n++)
		portmap_feed(w.pm, w.now, &w.server, m, n);
	w.server = stranger;
	pmp_address("cb007109");
	pcp_announced();
	w.server.ip = w.gateway;
	drain();
	wait_ms(250);
	for (size_t i = 0; i < w.n; i++)
		ck_assert_uint_ne(w.last[i].len, 12); /* probes, no request */
	ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_STRANGER], 2);
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PMP), 0);
	portmap_free(w.pm);
}

TEST(portmap_names_every_drop_and_service)
{
	for (int i = 0; i < PORTMAP_DROP_N; i++)
		ck_assert_ptr_nonnull(portmap_drop_names[i]);
	for (int i = 0; i < PORTMAP_SERVICES; i++)
		ck_assert_ptr_nonnull(portmap_service_names[i]);
}
