/* operator/work.c - carries one plan out, step after step: each step is one request, or few for a
 * key
 *
 * A plan works on copies of what was seen when it was made. Answers of the API server are taken in
 * as if the watch had told them, so that the next plan does not do the same again. A step that
 * fails ends the plan; the key comes again after a wait, and why is written into the parent's
 * condition.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "operator/operator.h"
#include "operator/render.h"
#include "os/file.h"

enum { SECRET_FILE_MAX = 4096 };

struct work {
	struct operator *op;
	char key[PARENT_KEY_MAX];
	struct parent p; /* copy; has_parent says whether there is one */
	bool has_parent, failed, told;
	struct proxy_class class;
	bool has_class;
	struct want want;
	struct plan plan;
	size_t at;
	/* of a key */
	char new_key[KEYS_TEXT_MAX], new_id[KEYS_ID_MAX];
	wall_t expires;
	char device[64];
};

static void next(struct work *w);

/* --- copies --- */

static bool parent_copy(struct parent *out, const struct parent *p)
{
	*out = *p;
	out->path = NULL;
	out->finalizers = NULL;
	if (p->finalizers && !(out->finalizers = strdup(p->finalizers)))
		return false;
	if (p->path) {
		out->path = malloc(PARENT_PATHS_MAX * sizeof *out->path);
		if (!out->path) {
			parent_fini(out);
			return false;
		}
		memcpy(out->path, p->path, PARENT_PATHS_MAX * sizeof *out->path);
	}
	return true;
}

static void work_free(struct work *w)
{
	parent_fini(&w->p);
	proxy_class_fini(&w->class);
	explicit_bzero(w->new_key, sizeof w->new_key);
	free(w);
}

static void finish(struct work *w)
{
	struct operator *op = w->op;
	const mono_t now = loop_now(op->loop);

	if (w->failed)
		op->stats.failed++;
	else
		op->stats.done++;
	if (!w->failed && !mono_is_never(w->plan.again))
		(void)!kube_queue_add_at(op->queue, w->key, mono_max(w->plan.again, now));
	kube_queue_done(op->queue, w->key, now, w->failed);
	op->workers--;
	work_free(w);
	if (op->stopping && op->workers == 0)
		operator_stop(op, op->exit_code);
	loop_timer_set(&op->work_timer, now);
}

/* --- Events --- */

static void event_sent(void *ctx, const struct web_reply *r)
{
	struct operator *op = ctx;

	op->events_in_flight--;
	kube_count(op->kube, r->status);
}

static void event(struct operator *op, const struct kube_event *ev)
{
	struct kube_event_write out;
	char path[KUBE_PATH_MAX];
	struct buf body;
	struct err e;

	if (op->events_in_flight >= EVENTS_IN_FLIGHT_MAX)
		return;
	buf_init(&body, 1 << 16);
	if (kube_events_add(op->events, ev, loop_now(op->loop), loop_wall(), &out, &body) &&
	    kube_path(path, sizeof path, "v1", "events", out.ns, out.create ? NULL : out.name,
		      NULL) &&
	    kube_send(op->kube, out.create ? "POST" : "PATCH", path,
		      out.create ? KUBE_JSON : KUBE_MERGE, buf_bytes(&body), event_sent, op, &e)) {
		op->events_in_flight++;
		op->stats.events++;
	}
	buf_fini(&body);
}

void operator_event(struct operator *op, const struct parent *p, bool is_warning,
		    const char *reason, const char *message)
{
	const struct kube_event ev = { kinds[p->kind].api_version,
				       kinds[p->kind].kind,
				       p->ns,
				       p->name,
				       p->uid,
				       is_warning,
				       reason,
				       message };

	event(op, &ev);
}

static void tell_notes(struct work *w)
{
	char key[PARENT_KEY_MAX];
	struct record *r;
	uint64_t sum = 1469598103934665603U;

	if (!w->has_parent)
		return;
	parent_key(key, w->p.kind, w->p.ns, w->p.name);
	r = kube_table_get(w->op->parents, key);
	for (size_t i = 0; i < w->plan.n_notes; i++)
		for (const char *c = w->plan.note[i].message; *c; c++)
			sum = (sum ^ (uint8_t)*c) * 1099511628211U;
	if (!r || r->noted == sum)
		return;
	r->noted = sum;
	for (size_t i = 0; i < w->plan.n_notes; i++)
		operator_event(w->op, &w->p, w->plan.note[i].is_warning, w->plan.note[i].reason,
			       w->plan.note[i].message);
}

