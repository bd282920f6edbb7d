/* path/home.c - which relay is home (data-plane.md 3.6)
 *
 * The fastest by what was measured in the last five minutes, among those that answered in this
 * round; the old home stays unless the new one is clearly better, since a move costs every peer an
 * update.
 */
#include "path/netcheck_priv.h"

span_t region_best(const struct region *r)
{
	span_t best = { 0 };
	const span_t v[] = { r->v4, r->v6, r->https };

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (v[i].ns > 0 && (best.ns == 0 || v[i].ns < best.ns))
			best = v[i];
	return best;
}

void region_remember(struct region *r, mono_t now)
{
	span_t best = region_best(r);

	if (best.ns == 0)
		return;
	r->history[r->next_sample] = (struct sample){ now, best };
	r->next_sample = (r->next_sample + 1) % HISTORY_N;
}

/* best of the history, weighed; > 0 for a region that answered in this round */
static double recent_best(const struct region *r, mono_t now)
{
	int64_t best = 0;

	for (size_t i = 0; i < HISTORY_N; i++) {
		const struct sample *s = &r->history[i];

		if (s->latency.ns > 0 && mono_sub(now, s->at).ns <= SPAN_MS(HISTORY_MS).ns &&
		    (best == 0 || s->latency.ns < best))
			best = s->latency.ns;
	}
	return (double)best * r->score;
}

static const struct region *region_of(const struct netcheck *nc, uint16_t id)
{
	for (size_t i = 0; i < nc->n_regions; i++)
		if (nc->regions[i].id == id)
			return &nc->regions[i];
	return NULL;
}

static bool heard_within(const struct region *r, mono_t now, int64_t ms)
{
	return mono_sub(now, r->heard_at).ns <= SPAN_MS(ms).ns;
}

static bool keep_old(const struct region *old, mono_t now, double candidate)
{
	double latency = (double)region_best(old).ns * old->score;

	if (latency == 0) /* no answer, yet it may have spoken just now */
		return heard_within(old, now, HEARD_MS);
	return latency - candidate < (double)SPAN_MS(HOME_MARGIN_MS).ns ||
	       candidate > latency / 3 * 2;
}

/* Nothing is known: any region will do, but always the same one. */
static uint16_t stable_pick(const struct netcheck *nc)
{
	size_t n = 0, pick;

	for (size_t i = 0; i < nc->n_regions; i++)
		n += !nc->regions[i].no_home && nc->regions[i].n_nodes > 0;
	if (n == 0)
		return 0;
	pick = nc->stable % n;
	for (size_t i = 0; i < nc->n_regions; i++)
		if (!nc->regions[i].no_home && nc->regions[i].n_nodes > 0 && pick-- == 0)
			return nc->regions[i].id;
	return 0;
}

uint16_t home_choose(const struct netcheck *nc, mono_t now, uint16_t old_id)
{
	const struct region *old = region_of(nc, old_id), *best = NULL;
	double latency = 0;

	if (old && nc->hold_home)
		return old_id;
	for (size_t i = 0; i < nc->n_regions; i++) {
		const struct region *r = &nc->regions[i];
		double d;

		if (r->no_home || region_best(r).ns == 0)
			continue;
		d = recent_best(r, now);
		if (!best || d < latency) {
			best = r;
			latency = d;
		}
	}
	if (!best) {
		if (old && !old->no_home && heard_within(old, now, HEARD_ALONE_MS))
			return old_id;
		return stable_pick(nc);
	}
	if (old && best != old && !old->no_home && keep_old(old, now, latency))
		return old_id;
	return best->id;
}
