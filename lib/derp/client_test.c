/* derp/client_test.c - the client end against a relay played by the test: every cut, every
 * malformed frame, every limit */
#include "derp/client.h"

#include "crypto/box.h"
#include "tests/harness.h"

#include <stdlib.h>

#define HTTP101 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n"

struct relay {
	struct seed_rng rng;
	struct key_priv key, node;
	struct key_pub pub, node_pub;
	uint8_t shared[BOX_SHARED];
	struct derp_client *c;
	mono_t now;
};

static void relay_init(struct relay *r)
{
	struct derp_client_conf conf = { .host = "relay.example.com:3340",
					 .app = "te\"st",
					 .is_home = true };

	*r = (struct relay){ .now = { NS_PER_S } };
	seed_rng_init(&r->rng, 3);
	key_gen(&r->key, &r->rng.rng);
	key_gen(&r->node, &r->rng.rng);
	key_public(&r->pub, &r->key);
	key_public(&r->node_pub, &r->node);
	ck_assert(box_shared(r->shared, &r->key, &r->node_pub));
	conf.rng = &r->rng.rng;
	conf.node = r->node;
	r->c = derp_client_new(&conf, r->now);
	ck_assert_ptr_nonnull(r->c);
}

static void put(struct buf *b, enum derp_frame_type type, const void *body, size_t len)
{
	ck_assert(derp_frame_emit(b, type, bytes_of(body, len), bytes_of(NULL, 0)));
}

static void put_handshake(const struct relay *r, struct buf *b, const char *info)
{
	uint8_t body[512] = { 4 };
	size_t len = strlen(info);

	ck_assert(buf_append(b, HTTP101, strlen(HTTP101)));
	ck_assert(derp_frame_emit(b, DERP_SERVER_KEY, bytes_of(derp_magic, DERP_MAGIC_LEN),
				  bytes_of(r->pub.b, KEY_LEN)));
	box_seal(body + BOX_NONCE, (const uint8_t *)info, len, body, r->shared);
	put(b, DERP_SERVER_INFO, body, BOX_NONCE + BOX_TAG + len);
}

/* what happened, one letter an event */
static void collect(struct relay *r, char *log, size_t cap)
{
	static const char letters[] = "RPGWHSOC"; /* in the order of enum derp_event_type */
	struct derp_event ev;
	size_t n = strlen(log);

	while (derp_client_next(r->c, &ev) && n + 1 < cap) {
		log[n++] = letters[ev.type];
		log[n] = 0;
	}
}

static void relay_feed(struct relay *r, struct bytes in, char *log, size_t cap)
{
	derp_client_feed(r->c, r->now, in);
	collect(r, log, cap);
}

static void put_all_kinds(const struct relay *r, struct buf *b)
{
	uint8_t k[KEY_LEN + 20] = { 1 };

	put_handshake(r, b, "{\"version\":2}");
	put(b, DERP_RECV_PACKET, k, sizeof k);
	put(b, DERP_KEEP_ALIVE, NULL, 0);
	put(b, 0x77, "what is this", 12);
	put(b, DERP_PEER_GONE, k, KEY_LEN);
	put(b, DERP_PEER_GONE, k, KEY_LEN + 1);
	put(b, DERP_PEER_PRESENT, k, KEY_LEN);
	put(b, DERP_PEER_PRESENT, k, DERP_PRESENT_LEN);
	put(b, DERP_PING, "12345678", 8);
	put(b, DERP_HEALTH, "sick", 4);
	put(b, DERP_HEALTH, "", 0);
	put(b, DERP_RESTARTING, "\0\0\4\0\0\0\1\0", 8);
	put(b, DERP_RECV_PACKET, k, KEY_LEN);
}

TEST(stream_cut_at_every_byte_gives_the_same_events)
{
	struct buf b;
	struct relay r;

	buf_init(&b, 1 << 16);
	relay_init(&r);
	put_all_kinds(&r, &b);
	derp_client_free(r.c);
	for (size_t cut = 0; cut <= b.len; cut++) {
		char log[64] = "";
		uint8_t out[1024];
		struct bytes all = buf_bytes(&b);
		size_t n;

		relay_init(&r);
		relay_feed(&r, bytes_of(all.data, cut), log, sizeof log);
		relay_feed(&r, bytes_of(all.data + cut, all.len - cut), log, sizeof log);
		ck_assert_str_eq(log, "RPGGWWHHSP");
		n = derp_client_pull(r.c, r.now, out, sizeof out);
		ck_assert_uint_gt(n, 13);
		ck_assert_int_eq(memcmp(out + n - 13,
					"\x13\0\0\0\10"
					"12345678",
					13),
				 0); /* the Pong */
		derp_client_free(r.c);
	}
	buf_fini(&b);
}

