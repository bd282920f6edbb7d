/* coordinator/tailnet_fuzz.c - two hostile machines with real handshakes: any requests, any HTTP/2,
 * beside an administrator
 *
 * Input: steps of one byte (what), one byte (who and length's high bits), one byte (length), then
 * so many bytes. In bodies a byte 1 stands for a good auth key, a byte 2 for the node key of the
 * other machine.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "coordinator/tailnet_priv.h"
#include "crypto/locked.h"
#include "ts2021/channel.h"
#include "ts2021/fuzz_rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MACHINES = 2, BODY_MAX = 16384 };

struct machine {
	struct channel c;
	struct session_id id;
	bool open;
	uint32_t stream;
};

struct world {
	struct fuzz_rng rng;
	struct tailnet *t;
	struct machine m[MACHINES];
	mono_t now;
	wall_t wall;
	int64_t user;
	char key[AUTHKEY_TEXT_MAX];
};

static void settle(struct world *w)
{
	struct tailnet_event ev;
	uint8_t out[4096];

	while (tailnet_next(w->t, &ev)) {
		struct buf json;

		buf_init(&json, 1 << 20);
		if (ev.type == TAILNET_STORE_NODE)
			(void)!tailnet_node_emit(w->t, ev.id, &json);
		else if (ev.type == TAILNET_STORE_KEY)
			(void)!tailnet_authkey_emit(w->t, ev.id, &json);
		else if (ev.type == TAILNET_OUTPUT)
			while (tailnet_pull(w->t, w->now, ev.session, out, sizeof out) > 0)
				;
		else if (ev.type == TAILNET_HANGUP) {
			tailnet_closed(w->t, w->now, w->wall, ev.session);
			for (int i = 0; i < MACHINES; i++)
				if (w->m[i].open && w->m[i].id.index == ev.session.index)
					w->m[i].open = false;
		}
		buf_fini(&json);
	}
}

static void raw(struct world *w, struct machine *m, const uint8_t *data, size_t len)
{
	uint8_t frame[NOISE_FRAME_MAX];

	while (len > 0 && m->open) {
		size_t n = MIN_OF(len, (size_t)NOISE_PLAIN_MAX);

		tailnet_feed(w->t, w->now, w->wall, m->id,
			     bytes_of(frame, channel_write(&m->c, data, n, frame)));
		settle(w);
		data += n;
		len -= n;
	}
}

static void start(struct world *w, int i)
{
	static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	struct machine *m = &w->m[i];
	uint8_t init[NOISE_INIT_LEN], out[4096], plain[NOISE_PLAIN_MAX];
	struct fuzz_rng rng = { { fuzz_rng_fill }, (uint32_t)i + 7 };
	struct ipport remote = { ip_v4(192, 0, 2, (uint8_t)i), 1 };
	struct key_priv machine;
	struct bytes in;
	size_t n, head;

	key_gen(&machine, &rng.rng);
	channel_fini(&m->c);
	if (!channel_start(&m->c, 116, &machine, tailnet_key(w->t), &w->rng.rng, init) ||
	    tailnet_open(w->t, w->now, init, &remote, &m->id) != 0)
		return;
	n = tailnet_pull(w->t, w->now, m->id, out, sizeof out);
	for (head = 4; head < n && memcmp(out + head - 4, "\r\n\r\n", 4) != 0; head++)
		;
	in = bytes_of(out + head, n - head);
	while (in.len > 0 && channel_read(&m->c, &in, plain, &n) != CHANNEL_BAD)
		;
	m->open = true;
	m->stream = 1;
	raw(w, m, hello, sizeof hello - 1);
}

enum { GET = 0x82, POST = 0x83 }; /* :method in the static table (RFC 7541 appendix A) */
static const char ssh_rules[] =
    "{\"ssh\":[{\"action\":\"check\",\"src\":[\"u@\"],\"dst\":[\"autogroup:self\"],"
    "\"users\":[\"root\"]}]}";

static size_t frame(uint8_t *out, size_t len, uint8_t type, uint8_t flags, uint32_t stream)
{
	struct wr wr = wr_of(out, 9);

	wr_u8(&wr, (uint8_t)(len >> 16));
	wr_be16(&wr, (uint16_t)len);
	wr_u8(&wr, type);
	wr_u8(&wr, flags);
	wr_be32(&wr, stream);
	return 9;
}

/* One whole request; HPACK by literals and the static table (RFC 7541 appendix A) */
static void request(struct world *w, struct machine *m, uint8_t method, const char *path,
		    const uint8_t *body, size_t len)
{
	uint8_t out[9 + 64 + 9 + BODY_MAX + 4 * AUTHKEY_TEXT_MAX];
	size_t n = 9, head, k;

	out[n++] = method; /* of the static table */
	out[n++] = 0x86;   /* :scheme http */
	out[n++] = 0x04;   /* :path */
	out[n++] = (uint8_t)strlen(path);
	memcpy(out + n, path, strlen(path));
	n += strlen(path);
	memcpy(out + n, "\x01\x01x", 3); /* :authority */
	n += 3;
	(void)frame(out, n - 9, 1, 4, m->stream);
	head = n;
	n += 9;
	for (size_t i = 0; i < len && n < sizeof out - AUTHKEY_TEXT_MAX; i++) {
		if (body[i] == 1) {
			memcpy(out + n, w->key, strlen(w->key));
			n += strlen(w->key);
		} else if (body[i] == 2) {
			memcpy(out + n,
			       "nodekey:"
			       "0202020202020202020202020202020202020202020202020202020202020202",
			       72);
			n += 72;
		} else {
			out[n++] = body[i];
		}
	}
	for (k = head + 9; n - k > 16000;) /* within the largest frame */
		n--;
	(void)frame(out + head, n - head - 9, 0, 1, m->stream);
	m->stream += 2;
	raw(w, m, out, n);
}

