/* wire/translate.c - see translate.h */
#include "wire/translate.h"

#include <assert.h>
#include <string.h>

#include "wire/checksum.h"

enum {
	IP4_SRC = 12,
	IP4_DST = 16,
	IP4_SUM = 10,
	IP6_SRC = 8,
	IP6_DST = 24,
	TCP_SUM = 16,
	UDP_SUM = 6,
	ICMP_SUM = 2,
	ICMP_QUOTE = 8, /* an error quotes the packet from here on */
};

/* The bytes of one address as they are in the packet, before and after. */
struct swap {
	const uint8_t *old, *new;
	size_t len;
};

/* sum: in network order at *at */
static void mend(uint8_t *at, const struct swap *s)
{
	uint8_t not_old[16];
	uint16_t sum;
	uint64_t acc;

	for (size_t i = 0; i < s->len; i++)
		not_old[i] = (uint8_t)~s->old[i];
	memcpy(&sum, at, sizeof sum);
	acc = (uint16_t)~sum;
	acc = checksum_add(acc, not_old, s->len);
	acc = checksum_add(acc, s->new, s->len);
	checksum_store(at, acc);
}

/* A UDP sum of zero means that there is none; one that comes out as zero is sent as all ones. */
static void mend_udp(uint8_t *at, const struct swap *s, bool is_v6)
{
	static const uint8_t zero[2];

	if (!is_v6 && memcmp(at, zero, sizeof zero) == 0)
		return;
	mend(at, s);
	if (memcmp(at, zero, sizeof zero) == 0)
		memset(at, 0xff, sizeof zero);
}

static bool is_error(const struct packet *p)
{
	if (p->proto == PROTO_ICMPV6)
		return p->is_v6 && p->icmp_type >= 1 && p->icmp_type <= 4;
	return p->proto == PROTO_ICMP && !p->is_v6 &&
	       (p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12);
}

/* The quoted address at src or dst, when it is the one that is translated; the sum of the quoted
 * IPv4 header follows, so that the error's own is still right, which covers both. */
static void translate_quote(uint8_t *data, const struct packet *p, bool src, const struct swap *s)
{
	uint8_t *q = data + p->transport_off + ICMP_QUOTE, *at;

	if (p->total_len < (uint32_t)p->transport_off + ICMP_QUOTE + (p->is_v6 ? 40 : 20) ||
	    q[0] >> 4 != (p->is_v6 ? 6 : 4))
		return;
	if (p->is_v6)
		at = q + (src ? IP6_SRC : IP6_DST);
	else
		at = q + (src ? IP4_SRC : IP4_DST);
	if (memcmp(at, s->old, s->len) != 0)
		return;
	memcpy(at, s->new, s->len);
	if (p->is_v6)
		mend(data + p->transport_off + ICMP_SUM, s);
	else
		mend(q + IP4_SUM, s);
}

static void translate_transport(uint8_t *data, const struct packet *p, const struct swap *s)
{
	uint8_t *t = data + p->transport_off;
	size_t left = p->total_len - p->transport_off;

	if (p->is_later_fragment)
		return;
	if (p->proto == PROTO_TCP && left >= TCP_SUM + 2)
		mend(t + TCP_SUM, s);
	else if (p->proto == PROTO_UDP && left >= UDP_SUM + 2)
		mend_udp(t + UDP_SUM, s, p->is_v6);
	else if (p->proto == PROTO_ICMPV6 && p->is_v6 && left >= ICMP_SUM + 2)
		mend(t + ICMP_SUM, s);
}

static void translate(uint8_t *data, struct packet *p, const struct ip *a, bool src)
{
	struct ip *fact = src ? &p->src : &p->dst, before = *fact;
	size_t skip = p->is_v6 ? 0 : 12;
	struct swap s = { .old = before.b + skip, .new = a->b + skip, .len = 16 - skip };

	assert(ip_is_v4(a) == !p->is_v6);
	if (p->is_v6) {
		memcpy(data + (src ? IP6_SRC : IP6_DST), s.new, s.len);
	} else {
		memcpy(data + (src ? IP4_SRC : IP4_DST), s.new, s.len);
		mend(data + IP4_SUM, &s);
	}
	*fact = *a;
	translate_transport(data, p, &s);
	if (!p->is_later_fragment && is_error(p))
		translate_quote(data, p, !src, &s);
}

void translate_src(uint8_t *data, struct packet *p, const struct ip *a)
{
	translate(data, p, a, true);
}

void translate_dst(uint8_t *data, struct packet *p, const struct ip *a)
{
	translate(data, p, a, false);
}
