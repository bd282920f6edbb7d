/* path/portmap_fuzz.c - a gateway that answers anything at any time */
#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "path/portmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void zero_fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	memset(buf, 0, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct ip gateway = ip_v4(192, 168, 1, 1);
	const struct ipport inside = { ip_v4(192, 168, 1, 7), 41641 },
			    from = { gateway, PORTMAP_PORT };
	struct rng rng = { zero_fill };
	struct portmap *pm = portmap_new(&rng);
	struct rd in = rd_of(data, len);
	mono_t now = { 1000 * NS_PER_S };
	struct portmap_send s;
	struct ipport ext;

	assert(pm);
	portmap_set(pm, now, &gateway, &inside);
	while (in.left > 0) {
		uint8_t op = rd_u8(&in);
		size_t n = MIN_OF((size_t)(op & 63), in.left);

		if (op & 64) {
			now = mono_add(now, SPAN_MS((int64_t)rd_u8(&in) * (op & 128 ? 60000 : 10)));
			portmap_tick(pm, now);
			assert(mono_before(now, portmap_deadline(pm)));
		} else {
			portmap_feed(pm, now, &from, in.p, n);
			rd_skip(&in, n);
		}
		while (portmap_pull(pm, &s))
			assert(s.len <= PORTMAP_PACKET_MAX && s.len >= 2);
		if (portmap_external(pm, &ext))
			assert(ext.port != 0 && !ip_is_loopback(&ext.ip));
	}
	portmap_free(pm);
	return 0;
}
