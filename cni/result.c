/* cni/result.c - see result.h */
#include "cni/result.h"

#include <string.h>

#include "base/json.h"

static void read_interface(struct json *j, struct result_interface *out)
{
	struct bytes key;

	*out = (struct result_interface){ 0 };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "name"))
			json_str(j, out->name, sizeof out->name);
		else if (json_key_is(key, "sandbox")) {
			const struct bytes raw = json_raw(j);

			out->in_pod = raw.len > 2 && raw.data[0] == '"';
		} else
			json_skip(j);
	}
}

static bool split_prefix(const char *text, struct ip *out)
{
	const char *slash = strchr(text, '/');
	struct ipprefix whole;

	return slash && ipprefix_parse(bytes_str(text), &whole) &&
	       ip_parse(bytes_of(text, (size_t)(slash - text)), out);
}

static void read_ip(struct json *j, struct result_ip *out)
{
	struct bytes key;
	char text[IPPREFIX_TEXT];

	*out = (struct result_ip){ .interface = -1 };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "address")) {
			json_str(j, text, sizeof text);
			if (!split_prefix(text, &out->ip))
				j->failed = true;
		} else if (json_key_is(key, "gateway")) {
			json_str(j, text, sizeof text);
			if (*text && !ip_parse(bytes_str(text), &out->gateway))
				j->failed = true;
		} else if (json_key_is(key, "interface")) {
			if (json_null(j))
				continue;
			{
				const int64_t v = json_i64(j);

				out->interface = v < 0 || v >= RESULT_INTERFACES_MAX ? -1 : (int)v;
			}
		} else
			json_skip(j);
	}
	if (ip_is_zero(&out->ip))
		j->failed = true;
}

int result_parse(struct bytes text, struct result *out, struct fail *f)
{
	struct json j = json_of(text);
	struct bytes key;

	*out = (struct result){ .raw = text };
	if (json_type(&j) != JSON_OBJECT)
		return fail_set(f, FAIL_DECODE, "prevResult is not an object");
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "cniVersion"))
			json_str(&j, out->version, sizeof out->version);
		else if (json_key_is(key, "interfaces")) {
			json_arr(&j);
			while (json_elem(&j)) {
				if (out->n_interfaces == RESULT_INTERFACES_MAX)
					return fail_set(f, FAIL_DECODE,
							"prevResult has more than %d interfaces",
							RESULT_INTERFACES_MAX);
				read_interface(&j, &out->interfaces[out->n_interfaces++]);
			}
		} else if (json_key_is(key, "ips")) {
			json_arr(&j);
			while (json_elem(&j)) {
				if (out->n_ips == RESULT_IPS_MAX)
					return fail_set(f, FAIL_DECODE,
							"prevResult has more than %d addresses",
							RESULT_IPS_MAX);
				read_ip(&j, &out->ips[out->n_ips++]);
			}
		} else
			json_skip(&j);
	}
	if (!json_done(&j))
		return fail_set(f, FAIL_DECODE, "prevResult does not have the form of a result");
	return 0;
}

static bool is_in_pod(const struct result *r, const struct result_ip *ip)
{
	bool any = false;

	for (size_t i = 0; i < r->n_interfaces; i++)
		any |= r->interfaces[i].in_pod;
	if (!any || ip->interface < 0 || (size_t)ip->interface >= r->n_interfaces)
		return true;
	return r->interfaces[ip->interface].in_pod;
}

int result_pod_ips(const struct result *r, struct ip *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_ips; i++) {
		if (!is_in_pod(r, &r->ips[i]))
			continue;
		if (n == max)
			return -1;
		out[n++] = r->ips[i].ip;
	}
	return (int)n;
}

bool result_gateway(const struct result *r, const char *ifname, bool v6, struct ip *out)
{
	for (size_t i = 0; i < r->n_ips; i++) {
		const struct result_ip *ip = &r->ips[i];

		if (ip_is_zero(&ip->gateway) || ip_is_v4(&ip->gateway) == v6 || !is_in_pod(r, ip))
			continue;
		if (ip->interface >= 0 && (size_t)ip->interface < r->n_interfaces &&
		    strcmp(r->interfaces[ip->interface].name, ifname) != 0)
			continue;
		*out = ip->gateway;
		return true;
	}
	return false;
}

static void emit_routes(struct jsonw *w, struct bytes old, const char *version,
			const struct result_route *routes, size_t n)
{
	struct json j = json_of(old);
	char text[IPPREFIX_TEXT];

	jsonw_key(w, "routes");
	jsonw_arr(w);
	if (old.len > 0) {
		json_arr(&j);
		while (json_elem(&j))
			jsonw_raw(w, json_raw(&j));
	}
	for (size_t i = 0; i < n; i++) {
		jsonw_obj(w);
		jsonw_kstr(w, "dst", ipprefix_text(&routes[i].dst, text));
		jsonw_kstr(w, "gw", ip_text(&routes[i].gw, text));
		if (strcmp(version, "1.1.0") == 0) {
			jsonw_ki64(w, "mtu", routes[i].mtu);
			jsonw_ki64(w, "advmss", routes[i].advmss);
		}
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

bool result_emit(const struct result *r, const char *version, const struct result_route *routes,
		 size_t n, struct buf *out)
{
	struct json j = json_of(r->raw);
	struct bytes key, old = { 0 };
	struct jsonw w;
	char name[1024];

	if (n == 0 && strcmp(version, r->version) == 0)
		return buf_append(out, r->raw.data, r->raw.len) && buf_append(out, "\n", 1);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "cniVersion", version);
	json_obj(&j);
	while (json_key(&j, &key)) {
		const struct bytes value = json_raw(&j);

		if (json_key_is(key, "cniVersion"))
			continue;
		if (json_key_is(key, "routes") && n > 0)
			old = value;
		else if (!json_unescape(key, name, sizeof name))
			return false;
		else {
			jsonw_key(&w, name);
			jsonw_raw(&w, value);
		}
	}
	if (n > 0)
		emit_routes(&w, old, version, routes, n);
	jsonw_obj_end(&w);
	return json_done(&j) && jsonw_ok(&w) && buf_append(out, "\n", 1);
}
