/* cni/config.h - the plugin's object of the network configuration, as it comes on stdin (cni.md 3)
 *
 * Unknown keys are ignored in it, as the specification wants it. Keys of ours are checked strictly:
 * who mistyped a value is told at the first pod, not by traffic that goes astray.
 */
#ifndef CNI_CONFIG_H
#define CNI_CONFIG_H

#include "base/ip.h"
#include "cni/env.h"
#include "cni/fail.h"

#define CONFIG_VERSION_LATEST "1.1.0"
#define CONFIG_VERSIONS "0.3.1", "0.4.0", "1.0.0", "1.1.0" /* ascending */

enum {
	CONFIG_STDIN_MAX = 1 << 20,
	CONFIG_NAMESPACES_MAX = 32,
	CONFIG_RANGES_MAX = 8,
	CONFIG_SOCKET_MAX = 108, /* sun_path */
	CONFIG_TABLE = 5252,     /* ours */
	/* lookup here, guard one behind; an upstream client on the same host has 5210-5270, its own
	 * table at the end (cni.md 10) */
	CONFIG_PRIORITY = 5258,
	CONFIG_PROTOCOL = 116, /* rtm_protocol of all we make; free in iproute2's list */
	CONFIG_MTU = 1280,
};

enum config_opt_in { CONFIG_BY_ANNOTATION, CONFIG_ALL };

struct config {
	char version[16], name[POD_NETWORK_MAX + 1];
	enum config_opt_in opt_in;
	char annotation[128];
	char namespaces[CONFIG_NAMESPACES_MAX][64]; /* a trailing * matches the rest */
	size_t n_namespaces;
	bool fail_open, status_affects_node, pod_routes, result_routes;
	struct ipprefix ranges[CONFIG_RANGES_MAX]; /* "ranges", then "subnets" */
	size_t n_ranges;
	struct ipprefix subnets[CONFIG_RANGES_MAX];
	size_t n_subnets;
	uint32_t table, priority, protocol;
	char socket[CONFIG_SOCKET_MAX], state_dir[POD_DIR_MAX + 1];

	bool asks;          /* the pod's annotation says yes */
	struct bytes prev;  /* prevResult as text, borrowed; len 0: none */
	struct bytes valid; /* cni.dev/valid-attachments, borrowed; len 0: none */
};

MUST_USE int config_parse(struct bytes text, struct config *out, struct fail *f);
/* Of a file with keys of ours, out of which the object is made: stricter, since who wrote it is
 * there to be told. Unknown keys are refused too; those of CONFIG_SAID are the installer's to say.
 */
#define CONFIG_SAID "type", "capabilities", "name", "cniVersion"
MUST_USE int config_check_settings(struct bytes text, const char *file, struct fail *f);
/* Index into CONFIG_VERSIONS, or -1. */
int config_version_index(const char *version);
/* Is the annotation of a pod in this namespace honoured? The administrator's gate. */
bool config_admits(const struct config *c, const char *pod_namespace);
/* This pod is to have the tailnet. */
static inline bool config_wants(const struct config *c, const char *pod_namespace)
{
	return (c->opt_in == CONFIG_ALL || c->asks) && config_admits(c, pod_namespace);
}

#endif
