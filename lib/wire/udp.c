/* wire/udp.c - see udp.h */
#include "wire/udp.h"

#include "base/cursor.h"

bool udp_parse(const uint8_t *data, size_t len, struct udp_head *h)
{
	struct rd r = rd_of(data, len);

	h->sport = rd_be16(&r);
	h->dport = rd_be16(&r);
	h->len = rd_be16(&r);
	h->has_checksum = rd_be16(&r) != 0;
	return rd_ok(&r) && h->len >= UDP_HEAD_LEN && h->len <= len;
}

void udp_emit(uint8_t out[static UDP_HEAD_LEN], const struct udp_head *h)
{
	struct wr w = wr_of(out, UDP_HEAD_LEN);

	wr_be16(&w, h->sport);
	wr_be16(&w, h->dport);
	wr_be16(&w, h->len);
	wr_zero(&w, 2);
}
