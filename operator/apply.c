/* operator/apply.c - steps that write to the API server: a proxy's objects, and what is ours in the
 * parent (finalizer, status, externalName)
 *
 * Objects and status by server-side apply under a field manager of ours, so that users may add
 * fields; finalizers and spec.externalName by merge patches. The answer comes to work.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "operator/work_priv.h"

bool work_child_path(const struct work *w, char path[static KUBE_PATH_MAX], enum child c,
		     const char *query)
{
	char name[PROXY_NAME_MAX + 16];

	(void)snprintf(name, sizeof name, "%s%s", work_step(w)->proxy, children[c].suffix);
	if (!kube_path(path, KUBE_PATH_MAX - strlen(query), children[c].api_version,
		       children[c].resource, w->op->settings.ns, name, NULL))
		return false;
	memcpy(path + strlen(path), query, strlen(query) + 1);
	return true;
}

bool work_awaits_end(const struct work *w)
{
	return w->want.move == MOVE_END_OWN && work_step(w)->child == CHILD_SET;
}

const struct proxy_class *work_class(const struct work *w)
{
	return w->has_class && w->class.is_valid ? &w->class : NULL;
}

struct render work_render(const struct work *w)
{
	return (struct render){ .settings = &w->op->settings,
				.parent = &w->p,
				.want = &w->want,
				.class = work_class(w),
				.proxy = work_step(w)->proxy,
				.facts = &w->facts };
}

void apply_child(struct work *w)
{
	const struct step *s = work_step(w);
	const bool is_secret = s->child == CHILD_TLS;
	struct render r = work_render(w);
	char path[KUBE_PATH_MAX], hash[HASH_TEXT];
	struct buf body;

	buf_init(&body, RENDER_MAX);
	if (w->p.kind == KIND_PROXYCLASS && !groups_render(w, s->proxy, &r)) {
		work_advance(w); /* left meanwhile: the next plan cleans up */
		buf_fini(&body);
		return;
	}
	if (render_hash(&r, s->child, hash) && render_child(&body, &r, s->child, hash) &&
	    work_child_path(w, path, s->child, "?fieldManager=" MANAGER "&force=true")) {
		if (s->child == CHILD_SET)
			log_info("audit: proxy of %s is %s in %s: hostname %s", w->key, s->proxy,
				 w->op->settings.ns, w->want.hostname);
		work_send(w, "PATCH", path, KUBE_APPLY, buf_bytes(&body));
		if (is_secret) /* w may be gone */
			explicit_bzero(body.data, body.cap);
	} else {
		work_fail(w, "SyncFailed", "the object cannot be made: no memory, or too large");
	}
	buf_fini(&body);
}

void apply_delete(struct work *w)
{
	char path[KUBE_PATH_MAX];

	if (work_step(w)->child == CHILD_SET)
		log_info("audit: proxy %s of %s is removed", work_step(w)->proxy, w->key);
	/* the StatefulSet of who moves stays to be seen until its pod is gone */
	if (work_child_path(w, path, work_step(w)->child, ""))
		work_send(w, "DELETE", path, KUBE_JSON,
			  bytes_str(work_awaits_end(w) ? "{\"propagationPolicy\":\"Foreground\"}"
						       : "{\"propagationPolicy\":\"Background\"}"));
	else
		work_fail(w, "SyncFailed", "a name is too long");
}

static void parent_request(struct work *w, const char *sub, const char *query, const char *type,
			   struct bytes body)
{
	char path[KUBE_PATH_MAX];

	if (!kube_path(path, sizeof path - 64, kinds[w->p.kind].api_version,
		       kinds[w->p.kind].resource, w->p.ns, w->p.name, sub)) {
		work_fail(w, "SyncFailed", "a name is too long");
		return;
	}
	(void)snprintf(path + strlen(path), 64, "%s", query);
	work_send(w, "PATCH", path, type, body);
}

static void merge_parent(struct work *w, const struct jsonw *o)
{
	if (jsonw_ok(o))
		parent_request(w, NULL, "?fieldManager=" MANAGER, KUBE_MERGE, buf_bytes(o->out));
	else
		work_fail(w, "SyncFailed", "no memory");
}

