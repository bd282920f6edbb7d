/* cni/conflist.h - the network list of somebody else with our plugin behind its own; pure */
#ifndef CNI_CONFLIST_H
#define CNI_CONFLIST_H

#include "base/bytes.h"
#include "cni/fail.h"

#define CONFLIST_TYPE "tailpod-cni"

enum conflist_kind {
	CONFLIST_BAD,    /* no network configuration: runtimes skip it, and so do we */
	CONFLIST_SINGLE, /* one plugin (.conf) */
	CONFLIST_LIST,
	CONFLIST_OURS, /* a list that already names our plugin */
};
enum conflist_kind conflist_kind(struct bytes text);
/* owner: SINGLE or LIST. own: an object with our keys ("" : none); `type` and `capabilities` in it
 * are ours to say. 0 or -1. */
MUST_USE int conflist_join(struct bytes owner, struct bytes own, struct buf *out, struct fail *f);

#endif
