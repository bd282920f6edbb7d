/* wire/tsmp_test.c */
#include "wire/packet.h"
#include "wire/tsmp.h"

#include "tests/harness.h"

static const struct ip a4 = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } },
		       b4 = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } };
static const struct ip a6 = { { 0xfd, 0x7a, [15] = 1 } }, b6 = { { 0xfd, 0x7a, [15] = 2 } };

static void round_trip(const struct tsmp *m, const struct ip *src, const struct ip *dst)
{
	uint8_t buf[TSMP_PACKET_MAX];
	size_t len = tsmp_emit(m, src, dst, buf);
	struct packet p;
	struct tsmp got;

	ck_assert_uint_gt(len, 0);
	ck_assert_int_eq(packet_parse(buf, len, &p), PACKET_OK);
	ck_assert_int_eq(p.proto, PROTO_TSMP);
	ck_assert(ip_eq(&p.src, src) && ip_eq(&p.dst, dst));
	ck_assert(tsmp_parse(bytes_of(buf + p.transport_off, len - p.transport_off), &got));
	ck_assert_int_eq(got.kind, m->kind);
	ck_bytes_eq(got.data, m->data, 8);
	ck_bytes_eq(got.disco_key, m->disco_key, 32);
	ck_assert_uint_eq(got.sport, m->sport);
	ck_assert_uint_eq(got.dport, m->dport);
	ck_assert_int_eq(got.maybe_broken, m->maybe_broken);
}

TEST(tsmp_parse_gives_back_what_emit_was_given)
{
	struct tsmp ping = { .kind = TSMP_PING, .data = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	struct tsmp pong = { .kind = TSMP_PONG, .data = { 8, 7 }, .peerapi_port = 1234 };
	struct tsmp disco = { .kind = TSMP_DISCO_KEY, .disco_key = { 9, [31] = 7 } };
	struct tsmp rej = {
		.kind = TSMP_REJECT, .proto = 6, .reason = 'A', .sport = 80, .dport = 4000
	};

	round_trip(&ping, &a4, &b4);
	round_trip(&pong, &a6, &b6);
	round_trip(&disco, &a4, &b4);
	round_trip(&rej, &a4, &b4);
	rej.maybe_broken = true;
	round_trip(&rej, &a6, &b6);
}

TEST(tsmp_refuses_families_that_differ)
{
	struct tsmp ping = { .kind = TSMP_PING };
	uint8_t buf[TSMP_PACKET_MAX];

	ck_assert_uint_eq(tsmp_emit(&ping, &a4, &b6, buf), 0);
}

TEST(tsmp_cut_at_each_byte_is_refused)
{
	const uint8_t disco[33] = { 'a', 1, 2, 3 }, ping[9] = { 'p' };
	struct tsmp m;

	for (size_t n = 0; n < sizeof disco; n++)
		ck_assert(!tsmp_parse(bytes_of(disco, n), &m));
	ck_assert(tsmp_parse(bytes_of(disco, sizeof disco), &m));
	for (size_t n = 0; n < sizeof ping; n++)
		ck_assert(!tsmp_parse(bytes_of(ping, n), &m));
	ck_assert(!tsmp_parse(bytes_str("zzzzzzzzzzzz"), &m));
}
