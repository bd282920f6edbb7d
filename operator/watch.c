/* operator/watch.c - what is seen: parents that matter, proxies by their objects, ProxyClasses */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "operator/group.h"
#include "operator/operator.h"

#define SELECT_MANAGED "labelSelector=tailscale.com%2Fmanaged%3Dtrue"

void operator_enqueue(struct operator *op, const char *key)
{
	if (!op->leading || op->stopping)
		return;
	if (!kube_queue_add(op->queue, key))
		log_error("operator: no room in the queue for %s", key);
	loop_timer_set(&op->work_timer, loop_now(op->loop));
}

void operator_enqueue_all(struct operator *op)
{
	struct kube_table_walk w = { 0 };

	while (kube_table_next(op->parents, &w))
		operator_enqueue(op, w.name);
	w = (struct kube_table_walk){ 0 };
	while (kube_table_next(op->proxies, &w))
		operator_enqueue(op, ((struct proxy *)w.value)->parent);
}

struct proxy *operator_proxy(struct operator *op, const char *name)
{
	return kube_table_get(op->proxies, name);
}

/* --- parents --- */

static void record_drop(struct operator *op, const char *key)
{
	struct record *r = kube_table_get(op->parents, key);
	char copy[PARENT_KEY_MAX];

	if (!r)
		return;
	(void)bytes_to_str(bytes_str(key), copy, sizeof copy); /* key may lie in the table */
	kube_table_del(op->parents, copy);
	parent_fini(&r->p);
	free(r);
	operator_enqueue(op, copy);
}

/* The answer to a write of ours may come after the watch has told of what somebody else did later:
 * another version, the end of the object, another one of its name. A watch tells in the order of
 * versions, so what is not newer than its last word is known, or past. */
static bool is_told(struct source *s, const char *rv, bool by_watch)
{
	uint64_t n;

	if (!text_u64(bytes_str(rv), &n))
		return false;
	if (!by_watch)
		return n <= s->rv;
	s->rv = MAX_OF(s->rv, n);
	return false;
}

/* A watch that goes on at another API server may go back a little. */
static bool is_older(const struct parent *p, const struct parent *seen)
{
	uint64_t a, b;

	return strcmp(p->uid, seen->uid) == 0 && text_u64(bytes_str(p->rv), &a) &&
	       text_u64(bytes_str(seen->rv), &b) && a < b;
}

static void see_parent(struct source *s, struct bytes object, bool by_watch)
{
	struct operator *op = s->op;
	const enum kind kind = (enum kind)s->index;
	char key[PARENT_KEY_MAX];
	struct record *r;
	struct parent *p = malloc(sizeof *p);

	if (!p || !parent_parse(p, kind, object)) {
		op->stats.dropped++;
		s->incomplete = true;
		log_warn("operator: a %s that makes no sense is left out", kinds[kind].kind);
		free(p);
		return;
	}
	parent_key(key, kind, p->ns, p->name);
	r = kube_table_get(op->parents, key);
	if (is_told(s, p->rv, by_watch) || (r && is_older(p, &r->p))) {
		if (r)
			r->epoch = s->epoch;
		parent_fini(p);
		free(p);
		return;
	}
	if (!parent_matters(p, op->settings.class_name, op->settings.default_load_balancer)) {
		parent_fini(p);
		free(p);
		record_drop(op, key);
		return;
	}
	if (!r) {
		r = kube_table_count(op->parents) < PARENTS_MAX ? calloc(1, sizeof *r) : NULL;
		if (!r || !kube_table_put(op->parents, key, r)) {
			log_error("operator: no room for %s", key);
			op->stats.dropped++;
			s->incomplete = true;
			free(r);
			parent_fini(p);
			free(p);
			return;
		}
	} else {
		if (strcmp(r->p.uid, p->uid) != 0)
			r->noted = 0; /* the other one's Events */
		parent_fini(&r->p);
	}
	r->p = *p;
	r->epoch = s->epoch;
	free(p);
	operator_enqueue(op, key);
}

