/* containerboot/kube_text.c - see kube_text.h */
#include "containerboot/kube_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"

/* --- names --- */

bool kube_field_is_own(struct bytes name)
{
	static const char *const own[] = { KUBE_F_AUTHKEY,    KUBE_F_DEVICE_ID, KUBE_F_DEVICE_FQDN,
					   KUBE_F_DEVICE_IPS, KUBE_F_POD_UID,   KUBE_F_CAPVER,
					   KUBE_F_HTTPS,      KUBE_F_REISSUE,   KUBE_F_EGRESS,
					   KUBE_F_INGRESS,    KUBE_F_LOGOUT };

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (bytes_eq_str(name, own[i]))
			return true;
	return false;
}

static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

void kube_field_name(struct bytes name, char out[static STATE_NAME_MAX])
{
	(void)bytes_to_str(name, out, STATE_NAME_MAX); /* names are shorter: state.h */
	for (char *p = out; *p; p++)
		if (!is_plain((uint8_t)*p))
			*p = '_';
}

/* --- access --- */

static const struct {
	const char *verb, *resource, *group;
} verbs[KUBE_VERBS] = {
	[KUBE_GET] = { "get", "secrets", "" },     [KUBE_UPDATE] = { "update", "secrets", "" },
	[KUBE_PATCH] = { "patch", "secrets", "" }, [KUBE_CREATE] = { "create", "secrets", "" },
	[KUBE_EVENT] = { "create", "events", "" },
};

bool kube_may(const struct kube_access *a, enum kube_verb v)
{
	return a->may[v] != KUBE_NO;
}

bool kube_review_emit(struct buf *out, enum kube_verb v, const char *ns, const char *secret)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiVersion", "authorization.k8s.io/v1");
	jsonw_kstr(&w, "kind", "SelfSubjectAccessReview");
	jsonw_key(&w, "spec");
	jsonw_obj(&w);
	jsonw_key(&w, "resourceAttributes");
	jsonw_obj(&w);
	jsonw_kstr(&w, "namespace", ns);
	jsonw_kstr(&w, "verb", verbs[v].verb);
	jsonw_kstr(&w, "group", verbs[v].group);
	jsonw_kstr(&w, "resource", verbs[v].resource);
	/* creation cannot be limited by name */
	if (v != KUBE_CREATE && v != KUBE_EVENT)
		jsonw_kstr(&w, "name", secret);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

enum kube_answer_of_review kube_review_parse(struct bytes body)
{
	struct json j = json_of(body);
	struct bytes key;
	bool allowed = false, is_told = false;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (!json_key_is(key, "status")) {
			json_skip(&j);
			continue;
		}
		json_obj(&j);
		while (json_key(&j, &key))
			if (json_key_is(key, "allowed")) {
				allowed = json_bool(&j);
				is_told = true;
			} else {
				json_skip(&j);
			}
	}
	return !json_done(&j) || !is_told ? KUBE_UNKNOWN : allowed ? KUBE_YES : KUBE_NO;
}

int kube_access_check(const struct kube_access *a, const char *ns, const char *secret,
		      struct err *e)
{
	const char *lacks = !kube_may(a, KUBE_GET) ? "get" : NULL;

	if (!kube_may(a, KUBE_UPDATE) && !kube_may(a, KUBE_PATCH))
		lacks = lacks ? "get, update or patch" : "update or patch";
	if (!lacks)
		return 0;
	return err_say(
	    e, EACCES,
	    "TS_KUBE_SECRET: the pod's service account may not %s the Secret %s/%s; give it "
	    "a Role with the verbs get, update, patch on secrets (resourceNames: %s), or set "
	    "TS_KUBE_SECRET to the empty string to keep the state elsewhere",
	    lacks, ns, secret, secret);
}

