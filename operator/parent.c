/* operator/parent.c - see parent.h */
#include "operator/parent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "base/json.h"

#define TS_V1 "tailscale.com/v1alpha1"
#define PREFIX "tailscale.com/"

const struct kind_row kinds[KIND_N] = {
	[KIND_SERVICE] = { "svc", "v1", "Service", "services", "TailscaleProxyReady", true, true },
	[KIND_INGRESS] = { "ingress", "networking.k8s.io/v1", "Ingress", "ingresses", NULL, true,
			   true },
	[KIND_CONNECTOR] = { "connector", TS_V1, "Connector", "connectors", "ConnectorReady", true,
			     false },
	[KIND_PROXYCLASS] = { "proxyclass", TS_V1, "ProxyClass", "proxyclasses", "ProxyClassReady",
			      true, false },
	[KIND_PROXYGROUP] = { "proxygroup", TS_V1, "ProxyGroup", "proxygroups", "ProxyGroupReady",
			      false, false },
	[KIND_DNSCONFIG] = { "dnsconfig", TS_V1, "DNSConfig", "dnsconfigs", "NameserverReady",
			     false, false },
	[KIND_RECORDER] = { "recorder", TS_V1, "Recorder", "recorders", "RecorderReady", false,
			    false },
	[KIND_TAILNET] = { "tailnet", TS_V1, "Tailnet", "tailnets", "TailnetReady", false, false },
	[KIND_PEERRELAY] = { "peerrelay", TS_V1, "PeerRelay", "peerrelays", "PeerRelayReady", false,
			     false },
	[KIND_PROXYGROUPPOLICY] = { "proxygrouppolicy", TS_V1, "ProxyGroupPolicy",
				    "proxygrouppolicies", "ProxyGroupPolicyReady", false, false },
};

/* --- annotations --- */

/* what the operator itself, or the Go operator before it, leaves on objects; and what is acted on
 */
