/* host/route.c - what a peer's destination means, when it is not an address of ours: the address
 * itself, or the IPv4 address within a 4via6 one
 *
 * The filter lets only destinations of approved routes in. Here is the second fence: whatever is
 * offered, nobody reaches this host's loopback, or another node, through us.
 */
#include "host/host_priv.h"

/* data-plane.md 6.1: fd7a:115c:a1e0:b1a:SITE:a.b.c.d */
static bool is_via(const struct ip *a)
{
	static const uint8_t head[8] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0x0b, 0x1a };

	return memcmp(a->b, head, sizeof head) == 0;
}

enum host_way host_target(const struct host *h, const struct ip *local, struct ip *to)
{
	static const struct ip broadcast = { { [10] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

	if (node_is_own(h->node, local))
		return HOST_OWN;
	*to = is_via(local) ? ip_from_v4(local->b + 12) : *local;
	if (ip_is_loopback(to) || ip_is_unspecified(to) || ip_is_multicast(to) ||
	    ip_is_link_local(to) || ip_is_tailnet(to) || ip_eq(to, &broadcast))
		return HOST_NOWHERE;
	return HOST_ROUTED;
}
