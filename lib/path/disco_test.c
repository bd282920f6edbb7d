/* path/disco_test.c - vector: data-plane.md 10 */
#include "path/disco.h"
#include "tests/harness.h"

static const char plain_hex[] = "01000102030405060708090a0b0c"
				"c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf";
static const char packet_hex[] = "5453f09f92ac"
				 "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
				 "808182838485868788898a8b8c8d8e8f9091929394959697"
				 "d9450941437c675756eea6a3f537e236daf98b49329464a38cb30f3724a9eda0"
				 "fa16609641fd142d2ecd31dcd62841059ec4826d3f7045ef462c22322d31";

static struct {
	struct key_priv a, b;
	struct key_pub a_pub, b_pub;
	uint8_t shared[BOX_SHARED], nonce[BOX_NONCE], plain[64], packet[256];
	size_t plain_len, packet_len;
} v;

static void vector_load(void)
{
	harness_unhex("0002030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f60", v.a.b,
		      KEY_LEN);
	harness_unhex("4042434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60", v.b.b,
		      KEY_LEN);
	harness_unhex("f8d48c0771b2fab0580110626883f7671e7d0001a6823f3ad9e93d8ef177e8fc", v.shared,
		      BOX_SHARED);
	harness_unhex("808182838485868788898a8b8c8d8e8f9091929394959697", v.nonce, BOX_NONCE);
	key_public(&v.a_pub, &v.a);
	key_public(&v.b_pub, &v.b);
	v.plain_len = harness_unhex(plain_hex, v.plain, sizeof v.plain);
	v.packet_len = harness_unhex(packet_hex, v.packet, sizeof v.packet);
}

TEST(disco_ping_is_sealed_to_the_documented_bytes)
{
	uint8_t txid[DISCO_TXID], plain[64], out[256], shared[BOX_SHARED];
	struct key_pub node;
	size_t n;

	vector_load();
	for (int i = 0; i < DISCO_TXID; i++)
		txid[i] = (uint8_t)(i + 1);
	for (int i = 0; i < KEY_LEN; i++)
		node.b[i] = (uint8_t)(0xc0 + i);
	n = disco_ping_emit(plain, sizeof plain, txid, &node, 0);
	ck_assert_uint_eq(n, DISCO_PING_LEN);
	ck_assert_uint_eq(v.plain_len, n);
	ck_bytes_eq(plain, v.plain, n);
	ck_assert(box_shared(shared, &v.a, &v.b_pub));
	ck_bytes_eq(shared, v.shared, BOX_SHARED);
	n = disco_seal(out, &v.a_pub, v.nonce, shared, plain, n);
	ck_assert_uint_eq(n, 124);
	ck_bytes_eq(out, v.packet, n);
}

TEST(disco_open_gives_the_ping_of_the_vector_to_its_recipient)
{
	uint8_t plain[DISCO_PLAIN_MAX], shared[BOX_SHARED];
	struct disco_msg msg;
	struct key_pub sender;
	size_t n;

	vector_load();
	ck_assert(disco_is(v.packet, v.packet_len));
	sender = disco_sender(v.packet);
	ck_assert(key_eq(&sender, &v.a_pub));
	ck_assert(box_shared(shared, &v.b, &sender));
	ck_assert(disco_open(v.packet, v.packet_len, shared, plain, &n));
	ck_assert_int_eq(disco_parse(plain, n, &msg), DISCO_OK);
	ck_assert_uint_eq(msg.type, DISCO_PING);
	ck_assert(msg.has_node);
	ck_assert_uint_eq(msg.node.b[0], 0xc0);
	ck_assert_uint_eq(msg.txid[11], 12);
}

TEST(disco_open_refuses_a_packet_cut_or_flipped_anywhere_past_the_sender)
{
	uint8_t plain[DISCO_PLAIN_MAX];
	size_t n;

	vector_load();
	for (size_t i = 0; i < v.packet_len; i++)
		ck_assert(!disco_open(v.packet, i, v.shared, plain, &n));
	for (size_t i = DISCO_MAGIC_LEN + KEY_LEN; i < v.packet_len; i++) {
		v.packet[i] ^= 1;
		ck_assert(!disco_open(v.packet, v.packet_len, v.shared, plain, &n));
		v.packet[i] ^= 1;
	}
}

TEST(disco_is_asks_for_magic_and_a_whole_header)
{
	vector_load();
	ck_assert(disco_is(v.packet, 62));
	ck_assert(!disco_is(v.packet, 61));
	v.packet[5] ^= 1;
	ck_assert(!disco_is(v.packet, v.packet_len));
}

