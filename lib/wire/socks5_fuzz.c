/* wire/socks5_fuzz.c - a client of any kind, its bytes in one piece and one by one: the same end */
#include <stdlib.h>

#include "wire/socks5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct socks5 whole, bytewise;
	struct socks5_addr to;
	struct bytes payload;
	enum socks5_event a, b = SOCKS5_MORE;
	size_t used, n = 0;

	socks5_init(&whole);
	socks5_init(&bytewise);
	a = socks5_feed(&whole, bytes_of(data, size), &used);
	while (n < size && b == SOCKS5_MORE) {
		size_t one;

		b = socks5_feed(&bytewise, bytes_of(data + n, 1), &one);
		n += one;
	}
	if (a != b || used != n || !bytes_eq(socks5_output(&whole), socks5_output(&bytewise)))
		abort();
	if (socks5_udp_parse(bytes_of(data, size), &to, &payload) && payload.len > size)
		abort();
	return 0;
}
