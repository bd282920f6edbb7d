/* kube/event.h - Events: the first one is created, repetitions are counted in it
 *
 * Pure. What a user reads by kubectl describe. The same words about the same object within an hour
 * are one Event; its count is written at most every 30 s.
 */
#ifndef KUBE_EVENT_H
#define KUBE_EVENT_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/mono.h"
#include "base/rng.h"

enum {
	KUBE_EVENTS_MAX = 1024,
	KUBE_EVENT_MESSAGE_MAX = 1024, /* bytes, with the NUL: what is longer is cut */
	KUBE_EVENT_FRONT_MAX = 200     /* of an object's name, in the name of its Event */
};                                     /* remembered; the oldest makes room */

struct kube_events;
struct kube_event {
	const char *api_version, *kind, *ns, *name,
	    *uid; /* ns "" for cluster scope: the Event lies in "default" */
	bool is_warning;
	const char *reason, *message;
};
/* What to send: POST when create, else a merge patch of `name`. */
struct kube_event_write {
	bool create;
	char ns[64], name[320];
};

struct kube_events *kube_events_new(const char *component, const char *instance, struct rng *rng);
void kube_events_free(struct kube_events *es);
/* False: nothing is to be sent now (a repetition that is only counted, or no memory). body gets the
 * JSON. */
MUST_USE bool kube_events_add(struct kube_events *es, const struct kube_event *ev, mono_t now,
			      wall_t wall, struct kube_event_write *out, struct buf *body);

#endif
