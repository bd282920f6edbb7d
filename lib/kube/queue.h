/* kube/queue.h - what is to be worked on: each key at most once, failures later and later
 *
 * Pure. A key that is added while it is worked on comes once more when that is done. take gives the
 * keys that are due in the order in which they became so.
 */
#ifndef KUBE_QUEUE_H
#define KUBE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/mono.h"
#include "base/rng.h"

enum { KUBE_QUEUE_MAX = 200000 }; /* keys; see docs/limits.md */

struct kube_queue;
struct kube_queue_conf {
	span_t first, most; /* wait after the first failure; longest wait */
	struct rng *rng;
};

struct kube_queue *kube_queue_new(const struct kube_queue_conf *conf); /* NULL: out of memory */
void kube_queue_free(struct kube_queue *q);                            /* NULL is fine */

/* Now. An addition ends a wait. False: out of memory or KUBE_QUEUE_MAX. */
MUST_USE bool kube_queue_add(struct kube_queue *q, const char *key);
/* At a time, unless it is due earlier. */
MUST_USE bool kube_queue_add_at(struct kube_queue *q, const char *key, mono_t at);
/* The next due key, or NULL; it stays valid, and no one else gets it, until kube_queue_done. */
const char *kube_queue_take(struct kube_queue *q, mono_t now);
/* Worked on; failed: again after a wait that grows. */
void kube_queue_done(struct kube_queue *q, const char *key, mono_t now, bool failed);
mono_t kube_queue_deadline(const struct kube_queue *q,
			   mono_t now);                /* when take has something to give */
size_t kube_queue_waiting(const struct kube_queue *q); /* due or delayed, not worked on */
size_t kube_queue_due(const struct kube_queue *q);     /* due of these */
unsigned kube_queue_failures(const struct kube_queue *q, const char *key); /* in a row */

#endif
