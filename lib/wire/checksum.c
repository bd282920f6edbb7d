/* wire/checksum.c - see checksum.h */
#include "wire/checksum.h"

/* 32-bit words into 64-bit lanes: 4 GiB of words before a lane could overflow, and compilers
 * vectorise it. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t a = 0, b = 0, c = 0, d = 0;
	uint32_t w[4];
	uint16_t h;

	for (; len >= sizeof w; p += sizeof w, len -= sizeof w) {
		memcpy(w, p, sizeof w);
		a += w[0];
		b += w[1];
		c += w[2];
		d += w[3];
	}
	for (; len >= sizeof h; p += sizeof h, len -= sizeof h) {
		memcpy(&h, p, sizeof h);
		a += h;
	}
	if (len > 0) {
		h = 0;
		memcpy(&h, p, 1);
		b += h;
	}
	a += b;
	c += d;
	a = (a & 0xffffffff) + (a >> 32);
	c = (c & 0xffffffff) + (c >> 32);
	return sum + a + c;
}

uint64_t checksum_pseudo(const struct ip *src, const struct ip *dst, uint8_t proto, uint32_t len)
{
	const uint8_t rest[8] = { (uint8_t)(len >> 24),
				  (uint8_t)(len >> 16),
				  (uint8_t)(len >> 8),
				  (uint8_t)len,
				  0,
				  0,
				  0,
				  proto };
	uint64_t sum = checksum_add(0, rest, sizeof rest);

	if (ip_is_v4(src)) {
		sum = checksum_add(sum, src->b + 12, 4);
		return checksum_add(sum, dst->b + 12, 4);
	}
	sum = checksum_add(sum, src->b, 16);
	return checksum_add(sum, dst->b, 16);
}
