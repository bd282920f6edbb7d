/* cni/config.c - see config.h */
#include "cni/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

/* --- members of ours --- */

struct member {
	const char *name;
	void (*read)(struct json *j, const struct member *m, struct config *c);
	size_t at;
	uint32_t min, max; /* of a number; max: room of a text */
};

static size_t read_prefixes(struct json *j, struct ipprefix out[static CONFIG_RANGES_MAX])
{
	char text[IPPREFIX_TEXT];
	size_t n = 0;

	json_arr(j);
	while (json_elem(j)) {
		struct ipprefix *p = &out[n];

		json_str(j, text, sizeof text);
		if (n == CONFIG_RANGES_MAX || !ipprefix_parse(bytes_str(text), p) || p->bits == 0 ||
		    (ip_is_v4(&p->ip) && p->bits == 96)) {
			j->failed = true; /* a default route is no tailnet */
			return 0;
		}
		n++;
	}
	return n;
}

static void read_ranges(struct json *j, const struct member *m, struct config *c)
{
	(void)m;
	c->n_ranges = read_prefixes(j, c->ranges);
	if (c->n_ranges == 0)
		j->failed = true;
}

static void read_subnets(struct json *j, const struct member *m, struct config *c)
{
	(void)m;
	c->n_subnets = read_prefixes(j, c->subnets);
}

/* Behind the ranges: the same rules, guards and routes are theirs. */
static bool add_subnets(struct config *c)
{
	if (c->n_subnets > CONFIG_RANGES_MAX - c->n_ranges)
		return false;
	memcpy(c->ranges + c->n_ranges, c->subnets, c->n_subnets * sizeof *c->subnets);
	c->n_ranges += c->n_subnets;
	return true;
}

static void read_namespaces(struct json *j, const struct member *m, struct config *c)
{
	(void)m;
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

static void read_bool(struct json *j, const struct member *m, struct config *c)
{
	const bool v = json_bool(j);

	memcpy((char *)c + m->at, &v, sizeof v);
}

static void read_number(struct json *j, const struct member *m, struct config *c)
{
	const uint64_t v = json_u64(j);
	const uint32_t n = (uint32_t)v;

	if (v < m->min || v > m->max)
		j->failed = true;
	memcpy((char *)c + m->at, &n, sizeof n);
}

static void read_text(struct json *j, const struct member *m, struct config *c)
{
	char *const text = (char *)c + m->at;

	if (json_str(j, text, m->max) == 0)
		j->failed = true;
}

static void read_path(struct json *j, const struct member *m, struct config *c)
{
	read_text(j, m, c);
	if (((const char *)c)[m->at] != '/')
		j->failed = true;
}

static void read_mode(struct json *j, const struct member *m, struct config *c)
{
	char text[16] = "";

	(void)m, (void)c;
	json_str(j, text, sizeof text);
	if (strcmp(text, "routes") != 0)
		j->failed = true;
}

static void read_opt_in(struct json *j, const struct member *m, struct config *c)
{
	char text[16] = "";

	(void)m;
	json_str(j, text, sizeof text);
	c->opt_in = strcmp(text, "all") == 0 ? CONFIG_ALL : CONFIG_BY_ANNOTATION;
	if (c->opt_in == CONFIG_BY_ANNOTATION && strcmp(text, "annotation") != 0)
		j->failed = true;
}

#define MEMBER(name, read, field, ...)                                                             \
	{                                                                                          \
		name, read, offsetof(struct config, field), __VA_ARGS__                            \
	}
#define TEXT_OF(field) 0, sizeof((struct config *)NULL)->field

static const struct member members[] = {
	MEMBER("mode", read_mode, opt_in, 0, 0),
	MEMBER("optIn", read_opt_in, opt_in, 0, 0),
	MEMBER("annotation", read_text, annotation, TEXT_OF(annotation)),
	MEMBER("namespaces", read_namespaces, namespaces, 0, 0),
	MEMBER("failOpen", read_bool, fail_open, 0, 0),
	MEMBER("statusAffectsNode", read_bool, status_affects_node, 0, 0),
	MEMBER("podRoutes", read_bool, pod_routes, 0, 0),
	MEMBER("resultRoutes", read_bool, result_routes, 0, 0),
	MEMBER("ranges", read_ranges, ranges, 0, 0),
	MEMBER("subnets", read_subnets, subnets, 0, 0),
	MEMBER("table", read_number, table, 1, UINT32_MAX),
	/* before the main table, guard included */
	MEMBER("priority", read_number, priority, 1, 32764),
	/* rtnetlink(7): up to 4 is the kernel's */
	MEMBER("protocol", read_number, protocol, 5, 255),
	MEMBER("socket", read_path, socket, TEXT_OF(socket)),
	MEMBER("stateDir", read_path, state_dir, TEXT_OF(state_dir)),
};

static const struct member *member_of(struct bytes key)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (json_key_is(key, members[i].name))
			return &members[i];
	return NULL;
}

