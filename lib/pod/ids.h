/* pod/ids.h - names of an attachment: network, container, interface (CNI specification 1.1.0) */
#ifndef POD_IDS_H
#define POD_IDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

enum {
	POD_NETWORK_MAX = 200, /* characters, as all that follow */
	POD_CONTAINER_MAX = 200,
	POD_IFNAME_MAX = 15,
	POD_NETNS_MAX = 255,
	POD_NAME_MAX = 319, /* namespace/name */
	POD_UID_MAX = 63,   /* of the orchestrator */
	POD_DIR_MAX = 255,  /* the state directory */
};

/* A container id or a network name: alphanumeric, then also "_.-" */
bool pod_is_id(struct bytes text, size_t max);
bool pod_is_ifname(struct bytes text);
/* Does an administrator's pattern mean a namespace? A trailing * matches the rest. */
bool pod_namespace_matches(struct bytes pattern, struct bytes name);

#endif
