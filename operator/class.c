/* operator/class.c - a ProxyClass: what of it is used, what is refused, what nothing reads */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "operator/want.h"

/* What render.c reads of a class; what lies below these is handed on as it is. */
static const char *const class_fields[] = {
	"statefulSet.labels",
	"statefulSet.annotations",
	"statefulSet.pod.labels",
	"statefulSet.pod.annotations",
	"statefulSet.pod.affinity",
	"statefulSet.pod.imagePullSecrets",
	"statefulSet.pod.nodeName",
	"statefulSet.pod.nodeSelector",
	"statefulSet.pod.tolerations",
	"statefulSet.pod.topologySpreadConstraints",
	"statefulSet.pod.dnsPolicy",
	"statefulSet.pod.dnsConfig",
	"statefulSet.pod.securityContext",
	"statefulSet.pod.priorityClassName",
	"statefulSet.pod.tailscaleContainer.image",
	"statefulSet.pod.tailscaleContainer.imagePullPolicy",
	"statefulSet.pod.tailscaleContainer.resources",
	"statefulSet.pod.tailscaleContainer.securityContext",
	"statefulSet.pod.tailscaleContainer.env.name",
	"statefulSet.pod.tailscaleContainer.env.value",
	"tailscale.acceptRoutes",
	"tailpod.nodesPerProcess",
};
enum { CLASS_DEPTH_MAX = 6, CLASS_PATH_MAX = 192 };

/* 2: read as a whole, 1: something below it is, 0: nothing. */
static int class_field(const char *path)
{
	const size_t n = strlen(path);
	int best = 0;

	for (size_t i = 0; i < ARRAY_LEN(class_fields); i++) {
		if (strcmp(class_fields[i], path) == 0)
			return 2;
		if (strncmp(class_fields[i], path, n) == 0 && class_fields[i][n] == '.')
			best = 1;
	}
	return best;
}

static void class_unknown(struct proxy_class *c, const char *path)
{
	const size_t have = strlen(c->unknown);
	char field[CLASS_PATH_MAX + 8];
	const char *seen;

	(void)snprintf(field, sizeof field, "spec.%s", path);
	seen = strstr(c->unknown, field);
	if (seen && (seen[strlen(field)] == 0 || seen[strlen(field)] == ','))
		return; /* of an element before */
	(void)snprintf(c->unknown + have, sizeof c->unknown - have, "%s%s", have ? ", " : "",
		       field);
}

/* Notes members that nothing reads. Elements of an array are looked at as if they were in its
 * place. */
static void class_walk(struct proxy_class *c, const char *path, struct bytes value, unsigned depth)
{
	struct json j = json_of(value);
	char below[CLASS_PATH_MAX], name[64];
	struct bytes key;

	if (depth == CLASS_DEPTH_MAX)
		return;
	if (json_type(&j) == JSON_ARRAY) {
		json_arr(&j);
		while (json_elem(&j))
			class_walk(c, path, json_raw(&j), depth + 1);
		return;
	}
	if (json_type(&j) != JSON_OBJECT)
		return;
	json_obj(&j);
	while (json_key(&j, &key)) {
		struct bytes raw = json_raw(&j);
		int kind;

		if (!json_unescape(key, name, sizeof name) ||
		    (size_t)snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", name) >=
			sizeof below)
			(void)snprintf(below, sizeof below, "%s.(...)", *path ? path : "");
		kind = class_field(below);
		if (kind == 0)
			class_unknown(c, below);
		else if (kind == 1)
			class_walk(c, below, raw, depth + 1);
	}
}

/* Variables of the class win over the operator's. */
static void class_ts_env(struct proxy_class *c)
{
	struct json j =
	    json_of(kube_at(bytes_str(c->spec), "statefulSet.pod.tailscaleContainer.env"));
	char name[64];

	if (json_type(&j) != JSON_ARRAY)
		return;
	json_arr(&j);
	while (json_elem(&j) && !c->ts_env[0])
		if (kube_str_at(json_raw(&j), "name", name, sizeof name) &&
		    strncmp(name, "TS_", 3) == 0)
			memcpy(c->ts_env, name, sizeof name);
}

/* spec.tailpod.nodesPerProcess; false: c->why says what is wrong */
static bool class_per_process(struct proxy_class *c, struct bytes spec)
{
	struct bytes v = kube_at(spec, "tailpod.nodesPerProcess");
	struct json j = json_of(v);
	int64_t n = 1;

	if (v.len > 0)
		n = json_type(&j) == JSON_NUMBER ? json_i64(&j) : 0;
	if (!json_ok(&j) && v.len > 0)
		n = 0;
	if (n < 1 || n > CLASS_NODES_MAX) {
		(void)snprintf(c->why, sizeof c->why,
			       "spec.tailpod.nodesPerProcess is no number from 1 to %d",
			       CLASS_NODES_MAX);
		return false;
	}
	c->per_process = n > 1 ? (unsigned)n : 0;
	return true;
}

void proxy_class_parse(struct proxy_class *c, struct bytes object)
{
	static const char *const not_offered[] = { "staticEndpoints", "metrics.serviceMonitor",
						   "statefulSet.pod.tailscaleInitContainer",
						   "useLetsEncryptStagingEnvironment",
						   "statefulSet.pod.tailscaleContainer.debug" };
	struct kube_object o;
	struct json j;

	*c = (struct proxy_class){ 0 };
	if (!kube_object_parse(object, &o))
		return;
	(void)bytes_to_str(bytes_str(o.name), c->name, sizeof c->name);
	if (o.spec.len > 65536) {
		(void)snprintf(c->why, sizeof c->why, "spec is larger than 64 KiB");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(not_offered); i++)
		if (kube_at(o.spec, not_offered[i]).len > 0) {
			(void)snprintf(c->why, sizeof c->why,
				       "spec.%s is not supported by this version; remove it",
				       not_offered[i]);
			return;
		}
	j = json_of(o.spec);
	json_skip(&j);
	if (o.spec.len > 0 && (!json_done(&j) || !json_is_utf8(o.spec))) {
		(void)snprintf(c->why, sizeof c->why, "spec is not valid JSON in UTF-8");
		return;
	}
	if (!class_per_process(c, o.spec))
		return;
	c->spec =
	    strndup(o.spec.len ? (const char *)o.spec.data : "{}", o.spec.len ? o.spec.len : 2);
	c->is_valid = c->spec != NULL;
	class_walk(c, "", o.spec, 0);
	if (c->is_valid)
		class_ts_env(c);
}

void proxy_class_fini(struct proxy_class *c)
{
	free(c->spec);
	c->spec = NULL;
}
