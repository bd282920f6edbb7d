/* containerboot/agent.h - the node agent of the CNI plugin: a device, its routes, the plugin's
 * socket
 *
 *      pod -> rule (plugin) -> table -> device -> node -> peer        and back by the kernel's
 * connection tracking
 *
 * The device is persistent: while the agent is away it stays with address and routes. What pods
 * send to it is refused then by the device's guard, which the process holds while the node runs
 * (pod/masquerade.h); and as soon as the routes have learnt that it has no carrier, the rules'
 * lookup falls through to the guard of the pod. Routes are in the table from the first time the
 * node runs until it must log in again or is stopped.
 */
#ifndef CONTAINERBOOT_AGENT_H
#define CONTAINERBOOT_AGENT_H

#include "base/bytes.h"
#include "base/err.h"
#include "host/host.h"
#include "os/loop.h"

struct agent;
struct agent_events;

struct agent_conf {
	struct loop *loop;
	struct host *host;
	const char *socket, *state_dir, *device;
	const char *namespaces;         /* whose pods may; NULL: all */
	const struct ipprefix *subnets; /* of peers' routes that pods may use; copied */
	size_t n_subnets;
	struct agent_events *events; /* NULL: nowhere to tell them; the caller's */
};

/* Needs NET_ADMIN. conf's texts are borrowed for the agent's life. NULL: e says why. */
struct agent *agent_new(const struct agent_conf *conf, struct err *e);
void agent_free(struct agent *a); /* device, routes and rules stay; NULL is fine */
/* Nothing of the agent's or the plugin's stays on the machine once it is freed: rules, table,
 * device, files. Pods that run lose the tailnet and their guards. */
void agent_remove(struct agent *a);

/* TS_CNI_SUBNETS, comma-separated, NULL: none. The count, or -EINVAL and words. */
enum { AGENT_SUBNETS_MAX = 6 }; /* and the two ranges: what the plugin has rules for */
MUST_USE int agent_subnets(const char *text, struct ipprefix out[static AGENT_SUBNETS_MAX],
			   struct err *e);
/* Is a pod, namespace/name, of one of these? Comma-separated names, a trailing * matches the rest;
 * NULL: all. */
bool agent_admits(const char *namespaces, const char *pod);

void agent_state(struct agent *a, enum node_state state);
void agent_netmap(struct agent *a); /* own addresses may have changed */
void agent_inner(struct agent *a, struct pkt *v, size_t n);
MUST_USE bool agent_metrics(const struct agent *a, struct buf *out); /* Prometheus text, appended */

#endif