void operator_see_parent(struct operator *op, enum kind kind, struct bytes object)
{
	see_parent(&op->source[kind], object, false);
}

static void lose_parent(struct source *s, struct bytes object)
{
	struct kube_object o;
	char key[PARENT_KEY_MAX];

	if (!kube_object_parse(object, &o))
		return;
	(void)is_told(s, o.rv, true);
	parent_key(key, (enum kind)s->index, o.ns, o.name);
	record_drop(s->op, key);
}

/* --- proxies --- */

void operator_proxy_drop(struct operator *op, struct proxy *x)
{
	kube_table_del(op->proxies, x->name);
	proxy_fini(x);
	free(x);
}

struct proxy *operator_proxy_make(struct operator *op, const char *name)
{
	struct proxy *x = operator_proxy(op, name);

	if (x)
		return x;
	x = kube_table_count(op->proxies) < PROXIES_MAX ? calloc(1, sizeof *x) : NULL;
	if (!x || !kube_table_put(op->proxies, name, x)) {
		free(x);
		op->stats.dropped++;
		return NULL;
	}
	(void)bytes_to_str(bytes_str(name), x->name, sizeof x->name);
	x->minted = x->cleanup_since = x->leaves = x->asked_logout = MONO_NEVER;
	return x;
}

/* What stands in the list of a group for it. */
static uint64_t place_hash(const struct proxy *x)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
	const char *const texts[] = { x->group, x->node ? x->node : "",
				      group_can_run(x) ? "1" : "0" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (const char *p = texts[i]; *p; p++)
			h = (h ^ (uint8_t)*p) * UINT64_C(1099511628211);
	return h;
}

/* The list of the group at this place is to be looked at. */
static void enqueue_group(struct operator *op, const char *place)
{
	char key[PARENT_KEY_MAX];
	struct group_place at;

	if (!*place || !group_place_parse(place, &at))
		return;
	parent_key(key, KIND_PROXYCLASS, "", at.class);
	operator_enqueue(op, key);
}

/* Others in the slot of x: one of them has to move. */
static void enqueue_slot(struct operator *op, const struct proxy *x)
{
	struct kube_table_walk w = { 0 };

	while (op->leading && x->group[0] && kube_table_next(op->proxies, &w)) {
		const struct proxy *y = w.value;

		if (y != x && strcmp(y->group, x->group) == 0)
			operator_enqueue(op, y->parent);
	}
}

static void see_child(struct source *s, struct bytes object, bool by_watch, bool applied)
{
	struct operator *op = s->op;
	const enum child c = (enum child)s->index;
	struct kube_object o;
	char name[PROXY_NAME_MAX + 1], parent[PARENT_KEY_MAX], uid[KUBE_UID_MAX + 1];
	char place[GROUP_TEXT] = "";
	uint64_t before = 0;
	struct proxy *x;

	if (!kube_object_parse(object, &o))
		return;
	if (is_told(s, o.rv, by_watch)) {
		if (applied && proxy_of_child(&o, c, name, parent, uid) &&
		    (x = operator_proxy(op, name)) && x->child[c].exists)
			x->child[c].applied = proxy_child_state(&o, c);
		return;
	}
	if (!proxy_of_child(&o, c, name, parent, uid))
		return; /* labelled so by somebody else: not ours */
	x = operator_proxy_make(op, name);
	if (!x)
		return;
	memcpy(x->parent, parent, sizeof x->parent);
	memcpy(x->parent_uid, uid, sizeof x->parent_uid);
	if (c == CHILD_SECRET) {
		before = place_hash(x);
		memcpy(place, x->group, sizeof place);
	}
	proxy_see(x, c, &o, s->epoch);
	if (c == CHILD_SECRET && place_hash(x) != before) {
		enqueue_group(op, place);
		enqueue_group(op, x->group);
		enqueue_slot(op, x);
	}
	if (applied)
		x->child[c].applied = proxy_child_state(&o, c);
	else
		operator_enqueue(op, parent);
}

