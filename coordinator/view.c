/* coordinator/view.c - the nodes as the policy sees them */
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"

static bool room(struct tailnet *t)
{
	struct policy_node *v;
	const char **tags;
	size_t *index;

	if (t->n_slots <= t->cap_view)
		return true;
	v = realloc(t->view, t->cap_slots * sizeof *v);
	if (v)
		t->view = v;
	index = realloc(t->view_slot, t->cap_slots * sizeof *index);
	if (index)
		t->view_slot = index;
	tags = realloc(t->view_tags, t->cap_slots * TAILNET_TAGS_MAX * sizeof *tags);
	if (tags)
		t->view_tags = tags;
	if (!v || !index || !tags)
		return false;
	t->cap_view = t->cap_slots;
	return true;
}

bool view_make(struct tailnet *t)
{
	if (!t->view_dirty)
		return true;
	if (!room(t))
		return false;
	t->n_view = 0;
	for (size_t i = 0; i < t->n_slots; i++) {
		const struct tailnet_node *p = &t->nodes[i].pub;
		const struct tailnet_user *u = p->n_tags > 0 ? NULL : tailnet_user(t, p->user);
		const char **tags = t->view_tags + i * TAILNET_TAGS_MAX;

		t->view_slot[i] = SIZE_MAX;
		if (!t->nodes[i].used || t->nodes[i].dead)
			continue;
		for (size_t k = 0; k < p->n_tags; k++)
			tags[k] = p->tags[k];
		t->view_slot[i] = t->n_view;
		t->view[t->n_view++] = (struct policy_node){ .id = p->id,
							     .user = u ? u->name : "",
							     .tags = tags,
							     .n_tags = p->n_tags,
							     .v4 = p->v4,
							     .v6 = p->v6,
							     .routes = p->approved_routes,
							     .n_routes = p->n_approved };
	}
	t->view_dirty = policy_prepare(t->policy, t->view, t->n_view) != 0;
	return !t->view_dirty;
}

size_t view_index(const struct tailnet *t, size_t slot)
{
	return slot < t->n_slots ? t->view_slot[slot] : SIZE_MAX;
}
