/* ts2021/key_fetch_test.c - the answer to GET /key; answers cut anywhere and in every framing */
#include "ts2021/key_fetch.h"

#include "tests/harness.h"
#include "ts2021/answer.h"
#include "ts2021/upgrade.h"

#define KEY_HEX "903fa8b2903fa8b2903fa8b2903fa8b2903fa8b2903fa8b2903fa8b2903fa8b2"

TEST(key_request_is_as_captured_from_the_wire)
{
	struct buf b;
	char text[200];

	buf_init(&b, 1000);
	ck_assert(key_fetch_emit(&b, "127.0.0.1:18080", 142));
	ck_assert(bytes_to_str(buf_bytes(&b), text, sizeof text));
	ck_assert_str_eq(
	    text,
	    "GET /key?v=142 HTTP/1.1\r\nHost: 127.0.0.1:18080\r\nUser-Agent: tailpod\r\n\r\n");
	buf_fini(&b);
}

/* initiation and header of samples/noise-vectors.json */
TEST(upgrade_request_is_as_captured_from_the_wire)
{
	uint8_t init[NOISE_INIT_LEN];
	struct buf b;
	char text[600];

	harness_unhex("008a010060883186b800b41d5cf0429695da9b3cc4f328ebcd184a6e482fa578c103f06c7774"
		      "99be405f163516bc4c8736fec6c69713cb"
		      "f2ad2fa3cca0ef7362318370d75eb379e559b7713332057ab77e93f2bffb34c62dd04425338e"
		      "22ccea1e44dd7db4",
		      init, sizeof init);
	buf_init(&b, 1000);
	ck_assert(upgrade_emit(&b, "127.0.0.1:18080", init));
	ck_assert(bytes_to_str(buf_bytes(&b), text, sizeof text));
	ck_assert_str_eq(
	    text,
	    "POST /ts2021 HTTP/1.1\r\nHost: 127.0.0.1:18080\r\nUser-Agent: "
	    "tailpod\r\nContent-Length: 0\r\n"
	    "Connection: upgrade\r\nUpgrade: tailscale-control-protocol\r\nX-Tailscale-Handshake: "
	    "AIoBAGCIMYa4ALQdXPBClpXamzzE8yjrzRhKbkgvpXjBA/Bsd3SZvkBfFjUWvEyHNv7GxpcTy/"
	    "KtL6PMoO9zYjGDcNdes3nlWb"
	    "dxMzIFerd+k/K/+zTGLdBEJTOOIszqHkTdfbQ=\r\n\r\n");
	buf_fini(&b);
}

TEST(key_answers_are_told_apart)
{
	struct key_pub k = { { 0 } };

	ck_assert_int_eq(
	    key_fetch_read(
		200,
		bytes_str("{\"legacyPublicKey\":\"mkey:00\",\"publicKey\":\"mkey:" KEY_HEX "\"}"),
		&k),
	    KEY_FETCH_OK);
	ck_assert_uint_eq(k.b[0], 0x90);
	ck_assert_int_eq(key_fetch_read(404, bytes_str(""), &k), KEY_FETCH_NOT_FOUND);
	ck_assert_int_eq(key_fetch_read(400, bytes_str("no"), &k), KEY_FETCH_STATUS);
	ck_assert_int_eq(key_fetch_read(200, bytes_str(""), &k), KEY_FETCH_TOO_OLD);
	ck_assert_int_eq(key_fetch_read(200, bytes_str("{}"), &k), KEY_FETCH_NOT_CONTROL);
	ck_assert_int_eq(key_fetch_read(200, bytes_str("null"), &k), KEY_FETCH_NOT_CONTROL);
	ck_assert_int_eq(
	    key_fetch_read(200, bytes_str("{\"publicKey\":\"nodekey:" KEY_HEX "\"}"), &k),
	    KEY_FETCH_NOT_CONTROL);
	ck_assert_int_eq(
	    key_fetch_read(
		200,
		bytes_str(
		    "{\"publicKey\":\"mkey:00000000000000000000000000000000000000000000000000000"
		    "00000000000\"}"),
		&k),
	    KEY_FETCH_TOO_OLD);
}

static void answer_text(const char *text, const char *want)
{
	size_t n = strlen(text);

	for (size_t cut = 0; cut <= n; cut++) {
		struct answer a;
		enum answer_got g;

		answer_init(&a, "GET", NULL);
		g = answer_feed(&a, bytes_of(text, cut));
		if (g == ANSWER_MORE)
			g = answer_feed(&a, bytes_of(text + cut, n - cut));
		if (g == ANSWER_MORE)
			g = answer_eof(&a);
		ck_assert_int_eq(g, want ? ANSWER_DONE : ANSWER_BAD);
		if (want)
			ck_assert(bytes_eq_str(buf_bytes(&a.content), want));
		answer_fini(&a);
	}
}

TEST(answers_are_read_in_every_framing_and_cut_anywhere)
{
	answer_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello");
	answer_text(
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
	    "hello");
	answer_text("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "hello");
	answer_text(
	    "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	    "hello");
	answer_text("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", NULL);
	answer_text("SSH-2.0-OpenSSH\r\n\r\n", NULL);
}

TEST(an_answer_body_is_limited_to_64_kib)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
	static uint8_t body[ANSWER_BODY_MAX];
	struct answer a;

	answer_init(&a, "GET", NULL);
	ck_assert_int_eq(answer_feed(&a, bytes_str(head)), ANSWER_MORE);
	ck_assert_int_eq(answer_feed(&a, bytes_of(body, sizeof body)), ANSWER_MORE);
	ck_assert_int_eq(answer_feed(&a, bytes_of(body, 1)), ANSWER_BAD);
	answer_fini(&a);
}
