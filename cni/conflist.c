/* cni/conflist.c - see conflist.h */
#include "cni/conflist.h"

#include <string.h>

#include "base/json.h"
#include "cni/config.h"

struct parts {
	char version[16], name[POD_NETWORK_MAX + 1], type[128];
	struct bytes plugins;
	bool has_ours;
};

static void read_plugins(struct json *j, struct parts *p)
{
	struct json in = *j;
	struct bytes key;

	p->plugins = json_raw(j);
	json_arr(&in);
	while (json_elem(&in)) {
		char type[128] = "";

		json_obj(&in);
		while (json_key(&in, &key))
			if (json_key_is(key, "type"))
				json_str(&in, type, sizeof type);
			else
				json_skip(&in);
		p->has_ours |= strcmp(type, CONFLIST_TYPE) == 0;
	}
	j->failed |= in.failed;
}

static enum conflist_kind dissect(struct bytes text, struct parts *p)
{
	struct json j = json_of(text);
	struct bytes key;

	*p = (struct parts){ 0 };
	if (json_type(&j) != JSON_OBJECT)
		return CONFLIST_BAD;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "cniVersion"))
			json_str(&j, p->version, sizeof p->version);
		else if (json_key_is(key, "name"))
			json_str(&j, p->name, sizeof p->name);
		else if (json_key_is(key, "type"))
			json_str(&j, p->type, sizeof p->type);
		else if (json_key_is(key, "plugins"))
			read_plugins(&j, p);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || !*p->name)
		return CONFLIST_BAD;
	if (p->has_ours)
		return CONFLIST_OURS;
	if (p->plugins.len > 2 && p->plugins.data[0] == '[')
		return CONFLIST_LIST;
	return *p->type ? CONFLIST_SINGLE : CONFLIST_BAD;
}

enum conflist_kind conflist_kind(struct bytes text)
{
	struct parts p;

	return dissect(text, &p);
}

/* Members of an object but those named in `but`, as they were. */
static bool copy_members(struct jsonw *w, struct bytes object, const char *const *but, size_t n)
{
	struct json j = json_of(object);
	struct bytes key;
	char name[256];

	json_obj(&j);
	while (json_key(&j, &key)) {
		const struct bytes value = json_raw(&j);
		bool skip = false;

		for (size_t i = 0; i < n; i++)
			skip |= json_key_is(key, but[i]);
		if (skip)
			continue;
		if (!json_unescape(key, name, sizeof name))
			return false;
		jsonw_key(w, name);
		jsonw_raw(w, value);
	}
	return json_done(&j);
}

static bool emit_own(struct jsonw *w, struct bytes own)
{
	static const char *const ours[] = { CONFIG_SAID };
	bool ok = true;

	jsonw_obj(w);
	jsonw_kstr(w, "type", CONFLIST_TYPE);
	jsonw_key(w, "capabilities");
	jsonw_obj(w);
	jsonw_kbool(w, "io.kubernetes.cri.pod-annotations", true);
	jsonw_obj_end(w);
	if (own.len > 0)
		ok = copy_members(w, own, ours, ARRAY_LEN(ours));
	jsonw_obj_end(w);
	return ok;
}

/* What we would be given at ADD must be to our liking now, before any pod depends on it. */
static int try_own(const struct parts *p, struct bytes own, struct fail *f)
{
	static const char *const said[] = { "name", "cniVersion" };
	static struct config c;
	struct jsonw w;
	struct buf one;
	int r = -1;

	buf_init(&one, CONFIG_STDIN_MAX);
	jsonw_init(&w, &one);
	jsonw_obj(&w);
	jsonw_kstr(&w, "cniVersion", p->version);
	jsonw_kstr(&w, "name", p->name);
	if ((own.len > 0 && !copy_members(&w, own, said, ARRAY_LEN(said))) ||
	    (jsonw_obj_end(&w), !jsonw_ok(&w)))
		fail_set(f, FAIL_CONFIG, "the plugin's settings are not a JSON object");
	else
		r = config_parse(buf_bytes(&one), &c, f);
	buf_fini(&one);
	return r;
}

int conflist_join(struct bytes owner, struct bytes own, struct buf *out, struct fail *f)
{
	static const char *const list_own[] = { "plugins" };
	static const char *const single_own[] = { "cniVersion", "name" };
	struct parts p;
	const enum conflist_kind kind = dissect(owner, &p);
	struct json plugins;
	struct jsonw w;
	bool ok = true;

	if (kind != CONFLIST_LIST && kind != CONFLIST_SINGLE)
		return fail_set(f, FAIL_CONFIG, "this is no network list that a plugin can join");
	if (try_own(&p, own, f) < 0)
		return -1;
	jsonw_init(&w, out);
	jsonw_obj(&w);
	if (kind == CONFLIST_LIST) {
		ok = copy_members(&w, owner, list_own, ARRAY_LEN(list_own));
	} else {
		jsonw_kstr(&w, "cniVersion", p.version);
		jsonw_kstr(&w, "name", p.name);
	}
	jsonw_key(&w, "plugins");
	jsonw_arr(&w);
	if (kind == CONFLIST_LIST) {
		plugins = json_of(p.plugins);
		json_arr(&plugins);
		while (json_elem(&plugins))
			jsonw_raw(&w, json_raw(&plugins));
	} else {
		jsonw_obj(&w);
		ok = copy_members(&w, owner, single_own, ARRAY_LEN(single_own));
		jsonw_obj_end(&w);
	}
	ok = ok && emit_own(&w, own);
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	if (!ok || !jsonw_ok(&w) || !buf_append(out, "\n", 1))
		return fail_set(f, FAIL_CONFIG, "the joined network list cannot be written");
	return 0;
}
