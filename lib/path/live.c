/* path/live.c - peers in use: best address, trust, and one heap of deadlines
 *
 * The key of a peer in the heap may be earlier than its real need, never later: traffic moves
 * deadlines away without touching the heap, and the tick that comes too early only looks and
 * re-arms.
 */
#include "path/path_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void heap_put(struct path *p, size_t i, struct live *l)
{
	p->heap[i] = l;
	l->heap_pos = i;
}

static void heap_fix(struct path *p, struct live *l)
{
	size_t i = l->heap_pos;

	for (; i > 0 && mono_before(l->due, p->heap[(i - 1) / 2]->due); i = (i - 1) / 2)
		heap_put(p, i, p->heap[(i - 1) / 2]);
	for (size_t child; (child = 2 * i + 1) < p->n_heap; i = child) {
		if (child + 1 < p->n_heap &&
		    mono_before(p->heap[child + 1]->due, p->heap[child]->due))
			child++;
		if (!mono_before(p->heap[child]->due, l->due))
			break;
		heap_put(p, i, p->heap[child]);
	}
	heap_put(p, i, l);
}

static bool heap_reserve(struct path *p)
{
	size_t cap = p->cap_heap ? p->cap_heap * 2 : 16;
	struct live **v;

	if (p->n_heap < p->cap_heap)
		return true;
	v = realloc(p->heap, cap * sizeof(struct live *));
	if (!v)
		return false;
	p->heap = v;
	p->cap_heap = cap;
	return true;
}

struct live *live_get(struct path *p, mono_t now, uint32_t peer)
{
	struct known *k = known_at(p, peer);
	struct live *l;

	if (!k || k->live)
		return k ? k->live : NULL;
	l = heap_reserve(p) ? calloc(1, sizeof *l) : NULL;
	if (!l)
		return NULL;
	l->peer = peer;
	l->trust_until = l->last_send = l->last_full = l->last_call = l->next_full = l->void_until =
	    LONG_AGO;
	l->last_heard = now;
	l->beat_at = l->call_at = l->repeat_at = MONO_NEVER;
	whole_renew(l);
	l->due = mono_add(now, SPAN_S(FORGET_S));
	k->live = l;
	heap_put(p, p->n_heap++, l);
	heap_fix(p, l);
	cand_netmap(p, now, l, k->eps, k->n_eps);
	return l;
}

void live_free(struct path *p, struct live *l)
{
	struct live *last = p->heap[--p->n_heap];

	assert(l->n_pings == 0);
	if (last != l) {
		heap_put(p, l->heap_pos, last);
		heap_fix(p, last);
	}
	for (size_t i = 0; i < l->n_cands; i++)
		cand_unbind(p, l, &l->cands[i]);
	p->peers[l->peer].live = NULL;
	free(l->cands);
	free(l);
}

bool live_trusted(const struct live *l, mono_t now)
{
	return !ip_is_zero(&l->best.addr.ip) && !mono_before(l->trust_until, now);
}

bool live_active(const struct live *l, mono_t now)
{
	return mono_sub(now, l->last_send).ns <= SPAN_S(ACTIVE_S).ns;
}

static mono_t forget_at(const struct live *l)
{
	return mono_add(mono_max(l->last_send, l->last_heard), SPAN_S(FORGET_S));
}

void live_rearm(struct path *p, mono_t now, struct live *l)
{
	mono_t due = mono_min(forget_at(l), l->beat_at);

	due = mono_min(due, mono_min(l->whole_at, mono_min(l->call_at, l->repeat_at)));
	if (l->announced && live_active(l, now)) /* trust_until is the last instant of trust */
		due = mono_min(due, mono_max(mono_add(l->trust_until, SPAN_NS(1)), now));
	l->due = due;
	heap_fix(p, l);
}

void path_say(struct path *p, const struct path_event *ev)
{
	if (!queue_push(&p->events, ev))
		path_drop(p, PATH_DROP_QUEUE_FULL);
}

static void say_relayed(struct path *p, struct live *l)
{
	if (!l->announced)
		return;
	l->announced = false;
	path_say(p, &(struct path_event){ .type = PATH_EV_RELAYED,
					  .peer = l->peer,
					  .derp = known_derp(&p->peers[l->peer]) });
}

void live_trust(struct path *p, mono_t now, struct live *l, const struct path_quality *q,
		span_t trust)
{
	bool is_new = !l->announced || !ipport_eq(&l->best.addr, &q->addr);

	if (!ipport_eq(&l->best.addr, &q->addr))
		whole_renew(l);
	l->best = *q;
	l->trust_until = mono_add(now, trust);
	l->announced = true;
	if (is_new)
		path_say(p, &(struct path_event){ .type = PATH_EV_DIRECT,
						  .peer = l->peer,
						  .addr = q->addr,
						  .latency = q->latency });
	live_rearm(p, now, l);
}

void live_doubt(struct path *p, struct live *l)
{
	l->best = (struct path_quality){ 0 };
	l->trust_until = LONG_AGO;
	say_relayed(p, l);
}

void live_reset(struct path *p, mono_t now, struct live *l)
{
	const struct known *k = &p->peers[l->peer];

	live_doubt(p, l);
	for (size_t i = 0; i < l->n_cands; i++)
		cand_unbind(p, l, &l->cands[i]);
	l->n_cands = 0;
	l->wants_cmm = l->owes_call = false;
	l->call_at = l->repeat_at = MONO_NEVER;
	l->last_full = l->next_full = LONG_AGO;
	memset(l->derp_txid, 0, sizeof l->derp_txid);
	cand_netmap(p, now, l, k->eps, k->n_eps);
	if (live_active(l, now)) /* somebody is talking to it: look for the new path at once */
		l->beat_at = now;
	live_rearm(p, now, l);
}

static void tick_one(struct path *p, mono_t now, struct live *l)
{
	if (l->announced && !live_trusted(l, now) && live_active(l, now))
		say_relayed(p, l);
	if (mono_due(l->call_at, now))
		discovery_call(p, now, l);
	if (mono_due(l->repeat_at, now))
		discovery_repeat(p, now, l);
	if (mono_due(l->beat_at, now))
		discovery_beat(p, now, l);
	if (mono_due(l->whole_at, now))
		whole_tick(p, now, l);
	if (mono_due(forget_at(l), now) && l->n_pings == 0) {
		live_free(p, l);
		return;
	}
	live_rearm(p, now, l);
	if (mono_due(l->due, now)) { /* only an answer that is still awaited keeps it */
		l->due = mono_add(now, SPAN_S(PING_TIMEOUT_S));
		heap_fix(p, l);
	}
}

void live_tick(struct path *p, mono_t now)
{
	while (p->n_heap > 0 && mono_due(p->heap[0]->due, now))
		tick_one(p, now, p->heap[0]);
}

mono_t live_deadline(const struct path *p)
{
	return p->n_heap > 0 ? p->heap[0]->due : MONO_NEVER;
}
