/* wire/icmp.c - see icmp.h */
#include "wire/icmp.h"

#include "base/cursor.h"

bool icmp_parse(const uint8_t *data, size_t len, struct icmp_head *h)
{
	struct rd r = rd_of(data, len);

	h->type = rd_u8(&r);
	h->code = rd_u8(&r);
	rd_skip(&r, 2);
	h->hi = rd_be16(&r);
	h->lo = rd_be16(&r);
	return rd_ok(&r);
}

void icmp_emit(uint8_t out[static ICMP_HEAD_LEN], const struct icmp_head *h)
{
	struct wr w = wr_of(out, ICMP_HEAD_LEN);

	wr_u8(&w, h->type);
	wr_u8(&w, h->code);
	wr_zero(&w, 2);
	wr_be16(&w, h->hi);
	wr_be16(&w, h->lo);
}
