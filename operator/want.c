/* operator/want.c - see want.h */
#include "operator/want.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "base/json.h"
#include "operator/proxy.h"

/* --- checks --- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool hostname_is_valid(const char *name)
{
	const size_t n = strlen(name);

	if (n == 0 || n > 63 || name[0] == '-' || name[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(name[i]) && name[i] != '-')
			return false;
	return true;
}

bool tags_are_valid(const char *tags)
{
	for (;;) {
		const size_t n = strcspn(tags, ",");

		if (n < 5 || n > 54 || strncmp(tags, "tag:", 4) != 0 || !is_alnum(tags[4]) ||
		    (tags[4] >= '0' && tags[4] <= '9'))
			return false;
		for (size_t i = 5; i < n; i++)
			if (!is_alnum(tags[i]) && tags[i] != '-')
				return false;
		if (!tags[n])
			return true;
		tags += n + 1;
	}
}

/* It is looked up as it is. */
static bool host_is_plain(const char *name)
{
	for (; *name; name++)
		if (!is_alnum(*name) && !strchr("-._", *name))
			return false;
	return true;
}

static bool fqdn_is_valid(const char *name)
{
	char label[64];
	unsigned labels = 0;

	for (;;) {
		const size_t n = strcspn(name, ".");

		if (n == 0 && labels >= 2 && !name[0])
			return true; /* ended by a dot */
		if (n == 0 || n > 63)
			return false;
		memcpy(label, name, n);
		label[n] = 0;
		if (!hostname_is_valid(label))
			return false;
		labels++;
		if (!name[n])
			return labels >= 2;
		name += n + 1;
	}
}

void facts_fini(struct facts *f)
{
	if (f->tls_key)
		explicit_bzero(f->tls_key, strlen(f->tls_key));
	free(f->tls_crt);
	free(f->tls_key);
	*f = (struct facts){ 0 };
}

/* --- wishes --- */

static void PRINTF(3, 4) invalid(struct want *w, const char *reason, const char *fmt, ...)
{
	va_list ap;

	if (w->is_invalid)
		return;
	w->is_invalid = true;
	(void)bytes_to_str(bytes_str(reason), w->reason, sizeof w->reason);
	va_start(ap, fmt);
	(void)vsnprintf(w->message, sizeof w->message, fmt, ap);
	va_end(ap);
}

static void PRINTF(3, 4) note(struct want *w, const char *reason, const char *fmt, ...)
{
	struct note *n = &w->note[w->n_notes];
	va_list ap;

	if (w->n_notes == NOTES_MAX)
		return;
	w->n_notes++;
	n->is_warning = true;
	(void)bytes_to_str(bytes_str(reason), n->reason, sizeof n->reason);
	va_start(ap, fmt);
	(void)vsnprintf(n->message, sizeof n->message, fmt, ap);
	va_end(ap);
}

static void tags_of(struct want *w, const struct parent *p, const struct settings *s)
{
	const char *tags = p->tags[0] ? p->tags : s->default_tags;
	size_t at = 0;

	for (; *tags; tags++) /* white space around commas is forgiven */
		if (*tags != ' ' && at < sizeof w->tags - 1)
			w->tags[at++] = *tags;
	w->tags[at] = 0;
	if (!tags_are_valid(w->tags))
		invalid(w, "ProxyInvalid",
			"tags \"%.100s\" are not a comma separated list of tag:NAME, with letters, "
			"digits and - in NAME",
			w->tags);
	if (p->tags[0] && s->fixed_key)
		note(w, "TagsIgnored",
		     "the operator has one fixed auth key, whose tags its proxies get; use an API "
		     "key or an OAuth client to "
		     "choose tags for each");
}

