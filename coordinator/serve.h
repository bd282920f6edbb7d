/* coordinator/serve.h - the server: sockets, database and the pure machines joined in one loop */
#ifndef COORDINATOR_SERVE_H
#define COORDINATOR_SERVE_H

#include "base/attr.h"
#include "base/err.h"
#include "coordinator/config.h"

/* Until SIGTERM or SIGINT: 0. c is settled. Otherwise -errno, and e says what to do. */
MUST_USE int serve_run(const struct config *c, struct err *e);

#endif