TEST(client_info_is_boxed_for_the_relay_and_says_who_we_are)
{
	char log[8] = "", text[512] = "";
	uint8_t out[2048];
	struct relay r;
	struct buf b;
	size_t n, head, len;

	buf_init(&b, 4096);
	relay_init(&r);
	head = derp_client_pull(r.c, r.now, out, sizeof out);
	out[head] = 0;
	ck_assert_str_eq((char *)out,
			 "GET /derp HTTP/1.1\r\nHost: relay.example.com:3340\r\nConnection: "
			 "Upgrade\r\nUpgrade: DERP\r\n\r\n");
	put_handshake(&r, &b, "{\"version\":2}");
	relay_feed(&r, buf_bytes(&b), log, sizeof log);
	n = derp_client_pull(r.c, r.now, out, sizeof out);
	ck_assert_int_eq(out[0], DERP_CLIENT_INFO);
	ck_bytes_eq(out + DERP_HEAD_LEN, r.node_pub.b, KEY_LEN);
	len = ((size_t)out[3] << 8 | out[4]) - KEY_LEN - BOX_NONCE;
	ck_assert(box_open((uint8_t *)text, out + DERP_HEAD_LEN + KEY_LEN + BOX_NONCE, len,
			   out + DERP_HEAD_LEN + KEY_LEN, r.shared));
	ck_assert_str_eq(
	    text, "{\"version\":2,\"CanAckPings\":true,\"IsProber\":false,\"AppName\":\"te_st\"}");
	ck_assert_int_eq(memcmp(out + n - 6, "\7\0\0\0\1\1", 6),
			 0); /* NotePreferred right behind */
	buf_fini(&b);
	derp_client_free(r.c);
}

TEST(malformed_frames_are_skipped_and_counted)
{
	char log[16] = "";
	struct relay r;
	struct buf b;

	buf_init(&b, 1 << 16);
	relay_init(&r);
	put_handshake(&r, &b, "{}");
	put(&b, DERP_RECV_PACKET, "short", 5);
	put(&b, DERP_RECV_PACKET, "", 0);
	put(&b, DERP_PEER_GONE, "x", 1);
	put(&b, DERP_PEER_PRESENT, "", 0);
	put(&b, DERP_PING, "1234567", 7);
	put(&b, DERP_RESTARTING, "1234567", 7);
	put(&b, DERP_PONG, "87654321", 8); /* nobody asked */
	relay_feed(&r, buf_bytes(&b), log, sizeof log);
	ck_assert_str_eq(log, "R");
	ck_assert_uint_eq(derp_client_stats(r.c)->malformed, 6);
	buf_fini(&b);
	derp_client_free(r.c);
}

TEST(unknown_frames_up_to_a_mebibyte_are_skipped_without_being_kept)
{
	uint8_t head[DERP_HEAD_LEN], *body = calloc(1, DERP_FRAME_MAX);
	char log[16] = "";
	struct relay r;
	struct buf b;

	buf_init(&b, 4096);
	relay_init(&r);
	put_handshake(&r, &b, "{}");
	relay_feed(&r, buf_bytes(&b), log, sizeof log);
	derp_frame_head(head, 0x77, DERP_FRAME_MAX);
	relay_feed(&r, bytes_of(head, sizeof head), log, sizeof log);
	relay_feed(&r, bytes_of(body, DERP_FRAME_MAX), log,
		   sizeof log); /* more than DERP_INPUT_MAX may wait */
	relay_feed(&r, bytes_of("\x14\0\0\0\0", 5), log, sizeof log);
	ck_assert_str_eq(log, "RH");
	free(body);
	buf_fini(&b);
	derp_client_free(r.c);
}

static void dies(const char *bytes, size_t len, bool after_handshake, const char *want)
{
	struct derp_event ev;
	char log[16] = "";
	struct relay r;
	struct buf b;

	buf_init(&b, 4096);
	relay_init(&r);
	if (after_handshake)
		put_handshake(&r, &b, "{}");
	relay_feed(&r, buf_bytes(&b), log, sizeof log);
	derp_client_feed(r.c, r.now, bytes_of(bytes, len));
	ck_assert(derp_client_next(r.c, &ev));
	ck_assert_int_eq(ev.type, DERP_EV_CLOSED);
	ck_assert_str_eq(ev.text, want);
	ck_assert(!derp_client_next(r.c, &ev));
	ck_assert(!derp_client_has_output(r.c));
	ck_assert(mono_is_never(derp_client_deadline(r.c)));
	buf_fini(&b);
	derp_client_free(r.c);
}

#define LIT(s) (s), sizeof(s) - 1

