/* path/disco_fuzz.c - the disco codec on any bytes, and the path machine driven by them: packets of
 * two peers (sealed here, so that they pass), raw packets, traffic, time, netmap changes. State
 * must stay within its limits. */
#include <assert.h>
#include <string.h>

#include "path/path_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct counting_rng {
	struct rng rng;
	uint64_t n;
};

static void count_fill(struct rng *r, void *buf, size_t len)
{
	struct counting_rng *c = (struct counting_rng *)(void *)r;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((++c->n * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

struct drive {
	struct path *p;
	struct key_pub node[2], disco[2];
	uint8_t shared[2][BOX_SHARED];
	uint8_t txid[DISCO_TXID]; /* of the last ping pulled */
	mono_t now;
	struct rd in;
};

static struct ipport take_addr(struct rd *in)
{
	uint8_t b = rd_u8(in);
	struct ipport a = { ip_v4(192, 0, 2, b), (uint16_t)(1000 + (b & 3)) };

	if (b & 0x80)
		a.ip = (struct ip){ { b & 1 ? 0xfe : 0x20, b & 1 ? 0x80 : 1, [15] = b } };
	return a;
}

static void take_peer(struct drive *d, uint32_t peer)
{
	struct ipport eps[4];
	struct path_peer conf = { .endpoints = eps,
				  .n_endpoints = rd_u8(&d->in) % 5,
				  .home_derp = 1 };
	uint8_t how = rd_u8(&d->in);
	int r;

	conf.node = d->node[peer];
	conf.disco = d->disco[how & 1 ? 0 : peer];
	conf.wireguard_only = (how & 0xf0) == 0xf0;
	for (size_t i = 0; i < conf.n_endpoints; i++)
		eps[i] = take_addr(&d->in);
	r = path_peer_set(d->p, d->now, peer, &conf);
	assert(r == 0);
}

static void take_packet(struct drive *d, uint32_t peer, bool relayed, bool is_pong)
{
	uint8_t plain[600] = { 0 }, packet[600 + DISCO_OVERHEAD];
	static const uint8_t nonce[BOX_NONCE];
	size_t n = MIN_OF((size_t)rd_u8(&d->in) * 2, d->in.left);
	struct ipport from = take_addr(&d->in);

	n = MIN_OF(n, d->in.left);
	rd_copy(&d->in, plain, n);
	if (is_pong) {
		n = DISCO_PONG_LEN;
		plain[0] = DISCO_PONG;
		plain[1] = 0;
		memcpy(plain + 2, d->txid, DISCO_TXID);
	}
	n = disco_seal(packet, &d->disco[peer], nonce, d->shared[peer], plain, n);
	if (relayed)
		path_feed_derp(d->p, d->now, 1 + (plain[0] & 1), &d->node[peer], packet, n);
	else
		path_feed_udp(d->p, d->now, &from, packet, n);
}

static void drain(struct drive *d)
{
	uint8_t plain[DISCO_PLAIN_MAX];
	struct path_event ev;
	struct path_send s;
	struct disco_msg m;
	size_t n;

	while (path_pull(d->p, d->now, &s)) {
		assert((s.derp == 0) != ip_is_zero(&s.udp.ip));
		assert(s.len <= DISCO_PACKET_MAX && path_is_disco(s.data, s.len));
		for (int i = 0; i < 2; i++)
			if (disco_open(s.data, s.len, d->shared[i], plain, &n) &&
			    disco_parse(plain, n, &m) == DISCO_OK && m.type == DISCO_PING)
				memcpy(d->txid, m.txid, DISCO_TXID);
	}
	while (path_next(d->p, &ev))
		continue;
}

static void check(const struct drive *d)
{
	size_t pings = 0, bound = 0;

	for (size_t i = 0; i < d->p->n_heap; i++) {
		const struct live *l = d->p->heap[i];

		assert(l->heap_pos == i && d->p->peers[l->peer].live == l);
		assert(i == 0 || !mono_before(l->due, d->p->heap[(i - 1) / 2]->due));
		assert(l->n_cands <= PATH_ENDPOINTS_MAX && l->n_pings <= PINGS_PER_PEER);
		pings += l->n_pings;
		for (size_t k = 0; k < l->n_cands; k++)
			bound += l->cands[k].bound;
	}
	assert(pings == d->p->n_pings && pings == d->p->by_txid.n && bound == d->p->by_addr.n);
}

static void step(struct drive *d)
{
	uint8_t op = rd_u8(&d->in);
	uint32_t peer = op & 1;
	struct ipport a;

	switch (op >> 1 & 15) {
	case 0:
		take_peer(d, peer);
		break;
	case 1:
		path_peer_del(d->p, peer);
		break;
	case 2:
	case 3:
		take_packet(d, peer, false, false);
		break;
	case 4:
		take_packet(d, peer, true, false);
		break;
	case 5:
		take_packet(d, peer, false, true);
		break;
	case 6:
		(void)path_route(d->p, d->now, peer);
		break;
	case 7:
	case 8:
		d->now = mono_add(d->now, SPAN_MS((int64_t)rd_u8(&d->in) * rd_u8(&d->in)));
		path_tick(d->p, d->now);
		assert(!mono_due(path_deadline(d->p), d->now));
		break;
	case 9:
		a = take_addr(&d->in);
		path_set_endpoints(d->p, d->now, &a, 1);
		break;
	case 10:
		a = take_addr(&d->in);
		path_send_failed(d->p, d->now, &a);
		break;
	case 11:
		path_link_changed(d->p, d->now);
		break;
	case 12:
		path_ping(d->p, d->now, peer, op, (size_t)rd_u8(&d->in) * 40);
		break;
	case 13:
		path_derp_gone(d->p, d->now, 1, op & 64 ? NULL : &d->node[peer]);
		break;
	case 14:
		path_set_disco_key(d->p, d->now, peer, &d->disco[rd_u8(&d->in) & 1]);
		break;
	case 15:
		a = take_addr(&d->in);
		path_note_udp(d->p, d->now, peer, &a);
		break;
	}
	drain(d);
	check(d);
}

static void codec(const uint8_t *data, size_t len)
{
	static const uint8_t shared[BOX_SHARED];
	uint8_t plain[DISCO_PLAIN_MAX];
	struct disco_msg m;
	size_t n;

	(void)disco_parse(data, len, &m);
	if (disco_is(data, len) && disco_open(data, len, shared, plain, &n))
		(void)disco_parse(plain, n, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct counting_rng rng = { .rng.fill = count_fill };
	struct path_conf conf = { .rng = &rng.rng };
	struct drive d = { .now = { 1000 * NS_PER_S }, .in = rd_of(data, len) };
	struct key_pub self;
	struct key_priv k;

	codec(data, len);
	key_gen(&conf.disco, &rng.rng);
	key_public(&self, &conf.disco);
	d.p = path_new(&conf);
	assert(d.p);
	for (uint32_t i = 0; i < 2; i++) {
		bool ok;

		key_gen(&k, &rng.rng);
		key_public(&d.disco[i], &k);
		ok = box_shared(d.shared[i], &k, &self);
		assert(ok);
		d.node[i].b[0] = (uint8_t)(i + 1);
	}
	while (d.in.left > 0)
		step(&d);
	path_free(d.p);
	return 0;
}
