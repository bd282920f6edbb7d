/* noise_test.c - the vectors of testdata/noise-vectors.json (checked against the Go code) in both
 * roles; forgeries */
#include "crypto/noise.h"

#include <stdlib.h>

#include "base/json.h"
#include "tests/harness.h"

struct record {
	bool c2s;
	uint64_t counter;
	uint8_t plain[64], frame[96];
	size_t plain_len, frame_len;
};

struct vectors {
	uint16_t version;
	struct key_priv control, machine, client_e, server_e;
	struct key_pub control_pub, machine_pub;
	uint8_t init[NOISE_INIT_LEN], resp[NOISE_RESP_LEN], h_init[32], ck_init[32], c2s[32],
	    s2c[32];
	struct record rec[8];
	size_t n_rec;
};

static size_t hex(struct json *j, uint8_t *out, size_t cap)
{
	char text[512];

	json_str(j, text, sizeof text);
	return harness_unhex(text, out, cap);
}

static void load_records(struct json *j, struct vectors *v)
{
	struct bytes key;

	json_arr(j);
	while (json_elem(j)) {
		struct record *r = &v->rec[v->n_rec++];

		ck_assert(v->n_rec <= ARRAY_LEN(v->rec));
		json_obj(j);
		while (json_key(j, &key)) {
			if (json_key_is(key, "dir")) {
				char dir[8];

				json_str(j, dir, sizeof dir);
				r->c2s = strcmp(dir, "c2s") == 0;
			} else if (json_key_is(key, "nonce_counter"))
				r->counter = json_u64(j);
			else if (json_key_is(key, "plaintext_hex"))
				r->plain_len = hex(j, r->plain, sizeof r->plain);
			else if (json_key_is(key, "frame_hex"))
				r->frame_len = hex(j, r->frame, sizeof r->frame);
			else
				json_skip(j);
		}
	}
}

static struct vectors load(void)
{
	struct vectors v = { 0 };
	const struct {
		const char *name;
		uint8_t *out;
		size_t n;
	} fields[] = {
		{ "control_static_priv", v.control.b, 32 },
		{ "control_static_pub", v.control_pub.b, 32 },
		{ "machine_priv", v.machine.b, 32 },
		{ "machine_pub", v.machine_pub.b, 32 },
		{ "client_ephemeral_priv", v.client_e.b, 32 },
		{ "server_ephemeral_priv", v.server_e.b, 32 },
		{ "initiation_101_bytes", v.init, sizeof v.init },
		{ "response_51_bytes", v.resp, sizeof v.resp },
		{ "h_after_initiation", v.h_init, 32 },
		{ "ck_after_initiation", v.ck_init, 32 },
		{ "key_client_to_server", v.c2s, 32 },
		{ "key_server_to_client", v.s2c, 32 },
	};
	size_t len, seen = 0;
	uint8_t *text = harness_file("lib/crypto/testdata/noise-vectors.json", &len);
	struct json j = json_of(bytes_of(text, len));
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		size_t i = 0;

		while (i < ARRAY_LEN(fields) && !json_key_is(key, fields[i].name))
			i++;
		if (i < ARRAY_LEN(fields)) {
			ck_assert_uint_eq(hex(&j, fields[i].out, fields[i].n), fields[i].n);
			seen++;
		} else if (json_key_is(key, "protocolVersion"))
			v.version = (uint16_t)json_u64(&j);
		else if (json_key_is(key, "records"))
			load_records(&j, &v);
		else
			json_skip(&j);
	}
	ck_assert(json_done(&j));
	ck_assert_uint_eq(seen, ARRAY_LEN(fields));
	ck_assert_uint_eq(v.n_rec, 4);
	free(text);
	return v;
}

struct fixed_rng { /* hands out one key */
	struct rng rng;
	const struct key_priv *key;
};

static void fixed_fill(struct rng *r, void *buf, size_t len)
{
	ck_assert_uint_eq(len, KEY_LEN);
	memcpy(buf, ((struct fixed_rng *)r)->key->b, KEY_LEN);
}

static void check_records(const struct vectors *v, struct noise_keys keys, bool is_client)
{
	for (size_t i = 0; i < v->n_rec; i++) {
		const struct record *r = &v->rec[i];
		uint8_t out[128];

		if (r->c2s == is_client) {
			keys.send_n = r->counter;
			ck_assert(noise_seal(&keys, r->plain, r->plain_len, out));
			ck_bytes_eq(out, r->frame, r->frame_len);
			ck_assert_uint_eq(keys.send_n, r->counter + 1);
		} else {
			keys.recv_n = r->counter;
			ck_assert(noise_open(&keys, r->frame + 3, r->frame_len - 3, out));
			ck_bytes_eq(out, r->plain, r->plain_len);
			ck_assert_uint_eq(keys.recv_n, r->counter + 1);
		}
	}
}

