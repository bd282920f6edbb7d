/* operator/groups.c - groups in the work of a plan: where a Service's node goes, and the objects of
 * a ProxyClass' groups (group.h)
 *
 * A group's objects are children of the class; what is in them is made of the Secrets that name the
 * group, as they were last seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "operator/group.h"
#include "operator/work_priv.h"

static int by_name(const void *a, const void *b)
{
	const struct proxy *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Nodes of one group into w->member, in an order that stays; how many. */
static size_t members(struct work *w, const char *class, unsigned group)
{
	struct kube_table_walk t = { 0 };
	struct group_place at;
	size_t n = 0;

	while (n < CLASS_NODES_MAX && kube_table_next(w->op->proxies, &t)) {
		const struct proxy *x = t.value;

		if (x->group[0] && group_place_parse(x->group, &at) && at.group == group &&
		    strcmp(at.class, class) == 0)
			w->member[n++] = x;
	}
	qsort(w->member, n, sizeof *w->member, by_name);
	return n;
}

/* "proxyclass//NAME" */
static const char *class_of(const struct work *w)
{
	return strrchr(w->key, '/') + 1;
}

static bool has_memory(struct work *w)
{
	if (!w->member)
		w->member = calloc(CLASS_NODES_MAX, sizeof *w->member);
	return w->member != NULL;
}

static void fill(struct work *w, const char *name, size_t n, struct render *r)
{
	*r = (struct render){ .settings = &w->op->settings,
			      .parent = &w->p,
			      .want = &w->want,
			      .class = work_class(w),
			      .proxy = name,
			      .is_group = true,
			      .member = w->member,
			      .n_members = n };
}

bool groups_render(struct work *w, const char *name, struct render *r)
{
	char other[PROXY_NAME_MAX + 1];
	size_t n;

	for (unsigned g = 0; has_memory(w) && g < GROUPS_MAX; g++) {
		group_name(other, class_of(w), g);
		if (strcmp(other, name) != 0)
			continue;
		n = members(w, class_of(w), g);
		fill(w, name, n, r);
		return n > 0;
	}
	return false;
}

static bool plan_one(struct work *w, unsigned group, size_t n)
{
	char name[PROXY_NAME_MAX + 1], hash[CHILD_N][HASH_TEXT] = { { 0 } };
	struct render r;

	group_name(name, class_of(w), group);
	fill(w, name, n, &r);
	for (int c = 0; c < CHILD_N; c++)
		if (render_wants(&r, (enum child)c) && !render_hash(&r, (enum child)c, hash[c]))
			return false;
	plan_group(&w->plan, operator_proxy(w->op, name), name, (const char(*)[HASH_TEXT])hash);
	return true;
}

static void note_used(const struct work *w, bool used[static GROUPS_MAX])
{
	struct kube_table_walk t = { 0 };
	struct group_place at;

	while (kube_table_next(w->op->proxies, &t)) {
		const struct proxy *x = t.value;

		if (x->group[0] && group_place_parse(x->group, &at) &&
		    strcmp(at.class, class_of(w)) == 0)
			used[at.group] = true;
	}
}

/* A group of this class that nobody is in. */
static bool is_left(const struct work *w, const struct proxy *x, const bool used[static GROUPS_MAX])
{
	char name[PROXY_NAME_MAX + 1];

	if (strcmp(x->parent, w->key) != 0)
		return false;
	for (unsigned g = 0; g < GROUPS_MAX; g++) {
		group_name(name, class_of(w), g);
		if (strcmp(name, x->name) == 0)
			return !used[g];
	}
	return true;
}

bool groups_plan(struct work *w)
{
	/* without a class that is valid what runs is left as it is */
	const bool may_render = w->has_parent && !w->p.is_deleting && work_class(w);
	bool used[GROUPS_MAX] = { false };
	struct kube_table_walk t = { 0 };

	if (!has_memory(w))
		return false;
	note_used(w, used);
	for (unsigned g = 0; may_render && g < GROUPS_MAX; g++)
		if (used[g] && !plan_one(w, g, members(w, class_of(w), g)))
			return false;
	while (kube_table_next(w->op->proxies, &t))
		if (is_left(w, t.value, used))
			plan_group(&w->plan, t.value, NULL, NULL);
	return true;
}

bool groups_place(struct work *w, const char *name)
{
	const struct proxy_class *class = work_class(w);
	const mono_t now = loop_now(w->op->loop);
	struct proxy *x = operator_proxy(w->op, name);
	char wished[GROUP_TEXT] = "";
	struct group_place at;

	if (w->want.role != ROLE_INGRESS && w->want.role != ROLE_EGRESS) {
		if (x) /* the slot that it was put down for is another's again */
			x->wished[0] = 0;
		return true;
	}
	if (class && class->per_process > 0) {
		if (!group_find(w->op->proxies, x, class->name, class->per_process, &at)) {
			log_error("operator: %s: no room in %d groups of ProxyClass %s: it gets a "
				  "process of its own",
				  w->key, GROUPS_MAX, class->name);
		} else {
			group_place_emit(wished, &at);
			x = operator_proxy_make(w->op, name);
			if (!x)
				return false;
			memcpy(x->parent, w->key, sizeof x->parent);
			memcpy(x->parent_uid, w->p.uid, sizeof x->parent_uid);
		}
	}
	if (x)
		memcpy(x->wished, wished, sizeof x->wished);
	group_move(&w->want, x, wished, now);
	if (x && w->want.move != MOVE_NONE && mono_is_never(x->leaves))
		x->leaves = now;
	return true;
}