int kube_access_absent(const struct kube_access *a, const char *ns, const char *secret,
		       struct err *e)
{
	if (kube_may(a, KUBE_CREATE))
		return 0;
	return err_say(
	    e, EACCES,
	    "TS_KUBE_SECRET: the Secret %s/%s does not exist and the pod's service account "
	    "may not create it; create it (kubectl -n %s create secret generic %s), give a "
	    "Role with the verb create on secrets, or set TS_KUBE_SECRET to the empty string "
	    "to keep the state elsewhere",
	    ns, secret, ns, secret);
}

int kube_access_key(const struct kube_access *a, const char *ns, const char *secret, struct err *e)
{
	if (kube_may(a, KUBE_PATCH))
		return 0;
	return err_say(
	    e, EACCES,
	    "TS_KUBE_SECRET: the Secret %s/%s has an authkey that could not be deleted "
	    "after its use; give the pod's service account the verb patch on it, or give the "
	    "key by TS_AUTHKEY",
	    ns, secret);
}

/* --- reading the Secret --- */

static bool is_field_name(const char *name)
{
	const char *p = name;

	while (is_plain((uint8_t)*p))
		p++;
	return p > name && !*p;
}

static int read_field(struct json *j, struct bytes raw_key, struct state *fields, struct err *e)
{
	char name[STATE_NAME_MAX];
	struct bytes raw;
	uint8_t *value;
	size_t len;
	int r;

	if (!json_unescape(raw_key, name, sizeof name) || !is_field_name(name))
		return err_say(e, EBADMSG, "a field's name is malformed");
	if (json_type(j) == JSON_NULL) { /* as an empty value */
		json_skip(j);
		return state_put(fields, name, bytes_of("", 0));
	}
	if (json_type(j) != JSON_STRING)
		return err_say(e, EBADMSG, "the field %s is not a string", name);
	raw = json_raw(j);
	if (!json_ok(j) || raw.len < 2)
		return err_say(e, EBADMSG, "malformed JSON");
	raw = bytes_of(raw.data + 1, raw.len - 2); /* base64 needs no escapes */
	value = malloc(raw.len + 1);
	if (!value)
		return err_set(e, ENOMEM, "read the Secret");
	if (base64_parse(raw, BASE64_STD, value, raw.len + 1, &len))
		r = state_put(fields, name, bytes_of(value, len));
	else
		r = err_say(e, EBADMSG, "the field %s is not base64", name);
	secret_wipe(value, raw.len + 1);
	free(value);
	return r;
}

static int read_data(struct json *j, struct state *fields, struct err *e)
{
	struct bytes key;
	int r = 0;

	json_obj(j);
	while (r == 0 && json_key(j, &key))
		r = read_field(j, key, fields, e);
	return r;
}

static void read_meta(struct json *j, char version[static KUBE_VERSION_MAX])
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key))
		if (bytes_eq_str(key, "resourceVersion"))
			json_str(j, version, KUBE_VERSION_MAX);
		else
			json_skip(j);
}

int kube_fields_parse(struct bytes body, struct state *fields,
		      char version[static KUBE_VERSION_MAX], struct err *e)
{
	struct json j = json_of(body);
	bool is_secret = false;
	struct bytes key;
	char kind[32];
	int r = 0;

	*version = 0;
	json_obj(&j);
	while (r == 0 && json_key(&j, &key)) {
		if (bytes_eq_str(key, "kind"))
			is_secret = json_str(&j, kind, sizeof kind) && strcmp(kind, "Secret") == 0;
		else if (bytes_eq_str(key, "metadata"))
			read_meta(&j, version);
		else if (bytes_eq_str(key, "data"))
			r = read_data(&j, fields, e);
		else
			json_skip(&j);
	}
	if (r == -ENOMEM || r == -E2BIG)
		return err_set(e, -r, "the Secret's fields");
	if (r < 0)
		return r;
	if (!json_done(&j) || !is_secret)
		return err_say(e, EBADMSG, "the answer is not a Secret");
	return 0;
}

