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
#include "containerboot/nodes.h"
#include "containerboot/options.h"
#include "host/endpoints.h"
#include "os/loop.h"
#include "os/proxy_env.h"
#include "os/resolve.h"
#include "os/tls.h"

enum {
	MEMBER_AGAIN_S = 2, /* a node that ended by itself begins anew after 2, 4, 8 s ... */
	MEMBER_AGAIN_MAX_S = 60,
};

struct program;
struct member {                        /* one node as it is wanted, and as it is */
	struct node_settings settings; /* of TS_NODES_FILE; name "": the only one, by environment */
	struct options *options;       /* of the node, owned; NULL: the process's */
	struct program *program;       /* NULL: does not run */
	bool is_wanted, is_changed;    /* settings are newer than the program */
	unsigned failures;
	mono_t again;           /* when it may be begun; the past: now */
	char why[ERR_TEXT_MAX]; /* it does not run */
};

struct process {
	struct options options; /* of the environment */
	struct loop *loop;
	struct proxy_env proxy_env;
	struct resolver *resolver;
	struct tls_client *tls;
	struct endpoints *endpoints, *old_health;
	struct member *member[NODES_MAX];
	size_t n_members;
	struct file_watch *nodes_watch;
	struct loop_timer again; /* the next member that is begun */
	bool nodes_changed, stopping, is_done;
	int exit_code;
};

int process_run(struct process *s); /* after main.c has filled options; returns the exit code */
/* Something is to be done between two turns: a node has ended. */
void process_wake(struct process *s);

#endif