void operator_see_child(struct operator *op, enum child c, struct bytes object, bool applied)
{
	see_child(&op->source[KIND_N + c], object, false, applied);
}

static void lose_child(struct source *s, struct bytes object)
{
	struct operator *op = s->op;
	const enum child c = (enum child)s->index;
	struct kube_object o;
	char name[PROXY_NAME_MAX + 1], parent[PARENT_KEY_MAX], uid[KUBE_UID_MAX + 1];
	struct proxy *x;

	if (!kube_object_parse(object, &o))
		return;
	(void)is_told(s, o.rv, true);
	if (!proxy_of_child(&o, c, name, parent, uid) || !(x = operator_proxy(op, name)))
		return;
	if (c == CHILD_SECRET)
		enqueue_group(op, x->group);
	proxy_lose(x, c);
	operator_enqueue(op, x->parent);
	if (!proxy_exists(x))
		operator_proxy_drop(op, x);
}

/* --- classes --- */

static void class_users(struct operator *op, const char *name)
{
	struct kube_table_walk w = { 0 };

	while (kube_table_next(op->parents, &w))
		if (strcmp(want_class(&((struct record *)w.value)->p, &op->settings), name) == 0)
			operator_enqueue(op, w.name);
}

static void class_drop(struct operator *op, const char *name)
{
	struct class_record *c = kube_table_del(op->classes, name);

	if (!c)
		return;
	proxy_class_fini(&c->c);
	class_users(op, c->c.name);
	free(c);
}

static void see_class(struct operator *op, struct bytes object, unsigned epoch)
{
	struct proxy_class c;
	struct kube_object o;
	struct class_record *r;

	if (!kube_object_parse(object, &o))
		return;
	proxy_class_parse(&c, object);
	r = kube_table_get(op->classes, c.name);
	if (!r) {
		r = kube_table_count(op->classes) < CLASSES_MAX ? calloc(1, sizeof *r) : NULL;
		if (!r || !kube_table_put(op->classes, c.name, r)) {
			log_error("operator: no room for ProxyClass %s", c.name);
			free(r);
			proxy_class_fini(&c);
			return;
		}
	} else {
		proxy_class_fini(&r->c);
	}
	r->c = c;
	r->epoch = epoch;
	class_users(op, c.name);
}

/* --- collections --- */

/* a list is complete: what it did not name is gone */
static void sweep(struct source *s)
{
	struct operator *op = s->op;
	struct kube_table_walk w = { 0 };
	char name[KUBE_NAME_MAX + 1];

	if (s->what == SOURCE_PARENT) {
		while (kube_table_next(op->parents, &w)) {
			struct record *r = w.value;

			if ((int)r->p.kind == s->index && r->epoch != s->epoch)
				record_drop(op, w.name);
		}
	} else if (s->what == SOURCE_CHILD) {
		while (kube_table_next(op->proxies, &w)) {
			struct proxy *x = w.value;

			if (x->child[s->index].exists && x->child[s->index].epoch != s->epoch) {
				if (s->index == CHILD_SECRET)
					enqueue_group(op, x->group);
				proxy_lose(x, (enum child)s->index);
				operator_enqueue(op, x->parent);
				if (!proxy_exists(x))
					operator_proxy_drop(op, x);
			}
		}
	} else {
		while (kube_table_next(op->classes, &w))
			if (((struct class_record *)w.value)->epoch != s->epoch) {
				(void)bytes_to_str(bytes_str(w.name), name, sizeof name);
				class_drop(op, name);
			}
	}
}

