/* wg_fuzz.c - two interfaces, a link that the input rules: it delivers, drops, repeats, changes,
 * makes up, lets time pass
 *
 * MACs pass under FUZZING, so made-up handshake messages reach the parsers behind them. What A
 * seals are inner packets of the input's making, so the checks of inner packets behind the AEAD are
 * reached too.
 */
#include <stdlib.h>

#include "base/cursor.h"
#include "wg/message.h"
#include "wg/wg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 2, KEEP = 16, WIRE = 512, PEER = 1 };

struct counter_rng { /* distinct bytes; good enough for keys that guard nothing */
	struct rng rng;
	uint64_t n;
};

static void fill(struct rng *r, void *buf, size_t len)
{
	struct counter_rng *c = (struct counter_rng *)r;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		c->n = c->n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		p[i] = (uint8_t)(c->n >> 56);
	}
}

struct link {
	struct wg *wg[NODES];
	mono_t now;
	struct {
		size_t len;
		uint8_t b[WIRE];
	} sent[NODES][KEEP]; /* the last datagrams of each side */
	unsigned n[NODES];
};

static wall_t wall(const struct link *l)
{
	return (wall_t){ INT64_C(1790000000) * NS_PER_S + l->now.ns };
}

static void keep(struct link *l, int from, const struct pkt *p)
{
	unsigned slot = l->n[from]++ % KEEP;

	if (p->len > WIRE)
		abort();
	l->sent[from][slot].len = p->len;
	memcpy(l->sent[from][slot].b, p->data, p->len);
}

static void drain(struct link *l, int i)
{
	struct wg_event ev;
	struct wg_out out;

	while (wg_pull(l->wg[i], l->now, wall(l), &out))
		for (size_t k = 0; k < out.n; k++)
			keep(l, i, &out.v[k]);
	while (wg_next(l->wg[i], &ev))
		if (ev.peer != PEER)
			abort();
}

static void feed(struct link *l, int to, const uint8_t *b, size_t len)
{
	uint8_t mem[PKT_HEAD + WIRE + PKT_TAIL];
	struct pkt p = { mem + PKT_HEAD, (uint32_t)len, PKT_HEAD, PKT_TAIL };
	struct ipport from = { ip_v4(192, 0, 2, (uint8_t)to), 1 };
	struct wg_plain out[1];

	if (len > 0)
		memcpy(p.data, b, len);
	if (wg_feed(l->wg[to], l->now, wall(l), &from, &p, 1, out) == 1 &&
	    (out[0].peer != PEER || out[0].pkt != &p || p.len < 20))
		abort();
	drain(l, to);
}

static void seal(struct link *l, int from, struct bytes inner)
{
	uint8_t mem[PKT_HEAD + 256 + PKT_TAIL];
	struct pkt p = { mem + PKT_HEAD, (uint32_t)inner.len, PKT_HEAD, PKT_TAIL };

	if (inner.len > 0)
		memcpy(p.data, inner.data, inner.len);
	if (wg_seal(l->wg[from], l->now, wall(l), PEER, &p, 1) == 1)
		keep(l, from, &p);
	drain(l, from);
}

static void pass_time(struct link *l, span_t d)
{
	l->now = mono_add(l->now, d);
	for (int i = 0; i < NODES; i++) {
		wg_tick(l->wg[i], l->now, wall(l));
		if (mono_due(wg_deadline(l->wg[i]), l->now))
			abort();
		drain(l, i);
	}
}

static void step(struct link *l, struct rd *r)
{
	uint8_t op = rd_u8(r), arg = rd_u8(r);
	int side = op & 1;
	uint8_t b[WIRE];
	size_t len;

	switch (op / 2 % 8) {
	case 0:
	case 1: /* deliver one of the last, newest first */
	case 2: /* the same, changed */
		if (l->n[side] == 0)
			break;
		len = l->sent[side][(l->n[side] - 1 - arg % KEEP) % KEEP].len;
		memcpy(b, l->sent[side][(l->n[side] - 1 - arg % KEEP) % KEEP].b, len);
		if (op / 2 % 8 == 2 && len > 0)
			b[rd_u8(r) % len] ^= rd_u8(r);
		feed(l, 1 - side, b, len);
		break;
	case 3: { /* made up */
		struct rd sub = rd_sub(r, MIN_OF(r->left, arg));
		struct bytes raw = rd_rest(&sub);

		feed(l, side, raw.data, raw.len);
		break;
	}
	case 4: { /* an inner packet */
		struct rd sub = rd_sub(r, MIN_OF(r->left, arg));

		seal(l, side, rd_rest(&sub));
		break;
	}
	case 5:
		pass_time(l, SPAN_MS(arg));
		break;
	case 6:
		pass_time(l, SPAN_S(arg * 3));
		break;
	default:
		if (arg & 1)
			wg_peer_nudge(l->wg[side], l->now, PEER);
		drain(l, side);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counter_rng rng = { { fill }, 1 };
	struct link *l = calloc(1, sizeof *l);
	struct key_priv keys[NODES];
	struct rd r = rd_of(data, size);

	if (!l)
		return 0;
	l->now = (mono_t){ 1 };
	for (int i = 0; i < NODES; i++)
		key_gen(&keys[i], &rng.rng);
	for (int i = 0; i < NODES; i++) {
		struct wg_conf conf = { keys[i], &rng.rng, 4, 4096 };
		struct ip ip = ip_v4(100, 64, 0, (uint8_t)(2 - i));
		struct ipprefix p = ipprefix_of(&ip, 128);
		struct key_pub pub;

		key_public(&pub, &keys[1 - i]);
		l->wg[i] = wg_new(&conf);
		if (!l->wg[i] || wg_peer_add(l->wg[i], PEER, &pub) != 0 ||
		    wg_peer_allow(l->wg[i], PEER, &p, 1) != 0)
			abort();
	}
	for (int steps = 0; r.left > 0 && steps < 200; steps++)
		step(l, &r);
	for (int i = 0; i < NODES; i++)
		wg_free(l->wg[i]);
	free(l);
	return 0;
}
