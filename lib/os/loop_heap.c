/* os/loop_heap.c - see loop_heap.h
 *
 * `child` is the first child, `next` the right sibling, `prev` the left sibling or, for a first
 * child, the parent; the root has neither sibling nor parent. Adding is constant, taking the least
 * logarithmic over time.
 */
#include "os/loop_heap.h"

static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
	struct loop_timer *t;

	if (!a)
		return b;
	if (!b)
		return a;
	if (mono_before(b->at, a->at)) {
		t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* One heap out of a list of siblings: pairs from left to right, then the pairs from right to left.
 * No recursion: the list may be as long as there are timers. */
static struct loop_timer *meld_siblings(struct loop_timer *list)
{
	struct loop_timer *pairs = NULL, *root = NULL;

	while (list) {
		struct loop_timer *a = list, *b = a->next;

		list = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct loop_timer *a = pairs;

		pairs = a->next;
		a->next = NULL;
		root = meld(root, a);
	}
	return root;
}

struct loop_timer *loop_heap_add(struct loop_timer *root, struct loop_timer *t)
{
	t->child = t->next = t->prev = NULL;
	return meld(root, t);
}

struct loop_timer *loop_heap_del(struct loop_timer *root, struct loop_timer *t)
{
	struct loop_timer *below = meld_siblings(t->child);

	if (t != root) {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		below = meld(root, below);
	}
	t->child = t->next = t->prev = NULL;
	return below;
}
