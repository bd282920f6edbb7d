/* node/localapi_netcheck.c - what the node has found out about its network, in the names of
 * netcheck.Report (data-plane.md 4.2) as far as they are known; PortMapping is ours
 *
 * The stock CLI measures with sockets of its own; this is what the running node knows. Members that
 * nothing here measures are null: scripts find every member of the stock report.
 */
#include <stdio.h>

#include "node/localapi_priv.h"
#include "path/netcheck.h"

static void put_opt(struct jsonw *w, const char *key, int v)
{
	jsonw_key(w, key);
	if (v < 0)
		jsonw_null(w);
	else
		jsonw_bool(w, v != 0);
}

static void put_latency(struct jsonw *w, const char *key, const struct netcheck_report *rep,
			int family) /* 4, 6; 0: the better, or that of HTTPS */
{
	char region[8];

	jsonw_key(w, key);
	jsonw_obj(w);
	for (size_t i = 0; i < rep->n_latency; i++) {
		const struct netcheck_latency *l = &rep->latency[i];
		int64_t ns = family == 4 ? l->v4.ns : family == 6 ? l->v6.ns : l->v4.ns;

		if (family == 0 && (ns <= 0 || (l->v6.ns > 0 && l->v6.ns < ns)))
			ns = l->v6.ns > 0 ? l->v6.ns : l->https.ns;
		if (ns <= 0)
			continue;
		snprintf(region, sizeof region, "%u", l->region);
		jsonw_ki64(w, region, ns);
	}
	jsonw_obj_end(w);
}

static void put_global(struct jsonw *w, const char *key, const struct netcheck_report *rep, bool v6)
{
	char text[IPPORT_TEXT] = "";

	for (size_t i = 0; i < rep->n_global && !*text; i++)
		if (ip_is_v4(&rep->global[i].ip) != v6)
			ipport_text(&rep->global[i], text);
	jsonw_kstr(w, key, text);
}

static void put_nulls(struct jsonw *w, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		jsonw_key(w, keys[i]);
		jsonw_null(w);
	}
}

bool localapi_netcheck_json(const struct localapi_view *v, struct buf *out)
{
	static const struct netcheck_report nothing = { .varies_by_dest = -1 };
	static const char *const unmeasured[] = { "ICMPv4", "GlobalV4Counters", "GlobalV6Counters",
						  "CaptivePortal" };
	const struct netcheck_report *rep = node_netcheck(v->node);
	struct node_portmap pm;
	char text[IPPORT_TEXT];
	struct jsonw w;

	node_portmap(v->node, v->now, &pm);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	if (rep)
		jsonw_kwall(&w, "Now", (wall_t){ v->wall.ns - (v->now.ns - rep->at.ns) });
	else
		rep = &nothing;
	jsonw_kbool(&w, "UDP", rep->udp);
	jsonw_kbool(&w, "IPv4", rep->v4);
	jsonw_kbool(&w, "IPv6", rep->v6);
	jsonw_kbool(&w, "IPv4CanSend", node_sends_v4(v->node));
	jsonw_kbool(&w, "IPv6CanSend", node_sends_v6(v->node));
	jsonw_kbool(&w, "OSHasIPv6", node_sends_v6(v->node));
	put_opt(&w, "MappingVariesByDestIP", rep->varies_by_dest);
	put_opt(&w, "UPnP", pm.upnp);
	put_opt(&w, "PMP", pm.pmp);
	put_opt(&w, "PCP", pm.pcp);
	jsonw_ki64(&w, "PreferredDERP", node_home(v->node));
	put_latency(&w, "RegionLatency", rep, 0);
	put_latency(&w, "RegionV4Latency", rep, 4);
	put_latency(&w, "RegionV6Latency", rep, 6);
	put_global(&w, "GlobalV4", rep, false);
	put_global(&w, "GlobalV6", rep, true);
	put_nulls(&w, unmeasured, ARRAY_LEN(unmeasured));
	if (pm.is_on)
		jsonw_kstr(&w, "PortMapping",
			   ip_is_zero(&pm.external.ip) ? "" : ipport_text(&pm.external, text));
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}