static bool is_known(enum kind kind, const char *name)
{
	static const char *const ours[] = { "expose",
					    "hostname",
					    "tags",
					    "proxy-class",
					    "tailnet-ip",
					    "tailnet-fqdn",
					    "ts-tailnet-target-ip",
					    "operator-last-set-cluster-ip",
					    "operator-last-set-dns-name",
					    "operator-last-set-ts-tailnet-target-ip",
					    "operator-last-set-ts-tailnet-target-fqdn" };
	static const char *const ingress[] = { "tags", "proxy-class", "hostname", "http-redirect" };
	const char *const *list = kind == KIND_INGRESS ? ingress : ours;
	const size_t n = kind == KIND_INGRESS   ? ARRAY_LEN(ingress)
			 : kind == KIND_SERVICE ? ARRAY_LEN(ours)
						: 0; /* other kinds have fields */

	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

static void note_unknown(struct parent *p, const char *name)
{
	const size_t have = strlen(p->unknown);

	(void)snprintf(p->unknown + have, sizeof p->unknown - have, "%s%.100s", have ? ", " : "",
		       name);
}

static void malformed(struct parent *p, const char *prefix, const char *name)
{
	if (!p->malformed[0])
		(void)snprintf(p->malformed, sizeof p->malformed, "%s%s", prefix, name);
}

static void text_of(struct parent *p, struct json *j, const char *name, char *out, size_t cap)
{
	struct bytes raw = json_raw(j);
	struct json one = json_of(raw);

	json_str(&one, out, cap);
	if (!json_ok(&one)) {
		out[0] = 0;
		malformed(p, PREFIX, name);
	}
}

/* "true" or "false"; anything else has no effect and is told. */
static bool switch_of(struct parent *p, struct json *j, const char *name)
{
	char value[16], text[64];

	text_of(p, j, name, value, sizeof value);
	if (value[0] && strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
		(void)snprintf(text, sizeof text, "%s: \"%s\" (it is true or false)", name, value);
		note_unknown(p, text);
	}
	return strcmp(value, "true") == 0;
}

static void annotations(struct parent *p, struct bytes text)
{
	struct json j = json_of(text);
	struct bytes key;

	if (text.len == 0)
		return;
	json_obj(&j);
	while (json_key(&j, &key)) {
		char name[128];

		if (!json_unescape(key, name, sizeof name) ||
		    strncmp(name, PREFIX, strlen(PREFIX)) != 0) {
			json_skip(&j);
			continue;
		}
		memmove(name, name + strlen(PREFIX), strlen(name + strlen(PREFIX)) + 1);
		if (!is_known(p->kind, name)) {
			note_unknown(p, name);
			json_skip(&j);
		} else if (strcmp(name, "expose") == 0) {
			p->expose = switch_of(p, &j, name);
		} else if (strcmp(name, "http-redirect") == 0) {
			p->http_redirect = switch_of(p, &j, name);
		} else if (strcmp(name, "hostname") == 0) {
			text_of(p, &j, name, p->hostname, sizeof p->hostname);
		} else if (strcmp(name, "tags") == 0) {
			text_of(p, &j, name, p->tags, sizeof p->tags);
		} else if (strcmp(name, "proxy-class") == 0) {
			text_of(p, &j, name, p->proxy_class, sizeof p->proxy_class);
		} else if (strcmp(name, "tailnet-ip") == 0 ||
			   strcmp(name, "ts-tailnet-target-ip") == 0) {
			text_of(p, &j, name, p->tailnet_ip, sizeof p->tailnet_ip);
		} else if (strcmp(name, "tailnet-fqdn") == 0) {
			text_of(p, &j, name, p->tailnet_fqdn, sizeof p->tailnet_fqdn);
		} else {
			json_skip(&j);
		}
	}
}

/* --- spec --- */

static bool flag_at(struct bytes spec, const char *path)
{
	return bytes_eq_str(kube_at(spec, path), "true");
}

static void opt(struct bytes object, const char *path, char *out, size_t cap)
{
	if (!kube_str_at(object, path, out, cap))
		out[0] = 0;
}

uint16_t parent_port_at(struct bytes object, const char *path)
{
	struct json j = json_of(kube_at(object, path));
	const uint64_t v = json_type(&j) == JSON_NUMBER ? json_u64(&j) : 0;

	return json_ok(&j) && v <= UINT16_MAX ? (uint16_t)v : 0;
}

/* One of spec.ports, as an egress proxy is told of it. */
static void service_port(struct parent *p, struct bytes one, size_t *at)
{
	const uint16_t port = parent_port_at(one, "port"), to = parent_port_at(one, "targetPort");
	const size_t room = sizeof p->ports - *at;
	char protocol[16], target[64], text[32];
	size_t n;

	opt(one, "protocol", protocol, sizeof protocol);
	opt(one, "targetPort", target, sizeof target);
	n = (size_t)snprintf(text, sizeof text, "%s%u", *at ? "," : "", port);
	if (to && to != port)
		n += (size_t)snprintf(text + n, sizeof text - n, ":%u", to);
	if (strcmp(protocol, "UDP") == 0)
		n += (size_t)snprintf(text + n, sizeof text - n, "/udp");
	if (!port || target[0] || n >= room ||
	    (protocol[0] && strcmp(protocol, "TCP") != 0 && strcmp(protocol, "UDP") != 0)) {
		if (!p->port_left_out[0])
			(void)snprintf(p->port_left_out, sizeof p->port_left_out,
				       "%u%s%.15s%s%.30s", port, protocol[0] ? "/" : "", protocol,
				       target[0] ? " to " : "", target);
		return;
	}
	memcpy(p->ports + *at, text, n + 1);
	*at += n;
}

static void service_families(struct parent *p, struct bytes ips)
{
	struct json j = json_of(ips);

	if (ips.len == 0)
		return;
	json_arr(&j);
	while (json_elem(&j)) {
		struct json one = json_of(json_raw(&j));
		char text[64];
		struct ip ip;

		json_str(&one, text, sizeof text);
		if (!json_ok(&one) || !ip_parse(bytes_str(text), &ip))
			continue;
		p->has_v4 |= ip_is_v4(&ip);
		p->has_v6 |= !ip_is_v4(&ip);
	}
}

static void service(struct parent *p, struct bytes spec)
{
	struct bytes ports = kube_at(spec, "ports");
	struct json j = json_of(ports);
	char type[32];
	size_t at = 0;

	opt(spec, "type", type, sizeof type);
	p->is_load_balancer = strcmp(type, "LoadBalancer") == 0;
	p->is_external_name = strcmp(type, "ExternalName") == 0;
	opt(spec, "loadBalancerClass", p->lb_class, sizeof p->lb_class);
	opt(spec, "clusterIP", p->cluster_ip, sizeof p->cluster_ip);
	service_families(p, kube_at(spec, "clusterIPs"));
	opt(spec, "externalName", p->external_name, sizeof p->external_name);
	if (ports.len == 0)
		return;
	json_arr(&j);
	while (json_elem(&j))
		service_port(p, json_raw(&j), &at);
}

/* A name that may stand in a URL, or "". */
static bool name_is_plain(const char *name)
{
	const size_t n = strlen(name);

	return n <= 253 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789.-*") == n;
}

/* It goes into a URL as it is. */
static bool path_is_plain(const char *path)
{
	if (*path != '/')
		return false;
	for (; *path; path++)
		if (*path <= ' ' || *path == 0x7f || strchr("?#\\\"", *path))
			return false;
	return true;
}

static void backend(struct parent *p, const char *host, const char *path, struct bytes b)
{
	struct parent_path *v, *out;

	v = p->n_paths < PARENT_PATHS_MAX ? reallocarray(p->path, p->n_paths + 1, sizeof *p->path)
					  : NULL;
	if (!v) {
		p->too_many_paths = true;
		return;
	}
	p->path = v;
	out = &p->path[p->n_paths];
	*out = (struct parent_path){ 0 };
	(void)bytes_to_str(bytes_str(host), out->host, sizeof out->host);
	(void)bytes_to_str(bytes_str(*path ? path : "/"), out->path, sizeof out->path);
	opt(b, "service.name", out->service, sizeof out->service);
	out->port = parent_port_at(b, "service.port.number");
	if (!out->port)
		opt(b, "service.port.name", out->port_name, sizeof out->port_name);
	out->is_bad = !out->service[0] || (!out->port && !out->port_name[0]) ||
		      !path_is_plain(out->path) || !name_is_plain(out->service) ||
		      !name_is_plain(out->host);
	p->n_paths++;
}

static void rule_paths(struct parent *p, const char *host, struct bytes paths)
{
	struct json j = json_of(paths);

	if (paths.len == 0)
		return;
	json_arr(&j);
	while (json_elem(&j)) {
		struct bytes one = json_raw(&j);
		char path[256], type[32];
		const size_t before = p->n_paths;

		opt(one, "path", path, sizeof path);
		opt(one, "pathType", type, sizeof type);
		backend(p, host, path, kube_at(one, "backend"));
		if (p->n_paths > before) {
			p->path[before].is_exact = strcmp(type, "Exact") == 0;
			p->path[before].is_undefined = !path[0];
		}
	}
}

static void ingress(struct parent *p, struct bytes spec)
{
	struct bytes rules = kube_at(spec, "rules"), tls = kube_at(spec, "tls"),
		     def = kube_at(spec, "defaultBackend");
	struct json j = json_of(rules);

	opt(spec, "ingressClassName", p->class_name, sizeof p->class_name);
	if (def.len > 0)
		backend(p, "", "/", def);
	if (rules.len > 0) {
		json_arr(&j);
		while (json_elem(&j)) {
			struct bytes one = json_raw(&j);
			char host[256];

			opt(one, "host", host, sizeof host);
			rule_paths(p, host, kube_at(one, "http.paths"));
		}
	}
	j = json_of(tls);
	if (tls.len == 0)
		return;
	json_arr(&j);
	if (json_elem(&j)) {
		struct bytes one = json_raw(&j), hosts = kube_at(one, "hosts");
		struct json h = json_of(hosts);

		opt(one, "secretName", p->tls_secret, sizeof p->tls_secret);
		if (hosts.len > 0) {
			json_arr(&h);
			if (json_elem(&h))
				json_str(&h, p->tls_host, sizeof p->tls_host);
			if (!json_ok(&h) || !name_is_plain(p->tls_host))
				malformed(p, "", "spec.tls[0].hosts[0]");
			p->many_tls_hosts = json_ok(&h) && json_elem(&h);
		}
		p->many_tls = json_elem(&j);
	}
}

/* an array of strings of the specification, joined by commas */
static void joined(struct parent *p, struct bytes spec, const char *path, char *out, size_t cap)
{
	const struct bytes array = kube_at(spec, path);
	struct json j = json_of(array);
	char one[128];
	size_t at = 0;

	out[0] = 0;
	if (array.len == 0)
		return;
	json_arr(&j);
	while (json_elem(&j)) {
		const size_t n = json_str(&j, one, sizeof one);

		if (!json_ok(&j) || cap - at < n + 2) {
			malformed(p, "spec.", path);
			return;
		}
		at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? "," : "", one);
	}
}