void apply_finalizer(struct work *w, bool want)
{
	const char *others = w->p.finalizers ? w->p.finalizers : "[]";
	struct json j = json_of(bytes_str(others));
	struct buf body;
	struct jsonw o;

	buf_init(&body, 1 << 17);
	jsonw_init(&o, &body);
	jsonw_obj(&o);
	jsonw_key(&o, "metadata");
	jsonw_obj(&o);
	jsonw_kstr(&o, "resourceVersion", w->p.rv);
	jsonw_key(&o, "finalizers");
	jsonw_arr(&o);
	json_arr(&j);
	while (json_elem(&j))
		jsonw_raw(&o, json_raw(&j));
	if (want)
		jsonw_str(&o, FINALIZER);
	jsonw_arr_end(&o);
	jsonw_obj_end(&o);
	jsonw_obj_end(&o);
	merge_parent(w, &o);
	buf_fini(&body);
}

void apply_external_name(struct work *w)
{
	struct buf body;
	struct jsonw o;

	buf_init(&body, 4096);
	jsonw_init(&o, &body);
	jsonw_obj(&o);
	jsonw_key(&o, "metadata");
	jsonw_obj(&o);
	/* the name that is kept is the one that is replaced */
	jsonw_kstr(&o, "resourceVersion", w->p.rv);
	jsonw_key(&o, "annotations");
	jsonw_obj(&o);
	jsonw_kstr(&o, NOTE_EXTERNAL,
		   w->plan.external_saved[0] ? w->plan.external_saved : NULL); /* null: away */
	jsonw_obj_end(&o);
	jsonw_obj_end(&o);
	jsonw_key(&o, "spec");
	jsonw_obj(&o);
	jsonw_kstr(&o, "externalName", w->plan.external_name);
	jsonw_obj_end(&o);
	jsonw_obj_end(&o);
	merge_parent(w, &o);
	buf_fini(&body);
}

/* Of the Secret as it was seen: the proxy writes into it too. */
void apply_logout(struct work *w, bool want)
{
	static const char *const device[] = { "device_id", "device_fqdn", "device_ips" };
	const struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	char path[KUBE_PATH_MAX], rv[24];
	struct buf body;
	struct jsonw o;

	if (!x || !x->child[CHILD_SECRET].exists ||
	    (want ? x->logout != LOGOUT_NONE : !x->logout)) {
		work_advance(w); /* meanwhile somebody else did */
		return;
	}
	(void)snprintf(rv, sizeof rv, "%llu", (unsigned long long)x->child[CHILD_SECRET].rv);
	buf_init(&body, 4096);
	jsonw_init(&o, &body);
	jsonw_obj(&o);
	jsonw_key(&o, "metadata");
	jsonw_obj(&o);
	jsonw_kstr(&o, "resourceVersion", rv);
	jsonw_key(&o, "annotations");
	jsonw_obj(&o);
	jsonw_kstr(&o, NOTE_HASH, ""); /* wanted again, it is written anew */
	if (want && x->group[0])
		jsonw_kstr(&o, NOTE_NODE, "");
	jsonw_obj_end(&o);
	jsonw_obj_end(&o);
	jsonw_key(&o, "data");
	jsonw_obj(&o);
	jsonw_kstr(&o, FIELD_LOGOUT, want ? "dHJ1ZQ==" : NULL); /* "true" */
	for (size_t i = 0; i < ARRAY_LEN(device) && !want && x->logout == LOGOUT_DONE; i++)
		jsonw_kstr(&o, device[i], NULL);
	jsonw_obj_end(&o);
	jsonw_obj_end(&o);
	if (jsonw_ok(&o) && work_child_path(w, path, CHILD_SECRET, "?fieldManager=" MANAGER))
		work_send(w, "PATCH", path, KUBE_MERGE, buf_bytes(&body));
	else
		work_fail(w, "SyncFailed", "no memory");
	buf_fini(&body);
}

void apply_status(struct work *w)
{
	char name[PROXY_NAME_MAX + 1];
	struct buf body;

	proxy_name(name, w->p.name, w->p.uid);
	buf_init(&body, 1 << 16);
	if (render_status(&body, &w->p, &w->plan, operator_proxy(w->op, name), &w->want,
			  loop_wall()))
		parent_request(w, "status", "?fieldManager=" MANAGER "&force=true", KUBE_APPLY,
			       buf_bytes(&body));
	else
		work_fail(w, "SyncFailed", "no memory");
	buf_fini(&body);
}
