/* operator/render_set.c - the StatefulSet of a proxy: its pod, with what the ProxyClass has to say
 */
#include <stdio.h>
#include <string.h>

#include "operator/render_priv.h"

static void class_raw(struct jsonw *w, const struct render *r, const char *path, const char *key)
{
	struct bytes v = render_class_at(r, path);

	if (v.len == 0)
		return;
	jsonw_key(w, key);
	jsonw_raw(w, v);
}

static void env(struct jsonw *w, const char *name, const char *value)
{
	jsonw_obj(w);
	jsonw_kstr(w, "name", name);
	jsonw_kstr(w, "value", value);
	jsonw_obj_end(w);
}

static void env_field(struct jsonw *w, const char *name, const char *path)
{
	jsonw_obj(w);
	jsonw_kstr(w, "name", name);
	jsonw_key(w, "valueFrom");
	jsonw_obj(w);
	jsonw_key(w, "fieldRef");
	jsonw_obj(w);
	jsonw_kstr(w, "fieldPath", path);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void env_key(struct jsonw *w, const struct render *r)
{
	char secret[PROXY_NAME_MAX + 16];

	(void)snprintf(secret, sizeof secret, "%s%s", r->proxy, children[CHILD_SECRET].suffix);
	jsonw_obj(w);
	jsonw_kstr(w, "name", "TS_AUTHKEY");
	jsonw_key(w, "valueFrom");
	jsonw_obj(w);
	jsonw_key(w, "secretKeyRef");
	jsonw_obj(w);
	jsonw_kstr(w, "name", secret);
	jsonw_kstr(w, "key", "authkey");
	jsonw_kbool(w, "optional", true);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/* Whether the class sets that variable: an object with two of one name is refused, so ours is left
 * out then. */
static bool class_sets(const struct render *r, const char *name)
{
	struct bytes list = render_class_at(r, "statefulSet.pod.tailscaleContainer.env");
	struct json j = json_of(list);
	char other[256];

	if (list.len == 0 || json_type(&j) != JSON_ARRAY)
		return false;
	json_arr(&j);
	while (json_elem(&j)) {
		struct bytes one = json_raw(&j);

		if (kube_str_at(one, "name", other, sizeof other) && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static void own(struct jsonw *w, const struct render *r, const char *name, const char *value)
{
	if (!class_sets(r, name))
		env(w, name, value);
}

static void own_field(struct jsonw *w, const struct render *r, const char *name, const char *path)
{
	if (!class_sets(r, name))
		env_field(w, name, path);
}

/* what the class sets takes the place of ours */
static void env_all(struct jsonw *w, const struct render *r)
{
	const struct want *x = r->want;
	struct bytes more = render_class_at(r, "statefulSet.pod.tailscaleContainer.env");
	struct json j = json_of(more);

	jsonw_key(w, "env");
	jsonw_arr(w);
	own_field(w, r, "POD_NAME", "metadata.name");
	own_field(w, r, "POD_UID", "metadata.uid");
	own_field(w, r, "POD_IP", "status.podIP");
	if (r->is_group) {
		own(w, r, "TS_NODES_FILE", "/etc/tailpod/nodes/nodes.json");
	} else {
		if (!class_sets(r, "TS_AUTHKEY"))
			env_key(w, r);
		own(w, r, "TS_KUBE_SECRET", "$(POD_NAME)");
	}
	own(w, r, "TS_USERSPACE", "true");
	own(w, r, "TS_AUTH_ONCE", "true");
	if (r->settings->fixed_key) /* FIELD_LOGOUT */
		own(w, r, "TS_LOGOUT_WHEN_ASKED", "true");
	if (!r->is_group)
		own(w, r, "TS_HOSTNAME", x->hostname);
	own(w, r, "TS_ENABLE_HEALTH_CHECK", "true");
	own(w, r, "TS_ENABLE_METRICS", "true");
	if (*r->settings->login_server)
		own(w, r, "TS_LOGIN_SERVER", r->settings->login_server);
	if (*r->settings->ca_secret)
		own(w, r, "SSL_CERT_FILE", "/etc/tailpod/ca/ca.crt");
	if (r->settings->derp_http)
		own(w, r, "TS_DEBUG_USE_DERP_HTTP", "true");
	if (x->role == ROLE_INGRESS)
		own(w, r, x->dest_name[0] ? "TS_EXPERIMENTAL_DEST_DNS_NAME" : "TS_DEST_IP",
		    x->dest_name[0] ? x->dest_name : x->dest_ip);
	if (x->role == ROLE_EGRESS) {
		own(w, r, x->target_ip[0] ? "TS_TAILNET_TARGET_IP" : "TS_TAILNET_TARGET_FQDN",
		    x->target_ip[0] ? x->target_ip : x->target_fqdn);
		own(w, r, "TS_TAILNET_TARGET_PORTS", x->ports);
	}
	if (x->role == ROLE_WEB)
		own(w, r, "TS_SERVE_CONFIG", "/etc/tailpod/serve/serve.json");
	if (x->role == ROLE_WEB && x->tls)
		own(w, r, "TS_SERVE_TLS_DIR", "/etc/tailpod/tls");
	if (x->role == ROLE_ROUTER) {
		own(w, r, "TS_ROUTES", x->routes);
		own(w, r, "TS_ADVERTISE_EXIT_NODE", x->exit_node ? "true" : "false");
	}
	if (bytes_eq_str(render_class_at(r, "tailscale.acceptRoutes"), "true"))
		own(w, r, "TS_ACCEPT_ROUTES", "true");
	if (more.len > 0 && json_type(&j) == JSON_ARRAY) {
		json_arr(&j);
		while (json_elem(&j)) {
			struct bytes one = json_raw(&j);
			char name[256], value[4096];

			if (!kube_str_at(one, "name", name, sizeof name))
				continue;
			if (!kube_str_at(one, "value", value, sizeof value))
				value[0] = 0;
			env(w, name, value);
		}
	}
	jsonw_arr_end(w);
}

static void probe(struct jsonw *w, const char *key, const char *path, int period, int failures)
{
	jsonw_key(w, key);
	jsonw_obj(w);
	jsonw_key(w, "httpGet");
	jsonw_obj(w);
	jsonw_kstr(w, "path", path);
	jsonw_ki64(w, "port", 9002);
	jsonw_obj_end(w);
	jsonw_ki64(w, "periodSeconds", period);
	jsonw_ki64(w, "failureThreshold", failures);
	jsonw_obj_end(w);
}

static const char restricted_container[] =
    "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]},"
    "\"readOnlyRootFilesystem\":true,"
    "\"runAsNonRoot\":true,\"runAsUser\":65532,\"runAsGroup\":65532,\"seccompProfile\":{\"type\":"
    "\"RuntimeDefault\"}}";
static const char small_resources[] = "{\"requests\":{\"cpu\":\"1m\",\"memory\":\"8Mi\"}}";

static void raw_or(struct jsonw *w, const struct render *r, const char *path, const char *key,
		   const char *fallback)
{
	struct bytes v = render_class_at(r, path);

	jsonw_key(w, key);
	jsonw_raw(w, v.len ? v : bytes_str(fallback));
}

static void mount(struct jsonw *w, const char *name, const char *path, bool read_only)
{
	jsonw_obj(w);
	jsonw_kstr(w, "name", name);
	jsonw_kstr(w, "mountPath", path);
	if (read_only)
		jsonw_kbool(w, "readOnly", true);
	jsonw_obj_end(w);
}

static void container(struct jsonw *w, const struct render *r)
{
	char image[512];

	if (!kube_str_at(render_class_at(r, "statefulSet.pod.tailscaleContainer"), "image", image,
			 sizeof image))
		(void)bytes_to_str(bytes_str(r->settings->image), image, sizeof image);
	jsonw_obj(w);
	jsonw_kstr(w, "name", "tailscale");
	jsonw_kstr(w, "image", image);
	if (render_class_at(r, "statefulSet.pod.tailscaleContainer.imagePullPolicy").len)
		class_raw(w, r, "statefulSet.pod.tailscaleContainer.imagePullPolicy",
			  "imagePullPolicy");
	else
		jsonw_kstr(w, "imagePullPolicy", r->settings->pull_policy);
	env_all(w, r);
	jsonw_key(w, "ports");
	jsonw_raw(w,
		  bytes_str("[{\"name\":\"health\",\"containerPort\":9002,\"protocol\":\"TCP\"}]"));
	raw_or(w, r, "statefulSet.pod.tailscaleContainer.resources", "resources", small_resources);
	raw_or(w, r, "statefulSet.pod.tailscaleContainer.securityContext", "securityContext",
	       restricted_container);
	probe(w, "readinessProbe", "/readyz", 5, 2);
	probe(w, "livenessProbe", "/livez", 20, 3);
	jsonw_key(w, "volumeMounts");
	jsonw_arr(w);
	mount(w, "tmp", "/tmp", false);
	if (r->want->role == ROLE_WEB)
		mount(w, "serve", "/etc/tailpod/serve", true);
	if (r->is_group)
		mount(w, "nodes", "/etc/tailpod/nodes", true);
	if (r->want->tls)
		mount(w, "tls", "/etc/tailpod/tls", true);
	if (*r->settings->ca_secret)
		mount(w, "ca", "/etc/tailpod/ca", true);
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

static void volume(struct jsonw *w, const char *name, const char *kind, const char *key,
		   const char *of, const char *items)
{
	jsonw_obj(w);
	jsonw_kstr(w, "name", name);
	jsonw_key(w, kind);
	jsonw_obj(w);
	jsonw_kstr(w, key, of);
	if (items) {
		jsonw_key(w, "items");
		jsonw_raw(w, bytes_str(items));
	}
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void volumes(struct jsonw *w, const struct render *r)
{
	char name[PROXY_NAME_MAX + 16];

	jsonw_key(w, "volumes");
	jsonw_arr(w);
	jsonw_raw(
	    w,
	    bytes_str(
		"{\"name\":\"tmp\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"8Mi\"}}"));
	if (r->want->role == ROLE_WEB || r->is_group) {
		(void)snprintf(name, sizeof name, "%s%s", r->proxy, children[CHILD_CONFIG].suffix);
		volume(w, r->is_group ? "nodes" : "serve", "configMap", "name", name, NULL);
	}
	if (r->want->tls) {
		(void)snprintf(name, sizeof name, "%s%s", r->proxy, children[CHILD_TLS].suffix);
		volume(w, "tls", "secret", "secretName", name, NULL);
	}
	if (*r->settings
		 ->ca_secret) /* a Secret of cert-manager's also holds the server's own key */
		volume(w, "ca", "secret", "secretName", r->settings->ca_secret,
		       "[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]");
	jsonw_arr_end(w);
}

static void pod(struct jsonw *w, const struct render *r)
{
	static const char *const copied[] = { "affinity",    "imagePullSecrets",
					      "nodeName",    "nodeSelector",
					      "tolerations", "topologySpreadConstraints",
					      "dnsPolicy",   "dnsConfig" };

	jsonw_key(w, "spec");
	jsonw_obj(w);
	jsonw_kstr(w, "serviceAccountName", r->proxy);
	jsonw_ki64(w, "terminationGracePeriodSeconds", 10);
	raw_or(w, r, "statefulSet.pod.securityContext", "securityContext",
	       "{\"runAsNonRoot\":true,\"fsGroup\":65532,\"seccompProfile\":{\"type\":"
	       "\"RuntimeDefault\"}}");
	if (render_class_at(r, "statefulSet.pod.priorityClassName").len)
		class_raw(w, r, "statefulSet.pod.priorityClassName", "priorityClassName");
	else if (*r->settings->priority_class)
		jsonw_kstr(w, "priorityClassName", r->settings->priority_class);
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		char path[64];

		(void)snprintf(path, sizeof path, "statefulSet.pod.%s", copied[i]);
		class_raw(w, r, path, copied[i]);
	}
	jsonw_key(w, "containers");
	jsonw_arr(w);
	container(w, r);
	jsonw_arr_end(w);
	volumes(w, r);
	jsonw_obj_end(w);
}

void render_set(struct jsonw *w, const struct render *r)
{
	jsonw_key(w, "spec");
	jsonw_obj(w);
	jsonw_ki64(w, "replicas", 1);
	jsonw_ki64(w, "revisionHistoryLimit", 2);
	jsonw_kstr(w, "serviceName", r->proxy);
	if (r->is_group) /* a node that is not ready holds no new template back */
		jsonw_kstr(w, "podManagementPolicy", "Parallel");
	jsonw_key(w, "selector");
	jsonw_obj(w);
	jsonw_key(w, "matchLabels");
	render_selector(w, r);
	jsonw_obj_end(w);
	jsonw_key(w, "template");
	jsonw_obj(w);
	jsonw_key(w, "metadata");
	jsonw_obj(w);
	jsonw_key(w, "labels");
	jsonw_obj(w);
	jsonw_kstr(w, "app", render_app(r));
	render_labels(w, r);
	render_class_members(w, r, "statefulSet.pod.labels");
	jsonw_obj_end(w);
	jsonw_key(w, "annotations");
	jsonw_obj(w);
	render_class_members(w, r, "statefulSet.pod.annotations");
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	pod(w, r);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}
