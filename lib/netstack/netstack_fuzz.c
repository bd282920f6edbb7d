/* netstack/netstack_fuzz.c - packets, user calls and time steps drawn from the input, against one
 * stack
 *
 * An instruction is one byte, then what it needs. Packets to inject are completed (addresses,
 * ports, sequence numbers near those of the last segment that the stack sent), so that the fuzzer
 * gets past the handshake.
 */
#include "netstack/netstack.h"

#include <assert.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "wire/ip4.h"
#include "wire/packet.h"
#include "wire/tcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS_MAX = 400, CONNS = 4 };

struct counter_rng {
	struct rng rng;
	uint32_t n;
};

static void fill(struct rng *r, void *buf, size_t len)
{
	struct counter_rng *c = (struct counter_rng *)r;

	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(++c->n * 167);
}

struct fuzz {
	struct netstack *ns;
	struct burst burst;
	mono_t now;
	struct ns_id id[CONNS];
	unsigned n_ids;
	struct tcp_head last; /* the stack's last segment */
};

static const struct ip own = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } };
static const struct ip peer = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } };

static void feed(struct fuzz *f, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n + !n); /* exact: a sanitizer sees one byte too far */
	struct pkt pkt = { .data = copy, .len = (uint32_t)n };

	if (n > 0)
		memcpy(copy, p, n);
	netstack_feed(f->ns, f->now, &pkt, 1);
	free(copy);
}

static void segment(struct fuzz *f, struct rd *r)
{
	uint8_t b[IP4_HEAD_LEN + TCP_HEAD_MAX + 64] = { 0 };
	uint8_t flags = rd_u8(r), opts = rd_u8(r);
	size_t n, len = opts & 63;
	struct tcp_head h = {
		.sport = 7, .dport = (uint16_t)(80 + (opts >> 6)), .flags = flags, .wnd = rd_be16(r)
	};
	struct ip4_head ip = { .src = peer, .dst = own, .ttl = 64, .proto = PROTO_TCP };

	h.seq = f->last.ack + (uint32_t)(int8_t)rd_u8(r) * (flags & 32 ? 1000u : 1u);
	h.ack = f->last.seq + (uint32_t)(int8_t)rd_u8(r) * (flags & 64 ? 1000u : 1u);
	if (f->last.sport)
		h.dport = f->last.sport;
	if (flags & 128) {
		uint8_t what = rd_u8(r);

		h.has_ts = what & 1;
		h.tsval = rd_u8(r);
		h.tsecr = f->last.tsval - (what >> 4);
		h.sack_permitted = h.has_wscale = h.has_mss = flags & TCP_SYN;
		h.mss = rd_be16(r);
		h.wscale = what >> 4;
		h.n_sack = flags & TCP_SYN ? 0 : what >> 1 & 3;
		for (unsigned i = 0; i < h.n_sack; i++) {
			h.sack[i].start = h.ack + rd_be16(r);
			h.sack[i].end = h.sack[i].start + rd_be16(r);
		}
	}
	n = tcp_emit(b + IP4_HEAD_LEN, &h);
	ip.total_len = (uint16_t)(IP4_HEAD_LEN + n + len);
	ip4_emit(b, &ip);
	feed(f, b, ip.total_len);
}

static void pull(struct fuzz *f)
{
	burst_reset(&f->burst);
	netstack_pull(f->ns, f->now, &f->burst);
	for (size_t i = 0; i < f->burst.n; i++) {
		const struct pkt *p = &f->burst.v[i];
		struct packet facts;

		assert(packet_parse(p->data, p->len, &facts) == PACKET_OK &&
		       facts.total_len == p->len && p->len <= 1280);
		if (facts.proto == PROTO_TCP)
			assert(tcp_parse(p->data + facts.transport_off,
					 p->len - facts.transport_off, &f->last));
	}
}

static void events(struct fuzz *f, uint8_t how)
{
	struct ns_event ev;
	unsigned n = 0;

	while (n++ < 64 && netstack_next(f->ns, &ev)) {
		if (ev.type != NS_TCP_INCOMING)
			continue;
		if (how & 1)
			ns_tcp_refuse(f->ns, f->now, ev.id);
		else
			ns_tcp_accept(f->ns, f->now, ev.id);
		f->id[f->n_ids++ % CONNS] = ev.id;
	}
}

static void user(struct fuzz *f, uint8_t what, uint8_t arg)
{
	static const uint8_t bytes[8192];
	struct ns_id *id = &f->id[arg % CONNS];
	struct ipport local = { 0 }, remote = { peer, 7 };
	struct ns_piece v[4];

	switch (what % 10) {
	case 0:
		(void)!ns_tcp_connect(f->ns, f->now, &local, &remote, id);
		break;
	case 1:
		ns_tcp_write(f->ns, f->now, *id, bytes, (size_t)arg * 32);
		break;
	case 2:
		if (ns_tcp_peek(f->ns, *id, v, 4) > 0)
			ns_tcp_consume(f->ns, f->now, *id, v[0].len);
		break;
	case 3:
		ns_tcp_shutdown(f->ns, f->now, *id);
		break;
	case 4:
		ns_tcp_release(f->ns, f->now, *id);
		break;
	case 5:
		ns_tcp_abort(f->ns, f->now, *id);
		break;
	case 6:
		ns_tcp_keepalive(f->ns, f->now, *id, SPAN_S(arg + 1), SPAN_S(1), 3);
		break;
	case 7:
		(void)!ns_udp_send(f->ns, &(struct ipport){ .port = 9 }, &remote,
				   bytes_of(bytes, (size_t)arg * 32));
		break;
	case 8:
		ns_udp_refuse(f->ns, f->now, &(struct ipport){ own, 9 }, &remote);
		break;
	default:
		(void)!ns_echo_send(f->ns, &peer, 1, arg, bytes_of(bytes, arg));
	}
}

static void one(struct fuzz *f, struct rd *r)
{
	uint8_t op = rd_u8(r);

	switch (op & 7) {
	case 0: {
		struct rd sub;
		size_t n = rd_u8(r);

		sub = rd_sub(r, MIN_OF(n, r->left));
		feed(f, sub.p, sub.left);
		break;
	}
	case 1:
	case 2:
	case 3:
		segment(f, r);
		break;
	case 4:
		events(f, op >> 3);
		break;
	case 5:
		user(f, op >> 3, rd_u8(r));
		break;
	case 6:
		f->now = mono_add(f->now, SPAN_US((int64_t)rd_u8(r) << (op >> 3)));
		netstack_tick(f->ns, f->now);
		/* as if every path had just changed */
		for (struct ns_stalled st = { 0 }; ns_tcp_stalled(f->ns, f->now, &st);)
			ns_tcp_try_again(f->ns, f->now, &st);
		assert(mono_before(f->now, netstack_deadline(f->ns)));
		break;
	default:
		pull(f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct counter_rng rng = { .rng = { fill } };
	struct netstack_conf conf = {
		.rng = &rng.rng, .mtu = 1280, .max_conns = 8, .max_pending = 4, .memory = 1 << 20
	};
	struct fuzz f = { .now = { NS_PER_S } };
	struct rd r = rd_of(data, len);

	if (burst_init(&f.burst) != 0)
		return 0;
	conf.cc = (enum ns_cc)(len % NS_CC_N);
	f.ns = netstack_new(&conf);
	if (!f.ns || netstack_addr_add(f.ns, &own) != 0)
		abort();
	for (unsigned i = 0; i < STEPS_MAX && r.left > 0; i++)
		one(&f, &r);
	pull(&f);
	netstack_free(f.ns);
	burst_fini(&f.burst);
	return 0;
}
