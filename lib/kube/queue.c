/* kube/queue.c - see queue.h
 *
 * An item is in one of three places: the list of what is due, the heap of what waits for a time, or
 * with a worker. Additions for an item with a worker are remembered in it (again, again_at).
 */
#include "kube/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kube/backoff.h"
#include "kube/table.h"

struct item {
	struct item *next;
	enum { DUE, DELAYED, BUSY } place;
	unsigned failures;
	size_t heap; /* index while DELAYED */
	mono_t at;   /* while DELAYED */
	bool again;
	mono_t again_at;
	char key[];
};

struct kube_queue {
	struct kube_queue_conf conf;
	struct kube_table *items;
	struct item *first, **last;
	struct item **heap;
	size_t n_heap, heap_cap, n_due;
};

struct kube_queue *kube_queue_new(const struct kube_queue_conf *conf)
{
	struct kube_queue *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	q->conf = *conf;
	q->last = &q->first;
	q->items = kube_table_new(conf->rng);
	if (!q->items) {
		free(q);
		return NULL;
	}
	return q;
}

void kube_queue_free(struct kube_queue *q)
{
	struct kube_table_walk w = { 0 };

	if (!q)
		return;
	while (kube_table_next(q->items, &w))
		free(w.value);
	kube_table_free(q->items);
	free(q->heap);
	free(q);
}

/* --- heap, smallest time first --- */

static void heap_set(struct kube_queue *q, size_t i, struct item *it)
{
	q->heap[i] = it;
	it->heap = i;
}

static void heap_up(struct kube_queue *q, size_t i, struct item *it)
{
	for (; i > 0 && mono_before(it->at, q->heap[(i - 1) / 2]->at); i = (i - 1) / 2)
		heap_set(q, i, q->heap[(i - 1) / 2]);
	heap_set(q, i, it);
}

static void heap_down(struct kube_queue *q, size_t i, struct item *it)
{
	for (;;) {
		size_t c = 2 * i + 1;

		if (c + 1 < q->n_heap && mono_before(q->heap[c + 1]->at, q->heap[c]->at))
			c++;
		if (c >= q->n_heap || !mono_before(q->heap[c]->at, it->at))
			break;
		heap_set(q, i, q->heap[c]);
		i = c;
	}
	heap_set(q, i, it);
}

static void heap_del(struct kube_queue *q, struct item *it)
{
	const size_t i = it->heap;
	struct item *moved = q->heap[--q->n_heap];

	if (moved == it)
		return;
	if (i > 0 && mono_before(moved->at, q->heap[(i - 1) / 2]->at))
		heap_up(q, i, moved);
	else
		heap_down(q, i, moved);
}

/* --- places --- */

static void make_due(struct kube_queue *q, struct item *it)
{
	it->place = DUE;
	it->next = NULL;
	*q->last = it;
	q->last = &it->next;
	q->n_due++;
}

static void delay(struct kube_queue *q, struct item *it, mono_t at)
{
	it->place = DELAYED;
	it->at = at;
	q->n_heap++;
	heap_up(q, q->n_heap - 1, it);
}

/* the heap has room for every item, so that nothing fails later */
static bool heap_room(struct kube_queue *q, size_t n)
{
	struct item **more;
	size_t cap = q->heap_cap ? q->heap_cap : 64;

	if (n <= q->heap_cap)
		return true;
	while (cap < n)
		cap *= 2;
	more = realloc(q->heap, cap * sizeof(struct item *));
	if (!more)
		return false;
	q->heap = more;
	q->heap_cap = cap;
	return true;
}

static struct item *item_new(struct kube_queue *q, const char *key)
{
	const size_t len = strlen(key) + 1, n = kube_table_count(q->items) + 1;
	struct item *it;

	if (n > KUBE_QUEUE_MAX || !heap_room(q, n))
		return NULL;
	it = calloc(1, sizeof *it + len);
	if (!it)
		return NULL;
	memcpy(it->key, key, len);
	if (!kube_table_put(q->items, key, it)) {
		free(it);
		return NULL;
	}
	return it;
}

bool kube_queue_add(struct kube_queue *q, const char *key)
{
	struct item *it = kube_table_get(q->items, key);

	if (!it) {
		it = item_new(q, key);
		if (!it)
			return false;
		make_due(q, it);
	} else if (it->place == BUSY) {
		it->again = true;
		it->again_at = (mono_t){ INT64_MIN };
	} else if (it->place == DELAYED) {
		heap_del(q, it);
		make_due(q, it);
	}
	return true;
}

bool kube_queue_add_at(struct kube_queue *q, const char *key, mono_t at)
{
	struct item *it = kube_table_get(q->items, key);

	if (!it) {
		it = item_new(q, key);
		if (!it)
			return false;
		delay(q, it, at);
	} else if (it->place == BUSY) {
		it->again_at = it->again ? mono_min(it->again_at, at) : at;
		it->again = true;
	} else if (it->place == DELAYED && mono_before(at, it->at)) {
		it->at = at;
		heap_up(q, it->heap, it);
	}
	return true;
}

const char *kube_queue_take(struct kube_queue *q, mono_t now)
{
	struct item *it;

	while (q->n_heap > 0 && mono_due(q->heap[0]->at, now)) {
		it = q->heap[0];
		heap_del(q, it);
		make_due(q, it);
	}
	it = q->first;
	if (!it)
		return NULL;
	q->first = it->next;
	if (!q->first)
		q->last = &q->first;
	q->n_due--;
	it->place = BUSY;
	it->again = false;
	return it->key;
}

void kube_queue_done(struct kube_queue *q, const char *key, mono_t now, bool failed)
{
	struct item *it = kube_table_get(q->items, key);

	assert(it && it->place == BUSY);
	if (failed) {
		const mono_t at = mono_add(
		    now, kube_backoff(it->failures, q->conf.first, q->conf.most, q->conf.rng));

		it->failures++;
		delay(q, it, it->again ? mono_min(mono_max(it->again_at, now), at) : at);
		return;
	}
	it->failures = 0;
	if (!it->again) {
		kube_table_del(q->items, it->key);
		free(it);
	} else if (mono_due(it->again_at, now)) {
		make_due(q, it);
	} else {
		delay(q, it, it->again_at);
	}
}

mono_t kube_queue_deadline(const struct kube_queue *q, mono_t now)
{
	if (q->first)
		return now;
	return q->n_heap > 0 ? q->heap[0]->at : MONO_NEVER;
}

size_t kube_queue_waiting(const struct kube_queue *q)
{
	return q->n_due + q->n_heap;
}

size_t kube_queue_due(const struct kube_queue *q)
{
	return q->n_due;
}

unsigned kube_queue_failures(const struct kube_queue *q, const char *key)
{
	const struct item *it = kube_table_get(q->items, key);

	return it ? it->failures : 0;
}
