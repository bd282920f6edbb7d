/* path/probes.c - who is asked, over which family, how often and when (data-plane.md 4.2) */
#include "path/netcheck_priv.h"

#include <errno.h>
#include <stdlib.h>

static bool node_has(const struct node *n, bool v6)
{
	return n->stun_port != 0 && !(v6 ? n->no_v6 : n->no_v4);
}

static void probe_plan(struct netcheck *nc, size_t region, size_t try, bool v6, mono_t due)
{
	struct region *r = &nc->regions[region];
	size_t node;

	if (r->n_nodes == 0 || nc->n_probes >= PROBES_MAX || !(v6 ? nc->can_v6 : nc->can_v4))
		return;
	node = try % r->n_nodes;
	if (!node_has(&r->nodes[node], v6))
		return;
	r->probed = true;
	nc->probes[nc->n_probes++] = (struct probe){
		.region = (uint16_t)region, .node = (uint16_t)node, .v6 = v6, .due = due
	};
}

static void plan_full(struct netcheck *nc, mono_t now)
{
	for (size_t i = 0; i < nc->n_regions; i++) {
		for (size_t try = 0; try < FULL_TRIES; try++) {
			mono_t due = mono_add(now, SPAN_MS((int64_t)try * FIRST_STEP_MS));

			probe_plan(nc, i, try, false, due);
			probe_plan(nc, i, try, true, due);
		}
	}
}

/* try n comes after n times 1.2 of the last latency, and some more from the third on */
static mono_t retry_at(const struct region *r, mono_t now, size_t try)
{
	int64_t step = r->last.ns > 0 ? r->last.ns + r->last.ns / 5 : SPAN_MS(RETRY_MS).ns;
	int64_t late = try > 1 ? SPAN_MS(RETRY_LATE_MS).ns : 0;

	return mono_add(now, SPAN_NS((int64_t)try * (step + late)));
}

/* the rank-th fastest of the last round; n_regions: there is none */
static size_t fastest_after(const struct netcheck *nc, const size_t *taken, size_t n_taken)
{
	size_t best = nc->n_regions;

	for (size_t i = 0; i < nc->n_regions; i++) {
		bool is_taken = nc->regions[i].last.ns == 0;

		for (size_t k = 0; k < n_taken; k++)
			is_taken |= taken[k] == i;
		if (!is_taken &&
		    (best == nc->n_regions || nc->regions[i].last.ns < nc->regions[best].last.ns))
			best = i;
	}
	return best;
}

static void plan_region(struct netcheck *nc, mono_t now, size_t i, size_t rank, bool is_home)
{
	bool had_v6 = nc->report->v6, both = had_v6 && nc->report->v4, fast = rank < FAST_REGIONS;
	size_t tries = is_home ? HOME_TRIES : fast ? FAST_TRIES : 1;
	bool v4 = true, v6 = fast || had_v6;

	if (!fast && !is_home && both) { /* the slower ones take turns */
		v4 = rank % 2 == 0;
		v6 = !v4;
	}
	for (size_t try = 0; try < tries; try++) {
		if (v4)
			probe_plan(nc, i, try, false, retry_at(&nc->regions[i], now, try));
		if (v6)
			probe_plan(nc, i, try, true, retry_at(&nc->regions[i], now, try));
	}
}

static void plan_incremental(struct netcheck *nc, mono_t now)
{
	size_t taken[INCREMENTAL_REGIONS + 1], n = 0, home = nc->n_regions;

	for (size_t i = 0; i < nc->n_regions; i++)
		if (nc->regions[i].id == nc->home)
			home = i;
	while (n < INCREMENTAL_REGIONS) {
		size_t i = fastest_after(nc, taken, n);

		if (i == nc->n_regions)
			break;
		taken[n] = i;
		plan_region(nc, now, i, n, i == home);
		n++;
	}
	for (size_t k = 0; k < n; k++)
		if (taken[k] == home)
			home = nc->n_regions;
	if (home < nc->n_regions)
		plan_region(nc, now, home, n, true);
}

int probes_plan(struct netcheck *nc, mono_t now)
{
	size_t max =
	    nc->n_regions * (FULL_TRIES * 2 + 1) + (INCREMENTAL_REGIONS + 1) * HOME_TRIES * 2;

	nc->n_probes = 0;
	nc->probes = calloc(max, sizeof *nc->probes);
	if (!nc->probes)
		return -ENOMEM;
	for (size_t i = 0; i < nc->n_regions; i++)
		nc->regions[i].probed = false;
	if (nc->is_full)
		plan_full(nc, now);
	else
		plan_incremental(nc, now);
	return 0;
}

bool probe_address(const struct netcheck *nc, const struct probe *pr, struct ipport *to)
{
	const struct node *n = &nc->regions[pr->region].nodes[pr->node];

	to->ip = pr->v6 ? n->v6 : n->v4;
	to->port = n->stun_port;
	return !ip_is_zero(&to->ip);
}

struct node *probe_unnamed(struct netcheck *nc, const struct probe *pr)
{
	struct node *n = &nc->regions[pr->region].nodes[pr->node];
	struct ipport to;

	return probe_address(nc, pr, &to) ? NULL : n;
}

/* 4.2: a second answer of a family tells nothing new, except that two v4 servers tell whether the
 * mapping varies */
static bool would_tell(const struct netcheck *nc, const struct probe *pr)
{
	const struct region *r = &nc->regions[pr->region];

	if ((pr->v6 ? r->v6.ns : r->v4.ns) == 0)
		return true;
	return !pr->v6 && nc->n_v4_servers < 2 && r->n_nodes > 1;
}

bool probe_is_open(const struct netcheck *nc, const struct probe *pr)
{
	const struct node *n = &nc->regions[pr->region].nodes[pr->node];

	if (pr->sent)
		return false;
	if ((n->name == NAME_KNOWN || n->name == NAME_NONE) && ip_is_zero(pr->v6 ? &n->v6 : &n->v4))
		return false; /* no address of this family */
	return would_tell(nc, pr);
}

bool probes_all_answered(const struct netcheck *nc)
{
	size_t n = 0;

	for (size_t i = 0; i < nc->n_regions; i++) {
		if (!nc->regions[i].probed)
			continue;
		n++;
		if (region_best(&nc->regions[i]).ns == 0)
			return false;
	}
	return n > 0;
}

bool probes_exhausted(const struct netcheck *nc)
{
	for (size_t i = 0; i < nc->n_probes; i++) {
		const struct probe *pr = &nc->probes[i];

		if (probe_is_open(nc, pr) || (pr->sent && !pr->answered && would_tell(nc, pr)))
			return false;
	}
	return true;
}
