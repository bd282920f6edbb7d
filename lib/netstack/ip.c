/* netstack/ip.c - IP in and out: checks, dispatch, reassembly, headers, fragments */
#include <errno.h>

#include "base/cursor.h"
#include "netstack/stack.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/ip6.h"

static uint16_t next_id(struct netstack *ns)
{
	return (uint16_t)++ns->ip_id;
}

void ip_emit(struct netstack *ns, uint8_t *out, const struct ip *src, const struct ip *dst,
	     uint8_t proto, size_t len)
{
	if (ip_is_v4(dst)) {
		struct ip4_head h = { .src = *src,
				      .dst = *dst,
				      .total_len = (uint16_t)(IP4_HEAD_LEN + len),
				      .id = next_id(ns),
				      .dont_fragment = true,
				      .ttl = NS_TTL,
				      .proto = proto };

		ip4_emit(out, &h);
	} else {
		struct ip6_head h = { .src = *src,
				      .dst = *dst,
				      .payload_len = (uint16_t)len,
				      .next = proto,
				      .hops = NS_TTL };

		ip6_emit(out, &h);
	}
}

/* --- out: datagrams --- */

/* n bytes from off of what head and data are together */
static void gather(uint8_t *out, struct bytes head, struct bytes data, size_t off, size_t n)
{
	if (off < head.len) {
		size_t k = MIN_OF(n, head.len - off);

		memcpy(out, head.data + off, k);
		out += k;
		n -= k;
		off = head.len;
	}
	if (n > 0)
		memcpy(out, data.data + (off - head.len), n);
}

static bool queue_fragment4(struct netstack *ns, const struct ip4_head *h, struct bytes head,
			    struct bytes data)
{
	size_t len = h->total_len - (size_t)IP4_HEAD_LEN;
	struct dgram *d = dgramq_add(&ns->outq, &ns->pool, h->total_len);

	if (!d)
		return false;
	ip4_emit(d->data, h);
	gather(d->data + IP4_HEAD_LEN, head, data, h->fragment_off, len);
	return true;
}

static bool queue_fragments4(struct netstack *ns, struct ip4_head *h, struct bytes head,
			     struct bytes data)
{
	size_t total = head.len + data.len, room = (size_t)(ns->conf.mtu - IP4_HEAD_LEN) / 8 * 8;

	for (size_t off = 0; off < total; off += room) {
		size_t len = MIN_OF(room, total - off);

		h->fragment_off = (uint16_t)off;
		h->more_fragments = off + len < total;
		h->total_len = (uint16_t)(IP4_HEAD_LEN + len);
		if (!queue_fragment4(ns, h, head, data))
			return false;
	}
	return true;
}

static bool queue_fragments6(struct netstack *ns, const struct ip *src, const struct ip *dst,
			     uint8_t proto, struct bytes head, struct bytes data)
{
	size_t total = head.len + data.len,
	       room = (size_t)(ns->conf.mtu - IP6_HEAD_LEN - IP6_FRAGMENT_LEN) / 8 * 8;
	struct ip6_fragment f = { .next = proto, .id = rng_u32(ns->conf.rng) };

	for (size_t off = 0; off < total; off += room) {
		size_t len = MIN_OF(room, total - off);
		struct ip6_head h = { .src = *src,
				      .dst = *dst,
				      .payload_len = (uint16_t)(IP6_FRAGMENT_LEN + len),
				      .next = PROTO_FRAGMENT,
				      .hops = NS_TTL };
		struct dgram *d =
		    dgramq_add(&ns->outq, &ns->pool, IP6_HEAD_LEN + IP6_FRAGMENT_LEN + len);

		if (!d)
			return false;
		f.off = (uint16_t)off;
		f.more = off + len < total;
		ip6_emit(d->data, &h);
		ip6_fragment_emit(d->data + IP6_HEAD_LEN, &f);
		gather(d->data + IP6_HEAD_LEN + IP6_FRAGMENT_LEN, head, data, off, len);
	}
	return true;
}

static bool queue_whole(struct netstack *ns, const struct ip *src, const struct ip *dst,
			uint8_t proto, struct bytes head, struct bytes data)
{
	size_t hl = ip_head_len(dst), len = head.len + data.len;
	struct dgram *d = dgramq_add(&ns->outq, &ns->pool, hl + len);

	if (!d)
		return false;
	ip_emit(ns, d->data, src, dst, proto, len);
	gather(d->data + hl, head, data, 0, len);
	return true;
}

int ip_queue(struct netstack *ns, const struct ip *src, const struct ip *dst, uint8_t proto,
	     struct bytes head, struct bytes data, size_t csum_off)
{
	uint8_t first[TCP_HEAD_MAX];
	size_t len = head.len + data.len;
	uint64_t sum = proto == PROTO_ICMP ? 0 : checksum_pseudo(src, dst, proto, (uint32_t)len);
	bool ok;

