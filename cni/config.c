/* cni/config.c - see config.h */
#include "cni/config.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

static const char *const versions[] = { CONFIG_VERSIONS };

#define ANNOTATIONS "io.kubernetes.cri.pod-annotations"

int config_version_index(const char *version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (strcmp(version, versions[i]) == 0)
			return (int)i;
	return -1;
}

bool config_admits(const struct config *c, const char *pod_namespace)
{
	for (size_t i = 0; i < c->n_namespaces; i++)
		if (pod_namespace_matches(bytes_str(c->namespaces[i]), bytes_str(pod_namespace)))
			return true;
	return false;
}

struct prefixes {
	struct ipprefix v[CONFIG_RANGES_MAX];
	size_t n;
};

static void read_prefixes(struct json *j, struct prefixes *out)
{
	char text[IPPREFIX_TEXT];

	out->n = 0;
	json_arr(j);
	while (json_elem(j)) {
		struct ipprefix *p = &out->v[out->n];

		json_str(j, text, sizeof text);
		if (out->n == CONFIG_RANGES_MAX || !ipprefix_parse(bytes_str(text), p) ||
		    p->bits == 0 || (ip_is_v4(&p->ip) && p->bits == 96)) {
			j->failed = true; /* a default route is no tailnet */
			return;
		}
		out->n++;
	}
}

static void read_ranges(struct json *j, struct config *c)
{
	struct prefixes p;

	read_prefixes(j, &p);
	if (p.n == 0)
		j->failed = true;
	memcpy(c->ranges, p.v, p.n * sizeof *p.v);
	c->n_ranges = p.n;
}

/* Behind the ranges: the same rules, guards and routes are theirs. */
static bool add_subnets(struct config *c, const struct prefixes *p)
{
	if (p->n > CONFIG_RANGES_MAX - c->n_ranges)
		return false;
	memcpy(c->ranges + c->n_ranges, p->v, p->n * sizeof *p->v);
	c->n_ranges += p->n;
	return true;
}

static void read_namespaces(struct json *j, struct config *c)
{
	c->n_namespaces = 0;
	json_arr(j);
	while (json_elem(j)) {
		if (c->n_namespaces == CONFIG_NAMESPACES_MAX) {
			j->failed = true;
			return;
		}
		json_str(j, c->namespaces[c->n_namespaces++], sizeof c->namespaces[0]);
	}
}

static uint32_t number(struct json *j, uint32_t min, uint32_t max)
{
	const uint64_t v = json_u64(j);

	if (v < min || v > max)
		j->failed = true;
	return (uint32_t)v;
}

static void word(struct json *j, const char *const *words, size_t n, int *out)
{
	char text[32];

	json_str(j, text, sizeof text);
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = (int)i;
			return;
		}
	j->failed = true;
}

static void path(struct json *j, char *out, size_t cap)
{
	json_str(j, out, cap);
	if (out[0] != '/')
		j->failed = true;
}

/* One key of ours; false: not one of them. */
static bool read_own(struct json *j, struct bytes key, struct config *c)
{
	static const char *const opt_ins[] = { "annotation", "all" };
	static const char *const modes[] = { "routes" };
	int v = 0;

	if (json_key_is(key, "mode"))
		word(j, modes, ARRAY_LEN(modes), &v);
	else if (json_key_is(key, "optIn")) {
		word(j, opt_ins, ARRAY_LEN(opt_ins), &v);
		c->opt_in = (enum config_opt_in)v;
	} else if (json_key_is(key, "annotation"))
		json_str(j, c->annotation, sizeof c->annotation);
	else if (json_key_is(key, "namespaces"))
		read_namespaces(j, c);
	else if (json_key_is(key, "failOpen"))
		c->fail_open = json_bool(j);
	else if (json_key_is(key, "statusAffectsNode"))
		c->status_affects_node = json_bool(j);
	else if (json_key_is(key, "podRoutes"))
		c->pod_routes = json_bool(j);
	else if (json_key_is(key, "resultRoutes"))
		c->result_routes = json_bool(j);
	else if (json_key_is(key, "ranges"))
		read_ranges(j, c);
	else if (json_key_is(key, "table"))
		c->table = number(j, 1, UINT32_MAX);
	else if (json_key_is(key, "priority"))
		c->priority = number(j, 1, 32764); /* before the main table, guard included */
	else if (json_key_is(key, "protocol"))
		c->protocol =
		    (uint8_t)number(j, 5, 255); /* rtnetlink(7): up to 4 is the kernel's */
	else if (json_key_is(key, "socket"))
		path(j, c->socket, sizeof c->socket);
	else if (json_key_is(key, "stateDir"))
		path(j, c->state_dir, sizeof c->state_dir);
	else
		return false;
	return true;
}

