/* cni/netns.h - a visit to the pod's network namespace; the program has one thread */
#ifndef CNI_NETNS_H
#define CNI_NETNS_H

#include "base/attr.h"
#include "cni/fail.h"
#include "pod/netlink.h"

struct netns_id {
	uint64_t dev, ino;
};

/* Opens a netlink socket inside and comes back; the socket stays of that namespace. 0 or -1. */
MUST_USE int netns_netlink(const char *path, struct netlink *out, struct fail *f);
/* 0; -ENOENT: gone; -EINVAL: no network namespace; -errno */
MUST_USE int netns_identify(const char *path, struct netns_id *out);
/* Code 8 when path is the namespace we run in (specification: CNI_NETNS must not be ours). */
MUST_USE int netns_check_foreign(const char *path, struct fail *f);

#endif
