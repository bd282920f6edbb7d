/* operator/render.c - see render.h */
#include "operator/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "operator/group.h"

static void label(struct jsonw *w, const char *key, const char *value)
{
	char text[64];

	(void)bytes_to_str(bytes_str(value), text,
			   sizeof text); /* labels have 63 characters at most */
	for (size_t n = strlen(text);
	     n > 0 && (text[n - 1] == '-' || text[n - 1] == '.' || text[n - 1] == '_'); n--)
		text[n - 1] = 0;
	jsonw_kstr(w, key, text);
}

static void own_labels(struct jsonw *w, const struct render *r)
{
	jsonw_kstr(w, LABEL_MANAGED, "true");
	label(w, LABEL_PARENT, r->parent->name);
	label(w, LABEL_PARENT_NS, r->parent->ns);
	label(w, LABEL_PARENT_TYPE, kinds[r->parent->kind].key);
	label(w, LABEL_UID, r->parent->uid);
}

/* The label by which pods are found; several groups have the same parent. */
static const char *app(const struct render *r)
{
	return r->is_group ? r->proxy : r->parent->uid;
}

static void head(struct jsonw *w, const struct render *r, enum child c)
{
	char name[PROXY_NAME_MAX + 16];

	(void)snprintf(name, sizeof name, "%s%s", r->proxy, children[c].suffix);
	jsonw_kstr(w, "apiVersion", children[c].api_version);
	jsonw_kstr(w, "kind", children[c].kind);
	jsonw_key(w, "metadata");
	jsonw_obj(w);
	jsonw_kstr(w, "name", name);
	jsonw_kstr(w, "namespace", r->settings->ns);
}

/* members of an object of the ProxyClass, copied but for those that are ours */
static void class_members(struct jsonw *w, const struct render *r, const char *path)
{
	struct bytes o = r->class && r->class->spec ? kube_at(bytes_str(r->class->spec), path)
						    : (struct bytes){ 0 };
	struct json j = json_of(o);
	struct bytes key;

	if (o.len == 0 || json_type(&j) != JSON_OBJECT)
		return;
	json_obj(&j);
	while (json_key(&j, &key)) {
		char name[320], value[1024];
		bool is_ours = !json_unescape(key, name, sizeof name) ||
			       strncmp(name, "tailscale.com/", 14) == 0 ||
			       strncmp(name, "tailpod/", 8) == 0 || strcmp(name, "app") == 0;

		json_str(&j, value, sizeof value);
		if (!is_ours && json_ok(&j))
			jsonw_kstr(w, name, value);
	}
}

static struct bytes class_at(const struct render *r, const char *path)
{
	return r->class && r->class->spec ? kube_at(bytes_str(r->class->spec), path)
					  : (struct bytes){ 0 };
}

static void class_raw(struct jsonw *w, const struct render *r, const char *path, const char *key)
{
	struct bytes v = class_at(r, path);

	if (v.len == 0)
		return;
	jsonw_key(w, key);
	jsonw_raw(w, v);
}

/* Where the node runs, and what it is told there. */
static void placed(struct jsonw *w, const struct render *r)
{
	char node[NODE_TEXT_MAX];

	jsonw_kstr(w, NOTE_GROUP, r->want->place);
	if (r->want->move == MOVE_LEAVE || !group_node(node, r->want, r->proxy))
		node[0] = 0;
	jsonw_kstr(w, NOTE_NODE, node);
}

static void metadata_end(struct jsonw *w, const struct render *r, enum child c, const char *hash)
{
	char parent[PARENT_KEY_MAX];

	parent_key(parent, r->parent->kind, r->parent->ns, r->parent->name);
	jsonw_key(w, "labels");
	jsonw_obj(w);
	own_labels(w, r);
	if (c == CHILD_SET)
		class_members(w, r, "statefulSet.labels");
	jsonw_obj_end(w);
	jsonw_key(w, "annotations");
	jsonw_obj(w);
	jsonw_kstr(w, NOTE_PARENT, parent);
	if (c == CHILD_SECRET && r->want->place[0])
		placed(w, r);
	if (*hash)
		jsonw_kstr(w, NOTE_HASH, hash);
	if (c == CHILD_SET)
		class_members(w, r, "statefulSet.annotations");
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/* --- small children --- */

static void strings(struct jsonw *w, const char *key, const char *const *v, size_t n)
{
	jsonw_key(w, key);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, v[i]);
	jsonw_arr_end(w);
}