/* --- failure: into the condition, then again later --- */

static void fail(struct work *w, const char *reason, const char *message)
{
	const struct condition *seen = &w->p.condition;
	struct condition *c = &w->plan.condition;

	log_warn("operator: %s: %s", w->key, message);
	w->failed = true;
	w->plan.n = w->at; /* nothing more of the plan */
	if (!w->has_parent || w->told) {
		finish(w);
		return;
	}
	w->told = true;
	operator_event(w->op, &w->p, true, reason, message);
	if (!kinds[w->p.kind].condition || w->p.is_deleting || w->want.role == ROLE_NONE) {
		finish(w);
		return;
	}
	*c = (struct condition){ .exists = true, .observed = w->p.generation };
	(void)snprintf(c->reason, sizeof c->reason, "%s",
		       w->p.kind == KIND_CONNECTOR ? "ConnectorCreationFailed" : "ProxyFailed");
	(void)bytes_to_str(bytes_str(message), c->message, sizeof c->message);
	if (seen->exists && !seen->is_true)
		memcpy(c->since, seen->since, sizeof c->since);
	if (seen->exists && !seen->is_true && strcmp(seen->reason, c->reason) == 0 &&
	    strcmp(seen->message, c->message) == 0 && seen->observed == c->observed) {
		finish(w);
		return;
	}
	w->plan.step[w->plan.n++] = (struct step){ .kind = STEP_STATUS };
	next(w);
}

/* --- requests to the API server --- */

static const struct step *step_of(const struct work *w)
{
	return &w->plan.step[w->at];
}

static void advance(struct work *w)
{
	w->op->stats.steps[step_of(w)->kind]++;
	w->at++;
	next(w);
}

static void took(struct work *w, struct bytes body)
{
	const struct step *s = step_of(w);
	struct kube_object o;
	struct proxy *x;

	switch (s->kind) {
	case STEP_APPLY:
	case STEP_MINT:
	case STEP_KEY_DROP:
		operator_see_child(w->op, s->child, body, s->kind == STEP_APPLY);
		break;
	case STEP_DELETE:
		x = operator_proxy(w->op, s->proxy);
		if (x && s->child != CHILD_SECRET)
			proxy_lose(x, s->child);
		break;
	case STEP_FINALIZER_ADD:
	case STEP_EXTERNAL_NAME:
	case STEP_STATUS:
		operator_see_parent(w->op, w->p.kind, body);
		if (kube_object_parse(body, &o))
			memcpy(w->p.rv, o.rv, sizeof w->p.rv);
		break;
	case STEP_FINALIZER_DEL:
	case STEP_DELETE_DEVICE:
	case STEP_N:
		break;
	}
}

static void answered(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	const struct step *s = step_of(w);
	char words[256] = "", text[400];

	kube_count(w->op->kube, r->status);
	if (r->status >= 200 && r->status <= 299) {
		took(w, r->body);
		if (s->kind == STEP_STATUS && w->plan.condition.is_true && !w->p.condition.is_true)
			operator_event(w->op, &w->p, false, w->plan.condition.reason,
				       w->plan.condition.message);
		advance(w);
		return;
	}
	if (r->status == 404 && (s->kind == STEP_DELETE || s->kind == STEP_FINALIZER_DEL ||
				 s->kind == STEP_FINALIZER_ADD || s->kind == STEP_STATUS ||
				 s->kind == STEP_EXTERNAL_NAME)) {
		if (s->kind != STEP_DELETE)
			w->plan.n = w->at + 1; /* the parent is gone: nothing more to do for it */
		advance(w);
		return;
	}
	if (r->status == 409) { /* somebody changed it meanwhile: look again soon */
		log_debug("operator: %s: %s: conflict", w->key, step_names[s->kind]);
		w->failed = true;
		finish(w);
		return;
	}
	if (!kube_str_at(r->body, "message", words, sizeof words))
		(void)snprintf(words, sizeof words, "%.200s", r->why);
	(void)snprintf(text, sizeof text, "%s %s: API server: status %u: %s", step_names[s->kind],
		       s->kind == STEP_APPLY || s->kind == STEP_DELETE ? children[s->child].kind
								       : "",
		       r->status, words);
	if (s->kind == STEP_STATUS)
		w->told = true;
	fail(w, "SyncFailed", text);
}

static void send(struct work *w, const char *method, const char *path, const char *type,
		 struct bytes body)
{
	struct err e;

