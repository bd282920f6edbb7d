/* cni/env.h - what the runtime says by environment variables (cni.md 2) */
#ifndef CNI_ENV_H
#define CNI_ENV_H

#include "cni/fail.h"

enum verb { VERB_NONE, VERB_ADD, VERB_DEL, VERB_CHECK, VERB_STATUS, VERB_GC, VERB_VERSION, VERB_N };
extern const char *const verb_names[VERB_N];

enum { ENV_CONTAINER_MAX = 200, ENV_PATH_MAX = 256, ENV_IFNAME_MAX = 15, ENV_POD_MAX = 320 };

struct env {
	enum verb verb;
	char container[ENV_CONTAINER_MAX + 1], netns[ENV_PATH_MAX], ifname[ENV_IFNAME_MAX + 1];
	char pod_namespace[64], pod_name[256]; /* of CNI_ARGS; "" when not said */
	bool netns_override;
};

/* environ as execve has it. Missing variables are listed all together (code 4). */
MUST_USE int env_parse(char *const *environ, struct env *out, struct fail *f);
/* A container id or a network name: alphanumeric, then also "_.-" */
bool env_is_id(struct bytes text, size_t max);
bool env_is_ifname(struct bytes text);

#endif