	if (len > UINT16_MAX - IP4_HEAD_LEN || head.len > sizeof first)
		return -EMSGSIZE;
	memcpy(first, head.data, head.len);
	sum = checksum_add(checksum_add(sum, first, head.len), data.data, data.len);
	checksum_store(first + csum_off, sum);
	if (proto == PROTO_UDP && first[csum_off] == 0 &&
	    first[csum_off + 1] == 0) /* RFC 768: zero means none */
		first[csum_off] = first[csum_off + 1] = 0xff;
	head.data = first;
	if (ip_head_len(dst) + len <= ns->conf.mtu) {
		ok = queue_whole(ns, src, dst, proto, head, data);
	} else if (ip_is_v4(dst)) {
		struct ip4_head h = {
			.src = *src, .dst = *dst, .id = next_id(ns), .ttl = NS_TTL, .proto = proto
		};

		ok = queue_fragments4(ns, &h, head, data);
	} else {
		ok = queue_fragments6(ns, src, dst, proto, head, data);
	}
	if (ok)
		return 0;
	ns_drop(ns, NS_DROP_QUEUE_FULL);
	return -ENOBUFS;
}

/* --- in --- */

/* data: the payload of the IP packet, whole */
static void dispatch(struct netstack *ns, mono_t now, const struct packet *p, struct bytes data)
{
	switch (p->proto) {
	case PROTO_TCP:
		tcp_receive(ns, now, p, data);
		break;
	case PROTO_UDP:
		udp_input(ns, now, p, data);
		break;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		if ((p->proto == PROTO_ICMPV6) == p->is_v6)
			icmp_input(ns, now, p, data);
		else
			ns_drop(ns, NS_DROP_PROTOCOL);
		break;
	default:
		ns_drop(ns, NS_DROP_PROTOCOL);
	}
}

static bool read_fragment(const uint8_t *data, const struct packet *p, struct fragment *f)
{
	struct ip4_head h4;
	struct ip6_fragment h6;

	*f = (struct fragment){ .src = p->src,
				.dst = p->dst,
				.proto = p->proto,
				.len = p->total_len - p->transport_off,
				.data = data + p->transport_off };
	if (p->is_v6) {
		if (!ip6_fragment_parse(data + IP6_HEAD_LEN, p->total_len - (size_t)IP6_HEAD_LEN,
					&h6))
			return false;
		f->id = h6.id;
		f->off = h6.off;
		f->more = h6.more;
		return true;
	}
	if (!ip4_parse(data, p->total_len, &h4))
		return false;
	f->id = h4.id;
	f->off = h4.fragment_off;
	f->more = h4.more_fragments;
	return true;
}

static void fragment_input(struct netstack *ns, mono_t now, const uint8_t *data,
			   const struct packet *p)
{
	struct fragment f;
	struct packet whole = *p;
	const uint8_t *payload = NULL;
	size_t len = 0;
	struct rd r;

	if (!read_fragment(data, p, &f)) {
		ns_drop(ns, NS_DROP_FRAGMENT);
		return;
	}
	switch (reassembly_add(&ns->reassembly, &ns->pool, now, &f, &payload, &len)) {
	case REASSEMBLY_WAIT:
		return;
	case REASSEMBLY_EVICTED:
		ns_drop(ns, NS_DROP_REASSEMBLY_LIMIT);
		return;
	case REASSEMBLY_REFUSED:
		ns_drop(ns, NS_DROP_FRAGMENT);
		return;
	case REASSEMBLY_DONE:
		break;
	}
	r = rd_of(payload,
		  len); /* the fragment that came last need not be the one with the ports */
	whole.sport = rd_be16(&r);
	whole.dport = rd_be16(&r);
	whole.icmp_type = (uint8_t)(whole.sport >> 8);
	whole.icmp_code = (uint8_t)whole.sport;
	dispatch(ns, now, &whole, bytes_of(payload, len));
}

void ip_input(struct netstack *ns, mono_t now, const uint8_t *data, size_t len)
{
	struct packet p;

	ns->stat.packets_in++;
	switch (packet_parse(data, len, &p)) {
	case PACKET_OK:
		break;
	case PACKET_UNKNOWN:
		ns_drop(ns, NS_DROP_PROTOCOL);
		return;
	case PACKET_BAD_FRAGMENT:
		ns_drop(ns, NS_DROP_FRAGMENT);
		return;
	default:
		ns_drop(ns, NS_DROP_SHAPE);
		return;
	}
#ifndef FUZZING
	if (!p.is_v6 && checksum_fold(checksum_add(0, data, (size_t)(data[0] & 15) * 4)) != 0) {
		ns_drop(ns, NS_DROP_CHECKSUM);
		return;
	}
#endif
	/* RFC 1122 3.2.1.3, RFC 8200: neither end may be a group, the source not unspecified */
	if (ip_is_multicast(&p.src) || ip_is_multicast(&p.dst) || ip_is_unspecified(&p.src) ||
	    !(ns->conf.promiscuous || ns_is_own(ns, &p.dst))) {
		ns_drop(ns, NS_DROP_NOT_OURS);
		return;
	}
	if (p.is_later_fragment || p.more_fragments)
		fragment_input(ns, now, data, &p);
	else
		dispatch(ns, now, &p,
			 bytes_of(data + p.transport_off, p.total_len - p.transport_off));
}
