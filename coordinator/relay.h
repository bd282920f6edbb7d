/* coordinator/relay.h - the relay in the server: opened, who may use it, links to the others of its
 * region, STUN beside it */
#ifndef COORDINATOR_RELAY_H
#define COORDINATOR_RELAY_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "coordinator/admission.h"
#include "coordinator/meshlinks.h"

struct serve;
struct relay_secrets;
struct udp;

enum { STUN_SOCKETS = 2 };

struct relay { /* all NULL when there is none */
	struct derp_server *derp;
	struct admission *admission; /* NULL: only our own tailnet is asked, or nobody */
	struct meshlinks *mesh;
	struct relay_secrets *secrets; /* of the mesh, in locked memory */
	struct resolver *resolver;
	struct tls_client *tls; /* trust of those that we ask and link to */
	struct udp *stun[STUN_SOCKETS];
};

MUST_USE int relay_open(struct serve *s, struct err *e);
MUST_USE int relay_open_stun(struct serve *s, struct err *e);
void relay_close(struct serve *s);
void relay_settle(struct serve *s); /* carries out what the relay wants; every turn */

#endif