static void synced(struct source *s)
{
	struct operator *op = s->op;
	const bool is_first = !s->synced;

	s->synced = true;
	if (op->synced) {
		/* of a kind that is not waited for: what it was needed for; or what was left as it
		 * was */
		if (is_first || !s->was_whole)
			operator_enqueue_all(op);
		return;
	}
	for (size_t i = 0; i < SOURCES; i++)
		if (op->source[i].needed && !op->source[i].synced)
			return;
	op->synced = true;
	log_info("operator: in sync: %zu objects of users, %zu proxies",
		 kube_table_count(op->parents), kube_table_count(op->proxies));
	operator_lead(op);
}

static uint64_t dropped(const struct source *s)
{
	return s->watcher ? kube_watcher_stats(s->watcher)->dropped : 0;
}

bool operator_source_is_whole(const struct source *s)
{
	return s->synced && !s->incomplete && dropped(s) == s->dropped;
}

void operator_source_event(void *ctx, enum kube_watch_ev ev, struct bytes object)
{
	struct source *s = ctx;
	struct kube_object o;

	switch (ev) {
	case KUBE_WATCH_BEGIN:
		s->epoch++;
		s->was_whole = operator_source_is_whole(s);
		s->incomplete = false;
		s->dropped = dropped(s);
		break;
	case KUBE_WATCH_PUT:
		if (s->what == SOURCE_PARENT)
			see_parent(s, object, true);
		else if (s->what == SOURCE_CHILD)
			see_child(s, object, true, false);
		else
			see_class(s->op, object, s->epoch);
		break;
	case KUBE_WATCH_DEL:
		if (s->what == SOURCE_PARENT)
			lose_parent(s, object);
		else if (s->what == SOURCE_CHILD)
			lose_child(s, object);
		else if (kube_object_parse(object, &o))
			class_drop(s->op, o.name);
		break;
	case KUBE_WATCH_SYNCED:
		sweep(s);
		synced(s);
		break;
	case KUBE_WATCH_MORE:
		break;
	}
}

static bool watch(struct operator *op, size_t at, enum source_kind what, int index,
		  const char *group, const char *resource, const char *ns, const char *selector)
{
	struct source *s = &op->source[at];
	char path[KUBE_PATH_MAX];

	s->op = op;
	s->what = what;
	s->index = index;
	if (!kube_path(path, sizeof path, group, resource, ns, NULL, NULL))
		return false;
	s->watcher = kube_watcher_new(op->kube, resource, path, selector, operator_source_event, s);
	return s->watcher != NULL;
}

bool operator_watch(struct operator *op)
{
	bool ok = true;

	for (int k = 0; k < KIND_N && ok; k++) {
		op->source[k].needed = kinds[k].is_core;
		ok = watch(op, (size_t)k, SOURCE_PARENT, k, kinds[k].api_version, kinds[k].resource,
			   NULL, NULL);
	}
	for (int c = 0; c < CHILD_N && ok; c++) {
		op->source[KIND_N + c].needed = true;
		ok = watch(op, (size_t)(KIND_N + c), SOURCE_CHILD, c, children[c].api_version,
			   children[c].resource, op->settings.ns, SELECT_MANAGED);
	}
	return ok && watch(op, SOURCES - 1, SOURCE_CLASS, 0, "tailscale.com/v1alpha1",
			   "proxyclasses", NULL, NULL);
}

void operator_unwatch(struct operator *op)
{
	struct kube_table_walk w = { 0 };

	for (size_t i = 0; i < SOURCES; i++)
		kube_watcher_free(op->source[i].watcher);
	if (op->parents)
		while (kube_table_next(op->parents, &w)) {
			parent_fini(&((struct record *)w.value)->p);
			free(w.value);
		}
	w = (struct kube_table_walk){ 0 };
	if (op->proxies)
		while (kube_table_next(op->proxies, &w)) {
			proxy_fini(w.value);
			free(w.value);
		}
	w = (struct kube_table_walk){ 0 };
	if (op->classes)
		while (kube_table_next(op->classes, &w)) {
			proxy_class_fini(&((struct class_record *)w.value)->c);
			free(w.value);
		}
	kube_table_free(op->parents);
	kube_table_free(op->proxies);
	kube_table_free(op->classes);
}