TEST(disco_ping_with_padding_or_without_a_node_key_is_understood)
{
	uint8_t plain[2000] = { 0 };
	uint8_t txid[DISCO_TXID] = { 7 };
	struct disco_msg msg;
	size_t n;

	vector_load();
	n = disco_ping_emit(plain, sizeof plain, txid, &v.a_pub, 1200);
	ck_assert_uint_eq(n, DISCO_PING_LEN + 1200);
	ck_assert_int_eq(disco_parse(plain, n, &msg), DISCO_OK);
	ck_assert(msg.has_node && key_eq(&msg.node, &v.a_pub));
	ck_assert_int_eq(disco_parse(plain, 2 + DISCO_TXID, &msg), DISCO_OK);
	ck_assert(!msg.has_node);
	for (size_t i = 2; i < 2 + DISCO_TXID; i++)
		ck_assert_int_eq(disco_parse(plain, i, &msg), DISCO_BODY);
	ck_assert_int_eq(disco_parse(plain, 1, &msg), DISCO_SHORT);
	ck_assert_uint_eq(disco_ping_emit(plain, 20, txid, &v.a_pub, 0), 0);
}

TEST(disco_pong_carries_the_observed_source_and_may_be_longer)
{
	uint8_t plain[64] = { 0 };
	const uint8_t txid[DISCO_TXID] = { 9, 8, 7 };
	const struct ipport src = { ip_v4(203, 0, 113, 5), 41641 };
	static const uint8_t tail[18] = { [10] = 0xff, 0xff, 203, 0, 113, 5, 0xa2, 0xa9 };
	struct disco_msg msg;
	size_t n = disco_pong_emit(plain, sizeof plain, txid, &src);

	ck_assert_uint_eq(n, DISCO_PONG_LEN);
	ck_bytes_eq(plain, "\x02\x00\x09\x08\x07", 5);
	ck_bytes_eq(plain + 14, tail, sizeof tail);
	ck_assert_int_eq(disco_parse(plain, n + 5, &msg), DISCO_OK);
	ck_assert(ipport_eq(&msg.src, &src));
	ck_bytes_eq(msg.txid, txid, DISCO_TXID);
	for (size_t i = 2; i < n; i++)
		ck_assert_int_eq(disco_parse(plain, i, &msg), DISCO_BODY);
}

TEST(disco_call_me_maybe_lists_endpoints_and_may_be_empty)
{
	const struct ipport eps[2] = { { ip_v4(192, 0, 2, 1), 1 },
				       { { { 0xfd, [15] = 1 } }, 65535 } };
	uint8_t plain[64];
	struct disco_msg msg;
	struct ipport got;
	size_t n = disco_call_me_maybe_emit(plain, sizeof plain, eps, 2);

	ck_assert_uint_eq(n, 2 + 2 * 18);
	ck_assert_int_eq(disco_parse(plain, n, &msg), DISCO_OK);
	ck_assert_uint_eq(msg.n_endpoints, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert(disco_endpoint_next(&msg.endpoints, &got));
		ck_assert(ipport_eq(&got, &eps[i]));
	}
	ck_assert(!disco_endpoint_next(&msg.endpoints, &got));
	ck_assert_int_eq(disco_parse(plain, n - 1, &msg), DISCO_BODY);
	ck_assert_int_eq(disco_parse(plain, 2, &msg), DISCO_OK);
	ck_assert_uint_eq(msg.n_endpoints, 0);
}

TEST(disco_relay_messages_are_known_by_name_and_other_types_and_versions_are_told_apart)
{
	struct disco_msg msg;
	uint8_t plain[200] = { 0 };

	for (uint8_t t = DISCO_BIND_RELAY; t <= DISCO_ALLOCATE_RELAY_RESPONSE; t++) {
		plain[0] = t;
		ck_assert_int_eq(disco_parse(plain, sizeof plain, &msg), DISCO_RELAY);
		ck_assert_str_ne(disco_type_name(t), "unknown");
	}
	for (unsigned t = DISCO_TYPE_N; t < 256; t++) {
		plain[0] = (uint8_t)t;
		ck_assert_int_eq(disco_parse(plain, sizeof plain, &msg), DISCO_TYPE);
		ck_assert_str_eq(disco_type_name((uint8_t)t), "unknown");
	}
	plain[0] = DISCO_PING;
	plain[1] = 1;
	ck_assert_int_eq(disco_parse(plain, sizeof plain, &msg), DISCO_VERSION);
}