static const struct tailnet_node *node(struct world *w, uint8_t which)
{
	struct tailnet_stat st;

	tailnet_stat(w->t, &st);
	return st.nodes ? tailnet_node_at(w->t, which % st.nodes) : NULL;
}

static void administer(struct world *w, struct bytes in)
{
	const struct tailnet_node *n = in.len > 1 ? node(w, in.data[1]) : NULL;
	char name[64];
	struct err e;

	if (!n)
		return;
	(void)bytes_to_str(bytes_of(in.data + 2, in.len - 2), name, sizeof name);
	switch (in.data[0] % 5) {
	case 0:
		(void)!tailnet_node_del(w->t, w->now, w->wall, n->id, &e);
		break;
	case 1:
		(void)!tailnet_node_expire(w->t, w->now, w->wall, n->id, &e);
		break;
	case 2:
		(void)!tailnet_node_rename(w->t, w->now, w->wall, n->id, name, &e);
		break;
	case 3:
		(void)!tailnet_node_set_tags(w->t, w->now, w->wall, n->id,
					     (const char *const[]){ name }, 1, &e);
		break;
	case 4:
		(void)!tailnet_node_approve_routes(w->t, w->now, w->wall, n->id, n->routes,
						   n->n_routes, &e);
		break;
	}
}

static void pass(struct world *w, uint64_t seconds)
{
	mono_t end = mono_add(w->now, SPAN_S(seconds));

	for (int i = 0; i < 200 && mono_before(tailnet_deadline(w->t), end); i++) {
		mono_t at = mono_max(tailnet_deadline(w->t), w->now);

		w->wall.ns += at.ns - w->now.ns;
		w->now = at;
		tailnet_tick(w->t, w->now, w->wall);
		settle(w);
	}
	w->wall.ns += end.ns - w->now.ns;
	w->now = end;
	tailnet_tick(w->t, w->now, w->wall);
}

/* A target of its own: ssh checks, answers to pings. Every second one decides the oldest check. */
static void get(struct world *w, struct machine *m, struct bytes in)
{
	char path[100];
	struct err e;

	bytes_to_str(in, path, sizeof path);
	request(w, m, GET, path, NULL, 0);
	settle(w);
	if (w->t->n_checks > 0 && in.len & 1)
		(void)!tailnet_ssh_decide(w->t, w->now, w->t->checks[0].id, in.len & 2, &e);
}

static void step(struct world *w, uint8_t what, struct machine *m, struct bytes in)
{
	struct err e;

	if (what == 255) {
		get(w, m, in);
		settle(w);
		return;
	}
	switch (what % 8) {
	case 0:
		request(w, m, POST, "/machine/register", in.data, in.len);
		break;
	case 1:
		request(w, m, POST, "/machine/map", in.data, in.len);
		break;
	case 2:
		raw(w, m, in.data, in.len);
		break;
	case 3:
		pass(w, in.len > 0 ? in.data[0] : 0);
		break;
	case 4:
		administer(w, in);
		break;
	case 5:
		(void)!tailnet_node_load(w->t, in, &e);
		break;
	case 6:
		(void)!tailnet_authkey_load(w->t, in, &e);
		(void)!tailnet_user_load(w->t, in, &e);
		break;
	case 7:
		if (m->open)
			tailnet_closed(w->t, w->now, w->wall, m->id);
		m->open = false;
		start(w, (int)(m - w->m));
		break;
	}
	settle(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world w = { .rng = FUZZ_RNG_INIT,
			   .now = { NS_PER_S },
			   .wall = { 1800000000 * NS_PER_S } };
	struct tailnet_conf conf = { .rng = &w.rng.rng,
				     .server_url = "http://c.example",
				     .base_domain = "tail.test",
				     .ephemeral_timeout = SPAN_S(60),
				     .key_expiry = SPAN_S(3600),
				     .derp_map = bytes_str("{}") };
	struct tailnet_authkey ak = { .reusable = true, .ephemeral = len & 1 };
	struct rd r = rd_of(data, len);
	int64_t id;
	struct err e;

	key_gen(&conf.key, &w.rng.rng);
	if (!ipprefix_parse(bytes_str("100.64.0.0/28"), &conf.v4) ||
	    !ipprefix_parse(bytes_str("fd7a:115c:a1e0::/48"), &conf.v6))
		return 0;
	w.t = tailnet_new(&conf, &e);
	if (!w.t)
		return 0;
	tailnet_set_policy(w.t, w.now, policy_parse(bytes_str(ssh_rules), &e));
	if (tailnet_user_add(w.t, w.wall, "u", "", &w.user, &e) == 0) {
		ak.user = w.user;
		(void)!tailnet_authkey_add(w.t, w.wall, &ak, w.key, &id, &e);
	}
	settle(&w);
	for (int i = 0; i < MACHINES; i++)
		start(&w, i);
	while (r.left >= 3) {
		uint8_t what = rd_u8(&r), who = rd_u8(&r);
		size_t n = ((size_t)(who >> 1) << 8 | rd_u8(&r));

		n = MIN_OF(n, MIN_OF(r.left, (size_t)BODY_MAX));
		step(&w, what, &w.m[who & 1], bytes_of(rd_take(&r, n), n));
	}
	pass(&w, 1);
	settle(&w);
	for (int i = 0; i < MACHINES; i++)
		channel_fini(&w.m[i].c);
	tailnet_free(w.t);
	assert(locked_count() == 0); /* slots, which no leak checker sees */
	return 0;
}