/* Long names that differ late are different when they are cut, by the end of the proxy's name. */
static void hostname_of(struct want *w, const struct parent *p, const char *fallback)
{
	char proxy[PROXY_NAME_MAX + 1];
	size_t max = sizeof w->hostname - 1;
	const char *tail = "";

	if (p->hostname[0]) {
		(void)bytes_to_str(bytes_str(p->hostname), w->hostname, sizeof w->hostname);
		if (!hostname_is_valid(p->hostname))
			invalid(w, "ProxyInvalid",
				"hostname \"%.80s\" is not a DNS label: up to 63 letters, digits "
				"and -, none of - at the ends",
				p->hostname);
		return;
	}
	if (strlen(fallback) > max) {
		proxy_name(proxy, p->name, p->uid);
		tail = strrchr(proxy, '-');
		max -= strlen(tail);
	}
	for (size_t i = 0; fallback[i] && i < max; i++)
		w->hostname[i] = is_alnum(fallback[i]) ? fallback[i] : '-';
	for (size_t n = strlen(w->hostname); n > 0 && w->hostname[n - 1] == '-'; n--)
		w->hostname[n - 1] = 0;
	memcpy(w->hostname + strlen(w->hostname), tail, strlen(tail) + 1);
}

static void check_class(struct want *w, const struct parent *p, const struct settings *s,
			const struct proxy_class *c)
{
	const char *name = want_class(p, s);

	if (!*name)
		return;
	if (!c)
		invalid(w, "ProxyPending", "ProxyClass %.63s does not exist", name);
	else if (!c->is_valid)
		invalid(w, "ProxyPending", "ProxyClass %.63s is not ready: %.200s", name, c->why);
}

/* An Ingress or a Connector of a class whose Services share processes. */
static void own_pod(struct want *w, const struct parent *p, const struct settings *s,
		    const struct proxy_class *c)
{
	const bool is_ours = p->kind == KIND_CONNECTOR ||
			     (p->kind == KIND_INGRESS && strcmp(p->class_name, s->class_name) == 0);

	if (is_ours && c && c->is_valid && c->per_process > 0)
		note(w, "NotSupported",
		     "spec.tailpod.nodesPerProcess of ProxyClass %.63s is for Services and without "
		     "effect here: this %s has a pod of its own",
		     c->name, kinds[p->kind].kind);
}

static bool wants_load_balancer(const struct parent *p, const struct settings *s)
{
	return p->is_load_balancer && (strcmp(p->lb_class, s->class_name) == 0 ||
				       (s->default_load_balancer && !p->lb_class[0]));
}

static void egress(struct want *w, const struct parent *p)
{
	struct ip ip;

	w->role = ROLE_EGRESS;
	if (p->tailnet_ip[0] && p->tailnet_fqdn[0])
		invalid(w, "ProxyInvalid",
			"only one of tailscale.com/tailnet-ip and tailscale.com/tailnet-fqdn may "
			"be set");
	if (p->expose)
		invalid(w, "ProxyInvalid",
			"tailscale.com/expose and a tailnet target exclude each other");
	if (p->tailnet_ip[0] && !ip_parse(bytes_str(p->tailnet_ip), &ip))
		invalid(w, "ProxyInvalid",
			"tailscale.com/tailnet-ip \"%.60s\" is not an IP address", p->tailnet_ip);
	else if (p->tailnet_ip[0] && (ip_is_loopback(&ip) || ip_is_unspecified(&ip) ||
				      ip_is_link_local(&ip) || ip_is_multicast(&ip)))
		invalid(w, "ProxyInvalid",
			"tailscale.com/tailnet-ip %.60s is no address that a tailnet node can have",
			p->tailnet_ip);
	if (p->tailnet_fqdn[0] && !fqdn_is_valid(p->tailnet_fqdn))
		invalid(w, "ProxyInvalid",
			"tailscale.com/tailnet-fqdn \"%.200s\" is not a full name such as "
			"web.example.com",
			p->tailnet_fqdn);
	if (!p->is_external_name)
		invalid(w, "ProxyInvalid",
			"a Service with a tailnet target must have type: ExternalName");
	if (!p->ports[0])
		invalid(w, "ProxyInvalid",
			"a Service with a tailnet target must name its ports in spec.ports: the "
			"proxy listens on those");
	if (p->port_left_out[0])
		note(w, "InvalidPort",
		     "port %.60s is left out: egress carries TCP and UDP ports by number, of which "
		     "%zu bytes of list fit",
		     p->port_left_out, sizeof p->ports);
	memcpy(w->target_ip, p->tailnet_ip, sizeof w->target_ip);
	memcpy(w->target_fqdn, p->tailnet_fqdn, sizeof w->target_fqdn);
	memcpy(w->ports, p->ports, sizeof w->ports);
}

