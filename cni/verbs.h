/* cni/verbs.h - the six verbs (cni.md 5), each from parsed words to what stdout shall say */
#ifndef CNI_VERBS_H
#define CNI_VERBS_H

#include "cni/config.h"
#include "cni/env.h"
#include "cni/fail.h"

/* 0: out is what to print (it may be nothing); -1: f says why. warn: lines for people, on stderr.
 */
MUST_USE int verb_run(const struct env *env, const struct config *c, struct buf *out,
		      struct fail *f);
MUST_USE bool verb_version(struct buf *out); /* needs no configuration */

#endif
