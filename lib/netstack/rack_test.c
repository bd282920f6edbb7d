/* netstack/rack_test.c - the reordering window and the tail probe's time (RFC 8985 6.2, 7.2); what
 * is lost and when is in tests/pkt */
#include "netstack/tcp_conn.h"

#include "tests/harness.h"

static struct tcp_conn c;

static void setup(int64_t min_ms, int64_t srtt_ms)
{
	c = (struct tcp_conn){ 0 };
	c.rtt.min = SPAN_MS(min_ms);
	c.rtt.srtt = SPAN_MS(srtt_ms);
	c.rack.reo_wnd_mult = 1;
}

static int64_t window_ms(void)
{
	return span_ms(rack_reo_wnd(&c));
}

TEST(rfc8985_6_2_a_quarter_of_the_lowest_round_trip_until_three_are_sacked)
{
	setup(40, 80);
	ck_assert_int_eq(window_ms(), 10);
	c.tx.n[TX_SACKED] = 2;
	ck_assert_int_eq(window_ms(), 10);
	c.tx.n[TX_SACKED] = 3;
	ck_assert_int_eq(window_ms(), 0);
	c.rack.reordering_seen = true; /* then patience is due */
	ck_assert_int_eq(window_ms(), 10);
	c.tx.n[TX_SACKED] = 0;
	c.rack.reordering_seen = false;
	c.rec.state = CA_RECOVERY;
	ck_assert_int_eq(window_ms(), 0);
}

TEST(how_late_late_comers_were_widens_the_window_up_to_a_round_trip_and_a_quarter)
{
	setup(40, 80);
	c.rack.reo_seen = SPAN_MS(32);
	ck_assert_int_eq(window_ms(), 36);
	c.rack.reo_seen = SPAN_MS(4); /* less than the quarter */
	ck_assert_int_eq(window_ms(), 10);
	c.rack.reo_seen = SPAN_MS(5000);
	ck_assert_int_eq(window_ms(), 100);
}

TEST(rfc8985_6_2_a_dsack_widens_the_window_once_a_round_trip_and_not_for_ever)
{
	setup(40, 80);
	for (uint32_t round = 1; round < 100; round++) {
		const uint8_t before = c.rack.reo_wnd_mult;

		c.snd_una = round * 1000;
		c.snd_nxt = c.snd_una + 1000;
		rack_dsack(&c);
		ck_assert_uint_eq(c.rack.reo_wnd_mult, MIN_OF(before + 1, 20));
		c.snd_una += 999; /* of the same round */
		rack_dsack(&c);
		ck_assert_uint_eq(c.rack.reo_wnd_mult, MIN_OF(before + 1, 20));
	}
	ck_assert_int_eq(window_ms(), 100);
}

TEST(rfc8985_6_2_after_sixteen_recoveries_without_a_dsack_the_window_is_narrow_again)
{
	setup(40, 80);
	c.snd_una = UINT32_MAX - 500; /* sequence numbers go round */
	c.snd_nxt = c.snd_una + 1000;
	rack_dsack(&c);
	c.snd_una += 400; /* of the same round */
	rack_dsack(&c);
	ck_assert_uint_eq(c.rack.reo_wnd_mult, 2);
	c.snd_una += 600;
	rack_dsack(&c);
	ck_assert_uint_eq(c.rack.reo_wnd_mult, 3);
	ck_assert_int_eq(window_ms(), 50);
	for (int i = 0; i < 15; i++)
		rack_recovered(&c);
	ck_assert_uint_eq(c.rack.reo_wnd_mult, 3);
	rack_recovered(&c);
	ck_assert_uint_eq(c.rack.reo_wnd_mult, 1);
	rack_recovered(&c);
	ck_assert_uint_eq(c.rack.reo_wnd_mult, 1);
	ck_assert_uint_eq(c.rack.reo_wnd_persist, 0);
}

TEST(rfc8985_7_2_the_probe_waits_two_round_trips_and_longer_for_an_ack_that_may_be_delayed)
{
	setup(40, 80);
	c.tx.tail = 2;
	ck_assert_int_eq(span_ms(rack_pto(&c)), 160);
	c.tx.head = 1;
	ck_assert_int_eq(span_ms(rack_pto(&c)), 200);
	setup(0, 0);
	c.tx.tail = 2;
	ck_assert_int_eq(span_ms(rack_pto(&c)), 2);
	c.tx.head = UINT32_MAX; /* record numbers go round too */
	c.tx.tail = 0;
	ck_assert_int_eq(span_ms(rack_pto(&c)), 40);
}

TEST(rfc8985_7_2_no_probe_while_anything_is_repaired)
{
	setup(40, 80);
	c.has_sack = true;
	ck_assert(rack_tlp_possible(&c));
	c.tx.n[TX_LOST] = 1;
	ck_assert(!rack_tlp_possible(&c));
	c.tx.n[TX_LOST] = 0;
	c.tx.n[TX_SACKED] = 1;
	ck_assert(!rack_tlp_possible(&c));
	c.tx.n[TX_SACKED] = 0;
	c.n_retries = 1;
	ck_assert(!rack_tlp_possible(&c));
	c.n_retries = 0;
	c.rack.tlp_outstanding = true;
	ck_assert(!rack_tlp_possible(&c));
	c.rack.tlp_outstanding = false;
	c.rec.state = CA_LOSS;
	ck_assert(!rack_tlp_possible(&c));
	c.rec.state = CA_OPEN;
	c.has_sack = false;
	ck_assert(!rack_tlp_possible(&c));
}
