/* kube/table.c - see table.h; buckets double when there are more entries than buckets */
#include "kube/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/siphash.h"

enum { FIRST_BUCKETS = 64 };

struct entry {
	struct entry *next;
	void *value;
	char name[];
};

struct kube_table {
	uint8_t key[SIPHASH_KEY_LEN];
	struct entry **bucket;
	size_t n_buckets, n;
};

struct kube_table *kube_table_new(struct rng *rng)
{
	struct kube_table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->bucket = calloc(FIRST_BUCKETS, sizeof(struct entry *));
	if (!t->bucket) {
		free(t);
		return NULL;
	}
	t->n_buckets = FIRST_BUCKETS;
	rng_fill(rng, t->key, sizeof t->key);
	return t;
}

void kube_table_free(struct kube_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_buckets; i++)
		while (t->bucket[i]) {
			struct entry *e = t->bucket[i];

			t->bucket[i] = e->next;
			free(e);
		}
	free(t->bucket);
	free(t);
}

static struct entry **place(const struct kube_table *t, const char *name)
{
	struct entry **at = &t->bucket[siphash(t->key, name, strlen(name)) & (t->n_buckets - 1)];

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

void *kube_table_get(const struct kube_table *t, const char *name)
{
	const struct entry *e = *place(t, name);

	return e ? e->value : NULL;
}

/* without memory the table only becomes slower */
static void grow(struct kube_table *t)
{
	const size_t n = t->n_buckets * 2;
	struct entry **fresh = calloc(n, sizeof(struct entry *));

	if (!fresh)
		return;
	for (size_t i = 0; i < t->n_buckets; i++)
		while (t->bucket[i]) {
			struct entry *e = t->bucket[i];
			const size_t at = siphash(t->key, e->name, strlen(e->name)) & (n - 1);

			t->bucket[i] = e->next;
			e->next = fresh[at];
			fresh[at] = e;
		}
	free(t->bucket);
	t->bucket = fresh;
	t->n_buckets = n;
}

bool kube_table_put(struct kube_table *t, const char *name, void *value)
{
	const size_t len = strlen(name) + 1;
	struct entry **at = place(t, name), *e;

	assert(value);
	if (*at) {
		(*at)->value = value;
		return true;
	}
	e = malloc(sizeof *e + len);
	if (!e)
		return false;
	e->next = NULL;
	e->value = value;
	memcpy(e->name, name, len);
	*at = e;
	if (++t->n > t->n_buckets)
		grow(t);
	return true;
}

void *kube_table_del(struct kube_table *t, const char *name)
{
	struct entry **at = place(t, name), *e = *at;
	void *value;

	if (!e)
		return NULL;
	value = e->value;
	*at = e->next;
	free(e);
	t->n--;
	return value;
}

size_t kube_table_count(const struct kube_table *t)
{
	return t->n;
}

bool kube_table_next(const struct kube_table *t, struct kube_table_walk *w)
{
	struct entry *e = w->next;

	if (!w->begun) {
		w->begun = true;
		e = t->bucket[0];
	}
	while (!e && ++w->bucket < t->n_buckets)
		e = t->bucket[w->bucket];
	if (!e)
		return false;
	w->next = e->next;
	w->name = e->name;
	w->value = e->value;
	return true;
}
