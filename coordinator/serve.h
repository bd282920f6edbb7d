/* coordinator/serve.h - the server: sockets, database and the pure machines joined in one loop */
#ifndef COORDINATOR_SERVE_H
#define COORDINATOR_SERVE_H

#include "base/attr.h"
#include "base/err.h"
#include "coordinator/config.h"

/* sysexits.h: what is wrong is in the settings or in a file that they name: a restart will not help
 */
enum { SERVE_EXIT_CONFIG = 78 };

/* Until SIGTERM or SIGINT: 0. c is settled. Otherwise the exit code, SERVE_EXIT_CONFIG or 1, and e
 * says what to do. */
MUST_USE int serve_run(const struct config *c, struct err *e);

#endif