int kube_state_of(const struct state *fields, struct state *st)
{
	static const char serve[] =
	    "_serve_"; /* the one name of the state that the Secret changes */
	int r = 0;

	for (size_t i = 0; r == 0 && i < state_n(fields); i++) {
		char name[STATE_NAME_MAX];
		struct bytes key, value;

		state_at(fields, i, &key, &value);
		if (kube_field_is_own(key))
			continue;
		(void)bytes_to_str(key, name, sizeof name);
		if (strncmp(name, serve, sizeof serve - 1) == 0)
			name[sizeof serve - 2] = '/';
		r = state_put(st, name, value);
	}
	return r;
}

/* --- what differs --- */

enum { PHASE_STATE, PHASE_GONE, PHASE_OWN, PHASE_END };

static bool has(const struct state *map, const char *name, struct bytes value)
{
	struct bytes is;

	return state_get(map, name, &is) && bytes_eq(is, value);
}

static bool has_any(const struct state *map, const char *name)
{
	struct bytes is;

	return state_get(map, name, &is);
}

/* An entry of the phase's map is in key, name and value: is it a change? */
static bool is_change(struct kube_diff *d, const char *key)
{
	switch (d->phase) {
	case PHASE_STATE:
		d->is_removal = false;
		return !has(d->known, key, d->value) && !has(d->server, d->name, d->value);
	case PHASE_GONE:
		d->is_removal = true;
		return !has_any(d->state, key) && has_any(d->server, d->name);
	default:
		d->is_removal = d->value.len == 0;
		return d->is_removal ? has_any(d->server, d->name)
				     : !has(d->server, d->name, d->value);
	}
}

bool kube_diff_next(struct kube_diff *d)
{
	const struct state *maps[] = { d->state, d->known, d->own };
	char key[STATE_NAME_MAX];
	struct bytes name;

	for (; d->phase < PHASE_END; d->phase++, d->i = 0)
		while (d->i < state_n(maps[d->phase])) {
			state_at(maps[d->phase], d->i++, &name, &d->value);
			(void)bytes_to_str(name, key, sizeof key);
			kube_field_name(name, d->name);
			if (is_change(d, key))
				return true;
		}
	return false;
}

/* --- writing --- */

static bool put_base64(struct jsonw *w, struct bytes value)
{
	char *text = malloc(base64_len(value.len) + 1);

	if (!text)
		return false;
	base64_emit(value.data, value.len, BASE64_STD, text);
	jsonw_str(w, text);
	secret_wipe(text, strlen(text));
	free(text);
	return true;
}

static bool patch_op(struct jsonw *w, const struct kube_diff *d)
{
	char path[STATE_NAME_MAX + 8];
	bool ok = true;

	snprintf(path, sizeof path, "/data/%s", d->name);
	jsonw_obj(w);
	jsonw_kstr(w, "op", d->is_removal ? "remove" : "add");
	jsonw_kstr(w, "path", path);
	if (!d->is_removal) {
		jsonw_key(w, "value");
		ok = put_base64(w, d->value);
	}
	jsonw_obj_end(w);
	return ok;
}

bool kube_patch_emit(struct buf *out, struct kube_diff *d)
{
	bool ok = true, is_first = true;
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_arr(&w);
	while (ok && kube_diff_next(d)) {
		if (is_first &&
		    state_n(d->server) == 0) { /* a Secret without data has no place to add to */
			jsonw_obj(&w);
			jsonw_kstr(&w, "op", "add");
			jsonw_kstr(&w, "path", "/data");
			jsonw_key(&w, "value");
			jsonw_obj(&w);
			jsonw_obj_end(&w);
			jsonw_obj_end(&w);
		}
		is_first = false;
		ok = patch_op(&w, d);
	}
	jsonw_arr_end(&w);
	return ok && jsonw_ok(&w);
}

