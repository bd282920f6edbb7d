/* operator/work.c - carries one plan out, step after step: each step is one request, or few for a
 * key
 *
 * A plan works on copies of what was seen when it was made. Answers of the API server are taken in
 * as if the watch had told them, so that the next plan does not do the same again. A step that
 * fails ends the plan; the key comes again after a wait, and why is written into the parent's
 * condition.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "operator/render.h"
#include "operator/work_priv.h"

enum { WORDS_MAX = 4096 }; /* of the API server; as much of them is told as a condition holds */

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
		out->path = malloc(p->n_paths * sizeof *out->path);
		if (!out->path) {
			parent_fini(out);
			return false;
		}
		memcpy(out->path, p->path, p->n_paths * sizeof *out->path);
	}
	return true;
}

static void work_free(struct work *w)
{
	parent_fini(&w->p);
	proxy_class_fini(&w->class);
	free(w->member);
	facts_fini(&w->facts);
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

/* --- failure: into the condition, then again later --- */

void work_fail(struct work *w, const char *reason, const char *message)
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

const struct step *work_step(const struct work *w)
{
	return &w->plan.step[w->at];
}

void work_advance(struct work *w)
{
	w->op->stats.steps[work_step(w)->kind]++;
	w->at++;
	next(w);
}

static void took(struct work *w, struct bytes body)
{
	const struct step *s = work_step(w);
	struct kube_object o;
	struct proxy *x;

	switch (s->kind) {
	case STEP_APPLY:
	case STEP_MINT:
	case STEP_KEY_DROP:
	case STEP_LOGOUT:
	case STEP_LOGOUT_UNDO:
		operator_see_child(w->op, s->child, body, s->kind == STEP_APPLY);
		break;
	case STEP_DELETE:
		x = operator_proxy(w->op, s->proxy);
		if (work_awaits_end(w))
			operator_see_child(w->op, s->child, body, false);
		else if (x && s->child != CHILD_SECRET)
			proxy_lose(x, s->child);
		break;
	case STEP_FINALIZER_ADD:
	case STEP_EXTERNAL_NAME:
	case STEP_STATUS:
		operator_see_parent(w->op, w->p.kind, body);
		if (kube_object_parse(body, &o))
			memcpy(w->p.rv, o.rv, sizeof w->p.rv);
		break;
	case STEP_RECORD:
		sweep_recorded(w);
		break;
	case STEP_FINALIZER_DEL:
	case STEP_DELETE_DEVICE:
	case STEP_FIND_DEVICE:
	case STEP_ROUTES:
	case STEP_N:
		break;
	}
}

/* Not within a character. */
static void cut_text(char *text, size_t max)
{
	size_t n = strlen(text);

	if (n <= max)
		return;
	for (n = max; n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80; n--)
		;
	text[n] = 0;
}

static void answered(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	const struct step *s = work_step(w);
	char words[WORDS_MAX] = "", text[WORDS_MAX + 100];

	operator_wrote(w->op);
	kube_count(w->op->kube, r->status);
	if (r->status >= 200 && r->status <= 299) {
		took(w, r->body);
		if (s->kind == STEP_STATUS && w->plan.condition.is_true && !w->p.condition.is_true)
			operator_event(w->op, &w->p, false, w->plan.condition.reason,
				       w->plan.condition.message);
		work_advance(w);
		return;
	}
	if (r->status == 404 &&
	    (s->kind == STEP_DELETE || s->kind == STEP_LOGOUT || s->kind == STEP_LOGOUT_UNDO ||
	     s->kind == STEP_FINALIZER_DEL || s->kind == STEP_FINALIZER_ADD ||
	     s->kind == STEP_STATUS || s->kind == STEP_EXTERNAL_NAME)) {
		if (s->kind != STEP_DELETE && s->kind != STEP_LOGOUT && s->kind != STEP_LOGOUT_UNDO)
			w->plan.n = w->at + 1; /* the parent is gone: nothing more to do for it */
		work_advance(w);
		return;
	}
	if (r->status == 404 && s->kind == STEP_RECORD && !w->is_new_shard) {
		w->is_new_shard = true;
		sweep_record(w, true);
		return;
	}
	if (r->status == 409) { /* somebody changed it meanwhile: look again soon */
		log_debug("operator: %s: %s: conflict", w->key, step_names[s->kind]);
		w->failed = true;
		finish(w);
		return;
	}
	if (!kube_str_at(r->body, "message", words, sizeof words))
		(void)snprintf(words, sizeof words, "%.200s",
			       *r->why ? r->why : "its answer has no words, or too many");
	(void)snprintf(text, sizeof text, "%s %s: API server: status %u: %s", step_names[s->kind],
		       s->kind == STEP_APPLY || s->kind == STEP_DELETE ? children[s->child].kind
								       : "",
		       r->status, words);
	cut_text(text, sizeof w->plan.condition.message - 1);
	if (s->kind == STEP_STATUS)
		w->told = true;
	work_fail(w, "SyncFailed", text);
}

void operator_writes(struct operator *op)
{
	if (++op->n_writes == op->kill_at && !op->kill_after)
		(void)raise(op->kill_by);
}

void operator_wrote(struct operator *op)
{
	if (++op->n_answers == op->kill_at && op->kill_after)
		(void)raise(op->kill_by);
}

bool operator_leads(const struct operator *op)
{
	return op->leading && kube_lease_is_mine(&op->lease, loop_clock());
}

void work_send(struct work *w, const char *method, const char *path, const char *type,
	       struct bytes body)
{
	struct err e;

	operator_writes(w->op);
	if (!operator_leads(w->op)) {
		w->failed = true;
		finish(w);
		return;
	}
	if (!kube_send(w->op->kube, method, path, type, body, answered, w, &e))
		work_fail(w, "SyncFailed", e.text);
}

/* --- the plan --- */

static void next(struct work *w)
{
	const bool is_through = w->at == w->plan.n;

	if (is_through || !operator_leads(w->op)) {
		w->failed = w->failed || !is_through; /* again, if it leads after all */
		if (!w->failed)
			tell_notes(w);
		finish(w);
		return;
	}
	switch (work_step(w)->kind) {
	case STEP_FINALIZER_ADD:
		apply_finalizer(w, true);
		break;
	case STEP_FINALIZER_DEL:
		apply_finalizer(w, false);
		break;
	case STEP_APPLY:
		apply_child(w);
		break;
	case STEP_DELETE:
		apply_delete(w);
		break;
	case STEP_MINT:
		device_mint(w);
		break;
	case STEP_KEY_DROP:
		device_store_key(w);
		break;
	case STEP_LOGOUT:
		apply_logout(w, true);
		break;
	case STEP_LOGOUT_UNDO:
		apply_logout(w, false);
		break;
	case STEP_DELETE_DEVICE:
		device_delete(w);
		break;
	case STEP_FIND_DEVICE:
		device_find(w);
		break;
	case STEP_RECORD:
		w->is_new_shard = false;
		sweep_record(w, false);
		break;
	case STEP_EXTERNAL_NAME:
		apply_external_name(w);
		break;
	case STEP_ROUTES:
		device_routes(w);
		break;
	case STEP_STATUS:
		apply_status(w);
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

	while (n < PROXIES_OF_PARENT_MAX && kube_table_next(op->proxies, &t)) {
		struct proxy *x = t.value;

		if (strcmp(x->parent, key) != 0)
			continue;
		x->is_recorded = sweep_knows(op, x);
		if (x->logout != LOGOUT_ASKED)
			x->asked_logout = MONO_NEVER;
		else if (mono_is_never(x->asked_logout))
			x->asked_logout = loop_now(op->loop);
		out[n++] = x;
	}
	return n;
}

/* What was seen of the parent and its class, copied. */
static bool load(struct work *w)
{
	struct operator *op = w->op;
	const struct record *r = kube_table_get(op->parents, w->key);
	const struct class_record *c;

	if (!r)
		return true;
	if (!parent_copy(&w->p, &r->p))
		return false;
	w->has_parent = true;
	c = kube_table_get(op->classes, want_class(&w->p, &op->settings));
	if (!c)
		return true;
	w->class = c->c;
	w->class.spec = c->c.spec ? strdup(c->c.spec) : NULL;
	w->has_class = true;
	return !c->c.spec || w->class.spec;
}

/* What was noted of a Service that is gone, and has nothing in the cluster. */
static size_t forget(struct work *w, const struct proxy **x, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (proxy_exists(x[i]))
			x[kept++] = x[i];
		else
			operator_proxy_drop(w->op, operator_proxy(w->op, x[i]->name));
	return kept;
}

static bool make_hashes(struct work *w, const char *name, char (*hash)[HASH_TEXT])
{
	const struct render rd = { .settings = &w->op->settings,
				   .parent = &w->p,
				   .want = &w->want,
				   .class = work_class(w),
				   .proxy = name,
				   .facts = &w->facts };

	if (w->want.role == ROLE_NONE || w->want.role == ROLE_KEEP)
		return true;
	for (int i = 0; i < CHILD_N; i++)
		if (render_wants(&rd, (enum child)i) && !render_hash(&rd, (enum child)i, hash[i]))
			return false;
	return true;
}

static bool make_plan(struct work *w)
{
	struct operator *op = w->op;
	const struct proxy *x[PROXIES_OF_PARENT_MAX];
	const bool is_class = strncmp(w->key, "proxyclass/", 11) == 0;
	char hash[CHILD_N][HASH_TEXT] = { { 0 } }, name[PROXY_NAME_MAX + 1];
	size_t n;

	if (w->has_parent) {
		want_make(&w->want, &w->p, &op->settings, w->has_class ? &w->class : NULL,
			  &w->facts);
		proxy_name(name, w->p.name, w->p.uid);
		if (!groups_place(w, name) || !make_hashes(w, name, hash))
			return false;
	}
	n = is_class ? 0 : proxies_of(op, w->key, x); /* those of a class are its groups */
	if (!w->has_parent)
		n = forget(w, x, n);
	plan_make(&w->plan, w->has_parent ? &w->p : NULL, &w->want, x, n, &op->settings,
		  (const char(*)[HASH_TEXT])hash, loop_now(op->loop), loop_wall());
	return !is_class || groups_plan(w);
}

void work_plan(struct work *w)
{
	if (make_plan(w)) {
		next(w);
		return;
	}
	log_error("operator: %s: no memory", w->key);
	w->failed = true;
	finish(w);
}

static bool needs_lookup(const struct work *w)
{
	return w->has_parent && w->p.kind == KIND_INGRESS && !w->p.is_deleting &&
	       strcmp(w->p.class_name, w->op->settings.class_name) == 0;
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
		w->plan.again = MONO_NEVER;
		op->workers++;
		(void)bytes_to_str(bytes_str(key), w->key, sizeof w->key);
		if (!parent_key_parse(key, &kind, ns, name)) {
			finish(w);
		} else if (!op->source[kind].synced) {
			finish(w); /* not to be taken for gone; comes again when the list is
				      complete */
		} else if (!kube_table_get(op->parents, key) &&
			   !operator_source_is_whole(&op->source[kind])) {
			finish(w); /* it may be one that was too much for us: what it has stays */
		} else if (!load(w)) {
			log_error("operator: %s: no memory", w->key);
			w->failed = true;
			finish(w);
		} else if (needs_lookup(w)) {
			lookup_start(w);
		} else {
			work_plan(w);
		}
	}
	if (op->leading && op->workers < WORKERS_MAX)
		loop_timer_set(&op->work_timer, kube_queue_deadline(op->queue, now));
}