TEST(hostile_relay_ends_the_connection_with_a_reason)
{
	static const char box[] = "\3\0\0\0\x32"
				  "01234567890123456789012345678901234567890123456789";
	static const char zero_key[sizeof HTTP101 - 1 + 45] = HTTP101 "\1\0\0\0\x28"
								      "DERP\xf0\x9f\x94\x91";

	dies(LIT("\x05\0\1\0\x21"), true,
	     "relay sent a frame that is too long"); /* 65537 bytes of packet */
	dies(LIT("\x77\0\x10\0\1"), true, "relay sent a frame that is too long");
	dies(LIT(box), true, "relay's ServerInfo is not for us or malformed");
	dies(LIT("\3\0\0\0\0"), true, "relay's ServerInfo is too short");
	dies(LIT("HTTP/1.1 404 Not Found\r\n\r\n"), false,
	     "relay does not speak DERP here: HTTP status 404");
	dies(LIT("HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), false,
	     "relay does not speak DERP here: HTTP status 101");
	dies(LIT("\x16\x03\x01"), false, "relay's HTTP answer: control character in head");
	dies(LIT(HTTP101 "\6\0\0\0\0"), false, "relay did not begin with its key");
	dies(zero_key, sizeof zero_key, false, "relay's key is not usable");
}

TEST(what_waits_for_a_node_that_is_forgotten_does_not_leave_and_the_rest_does_in_order)
{
	struct key_pub other = { { 9 } };
	uint8_t p[3000] = { 0 }, out[65536];
	char log[16] = "";
	struct relay r;
	struct buf b;
	size_t n;

	buf_init(&b, 4096);
	relay_init(&r);
	for (uint8_t i = 0; i < 10; i++) { /* before the relay has greeted: they wait */
		p[0] = i;
		ck_assert(
		    derp_client_send(r.c, i % 3 == 0 ? &other : &r.pub, p, i % 2 ? 100 : 3000));
	}
	derp_client_forget(r.c, &other);
	put_handshake(&r, &b, "{}");
	relay_feed(&r, buf_bytes(&b), log, sizeof log);
	n = derp_client_pull(r.c, r.now, out, sizeof out);
	ck_assert_uint_eq(derp_client_stats(r.c)->sent, 6);
	ck_assert_uint_eq(derp_client_stats(r.c)->dropped_queue, 4);
	ck_assert_ptr_null(memmem(out, n, other.b, KEY_LEN));
	ck_assert(derp_client_send(r.c, &other, p, 10)); /* it may come back */
	ck_assert_uint_gt(derp_client_pull(r.c, r.now, out, sizeof out), 0);
	buf_fini(&b);
	derp_client_free(r.c);
}

TEST(relay_limit_is_kept_by_dropping_what_exceeds_it)
{
	uint8_t p[1000] = { 0 }, out[65536];
	char log[16] = "";
	struct relay r;
	struct buf b;

	buf_init(&b, 4096);
	relay_init(&r);
	put_handshake(&r, &b,
		      "{\"TokenBucketBytesPerSecond\":1037,\"TokenBucketBytesBurst\":3111}");
	relay_feed(&r, buf_bytes(&b), log, sizeof log);
	for (int i = 0; i < 10; i++)
		ck_assert(derp_client_send(r.c, &r.pub, p, sizeof p));
	derp_client_pull(r.c, r.now, out, sizeof out); /* 1000 and 37 of framing each: three fit */
	ck_assert_uint_eq(derp_client_stats(r.c)->sent, 3);
	ck_assert_uint_eq(derp_client_stats(r.c)->dropped_rate, 7);
	r.now = mono_add(r.now, SPAN_S(1));
	for (int i = 0; i < 3; i++)
		ck_assert(derp_client_send(r.c, &r.pub, p, sizeof p));
	derp_client_pull(r.c, r.now, out, sizeof out);
	ck_assert_uint_eq(derp_client_stats(r.c)->sent, 4);
	buf_fini(&b);
	derp_client_free(r.c);
}

TEST(pulling_byte_by_byte_gives_the_same_stream)
{
	uint8_t whole[65536], one[65536], p[5000];
	size_t n_whole = 0, n_one = 0;

	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)i;
	for (int pass = 0; pass < 2; pass++) {
		char log[16] = "";
		struct relay r;
		struct buf b;
		size_t n;

		buf_init(&b, 4096);
		relay_init(&r);
		put_handshake(&r, &b, "{}");
		relay_feed(&r, buf_bytes(&b), log, sizeof log);
		for (size_t len = 0; len <= sizeof p; len += 617)
			ck_assert(derp_client_send(r.c, &r.pub, p, len));
		if (pass == 0)
			n_whole = derp_client_pull(r.c, r.now, whole, sizeof whole);
		while (pass == 1 && (n = derp_client_pull(r.c, r.now, one + n_one, 1)) > 0)
			n_one += n;
		ck_assert(!derp_client_has_output(r.c));
		buf_fini(&b);
		derp_client_free(r.c);
	}
	ck_assert_uint_eq(n_whole, n_one);
	ck_bytes_eq(one, whole, n_whole);
}
