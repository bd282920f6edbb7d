/* operator/expiry.h - warns before the operator's own credentials end
 *
 * An API key or an OAuth client's secret that ends in silence stops every new proxy and leaves
 * every device. Its end is asked for once an hour while this replica leads; from EXPIRY_WARN_S
 * before it there is a warning Event of the Lease and a line in the log, once a day, and the time
 * is a metric. A server that does not say (OAuth clients of the service do not end) is no error.
 */
#ifndef OPERATOR_EXPIRY_H
#define OPERATOR_EXPIRY_H

#include "operator/control.h"
#include "os/loop.h"

enum { EXPIRY_S = 3600, EXPIRY_WARN_S = 14 * 86400 };

struct expiry {
	struct loop_timer timer;
	struct control_call call;
	bool busy;
	wall_t ends;  /* WALL_ZERO: never, or not known */
	int64_t told; /* days that were left when it was last told; -1: not told */
	bool is_refused;
};

void expiry_init(struct operator *op);
void expiry_fini(struct operator *op);
void expiry_lead(struct operator *op); /* this replica leads: begin */

#endif