	if (!kube_send(w->op->kube, method, path, type, body, answered, w, &e))
		fail(w, "SyncFailed", e.text);
}

static bool child_path(const struct work *w, char path[static KUBE_PATH_MAX], enum child c,
		       const char *query)
{
	char name[PROXY_NAME_MAX + 16];

	(void)snprintf(name, sizeof name, "%s%s", step_of(w)->proxy, children[c].suffix);
	if (!kube_path(path, KUBE_PATH_MAX - strlen(query), children[c].api_version,
		       children[c].resource, w->op->settings.ns, name, NULL))
		return false;
	memcpy(path + strlen(path), query, strlen(query) + 1);
	return true;
}

static struct render render_of(const struct work *w)
{
	return (struct render){ &w->op->settings, &w->p, &w->want, w->has_class ? &w->class : NULL,
				step_of(w)->proxy };
}

static void do_apply(struct work *w)
{
	const struct step *s = step_of(w);
	const struct render r = render_of(w);
	char path[KUBE_PATH_MAX], hash[HASH_TEXT];
	struct buf body;

	buf_init(&body, RENDER_MAX);
	if (render_hash(&r, s->child, hash) && render_child(&body, &r, s->child, hash) &&
	    child_path(w, path, s->child, "?fieldManager=" MANAGER "&force=true")) {
		if (s->child == CHILD_SET)
			log_info("audit: proxy of %s is %s in %s: hostname %s", w->key, s->proxy,
				 w->op->settings.ns, w->want.hostname);
		send(w, "PATCH", path, KUBE_APPLY, buf_bytes(&body));
	} else {
		fail(w, "SyncFailed", "the object cannot be made: no memory, or too large");
	}
	buf_fini(&body);
}

static void do_delete(struct work *w)
{
	char path[KUBE_PATH_MAX];

	if (step_of(w)->child == CHILD_SET)
		log_info("audit: proxy %s of %s is removed", step_of(w)->proxy, w->key);
	if (child_path(w, path, step_of(w)->child, ""))
		send(w, "DELETE", path, KUBE_JSON,
		     bytes_str("{\"propagationPolicy\":\"Background\"}"));
	else
		fail(w, "SyncFailed", "a name is too long");
}

static void parent_request(struct work *w, const char *sub, const char *query, const char *type,
			   struct bytes body)
{
	char path[KUBE_PATH_MAX];

	if (!kube_path(path, sizeof path - 64, kinds[w->p.kind].api_version,
		       kinds[w->p.kind].resource, w->p.ns, w->p.name, sub)) {
		fail(w, "SyncFailed", "a name is too long");
		return;
	}
	(void)snprintf(path + strlen(path), 64, "%s", query);
	send(w, "PATCH", path, type, body);
}

static void do_finalizer(struct work *w, bool want)
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
	if (jsonw_ok(&o))
		parent_request(w, NULL, "?fieldManager=" MANAGER, KUBE_MERGE, buf_bytes(&body));
	else
		fail(w, "SyncFailed", "no memory");
	buf_fini(&body);
}

static void do_external_name(struct work *w)
{
	struct buf body;
	struct jsonw o;

	buf_init(&body, 4096);
	jsonw_init(&o, &body);
	jsonw_obj(&o);
	jsonw_key(&o, "spec");
	jsonw_obj(&o);
	jsonw_kstr(&o, "externalName", w->plan.external_name);
	jsonw_obj_end(&o);
	jsonw_obj_end(&o);
	if (jsonw_ok(&o))
		parent_request(w, NULL, "?fieldManager=" MANAGER, KUBE_MERGE, buf_bytes(&body));
	else
		fail(w, "SyncFailed", "no memory");
	buf_fini(&body);
}

static void do_status(struct work *w)
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
		fail(w, "SyncFailed", "no memory");
	buf_fini(&body);
}

/* --- the control server --- */

static int secret_file(const char *path, char out[static KEYS_TEXT_MAX], struct err *e)
{
	char *text;
	size_t len;
	int r = file_read(path, SECRET_FILE_MAX, &text, &len, e);

	if (r < 0)
		return r;
	text[strcspn(text, " \t\r\n")] = 0;
	r = *text && bytes_to_str(bytes_str(text), out, KEYS_TEXT_MAX)
		? 0
		: err_say(e, EINVAL, "%s holds no key", path);
	file_wipe(text, len);
	return r;
}

