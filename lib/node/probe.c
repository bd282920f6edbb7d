/* node/probe.c - netcheck in the node: when to probe, the home relay, own endpoints, what control
 * is told
 *
 * A round starts when the relay map changes, on a link change, when a CallMeMaybe wants fresh
 * endpoints, when the home relay fails, and every 20-26 s while there is traffic
 * (data-plane.md 2.4). An idle node does not probe.
 */
#include <stdlib.h>
#include <string.h>

#include "node/node_priv.h"

/* --- the relay map, as netcheck wants it --- */

static void fill_region(struct netcheck_region *out, const struct netmap_region *in)
{
	*out = (struct netcheck_region){ .id = in->id,
					 .score = in->score,
					 .no_home = in->avoid || in->no_measure_no_home };
	for (size_t i = 0; i < in->n_nodes && out->n_nodes < NETCHECK_NODES_MAX; i++) {
		const struct netmap_derp_node *d = &in->nodes[i];
		struct netcheck_node *nn = &out->nodes[out->n_nodes];

		if (strlen(d->host) >= sizeof nn->host)
			continue;
		memcpy(nn->host, d->host, strlen(d->host) + 1);
		nn->v4 = d->v4;
		nn->v6 = d->v6;
		nn->no_v4 = d->no_v4;
		nn->no_v6 = d->no_v6;
		nn->stun_port =
		    d->stun_port > 0 && d->stun_port <= UINT16_MAX ? (uint16_t)d->stun_port : 0;
		out->n_nodes++;
	}
}

/* A home before anything is measured: that of the last run, or the only one there is. */
static void guess_home(struct node *n, mono_t now, const struct netmap_region *v, size_t count)
{
	uint16_t only = 0;
	size_t usable = 0;

	if (n->home != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (v[i].no_measure_no_home || v[i].n_nodes == 0)
			continue;
		usable++;
		only = v[i].id;
		if (v[i].id == n->home_wanted) {
			n->home = n->home_wanted;
			break;
		}
	}
	if (n->home == 0 && usable == 1)
		n->home = only;
	if (n->home == 0)
		return;
	netcheck_set_home(n->netcheck, n->home);
	node_relay_ensure_home(n, now);
}

static void tell_control(struct node *n, mono_t now, const struct netcheck_report *rep)
{
	struct node_portmap pm;
	struct control_netinfo ni = {
		.working_udp = -1, .working_v6 = -1, .varies_by_dest = -1, .home = n->home
	};

	ni.os_has_v6 = n->port6 != 0;
	node_portmap(n, now, &pm);
	ni.asked_gateway = pm.upnp >= 0;
	ni.have_portmap = !ip_is_zero(&pm.external.ip);
	ni.upnp = pm.upnp > 0;
	ni.pmp = pm.pmp > 0;
	ni.pcp = pm.pcp > 0;
	if (rep) {
		ni.working_udp = rep->udp;
		ni.working_v6 = rep->v6;
		ni.varies_by_dest = rep->varies_by_dest;
		for (size_t i = 0; i < rep->n_latency && ni.n_latency + 2 <= ARRAY_LEN(ni.latency);
		     i++) {
			const struct netcheck_latency *l = &rep->latency[i];

			for (int v6 = 0; v6 < 2; v6++) {
				span_t t = v6 ? l->v6 : l->v4;

				if (t.ns <= 0)
					continue;
				ni.latency[ni.n_latency].region = l->region;
				ni.latency[ni.n_latency].v6 = v6;
				ni.latency[ni.n_latency++].seconds = (double)t.ns / 1e9;
			}
		}
	}
	control_set_netinfo(n->control, &ni);
}

void node_probe_tell(struct node *n, mono_t now)
{
	if (n->home != 0) /* before that the first round will tell all of it */
		tell_control(n, now, netcheck_report(n->netcheck));
}

void node_probe_map_changed(struct node *n, mono_t now)
{
	size_t count;
	const struct netmap_region *v = netmap_regions(n->netmap, &count);
	struct netcheck_region *regs = calloc(count + 1, sizeof *regs);

	if (!regs)
		return;
	if (count > NETCHECK_REGIONS_MAX)
		count = NETCHECK_REGIONS_MAX;
	for (size_t i = 0; i < count; i++)
		fill_region(&regs[i], &v[i]);
	netcheck_set_families(n->netcheck, n->port4 != 0 && !n->derp_only,
			      n->port6 != 0 && !n->derp_only);
	if (netcheck_set_map(n->netcheck, now, regs, count) != 0)
		log_warn("node: the relay map does not fit; probing with the old one");
	free(regs);
	guess_home(n, now, v, count);
	if (n->home != 0)
		tell_control(n, now, netcheck_report(n->netcheck));
	netcheck_start(n->netcheck, now);
}

/* --- own endpoints (data-plane.md 2.6) --- */

static void add_endpoint(struct ipport *v, enum control_ep *types, size_t *count,
			 const struct ipport *a, enum control_ep type)
{
	for (size_t i = 0; i < *count; i++)
		if (ipport_eq(&v[i], a))
			return;
	if (*count == NODE_ENDPOINTS_MAX || a->port == 0)
		return;
	types[*count] = type;
	v[(*count)++] = *a;
}

static bool worth_offering(const struct ip *a, bool loopback)
{
	if (ip_is_loopback(a))
		return loopback;
	return !ip_is_tailnet(a) && !ip_is_link_local(a) && !ip_is_multicast(a) &&
	       !ip_is_unspecified(a);
}

