/* coordinator/view.c - the nodes as the policy sees them: one place a slot, brought up to date when
 * it is looked at */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"

static_assert((int)POLICY_TAG_MAX == (int)TAILNET_LABEL_MAX, "tags are handed over as they lie");

void view_touch(struct tailnet *t, struct tnode *n)
{
	if (!n->in_touched)
		t->touched[t->n_touched++] = slot_of(t, n);
	n->in_touched = true;
}

struct policy_node view_node(const struct tailnet *t, const struct tnode *n)
{
	const struct tailnet_node *p = &n->pub;
	const struct tailnet_user *u = p->n_tags > 0 ? NULL : tailnet_user(t, p->user);

	return (struct policy_node){ .id = p->id,
				     .owner = u ? u->id : 0,
				     .user = u ? u->name : "",
				     .tags = (const char(*)[POLICY_TAG_MAX])p->tags,
				     .n_tags = p->n_tags,
				     .v4 = p->v4,
				     .v6 = p->v6,
				     .routes = n->active,
				     .n_routes = n->n_active };
}

static bool announces(const struct tailnet_node *p, const struct ipprefix *route)
{
	for (size_t i = 0; i < p->n_routes; i++)
		if (ipprefix_eq(&p->routes[i], route))
			return true;
	return false;
}

static bool make_active(struct tnode *n)
{
	const struct tailnet_node *p = &n->pub;
	struct ipprefix *v = p->n_approved ? malloc(p->n_approved * sizeof *v) : NULL;

	if (p->n_approved > 0 && !v)
		return false;
	free(n->active);
	n->active = v;
	n->n_active = 0;
	for (size_t i = 0; p->approved && i < p->n_approved; i++)
		if (announces(p, &p->approved_routes[i]))
			v[n->n_active++] = p->approved_routes[i];
	return true;
}

bool view_make(struct tailnet *t)
{
	while (t->n_touched > 0) {
		uint32_t i = t->touched[t->n_touched - 1];
		struct tnode *n = &t->nodes[i];

		if (n->used && !n->dead && !make_active(n))
			return false;
		t->view[i] = n->used && !n->dead ? view_node(t, n) : (struct policy_node){ 0 };
		if (!t->view_stale && policy_update(t->policy, t->view, t->n_slots, i) != 0)
			t->view_stale = true;
		n->in_touched = false;
		t->n_touched--;
	}
	if (t->view_stale && policy_prepare(t->policy, t->view, t->n_slots) != 0)
		return false;
	t->view_stale = false;
	return true;
}
