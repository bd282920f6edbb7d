/* containerboot/process.h - what all nodes of one process share: loop, resolver, trust roots,
 * signals, health endpoints, the fence around it
 *
 * A node (struct program) has its own state, keys, control connection, netstack, UDP port and local
 * API; it asks for nothing of the process but what stands here, and tells it one thing: that it has
 * ended (process_wake). Whatever may turn the loop (a Secret that is read, a last write) is done
 * between two runs of it, never from a callback.
 */
#ifndef CONTAINERBOOT_PROCESS_H
#define CONTAINERBOOT_PROCESS_H

#include "containerboot/confine.h"
#include "containerboot/options.h"
#include "host/endpoints.h"
#include "os/loop.h"
#include "os/proxy_env.h"
#include "os/resolve.h"
#include "os/tls.h"

struct program;

struct process {
	struct options options; /* of the environment */
	struct loop *loop;
	struct proxy_env proxy_env;
	struct resolver *resolver;
	struct tls_client *tls;
	struct endpoints *endpoints, *old_health;
	struct program *node; /* NULL: none (yet) */
	bool stopping;
	int exit_code;
};

int process_run(struct process *s); /* after main.c has filled options; returns the exit code */
/* Something is to be done between two turns: a node has ended. */
void process_wake(struct process *s);

#endif
