/* node/localapi_metrics.c - user metrics in Prometheus text form, names of the stock client
 * (data-plane.md 7.9) */
#include <assert.h>

#include "model/filter.h"
#include "node/localapi_priv.h"

static const char *const path_labels[] = {
	[NODE_DIRECT4] = "direct_ipv4", [NODE_DIRECT6] = "direct_ipv6", [NODE_DERP] = "derp"
};
static_assert(ARRAY_LEN(path_labels) == NODE_PATH_N, "every kind of path has a label");
static_assert((int)FILTER_VERDICT_N <= (int)NODE_VERDICTS, "every verdict has a counter");

static bool head(struct buf *out, const char *name, const char *type, const char *help)
{
	return buf_printf(out, "# HELP tailscaled_%s %s\n# TYPE tailscaled_%s %s\n", name, help,
			  name, type);
}

static bool by_path(struct buf *out, const char *name, const char *help, const uint64_t *v)
{
	bool ok = head(out, name, "counter", help);

	for (size_t i = 0; ok && i < NODE_PATH_N; i++)
		ok = buf_printf(out, "tailscaled_%s{path=\"%s\"} %llu\n", name, path_labels[i],
				(unsigned long long)v[i]);
	return ok;
}

static bool by_reason(struct buf *out, const char *name, const char *help, const uint64_t *v)
{
	bool ok = head(out, name, "counter", help);

	for (size_t i = FILTER_ACCEPT + 1; ok && i < FILTER_VERDICT_N; i++)
		ok = buf_printf(out, "tailscaled_%s{reason=\"%s\"} %llu\n", name,
				filter_verdict_names[i], (unsigned long long)v[i]);
	return ok;
}

static bool gauge(struct buf *out, const char *name, const char *help, unsigned long long v)
{
	return head(out, name, "gauge", help) && buf_printf(out, "tailscaled_%s %llu\n", name, v);
}

static size_t count_list(const char *list)
{
	struct bytes left = bytes_str(list), elem;
	size_t n = 0;

	while (prefs_list_next(&left, &elem))
		n++;
	return n;
}

/* routes of ours that control has approved: what is allowed beyond our addresses */
static size_t approved_routes(const struct netmap_node *self)
{
	size_t n = 0;

	for (size_t i = 0; self && i < self->n_allowed; i++) {
		bool own = false;

		for (size_t k = 0; k < self->n_addresses; k++)
			own = own || ipprefix_eq(&self->allowed[i], &self->addresses[k]);
		n += !own;
	}
	return n;
}

bool localapi_metrics(const struct localapi_view *v, struct buf *out)
{
	const struct node_counters *c = node_counters(v->node);
	const char *health[NODE_HEALTH_MAX];

	return by_path(out, "inbound_packets_total", "Packets received from peers",
		       c->in_packets) &&
	       by_path(out, "inbound_bytes_total", "Bytes received from peers", c->in_bytes) &&
	       by_path(out, "outbound_packets_total", "Packets sent to peers", c->out_packets) &&
	       by_path(out, "outbound_bytes_total", "Bytes sent to peers", c->out_bytes) &&
	       by_reason(out, "inbound_dropped_packets_total",
			 "Packets from peers that were dropped", c->in_dropped) &&
	       by_reason(out, "outbound_dropped_packets_total",
			 "Packets to peers that were dropped", c->out_dropped) &&
	       gauge(out, "home_derp_region_id", "Number of the home relay region",
		     node_home(v->node)) &&
	       head(out, "health_messages", "gauge", "Present problems by kind") &&
	       buf_printf(out, "tailscaled_health_messages{type=\"warning\"} %zu\n",
			  node_health(v->node, health, ARRAY_LEN(health))) &&
	       gauge(out, "advertised_routes", "Subnets that this node advertises",
		     count_list(v->self->prefs.routes)) &&
	       gauge(out, "approved_routes", "Subnets that control has approved",
		     approved_routes(netmap_self(node_netmap(v->node))));
}
