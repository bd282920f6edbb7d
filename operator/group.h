/* operator/group.h - Services of one ProxyClass that share processes: who is where, and how one
 * moves
 *
 * A ProxyClass with spec.tailpod.nodesPerProcess has groups 0, 1, 2 ...: a StatefulSet each, whose
 * one pod carries a node for each Service in it (containerboot's TS_NODES_FILE). Where a Service is
 * stands in its Secret (NOTE_GROUP), with what its node is told (NOTE_NODE), so that the list of a
 * group is made of the Secrets alone, and survives any crash. The slot is where the ports of an
 * egress node begin: nodes of a pod share its address.
 *
 * A Service moves (another class, the class changed) by leaving first: NOTE_NODE is emptied, the
 * group's list lets the node go, the process clears pod_uid in the Secret, and then the node begins
 * at the other place with the same Secret, and so as the same machine. From a pod of its own it
 * leaves when the StatefulSet is gone, which is deleted in the foreground: after its pod. Nobody
 * waits longer than GROUP_LEAVE_MAX_S for a process that does not answer.
 *
 * A slot is one node's. Who leads gives it away from one table, and looks at its lease before each
 * write; a write of a former leader that arrives late all the same may put a second Secret into a
 * slot. Of these the first by name has it, whoever looks: the group's list never has another, and
 * the others move.
 */
#ifndef OPERATOR_GROUP_H
#define OPERATOR_GROUP_H

#include "operator/proxy.h"
#include "operator/want.h"

enum {
	GROUPS_MAX = 256,         /* of one class */
	GROUP_PORT_FIRST = 20000, /* a slot has PARENT_PORTS_MAX ports from here on */
	GROUP_LEAVE_MAX_S = 150,  /* kubelet brings a ConfigMap within a minute or so */
};

struct group_place {
	char class[64];
	unsigned group, slot;
};
/* "CLASS/GROUP/SLOT"; false: it is not. */
MUST_USE bool group_place_parse(const char *text, struct group_place *out);
void group_place_emit(char out[static GROUP_TEXT], const struct group_place *place);
/* Name of the group's objects, the same as long as the class has its name. */
void group_name(char out[static PROXY_NAME_MAX + 1], const char *class, unsigned group);

/* Whether x stands behind y, who has been put into the same slot. */
bool group_is_second(const struct proxy *x, const struct proxy *y);
/* A place for proxy `name` (x, or NULL when there is nothing of it yet) in a group of the class
 * among all proxies: its own while that is valid, else the first that is free. False: all are
 * taken. */
struct kube_table;
MUST_USE bool group_find(const struct kube_table *proxies, const struct proxy *x, const char *class,
			 unsigned per_process, struct group_place *out);
/* Decides where the node is to be now and what is to be done for it: fills w->place, w->move.
 * wished: "" for a process of its own. */
void group_move(struct want *w, const struct proxy *x, const char *wished, mono_t now);
/* Whether its group's list has the node: it is told what to be, and has a key or has begun with
 * one, which is taken away as soon as it was used. */
bool group_can_run(const struct proxy *x);
/* The node's variables as JSON; false: too long. */
MUST_USE bool group_node(char out[static NODE_TEXT_MAX], const struct want *w, const char *proxy);
/* One port of an egress Service, i-th of w->ports: false: there are no more. */
struct group_port {
	uint16_t port, target, there;
	bool is_udp;
};
bool group_port(const struct want *w, size_t i, struct group_port *out);

#endif