/* Does the map of annotations have ours with "true" or "routes"? */
static bool is_asked(struct json *j, const char *annotation)
{
	struct bytes key;
	bool asks = false;
	char name[256], value[16];

	json_obj(j);
	while (json_key(j, &key)) {
		/* values of others are of any length: only ours is read */
		if (!json_unescape(key, name, sizeof name) || strcmp(name, annotation) != 0 ||
		    json_type(j) != JSON_STRING) {
			json_skip(j);
			continue;
		}
		{
			struct json one = json_of(json_raw(j));

			json_str(&one, value, sizeof value);
			asks = json_done(&one) &&
			       (strcmp(value, "true") == 0 || strcmp(value, "routes") == 0);
		}
	}
	return asks;
}

static int read_runtime(struct bytes text, struct config *c, struct fail *f)
{
	struct json j = json_of(text);
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, ANNOTATIONS))
			c->asks = is_asked(&j, c->annotation);
		else
			json_skip(&j);
	}
	return json_done(&j) ? 0 : fail_set(f, FAIL_DECODE, "runtimeConfig is malformed");
}

static int check_version(const struct config *c, struct fail *f)
{
	if (config_version_index(c->version) >= 0)
		return 0;
	fail_set(f, FAIL_VERSION, "incompatible CNI versions");
	(void)bytes_to_str(bytes_str("supported: 0.3.1 0.4.0 1.0.0 1.1.0"), f->details,
			   sizeof f->details);
	return -1;
}

static void defaults(struct config *c)
{
	*c = (struct config){ .opt_in = CONFIG_BY_ANNOTATION,
			      .annotation = "tailscale.com/cni",
			      .pod_routes = true,
			      .n_ranges = 2,
			      .table = CONFIG_TABLE,
			      .priority = CONFIG_PRIORITY,
			      .protocol = CONFIG_PROTOCOL,
			      .socket = "/run/tailpod/cni.sock",
			      .state_dir = "/run/tailpod/cni" };
	(void)!ipprefix_parse(bytes_str("100.64.0.0/10"), &c->ranges[0]);
	(void)!ipprefix_parse(bytes_str("fd7a:115c:a1e0::/48"), &c->ranges[1]);
}

int config_parse(struct bytes text, struct config *out, struct fail *f)
{
	struct json j = json_of(text), whole = j;
	struct bytes key, runtime = { 0 }, old_valid = { 0 };
	struct prefixes subnets = { .n = 0 };

	defaults(out);
	json_skip(&whole); /* not JSON is one fault, a value that we cannot use another */
	if (!json_done(&whole))
		return fail_set(f, FAIL_DECODE, "the network configuration is not good JSON");
	if (json_type(&j) != JSON_OBJECT)
		return fail_set(f, FAIL_DECODE, "the network configuration is not a JSON object");
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "cniVersion"))
			json_str(&j, out->version, sizeof out->version);
		else if (json_key_is(key, "name"))
			json_str(&j, out->name, sizeof out->name);
		else if (json_key_is(key, "prevResult"))
			out->prev = json_raw(&j);
		else if (json_key_is(key, "runtimeConfig"))
			runtime = json_raw(&j);
		else if (json_key_is(key, "cni.dev/valid-attachments"))
			out->valid = json_raw(&j);
		else if (json_key_is(key, "cni.dev/attachments")) /* libcni's older name */
			old_valid = json_raw(&j);
		else if (json_key_is(key, "subnets"))
			read_prefixes(&j, &subnets);
		else if (!read_own(&j, key, out))
			json_skip(&j);
		if (j.failed)
			return fail_set(f, FAIL_CONFIG,
					"network configuration: bad value at \"%.*s\"",
					(int)MIN_OF(key.len, (size_t)64), (const char *)key.data);
	}
	if (!json_done(&j))
		return fail_set(f, FAIL_DECODE, "the network configuration cannot be read");
	if (!add_subnets(out, &subnets))
		return fail_set(f, FAIL_CONFIG,
				"network configuration: more than %d of \"ranges\" and "
				"\"subnets\" together",
				CONFIG_RANGES_MAX);
	if (out->valid.len == 0)
		out->valid = old_valid;
	if (bytes_eq_str(out->prev, "null"))
		out->prev.len = 0;
	if (bytes_eq_str(out->valid, "null"))
		out->valid.len = 0;
	if (check_version(out, f) < 0)
		return -1;
	if (!pod_is_id(bytes_str(out->name), POD_NETWORK_MAX))
		return fail_set(f, FAIL_CONFIG,
				"network configuration: \"name\" is missing or not "
				"alphanumeric with _ . - behind");
	return runtime.len > 0 ? read_runtime(runtime, out, f) : 0;
}
