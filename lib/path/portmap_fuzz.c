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
	const struct ip gateway = ip_v4(192, 168, 1, 1), none = { 0 };
	const struct ipport inside = { ip_v4(192, 168, 1, 7), 41641 },
			    from = { gateway, PORTMAP_PORT }, ssdp = { gateway, IGD_SSDP_PORT };
	struct rng rng = { zero_fill };
	struct portmap *pm = portmap_new(&rng);
	struct rd in = rd_of(data, len);
	mono_t now = { 1000 * NS_PER_S };
	struct portmap_want s;
	struct ipport ext;
	uint32_t request = 0;

	assert(pm);
	portmap_set(pm, now, &gateway, &inside);
	while (in.left > 0) {
		uint8_t op = rd_u8(&in), want = rd_u8(&in);
		size_t n = MIN_OF(want, in.left);

		switch (op & 3) {
		case 0:
			now = mono_add(now, SPAN_MS((int64_t)n * (op & 128 ? 60000 : 10)));
			portmap_tick(pm, now);
			assert(mono_before(now, portmap_deadline(pm)));
			break;
		case 1:
			portmap_answer(pm, now, request - (op >> 7), op & 64 ? 200 : 500,
				       bytes_of(in.p, n));
			rd_skip(&in, n);
			break;
		default:
			portmap_feed(pm, now, op & 1 ? &ssdp : &from, in.p, n);
			rd_skip(&in, n);
			break;
		}
		if (op == 0x42)
			portmap_set(pm, now, n ? &gateway : &none, &inside);
		while (portmap_pull(pm, &s)) {
			assert(s.type == PORTMAP_HTTP ||
			       (s.data.len <= PORTMAP_PACKET_MAX && s.data.len >= 2));
			assert(s.type == PORTMAP_SEND || ip_eq(&s.to.ip, &gateway));
			if (s.type == PORTMAP_HTTP)
				request = s.request;
		}
		if (portmap_external(pm, &ext))
			assert(ext.port != 0 && !ip_is_loopback(&ext.ip));
		(void)portmap_changed(pm);
	}
	portmap_free(pm);
	return 0;
}