static const char *api_server(const struct operator *op)
{
	return op->options->api_server[0]     ? op->options->api_server
	       : op->options->login_server[0] ? op->options->login_server
					      : "https://api.tailscale.com";
}

static int control(struct work *w, const struct keys_request *rq, const char *bearer,
		   struct bytes body, web_done_fn *fn, struct err *e)
{
	struct operator *op = w->op;
	char auth[KEYS_TEXT_MAX + 32], type[128];
	const char *header[2];
	struct web_request r = { .method = rq->method,
				 .url = rq->url,
				 .header = header,
				 .body = body,
				 .body_max = 1 << 16,
				 .timeout = SPAN_S(20) };
	struct web_call *c;

	if (op->options->ca_file[0])
		r.tls.ca_file = op->options->ca_file;
	if (bearer) {
		(void)snprintf(auth, sizeof auth, "Authorization: Bearer %s", bearer);
		header[r.n_headers++] = auth;
	}
	if (rq->type) {
		(void)snprintf(type, sizeof type, "Content-Type: %s", rq->type);
		header[r.n_headers++] = type;
	}
	c = web_send(op->web, &r, fn, w, e);
	explicit_bzero(auth, sizeof auth);
	return c ? 0 : -EINVAL;
}

static void control_step(struct work *w);

static void got_token(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	struct operator *op = w->op;
	span_t life;
	struct err e;

	if (keys_token_answer(r->status, r->body, op->token, &life, &e) < 0) {
		op->stats.keys_failed++;
		fail(w, "CredentialsFailed", e.text);
		return;
	}
	op->token_until = mono_add(loop_now(op->loop), life);
	control_step(w);
}

/* the bearer for the API: an API key from its file, or a token. 1: a token is being asked for. */
static int bearer(struct work *w, char out[static KEYS_TEXT_MAX], struct err *e)
{
	struct operator *op = w->op;
	struct keys_request rq;
	struct buf body;
	char id[KEYS_TEXT_MAX], secret[KEYS_TEXT_MAX];
	int r;

	if (op->keys != KEYS_OAUTH) {
		if ((r = secret_file(op->options->api_key_file, out, e)) < 0)
			return r;
		op->keys = keys_kind_of(out); /* the file may have changed */
		return 0;
	}
	if (mono_before(loop_now(op->loop), op->token_until)) {
		memcpy(out, op->token, KEYS_TEXT_MAX);
		return 0;
	}
	if ((r = secret_file(op->options->client_id_file, id, e)) < 0 ||
	    (r = secret_file(op->options->client_secret_file, secret, e)) < 0)
		return r;
	buf_init(&body, 8192);
	if (!keys_token(&rq, &body, api_server(op), id, secret))
		r = err_say(e, EINVAL,
			    "OAuth: the URL of the API or the client's secret is too long");
	else
		r = control(w, &rq, NULL, buf_bytes(&body), got_token, e);
	if (body.data)
		explicit_bzero(body.data, body.cap);
	explicit_bzero(secret, sizeof secret);
	buf_fini(&body);
	return r < 0 ? r : 1;
}

static void store_key(struct work *w)
{
	const struct render r = render_of(w);
	const struct proxy *x = operator_proxy(w->op, step_of(w)->proxy);
	const bool drop = step_of(w)->kind == STEP_KEY_DROP;
	char path[KUBE_PATH_MAX];
	struct buf body;

	buf_init(&body, 1 << 16);
	if (render_key(&body, &r, w->new_key, drop && x ? x->key_id : w->new_id,
		       drop && x ? x->key_expires : w->expires,
		       drop && x ? x->key_tags : w->want.tags) &&
	    child_path(w, path, CHILD_SECRET, "?fieldManager=" MANAGER_KEY "&force=true"))
		send(w, "PATCH", path, KUBE_APPLY, buf_bytes(&body));
	else
		fail(w, "SyncFailed", "no memory");
	if (body.data)
		explicit_bzero(body.data, body.cap);
	buf_fini(&body);
	explicit_bzero(w->new_key, sizeof w->new_key);
}

static void has_key(struct work *w)
{
	struct proxy *x = operator_proxy(w->op, step_of(w)->proxy);
	char time[WALL_TEXT];

	w->op->stats.keys++;
	if (x) {
		x->minted = loop_now(w->op->loop);
		x->device_gone = false;
	}
	log_info("audit: auth key %s for %s of %s: %s, tags %s, ends %s",
		 w->new_id[0] ? w->new_id : "(fixed)", step_of(w)->proxy, w->key,
		 keys_kind_names[w->op->keys],
		 w->op->keys == KEYS_FIXED ? "of the key" : w->want.tags,
		 w->expires.ns ? wall_text(w->expires, time) : "never");
	store_key(w);
}

