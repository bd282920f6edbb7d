/* host/egress_priv.h - what egress.c and egress_udp.c share */
#ifndef HOST_EGRESS_PRIV_H
#define HOST_EGRESS_PRIV_H

#include "base/shares.h"
#include "host/egress.h"
#include "host/host.h"
#include "os/loop.h"

struct egress_udp_port;
struct egress_flow;

struct egress {
	struct host *host;
	char target[EGRESS_NAME_MAX + 1]; /* without a dot at its end */
	struct egress_client *clients;
	struct egress_door *doors;
	size_t n_doors;
	struct egress_udp_port *udp;
	struct egress_flow *udp_oldest, *udp_newest; /* by use */
	size_t udp_max;
	struct shares udp_shares; /* by sender */
	span_t udp_yields;
	struct egress_stat stat;
};

MUST_USE int egress_udp_open(struct egress *g, const struct egress_port *p, struct err *e);
void egress_udp_close(struct egress *g); /* all ports */

#endif
