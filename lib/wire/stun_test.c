/* wire/stun_test.c - vectors: data-plane.md 10 (request), RFC 5769 2.2 and 2.3 (answers) */
#include "tests/harness.h"
#include "wire/stun.h"

static const char request_hex[] = "000100142112a4420102030405060708090a0b0c"
				  "802200087461696c6e6f6465"
				  "80280004b32c370f";
static const uint8_t txid_1_to_12[STUN_TXID] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

/* RFC 5769 2.2: answer with the address 192.0.2.1:32853, integrity and fingerprint of no interest
 * here */
static const char rfc5769_v4[] = "0101003c2112a442b7e7a701bc34d686fa87dfae"
				 "8022000b7465737420766563746f7220"
				 "002000080001a147e112a643"
				 "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
				 "80280004c07d4c96";
/* RFC 5769 2.3: [2001:db8:1234:5678:11:2233:4455:6677]:32853 */
static const char rfc5769_v6[] = "010100482112a442b7e7a701bc34d686fa87dfae"
				 "8022000b7465737420766563746f7220"
				 "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
				 "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
				 "80280004c8fb0b4c";

static size_t request(uint8_t out[static 64])
{
	return harness_unhex(request_hex, out, 64);
}

TEST(stun_request_is_the_documented_vector)
{
	uint8_t want[64], got[STUN_REQUEST_LEN];

	ck_assert_uint_eq(request(want), STUN_REQUEST_LEN);
	stun_request_emit(txid_1_to_12, got);
	ck_bytes_eq(got, want, sizeof got);
	ck_assert(stun_is(got, sizeof got));
}

TEST(stun_server_accepts_what_the_client_sends_and_returns_its_txid)
{
	uint8_t in[64], txid[STUN_TXID];
	size_t n = request(in);

	ck_assert_int_eq(stun_request_parse(in, n, txid), STUN_OK);
	ck_bytes_eq(txid, txid_1_to_12, STUN_TXID);
}

TEST(stun_server_refuses_a_request_cut_anywhere)
{
	uint8_t in[64], txid[STUN_TXID];
	size_t n = request(in);

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(stun_request_parse(in, i, txid), STUN_BAD_SHAPE);
}

