/* netstack/icmp.c - echo both ways; errors that concern our connections and datagrams (RFC 792,
 * 4443, 1122 3.2.2) */
#include "wire/icmp.h"

#include <errno.h>

#include "base/cursor.h"
#include "netstack/stack.h"
#include "wire/checksum.h"

/* for whoever pulls events */
static void note_echo(struct netstack *ns, enum ns_event_type type, const struct packet *p,
		      const struct icmp_head *h, struct bytes payload)
{
	struct dgram *d = dgramq_add(&ns->inq, &ns->pool, payload.len);

	if (!d) {
		ns_drop(ns, NS_DROP_QUEUE_FULL);
		return;
	}
	d->kind = (uint8_t)type;
	d->a = h->hi;
	d->b = h->lo;
	d->local.ip = p->dst;
	d->remote.ip = p->src;
	if (payload.len > 0)
		memcpy(d->data, payload.data, payload.len);
}

static void answer_echo(struct netstack *ns, const struct packet *p, const struct icmp_head *h,
			struct bytes payload)
{
	if (ns_is_own(ns, &p->dst))
		(void)!ns_echo_reply(ns, &p->dst, &p->src, h->hi, h->lo, payload);
	else /* promiscuous: others answer for themselves */
		note_echo(ns, NS_ECHO_REQUEST, p, h, payload);
}

/* MTU that a "too big" names; 0: it is none. RFC 1191 5: an old router says 0, which we treat as
 * 576. */
static uint32_t mtu_of(const struct packet *p, const struct icmp_head *h)
{
	if (p->is_v6)
		return h->type == ICMP6_TOO_BIG ? icmp_rest(h) : 0;
	if (h->type != ICMP_UNREACHABLE || h->code != ICMP_CODE_TOO_BIG)
		return 0;
	return h->lo ? h->lo : 576;
}

/* Unreachable for good (RFC 1122 4.2.3.9: port, protocol; and what administrators refuse)? The rest
 * may pass. */
static bool is_hard(const struct packet *p, const struct icmp_head *h)
{
	if (p->is_v6)
		return h->type == ICMP6_UNREACHABLE && (h->code == ICMP6_CODE_PORT || h->code == 1);
	return h->type == ICMP_UNREACHABLE &&
	       (h->code == ICMP_CODE_PROTOCOL || h->code == ICMP_CODE_PORT || h->code == 13);
}

static void udp_error(struct netstack *ns, const struct packet *quoted)
{
	struct dgram *d = dgramq_add(&ns->inq, &ns->pool, 0);

	if (!d)
		return;
	d->kind = NS_UDP_UNREACHABLE;
	d->local = (struct ipport){ quoted->src, quoted->sport };
	d->remote = (struct ipport){ quoted->dst, quoted->dport };
}

/* The quoted packet is cut short, so its own length fields are not believed: only addresses,
 * protocol and first eight bytes. */
static bool parse_quoted(struct bytes b, bool is_v6, struct packet *q, struct bytes *transport)
{
	struct rd r = rd_bytes(b);
	uint8_t first = rd_u8(&r);
	size_t head = is_v6 ? 40 : (size_t)(first & 15) * 4;

	*q = (struct packet){ .is_v6 = is_v6 };
	if (first >> 4 != (is_v6 ? 6 : 4) || head < 20)
		return false;
	if (is_v6) {
		rd_skip(&r, 5);
		q->proto = rd_u8(&r);
		rd_skip(&r, 1);
		rd_copy(&r, q->src.b, 16);
		rd_copy(&r, q->dst.b, 16);
	} else {
		rd_skip(&r, 5);
		if (rd_be16(&r) & 0x1fff) /* a later fragment has no ports */
			return false;
		rd_skip(&r, 1);
		q->proto = rd_u8(&r);
		rd_skip(&r, 2);
		q->src.b[10] = q->src.b[11] = q->dst.b[10] = q->dst.b[11] = 0xff;
		rd_copy(&r, q->src.b + 12, 4);
		rd_copy(&r, q->dst.b + 12, 4);
		rd_skip(&r, head - 20);
	}
	*transport = bytes_of(r.p, r.left);
	q->sport = rd_be16(&r);
	q->dport = rd_be16(&r);
	rd_skip(&r, 4);
	return rd_ok(&r);
}

