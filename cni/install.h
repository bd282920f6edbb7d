/* cni/install.h - onto a node and off it again
 *
 * install    copies this very program into the runtime's plugin directory (temporary file, rename)
 *            and writes a network list of ours beside the owner's: the same list, our plugin behind
 *            it, under a name that sorts first, so that the runtime takes it. The owner's file
 * stays as it is. watch      install, then again whenever the directory changes, until a signal.
 * uninstall  removes our list and our program: the runtime is back at the owner's list. With
 *            --device also what the node agent has left (cni/machine.h).
 */
#ifndef CNI_INSTALL_H
#define CNI_INSTALL_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "cni/fail.h"
#include "cni/machine.h"

#define INSTALL_LIST "00-00-tailpod.conflist"
#define INSTALL_PROGRAM "tailpod-cni"

struct install_conf {
	const char *bin_dir, *net_dir;
	struct bytes own;       /* the plugin's settings, a JSON object; len 0: none */
	bool remove_at_end;     /* watch: uninstall on the signal */
	const char *end_file;   /* or when this file says "remove" then; NULL: none */
	struct machine machine; /* device NULL: what the agent left is not our business */
};

enum install_found { INSTALL_SAME, INSTALL_CHANGED, INSTALL_NO_OWNER };

MUST_USE int install_program(const struct install_conf *c, struct fail *f);
/* Writes, renews or (when its owner is gone) removes our list. */
MUST_USE int install_list(const struct install_conf *c, enum install_found *found, struct fail *f);
/* Our list and our program only. */
MUST_USE int install_remove(const struct install_conf *c, struct fail *f);

int install_main(int argc, char **argv); /* exit code */

#endif