static void connector(struct parent *p, struct bytes spec)
{
	struct json j = json_of(kube_at(spec, "replicas"));

	joined(p, spec, "tags", p->tags, sizeof p->tags);
	joined(p, spec, "subnetRouter.advertiseRoutes", p->routes, sizeof p->routes);
	opt(spec, "hostname", p->hostname, sizeof p->hostname);
	opt(spec, "hostnamePrefix", p->host_prefix, sizeof p->host_prefix);
	opt(spec, "proxyClass", p->proxy_class, sizeof p->proxy_class);
	p->exit_node = flag_at(spec, "exitNode");
	p->app_connector = kube_has_member(spec, "appConnector");
	if (kube_has_member(spec, "tailnet"))
		note_unknown(p, "spec.tailnet");
	p->replicas = json_type(&j) == JSON_NUMBER ? json_i64(&j) : 1;
}

/* --- status --- */

static void conditions(struct parent *p, struct bytes list)
{
	struct json j = json_of(list);

	if (list.len == 0 || !kinds[p->kind].condition)
		return;
	json_arr(&j);
	while (json_elem(&j)) {
		struct bytes one = json_raw(&j);
		struct json n;
		char type[128];

		opt(one, "type", type, sizeof type);
		if (strcmp(type, kinds[p->kind].condition) != 0)
			continue;
		p->condition = (struct condition){ .exists = true };
		opt(one, "status", type, sizeof type);
		p->condition.is_true = strcmp(type, "True") == 0;
		opt(one, "reason", p->condition.reason, sizeof p->condition.reason);
		opt(one, "message", p->condition.message, sizeof p->condition.message);
		opt(one, "lastTransitionTime", p->condition.since, sizeof p->condition.since);
		n = json_of(kube_at(one, "observedGeneration"));
		p->condition.observed = json_type(&n) == JSON_NUMBER ? json_i64(&n) : 0;
	}
}