static void minted(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	struct err e;
	int rc = keys_mint_answer(w->op->keys, r->status, r->body, w->new_key, w->new_id, &e);

	if (rc < 0) {
		w->op->stats.keys_failed++;
		if (rc == -EACCES)
			w->op->token_until = (mono_t){ INT64_MIN };
		fail(w, "KeyFailed", e.text);
		return;
	}
	has_key(w);
}

static void left(struct work *w, const char *why)
{
	char text[400];

	w->op->stats.devices_left++;
	(void)snprintf(text, sizeof text,
		       "device %s stays in the tailnet: %.200s; delete it there by hand", w->device,
		       why);
	log_warn("audit: %s: %s", w->key, text);
	if (w->has_parent)
		operator_event(w->op, &w->p, true, "DeviceLeft", text);
}

static bool cleanup_is_over(const struct work *w, struct proxy *x)
{
	const mono_t now = loop_now(w->op->loop);

	if (x && mono_is_never(x->cleanup_since))
		x->cleanup_since = now;
	return (w->has_parent && w->p.is_deleting &&
		loop_wall().ns - w->p.deleted.ns > SPAN_S(CLEANUP_MAX_S).ns) ||
	       (x && mono_sub(now, x->cleanup_since).ns > SPAN_S(CLEANUP_MAX_S).ns);
}

static void device_failed(struct work *w, const struct err *e)
{
	struct proxy *x = operator_proxy(w->op, step_of(w)->proxy);

	if (!cleanup_is_over(w, x)) {
		fail(w, "CleanupFailed", e->text);
		return;
	}
	left(w, e->text);
	if (x)
		x->device_gone = true;
	advance(w);
}

static void device_deleted(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	struct proxy *x = operator_proxy(w->op, step_of(w)->proxy);
	struct err e;

	if (keys_delete_answer(r->status, r->body, &e) < 0) {
		if (r->status == 401)
			w->op->token_until = (mono_t){ INT64_MIN };
		device_failed(w, &e);
		return;
	}
	if (x)
		x->device_gone = true;
	w->op->stats.devices_deleted++;
	log_info("audit: device %s of %s is deleted", w->device, w->key);
	advance(w);
}

/* STEP_MINT and STEP_DELETE_DEVICE, once more from the start when a token has come */
static void control_step(struct work *w)
{
	struct operator *op = w->op;
	const bool mint = step_of(w)->kind == STEP_MINT;
	char token[KEYS_TEXT_MAX] = "";
	struct keys_request rq;
	struct buf body;
	struct err e = { 0 };
	int r = bearer(w, token, &e);

	if (r == 1)
		return;
	buf_init(&body, 8192);
	if (r == 0) {
		w->expires = (wall_t){ loop_wall().ns + SPAN_S(KEY_LIFE_S).ns };
		if (!(mint ? keys_mint(&rq, &body, op->keys, api_server(op),
				       op->options->headscale_user, w->want.tags, loop_wall(),
				       w->expires)
			   : keys_delete_device(&rq, op->keys, api_server(op), w->device)))
			r = err_say(&e, EINVAL,
				    "the request to the control server is too long, or the device "
				    "id no id");
		else
			r = control(w, &rq, token, buf_bytes(&body), mint ? minted : device_deleted,
				    &e);
	}
	buf_fini(&body);
	explicit_bzero(token, sizeof token);
	if (r < 0 && mint) {
		op->stats.keys_failed++;
		fail(w, "KeyFailed", e.text);
	} else if (r < 0) {
		device_failed(w, &e);
	}
}

static void do_mint(struct work *w)
{
	struct err e;

	if (w->op->keys != KEYS_FIXED) {
		control_step(w);
		return;
	}
	if (secret_file(w->op->options->auth_key_file, w->new_key, &e) < 0) {
		fail(w, "KeyFailed", e.text);
		return;
	}
	w->new_id[0] = 0;
	w->expires = WALL_ZERO;
	has_key(w);
}

static void do_delete_device(struct work *w)
{
	struct proxy *x = operator_proxy(w->op, step_of(w)->proxy);

	if (!x || !x->device_id[0] || x->device_gone) {
		advance(w);
		return;
	}
	memcpy(w->device, x->device_id, sizeof w->device);
	if (w->op->keys == KEYS_FIXED) {
		left(w, "the operator has a fixed auth key and no API");
		x->device_gone = true;
		advance(w);
		return;
	}
	control_step(w);
}

