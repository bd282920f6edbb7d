/* wire/packet_fuzz.c - any bytes give facts that lie inside the packet, or a fault */
#include "wire/packet.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct packet p;

	if (packet_parse(data, len, &p) != PACKET_OK)
		return 0;
	assert(p.total_len <= len);
	assert(p.transport_off <= p.total_len);
	assert(p.is_v6 == (data[0] >> 4 == 6));
	assert(!p.is_later_fragment || (p.sport == 0 && p.dport == 0));
	return 0;
}
