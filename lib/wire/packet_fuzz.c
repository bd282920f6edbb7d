/* wire/packet_fuzz.c - any bytes give facts that lie inside the packet, or a fault; the same for
 * what nodes tell each other inside the tunnel */
#include "wire/packet.h"

#include <assert.h>

#include "wire/tsmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is understood can be said again and is then understood alike. */
static void tell(struct bytes body)
{
	const struct ip from = ip_v4(100, 64, 0, 1), to = ip_v4(100, 64, 0, 2);
	uint8_t out[TSMP_PACKET_MAX];
	struct tsmp m, again;
	size_t n;

	if (!tsmp_parse(body, &m))
		return;
	n = tsmp_emit(&m, &from, &to, out);
	assert(n > 20 && n <= sizeof out);
	assert(tsmp_parse(bytes_of(out + 20, n - 20), &again) && again.kind == m.kind);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct packet p;

	tell(bytes_of(data, len));
	if (packet_parse(data, len, &p) != PACKET_OK)
		return 0;
	assert(p.total_len <= len);
	assert(p.transport_off <= p.total_len);
	assert(p.is_v6 == (data[0] >> 4 == 6));
	assert(!p.is_later_fragment || (p.sport == 0 && p.dport == 0));
	return 0;
}
