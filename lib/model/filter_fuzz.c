/* model/filter_fuzz.c - rules from the input, then packets from it: a length byte before each
 * packet */
#include "model/filter.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool has_cap(void *ctx, const struct ip *src, struct bytes cap)
{
	(void)ctx;
	return (src->b[15] + cap.len) % 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct filter *f = filter_new(16);
	const uint8_t *end = len ? memchr(data, 0, len) : NULL; /* a NUL ends the rules */
	size_t n = end ? (size_t)(end - data) : len, at = end ? n + 1 : len;
	struct bytes rules = bytes_of(data, n);
	struct ipprefix local[2] = { { .bits = 97 }, { .bits = 1 } };
	struct packet pkt = { 0 };
	struct buf out;
	mono_t now = { 0 };

	assert(f);
	local[0].ip = ip_v4(0, 0, 0, 0);
	(void)!filter_set_local(f, local, 2, NULL, 0);
	(void)!filter_set_rules(f, &rules, 1, has_cap, NULL);
	while (at < len) {
		size_t k = data[at] & 0x7f, left = len - at - 1;
		bool outward = data[at] & 0x80;

		k = k < left ? k : left;
		now = mono_add(now, SPAN_S(k));
		if (outward)
			filter_out(f, now, data + at + 1, k, &pkt);
		else
			filter_in(f, now, data + at + 1, k, k % 2, &pkt);
		at += 1 + k;
	}
	buf_init(&out, 1 << 20);
	(void)!filter_caps(f, &pkt.src, &pkt.dst, &out);
	buf_fini(&out);
	filter_trim(f, now);
	filter_free(f);
	return 0;
}
