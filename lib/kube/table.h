/* kube/table.h - values by name: a hash table with keyed hashing, since strangers choose the names
 *
 * Names are copied, values are the caller's. Adding during a walk is not allowed; deleting the
 * entry just seen is.
 */
#ifndef KUBE_TABLE_H
#define KUBE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/rng.h"

struct kube_table;

struct kube_table *kube_table_new(struct rng *rng); /* NULL: out of memory */
void kube_table_free(struct kube_table *t);         /* not the values; NULL is fine */
void *kube_table_get(const struct kube_table *t, const char *name); /* NULL: not there */
/* Replaces a value that is there. value is not NULL. False: out of memory, nothing changed. */
MUST_USE bool kube_table_put(struct kube_table *t, const char *name, void *value);
void *kube_table_del(struct kube_table *t,
		     const char *name); /* the value that was there, or NULL */
size_t kube_table_count(const struct kube_table *t);

/* Walk: start with a zeroed struct; false at the end. */
struct kube_table_walk {
	size_t bucket;
	void *next;
	bool begun;
	const char *name; /* valid until the entry is deleted */
	void *value;
};
bool kube_table_next(const struct kube_table *t, struct kube_table_walk *w);

#endif
