/* path/netcheck_fuzz.c - rounds driven by any bytes: answers right and wrong, names, maps, time.
 * Every round ends. */
#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "path/netcheck.h"
#include "wire/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void zero_fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	memset(buf, 0x5a, len);
}

struct drive {
	struct netcheck *nc;
	mono_t now;
	struct rd in;
	uint8_t txid[STUN_TXID];
};

static void take_map(struct drive *d)
{
	static struct netcheck_region v[4];
	size_t n = rd_u8(&d->in) % 5;
	int r;

	memset(v, 0, sizeof v);
	for (size_t i = 0; i < n; i++) {
		uint8_t how = rd_u8(&d->in);

		v[i].id = (uint16_t)(how & 7);
		v[i].no_home = how & 8;
		v[i].score = how & 16 ? 0.5 : 0;
		v[i].n_nodes = how >> 5 & 3;
		for (size_t k = 0; k < v[i].n_nodes; k++) {
			how = rd_u8(&d->in);
			v[i].nodes[k].stun_port = how & 1 ? 3478 : 0;
			v[i].nodes[k].no_v4 = how & 2;
			v[i].nodes[k].no_v6 = how & 4;
			if (how & 8)
				v[i].nodes[k].v4 = ip_v4(192, 0, 2, how);
			v[i].nodes[k].host[0] = (char)('a' + (how >> 6));
		}
	}
	r = netcheck_set_map(d->nc, d->now, v, n);
	assert(r == 0);
}

static void drain(struct drive *d)
{
	struct netcheck_want w;

	for (int i = 0; netcheck_next(d->nc, d->now, &w); i++) {
		assert(i < 10000);
		if (w.type == NETCHECK_WANT_SEND)
			assert(stun_request_parse(w.data, w.len, d->txid) == STUN_OK);
	}
}

static void step(struct drive *d)
{
	uint8_t op = rd_u8(&d->in), buf[STUN_ANSWER_MAX];
	struct ipport a = { ip_v4(203, 0, 113, op), op };
	char host[2] = { (char)('a' + (op >> 6)) };
	size_t n;

	switch (op & 7) {
	case 0:
		take_map(d);
		break;
	case 1:
		netcheck_start(d->nc, d->now);
		break;
	case 2: /* the answer to the last probe, or to one beside it */
		if (op & 128)
			d->txid[STUN_TXID - 1] ^= op >> 3 & 15;
		n = stun_answer_emit(d->txid, &a, buf);
		assert(netcheck_feed(d->nc, d->now, &a, buf, n));
		break;
	case 3:
		n = MIN_OF((size_t)op, d->in.left);
		(void)netcheck_feed(d->nc, d->now, &a, d->in.p, n);
		rd_skip(&d->in, n);
		break;
	case 4:
		d->now = mono_add(d->now, SPAN_MS((int64_t)rd_u8(&d->in) * (op & 128 ? 100 : 1)));
		netcheck_tick(d->nc, d->now);
		break;
	case 5:
		netcheck_name(d->nc, d->now, host, &a.ip, op >> 3 & 1);
		break;
	case 6:
		netcheck_derp_rtt(d->nc, d->now, op >> 3 & 7, SPAN_MS(op));
		netcheck_derp_heard(d->nc, d->now, op >> 4 & 7);
		break;
	case 7:
		netcheck_set_families(d->nc, op & 8, op & 16);
		netcheck_hold_home(d->nc, op & 32);
		break;
	}
	drain(d);
	assert(!mono_due(netcheck_deadline(d->nc), d->now));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rng rng = { zero_fill };
	struct drive d = { .now = { 1000 * NS_PER_S }, .in = rd_of(data, len) };

	d.nc = netcheck_new(&rng);
	assert(d.nc);
	while (d.in.left > 0)
		step(&d);
	d.now = mono_add(d.now, SPAN_S(6));
	netcheck_tick(d.nc, d.now);
	drain(&d);
	assert(!netcheck_running(d.nc));
	netcheck_free(d.nc);
	return 0;
}
