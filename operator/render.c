/* operator/render.c - see render.h */
#include "operator/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "operator/group.h"
#include "operator/render_priv.h"

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

void render_labels(struct jsonw *w, const struct render *r)
{
	jsonw_kstr(w, LABEL_MANAGED, "true");
	label(w, LABEL_PARENT, r->parent->name);
	label(w, LABEL_PARENT_NS, r->parent->ns);
	label(w, LABEL_PARENT_TYPE, kinds[r->parent->kind].key);
	label(w, LABEL_UID, r->parent->uid);
}

const char *render_app(const struct render *r)
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

void render_class_members(struct jsonw *w, const struct render *r, const char *path)
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

struct bytes render_class_at(const struct render *r, const char *path)
{
	return r->class && r->class->spec ? kube_at(bytes_str(r->class->spec), path)
					  : (struct bytes){ 0 };
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
	render_labels(w, r);
	if (c == CHILD_SET)
		render_class_members(w, r, "statefulSet.labels");
	jsonw_obj_end(w);
	jsonw_key(w, "annotations");
	jsonw_obj(w);
	jsonw_kstr(w, NOTE_PARENT, parent);
	if (c == CHILD_SECRET && r->want->place[0])
		placed(w, r);
	if (*hash)
		jsonw_kstr(w, NOTE_HASH, hash);
	if (c == CHILD_SET)
		render_class_members(w, r, "statefulSet.annotations");
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

void render_selector(struct jsonw *w, const struct render *r)
{
	jsonw_obj(w);
	jsonw_kstr(w, "app", render_app(r));
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
	render_selector(w, r);
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
		render_set(&w, r);
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