/* --- the plan --- */

static void next(struct work *w)
{
	if (w->at == w->plan.n || (!w->op->leading && !w->failed)) {
		if (!w->failed && w->at == w->plan.n)
			tell_notes(w);
		finish(w);
		return;
	}
	switch (step_of(w)->kind) {
	case STEP_FINALIZER_ADD:
		do_finalizer(w, true);
		break;
	case STEP_FINALIZER_DEL:
		do_finalizer(w, false);
		break;
	case STEP_APPLY:
		do_apply(w);
		break;
	case STEP_DELETE:
		do_delete(w);
		break;
	case STEP_MINT:
		do_mint(w);
		break;
	case STEP_KEY_DROP:
		store_key(w);
		break;
	case STEP_DELETE_DEVICE:
		do_delete_device(w);
		break;
	case STEP_EXTERNAL_NAME:
		do_external_name(w);
		break;
	case STEP_STATUS:
		do_status(w);
		break;
	case STEP_N:
		break;
	}
}

enum { PROXIES_OF_PARENT_MAX = 8 };

static size_t proxies_of(struct operator *op, const char *key, const struct proxy **out)
{
	struct kube_table_walk t = { 0 };
	size_t n = 0;

	while (n < PROXIES_OF_PARENT_MAX && kube_table_next(op->proxies, &t))
		if (strcmp(((struct proxy *)t.value)->parent, key) == 0)
			out[n++] = t.value;
	return n;
}

static bool make_plan(struct work *w)
{
	struct operator *op = w->op;
	const struct record *r = kube_table_get(op->parents, w->key);
	const struct class_record *c = NULL;
	const struct proxy *x[PROXIES_OF_PARENT_MAX];
	const size_t n = proxies_of(op, w->key, x);
	char hash[CHILD_N][HASH_TEXT] = { { 0 } }, name[PROXY_NAME_MAX + 1];

	if (r) {
		if (!parent_copy(&w->p, &r->p))
			return false;
		w->has_parent = true;
		c = kube_table_get(op->classes, want_class(&w->p, &op->settings));
		want_make(&w->want, &w->p, &op->settings, c ? &c->c : NULL);
		if (c && c->c.is_valid) {
			w->class = c->c;
			w->class.spec = strdup(c->c.spec);
			w->has_class = w->class.spec != NULL;
			if (!w->has_class)
				return false;
		}
		proxy_name(name, w->p.name, w->p.uid);
		if (w->want.role != ROLE_NONE && w->want.role != ROLE_KEEP) {
			const struct render rd = { &op->settings, &w->p, &w->want,
						   w->has_class ? &w->class : NULL, name };

			for (int i = 0; i < CHILD_N; i++)
				if (render_wants(&rd, (enum child)i) &&
				    !render_hash(&rd, (enum child)i, hash[i]))
					return false;
		}
	}
	plan_make(&w->plan, w->has_parent ? &w->p : NULL, &w->want, x, n, &op->settings,
		  (const char(*)[HASH_TEXT])hash, loop_now(op->loop), loop_wall());
	return true;
}

void operator_work(struct operator *op)
{
	const mono_t now = loop_now(op->loop);
	const char *key;

	while (op->leading && !op->stopping && op->workers < WORKERS_MAX &&
	       (key = kube_queue_take(op->queue, now))) {
		struct work *w = calloc(1, sizeof *w);
		enum kind kind;
		char ns[KUBE_NS_MAX + 1], name[KUBE_NAME_MAX + 1];

		if (!w) {
			kube_queue_done(op->queue, key, now, true);
			continue;
		}
		w->op = op;
		op->workers++;
		(void)bytes_to_str(bytes_str(key), w->key, sizeof w->key);
		if (!parent_key_parse(key, &kind, ns, name)) {
			finish(w);
		} else if (!op->source[kind].synced) {
			finish(w); /* not to be taken for gone; comes again when the list is
				      complete */
		} else if (!make_plan(w)) {
			log_error("operator: %s: no memory", w->key);
			w->failed = true;
			finish(w);
		} else {
			next(w);
		}
	}
	if (op->leading && op->workers < WORKERS_MAX)
		loop_timer_set(&op->work_timer, kube_queue_deadline(op->queue, now));
}
