/* derp/derp_server_fuzz.c - the relay reads several hostile clients, whose steps are drawn from the
 * input
 *
 * Steps: one byte of operation and connection, one of length where bytes follow. Connections 0 to 2
 * are logged in properly at the start (the last one as a mesh peer); 3 opens raw.
 */
#include "crypto/box.h"
#include "derp/client.h"
#include "derp/server.h"

#include "base/cursor.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONNS = 4 };
static const char mesh[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct world {
	struct derp_server *s;
	struct derp_conn_id id[CONNS];
	mono_t now;
};

static void count_fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	memset(buf, 5, len);
}

static void events(struct world *w)
{
	struct derp_server_event ev;

	for (int i = 0; derp_server_next(w->s, &ev); i++) {
		assert(i < 1000);
		assert(ev.type != DERP_SRV_HANGUP || ev.reason);
		if (ev.type == DERP_SRV_VERIFY)
			derp_server_admit(w->s, w->now, ev.id, true);
	}
}

static void open_one(struct world *w, size_t i)
{
	struct ipport remote = { .port = (uint16_t)i };

	derp_server_close(w->s, w->now, w->id[i]);
	assert(derp_server_open(w->s, w->now, &remote, true, &w->id[i]) == 0);
}

static void login(struct world *w, struct rng *rng, size_t i)
{
	char json[128];
	uint8_t body[KEY_LEN + BOX_NONCE + sizeof json + BOX_TAG] = { 0 }, shared[BOX_SHARED];
	struct key_priv k = { { (uint8_t)(i << 3) } };
	struct key_pub pub;
	struct buf b;
	int n =
	    snprintf(json, sizeof json, "{\"version\":2,\"meshKey\":\"%s\"}", i == 2 ? mesh : "");

	key_clamp(&k);
	key_public(&pub, &k);
	memcpy(body, pub.b, KEY_LEN);
	rng_fill(rng, body + KEY_LEN, BOX_NONCE);
	assert(box_shared(shared, &k, derp_server_key(w->s)));
	box_seal(body + KEY_LEN + BOX_NONCE, (const uint8_t *)json, (size_t)n, body + KEY_LEN,
		 shared);
	buf_init(&b, 1024);
	assert(derp_frame_emit(&b, DERP_CLIENT_INFO,
			       bytes_of(body, KEY_LEN + BOX_NONCE + BOX_TAG + (size_t)n),
			       bytes_of(NULL, 0)));
	derp_server_feed(w->s, w->now, w->id[i], buf_bytes(&b));
	buf_fini(&b);
	events(w);
}

static void step(struct world *w, struct rd *r)
{
	uint8_t op = rd_u8(r), arg = rd_u8(r), buf[600];
	struct derp_conn_id id = w->id[op & 3];
	struct bytes in;

	switch (op >> 2 & 7) {
	case 0:
	case 1:
	case 2:
	case 3:
		in = bytes_of(r->p, MIN_OF((size_t)arg, r->left));
		rd_skip(r, in.len);
		derp_server_feed(w->s, w->now, id, in);
		break;
	case 4:
		(void)derp_server_pull(w->s, w->now, id, buf, (size_t)arg * 2 + 1);
		break;
	case 5:
		w->now = mono_add(w->now, SPAN_MS(arg * 50));
		derp_server_tick(w->s, w->now);
		assert(mono_before(w->now, derp_server_deadline(w->s)));
		break;
	case 6:
		derp_server_close(w->s, w->now, id);
		break;
	case 7:
		open_one(w, op & 3);
		break;
	}
	events(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rng rng = { count_fill };
	struct derp_server_conf conf = { .rng = &rng,
					 .max_conns = CONNS,
					 .key = { { 16 } },
					 .queue_bytes = 20000,
					 .total_bytes = 200000 };
	struct world w = { .now = { 1 } };
	struct rd r = rd_of(data, len);

	memcpy(conf.mesh_key, mesh, sizeof mesh);
	conf.verify = len > 0 && (data[0] & 0x80);
	if (len > 0 && (data[0] & 0x40)) {
		conf.rate_bytes = 5000;
		conf.rate_burst = 70000;
	}
	key_clamp(&conf.key);
	w.s = derp_server_new(&conf);
	if (!w.s)
		return 0;
	for (size_t i = 0; i < CONNS; i++)
		w.id[i] = (struct derp_conn_id){ UINT32_MAX, 0 };
	for (size_t i = 0; i < CONNS; i++) {
		open_one(&w, i);
		if (i < 3)
			login(&w, &rng, i);
	}
	rd_skip(&r, 1);
	for (int i = 0; i < 2000 && r.left > 0; i++)
		step(&w, &r);
	derp_server_free(w.s);
	return 0;
}