TEST(client_reproduces_the_vectors_byte_by_byte)
{
	struct vectors v = load();
	struct fixed_rng rng = { { fixed_fill }, &v.client_e };
	struct noise_handshake hs;
	struct noise_keys keys;
	uint8_t out[NOISE_INIT_LEN];

	ck_assert(noise_init_emit(&hs, v.version, &v.machine, &v.control_pub, &rng.rng, out));
	ck_bytes_eq(out, v.init, sizeof out);
	ck_bytes_eq(hs.h, v.h_init, 32);
	ck_bytes_eq(hs.ck, v.ck_init, 32);
	ck_assert(noise_resp_read(&hs, &v.machine, v.resp, &keys));
	ck_bytes_eq(keys.send, v.c2s, 32);
	ck_bytes_eq(keys.recv, v.s2c, 32);
	check_records(&v, keys, true);
}

TEST(server_reproduces_the_vectors_byte_by_byte)
{
	struct vectors v = load();
	struct fixed_rng rng = { { fixed_fill }, &v.server_e };
	struct noise_handshake hs;
	struct noise_keys keys;
	struct key_pub machine;
	uint16_t version;
	uint8_t out[NOISE_RESP_LEN];

	ck_assert(noise_init_read(&hs, &v.control, v.init, &version, &machine));
	ck_assert_uint_eq(version, v.version);
	ck_assert(key_eq(&machine, &v.machine_pub));
	ck_bytes_eq(hs.h, v.h_init, 32);
	ck_assert(noise_resp_emit(&hs, &rng.rng, out, &keys));
	ck_bytes_eq(out, v.resp, sizeof out);
	ck_bytes_eq(keys.recv, v.c2s, 32);
	ck_bytes_eq(keys.send, v.s2c, 32);
	check_records(&v, keys, false);
}

TEST(server_refuses_an_initiation_with_any_byte_changed)
{
	struct vectors v = load();

	for (size_t i = 0; i < sizeof v.init; i++) {
		struct noise_handshake hs;
		struct key_pub machine;
		uint16_t version;
		uint8_t in[NOISE_INIT_LEN];

		memcpy(in, v.init, sizeof in);
		in[i] ^= 0x01;
		ck_assert_msg(!noise_init_read(&hs, &v.control, in, &version, &machine), "byte %zu",
			      i);
	}
}

TEST(client_refuses_a_response_with_any_byte_changed)
{
	struct vectors v = load();
	struct fixed_rng rng = { { fixed_fill }, &v.client_e };

	for (size_t i = 0; i < sizeof v.resp; i++) {
		struct noise_handshake hs;
		struct noise_keys keys;
		uint8_t in[NOISE_RESP_LEN], out[NOISE_INIT_LEN];

		memcpy(in, v.resp, sizeof in);
		in[i] ^= 0x01;
		ck_assert(
		    noise_init_emit(&hs, v.version, &v.machine, &v.control_pub, &rng.rng, out));
		ck_assert_msg(!noise_resp_read(&hs, &v.machine, in, &keys), "byte %zu", i);
		ck_assert(key_is_zero((const struct key_pub *)&hs.ephemeral));
	}
}

TEST(client_refuses_a_control_key_of_low_order)
{
	struct vectors v = load();
	struct fixed_rng rng = { { fixed_fill }, &v.client_e };
	struct key_pub low = { 0 };
	struct noise_handshake hs;
	uint8_t out[NOISE_INIT_LEN];

	ck_assert(!noise_init_emit(&hs, 1, &v.machine, &low, &rng.rng, out));
	low.b[0] = 1;
	ck_assert(!noise_init_emit(&hs, 1, &v.machine, &low, &rng.rng, out));
}

TEST(a_record_is_opened_once_in_order_and_at_no_other_length)
{
	struct noise_keys a = { .send = { 1 }, .recv = { 2 } },
			  b = { .send = { 2 }, .recv = { 1 } };
	static uint8_t in[NOISE_PLAIN_MAX], frame[NOISE_FRAME_MAX], out[NOISE_FRAME_MAX];

	memset(in, 7, sizeof in);
	ck_assert(noise_seal(&a, in, sizeof in, frame));
	ck_assert_uint_eq(frame[0], 4);
	ck_assert_uint_eq((size_t)(frame[1] << 8 | frame[2]), NOISE_FRAME_MAX - 3);
	for (size_t n = 0; n < NOISE_FRAME_MAX - 3; n += n < 64 ? 1 : 501)
		ck_assert(!noise_open(&b, frame + 3, n, out));
	ck_assert(noise_open(&b, frame + 3, NOISE_FRAME_MAX - 3, out));
	ck_bytes_eq(out, in, sizeof in);
	ck_assert(!noise_open(&b, frame + 3, NOISE_FRAME_MAX - 3, out));
}

TEST(the_last_counter_is_never_used)
{
	struct noise_keys k = { .send_n = UINT64_MAX, .recv_n = UINT64_MAX };
	uint8_t out[64] = { 0 };

	ck_assert(!noise_seal(&k, out, 1, out + 8));
	ck_assert(!noise_open(&k, out, 17, out));
}
