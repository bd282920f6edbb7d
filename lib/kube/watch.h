/* kube/watch.h - list and watch of one collection as a machine: requests out, answers in, objects
 * out
 *
 * Pure. Life: a list in pages, then watches one after the other, each resumed where the last event
 * or bookmark was; a version that the server no longer knows (410, in the status, in an event or
 * between two pages) begins a new list. BEGIN says that a list begins, SYNCED that it is complete:
 * what was not PUT between the two is gone. Failures wait (0.5 s doubled to 30 s, with jitter).
 *
 *      kube_watch_request -> send; head: kube_watch_status; bytes: kube_watch_feed and
 * kube_watch_next until MORE; end of the answer or no answer: kube_watch_end
 */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/mono.h"
#include "base/rng.h"

enum {
	KUBE_OBJECT_MAX = 4 << 20, /* JSON of one object; larger ones are dropped and counted */
	KUBE_PAGE = 500,           /* objects of one page of a list */
	KUBE_WATCH_S = 240,        /* a watch lives between this and twice this */
	KUBE_CONTINUE_MAX = 4096,  /* continue token */
	KUBE_REQUEST_MAX = 3 * KUBE_CONTINUE_MAX + 1024,
};

enum kube_watch_ev {
	KUBE_WATCH_MORE, /* give more bytes */
	KUBE_WATCH_BEGIN,
	KUBE_WATCH_PUT, /* object */
	KUBE_WATCH_DEL, /* object: its last state */
	KUBE_WATCH_SYNCED,
};

struct kube_watch;
struct kube_watch_conf {
	const char *path;     /* "/api/v1/services"; copied */
	const char *selector; /* "labelSelector=a%3Db", escaped; NULL: none; copied */
	struct rng *rng;
};
struct kube_watch_stats {
	uint64_t lists, watches, expired, failures, dropped, events;
};

struct kube_watch *kube_watch_new(const struct kube_watch_conf *conf); /* NULL: out of memory */
void kube_watch_free(struct kube_watch *w);                            /* NULL is fine */

/* When a request is due: its path and query, and *is_stream for a watch; the machine then waits for
 * the answer. */
MUST_USE bool kube_watch_request(struct kube_watch *w, mono_t now,
				 char out[static KUBE_REQUEST_MAX], bool *is_stream);
mono_t kube_watch_deadline(const struct kube_watch *w); /* when to ask for a request */
void kube_watch_status(struct kube_watch *w, unsigned status);
void kube_watch_feed(struct kube_watch *w, struct bytes in); /* borrowed until next has said MORE */
enum kube_watch_ev kube_watch_next(struct kube_watch *w, struct bytes *object);
/* ok: the answer ended in order; retry_after_s: from the answer, or 0. SYNCED may follow: ask next
 * once more. */
void kube_watch_end(struct kube_watch *w, mono_t now, bool ok, unsigned retry_after_s);
bool kube_watch_is_synced(const struct kube_watch *w); /* has ever been complete */
const struct kube_watch_stats *kube_watch_stats(const struct kube_watch *w);
const char *kube_watch_trouble(const struct kube_watch *w); /* why it waits; "" when all is well */

#endif
