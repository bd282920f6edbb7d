/* node/localapi_metrics.c - user metrics in Prometheus text form, names of the stock client
 * (data-plane.md 7.9) */
#include <assert.h>
#include <stddef.h>

#include "model/filter.h"
#include "node/localapi_priv.h"

static const char *const path_labels[] = {
	[NODE_DIRECT4] = "direct_ipv4", [NODE_DIRECT6] = "direct_ipv6", [NODE_DERP] = "derp"
};
static_assert(ARRAY_LEN(path_labels) == NODE_PATH_N, "every kind of path has a label");
static_assert((int)FILTER_VERDICT_N <= (int)NODE_VERDICTS, "every verdict has a counter");

struct nodes {
	const struct localapi_view *v;
	size_t n;
	struct buf *out;
};

static bool head(const struct nodes *x, const char *name, const char *type, const char *help)
{
	return buf_printf(x->out, "# HELP tailscaled_%s %s\n# TYPE tailscaled_%s %s\n", name, help,
			  name, type);
}

/* tailscaled_NAME{node="...",KEY="LABEL"} VALUE; key NULL: no such label */
static bool sample(const struct nodes *x, size_t i, const char *name, const char *key,
		   const char *label, unsigned long long value)
{
	const char *node = x->v[i].name ? x->v[i].name : "";
	bool ok = buf_printf(x->out, "tailscaled_%s", name);

	if (*node || key)
		ok = ok && buf_printf(x->out, "{%s%s%s%s%s%s%s%s}", *node ? "node=\"" : "", node,
				      *node ? "\"" : "", *node && key ? "," : "", key ? key : "",
				      key ? "=\"" : "", key ? label : "", key ? "\"" : "");
	return ok && buf_printf(x->out, " %llu\n", value);
}

/* off: of an array of counters, one a path, in struct node_counters */
static bool by_path(const struct nodes *x, const char *name, const char *help, size_t off)
{
	bool ok = head(x, name, "counter", help);

	for (size_t k = 0; k < x->n; k++) {
		const uint64_t *v = (const void *)((const char *)node_counters(x->v[k].node) + off);

		for (size_t i = 0; ok && i < NODE_PATH_N; i++)
			ok = sample(x, k, name, "path", path_labels[i], v[i]);
	}
	return ok;
}

/* the same, one a verdict */
static bool by_reason(const struct nodes *x, const char *name, const char *help, size_t off)
{
	bool ok = head(x, name, "counter", help);

	for (size_t k = 0; k < x->n; k++) {
		const uint64_t *v = (const void *)((const char *)node_counters(x->v[k].node) + off);

		for (size_t i = FILTER_ACCEPT + 1; ok && i < FILTER_VERDICT_N; i++)
			ok = sample(x, k, name, "reason", filter_verdict_names[i], v[i]);
	}
	return ok;
}

static bool gauge(const struct nodes *x, const char *name, const char *help, const char *key,
		  const char *label, size_t (*value)(const struct localapi_view *v))
{
	bool ok = head(x, name, "gauge", help);

	for (size_t k = 0; ok && k < x->n; k++)
		ok = sample(x, k, name, key, label, value(&x->v[k]));
	return ok;
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

static size_t home(const struct localapi_view *v)
{
	return node_home(v->node);
}

static size_t problems(const struct localapi_view *v)
{
	const char *health[NODE_HEALTH_MAX];

	return node_health(v->node, health, ARRAY_LEN(health));
}

static size_t advertised(const struct localapi_view *v)
{
	return count_list(v->self->prefs.routes);
}

static size_t approved(const struct localapi_view *v)
{
	return approved_routes(netmap_self(node_netmap(v->node)));
}

#define COUNTERS(member) offsetof(struct node_counters, member)

bool localapi_metrics(const struct localapi_view *v, size_t n, struct buf *out)
{
	const struct nodes x = { v, n, out };

	return by_path(&x, "inbound_packets_total", "Packets received from peers",
		       COUNTERS(in_packets)) &&
	       by_path(&x, "inbound_bytes_total", "Bytes received from peers",
		       COUNTERS(in_bytes)) &&
	       by_path(&x, "outbound_packets_total", "Packets sent to peers",
		       COUNTERS(out_packets)) &&
	       by_path(&x, "outbound_bytes_total", "Bytes sent to peers", COUNTERS(out_bytes)) &&
	       by_reason(&x, "inbound_dropped_packets_total",
			 "Packets from peers that were dropped", COUNTERS(in_dropped)) &&
	       by_reason(&x, "outbound_dropped_packets_total", "Packets to peers that were dropped",
			 COUNTERS(out_dropped)) &&
	       gauge(&x, "home_derp_region_id", "Number of the home relay region", NULL, NULL,
		     home) &&
	       gauge(&x, "health_messages", "Present problems by kind", "type", "warning",
		     problems) &&
	       gauge(&x, "advertised_routes", "Subnets that this node advertises", NULL, NULL,
		     advertised) &&
	       gauge(&x, "approved_routes", "Subnets that control has approved", NULL, NULL,
		     approved);
}