static void error_input(struct netstack *ns, mono_t now, const struct packet *p,
			const struct icmp_head *h, struct bytes quoted)
{
	struct packet q;
	struct bytes transport;
	uint32_t mtu = mtu_of(p, h);

	if (!parse_quoted(quoted, p->is_v6, &q, &transport) || !ip_eq(&q.src, &p->dst)) {
		ns_drop(ns, NS_DROP_SHAPE);
		return;
	}
	if (q.proto == PROTO_TCP)
		tcp_icmp_error(ns, now, &q, transport, mtu, is_hard(p, h));
	else if (q.proto == PROTO_UDP && mtu == 0 && is_hard(p, h))
		udp_error(ns, &q);
}

static void input4(struct netstack *ns, mono_t now, const struct packet *p,
		   const struct icmp_head *h, struct bytes rest)
{
	switch (h->type) {
	case ICMP_ECHO:
		answer_echo(ns, p, h, rest);
		break;
	case ICMP_ECHO_REPLY:
		note_echo(ns, NS_ECHO_REPLY, p, h, rest);
		break;
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETER:
		error_input(ns, now, p, h, rest);
		break;
	default:
		ns_drop(ns, NS_DROP_PROTOCOL);
	}
}

static void input6(struct netstack *ns, mono_t now, const struct packet *p,
		   const struct icmp_head *h, struct bytes rest)
{
	switch (h->type) {
	case ICMP6_ECHO:
		answer_echo(ns, p, h, rest);
		break;
	case ICMP6_ECHO_REPLY:
		note_echo(ns, NS_ECHO_REPLY, p, h, rest);
		break;
	case ICMP6_UNREACHABLE:
	case ICMP6_TOO_BIG:
	case ICMP6_TIME_EXCEEDED:
	case ICMP6_PARAMETER:
		error_input(ns, now, p, h, rest);
		break;
	default:
		ns_drop(ns, NS_DROP_PROTOCOL);
	}
}

void icmp_input(struct netstack *ns, mono_t now, const struct packet *p, struct bytes data)
{
	struct icmp_head h;
	struct bytes rest;

	if (!icmp_parse(data.data, data.len, &h)) {
		ns_drop(ns, NS_DROP_SHAPE);
		return;
	}
#ifndef FUZZING
	uint64_t sum =
	    p->is_v6 ? checksum_pseudo(&p->src, &p->dst, PROTO_ICMPV6, (uint32_t)data.len) : 0;

	if (checksum_fold(checksum_add(sum, data.data, data.len)) != 0) {
		ns_drop(ns, NS_DROP_CHECKSUM);
		return;
	}
#endif
	rest = bytes_of(data.data + ICMP_HEAD_LEN, data.len - ICMP_HEAD_LEN);
	if (p->is_v6)
		input6(ns, now, p, &h, rest);
	else
		input4(ns, now, p, &h, rest);
}

int ns_echo_send(struct netstack *ns, const struct ip *remote, uint16_t id, uint16_t seq,
		 struct bytes payload)
{
	bool v4 = ip_is_v4(remote);
	struct icmp_head h = { .type = v4 ? ICMP_ECHO : ICMP6_ECHO, .hi = id, .lo = seq };
	uint8_t head[ICMP_HEAD_LEN];
	struct ip src;

	if (!ns_own_address(ns, remote, &src))
		return -EADDRNOTAVAIL;
	icmp_emit(head, &h);
	return ip_queue(ns, &src, remote, v4 ? PROTO_ICMP : PROTO_ICMPV6,
			bytes_of(head, sizeof head), payload, 2);
}

int ns_echo_reply(struct netstack *ns, const struct ip *local, const struct ip *remote, uint16_t id,
		  uint16_t seq, struct bytes payload)
{
	bool v4 = ip_is_v4(remote);
	struct icmp_head h = { .type = v4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY,
			       .hi = id,
			       .lo = seq };
	uint8_t head[ICMP_HEAD_LEN];

	if (ip_is_v4(local) != v4)
		return -EADDRNOTAVAIL;
	icmp_emit(head, &h);
	return ip_queue(ns, local, remote, v4 ? PROTO_ICMP : PROTO_ICMPV6,
			bytes_of(head, sizeof head), payload, 2);
}