TEST(stun_server_refuses_any_flipped_bit_past_the_txid)
{
	uint8_t in[64], txid[STUN_TXID];
	size_t n = request(in);

	for (size_t bit = STUN_HEADER * 8; bit < n * 8; bit++) {
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_ne(stun_request_parse(in, n, txid), STUN_OK);
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	in[10] ^= 1; /* the fingerprint covers the transaction id */
	ck_assert_int_eq(stun_request_parse(in, n, txid), STUN_BAD_FINGERPRINT);
}

TEST(stun_server_refuses_other_software_no_fingerprint_and_fingerprint_not_last)
{
	uint8_t in[64], txid[STUN_TXID];
	size_t n = request(in);

	in[24] = 'T';
	ck_assert_int_eq(stun_request_parse(in, n, txid), STUN_BAD_SOFTWARE);
	n = request(in);
	in[3] = 12; /* SOFTWARE only */
	ck_assert_int_eq(stun_request_parse(in, n, txid), STUN_BAD_FINGERPRINT);
	n = request(in);
	in[3] = 24;
	memcpy(in + n, "\x80\x22\x00\x00", 4);
	ck_assert_int_eq(stun_request_parse(in, n + 4, txid), STUN_BAD_FINGERPRINT);
	n = request(in);
	in[3] = 0;
	ck_assert_int_eq(stun_request_parse(in, n, txid), STUN_BAD_SOFTWARE);
	in[0] = 1; /* a success answer is not a request */
	ck_assert_int_eq(stun_request_parse(in, n, txid), STUN_OTHER_TYPE);
}

TEST(stun_answers_of_the_rfc_give_their_addresses)
{
	static const uint8_t want_tx[STUN_TXID] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
						    0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae };
	uint8_t in[128], txid[STUN_TXID];
	struct ipport got;
	char text[IPPORT_TEXT];
	size_t n = harness_unhex(rfc5769_v4, in, sizeof in);

	ck_assert_int_eq(stun_answer_parse(in, n, txid, &got), STUN_OK);
	ck_assert_str_eq(ipport_text(&got, text), "192.0.2.1:32853");
	ck_bytes_eq(txid, want_tx, STUN_TXID);
	n = harness_unhex(rfc5769_v6, in, sizeof in);
	ck_assert_int_eq(stun_answer_parse(in, n, txid, &got), STUN_OK);
	ck_assert_str_eq(ipport_text(&got, text), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(stun_answer_parse(in, i, txid, &got), STUN_BAD_SHAPE);
}

TEST(stun_answer_emitted_has_only_the_xored_address_and_is_parsed_back)
{
	static const uint8_t v4_answer[] = { 1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42 };
	const struct ipport v4 = { ip_v4(203, 0, 113, 9), 41641 };
	struct ipport v6 = { { { 0xfd, 1, [15] = 9 } }, 1 }, got;
	uint8_t out[STUN_ANSWER_MAX], txid[STUN_TXID];

	ck_assert_uint_eq(stun_answer_emit(txid_1_to_12, &v4, out), 32);
	ck_bytes_eq(out, v4_answer, sizeof v4_answer);
	ck_bytes_eq(out + 20, "\x00\x20\x00\x08\x00\x01", 6);
	ck_assert_int_eq(stun_answer_parse(out, 32, txid, &got), STUN_OK);
	ck_assert(ipport_eq(&got, &v4));
	ck_assert_uint_eq(stun_answer_emit(txid_1_to_12, &v6, out), 44);
	ck_assert_int_eq(stun_answer_parse(out, 44, txid, &got), STUN_OK);
	ck_assert(ipport_eq(&got, &v6));
	ck_bytes_eq(txid, txid_1_to_12, STUN_TXID);
}

TEST(stun_answer_takes_the_old_number_and_falls_back_to_the_plain_address)
{
	uint8_t in[64], txid[STUN_TXID];
	struct ipport got;
	char text[IPPORT_TEXT];
	/* MAPPED-ADDRESS 1.2.3.4:5, then the draft's XOR number with 5.6.7.8:9 */
	size_t n = harness_unhex("010100182112a4420102030405060708090a0b0c"
				 "00010008000100050102030480200008"
				 "0001211b2414a34a",
				 in, sizeof in);

	ck_assert_int_eq(stun_answer_parse(in, n, txid, &got), STUN_OK);
	ck_assert_str_eq(ipport_text(&got, text), "5.6.7.8:9");
	in[33] = 0x99; /* now an attribute that nobody knows */
	ck_assert_int_eq(stun_answer_parse(in, n, txid, &got), STUN_OK);
	ck_assert_str_eq(ipport_text(&got, text), "1.2.3.4:5");
	in[21] = 0x99;
	ck_assert_int_eq(stun_answer_parse(in, n, txid, &got), STUN_NO_ADDRESS);
	in[1] = 0x11; /* binding error */
	ck_assert_int_eq(stun_answer_parse(in, n, txid, &got), STUN_OTHER_TYPE);
}

TEST(stun_answer_ignores_bytes_behind_the_message)
{
	const struct ipport from = { ip_v4(192, 0, 2, 7), 7 };
	uint8_t out[STUN_ANSWER_MAX + 20] = { 0 }, txid[STUN_TXID];
	struct ipport got;
	size_t n = stun_answer_emit(txid_1_to_12, &from, out);

	ck_assert_int_eq(stun_answer_parse(out, n + 20, txid, &got), STUN_OK);
	ck_assert(ipport_eq(&got, &from));
}

TEST(stun_is_leaves_wireguard_and_disco_alone)
{
	uint8_t wg[32] = { 1 }, disco[64] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac }, in[64];
	size_t n = request(in);

	ck_assert(!stun_is(wg, sizeof wg));
	ck_assert(!stun_is(disco, sizeof disco));
	ck_assert(!stun_is(in, STUN_HEADER - 1));
	in[0] |= 0x80;
	ck_assert(!stun_is(in, n));
}

TEST(stun_faults_all_have_names)
{
	for (int i = 0; i < STUN_FAULT_N; i++)
		ck_assert_ptr_nonnull(stun_fault_names[i]);
}

TEST(stun_answer_of_a_real_derper_on_a_dual_stack_socket_gives_an_ipv4_address)
{
	/* derper of tailscale 1.102.5 answering the vector above from 127.0.0.1:42049, as
	 * IPv6-mapped */
	uint8_t in[64], txid[STUN_TXID];
	struct ipport got;
	char text[IPPORT_TEXT];
	size_t n = harness_unhex("010100182112a4420102030405060708090a0b0c"
				 "00200014000285532112a442010203040506f8f7760a0b0d",
				 in, sizeof in);

	ck_assert_int_eq(stun_answer_parse(in, n, txid, &got), STUN_OK);
	ck_assert(ip_is_v4(&got.ip));
	ck_assert_str_eq(ipport_text(&got, text), "127.0.0.1:42049");
	ck_bytes_eq(txid, txid_1_to_12, STUN_TXID);
}
