/* kube/client.h - requests to one API server, with credentials that are read again when they
 * change; collections that are kept in sight
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "kube/kubeconfig.h"
#include "kube/watch.h"
#include "kube/web.h"

enum { KUBE_TOKEN_RELOAD_S = 60 }; /* and at once after a 401 */

#define KUBE_JSON "application/json"
#define KUBE_MERGE "application/merge-patch+json"
#define KUBE_APPLY "application/apply-patch+yaml" /* JSON is YAML */

struct kube;
struct kube_conf {
	struct loop *loop;
	struct web *web;                 /* outlives the client */
	const struct kubeconfig *access; /* outlives the client */
	struct rng *rng;
};
struct kube_stats {
	uint64_t requests, failed, by_class[6]; /* by the status' first digit; 0: no answer */
};

struct kube *kube_new(const struct kube_conf *conf); /* NULL: out of memory */
void kube_free(struct kube *k);                      /* its calls and watchers are gone already */
/* path begins with a slash and may have a query; type is that of the body. NULL and words. */
struct web_call *kube_send(struct kube *k, const char *method, const char *path, const char *type,
			   struct bytes body, web_done_fn *fn, void *ctx, struct err *e);
/* The caller tells each answer's status: it is counted, and a 401 has the token read again. */
void kube_count(struct kube *k, unsigned status);
const struct kube_stats *kube_stats(const struct kube *k);

/* A collection kept in sight for as long as the watcher lives: events as in kube/watch.h, objects
 * borrowed for the call. */
struct kube_watcher;
typedef void kube_watcher_fn(void *ctx, enum kube_watch_ev ev, struct bytes object);
struct kube_watcher *kube_watcher_new(struct kube *k, const char *name, const char *path,
				      const char *selector, kube_watcher_fn *fn, void *ctx);
void kube_watcher_free(struct kube_watcher *w); /* NULL is fine */
bool kube_watcher_is_synced(const struct kube_watcher *w);
const struct kube_watch_stats *kube_watcher_stats(const struct kube_watcher *w);

#endif
