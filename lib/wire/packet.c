/* wire/packet.c - see packet.h
 *
 * What is refused here is refused for everybody behind it (filter, stack), so the rules lean to the
 * strict side: a first fragment holds the whole fixed transport header, a later one starts behind
 * any header it could overwrite.
 */
#include "wire/packet.h"

#include "base/cursor.h"

enum {
	IP4_HEAD = 20,
	IP6_HEAD = 40,
	IP6_FRAG_HEAD = 8,
	LATER_FRAGMENT_MIN = 10, /* in units of 8 bytes, data-plane.md 5.3: behind 20 of IPv4
				    options and 60 of TCP */
	PROTO_MAX_REAL = 254,
};

const char *const packet_fault_names[PACKET_FAULT_N] = {
	[PACKET_OK] = "ok",
	[PACKET_TOO_SHORT] = "too_short",
	[PACKET_BAD_VERSION] = "bad_version",
	[PACKET_BAD_LENGTH] = "bad_length",
	[PACKET_UNKNOWN] = "unknown",
	[PACKET_BAD_FRAGMENT] = "bad_fragment",
};

/* r gives the address bytes or has failed (then nothing changes, and nobody looks) */
static void read_v4(struct rd *r, struct ip *a)
{
	const uint8_t *b = rd_take(r, 4);

	if (b)
		*a = ip_from_v4(b);
}

/* IPv6 headers that are no transport: all but the fragment header, which is read, are refused
 * (data-plane.md 5.3) */
static bool is_v6_extension(uint8_t proto)
{
	switch (proto) {
	case 0:   /* hop by hop */
	case 43:  /* routing */
	case 44:  /* a second fragment header */
	case 59:  /* nothing follows */
	case 60:  /* destination options */
	case 135: /* mobility */
	case 139: /* host identity */
	case 140: /* shim6 */
		return true;
	default:
		return false;
	}
}

static size_t transport_head_min(const struct packet *p)
{
	switch (p->proto) {
	case PROTO_TCP:
		return 20;
	case PROTO_UDP:
		return 8;
	case PROTO_SCTP:
		return 12;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return 4;
	case PROTO_TSMP:
		return 1;
	default:
		return 0;
	}
}

/* r: what follows the IP headers, cut to the packet's own length. One reader all the way, by
 * pointer: a new one is written to memory in two halves and loaded in one piece, which waits until
 * every store before it is done (those of the decryption: 0.1 us a packet). */
static enum packet_fault parse_transport(struct rd *r, struct packet *p)
{
	if (p->proto == 0 || p->proto > PROTO_MAX_REAL)
		return PACKET_UNKNOWN;
	if (r->left < transport_head_min(p))
		return PACKET_UNKNOWN;
	switch (p->proto) {
	case PROTO_TCP:
		p->sport = rd_be16(r);
		p->dport = rd_be16(r);
		rd_skip(r, 9);
		p->tcp_flags = rd_u8(r);
		break;
	case PROTO_UDP:
	case PROTO_SCTP:
		p->sport = rd_be16(r);
		p->dport = rd_be16(r);
		break;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		p->icmp_type = rd_u8(r);
		p->icmp_code = rd_u8(r);
		break;
	case PROTO_TSMP:
		if (p->more_fragments)
			return PACKET_BAD_FRAGMENT;
		break;
	default:
		break;
	}
	return PACKET_OK;
}

/* offset in units of 8 bytes */
static enum packet_fault parse_fragment(struct rd *r, struct packet *p, uint16_t offset)
{
	if (offset == 0)
		return parse_transport(r, p);
	if (p->proto == PROTO_TSMP || offset < LATER_FRAGMENT_MIN)
		return PACKET_BAD_FRAGMENT;
	p->is_later_fragment = true;
	return PACKET_OK;
}

static enum packet_fault parse_v4(const uint8_t *data, size_t len, struct packet *p)
{
	struct rd r = rd_of(data, len);
	size_t head = (size_t)(rd_u8(&r) & 15) * 4;
	uint16_t fragment;

	rd_skip(&r, 1);
	p->total_len = rd_be16(&r);
	rd_skip(&r, 2);
	fragment = rd_be16(&r);
	rd_skip(&r, 1);
	p->proto = rd_u8(&r);
	rd_skip(&r, 2);
	read_v4(&r, &p->src);
	read_v4(&r, &p->dst);
	if (!rd_ok(&r))
		return PACKET_TOO_SHORT;
	if (head < IP4_HEAD || p->total_len < head || p->total_len > len)
		return PACKET_BAD_LENGTH;
	p->transport_off = (uint16_t)head;
	p->more_fragments = fragment & 0x2000;
	rd_skip(&r, head - IP4_HEAD);
	rd_cut(&r, p->total_len - head);
	return parse_fragment(&r, p, fragment & 0x1fff);
}

static enum packet_fault parse_v6(const uint8_t *data, size_t len, struct packet *p)
{
	struct rd r = rd_of(data, len);
	uint16_t payload, fragment = 0;

	rd_skip(&r, 4);
	payload = rd_be16(&r);
	p->proto = rd_u8(&r);
	rd_skip(&r, 1);
	rd_copy(&r, p->src.b, 16);
	rd_copy(&r, p->dst.b, 16);
	if (!rd_ok(&r))
		return PACKET_TOO_SHORT;
	if (payload > r.left)
		return PACKET_BAD_LENGTH;
	r = rd_sub(&r, payload);
	p->is_v6 = true;
	p->total_len = (uint32_t)payload + IP6_HEAD;
	p->transport_off = IP6_HEAD;
	if (p->proto == PROTO_FRAGMENT) {
		p->proto = rd_u8(&r);
		rd_skip(&r, 1);
		fragment = rd_be16(&r);
		rd_skip(&r, 4);
		if (!rd_ok(&r))
			return PACKET_BAD_FRAGMENT;
		p->transport_off = IP6_HEAD + IP6_FRAG_HEAD;
		p->more_fragments = fragment & 1;
	}
	if (is_v6_extension(p->proto))
		return PACKET_UNKNOWN;
	return parse_fragment(&r, p, (uint16_t)(fragment >> 3));
}

enum packet_fault packet_parse(const uint8_t *data, size_t len, struct packet *out)
{
	*out = (struct packet){ 0 };
	if (len < IP4_HEAD)
		return PACKET_TOO_SHORT;
	switch (data[0] >> 4) {
	case 4:
		return parse_v4(data, len, out);
	case 6:
		return parse_v6(data, len, out);
	default:
		return PACKET_BAD_VERSION;
	}
}
