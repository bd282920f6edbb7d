/* wire/ip4.c - see ip4.h */
#include "wire/ip4.h"

#include "base/cursor.h"
#include "wire/checksum.h"

bool ip4_parse(const uint8_t *data, size_t len, struct ip4_head *h)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct rd r = rd_of(data, len);
	uint8_t first = rd_u8(&r);
	uint16_t fragment;

	*h = (struct ip4_head){ .head_len = (uint8_t)((first & 15) * 4) };
	h->tos = rd_u8(&r);
	h->total_len = rd_be16(&r);
	h->id = rd_be16(&r);
	fragment = rd_be16(&r);
	h->ttl = rd_u8(&r);
	h->proto = rd_u8(&r);
	rd_skip(&r, 2);
	memcpy(h->src.b, mapped, sizeof mapped);
	rd_copy(&r, h->src.b + 12, 4);
	memcpy(h->dst.b, mapped, sizeof mapped);
	rd_copy(&r, h->dst.b + 12, 4);
	if (!rd_ok(&r) || first >> 4 != 4 || h->head_len < IP4_HEAD_LEN ||
	    h->total_len < h->head_len || h->total_len > len)
		return false;
	h->dont_fragment = fragment & 0x4000;
	h->more_fragments = fragment & 0x2000;
	h->fragment_off = (uint16_t)((fragment & 0x1fff) * 8);
#ifndef FUZZING
	if (checksum_fold(checksum_add(0, data, h->head_len)) != 0)
		return false;
#endif
	return true;
}

void ip4_emit(uint8_t out[static IP4_HEAD_LEN], const struct ip4_head *h)
{
	struct wr w = wr_of(out, IP4_HEAD_LEN);
	unsigned fragment = h->fragment_off / 8u;

	if (h->dont_fragment)
		fragment |= 0x4000;
	if (h->more_fragments)
		fragment |= 0x2000;
	wr_u8(&w, 0x45);
	wr_u8(&w, h->tos);
	wr_be16(&w, h->total_len);
	wr_be16(&w, h->id);
	wr_be16(&w, (uint16_t)fragment);
	wr_u8(&w, h->ttl);
	wr_u8(&w, h->proto);
	wr_zero(&w, 2);
	wr_put(&w, h->src.b + 12, 4);
	wr_put(&w, h->dst.b + 12, 4);
	checksum_store(out + 10, checksum_add(0, out, IP4_HEAD_LEN));
}
