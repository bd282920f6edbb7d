/* cni/env.h - what the runtime says by environment variables (cni.md 2) */
#ifndef CNI_ENV_H
#define CNI_ENV_H

#include "cni/fail.h"
#include "pod/ids.h"

enum verb { VERB_NONE, VERB_ADD, VERB_DEL, VERB_CHECK, VERB_STATUS, VERB_GC, VERB_VERSION, VERB_N };
extern const char *const verb_names[VERB_N];

struct env {
	enum verb verb;
	char container[POD_CONTAINER_MAX + 1], netns[POD_NETNS_MAX + 1], ifname[POD_IFNAME_MAX + 1];
	char pod_namespace[64], pod_name[256],
	    pod_uid[POD_UID_MAX + 1]; /* of CNI_ARGS; "" when not said */
	bool netns_override;
};

/* environ as execve has it. Missing variables are listed all together (code 4). */
MUST_USE int env_parse(char *const *environ, struct env *out, struct fail *f);

#endif
