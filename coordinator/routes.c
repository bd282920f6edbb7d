/* coordinator/routes.c - which routes of a peer each map stream is told
 *
 * A router's routes are not the same for all who know it (policy_routes_seen): frames carry what
 * the viewer may use, and a stream remembers by hash what it was told of each router, so that it is
 * told anew when that changed.
 */
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"

/* Those it announces and that are approved, as the policy sees them */
static size_t candidates(const struct tnode *n, struct policy_route v[static TAILNET_ROUTES_MAX])
{
	const struct tailnet_node *p = &n->pub;
	size_t count = 0;

	for (size_t i = 0; i < p->n_approved; i++)
		if (node_has_route(p->routes, p->n_routes, &p->approved_routes[i]))
			v[count++] = (struct policy_route){
				.prefix = p->approved_routes[i],
				.is_primary = n->primary[i / 64] >> (i % 64) & 1,
			};
	return count;
}

uint64_t routes_seen(struct tailnet *t, uint32_t viewer, const struct tnode *n,
		     struct policy_route out[TAILNET_ROUTES_MAX], size_t *n_out)
{
	struct policy_route v[TAILNET_ROUTES_MAX];
	struct ipprefix seen[TAILNET_ROUTES_MAX];
	size_t count = n->pub.n_approved > 0 ? candidates(n, v) : 0, k = 0;
	/* to itself a node is told all that it serves */
	struct policy *p = viewer == slot_of(t, n) ? NULL : t->policy;

	if (n_out)
		*n_out = 0;
	if (count == 0 || policy_routes_seen(p, viewer, slot_of(t, n), v, count) != 0)
		return 0;
	memset(seen, 0, count * sizeof *seen);
	for (size_t i = 0; i < count; i++)
		if (v[i].seen) {
			if (out)
				out[k] = v[i];
			seen[k].ip = v[i].prefix.ip;
			seen[k++].bits = v[i].prefix.bits;
		}
	if (n_out)
		*n_out = k;
	return k > 0 ? tailnet_hash(t, seen, k * sizeof *seen) : 0;
}

/* The place of the slot, or where it belongs */
static size_t place(const struct stream *s, uint32_t slot)
{
	size_t a = 0, b = s->n_told;

	while (a < b) {
		size_t m = a + (b - a) / 2;

		if (s->told[m].slot < slot)
			a = m + 1;
		else
			b = m;
	}
	return a;
}

uint64_t routes_told(const struct stream *s, uint32_t slot)
{
	size_t i = place(s, slot);

	return i < s->n_told && s->told[i].slot == slot ? s->told[i].routes : 0;
}

bool routes_tell(struct stream *s, uint32_t slot, uint64_t routes)
{
	size_t i = place(s, slot);

	if (i < s->n_told && s->told[i].slot == slot) {
		s->told[i].routes = routes;
		return true;
	}
	if (routes == 0)
		return true;
	if (s->n_told == s->cap_told) {
		size_t cap = s->cap_told ? 2 * s->cap_told : 4;
		struct told *v = realloc(s->told, cap * sizeof *v);

		if (!v)
			return false;
		s->told = v;
		s->cap_told = cap;
	}
	memmove(&s->told[i + 1], &s->told[i], (s->n_told - i) * sizeof *s->told);
	s->told[i] = (struct told){ slot, routes };
	s->n_told++;
	return true;
}
