/* containerboot/agent_events.h - Events of the node agent: what a pod's owner and a node's
 * administrator should know
 *
 * Best effort, one request at a time. The same reason of the same object is told once in
 * AGENT_EVENTS_AGAIN_S; what cannot be told is in the log all the same.
 */
#ifndef CONTAINERBOOT_AGENT_EVENTS_H
#define CONTAINERBOOT_AGENT_EVENTS_H

#include <stdbool.h>

#include "containerboot/kube_client.h"

enum {
	AGENT_EVENTS_MAX = 64,      /* that wait; more are dropped */
	AGENT_EVENTS_TOLD_MAX = 64, /* that are remembered */
	AGENT_EVENTS_AGAIN_S = 600,
};

struct agent_events;

struct agent_events_conf {
	struct kube_client_conf client;
	const char *node; /* its name in the cluster; NULL: nothing is told of it. Borrowed */
};
/* NULL: e says why, for example that the pod has no account. */
struct agent_events *agent_events_new(const struct agent_events_conf *conf, struct err *e);
void agent_events_free(struct agent_events *es); /* what waits is dropped; NULL is fine */

/* es NULL: nothing happens. pod: namespace/name; uid: "" when not known */
void agent_events_pod(struct agent_events *es, const char *pod, const char *uid, const char *reason,
		      const char *words);
void agent_events_node(struct agent_events *es, bool is_warning, const char *reason,
		       const char *words);

#endif