/* The name before it was ours, in case the Service was an egress Service a moment ago. */
static void external_name(struct want *w, const struct parent *p)
{
	memcpy(w->dest_name, p->external_saved[0] ? p->external_saved : p->external_name,
	       sizeof w->dest_name);
	if (!w->dest_name[0] || !host_is_plain(w->dest_name))
		invalid(w, "ProxyInvalid",
			"spec.externalName \"%.200s\" is not the name of a host to expose",
			w->dest_name);
}

static void service(struct want *w, const struct parent *p, const struct settings *s)
{
	char name[400];

	(void)snprintf(name, sizeof name, "%s-%s", p->ns, p->name);
	hostname_of(w, p, name);
	tags_of(w, p, s);
	if (p->tailnet_ip[0] || p->tailnet_fqdn[0]) {
		egress(w, p);
		return;
	}
	w->role = ROLE_INGRESS;
	if (p->is_external_name)
		external_name(w, p);
	else if (!p->cluster_ip[0])
		invalid(w, "ProxyPending", "the Service has no cluster address yet");
	else if (strcmp(p->cluster_ip, "None") == 0)
		invalid(w, "ProxyInvalid",
			"a headless Service (clusterIP: None) cannot be exposed");
	if (!p->is_external_name)
		memcpy(w->dest_ip, p->cluster_ip, sizeof w->dest_ip);
}

/* The certificate: there, or words why not. */
static void ingress_tls(struct want *w, const struct parent *p, const struct facts *f)
{
	const enum tls_state state = f ? f->tls : TLS_NONE;

	if (p->many_tls_hosts)
		note(
		    w, "NotSupported",
		    "spec.tls: only the first host names the node; pages under another name need a "
		    "rule with that host");
	if (!p->tls_secret[0]) {
		if (p->tls_host[0])
			note(w, "TLSNotSupported",
			     "spec.tls names no Secret, and certificates of the tailnet are not "
			     "issued: served over plain HTTP on port 80 (inside the encrypted "
			     "tailnet)");
		if (p->http_redirect)
			note(w, "NotSupported",
			     "tailscale.com/http-redirect has no effect without a TLS Secret");
		return;
	}
	w->polls = true;
	w->tls = state == TLS_THERE;
	if (state == TLS_ABSENT)
		note(w, "TLSSecretMissing",
		     "the Secret %.100s does not exist: served over plain HTTP until it does",
		     p->tls_secret);
	else if (state == TLS_FORBIDDEN)
		note(w, "TLSSecretForbidden",
		     "the operator may not read the Secret %.100s: allow it (chart: "
		     "ingressClass.tlsSecrets), or remove secretName; served over plain HTTP",
		     p->tls_secret);
	else if (state == TLS_BAD)
		note(w, "TLSSecretInvalid",
		     "the Secret %.100s has no tls.crt and tls.key: served over plain HTTP",
		     p->tls_secret);
	if (p->many_tls)
		note(w, "NotSupported",
		     "spec.tls: only the first certificate is used, a proxy has one");
}

bool path_is_served(const struct parent_path *x)
{
	return !x->is_bad && x->port != 0 && !strchr(x->host, '*');
}

bool path_is_tls(const struct parent_path *x)
{
	return x->port == 443 || strcmp(x->port_name, "https") == 0 ||
	       strcasecmp(x->protocol, "https") == 0 ||
	       strcmp(x->protocol, "kubernetes.io/wss") == 0;
}

/* Protocols of back ends that HTTP/1.1 does not carry: by appProtocol, or by a port's name as
 * service meshes read it. */
