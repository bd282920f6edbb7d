/* model/netmap_fuzz.c - frames separated by NUL bytes; whatever was applied comes out and goes in
 * again the same */
#include "model/netmap.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int frame(struct netmap *nm, struct bytes text, size_t piece)
{
	struct netmap_change ch;
	struct err e;
	int r = 0;

	netmap_begin(nm);
	while (text.len > 0 && r == 0) {
		size_t n = text.len < piece ? text.len : piece;

		r = netmap_feed(nm, bytes_of(text.data, n));
		text = bytes_of(text.data + n, text.len - n);
	}
	if (r == 0)
		r = netmap_end(nm, (wall_t){ 1795309200 * NS_PER_S }, &e);
	else
		netmap_abort(nm);
	while (netmap_next_change(nm, &ch))
		if (ch.type == NETMAP_PEER || ch.type == NETMAP_PEER_REMOVED)
			assert(netmap_peer(nm, ch.peer));
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct netmap *nm = netmap_new(), *copy = netmap_new();
	struct bytes in = bytes_of(data, len);
	struct buf one, two;
	bool ascii = true;

	for (size_t i = 0; i < len; i++)
		ascii &= data[i] < 0x80;
	assert(nm && copy);
	while (in.len > 0) {
		const uint8_t *nul = memchr(in.data, 0, in.len);
		size_t n = nul ? (size_t)(nul - in.data) : in.len;

		frame(nm, bytes_of(in.data, n), 100);
		n += nul != NULL;
		in = bytes_of(in.data + n, in.len - n);
	}
	netmap_expire(nm, (wall_t){ 1800000000 * NS_PER_S });
	buf_init(&one, 16 << 20);
	buf_init(&two, 16 << 20);
	if (ascii && netmap_self(nm) && netmap_emit(nm, &one) == 0) {
		assert(frame(copy, buf_bytes(&one), 1000) == 0);
		assert(netmap_emit(copy, &two) == 0);
		assert(bytes_eq(buf_bytes(&one), buf_bytes(&two)));
	}
	buf_fini(&one);
	buf_fini(&two);
	netmap_free(nm);
	netmap_free(copy);
	return 0;
}