static void load_balancer(struct parent *p, struct bytes list)
{
	struct json j = json_of(list);

	if (list.len == 0)
		return;
	json_arr(&j);
	while (json_elem(&j)) {
		struct bytes one = json_raw(&j);
		char text[256];

		if (kube_str_at(one, "hostname", text, sizeof text) && text[0])
			memcpy(p->lb_host, text, sizeof p->lb_host);
		else if (p->n_lb_ip < ARRAY_LEN(p->lb_ip) &&
			 kube_str_at(one, "ip", p->lb_ip[p->n_lb_ip], sizeof p->lb_ip[0]))
			p->n_lb_ip++;
	}
}

/* --- the whole --- */

static bool keep_finalizers(struct parent *p, struct bytes list)
{
	struct json j = json_of(list);
	struct buf out;
	struct jsonw w;
	bool any = false;

	if (list.len == 0)
		return true;
	buf_init(&out, 1 << 16);
	jsonw_init(&w, &out);
	jsonw_arr(&w);
	json_arr(&j);
	while (json_elem(&j)) {
		char one[512];

		json_str(&j, one, sizeof one);
		if (strcmp(one, FINALIZER) == 0) {
			p->has_finalizer = true;
		} else {
			jsonw_str(&w, one);
			any = true;
		}
	}
	jsonw_arr_end(&w);
	if (any && jsonw_ok(&w))
		p->finalizers = buf_take_str(&out);
	buf_fini(&out);
	return json_ok(&j) && (!any || p->finalizers);
}