static void rule(struct jsonw *w, const char *resource, const char *const *names, size_t n_names,
		 const char *const *verbs, size_t n)
{
	static const char *const core[] = { "" };

	jsonw_obj(w);
	strings(w, "apiGroups", core, 1);
	strings(w, "resources", &resource, 1);
	if (names)
		strings(w, "resourceNames", names, n_names);
	strings(w, "verbs", verbs, n);
	jsonw_obj_end(w);
}

static void role(struct jsonw *w, const struct render *r)
{
	static const char *const on_secret[] = { "get", "update", "patch" };
	static const char *const on_events[] = { "create", "get", "patch" };
	char secret[CLASS_NODES_MAX][PROXY_NAME_MAX + 16];
	const char *names[CLASS_NODES_MAX];
	const size_t n = r->is_group ? MIN_OF(r->n_members, ARRAY_LEN(names)) : 1;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(secret[i], sizeof secret[i], "%s%s",
			       r->is_group ? r->member[i]->name : r->proxy,
			       children[CHILD_SECRET].suffix);
		names[i] = secret[i];
	}
	jsonw_key(w, "rules");
	jsonw_arr(w);
	if (n > 0) /* no names would be all */
		rule(w, "secrets", names, n, on_secret, ARRAY_LEN(on_secret));
	rule(w, "events", NULL, 0, on_events, ARRAY_LEN(on_events));
	jsonw_arr_end(w);
}