static const char *http2_of(const struct parent_path *x)
{
	static const char *const names[] = { "grpc", "h2c", "http2" };

	if (x->protocol[0])
		return strcmp(x->protocol, "kubernetes.io/h2c") == 0 ||
			       strcasecmp(x->protocol, "grpc") == 0 ||
			       strcasecmp(x->protocol, "h2c") == 0 ||
			       strcasecmp(x->protocol, "http2") == 0
			   ? x->protocol
			   : NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const size_t n = strlen(names[i]);

		if (strncmp(x->port_name, names[i], n) == 0 &&
		    (!x->port_name[n] || x->port_name[n] == '-'))
			return x->port_name;
	}
	return NULL;
}

static void ingress_path(struct want *w, const struct parent_path *x)
{
	if (x->is_bad) {
		note(w, "InvalidIngressBackend",
		     "path %.100s is left out: its backend must be a Service with a port, "
		     "the path plain",
		     x->path);
	} else if (strchr(x->host, '*')) {
		note(w, "InvalidIngressBackend",
		     "host %.100s is left out: a name with * is not served", x->host);
	} else if (x->port == 0) {
		note(w, "InvalidIngressBackend",
		     "path %.100s is left out: there is no Service %.63s with a port "
		     "named %.63s",
		     x->path, x->service, x->port_name);
	} else if (x->is_absent) {
		w->polls = true;
		note(w, "InvalidIngressBackend",
		     "path %.100s: there is no Service %.63s: requests are answered with 502 until "
		     "there is",
		     x->path, x->service);
	} else if (http2_of(x)) {
		note(w, "NotSupported",
		     "path %.100s: port %u of Service %.63s is for %.63s, and requests reach it "
		     "over "
		     "HTTP/1.1: gRPC and other HTTP/2 need a LoadBalancer Service, which forwards "
		     "TCP",
		     x->path, x->port, x->service, http2_of(x));
	}
}

static void ingress_paths(struct want *w, const struct parent *p)
{
	bool any = false;

	for (size_t i = 0; i < p->n_paths; i++) {
		const struct parent_path *x = &p->path[i];

		if (x->is_undefined && !x->is_bad)
			note(w, "PathUndefined",
			     "a rule for Service %.63s names no path: / is taken", x->service);
		w->polls = w->polls || x->port_name[0];
		any = any || path_is_served(x);
		ingress_path(w, x);
	}
	if (!any)
		invalid(w, "NoValidBackends",
			"no path has a backend that is a Service with a port");
}

static void ingress(struct want *w, const struct parent *p, const struct settings *s,
		    const struct facts *f)
{
	char name[400];

	(void)snprintf(name, sizeof name, "%s-%s-ingress", p->ns, p->name);
	if (!p->hostname[0] && p->tls_host[0]) {
		const size_t n = strcspn(p->tls_host, ".");

		(void)bytes_to_str(bytes_of(p->tls_host, n), w->hostname, sizeof w->hostname);
		if (n > 63 || !hostname_is_valid(w->hostname))
			invalid(w, "ProxyInvalid",
				"the first label of the TLS host \"%.80s\" is not a DNS label",
				p->tls_host);
	} else {
		hostname_of(w, p, name);
	}
	tags_of(w, p, s);
	w->role = ROLE_WEB;
	ingress_tls(w, p, f);
	if (p->too_many_paths)
		invalid(w, "ProxyInvalid", "more than %d paths; split the Ingress",
			PARENT_PATHS_MAX);
	ingress_paths(w, p);
}

static bool routes_are_valid(const char *routes)
{
	while (*routes) {
		const size_t n = strcspn(routes, ",");
		const char *slash = memchr(routes, '/', n);
		struct ipprefix net;
		struct ip ip;

		if (!slash || !ipprefix_parse(bytes_of(routes, n), &net) ||
		    !ip_parse(bytes_of(routes, (size_t)(slash - routes)), &ip) ||
		    !ip_eq(&ip, &net.ip) || net.bits == 0 ||
		    (net.bits == 96 && ip_is_v4(&net.ip))) /* those are spec.exitNode */
			return false;
		routes += n + (routes[n] == ',');
	}
	return true;
}