bool parent_parse(struct parent *p, enum kind kind, struct bytes json)
{
	struct kube_object o;

	*p = (struct parent){ .kind = kind, .replicas = 1 };
	if (!kube_object_parse(json, &o) || !o.uid[0])
		return false;
	memcpy(p->ns, o.ns, sizeof p->ns);
	memcpy(p->name, o.name, sizeof p->name);
	memcpy(p->uid, o.uid, sizeof p->uid);
	memcpy(p->rv, o.rv, sizeof p->rv);
	p->generation = o.generation;
	p->is_deleting = o.is_deleting;
	p->deleted = o.deleted;
	annotations(p, o.annotations);
	if (!kube_member(o.annotations, NOTE_EXTERNAL, p->external_saved, sizeof p->external_saved,
			 NULL))
		p->external_saved[0] = 0;
	if ((kind == KIND_SERVICE || kind == KIND_INGRESS) &&
	    kube_has_member(o.labels, PREFIX "proxy-class") &&
	    !kube_member(o.labels, PREFIX "proxy-class", p->proxy_class, sizeof p->proxy_class,
			 NULL))
		malformed(p, "the label ", PREFIX "proxy-class");
	if (kind == KIND_SERVICE)
		service(p, o.spec);
	else if (kind == KIND_INGRESS)
		ingress(p, o.spec);
	else if (kind == KIND_CONNECTOR)
		connector(p, o.spec);
	conditions(p, kube_at(o.status, "conditions"));
	load_balancer(p, kube_at(o.status, "loadBalancer.ingress"));
	if (!keep_finalizers(p, o.finalizers)) {
		parent_fini(p);
		return false;
	}
	return true;
}

void parent_fini(struct parent *p)
{
	free(p->finalizers);
	free(p->path);
	p->finalizers = NULL;
	p->path = NULL;
}

bool parent_matters(const struct parent *p, const char *class_name, bool default_load_balancer)
{
	if (p->has_finalizer || p->condition.exists)
		return true;
	if (p->kind == KIND_SERVICE)
		return p->expose || p->tailnet_ip[0] || p->tailnet_fqdn[0] || p->unknown[0] ||
		       p->malformed[0] ||
		       (p->is_load_balancer && (strcmp(p->lb_class, class_name) == 0 ||
						(default_load_balancer && !p->lb_class[0])));
	if (p->kind == KIND_INGRESS)
		return strcmp(p->class_name, class_name) == 0;
	return true;
}

void parent_key(char out[static PARENT_KEY_MAX], enum kind kind, const char *ns, const char *name)
{
	(void)snprintf(out, PARENT_KEY_MAX, "%s/%s/%s", kinds[kind].key, ns, name);
}

bool parent_key_parse(const char *key, enum kind *kind, char ns[static KUBE_NS_MAX + 1],
		      char name[static KUBE_NAME_MAX + 1])
{
	const char *a = strchr(key, '/'), *b = a ? strchr(a + 1, '/') : NULL;

	if (!b || !bytes_to_str(bytes_of(a + 1, (size_t)(b - a - 1)), ns, KUBE_NS_MAX + 1) ||
	    !bytes_to_str(bytes_str(b + 1), name, KUBE_NAME_MAX + 1) || !name[0])
		return false;
	for (size_t i = 0; i < KIND_N; i++)
		if (bytes_eq_str(bytes_of(key, (size_t)(a - key)), kinds[i].key)) {
			*kind = (enum kind)i;
			return true;
		}
	return false;
}