void node_probe_publish_endpoints(struct node *n, mono_t now)
{
	const struct netcheck_report *rep = netcheck_report(n->netcheck);
	struct ipport v[NODE_ENDPOINTS_MAX];
	enum control_ep types[NODE_ENDPOINTS_MAX];
	size_t count = 0;

	if (n->derp_only)
		return;
	if (!ip_is_zero(&n->mapped.ip))
		add_endpoint(v, types, &count, &n->mapped, CONTROL_EP_PORTMAPPED);
	for (size_t i = 0; rep && i < rep->n_global; i++)
		add_endpoint(v, types, &count, &rep->global[i], CONTROL_EP_STUN);
	if (rep && rep->varies_by_dest == 1 && rep->n_global > 0 && ip_is_v4(&rep->global[0].ip)) {
		struct ipport guess = { rep->global[0].ip, n->port4 };

		add_endpoint(v, types, &count, &guess, CONTROL_EP_STUN4_LOCAL_PORT);
	}
	for (size_t i = 0; i < n->n_fixed; i++)
		add_endpoint(v, types, &count, &n->fixed[i], CONTROL_EP_EXPLICIT);
	for (int loopback = 0; loopback < 2;
	     loopback++) /* loopback only if there is nothing else */
		for (size_t i = 0; (loopback == 0 || count == 0) && i < n->n_local; i++) {
			struct ipport a = { n->local[i],
					    ip_is_v4(&n->local[i]) ? n->port4 : n->port6 };

			if (worth_offering(&a.ip, loopback))
				add_endpoint(v, types, &count, &a, CONTROL_EP_LOCAL);
		}
	memcpy(n->endpoints, v, count * sizeof *v);
	n->n_endpoints = count;
	if (!netcheck_running(
		n->netcheck)) /* else they would count as fresh before STUN has answered */
		path_set_endpoints(n->path, now, v, count);
	if (control_set_endpoints(n->control, v, types, count) != 0)
		log_warn("node: out of memory for endpoints");
}

void node_set_addresses(struct node *n, mono_t now, const struct ip *v, size_t count,
			uint16_t port4, uint16_t port6)
{
	if (count > NODE_ENDPOINTS_MAX)
		count = NODE_ENDPOINTS_MAX;
	memcpy(n->local, v, count * sizeof *v);
	n->n_local = count;
	if (n->n_routes > 0)
		node_local_changed(n);
	n->port4 = port4;
	n->port6 = port6;
	netcheck_set_families(n->netcheck, port4 != 0 && !n->derp_only,
			      port6 != 0 && !n->derp_only);
	node_gateway_update(n, now);
	node_probe_publish_endpoints(n, now);
}

void node_set_static_endpoints(struct node *n, mono_t now, const struct ipport *v, size_t count)
{
	n->n_fixed = count < NODE_STATIC_MAX ? count : NODE_STATIC_MAX;
	if (n->n_fixed > 0)
		memcpy(n->fixed, v, n->n_fixed * sizeof *v);
	node_probe_publish_endpoints(n, now);
}

/* --- rounds --- */

static void round_done(struct node *n, mono_t now)
{
	const struct netcheck_report *rep = netcheck_report(n->netcheck);
	uint16_t home = rep ? rep->home : 0;
	size_t count;
	const struct netmap_region *v = netmap_regions(n->netmap, &count);

	if (home == 0 && n->home == 0) /* nothing answers: any relay is better than none */
		for (size_t i = 0; i < count && home == 0; i++)
			if (!v[i].no_measure_no_home && v[i].n_nodes > 0)
				home = v[i].id;
	if (home != 0 && home != n->home) {
		log_info("node: home relay is %u", home);
		n->home = home;
		node_relay_ensure_home(n, now);
		node_push(n, NODE_PERSIST_LOGIN);
	}
	if (n->portmap)
		portmap_check(n->portmap, now);
	tell_control(n, now, rep);
	node_probe_publish_endpoints(n, now);
}

bool node_probe_next(struct node *n, mono_t now, struct node_effect *ef)
{
	struct netcheck_want w;

	while (n->want_running && netcheck_next(n->netcheck, now, &w)) {
		switch (w.type) {
		case NETCHECK_WANT_SEND:
			node_send_one(n, &w.to, w.data, w.len, ef);
			return true;
		case NETCHECK_WANT_NAME:
			*ef = (struct node_effect){ .type = NODE_RESOLVE };
			memcpy(n->resolve_host, w.host, sizeof n->resolve_host);
			ef->host = n->resolve_host;
			return true;
		case NETCHECK_WANT_HTTPS: /* the time that a relay connection takes tells as much */
			node_relay_probe(n, now, w.region);
			break;
		case NETCHECK_DONE:
			round_done(n, now);
			break;
		}
	}
	return false;
}

void node_probe_tick(struct node *n, mono_t now)
{
	netcheck_tick(n->netcheck, now);
	if (!mono_due(n->restun_at, now))
		return;
	n->restun_at = MONO_NEVER;
	if (mono_before(now, mono_add(n->last_active, SPAN_S(NODE_ACTIVE_S)))) {
		netcheck_start(n->netcheck, now);
		n->restun_at =
		    mono_add(now, SPAN_MS(NODE_RESTUN_S * 1000 +
					  (int64_t)rng_below(n->rng, NODE_RESTUN_SPREAD_MS)));
	}
}

mono_t node_probe_deadline(const struct node *n)
{
	return mono_min(netcheck_deadline(n->netcheck), n->restun_at);
}
