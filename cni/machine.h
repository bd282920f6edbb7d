/* cni/machine.h - what the node agent leaves on a machine, taken off it when no agent runs to do so
 *
 * The agent keeps device, tables and rules while it is away (docs/protocol/cni-agent.md), and at
 * its last end removes them itself. Where it does not run at that moment the installer does it,
 * which needs NET_ADMIN: whoever may put programs where the runtime runs them as root has no less
 * anyway.
 */
#ifndef CNI_MACHINE_H
#define CNI_MACHINE_H

#include <stdbool.h>

#include "base/attr.h"
#include "cni/fail.h"

enum {
	MACHINE_WAIT_S =
	    10, /* for an agent to end; a pod is given 20 s, 5 of them for the word why */
	MACHINE_DEPTH_MAX = 4, /* of directories that are emptied */
};

struct machine {
	const char *device;    /* the agent's; its nftables table is named after it */
	const char *run_dir;   /* of its socket cni.sock and the attachments' files; emptied */
	const char *state_dir; /* of its node's state; emptied */
};

/* Does an agent answer at its socket? */
bool machine_has_agent(const struct machine *m);
/* Returns when none answers any more, or after MACHINE_WAIT_S. */
void machine_wait(const struct machine *m);
/* Rules of our protocol number, tables, device, files; what is gone already is fine, and what
 * cannot be removed keeps nothing else from it. 0, or -1 with the first fault. The directories
 * stay. */
MUST_USE int machine_clear(const struct machine *m, struct fail *f);

#endif
