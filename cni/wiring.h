/* cni/wiring.h - an attachment put into the kernel, taken out, compared with it */
#ifndef CNI_WIRING_H
#define CNI_WIRING_H

#include "cni/config.h"
#include "cni/result.h"
#include "pod/attachment.h"
#include "pod/netlink.h"

/* Rules of the host's side. put: guards before lookups, and no lookup of another that had the same
 * address before. 0 or -errno, `bad` then names the rule. */
MUST_USE int wiring_put(struct netlink *nl, const struct attachment *a, const struct rule **bad);
/* Removes what no other attachment's file names. 0 or the first -errno; goes on past errors. */
MUST_USE int wiring_take(struct netlink *nl, const char *state_dir, const struct attachment *a);
/* The first rule that is missing, NULL: none; *r gets -errno when the kernel could not be asked. */
const struct rule *wiring_missing(struct netlink *nl, const struct attachment *a, int *r);
/* Rules of this protocol that no file names are removed, none while a file cannot be read; *n
 * counts them. 0 or -errno */
MUST_USE int wiring_sweep(struct netlink *nl, const char *state_dir, uint8_t protocol, size_t *n);

/* The pod's side: routes to the ranges with the tunnel's MTU; families that the pod has no way out
 * of are left out. The count, or -errno. */
int wiring_pod_routes(struct netlink *pod, const struct config *c, const struct result *prev,
		      const char *ifname, struct netlink_route out[static CONFIG_RANGES_MAX]);

#endif
