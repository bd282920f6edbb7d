/* netstack/timer.c - see timer.h */
#include "netstack/timer.h"

#include <assert.h>
#include <stdlib.h>

void timers_fini(struct timers *h)
{
	free(h->v);
	*h = (struct timers){ 0 };
}

bool timers_reserve(struct timers *h, uint32_t n)
{
	uint32_t cap = h->cap ? h->cap : 16;
	struct timer **v;

	if (n < h->cap)
		return true;
	while (cap <= n)
		cap *= 2;
	v = reallocarray(h->v, cap, sizeof(struct timer *));
	if (!v)
		return false;
	h->v = v;
	h->cap = cap;
	return true;
}

static void put(struct timers *h, uint32_t pos, struct timer *t)
{
	h->v[pos] = t;
	t->pos = pos;
}

static void sift_up(struct timers *h, struct timer *t)
{
	uint32_t pos = t->pos;

	for (; pos > 1 && mono_before(t->at, h->v[pos / 2]->at); pos /= 2)
		put(h, pos, h->v[pos / 2]);
	put(h, pos, t);
}

static void sift_down(struct timers *h, struct timer *t)
{
	uint32_t pos = t->pos;

	for (;;) {
		uint32_t child = pos * 2;

		if (child > h->n)
			break;
		if (child < h->n && mono_before(h->v[child + 1]->at, h->v[child]->at))
			child++;
		if (!mono_before(h->v[child]->at, t->at))
			break;
		put(h, pos, h->v[child]);
		pos = child;
	}
	put(h, pos, t);
}

void timer_stop(struct timers *h, struct timer *t)
{
	struct timer *last;

	if (t->pos == 0)
		return;
	last = h->v[h->n--];
	if (last != t) {
		put(h, t->pos, last);
		sift_up(h, last);
		sift_down(h, last);
	}
	t->pos = 0;
}

void timer_set(struct timers *h, struct timer *t, mono_t at)
{
	if (t->pos == 0) {
		if (mono_is_never(at))
			return;
		assert(h->n + 1 < h->cap);
		t->at = at;
		put(h, ++h->n, t);
		sift_up(h, t);
		return;
	}
	if (mono_before(at, t->at)) {
		t->at = at;
		sift_up(h, t);
	}
}

struct timer *timers_due(struct timers *h, mono_t now)
{
	struct timer *t;

	if (h->n == 0 || !mono_due(h->v[1]->at, now))
		return NULL;
	t = h->v[1];
	timer_stop(h, t);
	return t;
}