static const char *nearest(struct bytes key)
{
	const char *best = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const size_t n = text_edits(key, bytes_str(members[i].name));

		if (n < least) {
			least = n;
			best = members[i].name;
		}
	}
	return best;
}

/* --- the annotation --- */

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
	const struct member *m;

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
		else if ((m = member_of(key)))
			m->read(&j, m, out);
		else
			json_skip(&j);
		if (j.failed)
			return fail_set(f, FAIL_CONFIG,
					"network configuration: bad value at \"%.*s\"",
					(int)MIN_OF(key.len, (size_t)64), (const char *)key.data);
	}
	if (!json_done(&j))
		return fail_set(f, FAIL_DECODE, "the network configuration cannot be read");
	if (!add_subnets(out))
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

/* --- settings --- */

/* file and place, then the words */
static int at(struct fail *f, const char *file, struct bytes text, const void *where,
	      const char *fmt, ...) PRINTF(5, 6);
static int at(struct fail *f, const char *file, struct bytes text, const void *where,
	      const char *fmt, ...)
{
	const char *p = (const char *)text.data, *line = p;
	char words[256];
	size_t n = 1;
	va_list ap;

	for (; p != where && p < (const char *)text.data + text.len; p++)
		if (*p == '\n') {
			n++;
			line = p + 1;
		}
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	return fail_set(f, FAIL_CONFIG, "%.200s, line %zu, column %zu: %s", file, n,
			(size_t)(p - line) + 1, words);
}

int config_check_settings(struct bytes text, const char *file, struct fail *f)
{
	static const char *const said[] = { CONFIG_SAID };
	struct json j = json_of(text), whole = j;
	static struct config c;
	struct bytes key;

	defaults(&c);
	json_skip(&whole);
	if (!json_done(&whole))
		return at(f, file, text, whole.bad ? whole.bad : whole.p, "this is not good JSON");
	if (json_type(&j) != JSON_OBJECT)
		return at(f, file, text, j.p, "the settings are not a JSON object");
	json_obj(&j);
	while (json_key(&j, &key)) {
		const struct member *m = member_of(key);
		const int len = (int)MIN_OF(key.len, (size_t)64);
		const char *name = (const char *)key.data;
		bool known = m != NULL;

		for (size_t i = 0; i < ARRAY_LEN(said); i++)
			known |= json_key_is(key, said[i]);
		if (!known)
			return at(f, file, text, name - 1,
				  "there is no setting '%.*s'; the nearest is '%s'", len, name,
				  nearest(key));
		if (m)
			m->read(&j, m, &c);
		else
			json_skip(&j);
		if (j.failed)
			return at(f, file, text, name - 1, "the value of '%.*s' does not fit", len,
				  name);
	}
	if (!add_subnets(&c))
		return fail_set(f, FAIL_CONFIG,
				"%.200s: more than %d of 'ranges' and 'subnets' together", file,
				CONFIG_RANGES_MAX);
	return 0;
}
