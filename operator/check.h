/* operator/check.h - asks URLs whether all is well: what `helm test` runs inside the cluster */
#ifndef OPERATOR_CHECK_H
#define OPERATOR_CHECK_H

#include "base/attr.h"

/* Each URL must answer with 200 within twenty seconds; a line for each. The exit code: 0 when all
 * do. */
MUST_USE int operator_check(char *const *url, int n, const char *ca_file);

#endif
