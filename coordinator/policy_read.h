/* coordinator/policy_read.h - from plain JSON to struct policy; for policy.c */
#ifndef COORDINATOR_POLICY_READ_H
#define COORDINATOR_POLICY_READ_H

#include "coordinator/policy_priv.h"

/* Reads the whole text; false: *at and why say where and what. Names are not resolved yet. */
bool policy_read(struct policy *p, struct bytes plain, size_t *at, char why[static ERR_TEXT_MAX]);
/* Every name that is used must be defined, and allowed where it stands; aliases are resolved. false
 * as above. */
bool policy_resolve(struct policy *p, size_t *at, char why[static ERR_TEXT_MAX]);

#endif
