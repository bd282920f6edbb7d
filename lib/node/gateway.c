/* node/gateway.c - port mapping in the node: when it is wanted, what others are told of it
 *
 * A mapped address is the first of our endpoints: control hears of it, and so does each peer by
 * CallMeMaybe. It is given back when the node goes down or leaves.
 */
#include "node/node_priv.h"

static void apply(struct node *n, mono_t now)
{
	static const struct ip none;
	const struct ipport inside = { n->gateway_own, n->port4 };
	bool is_wanted = n->want_running && !n->leaving && n->port4 != 0;

	if (n->portmap)
		portmap_set(n->portmap, now, is_wanted ? &n->gateway : &none, &inside);
}

void node_set_gateway(struct node *n, mono_t now, const struct ip *gateway, const struct ip *own)
{
	n->gateway = *gateway;
	n->gateway_own = *own;
	apply(n, now);
}

void node_gateway_update(struct node *n, mono_t now)
{
	apply(n, now);
}

void node_gateway_recv(struct node *n, mono_t now, const struct ipport *from, struct bytes data)
{
	if (n->portmap)
		portmap_feed(n->portmap, now, from, data.data, data.len);
}

void node_gateway_answer(struct node *n, mono_t now, uint32_t request, unsigned status,
			 struct bytes body)
{
	if (n->portmap)
		portmap_answer(n->portmap, now, request, status, body);
}

bool node_gateway_leave(struct node *n, mono_t now)
{
	n->leaving = true;
	apply(n, now);
	return n->portmap && !portmap_is_released(n->portmap);
}

static void changed(struct node *n, mono_t now)
{
	struct ipport ext = { 0 };
	char text[IPPORT_TEXT];

	if (!portmap_changed(n->portmap))
		return;
	if (portmap_external(n->portmap, &ext) && !ipport_eq(&ext, &n->mapped))
		log_info("node: the gateway maps %s to us", ipport_text(&ext, text));
	else if (ip_is_zero(&ext.ip) && !ip_is_zero(&n->mapped.ip))
		log_info("node: the gateway maps no port to us any more");
	n->mapped = ext;
	node_probe_publish_endpoints(n, now);
	node_probe_tell(n, now);
}

bool node_gateway_next(struct node *n, mono_t now, struct node_effect *ef)
{
	struct portmap_want w;

	if (!n->portmap)
		return false;
	changed(n, now);
	if (portmap_pull(n->portmap, &w)) {
		*ef = (struct node_effect){ .type = w.type == PORTMAP_SEND ? NODE_GATEWAY_SEND
									   : NODE_GATEWAY_HTTP,
					    .to = w.to,
					    .data = w.data,
					    .request = w.request,
					    .method = w.method,
					    .target = w.target,
					    .headers = w.headers };
		return true;
	}
	if (!n->leaving || n->left || !portmap_is_released(n->portmap))
		return false;
	n->left = true;
	*ef = (struct node_effect){ .type = NODE_GATEWAY_LEFT };
	return true;
}

void node_portmap(const struct node *n, mono_t now, struct node_portmap *out)
{
	*out = (struct node_portmap){ .pmp = -1, .pcp = -1, .upnp = -1 };
	if (!n->portmap)
		return;
	out->is_on = true;
	out->pmp = portmap_seen(n->portmap, now, PORTMAP_PMP);
	out->pcp = portmap_seen(n->portmap, now, PORTMAP_PCP);
	out->upnp = portmap_seen(n->portmap, now, PORTMAP_UPNP);
	(void)portmap_external(n->portmap, &out->external);
}
