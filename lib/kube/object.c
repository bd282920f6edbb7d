/* kube/object.c - see object.h */
#include "kube/object.h"

#include <stdio.h>
#include <string.h>

#include "base/json_member.h"

static void metadata(struct json *j, struct kube_object *o)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (bytes_eq_str(key, "name"))
			json_str(j, o->name, sizeof o->name);
		else if (bytes_eq_str(key, "namespace"))
			json_str(j, o->ns, sizeof o->ns);
		else if (bytes_eq_str(key, "uid"))
			json_str(j, o->uid, sizeof o->uid);
		else if (bytes_eq_str(key, "resourceVersion"))
			json_str(j, o->rv, sizeof o->rv);
		else if (bytes_eq_str(key, "generation"))
			o->generation = json_i64(j);
		else if (bytes_eq_str(key, "creationTimestamp"))
			o->created = json_wall(j);
		else if (bytes_eq_str(key, "deletionTimestamp")) {
			o->is_deleting = json_type(j) == JSON_STRING;
			o->deleted = json_wall(j);
		} else if (bytes_eq_str(key, "labels"))
			o->labels = json_raw(j);
		else if (bytes_eq_str(key, "annotations"))
			o->annotations = json_raw(j);
		else if (bytes_eq_str(key, "finalizers"))
			o->finalizers = json_raw(j);
		else
			json_skip(j);
	}
}

bool kube_object_parse(struct bytes text, struct kube_object *out)
{
	struct json j = json_of(text);
	struct bytes key;

	*out = (struct kube_object){ .text = text };
	if (json_type(&j) != JSON_OBJECT)
		return false;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (bytes_eq_str(key, "metadata"))
			metadata(&j, out);
		else if (bytes_eq_str(key, "spec"))
			out->spec = json_raw(&j);
		else if (bytes_eq_str(key, "status"))
			out->status = json_raw(&j);
		else if (bytes_eq_str(key, "data"))
			out->data = json_raw(&j);
		else
			json_skip(&j);
	}
	return json_done(&j) && out->name[0];
}

static struct bytes find(struct bytes object, struct bytes want)
{
	struct json j = json_of(object);
	struct bytes key, value;

	if (object.len == 0 || json_type(&j) != JSON_OBJECT)
		return (struct bytes){ 0 };
	json_obj(&j);
	while (json_key(&j, &key)) {
		char plain[320];
		bool is_it = bytes_eq(key, want);

		if (!is_it && memchr(key.data, '\\', key.len) && key.len < 6 * sizeof plain)
			is_it = json_unescape(key, plain, sizeof plain) &&
				bytes_eq(bytes_str(plain), want);
		if (!is_it) {
			json_skip(&j);
			continue;
		}
		value = json_raw(&j);
		return json_ok(&j) ? value : (struct bytes){ 0 };
	}
	return (struct bytes){ 0 };
}

bool kube_member(struct bytes object, const char *key, char *out, size_t cap, bool *too_long)
{
	struct bytes v = find(object, bytes_str(key));
	struct json j = json_of(v);

	if (too_long)
		*too_long = false;
	if (v.len == 0 || json_type(&j) != JSON_STRING)
		return false;
	json_str(&j, out, cap);
	if (json_ok(&j))
		return true;
	if (too_long)
		*too_long = true;
	if (cap > 0)
		out[0] = 0;
	return false;
}

bool kube_has_member(struct bytes object, const char *key)
{
	return find(object, bytes_str(key)).len > 0;
}

bool kube_has_string(struct bytes array, const char *value)
{
	struct json j = json_of(array);
	char text[512];

	if (array.len == 0 || json_type(&j) != JSON_ARRAY)
		return false;
	json_arr(&j);
	while (json_elem(&j)) {
		struct bytes raw = json_raw(&j);
		struct json one = json_of(raw);

		if (json_type(&one) != JSON_STRING)
			continue;
		json_str(&one, text, sizeof text);
		if (json_ok(&one) && strcmp(text, value) == 0)
			return true;
	}
	return false;
}

struct bytes kube_at(struct bytes object, const char *path)
{
	while (object.len > 0 && *path) {
		const size_t n = strcspn(path, ".");

		object = find(object, bytes_of(path, n));
		path += n + (path[n] == '.');
	}
	return object;
}

bool kube_str_at(struct bytes object, const char *path, char *out, size_t cap)
{
	struct bytes v = kube_at(object, path);
	struct json j = json_of(v);

	if (v.len == 0 || json_type(&j) != JSON_STRING)
		return false;
	json_str(&j, out, cap);
	return json_ok(&j);
}

static bool add(char *out, size_t cap, size_t *at, const char *text, bool escape)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++) {
		const bool is_plain = !escape || strchr(plain, *text);

		if (cap - *at < (is_plain ? 2 : 4))
			return false;
		if (is_plain)
			out[(*at)++] = *text;
		else
			*at += (size_t)snprintf(out + *at, cap - *at, "%%%02X", (uint8_t)*text);
	}
	out[*at] = 0;
	return true;
}

/* "", "." and ".." would mean another place of the tree than an object of that name. */
static bool is_segment(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool kube_path(char *out, size_t cap, const char *group_version, const char *resource,
	       const char *ns, const char *name, const char *sub)
{
	size_t at = 0;

	return cap > 0 && (!ns || !*ns || is_segment(ns)) && (!name || is_segment(name)) &&
	       add(out, cap, &at, strchr(group_version, '/') ? "/apis/" : "/api/", false) &&
	       add(out, cap, &at, group_version, false) &&
	       (!ns || !*ns ||
		(add(out, cap, &at, "/namespaces/", false) && add(out, cap, &at, ns, true))) &&
	       add(out, cap, &at, "/", false) && add(out, cap, &at, resource, false) &&
	       (!name || (add(out, cap, &at, "/", false) && add(out, cap, &at, name, true))) &&
	       (!sub || (add(out, cap, &at, "/", false) && add(out, cap, &at, sub, true)));
}