/* The server's fields with the changes. */
static bool data_emit(struct jsonw *w, struct kube_diff *d)
{
	struct state *merged = state_new();
	struct bytes key, value;
	char name[STATE_NAME_MAX];
	bool ok = merged != NULL;

	for (size_t i = 0; ok && i < state_n(d->server); i++) {
		state_at(d->server, i, &key, &value);
		kube_field_name(key, name);
		ok = state_put(merged, name, value) == 0;
	}
	while (ok && kube_diff_next(d))
		if (d->is_removal)
			state_del(merged, d->name);
		else
			ok = state_put(merged, d->name, d->value) == 0;
	jsonw_key(w, "data");
	jsonw_obj(w);
	for (size_t i = 0; ok && i < state_n(merged); i++) {
		state_at(merged, i, &key, &value);
		(void)bytes_to_str(key, name, sizeof name);
		jsonw_key(w, name);
		ok = put_base64(w, value);
	}
	jsonw_obj_end(w);
	state_free(merged);
	return ok;
}

bool kube_put_emit(struct buf *out, struct bytes present, struct kube_diff *d)
{
	struct json j = json_of(present);
	struct bytes key, raw;
	struct jsonw w;
	char name[64];
	bool ok = true;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	json_obj(&j);
	while (ok && json_key(&j, &key)) {
		raw = json_raw(&j);
		if (bytes_eq_str(key, "data") || !json_ok(&j))
			continue;
		ok = json_unescape(key, name, sizeof name);
		jsonw_key(&w, name);
		jsonw_raw(&w, raw);
	}
	ok = ok && json_done(&j) && data_emit(&w, d);
	jsonw_obj_end(&w);
	return ok && jsonw_ok(&w);
}

bool kube_post_emit(struct buf *out, const char *ns, const char *secret, struct kube_diff *d)
{
	struct jsonw w;
	bool ok;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiVersion", "v1");
	jsonw_kstr(&w, "kind", "Secret");
	jsonw_key(&w, "metadata");
	jsonw_obj(&w);
	jsonw_kstr(&w, "name", secret);
	jsonw_kstr(&w, "namespace", ns);
	jsonw_obj_end(&w);
	ok = data_emit(&w, d);
	jsonw_obj_end(&w);
	return ok && jsonw_ok(&w);
}

void kube_message(struct bytes body, char out[static KUBE_MESSAGE_MAX])
{
	struct json j = json_of(body);
	struct bytes key;

	*out = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		AUTO_FREE char *text = NULL;

		if (!bytes_eq_str(key, "message")) {
			json_skip(&j);
			continue;
		}
		text = json_strdup(&j, 64 << 10);
		if (text)
			(void)bytes_to_str(bytes_str(text), out, KUBE_MESSAGE_MAX);
	}
	for (char *p = out; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

bool kube_event_emit(struct buf *out, const struct kube_event *ev)
{
	char name[KUBE_NAME_MAX + 1], time[WALL_TEXT];
	struct jsonw w;

	snprintf(name, sizeof name, "%.200s.%.48s", ev->name, ev->instance);
	/* metav1.Time has whole seconds */
	wall_text((wall_t){ ev->at.ns / NS_PER_S * NS_PER_S }, time);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiVersion", "v1");
	jsonw_kstr(&w, "kind", "Event");
	jsonw_key(&w, "metadata");
	jsonw_obj(&w);
	jsonw_kstr(&w, "name", name);
	jsonw_kstr(&w, "namespace", ev->ns);
	jsonw_obj_end(&w);
	jsonw_key(&w, "involvedObject");
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiVersion", "v1");
	jsonw_kstr(&w, "kind", ev->kind ? ev->kind : "Pod");
	jsonw_kstr(&w, "name", ev->name);
	if (!ev->kind || strcmp(ev->kind, "Node") != 0)
		jsonw_kstr(&w, "namespace", ev->ns);
	if (*ev->uid)
		jsonw_kstr(&w, "uid", ev->uid);
	jsonw_obj_end(&w);
	jsonw_kstr(&w, "reason", ev->reason);
	jsonw_kstr(&w, "message", ev->words);
	jsonw_kstr(&w, "type", ev->is_warning ? "Warning" : "Normal");
	jsonw_kstr(&w, "firstTimestamp", time);
	jsonw_kstr(&w, "lastTimestamp", time);
	jsonw_ki64(&w, "count", 1);
	jsonw_key(&w, "source");
	jsonw_obj(&w);
	jsonw_kstr(&w, "component", "containerboot");
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}
