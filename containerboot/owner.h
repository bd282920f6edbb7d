/* containerboot/owner.h - tells the containers of an agent's pod why they are ended: for good, or
 * for the next one
 *
 * A pod that is ended does not learn whether its DaemonSet was updated, the machine drained, or all
 * of it uninstalled; and by the time it is asked to end, its account may be deleted. So this
 * watches the DaemonSet as long as the pod lives: that it is deleted is known before the first pod
 * is ended. What is known is said in a file that the other containers of the pod see:
 *
 *      remove   the DaemonSet is deleted or being deleted
 *      keep     this container was asked to end, and the DaemonSet was there
 *
 * Anything that cannot be told for sure (no answer, no right) is "keep".
 */
#ifndef CONTAINERBOOT_OWNER_H
#define CONTAINERBOOT_OWNER_H

#include "base/err.h"
#include "containerboot/kube_client.h"

#define OWNER_REMOVE "remove\n"
#define OWNER_KEEP "keep\n"

enum {
	OWNER_LINE_MAX = 1 << 20, /* an event of the watch */
	OWNER_WATCH_S = 290,      /* then the server ends it, and all is looked at again */
	OWNER_AGAIN_S = 5,        /* after an answer that says nothing, or a deleted DaemonSet */
	OWNER_LAST_S = 3,         /* for the last look */
};

struct owner;
struct owner_conf {
	struct kube_client_conf client;
	const char *daemonset, *file; /* borrowed; of the account's namespace */
};
/* The file is removed: it is of an earlier run. NULL: e says why. */
struct owner *owner_new(const struct owner_conf *conf, struct err *e);
void owner_free(struct owner *o); /* NULL is fine */
/* Looks once more, writes the file and stops the loop, within OWNER_LAST_S. */
void owner_stop(struct owner *o);

int owner_main(int argc, char **argv); /* DAEMONSET FILE; the exit code */

#endif