static void binding(struct jsonw *w, const struct render *r)
{
	jsonw_key(w, "roleRef");
	jsonw_obj(w);
	jsonw_kstr(w, "apiGroup", "rbac.authorization.k8s.io");
	jsonw_kstr(w, "kind", "Role");
	jsonw_kstr(w, "name", r->proxy);
	jsonw_obj_end(w);
	jsonw_key(w, "subjects");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_kstr(w, "kind", "ServiceAccount");
	jsonw_kstr(w, "name", r->proxy);
	jsonw_kstr(w, "namespace", r->settings->ns);
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

static void selector(struct jsonw *w, const struct render *r)
{
	jsonw_obj(w);
	jsonw_kstr(w, "app", app(r));
	jsonw_obj_end(w);
}

/* An egress Service's ports, at the pod of its group: each to one that its node listens on. The pod
 * may be unready for another node's sake. */
static void ports_to_group(struct jsonw *w, const struct render *r)
{
	char pod[PROXY_NAME_MAX + 1], name[16];
	struct group_place at;
	struct group_port port;

	if (!group_place_parse(r->want->place, &at))
		return;
	group_name(pod, at.class, at.group);
	jsonw_key(w, "spec");
	jsonw_obj(w);
	jsonw_kstr(w, "ipFamilyPolicy", "PreferDualStack");
	jsonw_kbool(w, "publishNotReadyAddresses", true);
	jsonw_key(w, "selector");
	jsonw_obj(w);
	jsonw_kstr(w, "app", pod);
	jsonw_obj_end(w);
	jsonw_key(w, "ports");
	jsonw_arr(w);
	for (size_t i = 0; group_port(r->want, i, &port); i++) {
		(void)snprintf(name, sizeof name, "p%zu", i);
		jsonw_obj(w);
		jsonw_kstr(w, "name", name);
		jsonw_kstr(w, "protocol", port.is_udp ? "UDP" : "TCP");
		jsonw_ki64(w, "port", port.port);
		jsonw_ki64(w, "targetPort", port.target);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

static bool is_second(const struct render *r, const struct proxy *x)
{
	for (size_t i = 0; i < r->n_members; i++)
		if (group_is_second(x, r->member[i]))
			return true;
	return false;
}

/* The list of a group (containerboot/nodes.h), of those that are to run. */
static void node_list(struct jsonw *w, const struct render *r)
{
	struct buf text;
	struct jsonw j;
	char *copy;

	buf_init(&text, RENDER_MAX);
	jsonw_init(&j, &text);
	jsonw_obj(&j);
	jsonw_ki64(&j, "version", 1);
	jsonw_key(&j, "nodes");
	jsonw_obj(&j);
	for (size_t i = 0; i < r->n_members; i++) {
		const struct proxy *x = r->member[i];
		struct json check = json_of(bytes_str(x->node ? x->node : ""));

		if (!group_can_run(x) || is_second(r, x))
			continue;
		json_skip(&check);
		if (!json_done(&check)) /* written by somebody else */
			continue;
		jsonw_key(&j, x->name);
		jsonw_raw(&j, bytes_str(x->node));
	}
	jsonw_obj_end(&j);
	jsonw_obj_end(&j);
	copy = jsonw_ok(&j) ? buf_take_str(&text) : NULL;
	jsonw_key(w, "data");
	jsonw_obj(w);
	if (copy)
		jsonw_kstr(w, "nodes.json", copy);
	else
		w->failed = true;
	jsonw_obj_end(w);
	free(copy);
	buf_fini(&text);
}

static void headless(struct jsonw *w, const struct render *r)
{
	jsonw_key(w, "spec");
	jsonw_obj(w);
	jsonw_kstr(w, "clusterIP", "None");
	jsonw_kstr(w, "ipFamilyPolicy", "PreferDualStack");
	jsonw_key(w, "selector");
	selector(w, r);
	jsonw_obj_end(w);
}

/* --- the StatefulSet --- */

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
	struct bytes list = class_at(r, "statefulSet.pod.tailscaleContainer.env");
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
	struct bytes more = class_at(r, "statefulSet.pod.tailscaleContainer.env");
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
	if (bytes_eq_str(class_at(r, "tailscale.acceptRoutes"), "true"))
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
	struct bytes v = class_at(r, path);

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

	if (!kube_str_at(class_at(r, "statefulSet.pod.tailscaleContainer"), "image", image,
			 sizeof image))
		(void)bytes_to_str(bytes_str(r->settings->image), image, sizeof image);
	jsonw_obj(w);
	jsonw_kstr(w, "name", "tailscale");
	jsonw_kstr(w, "image", image);
	if (class_at(r, "statefulSet.pod.tailscaleContainer.imagePullPolicy").len)
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
	if (class_at(r, "statefulSet.pod.priorityClassName").len)
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

static void set(struct jsonw *w, const struct render *r)
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
	selector(w, r);
	jsonw_obj_end(w);
	jsonw_key(w, "template");
	jsonw_obj(w);
	jsonw_key(w, "metadata");
	jsonw_obj(w);
	jsonw_key(w, "labels");
	jsonw_obj(w);
	jsonw_kstr(w, "app", app(r));
	own_labels(w, r);
	class_members(w, r, "statefulSet.pod.labels");
	jsonw_obj_end(w);
	jsonw_key(w, "annotations");
	jsonw_obj(w);
	class_members(w, r, "statefulSet.pod.annotations");
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	pod(w, r);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void certificate(struct jsonw *w, const struct render *r)
{
	const struct facts *f = r->facts;

	jsonw_kstr(w, "type", "kubernetes.io/tls");
	jsonw_key(w, "data");
	jsonw_obj(w);
	jsonw_kstr(w, "tls.crt", f && f->tls_crt ? f->tls_crt : "");
	jsonw_kstr(w, "tls.key", f && f->tls_key ? f->tls_key : "");
	jsonw_obj_end(w);
}

/* --- the whole --- */

bool render_wants(const struct render *r, enum child c)
{
	switch (c) {
	case CHILD_SECRET:
		return !r->is_group;
	case CHILD_ACCOUNT:
	case CHILD_ROLE:
	case CHILD_BINDING:
	case CHILD_SET:
		return !r->want->place[0];
	case CHILD_SERVICE:
		return !r->want->place[0] || r->want->role == ROLE_EGRESS;
	case CHILD_CONFIG:
		return r->want->role == ROLE_WEB || r->is_group;
	case CHILD_TLS:
		return r->want->tls && r->facts && r->facts->tls_crt && r->facts->tls_key;
	default:
		return true;
	}
}

bool render_child(struct buf *out, const struct render *r, enum child c, const char *hash)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	head(&w, r, c);
	metadata_end(&w, r, c, hash);
	switch (c) {
	case CHILD_SECRET:
		jsonw_kstr(&w, "type", "Opaque");
		break;
	case CHILD_ROLE:
		role(&w, r);
		break;
	case CHILD_BINDING:
		binding(&w, r);
		break;
	case CHILD_SERVICE:
		if (r->want->place[0])
			ports_to_group(&w, r);
		else
			headless(&w, r);
		break;
	case CHILD_CONFIG:
		if (r->is_group)
			node_list(&w, r);
		else
			render_serve(&w, r);
		break;
	case CHILD_TLS:
		certificate(&w, r);
		break;
	case CHILD_SET:
		set(&w, r);
		break;
	case CHILD_ACCOUNT:
	case CHILD_N:
		break;
	}
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

bool render_hash(const struct render *r, enum child c, char out[static HASH_TEXT])
{
	uint8_t h[HASH_LEN];
	struct buf text;
	bool ok;

	buf_init(&text, RENDER_MAX);
	ok = render_child(&text, r, c, "");
	if (ok) {
		hash256(h, buf_bytes(&text));
		hex_emit(h, (HASH_TEXT - 1) / 2, out);
	}
	buf_fini(&text);
	return ok;
}

bool render_key(struct buf *out, const struct render *r, const char *key, const char *key_id,
		wall_t expires, const char *tags)
{
	char base64[1024], time[WALL_TEXT];
	struct jsonw w;

	if (base64_len(strlen(key)) >= sizeof base64)
		return false;
	base64_emit((const uint8_t *)key, strlen(key), BASE64_STD, base64);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	head(&w, r, CHILD_SECRET);
	jsonw_key(&w, "annotations");
	jsonw_obj(&w);
	jsonw_kstr(&w, NOTE_KEY_ID, key_id);
	jsonw_kstr(&w, NOTE_KEY_EXPIRES, wall_text(expires, time));
	jsonw_kstr(&w, NOTE_KEY_TAGS, tags);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	if (*key) {
		jsonw_key(&w, "data");
		jsonw_obj(&w);
		jsonw_kstr(&w, "authkey", base64);
		jsonw_obj_end(&w);
	}
	jsonw_obj_end(&w);
	explicit_bzero(base64, sizeof base64);
	return jsonw_ok(&w);
}

static void condition(struct jsonw *w, const struct parent *p, const struct plan *plan, wall_t wall)
{
	const struct condition *c = &plan->condition;
	char time[WALL_TEXT];

	wall.ns -= wall.ns % NS_PER_S;
	jsonw_key(w, "conditions");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_kstr(w, "type", kinds[p->kind].condition);
	jsonw_kstr(w, "status", c->is_true ? "True" : "False");
	jsonw_kstr(w, "reason", c->reason);
	jsonw_kstr(w, "message", c->message);
	jsonw_ki64(w, "observedGeneration", c->observed);
	jsonw_kstr(w, "lastTransitionTime", c->since[0] ? c->since : wall_text(wall, time));
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

/* hostname and tailnetIPs: of the status itself, and of the one element of its devices */
static void device_status(struct jsonw *w, const struct proxy *y)
{
	jsonw_kstr(w, "hostname", y->device_fqdn);
	jsonw_key(w, "tailnetIPs");
	jsonw_arr(w);
	for (size_t i = 0; i < y->n_ips; i++)
		jsonw_str(w, y->device_ip[i]);
	jsonw_arr_end(w);
}

static void connector_status(struct jsonw *w, const struct want *x, const struct proxy *y)
{
	if (!y || !y->device_id[0])
		return;
	device_status(w, y);
	jsonw_kstr(w, "subnetRoutes", x->routes);
	jsonw_kbool(w, "isExitNode", x->exit_node);
	jsonw_kbool(w, "isAppConnector", false);
	jsonw_key(w, "devices");
	jsonw_arr(w);
	jsonw_obj(w);
	device_status(w, y);
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

bool render_status(struct buf *out, const struct parent *p, const struct plan *plan,
		   const struct proxy *x, const struct want *want, wall_t wall)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiVersion", kinds[p->kind].api_version);
	jsonw_kstr(&w, "kind", kinds[p->kind].kind);
	jsonw_key(&w, "metadata");
	jsonw_obj(&w);
	jsonw_kstr(&w, "name", p->name);
	if (p->ns[0])
		jsonw_kstr(&w, "namespace", p->ns);
	jsonw_obj_end(&w);
	jsonw_key(&w, "status");
	jsonw_obj(&w);
	if (kinds[p->kind].condition && !plan->clear_status)
		condition(&w, p, plan, wall);
	if (p->kind == KIND_CONNECTOR && !plan->clear_status)
		connector_status(&w, want, x);
	if (plan->lb_host[0] && !plan->clear_status) {
		jsonw_key(&w, "loadBalancer");
		jsonw_obj(&w);
		jsonw_key(&w, "ingress");
		jsonw_arr(&w);
		jsonw_obj(&w);
		jsonw_kstr(&w, "hostname", plan->lb_host);
		jsonw_obj_end(&w);
		for (size_t i = 0; i < plan->n_lb_ip; i++) {
			jsonw_obj(&w);
			jsonw_kstr(&w, "ip", plan->lb_ip[i]);
			jsonw_obj_end(&w);
		}
		jsonw_arr_end(&w);
		jsonw_obj_end(&w);
	}
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}
