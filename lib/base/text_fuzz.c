/* base/text_fuzz.c - text forms of numbers, times and addresses: what parses reads back from its
 * own text */
#include "base/ip.h"
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void addresses(struct bytes in)
{
	char text[IPPORT_TEXT];
	struct ip a, b;
	struct ipport p, q;
	struct ipprefix x, y;
	struct iprange r;

	if (ip_parse(in, &a))
		assert(ip_parse(bytes_str(ip_text(&a, text)), &b) && ip_eq(&a, &b));
	if (ipport_parse(in, &p))
		assert(ipport_parse(bytes_str(ipport_text(&p, text)), &q) && ipport_eq(&p, &q));
	if (ipprefix_parse(in, &x))
		assert(ipprefix_parse(bytes_str(ipprefix_text(&x, text)), &y) &&
		       ipprefix_eq(&x, &y));
	if (iprange_parse(in, &r))
		assert(ip_cmp(&r.first, &r.last) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_of(data, len);
	uint8_t out[64];
	char text[WALL_TEXT];
	uint64_t u;
	int64_t i;
	wall_t t, back;
	span_t d;
	size_t n;
	bool b;

	addresses(in);
	if (wall_parse(in, &t))
		assert(wall_parse(bytes_str(wall_text(t, text)), &back) && back.ns == t.ns);
	if (span_parse(in, &d))
		assert(d.ns >= 0);
	if (base64_parse(in, BASE64_STD, out, sizeof out, &n)) {
		char again[96];

		assert(n <= sizeof out);
		base64_emit(out, n, BASE64_STD, again);
		assert(memcmp(again, data, len) == 0);
	}
	(void)!base64_parse(in, BASE64_URL, out, sizeof out, &n);
	(void)!hex_parse(in, out, len / 2 < sizeof out ? len / 2 : sizeof out);
	(void)!text_u64(in, &u);
	(void)!text_i64(in, &i);
	(void)!bool_parse(in, &b);
	return 0;
}