static void connector(struct want *w, const struct parent *p, const struct settings *s)
{
	char name[400];

	(void)snprintf(name, sizeof name, "%s-connector",
		       p->host_prefix[0] ? p->host_prefix : p->name);
	hostname_of(w, p, name);
	tags_of(w, p, s);
	w->role = ROLE_ROUTER;
	memcpy(w->routes, p->routes, sizeof w->routes);
	if (p->hostname[0] && p->host_prefix[0])
		invalid(w, "ConnectorInvalid",
			"spec.hostname and spec.hostnamePrefix exclude each other");
	if (p->app_connector)
		invalid(w, "ConnectorInvalid",
			"spec.appConnector is not supported by this version");
	w->exit_node = p->exit_node;
	if (p->replicas != 1)
		invalid(w, "ConnectorInvalid",
			"spec.replicas other than 1 is not supported by this version");
	if (!p->routes[0] && !p->exit_node)
		invalid(w, "ConnectorInvalid",
			"spec.subnetRouter.advertiseRoutes names no subnet, and spec.exitNode is "
			"not set");
	else if (p->routes[0] && !routes_are_valid(p->routes))
		invalid(w, "ConnectorInvalid",
			"spec.subnetRouter.advertiseRoutes holds a text that is no subnet: %.200s",
			p->routes);
}

const char *want_class(const struct parent *p, const struct settings *s)
{
	if (p->kind == KIND_PROXYCLASS)
		return p->name;
	return p->proxy_class[0] ? p->proxy_class : s->default_class;
}

void want_make(struct want *w, const struct parent *p, const struct settings *s,
	       const struct proxy_class *c, const struct facts *f)
{
	*w = (struct want){ .role = ROLE_NONE };
	if (p->is_deleting)
		return;
	if (!kinds[p->kind].is_offered) {
		w->role = ROLE_KEEP;
		invalid(w, "NotSupported", "%s is not supported by this version of the operator",
			kinds[p->kind].kind);
		return;
	}
	if (p->unknown[0])
		note(w, "NotSupported", "not supported by this version and without effect: %.250s",
		     p->unknown);
	if (p->malformed[0])
		invalid(w, "ProxyInvalid", "%s is too long, or not text", p->malformed);
	own_pod(w, p, s, c);
	if (p->kind == KIND_PROXYCLASS) { /* nothing of its own, only a condition */
		w->role = ROLE_KEEP;
		if (c && !c->is_valid)
			invalid(w, "ProxyClassInvalid", "%s", c->why);
		else if (c && c->unknown[0]) {
			(void)snprintf(
			    w->message, sizeof w->message,
			    "in use, but not supported by this version and without effect: %.250s",
			    c->unknown);
			note(w, "NotSupported",
			     "not supported by this version and without effect: %.250s",
			     c->unknown);
		}
		if (c && c->is_valid && c->ts_env[0])
			note(w, "CustomTSEnvVar",
			     "%.60s among the variables of proxies takes the place of what the "
			     "operator sets",
			     c->ts_env);
		return;
	}
	if (p->kind == KIND_SERVICE &&
	    (p->expose || p->tailnet_ip[0] || p->tailnet_fqdn[0] || wants_load_balancer(p, s)))
		service(w, p, s);
	else if (p->kind == KIND_INGRESS && strcmp(p->class_name, s->class_name) == 0)
		ingress(w, p, s, f);
	else if (p->kind == KIND_CONNECTOR)
		connector(w, p, s);
	else if (p->kind != KIND_SERVICE || !p->malformed[0])
		return; /* it asks for nothing, and not by mistake */
	if (strstr(p->unknown, "proxy-group"))
		invalid(w, "ProxyInvalid",
			"proxy-group is not supported by this version; remove it to get a proxy of "
			"its own");
	check_class(w, p, s, c);
	if (w->is_invalid)
		w->role = ROLE_KEEP;
	if (p->kind == KIND_CONNECTOR && w->is_invalid && strcmp(w->reason, "ProxyInvalid") == 0)
		memcpy(w->reason, "ConnectorInvalid", sizeof "ConnectorInvalid");
}
