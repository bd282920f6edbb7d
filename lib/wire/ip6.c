/* wire/ip6.c - see ip6.h */
#include "wire/ip6.h"

#include "base/cursor.h"

bool ip6_parse(const uint8_t *data, size_t len, struct ip6_head *h)
{
	struct rd r = rd_of(data, len);
	uint32_t first = rd_be32(&r);

	*h = (struct ip6_head){ .traffic_class = (uint8_t)(first >> 20), .flow = first & 0xfffff };
	h->payload_len = rd_be16(&r);
	h->next = rd_u8(&r);
	h->hops = rd_u8(&r);
	rd_copy(&r, h->src.b, 16);
	rd_copy(&r, h->dst.b, 16);
	return rd_ok(&r) && first >> 28 == 6 && h->payload_len <= r.left;
}

void ip6_emit(uint8_t out[static IP6_HEAD_LEN], const struct ip6_head *h)
{
	struct wr w = wr_of(out, IP6_HEAD_LEN);

	wr_be32(&w, UINT32_C(6) << 28 | (uint32_t)h->traffic_class << 20 | (h->flow & 0xfffff));
	wr_be16(&w, h->payload_len);
	wr_u8(&w, h->next);
	wr_u8(&w, h->hops);
	wr_put(&w, h->src.b, 16);
	wr_put(&w, h->dst.b, 16);
}

bool ip6_fragment_parse(const uint8_t *data, size_t len, struct ip6_fragment *f)
{
	struct rd r = rd_of(data, len);
	uint16_t off;

	f->next = rd_u8(&r);
	rd_skip(&r, 1);
	off = rd_be16(&r);
	f->id = rd_be32(&r);
	f->off = off & 0xfff8;
	f->more = off & 1;
	return rd_ok(&r);
}

void ip6_fragment_emit(uint8_t out[static IP6_FRAGMENT_LEN], const struct ip6_fragment *f)
{
	struct wr w = wr_of(out, IP6_FRAGMENT_LEN);

	wr_u8(&w, f->next);
	wr_zero(&w, 1);
	wr_be16(&w, (uint16_t)((f->off & 0xfff8) | f->more));
	wr_be32(&w, f->id);
}
